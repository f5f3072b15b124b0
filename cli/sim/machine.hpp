// Machine: one computer of a virtual world: a disk that outlives its deaths, and, while it runs, the whole
// peer: catalog, disk code and session, all the product's own. It performs no output: the world does.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/sim/sim_vfs.hpp"
#include "cli/sim/topology.hpp"
#include "dht/base/handle.hpp"
#include "storage/catalog.hpp"
#include "storage/importer.hpp"
#include "swarm/session.hpp"

namespace shoal::sim {

// How long jobs take. The disk serves `parallel` jobs at once, in order.
struct DiskTiming {
  Duration access{100};                        // of every job
  Duration sync{4'000};                        // of a commit, attach or other job that syncs
  std::uint64_t bytes_per_second = 400 << 20;  // of payload read, written or hashed
  int parallel = 4;
};

struct MachineConfig {
  HostConfig host{};
  swarm::Role role = swarm::Role::member;
  swarm::Reach reach = swarm::Reach::internet;
  std::chrono::milliseconds clock_skew{};      // of its wall clock
  std::uint64_t up_limit = 0, down_limit = 0;  // what its user asks for (SessionConfig::up_rate)
  std::vector<Endpoint> bootstrap{};
  bool native = true, mainline = false;  // dialects that it speaks
  swarm::Obfuscation mse = swarm::Obfuscation::prefer;
  DiskTiming timing{};
  CrashModel crash_model = CrashModel::off;
  std::uint64_t capacity = std::uint64_t{1} << 50;
  Unsynced fate = Unsynced::torn;  // of what is not synced when power goes
};

// What a disk job is about; kept while the job itself is moved away.
struct JobNote {
  enum class Kind : std::uint8_t { load, attach, layers, read, write, hash, commit, detach, other } kind{};
  std::uint32_t slot = 0, piece = 0, begin = 0, length = 0, lead = 0;
  storage::ContentPtr content{};  // of an attach
};

struct Recorded {
  Instant at;
  swarm::Answer answer;
};

struct Shared {
  storage::ContentPtr content;
  std::string folder;  // for OpenContent
};

class Machine {
 public:
  Machine(HostId id, MachineConfig config, std::uint64_t seed, PageStore& pages, BufferPool& pool);
  ~Machine();

  // Boots: opens the catalog (or makes it) and a session with what it remembers. The disk may fail that.
  [[nodiscard]] Result<void> start(const Endpoint& v4, const Endpoint& v6, WallTime wall);
  // The peer is gone in the middle of what it did; the disk is as a process death or a power cut leaves it
  // (without a crash model: as it was).
  enum class Death : std::uint8_t { process, power };
  void die(Death death);
  void end();  // after an orderly stop
  [[nodiscard]] bool running() const { return life_ != nullptr; }
  [[nodiscard]] std::uint32_t lives() const { return lives_; }

  // As the `share` command does: survey, hash, store. Absolute paths. Only while running.
  // `piece_length`: 0 for the product's own choice. v2 is sealed, the other formats are public.
  [[nodiscard]] PathResult<Shared> import(const std::vector<std::string>& paths, std::string_view name,
                                          WallTime wall, std::uint32_t piece_length = 0,
                                          storage::Format format = storage::Format::v2);

  void feed(Now now, swarm::Input&& input, std::vector<swarm::Output>& out);
  // Takes a job; gives when it will be done, and its place for run_job.
  [[nodiscard]] std::pair<Instant, std::uint64_t> queue_job(Instant now, swarm::DiskJob&& job);
  // nullopt: the job was of an earlier life.
  [[nodiscard]] std::optional<swarm::DiskDone> run_job(std::uint64_t place, WallTime wall);

  [[nodiscard]] WallTime wall(WallTime world) const { return world + config_.clock_skew; }
  [[nodiscard]] HostId id() const { return id_; }
  [[nodiscard]] const MachineConfig& config() const { return config_; }
  [[nodiscard]] MachineConfig& config() { return config_; }  // takes effect at the next start
  [[nodiscard]] DiskImage& disk() { return image_; }
  [[nodiscard]] SimVfs& vfs() { return vfs_; }
  [[nodiscard]] swarm::Session& session();
  [[nodiscard]] const swarm::Session& session() const;
  [[nodiscard]] storage::Catalog& catalog();
  [[nodiscard]] const std::vector<Recorded>& answers() const { return answers_; }
  void record(Instant at, swarm::Answer&& answer) { answers_.push_back({at, std::move(answer)}); }
  // The world's wake-up for the session that is scheduled already.
  Instant wake_scheduled = never;

  // ---- hooks of a scenario: see every job's result before the session does, and may falsify it
  std::function<void(const JobNote&, storage::Done&)> after_job;
  std::function<void(const swarm::Input&)> before_input;
  std::function<void(swarm::Output&)> before_output;
  std::function<void()> before_end;  // a life ends, however it does; the session is still there

 private:
  struct Life;
  struct Pending {
    storage::JobId id = 0;
    storage::Job job;
    std::uint32_t life = 0;
  };
  [[nodiscard]] Duration cost(const storage::Job& job) const;

  HostId id_;
  MachineConfig config_;
  Random random_;
  BufferPool& pool_;
  DiskImage image_;
  SimVfs vfs_;
  std::unique_ptr<Life> life_;
  std::uint32_t lives_ = 0;
  Slab<Pending> jobs_;
  std::vector<Instant> free_at_;  // of each disk server
  std::vector<Recorded> answers_;
};

inline const std::string data_folder = "/data";
inline const std::string state_folder = "/state";

}  // namespace shoal::sim
