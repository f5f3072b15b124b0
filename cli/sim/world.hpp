// World: the second host of swarm::Session. One queue of (time, sequence, machine, input) in virtual time
// over a virtual network and virtual disks; everything a function of the seed. See network.hpp, machine.hpp.
//
// A scenario adds machines, starts them, gives commands, runs time, and looks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/sim/machine.hpp"
#include "cli/sim/network.hpp"

namespace shoal::sim {

using MachineId = HostId;

struct WorldConfig {
  Latency latency{};
  StreamModel streams{};
  DatagramModel datagrams{};
  WallTime begins = from_unix_ms(1'790'000'000'000);  // true time when the world starts
};

class World {
 public:
  explicit World(std::uint64_t seed, WorldConfig config = {});

  // ---- machines
  MachineId add(MachineConfig config);  // its disk and address; not running
  [[nodiscard]] Result<void> start(MachineId id);
  // The peer is gone at once: by the end of its process (its system resets streams), or of its power
  // (silence).
  void kill(MachineId id, Machine::Death death);
  [[nodiscard]] Machine& machine(MachineId id) { return *machines_[id]; }
  [[nodiscard]] const Machine& machine(MachineId id) const { return *machines_[id]; }
  [[nodiscard]] std::size_t size() const { return machines_.size(); }
  [[nodiscard]] Endpoint endpoint(MachineId id) { return network_.topology().public_endpoint(id); }

  // ---- commands. The answers are in machine(id).answers().
  swarm::CommandId command(MachineId id, swarm::Command what);
  // `share PATH`: hashes, stores, opens. The content, or why not.
  [[nodiscard]] PathResult<storage::ContentPtr> share(MachineId id, const std::string& path,
                                                      std::uint32_t piece_length = 0,
                                                      storage::Format format = storage::Format::v2);
  // `get LINK`, hints being its `at`.
  swarm::CommandId get(MachineId id, const storage::ContentId& content, std::vector<Endpoint> hints,
                       swarm::SeedPolicy seed = {swarm::SeedUntil::forever, 0},
                       std::vector<std::string> only = {});
  // The same with all that may be said; the folder is the machine's own.
  swarm::CommandId open(MachineId id, swarm::OpenContent what);
  // `stop`: runs until it is Stopped (or the limit), then ends the machine. False: it took longer.
  bool stop(MachineId id, Duration limit = std::chrono::seconds{30});

  // ---- time
  [[nodiscard]] Instant now() const { return queue_.now(); }
  [[nodiscard]] Duration elapsed() const { return queue_.now() - start_; }
  [[nodiscard]] WallTime wall() const;
  void run_for(Duration duration);
  // Runs until the predicate holds, looked at every `step`. False: the limit came first.
  bool run_until(const std::function<bool()>& reached, Duration limit, Duration step = Duration{100'000});
  // Something at a moment, in the order of events.
  void at(Instant when, std::function<void()> what);

  // ---- looking
  [[nodiscard]] std::optional<swarm::ContentStatus> status(MachineId id,
                                                           const storage::ContentId& content) const;
  // When the machine first told this event of the content in its present life or an earlier one.
  [[nodiscard]] std::optional<Instant> told(MachineId id, const storage::ContentId& content,
                                            swarm::ContentEvent::What what) const;
  [[nodiscard]] std::uint64_t count(MachineId id, const storage::ContentId& content,
                                    swarm::ContentEvent::What what) const;
  // Of everything: sessions, and all that was delivered and when.
  [[nodiscard]] std::uint64_t digest() const;
  [[nodiscard]] std::uint64_t events() const { return queue_.handled(); }

  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] PageStore& pages() { return pages_; }
  [[nodiscard]] Random& random() { return random_; }

 private:
  void step();
  void feed(MachineId id, swarm::Input&& input);
  void perform(MachineId id, swarm::Output&& output);
  void reschedule(MachineId id);
  [[nodiscard]] Now now_of(const Machine& machine) const;

  std::uint64_t seed_;
  WorldConfig config_;
  Random random_;
  Instant start_;
  EventQueue queue_;
  BufferPool pool_;
  PageStore pages_;
  Network network_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::function<void()>> scripts_;
  std::vector<swarm::Output> outputs_;
  swarm::CommandId last_command_ = 0;
};

}  // namespace shoal::sim
