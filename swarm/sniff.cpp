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

Opening sniff(ByteView first, const TagTable& tags) {
  constexpr std::size_t tag_bytes = std::tuple_size_v<dht::ChannelTag>;
  if (first.size() >= tag_bytes && tags.find(first) != nullptr) return Opening::native;
  const std::size_t compared = std::min(first.size(), bittorrent.size());
  if (equal(first.first(compared), as_bytes(bittorrent.substr(0, compared))))
    return compared == bittorrent.size() ? Opening::bittorrent_plain : Opening::need_more;
  return first.size() < tag_bytes ? Opening::need_more : Opening::unknown_or_mse;
}

}  // namespace shoal::swarm
