// Positions and BEP 42's checksum. See identity.hpp.
#include "dht/identity.hpp"

#include "dht/base/crc.hpp"

namespace shoal::dht {
namespace {

constexpr std::uint32_t address_mask = 0xffffffffU << (32 - address_bits);

bool prefix_fits(const Key& id, const IpAddress& address, std::uint8_t r) {
  return ((bep42(address, r) ^ load_be<std::uint32_t>(id.bytes.data())) & address_mask) == 0;
}

}  // namespace

std::uint32_t bep42(const IpAddress& address, std::uint8_t r) {
  static constexpr ByteArray<4> v4_mask = {0x03, 0x0f, 0x3f, 0xff};
  static constexpr ByteArray<8> v6_mask = {0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff};
  const ByteView mask = address.family == Family::v4 ? ByteView{v4_mask} : ByteView{v6_mask};
  ByteArray<8> masked{};
  for (std::size_t i = 0; i < mask.size(); ++i) masked[i] = address.bytes[i] & mask[i];
  masked[0] = static_cast<std::uint8_t>(masked[0] | ((r & 7U) << 5));
  return crc32c({masked.data(), mask.size()});
}

Key position_of(const crypto::PublicKey& node_key, const IpAddress& external) {
  Key out{crypto::blake2b<32>(node_key)};
  if (!external.global()) return out;
  const std::uint32_t by_address = bep42(external, out.bytes[31]);
  const auto by_key = load_be<std::uint32_t>(out.bytes.data());
  store_be(out.bytes.data(), (by_address & address_mask) | (by_key & ~address_mask));
  return out;
}

bool position_valid(const Key& position, const crypto::PublicKey& node_key, const IpAddress& source) {
  const Key expected = position_of(node_key, source);
  if (source.global()) return position == expected;
  const Key difference = distance(position, expected);
  return difference == truncated(difference, address_bits);  // nothing differs after the address part
}

bool bep42_valid(const Key& mainline_id, const IpAddress& source) {
  return !source.global() || prefix_fits(mainline_id, source, mainline_id.bytes[19]);
}

}  // namespace shoal::dht
