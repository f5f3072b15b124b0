// This machine's addresses: which networks are its own, where it can be reached, where to look for
// neighbours. One call asks the system; all else are pure functions of what it said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "swarm/reach.hpp"

namespace shoal::cli {

struct Interface {
  std::string name;
  unsigned index = 0;
  IpAddress address;
  int prefix_bits = 0;
  bool multicast = false;
};

// Every address of every interface that is up, in the system's order.
[[nodiscard]] std::vector<Interface> list_interfaces();

// The subnets of a session: of `listen` alone where that is an address; loopback with Reach::local alone;
// never link-local.
[[nodiscard]] std::vector<swarm::Subnet> own_subnets(const std::vector<Interface>& all,
                                                     const std::optional<IpAddress>& listen,
                                                     swarm::Reach reach);
// Where others can find us, best first: global, private, then (Reach::local) loopback; at most 8.
[[nodiscard]] std::vector<Endpoint> own_endpoints(const std::vector<Interface>& all,
                                                  const std::optional<IpAddress>& listen, std::uint16_t port,
                                                  swarm::Reach reach);
// Interfaces on which to call for neighbours: private addresses that can multicast, never loopback.
[[nodiscard]] std::vector<Interface> lan_interfaces(const std::vector<Interface>& all,
                                                    const std::optional<IpAddress>& listen);

}  // namespace shoal::cli
