#include "swarm/handshake_budget.hpp"

#include <algorithm>

namespace shoal::swarm {
namespace {

// One more, of which `burst` may come at once. `whole`: when all of them may again.
bool fits(Instant now, Instant whole, Duration gap, std::uint32_t burst) {
  return std::max(whole, now) + gap <= now + burst * gap;
}

}  // namespace

bool HandshakeBudget::take(Instant now, const IpAddress& from) {
  if (!fits(now, all_, limits::handshake_gap, limits::handshakes_at_once)) return false;
  if (from.global()) {
    // The common pace lets no more than some 1,200 be less than whole, so that this is seldom and worth it.
    if (hosts_.size() >= limits::max_handshake_hosts)
      std::erase_if(hosts_, [now](const auto& entry) { return entry.second <= now; });
    const auto found = hosts_.find(from.host());
    if (found == hosts_.end() &&
        hosts_.size() >= limits::max_handshake_hosts)  // unreachable: most have just been erased
      return false;
    Instant& whole = found == hosts_.end() ? hosts_[from.host()] : found->second;
    if (!fits(now, whole, limits::host_handshake_gap, limits::host_handshakes_at_once)) return false;
    whole = std::max(whole, now) + limits::host_handshake_gap;
  }
  all_ = std::max(all_, now) + limits::handshake_gap;
  ++taken_;
  return true;
}

}  // namespace shoal::swarm
