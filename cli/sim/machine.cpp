// See machine.hpp.
#include "cli/sim/machine.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "storage/catalog.hpp"
#include "storage/disk.hpp"
#include "storage/executor.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::sim {
namespace {

// A name for SQLite's registry, which is the process's: two worlds may live side by side. Seen by nobody
// else.
std::string registry_name() {
  static std::atomic<std::uint64_t> given{0};
  return "shoal-sim-" + std::to_string(++given);
}

Random::Seed seed_of(std::uint64_t world_seed, HostId id) {
  Random::Seed seed{};
  store_be(seed.data(), world_seed);
  store_be(seed.data() + 8, std::uint64_t{id});
  store_be(seed.data() + 16, std::uint64_t{0x6d616368696e65});
  return seed;
}

struct Describe {
  using Kind = JobNote::Kind;
  JobNote operator()(const storage::LoadJob&) const { return {.kind = Kind::load}; }
  JobNote operator()(const storage::AttachJob& j) const {
    return {.kind = Kind::attach, .slot = j.slot, .content = j.content};
  }
  JobNote operator()(const storage::SaveLayersJob& j) const { return {.kind = Kind::layers, .slot = j.slot}; }
  JobNote operator()(const storage::ReadJob& j) const {
    return {Kind::read, j.slot, j.piece, j.begin, j.length, j.lead, {}};
  }
  JobNote operator()(const storage::WriteJob& j) const {
    return {Kind::write,
            j.slot,
            j.block.piece,
            j.block.block * storage::block_bytes,
            static_cast<std::uint32_t>(j.bytes.size()),
            0,
            {}};
  }
  JobNote operator()(const storage::HashJob& j) const {
    return {.kind = Kind::hash, .slot = j.slot, .piece = j.piece};
  }
  JobNote operator()(const storage::CommitJob& j) const {
    return {.kind = Kind::commit,
            .slot = j.slot,
            .length = static_cast<std::uint32_t>(j.pieces.size()),
            .content = {}};
  }
  JobNote operator()(const storage::DetachJob& j) const { return {.kind = Kind::detach, .slot = j.slot}; }
  template <class Other>
  JobNote operator()(const Other&) const {
    return {.kind = Kind::other};
  }
};

}  // namespace

// All that a death takes away. Built and destroyed in this order: each stands on the one before.
struct Machine::Life {
  std::unique_ptr<storage::Folder> state;
  std::unique_ptr<storage::SqliteVfs> sqlite;
  std::unique_ptr<storage::Catalog> catalog;
  storage::OpenGate gate;
  std::unique_ptr<storage::Disk> disk;
  storage::Disk::Worker worker;
  std::optional<swarm::Session> session;
};

Machine::Machine(HostId id, MachineConfig config, std::uint64_t seed, PageStore& pages, BufferPool& pool)
    : id_(id),
      config_(std::move(config)),
      random_(seed_of(seed, id)),
      pool_(pool),
      image_(pages, config_.crash_model, config_.capacity),
      vfs_(image_),
      free_at_(static_cast<std::size_t>(config_.timing.parallel)) {
  for (const std::string& path : {data_folder, state_folder}) {  // there since the system was installed
    auto made = vfs_.open_folder(path, storage::Vfs::Missing::create);
    SHOAL_CHECK(made.has_value());
  }
  image_.sync_names(image_.root());
}

Machine::~Machine() {
  if (life_) die(Death::process);  // so that nothing is checkpointed that no scenario asked for
}

Result<void> Machine::start(const Endpoint& v4, const Endpoint& v6, WallTime world_wall) {
  SHOAL_CHECK(!life_);
  image_.set_wall(unix_ms(wall(world_wall)) * 1'000'000);
  auto life = std::make_unique<Life>();
  auto state = vfs_.open_folder(state_folder, storage::Vfs::Missing::create);
  if (!state) return std::unexpected(state.error());
  life->state = std::move(*state);
  life->sqlite = std::make_unique<storage::SqliteVfs>(registry_name(), *life->state);
  auto catalog = storage::Catalog::open({.path = "catalog", .vfs = life->sqlite->name()});
  if (!catalog) return std::unexpected(catalog.error());
  life->catalog = std::move(*catalog);
  auto known = life->catalog->identity();
  if (!known) return std::unexpected(known.error());
  const storage::Identity identity =
      known->value_or(storage::Identity{random_.bytes<32>(), config_.host.port});
  if (!known->has_value())
    if (auto saved = life->catalog->save_identity(identity); !saved) return saved;
  swarm::SessionConfig session;
  session.identity = identity.seed;
  session.seed = random_.bytes<32>();
  session.reach = config_.reach;
  session.role = config_.role;
  session.ipv4 = v4.port != 0;
  session.ipv6 = v6.port != 0;
  session.listen_port = config_.host.port;
  session.lan_discovery = config_.host.site != 0;
  if (v4.port != 0) session.subnets.push_back({v4.address, 24});
  session.up_rate = config_.up_limit;
  session.down_rate = config_.down_limit;
  session.bootstrap = config_.bootstrap;
  session.native = config_.native;
  session.mainline = config_.mainline;
  session.mse = config_.mse;
  for (const char* overlay : swarm::overlay_names) {
    auto contacts = life->catalog->contacts(overlay);
    if (!contacts) return std::unexpected(contacts.error());
    if (!contacts->empty()) session.saved.push_back({overlay, std::move(*contacts)});
  }
  life->disk = std::make_unique<storage::Disk>(vfs_, *life->catalog, life->gate, storage::Disk::Options{});
  life->session.emplace(std::move(session), pool_);
  life_ = std::move(life);
  ++lives_;
  wake_scheduled = never;
  std::fill(free_at_.begin(), free_at_.end(), Instant{});
  return {};
}

void Machine::die(Death death) {
  SHOAL_CHECK(life_ != nullptr);
  image_.halt();  // or SQLite would tidy up as it closes
  end();
  if (death == Death::power && config_.crash_model == CrashModel::on)
    image_.crash(config_.fate, random_);
  else
    image_.release();
}

void Machine::end() {
  if (before_end) before_end();
  std::vector<Slab<Pending>::Id> all;
  jobs_.for_each([&](Slab<Pending>::Id id, Pending&) { all.push_back(id); });
  for (const auto id : all) jobs_.erase(id);
  life_.reset();
}

swarm::Session& Machine::session() {
  SHOAL_CHECK(life_ != nullptr);
  return *life_->session;
}

const swarm::Session& Machine::session() const {
  SHOAL_CHECK(life_ != nullptr);
  return *life_->session;
}

storage::Catalog& Machine::catalog() {
  SHOAL_CHECK(life_ != nullptr);
  return *life_->catalog;
}

PathResult<Shared> Machine::import(const std::vector<std::string>& paths, std::string_view name,
                                   WallTime world_wall, std::uint32_t piece_length, storage::Format format) {
  SHOAL_CHECK(life_ != nullptr);
  image_.set_wall(unix_ms(wall(world_wall)) * 1'000'000);
  auto survey = storage::survey(vfs_, paths, name);
  if (!survey) return std::unexpected(survey.error());
  const bool sealed = format == storage::Format::v2;
  const storage::ShareKey key =
      storage::share_key(paths, name, sealed ? storage::ShareKind::sealed : storage::ShareKind::open);
  auto before = life_->catalog->share(key);
  if (!before) return fail_at(paths.front(), before.error().code, before.error().rule);
  storage::ImportOptions options;
  options.piece_length = piece_length;
  options.format = format;
  if (sealed) options.salt = *before ? (**before).salt : random_.bytes<32>();
  storage::SerialExecutor serial;
  auto imported = storage::import_content(vfs_, *survey, options, serial);
  if (!imported) return std::unexpected(imported.error());
  Shared out{imported->content, imported->folder};
  const auto record = storage::share_record(std::move(*imported));
  if (auto stored = life_->catalog->store_share(key, options.salt.value_or(storage::Salt{}), record); !stored)
    return fail_at(paths.front(), stored.error().code, stored.error().rule);
  return out;
}

void Machine::feed(Now now, swarm::Input&& input, std::vector<swarm::Output>& out) {
  const std::size_t first = out.size();
  if (before_input) before_input(input);
  life_->session->handle(now, std::move(input), out);
  if (before_output)
    for (std::size_t i = first; i < out.size(); ++i) before_output(out[i]);
}

Duration Machine::cost(const storage::Job& job) const {
  const DiskTiming& timing = config_.timing;
  const auto moved = [&](std::uint64_t bytes) {
    return Duration{static_cast<std::int64_t>(bytes * 1'000'000 / timing.bytes_per_second)};
  };
  const JobNote note = std::visit(Describe{}, job);
  switch (note.kind) {
    case JobNote::Kind::read:
    case JobNote::Kind::write:
      return timing.access + moved(note.length);
    case JobNote::Kind::hash:
      return timing.access + moved(storage::min_piece_length * 4ULL);
    default:
      return timing.access + timing.sync;
  }
}

std::pair<Instant, std::uint64_t> Machine::queue_job(Instant now, swarm::DiskJob&& job) {
  Instant& server = *std::min_element(free_at_.begin(), free_at_.end());
  server = std::max(server, now) + cost(job.what);
  return {server, jobs_.emplace(Pending{job.job, std::move(job.what), lives_}).value()};
}

std::optional<swarm::DiskDone> Machine::run_job(std::uint64_t place, WallTime world_wall) {
  const auto id = Slab<Pending>::Id::from_value(place);
  Pending* found = jobs_.find(id);
  if (found == nullptr || !life_) return std::nullopt;
  Pending pending = std::move(*found);
  jobs_.erase(id);
  image_.set_wall(unix_ms(wall(world_wall)) * 1'000'000);
  const JobNote note = std::visit(Describe{}, pending.job);
  swarm::DiskDone out{pending.id, life_->disk->run(std::move(pending.job), life_->worker)};
  if (after_job) after_job(note, out.done);
  return out;
}

}  // namespace shoal::sim
