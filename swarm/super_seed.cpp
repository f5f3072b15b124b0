#include "swarm/super_seed.hpp"

#include <algorithm>

namespace shoal::swarm {
namespace {

constexpr std::uint32_t looks = 512;  // pieces examined for a second showing: near the best is good enough

void insert_sorted(std::vector<std::uint32_t>& set, std::uint32_t piece) {
  const auto at = std::lower_bound(set.begin(), set.end(), piece);
  if (at == set.end() || *at != piece) set.insert(at, piece);
}

}  // namespace

bool super_seeding_useful(bool complete, std::uint32_t other_seeds, std::uint32_t peers,
                          std::uint32_t least_availability) {
  return complete && other_seeds == 0 && peers >= 2 && least_availability == 0;
}

SuperSeed::SuperSeed(std::uint32_t pieces, Random random)
    : pieces_(pieces), random_(std::move(random)), out_(pieces, 0), shown_(pieces, 0), only_ours_(pieces) {
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
  peers_.insert(at, Shown{.peer = peer, .open = {}, .all = {}, .has = Bitfield{pieces_}});
}

// What it was shown and did not finish is fresh again for others.
void SuperSeed::remove_peer(PeerHandle peer) {
  Shown* shown = find(peer);
  if (shown == nullptr) return;
  for (const std::uint32_t piece : shown->all) --shown_[piece];
  for (std::uint32_t piece = 0; piece < pieces_; ++piece)
    if (shown->has.test(piece) && --out_[piece] == 0) ++only_ours_;
  for (const std::uint32_t piece : shown->open)
    if (shown_[piece] == 0 && out_[piece] == 0) fresh_.push_back(piece);
  peers_.erase(peers_.begin() + (shown - peers_.data()));
}

void SuperSeed::peer_has(PeerHandle peer, std::uint32_t piece) {
  Shown* shown = find(peer);
  if (shown == nullptr || piece >= pieces_ || !shown->has.set(piece)) return;
  if (out_[piece]++ == 0) --only_ours_;
  std::erase(shown->open, piece);
}

bool SuperSeed::shown(PeerHandle peer, std::uint32_t piece) const {
  const Shown* shown = find(peer);
  return shown != nullptr && std::binary_search(shown->all.begin(), shown->all.end(), piece);
}

void SuperSeed::reveal(PeerHandle peer, std::uint32_t ahead, std::vector<std::uint32_t>& out) {
  Shown* shown = find(peer);
  if (shown == nullptr) return;
  const auto show = [&](std::uint32_t piece) {
    insert_sorted(shown->all, piece);
    shown->open.push_back(piece);
    ++shown_[piece];
    out.push_back(piece);
  };
  while (shown->open.size() < ahead && !fresh_.empty()) {
    const std::uint32_t piece = fresh_.back();
    fresh_.pop_back();
    if (out_[piece] == 0 && shown_[piece] == 0) show(piece);
  }
  // Nothing fresh: what fewest have and fewest were shown, in turn.
  while (shown->open.size() < ahead && pieces_ > 0) {
    std::uint32_t best = pieces_;
    const std::uint32_t most = std::min(looks, pieces_);
    for (std::uint32_t i = 0; i < most; ++i) {
      const std::uint32_t piece = (again_ + i) % pieces_;
      if (shown->has.test(piece) || std::binary_search(shown->all.begin(), shown->all.end(), piece)) continue;
      if (best == pieces_ || std::pair{out_[piece], shown_[piece]} < std::pair{out_[best], shown_[best]})
        best = piece;
    }
    again_ = (again_ + most) % pieces_;
    if (best == pieces_) return;
    show(best);
  }
}

}  // namespace shoal::swarm
