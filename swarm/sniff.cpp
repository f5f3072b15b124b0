// Which dialect a stream begins with. See sniff.hpp.
#include "swarm/sniff.hpp"

#include <algorithm>
#include <string_view>

namespace shoal::swarm {
namespace {

constexpr std::string_view bittorrent =
    "\x13"
    "BitTorrent protocol";

}  // namespace

Dialect sniff(ByteView first, const TagTable& tags) {
  constexpr std::size_t tag_bytes = std::tuple_size_v<dht::ChannelTag>;
  if (first.size() >= tag_bytes && tags.find(first) != nullptr) return Dialect::native;
  const std::size_t compared = std::min(first.size(), bittorrent.size());
  if (equal(first.first(compared), as_bytes(bittorrent.substr(0, compared))))
    return compared == bittorrent.size() ? Dialect::bittorrent_plain : Dialect::need_more;
  return first.size() < tag_bytes ? Dialect::need_more : Dialect::unknown_or_mse;
}

}  // namespace shoal::swarm
