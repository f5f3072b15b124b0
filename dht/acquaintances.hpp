// Acquaintances: what we remember of endpoints beside the routing table. Which have answered us (so their
// address is no forgery), which have proven a key, which are silent, and which we ever wrote to (to tell
// strangers apart). Bounded; forgets the oldest. Not a routing table: nothing here is passed on.
#pragma once

#include <optional>

#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"
#include "dht/limits.hpp"
#include "dht/message.hpp"
#include "dht/recent.hpp"

namespace shoal::dht {

struct Proven {
  Key position;
  SenderRole role = SenderRole::full;
  bool position_fits = false;  // it matches the address, so it may be stored at and passed on
  Instant at{};
};

class Acquaintances {
 public:
  void answered(const Endpoint& endpoint, Instant now);
  void no_longer_silent(const Endpoint& endpoint);
  void proved(const Endpoint& endpoint, const Proven& proven);
  void in_table(const Endpoint& endpoint);  // which remembers its own: what was known here goes
  void silent(const Endpoint& endpoint, Instant now);
  void wrote_to(const Endpoint& endpoint, Instant now);

  // It answered within proof_life: what it sends now is likely its own.
  [[nodiscard]] bool validated(const Endpoint& endpoint, Instant now) const;
  [[nodiscard]] const Proven* proven(const Endpoint& endpoint, Instant now) const;  // within proof_life
  [[nodiscard]] bool dead(const Endpoint& endpoint, Instant now) const;             // silent, lately
  [[nodiscard]] bool stranger(const Endpoint& endpoint,
                              Instant now) const;  // no NAT would let it in because of us

 private:
  struct Known {
    Instant answered{};
    std::optional<Proven> proven;
  };
  struct Silence {
    Instant since{};
    std::uint8_t times = 0;  // hard timeouts since the last answer
  };
  [[nodiscard]] Known& touch(const Endpoint& endpoint, Instant now);

  RecentMap<Endpoint, Known, limits::proven_endpoints> known_;
  RecentMap<Endpoint, Silence, limits::dead_endpoints> silent_;
  RecentMap<Endpoint, Instant, limits::contacted> contacted_;
};

}  // namespace shoal::dht
