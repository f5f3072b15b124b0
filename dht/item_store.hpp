// ItemStore: items of BEP 44 that were put to this node.
//
// One a target; bounded as shelf.hpp has it: 16,384 items of at most 1,000 bytes. An item lives two hours
// after its last put. A put is checked from cheap to dear, the signature last; those are capped in total. The
// same item put again costs none.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dht/item.hpp"
#include "dht/put_rate.hpp"
#include "dht/shelf.hpp"

namespace shoal::dht {

class ItemStore {
 public:
  static constexpr std::uint32_t capacity = 16'384;  // 21 MB
  static constexpr Duration life = std::chrono::hours{2};
  static constexpr Duration overdue = std::chrono::minutes{70};  // authors refresh every hour (BEP 44)

  // `secret` is random, for hashing networks. `room`: 1..capacity.
  ItemStore(const ByteArray<32>& secret, const Key& position, std::uint32_t room = capacity);

  // Of a source whose token the caller has checked. Errors: `exists` (a newer is kept, or another under the
  // same sequence), `mismatch` (another than `expected` is kept), `forged`, `busy` (rate, no room).
  // The same item again is a refresh.
  [[nodiscard]] Result<void> put(Instant now, const IpAddress& from, const PutItemQuery& put);
  // nullptr: none. Good until the next call that is not const.
  [[nodiscard]] const Item* get(Instant now, const Key& target) const;

  void expire(Instant now);
  [[nodiscard]] Instant next_expiry() const { return shelf_.next_expiry(); }
  void set_position(const Key& position) { shelf_.set_position(position); }
  [[nodiscard]] std::size_t size() const { return shelf_.size(); }
  // Everything kept, in the order of targets: for tests that look for what must not be there.
  [[nodiscard]] std::vector<std::pair<Key, Item>> dump() const;

 private:
  using Index = Shelf::Index;
  Shelf shelf_;
  std::vector<std::unique_ptr<Item>> items_;  // by place
  PutRate rate_;
};

}  // namespace shoal::dht
