// PieceMap's invariants, as they stand at the head of piece_map.cpp, recomputed. For tests and fuzzing.
#include "dht/base/check.hpp"
#include "swarm/piece_map.hpp"

namespace shoal::swarm {

void PieceMap::check_invariants() const {
  PieceMap fresh{content_, have_};  // for its totals: rebuilt below
  fresh.wanted_ = fresh.wanted_have_ = fresh.verified_count_ = 0;
  fresh.wanted_bytes_ = fresh.verified_bytes_ = fresh.committed_bytes_ = fresh.free_blocks_ = 0;
  fresh.states_ = states_;
  fresh.details_ = details_;
  std::uint32_t details = 0, blocks = 0, requested = 0, listed = 0, open = 0;
  for (std::uint32_t piece = 0; piece < pieces(); ++piece) {
    fresh.count(piece, 1);
    const PieceEntry& entry = states_[piece];
    SHOAL_CHECK(have_.test(piece) == (entry.state == PieceState::have));
    SHOAL_CHECK(entry.detail != no_id || entry.state != PieceState::partial);
    SHOAL_CHECK(!entry.reserved || (entry.state != PieceState::verified && entry.state != PieceState::have));
    if (entry.detail == no_id) continue;
    SHOAL_CHECK(entry.state == PieceState::partial || entry.state == PieceState::complete);
    const PieceDetail& detail = details_[entry.detail];
    SHOAL_CHECK(detail.piece == piece && detail.blocks.size() == content_->blocks_in(piece));
    ++details;
    blocks += static_cast<std::uint32_t>(detail.blocks.size());
    std::array<std::uint32_t, 4> in_state{};
    for (std::uint32_t i = 0; i < detail.blocks.size(); ++i) {
      const BlockEntry& block = detail.blocks[i];
      ++in_state[static_cast<std::size_t>(block.state)];
      SHOAL_CHECK((block.requesters > 0) == (block.state == BlockState::requested));
      SHOAL_CHECK(block.requesters <= most_requesters);
      const std::uint32_t most = entry.reserved ? 1 : most_requesters;
      SHOAL_CHECK(block.listed == (block.requesters > 0 && block.requesters < most));
      SHOAL_CHECK(block.state != BlockState::free || i >= detail.first_free);
      for (std::uint32_t a = 0; a < block.requesters; ++a)
        for (std::uint32_t b = 0; b < a; ++b) SHOAL_CHECK(block.peers[a] != block.peers[b]);
      listed += block.listed ? 1 : 0;
    }
    SHOAL_CHECK(in_state[0] == detail.free && in_state[1] == detail.requested);
    SHOAL_CHECK(in_state[2] == detail.arrived && in_state[3] == detail.written);
    requested += detail.requested;
    const bool all_written = detail.written == detail.blocks.size();
    SHOAL_CHECK(all_written == (entry.state == PieceState::complete));
    SHOAL_CHECK(entry.state != PieceState::partial || detail.free < detail.blocks.size());
    const bool is_open =
        entry.state == PieceState::partial && entry.wanted && !entry.reserved && detail.free > 0;
    SHOAL_CHECK(is_open == (detail.open_at != no_id));
    SHOAL_CHECK(!is_open || open_[detail.open_at] == piece);
    open += is_open ? 1 : 0;
  }
  SHOAL_CHECK(open == open_.size() && blocks == detail_blocks_ && requested == requested_blocks_);
  SHOAL_CHECK(details + spare_.size() == details_.size());
  for (std::uint32_t id = oldest_; id != no_id; id = block_of(id).next) {
    SHOAL_CHECK(listed-- > 0 && block_of(id).listed);
    if (block_of(id).next == no_id) SHOAL_CHECK(id == newest_);
  }
  SHOAL_CHECK(listed == 0);
  for (const std::uint32_t piece : failed_) SHOAL_CHECK(state(piece) == PieceState::complete);
  SHOAL_CHECK(fresh.wanted_ == wanted_ && fresh.wanted_have_ == wanted_have_);
  SHOAL_CHECK(fresh.verified_count_ == verified_count_ && fresh.free_blocks_ == free_blocks_);
  SHOAL_CHECK(fresh.wanted_bytes_ == wanted_bytes_ && fresh.verified_bytes_ == verified_bytes_);
  SHOAL_CHECK(fresh.committed_bytes_ == committed_bytes_);
}

}  // namespace shoal::swarm
