// What a Node keeps of each search it was asked for, and of those it came to know beside the table. Plain
// values; node_state.hpp routes them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dht/lookup.hpp"
#include "dht/node.hpp"
#include "dht/store_back.hpp"
#include "dht/subject.hpp"
#include "dht/transactions.hpp"

namespace shoal::dht {

enum class SearchKind : std::uint8_t { values, nodes, put, ping, ask, upkeep };

struct Search {
  enum class Phase : std::uint8_t { waiting, looking, putting, asking, done };
  SearchKind kind = SearchKind::nodes;
  Subject subject = Subject::records;  // of values, put and ask
  Phase phase = Phase::waiting;
  Key target;
  std::uint8_t paths = 1;
  std::uint8_t round = 0;    // lookups before this one: over fewer paths, without a value, or unanswered
  std::size_t contacts = 0;  // in the table when the lookup began
  Instant started{};
  std::optional<Lookup> lookup;
  std::optional<StoreBack> store_back;
  Payload payload;                     // of a put
  Bytes salt;                          // of the item sought
  std::optional<std::int64_t> newest;  // sequence of the newest item handed on
  Endpoint to;                         // of a ping or ask
  std::uint8_t attempts = 0;           // sent so far
  std::uint8_t outstanding = 0;
  std::vector<std::uint64_t> seen;  // marks of the values looked at
  SearchStats stats;
};

// Answered, but not for the table (read-only, its position unproven or private): a lookup may start there.
struct Guide {
  NodeInfo node;
  Standing standing = Standing::unknown;
  Instant answered{};
};

struct RecentLookup {
  Key target;
  Instant at{};
  std::vector<NodeInfo> closest;
  std::vector<Place> places;  // only after a store's lookup
};

// To be asked for its proof, so that it may enter the table.
struct Verification {
  Endpoint endpoint;
  std::optional<Key> id;  // under which name it wrote or was named
  bool stranger = false;
  Party party = no_party;
};

// Fell out of the table by silence.
struct LostContact {
  Endpoint endpoint;
  Party party = no_party;
};

// An endpoint without a name, being asked for its first answer.
struct Introduction {
  Endpoint endpoint;
  Purpose purpose = Purpose::bootstrap;
  std::uint8_t attempts = 0;
  std::uint8_t outstanding = 0;
  bool slow = false;  // others are asked meanwhile
};

// Contacts of an earlier run, until all have been asked and somebody is known.
struct SavedEndpoints {
  std::vector<Endpoint> all;  // freshest first; bounded
  std::size_t asked = 0;      // of these, in this round
  [[nodiscard]] bool left() const { return asked < all.size(); }
};

}  // namespace shoal::dht
