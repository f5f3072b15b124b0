// Store: the records this node keeps for others, and the few of its own that it always serves.
//
// Bounded as shelf.hpp has it: 65,536 records, 64 a key, 4 a network a key. A PUT is checked from cheap to
// dear: size, rate of its source, H(SPK), expiry, sequence, commitment, room, and two signatures last; those
// are capped in total as well, and when the cap is reached only refreshes of what we already keep are looked
// at, so a flood of valid strangers cannot make honest records expire.
//
// Not here: tokens (the responder asks for them first), disk: records live an hour and are refreshed.
// Invariant: every record served passed both signatures here, or is our own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/random.hpp"
#include "dht/base/result.hpp"
#include "dht/base/time.hpp"
#include "dht/put_rate.hpp"
#include "dht/record.hpp"
#include "dht/shelf.hpp"

namespace shoal::dht {

class Store {
 public:
  static constexpr std::uint32_t capacity = 65'536;  // 29 MB, 42 MB with the trees
  // A sample for a swarm; its members find the rest by peer exchange.
  static constexpr std::uint32_t key_capacity = 64;
  static constexpr std::uint32_t network_share = 4;       // under one key, of one /24 or /48; strangers only
  static constexpr std::uint32_t held_capacity = 32'768;  // our own: two epochs of 16,384 contents
  static constexpr Duration overdue = std::chrono::minutes{35};  // refreshed every 25 +- 5: past this, dead

  // `secret` is random, for hashing networks. `room`: 1..capacity records for others. `scheme`: of their
  // signatures; outlives the store.
  Store(const ByteArray<32>& secret, const Key& position, std::uint32_t room = capacity,
        const crypto::SignatureScheme& scheme = crypto::ed25519);

  // Takes a record from `from`, whose token the caller has checked. Errors: `malformed`, `unsupported`,
  // `mismatch` (key or commitment), `expired`, `exists` (not newer than what is stored), `forged`, `busy`
  // (rate, or no room: another time or another node). The same bytes again succeed and change nothing.
  [[nodiscard]] Result<void> put(Now now, const Endpoint& from, const Key& key, ByteView record,
                                 const Salt& salt);

  // Appends records under `key`, our own first, then a random sample in which every network comes once before
  // any comes twice; as many as `max_bytes` holds, counting their bare sizes. The views are good until the
  // next call that is not const.
  void get(Now now, const Key& key, std::size_t max_bytes, Random& random, std::vector<ByteView>& out) const;

  // How many records `get` would choose from.
  [[nodiscard]] std::size_t count(Now now, const Key& key) const;

  // Our own announcement: served under its key wherever that lies, outside all the limits above, until it is
  // forgotten or past its expiry. One a key; replaces. `busy` at held_capacity, `malformed` where it is no
  // record; built by us, so its signatures are not checked again.
  [[nodiscard]] Result<void> hold(const Key& key, Bytes record);
  void forget(const Key& key);

  void expire(Now now);  // drops what has run out; O(what is dropped)
  // When to call `expire` next: less than a minute after the first record's end. `never` when empty.
  [[nodiscard]] Instant next_expiry() const { return shelf_.next_expiry(); }
  void set_position(const Key& position) { shelf_.set_position(position); }

  [[nodiscard]] std::size_t size() const { return shelf_.size(); }  // records kept for others
  [[nodiscard]] std::size_t held() const { return own_.size(); }
  [[nodiscard]] std::size_t keys() const { return shelf_.keys(); }
  [[nodiscard]] std::uint64_t digest() const;
  // Everything kept, our own included, in the order of keys: for tests that look for what must not be there.
  [[nodiscard]] std::vector<std::pair<Key, Bytes>> dump() const;

  struct Counts {
    std::uint64_t puts = 0, accepted = 0, verified = 0;  // verified: pairs of signatures looked at
    std::uint64_t over_rate = 0, evicted = 0, expired = 0;
    bool operator==(const Counts&) const = default;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  using Index = Shelf::Index;
  [[nodiscard]] const ByteArray<record_bytes>& at(Index index) const { return *records_[index]; }
  void insert(Now now, const Key& key, ByteView record, std::uint64_t network);
  void remove(Index index);
  [[nodiscard]] Index find(const Key& key, const crypto::PublicKey& announcer) const;

  Shelf shelf_;
  const crypto::SignatureScheme* scheme_;
  // By place; none moves: a view is good until its record leaves.
  std::vector<std::unique_ptr<ByteArray<record_bytes>>> records_;
  std::map<Key, Bytes> own_;
  PutRate rate_;
  Counts counts_;
  std::uint64_t digest_ = 0;  // XOR of a mark of each record
};

}  // namespace shoal::dht
