// Links: `shoal:<content id>?at=<host:port>&dn=<name>` of a sealed share, as text and as a value. The id is
// the capability to read the share: never log a link.
//
// Grammar: the scheme in any case; the id in base32 (RFC 4648), any case, 52 characters, no padding, spare
// bits zero; then optionally `?` and parameters key=value joined by `&`. `at` may come again and again, `dn`
// once, unknown keys are ignored. Values are percent-encoded (RFC 3986), strictly. Written: `at` first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

inline constexpr std::size_t max_link_bytes = 8192;    // fits a QR code thrice over, and any command line
inline constexpr std::size_t max_link_addresses = 32;  // each may be asked at start
inline constexpr std::size_t max_link_parameters = 64;
inline constexpr std::size_t max_link_name_bytes = 255;  // decoded

// A host and a port, as in --bootstrap, --peer and `at`: a host name (letters, digits, '-', '_', '.'), an
// IPv4 address, or an IPv6 address in brackets; then ':' and 1..65535. Not looked up here.
struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;

  [[nodiscard]] static Result<HostPort> parse(std::string_view text);
  [[nodiscard]] static HostPort from(const Endpoint& endpoint);
  [[nodiscard]] std::optional<Endpoint> endpoint() const;  // where the host is an address
  [[nodiscard]] std::string to_string() const;
};

struct Link {
  ContentId id{};
  std::string name;  // raw bytes, for display until the metadata is here; may be empty
  std::vector<HostPort> at;
  bool operator==(const Link&) const = default;
};

// Errors: malformed (a rule of the grammar), too_large, non_canonical (spare bits), unsupported (a magnet
// link).
[[nodiscard]] Result<Link> parse_link(std::string_view text);
// Precondition: the bounds above.
[[nodiscard]] std::string format_link(const Link& link);
// Whether the text is meant as a link of either kind, so that the error to show is that of parse_link.
[[nodiscard]] bool looks_like_link(std::string_view text);

}  // namespace shoal::storage
