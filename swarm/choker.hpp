// Choker: who is unchoked, as a pure function of what is known of the interested peers. BEP 3's tit for tat:
// as a leech the peers that gave most, as a seed a rotation; one optimistic unchoke besides.
//
// It is not told who is free riding. As a leech, a slot that nobody has earned goes to the peer that owes us
// least, and to one who took much and gave nothing only while it lags behind: as long as others trade, a peer
// that gives nothing keeps a third of our own pace, so that riding never pays and a newcomer, who has nothing
// to give yet, is not starved. Where a leech has more slots than the textbook's five, a third of the others
// goes to those who lag an eighth behind it and have given: in a swarm larger than a neighbourhood some have
// nothing that anybody near them lacks, and of what their neighbours give each other nothing comes to them.
// As a seed, slots go round in equal turns of time, so that a rider gets its share of the seed and no more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dht/base/random.hpp"
#include "swarm/limits.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm {

enum class Trade : std::uint8_t { leech, seed };  // our own part in this content

struct ChokerPeer {
  PeerHandle peer{};
  bool interested = false;  // in us
  bool unchoked = false;    // by us, now
  bool snubbed = false;     // it is unchoking us and gives nothing (Pipeline::snubbed)
  double gave_rate = 0;     // payload bytes a second it gave us, over limits::contribution_window
  double took_rate = 0;     // ... it took from us
  std::uint64_t gave_total = 0, took_total = 0;  // payload bytes of this connection
  // Choke rounds at which it was unchoked by us, had pieces that we lack, and choked us nevertheless. Who has
  // nothing for us (a newcomer, one whom we alone can reach) refuses nothing.
  std::uint32_t refusals = 0;
  // Bytes of the content that it, and that we, came to have since this connection began, from whomever: by
  // its HAVEs, so an estimate from below.
  std::uint64_t gained = 0, we_gained = 0;
  std::uint32_t pieces = 0;         // that it has
  std::uint64_t took_in_state = 0;  // payload bytes we sent it since in_state_for began; 0 where choked
  Duration connected_for{};
  Duration in_state_for{};  // since it was last unchoked or choked by us, or connected
};

struct ChokerInput {
  std::span<const ChokerPeer> peers{};
  Trade trade = Trade::leech;
  std::uint32_t slots = limits::regular_slots + limits::optimistic_slots;  // all of them, at least 2
  std::uint32_t pieces = 0;                                                // that we have
  PeerHandle optimistic{};                                                 // of the last round; nothing: none
  bool new_optimistic = false;                                             // its 30 s are over
  std::uint64_t credit_bytes =
      limits::credit_bytes;  // what a peer may have of a leech before it gives anything
  // A seed's turn lasts at least limits::seed_quantum and, if the peer is taking, until it has had so many
  // bytes (but no longer than limits::seed_turn_most): otherwise slow slots would leave nothing but partial
  // pieces behind. Four pieces is a good value.
  std::uint64_t seed_turn_bytes = 0;
};

struct ChokerVerdict {
  std::vector<PeerHandle>
      unchoke;              // all that are to be unchoked, the optimistic one last; the others are choked
  PeerHandle optimistic{};  // nothing: nobody is left to try
};

[[nodiscard]] ChokerVerdict choose_unchoked(const ChokerInput& input, Random& random);

// How many slots: never below the textbook's 4 + 1. One more while the uplink is not busy, one fewer when the
// last one brought nothing; and as many besides as were dry on average: a slot whose peer has nothing to ask
// of us at the moment does not use the uplink, and where peers have much the same pieces that is every other
// one. A value; call `round` once a choke period, `look` once a second.
class UploadSlots {
 public:
  struct Uplink {
    double rate = 0;            // payload bytes a second sent, all contents
    std::uint64_t limit = 0;    // set by the user; 0: none
    std::uint32_t waiting = 0;  // interested peers that are choked
  };
  void round(const Uplink& uplink);
  struct Look {
    std::uint32_t open = 0;     // peers that are unchoked and interested
    std::uint32_t fed = 0;      // of these, with requests here or blocks under way
    std::uint32_t waiting = 0;  // as above
  };
  // True: there are more slots than before.
  bool look(const Look& now);
  // No more than get their turn within limits::round_time, but the floor: who waits longer asks others too.
  void set_most(std::uint32_t most) {
    most_ = std::clamp(most, least, limits::max_slots + limits::spare_slots);
  }
  [[nodiscard]] std::uint32_t count() const { return std::min(slots_ + spare_, most_); }

 private:
  static constexpr std::uint32_t least = limits::regular_slots + limits::optimistic_slots;
  std::uint32_t slots_ = least, spare_ = 0, most_ = limits::max_slots + limits::spare_slots;
  std::uint32_t looks_ = 0, dry_ = 0;  // since spare_ was set; the latter a sum
  double before_ = 0;                  // rate when the last slot was opened
  bool trying_ = false;                // a slot was opened last round
  std::uint32_t rest_ = 0;             // rounds to wait before the next try
};

// The two rhythms of choking. A value.
class ChokeClock {
 public:
  struct Due {
    bool round = false, optimistic = false;
  };
  [[nodiscard]] Instant next() const { return next_; }
  [[nodiscard]] Due due(Instant now);                            // and advances
  void soon(Instant now) { next_ = now < next_ ? now : next_; }  // interest changed and slots are free

 private:
  Instant next_{};
  Instant optimistic_{};
};

}  // namespace shoal::swarm
