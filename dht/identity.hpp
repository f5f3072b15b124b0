// Where a node stands: its position, bound to its key and to its external address.
//
// A position is 21 bits of a checksum of the external address (BEP 42), then BLAKE2b-256 of the node's
// Ed25519 key. The address part costs an attacker addresses where a hash alone would cost him core-minutes.
// Not here: how the external address is learnt (upkeep), signatures of replies (the native codec).
// Source: BEP 42. Deviation: BEP 42 lets the node choose r; here r is the low 3 bits of the hash, so that one
// key has one position per address, and there is nothing to grind but the key.
#pragma once

#include <cstdint>

#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"

namespace shoal::dht {

inline constexpr int address_bits =
    21;  // BEP 42: enough to spread, few enough that many addresses share a prefix

// BEP 42's checksum: crc32c of the masked address with the low 3 bits of `r` in its first 3 bits. The first
// 21 bits of a mainline id must equal the first 21 of it. Defined for every address; whether it applies is
// the caller's business.
[[nodiscard]] std::uint32_t bep42(const IpAddress& address, std::uint8_t r);

// The position of a node whose external address is `external`. Where that is not a global unicast address
// (loopback, a LAN, nothing known: a default IpAddress) the whole position is the hash of the key.
[[nodiscard]] Key position_of(const crypto::PublicKey& node_key, const IpAddress& external);

// Whether `position` may be claimed by the holder of `node_key` when it is met at `source`. At a global
// address all 256 bits must be as above. Any other source is not a stranger, and may well be a node that
// counts its position from the global address it has outside the LAN: there only the bits of the key are
// compared.
[[nodiscard]] bool position_valid(const Key& position, const crypto::PublicKey& node_key,
                                  const IpAddress& source);

// BEP 42 for ids of mainline, left aligned in a Key: the last of the 20 bytes gives r. True for other than
// global addresses.
[[nodiscard]] bool bep42_valid(const Key& mainline_id, const IpAddress& source);

}  // namespace shoal::dht
