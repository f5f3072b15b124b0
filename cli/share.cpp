// `share`: survey, hash what is not known unchanged, keep it in the catalog, then serve it until stopped.
//
// The link is printed when our own node holds our record: from then on it works. It names addresses of ours;
// where none of them is global it also names the nodes given with --bootstrap, through which those outside
// find us.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/content_report.hpp"
#include "cli/hashing.hpp"
#include "cli/peer_process.hpp"
#include "cli/quantity.hpp"
#include "dht/base/crypto.hpp"
#include "storage/importer.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

constexpr std::size_t max_shares = 16'384;      // of --each: so many are announced again in time
constexpr std::size_t max_given_addresses = 2;  // of --bootstrap in a link

// What is kept of each: thousands may be shared.
struct Shared {
  Shared(const storage::Content& content, std::string in, std::uint64_t last_sequence)
      : id(content.id),
        v1(content.v1),
        v2(content.v2),
        sealed(content.sealed),
        is_private(content.is_private),
        name(content.name),
        folder(std::move(in)),
        sequence(last_sequence) {}
  storage::ContentId id;
  std::optional<Sha1> v1;
  bool v2, sealed, is_private;
  std::string name, folder;
  std::uint64_t sequence;  // of the last record published
};

// The catalog's memory of what these paths were before.
struct Before {
  storage::ShareKey key{};
  storage::Salt salt{};
  std::uint64_t sequence = 0;
  storage::Earlier earlier;  // content null: nothing
  std::optional<storage::FoundContent> found;
};

Outcome<Before> recall(OpenState& state, const std::vector<std::string>& paths, const std::string& name,
                       storage::ShareKind kind) {
  Before out;
  out.key = storage::share_key(paths, name, kind);
  const auto broken = [&](const Error& error) {
    return std::unexpected(catalog_failure(error, state.catalog_path));
  };
  const auto share = state.catalog->share(out.key);
  if (!share) return broken(share.error());
  if (!*share) {
    crypto::system_random(out.salt);
    return out;
  }
  out.salt = (*share)->salt;
  if (!(*share)->content) return out;
  auto stored = state.catalog->load(*(*share)->content);
  if (!stored) return broken(stored.error());
  auto found = state.catalog->find(*(*share)->content);
  if (!found) return broken(found.error());
  if (!*stored || !*found) return out;
  auto content = storage::parse_info(std::move((*stored)->info));
  if (!content || (*content)->id != *(*share)->content) return out;  // damaged: hashed anew
  out.sequence = (*stored)->record_sequence;
  out.earlier = {*content, std::move((*stored)->layers), (*found)->stamps()};
  out.found = std::move(**found);
  return out;
}

bool nothing_changed(const storage::Survey& survey, const Before& before) {
  return before.found && before.found->role == storage::ContentRole::share &&
         before.found->folder == survey.folder && before.found->root_name == survey.root_name &&
         before.found->have.all() &&
         storage::unchanged(survey, *before.earlier.content, before.earlier.stamps);
}

Outcome<storage::Imported> hash(CommandRoom& room, storage::Executor& executor, const storage::Survey& survey,
                                const Before& before) {
  storage::PosixVfs vfs;
  storage::HashProgress progress;
  storage::ImportOptions options;
  if (room.options.visibility == swarm::Visibility::open)
    options.format = storage::Format::hybrid;
  else
    options.salt = before.salt;
  options.earlier = before.earlier.content ? &before.earlier : nullptr;
  options.progress = &progress;
  std::optional<PathResult<storage::Imported>> imported;
  const auto begun = std::chrono::steady_clock::now();
  run_bulk(room.reactor, room.report, progress,
           [&] { imported.emplace(storage::import_content(vfs, survey, options, executor)); });
  if (!*imported)
    return std::unexpected(failure_of(Doing::reading_share, imported->error().error, imported->error().path));
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  room.report.say(fmt::format("hashed '{}': {} in {}", storage::escape_for_display(survey.name),
                              show_size(progress.done_bytes.load()), show_duration(took)));
  return std::move(**imported);
}

// What a path holds, and what the catalog remembers of it.
struct Plan {
  storage::Survey survey;
  Before before;
};

Outcome<Plan> look(CommandRoom& room, storage::Executor& executor, OpenState& state,
                   const std::vector<std::string>& paths) {
  storage::PosixVfs vfs;
  auto survey = storage::survey(vfs, paths, room.options.name, executor);
  if (!survey)
    return std::unexpected(failure_of(Doing::reading_share, survey.error().error, survey.error().path));
  const bool open = room.options.visibility == swarm::Visibility::open;
  const auto folders = static_cast<std::uint32_t>(open ? survey->empty_folders.size() : 0);
  if (const std::string skipped = left_out(survey->skipped_links, survey->skipped_special, folders);
      !skipped.empty())
    room.report.say(skipped);
  auto before =
      recall(state, paths, room.options.name, open ? storage::ShareKind::open : storage::ShareKind::sealed);
  if (!before) return std::unexpected(before.error());
  return Plan{std::move(*survey), std::move(*before)};
}

Outcome<Shared> prepare(CommandRoom& room, storage::Executor& executor, OpenState& state, const Plan& plan) {
  const auto& [survey, before] = plan;
  if (nothing_changed(survey, before)) {
    room.report.say(
        fmt::format("'{}' is unchanged: nothing to hash", storage::escape_for_display(survey.name)));
    return Shared{*before.earlier.content, survey.folder, before.sequence};
  }
  auto imported = hash(room, executor, survey, before);
  if (!imported) return std::unexpected(imported.error());
  const auto sequence = state.catalog->sequence(imported->content->id);
  if (!sequence) return std::unexpected(catalog_failure(sequence.error(), state.catalog_path));
  Shared out{*imported->content, imported->folder, *sequence};
  const auto record = storage::share_record(std::move(*imported));
  if (const auto kept = state.catalog->store_share(before.key, before.salt, record); !kept)
    return std::unexpected(catalog_failure(kept.error(), state.catalog_path));
  return out;
}

// Every part is a content of its own. The catalog is asked about many of them at once.
Outcome<std::vector<Shared>> prepare_all(CommandRoom& room, OpenState& state,
                                         const std::vector<std::vector<std::string>>& parts) {
  constexpr std::size_t most_plans = 256, most_files = 16'384;  // in memory at a time
  storage::ThreadExecutor executor;
  std::vector<Shared> out;
  std::set<storage::ContentId> known;  // two paths may hold the same
  for (std::size_t next = 0; next < parts.size();) {
    std::vector<Plan> plans;
    {
      const storage::Catalog::Snapshot snapshot{*state.catalog};
      for (std::size_t files = 0; next < parts.size() && plans.size() < most_plans && files < most_files;
           ++next) {
        auto plan = look(room, executor, state, parts[next]);
        if (!plan) return std::unexpected(plan.error());
        files += plan->survey.files.size();
        plans.push_back(std::move(*plan));
      }
    }
    for (const Plan& plan : plans) {
      auto shared = prepare(room, executor, state, plan);
      if (!shared) return std::unexpected(shared.error());
      if (known.insert(shared->id).second) out.push_back(std::move(*shared));
    }
  }
  return out;
}

// What is shared is read; of the folders in which it lies, the names.
Territory territory_of(const std::vector<std::string>& paths, const std::vector<Shared>& shares) {
  std::set<std::string> folders;
  for (const Shared& share : shares) folders.insert(share.folder);
  return {.read = paths, .list = {folders.begin(), folders.end()}, .write = {}};
}

class Shares final : public Duty {
 public:
  Shares(CommandRoom& room, PeerProcess& peer, std::vector<Shared> shares)
      : room_(room),
        peer_(peer),
        given_(std::move(shares)),
        left_(given_.size()),
        copies_left_(given_.size()) {}

  void begin(const std::vector<Endpoint>& hints) override {
    const bool may_rest =
        room_.options.sharing == Sharing::each && room_.options.serving != Serving::one_copy;
    if (may_rest && !hints.empty()) peer_.host().command(swarm::Bootstrap{hints});
    for (Shared& share : std::exchange(given_, {})) {
      swarm::OpenContent open;
      open.id = share.id;
      open.folder = share.folder;
      open.hints = hints;
      open.seed.until = swarm::SeedUntil::forever;
      open.is_public = !share.sealed;
      open.v1 = share.v1;
      if (may_rest && !share.is_private) open.rest = swarm::OpenContent::Rest{share.v2, share.sequence};
      const swarm::CommandId id = peer_.host().command(std::move(open));
      command_of_.emplace(share.id, id);
      open_.try_emplace(id, std::move(share));
    }
  }

  void answered(const swarm::Answer& answer) override {
    const auto* event = std::get_if<swarm::ContentEvent>(&answer.what);
    const auto found = open_.find(answer.command);
    if (event == nullptr || found == open_.end()) return;
    Open& open = found->second;
    using What = swarm::ContentEvent::What;
    if (event->what == What::announced) {
      if (!std::exchange(open.told, true)) print_link(open.share);
      return;
    }
    const auto status = peer_.host().session().content(peer_.host().now(), event->id);
    const swarm::ContentStatus now = status.value_or(swarm::ContentStatus{});
    // Of thousands that are merely published again and again nothing need be remembered.
    if (event->what == What::published && !open.report) return report_on(open.share).event(*event, now);
    ContentReport& report = report_of(open);
    report.event(*event, now);
    const bool failed = event->what == What::failed;
    if (failed && --left_ == 0) return peer_.finish(report.failure()->exit);
    // Of one that failed no copy is waited for.
    const bool settled = (failed || event->what == What::copy_out) && !std::exchange(open.settled, true) &&
                         --copies_left_ == 0;
    if (settled && room_.options.serving == Serving::one_copy) {
      room_.report.say("one full copy is out");
      peer_.finish(Exit::done);
    }
  }

  void second() override {
    const swarm::ContentStatus* busiest = nullptr;
    const std::vector<swarm::ContentStatus> all = changed();
    for (const swarm::ContentStatus& status : all) {
      Open* open = open_of(status.id);
      if (open == nullptr) continue;
      report_of(*open).progress(status);
      if (busiest == nullptr || status.up_rate > busiest->up_rate) busiest = &status;
    }
    if (busiest != nullptr) room_.report.progress(report_of(*open_of(busiest->id)).line(*busiest));
    for (const swarm::ContentStatus& status : all)
      if (Open* open = open_of(status.id); open != nullptr && !active_.contains(status.id))
        open->report.reset();
  }

  Farewell interrupted() override { return {Exit::done, "stopping"}; }

 private:
  struct Open {
    explicit Open(Shared&& given) : share(std::move(given)) {}
    Shared share;
    std::unique_ptr<ContentReport> report;  // while there is something to tell
    bool told = false, settled = false;     // its link; a copy is out, or never will be
  };

  [[nodiscard]] ContentReport report_on(const Shared& share) const {
    return {room_.report, Doing::reading_share, share.name, share.folder};
  }
  [[nodiscard]] ContentReport& report_of(Open& open) const {
    if (!open.report) open.report = std::make_unique<ContentReport>(report_on(open.share));
    return *open.report;
  }
  [[nodiscard]] Open* open_of(const storage::ContentId& id) {
    const auto found = command_of_.find(id);
    return found == command_of_.end() ? nullptr : &open_.at(found->second);
  }

  // Those that are active, and those that were a second ago: of thousands that lie idle there is no news.
  std::vector<swarm::ContentStatus> changed() {
    const swarm::Session& session = peer_.host().session();
    const Now now = peer_.host().now();
    std::vector<swarm::ContentStatus> out = session.contents(now, swarm::Session::Which::active);
    std::set<storage::ContentId> before = std::exchange(active_, {});
    for (const swarm::ContentStatus& status : out) {
      active_.insert(status.id);
      before.erase(status.id);
    }
    for (const storage::ContentId& id : before)
      if (auto status = session.content(now, id);
          status && status->phase != swarm::ContentStatus::Phase::resting)
        out.push_back(std::move(*status));
    return out;
  }

  void print_link(const Shared& share) {
    storage::Link link;
    link.id = share.id;
    link.name = share.name;
    link.is_public = !share.sealed;
    link.v1 = share.v1;
    bool global = false;
    for (const Endpoint& endpoint : peer_.host().endpoints()) {
      link.at.push_back(storage::HostPort::from(endpoint));
      global = global || endpoint.address.global();
    }
    const std::size_t own = link.at.size();
    if (!global && !link.is_public)  // a magnet link names peers alone
      for (const Endpoint& given : peer_.given_bootstrap())
        if (link.at.size() < own + max_given_addresses && given.address.global())
          link.at.push_back(storage::HostPort::from(given));
    const std::string text = storage::format_link(link);
    room_.report.event(EventLine{"link"}.text("id", to_hex(link.id)).text("link", text));
    room_.report.data(text);
    room_.report.say(fmt::format("to get it elsewhere:\n  shoal get '{}'", text));
    room_.report.say(reach_sentence(global));
  }

  [[nodiscard]] std::string reach_sentence(bool global) const {
    const std::uint16_t port = peer_.host().port();
    if (peer_.reach() == swarm::Reach::local)
      return fmt::format("listening on port {}, for this network alone (--local)", port);
    if (global)
      return fmt::format("listening on port {}; whether a firewall keeps others out will show when they call",
                         port);
    return fmt::format(
        "listening on port {} behind a router: from outside, only those who can be reached themselves get "
        "it, unless the router lets TCP and UDP port {} in",
        port, port);
  }

  CommandRoom& room_;
  PeerProcess& peer_;
  std::vector<Shared> given_;  // until begin()
  std::map<swarm::CommandId, Open> open_;
  std::map<storage::ContentId, swarm::CommandId> command_of_;
  std::set<storage::ContentId> active_;  // a second ago
  std::size_t left_, copies_left_;
};

}  // namespace

Outcome<Exit> share_command(CommandRoom& room) {
  const auto paths = absolute_paths(room.options.paths);
  if (!paths) return std::unexpected(paths.error());
  if (room.options.sharing == Sharing::each && paths->size() > max_shares)
    return give_up(
        Exit::usage,
        fmt::format("--each takes at most {} paths; share the others with another command", max_shares));
  auto state = open_state(room.options.state, Use::with_identity, room.environment);
  if (!state) return std::unexpected(state.error());
  std::vector<std::vector<std::string>> parts;
  std::set<std::string> named;
  if (room.options.sharing == Sharing::each) {
    for (const std::string& path : *paths)
      if (named.insert(path).second) parts.push_back({path});
  } else {
    parts.push_back(*paths);
  }
  auto shares = prepare_all(room, **state, parts);
  if (!shares) return std::unexpected(shares.error());
  PeerProcess peer{room.options, room.report, room.reactor, **state};
  if (auto opened = peer.open(swarm::Role::member, territory_of(*paths, *shares)); !opened)
    return std::unexpected(opened.error());
  Shares duty{room, peer, std::move(*shares)};
  return peer.run(duty, {});
}

}  // namespace shoal::cli
