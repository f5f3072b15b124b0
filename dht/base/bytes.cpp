#include "dht/base/bytes.hpp"

namespace shoal {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view base32_digits = "abcdefghijklmnopqrstuvwxyz234567";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int base32_value(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= '2' && c <= '7') return c - '2' + 26;
  return -1;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::uint8_t byte : bytes) {
    out.push_back(hex_digits[byte >> 4]);
    out.push_back(hex_digits[byte & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(Code::malformed, "hexadecimal has an even number of digits");
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return fail(Code::malformed, "hexadecimal has the digits 0-9 and a-f alone");
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

std::string to_base32(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t bits = 0;
  int held = 0;
  for (std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 5; held -= 5) out.push_back(base32_digits[(bits >> (held - 5)) & 31]);
  }
  if (held > 0) out.push_back(base32_digits[(bits << (5 - held)) & 31]);
  return out;
}

Result<Bytes> from_base32(std::string_view text) {
  const std::size_t tail = text.size() % 8;
  if (tail == 1 || tail == 3 || tail == 6) return fail(Code::malformed, "base32 has a possible length");
  Bytes out;
  out.reserve(text.size() * 5 / 8);
  std::uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const int value = base32_value(c);
    if (value < 0) return fail(Code::malformed, "base32 has the letters a-z and the digits 2-7 alone");
    bits = (bits << 5) | static_cast<std::uint32_t>(value);
    held += 5;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<std::uint8_t>((bits >> held) & 0xff));
    }
  }
  if ((bits & ((1U << held) - 1)) != 0)
    return fail(Code::non_canonical, "base32 has spare bits that are zero");
  return out;
}

}  // namespace shoal
