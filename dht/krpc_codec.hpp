// The mainline dialect's datagram, KRPC: one bencoded dict (BEP 5, 32, 33, 42, 43, 44, 51).
//
// Ids of 20 bytes stand in the first 20 of a Key, the rest is zero. Read leniently, as other clients write:
// keys in any order, unknown keys and a missing version passed over, entries of a wrong size left out; but
// bounded, with an id of the right size, and an item's value exactly as it was received. A query of an
// unknown method that names a target is a find, as other nodes have it. What the dialect cannot say (records,
// probes, proofs) is never encoded: the engine does not ask for it.
#pragma once

#include "dht/codec.hpp"

namespace shoal::dht {

inline constexpr std::uint8_t krpc_first_byte = 'd';

class KrpcCodec final : public Codec {
 public:
  [[nodiscard]] DialectTraits traits() const override;
  [[nodiscard]] Result<Message> decode(ByteView datagram) const override;
  void encode(const Message& message, Bytes& out) const override;
  [[nodiscard]] ReplyCost reply_cost(Family family) const override;
};

}  // namespace shoal::dht
