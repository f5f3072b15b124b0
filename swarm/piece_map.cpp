// Invariants (check_invariants recomputes them):
//  - have_ holds exactly the pieces in state have; failed_ only complete ones.
//  - A detail record exists for every partial piece, for no missing, verified or have piece, and for complete
//  ones
//    that were fetched or restored here.
//  - A block has requesters exactly while it is requested, distinct ones, at most most_requesters, of a
//    reserved piece one; it is in the list of requests exactly while it is requested and may take another.
//  - A partial piece has a block that is not free and one that is not written.
//  - open_ holds exactly the wanted partial pieces with a free block that are not reserved. No verified or
//    have piece is reserved.
//  - The totals (wanted bytes, free blocks, ...) are the sums over pieces.
#include "swarm/piece_map.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

bool needs(PieceState state) { return state == PieceState::missing || state == PieceState::partial; }
bool offered(const PieceEntry& entry) { return entry.wanted && !entry.reserved; }
bool right(PieceState state) { return state == PieceState::verified || state == PieceState::have; }

}  // namespace

PieceMap::PieceMap(storage::ContentPtr content, const Bitfield& have, const std::vector<bool>& wanted)
    : content_(std::move(content)), wanted_files_(wanted), states_(content_->pieces), have_(have) {
  SHOAL_CHECK(have.size() == content_->pieces);
  if (wanted_files_.empty()) wanted_files_.assign(content_->files.size(), true);
  SHOAL_CHECK(wanted_files_.size() == content_->files.size());
  for (std::uint32_t piece = 0; piece < pieces(); ++piece) {
    PieceEntry& entry = states_[piece];
    if (have_.test(piece)) entry.state = PieceState::have;
    entry.wanted = wanted.empty() || any_wanted(piece);
    count(piece, 1);
  }
}

bool PieceMap::any_wanted(std::uint32_t piece) const {
  bool any = false, padding = true;
  content_->visit_extents(piece, [&](const storage::Extent& in) {
    any = any || wanted_files_[in.file];
    padding = false;
  });
  return any || padding;  // without it nobody is whole
}

// ---- bookkeeping

void PieceMap::count(std::uint32_t piece, int sign) {
  const PieceEntry& entry = states_[piece];
  const auto add = [sign](auto& total, std::uint64_t amount) {
    using Total = std::remove_reference_t<decltype(total)>;
    total = sign > 0 ? static_cast<Total>(total + amount) : static_cast<Total>(total - amount);
  };
  if (right(entry.state)) add(verified_count_, 1);
  if (!entry.wanted) return;
  const std::uint64_t bytes = content_->piece_bytes(piece);
  add(wanted_, 1);
  add(wanted_bytes_, bytes);
  if (right(entry.state)) add(verified_bytes_, bytes);
  if (entry.state == PieceState::have) {
    add(wanted_have_, 1);
    add(committed_bytes_, bytes);
  }
  if (entry.reserved) return;
  if (entry.state == PieceState::missing) add(free_blocks_, content_->blocks_in(piece));
  if (entry.state == PieceState::partial) add(free_blocks_, details_[entry.detail].free);
}

void PieceMap::note_change(std::uint32_t piece) {
  if (states_[piece].changed) return;
  states_[piece].changed = true;
  changed_.push_back(piece);
}

void PieceMap::clear_changes() {
  for (const std::uint32_t piece : changed_) states_[piece].changed = false;
  changed_.clear();
}

void PieceMap::enter(std::uint32_t piece, PieceState state) {
  PieceEntry& entry = states_[piece];
  if (entry.state == state) return;
  count(piece, -1);
  if (entry.state == PieceState::have) have_.reset(piece);
  entry.state = state;
  if (state == PieceState::have) have_.set(piece);
  count(piece, 1);
  if (state == PieceState::missing) ++supply_;
  note_change(piece);
}

// A fresh record, every block free. The piece's state is the caller's business and must not be partial yet.
PieceDetail& PieceMap::begin_detail(std::uint32_t piece) {
  PieceEntry& entry = states_[piece];
  SHOAL_CHECK(entry.detail == no_id);
  if (spare_.empty()) {
    spare_.push_back(static_cast<std::uint32_t>(details_.size()));
    details_.emplace_back();
    SHOAL_CHECK(details_.size() < (std::size_t{1} << (32 - block_bits)) - 1);
  }
  entry.detail = spare_.back();
  spare_.pop_back();
  PieceDetail& detail = details_[entry.detail];
  const std::uint32_t blocks = content_->blocks_in(piece);
  SHOAL_CHECK(blocks <= 1U << block_bits);
  detail.piece = piece;
  detail.free = blocks;
  detail.requested = detail.arrived = detail.written = detail.first_free = 0;
  detail.open_at = no_id;
  detail.on_disk = false;
  detail.speed = 0;
  detail.blocks.assign(blocks, BlockEntry{});
  detail.leaves.resize(blocks);
  detail_blocks_ += blocks;
  return detail;
}

void PieceMap::drop_detail(std::uint32_t piece) {
  PieceEntry& entry = states_[piece];
  if (entry.detail == no_id) return;
  PieceDetail& detail = details_[entry.detail];
  SHOAL_CHECK(detail.arrived == 0);
  for (std::uint32_t block = 0; detail.requested > 0 && block < detail.blocks.size(); ++block) {
    if (detail.blocks[block].state != BlockState::requested) continue;
    unlist((entry.detail << block_bits) | block);
    --detail.requested;
    --requested_blocks_;
  }
  detail.free = 0;
  update_open(detail);
  detail_blocks_ -= static_cast<std::uint32_t>(detail.blocks.size());
  detail.piece = no_id;
  spare_.push_back(entry.detail);
  entry.detail = no_id;
}

// Puts the piece into open_ or takes it out, as its state says.
void PieceMap::update_open(PieceDetail& detail) {
  const PieceEntry& entry = states_[detail.piece];
  const bool open = entry.state == PieceState::partial && offered(entry) && detail.free > 0;
  if (open == (detail.open_at != no_id)) return;
  if (open) {
    detail.open_at = static_cast<std::uint32_t>(open_.size());
    open_.push_back(detail.piece);
    return;
  }
  const std::uint32_t last = open_.back();
  open_[detail.open_at] = last;
  details_[states_[last].detail].open_at = detail.open_at;
  open_.pop_back();
  detail.open_at = no_id;
}

// The block's own fields and the counts of free ones; the caller has taken it out of its former count.
void PieceMap::set_free(PieceDetail& detail, std::uint32_t block) {
  BlockEntry& entry = detail.blocks[block];
  entry.state = BlockState::free;
  entry.requesters = 0;
  entry.peers.fill(PeerHandle{});
  ++detail.free;
  detail.first_free = std::min(detail.first_free, block);
  const PieceEntry& piece = states_[detail.piece];
  if (offered(piece) && piece.state == PieceState::partial) ++free_blocks_;
  ++supply_;
  update_open(detail);
}

void PieceMap::settle(std::uint32_t piece) {
  const PieceEntry& entry = states_[piece];
  if (entry.state != PieceState::partial) return;
  if (details_[entry.detail].free != details_[entry.detail].blocks.size()) return;
  enter(piece, PieceState::missing);
  drop_detail(piece);
}

void PieceMap::list(std::uint32_t id, End end) {
  BlockEntry& block = block_of(id);
  if (block.listed) return;
  block.listed = true;
  block.previous = end == End::newest ? newest_ : no_id;
  block.next = end == End::newest ? no_id : oldest_;
  if (block.previous != no_id) block_of(block.previous).next = id;
  if (block.next != no_id) block_of(block.next).previous = id;
  if (block.previous == no_id) oldest_ = id;
  if (block.next == no_id) newest_ = id;
}

void PieceMap::unlist(std::uint32_t id) {
  BlockEntry& block = block_of(id);
  if (!block.listed) return;
  (block.previous == no_id ? oldest_ : block_of(block.previous).next) = block.next;
  (block.next == no_id ? newest_ : block_of(block.next).previous) = block.previous;
  block.listed = false;
  block.previous = block.next = no_id;
}

// ---- questions

BlockState PieceMap::block_state(BlockRef block) const {
  SHOAL_CHECK(contains(block));
  const PieceEntry& entry = states_[block.piece];
  if (entry.detail != no_id) return details_[entry.detail].blocks[block.block].state;
  return entry.state == PieceState::missing ? BlockState::free : BlockState::written;
}

std::span<const Sha256> PieceMap::leaves(std::uint32_t piece) const {
  const PieceEntry& entry = states_[piece];
  if (entry.state != PieceState::complete || entry.detail == no_id) return {};
  return details_[entry.detail].leaves;
}

std::vector<PeerHandle> PieceMap::senders(std::uint32_t piece) const {
  const PieceEntry& entry = states_[piece];
  if (entry.state != PieceState::complete || entry.detail == no_id) return {};
  std::vector<PeerHandle> out;
  for (const BlockEntry& block : details_[entry.detail].blocks) out.push_back(block.peers[0]);
  return out;
}

PieceMap::Summary PieceMap::summary(std::uint32_t piece) const {
  const PieceEntry& entry = states_[piece];
  SHOAL_CHECK(entry.state == PieceState::partial);
  const PieceDetail& detail = details_[entry.detail];
  return {.free = detail.free,
          .requested = detail.requested,
          .written = detail.written,
          .blocks = static_cast<std::uint32_t>(detail.blocks.size()),
          .speed = detail.speed};
}

BlockRef PieceMap::request_at(std::uint32_t id) const {
  return {.piece = details_[id >> block_bits].piece, .block = id & ((1U << block_bits) - 1)};
}

void PieceMap::set_wanted(std::uint32_t file, bool wanted) {
  const storage::ContentFile& entry = content_->files[file];
  wanted_files_[file] = wanted;
  for (std::uint32_t piece = entry.first_piece; piece < entry.first_piece + entry.pieces; ++piece) {
    const bool any = wanted || any_wanted(piece);
    if (states_[piece].wanted == any) continue;
    count(piece, -1);
    states_[piece].wanted = any;
    count(piece, 1);
    if (states_[piece].detail != no_id) update_open(details_[states_[piece].detail]);
    note_change(piece);
    ++supply_;
  }
}

// ---- blocks

std::uint32_t PieceMap::request_free(std::uint32_t piece, PeerHandle peer, double speed, std::uint32_t most,
                                     std::vector<BlockRef>& out) {
  SHOAL_CHECK(needs(states_[piece].state));
  if (most == 0) return 0;
  if (states_[piece].state == PieceState::missing) {
    begin_detail(piece);
    enter(piece, PieceState::partial);
  }
  const std::uint32_t slot = states_[piece].detail;
  PieceDetail& detail = details_[slot];
  detail.speed = detail.requested == 0 ? speed : std::max(detail.speed, speed);
  std::uint32_t taken = 0;
  std::uint32_t block = detail.first_free;
  for (; block < detail.blocks.size() && taken < most && detail.free > 0; ++block) {
    BlockEntry& entry = detail.blocks[block];
    if (entry.state != BlockState::free) continue;
    entry.state = BlockState::requested;
    entry.requesters = 1;
    entry.peers[0] = peer;
    --detail.free;
    ++detail.requested;
    if (most_requesters > 1 && !states_[piece].reserved) list((slot << block_bits) | block, End::newest);
    out.push_back({.piece = piece, .block = block});
    ++taken;
  }
  detail.first_free = block;
  requested_blocks_ += taken;
  if (offered(states_[piece])) free_blocks_ -= taken;
  update_open(detail);
  return taken;
}

bool PieceMap::request_again(BlockRef block, PeerHandle peer) {
  const std::uint32_t slot = states_[block.piece].detail;
  if (slot == no_id || states_[block.piece].reserved) return false;
  BlockEntry& entry = details_[slot].blocks[block.block];
  if (entry.state != BlockState::requested || entry.requesters >= most_requesters) return false;
  const auto end = entry.peers.begin() + entry.requesters;
  if (std::find(entry.peers.begin(), end, peer) != end) return false;
  entry.peers[entry.requesters++] = peer;
  if (entry.requesters == most_requesters) unlist((slot << block_bits) | block.block);
  return true;
}

void PieceMap::release(PeerHandle peer, BlockRef block) {
  if (!contains(block) || states_[block.piece].detail == no_id) return;
  const std::uint32_t slot = states_[block.piece].detail;
  PieceDetail& detail = details_[slot];
  BlockEntry& entry = detail.blocks[block.block];
  if (entry.state != BlockState::requested) return;
  const auto end = entry.peers.begin() + entry.requesters;
  const auto found = std::find(entry.peers.begin(), end, peer);
  if (found == end) return;
  std::copy(found + 1, end, found);
  entry.peers[--entry.requesters] = PeerHandle{};
  const std::uint32_t id = (slot << block_bits) | block.block;
  if (entry.requesters > 0) {
    list(id, End::oldest);  // it has waited longest: the next in endgame takes it first
    ++supply_;
    return;
  }
  unlist(id);
  --detail.requested;
  --requested_blocks_;
  set_free(detail, block.block);
  settle(block.piece);
}

PieceMap::Arrival PieceMap::arrived(BlockRef block, PeerHandle peer, Asked asked) {
  SHOAL_CHECK(contains(block));
  Arrival out;
  PieceEntry& entry = states_[block.piece];
  const bool late = asked == Asked::late;
  if (!needs(entry.state) || (late && entry.reserved) ||
      (entry.state == PieceState::missing && late && !entry.wanted)) {
    out.verdict = Verdict::duplicate;
    return out;
  }
  if (entry.state == PieceState::missing) {
    if (!late) return out;
    begin_detail(block.piece);
    enter(block.piece, PieceState::partial);
  }
  const std::uint32_t slot = entry.detail;
  PieceDetail& detail = details_[slot];
  BlockEntry& target = detail.blocks[block.block];
  if (target.state == BlockState::arrived || target.state == BlockState::written) {
    out.verdict = Verdict::duplicate;
    return out;
  }
  const auto end = target.peers.begin() + target.requesters;
  if (!late && std::find(target.peers.begin(), end, peer) == end) return out;
  out.verdict = Verdict::accepted;
  out.first_of_piece = !detail.on_disk;
  for (auto other = target.peers.begin(); other != end; ++other)
    if (*other != peer) out.cancel[out.others++] = *other;
  if (target.state == BlockState::requested) {
    unlist((slot << block_bits) | block.block);
    --detail.requested;
    --requested_blocks_;
  } else {
    --detail.free;
    if (offered(entry)) --free_blocks_;
  }
  target.state = BlockState::arrived;
  target.requesters = 0;
  target.peers.fill(PeerHandle{});
  target.peers[0] = peer;
  detail.on_disk = true;
  ++detail.arrived;
  update_open(detail);
  return out;
}

PieceMap::Progress PieceMap::written(BlockRef block, const Sha256& leaf) {
  SHOAL_CHECK(block_state(block) == BlockState::arrived);
  PieceDetail& detail = details_[states_[block.piece].detail];
  detail.blocks[block.block].state = BlockState::written;
  detail.leaves[block.block] = leaf;
  --detail.arrived;
  ++detail.written;
  if (detail.written != detail.blocks.size()) return Progress::more;
  enter(block.piece, PieceState::complete);
  return Progress::piece_complete;
}

void PieceMap::write_failed(BlockRef block) {
  SHOAL_CHECK(block_state(block) == BlockState::arrived);
  PieceDetail& detail = details_[states_[block.piece].detail];
  --detail.arrived;
  detail.on_disk = detail.arrived + detail.written > 0;
  set_free(detail, block.block);
  settle(block.piece);
}

// ---- pieces

void PieceMap::verified(std::uint32_t piece) {
  SHOAL_CHECK(state(piece) == PieceState::complete);
  std::erase(failed_, piece);
  set_reserved(piece, false);
  enter(piece, PieceState::verified);
  drop_detail(piece);
}

void PieceMap::failed(std::uint32_t piece) {
  SHOAL_CHECK(state(piece) == PieceState::complete);
  if (std::find(failed_.begin(), failed_.end(), piece) == failed_.end()) failed_.push_back(piece);
}

std::vector<PieceMap::Bad> PieceMap::blame(std::uint32_t piece, std::span<const Sha256> true_leaves) {
  SHOAL_CHECK(state(piece) == PieceState::complete && states_[piece].detail != no_id);
  PieceDetail& detail = details_[states_[piece].detail];
  SHOAL_CHECK(true_leaves.size() == detail.blocks.size());
  std::vector<Bad> bad;
  for (std::uint32_t block = 0; block < detail.blocks.size(); ++block)
    if (detail.leaves[block] != true_leaves[block])
      bad.push_back({.block = {.piece = piece, .block = block}, .sender = detail.blocks[block].peers[0]});
  if (bad.empty()) return bad;
  std::erase(failed_, piece);
  enter(piece, PieceState::partial);
  for (const Bad& one : bad) {
    --detail.written;
    set_free(detail, one.block.block);
  }
  settle(piece);
  return bad;
}

void PieceMap::reset(std::uint32_t piece) {
  SHOAL_CHECK(state(piece) == PieceState::complete || state(piece) == PieceState::partial);
  std::erase(failed_, piece);
  enter(piece, PieceState::missing);
  drop_detail(piece);
}

void PieceMap::committed(std::uint32_t piece) {
  if (state(piece) == PieceState::verified) enter(piece, PieceState::have);
}

void PieceMap::set_reserved(std::uint32_t piece, bool reserved) {
  PieceEntry& entry = states_[piece];
  if (entry.reserved == reserved) return;
  count(piece, -1);
  entry.reserved = reserved;
  count(piece, 1);
  note_change(piece);
  if (!reserved) ++supply_;
}

void PieceMap::reserve(std::uint32_t piece) {
  SHOAL_CHECK(state(piece) == PieceState::missing);
  set_reserved(piece, true);
}

void PieceMap::checking(std::uint32_t piece) {
  SHOAL_CHECK(state(piece) == PieceState::missing);
  enter(piece, PieceState::complete);
}

void PieceMap::recheck(std::uint32_t piece) {
  SHOAL_CHECK(right(state(piece)));
  enter(piece, PieceState::complete);
}

void PieceMap::restore(std::uint32_t piece, std::span<const Sha256> leaves, const std::vector<bool>& good) {
  SHOAL_CHECK(state(piece) == PieceState::complete && states_[piece].detail == no_id);
  PieceDetail& detail = begin_detail(piece);
  const std::size_t known = std::min({leaves.size(), good.size(), detail.blocks.size()});
  for (std::size_t block = 0; block < known; ++block) {
    if (!good[block]) continue;
    detail.blocks[block].state = BlockState::written;
    detail.leaves[block] = leaves[block];
    --detail.free;
    ++detail.written;
  }
  detail.on_disk = detail.written > 0;
  ++supply_;
  if (detail.free == 0) return;
  enter(piece, PieceState::partial);
  update_open(detail);
  settle(piece);
}

}  // namespace shoal::swarm
