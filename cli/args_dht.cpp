// Arguments of `dht` (args_dht.hpp).
#include "cli/args_dht.hpp"

#include <algorithm>

#include "dht/item.hpp"

namespace shoal::cli {
namespace {

using Judged = std::expected<void, std::string>;

// BEP 5 ids have 40 digits; they are keys whose other bits are zero.
std::expected<Key, std::string> parse_key(const std::string& text) {
  const auto raw = from_hex(text);
  if (!raw || (raw->size() != 32 && raw->size() != 20))
    return std::unexpected("KEY: a key has 64 (or 40) hexadecimal digits");
  Key out;
  std::copy(raw->begin(), raw->end(), out.bytes.begin());
  return out;
}

Judged judge_item(const DhtText::Item& text, Options& out) {
  out.salt = text.salt;
  if (out.salt.size() > dht::item_salt_most) return std::unexpected("--salt has 64 bytes at most");
  const bool changes = out.verb == Verb::dht_get ? text.key.size() == 64 : text.is_mutable;
  if (!out.salt.empty() && !changes)
    return std::unexpected("--salt is of items that can change alone; leave it away, or see --mutable");
  out.permanence = changes ? Permanence::changeable : Permanence::immutable;
  if (out.verb == Verb::dht_put) {
    out.source = text.value;
    return {};
  }
  const auto key = parse_key(text.key);
  if (!key) return std::unexpected(key.error());
  if (changes)
    out.author = key->bytes;
  else
    out.target = *key;
  return {};
}

}  // namespace

Judged judge_dht(const DhtText& text, Options& out) {
  const bool of_mainline =
      out.verb == Verb::dht_peers || out.verb == Verb::dht_get || out.verb == Verb::dht_put;
  if (of_mainline && !out.mainline)
    return std::unexpected("this asks BitTorrent's DHT, which --no-mainline keeps away; leave that away");
  if (out.verb == Verb::dht_peers) out.contents = text.contents;
  if (out.verb == Verb::dht_get) return judge_item(text.get, out);
  if (out.verb == Verb::dht_put) return judge_item(text.put, out);
  if (out.verb == Verb::dht_ping) {
    const auto node = storage::HostPort::parse(text.node);
    if (!node) return std::unexpected(std::string{"NODE: "} + node.error().rule);
    out.node = *node;
  }
  if (out.verb == Verb::dht_find && !text.key.empty()) {
    const auto key = parse_key(text.key);
    if (!key) return std::unexpected(key.error());
    out.target = *key;
  }
  return {};
}

}  // namespace shoal::cli
