// KRPC; see krpc_codec.hpp. Keys of a dict are written in their order: "ip" "q" "r" "ro" "t" "v" "y" and so
// on.
#include "dht/krpc_codec.hpp"

#include <algorithm>
#include <array>

#include "dht/address_filter.hpp"
#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "dht/item.hpp"
#include "dht/limits.hpp"
#include "dht/mainline_id.hpp"

namespace shoal::dht {
namespace {

using bencode::Type;
using bencode::Value;

constexpr bencode::Limits read_limits{.depth = 16, .tokens = 512, .mode = bencode::Mode::lenient};
constexpr std::size_t node_bytes_v4 = mainline_id_bytes + 6;
constexpr std::size_t node_bytes_v6 = mainline_id_bytes + 18;
constexpr std::size_t public_key_bytes = 32, signature_bytes = 64;
constexpr std::size_t sampled_most = 64;  // keys of a reply to sample_infohashes

// BEP 5 and BEP 44: numbers of errors.
enum Error : std::int64_t {
  generic = 201,
  server = 202,
  protocol = 203,
  value_too_large = 205,
  signature_invalid = 206,
  salt_too_large = 207,
  cas_mismatch = 301,
  sequence_old = 302
};
struct Named {
  Refusal reason;
  std::int64_t number;
  std::string_view text;
};
// The first of equal numbers is what a decoder reads.
constexpr std::array named_errors = {
    Named{Refusal::rejected, generic, "not kept"},
    Named{Refusal::busy, server, "busy"},
    Named{Refusal::malformed, protocol, "malformed"},
    Named{Refusal::bad_token, protocol, "bad token"},
    Named{Refusal::too_large, value_too_large, "the value is too large"},
    Named{Refusal::bad_signature, signature_invalid, "the signature is invalid"},
    Named{Refusal::salt_too_large, salt_too_large, "the salt is too large"},
    Named{Refusal::not_expected, cas_mismatch, "another item is kept"},
    Named{Refusal::outdated, sequence_old, "a newer item is kept"},
};

// ---- writing

void write_nodes(bencode::Writer& writer, std::string_view name, Family family, const NodeList& nodes) {
  std::array<std::uint8_t, max_nodes_in_reply * node_bytes_v6> raw;
  std::size_t size = 0;
  for (const NodeInfo& node : nodes) {
    if (node.endpoint.address.family != family) continue;
    const ByteView id = mainline_bytes(node.id), address = node.endpoint.address.view();
    std::copy(id.begin(), id.end(), raw.data() + size);
    std::copy(address.begin(), address.end(), raw.data() + size + id.size());
    store_be(raw.data() + size + id.size() + address.size(), node.endpoint.port);
    size += id.size() + address.size() + 2;
  }
  if (size > 0) writer.key(name).string(ByteView{raw.data(), size});
}

void write_signed(bencode::Writer& writer, const ItemView& item) {
  if (item.is_mutable()) writer.key("seq").integer(item.sequence).key("sig").string(item.signature);
}

// The arguments, between the braces, in the order of their keys; `id` is one of them.
class Arguments {
 public:
  Arguments(bencode::Writer& writer, const Query& query) : writer_(writer), query_(query) {}

  std::string_view operator()(const PingQuery&) {
    id();
    return "ping";
  }
  std::string_view operator()(const FindQuery& find) {
    id();
    target(find.target);
    want();
    return "find_node";
  }
  std::string_view operator()(const GetPeersQuery& get) {
    id();
    writer_.key("info_hash").string(mainline_bytes(get.target));
    if (get.no_seeds) writer_.key("noseed").integer(1);
    if (get.scrape) writer_.key("scrape").integer(1);
    want();
    return "get_peers";
  }
  std::string_view operator()(const AnnouncePeerQuery& announce) {
    id();
    if (announce.port_is == PortIs::source) writer_.key("implied_port").integer(1);
    writer_.key("info_hash").string(mainline_bytes(announce.target));
    writer_.key("port").integer(announce.port);
    if (announce.completeness == Completeness::seed) writer_.key("seed").integer(1);
    writer_.key("token").string(announce.token);
    return "announce_peer";
  }
  std::string_view operator()(const GetItemQuery& get) {
    id();
    if (get.newer_than) writer_.key("seq").integer(*get.newer_than);
    target(get.target);
    want();
    return "get";
  }
  std::string_view operator()(const PutItemQuery& put) {
    if (put.expected) writer_.key("cas").integer(*put.expected);
    id();
    if (put.item.is_mutable()) writer_.key("k").string(put.item.public_key);
    if (!put.item.salt.empty()) writer_.key("salt").string(put.item.salt);
    write_signed(writer_, put.item);
    writer_.key("token").string(put.token);
    writer_.key("v").raw(put.item.value);
    return "put";
  }
  std::string_view operator()(const SampleQuery& sample) {
    id();
    target(sample.target);
    want();
    return "sample_infohashes";
  }
  template <class Native>
  std::string_view operator()(const Native&) {
    SHOAL_CHECK(false);
    return {};
  }

 private:
  void id() {
    SHOAL_CHECK(query_.sender.has_value());
    writer_.key("id").string(mainline_bytes(*query_.sender));
  }
  void target(const Key& key) { writer_.key("target").string(mainline_bytes(key)); }
  void want() {
    if (!query_.wants_v4 && !query_.wants_v6) return;
    writer_.key("want").begin_list();
    if (query_.wants_v4) writer_.string("n4");
    if (query_.wants_v6) writer_.string("n6");
    writer_.end();
  }
  bencode::Writer& writer_;
  const Query& query_;
};

void write_end(bencode::Writer& writer, const TransactionId& id, std::string_view kind) {
  writer.key("t").string(id.view());
  writer.key("y").string(kind);
  writer.end();
}

void write_query(const Query& query, bencode::Writer& writer) {
  writer.begin_dict().key("a").begin_dict();
  const std::string_view method = std::visit(Arguments{writer, query}, query.body);
  writer.end();
  writer.key("q").string(method);
  if (query.role == SenderRole::read_only) writer.key("ro").integer(1);
  write_end(writer, query.transaction, "q");
}

void write_reply(const Reply& reply, bencode::Writer& writer) {
  writer.begin_dict();
  if (reply.observed) writer.key("ip").string(reply.observed->compact());
  writer.key("r").begin_dict();
  if (!reply.scrape.seeds.empty()) {
    writer.key("BFpe").string(reply.scrape.downloaders);
    writer.key("BFsd").string(reply.scrape.seeds);
  }
  writer.key("id").string(mainline_bytes(reply.sender));
  if (reply.sample) writer.key("interval").integer(reply.sample->interval_s);
  if (reply.item && reply.item->is_mutable()) writer.key("k").string(reply.item->public_key);
  write_nodes(writer, "nodes", Family::v4, reply.nodes);
  write_nodes(writer, "nodes6", Family::v6, reply.nodes);
  if (reply.sample) {
    writer.key("num").integer(reply.sample->held);
    writer.key("samples").string(reply.sample->keys);
  }
  if (reply.item)
    write_signed(writer, *reply.item);  // without the salt: who asks knows it
  else if (reply.item_sequence)
    writer.key("seq").integer(*reply.item_sequence);
  if (!reply.token.empty()) writer.key("token").string(reply.token);
  if (reply.item) writer.key("v").raw(reply.item->value);
  if (!reply.peers.empty()) {
    writer.key("values").begin_list();
    for (const Endpoint& peer : reply.peers) writer.string(peer.compact());
    writer.end();
  }
  writer.end();
  write_end(writer, reply.transaction, "r");
}

void write_failure(const Failure& failure, bencode::Writer& writer) {
  const auto* named = std::ranges::find(named_errors, failure.reason, &Named::reason);
  SHOAL_CHECK(named != named_errors.end());
  writer.begin_dict().key("e").begin_list().integer(named->number).string(named->text).end();
  write_end(writer, failure.transaction, "e");
}

// ---- reading

std::optional<Key> read_id(Value value) {
  const auto raw = value.string();
  if (!raw || raw->size() != mainline_id_bytes) return std::nullopt;
  return mainline_key(*raw);
}

bool is_set(Value value) { return value.integer().value_or(0) != 0; }

// A string of 1 to `most` bytes; empty: none such.
ByteView read_string(Value value, std::size_t most) {
  const auto raw = value.string();
  return raw && raw->size() <= most ? *raw : ByteView{};
}

// Longer lists are refused (THREATS A4); what has another size than whole entries is no list.
bool read_nodes(Value value, Family family, NodeList& out) {
  const auto raw = value.string();
  if (!raw) return true;
  const std::size_t each = family == Family::v4 ? node_bytes_v4 : node_bytes_v6;
  if (raw->size() % each != 0) return true;
  for (std::size_t at = 0; at < raw->size(); at += each) {
    const ByteView one = raw->subspan(at, each);
    NodeInfo node;
    node.id = mainline_key(one.first(mainline_id_bytes));
    const auto endpoint = Endpoint::from_compact(one.subspan(mainline_id_bytes));
    SHOAL_CHECK(endpoint.has_value());  // it has one of the two sizes
    if (endpoint->port == 0) continue;
    node.endpoint = *endpoint;
    if (!out.push(node)) return false;
  }
  return true;
}

bool read_peers(Value list, std::vector<Endpoint>& out) {
  for (Value value = list.first(); value; value = value.next()) {
    const auto raw = value.string();
    const auto endpoint = raw ? Endpoint::from_compact(*raw) : fail(Code::malformed, "a peer is a string");
    if (!endpoint || endpoint->port == 0) continue;
    if (out.size() == max_peers_in_reply) return false;
    out.push_back(*endpoint);
  }
  return true;
}

enum class Salted : std::uint8_t { yes, no };
Result<ItemView> read_item(Value dict, Salted salted) {
  ItemView item;
  item.value = dict.find("v").raw();
  if (item.value.empty()) return fail(Code::malformed, "an item has a value");
  if (item.value.size() > item_value_most) return fail(Code::too_large, "an item has at most 1,000 bytes");
  const Value key = dict.find("k");
  if (!key) return item;
  item.public_key = read_string(key, public_key_bytes);
  item.signature = read_string(dict.find("sig"), signature_bytes);
  const auto sequence = dict.find("seq").integer();
  if (item.public_key.size() != public_key_bytes || item.signature.size() != signature_bytes || !sequence ||
      *sequence < 0)
    return fail(Code::malformed, "a mutable item has its key, sequence and signature");
  item.sequence = *sequence;
  if (const Value salt = dict.find("salt"); salt && salted == Salted::yes) {
    const auto raw = salt.string();
    if (!raw || raw->size() > item_salt_most) return fail(Code::too_large, "a salt has at most 64 bytes");
    item.salt = *raw;
  }
  return item;
}

Result<QueryBody> read_announce(Value arguments, const Key& target) {
  AnnouncePeerQuery announce;
  announce.target = target;
  announce.token = read_string(arguments.find("token"), limits::token);
  if (is_set(arguments.find("seed"))) announce.completeness = Completeness::seed;
  if (is_set(arguments.find("implied_port"))) announce.port_is = PortIs::source;
  const std::int64_t port = arguments.find("port").integer().value_or(0);
  if (port < 0 || port > 65'535 || (port == 0 && announce.port_is == PortIs::stated))
    return fail(Code::malformed, "an announcement names a port");
  announce.port = static_cast<std::uint16_t>(port);
  return announce;
}

Result<QueryBody> read_put(Value arguments) {
  PutItemQuery put;
  put.token = read_string(arguments.find("token"), limits::token);
  const auto item = read_item(arguments, Salted::yes);
  if (!item) return std::unexpected(item.error());
  put.item = *item;
  if (put.item.is_mutable()) put.expected = arguments.find("cas").integer();
  return put;
}

Result<QueryBody> read_body(std::string_view method, Value arguments) {
  if (method == "ping") return PingQuery{};
  if (method == "put") return read_put(arguments);
  const auto info_hash = read_id(arguments.find("info_hash"));
  if (method == "get_peers" || method == "announce_peer") {
    if (!info_hash) return fail(Code::malformed, "a query about peers has an info-hash of 20 bytes");
    if (method == "announce_peer") return read_announce(arguments, *info_hash);
    return GetPeersQuery{*info_hash, is_set(arguments.find("noseed")), is_set(arguments.find("scrape"))};
  }
  const auto target = read_id(arguments.find("target"));
  if (!target && !info_hash) return fail(Code::unsupported, "a query names a method and a target");
  if (method == "get" && target) return GetItemQuery{*target, arguments.find("seq").integer()};
  if (method == "sample_infohashes" && target) return SampleQuery{*target};
  return FindQuery{target ? *target : *info_hash};
}

Result<Message> read_query(Value root, const TransactionId& id) {
  const auto method = root.find("q").text();
  const Value arguments = root.find("a");
  if (!method || arguments.type() != Type::dict) return fail(Code::malformed, "a query has its arguments");
  Query query;
  query.transaction = id;
  query.sender = read_id(arguments.find("id"));
  if (!query.sender) return fail(Code::malformed, "a query has an id of 20 bytes");
  if (is_set(root.find("ro"))) query.role = SenderRole::read_only;
  const Value want = arguments.find("want");
  for (Value family = want.first(); family; family = family.next()) {
    query.wants_v4 = query.wants_v4 || family.text() == "n4";
    query.wants_v6 = query.wants_v6 || family.text() == "n6";
  }
  auto body = read_body(*method, arguments);
  if (!body) return std::unexpected(body.error());
  query.body = *body;
  return Message{std::move(query)};
}

void read_sample(Value values, Reply& reply) {
  const auto keys = values.find("samples").string();
  if (!keys || keys->size() % mainline_id_bytes != 0 || keys->size() > sampled_most * mainline_id_bytes)
    return;
  const auto bounded = [&](std::string_view name, std::int64_t most) {
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(values.find(name).integer().value_or(0), 0, most));
  };
  reply.sample = Reply::Sample{*keys, bounded("num", ~std::uint32_t{0}), bounded("interval", 21'600)};
}

Result<Message> read_reply(Value root, const TransactionId& id) {
  const Value values = root.find("r");
  const auto sender = read_id(values.find("id"));
  if (!sender) return fail(Code::malformed, "a reply has an id of 20 bytes");
  Reply reply;
  reply.transaction = id;
  reply.sender = *sender;
  if (const auto ip = root.find("ip").string())
    if (const auto endpoint = Endpoint::from_compact(*ip)) reply.observed = *endpoint;
  if (!read_nodes(values.find("nodes"), Family::v4, reply.nodes) ||
      !read_nodes(values.find("nodes6"), Family::v6, reply.nodes) ||
      !read_peers(values.find("values"), reply.peers))
    return fail(Code::too_large, "a reply lists no more than fits");
  reply.token = read_string(values.find("token"), limits::token);
  const ByteView seeds = read_string(values.find("BFsd"), AddressFilter::size);
  const ByteView downloaders = read_string(values.find("BFpe"), AddressFilter::size);
  if (seeds.size() == AddressFilter::size && downloaders.size() == AddressFilter::size)
    reply.scrape = {seeds, downloaders};
  if (values.find("v")) {
    const auto item = read_item(values, Salted::no);
    if (!item) return std::unexpected(item.error());
    reply.item = *item;
  } else if (const auto sequence = values.find("seq").integer(); sequence && *sequence >= 0) {
    reply.item_sequence = sequence;
  }
  read_sample(values, reply);
  return Message{std::move(reply)};
}

Failure read_failure(Value root, const TransactionId& id) {
  const std::int64_t number = root.find("e").first().integer().value_or(generic);
  const auto* named = std::ranges::find(named_errors, number, &Named::number);
  return {id, named == named_errors.end() ? Refusal::rejected : named->reason};
}

}  // namespace

DialectTraits KrpcCodec::traits() const {
  DialectTraits traits;
  traits.proofs = Proofs::absent;
  traits.targets = Targets::full;
  traits.askers = Askers::named;
  traits.max_datagram = limits::datagram;
  traits.ping_bytes = 69;  // d1:ad2:id20:<20>e1:q4:ping2:roi1e1:t8:<8>1:y1:qe
  return traits;
}

Result<Message> KrpcCodec::decode(ByteView datagram) const {
  if (datagram.size() > limits::datagram_read)
    return fail(Code::too_large, "a datagram has at most 2,048 bytes");
  if (datagram.empty() || datagram[0] != krpc_first_byte)
    return fail(Code::malformed, "a datagram is a dictionary");
  const auto document = bencode::Document::parse(datagram, read_limits);
  if (!document) return std::unexpected(document.error());
  const Value root = document->root();
  const auto transaction = root.find("t").string();
  if (!transaction || transaction->size() > TransactionId::max_bytes)
    return fail(Code::malformed, "a transaction has a name of at most 16 bytes");
  TransactionId id;
  id.size = static_cast<std::uint8_t>(transaction->size());
  std::copy(transaction->begin(), transaction->end(), id.bytes.begin());
  const auto kind = root.find("y").text();
  if (kind == "q") return read_query(root, id);
  if (kind == "r") return read_reply(root, id);
  if (kind == "e") return Message{read_failure(root, id)};
  return fail(Code::malformed, "a message is a query, a reply or an error");
}

void KrpcCodec::encode(const Message& message, Bytes& out) const {
  out.clear();
  out.reserve(512);
  bencode::Writer writer{out};
  if (const auto* query = std::get_if<Query>(&message))
    write_query(*query, writer);
  else if (const auto* reply = std::get_if<Reply>(&message))
    write_reply(*reply, writer);
  else
    write_failure(std::get<Failure>(message), writer);
}

Codec::ReplyCost KrpcCodec::reply_cost(Family family) const {
  const std::size_t address = family == Family::v4 ? 6 : 18;
  // "d2:ip18:" "1:rd2:id20:" "6:nodes6" "123:" "5:token8:" "6:valuesle" "e1:t16:" "1:y1:re"
  constexpr std::size_t framing = 8 + 11 + 8 + 4 + 10 + 10 + 7 + 7;
  ReplyCost cost;
  cost.fixed = framing + address + mainline_id_bytes + 8 + TransactionId::max_bytes;
  cost.per_node = mainline_id_bytes + address;
  cost.per_record = address == 6 ? 2 : 3;  // "6:" or "18:" before a peer's endpoint
  return cost;
}

}  // namespace shoal::dht
