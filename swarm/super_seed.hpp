// SuperSeed: which pieces a lone seed reveals to whom (BEP 16 in spirit), so that it uploads each piece about
// once while the swarm is young. Without it, rarest first with random ties makes several leeches ask the seed
// for the same piece: with k pieces on their way and m not yet out, a new choice collides with probability k
// / m.
//
// Deviations: every peer is unchoked, up to limits::super_slots, and pieces are shown one by one, in turn to
// whoever has fewest to finish and has waited longest, so that each piece begins to spread from
// somewhere else: were a few peers given everything for a while, those behind them would get it by the same
// few uplinks. A peer gets its next when it has finished the one before; whether it passes them on counts
// only from the fifth on that it alone has: then it comes last, for it may be one that gives nothing. A piece
// that is shown to choked peers alone may be shown to another; one that an unchoked peer was shown is not,
// unless it takes longer than `patience`; and no second copy of anything is begun while first copies are on
// their way.
//
// A peer whose turn is over is not choked amid its pieces, whose beginnings would be wasted on it while the
// whole is sent to another: it is shown no more, and choked when open() is 0 (Peer::draining).
//
// It decides nothing about choking and sends nothing: it returns the pieces to announce with Have. Use: while
// super_seeding_useful, greet peers with "no pieces", reveal(1) to those that are choked, so that they are
// interested; to next_taker(), while too few are on_their_way; reject requests for pieces not shown(). When
// it is useful no more, announce the rest to everybody.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/random.hpp"
#include "dht/base/time.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm {

// Whether to super-seed: we are a seed, and not every piece is out yet. From the first peer on: one that was
// told of everything would ask for what the next ones are shown. `least_availability`: of the rarest piece
// among the connected peers that lack some. Who says that it has all does not count: it may lie (THREATS
// A24), and if it gives, its pieces are seen with those that get them.
[[nodiscard]] bool super_seeding_useful(bool complete, std::uint32_t peers, std::uint32_t least_availability);

class SuperSeed {
 public:
  SuperSeed(std::uint32_t pieces, Random random);

  void add_peer(PeerHandle peer);
  void remove_peer(PeerHandle peer);
  // Whether we unchoke it; draining: until it has finished what it was shown.
  enum class Slot : std::uint8_t { choked, unchoked, draining };
  void set_slot(Instant now, PeerHandle peer, Slot slot);
  // A peer says it has the piece (HAVE or its bitfield, also of pieces we never showed it). True: it was
  // shown it.
  bool peer_has(Instant now, PeerHandle peer, std::uint32_t piece);
  // Whether the peer may ask for the piece: it was shown to it.
  [[nodiscard]] bool shown(PeerHandle peer, std::uint32_t piece) const;
  // Pieces to announce to this peer now, so that it has `ahead` that it lacks. Appends to `out`.
  void reveal(Instant now, PeerHandle peer, std::uint32_t ahead, std::vector<std::uint32_t>& out);
  // How many it was shown and has not yet.
  [[nodiscard]] std::uint32_t open(PeerHandle peer) const;
  // The unchoked peer whose turn it is: of those with fewest to finish, who has waited longest.
  // Nothing: nobody. O(peers), once a piece.
  [[nodiscard]] PeerHandle next_taker(Instant now) const;
  // Pieces on their way to unchoked peers, those left out that are for longer than `patience`.
  [[nodiscard]] std::uint32_t on_their_way(Instant now) const;
  // For long nothing was shown to anybody and nothing of it finished: what is hidden may be all that they
  // want.
  [[nodiscard]] bool idle(Instant now) const;
  // Pieces that nobody but us is known to have.
  [[nodiscard]] std::uint32_t only_ours() const { return only_ours_; }

 private:
  struct Shown {
    PeerHandle peer;
    Slot slot = Slot::choked;
    Instant last{};                   // when it was shown something or had finished it
    std::uint32_t alone = 0;          // pieces that it has and no other peer
    std::vector<std::uint32_t> open;  // shown and not yet had by it, in order of showing
    std::vector<std::uint32_t> all;   // sorted
    Bitfield has;
  };
  [[nodiscard]] Shown* find(PeerHandle peer);
  [[nodiscard]] const Shown* find(PeerHandle peer) const;

  void count_open(const Shown& shown, int sign);
  [[nodiscard]] std::uint32_t second_choice(Instant now, const Shown& shown);  // pieces_: none

  std::uint32_t pieces_;
  Random random_;
  std::vector<std::uint32_t> fresh_;   // shown to nobody yet, shuffled; taken from the back
  std::vector<std::uint16_t> out_;     // by piece: peers that have it
  std::vector<std::uint16_t> shown_;   // by piece: peers it was shown to
  std::vector<std::uint16_t> coming_;  // by piece: unchoked peers it was shown to that lack it
  std::vector<PeerHandle> sole_;       // by piece: the only peer that has it
  std::vector<Instant> since_;         // by piece: when it was last shown to an unchoked peer
  std::vector<Shown> peers_;           // sorted by handle
  std::uint32_t only_ours_;
  std::uint32_t again_ = 0;  // where the search for a second showing goes on
};

}  // namespace shoal::swarm
