// RoutingTable: Kademlia's buckets around our own position. Bucket i holds contacts that share exactly i
// leading bits with it. The four farthest are wide (128/64/32/16), since nearly every lookup starts there.
//
// Invariants: one entry an id, one an endpoint; for global addresses one an IP, few a network (/24, /48),
// counted over entries, not replacements; every entry got in by `admit`, that is after a verified reply, and
// while its party had not had its share (parties.hpp); entries of long standing stay while they answer
// (Maymounkov & Mazieres: old contacts live longest, and a flood displaces nobody), but that of too many who
// came by themselves the oldest goes. Not here: verification, when to ask whom, what to do with the dead.
//
// Contacts lie side by side, and beside them 16 bits of a hash of each endpoint and network, the time of its
// last use and, in the order of buckets, 64 bits of each id: the questions asked all the time (who is this?
// is its network here? who is nearest? who was left alone for longest?) walk through a few hundred numbers in
// a row, and touch contacts only where these agree. No hash table is as small or as fast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dht/base/key.hpp"
#include "dht/contact.hpp"
#include "dht/message.hpp"
#include "dht/parties.hpp"

namespace shoal::dht {

// Whether per-IP and per-network limits hold for an address. They are for global unicast addresses only.
[[nodiscard]] bool counted(const IpAddress& address);

enum class Admission : std::uint8_t {
  refreshed,  // was there
  added,
  replaced,  // took the place of a dead entry
  waiting,   // bucket full: kept as a replacement
  moved,     // same id, other endpoint: the old one still answers and keeps its place; kept as a replacement
  crowded,   // its IP, its network or its party has its share
  own,       // our own id or the id of somebody else's entry
};
enum class Link : std::uint8_t {
  sound,
  suspect
};  // suspect: it may be us who are cut off; nobody is evicted

class RoutingTable {
 public:
  explicit RoutingTable(const Key& own) : own_(own) {}

  // A contact that just answered and was verified. Updates answered and proven of a known one. An
  // entry of the same endpoint under another id is dropped first (an id belongs to one address; THREATS A5).
  Admission admit(const Contact& contact, Instant now);
  // Would `admit` find a place (entry or empty replacement) for it? So that only useful proofs are asked for.
  [[nodiscard]] bool has_room_for(const Key& id, const IpAddress& address, Party party = no_party) const;
  // See Parties.
  void informed(Party party) { parties_.informed(party); }
  // The party names a node: if that came by itself, it counts as led there from now on.
  void named(const Endpoint& endpoint, const Key& id, Party party);
  [[nodiscard]] const Parties& parties() const { return parties_; }

  // A reply of a known contact came, with or without proof. False: unknown endpoint or other id.
  bool heard(const Endpoint& endpoint, const Key& id, Now now, std::optional<Duration> round_trip);
  void asked(const Endpoint& endpoint, Instant now);
  // A hard timeout. True: the entry was evicted.
  bool failed(const Endpoint& endpoint, Link link);
  bool remove(const Endpoint& endpoint);
  // The entries that share a bucket with `id` count as proven so long ago that each is asked for its proof
  // again at the next question to it.
  void doubt(const Key& id, Instant now);

  [[nodiscard]] const Contact* find(const Endpoint& endpoint) const;
  // Appends up to `count` nearest to `target`, nearest first. `fit`: only those that may be passed on.
  enum class Choice : std::uint8_t { any, fit };
  void closest(const Key& target, std::size_t count, Choice choice, Instant now,
               std::vector<const Contact*>& out) const;
  // Whom to ask next: a failing entry that has had a rest, else the one not asked nor heard for longest;
  // nullptr: table empty.
  [[nodiscard]] const Contact* stalest(Instant now) const;
  // A verified replacement that could fill a place; asked again before it enters. Removes it.
  [[nodiscard]] std::optional<Contact> take_replacement(Instant now);

  // The whole table around another own position (our address became known). Entries that no longer fit go.
  void move_to(const Key& own, Instant now);

  [[nodiscard]] const Key& own() const { return own_; }
  [[nodiscard]] std::size_t size() const { return contacts_.size(); }
  [[nodiscard]] std::size_t replacements() const;
  [[nodiscard]] std::size_t bucket_count() const;  // non-empty ones
  [[nodiscard]] std::size_t bucket_size(int index) const;
  [[nodiscard]] static std::size_t bucket_room(int index);
  // The next bucket with room behind `after`, wrapping around at the deepest in use; nullopt: none. What a
  // fill lookup aims at.
  // Only where nodes may be found for it: a bucket never holds more than its share of the network.
  [[nodiscard]] std::optional<int> bucket_with_room(int after, double network_size) const;
  // How long an entry not heard is passed on; at most limits::passed_on_for, less where nodes come and go
  // fast.
  void set_passed_on_for(Duration time) { passed_on_for_ = std::min<Duration>(time, limits::passed_on_for); }
  [[nodiscard]] int deepest() const;  // highest index in use; -1: empty
  // Buckets' last lookups, for refreshing. `touch` marks the bucket of `target`.
  void touch(const Key& target, Instant now);
  [[nodiscard]] std::optional<int> stale_bucket(Instant before) const;
  // Calls f(const Contact&) for every entry, by bucket, then by age.
  template <class F>
  void for_each(F&& f) const {
    for (const Slot slot : slots_) f(contacts_[slot]);
  }

 private:
  using Slot = std::uint16_t;   // index into contacts_ and the marks beside it
  using Place = std::uint16_t;  // index into slots_ and heads_
  using Mark = std::uint16_t;
  struct Bucket {
    Place begin = 0, end = 0;  // its entries, oldest first
    Instant touched{};
    std::vector<Contact> waiting;  // oldest first
    [[nodiscard]] std::size_t size() const { return end - begin; }
  };
  static constexpr std::size_t none = ~std::size_t{0};
  class Nearest;
  [[nodiscard]] Bucket& bucket_of(const Key& id);
  [[nodiscard]] const Bucket* bucket_if(const Key& id) const;
  [[nodiscard]] std::size_t slot_of(const Endpoint& endpoint) const;  // none: no entry
  [[nodiscard]] Contact* entry(const Endpoint& endpoint);
  [[nodiscard]] bool crowded(int bucket, const IpAddress& address) const;
  void touched(const Contact& contact);
  void set_failures(Contact& contact, std::uint8_t failures);
  Admission take(const Contact& contact, Instant now);  // admit, whosever party
  void remove_oldest_caller();
  void insert(Bucket& bucket, const Contact& contact);
  void erase(Place place);
  void keep_waiting(Bucket& bucket, const Contact& contact);
  static void forget_waiting(Bucket& bucket, const Key& id, const Endpoint& endpoint);

  Key own_;
  Duration passed_on_for_ = limits::passed_on_for;
  std::vector<Bucket> buckets_;  // grows to the deepest in use
  std::vector<Slot> slots_;      // of the entries, by bucket, then by age
  std::vector<std::uint64_t> heads_;
  std::vector<Contact> contacts_;  // entries, in no order
  std::vector<Mark> endpoint_marks_, network_marks_;
  std::vector<Instant> touched_;  // when each was asked or heard last
  std::size_t failing_ = 0;       // entries with failures
  Parties parties_;               // of the entries
};

}  // namespace shoal::dht
