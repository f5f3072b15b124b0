// Which addresses may be dialled (DESIGN 8, threat A30), and how often (A9, A12). Pure rules and one bounded
// table; the roster of each content asks the first, all contents of a session share the second.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"
#include "swarm/limits.hpp"
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

// At most limits::dials_per_ip to a global host in limits::dial_ip_window, and one to a global network in
// limits::dial_network_gap; so a swarm cannot be aimed at a stranger. Other addresses are not limited.
class DialLimits {
 public:
  enum class Dial : std::uint8_t {
    fresh,
    follow_up  // another greeting for one who took a stream just now: no gap, and it counts all the same
  };
  // The first instant at which this address may be dialled (now, if it may be at once). Does not count.
  [[nodiscard]] Instant allowed_at(Instant now, const IpAddress& address, Dial dial = Dial::fresh) const;
  void dialled(Instant now, const IpAddress& address);
  [[nodiscard]] std::size_t size() const { return dials_.size(); }

 private:
  struct Dials {
    std::array<Instant, limits::dials_per_ip> when{};  // the oldest first
    std::uint32_t count = 0;
  };
  void forget(Instant now);
  std::map<IpAddress, Dials> dials_;  // by host
  std::map<IpAddress, Instant> networks_;
  Instant swept_{};
};

}  // namespace shoal::swarm
