// Links of sealed shares, see the header for the grammar. Deviation from RFC 3986: a fragment ("#...") is
// refused, since nothing here has parts; a '+' is itself and never a space.
#include "storage/link.hpp"

#include <algorithm>
#include <charconv>

#include "dht/base/check.hpp"
#include "storage/link_text.hpp"

namespace shoal::storage {
namespace {

constexpr std::string_view scheme = "shoal:";
constexpr std::size_t id_digits = 52;  // 256 bits in digits of 5, and 4 spare bits
constexpr std::size_t max_host_bytes = 253;
constexpr std::size_t max_label_bytes = 63;

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool base32_digit(char c) { return letter(c) || (c >= '2' && c <= '7'); }
bool unreserved(char c) { return letter(c) || digit(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

// RFC 3986 query characters that may stand for themselves in a value.
bool literal_in_value(char c) {
  constexpr std::string_view marks = "!$'()*+,;:@/?=[]";
  return unreserved(c) || marks.contains(c);
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!literal_in_value(text[i]))
        return fail(Code::malformed, "a link holds that character as %XX alone");
      out += text[i];
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (text.size() - i < 3 || !byte)
      return fail(Code::malformed, "% in a link is followed by two hexadecimal digits");
    out += static_cast<char>(byte->front());
    i += 2;
  }
  return out;
}

// What some resolvers take for a part of an address: "7", "0x7f".
bool number(std::string_view label) {
  if (std::ranges::all_of(label, digit)) return true;
  return starts_with_any_case(label, "0x") && std::ranges::all_of(label.substr(2), [](char c) {
           return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

// Labels of letters, digits, '-' and '_', the last of them no number: "1.2.3" and "0x7f.1" are further
// spellings of addresses, and an address has one here.
bool host_name(std::string_view host) {
  if (host.empty() || host.size() > max_host_bytes) return false;
  for (;;) {
    const std::size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.empty() || label.size() > max_label_bytes || label.front() == '-' || label.back() == '-')
      return false;
    const auto allowed = [](char c) { return letter(c) || digit(c) || c == '-' || c == '_'; };
    if (!std::ranges::all_of(label, allowed)) return false;
    if (dot == std::string_view::npos) return !number(label);
    host.remove_prefix(dot + 1);
  }
}

Result<ContentId> parse_id(std::string_view digits) {
  if (!std::ranges::all_of(digits, base32_digit))
    return fail(Code::malformed, "a link's content id has the letters a-z and the digits 2-7 alone");
  if (digits.size() < id_digits)
    return fail(Code::malformed, "a link's content id has 52 characters: this link was cut short");
  if (digits.size() > id_digits)
    return fail(Code::malformed, "a link's content id has 52 characters, no more");
  const auto raw = from_base32(digits);
  if (!raw) return fail(Code::non_canonical, "the last character of a link's content id is a or q");
  SHOAL_CHECK(raw->size() == 32);
  return to_array<32>(*raw);
}

Result<void> take_parameter(Link& link, bool& named, std::string_view key, std::string_view value) {
  if (key == "at") {
    if (link.at.size() == max_link_addresses)
      return fail(Code::too_large, "a link names at most 32 addresses");
    const auto decoded = percent_decode(value);
    if (!decoded) return std::unexpected(decoded.error());
    auto address = HostPort::parse(*decoded);
    if (!address) return std::unexpected(address.error());
    link.at.push_back(std::move(*address));
  } else if (key == "dn") {
    if (named) return fail(Code::malformed, "a link has one name (dn)");
    auto decoded = percent_decode(value);
    if (!decoded) return std::unexpected(decoded.error());
    if (decoded->size() > max_link_name_bytes)
      return fail(Code::too_large, "a link's name has at most 255 bytes");
    link.name = std::move(*decoded);
    named = true;
  } else if (const auto ignored = percent_decode(value); !ignored) {
    return std::unexpected(ignored.error());
  }
  return {};
}

}  // namespace

void percent_encode(std::string& out, std::string_view text, std::string_view also_literal) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (char c : text) {
    if (unreserved(c) || also_literal.contains(c)) {
      out += c;
    } else {
      out += '%';
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[static_cast<unsigned char>(c) & 15];
    }
  }
}

Result<HostPort> HostPort::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Code::malformed, "an address is HOST:PORT");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0 || digits.front() == '0')
    return fail(Code::malformed, "a port is a number from 1 to 65535");
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto address = IpAddress::parse(host.substr(1, host.size() - 2));
    if (!address || host.find(':') == std::string_view::npos)
      return fail(Code::malformed, "brackets hold an IPv6 address");
    return HostPort{std::string{host.substr(1, host.size() - 2)}, port};
  }
  if (host.find(':') != std::string_view::npos)
    return fail(Code::malformed, "an IPv6 address stands in brackets");
  if (!host_name(host) && !IpAddress::parse(host))
    return fail(Code::malformed, "a host is a name of letters, digits, - and ., or an address");
  return HostPort{std::string{host}, port};
}

HostPort HostPort::from(const Endpoint& endpoint) { return {endpoint.address.to_string(), endpoint.port}; }

std::optional<Endpoint> HostPort::endpoint() const {
  const auto address = IpAddress::parse(host);
  if (!address || port == 0) return std::nullopt;
  return Endpoint{*address, port};
}

std::string HostPort::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool looks_like_link(std::string_view text) {
  return starts_with_any_case(text, scheme) || starts_with_any_case(text, "magnet:");
}

Result<Link> parse_link(std::string_view text) {
  if (text.size() > max_link_bytes) return fail(Code::too_large, "a link has at most 8192 bytes");
  if (starts_with_any_case(text, "magnet:")) return parse_magnet(text);
  if (!starts_with_any_case(text, scheme))
    return fail(Code::malformed, "a link begins with shoal: or magnet:");
  text.remove_prefix(scheme.size());
  const std::size_t question = text.find('?');
  Link link;
  const auto id = parse_id(text.substr(0, question));
  if (!id) return std::unexpected(id.error());
  link.id = *id;
  if (question == std::string_view::npos || question + 1 == text.size()) return link;
  bool named = false;
  text.remove_prefix(question + 1);
  for (std::size_t count = 1;; ++count) {
    if (count > max_link_parameters) return fail(Code::too_large, "a link has at most 64 parameters");
    const std::size_t ampersand = text.find('&');
    const std::string_view parameter = text.substr(0, ampersand);
    const std::size_t equals = parameter.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return fail(Code::malformed, "what follows ? in a link is key=value, joined by &");
    const std::string_view key = parameter.substr(0, equals);
    if (!std::ranges::all_of(key, unreserved))
      return fail(Code::malformed, "a link's keys are letters, digits, - . _ ~");
    if (const auto ok = take_parameter(link, named, key, parameter.substr(equals + 1)); !ok)
      return std::unexpected(ok.error());
    if (ampersand == std::string_view::npos) return link;
    text.remove_prefix(ampersand + 1);
  }
}

std::string format_link(const Link& link) {
  SHOAL_CHECK(link.at.size() <= max_link_addresses && link.name.size() <= max_link_name_bytes);
  if (link.is_public) return format_magnet(link);
  std::string out{scheme};
  out += to_base32(link.id);
  char joint = '?';
  for (const HostPort& address : link.at) {
    out += joint;
    out += "at=";
    percent_encode(out, address.to_string(), ":[]");
    joint = '&';
  }
  if (!link.name.empty()) {
    out += joint;
    out += "dn=";
    percent_encode(out, link.name, "");
  }
  return out;
}

}  // namespace shoal::storage
