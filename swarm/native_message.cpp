// Messages of the native dialect to bytes and back. See native_message.hpp.
//
//   0 keep alive   1 choke   2 unchoke   3 interested   4 not interested
//   5 have         piece                      6 all pieces      7 no pieces
//   8 pieces       bytes of the whole bitfield, part (binary)
//   9 request     10 cancel     11 reject     piece, begin, length
//  12 block        piece, begin; the payload follows raw to the end of its frame
//  13 allowed fast piece
//  14 hash request 16 hash reject  root, base, index, length, proofs       15 hashes  the same, hashes
//  (binary) 17 hello        a map: 0 client (text), 1 port, 2 metadata bytes, 3 max requests, 4 your address
//  (binary, optional) 18 metadata request  20 metadata reject  part    19 metadata part  part, bytes in all,
//  data (binary) 21 peer exchange     [[endpoint, key or nil, seed] ...], [endpoint ...]; an endpoint as in
//  BEP 5 and 32
//
// Messages of numbers alone, nearly all that are sent, are read by a small reader of their canonical form
// that needs no memory; whatever it does not take goes to pack::Document, which also finds the error.
#include "swarm/native_message.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "dht/base/check.hpp"
#include "dht/base/msgpack.hpp"

namespace shoal::swarm {
namespace {

enum Type : std::uint8_t {
  keep_alive,
  choke,
  unchoke,
  interested,
  not_interested,
  have,
  all_pieces,
  no_pieces,
  pieces,
  request,
  cancel,
  reject,
  block,
  allowed_fast,
  hash_request,
  hashes,
  hash_reject,
  hello,
  metadata_request,
  metadata_part,
  metadata_reject,
  peer_exchange,
  first_unknown,
};
enum HelloKey : std::uint64_t { client, listen_port, metadata_bytes, max_requests, your_address };

constexpr std::size_t hash_bytes = std::tuple_size_v<Sha256>;
constexpr auto malformed = [] {
  return fail(Code::malformed, "a message does not have the form of its type");
};
constexpr auto too_large = [] { return fail(Code::too_large, "a message is above the bound of its type"); };

// ---- writing

void write_request(pack::Writer& to, Type type, const wire::Request& r) {
  to.array(4).number(type).number(r.piece).number(r.begin).number(r.length);
}

void write_hash_request(pack::Writer& to, Type type, const wire::HashRequest& r, std::uint32_t elements) {
  to.array(elements).number(type).binary(r.root);
  to.number(r.base).number(r.index).number(r.length).number(r.proofs);
}

struct MessageWriter {
  pack::Writer to;
  Bytes& out;

  void operator()(const wire::KeepAlive&) { to.array(1).number(keep_alive); }
  void operator()(const wire::Choke&) { to.array(1).number(choke); }
  void operator()(const wire::Unchoke&) { to.array(1).number(unchoke); }
  void operator()(const wire::Interested&) { to.array(1).number(interested); }
  void operator()(const wire::NotInterested&) { to.array(1).number(not_interested); }
  void operator()(const wire::Have& m) { to.array(2).number(have).number(m.piece); }
  void operator()(const wire::Pieces& m) {
    SHOAL_CHECK(m.form != wire::Pieces::Form::bits);
    to.array(1).number(m.form == wire::Pieces::Form::all ? all_pieces : no_pieces);
  }
  void operator()(const wire::Request& m) { write_request(to, request, m); }
  void operator()(const wire::Cancel& m) { write_request(to, cancel, m.request); }
  void operator()(const wire::Reject& m) { write_request(to, reject, m.request); }
  void operator()(const wire::Block&) { SHOAL_CHECK(false && "a block's header has a function of its own"); }
  void operator()(const wire::DontHave&) { SHOAL_CHECK(false && "BitTorrent's alone"); }
  void operator()(const wire::DhtPort&) { SHOAL_CHECK(false && "BitTorrent's alone"); }
  void operator()(const wire::AllowedFast& m) { to.array(2).number(allowed_fast).number(m.piece); }
  void operator()(const wire::HashRequest& m) { write_hash_request(to, hash_request, m, 6); }
  void operator()(const wire::HashReject& m) { write_hash_request(to, hash_reject, m.request, 6); }
  void operator()(const wire::Hashes& m) {
    // How many are asked for is the other end's choice, so no bug of ours: what cannot be said is refused.
    if (m.hashes.size() > max_hashes) return (*this)(wire::HashReject{m.request});
    write_hash_request(to, hashes, m.request, 7);
    // Sha256 is an array of bytes: a vector of them lies in memory as the wire has it.
    to.binary({m.hashes.empty() ? nullptr : m.hashes.front().data(), m.hashes.size() * hash_bytes});
  }
  void operator()(const wire::Hello& m) {
    SHOAL_CHECK(m.client.size() <= max_client_bytes);
    to.array(2).number(hello).map(m.your_address ? 5 : 4);
    to.number(client).text(m.client);
    to.number(listen_port).number(m.listen_port);
    to.number(metadata_bytes).number(m.metadata_bytes);
    to.number(max_requests).number(m.max_requests);
    if (m.your_address) to.number(your_address).binary(m.your_address->view());
  }
  void operator()(const wire::MetadataRequest& m) { to.array(2).number(metadata_request).number(m.part); }
  void operator()(const wire::MetadataPart& m) {
    SHOAL_CHECK(m.data.size() <= max_metadata_part);
    to.array(4).number(metadata_part).number(m.part).number(m.total_bytes).binary(m.data);
  }
  void operator()(const wire::MetadataReject& m) { to.array(2).number(metadata_reject).number(m.part); }
  void operator()(const wire::PeerExchange& m) {
    SHOAL_CHECK(m.added.size() <= max_exchange_entries && m.dropped.size() <= max_exchange_entries);
    to.array(3).number(peer_exchange).array(static_cast<std::uint32_t>(m.added.size()));
    for (const wire::ExchangeEntry& entry : m.added) {
      to.array(3).binary(entry.endpoint.compact());
      entry.key ? to.binary(*entry.key) : to.nil();
      to.boolean(entry.seed);
    }
    to.array(static_cast<std::uint32_t>(m.dropped.size()));
    for (const Endpoint& endpoint : m.dropped) to.binary(endpoint.compact());
  }
};

// ---- reading

// An array of one to four unsigned integers, each below 2^32, in canonical form.
struct Numbers {
  std::array<std::uint32_t, 4> at{};
  std::uint32_t count = 0;
  std::size_t consumed = 0;
};

std::optional<Numbers> read_numbers(ByteView input) {
  if (input.empty() || input[0] < 0x91 || input[0] > 0x94) return std::nullopt;
  Numbers out;
  out.count = input[0] & 0x0f;
  std::size_t pos = 1;
  for (std::uint32_t i = 0; i < out.count; ++i) {
    if (pos >= input.size()) return std::nullopt;
    const std::uint8_t lead = input[pos++];
    if (lead < 0x80) {
      out.at[i] = lead;
      continue;
    }
    if (lead < 0xcc || lead > 0xce) return std::nullopt;
    const std::size_t bytes = std::size_t{1} << (lead - 0xcc);
    if (input.size() - pos < bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t b = 0; b < bytes; ++b) value = (value << 8) | input[pos++];
    if (value < (bytes == 1 ? 0x80U : bytes == 2 ? 0x100U : 0x10000U))
      return std::nullopt;  // not the shortest
    out.at[i] = value;
  }
  out.consumed = pos;
  return out;
}

// Elements a message of numbers alone has, its type included; 0: not such a message.
std::uint32_t elements_of(std::uint32_t type) {
  switch (type) {
    case keep_alive:
    case choke:
    case unchoke:
    case interested:
    case not_interested:
    case all_pieces:
    case no_pieces:
      return 1;
    case have:
    case allowed_fast:
    case metadata_request:
    case metadata_reject:
      return 2;
    case request:
    case cancel:
    case reject:
      return 4;
    default:
      return 0;
  }
}

wire::Message simple_message(const Numbers& n) {
  using Form = wire::Pieces::Form;
  const wire::Request triple{n.at[1], n.at[2], n.at[3]};
  switch (n.at[0]) {
    case keep_alive:
      return wire::KeepAlive{};
    case choke:
      return wire::Choke{};
    case unchoke:
      return wire::Unchoke{};
    case interested:
      return wire::Interested{};
    case not_interested:
      return wire::NotInterested{};
    case all_pieces:
      return wire::Pieces{Form::all, {}};
    case no_pieces:
      return wire::Pieces{Form::none, {}};
    case have:
      return wire::Have{n.at[1]};
    case allowed_fast:
      return wire::AllowedFast{n.at[1]};
    case metadata_request:
      return wire::MetadataRequest{n.at[1]};
    case metadata_reject:
      return wire::MetadataReject{n.at[1]};
    case request:
      return triple;
    case cancel:
      return wire::Cancel{triple};
    default:
      SHOAL_CHECK(n.at[0] == reject);
      return wire::Reject{triple};
  }
}

// Walks an array's elements; what is missing or of another type makes `good` false, once and for all.
struct Fields {
  pack::Value next;
  bool good = true;

  pack::Value take() { return std::exchange(next, next.next()); }
  template <class T = std::uint32_t>
  T number() {
    const auto value = take().number();
    good = good && value && *value <= std::numeric_limits<T>::max();
    return good ? static_cast<T>(*value) : T{};
  }
  ByteView binary() {
    const auto value = take().binary();
    good = good && value.has_value();
    return good ? *value : ByteView{};
  }
};

wire::HashRequest read_hash_request(Fields& fields) {
  wire::HashRequest out;
  const ByteView root = fields.binary();
  fields.good = fields.good && root.size() == hash_bytes;
  if (fields.good) out.root = to_array<hash_bytes>(root);
  out.base = fields.number();
  out.index = fields.number();
  out.length = fields.number();
  out.proofs = fields.number();
  return out;
}

Result<wire::Message> read_hashes(Fields& fields) {
  wire::Hashes out;
  out.request = read_hash_request(fields);
  const ByteView raw = fields.binary();
  if (!fields.good || raw.size() % hash_bytes != 0) return malformed();
  if (raw.size() > max_hashes * hash_bytes) return too_large();
  out.hashes.resize(raw.size() / hash_bytes);
  if (!raw.empty()) std::memcpy(out.hashes.data(), raw.data(), raw.size());
  return out;
}

template <class T>
bool read_optional_number(pack::Value value, T& into) {
  if (!value) return true;
  const auto number = value.number();
  if (!number || *number > std::numeric_limits<T>::max()) return false;
  into = static_cast<T>(*number);
  return true;
}

// Absent keys keep their defaults and unknown ones are skipped, so that a hello may grow.
Result<wire::Message> read_hello(pack::Value map) {
  if (map.type() != pack::Type::map) return malformed();
  wire::Hello out;
  if (const pack::Value name = map.find(client)) {
    const auto text = name.text();
    if (!text) return malformed();
    if (text->size() > max_client_bytes) return too_large();
    out.client = *text;
  }
  if (!read_optional_number(map.find(listen_port), out.listen_port) ||
      !read_optional_number(map.find(metadata_bytes), out.metadata_bytes) ||
      !read_optional_number(map.find(max_requests), out.max_requests))
    return malformed();
  if (const pack::Value seen = map.find(your_address)) {
    const auto raw = seen.binary();
    if (!raw || (raw->size() != 4 && raw->size() != 16)) return malformed();
    out.your_address = IpAddress::from_bytes(*raw);
    if (out.your_address->view().size() != raw->size())
      return fail(Code::non_canonical, "an IPv4 address is spelt as IPv6");
  }
  return out;
}

Result<wire::Message> read_metadata_part(Fields& fields) {
  wire::MetadataPart out;
  out.part = fields.number();
  out.total_bytes = fields.number();
  const ByteView data = fields.binary();
  if (!fields.good) return malformed();
  if (data.size() > max_metadata_part) return too_large();
  out.data = to_vector(data);
  return out;
}

std::optional<Endpoint> read_endpoint(pack::Value value) {
  const auto raw = value.binary();
  if (!raw) return std::nullopt;
  const auto out = Endpoint::from_compact(*raw);
  return out ? std::optional{*out} : std::nullopt;
}

Result<wire::Message> read_peer_exchange(Fields& fields) {
  const pack::Value added = fields.take(), dropped = fields.take();
  if (added.type() != pack::Type::array || dropped.type() != pack::Type::array) return malformed();
  if (added.size() > max_exchange_entries || dropped.size() > max_exchange_entries) return too_large();
  wire::PeerExchange out;
  out.added.reserve(added.size());
  for (pack::Value item = added.first(); item; item = item.next()) {
    if (item.type() != pack::Type::array || item.size() != 3) return malformed();
    Fields entry{item.first()};
    const auto endpoint = read_endpoint(entry.take());
    const pack::Value key = entry.take();
    const auto seed = entry.take().boolean();
    if (!endpoint || !seed) return malformed();
    wire::ExchangeEntry& to = out.added.emplace_back(*endpoint, std::nullopt, *seed);
    if (key.type() == pack::Type::nil) continue;
    to.key = key.fixed<32>();
    if (!to.key) return malformed();
  }
  out.dropped.reserve(dropped.size());
  for (pack::Value item = dropped.first(); item; item = item.next()) {
    const auto endpoint = read_endpoint(item);
    if (!endpoint) return malformed();
    out.dropped.push_back(*endpoint);
  }
  return out;
}

// The types that are more than numbers, but for the parts of a bitfield.
Result<wire::Message> read_rich(std::uint64_t type, std::uint32_t elements, Fields& fields) {
  switch (type) {
    case hash_request:
    case hash_reject: {
      if (elements != 6) return malformed();
      const wire::HashRequest out = read_hash_request(fields);
      if (!fields.good) return malformed();
      if (type == hash_request) return out;
      return wire::HashReject{out};
    }
    case hashes:
      return elements == 7 ? read_hashes(fields) : malformed();
    case hello:
      return elements == 2 ? read_hello(fields.take()) : malformed();
    case metadata_part:
      return elements == 4 ? read_metadata_part(fields) : malformed();
    case peer_exchange:
      return elements == 3 ? read_peer_exchange(fields) : malformed();
    default:
      return malformed();
  }
}

}  // namespace

void write_message(const wire::Message& message, Bytes& out) {
  std::visit(MessageWriter{pack::Writer{out}, out}, message);
}

void write_pieces_part(std::size_t total, ByteView part, Bytes& out) {
  SHOAL_CHECK(total <= max_pieces_bytes && part.size() <= pieces_part_bytes);
  pack::Writer{out}.array(3).number(pieces).number(total).binary(part);
}

void write_block_header(std::uint32_t piece, std::uint32_t begin, Bytes& out) {
  pack::Writer{out}.array(3).number(block).number(piece).number(begin);
}

Result<BlockHeader> read_block_header(ByteView plain) {
  const auto numbers = read_numbers(plain);
  if (!numbers || numbers->count != 3 || numbers->at[0] != block)
    return fail(Code::malformed, "a block frame does not begin with a block's header");
  const std::size_t payload = plain.size() - numbers->consumed;
  if (payload == 0) return fail(Code::malformed, "a block is empty");
  if (payload > max_block_bytes) return fail(Code::too_large, "a block is above 16 KiB");
  return BlockHeader{numbers->at[1], numbers->at[2], numbers->consumed};
}

Result<void> MessageReader::read(ByteView frame, std::vector<wire::Message>& out) {
  if (frame.empty()) return fail(Code::malformed, "a frame has no message");
  while (!frame.empty()) {
    const auto used = read_one(frame, out);
    if (!used) return std::unexpected(used.error());
    frame = frame.subspan(*used);
  }
  return {};
}

Result<std::size_t> MessageReader::read_one(ByteView input, std::vector<wire::Message>& out) {
  if (const auto numbers = read_numbers(input); numbers && numbers->at[0] < first_unknown) {
    if (in_pieces()) return fail(Code::malformed, "a bitfield is interrupted");
    if (numbers->count != elements_of(numbers->at[0])) return malformed();
    out.push_back(simple_message(*numbers));
    return numbers->consumed;
  }
  const auto document = pack::Document::parse(input, pack::Limits{}, pack::Document::Tail::allowed);
  if (!document) return std::unexpected(document.error());
  const pack::Value root = document->root();
  Fields fields{root.first()};
  const auto type = fields.take().number();
  if (root.type() != pack::Type::array || !type) return malformed();
  Result<void> taken;
  if (*type == pieces) {
    if (root.size() != 3) return malformed();
    const auto total = fields.number();
    const ByteView part = fields.binary();
    if (!fields.good) return malformed();
    taken = take_pieces_part(total, part, out);
  } else if (in_pieces()) {
    return fail(Code::malformed, "a bitfield is interrupted");
  } else if (*type >= first_unknown) {
    taken = skip_unknown();
  } else {
    auto message = read_rich(*type, root.size(), fields);
    if (!message) return std::unexpected(message.error());
    out.push_back(std::move(*message));
  }
  if (!taken) return std::unexpected(taken.error());
  return document->consumed();
}

Result<void> MessageReader::take_pieces_part(std::uint64_t total, ByteView part,
                                             std::vector<wire::Message>& out) {
  if (total == 0) return fail(Code::malformed, "a bitfield is empty");
  if (total > max_pieces_bytes) return fail(Code::too_large, "a bitfield has more than 2^21 bits");
  if (in_pieces() && total != pieces_total_) return fail(Code::malformed, "a bitfield changes its size");
  pieces_total_ = static_cast<std::size_t>(total);
  if (part.size() != std::min(pieces_part_bytes, pieces_total_ - pieces_.size()))
    return fail(Code::malformed, "a part of a bitfield does not have its one size");
  append(pieces_, part);
  if (pieces_.size() == pieces_total_) {
    out.push_back(wire::Pieces{wire::Pieces::Form::bits, std::exchange(pieces_, {})});
    pieces_total_ = 0;
  }
  return {};
}

// A later version may say what we do not know; somebody who says nothing else is thrown out.
Result<void> MessageReader::skip_unknown() {
  if (++unknown_ > max_unknown_messages) return fail(Code::too_large, "too many messages of unknown types");
  return {};
}

}  // namespace shoal::swarm
