// Holdings: all that a node keeps for others, and serves of its own. Of the stores one is used by the native
// dialect, two by mainline; the empty ones cost nothing.
#pragma once

#include <algorithm>

#include "dht/item_store.hpp"
#include "dht/peer_store.hpp"
#include "dht/store.hpp"

namespace shoal::dht {

struct Holdings {
  Holdings(const ByteArray<32>& secret, const Key& position, std::uint32_t room,
           const crypto::SignatureScheme& scheme)
      : records(secret, position, room, scheme),
        peers(secret, position, std::min(room, PeerStore::capacity)),
        items(secret, position, std::min(room, ItemStore::capacity)) {}

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

}  // namespace shoal::dht
