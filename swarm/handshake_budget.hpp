// HandshakeBudget: how many key agreements those who dial us may cost. A host has a few at once and then a
// steady pace; all hosts together have a pace that leaves the processor to those who are in already (THREATS
// A31). Each host is one instant: when its budget is whole again (GCRA, ITU-T I.371).
#pragma once

#include <cstdint>
#include <map>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"
#include "swarm/limits.hpp"

namespace shoal::swarm {

class HandshakeBudget {
 public:
  // Whether one more may be computed for this address; counts it. Hosts that are not global share the common
  // pace alone. At most limits::max_handshake_hosts are remembered; beyond that no new host gets any.
  [[nodiscard]] bool take(Instant now, const IpAddress& from);
  [[nodiscard]] std::uint64_t taken() const { return taken_; }

 private:
  std::map<IpAddress, Instant> hosts_;  // those whose budget is not whole, and some whose is
  Instant all_{};
  std::uint64_t taken_ = 0;
};

}  // namespace shoal::swarm
