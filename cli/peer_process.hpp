// PeerProcess: a command that runs a peer: state, disk, host, names of hosts, signals and the end. What the
// command itself wants is a Duty; this knows nothing of sharing or fetching.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/args.hpp"
#include "cli/confinement.hpp"
#include "cli/host/host.hpp"
#include "cli/host/reactor.hpp"
#include "cli/host/resolve.hpp"
#include "cli/report.hpp"
#include "cli/state.hpp"
#include "storage/disk.hpp"
#include "storage/posix_vfs.hpp"

namespace shoal::cli {

struct Duty {
  virtual ~Duty() = default;
  // The host runs and the names of `hosts` (below) are looked up, as far as they could be within 3 s.
  virtual void begin(const std::vector<Endpoint>& hints) = 0;
  virtual void answered(const swarm::Answer& answer) = 0;
  virtual void second() {}
  virtual void contacts_changed() {}  // PeerProcess::contacts(); seen within a quarter of a second
  // A signal asks for the end: which exit code that is now, and what to tell people ("" for nothing).
  struct Farewell {
    Exit exit = Exit::done;
    std::string sentence;
  };
  [[nodiscard]] virtual Farewell interrupted() = 0;
};

class PeerProcess {
 public:
  PeerProcess(const Options& options, Report& report, Reactor& reactor, OpenState& state);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // Confines the process to the state folder and `territory`, unless the options say otherwise or the kernel
  // cannot; binds the port and starts the session. Failures: the port is taken (10), the address is not ours
  // (2).
  [[nodiscard]] Outcome<void> open(swarm::Role role, Territory territory);
  // Runs until finish(); gives its exit code. `hosts`: whom the duty wants as hints.
  [[nodiscard]] Exit run(Duty& duty, const std::vector<storage::HostPort>& hosts);
  // Begins the orderly end; only the first call counts.
  void finish(Exit exit);
  [[nodiscard]] bool finishing() const { return finish_.has_value(); }

  [[nodiscard]] Host& host() { return *host_; }
  [[nodiscard]] swarm::Reach reach() const { return reach_; }
  [[nodiscard]] bool anybody_answered() const { return answered_; }  // a DHT contact, at any time
  [[nodiscard]] std::uint32_t contacts() const { return contacts_; }
  // A port that others asked for comes from the command line, not from the state.
  [[nodiscard]] const std::vector<Endpoint>& given_bootstrap() const { return bootstrap_; }

 private:
  void answer(const swarm::Answer& answer);
  void report_reach(const swarm::ReachAnswer& reach);
  void report_clock(const swarm::ClockAnswer& clock);
  void report_size(const swarm::SizeAnswer& size);
  void check_contacts();
  void look_up(const std::vector<storage::HostPort>& hosts);
  void ask_well_known();
  void begin();
  void signalled(int count);
  void remember_port();

  const Options& options_;
  Report& report_;
  Reactor& reactor_;
  OpenState& state_;
  storage::PosixVfs vfs_;
  storage::MutexGate disk_gate_;
  std::unique_ptr<storage::Disk> disk_;
  std::unique_ptr<Host> host_;
  Resolver resolver_;
  Duty* duty_ = nullptr;
  swarm::Reach reach_ = swarm::Reach::internet;
  std::vector<Endpoint> bootstrap_, hints_;
  std::size_t names_left_ = 0;
  std::optional<swarm::CommandId> stop_command_;
  std::optional<Exit> finish_;
  std::uint32_t contacts_ = 0, quarters_ = 0;
  std::optional<Endpoint> told_reach_;
  bool begun_ = false, answered_ = false;
  bool known_ = false;  // contacts of earlier runs
};

}  // namespace shoal::cli
