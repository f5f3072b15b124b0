// Shelf: what others give a node to keep, in places that are numbered; who must go when it is full. It knows
// no value: its owner keeps one for each number.
//
// Bounded in every direction (DESIGN 5, THREATS A14): in all, a key, and a network (/24, IPv6 /48) a key.
// Every operation is O(1) or O(what one key holds) but for look-ups in balanced trees (of keys: they are
// hashes that an attacker can grind, and a tree has no bad case).
//
// When full, a value goes for each that comes: of the network with most values here, the oldest; so a flood
// levels its own networks, and who has one value in a network of his own loses it only to `capacity` others.
// Where no network has two: of the values farthest from our position, the oldest, if the newcomer is nearer.
// When a key is full: of the network with most values there, the oldest; or one whose refresh is overdue.
//
// No address is kept, only a keyed hash of its network.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/random.hpp"
#include "dht/base/result.hpp"
#include "dht/base/time.hpp"
#include "dht/fixed_list.hpp"

namespace shoal::dht {

class Shelf {
 public:
  using Index = std::uint32_t;
  static constexpr Index none = ~Index{0};
  static constexpr std::uint32_t key_capacity_most = 256;

  struct Bounds {
    std::uint32_t capacity = 1;       // values in all
    std::uint32_t key_capacity = 1;   // 1..key_capacity_most
    std::uint32_t network_share = 1;  // under one key, of one network; strangers only
    Duration overdue{};               // a value older than this has missed its refresh
  };

  // `secret` is random, for hashing networks.
  Shelf(const ByteArray<32>& secret, const Key& position, const Bounds& bounds);

  // Of strangers, a name for their network; neighbours on a LAN are told apart singly and not limited.
  [[nodiscard]] std::uint64_t network_of(const IpAddress& address) const;

  // Which value leaves when one of `network` comes under `key`: `replaced` where the newcomer succeeds it, a
  // victim, or none where there is room. `busy` where it may not come. Changes nothing.
  [[nodiscard]] Result<Index> make_room(Instant now, const Key& key, std::uint64_t network,
                                        Index replaced) const;
  // The caller has made room. The number may be one that was free: below `places()`.
  Index insert(Instant now, const Key& key, std::uint64_t network, Instant end);
  void remove(Index index);

  // Those under a key, oldest first: for (i = first(key); i != none; i = next(i)).
  [[nodiscard]] Index first(const Key& key) const;
  [[nodiscard]] Index next(Index index) const { return slots_[index].links[by_key].next; }
  // All that have not ended, in an order in which every network comes once before any comes twice. Within its
  // network a value's round is by chance, and so is the order of a round, or large networks would lead it.
  using Sample = FixedList<Index, key_capacity_most>;
  [[nodiscard]] Sample sample(Instant now, const Key& key, Random& random) const;
  [[nodiscard]] std::size_t count(Instant now, const Key& key) const;  // those that have not ended

  [[nodiscard]] const Key& key_of(Index index) const { return slots_[index].room->first; }
  [[nodiscard]] std::uint64_t network_of(Index index) const { return slots_[index].network->first; }
  [[nodiscard]] Instant stored(Index index) const { return slots_[index].stored; }
  [[nodiscard]] Instant end(Index index) const { return slots_[index].end; }
  [[nodiscard]] std::size_t places() const { return slots_.size(); }

  // The next that has ended, to be removed by the caller; none: no more. A value goes within the minute after
  // its end.
  [[nodiscard]] Index ended(Instant now) const;
  [[nodiscard]] Instant next_expiry() const;  // `never` when empty
  void set_position(const Key& position);     // O(n log n), rare: our external address changed
  [[nodiscard]] const Key& position() const { return position_; }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t keys() const { return rooms_.size(); }
  [[nodiscard]] std::size_t of_network(std::uint64_t network) const;  // values
  // Calls f(Index) for all, in the order of keys, then of age.
  template <class F>
  void for_each(F&& f) const {
    for (const auto& [key, room] : rooms_)
      for (Index i = room.first; i != none; i = next(i)) f(i);
  }
  // The n-th key, counted from the first not less than `from`, around the end.
  template <class F>
  void keys_from(const Key& from, std::size_t count, F&& f) const {
    auto at = rooms_.lower_bound(from);
    for (std::size_t i = 0; i < std::min(count, rooms_.size()); ++i, ++at) {
      if (at == rooms_.end()) at = rooms_.begin();
      f(at->first);
    }
  }

 private:
  // A value is in four lists at once, linked through its own fields: of its key, of its rank (leading bits
  // shared with our position), of its network, of the minute in which it ends. Each is in order of age.
  static constexpr std::size_t list_kinds = 4, by_key = 0, by_rank = 1;
  struct List {
    Index first = none, last = none;
    std::uint32_t count = 0;
  };
  using Rooms = std::map<Key, List>;
  using Networks = std::map<std::uint64_t, List>;  // by keyed hash of the network; odd: a global one
  using Ends = std::map<std::int64_t, List>;       // by minute
  struct Link {
    Index previous = none, next = none;
  };
  struct Slot {
    Rooms::iterator room;
    Networks::iterator network;
    Ends::iterator ending;
    Instant stored, end;
    std::array<Link, list_kinds> links;  // in the order of lists_of
    std::uint16_t rank = 0;
  };

  [[nodiscard]] std::array<List*, list_kinds> lists_of(const Slot& slot);
  [[nodiscard]] std::uint16_t rank_of(const Key& key);
  void append_to(List& list, std::size_t kind, Index index);
  void take_from(List& list, std::size_t kind, Index index);
  void recount(Networks::const_iterator network, std::uint32_t before);
  [[nodiscard]] Index victim_of_key(Instant now, const List& room, std::uint64_t network) const;
  [[nodiscard]] Index victim_of_all(const Key& key, std::uint64_t network) const;

  ByteArray<32> secret_;
  Key position_;
  Bounds bounds_;
  std::vector<Slot> slots_;
  std::vector<Index> free_;
  Rooms rooms_;
  Networks networks_;
  std::set<std::pair<std::uint32_t, std::uint64_t>>
      large_;                // (values, network), of strangers with two or more
  std::vector<List> ranks_;  // grows to the highest in use
  Ends ends_;
  std::size_t size_ = 0;
};

}  // namespace shoal::dht
