// See lsd.hpp.
#include "swarm/lsd.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "dht/base/check.hpp"

namespace shoal::swarm::lsd {
namespace {

constexpr std::string_view request = "BT-SEARCH * HTTP/1.1";

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}
bool same_name(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The first line of `text`, taken off it.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace

Endpoint group(Family family) {
  const auto address = IpAddress::parse(family == Family::v4 ? "239.192.152.143" : "ff15::efc0:988f");
  SHOAL_CHECK(address.has_value());
  return {*address, group_port};
}

Bytes encode(Family family, const Announcement& announcement) {
  SHOAL_CHECK(!announcement.contents.empty() && announcement.contents.size() <= contents_most &&
              announcement.cookie.size() <= cookie_most);
  std::string text{request};
  text += "\r\nHost: " + group(family).to_string();
  text += "\r\nPort: " + std::to_string(announcement.port);
  for (const auto& content : announcement.contents) text += "\r\nInfohash: " + to_hex(content);
  if (!announcement.cookie.empty()) text += "\r\ncookie: " + announcement.cookie;
  text += "\r\n\r\n\r\n";
  return to_vector(as_bytes(text));
}

Result<Announcement> decode(ByteView datagram) {
  if (datagram.size() > message_most) return fail(Code::too_large, "a call has at most 1,400 bytes");
  std::string_view text = as_text(datagram);
  if (next_line(text) != request) return fail(Code::malformed, "a call begins as BEP 14 has it");
  Announcement out;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return fail(Code::malformed, "a header has a name");
    const std::string_view name = trimmed(line.substr(0, colon)), value = trimmed(line.substr(colon + 1));
    if (same_name(name, "port")) {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out.port);
      if (error != std::errc{} || end != value.data() + value.size())
        return fail(Code::malformed, "a port is a number below 65,536");
    } else if (same_name(name, "infohash")) {
      const auto hash = from_hex(value);
      if (!hash || hash->size() != 20) return fail(Code::malformed, "an info-hash has 40 digits");
      if (out.contents.size() == contents_most) return fail(Code::too_large, "a call names few contents");
      out.contents.push_back(to_array<20>(*hash));
    } else if (same_name(name, "cookie")) {
      if (value.size() > cookie_most) return fail(Code::too_large, "a cookie has at most 64 bytes");
      out.cookie = value;
    }
  }
  if (out.port == 0 || out.contents.empty())
    return fail(Code::malformed, "a call names a port and a content");
  return out;
}

}  // namespace shoal::swarm::lsd
