// The choice of seeds; see seeds.hpp.
#include "dht/seeds.hpp"

#include "dht/limits.hpp"

namespace shoal::dht {

void choose_seeds(const RoutingTable& table, const Key& target, const Region& region, Instant now,
                  std::vector<NodeInfo>& out) {
  std::vector<const Contact*> near;
  table.closest(target, limits::seeds_looked_at, RoutingTable::Choice::fit, now, near);
  if (near.size() < limits::k) {
    near.clear();
    table.closest(target, limits::seeds_looked_at, RoutingTable::Choice::any, now, near);
  }
  std::size_t taken = 0, outside = 0;
  for (const Contact* contact : near) {
    const bool is_outside = !region.contains(distance(target, contact->id));
    if (taken >= limits::seeds && !(is_outside && outside < limits::seeds_outside)) continue;
    ++taken;
    if (is_outside) ++outside;
    out.push_back({contact->id, contact->endpoint});
  }
}

}  // namespace shoal::dht
