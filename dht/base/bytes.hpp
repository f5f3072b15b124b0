// Bytes and their spellings: views, big-endian integers, hexadecimal, base32 (RFC 4648), comparison.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/result.hpp"

namespace shoal {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;
template <std::size_t N>
using ByteArray = std::array<std::uint8_t, N>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
[[nodiscard]] inline Bytes to_vector(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
inline void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// The first N bytes as an array. Precondition: bytes.size() >= N.
template <std::size_t N>
[[nodiscard]] ByteArray<N> to_array(ByteView bytes) {
  ByteArray<N> out;
  std::memcpy(out.data(), bytes.data(), N);
  return out;
}

// Big-endian load and store of an unsigned integer; the caller has checked the room. Copied whole and
// swapped, two instructions: compilers leave a loop over its bytes a loop, and keys and addresses are
// compared by it.
template <class T>
[[nodiscard]] T big_endian(T value) {
  return std::endian::native == std::endian::big ? value : std::byteswap(value);
}
template <class T>
[[nodiscard]] T load_be(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return big_endian(value);
}
template <class T>
void store_be(std::uint8_t* to, T value) {
  value = big_endian(value);
  std::memcpy(to, &value, sizeof(T));
}
template <class T>
void append_be(Bytes& out, T value) {
  ByteArray<sizeof(T)> raw;
  store_be(raw.data(), value);
  append(out, raw);
}

// Lower-case hexadecimal; from_hex takes either case and refuses odd lengths and other characters.
[[nodiscard]] std::string to_hex(ByteView bytes);
[[nodiscard]] Result<Bytes> from_hex(std::string_view text);

// RFC 4648 base32, lower case, no padding. from_base32 takes either case, refuses padding, other characters,
// impossible lengths and spare bits that are not zero.
[[nodiscard]] std::string to_base32(ByteView bytes);
[[nodiscard]] Result<Bytes> from_base32(std::string_view text);

}  // namespace shoal
