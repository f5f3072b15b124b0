#include "swarm/choker.hpp"

#include <algorithm>
#include <tuple>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

constexpr std::int32_t unearned = 9;  // this rank and what is above get no regular slot

struct Ranked {
  const ChokerPeer* peer = nullptr;
  std::int32_t rank = 0;     // lower is better
  double merit = 0;          // higher is better
  std::uint64_t chance = 0;  // decides between equals
};

bool better(const Ranked& a, const Ranked& b) {
  return std::tuple{a.rank, -a.merit, a.chance} < std::tuple{b.rank, -b.merit, b.chance};
}

// What it has had of us beyond four times what it gave and a newcomer's credit. Four, because lines are
// asymmetric and partners in a pair are seldom even.
bool in_debt(const ChokerPeer& peer, const ChokerInput& input) {
  return peer.took_total > 4 * peer.gave_total + input.credit_bytes;
}

// A leech: who gave most; then, for slots nobody has earned, who owes us least. Whoever snubs us or is in
// debt earns nothing and may hope for the optimistic slot alone, even if others stay empty: pieces are scarce
// in a young swarm, not uplink, and a rider lags behind, so that it would be interested in everybody and fill
// every gap.
Ranked rank_as_leech(const ChokerPeer& peer, const ChokerInput& input) {
  if (peer.snubbed) return {.peer = &peer, .rank = unearned};
  if (peer.gave_rate >= limits::least_gift) return {.peer = &peer, .rank = 0, .merit = peer.gave_rate};
  const double debt = static_cast<double>(peer.took_total) - static_cast<double>(peer.gave_total);
  return {.peer = &peer, .rank = in_debt(peer, input) ? unearned : 1, .merit = -debt};
}

// A seed: whose turn is not over, those who take most first; then who has waited longest; then whose turn is
// over.
Ranked rank_as_seed(const ChokerPeer& peer, const ChokerInput& input) {
  if (!peer.unchoked) return {.peer = &peer, .rank = 1, .merit = seconds(peer.in_state_for)};
  const bool taking = peer.took_rate >= limits::least_gift;
  const bool young =
      peer.in_state_for < limits::seed_quantum && (taking || peer.in_state_for < limits::choke_period);
  const bool unfinished =
      taking && peer.took_in_state < input.seed_turn_bytes && peer.in_state_for < limits::seed_turn_most;
  const bool turn = peer.peer != input.optimistic && (young || unfinished);
  if (turn) return {.peer = &peer, .rank = 0, .merit = peer.took_rate};
  return {.peer = &peer, .rank = 2, .merit = -seconds(peer.in_state_for)};
}

// One of those left, by lot; newcomers have limits::newcomer_weight lots. The present one, if its time is
// over, takes part only when it is alone.
PeerHandle draw(const std::vector<const ChokerPeer*>& left, PeerHandle present, Random& random) {
  const auto lots = [&](const ChokerPeer& peer) -> std::uint64_t {
    if (peer.peer == present && left.size() > 1) return 0;
    return peer.connected_for < limits::newcomer_for ? limits::newcomer_weight : 1;
  };
  std::uint64_t all = 0;
  for (const ChokerPeer* peer : left) all += lots(*peer);
  if (all == 0) return {};
  std::uint64_t ticket = random.below(all);
  for (const ChokerPeer* peer : left) {
    if (ticket < lots(*peer)) return peer->peer;
    ticket -= lots(*peer);
  }
  return {};
}

}  // namespace

ChokerVerdict choose_unchoked(const ChokerInput& input, Random& random) {
  SHOAL_CHECK(input.slots > limits::optimistic_slots);
  std::vector<Ranked> ranked;
  ranked.reserve(input.peers.size());
  for (const ChokerPeer& peer : input.peers) {
    if (!peer.interested) continue;
    ranked.push_back(input.trade == Trade::leech ? rank_as_leech(peer, input) : rank_as_seed(peer, input));
    ranked.back().chance = random.next();
  }
  std::sort(ranked.begin(), ranked.end(), better);

  ChokerVerdict out;
  std::vector<const ChokerPeer*> left;
  bool present_left = false;
  // The optimistic one keeps its place until its time is over, unless it has earned a regular slot meanwhile.
  const auto keeps_place = [&](const Ranked& one) {
    const bool earned = input.trade == Trade::leech && one.rank == 0;
    return one.peer->peer == input.optimistic && !input.new_optimistic && !earned;
  };
  for (const Ranked& one : ranked) {
    if (out.unchoke.size() + limits::optimistic_slots < input.slots && one.rank < unearned &&
        !keeps_place(one)) {
      out.unchoke.push_back(one.peer->peer);
      continue;
    }
    left.push_back(one.peer);
    present_left = present_left || one.peer->peer == input.optimistic;
  }
  const bool stays = present_left && !input.new_optimistic;
  out.optimistic = stays ? input.optimistic : draw(left, input.optimistic, random);
  if (out.optimistic) out.unchoke.push_back(out.optimistic);
  return out;
}

std::uint32_t UploadSlots::round(const Uplink& uplink) {
  constexpr std::uint32_t least = limits::regular_slots + limits::optimistic_slots;
  constexpr double busy = 0.9;                 // of the user's limit
  constexpr double least_of_slot = 16 * 1024;  // bytes a second; a thinner slot helps nobody
  constexpr double worth = 1.05;               // what one more slot must bring
  constexpr std::uint32_t rest = 6;            // a minute
  if (rest_ > 0) --rest_;
  if (uplink.limit > 0) {
    const bool full = uplink.rate >= busy * static_cast<double>(uplink.limit);
    if (!full && uplink.waiting > 0) ++slots_;
    if (full && uplink.rate < least_of_slot * slots_) --slots_;
  } else if (trying_) {
    trying_ = false;
    if (uplink.rate < before_ * worth) {
      --slots_;
      rest_ = rest;
    }
  } else if (uplink.waiting > 0 && rest_ == 0) {
    before_ = uplink.rate;
    trying_ = true;
    ++slots_;
  }
  slots_ = std::clamp(slots_, least, limits::max_slots);
  return slots_;
}

ChokeClock::Due ChokeClock::due(Instant now) {
  Due out;
  if (now < next_) return out;
  out.round = true;
  next_ = now + limits::choke_period;
  if (now >= optimistic_) {
    out.optimistic = true;
    optimistic_ = now + limits::optimistic_period;
  }
  return out;
}

}  // namespace shoal::swarm
