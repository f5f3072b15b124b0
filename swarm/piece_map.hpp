// PieceMap: the exact state of every piece and block of one content. Each piece is in exactly one state;
// detail records exist for partial and complete pieces alone, so memory is bounded by what is in flight.
//
// What it is not: it knows no rarity, no time and no hashes beyond keeping leaves; picker.hpp chooses, the
// swarm compares roots. Pieces are those of storage::Content; one is wanted where any file in it is.
//
// Way of a piece:  missing -> partial -> complete -> verified -> have.  Back: blame() and write_failed() make
// a complete piece partial; a partial piece that has lost all its blocks is missing again; recheck() leads
// from have to complete. Preconditions are our own duty and are checked with SHOAL_CHECK, except where a peer
// decides.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/hash.hpp"
#include "storage/content.hpp"
#include "swarm/piece_detail.hpp"

namespace shoal::swarm {

class PieceMap {
 public:
  static constexpr std::size_t most_requesters = swarm::most_requesters;

  // `have`: one bit a piece. `wanted`: one bool a file; empty: all.
  PieceMap(storage::ContentPtr content, const Bitfield& have, const std::vector<bool>& wanted = {});

  [[nodiscard]] const storage::Content& content() const { return *content_; }
  [[nodiscard]] std::uint32_t pieces() const { return content_->pieces; }
  [[nodiscard]] PieceState state(std::uint32_t piece) const { return states_[piece].state; }
  [[nodiscard]] bool wanted(std::uint32_t piece) const { return states_[piece].wanted; }
  [[nodiscard]] BlockState block_state(BlockRef block) const;
  [[nodiscard]] bool have(std::uint32_t piece) const { return have_.test(piece); }
  [[nodiscard]] const Bitfield& have_bits() const { return have_; }
  // All wanted pieces are `have`.
  [[nodiscard]] bool finished() const { return wanted_have_ == wanted_; }
  [[nodiscard]] std::uint32_t wanted_pieces() const { return wanted_; }
  [[nodiscard]] std::uint64_t wanted_bytes() const { return wanted_bytes_; }
  [[nodiscard]] std::uint64_t verified_bytes() const { return verified_bytes_; }  // wanted; verified or have
  [[nodiscard]] std::uint64_t committed_bytes() const { return committed_bytes_; }  // wanted; have
  [[nodiscard]] std::uint32_t verified_count() const {
    return verified_count_;
  }  // verified or have, any file
  [[nodiscard]] std::uint64_t free_blocks() const {
    return free_blocks_;
  }  // of wanted missing and partial pieces that are not reserved
  [[nodiscard]] std::uint32_t requested_blocks() const { return requested_blocks_; }

  void set_wanted(std::uint32_t file, bool wanted);

  // ---- blocks from peers
  enum class Verdict : std::uint8_t {
    accepted,    // write it, then call written() or write_failed()
    duplicate,   // here already, or on its way to the disk: discard
    unrequested  // never asked of this peer, or no longer: discard
  };
  struct Arrival {
    Verdict verdict = Verdict::unrequested;
    bool first_of_piece =
        false;                 // accepted, and nothing of this piece was on the disk before: WriteJob::First
    std::uint32_t others = 0;  // how many of `cancel` are set
    std::array<PeerHandle, most_requesters> cancel{};  // who else was asked for it: send them a cancel
  };
  // `late`: the request was given up (release) and is answered nevertheless; taken if still needed.
  enum class Asked : std::uint8_t { now, late };
  // `block` must lie in the content (contains()).
  [[nodiscard]] Arrival arrived(BlockRef block, PeerHandle peer, Asked asked = Asked::now);
  [[nodiscard]] bool contains(BlockRef block) const {
    return block.piece < pieces() && block.block < content_->blocks_in(block.piece);
  }
  enum class Progress : std::uint8_t { more, piece_complete };
  // The write of an arrived block is done. piece_complete: compare the root over leaves(piece) with the
  // expected one, then call verified() or failed().
  [[nodiscard]] Progress written(BlockRef block, const Sha256& leaf);
  void write_failed(BlockRef block);  // arrived -> free
  // The request is given up: rejected, timed out, cancelled, choked, peer gone. Unknown ones are ignored.
  void release(PeerHandle peer, BlockRef block);

  // ---- pieces
  // Leaves (marks, of v1 alone) of a complete piece, one a block; empty if it has no detail (checking()).
  // Valid until the next change.
  [[nodiscard]] std::span<const Sha256> leaves(std::uint32_t piece) const;
  // Who sent its blocks, as many; nobody: it lay on the disk before this run.
  [[nodiscard]] std::vector<PeerHandle> senders(std::uint32_t piece) const;
  void verified(std::uint32_t piece);  // complete -> verified; its detail is dropped
  // complete stays complete and holds its blocks until blame() or reset(); told apart by failed_pieces().
  void failed(std::uint32_t piece);
  [[nodiscard]] std::span<const std::uint32_t> failed_pieces() const { return failed_; }
  struct Bad {
    BlockRef block;
    PeerHandle sender{};  // nothing: it lay on the disk before this run
  };
  // The true leaf hashes of a complete piece, one a block: blocks that differ are freed and told with their
  // senders, the good ones stay, the piece is partial again. With none bad it stays complete: verify it.
  [[nodiscard]] std::vector<Bad> blame(std::uint32_t piece, std::span<const Sha256> true_leaves);
  // complete or partial -> missing: every block is forgotten (blocks in flight turn `unrequested`).
  // Precondition: none is `arrived`.
  void reset(std::uint32_t piece);
  void committed(std::uint32_t piece);  // verified -> have
  // From now on, until it is verified, a missing piece is not for the picker: its blocks are asked for by
  // request_free alone, each of one peer, and taken from nobody who was asked before.
  void reserve(std::uint32_t piece);
  [[nodiscard]] bool reserved(std::uint32_t piece) const { return states_[piece].reserved; }

  // ---- what lay on the disk before (touched pieces; changed files)
  void checking(std::uint32_t piece);  // missing -> complete without detail: not picked while it is hashed
  void recheck(std::uint32_t piece);   // verified or have -> complete without detail: no longer served
  // A piece under checking() was hashed: blocks with good[i] are kept as written with leaves[i], the others
  // are free; none good: missing; all good: complete (compare the root). Spans: one a block, or shorter.
  void restore(std::uint32_t piece, std::span<const Sha256> leaves, const std::vector<bool>& good);

  // ---- for the picker
  // Asks `peer` for up to `most` free blocks of a missing or partial piece, in order, appending them to
  // `out`. A missing piece begins. Returns how many.
  std::uint32_t request_free(std::uint32_t piece, PeerHandle peer, double speed, std::uint32_t most,
                             std::vector<BlockRef>& out);
  // Asks a further peer for a requested block. False if it is asked already or the block has its most
  // requesters.
  bool request_again(BlockRef block, PeerHandle peer);
  struct Summary {
    std::uint32_t free = 0, requested = 0, written = 0, blocks = 0;
    double speed = 0;  // bytes a second of the fastest peer lately asked for it
  };
  [[nodiscard]] Summary summary(std::uint32_t piece) const;  // of a partial piece
  // Wanted partial pieces that have free blocks and are not reserved, in no order that means anything.
  [[nodiscard]] std::span<const std::uint32_t> open_pieces() const { return open_; }
  [[nodiscard]] std::uint32_t partial_blocks() const { return detail_blocks_; }  // held in detail records
  // Requested blocks that may take another requester, oldest request first. Valid until the next change.
  static constexpr std::uint32_t no_id = swarm::no_id;
  [[nodiscard]] std::uint32_t oldest_request() const { return oldest_; }
  [[nodiscard]] std::uint32_t request_after(std::uint32_t id) const { return block_of(id).next; }
  [[nodiscard]] BlockRef request_at(std::uint32_t id) const;
  // Pieces whose state or wantedness changed since the last call, each once, in order of the first change.
  [[nodiscard]] std::span<const std::uint32_t> changes() const { return changed_; }
  void clear_changes();
  // Rises whenever a block becomes free or takes a further requester: what a peer that found nothing waits
  // for.
  [[nodiscard]] std::uint64_t supply() const { return supply_; }

  // Every invariant at the head of piece_map.cpp, recomputed. O(everything): for tests and fuzzing.
  void check_invariants() const;

 private:
  static constexpr std::uint32_t block_bits = 12;  // 64 MiB pieces have 4,096 blocks

  [[nodiscard]] BlockEntry& block_of(std::uint32_t id) {
    return details_[id >> block_bits].blocks[id & ((1U << block_bits) - 1)];
  }
  [[nodiscard]] const BlockEntry& block_of(std::uint32_t id) const {
    return details_[id >> block_bits].blocks[id & ((1U << block_bits) - 1)];
  }
  PieceDetail& begin_detail(std::uint32_t piece);
  void drop_detail(std::uint32_t piece);
  void enter(std::uint32_t piece, PieceState state);
  void note_change(std::uint32_t piece);
  void count(std::uint32_t piece, int sign);  // adds or takes away the piece in all totals
  void set_reserved(std::uint32_t piece, bool reserved);
  void update_open(PieceDetail& detail);
  void set_free(PieceDetail& detail, std::uint32_t block);
  void settle(std::uint32_t piece);  // a partial piece without any block is missing again
  enum class End : std::uint8_t { oldest, newest };
  void list(std::uint32_t id, End end);
  void unlist(std::uint32_t id);

  [[nodiscard]] bool any_wanted(std::uint32_t piece) const;  // of its files

  storage::ContentPtr content_;
  std::vector<bool> wanted_files_;
  std::vector<PieceEntry> states_;
  Bitfield have_;
  std::vector<PieceDetail> details_;
  std::vector<std::uint32_t> spare_, open_, changed_, failed_;
  std::uint32_t oldest_ = no_id, newest_ = no_id;
  std::uint64_t supply_ = 1, free_blocks_ = 0;
  std::uint32_t requested_blocks_ = 0, detail_blocks_ = 0;
  std::uint32_t wanted_ = 0, wanted_have_ = 0, verified_count_ = 0;
  std::uint64_t wanted_bytes_ = 0, verified_bytes_ = 0, committed_bytes_ = 0;
};

}  // namespace shoal::swarm
