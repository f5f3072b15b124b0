// Names of mainline: 20 bytes, here in the first 20 of a Key, the rest zero.
#pragma once

#include "dht/base/endpoint.hpp"
#include "dht/base/hash.hpp"
#include "dht/base/key.hpp"
#include "dht/base/random.hpp"

namespace shoal::dht {

inline constexpr std::size_t mainline_id_bytes = 20;

[[nodiscard]] Key mainline_key(ByteView id);            // of 20 bytes
[[nodiscard]] ByteView mainline_bytes(const Key& key);  // points into `key`

// An id that BEP 42 lets a node at `external` have; a random one where that is not a global address.
[[nodiscard]] Key mainline_position(const IpAddress& external, Random& random);

}  // namespace shoal::dht
