// See mainline_id.hpp.
#include "dht/mainline_id.hpp"

#include <algorithm>

#include "dht/base/check.hpp"
#include "dht/identity.hpp"

namespace shoal::dht {

Key mainline_key(ByteView id) {
  SHOAL_CHECK(id.size() == mainline_id_bytes);
  Key out;
  std::ranges::copy(id, out.bytes.begin());
  return out;
}

ByteView mainline_bytes(const Key& key) { return ByteView{key.bytes}.first(mainline_id_bytes); }

Key mainline_position(const IpAddress& external, Random& random) {
  Key out = mainline_key(random.bytes<mainline_id_bytes>());
  if (!external.global()) return out;
  constexpr std::uint32_t mask = 0xffffffffU << (32 - address_bits);
  const std::uint32_t by_address = bep42(external, out.bytes[mainline_id_bytes - 1]);
  const auto drawn = load_be<std::uint32_t>(out.bytes.data());
  store_be(out.bytes.data(), (by_address & mask) | (drawn & ~mask));
  return out;
}

}  // namespace shoal::dht
