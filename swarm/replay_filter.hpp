// The ephemeral keys of first handshake messages that proved the PSK, so that a recorded one is not answered
// again (DESIGN 6). A message is acceptable as long as its tag is: the hours -1, 0, +1 around the
// responder's, three hours in all at the worst; so keys are kept for the current hour and the three before.
//
// Only proven messages come here, so strangers cannot fill it. A member of the swarm can: each hour keeps the
// newest `per_hour`, and what a flood pushes out could then be replayed, which costs the responder one more
// answer and leads nowhere, since the replayer cannot open it.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "dht/base/crypto.hpp"
#include "dht/base/time.hpp"

namespace shoal::swarm {

// One object for all contents of a session.
class ReplayFilter {
 public:
  // 4.5 handshakes a second, all day long; at most 5 MiB in the four hours kept.
  static constexpr std::size_t per_hour = 16384;

  // true: never seen within the hours kept, and remembered from now on. O(log per_hour).
  [[nodiscard]] bool admit(WallTime now, const crypto::PublicKey& ephemeral);
  [[nodiscard]] std::size_t size() const;

 private:
  using Print = ByteArray<16>;  // the key's first half: a collision by chance is out of reach
  struct Hour {
    std::int64_t hour = 0;
    std::set<Print> seen;
    std::vector<Print> order;  // a ring of what `seen` holds, oldest at `oldest` once full
    std::size_t oldest = 0;
  };
  std::vector<Hour> hours_;  // at most hours_kept
};

}  // namespace shoal::swarm
