// KRPC: the packets printed in BEP 5, round trips, what other clients leave out or add, hostile forms, sizes.
#include "dht/krpc_codec.hpp"

#include <gtest/gtest.h>

#include "dht/address_filter.hpp"
#include "dht/mainline_id.hpp"

namespace shoal::dht {
namespace {

const Key one = mainline_key(as_bytes("abcdefghij0123456789"));
const Key other = mainline_key(as_bytes("mnopqrstuvwxyz123456"));

TransactionId transaction(std::string_view text) {
  TransactionId out;
  out.size = static_cast<std::uint8_t>(text.size());
  std::copy(text.begin(), text.end(), out.bytes.begin());
  return out;
}

Result<Message> decoded(std::string_view text) { return KrpcCodec{}.decode(as_bytes(text)); }
template <class T>
T decoded_as(std::string_view text) {
  const auto message = decoded(text);
  EXPECT_TRUE(message && std::holds_alternative<T>(*message)) << text;
  return message && std::holds_alternative<T>(*message) ? std::get<T>(*message) : T{};
}
template <class Body>
Body body_of(std::string_view text) {
  const Query query = decoded_as<Query>(text);
  EXPECT_TRUE(std::holds_alternative<Body>(query.body)) << text;
  return std::holds_alternative<Body>(query.body) ? std::get<Body>(query.body) : Body{};
}
std::string encoded(const Message& message) {
  Bytes out;
  KrpcCodec{}.encode(message, out);
  return std::string{as_text(out)};
}
Query query_with(QueryBody body) {
  Query query;
  query.transaction = transaction("aa");
  query.sender = one;
  query.body = body;
  return query;
}
Endpoint v4(std::uint32_t host, std::uint16_t port) { return {IpAddress::v4(host), port}; }
Endpoint v6(std::uint8_t last, std::uint16_t port) {
  Bytes raw(16, 0);
  raw[0] = 0x20;
  raw[15] = last;
  return {IpAddress::from_bytes(raw), port};
}

TEST(KrpcCodec, ReadsThePacketsPrintedInBep5) {
  const Query ping = decoded_as<Query>("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
  EXPECT_EQ(ping.transaction, transaction("aa"));
  EXPECT_EQ(ping.sender, one);
  EXPECT_EQ(ping.role, SenderRole::full);
  EXPECT_TRUE(std::holds_alternative<PingQuery>(ping.body));
  const Reply pong = decoded_as<Reply>("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
  EXPECT_EQ(pong.sender, other);
  const Failure failure = decoded_as<Failure>("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
  EXPECT_EQ(failure.reason, Refusal::rejected);
  EXPECT_EQ(failure.transaction, transaction("aa"));
  const auto find = body_of<FindQuery>(
      "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe");
  EXPECT_EQ(find.target, other);
  const auto get = body_of<GetPeersQuery>(
      "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe");
  EXPECT_EQ(get.target, other);
  EXPECT_FALSE(get.no_seeds || get.scrape);
  const Reply peers = decoded_as<Reply>(
      "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re");
  EXPECT_EQ(as_text(peers.token), "aoeusnth");
  ASSERT_EQ(peers.peers.size(), 2U);
  EXPECT_EQ(peers.peers[0].to_string(), "97.120.106.101:11893");
  const auto announce = body_of<AnnouncePeerQuery>(
      "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:"
      "token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe");
  EXPECT_EQ(announce.target, other);
  EXPECT_EQ(announce.port, 6881);
  EXPECT_EQ(announce.port_is, PortIs::source);
  EXPECT_EQ(as_text(announce.token), "aoeusnth");
}

TEST(KrpcCodec, WritesThemAsPrinted) {
  EXPECT_EQ(encoded(query_with(PingQuery{})), "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
  EXPECT_EQ(encoded(query_with(FindQuery{other})),
            "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa"
            "1:y1:qe");
  AnnouncePeerQuery announce{other, as_bytes("aoeusnth"), 6881, PortIs::source, Completeness::downloader};
  EXPECT_EQ(encoded(query_with(announce)),
            "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e"
            "5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe");
  Reply reply;
  reply.transaction = transaction("aa");
  reply.sender = other;
  EXPECT_EQ(encoded(reply), "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
  EXPECT_EQ(encoded(Failure{transaction("aa"), Refusal::bad_token}), "d1:eli203e9:bad tokene1:t2:aa1:y1:ee");
}

TEST(KrpcCodec, APingWeighsWhatTheTraitsSay) {
  Query ping = query_with(PingQuery{});
  ping.transaction = TransactionId::from(~std::uint64_t{0});
  ping.role = SenderRole::read_only;
  EXPECT_EQ(encoded(ping).size(), KrpcCodec{}.traits().ping_bytes);
}

TEST(KrpcCodec, QueriesKeepTheirFlags) {
  Query query = query_with(GetPeersQuery{other, true, true});
  query.role = SenderRole::read_only;
  query.wants_v4 = query.wants_v6 = true;
  const std::string text = encoded(query);
  EXPECT_NE(text.find("4:wantl2:n42:n6e"), std::string::npos);
  EXPECT_NE(text.find("2:roi1e"), std::string::npos);
  const Query again = decoded_as<Query>(text);
  EXPECT_EQ(again.role, SenderRole::read_only);
  EXPECT_TRUE(again.wants_v4 && again.wants_v6);
  const auto& get = std::get<GetPeersQuery>(again.body);
  EXPECT_TRUE(get.no_seeds && get.scrape);
  EXPECT_EQ(get.target, other);
  query.body = SampleQuery{other};
  query.wants_v4 = false;
  const Query sample = decoded_as<Query>(encoded(query));
  EXPECT_EQ(std::get<SampleQuery>(sample.body).target, other);
  EXPECT_TRUE(!sample.wants_v4 && sample.wants_v6);
  const AnnouncePeerQuery announce{other, as_bytes("t"), 80, PortIs::stated, Completeness::seed};
  const auto seed = std::get<AnnouncePeerQuery>(decoded_as<Query>(encoded(query_with(announce))).body);
  EXPECT_EQ(seed.port, 80);
  EXPECT_EQ(seed.port_is, PortIs::stated);
  EXPECT_EQ(seed.completeness, Completeness::seed);
}

TEST(KrpcCodec, RepliesKeepNodesOfBothFamiliesPeersFiltersAndSamples) {
  const Bytes seeds(AddressFilter::size, 1), downloaders(AddressFilter::size, 2), keys(60, 3);
  Reply reply;
  reply.transaction = TransactionId::from(7);
  reply.sender = one;
  reply.observed = v4(0x01020304, 5);
  reply.nodes.push({other, v4(0x05060708, 9)});
  reply.nodes.push({one, v6(1, 10)});
  reply.peers = {v4(0x09090909, 11), v6(2, 12)};
  reply.token = as_bytes("token");
  reply.scrape = {seeds, downloaders};
  reply.sample = Reply::Sample{keys, 1000, 300};
  const std::string text = encoded(reply);
  const Reply again = decoded_as<Reply>(text);
  EXPECT_EQ(again.transaction.number(), 7U);
  EXPECT_EQ(again.observed, reply.observed);
  ASSERT_EQ(again.nodes.size(), 2U);
  EXPECT_EQ(again.nodes[0], reply.nodes[0]);
  EXPECT_EQ(again.nodes[1], reply.nodes[1]);
  EXPECT_EQ(again.peers, reply.peers);
  EXPECT_EQ(as_text(again.token), "token");
  EXPECT_TRUE(equal(again.scrape.seeds, seeds) && equal(again.scrape.downloaders, downloaders));
  ASSERT_TRUE(again.sample.has_value());
  EXPECT_TRUE(equal(again.sample->keys, keys));
  EXPECT_EQ(again.sample->held, 1000U);
  EXPECT_EQ(again.sample->interval_s, 300U);
  EXPECT_EQ(encoded(again), text);
}

TEST(KrpcCodec, ItemsKeepTheirValueByteForByte) {
  const Bytes key(32, 1), signature(64, 2);
  // Not canonical: who signed it wrote it so, and the signature is over what was received.
  const std::string_view value = "d1:bi1e1:ai2ee";
  ItemView item{as_bytes(value), key, signature, as_bytes("salt"), 9};
  PutItemQuery put{as_bytes("tok"), item, 8};
  const std::string signed_put = encoded(query_with(put));  // what is decoded views it
  const auto again = body_of<PutItemQuery>(signed_put);
  EXPECT_EQ(as_text(again.item.value), value);
  EXPECT_TRUE(equal(again.item.public_key, key) && equal(again.item.signature, signature));
  EXPECT_EQ(as_text(again.item.salt), "salt");
  EXPECT_EQ(again.item.sequence, 9);
  EXPECT_EQ(again.expected, 8);
  EXPECT_EQ(as_text(again.token), "tok");
  put.item = {as_bytes("5:hello"), {}, {}, {}, 0};
  put.expected.reset();
  const std::string plain_put = encoded(query_with(put));
  const auto plain = body_of<PutItemQuery>(plain_put);
  EXPECT_FALSE(plain.item.is_mutable());
  EXPECT_EQ(as_text(plain.item.value), "5:hello");
  Reply reply;
  reply.sender = one;
  reply.item = ItemView{as_bytes(value), key, signature, as_bytes("secret"), 9};
  const std::string answer = encoded(reply);
  EXPECT_EQ(answer.find("secret"), std::string::npos);  // who asks knows the salt
  const Reply got = decoded_as<Reply>(answer);
  ASSERT_TRUE(got.item && got.item->is_mutable());
  EXPECT_EQ(as_text(got.item->value), value);
  EXPECT_EQ(got.item->sequence, 9);
  EXPECT_FALSE(got.item_sequence);
  reply.item.reset();
  reply.item_sequence = 4;
  EXPECT_EQ(decoded_as<Reply>(encoded(reply)).item_sequence, 4);
  const auto get = body_of<GetItemQuery>(encoded(query_with(GetItemQuery{other, 5})));
  EXPECT_EQ(get.newer_than, 5);
  EXPECT_EQ(get.target, other);
}

TEST(KrpcCodec, EveryRefusalHasItsNumber) {
  for (const Refusal reason :
       {Refusal::busy, Refusal::malformed, Refusal::rejected, Refusal::too_large, Refusal::bad_signature,
        Refusal::salt_too_large, Refusal::not_expected, Refusal::outdated})
    EXPECT_EQ(decoded_as<Failure>(encoded(Failure{transaction("x"), reason})).reason, reason);
  // BEP 5 has one number for both.
  EXPECT_EQ(decoded_as<Failure>(encoded(Failure{transaction("x"), Refusal::bad_token})).reason,
            Refusal::malformed);
  EXPECT_EQ(decoded_as<Failure>("d1:eli999e3:whye1:t1:x1:y1:ee").reason, Refusal::rejected);
  EXPECT_EQ(decoded_as<Failure>("d1:e3:why1:t1:x1:y1:ee").reason, Refusal::rejected);
  EXPECT_EQ(decoded_as<Failure>("d1:t1:x1:y1:ee").reason, Refusal::rejected);
}

// Seen in the wild: keys out of order, unknown keys, empty lists, a list of nodes with half an entry, values
// of another size, odd transactions.
TEST(KrpcCodec, PassesOverWhatOtherClientsGetWrong) {
  const Query unsorted =
      decoded_as<Query>("d1:y1:q1:t0:1:q4:ping1:ad5:extrali1e1:xe2:id20:abcdefghij0123456789ee");
  EXPECT_EQ(unsorted.transaction.size, 0);
  EXPECT_EQ(decoded_as<Query>("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t16:0123456789abcdef1:y1:qe")
                .transaction.size,
            16);
  EXPECT_TRUE(decoded_as<Reply>("d1:rd2:id20:abcdefghij01234567895:nodes3:abce1:t1:x1:y1:re").nodes.empty());
  EXPECT_TRUE(decoded_as<Reply>("d1:rd2:id20:abcdefghij01234567895:nodesi1ee1:t1:x1:y1:re").nodes.empty());
  EXPECT_TRUE(
      decoded_as<Reply>("d1:rd2:id20:abcdefghij01234567896:valuesl3:abci7eee1:t1:x1:y1:re").peers.empty());
  EXPECT_TRUE(
      decoded_as<Reply>("d1:rd2:id20:abcdefghij01234567896:values6:abcdefe1:t1:x1:y1:re").peers.empty());
  EXPECT_FALSE(decoded_as<Reply>("d2:ip3:abc1:rd2:id20:abcdefghij0123456789e1:t1:x1:y1:re").observed);
  // An unknown method with a target is a find (as libtorrent and the reference have it).
  EXPECT_EQ(body_of<FindQuery>("d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q4:vote"
                               "1:t1:x1:y1:qe")
                .target,
            other);
}

TEST(KrpcCodec, RefusesWhatIsNoMessage) {
  const std::string longest(TransactionId::max_bytes + 1, 'x');
  const std::array<std::string, 16> bad = {
      "",
      "d",
      "de",
      "i1e",
      "le",
      "d1:t1:x1:y1:qe",
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe",             // no transaction
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t1:xe",             // no kind
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t1:x1:y1:ze",       // an unknown one
      "d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t1:x1:y1:qe",        // an id of 19 bytes
      "d1:ade1:q4:ping1:t1:x1:y1:qe",                                  // none
      "d1:rde1:t1:x1:y1:re",                                           // nor here
      "d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t1:x1:y1:qe",       // unknown, and nothing to find
      "d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t1:x1:y1:qe",  // without its info-hash
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t17:" + longest + "1:y1:qe",
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t1:x1:y1:qex"};  // something behind it
  for (const std::string& text : bad) EXPECT_FALSE(decoded(text)) << text;
}

std::string announce_with(std::string_view ports) {
  return "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456" + std::string{ports} +
         "5:token1:te1:q13:announce_peer1:t1:x1:y1:qe";
}
TEST(KrpcCodec, AnAnnouncementNamesAPort) {
  EXPECT_TRUE(decoded(announce_with("4:porti1e")));
  EXPECT_TRUE(decoded(announce_with("12:implied_porti1e")));
  for (const std::string_view ports : {"", "4:porti0e", "4:porti65536e", "4:porti-1e", "4:port1:1"})
    EXPECT_FALSE(decoded(announce_with(ports))) << ports;
}

std::string put_with(std::string_view key, std::string_view rest) {
  return "d1:ad" + std::string{key} + "2:id20:abcdefghij0123456789" + std::string{rest} +
         "e1:q3:put1:t1:x1:y1:qe";
}
TEST(KrpcCodec, ItemsAreBoundedAndWhole) {
  const std::string k = "1:k32:" + std::string(32, 'k'), sig = "3:sig64:" + std::string(64, 's');
  const auto value = [](std::size_t bytes) {
    return "1:v" + std::to_string(bytes - 4) + ":" + std::string(bytes - 4, 'v');
  };
  EXPECT_TRUE(decoded(put_with("", value(1000))));
  EXPECT_EQ(decoded(put_with("", value(1001))).error().code, Code::too_large);
  EXPECT_FALSE(decoded(put_with("", "")));
  EXPECT_TRUE(decoded(put_with("", k + "3:seqi1e" + sig + value(10))));
  EXPECT_FALSE(decoded(put_with("", k + sig + value(10))));                // no sequence
  EXPECT_FALSE(decoded(put_with("", k + "3:seqi-1e" + sig + value(10))));  // a negative one
  EXPECT_FALSE(decoded(put_with("", k + "3:seqi1e" + value(10))));         // no signature
  EXPECT_FALSE(decoded(put_with("", "1:k31:" + std::string(31, 'k') + "3:seqi1e" + sig + value(10))));
  EXPECT_TRUE(decoded(put_with("", k + "4:salt64:" + std::string(64, 'a') + "3:seqi1e" + sig + value(10))));
  EXPECT_FALSE(decoded(put_with("", k + "4:salt65:" + std::string(65, 'a') + "3:seqi1e" + sig + value(10))));
}

TEST(KrpcCodec, ListsBeyondTheirBoundsAreRefused) {
  const auto nodes = [](std::size_t count) {
    std::string raw;
    for (std::size_t i = 0; i < count; ++i)
      raw += "abcdefghij0123456789" + std::string("\x01\x02\x03\x04\x05\x06");
    return "d1:rd2:id20:abcdefghij01234567895:nodes" + std::to_string(raw.size()) + ":" + raw +
           "e1:t1:x1:y1:re";
  };
  EXPECT_EQ(decoded_as<Reply>(nodes(max_nodes_in_reply)).nodes.size(), max_nodes_in_reply);
  EXPECT_EQ(decoded(nodes(max_nodes_in_reply + 1)).error().code, Code::too_large);
  const auto peers = [](std::size_t count) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += "6:abcdef";
    return "d1:rd2:id20:abcdefghij01234567896:valuesl" + list + "ee1:t1:x1:y1:re";
  };
  EXPECT_EQ(decoded_as<Reply>(peers(max_peers_in_reply)).peers.size(), max_peers_in_reply);
  EXPECT_EQ(decoded(peers(max_peers_in_reply + 1)).error().code, Code::too_large);
  std::string sixes;
  for (std::size_t i = 0; i <= max_nodes_in_reply; ++i) sixes += std::string(38, 'x');
  EXPECT_EQ(decoded("d1:rd2:id20:abcdefghij01234567896:nodes6" + std::to_string(sixes.size()) + ":" + sixes +
                    "e1:t1:x1:y1:re")
                .error()
                .code,
            Code::too_large);
  EXPECT_EQ(decoded("d" + std::string(2100, 'x')).error().code, Code::too_large);
}

std::string reply_with(std::string_view values) {
  return "d1:rd2:id20:abcdefghij0123456789" + std::string{values} + "e1:t1:x1:y1:re";
}

TEST(KrpcCodec, PartsOfARightMessageThatAreWrongAreNotThere) {
  const std::string filter = "256:" + std::string(256, 'f');
  EXPECT_TRUE(decoded_as<Reply>(reply_with("4:BFpe" + filter)).scrape.seeds.empty());
  EXPECT_TRUE(decoded_as<Reply>(reply_with("4:BFsd" + filter)).scrape.seeds.empty());
  EXPECT_TRUE(decoded_as<Reply>(reply_with("4:BFpe" + filter + "4:BFsd3:abc")).scrape.downloaders.empty());
  for (const std::size_t bytes : {19U, 21U, 1300U}) {  // no whole keys, and more than are taken
    const std::string samples = "7:samples" + std::to_string(bytes) + ":" + std::string(bytes, 's');
    EXPECT_FALSE(decoded_as<Reply>(reply_with(samples)).sample) << bytes;
  }
  EXPECT_TRUE(decoded_as<Reply>(reply_with("7:samples1280:" + std::string(1280, 's'))).sample);
  EXPECT_FALSE(decoded_as<Reply>(reply_with("3:seqi-1e")).item_sequence);
  EXPECT_EQ(decoded_as<Reply>(reply_with("3:seqi0e")).item_sequence, 0);
  EXPECT_TRUE(decoded_as<Reply>(reply_with("5:token33:" + std::string(33, 't'))).token.empty());
  EXPECT_EQ(decoded_as<Reply>(reply_with("5:token32:" + std::string(32, 't'))).token.size(), 32U);
  // In a reply no salt stands: who asked knows it.
  const std::string item = "3:sig64:" + std::string(64, 's') + "1:v1:v";
  const std::string text = reply_with("1:k32:" + std::string(32, 'k') + "4:salt3:abc3:seqi1e" + item);
  const Reply reply = decoded_as<Reply>(text);
  ASSERT_TRUE(reply.item);
  EXPECT_TRUE(reply.item->salt.empty());
  EXPECT_FALSE(decoded(reply_with("1:k32:" + std::string(32, 'k') + item))) << "signed, without a sequence";
  EXPECT_FALSE(decoded(put_with("", "1:k32:" + std::string(32, 'k') + "4:salti1e3:seqi1e" + item)));
}

TEST(KrpcCodec, AFamilyIsWantedWhereverItStands) {
  const auto wants = [](std::string_view list) {
    const Query query = decoded_as<Query>("d1:ad2:id20:abcdefghij01234567894:want" + std::string{list} +
                                          "e1:q4:ping1:t1:x1:y1:qe");
    return std::pair{query.wants_v4, query.wants_v6};
  };
  EXPECT_EQ(wants("l2:n42:n6e"), std::pair(true, true));
  EXPECT_EQ(wants("l2:n62:n4e"), std::pair(true, true));
  EXPECT_EQ(wants("l2:n62:n7i4ee"), std::pair(false, true));
  EXPECT_EQ(wants("l2:n4e"), std::pair(true, false));
  EXPECT_EQ(wants("2:n4"), std::pair(false, false));
  Query find = query_with(FindQuery{other});
  find.wants_v4 = true;
  EXPECT_NE(encoded(find).find("4:wantl2:n4e"), std::string::npos);
}

// As libtorrent does: what has only an info-hash is a find, whatever its method.
TEST(KrpcCodec, MethodsOnATargetTakeAnInfoHashForAFind) {
  for (const std::string_view method : {"3:get", "17:sample_infohashes", "4:vote"}) {
    const auto with = [&](std::string_view name) {
      return "d1:ad2:id20:abcdefghij0123456789" + std::string{name} + "20:mnopqrstuvwxyz123456e1:q" +
             std::string{method} + "1:t1:x1:y1:qe";
    };
    EXPECT_EQ(body_of<FindQuery>(with("9:info_hash")).target, other) << method;
    EXPECT_EQ(decoded_as<Query>(with("6:target")).body.index() == QueryBody{FindQuery{}}.index(),
              method == "4:vote")
        << method;
  }
}

TEST(KrpcCodec, WhoCannotBeReachedIsLeftOut) {
  const std::string port_0("\x01\x02\x03\x04\x00\x00", 6);
  EXPECT_TRUE(decoded_as<Reply>("d1:rd2:id20:abcdefghij01234567895:nodes26:abcdefghij0123456789" + port_0 +
                                "e1:t1:x1:y1:re")
                  .nodes.empty());
  EXPECT_TRUE(decoded_as<Reply>("d1:rd2:id20:abcdefghij01234567896:valuesl6:" + port_0 + "ee1:t1:x1:y1:re")
                  .peers.empty());
}

// What the responder counts with is an upper bound.
TEST(KrpcCodec, RepliesCostNoMoreThanToldOf) {
  for (const Family family : {Family::v4, Family::v6}) {
    const Codec::ReplyCost cost = KrpcCodec{}.reply_cost(family);
    Reply reply;
    reply.transaction.size = TransactionId::max_bytes;
    reply.sender = one;
    const auto endpoint = [&](std::uint8_t n) { return family == Family::v4 ? v4(n, n) : v6(n, n); };
    reply.observed = endpoint(1);
    reply.token = as_bytes("12345678");
    for (std::uint8_t i = 1; i <= 8; ++i) reply.nodes.push({other, endpoint(i)});
    for (std::uint8_t i = 1; i <= 50; ++i) reply.peers.push_back(endpoint(i));
    const std::size_t peer = cost.per_record + endpoint(1).compact().size();
    EXPECT_LE(encoded(reply).size(), cost.fixed + 8 * cost.per_node + 50 * peer);
    EXPECT_GE(encoded(reply).size() + 8, cost.fixed + 8 * cost.per_node + 50 * peer);
  }
}

// BEP 44's largest item goes through any path, the nodes left out.
TEST(KrpcCodec, TheLargestItemFitsADatagram) {
  const Bytes key(32, 1), signature(64, 2);
  const std::string value = "996:" + std::string(996, 'v');
  Reply reply;
  reply.transaction.size = 8;
  reply.sender = one;
  reply.token = as_bytes("12345678");
  reply.item = ItemView{as_bytes(value), key, signature, {}, std::numeric_limits<std::int64_t>::max()};
  EXPECT_LE(encoded(reply).size(), KrpcCodec{}.traits().max_datagram);
  reply.observed = v4(1, 1);
  EXPECT_LE(encoded(reply).size(), KrpcCodec{}.traits().max_datagram);
}

}  // namespace
}  // namespace shoal::dht
