// A fixed-size set of bits in BitTorrent's order (bit 0 is the high bit of byte 0, BEP 3), with its count
// kept.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "dht/base/bytes.hpp"
#include "dht/base/check.hpp"

namespace shoal {

class Bitfield {
 public:
  Bitfield() = default;
  explicit Bitfield(std::uint32_t bits) : bytes_((std::size_t{bits} + 7) / 8, 0), bits_(bits) {}

  // Exactly (bits + 7) / 8 bytes, spare bits zero; otherwise an error.
  [[nodiscard]] static Result<Bitfield> from_bytes(ByteView raw, std::uint32_t bits) {
    if (raw.size() != (std::size_t{bits} + 7) / 8)
      return fail(Code::malformed, "a bitfield has its exact length");
    Bitfield out{bits};
    std::copy(raw.begin(), raw.end(), out.bytes_.begin());
    if (bits % 8 != 0 && (out.bytes_.back() & (0xffU >> (bits % 8))) != 0)
      return fail(Code::non_canonical, "a bitfield has spare bits that are zero");
    for (std::uint8_t byte : out.bytes_) out.count_ += static_cast<std::uint32_t>(std::popcount(byte));
    return out;
  }

  [[nodiscard]] std::uint32_t size() const { return bits_; }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] bool all() const { return count_ == bits_; }
  [[nodiscard]] bool none() const { return count_ == 0; }
  [[nodiscard]] bool test(std::uint32_t i) const {
    SHOAL_CHECK(i < bits_);
    return ((bytes_[i / 8] >> (7 - i % 8)) & 1) != 0;
  }
  bool set(std::uint32_t i) { return change(i, true); }     // true if it was not set
  bool reset(std::uint32_t i) { return change(i, false); }  // true if it was set
  void set_all() {
    std::fill(bytes_.begin(), bytes_.end(), std::uint8_t{0xff});
    if (bits_ % 8 != 0) bytes_.back() = static_cast<std::uint8_t>(0xff00U >> (bits_ % 8));
    count_ = bits_;
  }
  [[nodiscard]] ByteView view() const { return bytes_; }

  // By 64 bits at a time: bits 64 * index and on, the first of them the most significant; behind the last are
  // zeros. Precondition: index < words().
  [[nodiscard]] std::uint32_t words() const { return (bits_ + 63) / 64; }
  [[nodiscard]] std::uint64_t word(std::uint32_t index) const {
    const std::size_t at = std::size_t{index} * 8;
    if (bytes_.size() - at >= 8) return load_be<std::uint64_t>(bytes_.data() + at);
    ByteArray<8> tail{};
    std::copy(bytes_.begin() + static_cast<std::ptrdiff_t>(at), bytes_.end(), tail.begin());
    return load_be<std::uint64_t>(tail.data());
  }
  // Calls visit(i) for each bit that is set, rising.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::uint32_t index = 0; index < words(); ++index)
      for (std::uint64_t left = word(index); left != 0;) {
        const int lead = std::countl_zero(left);
        left &= ~(std::uint64_t{1} << (63 - lead));
        visit(index * 64 + static_cast<std::uint32_t>(lead));
      }
  }
  // Of two that have the same size: how many bits are set in both.
  [[nodiscard]] friend std::uint32_t common(const Bitfield& a, const Bitfield& b) {
    std::uint32_t out = 0;
    for (std::uint32_t index = 0; index < a.words(); ++index)
      out += static_cast<std::uint32_t>(std::popcount(a.word(index) & b.word(index)));
    return out;
  }
  bool operator==(const Bitfield&) const = default;

 private:
  bool change(std::uint32_t i, bool value) {
    if (test(i) == value) return false;
    bytes_[i / 8] ^= static_cast<std::uint8_t>(0x80U >> (i % 8));
    count_ += value ? 1U : ~0U;
    return true;
  }
  Bytes bytes_;
  std::uint32_t bits_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace shoal
