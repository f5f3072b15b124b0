#include "dht/base/key.hpp"

#include <bit>

namespace shoal {

Key distance(const Key& a, const Key& b) {
  Key out;
  for (std::size_t i = 0; i < 4; ++i) store_be(out.bytes.data() + 8 * i, a.word(i) ^ b.word(i));
  return out;
}

int shared_prefix(const Key& a, const Key& b) {
  for (std::size_t i = 0; i < 4; ++i)
    if (a.word(i) != b.word(i)) return static_cast<int>(64 * i) + std::countl_zero(a.word(i) ^ b.word(i));
  return Key::bits;
}

bool closer(const Key& target, const Key& a, const Key& b) {
  for (std::size_t i = 0; i < 4; ++i)
    if (a.word(i) != b.word(i)) return (a.word(i) ^ target.word(i)) < (b.word(i) ^ target.word(i));
  return false;
}

Key truncated(const Key& key, int prefix_bits) {
  Key out = key;
  for (int i = prefix_bits; i < Key::bits; ++i) out.set_bit(i, false);
  return out;
}

double as_fraction(const Key& distance) {
  return static_cast<double>(load_be<std::uint64_t>(distance.bytes.data()) >> 11) * 0x1.0p-53;
}

}  // namespace shoal
