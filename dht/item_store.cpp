// Items kept for others; see item_store.hpp.
#include "dht/item_store.hpp"

#include "dht/base/check.hpp"

namespace shoal::dht {
ItemStore::ItemStore(const ByteArray<32>& secret, const Key& position, std::uint32_t room)
    : shelf_(secret, position, {room, 1, 1, overdue}) {
  SHOAL_CHECK(room <= capacity);
}

Result<void> ItemStore::put(Instant now, const IpAddress& from, const PutItemQuery& put) {
  expire(now);
  if (!rate_.admit_source(now, from)) return fail(Code::busy, "a source puts twice a second at most");
  const Key target = target_of(put.item);
  const Index previous = shelf_.first(target);
  if (previous != Shelf::none && put.item.is_mutable()) {
    const Item& kept = *items_[previous];
    if (put.expected && *put.expected != kept.sequence)
      return fail(Code::mismatch, "the item kept is the one expected");
    if (put.item.sequence < kept.sequence) return fail(Code::exists, "an item's sequence rises");
    if (put.item.sequence == kept.sequence && !equal(put.item.value, kept.value))
      return fail(Code::exists, "one sequence names one item");
  }
  Item item = item_of(put.item, put.item.salt);
  // What is kept has been checked, so that no flood of newcomers can keep it from being refreshed.
  const bool repeated = previous != Shelf::none && item == *items_[previous];
  std::uint64_t network = shelf_.network_of(from);
  // Anybody may put it once more: it counts for the smaller of the two networks, or a large one could draw it
  // to itself, and push it out with values of its own.
  if (repeated && shelf_.of_network(shelf_.network_of(previous)) <= shelf_.of_network(network) + 1)
    network = shelf_.network_of(previous);
  const auto leaving = shelf_.make_room(now, target, network, previous);
  if (!leaving) return std::unexpected(leaving.error());
  if (!repeated) {
    if (item.public_key && !rate_.admit_signatures(now, PutRate::Kind::newcomer))
      return fail(Code::busy, "signatures are checked at a bounded rate");
    if (const auto genuine = check_item(put.item, item.salt, target); !genuine) return genuine;
  }
  if (*leaving != Shelf::none) {
    items_[*leaving].reset();
    shelf_.remove(*leaving);
  }
  const Index index = shelf_.insert(now, target, network, now + life);
  if (items_.size() < shelf_.places()) items_.resize(shelf_.places());
  items_[index] = std::make_unique<Item>(std::move(item));
  return {};
}

const Item* ItemStore::get(Instant now, const Key& target) const {
  const Index index = shelf_.first(target);
  return index == Shelf::none || shelf_.end(index) <= now ? nullptr : items_[index].get();
}

void ItemStore::expire(Instant now) {
  for (Index i = shelf_.ended(now); i != Shelf::none; i = shelf_.ended(now)) {
    items_[i].reset();
    shelf_.remove(i);
  }
}

std::vector<std::pair<Key, Item>> ItemStore::dump() const {
  std::vector<std::pair<Key, Item>> out;
  shelf_.for_each([&](Index i) { out.emplace_back(shelf_.key_of(i), *items_[i]); });
  return out;
}

}  // namespace shoal::dht
