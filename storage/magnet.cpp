// Magnet links, see link.hpp. They come from other programs and from web pages: parameters in any order, `+`
// for a space, raw bytes, numbered keys (`xt.1`), trackers and much else that is of no use here.
#include <algorithm>
#include <charconv>

#include "dht/base/check.hpp"
#include "storage/link_text.hpp"

namespace shoal::storage {
namespace {

constexpr std::string_view scheme = "magnet:";
constexpr std::string_view v1_topic = "urn:btih:", v2_topic = "urn:btmh:";
constexpr std::string_view sha256_multihash = "1220";  // of SHA-256 and 32 bytes

// What cannot be decoded stands for itself.
std::string decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' && text.size() - i >= 3 ? from_hex(text.substr(i + 1, 2))
                                                             : Result<Bytes>{std::unexpected(Error{})};
    if (byte) {
      out += static_cast<char>(byte->front());
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

Result<void> take_topic(Link& link, bool& v2, std::string_view topic) {
  if (starts_with_any_case(topic, v1_topic)) {
    const std::string_view digits = topic.substr(v1_topic.size());
    const auto raw = digits.size() == 32 ? from_base32(digits) : from_hex(digits);
    if (!raw || raw->size() != Sha1{}.size())
      return fail(Code::malformed, "a magnet link's btih has 40 hexadecimal digits, or 32 of base32");
    const Sha1 v1 = to_array<20>(*raw);
    if (link.v1 && *link.v1 != v1) return fail(Code::malformed, "a magnet link names one content");
    link.v1 = v1;
  } else if (starts_with_any_case(topic, v2_topic)) {
    const std::string_view digits = topic.substr(v2_topic.size());
    const auto raw = from_hex(digits);
    if (!raw || !digits.starts_with(sha256_multihash) || raw->size() != 2 + ContentId{}.size())
      return fail(Code::malformed, "a magnet link's btmh is 1220 and 64 hexadecimal digits");
    const ContentId id = to_array<32>(ByteView{*raw}.subspan(2));
    if (v2 && link.id != id) return fail(Code::malformed, "a magnet link names one content");
    link.id = id;
    v2 = true;
  }
  return {};
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? std::optional{out} : std::nullopt;
}

// BEP 53: "0,2,4-7". Nothing of it counts where a part is not understood: rather too much than too little.
void take_selection(Link& link, std::string_view text) {
  link.only.clear();
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    const std::size_t dash = std::min(part.find('-'), part.size());
    const auto first = number(part.substr(0, dash));
    const auto last = dash < part.size() ? number(part.substr(dash + 1)) : first;
    if (!first || !last || *first > *last || link.only.size() == max_link_ranges) return link.only.clear();
    link.only.emplace_back(*first, *last);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
}

Result<void> take(Link& link, bool& v2, std::string_view key, std::string_view value) {
  const std::string decoded = decode(value);
  if (key == "xt" || key.starts_with("xt.")) return take_topic(link, v2, decoded);
  if (key == "dn" && link.name.empty()) {
    link.name = decoded.substr(0, max_link_name_bytes);
  } else if (key == "x.pe") {
    if (auto peer = HostPort::parse(decoded); peer && link.at.size() < max_link_addresses)
      link.at.push_back(std::move(*peer));
  } else if (key == "so") {
    take_selection(link, decoded);
  }
  return {};
}

}  // namespace

Result<Link> parse_magnet(std::string_view text) {
  text.remove_prefix(scheme.size());
  if (text.starts_with("//")) text.remove_prefix(2);
  if (text.starts_with('/')) text.remove_prefix(1);
  if (!text.starts_with('?')) return fail(Code::malformed, "a magnet link begins with magnet:?");
  text.remove_prefix(1);
  Link link;
  link.is_public = true;
  bool v2 = false;
  while (!text.empty()) {
    const std::size_t ampersand = std::min(text.find('&'), text.size());
    std::string_view parameter = text.substr(0, ampersand);
    text.remove_prefix(std::min(ampersand + 1, text.size()));
    if (parameter.starts_with("amp;")) parameter.remove_prefix(4);  // copied from the source of a page
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    if (equals == parameter.size()) continue;
    if (auto ok = take(link, v2, parameter.substr(0, equals), parameter.substr(equals + 1)); !ok)
      return std::unexpected(ok.error());
  }
  if (!v2 && !link.v1)
    return fail(Code::unsupported, "a magnet link of BitTorrent has xt=urn:btih: or xt=urn:btmh:");
  if (!v2) link.id = id_of_v1(*link.v1);
  return link;
}

std::string format_magnet(const Link& link) {
  const bool v2 = !link.v1 || link.id != id_of_v1(*link.v1);
  std::string out{scheme};
  char joint = '?';
  const auto add = [&](std::string_view key, std::string_view value, std::string_view literal) {
    out += joint;
    out += key;
    out += '=';
    percent_encode(out, value, literal);
    joint = '&';
  };
  if (v2) add("xt", std::string{v2_topic} + std::string{sha256_multihash} + to_hex(link.id), ":");
  if (link.v1) add("xt", std::string{v1_topic} + to_hex(*link.v1), ":");
  if (!link.name.empty()) add("dn", link.name, "");
  for (const HostPort& peer : link.at) add("x.pe", peer.to_string(), ":[]");
  std::string files;
  for (const auto& [first, last] : link.only) {
    if (!files.empty()) files += ',';
    files += std::to_string(first);
    if (last != first) files += "-" + std::to_string(last);
  }
  if (!files.empty()) add("so", files, ",");
  return out;
}

}  // namespace shoal::storage
