// Holdings: all that a node keeps for others, and serves of its own. Of the stores one is used by the native
// dialect, two by mainline; the empty ones cost nothing.
//
// A process has a node for each dialect and family, and one bound for all of them, 48 MiB (THREATS A14): each
// node has an even share of it, whatever the others hold. A common purse would let one flooded node starve
// the others, and bounds nothing in truth: what one store gives back another cannot use, since malloc's
// pieces have other sizes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dht/item_store.hpp"
#include "dht/peer_store.hpp"
#include "dht/store.hpp"

namespace shoal::dht {

struct Holdings {
  // So many records, or so many peers and a quarter as many items: full, a record takes 0.63 KiB, a peer 0.26
  // and an item 1.3 (all with their trees), so that either comes to the same.
  static constexpr std::uint32_t room_of_a_process = Store::capacity;

  // `room`: 1..room_of_a_process; what is left to this node of it.
  Holdings(const ByteArray<32>& secret, const Key& position, std::uint32_t room,
           const crypto::SignatureScheme& scheme)
      : records(secret, position, room, scheme),
        peers(secret, position, room),
        items(secret, position, std::max(1U, room / 4)) {}

  void expire(Now now) {
    records.expire(now);
    peers.expire(now.mono);
    items.expire(now.mono);
  }
  [[nodiscard]] Instant next_expiry() const {
    return std::min({records.next_expiry(), peers.next_expiry(), items.next_expiry()});
  }
  void set_position(const Key& position) {
    records.set_position(position);
    peers.set_position(position);
    items.set_position(position);
  }
  [[nodiscard]] std::size_t size() const { return records.size() + peers.size() + items.size(); }

  Store records;
  PeerStore peers;
  ItemStore items;
};
static_assert(PeerStore::capacity == Holdings::room_of_a_process);
static_assert(ItemStore::capacity == Holdings::room_of_a_process / 4);

}  // namespace shoal::dht
