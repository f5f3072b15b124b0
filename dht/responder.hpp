// Responder: one query and its source in, the reply out. Asks table, store and tokens; changes only the
// store. What a reply may weigh is decided here: never more than a datagram, and for a source that has not
// proven its address never more than three times its query (THREATS A11). Not here: signing, who is asked
// back.
#pragma once

#include <vector>

#include "dht/base/random.hpp"
#include "dht/codec.hpp"
#include "dht/message.hpp"
#include "dht/routing_table.hpp"
#include "dht/store.hpp"
#include "dht/tokens.hpp"

namespace shoal::dht {

struct Surroundings {
  const RoutingTable& table;
  Store& store;
  const Tokens& tokens;
  const Codec& codec;
  Random& random;
  Family family = Family::v4;
  // Scratch of the caller, reused from query to query.
  std::vector<const Contact*>& contacts;
  std::vector<ByteView>& records;
  Bytes& token;  // the reply's token points here
};

// Fills `out` (a Reply with sender, role and observed set by the caller, or a Failure). Probe queries get an
// empty reply; what follows from them is the node's business.
void respond(const Query& query, const Endpoint& from, Now now, Surroundings& surroundings, Message& out);

// Encodes, and cuts the reply until it fits `room`. False: nothing useful fits; send nothing.
[[nodiscard]] bool encode_within(const Codec& codec, Message& message, std::size_t room, Bytes& out);

}  // namespace shoal::dht
