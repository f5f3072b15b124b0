// BitTorrent's messages: the bytes that the BEPs print, round trips, what other clients leave out, hostile
// forms.
#include "swarm/bt_message.hpp"

#include <gtest/gtest.h>

#include "dht/base/bencode.hpp"
#include "swarm/limits.hpp"
#include "swarm/wire_codec.hpp"

namespace shoal::swarm {
namespace {

const BtExtensions everything{.metadata = 7,
                              .exchange = 9,
                              .dont_have = 11,
                              .fast = true,
                              .extended = true,
                              .hashes = true,
                              .dht = true};

// The numbers that we give our extended messages.
constexpr std::uint8_t our_metadata = 1, our_exchange = 2, our_dont_have = 3;

Bytes written(const wire::Message& message, const BtExtensions& theirs = everything) {
  Bytes out;
  write_bt(message, theirs, out);
  return out;
}
// One reader and its messages.
struct Reading {
  BtReader reader;
  std::vector<wire::Message> messages;
  bool ok = true;
  explicit Reading(ByteView body) { take(body); }
  Reading() = default;
  void take(ByteView body) { ok = reader.read(body, messages).has_value(); }
};
template <class T>
T read_as(ByteView body) {
  Reading reading{body};
  EXPECT_TRUE(reading.ok && reading.messages.size() == 1 && std::holds_alternative<T>(reading.messages[0]))
      << to_hex(body);
  if (!reading.ok || reading.messages.size() != 1 || !std::holds_alternative<T>(reading.messages[0]))
    return {};
  return std::move(std::get<T>(reading.messages[0]));
}
// As the other end would have it: our extended messages go by the names that it gave, theirs by ours.
Bytes extended(std::uint8_t kind, std::string_view payload) {
  Bytes out;
  out.reserve(2 + payload.size());
  out = {20, kind};
  append(out, as_bytes(payload));
  return out;
}
bool refused(ByteView body) { return !Reading{body}.ok; }
bool refused(std::uint8_t kind, std::string_view payload) { return refused(extended(kind, payload)); }

TEST(BtMessage, CoreMessagesAreAsBep3HasThem) {
  EXPECT_EQ(to_hex(written(wire::Choke{})), "00");
  EXPECT_EQ(to_hex(written(wire::Unchoke{})), "01");
  EXPECT_EQ(to_hex(written(wire::Interested{})), "02");
  EXPECT_EQ(to_hex(written(wire::NotInterested{})), "03");
  EXPECT_EQ(to_hex(written(wire::Have{0x01020304})), "0401020304");
  EXPECT_EQ(to_hex(written(wire::Pieces{wire::Pieces::Form::bits, {0xA0, 0x80}})), "05a080");
  EXPECT_EQ(to_hex(written(wire::Request{1, 0x4000, 0x4000})), "06000000010000400000004000");
  EXPECT_EQ(to_hex(written(wire::Cancel{{1, 2, 3}})), "08000000010000000200000003");
  EXPECT_EQ(to_hex(written(wire::DhtPort{6881})), "091ae1");
  ByteArray<bt_block_header_bytes> header{};
  write_bt_block_header(1, 0x4000, header.data());
  EXPECT_EQ(to_hex(header), "070000000100004000");
}

TEST(BtMessage, FastOnesAreAsBep6HasThemAndOnlyForWhoTakesThem) {
  EXPECT_EQ(to_hex(written(wire::Pieces{wire::Pieces::Form::all, {}})), "0e");
  EXPECT_EQ(to_hex(written(wire::Pieces{wire::Pieces::Form::none, {}})), "0f");
  EXPECT_EQ(to_hex(written(wire::Reject{{1, 2, 3}})), "10000000010000000200000003");
  EXPECT_EQ(to_hex(written(wire::AllowedFast{7})), "1100000007");
  const BtExtensions none;
  for (const wire::Message& message : std::initializer_list<wire::Message>{
           wire::Pieces{}, wire::Reject{}, wire::AllowedFast{}, wire::HashReject{}, wire::HashRequest{},
           wire::DontHave{}, wire::MetadataRequest{}})
    EXPECT_TRUE(written(message, none).empty()) << message.index();
}

TEST(BtMessage, TheOthersReadWhatWeWrite) {
  EXPECT_EQ(read_as<wire::Have>(written(wire::Have{9})).piece, 9U);
  EXPECT_EQ(read_as<wire::Request>(written(wire::Request{1, 2, 3})), (wire::Request{1, 2, 3}));
  EXPECT_EQ(read_as<wire::Reject>(written(wire::Reject{{1, 2, 3}})).request, (wire::Request{1, 2, 3}));
  EXPECT_EQ(read_as<wire::AllowedFast>(written(wire::AllowedFast{7})).piece, 7U);
  EXPECT_EQ(read_as<wire::DhtPort>(written(wire::DhtPort{6881})).port, 6881);
  EXPECT_EQ(read_as<wire::Pieces>(written(wire::Pieces{wire::Pieces::Form::all, {}})).form,
            wire::Pieces::Form::all);
  EXPECT_EQ(read_as<wire::Pieces>(written(wire::Pieces{wire::Pieces::Form::bits, {1, 2}})).bits,
            (Bytes{1, 2}));
  wire::HashRequest request{Sha256{5}, 1, 2, 4, 3};
  EXPECT_EQ(read_as<wire::HashRequest>(written(request)), request);
  EXPECT_EQ(read_as<wire::HashReject>(written(wire::HashReject{request})).request, request);
  const auto hashes = read_as<wire::Hashes>(written(wire::Hashes{request, {Sha256{1}, Sha256{2}}}));
  EXPECT_EQ(hashes.request, request);
  EXPECT_EQ(hashes.hashes, (std::vector{Sha256{1}, Sha256{2}}));
}

TEST(BtMessage, WhatTheOtherDoesNotTakeIsNotWritten) {
  const BtExtensions none;
  for (const wire::Message& message : std::initializer_list<wire::Message>{
           wire::Hashes{{}, {Sha256{1}}}, wire::DhtPort{1}, wire::PeerExchange{}, wire::Hello{}})
    EXPECT_TRUE(written(message, none).empty()) << message.index();
  const auto all = [&](std::uint32_t count) {
    wire::Pieces pieces{wire::Pieces::Form::all, {}};
    pieces.count = count;
    return to_hex(written(pieces, none));
  };
  EXPECT_EQ(all(16), "05ffff");
  EXPECT_EQ(all(17), "05ffff80");
  EXPECT_EQ(all(7), "05fe");
}

TEST(BtMessage, TheRestOfTheCoreIsReadToo) {
  read_as<wire::NotInterested>(written(wire::NotInterested{}));
  read_as<wire::Interested>(written(wire::Interested{}));
  EXPECT_EQ(read_as<wire::Cancel>(written(wire::Cancel{{1, 2, 3}})).request, (wire::Request{1, 2, 3}));
  wire::PeerExchange exchange;
  exchange.dropped = {{IpAddress::v4(0x01020304), 5}, {IpAddress::parse("2001:db8::1").value(), 6}};
  BtExtensions ours = everything;
  ours.exchange = our_exchange;
  EXPECT_EQ(read_as<wire::PeerExchange>(written(exchange, ours)).dropped, exchange.dropped);
}

TEST(BtMessage, SizesThatNoMessageHasAreRefused) {
  EXPECT_TRUE(refused(Bytes{5}));
  EXPECT_TRUE(refused(Bytes(2 + max_pieces_bytes, 5)));
  EXPECT_FALSE(refused(Bytes(1 + max_pieces_bytes, 5)));
  for (const std::size_t payload :
       {std::size_t{0}, std::size_t{47}, std::size_t{49}, std::size_t{81}, 48 + 32 * (max_hashes + 1)})
    EXPECT_TRUE(refused(Bytes(1 + payload, 22))) << payload;
  EXPECT_FALSE(refused(Bytes(1 + 48 + 32, 22)));
  EXPECT_FALSE(refused(Bytes(1 + 48 + 32 * max_hashes, 22)));
  EXPECT_TRUE(refused(Bytes{20}));
  EXPECT_TRUE(refused(our_dont_have, "123"));
  EXPECT_TRUE(refused(our_dont_have, "12345"));
  EXPECT_FALSE(refused(our_dont_have, "1234"));
}

TEST(BtMessage, DictionariesThatDoNotEndAreRefused) {
  for (const std::string_view text :
       {"", "d", "e", "i5", "i", "d8:msg_typei0e", "d8:msg_typei0e5:99999", "d8:msg_typei0e5", "d-1:ae",
        "d99999999999:a", "d8:msg_typei0e5:piece", "d8:msg_typei0e5:piecei0", "le", "i1e", "1:a"})
    EXPECT_TRUE(refused(our_metadata, text)) << text;
  EXPECT_FALSE(refused(our_metadata, "d8:msg_typei0e5:piecei0ee"));
}

TEST(BtMessage, AHelloTellsWhatItTellsRightly) {
  const auto hello = [](std::string_view text) { return read_as<wire::Hello>(extended(0, text)); };
  EXPECT_EQ(hello("d6:yourip4:\x01\x02\x03\x04"
                  "e")
                .your_address,
            IpAddress::v4(0x01020304));
  EXPECT_EQ(hello("d6:yourip16:0123456789abcdefe").your_address,
            IpAddress::from_bytes(as_bytes("0123456789abcdef")));
  EXPECT_FALSE(hello("d6:yourip5:12345e").your_address);
  EXPECT_FALSE(hello("d6:youripi1ee").your_address);
  EXPECT_FALSE(hello("d5:shoal31:" + std::string(31, 'k') + "e").native_key);
  EXPECT_TRUE(hello("d5:shoal32:" + std::string(32, 'k') + "e").native_key);
  EXPECT_EQ(hello("d4:reqqi0ee").max_requests, wire::Hello{}.max_requests);
  EXPECT_EQ(hello("d4:reqqi-1ee").max_requests, wire::Hello{}.max_requests);
  EXPECT_EQ(hello("d4:reqqi9ee").max_requests, 9U);
  EXPECT_EQ(hello("d13:metadata_sizei-1ee").metadata_bytes, 0U);
  EXPECT_EQ(hello("d1:pi70000ee").listen_port, 65'535);
}

// BEP 52: root, base layer, index, length, proof layers.
TEST(BtMessage, HashRequestsAreAsBep52HasThem) {
  Sha256 root;
  root.fill(0xAB);
  EXPECT_EQ(to_hex(written(wire::HashRequest{root, 0, 512, 512, 4})),
            "15" + std::string(64, 'a').replace(0, 64, to_hex(root)) +
                "00000000"
                "00000200"
                "00000200"
                "00000004");
}

TEST(BtMessage, TheHelloNamesWhatWeTakeAndReadsWhatTheyTake) {
  wire::Hello hello;
  hello.client = "shoal 0.1";
  hello.listen_port = 7000;
  hello.metadata_bytes = 31235;
  hello.max_requests = 500;
  hello.your_address = IpAddress::v4(0x01020304);
  hello.upload_only = true;
  hello.native_key = crypto::PublicKey{9};
  const Bytes body = written(hello);
  Reading reading{body};
  ASSERT_TRUE(reading.ok && reading.messages.size() == 1);
  const auto& again = std::get<wire::Hello>(reading.messages[0]);
  EXPECT_EQ(again.client, hello.client);
  EXPECT_EQ(again.listen_port, 7000);
  EXPECT_EQ(again.metadata_bytes, 31235U);
  EXPECT_EQ(again.max_requests, 500U);
  EXPECT_EQ(again.your_address, hello.your_address);
  EXPECT_TRUE(again.upload_only && again.takes_exchange);
  EXPECT_EQ(again.native_key, hello.native_key);
  EXPECT_NE(reading.reader.theirs().metadata, 0);
  EXPECT_NE(reading.reader.theirs().exchange, 0);
  EXPECT_NE(reading.reader.theirs().dont_have, 0);
  hello.takes_exchange = false;  // BEP 27
  Reading closed{written(hello)};
  EXPECT_EQ(closed.reader.theirs().exchange, 0);
}

// BEP 10: a later one changes what it names and nothing else; 0 takes a message away.
TEST(BtMessage, ALaterHelloChangesWhatItNames) {
  Reading reading{extended(0, "d1:md11:ut_metadatai3e6:ut_pexi1ee1:v3:fooe")};
  EXPECT_EQ(reading.reader.theirs().metadata, 3);
  reading.take(extended(0, "d1:md6:ut_pexi0eee"));
  EXPECT_TRUE(reading.ok);
  EXPECT_EQ(reading.reader.theirs().metadata, 3);
  EXPECT_EQ(reading.reader.theirs().exchange, 0);
}

TEST(BtMessage, AHelloMayLackAnything) {
  for (const std::string_view text :
       {"de", "d1:mlee", "d1:mi1ee", "d1:md11:ut_metadata3:abcee", "d13:metadata_sizei-1ee",
        "d13:metadata_sizei999999999999ee", "d1:pi-5e4:reqqi0e1:vi1ee", "d6:yourip3:abce"}) {
    const auto hello = read_as<wire::Hello>(extended(0, text));
    EXPECT_EQ(hello.metadata_bytes, 0U) << text;
    EXPECT_EQ(hello.listen_port, 0) << text;
    EXPECT_GT(hello.max_requests, 0U) << text;
    EXPECT_FALSE(hello.your_address) << text;
  }
  EXPECT_EQ(read_as<wire::Hello>(extended(0, "d1:v100:" + std::string(100, 'x') + "e")).client.size(),
            max_client_bytes);
  EXPECT_TRUE(refused(0, ""));
  EXPECT_TRUE(refused(0, "d1:m"));
}

TEST(BtMessage, MetadataIsAsBep9HasIt) {
  const auto text = [](const wire::Message& message) { return std::string{as_text(written(message))}; };
  EXPECT_EQ(text(wire::MetadataRequest{0}),
            "\x14\x07"
            "d8:msg_typei0e5:piecei0ee");
  EXPECT_EQ(text(wire::MetadataReject{3}),
            "\x14\x07"
            "d8:msg_typei2e5:piecei3ee");
  EXPECT_EQ(text(wire::MetadataPart{0, 3425, {'x', 'y'}}),
            "\x14\x07"
            "d8:msg_typei1e5:piecei0e10:total_sizei3425eexy");
  EXPECT_EQ(read_as<wire::MetadataRequest>(extended(1, "d8:msg_typei0e5:piecei2ee")).part, 2U);
  EXPECT_EQ(read_as<wire::MetadataReject>(extended(1, "d8:msg_typei2e5:piecei2ee")).part, 2U);
  const auto part =
      read_as<wire::MetadataPart>(extended(1, "d8:msg_typei1e5:piecei0e10:total_sizei3425eexy"));
  EXPECT_EQ(part.total_bytes, 3425U);
  EXPECT_EQ(part.data, (Bytes{'x', 'y'}));
  // The data may look like bencoding.
  EXPECT_EQ(read_as<wire::MetadataPart>(extended(1, "d8:msg_typei1e5:piecei0e10:total_sizei9eed1:ai1ee"))
                .data.size(),
            8U);
  Reading later{extended(1, "d8:msg_typei9e5:piecei0ee")};  // of a later version: passed over
  EXPECT_TRUE(later.ok && later.messages.empty());
  for (const std::string_view bad :
       {"", "d", "de", "i1e", "4:spam", "d8:msg_typei0ee", "d8:msg_typei0e5:piecei-1ee",
        "d8:msg_typei0e5:piecei99999ee", "d8:msg_typei1e5:piecei0e10:total_sizei3425ee",
        "d8:msg_typei1e5:piecei0eexy", "d8:msg_typei1e5:piecei0e10:total_sizei999999999eexy",
        "d8:msg_typei0e5:piece", "d99:", "d5:", "di", "99999999999999999999:"})
    EXPECT_TRUE(refused(1, bad)) << bad;
  EXPECT_TRUE(refused(1, "d8:msg_typei1e5:piecei0e10:total_sizei99999ee" +
                             std::string(limits::metadata_part_bytes + 1, 'x')));
}

TEST(BtMessage, ExchangeCarriesBothFamiliesAndWhoIsASeed) {
  wire::PeerExchange exchange;
  exchange.added.push_back({{IpAddress::v4(0x01020304), 5}, {}, true});
  exchange.added.push_back({{IpAddress::v4(0x05060708), 6}, {}, false});
  exchange.added.push_back({{*IpAddress::parse("2001:db8::1"), 7}, {}, true});
  exchange.dropped.push_back({*IpAddress::parse("2001:db8::2"), 8});
  Bytes body = written(exchange);
  EXPECT_EQ(body[1], everything.exchange);
  body[1] = 2;  // as the other end would send it to us
  const auto again = read_as<wire::PeerExchange>(body);
  ASSERT_EQ(again.added.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(again.added[i].endpoint, exchange.added[i].endpoint);
    EXPECT_EQ(again.added[i].seed, exchange.added[i].seed);
    EXPECT_FALSE(again.added[i].key);
  }
  EXPECT_EQ(again.dropped, exchange.dropped);
  const auto short_flags = read_as<wire::PeerExchange>(extended(2,
                                                                "d5:added12:abcdefabcdef7:added.f1:\x02"
                                                                "e"));
  ASSERT_EQ(short_flags.added.size(), 2U);
  EXPECT_TRUE(short_flags.added[0].seed && !short_flags.added[1].seed);
  std::string many = "d5:added6000:";
  for (int i = 0; i < 1000; ++i) many += "abcdef";
  EXPECT_EQ(read_as<wire::PeerExchange>(extended(2, many + "e")).added.size(), limits::exchange_taken + 1);
}

TEST(BtMessage, LostPiecesAreToldOf) {
  const Bytes body = written(wire::DontHave{5});
  EXPECT_EQ(to_hex(body), "140b00000005");
  EXPECT_EQ(read_as<wire::DontHave>(Bytes{20, 3, 0, 0, 0, 5}).piece, 5U);
}

TEST(BtMessage, AMessageHasTheSizeOfItsKind) {
  const std::size_t sizes[][2] = {{0, 0},  {1, 0},  {2, 0},  {3, 0},   {4, 4},  {6, 12},  {8, 12}, {9, 2},
                                  {13, 4}, {14, 0}, {15, 0}, {16, 12}, {17, 4}, {21, 48}, {23, 48}};
  for (const auto& [kind, size] : sizes)
    for (std::size_t given = 0; given < 60; ++given) {
      Bytes body(1 + given, 0);
      body[0] = static_cast<std::uint8_t>(kind);
      EXPECT_EQ(refused(body), given != size) << kind << " with " << given;
    }
  EXPECT_TRUE(refused(Bytes{5}));
  EXPECT_TRUE(refused(Bytes{20}));
  Bytes hashes(1 + 48 + 31, 0);
  hashes[0] = 22;
  EXPECT_TRUE(refused(hashes));
  hashes.resize(1 + 48 + 32 * (max_hashes + 1));
  EXPECT_TRUE(refused(hashes));
  hashes.resize(1 + 48 + 32 * max_hashes);
  EXPECT_FALSE(refused(hashes));
}

// BEP 3: a bitfield is the first message if it comes at all; BEP 6 has two others in its place. Which of the
// others may come before it is each dialect's own matter: extended ones and the DHT's port do.
TEST(BtMessage, WhatNamesPiecesComesBeforeWhatSpeaksOfThem) {
  for (const std::uint8_t kind : {5, 14, 15}) EXPECT_EQ(bt_order(kind), BtOrder::names_pieces) << int{kind};
  for (const std::uint8_t kind : {0, 1, 2, 3, 4, 6, 7, 8, 16})
    EXPECT_EQ(bt_order(kind), BtOrder::after_pieces) << int{kind};
  for (const std::uint8_t kind : {9, 13, 17, 20, 21, 255})
    EXPECT_EQ(bt_order(kind), BtOrder::any) << int{kind};
}

TEST(BtMessage, UnknownMessagesArePassedOverButNotForEver) {
  Reading reading;
  for (std::uint32_t i = 0; i < max_unknown_messages; ++i) {
    reading.take(i % 2 == 0 ? Bytes{200, 1, 2} : Bytes{20, 99});
    ASSERT_TRUE(reading.ok);
  }
  EXPECT_TRUE(reading.messages.empty());
  reading.take(Bytes{200});
  EXPECT_FALSE(reading.ok);
}

}  // namespace
}  // namespace shoal::swarm
