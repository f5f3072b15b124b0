// Peers announced to us; see peer_store.hpp.
#include "dht/peer_store.hpp"

#include "dht/base/check.hpp"

namespace shoal::dht {

PeerStore::PeerStore(const ByteArray<32>& secret, const Key& position, std::uint32_t room)
    : shelf_(secret, position, {room, key_capacity, network_share, overdue}) {
  SHOAL_CHECK(room <= capacity);
}

Result<void> PeerStore::put(Instant now, const Key& key, const Endpoint& peer, Completeness completeness) {
  expire(now);
  if (!rate_.admit_source(now, peer.address)) return fail(Code::busy, "a source puts twice a second at most");
  const std::uint64_t network = shelf_.network_of(peer.address);
  Index previous = shelf_.first(key);
  while (previous != Shelf::none && peers_[previous].endpoint != peer) previous = shelf_.next(previous);
  const auto leaving = shelf_.make_room(now, key, network, previous);
  if (!leaving) return std::unexpected(leaving.error());
  if (*leaving != Shelf::none) shelf_.remove(*leaving);
  const Index index = shelf_.insert(now, key, network, now + life);
  if (peers_.size() < shelf_.places()) peers_.resize(shelf_.places());
  peers_[index] = {peer, completeness};
  return {};
}

void PeerStore::get(Instant now, const Key& key, std::size_t most, Seeds seeds,
                    const std::optional<Endpoint>& own, Random& random, std::vector<Endpoint>& out) const {
  const auto wanted = [seeds](Completeness completeness) {
    return seeds == Seeds::wanted || completeness == Completeness::downloader;
  };
  const std::size_t limit = out.size() + most;
  const auto held = own_.find(key);
  if (own && held != own_.end() && wanted(held->second) && out.size() < limit) out.push_back(*own);
  if (out.size() == limit) return;
  for (const Index i : shelf_.sample(now, key, random)) {
    if (out.size() == limit) return;
    if (wanted(peers_[i].completeness)) out.push_back(peers_[i].endpoint);
  }
}

bool PeerStore::filters(Instant now, const Key& key, AddressFilter& seeds, AddressFilter& downloaders) const {
  bool any = false;
  for (Index i = shelf_.first(key); i != Shelf::none; i = shelf_.next(i)) {
    if (shelf_.end(i) <= now) continue;
    any = true;
    (peers_[i].completeness == Completeness::seed ? seeds : downloaders).insert(peers_[i].endpoint.address);
  }
  return any;
}

void PeerStore::sample_keys(std::size_t most, Random& random, std::vector<Key>& out) const {
  shelf_.keys_from(Key{random.bytes<32>()}, most, [&out](const Key& key) { out.push_back(key); });
}

Result<void> PeerStore::hold(const Key& key, Completeness completeness) {
  if (own_.size() >= own_capacity && !own_.contains(key))
    return fail(Code::busy, "this node announces as many contents as it may");
  own_[key] = completeness;
  return {};
}

void PeerStore::expire(Instant now) {
  for (Index i = shelf_.ended(now); i != Shelf::none; i = shelf_.ended(now)) shelf_.remove(i);
}

}  // namespace shoal::dht
