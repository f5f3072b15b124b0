// What is remembered of endpoints; see acquaintances.hpp.
#include "dht/acquaintances.hpp"

namespace shoal::dht {

void Acquaintances::answered(const Endpoint& endpoint, Instant now) {
  touch(endpoint, now).answered = now;
  no_longer_silent(endpoint);
}

void Acquaintances::no_longer_silent(const Endpoint& endpoint) {
  if (Silence* silence = silent_.find(endpoint); silence != nullptr) *silence = {};
}

Acquaintances::Known& Acquaintances::touch(const Endpoint& endpoint, Instant now) {
  return known_.touch(endpoint,
                      [now](const Known& known) { return now - known.answered > limits::proof_life; });
}

void Acquaintances::proved(const Endpoint& endpoint, const Proven& proven) {
  Known& known = touch(endpoint, proven.at);
  known.answered = proven.at;
  known.proven = proven;
}

void Acquaintances::in_table(const Endpoint& endpoint) {
  if (Known* known = known_.find(endpoint); known != nullptr) *known = {};
}

void Acquaintances::silent(const Endpoint& endpoint, Instant now) {
  // One that is long past may make room, but is not blank: it counts if its endpoint is silent again.
  Silence& silence = silent_.touch(
      endpoint, [now](const Silence& old) { return old.times == 0 || now - old.since > limits::dead_for; },
      [](const Silence&) { return false; });
  silence.since = now;
  if (silence.times < 255) ++silence.times;
}

void Acquaintances::wrote_to(const Endpoint& endpoint, Instant now) {
  contacted_.touch(endpoint, [now](const Instant& at) { return now - at > limits::mapping_life; }) = now;
}

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
