// The first bytes of an accepted stream choose its dialect. Only `native` leads anywhere while no public
// content is open; what follows from the others is the session's decision, and silence is the default
// (THREATS A32).
#pragma once

#include <cstdint>

#include "dht/base/bytes.hpp"
#include "swarm/tag_table.hpp"

namespace shoal::swarm {

enum class Opening : std::uint8_t {
  need_more,         // too few bytes to tell
  native,            // a tag of ours: TagTable::find says which content
  bittorrent_plain,  // 19, "BitTorrent protocol" (BEP 3)
  unknown_or_mse,    // anything else; an MSE handshake looks like noise
};

// `first`: everything received so far, from the first byte. Decides after 16 bytes, or 20 where they look
// like BEP 3.
[[nodiscard]] Opening sniff(ByteView first, const TagTable& tags);

}  // namespace shoal::swarm
