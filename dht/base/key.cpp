#include "dht/base/key.hpp"

#include <bit>

namespace shoal {

Key distance(const Key& a, const Key& b) {
  Key out;
  for (std::size_t i = 0; i < out.bytes.size(); ++i) out.bytes[i] = a.bytes[i] ^ b.bytes[i];
  return out;
}

int shared_prefix(const Key& a, const Key& b) {
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    const std::uint8_t difference = a.bytes[i] ^ b.bytes[i];
    if (difference != 0) return static_cast<int>(i) * 8 + std::countl_zero(difference);
  }
  return Key::bits;
}

bool closer(const Key& target, const Key& a, const Key& b) {
  for (std::size_t i = 0; i < target.bytes.size(); ++i) {
    const std::uint8_t da = a.bytes[i] ^ target.bytes[i];
    const std::uint8_t db = b.bytes[i] ^ target.bytes[i];
    if (da != db) return da < db;
  }
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
