// Replies to queries; see responder.hpp.
#include "dht/responder.hpp"

#include <algorithm>

#include "dht/address_filter.hpp"
#include "dht/limits.hpp"
#include "dht/mainline_id.hpp"

namespace shoal::dht {
namespace {

constexpr std::size_t records_first = 2;               // in a reply that lists nodes as well; more on request
constexpr std::size_t peers_in_reply = 100;            // or what fits
constexpr std::size_t samples_in_reply = 20;           // BEP 51
constexpr std::uint32_t sample_interval_s = 6 * 3600;  // the longest that BEP 51 permits
constexpr std::size_t least_peers = 8;                 // of these a cut reply keeps some, and some nodes

class Responder {
 public:
  Responder(const Query& query, const Endpoint& from, Now now, Surroundings& around, Reply& reply)
      : query_(query), from_(from), now_(now), around_(around), reply_(reply) {}

  using Answer = std::optional<Refusal>;
  Answer operator()(const PingQuery&) { return {}; }
  Answer operator()(const ProbeQuery&) { return {}; }
  Answer operator()(const FindQuery& find) {
    list_nodes(find.target, limits::nodes_in_reply);
    return {};
  }
  Answer operator()(const GetRecordsQuery& get);
  Answer operator()(const GetPeersQuery& get);
  Answer operator()(const GetItemQuery& get);
  Answer operator()(const SampleQuery& sample);
  Answer operator()(const PutRecordQuery& put) {
    if (!around_.tokens.accepts(now_, put.token, from_, put.target)) return Refusal::bad_token;
    return answer_of(around_.holdings.records.put(now_, from_, put.target, put.record, put.salt));
  }
  Answer operator()(const AnnouncePeerQuery& announce) {
    if (!around_.tokens.accepts(now_, announce.token, from_, announce.target)) return Refusal::bad_token;
    const std::uint16_t port = announce.port_is == PortIs::source ? from_.port : announce.port;
    return answer_of(
        around_.holdings.peers.put(now_.mono, announce.target, {from_.address, port}, announce.completeness));
  }
  Answer operator()(const PutItemQuery& put) {
    if (!around_.tokens.accepts(now_, put.token, from_, target_of(put.item))) return Refusal::bad_token;
    const auto kept = around_.holdings.items.put(now_.mono, from_.address, put);
    if (kept) return {};
    switch (kept.error().code) {
      case Code::exists:
        return Refusal::outdated;
      case Code::mismatch:
        return Refusal::not_expected;
      case Code::forged:
        return Refusal::bad_signature;
      default:
        return answer_of(kept);
    }
  }

 private:
  static Answer answer_of(const Result<void>& result);
  void list_nodes(const Key& target, std::size_t count);
  void list_of(const RoutingTable& table, const Key& target, std::size_t count);
  void give_token(const Key& target) {
    const auto fresh = around_.tokens.issue(now_, from_, target);
    around_.scratch.token.assign(fresh.begin(), fresh.end());
    reply_.token = around_.scratch.token;
  }

  const Query& query_;
  const Endpoint& from_;
  Now now_;
  Surroundings& around_;
  Reply& reply_;
};

Responder::Answer Responder::answer_of(const Result<void>& result) {
  if (result) return {};
  switch (result.error().code) {
    case Code::busy:
      return Refusal::busy;
    case Code::malformed:
    case Code::unsupported:
      return Refusal::malformed;
    default:
      return Refusal::rejected;
  }
}

// The nearest that may be passed on, the asker left out.
void Responder::list_of(const RoutingTable& table, const Key& target, std::size_t count) {
  auto& contacts = around_.scratch.contacts;
  contacts.clear();
  table.closest(target, count + 1, RoutingTable::Choice::fit, now_.mono, contacts);
  for (const Contact* contact : contacts) {
    if (count == 0) return;
    if (contact->endpoint == from_) continue;
    reply_.nodes.push({contact->id, contact->endpoint});
    --count;
  }
}

// Of the families that were asked for; of the packet's own where none was.
void Responder::list_nodes(const Key& target, std::size_t count) {
  const bool any = !query_.wants_v4 && !query_.wants_v6;
  const bool v4 = around_.family == Family::v4;
  if (any || (v4 ? query_.wants_v4 : query_.wants_v6)) list_of(around_.table, target, count);
  if (around_.other_family != nullptr && (v4 ? query_.wants_v6 : query_.wants_v4))
    list_of(*around_.other_family, target, count);
}

Responder::Answer Responder::operator()(const GetRecordsQuery& get) {
  const Codec::ReplyCost cost = around_.codec.reply_cost(around_.family);
  const std::size_t room = around_.codec.traits().max_datagram - cost.fixed;
  const std::size_t most = get.nodes == NodesWanted::yes ? records_first : max_records_in_reply;
  auto& records = around_.scratch.records;
  records.clear();
  around_.holdings.records.get(now_, get.target, room, around_.random, records);
  std::size_t used = 0;
  for (const ByteView record : records) {
    if (reply_.records.size() == most || used + record.size() + cost.per_record > room) break;
    used += record.size() + cost.per_record;
    reply_.records.push(record);
  }
  reply_.records_held = static_cast<std::uint32_t>(around_.holdings.records.count(now_, get.target));
  if (get.nodes == NodesWanted::yes)
    list_nodes(get.target, std::min(limits::nodes_in_reply, (room - used) / cost.per_node));
  give_token(get.target);
  return {};
}

Responder::Answer Responder::operator()(const GetPeersQuery& get) {
  const Codec::ReplyCost cost = around_.codec.reply_cost(around_.family);
  const std::size_t a_peer = cost.per_record + cost.per_node - mainline_id_bytes;
  const std::size_t room =
      around_.codec.traits().max_datagram - cost.fixed - limits::nodes_in_reply * cost.per_node;
  const auto seeds_wanted = get.no_seeds ? PeerStore::Seeds::left_out : PeerStore::Seeds::wanted;
  around_.holdings.peers.get(now_.mono, get.target, std::min(peers_in_reply, room / a_peer), seeds_wanted,
                             around_.self, around_.random, reply_.peers);
  if (AddressFilter seeds, downloaders;
      get.scrape && around_.holdings.peers.filters(now_.mono, get.target, seeds, downloaders)) {
    Bytes& raw = around_.scratch.raw;
    raw = to_vector(seeds.view());
    append(raw, downloaders.view());
    reply_.scrape = {ByteView{raw}.first(AddressFilter::size), ByteView{raw}.subspan(AddressFilter::size)};
  }
  list_nodes(get.target, limits::nodes_in_reply);
  give_token(get.target);
  return {};
}

Responder::Answer Responder::operator()(const GetItemQuery& get) {
  if (const Item* item = around_.holdings.items.get(now_.mono, get.target)) {
    reply_.item = item->view();
    if (item->public_key && get.newer_than && item->sequence <= *get.newer_than) {
      reply_.item_sequence = item->sequence;
      reply_.item.reset();
    }
  }
  list_nodes(get.target, limits::nodes_in_reply);
  give_token(get.target);
  return {};
}

Responder::Answer Responder::operator()(const SampleQuery& sample) {
  around_.scratch.keys.clear();
  around_.holdings.peers.sample_keys(samples_in_reply, around_.random, around_.scratch.keys);
  Bytes& raw = around_.scratch.raw;
  raw.clear();
  for (const Key& key : around_.scratch.keys) append(raw, mainline_bytes(key));
  reply_.sample =
      Reply::Sample{raw, static_cast<std::uint32_t>(around_.holdings.peers.keys()), sample_interval_s};
  list_nodes(sample.target, limits::nodes_in_reply);
  return {};
}

// Takes away what is worth least; false: nothing is left to take. The last node goes after all values: it
// leads on.
bool shorten(Reply& reply) {
  const bool values =
      !reply.records.empty() || !reply.peers.empty() || !reply.scrape.seeds.empty() || reply.item;
  if (reply.peers.size() > least_peers) {
    reply.peers.resize(std::max(least_peers, reply.peers.size() / 2));
  } else if (reply.nodes.size() > (values ? 1 : 0)) {
    reply.nodes.pop();
  } else if (!reply.records.empty()) {
    reply.records.pop();
  } else if (!reply.scrape.seeds.empty()) {
    reply.scrape = {};
  } else if (reply.item && reply.observed) {
    reply.observed.reset();
  } else if (reply.item) {
    reply.item.reset();
  } else if (!reply.peers.empty()) {
    reply.peers.pop_back();
  } else if (reply.sample && !reply.sample->keys.empty()) {
    reply.sample->keys = reply.sample->keys.first(reply.sample->keys.size() / (2 * mainline_id_bytes) *
                                                  mainline_id_bytes);  // half of them
  } else if (reply.proof) {
    reply.proof.reset();
  } else {
    return false;
  }
  return true;
}

}  // namespace

void respond(const Query& query, const Endpoint& from, Now now, Surroundings& around, Message& out) {
  auto* reply = std::get_if<Reply>(&out);
  SHOAL_CHECK(reply != nullptr);
  if (const auto refusal = std::visit(Responder{query, from, now, around, *reply}, query.body))
    out = Failure{query.transaction, *refusal};
}

bool encode_within(const Codec& codec, Message& message, std::size_t room, Bytes& out) {
  const std::size_t limit = std::min(room, codec.traits().max_datagram);
  for (;;) {
    codec.encode(message, out);
    if (out.size() <= limit) return true;
    auto* reply = std::get_if<Reply>(&message);
    if (reply == nullptr || !shorten(*reply)) return false;
  }
}

}  // namespace shoal::dht
