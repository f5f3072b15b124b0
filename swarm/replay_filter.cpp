// Generations of proven ephemeral keys, one an hour. See replay_filter.hpp.
#include "swarm/replay_filter.hpp"

#include <algorithm>

#include "dht/swarm_keys.hpp"

namespace shoal::swarm {
namespace {

// A tag of hour h is accepted from the start of h - 1 to the end of h + 1.
constexpr std::int64_t hours_before = 3;

}  // namespace

bool ReplayFilter::admit(WallTime now, const crypto::PublicKey& ephemeral) {
  const std::int64_t hour = dht::hour_of(now);
  // Both ways: a wall clock that was set back must not leave hours of the future standing for ever.
  std::erase_if(hours_, [&](const Hour& kept) {
    return kept.hour < hour - hours_before || kept.hour > hour + hours_before;
  });
  const auto print = to_array<std::tuple_size_v<Print>>(ephemeral);
  for (const Hour& kept : hours_)
    if (kept.seen.contains(print)) return false;

  auto current =
      std::find_if(hours_.begin(), hours_.end(), [&](const Hour& kept) { return kept.hour == hour; });
  if (current == hours_.end())
    current = hours_.insert(hours_.end(), Hour{.hour = hour, .seen = {}, .order = {}});
  current->seen.insert(print);
  if (current->order.size() < per_hour) {
    current->order.push_back(print);
  } else {
    current->seen.erase(current->order[current->oldest]);
    current->order[current->oldest] = print;
    current->oldest = (current->oldest + 1) % per_hour;
  }
  return true;
}

std::size_t ReplayFilter::size() const {
  std::size_t out = 0;
  for (const Hour& kept : hours_) out += kept.seen.size();
  return out;
}

}  // namespace shoal::swarm
