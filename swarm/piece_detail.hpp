// The values a PieceMap (piece_map.hpp) keeps: states, and what is known of the blocks of a piece in flight.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dht/base/hash.hpp"
#include "storage/content.hpp"
#include "swarm/limits.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm {

using storage::BlockRef;

inline constexpr std::size_t most_requesters = limits::endgame_requests_per_block;
inline constexpr std::uint32_t no_id = ~std::uint32_t{0};

enum class PieceState : std::uint8_t {
  missing,   // nothing of it is here and nothing was asked for
  partial,   // some blocks requested, arrived or written; not all written
  complete,  // every block written, root not yet known to be right: hashing, or waiting for the expected root
  verified,  // right, not yet durable
  have,      // right and durable: may be announced and served
};
enum class BlockState : std::uint8_t {
  free,
  requested,
  arrived,  // its write is under way
  written   // leaf and sender known
};

struct PieceEntry {
  PieceState state = PieceState::missing;
  bool wanted = true;
  bool changed = false;
  bool reserved = false;         // for one peer: PieceMap::reserve
  std::uint32_t detail = no_id;  // of details_; partial and complete alone
};
struct BlockEntry {
  BlockState state = BlockState::free;
  std::uint8_t requesters = 0;
  bool listed = false;  // in the list of requests
  std::uint32_t previous = no_id, next = no_id;
  std::array<PeerHandle, most_requesters> peers{};  // requested: who was asked; then [0]: the sender
};
struct PieceDetail {
  std::uint32_t piece = no_id;  // no_id: spare
  std::uint32_t free = 0, requested = 0, arrived = 0, written = 0;
  std::uint32_t first_free = 0;   // no free block stands before it
  std::uint32_t open_at = no_id;  // place in open_
  bool on_disk = false;           // a block of it was arrived or written
  double speed = 0;
  std::vector<BlockEntry> blocks;
  std::vector<Sha256> leaves;
};

}  // namespace shoal::swarm
