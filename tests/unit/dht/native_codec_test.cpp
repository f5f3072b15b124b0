// The native datagram: round trips, canonical form, hostile spellings, sizes (THREATS A11, A16, A17).
#include "dht/native_codec.hpp"

#include <gtest/gtest.h>

#include "dht/base/msgpack.hpp"
#include "dht/base/random.hpp"
#include "dht/limits.hpp"
#include "dht/proof.hpp"

namespace shoal::dht {
namespace {

Key key_of_byte(std::uint8_t byte) {
  Key key;
  key.bytes.fill(byte);
  return key;
}
Endpoint v4(std::uint32_t host, std::uint16_t port) { return {IpAddress::v4(host), port}; }

Bytes encoded(const Message& message) {
  Bytes out;
  NativeCodec{}.encode(message, out);
  return out;
}

Query query_with(QueryBody body) {
  Query query;
  query.transaction = TransactionId::from(0x0102030405060708ULL);
  query.body = body;
  return query;
}

std::vector<Message> samples() {
  static const Bytes token(8, 0x33), record(368, 0x44), other(368, 0x55);
  std::vector<Message> out;
  Query ping = query_with(PingQuery{});
  out.emplace_back(ping);
  ping.sender = key_of_byte(9);
  ping.role = SenderRole::read_only;
  ping.proof = ProofWanted::yes;
  ping.probe = ProbeWanted::yes;
  out.emplace_back(ping);
  Query find = query_with(FindQuery{key_of_byte(1)});
  out.emplace_back(find);
  find.sender = key_of_byte(2);
  out.emplace_back(find);
  out.emplace_back(query_with(GetRecordsQuery{key_of_byte(3), NodesWanted::yes}));
  out.emplace_back(query_with(GetRecordsQuery{key_of_byte(3), NodesWanted::no}));
  PutRecordQuery put;
  put.target = key_of_byte(4);
  put.token = token;
  put.salt.fill(7);
  put.record = record;
  out.emplace_back(query_with(put));
  Query probe = query_with(ProbeQuery{v4(0x01020304, 99)});
  probe.sender = key_of_byte(5);
  out.emplace_back(probe);
  Reply reply;
  reply.transaction = TransactionId::from(5);
  reply.sender = key_of_byte(6);
  out.emplace_back(reply);
  reply.role = SenderRole::read_only;
  reply.observed = v4(0x05060708, 4001);
  reply.proof = Proof{};
  reply.proof->public_key.fill(1);
  reply.proof->signature.fill(2);
  reply.proof->unix_ms = 1'760'000'000'000;
  for (std::uint32_t i = 0; i < 7; ++i)
    reply.nodes.push({key_of_byte(static_cast<std::uint8_t>(i)), v4(0x08080800 + i, 7)});
  reply.token = token;
  reply.records.push(record);
  reply.records.push(other);
  reply.records_held = 64;
  out.emplace_back(reply);
  Reply six;
  six.transaction = TransactionId::from(6);
  six.sender = key_of_byte(8);
  for (std::uint8_t i = 0; i < 16; ++i)
    six.nodes.push({key_of_byte(i), {IpAddress::parse("2600::" + std::to_string(i + 1)).value(), 9}});
  out.emplace_back(six);
  out.emplace_back(Failure{TransactionId::from(7), Refusal::bad_token});
  return out;
}

TEST(NativeCodec, EveryMessageComesBackAndReencodesToTheSameBytes) {
  for (const Message& message : samples()) {
    const Bytes bytes = encoded(message);
    ASSERT_LE(bytes.size(), limits::datagram);
    const auto back = NativeCodec{}.decode(bytes);
    ASSERT_TRUE(back) << back.error().rule;
    EXPECT_EQ(back->index(), message.index());
    EXPECT_EQ(to_hex(encoded(*back)), to_hex(bytes));
  }
}

TEST(NativeCodec, FieldsSurvive) {
  const auto back = NativeCodec{}.decode(encoded(samples()[9]));
  // samples() keeps its bytes in statics, the datagram of this test is gone: only values are compared.
  ASSERT_TRUE(back);
  const auto& reply = std::get<Reply>(*back);
  EXPECT_EQ(reply.sender, key_of_byte(6));
  EXPECT_EQ(reply.role, SenderRole::read_only);
  EXPECT_EQ(reply.observed, v4(0x05060708, 4001));
  ASSERT_TRUE(reply.proof);
  EXPECT_EQ(reply.proof->unix_ms, 1'760'000'000'000);
  ASSERT_EQ(reply.nodes.size(), 7U);
  EXPECT_EQ(reply.nodes[3].endpoint, v4(0x08080803, 7));
  EXPECT_EQ(reply.records.size(), 2U);
  EXPECT_EQ(reply.records_held, 64U);

  const Bytes put = encoded(samples()[6]);
  const auto query = NativeCodec{}.decode(put);
  ASSERT_TRUE(query);
  const auto& body = std::get<PutRecordQuery>(std::get<Query>(*query).body);
  EXPECT_EQ(body.record.size(), 368U);
  EXPECT_EQ(body.record[0], 0x44);
  EXPECT_EQ(body.token.size(), 8U);
  EXPECT_FALSE(std::get<Query>(*query).sender);
}

TEST(NativeCodec, QueriesWeighAThirdOfTheirLargestReply) {
  const Codec::ReplyCost v6 = NativeCodec{}.reply_cost(Family::v6);
  const std::size_t ping_reply = v6.fixed;  // more than it takes
  const std::size_t find_reply = v6.fixed + limits::nodes_in_reply * v6.per_node;
  const std::size_t a_ping = encoded(samples()[0]).size();
  EXPECT_LE(ping_reply + a_ping, 3 * a_ping);
  const std::size_t a_find = encoded(samples()[2]).size();
  EXPECT_LE(find_reply + a_ping, 3 * a_find);
  EXPECT_LE(limits::datagram, 3 * encoded(samples()[4]).size());
  EXPECT_LE(limits::datagram, 3 * encoded(samples()[5]).size());
}

TEST(NativeCodec, ReplyCostIsAnUpperBoundAndTight) {
  const Message message = samples()[9];
  const auto& reply = std::get<Reply>(message);
  const Codec::ReplyCost cost = NativeCodec{}.reply_cost(Family::v4);
  std::size_t bound = cost.fixed + reply.nodes.size() * cost.per_node;
  for (const ByteView record : reply.records) bound += cost.per_record + record.size();
  const std::size_t real = encoded(message).size();
  EXPECT_LE(real, bound);
  EXPECT_GE(real + 10, bound);
}

TEST(NativeCodec, RefusesEveryTruncationAndAnyTail) {
  for (const Message& message : samples()) {
    Bytes bytes = encoded(message);
    for (std::size_t n = 0; n < bytes.size(); ++n)
      ASSERT_FALSE(NativeCodec{}.decode(ByteView{bytes}.first(n))) << n;
    bytes.push_back(0);
    EXPECT_FALSE(NativeCodec{}.decode(bytes));
  }
}

TEST(NativeCodec, WhatItAcceptsAfterABitFlipIsCanonical) {
  Random random{{}};
  for (const Message& message : samples()) {
    const Bytes bytes = encoded(message);
    for (int i = 0; i < 2000; ++i) {
      Bytes changed = bytes;
      changed[static_cast<std::size_t>(random.below(changed.size()))] ^=
          static_cast<std::uint8_t>(1U << random.below(8));
      const auto back = NativeCodec{}.decode(changed);
      if (!back) continue;
      ASSERT_EQ(to_hex(encoded(*back)), to_hex(changed));
    }
  }
}

// Datagrams spelled by hand.
class Spelled {
 public:
  Spelled() {
    bytes_[0] = native_first_byte;
    store_be(bytes_.data() + 1, native_network_id);
  }
  pack::Writer writer() { return pack::Writer{bytes_}; }
  Bytes& bytes() { return bytes_; }

 private:
  Bytes bytes_ = Bytes(5);
};

TEST(NativeCodec, RefusesWhatIsNotCanonicalOrNotKnown) {
  const Bytes good = encoded(samples()[8]);  // the plain reply
  ASSERT_TRUE(NativeCodec{}.decode(good));
  Bytes other_network = good;
  other_network[4] ^= 1;
  ASSERT_FALSE(NativeCodec{}.decode(other_network));
  EXPECT_EQ(NativeCodec{}.decode(other_network).error().code, Code::mismatch);
  EXPECT_TRUE(NativeCodec{native_network_id ^ 1}.decode(other_network));

  const ByteArray<8> id{};
  const ByteArray<32> key{};
  const auto refused = [](Spelled& spelled) { return !NativeCodec{}.decode(spelled.bytes()).has_value(); };
  Spelled fine;
  fine.writer().map(3).number(0).number(8).number(1).binary(id).number(2).binary(key);
  EXPECT_FALSE(refused(fine));
  Spelled unknown_field;
  unknown_field.writer()
      .map(4)
      .number(0)
      .number(8)
      .number(1)
      .binary(id)
      .number(2)
      .binary(key)
      .number(18)
      .number(1);
  EXPECT_TRUE(refused(unknown_field));
  Spelled unknown_kind;
  unknown_kind.writer().map(3).number(0).number(7).number(1).binary(id).number(2).binary(key);
  EXPECT_TRUE(refused(unknown_kind));
  Spelled short_id;
  short_id.writer().map(3).number(0).number(8).number(1).binary(ByteView{id}.first(7)).number(2).binary(key);
  EXPECT_TRUE(refused(short_id));
  Spelled no_position;
  no_position.writer().map(2).number(0).number(8).number(1).binary(id);
  EXPECT_TRUE(refused(no_position));
  Spelled zero_flags;
  zero_flags.writer().map(4).number(0).number(8).number(1).binary(id).number(2).binary(key).number(3).number(
      0);
  EXPECT_TRUE(refused(zero_flags));
  Spelled foreign_flag;
  foreign_flag.writer()
      .map(4)
      .number(0)
      .number(8)
      .number(1)
      .binary(id)
      .number(2)
      .binary(key)
      .number(3)
      .number(2);
  EXPECT_TRUE(refused(foreign_flag));
  Spelled no_pairs;
  no_pairs.writer().map(0);
  EXPECT_TRUE(refused(no_pairs));
  Spelled not_a_map;
  not_a_map.writer().array(1).number(0);
  EXPECT_TRUE(refused(not_a_map));
  Spelled empty_nodes;
  empty_nodes.writer()
      .map(4)
      .number(0)
      .number(8)
      .number(1)
      .binary(id)
      .number(2)
      .binary(key)
      .number(11)
      .binary({});
  EXPECT_TRUE(refused(empty_nodes));
  Spelled too_many_nodes;  // A4: 17 entries
  too_many_nodes.writer()
      .map(4)
      .number(0)
      .number(8)
      .number(1)
      .binary(id)
      .number(2)
      .binary(key)
      .number(11)
      .binary(Bytes(17 * 38, 1));
  EXPECT_TRUE(refused(too_many_nodes));
  Spelled sixteen_nodes;
  sixteen_nodes.writer()
      .map(4)
      .number(0)
      .number(8)
      .number(1)
      .binary(id)
      .number(2)
      .binary(key)
      .number(11)
      .binary(Bytes(16 * 38, 1));
  EXPECT_FALSE(refused(sixteen_nodes));
}

TEST(NativeCodec, EachFieldHasItsTypeAndSize) {
  const ByteArray<8> id{};
  const ByteArray<32> key{};
  const auto taken = [&](std::uint64_t kind, std::uint64_t field, auto value) {
    Spelled spelled;
    pack::Writer writer = spelled.writer();
    if (kind == 8)
      writer.map(4).number(0).number(8).number(1).binary(id).number(2).binary(key).number(field);
    else
      writer.map(3).number(0).number(kind).number(1).binary(id).number(field);
    value(writer);
    return NativeCodec{}.decode(spelled.bytes()).has_value();
  };
  using W = pack::Writer&;
  const auto no_binary = [](W w) { w.number(1); };
  const auto empty = [](W w) { w.binary({}); };
  const auto of = [](std::size_t bytes) { return [bytes](W w) { w.binary(Bytes(bytes, 1)); }; };
  for (const std::uint64_t field : {9, 10, 11, 12, 13, 14})  // observed, proof, nodes of both, token, records
    EXPECT_FALSE(taken(8, field, no_binary) || taken(8, field, empty)) << field;
  EXPECT_TRUE(taken(8, 9, of(6)) && taken(8, 9, of(18)));
  EXPECT_FALSE(taken(8, 9, of(5)) || taken(8, 9, of(7)) || taken(8, 9, of(17)));
  EXPECT_TRUE(taken(8, 10, of(104)));
  EXPECT_FALSE(taken(8, 10, of(103)) || taken(8, 10, of(105)));
  EXPECT_TRUE(taken(8, 11, of(38)) && taken(8, 12, of(50)));
  EXPECT_FALSE(taken(8, 11, of(39)) || taken(8, 12, of(38)));
  EXPECT_TRUE(taken(8, 13, of(32)));
  EXPECT_FALSE(taken(8, 13, of(33)));
  EXPECT_TRUE(taken(8, 14, [](W w) { w.array(1).binary(Bytes(512, 1)); }));
  EXPECT_FALSE(taken(8, 14, [](W w) { w.array(0); }));
  EXPECT_FALSE(taken(8, 14, [](W w) { w.array(1).binary({}); }));
  EXPECT_FALSE(taken(8, 14, [](W w) { w.array(2).binary(Bytes(1, 1)).number(1); }));
  EXPECT_FALSE(taken(8, 14, [](W w) { w.array(1).binary(Bytes(513, 1)); }));
  EXPECT_FALSE(taken(8, 14, [](W w) {
    w.array(max_records_in_reply + 1);
    for (std::size_t i = 0; i <= max_records_in_reply; ++i) w.binary(Bytes(1, 1));
  }));
  EXPECT_TRUE(taken(8, 15, [](W w) { w.number(~std::uint32_t{0}); }));
  EXPECT_FALSE(taken(8, 15, [](W w) { w.number(std::uint64_t{1} << 32); }));
  EXPECT_FALSE(taken(8, 15, [](W w) { w.number(0); }));
  EXPECT_TRUE(taken(9, 16, [](W w) { w.number(0); }));
  EXPECT_FALSE(taken(9, 16, [](W w) { w.number(1000); }));
  EXPECT_FALSE(taken(9, 16, [](W w) { w.text("no"); }));
  EXPECT_TRUE(taken(4, 8, of(6)));  // a probe's subject
  EXPECT_FALSE(taken(4, 8, no_binary) || taken(4, 8, of(10)));
  EXPECT_EQ(NativeCodec{}.decode(Bytes(limits::datagram + 1, native_first_byte)).error().code,
            Code::too_large);
}

TEST(NativeCodec, PaddingHasItsLengthAndIsZero) {
  const Bytes good = encoded(samples()[0]);
  Bytes dirty = good;
  dirty.back() = 1;
  EXPECT_FALSE(NativeCodec{}.decode(dirty));
  const ByteArray<8> id{};
  for (const std::size_t zeros : {0U, 1U, 90U, 120U, 300U}) {
    Spelled spelled;
    if (zeros == 0)
      spelled.writer().map(2).number(0).number(0).number(1).binary(id);
    else
      spelled.writer().map(3).number(0).number(0).number(1).binary(id).number(17).binary(Bytes(zeros, 0));
    EXPECT_FALSE(NativeCodec{}.decode(spelled.bytes())) << zeros;
  }
}

TEST(NativeCodec, RecordQueriesMayNotNameTheAsker) {
  const ByteArray<8> id{};
  const ByteArray<32> key{};
  Spelled spelled;
  spelled.writer().map(4).number(0).number(2).number(1).binary(id).number(2).binary(key).number(4).binary(
      key);
  EXPECT_FALSE(NativeCodec{}.decode(spelled.bytes()));
}

TEST(Proof, HoldsForItsSubjectAlone) {
  crypto::initialise();
  Random random{{}};
  const auto key = crypto::SigningKey::from_seed(random.bytes<32>());
  const ProofSubject subject{TransactionId::from(77), key_of_byte(1), key_of_byte(2), v4(0x01010101, 5)};
  const Proof proof = prove(key, subject, 1234);
  EXPECT_TRUE(proof_holds(proof, subject));
  const auto differs = [&](auto change) {
    ProofSubject other = subject;
    Proof copy = proof;
    change(other, copy);
    return !proof_holds(copy, other);
  };
  EXPECT_TRUE(differs([](ProofSubject& s, Proof&) { s.transaction = TransactionId::from(78); }));
  EXPECT_TRUE(differs([](ProofSubject& s, Proof&) { s.asker = key_of_byte(3); }));
  EXPECT_TRUE(differs([](ProofSubject& s, Proof&) { s.answerer = key_of_byte(3); }));
  EXPECT_TRUE(differs([](ProofSubject& s, Proof&) { s.observed.port = 6; }));
  EXPECT_TRUE(differs([](ProofSubject& s, Proof&) { s.observed.address = IpAddress::v4(0x01010102); }));
  EXPECT_TRUE(differs([](ProofSubject&, Proof& p) { p.unix_ms = 1235; }));
  EXPECT_TRUE(differs([](ProofSubject&, Proof& p) { p.signature[5] ^= 1; }));
  EXPECT_TRUE(differs([&](ProofSubject&, Proof& p) {
    p.public_key = crypto::SigningKey::from_seed(random.bytes<32>()).public_key;
  }));
}

}  // namespace
}  // namespace shoal::dht
