// What to ask peers for, and what became of it.
#include <algorithm>
#include <utility>

#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

// Bytes given to the disk and not yet written: beyond the first figure streams are not read, below the second
// they are again. A second's worth of a fast disk; bounds memory whatever the number of peers.
constexpr std::uint64_t hold_above = 12ULL << 20;
constexpr std::uint64_t resume_below = 4ULL << 20;

}  // namespace

// ---- asking

void Swarm::update_interest(Turn& turn, PeerHandle handle, Peer& peer) {
  if (!peer.known_to_picker) return;
  const bool interesting = !complete_ && !share_ && work_->picker.interesting(handle) > 0;
  if (interesting == peer.we_are_interested) return;
  peer.we_are_interested = interesting;
  if (interesting)
    send(turn, handle, peer, wire::Interested{});
  else
    send(turn, handle, peer, wire::NotInterested{});
}

// Keeps the peer's pipeline full.
void Swarm::fill(Turn& turn, PeerHandle handle, Peer& peer) {
  if (stage_ != Stage::running || complete_ || share_ || no_space_ || reading_held_) return;
  if (peer.choking_us || !peer.known_to_picker || peer.demoted > turn.now.mono) return;
  const std::uint32_t room = peer.pipeline.room();
  if (room == 0) return;
  const std::uint64_t proving_blocks =
      std::uint64_t{limits::proving_pieces} * content_->piece_length / storage::block_bytes;
  blocks_.clear();
  if (!retrials_.empty()) pick_for_retrial(turn.now.mono, handle, peer, room);
  const auto taken = static_cast<std::uint32_t>(blocks_.size());
  if (taken < room && !on_parole(handle))
    work_->picker.pick({.peer = handle,
                        .want = room - taken,
                        .outstanding = peer.pipeline.outstanding() + taken,
                        .speed = peer.pipeline.rate(turn.now.mono),
                        .unjudged = unjudged_pieces(peer)},
                       blocks_);
  for (const BlockRef block : blocks_) {
    if (peer.good_blocks < proving_blocks) want_leaves(turn, block.piece, LeavesWanted::Why::ahead, handle);
    peer.pipeline.requested(turn.now.mono, block);
    send(turn, handle, peer,
         wire::Request{block.piece, block.block * storage::block_bytes,
                       content_->block_length(block.piece, block.block)});
  }
}

// After blocks became free, peers that had found nothing may find something.
void Swarm::fill_all(Turn& turn) {
  if (stage_ != Stage::running || complete_ || work_->map.supply() == seen_supply_) return;
  seen_supply_ = work_->map.supply();
  peers_.for_each([&](PeerHandle handle, Peer& peer) { fill(turn, handle, peer); });
}

void Swarm::release(Turn&, PeerHandle handle, Peer& peer, Pipeline::After after) {
  blocks_.clear();
  peer.pipeline.clear(after, blocks_);
  for (const BlockRef block : blocks_) work_->map.release(handle, block);
}

// ---- what comes

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Block& message) {
  const auto bytes = static_cast<std::uint32_t>(message.data.size());
  const BlockRef block{message.piece, message.begin / storage::block_bytes};
  if (stage_ != Stage::running || !work_->map.contains(block) || message.begin % storage::block_bytes != 0 ||
      bytes != content_->block_length(block.piece, block.block)) {
    turn.pool.give(std::move(message.data));
    return strike(turn, handle);
  }
  received_ += bytes;
  down_.add(turn.now.mono, bytes);
  peer.gave.add(turn.now.mono, bytes);
  const Pipeline::Receipt receipt = peer.pipeline.arrived(turn.now.mono, block, bytes);
  if (receipt == Pipeline::Receipt::unrequested) {
    wasted_ += bytes;
    turn.pool.give(std::move(message.data));
    return strike(turn, handle);
  }
  last_giver_ = handle;
  if (!std::exchange(told_receiving_, true)) event(turn, What::receiving);
  if (!std::exchange(judging_, true)) ask_hashes(turn);
  const auto asked = receipt == Pipeline::Receipt::late ? PieceMap::Asked::late : PieceMap::Asked::now;
  const PieceMap::Arrival arrival = work_->map.arrived(block, handle, asked);
  for (std::uint32_t i = 0; i < arrival.others; ++i) {
    Peer* other = peers_.find(arrival.cancel[i]);
    if (other == nullptr || !other->pipeline.cancelled(block)) continue;
    send(turn, arrival.cancel[i], *other,
         wire::Cancel{{block.piece, message.begin, content_->block_length(block.piece, block.block)}});
  }
  if (arrival.verdict != PieceMap::Verdict::accepted) {
    wasted_ += bytes;
    turn.pool.give(std::move(message.data));
    return;
  }
  Pending pending{.kind = Kind::write, .peer = handle, .piece = block.piece, .bytes = bytes};
  pending.request = {block.piece, message.begin, bytes};
  writing_bytes_ += bytes;
  submit(turn,
         storage::WriteJob{
             slot_, block, std::move(message.data),
             arrival.first_of_piece ? storage::WriteJob::First::yes : storage::WriteJob::First::no},
         pending);
}

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Reject& message) {
  const BlockRef block{message.request.piece, message.request.begin / storage::block_bytes};
  if (!work_ || !work_->map.contains(block)) return strike(turn, handle);
  if (!peer.pipeline.rejected(block)) {  // cancelled or given up: not refused
    if (!peer.may_talk(turn.now.mono)) drop(turn, handle, Roster::Why::misbehaved);
    return;
  }
  work_->map.release(handle, block);
  // Unchoked and yet refused what it says it has: in the end it is not asked for that any more, and for a
  // while for nothing else (THREATS A24).
  if (peer.choking_us || ++peer.rejects < limits::rejects_before_demotion) return;
  peer.rejects = 0;
  peer.demoted = turn.now.mono + limits::demotion * (1U << std::min(peer.demotions, limits::most_demotions));
  ++peer.demotions;
  work_->picker.peer_lacks(handle, block.piece);
  update_interest(turn, handle, peer);
}

// Reading stops while the disk is behind or full; the TCP windows close, and nothing more is asked for.
void Swarm::hold_back(Turn& turn) {
  const bool hold =
      no_space_ || commit_lags() || writing_bytes_ > (reading_held_ ? resume_below : hold_above);
  if (hold == reading_held_) return;
  reading_held_ = hold;
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!reading_limited_) turn.out.push_back(PauseRead{peer.stream, hold});
    if (hold) return;
    peer.pipeline.excuse(turn.now.mono);
    fill(turn, handle, peer);
  });
}

// ---- written

void Swarm::written(Turn& turn, const Pending& pending, storage::WriteDone& done) {
  turn.pool.give(std::move(done.spent));
  const BlockRef block{pending.piece, pending.request.begin / storage::block_bytes};
  const LeavesWanted* known = truth_of(block.piece);
  if (known != nullptr && known->truth[block.block] != done.mark) {
    wasted_ += pending.bytes;
    work_->map.write_failed(block);
    blame(turn, pending.peer, 1);
  } else if (work_->map.written(block, done.mark) == PieceMap::Progress::piece_complete) {
    judge(turn, block.piece);
  }
  if (no_space_ && space_retry_ == never && writing_bytes_ == 0 && waiting_writes_.empty() && !committing_) {
    no_space_ = false;
    event(turn, What::resumed);
  }
}

}  // namespace shoal::swarm
