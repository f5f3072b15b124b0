// Who gave false blocks and left; see suspects.hpp.
#include "swarm/suspects.hpp"

#include <algorithm>

namespace shoal::swarm {

void Suspects::left(PeerHandle connection, const Suspect& who) {
  if (left_.size() >= most_) left_.pop_front();
  left_.emplace_back(connection, who);
}

const Suspects::Suspect* Suspects::find(PeerHandle connection) const {
  const auto found = std::ranges::find(left_, connection, &std::pair<PeerHandle, Suspect>::first);
  return found == left_.end() ? nullptr : &found->second;
}

Suspects::Guilt& Suspects::guilt(const crypto::PublicKey& key) {
  const auto found = std::ranges::find(guilty_, key, &std::pair<crypto::PublicKey, Guilt>::first);
  if (found != guilty_.end()) return found->second;
  if (guilty_.size() >= most_) guilty_.pop_front();
  return guilty_.emplace_back(key, Guilt{}).second;
}

Suspects::Guilt Suspects::guilt_of(const crypto::PublicKey& key) const {
  const auto found = std::ranges::find(guilty_, key, &std::pair<crypto::PublicKey, Guilt>::first);
  return found != guilty_.end() ? found->second : Guilt{};
}

}  // namespace shoal::swarm
