// Which of two connections of a crowded swarm is worth more: the same answer at both of its ends (BEP 40). So
// those who have no place left agree on whom to keep, newcomers stand as good a chance as those who came
// first, and who wants all places of a peer needs addresses all over the world.
#pragma once

#include <cstdint>

#include "dht/base/endpoint.hpp"

namespace shoal::swarm {

// The greater comes first; symmetric. Both of one family: otherwise 0.
[[nodiscard]] std::uint32_t peer_priority(const Endpoint& a, const Endpoint& b);

}  // namespace shoal::swarm
