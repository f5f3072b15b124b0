// See world.hpp.
#include "cli/sim/world.hpp"

#include <algorithm>

namespace shoal::sim {
namespace {

// Far from zero, so that nothing takes "never happened" for "just now", and no multiple of any period.
constexpr Instant world_start{std::chrono::seconds{1'000'003}};
// Every machine's steady clock has an origin of its own: nobody may compare them.
constexpr Duration clock_spread = std::chrono::seconds{977};
constexpr std::size_t kept_buffers = 16'384;

Random::Seed seed_of(std::uint64_t seed, std::uint64_t purpose) {
  Random::Seed out{};
  store_be(out.data(), seed);
  store_be(out.data() + 8, purpose);
  return out;
}

}  // namespace

World::World(std::uint64_t seed, WorldConfig config)
    : seed_(seed),
      config_(std::move(config)),
      random_(seed_of(seed, 1)),
      start_(world_start),
      queue_(world_start),
      pool_(kept_buffers),
      network_(seed_of(seed, 2), config_.latency, config_.streams, config_.datagrams, queue_, pool_) {
  crypto::initialise();
}

WallTime World::wall() const {
  return config_.begins + std::chrono::duration_cast<std::chrono::milliseconds>(elapsed());
}

Now World::now_of(const Machine& machine) const {
  return {queue_.now() + clock_spread * (machine.id() + 1), machine.wall(wall())};
}

// ---- machines

MachineId World::add(MachineConfig config) {
  const HostId id = network_.add_host(config.host);
  SHOAL_CHECK(id == machines_.size());  // machines first, bare hosts after them
  config.host = network_.topology().host(id).config;
  machines_.push_back(std::make_unique<Machine>(id, std::move(config), seed_, pages_, pool_));
  return id;
}

Result<void> World::start(MachineId id) {
  Machine& machine = *machines_[id];
  const Topology::Host& host = network_.topology().host(id);
  if (auto started = machine.start(host.v4, host.v6, wall()); !started) return started;
  network_.start(id);
  feed(id, swarm::Tick{});  // the first input brings the time
  return {};
}

void World::kill(MachineId id, Machine::Death death) {
  if (!machines_[id]->running()) return;
  machines_[id]->die(death);
  if (death == Machine::Death::power)
    network_.lose_power(id);
  else
    network_.end_process(id);
}

// ---- commands

swarm::CommandId World::command(MachineId id, swarm::Command what) {
  const swarm::CommandId command = ++last_command_;
  feed(id, swarm::CommandIn{command, std::move(what)});
  return command;
}

PathResult<storage::ContentPtr> World::share(MachineId id, const std::string& path,
                                             std::uint32_t piece_length, storage::Format format) {
  auto shared = machines_[id]->import({path}, {}, wall(), piece_length, format);
  if (!shared) return std::unexpected(shared.error());
  swarm::OpenContent open;
  open.id = shared->content->id;
  open.folder = shared->folder;
  open.seed = {swarm::SeedUntil::forever, 0};
  open.is_public = !shared->content->sealed;
  command(id, std::move(open));
  return shared->content;
}

swarm::CommandId World::get(MachineId id, const storage::ContentId& content, std::vector<Endpoint> hints,
                            swarm::SeedPolicy seed, std::vector<std::string> only) {
  swarm::OpenContent open;
  open.id = content;
  open.hints = std::move(hints);
  open.only = std::move(only);
  open.seed = seed;
  return this->open(id, std::move(open));
}

swarm::CommandId World::open(MachineId id, swarm::OpenContent what) {
  what.folder = data_folder;
  return command(id, std::move(what));
}

bool World::stop(MachineId id, Duration limit) {
  const swarm::CommandId command = this->command(id, swarm::Stop{});
  const bool stopped = run_until(
      [&] {
        if (!machines_[id]->running()) return true;
        const auto& answers = machines_[id]->answers();
        return std::any_of(answers.rbegin(), answers.rend(), [&](const Recorded& r) {
          return r.answer.command == command && std::holds_alternative<swarm::Stopped>(r.answer.what);
        });
      },
      limit);
  if (!machines_[id]->running()) return stopped;
  machines_[id]->end();
  network_.end_process(id);
  return stopped;
}

// ---- time

void World::at(Instant when, std::function<void()> what) {
  scripts_.push_back(std::move(what));
  queue_.schedule(when, EventKind::script, 0, scripts_.size() - 1);
}

void World::run_for(Duration duration) {
  const Instant until = queue_.now() + duration;
  while (queue_.next_at() <= until) step();
  queue_.advance(until);
}

bool World::run_until(const std::function<bool()>& reached, Duration limit, Duration step) {
  const Instant until = queue_.now() + limit;
  while (!reached()) {
    if (queue_.now() >= until) return false;
    run_for(std::min(step, until - queue_.now()));
  }
  return true;
}

void World::step() {
  const Event event = queue_.pop();
  switch (event.kind) {
    case EventKind::tick: {
      Machine& machine = *machines_[event.target];
      if (!machine.running() || event.subject != machine.lives() || machine.wake_scheduled != event.at)
        return;
      machine.wake_scheduled = never;
      if (machine.session().next_wake() <= now_of(machine).mono)
        feed(event.target, swarm::Tick{});
      else
        reschedule(event.target);
      return;
    }
    case EventKind::disk_done: {
      Machine& machine = *machines_[event.target];
      std::optional<swarm::DiskDone> done = machine.run_job(event.subject, wall());
      if (machine.running() && machine.disk().halted()) {  // a trap sprang in the job
        kill(event.target, Machine::Death::power);
        return;
      }
      if (done) feed(event.target, std::move(*done));
      return;
    }
    case EventKind::script:
      std::exchange(scripts_[event.subject], nullptr)();
      return;
    default:
      if (std::optional<Arrival> arrival = network_.handle(event)) {
        feed(arrival->host, std::move(arrival->input));
        network_.recycle(std::move(*arrival));
      }
  }
}

void World::feed(MachineId id, swarm::Input&& input) {
  if (id >= machines_.size() || !machines_[id]->running()) return;  // a bare host that a scenario added
  Machine& machine = *machines_[id];
  std::vector<swarm::Output> outputs = std::move(outputs_);
  outputs.clear();
  machine.feed(now_of(machine), std::move(input), outputs);
  for (swarm::Output& output : outputs) perform(id, std::move(output));
  outputs.clear();
  outputs_ = std::move(outputs);
  reschedule(id);
}

void World::perform(MachineId id, swarm::Output&& output) {
  if (auto* job = std::get_if<swarm::DiskJob>(&output)) {
    const auto [when, place] = machines_[id]->queue_job(queue_.now(), std::move(*job));
    queue_.schedule(when, EventKind::disk_done, id, place);
  } else if (auto* answer = std::get_if<swarm::Answer>(&output)) {
    machines_[id]->record(queue_.now(), std::move(*answer));
  } else {
    std::visit(
        [&]<class What>(What&& what) {
          using Plain = std::remove_cvref_t<What>;
          if constexpr (!std::is_same_v<Plain, swarm::DiskJob> && !std::is_same_v<Plain, swarm::Answer>)
            network_.perform(id, std::forward<What>(what));
        },
        std::move(output));
  }
}

void World::reschedule(MachineId id) {
  Machine& machine = *machines_[id];
  const Instant wake = machine.session().next_wake();
  if (wake == never) return;
  const Instant at = std::max(queue_.now(), wake - clock_spread * (id + 1));
  if (at >= machine.wake_scheduled) return;  // the earlier one will look again
  machine.wake_scheduled = at;
  queue_.schedule(at, EventKind::tick, id, machine.lives());
}

// ---- looking

std::optional<swarm::ContentStatus> World::status(MachineId id, const storage::ContentId& content) const {
  const Machine& machine = *machines_[id];
  if (!machine.running()) return std::nullopt;
  return machine.session().content(now_of(machine), content);
}

std::optional<Instant> World::told(MachineId id, const storage::ContentId& content,
                                   swarm::ContentEvent::What what) const {
  for (const Recorded& recorded : machines_[id]->answers())
    if (const auto* event = std::get_if<swarm::ContentEvent>(&recorded.answer.what))
      if (event->id == content && event->what == what) return recorded.at;
  return std::nullopt;
}

std::uint64_t World::count(MachineId id, const storage::ContentId& content,
                           swarm::ContentEvent::What what) const {
  std::uint64_t count = 0;
  for (const Recorded& recorded : machines_[id]->answers())
    if (const auto* event = std::get_if<swarm::ContentEvent>(&recorded.answer.what))
      if (event->id == content && event->what == what) ++count;
  return count;
}

std::uint64_t World::digest() const {
  std::uint64_t out = mix(network_.digest() ^ queue_.handled());
  for (const auto& machine : machines_) {
    out = mix(out ^ (machine->running() ? machine->session().digest() : 0));
    out = mix(out ^ machine->answers().size());
  }
  return mix(out ^ static_cast<std::uint64_t>(elapsed().count()));
}

}  // namespace shoal::sim
