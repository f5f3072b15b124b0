// Announcing and looking up: what the overlays are asked to do for a content, whether its swarm is there or
// it rests.
#pragma once

#include <vector>

#include "swarm/announcer.hpp"
#include "swarm/overlays.hpp"
#include "swarm/turn.hpp"

namespace shoal::swarm {

// nobody: it is private (BEP 27), and has a sequence all the same. askers: held, so that whoever asks us gets
// it. all: published as well; the overlays answer with Published for `slot`.
enum class AnnounceTo : std::uint8_t { nobody, askers, all };

// `port`: that we listen at.
inline void announce(Turn& turn, Slot slot, Announcer& announcer, std::uint16_t port,
                     const dht::Progress& progress, Visibility visibility, AnnounceTo whom) {
  dht::RecordInputs facts = turn.overlays.own_place(port);
  facts.progress = progress;
  for (const Publication& publication : announcer.build(turn.now, facts)) {
    if (whom == AnnounceTo::nobody) continue;
    turn.overlays.hold(publication);
    if (whom == AnnounceTo::all) turn.overlays.publish(turn.now, slot, publication, visibility);
  }
  for (const Key& key : announcer.take_stale_keys()) turn.overlays.forget(key);
}

// Who else is there: in the native overlays and, of a public content, in mainline by each of its names.
inline void look_up(Turn& turn, Slot slot, dht::SwarmKeys& keys, const std::vector<InfoHash>& hashes,
                    Visibility visibility) {
  for (const dht::Epoch epoch : keys.epochs_at(turn.now.wall))
    turn.overlays.look_up(turn.now, slot, keys.of(epoch), visibility);
  for (const InfoHash& hash : hashes) turn.overlays.look_up_peers(turn.now, slot, hash);
}

}  // namespace shoal::swarm
