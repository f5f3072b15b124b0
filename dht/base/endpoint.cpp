#include "dht/base/endpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <arpa/inet.h>

#include "dht/base/check.hpp"

namespace shoal {
namespace {

bool in_prefix(const IpAddress& address, std::initializer_list<std::uint8_t> prefix, int bits) {
  ByteArray<16> other{};
  std::copy(prefix.begin(), prefix.end(), other.begin());
  for (int i = 0; i < bits; ++i) {
    const int shift = 7 - i % 8;
    if (((address.bytes[i / 8] ^ other[i / 8]) >> shift & 1) != 0) return false;
  }
  return true;
}

// RFC 6890, RFC 6598; the rest is global.
struct Range {
  std::uint32_t prefix;
  int bits;
  AddressClass is;
};
constexpr Range v4_ranges[] = {
    {0x7f000000, 8, AddressClass::loopback},   {0x0a000000, 8, AddressClass::local_net},
    {0xac100000, 12, AddressClass::local_net}, {0xc0a80000, 16, AddressClass::local_net},
    {0x64400000, 10, AddressClass::local_net}, {0xa9fe0000, 16, AddressClass::link_local},
    {0xe0000000, 4, AddressClass::multicast},  {0x00000000, 8, AddressClass::reserved},
    {0xf0000000, 4, AddressClass::reserved},   {0xc0000000, 24, AddressClass::reserved},
    {0xc0000200, 24, AddressClass::reserved},  {0xc6336400, 24, AddressClass::reserved},
    {0xcb007100, 24, AddressClass::reserved},  {0xc6120000, 15, AddressClass::reserved},
    {0xc0586300, 24, AddressClass::reserved},
};

// Nearly every address is settled by its first byte.
constexpr auto global_first_bytes = [] {
  std::array<bool, 256> out{};
  out.fill(true);
  for (const Range& range : v4_ranges) {
    const std::uint32_t first = range.prefix >> 24,
                        last = range.bits < 8 ? first | (0xffU >> range.bits) : first;
    for (std::uint32_t byte = first; byte <= last; ++byte) out[byte] = false;
  }
  return out;
}();

AddressClass classify_v4(const IpAddress& a) {
  if (global_first_bytes[a.bytes[0]]) return AddressClass::global;
  const auto number = load_be<std::uint32_t>(a.bytes.data());
  for (const Range& range : v4_ranges)
    if ((number ^ range.prefix) >> (32 - range.bits) == 0) return range.is;
  return AddressClass::global;
}

AddressClass classify_v6(const IpAddress& a) {
  const bool low_zero = std::all_of(a.bytes.begin(), a.bytes.begin() + 15, [](auto b) { return b == 0; });
  if (low_zero && a.bytes[15] == 1) return AddressClass::loopback;
  if (low_zero && a.bytes[15] == 0) return AddressClass::reserved;
  if (in_prefix(a, {0xff}, 8)) return AddressClass::multicast;
  if (in_prefix(a, {0xfe, 0x80}, 10)) return AddressClass::link_local;
  if (in_prefix(a, {0xfc}, 7)) return AddressClass::local_net;
  if (in_prefix(a, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96) || in_prefix(a, {}, 96) ||
      in_prefix(a, {0x20, 0x02}, 16) || in_prefix(a, {0x00, 0x64, 0xff, 0x9b}, 32) ||
      in_prefix(a, {0x20, 0x01, 0, 0}, 32))
    return AddressClass::embedded;
  if (in_prefix(a, {0x20, 0x01, 0x0d, 0xb8}, 32) || !in_prefix(a, {0x20}, 3)) return AddressClass::reserved;
  return AddressClass::global;
}

IpAddress cut(const IpAddress& address, std::ptrdiff_t bytes) {
  IpAddress out = address;
  std::fill(out.bytes.begin() + bytes, out.bytes.end(), std::uint8_t{0});
  return out;
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress out;
  store_be(out.bytes.data(), host_order);
  return out;
}

IpAddress IpAddress::from_bytes(ByteView raw) {
  SHOAL_CHECK(raw.size() == 4 || raw.size() == 16);
  IpAddress out;
  out.family = raw.size() == 4 ? Family::v4 : Family::v6;
  std::copy(raw.begin(), raw.end(), out.bytes.begin());
  if (raw.size() == 16 && in_prefix(out, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96))
    return from_bytes(raw.subspan(12));
  return out;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy{text};
  if (copy.find('\0') != std::string::npos)
    return fail(Code::malformed, "an address has no NUL");  // C would stop there
  ByteArray<16> raw{};
  if (inet_pton(AF_INET, copy.c_str(), raw.data()) == 1) return from_bytes({raw.data(), 4});
  if (inet_pton(AF_INET6, copy.c_str(), raw.data()) == 1) {
    IpAddress out;  // not from_bytes: a v4-mapped spelling stays what it is, and is refused by its class
    out.family = Family::v6;
    out.bytes = raw;
    return out;
  }
  return fail(Code::malformed, "an address is numeric IPv4 or IPv6");
}

bool IpAddress::unspecified() const {
  return std::all_of(bytes.begin(), bytes.end(), [](auto b) { return b == 0; });
}

AddressClass IpAddress::classify() const {
  return family == Family::v4 ? classify_v4(*this) : classify_v6(*this);
}

IpAddress IpAddress::network() const { return cut(*this, family == Family::v4 ? 3 : 6); }

IpAddress IpAddress::host() const { return cut(*this, family == Family::v4 ? 4 : 8); }

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family == Family::v4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Code::malformed, "an endpoint is ADDRESS:PORT");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  if (!address) return std::unexpected(address.error());
  if (bracketed != (address->family == Family::v6))
    return fail(Code::malformed, "an IPv6 endpoint is [ADDRESS]:PORT");
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0)
    return fail(Code::malformed, "a port is a number from 1 to 65535");
  return Endpoint{*address, port};
}

Result<Endpoint> Endpoint::from_compact(ByteView raw) {
  if (raw.size() != 6 && raw.size() != 18)
    return fail(Code::malformed, "a compact endpoint has 6 or 18 bytes");
  const std::size_t n = raw.size() - 2;
  Endpoint out;
  out.address.family = n == 4 ? Family::v4 : Family::v6;
  std::copy_n(raw.begin(), n, out.address.bytes.begin());
  out.port = load_be<std::uint16_t>(raw.data() + n);
  return out;
}

Bytes Endpoint::compact() const {
  Bytes out = to_vector(address.view());
  append_be(out, port);
  return out;
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.family == Family::v4 ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace shoal
