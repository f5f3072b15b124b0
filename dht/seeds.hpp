// Which of our own contacts a lookup starts from: the nearest to the target and, since those may all belong
// to one who crowds the key, some outside its region, whom nobody has chosen for us (THREATS D6).
#pragma once

#include <vector>

#include "dht/message.hpp"
#include "dht/routing_table.hpp"
#include "dht/size_estimate.hpp"

namespace shoal::dht {

// Appends at most limits::seeds + limits::seeds_outside nodes, nearest first. Those that answer are
// preferred; with fewer than k of them, all others come as well.
void choose_seeds(const RoutingTable& table, const Key& target, const Region& region, Instant now,
                  std::vector<NodeInfo>& out);

}  // namespace shoal::dht
