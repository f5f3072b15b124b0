// Script: the bytes of an input as a series of choices, for targets that do what it says step by step. Behind
// its end all is zero.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dht/base/bytes.hpp"

namespace shoal::fuzz {

class Script {
 public:
  explicit Script(ByteView bytes) : rest_(bytes) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t out = rest_[0];
    rest_ = rest_.subspan(1);
    return out;
  }
  bool flag() { return (byte() & 1) != 0; }
  // 0..bound-1; one byte of the script, two for larger bounds.
  std::uint32_t below(std::uint32_t bound) {
    if (bound <= 256) return byte() % bound;
    const std::uint32_t high = byte();
    return (high << 8 | byte()) % bound;
  }
  // A number of any size, and often one at the border of what is allowed.
  std::uint32_t number(std::uint32_t usual) {
    switch (const std::uint8_t how = byte(); how >> 5) {
      case 0:
        return usual + (how & 31U);
      case 1:
        return (std::uint32_t{1} << (how & 31U)) - 1;
      case 2:
        return ~(how & 31U);
      case 3:
        return load_be<std::uint32_t>(array<4>().data());
      default:
        return usual == 0 ? 0 : how % usual;
    }
  }
  ByteView take(std::size_t most) {
    const ByteView out = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(out.size());
    return out;
  }
  template <std::size_t N>
  ByteArray<N> array(std::size_t chosen = N) {  // the first `chosen` from the script, else zero
    ByteArray<N> out{};
    const ByteView raw = take(std::min(N, chosen));
    std::copy(raw.begin(), raw.end(), out.begin());
    return out;
  }
  ByteView rest() { return take(rest_.size()); }

 private:
  ByteView rest_;
};

}  // namespace shoal::fuzz
