// Addresses and endpoints as values: parsing, printing, classes of addresses, the groups that limits count
// by.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"

namespace shoal {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

// What an address may be used for (RFC 6890, RFC 6598, RFC 4193). `embedded`: an IPv6 address that carries an
// IPv4 one (v4-mapped, 6to4, NAT64, Teredo, v4-compatible) and is refused, since it would lead past the v4
// rules.
enum class AddressClass : std::uint8_t {
  global,
  local_net,
  loopback,
  link_local,
  multicast,
  embedded,
  reserved
};

struct IpAddress {
  Family family = Family::v4;
  ByteArray<16> bytes{};  // v4 in the first four, the rest zero

  auto operator<=>(const IpAddress&) const = default;
  bool operator==(const IpAddress& other) const {  // two words, not sixteen bytes: asked with every datagram
    return load_be<std::uint64_t>(bytes.data()) == load_be<std::uint64_t>(other.bytes.data()) &&
           load_be<std::uint64_t>(bytes.data() + 8) == load_be<std::uint64_t>(other.bytes.data() + 8) &&
           family == other.family;
  }

  [[nodiscard]] static IpAddress v4(std::uint32_t host_order);
  [[nodiscard]] static IpAddress from_bytes(ByteView raw);  // 4 or 16 bytes; v4-mapped v6 becomes v4
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);  // no brackets, no zone, no port

  [[nodiscard]] ByteView view() const { return {bytes.data(), family == Family::v4 ? 4U : 16U}; }
  [[nodiscard]] bool unspecified() const;
  [[nodiscard]] AddressClass classify() const;
  [[nodiscard]] bool global() const { return classify() == AddressClass::global; }
  [[nodiscard]] IpAddress network() const;  // v4: /24, v6: /48. What diversity limits count by.
  [[nodiscard]] IpAddress host() const;     // v4: itself, v6: /64. What limits of one party count by.
  [[nodiscard]] std::string to_string() const;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  auto operator<=>(const Endpoint&) const = default;

  // "1.2.3.4:80" or "[::1]:80"; numeric alone, the port 1..65535. Names are the host's business.
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  // 6 or 18 bytes: address, then port in network order (BEP 5, BEP 32).
  [[nodiscard]] static Result<Endpoint> from_compact(ByteView raw);
  [[nodiscard]] Bytes compact() const;
  [[nodiscard]] std::string to_string() const;
};

}  // namespace shoal

template <>
struct std::hash<shoal::IpAddress> {
  std::size_t operator()(const shoal::IpAddress& address) const noexcept {
    const auto a = shoal::load_be<std::uint64_t>(address.bytes.data());
    const auto b = shoal::load_be<std::uint64_t>(address.bytes.data() + 8);
    return static_cast<std::size_t>((a ^ (b * 0x9E3779B97F4A7C15ULL)) * 0xD6E8FEB86659FD93ULL);
  }
};
template <>
struct std::hash<shoal::Endpoint> {
  std::size_t operator()(const shoal::Endpoint& e) const noexcept {
    return std::hash<shoal::IpAddress>{}(e.address) * 31 + e.port;
  }
};
