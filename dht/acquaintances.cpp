// What is remembered of endpoints; see acquaintances.hpp.
#include "dht/acquaintances.hpp"

namespace shoal::dht {

void Acquaintances::answered(const Endpoint& endpoint, Instant now) {
  known_.touch(endpoint).answered = now;
  if (Silence* silence = silent_.find(endpoint); silence != nullptr) *silence = {};
}

void Acquaintances::proved(const Endpoint& endpoint, const Proven& proven) {
  Known& known = known_.touch(endpoint);
  known.answered = proven.at;
  known.proven = proven;
}

void Acquaintances::silent(const Endpoint& endpoint, Instant now) {
  Silence& silence = silent_.touch(endpoint);
  silence.since = now;
  if (silence.times < 255) ++silence.times;
}

void Acquaintances::wrote_to(const Endpoint& endpoint, Instant now) { contacted_.touch(endpoint) = now; }

bool Acquaintances::validated(const Endpoint& endpoint, Instant now) const {
  const Known* known = known_.find(endpoint);
  return known != nullptr && now - known->answered <= limits::proof_life;
}

const Proven* Acquaintances::proven(const Endpoint& endpoint, Instant now) const {
  const Known* known = known_.find(endpoint);
  if (known == nullptr || !known->proven || now - known->proven->at > limits::proof_life) return nullptr;
  return &*known->proven;
}

bool Acquaintances::dead(const Endpoint& endpoint, Instant now) const {
  const Silence* silence = silent_.find(endpoint);
  if (silence == nullptr || silence->times == 0) return false;
  return now - silence->since <= (silence->times == 1 ? limits::dead_for_once : limits::dead_for);
}

bool Acquaintances::stranger(const Endpoint& endpoint, Instant now) const {
  const Instant* wrote = contacted_.find(endpoint);
  return wrote == nullptr || now - *wrote > limits::mapping_life;
}

}  // namespace shoal::dht
