// A lone seed's pieces, shown to each peer a few at a time so that the young swarm gets every piece once
// before it gets one twice (super_seed.hpp decides which). Until it ends the seed says "no pieces" to who
// connects and shows pieces by Have; when every piece is out, everybody is shown the rest.
//
// Not for contents of very many pieces: the rest is shown by a Have a piece.
#include <algorithm>
#include <utility>

#include "dht/base/saturated.hpp"
#include "swarm/super_seed.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t most_pieces =
    16'384;                                // beyond that the Haves at the end cost more than 100 KiB a peer
constexpr std::uint32_t ahead_choked = 1;  // enough to be of interest
// On their way to all together: a few, and what goes out while the first request comes and news of the
// finished piece returns.
constexpr std::uint32_t ahead_least = 6;
constexpr double ahead_seconds = 1.2;
constexpr std::uint32_t ahead_most = 256;

}  // namespace

// Whether the peer that is greeted now is to see pieces one by one. Where those to whom all was shown have
// gone or have it all, what they had is of no use to the next, who may be many.
bool Swarm::super_seeds(const Turn& turn, PeerHandle greeted) {
  if (super_over_) {
    super_over_ = false;
    peers_.for_each([&](PeerHandle handle, const Peer& peer) {
      super_over_ = super_over_ || (handle != greeted && peer.said_pieces && !work_->picker.is_seed(handle));
    });
  }
  if (super_over_ || !complete_ || content_->pieces == 0 || content_->pieces > most_pieces) return false;
  if (super_) return true;
  std::uint32_t least = ~std::uint32_t{0};
  for (std::uint32_t piece = 0; piece < content_->pieces && least > 0; ++piece)
    least = std::min(least, work_->picker.availability(piece) - work_->picker.seeds());
  if (!super_seeding_useful(complete_, up_, least)) {
    super_over_ = least > 0;
    return false;
  }
  super_.emplace(content_->pieces, random_.fork("super seed"));
  // Those who were greeted before know everything; what they have counts.
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!work_->picker.knows(handle)) return;
    super_->add_peer(handle);
    if (!peer.choked_by_us) super_->set_slot(turn.now.mono, handle, SuperSeed::Slot::unchoked);
    super_learn(turn, handle);
  });
  return true;
}

// Takes up what the peer has by now. Who has all needs nothing of us.
void Swarm::super_learn(const Turn& turn, PeerHandle handle) {
  if (work_->picker.is_seed(handle)) return super_->remove_peer(handle);
  for (std::uint32_t piece = 0; piece < content_->pieces; ++piece)
    if (work_->picker.has(handle, piece)) static_cast<void>(super_->peer_has(turn.now.mono, handle, piece));
}

void Swarm::super_reveal(Turn& turn, PeerHandle handle, Peer& peer) {
  if (!super_ || !peer.super_seeded || peer.draining) return;
  if (peer.choked_by_us) super_show(turn, handle, peer, ahead_choked);
  super_feed(turn);
}

void Swarm::super_show(Turn& turn, PeerHandle handle, Peer& peer, std::uint32_t ahead) {
  shown_.clear();
  super_->reveal(turn.now.mono, handle, ahead, shown_);
  for (const std::uint32_t piece : shown_)
    if (serves(piece)) send(turn, handle, peer, wire::Have{piece});
}

// Many clients do not tell who showed them a piece that they have it now: by BitTorrent it counts as there
// once we have sent all of it.
void Swarm::super_gave(Turn& turn, PeerHandle handle, Peer& peer, const wire::Request& block) {
  if (!super_ || !peer.super_seeded || peer.way == Way::native || !super_->shown(handle, block.piece)) return;
  auto given = std::ranges::find(peer.given, block.piece, &std::pair<std::uint32_t, std::uint32_t>::first);
  if (given == peer.given.end()) given = peer.given.insert(given, {block.piece, 0});
  given->second += block.length;
  if (given->second < content_->piece_bytes(block.piece)) return;
  peer.given.erase(given);
  learn(turn, handle, peer, block.piece);
}

// A piece that was shown has arrived. Where nothing waits for our line meanwhile, more must be on its way:
// two for each that arrives, so that it grows by a multiple each round trip, as in TCP's slow start.
void Swarm::super_passed(const Turn& turn) {
  std::uint64_t waiting = 0;
  peers_.for_each([&](PeerHandle, const Peer& peer) { waiting += peer.unsent + peer.reading_bytes; });
  if (waiting < storage::block_bytes && upload_turns_.empty())
    super_ahead_ = std::min(std::max(super_ahead_, super_->on_their_way(turn.now.mono)) + 2, ahead_most);
}

// Enough for the uplink, piece by piece.
void Swarm::super_feed(Turn& turn) {
  if (!super_) return;
  const auto by_rate =
      std::min(saturated<std::uint32_t>(up_best_ * ahead_seconds / content_->piece_length), content_->pieces);
  const std::uint32_t wanted = std::max(ahead_least + by_rate, super_ahead_);
  while (super_->on_their_way(turn.now.mono) < wanted) {
    const PeerHandle handle = super_->next_taker(turn.now.mono);
    Peer* peer = peers_.find(handle);
    if (peer == nullptr) return;
    super_show(turn, handle, *peer, super_->open(handle) + 1);
    if (shown_.empty()) return;
  }
}

// Every piece is out: no more secrets. Nor where they stand in the way: who wants
// some files alone takes nothing of what it is shown, and so would be shown nothing more.
void Swarm::end_super_seed_if_over(Turn& turn) {
  if (!super_) return;
  const bool in_the_way = super_->idle(turn.now.mono) && up_rate_.rate(turn.now.mono) < 1;
  if (complete_ && super_->only_ours() > 0 && !in_the_way) return;
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!peer.up() || !std::exchange(peer.super_seeded, false)) return;
    peer.given = {};
    for (std::uint32_t piece = 0; piece < content_->pieces; ++piece)
      if (serves(piece) && !super_->shown(handle, piece)) send(turn, handle, peer, wire::Have{piece});
  });
  super_.reset();
  super_over_ = true;
}

}  // namespace shoal::swarm
