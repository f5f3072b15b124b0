// The native dialect's datagram (DESIGN 6): 0xC1, a 4-byte network id, then one canonical MessagePack map
// with small integer keys. At most 1,232 bytes. Unknown keys, unknown types, non-zero padding and
// non-canonical forms are refused, and the length of the padding is prescribed: what decodes re-encodes to
// the same bytes.
#pragma once

#include "dht/codec.hpp"

namespace shoal::dht {

inline constexpr std::uint8_t native_first_byte = 0xC1;          // never first in MessagePack, KRPC or uTP
inline constexpr std::uint32_t native_network_id = 0x5348'0001;  // "SH", format 1

class NativeCodec final : public Codec {
 public:
  explicit NativeCodec(std::uint32_t network_id = native_network_id) : network_id_(network_id) {}
  [[nodiscard]] DialectTraits traits() const override;
  [[nodiscard]] Result<Message> decode(ByteView datagram) const override;
  void encode(const Message& message, Bytes& out) const override;
  [[nodiscard]] ReplyCost reply_cost(Family family) const override;

 private:
  std::uint32_t network_id_;
};

}  // namespace shoal::dht
