// Host: gives one session a world: sockets, timer, disk threads, real time. It routes inputs and outputs and
// decides nothing; everything runs on the reactor's thread but the disk pool's workers, whose completions
// arrive by post().
//
// Turn rule: each input is one Session::handle(); its outputs are performed in order before the next. What
// performing them brings about (a stream that cannot be dialled, one that is writable) waits until then. So
// nothing re-enters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cli/host/interfaces.hpp"
#include "cli/host/reactor.hpp"
#include "dht/base/result.hpp"
#include "storage/disk.hpp"
#include "swarm/session.hpp"

namespace shoal::cli {

struct HostConfig {
  // Its listen_port, ipv4, ipv6, subnets and seed are filled in by the host.
  swarm::SessionConfig session;
  std::optional<IpAddress> address;  // to listen on; none: all, of both families
  std::uint16_t demanded_port = 0;   // taken: an error (busy)
  std::uint16_t wished_port = 0;     // taken: any other
  unsigned disk_workers = 0;         // 0: as many as fit the machine
};

class Host {
 public:
  using OnAnswer = std::function<void(swarm::Answer&)>;
  // Binds, listens, and starts the session. Errors: busy (the demanded port is taken), not_found (`address`
  // is none of this machine's), denied, io. `reactor` and `disk` outlive the host.
  [[nodiscard]] static Result<std::unique_ptr<Host>> open(Reactor& reactor, HostConfig config,
                                                          storage::Disk& disk, OnAnswer on_answer);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Hands a command to the session, at the end of the turn under way if there is one. May be called by
  // `on_answer`.
  swarm::CommandId command(swarm::Command what);
  // Stops listening, and calls `done` once what was written is out; after a second at most.
  void close(std::function<void()> done);

  [[nodiscard]] Now now() const;
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::vector<Endpoint> endpoints()
      const;  // where others can find us, best first (interfaces.hpp)
  [[nodiscard]] const swarm::Session& session() const;

 private:
  struct State;
  explicit Host(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace shoal::cli
