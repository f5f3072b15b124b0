// Transactions: queries in flight. A reply counts only if its 64-bit random id *and* its source match
// (THREATS A4); every query passes the stages fresh -> slow (soft timeout) -> overdue -> dead (hard timeout)
// unless answered. Flat: an open-addressing table of ids over a pool, and a heap of deadlines; nothing is
// allocated per query once warm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"
#include "dht/contact.hpp"
#include "dht/lookup.hpp"

namespace shoal::dht {

// What a query was for, so that its reply finds the way back.
enum class Purpose : std::uint8_t { lookup, put, ping, ask, bootstrap, restore, upkeep, verify, probe };
enum class Stage : std::uint8_t { fresh, slow, overdue, dead };

struct Transaction {
  std::uint64_t id = 0;
  Endpoint to;
  Purpose purpose = Purpose::ping;
  Ask::Form form = Ask::Form::nodes;
  Stage stage = Stage::fresh;
  bool proof_wanted = false;
  bool sender_told = false;     // the query carried our position
  bool to_stranger = false;     // who wrote to us first: an answer shows that strangers reach us
  std::uint8_t round = 0;       // of a search: its lookups follow each other
  std::uint16_t candidate = 0;  // of a lookup
  Party party = no_party;       // of who is asked, and so of those it names
  std::uint64_t search = 0;     // 0: none
  std::optional<Key> expected;  // the id that should answer
  Key sender;                   // the position we gave: a signed reply covers it
  Instant sent{};
  Duration soft{};
};

class Transactions {
 public:
  // Takes the id that `transaction` carries (random, the caller's). False: full, or the id is in use.
  bool open(const Transaction& transaction);
  // The matching query, removed. nullopt: no such id, or another address: nothing changes.
  [[nodiscard]] std::optional<Transaction> close(std::uint64_t id, const Endpoint& from);
  // The next query whose stage changed by `now`, with its new stage; a dead one is removed. Call until
  // nullopt.
  [[nodiscard]] std::optional<Transaction> due(Instant now);
  [[nodiscard]] Instant next_due() const;
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Timer {
    Instant at;
    std::uint64_t id;
    Stage stage;
    bool operator>(const Timer& other) const { return at != other.at ? at > other.at : id > other.id; }
  };
  [[nodiscard]] std::size_t slot_of(
      std::uint64_t id) const;  // the slot with it, or the empty one where it would go
  void grow();
  void erase(std::size_t slot);
  void push_timer(const Timer& timer);
  void pop_timer();

  struct Slot {
    std::uint64_t id = 0;  // 0: empty
    std::uint16_t place = 0;
  };
  std::vector<Slot> slots_;  // by id
  std::vector<Transaction> pool_;
  std::vector<std::uint16_t> free_;  // of the pool
  std::vector<Timer> timers_;        // a heap, soonest first
  std::size_t size_ = 0;
};

}  // namespace shoal::dht
