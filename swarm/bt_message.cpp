// See bt_message.hpp.
#include "swarm/bt_message.hpp"

#include <algorithm>
#include <array>

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "swarm/limits.hpp"
#include "swarm/wire_codec.hpp"

namespace shoal::swarm {
namespace {

using bencode::Document;
using bencode::Value;

enum Kind : std::uint8_t {
  choke = 0,
  unchoke,
  interested,
  not_interested,
  have,
  bitfield,
  request,
  piece,
  cancel,
  port,
  suggest = 13,
  have_all,
  have_none,
  reject,
  allowed_fast,
  extended = 20,
  hash_request,
  hashes,
  hash_reject
};
static_assert(piece == bt_piece_kind && bitfield == bt_bitfield_kind);

// What we name our own extended messages.
enum Extended : std::uint8_t { handshake = 0, ut_metadata, ut_pex, lt_donthave };
enum MetadataKind : std::int64_t { metadata_request = 0, metadata_data, metadata_reject };
constexpr std::int64_t seed_flag = 2;  // of a peer in an exchange (BEP 11)

constexpr bencode::Limits read_limits{.depth = 8, .tokens = 512, .mode = bencode::Mode::lenient};

// ---- writing

class Body {
 public:
  Body(Bytes& out, const BtExtensions& theirs) : out_(out), theirs_(theirs) {}

  void operator()(const wire::KeepAlive&) {}
  void operator()(const wire::Choke&) { out_.push_back(choke); }
  void operator()(const wire::Unchoke&) { out_.push_back(unchoke); }
  void operator()(const wire::Interested&) { out_.push_back(interested); }
  void operator()(const wire::NotInterested&) { out_.push_back(not_interested); }
  void operator()(const wire::Have& m) {
    out_.push_back(have);
    append_be(out_, m.piece);
  }
  void operator()(const wire::Pieces& m) {
    if (m.form == wire::Pieces::Form::bits) {
      out_.push_back(bitfield);
      append(out_, m.bits);
    } else if (theirs_.fast) {
      out_.push_back(m.form == wire::Pieces::Form::all ? have_all : have_none);
    } else if (m.form == wire::Pieces::Form::all) {
      out_.push_back(bitfield);
      out_.insert(out_.end(), (m.count + 7) / 8, 0xff);
      if (m.count % 8 != 0) out_.back() = static_cast<std::uint8_t>(0xff << (8 - m.count % 8));
    }
  }
  void operator()(const wire::Request& m) { block(request, m); }
  void operator()(const wire::Cancel& m) { block(cancel, m.request); }
  void operator()(const wire::Reject& m) {
    if (theirs_.fast) block(reject, m.request);
  }
  void operator()(const wire::Block&) { SHOAL_CHECK(false); }
  void operator()(const wire::AllowedFast& m) {
    if (!theirs_.fast) return;
    out_.push_back(allowed_fast);
    append_be(out_, m.piece);
  }
  void operator()(const wire::HashRequest& m) { hash(hash_request, m); }
  void operator()(const wire::Hashes& m) {
    if (!theirs_.hashes) return;
    hash(hashes, m.request);
    for (const Sha256& one : m.hashes) append(out_, one);
  }
  void operator()(const wire::HashReject& m) { hash(hash_reject, m.request); }
  void operator()(const wire::Hello& m);
  void operator()(const wire::MetadataRequest& m) { metadata(metadata_request, m.part, {}, {}); }
  void operator()(const wire::MetadataPart& m) { metadata(metadata_data, m.part, m.total_bytes, m.data); }
  void operator()(const wire::MetadataReject& m) { metadata(metadata_reject, m.part, {}, {}); }
  void operator()(const wire::PeerExchange& m);
  void operator()(const wire::DontHave& m) {
    if (theirs_.dont_have == 0) return;
    out_.push_back(extended);
    out_.push_back(theirs_.dont_have);
    append_be(out_, m.piece);
  }
  void operator()(const wire::DhtPort& m) {
    if (!theirs_.dht) return;
    out_.push_back(port);
    append_be(out_, m.port);
  }

 private:
  void block(std::uint8_t kind, const wire::Request& m) {
    out_.push_back(kind);
    append_be(out_, m.piece);
    append_be(out_, m.begin);
    append_be(out_, m.length);
  }
  void hash(std::uint8_t kind, const wire::HashRequest& m) {
    if (!theirs_.hashes) return;
    out_.push_back(kind);
    append(out_, m.root);
    for (const std::uint32_t word : {m.base, m.index, m.length, m.proofs}) append_be(out_, word);
  }
  void metadata(std::int64_t kind, std::uint32_t part, std::optional<std::uint32_t> total, ByteView data) {
    if (theirs_.metadata == 0) return;
    out_.push_back(extended);
    out_.push_back(theirs_.metadata);
    bencode::Writer writer{out_};
    writer.begin_dict().key("msg_type").integer(kind).key("piece").integer(part);
    if (total) writer.key("total_size").integer(*total);
    writer.end();
    append(out_, data);
  }
  Bytes& out_;
  const BtExtensions& theirs_;
};

void Body::operator()(const wire::Hello& m) {
  if (!theirs_.extended) return;
  out_.push_back(extended);
  out_.push_back(handshake);
  bencode::Writer writer{out_};
  writer.begin_dict().key("m").begin_dict();
  writer.key("lt_donthave").integer(lt_donthave);
  writer.key("ut_metadata").integer(ut_metadata);
  if (m.takes_exchange) writer.key("ut_pex").integer(ut_pex);
  writer.end();
  if (m.metadata_bytes > 0) writer.key("metadata_size").integer(m.metadata_bytes);
  if (m.listen_port > 0) writer.key("p").integer(m.listen_port);
  writer.key("reqq").integer(m.max_requests);
  if (m.native_key) writer.key("shoal").string(*m.native_key);
  if (m.upload_only) writer.key("upload_only").integer(1);
  writer.key("v").string(m.client);
  if (m.your_address) writer.key("yourip").string(m.your_address->view());
  writer.end();
}

void Body::operator()(const wire::PeerExchange& m) {
  if (theirs_.exchange == 0) return;
  Bytes added[2], flags[2], dropped[2];
  for (const wire::ExchangeEntry& entry : m.added) {
    const std::size_t six = entry.endpoint.address.family == Family::v6 ? 1 : 0;
    append(added[six], entry.endpoint.compact());
    flags[six].push_back(entry.seed ? seed_flag : 0);
  }
  for (const Endpoint& endpoint : m.dropped)
    append(dropped[endpoint.address.family == Family::v6 ? 1 : 0], endpoint.compact());
  out_.push_back(extended);
  out_.push_back(theirs_.exchange);
  bencode::Writer writer{out_};
  writer.begin_dict();
  writer.key("added").string(added[0]).key("added.f").string(flags[0]);
  writer.key("added6").string(added[1]).key("added6.f").string(flags[1]);
  writer.key("dropped").string(dropped[0]).key("dropped6").string(dropped[1]);
  writer.end();
}

// ---- reading

std::uint32_t word(ByteView body, std::size_t at) { return load_be<std::uint32_t>(body.data() + at); }

Result<void> wrong_size() { return fail(Code::malformed, "a message has the size of its kind"); }

wire::Request request_in(ByteView body) { return {word(body, 1), word(body, 5), word(body, 9)}; }

constexpr std::size_t hash_bytes = 1 + 32 + 16;
wire::HashRequest hash_request_in(ByteView body) {
  return {to_array<32>(body.subspan(1)), word(body, 33), word(body, 37), word(body, 41), word(body, 45)};
}

struct FixedSize {
  std::uint8_t kind;
  std::size_t payload;
};
constexpr std::array fixed_sizes = {
    FixedSize{choke, 0},          FixedSize{unchoke, 0},       FixedSize{interested, 0},
    FixedSize{not_interested, 0}, FixedSize{have, 4},          FixedSize{request, 12},
    FixedSize{cancel, 12},        FixedSize{port, 2},          FixedSize{suggest, 4},
    FixedSize{have_all, 0},       FixedSize{have_none, 0},     FixedSize{reject, 12},
    FixedSize{allowed_fast, 4},   FixedSize{hash_request, 48}, FixedSize{hash_reject, 48}};

Result<void> read_bits(ByteView body, std::vector<wire::Message>& out) {
  if (body.size() < 2 || body.size() > 1 + max_pieces_bytes) return wrong_size();
  out.emplace_back(wire::Pieces{.form = wire::Pieces::Form::bits, .bits = to_vector(body.subspan(1))});
  return {};
}

Result<void> read_hashes(ByteView body, std::vector<wire::Message>& out) {
  if (body.size() < hash_bytes || (body.size() - hash_bytes) % 32 != 0 ||
      (body.size() - hash_bytes) / 32 > max_hashes)
    return wrong_size();
  wire::Hashes message{hash_request_in(body), {}};
  for (std::size_t at = hash_bytes; at < body.size(); at += 32)
    message.hashes.push_back(to_array<32>(body.subspan(at)));
  out.emplace_back(std::move(message));
  return {};
}

std::uint32_t number(Value dict, std::string_view key, std::uint32_t most) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(dict.find(key).integer().value_or(0), 0, most));
}

// Where a bencoded value at the front ends: BEP 9 puts a part's data right behind its dictionary.
std::optional<std::size_t> end_of_dict(ByteView bytes) {
  int depth = 0;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::uint8_t byte = bytes[at];
    if (byte == 'd' || byte == 'l') {
      ++depth, ++at;
    } else if (byte == 'i') {
      while (at < bytes.size() && bytes[at] != 'e') ++at;
      ++at;
    } else if (byte == 'e') {
      --depth, ++at;
    } else {
      std::size_t length = 0;
      while (at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9' && length < bytes.size())
        length = length * 10 + (bytes[at++] - '0');
      if (at >= bytes.size() || bytes[at] != ':' || length > bytes.size() - at - 1) return std::nullopt;
      at += 1 + length;
    }
    if (depth <= 0) return at <= bytes.size() ? std::optional{at} : std::nullopt;
  }
  return std::nullopt;
}

Result<void> read_metadata(ByteView payload, std::vector<wire::Message>& out) {
  const auto end = end_of_dict(payload);
  if (!end) return fail(Code::malformed, "a message about metadata has its dictionary");
  const auto document = Document::parse(payload.first(*end), read_limits);
  if (!document) return std::unexpected(document.error());
  const Value dict = document->root();
  const auto kind = dict.find("msg_type").integer(), part = dict.find("piece").integer();
  if (!kind || !part || *part < 0 || *part > limits::max_metadata_bytes / limits::metadata_part_bytes)
    return fail(Code::malformed, "a message about metadata names its part");
  const auto number_of_part = static_cast<std::uint32_t>(*part);
  const ByteView data = payload.subspan(*end);
  if (*kind == metadata_request) {
    out.emplace_back(wire::MetadataRequest{number_of_part});
  } else if (*kind == metadata_reject) {
    out.emplace_back(wire::MetadataReject{number_of_part});
  } else if (*kind == metadata_data) {
    const auto total = dict.find("total_size").integer().value_or(0);
    if (data.empty() || data.size() > limits::metadata_part_bytes || total < 1 ||
        total > limits::max_metadata_bytes)
      return fail(Code::malformed, "a part of metadata has at most 16 KiB");
    out.emplace_back(wire::MetadataPart{number_of_part, static_cast<std::uint32_t>(total), to_vector(data)});
  }  // others: later versions' (BEP 9)
  return {};
}

void read_endpoints(Value list, Value flags, std::size_t each, std::vector<wire::ExchangeEntry>& out) {
  const ByteView raw = list.string().value_or(ByteView{}), marks = flags.string().value_or(ByteView{});
  for (std::size_t at = 0; at + each <= raw.size(); at += each) {
    if (out.size() == limits::exchange_taken + 1) return;  // one too many says that there were more
    const auto endpoint = Endpoint::from_compact(raw.subspan(at, each));
    SHOAL_CHECK(endpoint.has_value());  // it has one of the two sizes
    wire::ExchangeEntry entry;
    entry.endpoint = *endpoint;
    entry.seed = at / each < marks.size() && (marks[at / each] & seed_flag) != 0;
    out.push_back(entry);
  }
}

Result<void> read_exchange(ByteView payload, std::vector<wire::Message>& out) {
  const auto document = Document::parse(payload, read_limits);
  if (!document) return std::unexpected(document.error());
  const Value dict = document->root();
  wire::PeerExchange exchange;
  read_endpoints(dict.find("added"), dict.find("added.f"), 6, exchange.added);
  read_endpoints(dict.find("added6"), dict.find("added6.f"), 18, exchange.added);
  std::vector<wire::ExchangeEntry> dropped;
  read_endpoints(dict.find("dropped"), {}, 6, dropped);
  read_endpoints(dict.find("dropped6"), {}, 18, dropped);
  for (const wire::ExchangeEntry& entry : dropped) exchange.dropped.push_back(entry.endpoint);
  out.emplace_back(std::move(exchange));
  return {};
}

}  // namespace

BtOrder bt_order(std::uint8_t kind) {
  switch (kind) {
    case bitfield:
    case have_all:
    case have_none:
      return BtOrder::names_pieces;
    case choke:
    case unchoke:
    case interested:
    case not_interested:
    case have:
    case request:
    case piece:
    case cancel:
    case reject:
      return BtOrder::after_pieces;
    default:
      return BtOrder::any;
  }
}

void write_bt(const wire::Message& message, const BtExtensions& theirs, Bytes& out) {
  std::visit(Body{out, theirs}, message);
}

void write_bt_block_header(std::uint32_t piece_number, std::uint32_t begin, std::uint8_t* out) {
  out[0] = piece;
  store_be(out + 1, piece_number);
  store_be(out + 5, begin);
}

Result<void> BtReader::skip() {
  if (++unknown_ > max_unknown_messages)
    return fail(Code::too_large, "a connection has few messages that we do not know");
  return {};
}

Result<void> BtReader::read(ByteView body, std::vector<wire::Message>& out) {
  SHOAL_CHECK(!body.empty());
  const auto* fixed = std::ranges::find(fixed_sizes, body[0], &FixedSize::kind);
  if (fixed != fixed_sizes.end() && body.size() != 1 + fixed->payload) return wrong_size();
  switch (body[0]) {
    case choke:
      out.emplace_back(wire::Choke{});
      return {};
    case unchoke:
      out.emplace_back(wire::Unchoke{});
      return {};
    case interested:
      out.emplace_back(wire::Interested{});
      return {};
    case not_interested:
      out.emplace_back(wire::NotInterested{});
      return {};
    case have:
      out.emplace_back(wire::Have{word(body, 1)});
      return {};
    case bitfield:
      return read_bits(body, out);
    case have_all:
      out.emplace_back(wire::Pieces{.form = wire::Pieces::Form::all});
      return {};
    case have_none:
      out.emplace_back(wire::Pieces{.form = wire::Pieces::Form::none});
      return {};
    case request:
      out.emplace_back(request_in(body));
      return {};
    case cancel:
      out.emplace_back(wire::Cancel{request_in(body)});
      return {};
    case reject:
      out.emplace_back(wire::Reject{request_in(body)});
      return {};
    case allowed_fast:
      out.emplace_back(wire::AllowedFast{word(body, 1)});
      return {};
    case port:
      out.emplace_back(wire::DhtPort{load_be<std::uint16_t>(body.data() + 1)});
      return {};
    case hash_request:
      out.emplace_back(hash_request_in(body));
      return {};
    case hash_reject:
      out.emplace_back(wire::HashReject{hash_request_in(body)});
      return {};
    case hashes:
      return read_hashes(body, out);
    case extended:
      return read_extended(body, out);
    case suggest:  // BEP 6: advice that rarest first does better without
      return {};
    default:
      return skip();
  }
}

Result<void> BtReader::read_extended(ByteView body, std::vector<wire::Message>& out) {
  if (body.size() < 2) return wrong_size();
  const ByteView payload = body.subspan(2);
  switch (body[1]) {
    case handshake:
      return read_hello(payload, out);
    case ut_metadata:
      return read_metadata(payload, out);
    case ut_pex:
      return read_exchange(payload, out);
    case lt_donthave:
      if (payload.size() != 4) return wrong_size();
      out.emplace_back(wire::DontHave{word(payload, 0)});
      return {};
    default:
      return skip();
  }
}

// It may come again, with what has changed (BEP 10).
Result<void> BtReader::read_hello(ByteView payload, std::vector<wire::Message>& out) {
  const auto document = Document::parse(payload, read_limits);
  if (!document) return std::unexpected(document.error());
  const Value dict = document->root(), names = dict.find("m");
  const auto name_of = [&](std::string_view key, std::uint8_t& into) {
    const Value value = names.find(key);
    if (value) into = static_cast<std::uint8_t>(number(names, key, 255));
  };
  name_of("ut_metadata", theirs_.metadata);
  name_of("ut_pex", theirs_.exchange);
  name_of("lt_donthave", theirs_.dont_have);
  wire::Hello hello;
  hello.takes_exchange = theirs_.exchange != 0;
  const std::string_view client = dict.find("v").text().value_or("");
  hello.client = std::string{client.substr(0, max_client_bytes)};
  hello.listen_port = static_cast<std::uint16_t>(number(dict, "p", 65'535));
  if (const auto bytes = dict.find("metadata_size").integer();
      bytes && *bytes > 0 && *bytes <= limits::max_metadata_bytes)
    hello.metadata_bytes = static_cast<std::uint32_t>(*bytes);
  if (const std::uint32_t most = number(dict, "reqq", 1 << 16); most > 0) hello.max_requests = most;
  if (const auto address = dict.find("yourip").string();
      address && (address->size() == 4 || address->size() == 16))
    hello.your_address = IpAddress::from_bytes(*address);
  hello.upload_only = number(dict, "upload_only", 1) != 0;
  if (const auto key = dict.find("shoal").string(); key && key->size() == 32)
    hello.native_key = to_array<32>(*key);
  out.emplace_back(std::move(hello));
  return {};
}

}  // namespace shoal::swarm
