// Tokens as keyed hashes. See tokens.hpp.
#include "dht/tokens.hpp"

#include <algorithm>
#include <string_view>

namespace shoal::dht {
namespace {

constexpr std::string_view label = "shoal token";

std::int64_t epoch_of(Now now) {
  const Duration since = now.mono.time_since_epoch();
  const std::int64_t quotient = since / Tokens::epoch;
  return since < quotient * Tokens::epoch ? quotient - 1
                                          : quotient;  // floor: a steady clock may start below zero
}

ByteArray<Tokens::size> token_of(const ByteArray<32>& secret, std::int64_t epoch, const Endpoint& to,
                                 const Key& key) {
  // Every field has a fixed place, so no two inputs make the same message.
  ByteArray<label.size() + 8 + 1 + 16 + 2 + 32> message{};
  std::uint8_t* at = std::copy(label.begin(), label.end(), message.data());
  store_be(at, static_cast<std::uint64_t>(epoch));
  at[8] = static_cast<std::uint8_t>(to.address.family);
  std::copy(to.address.bytes.begin(), to.address.bytes.end(), at + 9);
  store_be(at + 25, to.port);
  std::copy(key.bytes.begin(), key.bytes.end(), at + 27);
  return crypto::blake2b<Tokens::size>(message, secret);
}

}  // namespace

ByteArray<Tokens::size> Tokens::issue(Now now, const Endpoint& to, const Key& key) const {
  return token_of(secret_, epoch_of(now), to, key);
}

bool Tokens::accepts(Now now, ByteView token, const Endpoint& from, const Key& key) const {
  if (token.size() != size) return false;
  const std::int64_t current = epoch_of(now);
  // Both are always compared, so the time taken does not tell which one was near.
  const bool fresh = crypto::equal_constant_time(token, token_of(secret_, current, from, key));
  const bool older = crypto::equal_constant_time(token, token_of(secret_, current - 1, from, key));
  return fresh || older;
}

}  // namespace shoal::dht
