// Key: a point of the Kademlia space (Maymounkov & Mazieres 2002), 256 bits, left aligned. Mainline's 160-bit
// ids are extended with zeros; XOR order does not change.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "dht/base/bytes.hpp"

namespace shoal {

struct Key {
  static constexpr int bits = 256;
  ByteArray<32> bytes{};

  // By words of 64 bits, big endian: the order of the bytes, in a quarter of the steps.
  [[nodiscard]] std::uint64_t word(std::size_t index) const {
    return load_be<std::uint64_t>(bytes.data() + 8 * index);
  }
  std::strong_ordering operator<=>(const Key& other) const {
    for (std::size_t i = 0; i < 4; ++i)
      if (word(i) != other.word(i)) return word(i) <=> other.word(i);
    return std::strong_ordering::equal;
  }
  bool operator==(const Key& other) const {
    return word(0) == other.word(0) && word(1) == other.word(1) && word(2) == other.word(2) &&
           word(3) == other.word(3);
  }

  // 0 is the most significant bit.
  [[nodiscard]] bool bit(int index) const { return ((bytes[index / 8] >> (7 - index % 8)) & 1) != 0; }
  void set_bit(int index, bool value) {
    const auto mask = static_cast<std::uint8_t>(1U << (7 - index % 8));
    bytes[index / 8] = static_cast<std::uint8_t>(value ? bytes[index / 8] | mask : bytes[index / 8] & ~mask);
  }
};

[[nodiscard]] Key distance(const Key& a, const Key& b);                    // XOR
[[nodiscard]] int shared_prefix(const Key& a, const Key& b);               // leading equal bits, 0..256
[[nodiscard]] bool closer(const Key& target, const Key& a, const Key& b);  // a strictly nearer than b
[[nodiscard]] Key truncated(const Key& key, int prefix_bits);  // the bits after the prefix are zero
[[nodiscard]] double as_fraction(const Key& distance);         // of the whole space, [0, 1)

}  // namespace shoal
