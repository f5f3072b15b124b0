// See super_seed.hpp. Invariants: out_, shown_ and coming_ are the sums over peers_; open is what was shown
// and is not had, in order of showing; fresh_ may hold pieces that are fresh no more, dropped when they come
// up.
#include "swarm/super_seed.hpp"

#include <algorithm>
#include <utility>

namespace shoal::swarm {
namespace {

constexpr std::chrono::seconds patience{10};  // a piece on its way for longer may be shown to another as well
// Without finishing anything, it is shown no more: it is slow, or wants nothing because it hides that it is
// a seed as we do.
constexpr std::chrono::seconds stuck_after{3};
constexpr std::uint32_t unpassed = 4;  // pieces that a peer alone has; each one more counts as one to finish
constexpr std::uint32_t looks = 512;   // pieces examined for a second showing: near the best is good enough

void insert_sorted(std::vector<std::uint32_t>& set, std::uint32_t piece) {
  const auto at = std::lower_bound(set.begin(), set.end(), piece);
  if (at == set.end() || *at != piece) set.insert(at, piece);
}

}  // namespace

bool super_seeding_useful(bool complete, std::uint32_t peers, std::uint32_t least_availability) {
  return complete && peers >= 1 && least_availability == 0;
}

SuperSeed::SuperSeed(std::uint32_t pieces, Random random)
    : pieces_(pieces),
      random_(std::move(random)),
      out_(pieces, 0),
      shown_(pieces, 0),
      coming_(pieces, 0),
      sole_(pieces),
      since_(pieces),
      only_ours_(pieces) {
  fresh_.reserve(pieces);
  for (std::uint32_t piece = 0; piece < pieces; ++piece) fresh_.push_back(piece);
  random_.shuffle(fresh_);
}

SuperSeed::Shown* SuperSeed::find(PeerHandle peer) {
  const auto at = std::lower_bound(peers_.begin(), peers_.end(), peer,
                                   [](const Shown& shown, PeerHandle key) { return shown.peer < key; });
  return at == peers_.end() || at->peer != peer ? nullptr : &*at;
}
const SuperSeed::Shown* SuperSeed::find(PeerHandle peer) const {
  return const_cast<SuperSeed*>(this)->find(peer);
}

void SuperSeed::add_peer(PeerHandle peer) {
  if (find(peer) != nullptr) return;
  const auto at = std::lower_bound(peers_.begin(), peers_.end(), peer,
                                   [](const Shown& shown, PeerHandle key) { return shown.peer < key; });
  peers_.insert(at,
                Shown{.peer = peer, .slot = Slot::choked, .open = {}, .all = {}, .has = Bitfield{pieces_}});
}

void SuperSeed::count_open(const Shown& shown, int sign) {
  if (shown.slot == Slot::choked) return;
  for (const std::uint32_t piece : shown.open)
    coming_[piece] = static_cast<std::uint16_t>(coming_[piece] + sign);
}

void SuperSeed::set_slot(Instant now, PeerHandle peer, Slot slot) {
  Shown* shown = find(peer);
  if (shown == nullptr || shown->slot == slot) return;
  const bool begins = shown->slot == Slot::choked;
  count_open(*shown, -1);
  shown->slot = slot;
  count_open(*shown, 1);
  if (begins)
    for (const std::uint32_t piece : shown->open) since_[piece] = now;
}

// What it was shown and did not finish is fresh again for others.
void SuperSeed::remove_peer(PeerHandle peer) {
  Shown* shown = find(peer);
  if (shown == nullptr) return;
  count_open(*shown, -1);
  for (const std::uint32_t piece : shown->all) --shown_[piece];
  for (std::uint32_t piece = 0; piece < pieces_; ++piece)
    if (shown->has.test(piece) && --out_[piece] == 0) ++only_ours_;
  for (const std::uint32_t piece : shown->open)
    if (shown_[piece] == 0 && out_[piece] == 0) fresh_.push_back(piece);
  peers_.erase(peers_.begin() + (shown - peers_.data()));
}

bool SuperSeed::peer_has(Instant now, PeerHandle peer, std::uint32_t piece) {
  Shown* shown = find(peer);
  if (shown == nullptr || piece >= pieces_ || !shown->has.set(piece)) return false;
  if (out_[piece]++ == 0) {
    --only_ours_;
    sole_[piece] = peer;
    ++shown->alone;
  } else if (Shown* first = find(std::exchange(sole_[piece], PeerHandle{})); first != nullptr) {
    --first->alone;  // it has passed it on
  }
  if (std::erase(shown->open, piece) == 0) return false;
  shown->last = now;
  if (shown->slot != Slot::choked) --coming_[piece];
  return true;
}

bool SuperSeed::shown(PeerHandle peer, std::uint32_t piece) const {
  const Shown* shown = find(peer);
  return shown != nullptr && std::binary_search(shown->all.begin(), shown->all.end(), piece);
}

std::uint32_t SuperSeed::open(PeerHandle peer) const {
  const Shown* shown = find(peer);
  return shown == nullptr ? 0 : static_cast<std::uint32_t>(shown->open.size());
}

PeerHandle SuperSeed::next_taker(Instant now) const {
  const auto rank = [](const Shown& shown) {
    return std::pair{std::max(shown.alone, unpassed) + shown.open.size(), shown.last};
  };
  const Shown* best = nullptr;
  for (const Shown& shown : peers_) {
    const bool stuck = !shown.open.empty() && now - shown.last > stuck_after;
    if (shown.slot != Slot::unchoked || stuck) continue;
    if (best == nullptr || rank(shown) < rank(*best)) best = &shown;
  }
  return best == nullptr ? PeerHandle{} : best->peer;
}

std::uint32_t SuperSeed::on_their_way(Instant now) const {
  std::uint32_t out = 0;
  for (const Shown& shown : peers_)
    if (shown.slot != Slot::choked && now - shown.last < patience)
      out += static_cast<std::uint32_t>(shown.open.size());
  return out;
}

bool SuperSeed::idle(Instant now) const {
  return !peers_.empty() &&
         std::all_of(peers_.begin(), peers_.end(), [&](const Shown& s) { return now - s.last >= patience; });
}

// Of a row of pieces, the best to show a second time: one that is out nowhere and comes to nobody, because
// those it was shown to are choked; else one that fewest have. One that is on its way to somebody is left
// alone, except for a peer that would otherwise have nothing to do and a piece that takes long: its taker is
// slow, and may leave.
std::uint32_t SuperSeed::second_choice(Instant now, const Shown& shown) {
  std::uint32_t best = pieces_;
  const bool idle = shown.slot == Slot::unchoked && shown.open.empty();
  const auto left_alone = [&](std::uint32_t piece) {
    return out_[piece] == 0 && coming_[piece] > 0 && (!idle || now - since_[piece] < patience);
  };
  const auto rank = [&](std::uint32_t piece) { return std::pair{out_[piece], shown_[piece]}; };
  const std::uint32_t most = std::min(looks, pieces_);
  bool first_copies = false;  // some are on their way: they shall have the line to themselves
  for (std::uint32_t i = 0; i < most; ++i) {
    const std::uint32_t piece = (again_ + i) % pieces_;
    if (out_[piece] == 0 && coming_[piece] > 0 && now - since_[piece] < patience) first_copies = true;
    if (shown.has.test(piece) || left_alone(piece)) continue;
    if (std::binary_search(shown.all.begin(), shown.all.end(), piece)) continue;
    if (best == pieces_ || rank(piece) < rank(best)) best = piece;
  }
  again_ = pieces_ == 0 ? 0 : (again_ + most) % pieces_;
  if (best != pieces_ && out_[best] > 0 && first_copies) return pieces_;
  return best;
}

void SuperSeed::reveal(Instant now, PeerHandle peer, std::uint32_t ahead, std::vector<std::uint32_t>& out) {
  Shown* shown = find(peer);
  if (shown == nullptr) return;
  while (shown->open.size() < ahead) {
    while (!fresh_.empty() && (out_[fresh_.back()] > 0 || shown_[fresh_.back()] > 0)) fresh_.pop_back();
    const std::uint32_t piece = fresh_.empty() ? second_choice(now, *shown) : fresh_.back();
    if (piece == pieces_) return;
    if (!fresh_.empty()) fresh_.pop_back();
    insert_sorted(shown->all, piece);
    shown->last = now;
    shown->open.push_back(piece);
    ++shown_[piece];
    if (shown->slot != Slot::choked) {
      ++coming_[piece];
      since_[piece] = now;
    }
    out.push_back(piece);
  }
}

}  // namespace shoal::swarm
