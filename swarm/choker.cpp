// See choker.hpp. Ranks are one ordered comparison (better()); measured in
// tests/unit/swarm/distribution_test.cpp: with 10 and 20 fair peers and 128 MiB, a rider has under two fifths
// of the content when the last fair peer is done.
#include "swarm/choker.hpp"

#include <algorithm>
#include <tuple>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

constexpr std::int32_t indebted = 8;  // from this rank on, no regular slot; and tried rarely
constexpr std::int32_t snubbing = 9;
constexpr std::uint64_t debtor_blanks = 8;  // a partner: all of us together try a rider an eighth of the time
constexpr std::uint32_t help_part = 3;      // of the slots beyond the textbook's: one for those behind
constexpr std::uint64_t least_trade = 16384;  // a block each way makes a partner

struct Ranked {
  const ChokerPeer* peer = nullptr;
  std::int32_t rank = 0;     // lower is better
  double merit = 0;          // higher is better
  std::uint64_t chance = 0;  // decides between equals
};

bool better(const Ranked& a, const Ranked& b) {
  return std::tuple{a.rank, -a.merit, a.chance} < std::tuple{b.rank, -b.merit, b.chance};
}

// Peers that have given to us and taken from us: with these we trade.
std::uint32_t partners(std::span<const ChokerPeer> peers) {
  return static_cast<std::uint32_t>(std::count_if(peers.begin(), peers.end(), [](const ChokerPeer& peer) {
    return peer.gave_total >= least_trade && peer.took_total >= least_trade;
  }));
}

// It has had of us more than four times what it gave and a newcomer's credit; and it had the chance to give,
// or fares well enough without giving. Four, because lines are asymmetric and the two of a pair are seldom
// even. Its pace tells what no single peer sees: a rider far behind has nothing we lack and so refuses
// nothing, while everybody's spare slots together carry it along as fast as those who give.
bool in_debt(const ChokerPeer& peer, const ChokerInput& input) {
  if (peer.took_total <= 4 * peer.gave_total + input.credit_bytes) return false;
  const std::uint64_t gained = std::max(peer.gained, peer.took_total);
  return peer.refusals >= limits::refusals_before_debt || gained * limits::idle_giver_pace > peer.we_gained;
}

// A leech: who gave most; then, for slots nobody has earned, who owes us least. Whoever snubs us, or is in
// debt while others trade, earns nothing even if slots stay empty: in a young swarm pieces are scarce, not
// uplink, and a rider lags behind, so that it is interested in everybody and would fill every gap. Where
// nobody trades with us (we stand between the seed and one who reaches us alone) there is no debt.
Ranked rank_as_leech(const ChokerPeer& peer, const ChokerInput& input, std::uint32_t traders) {
  const bool debtor = traders > 0 && in_debt(peer, input);
  if (peer.snubbed) return {.peer = &peer, .rank = debtor ? indebted : snubbing};
  if (peer.gave_rate >= limits::least_gift) return {.peer = &peer, .rank = 0, .merit = peer.gave_rate};
  const double debt = static_cast<double>(peer.took_total) - static_cast<double>(peer.gave_total);
  return {.peer = &peer, .rank = debtor ? indebted : 1, .merit = -debt};
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

// Interested peers that have less than seven eighths of what we have, have given to us, and neither snub us
// nor are in debt, the poorest first: as many as there are slots for them. Who falls behind has less that
// others lack, finds more of its slots dry, spreads its uplink over more of them, and so is ranked lower by
// each: helped at three quarters only, one of 200 was still a fifth behind when the others had finished.
std::vector<const ChokerPeer*> laggards(const std::vector<Ranked>& ranked, const ChokerInput& input) {
  constexpr std::uint32_t textbook = limits::regular_slots + limits::optimistic_slots;
  std::vector<const Ranked*> poor;
  for (const Ranked& one : ranked)
    if (one.rank < indebted && one.peer->gave_total >= least_trade &&
        8 * std::uint64_t{one.peer->pieces} < 7 * std::uint64_t{input.pieces})
      poor.push_back(&one);
  std::sort(poor.begin(), poor.end(), [](const Ranked* a, const Ranked* b) {
    return std::tuple{a->peer->pieces, a->chance} < std::tuple{b->peer->pieces, b->chance};
  });
  poor.resize(std::min<std::size_t>(poor.size(), (std::max(input.slots, textbook) - textbook) / help_part));
  std::vector<const ChokerPeer*> out;
  out.reserve(poor.size());
  for (const Ranked* one : poor) out.push_back(one->peer);
  return out;
}

// One of those left, by lot; newcomers have limits::newcomer_weight lots. The present one, if its time is
// over, takes part only when it is alone. Those in debt compete with `blanks` besides; when a blank is drawn,
// one of the others has the slot, if there is one.
PeerHandle draw(const std::vector<Ranked>& left, PeerHandle present, std::uint64_t blanks, Random& random) {
  const auto lots = [&](const Ranked& one) -> std::uint64_t {
    if (one.peer->peer == present && left.size() > 1) return 0;
    return one.peer->connected_for < limits::newcomer_for ? limits::newcomer_weight : 1;
  };
  const auto among = [&](bool debtors, std::uint64_t all) -> PeerHandle {
    for (const Ranked& one : left)
      if (debtors || one.rank != indebted) all += lots(one);
    if (all == 0) return {};
    std::uint64_t ticket = random.below(all);
    for (const Ranked& one : left) {
      if (!debtors && one.rank == indebted) continue;
      if (ticket < lots(one)) return one.peer->peer;
      ticket -= lots(one);
    }
    return {};
  };
  const bool debtors =
      std::any_of(left.begin(), left.end(), [](const Ranked& one) { return one.rank == indebted; });
  if (const PeerHandle drawn = among(true, debtors ? blanks : 0)) return drawn;
  return debtors ? among(false, 0) : PeerHandle{};
}

}  // namespace

ChokerVerdict choose_unchoked(const ChokerInput& input, Random& random) {
  SHOAL_CHECK(input.slots > limits::optimistic_slots);
  const bool leech = input.trade == Trade::leech;
  const std::uint32_t traders = leech ? partners(input.peers) : 0;
  std::vector<Ranked> ranked;
  ranked.reserve(input.peers.size());
  for (const ChokerPeer& peer : input.peers) {
    if (!peer.interested) continue;
    ranked.push_back(leech ? rank_as_leech(peer, input, traders) : rank_as_seed(peer, input));
    ranked.back().chance = random.next();
  }
  std::sort(ranked.begin(), ranked.end(), better);

  ChokerVerdict out;
  if (leech)
    for (const ChokerPeer* poor : laggards(ranked, input)) {
      out.unchoke.push_back(poor->peer);
      std::erase_if(ranked, [poor](const Ranked& one) { return one.peer == poor; });
    }
  std::vector<Ranked> left;
  bool stays = false;
  // The optimistic one keeps its place until its time is over, unless it has earned a regular slot meanwhile,
  // or is in debt: an idle uplink gives a whole content in 30 s.
  const auto keeps_place = [&](const Ranked& one) {
    return one.peer->peer == input.optimistic && !input.new_optimistic && one.rank != indebted;
  };
  for (const Ranked& one : ranked) {
    const bool room = out.unchoke.size() + limits::optimistic_slots < input.slots;
    const bool earned = leech && one.rank == 0;
    if (room && one.rank < indebted && (earned || !keeps_place(one))) {
      out.unchoke.push_back(one.peer->peer);
      continue;
    }
    // Those in debt take part in the draws every 30 s, not in those that fill a gap.
    if (one.rank == indebted && !input.new_optimistic) continue;
    left.push_back(one);
    stays = stays || keeps_place(one);
  }
  out.optimistic = stays ? input.optimistic : draw(left, input.optimistic, debtor_blanks * traders, random);
  if (out.optimistic) out.unchoke.push_back(out.optimistic);
  return out;
}

void UploadSlots::round(const Uplink& uplink) {
  constexpr double busy = 0.9;                 // of the user's limit
  constexpr double least_of_slot = 16 * 1024;  // bytes a second; a thinner slot helps nobody
  constexpr double worth = 1.05;               // what one more slot must bring
  constexpr std::uint32_t rest = 6;            // a minute
  if (rest_ > 0) --rest_;
  if (uplink.limit > 0) {
    const bool full = uplink.rate >= busy * static_cast<double>(uplink.limit);
    if (!full && uplink.waiting > 0 && slots_ < most_) ++slots_;
    if (full && uplink.rate < least_of_slot * slots_) --slots_;
  } else if (trying_) {
    trying_ = false;
    if (uplink.rate < before_ * worth) {
      --slots_;
      rest_ = rest;
    }
  } else if (uplink.waiting > 0 && rest_ == 0 && slots_ < most_) {
    before_ = uplink.rate;
    trying_ = true;
    ++slots_;
  }
  slots_ = std::clamp(slots_, least, limits::max_slots);
}

bool UploadSlots::look(const Look& now) {
  constexpr std::uint32_t looks = 3;
  constexpr std::uint32_t step = 3;  // up, at a time; down, one: a slot is a promise of ten seconds
  dry_ += now.open - std::min(now.open, now.fed);
  if (++looks_ < looks) return false;
  const std::uint32_t dry = std::min((dry_ + looks / 2) / looks, limits::spare_slots);
  looks_ = dry_ = 0;
  const std::uint32_t before = count();
  if (dry < spare_)
    --spare_;
  else if (now.waiting > 0)
    spare_ = std::min(dry, spare_ + step);
  return count() > before;
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
