// Resolver: names of hosts into addresses, without holding up the reactor. Numeric hosts need no look-up and
// are answered in the same turn.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cli/host/reactor.hpp"
#include "dht/base/endpoint.hpp"
#include "storage/link.hpp"

namespace shoal::cli {

class Resolver {
 public:
  explicit Resolver(Reactor& reactor);
  ~Resolver();  // answers that come later are dropped
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Gives at most 4 endpoints, none where the name is unknown. On the reactor's thread.
  using Done = std::function<void(const storage::HostPort&, const std::vector<Endpoint>&)>;
  void resolve(const storage::HostPort& host, Done done);

 private:
  struct Mailbox;
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace shoal::cli
