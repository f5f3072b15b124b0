// Which addresses may be dialled (DESIGN 8, threat A30). Pure rules; how often is dht::StrangerLimits.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "swarm/reach.hpp"

namespace shoal::swarm {

// Who named a candidate, most trusted first; a candidate keeps the best it ever had.
enum class Source : std::uint8_t {
  user,      // `at` of the link, --peer, or a record served by such an address itself
  lan,       // heard on the local network, or a record served by such an address itself
  record,    // the DHT
  exchange,  // another peer
  incoming   // it connected to us; its listening port is from its hello
};

struct AddressRules {
  Reach reach = Reach::internet;
  bool ipv4 = true, ipv6 = false;  // the families we have sockets of
  std::vector<Subnet> subnets;
  std::vector<Endpoint> own;  // our listening endpoints, inside and outside: never dialled

  [[nodiscard]] const Endpoint* seen_as(Family family) const;  // by the world; null: that is not known
};

// Whether to dial. Global unicast: yes, except our own endpoints, and another port of our own address unless
// the user or the LAN named it. Private (RFC 1918, CGNAT, ULA): on a subnet of ours and named by user or lan,
// or with Reach::local. Loopback: with Reach::local alone. All else, ports below 1024, and families without a
// socket: never.
[[nodiscard]] bool dialable(const AddressRules& rules, const Endpoint& endpoint, Source source);

}  // namespace shoal::swarm
