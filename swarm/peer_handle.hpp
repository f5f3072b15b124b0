// PeerHandle: names a peer of one swarm. The swarm's Slab<Peer, PeerTag> gives them out; leaves only compare
// and keep them, and a handle whose peer is gone finds nothing.
#pragma once

#include "dht/base/handle.hpp"

namespace shoal::swarm {

struct PeerTag;
using PeerHandle = Handle<PeerTag>;

}  // namespace shoal::swarm
