// The native datagram's fields; see native_codec.hpp. Map keys, in rising order:
//
//    0 kind         0 ping 1 find 2 get-records 3 put-record 4 probe | 8 reply 9 failure
//    1 transaction  8 bytes
//    2 position     32 bytes; absent in record queries, optional in finds, present in every reply
//    3 flags        absent if zero. Query: 1 read-only, 2 proof wanted, 4 probe wanted, 8 no nodes
//    (get-records
//                   alone). Reply: 1 read-only
//    4 target       32 bytes            5 token (put)  1..32 bytes       6 salt     16 bytes
//    7 record       1..512 bytes        8 subject      6 or 18 bytes
//    9 observed     6 or 18 bytes      10 proof        104 bytes: public key, signature, Unix ms
//   11 nodes, v4    38 bytes each      12 nodes, v6    50 bytes each    13 token (reply)  1..32 bytes
//   14 records      array of 1..512 bytes               15 records held, absent if zero
//   16 reason       of a failure       17 padding      zeros, to the prescribed size of the query
//
// A query weighs at least a third of its largest reply and of what may follow it, a ping or a probe (THREATS
// A11): a signed reply to a ping takes 192 bytes, to a find 600; one to a get-records fills a datagram.
#include "dht/native_codec.hpp"

#include <algorithm>
#include <array>

#include "dht/base/check.hpp"
#include "dht/base/msgpack.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

enum Field : std::uint64_t {
  kind = 0,
  transaction,
  position,
  flags,
  target,
  put_token,
  salt,
  record,
  subject,
  observed,
  proof,
  nodes_v4,
  nodes_v6,
  reply_token,
  records,
  held,
  reason,
  padding,
};
enum Kind : std::uint64_t {
  kind_ping = 0,
  kind_find,
  kind_get_records,
  kind_put_record,
  kind_probe,
  kind_reply = 8,
  kind_failure = 9,
};
enum Flag : std::uint64_t { flag_read_only = 1, flag_proof = 2, flag_probe = 4, flag_no_nodes = 8 };

constexpr std::size_t header_bytes = 5;
constexpr std::size_t proof_bytes = 32 + 64 + 8;
constexpr std::size_t record_limit = 512;
constexpr std::size_t node_bytes_v4 = 32 + 6;
constexpr std::size_t node_bytes_v6 = 32 + 18;
// A third of the largest reply with an IPv6 proof, and room besides for a ping to the asker in return.
constexpr std::size_t ping_size = 104;
constexpr std::size_t find_size = 240;
constexpr std::size_t get_records_size = (limits::datagram + 2) / 3;
constexpr ByteArray<limits::datagram> nothing{};  // padding
constexpr pack::Limits pack_limits{.depth = 3, .tokens = 64};

std::size_t least_size(const QueryBody& body) {
  if (std::holds_alternative<PingQuery>(body)) return ping_size;
  if (std::holds_alternative<FindQuery>(body)) return find_size;
  if (std::holds_alternative<GetRecordsQuery>(body)) return get_records_size;
  return 0;  // put and probe get less than they are
}

// Bytes of padding (the value's, without key and header) for a query of `natural` bytes; 0: no padding field.
std::size_t padding_for(std::size_t natural, std::size_t least) {
  if (natural >= least) return 0;
  static_assert(padding >= 16 && padding < 128,
                "the key takes one byte, the header of bin 8 two, of bin 16 three");
  const std::size_t missing = least - natural;
  if (missing <= 4) return 1;  // unreachable: no query of today comes so near its least size
  return missing - 3 <= 255 ? missing - 3 : std::max<std::size_t>(256, missing - 4);
}

// Writes fields behind a map header that is corrected at the end. 16 fields or more never occur together.
class Fields {
 public:
  explicit Fields(Bytes& out) : out_(out), writer_(out), header_(out.size()) { writer_.map(0); }
  pack::Writer& field(Field key) {
    ++count_;
    return writer_.number(key);
  }
  void finish() {
    SHOAL_CHECK(count_ < 16);
    out_[header_] = static_cast<std::uint8_t>(0x80U | count_);
  }

 private:
  Bytes& out_;
  pack::Writer writer_;
  std::size_t header_;
  unsigned count_ = 0;
};

struct CompactEndpoint {
  ByteArray<18> bytes{};
  std::size_t size = 0;
  explicit CompactEndpoint(const Endpoint& endpoint) {
    const ByteView address = endpoint.address.view();
    std::copy(address.begin(), address.end(), bytes.begin());
    store_be(bytes.data() + address.size(), endpoint.port);
    size = address.size() + 2;
  }
  [[nodiscard]] ByteView view() const { return {bytes.data(), size}; }
};

void write_query(const Query& query, Bytes& out) {
  SHOAL_CHECK(query.body.index() <= kind_probe);  // the others are mainline's
  Fields fields{out};
  fields.field(kind).number(query.body.index());
  fields.field(transaction).binary(query.transaction.view());
  if (query.sender) fields.field(position).binary(query.sender->bytes);
  std::uint64_t bits = 0;
  if (query.role == SenderRole::read_only) bits |= flag_read_only;
  if (query.proof == ProofWanted::yes) bits |= flag_proof;
  if (query.probe == ProbeWanted::yes) bits |= flag_probe;
  const auto* get = std::get_if<GetRecordsQuery>(&query.body);
  if (get != nullptr && get->nodes == NodesWanted::no) bits |= flag_no_nodes;
  if (bits != 0) fields.field(flags).number(bits);
  if (const auto* find = std::get_if<FindQuery>(&query.body)) fields.field(target).binary(find->target.bytes);
  if (get != nullptr) fields.field(target).binary(get->target.bytes);
  if (const auto* put = std::get_if<PutRecordQuery>(&query.body)) {
    fields.field(target).binary(put->target.bytes);
    fields.field(put_token).binary(put->token);
    fields.field(salt).binary(put->salt);
    fields.field(record).binary(put->record);
  }
  if (const auto* probe = std::get_if<ProbeQuery>(&query.body))
    fields.field(subject).binary(CompactEndpoint{probe->subject}.view());
  const std::size_t zeros = padding_for(out.size(), least_size(query.body));
  if (zeros > 0) fields.field(padding).binary({nothing.data(), zeros});
  fields.finish();
}

void write_nodes(Fields& fields, Field key, Family family, const NodeList& nodes) {
  std::array<std::uint8_t, max_nodes_in_reply * node_bytes_v6> raw;
  std::size_t size = 0;
  for (const NodeInfo& node : nodes) {
    if (node.endpoint.address.family != family) continue;
    std::copy(node.id.bytes.begin(), node.id.bytes.end(), raw.data() + size);
    const CompactEndpoint compact{node.endpoint};
    std::copy_n(compact.bytes.begin(), compact.size, raw.data() + size + 32);
    size += 32 + compact.size;
  }
  if (size > 0) fields.field(key).binary({raw.data(), size});
}

void write_reply(const Reply& reply, Bytes& out) {
  Fields fields{out};
  fields.field(kind).number(kind_reply);
  fields.field(transaction).binary(reply.transaction.view());
  fields.field(position).binary(reply.sender.bytes);
  if (reply.role == SenderRole::read_only) fields.field(flags).number(flag_read_only);
  if (reply.observed) fields.field(observed).binary(CompactEndpoint{*reply.observed}.view());
  if (reply.proof) {
    ByteArray<proof_bytes> raw;
    std::copy(reply.proof->public_key.begin(), reply.proof->public_key.end(), raw.begin());
    std::copy(reply.proof->signature.begin(), reply.proof->signature.end(), raw.begin() + 32);
    store_be(raw.data() + 96, static_cast<std::uint64_t>(reply.proof->unix_ms));
    fields.field(proof).binary(raw);
  }
  write_nodes(fields, nodes_v4, Family::v4, reply.nodes);
  write_nodes(fields, nodes_v6, Family::v6, reply.nodes);
  if (!reply.token.empty()) fields.field(reply_token).binary(reply.token);
  if (!reply.records.empty()) {
    pack::Writer& writer = fields.field(records).array(static_cast<std::uint32_t>(reply.records.size()));
    for (const ByteView bytes : reply.records) writer.binary(bytes);
  }
  if (reply.records_held > 0) fields.field(held).number(reply.records_held);
  fields.finish();
}

// ---- decoding: every field into its place; afterwards the set of fields must be the one its kind has.
struct Parts {
  std::uint32_t present = 0;  // bit i: field i
  std::uint64_t kind_value = 0, flag_bits = 0, held_count = 0, reason_value = 0;
  TransactionId id;
  Key position_key, target_key;
  ByteView token, put_record, pad;
  Salt put_salt{};
  Endpoint probe_subject, observed_endpoint;
  Proof proof_value;
  NodeList nodes;
  RecordList record_list;
  [[nodiscard]] bool has(Field field) const { return (present >> field & 1U) != 0; }
};

bool take_key(const pack::Value& value, Key& out) {
  const auto raw = value.fixed<32>();
  if (raw) out.bytes = *raw;
  return raw.has_value();
}
bool take_view(const pack::Value& value, std::size_t most, ByteView& out) {
  const auto raw = value.binary();
  if (!raw || raw->empty() || raw->size() > most) return false;
  out = *raw;
  return true;
}
bool take_number(const pack::Value& value, std::uint64_t most, std::uint64_t& out) {
  const auto number = value.number();
  if (!number || *number > most) return false;
  out = *number;
  return true;
}
bool take_endpoint(const pack::Value& value, Endpoint& out) {
  const auto raw = value.binary();
  if (!raw) return false;
  const auto endpoint = Endpoint::from_compact(*raw);
  if (endpoint) out = *endpoint;
  return endpoint.has_value();
}
bool take_proof(const pack::Value& value, Proof& out) {
  const auto raw = value.fixed<proof_bytes>();
  if (!raw) return false;
  out.public_key = to_array<32>(*raw);
  out.signature = to_array<64>(ByteView{*raw}.subspan(32));
  out.unix_ms = static_cast<std::int64_t>(load_be<std::uint64_t>(raw->data() + 96));
  return true;
}
bool take_nodes(const pack::Value& value, std::size_t each, NodeList& out) {
  const auto raw = value.binary();
  if (!raw || raw->empty() || raw->size() % each != 0) return false;
  for (std::size_t at = 0; at < raw->size(); at += each) {
    const ByteView one = raw->subspan(at, each);
    NodeInfo node;
    node.id.bytes = to_array<32>(one);
    const auto endpoint = Endpoint::from_compact(one.subspan(32));
    SHOAL_CHECK(endpoint.has_value());  // it has one of the two sizes
    node.endpoint = *endpoint;
    if (!out.push(node)) return false;
  }
  return true;
}
bool take_records(const pack::Value& value, RecordList& out) {
  if (value.type() != pack::Type::array || value.size() == 0) return false;
  for (pack::Value item = value.first(); item; item = item.next()) {
    ByteView bytes;
    if (!take_view(item, record_limit, bytes) || !out.push(bytes)) return false;
  }
  return true;
}

bool take_field(std::uint64_t key, const pack::Value& value, Parts& parts) {
  switch (key) {
    case kind:
      return take_number(value, kind_failure, parts.kind_value);
    case transaction: {
      const auto raw = value.fixed<8>();
      if (raw) parts.id = TransactionId::from(load_be<std::uint64_t>(raw->data()));
      return raw.has_value();
    }
    case position:
      return take_key(value, parts.position_key);
    case flags:
      return take_number(value, 15, parts.flag_bits) && parts.flag_bits != 0;
    case target:
      return take_key(value, parts.target_key);
    case put_token:
    case reply_token:
      return take_view(value, limits::token, parts.token);
    case salt: {
      const auto raw = value.fixed<16>();
      if (raw) parts.put_salt = *raw;
      return raw.has_value();
    }
    case record:
      return take_view(value, record_limit, parts.put_record);
    case subject:
      return take_endpoint(value, parts.probe_subject);
    case observed:
      return take_endpoint(value, parts.observed_endpoint);
    case proof:
      return take_proof(value, parts.proof_value);
    case nodes_v4:
      return take_nodes(value, node_bytes_v4, parts.nodes);
    case nodes_v6:
      return take_nodes(value, node_bytes_v6, parts.nodes);
    case records:
      return take_records(value, parts.record_list);
    case held:
      return take_number(value, ~std::uint32_t{0}, parts.held_count) && parts.held_count != 0;
    case reason:
      return take_number(value, static_cast<std::uint64_t>(Refusal::rejected), parts.reason_value);
    case padding:
      return take_view(value, limits::datagram, parts.pad);
    default:
      return false;
  }
}

constexpr std::uint32_t bits_of(std::initializer_list<Field> fields) {
  std::uint32_t bits = 0;
  for (const Field field : fields) bits |= 1U << field;
  return bits;
}

struct Form {
  std::uint64_t kind_value;
  std::uint32_t required, optional;
  std::uint64_t allowed_flags;
};
constexpr std::uint64_t asker_flags = flag_read_only | flag_proof | flag_probe;
constexpr std::array<Form, 7> forms = {{
    {kind_ping, 0, bits_of({position, flags, padding}), asker_flags},
    {kind_find, bits_of({target}), bits_of({position, flags, padding}), asker_flags},
    {kind_get_records, bits_of({target}), bits_of({flags, padding}), asker_flags | flag_no_nodes},
    {kind_put_record, bits_of({target, put_token, salt, record}), bits_of({flags}), asker_flags},
    {kind_probe, bits_of({subject}), bits_of({position, flags}), asker_flags},
    {kind_reply, bits_of({position}),
     bits_of({flags, observed, proof, nodes_v4, nodes_v6, reply_token, records, held}), flag_read_only},
    {kind_failure, bits_of({reason}), 0, 0},
}};

Query to_query(const Parts& parts) {
  Query query;
  query.transaction = parts.id;
  if (parts.has(position)) query.sender = parts.position_key;
  if ((parts.flag_bits & flag_read_only) != 0) query.role = SenderRole::read_only;
  if ((parts.flag_bits & flag_proof) != 0) query.proof = ProofWanted::yes;
  if ((parts.flag_bits & flag_probe) != 0) query.probe = ProbeWanted::yes;
  switch (parts.kind_value) {
    case kind_find:
      query.body = FindQuery{parts.target_key};
      break;
    case kind_get_records:
      query.body = GetRecordsQuery{
          parts.target_key, (parts.flag_bits & flag_no_nodes) != 0 ? NodesWanted::no : NodesWanted::yes};
      break;
    case kind_put_record:
      query.body = PutRecordQuery{parts.target_key, parts.token, parts.put_salt, parts.put_record};
      break;
    case kind_probe:
      query.body = ProbeQuery{parts.probe_subject};
      break;
    default:
      query.body = PingQuery{};
      break;
  }
  return query;
}

Reply to_reply(const Parts& parts) {
  Reply reply;
  reply.transaction = parts.id;
  reply.sender = parts.position_key;
  if ((parts.flag_bits & flag_read_only) != 0) reply.role = SenderRole::read_only;
  if (parts.has(observed)) reply.observed = parts.observed_endpoint;
  if (parts.has(proof)) reply.proof = parts.proof_value;
  reply.nodes = parts.nodes;
  reply.token = parts.token;
  reply.records = parts.record_list;
  reply.records_held = static_cast<std::uint32_t>(parts.held_count);
  return reply;
}

// Bytes of the padding field: key, header, zeros.
std::size_t padding_field_bytes(std::size_t zeros) { return zeros == 0 ? 0 : zeros + (zeros <= 255 ? 3 : 4); }

}  // namespace

DialectTraits NativeCodec::traits() const {
  DialectTraits traits;
  traits.ping_bytes = ping_size;
  return traits;
}

Result<Message> NativeCodec::decode(ByteView datagram) const {
  if (datagram.size() > limits::datagram) return fail(Code::too_large, "a datagram has at most 1,232 bytes");
  if (datagram.size() <= header_bytes || datagram[0] != native_first_byte)
    return fail(Code::malformed, "a native datagram starts with its mark and network");
  if (load_be<std::uint32_t>(datagram.data() + 1) != network_id_)
    return fail(Code::mismatch, "the network is ours");
  const auto document = pack::Document::parse(datagram.subspan(header_bytes), pack_limits);
  if (!document) return std::unexpected(document.error());
  const pack::Value root = document->root();
  if (root.type() != pack::Type::map) return fail(Code::malformed, "a native datagram is a map");
  Parts parts;
  for (pack::Value value = root.first(); value; value = value.next()) {
    const std::uint64_t key = value.key().value_or(~std::uint64_t{0});
    if (!take_field(key, value, parts)) return fail(Code::malformed, "each field has its type and size");
    parts.present |= 1U << key;
  }
  const auto form = std::find_if(forms.begin(), forms.end(),
                                 [&](const Form& one) { return one.kind_value == parts.kind_value; });
  const std::uint32_t always = bits_of({kind, transaction});
  if (form == forms.end()) return fail(Code::unsupported, "the kind of a message is known");
  if ((parts.present & (form->required | always)) != (form->required | always) ||
      (parts.present & ~(form->required | form->optional | always)) != 0)
    return fail(Code::malformed, "a message has the fields of its kind");
  if ((parts.flag_bits & ~form->allowed_flags) != 0) return fail(Code::malformed, "a flag fits its message");
  if (parts.kind_value == kind_reply) return Message{to_reply(parts)};
  if (parts.kind_value == kind_failure)
    return Message{Failure{parts.id, static_cast<Refusal>(parts.reason_value)}};
  Query query = to_query(parts);
  const std::size_t natural = datagram.size() - padding_field_bytes(parts.pad.size());
  if (parts.pad.size() != padding_for(natural, least_size(query.body)) ||
      !std::equal(parts.pad.begin(), parts.pad.end(), nothing.begin()))
    return fail(Code::non_canonical, "the padding has its length and is zero");
  return Message{std::move(query)};
}

void NativeCodec::encode(const Message& message, Bytes& out) const {
  out.clear();
  out.reserve(512);
  out.push_back(native_first_byte);
  append_be(out, network_id_);
  if (const auto* query = std::get_if<Query>(&message)) {
    write_query(*query, out);
  } else if (const auto* reply = std::get_if<Reply>(&message)) {
    write_reply(*reply, out);
  } else {
    const auto& failure = std::get<Failure>(message);
    SHOAL_CHECK(failure.reason <= Refusal::rejected);
    Fields fields{out};
    fields.field(kind).number(kind_failure);
    fields.field(transaction).binary(failure.transaction.view());
    fields.field(reason).number(static_cast<std::uint64_t>(failure.reason));
    fields.finish();
  }
}

Codec::ReplyCost NativeCodec::reply_cost(Family family) const {
  const std::size_t address = family == Family::v4 ? 6 : 18;
  constexpr std::size_t short_binary = 3;  // key, bin 8 header
  constexpr std::size_t map_and_kind = 1 + 2;
  constexpr std::size_t flags_field = 2;
  constexpr std::size_t nodes_header = 4, records_header = 2, held_field = 6;
  ReplyCost cost;
  cost.fixed = header_bytes + map_and_kind + (short_binary + 8) + (short_binary + 32) + flags_field +
               (short_binary + address) + (short_binary + proof_bytes) + (short_binary + 8) + nodes_header +
               records_header + held_field;
  cost.per_node = 32 + address;
  cost.per_record = 3;
  return cost;
}

}  // namespace shoal::dht
