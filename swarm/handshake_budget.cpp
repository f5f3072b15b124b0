#include "swarm/handshake_budget.hpp"

#include <algorithm>

namespace shoal::swarm {
namespace {

constexpr Duration sweep_period = std::chrono::seconds{1};

// One more, of which `burst` may come at once. `whole`: when all of them may again.
bool fits(Instant now, Instant whole, Duration gap, std::uint32_t burst) {
  return std::max(whole, now) + gap <= now + burst * gap;
}

}  // namespace

bool HandshakeBudget::take(Instant now, const IpAddress& from) {
  if (!fits(now, all_, limits::handshake_gap, limits::handshakes_at_once)) return false;
  if (from.global()) {
    if (hosts_.size() >= limits::max_handshake_hosts && swept_ + sweep_period <= now) {
      swept_ = now;
      std::erase_if(hosts_, [now](const auto& entry) { return entry.second <= now; });
    }
    const auto found = hosts_.find(from.host());
    if (found == hosts_.end() && hosts_.size() >= limits::max_handshake_hosts) return false;
    Instant& whole = found == hosts_.end() ? hosts_[from.host()] : found->second;
    if (!fits(now, whole, limits::host_handshake_gap, limits::host_handshakes_at_once)) return false;
    whole = std::max(whole, now) + limits::host_handshake_gap;
  }
  all_ = std::max(all_, now) + limits::handshake_gap;
  ++taken_;
  return true;
}

}  // namespace shoal::swarm
