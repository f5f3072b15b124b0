// Replies to queries; see responder.hpp.
#include "dht/responder.hpp"

#include <algorithm>

namespace shoal::dht {
namespace {

constexpr std::size_t records_first = 2;  // in a reply that lists nodes as well; more on request

// The nearest that may be passed on, the asker left out.
void list_nodes(const Key& target, const Endpoint& from, Now now, Surroundings& around, std::size_t count,
                NodeList& out) {
  around.contacts.clear();
  around.table.closest(target, count + 1, RoutingTable::Choice::fit, now.mono, around.contacts);
  for (const Contact* contact : around.contacts) {
    if (out.size() == count) return;
    if (contact->endpoint != from) out.push({contact->id, contact->endpoint});
  }
}

void answer_get(const GetRecordsQuery& get, const Endpoint& from, Now now, Surroundings& around, Reply& reply,
                Bytes& token) {
  const Codec::ReplyCost cost = around.codec.reply_cost(around.family);
  const std::size_t room = around.codec.traits().max_datagram - cost.fixed;
  const std::size_t most = get.nodes == NodesWanted::yes ? records_first : max_records_in_reply;
  around.records.clear();
  around.store.get(now, get.target, room, around.random, around.records);
  std::size_t used = 0;
  for (const ByteView record : around.records) {
    if (reply.records.size() == most || used + record.size() + cost.per_record > room) break;
    used += record.size() + cost.per_record;
    reply.records.push(record);
  }
  reply.records_held = static_cast<std::uint32_t>(around.store.count(now, get.target));
  if (get.nodes == NodesWanted::yes) {
    const std::size_t nodes = std::min(limits::nodes_in_reply, (room - used) / cost.per_node);
    list_nodes(get.target, from, now, around, nodes, reply.nodes);
  }
  const auto fresh = around.tokens.issue(now, from, get.target);
  token.assign(fresh.begin(), fresh.end());
  reply.token = token;
}

Refusal refusal_of(Code code) {
  switch (code) {
    case Code::busy:
      return Refusal::busy;
    case Code::malformed:
    case Code::unsupported:
      return Refusal::malformed;
    default:
      return Refusal::rejected;
  }
}

}  // namespace

void respond(const Query& query, const Endpoint& from, Now now, Surroundings& around, Message& out) {
  auto* reply = std::get_if<Reply>(&out);
  SHOAL_CHECK(reply != nullptr);
  if (const auto* find = std::get_if<FindQuery>(&query.body)) {
    list_nodes(find->target, from, now, around, limits::nodes_in_reply, reply->nodes);
  } else if (const auto* get = std::get_if<GetRecordsQuery>(&query.body)) {
    answer_get(*get, from, now, around, *reply, around.token);
  } else if (const auto* put = std::get_if<PutRecordQuery>(&query.body)) {
    if (!around.tokens.accepts(now, put->token, from, put->target)) {
      out = Failure{query.transaction, Refusal::bad_token};
      return;
    }
    const auto stored = around.store.put(now, from, put->target, put->record, put->salt);
    if (!stored) out = Failure{query.transaction, refusal_of(stored.error().code)};
  }
}

bool encode_within(const Codec& codec, Message& message, std::size_t room, Bytes& out) {
  const std::size_t limit = std::min(room, codec.traits().max_datagram);
  for (;;) {
    codec.encode(message, out);
    if (out.size() <= limit) return true;
    auto* reply = std::get_if<Reply>(&message);
    if (reply == nullptr) return false;
    // The last node is worth more than a record: it leads on.
    const bool drop_record = reply->nodes.size() <= 1 && !reply->records.empty();
    if (drop_record) {
      reply->records.pop();
    } else if (!reply->nodes.empty()) {
      reply->nodes.pop();
    } else if (reply->proof) {
      reply->proof.reset();
    } else {
      return false;
    }
  }
}

}  // namespace shoal::dht
