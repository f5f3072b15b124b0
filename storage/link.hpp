// Links, as text and as a value. The id of a sealed share is the capability to read it: never log its link.
//
// Sealed: `shoal:<content id>?at=<host:port>&dn=<name>`. The scheme in any case; the id in base32 (RFC 4648),
// any case, 52 characters, no padding, spare bits zero; then optionally `?` and parameters key=value joined
// by
// `&`. `at` may come again and again, `dn` once, unknown keys are ignored. Values are percent-encoded (RFC
// 3986), strictly. Written: `at` first.
//
// Public: magnet links (BEP 9, BEP 52, BEP 53), which many programs write, and so are read leniently:
// `xt=urn:btmh:1220<64 hex digits>` and `xt=urn:btih:<40 hex digits, or 32 of base32>`, one of which must be
// there, `dn`, `x.pe=<host:port>` (a peer), `so=<files>`. What is not understood is ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

inline constexpr std::size_t max_link_bytes = 8192;    // fits a QR code thrice over, and any command line
inline constexpr std::size_t max_link_addresses = 32;  // each may be asked at start
inline constexpr std::size_t max_link_parameters = 64;
inline constexpr std::size_t max_link_name_bytes = 255;  // decoded
inline constexpr std::size_t max_link_ranges = 1024;

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
  ContentId id{};    // of a magnet link without btmh: id_of_v1(*v1), which may be an alias of the content's
  std::string name;  // raw bytes, for display until the metadata is here; may be empty
  std::vector<HostPort> at;  // DHT nodes; of a magnet link, peers
  bool is_public = false;    // a magnet link
  std::optional<Sha1> v1;    // btih: SHA-1 of the info dictionary, or, as some write it, a truncated SHA-256
  // Files to get, by their place in the info dictionary, first and last of each range (BEP 53); none: all.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> only;
  bool operator==(const Link&) const = default;
};

// Errors: malformed (a rule of the grammar), too_large, non_canonical (spare bits), unsupported (a magnet
// link of another network).
[[nodiscard]] Result<Link> parse_link(std::string_view text);
// Precondition: the bounds above.
[[nodiscard]] std::string format_link(const Link& link);
// Whether the text is meant as a link of either kind, so that the error to show is that of parse_link.
[[nodiscard]] bool looks_like_link(std::string_view text);

}  // namespace shoal::storage
