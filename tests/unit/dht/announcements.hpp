// Records for tests: contents, nodes and addresses by number, the same in every run.
#pragma once

#include <chrono>

#include "dht/base/crypto.hpp"
#include "dht/record.hpp"
#include "dht/swarm_keys.hpp"

namespace shoal::dht::test {

inline constexpr WallTime some_day = WallTime{std::chrono::milliseconds{1'760'000'123'456}};

inline Now at_second(std::int64_t s) {
  return {Instant{std::chrono::seconds{1'000'000 + s}}, some_day + std::chrono::seconds{s}};
}

inline ByteArray<32> numbered(std::string_view what, std::uint64_t n) {
  Bytes message = to_vector(as_bytes(what));
  append_be(message, n);
  return crypto::blake2b<32>(message);
}
inline ContentId content(std::uint64_t n) { return numbered("content", n); }
inline crypto::SecretKey node_seed(std::uint64_t n) { return numbered("node", n); }

// The n-th public /24, and a host in it. Good for n below 10 million.
inline IpAddress public_host(std::uint32_t network, std::uint32_t host) {
  return IpAddress::v4((20U << 24) + (network << 8) + host);
}

inline RecordInputs inputs_for(const AnnouncerKeys& announcer, const IpAddress& address, WallTime wall,
                               std::uint64_t last_sequence = 0) {
  RecordInputs out;
  out.endpoints = {{address, 40'000}};
  out.sequence = next_sequence(announcer, wall, last_sequence);
  out.expiry = wall + record_lifetime;
  (address.family == Family::v4 ? out.v4 : out.v6) = address;
  return out;
}

// What a node at `address` would announce at `wall`.
inline BuiltRecord announcement(const EpochKeys& keys, const ContentId& id, std::uint64_t node,
                                const IpAddress& address, WallTime wall, Random& random) {
  const AnnouncerKeys announcer = announcer_keys(node_seed(node), id, keys.epoch);
  return build_record(keys, announcer, inputs_for(announcer, address, wall), random);
}

}  // namespace shoal::dht::test
