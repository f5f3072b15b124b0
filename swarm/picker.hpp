// Picker: which blocks to ask a peer for. It holds what the peers have, and stands on the PieceMap, which it
// tells of every request it makes.
//
// Preferences, in order: pieces with a deadline; a piece this peer is already on; partial pieces (strict
// priority, BEP 3 economics paper), unless a faster peer is about to finish them; a new piece, rarest first
// with random ties; when all that is missing has been requested, endgame: the oldest requests a second time.
//
// Deviations from the paper: (1) the random first pieces are asked of leeches only; a seed is always asked
// for the rarest, because the upload of a lone seed is what a young swarm lacks. (2) A partial piece is
// shared with further peers only when it would otherwise take longer than limits::join_after.
//
// Cost: O(1) amortised a block; see the head of picker.cpp. Nothing is allocated in steady state.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dht/base/random.hpp"
#include "swarm/limits.hpp"
#include "swarm/piece_map.hpp"
#include "swarm/rarity.hpp"

namespace shoal::swarm {

enum class Priority : std::uint8_t { unwanted, low, normal, high };

class Picker {
 public:
  // `map` outlives the picker; nobody else calls its changes().
  Picker(PieceMap& map, Random random);

  // ---- what the peers have. A peer must be added once (its pieces message) before anything else of it.
  // `pieces` has exactly map.pieces() bits. A peer already there is replaced.
  void add_peer(PeerHandle peer, Bitfield pieces);
  void add_peer_empty(PeerHandle peer) { add_peer(peer, Bitfield{map_->pieces()}); }
  void remove_peer(PeerHandle peer);  // unknown: ignored. Its requests are the caller's to release.
  [[nodiscard]] bool knows(PeerHandle peer) const { return find(peer) != nullptr; }
  // HAVE: false if it said so before (or is unknown). `piece` < pieces().
  bool peer_has(PeerHandle peer, std::uint32_t piece);
  // It rejects what it advertised: never asked for this piece again in this connection.
  void peer_lacks(PeerHandle peer, std::uint32_t piece);
  [[nodiscard]] bool has(PeerHandle peer, std::uint32_t piece) const;
  [[nodiscard]] bool is_seed(PeerHandle peer) const;  // it has every piece
  [[nodiscard]] std::uint32_t pieces_of(PeerHandle peer) const;
  // How many wanted pieces it has that we lack (missing or partial): we are interested while it is not 0.
  // O(1).
  [[nodiscard]] std::uint32_t interesting(PeerHandle peer);
  [[nodiscard]] std::uint32_t availability(std::uint32_t piece) const;  // peers that have it, seeds included
  [[nodiscard]] std::uint32_t rarest() const;  // of all pieces, the least availability; O(pieces)
  [[nodiscard]] std::uint32_t seeds() const { return seeds_; }

  // ---- choosing
  struct Ask {
    PeerHandle peer{};
    std::uint32_t want = 0;         // blocks
    std::uint32_t outstanding = 0;  // requests it has of us now: bounds the duplicates of endgame
    double speed = 0;               // bytes a second it gives; 0: unknown
    // 0: of any number of pieces; else of so many that are not judged yet, at most limits::unproven_pieces,
    // and of those that others are on only where there is nothing else.
    std::uint32_t unjudged = 0;
  };
  // Appends at most `want` blocks to `out` and marks them requested of this peer in the map. Never a block
  // that the peer is asked for at present. Returns how many.
  std::uint32_t pick(const Ask& ask, std::vector<BlockRef>& out);
  // Of how many pieces, of those that it was asked for lately, it is not known yet whether they are right: up
  // to limits::unproven_pieces.
  [[nodiscard]] std::uint32_t unjudged(PeerHandle peer) const;
  // Every block that can be had has been requested.
  [[nodiscard]] bool endgame();

  // unwanted is PieceMap::set_wanted's business and is done here too.
  void set_priority(std::uint32_t file, Priority priority);
  // Streaming: pieces wanted next, most urgent first; replaces the list, takes the first
  // limits::max_deadlines.
  void set_deadlines(std::span<const std::uint32_t> pieces);

  // Candidates examined and swaps made since the start: for tests of cost.
  [[nodiscard]] std::uint64_t steps() const;
  void check_invariants();

 private:
  struct PeerEntry {
    std::uint32_t generation = 0;  // 0: nobody
    bool seed = false;
    bool unreliable = false;             // peer_lacks() was said of it: stays a bitfield, even a full one
    Bitfield pieces;                     // empty for a seed
    std::uint32_t interesting = 0;       // of a seed: see lacking_
    std::uint32_t on = PieceMap::no_id;  // the piece it was last asked for
    // Pieces it was asked for, as many as may matter; some may be judged by now.
    std::array<std::uint32_t, limits::unproven_pieces> unjudged{PieceMap::no_id, PieceMap::no_id};
    std::uint64_t starved = 0;  // supply at which nothing was found for it
  };
  enum class Level : std::uint8_t { low, normal, high };

  [[nodiscard]] const PeerEntry* find(PeerHandle peer) const;
  [[nodiscard]] PeerEntry* find(PeerHandle peer);
  [[nodiscard]] bool holds(const PeerEntry& peer, std::uint32_t piece) const {
    return peer.seed || peer.pieces.test(piece);
  }
  void sync();  // takes up what changed in the map
  void sync_piece(std::uint32_t piece);
  void count_availability(PeerEntry& peer, int sign);
  void shift_availability(std::uint32_t piece, int by);
  void become_seed(PeerEntry& peer);
  [[nodiscard]] RarityOrder& order_of(std::uint32_t piece);

  [[nodiscard]] bool awaits_judgement(const PeerEntry& peer, std::uint32_t piece) const;
  [[nodiscard]] std::uint32_t unjudged(const PeerEntry& peer) const;
  void remember(PeerEntry& peer, std::uint32_t piece);
  // Each appends up to `want` blocks and returns how many.
  std::uint32_t of_few_pieces(PeerEntry& peer, const Ask& ask, std::vector<BlockRef>& out);
  enum class Join : std::uint8_t { helpful, any };
  std::uint32_t take(PeerEntry& peer, const Ask& ask, std::uint32_t piece, std::uint32_t want,
                     std::vector<BlockRef>& out);
  std::uint32_t from_deadlines(PeerEntry& peer, const Ask& ask, std::uint32_t want,
                               std::vector<BlockRef>& out);
  std::uint32_t from_partials(PeerEntry& peer, const Ask& ask, std::uint32_t want, Join join,
                              std::vector<BlockRef>& out);
  std::uint32_t from_new(PeerEntry& peer, const Ask& ask, std::uint32_t want, bool& full,
                         std::vector<BlockRef>& out);
  std::uint32_t from_requests(PeerEntry& peer, const Ask& ask, std::uint32_t want,
                              std::vector<BlockRef>& out);
  [[nodiscard]] std::uint32_t rarest(const PeerEntry& peer, Level level);  // no_id: none
  [[nodiscard]] std::uint32_t sampled(const PeerEntry& peer, Level level, std::uint32_t most);
  [[nodiscard]] bool nothing_new() const;

  PieceMap* map_;
  Random random_;
  std::vector<PeerEntry> peers_;          // by handle index
  std::vector<std::uint16_t> available_;  // by piece, seeds not counted
  std::vector<Level> levels_;             // by piece
  std::vector<RarityOrder> orders_;       // low, normal, high: wanted missing pieces
  std::vector<Bitfield> startable_;       // the same as bits, by level
  Bitfield lacking_;                      // wanted pieces that are missing or partial
  std::vector<std::uint32_t> deadlines_;
  std::uint32_t seeds_ = 0;
  std::uint32_t turn_ = 0;  // where the next walk of partial pieces starts
  std::uint64_t steps_ = 0;
};

}  // namespace shoal::swarm
