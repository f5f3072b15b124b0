// Responder: one query and its source in, the reply out. Asks table, holdings and tokens; changes only the
// holdings. What a reply may weigh is decided here: never more than a datagram, and for a source that has not
// proven its address never more than three times its query (THREATS A11). Not here: signing, who is asked
// back.
#pragma once

#include <optional>
#include <vector>

#include "dht/base/random.hpp"
#include "dht/codec.hpp"
#include "dht/holdings.hpp"
#include "dht/message.hpp"
#include "dht/routing_table.hpp"
#include "dht/tokens.hpp"

namespace shoal::dht {

// Kept by the caller for its room, from query to query; the reply's views point into it.
struct ReplyScratch {
  std::vector<const Contact*> contacts;
  std::vector<ByteView> records;
  std::vector<Key> keys;
  Bytes token;
  Bytes raw;
};

struct Surroundings {
  const RoutingTable& table;
  const RoutingTable* other_family = nullptr;  // of the node beside this one (BEP 32)
  Holdings& holdings;
  const Tokens& tokens;
  const Codec& codec;
  Random& random;
  Family family = Family::v4;
  std::optional<Endpoint> self;  // as others see us: for peers that we are ourselves
  ReplyScratch& scratch;
};

// Fills `out` (a Reply with sender, role and observed set by the caller, or a Failure). Probe queries get an
// empty reply; what follows from them is the node's business.
void respond(const Query& query, const Endpoint& from, Now now, Surroundings& surroundings, Message& out);

// Encodes, and cuts the reply until it fits `room`. False: nothing useful fits; send nothing.
[[nodiscard]] bool encode_within(const Codec& codec, Message& message, std::size_t room, Bytes& out);

}  // namespace shoal::dht
