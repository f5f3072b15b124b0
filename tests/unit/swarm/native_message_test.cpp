// Messages of the native dialect: every type there and back, every field, every bound, hostile spellings.
#include "swarm/native_message.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "dht/base/msgpack.hpp"
#include "tests/unit/swarm/native_samples.hpp"

namespace shoal::swarm {
namespace {

using wire::Message;

std::vector<Message> read(ByteView bytes) {
  MessageReader reader;
  std::vector<Message> out;
  const auto done = reader.read(bytes, out);
  EXPECT_TRUE(done) << (done ? "" : done.error().rule) << " "
                    << to_hex(bytes.first(std::min<std::size_t>(bytes.size(), 64)));
  return out;
}
template <class T>
T there_and_back(const T& message) {
  auto out = read(test::encoded(message));
  EXPECT_EQ(out.size(), 1U);
  return std::move(std::get<T>(out.at(0)));
}
Code refusal(ByteView bytes) {
  MessageReader reader;
  std::vector<Message> out;
  const auto done = reader.read(bytes, out);
  EXPECT_FALSE(done) << to_hex(bytes.first(std::min<std::size_t>(bytes.size(), 64)));
  EXPECT_TRUE(out.empty());
  return done ? Code::io : done.error().code;
}
Code refusal(const std::function<void(pack::Writer&)>& write) {
  Bytes bytes;
  pack::Writer writer{bytes};
  write(writer);
  return refusal(bytes);
}

TEST(NativeMessageTest, EveryFieldArrives) {
  EXPECT_EQ(there_and_back(wire::Have{77}).piece, 77U);
  EXPECT_EQ(there_and_back(wire::AllowedFast{0xffffffff}).piece, 0xffffffffU);
  EXPECT_EQ(there_and_back(wire::MetadataRequest{3}).part, 3U);
  EXPECT_EQ(there_and_back(wire::MetadataReject{4}).part, 4U);
  const wire::Request request{1, 0x10000, 16384};
  EXPECT_EQ(there_and_back(request), request);
  EXPECT_EQ(there_and_back(wire::Cancel{request}).request, request);
  EXPECT_EQ(there_and_back(wire::Reject{request}).request, request);
  there_and_back(wire::KeepAlive{});
  there_and_back(wire::Choke{});
  there_and_back(wire::Unchoke{});
  there_and_back(wire::Interested{});
  there_and_back(wire::NotInterested{});

  using Form = wire::Pieces::Form;
  EXPECT_EQ(there_and_back(wire::Pieces{Form::all, {}}).form, Form::all);
  EXPECT_EQ(there_and_back(wire::Pieces{Form::none, {}}).form, Form::none);
  const auto bits = there_and_back(wire::Pieces{Form::bits, {0x80, 0x01}});
  EXPECT_EQ(bits.form, Form::bits);
  EXPECT_EQ(bits.bits, (Bytes{0x80, 0x01}));

  Random random{{}};
  const wire::HashRequest range{random.bytes<32>(), 1, 2, 3, 4};
  EXPECT_EQ(there_and_back(range), range);
  EXPECT_EQ(there_and_back(wire::HashReject{range}).request, range);
  const wire::Hashes hashes{range, {random.bytes<32>(), random.bytes<32>(), random.bytes<32>()}};
  EXPECT_EQ(there_and_back(hashes).request, range);
  EXPECT_EQ(there_and_back(hashes).hashes, hashes.hashes);

  const auto part = there_and_back(wire::MetadataPart{2, 40000, {1, 2, 3}});
  EXPECT_EQ(part.part, 2U);
  EXPECT_EQ(part.total_bytes, 40000U);
  EXPECT_EQ(part.data, (Bytes{1, 2, 3}));
}

TEST(NativeMessageTest, MoreHashesThanFitAreRefusedNotSent) {
  Random random{{}};
  const wire::HashRequest range{random.bytes<32>(), 0, 0, 4096, 0};
  EXPECT_EQ(there_and_back(wire::Hashes{range, std::vector<Sha256>(max_hashes)}).hashes.size(), max_hashes);
  const auto out = read(test::encoded(wire::Hashes{range, std::vector<Sha256>(max_hashes + 1)}));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(std::get<wire::HashReject>(out[0]).request, range);
}

TEST(NativeMessageTest, HelloAndExchangeArriveWhole) {
  wire::Hello hello{"shoal 0.1", 6881, 1234, 500, IpAddress::parse("2001:db8::1").value()};
  auto back = there_and_back(hello);
  EXPECT_EQ(back.client, "shoal 0.1");
  EXPECT_EQ(back.listen_port, 6881U);
  EXPECT_EQ(back.metadata_bytes, 1234U);
  EXPECT_EQ(back.max_requests, 500U);
  EXPECT_EQ(back.your_address, hello.your_address);
  hello.your_address.reset();
  EXPECT_FALSE(there_and_back(hello).your_address);

  Random random{{}};
  wire::PeerExchange exchange;
  exchange.added.push_back({Endpoint::parse("192.0.2.1:80").value(), random.bytes<32>(), true});
  exchange.added.push_back({Endpoint::parse("[2001:db8::2]:65535").value(), std::nullopt, false});
  exchange.dropped.push_back(Endpoint::parse("192.0.2.9:1").value());
  const auto entries = there_and_back(exchange);
  ASSERT_EQ(entries.added.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(entries.added[i].endpoint, exchange.added[i].endpoint);
    EXPECT_EQ(entries.added[i].key, exchange.added[i].key);
    EXPECT_EQ(entries.added[i].seed, exchange.added[i].seed);
  }
  EXPECT_EQ(entries.dropped, exchange.dropped);
}

TEST(NativeMessageTest, RandomMessagesReencodeToTheSameBytes) {
  Random random{{1}};
  for (int i = 0; i < 4000; ++i) {
    const std::size_t which = random.below(native_messages);
    if (which == 10) continue;  // a block is not read here
    const Message message = test::random_message(random, which);
    const Bytes bytes = test::encoded(message);
    const auto back = read(bytes);
    ASSERT_EQ(back.size(), 1U);
    ASSERT_EQ(back[0].index(), which);
    ASSERT_EQ(test::encoded(back[0]), bytes);
  }
}

TEST(NativeMessageTest, ManyInAFrameKeepTheirOrder) {
  Bytes frame;
  for (std::uint32_t i = 0; i < 300; ++i) write_message(wire::Have{i * 977}, frame);
  const auto out = read(frame);
  ASSERT_EQ(out.size(), 300U);
  for (std::uint32_t i = 0; i < 300; ++i) EXPECT_EQ(std::get<wire::Have>(out[i]).piece, i * 977);
}

TEST(NativeMessageTest, EveryTruncationIsRefused) {
  Random random{{2}};
  for (std::size_t which = 0; which < native_messages; ++which) {
    if (which == 10) continue;
    Message message = test::random_message(random, which);
    const Bytes bytes = test::encoded(message);
    const std::size_t step = 1 + bytes.size() / 200;
    for (std::size_t n = 0; n < bytes.size(); n += step) {
      MessageReader reader;
      std::vector<Message> out;
      const bool taken = reader.read(ByteView{bytes}.first(n), out).has_value();
      // A bitfield of several parts may end between two of them, but then it is still awaited.
      EXPECT_TRUE(!taken || reader.in_pieces()) << which << " " << n;
      EXPECT_TRUE(out.empty());
    }
  }
}

TEST(NativeMessageTest, OneSpellingOnly) {
  const auto refuse = [](const char* hex) { return refusal(from_hex(hex).value()); };
  EXPECT_EQ(refuse(""), Code::malformed);
  EXPECT_EQ(refuse("9205cc05"), Code::non_canonical);        // 5 in two bytes
  EXPECT_EQ(refuse("9205cd00ff"), Code::non_canonical);      // 255 in three
  EXPECT_EQ(refuse("9205ce0000ffff"), Code::non_canonical);  // 65,535 in five
  EXPECT_EQ(refuse("9205cf00000000ffffffff"), Code::non_canonical);
  EXPECT_EQ(refuse("92cc0505"), Code::non_canonical);            // the type in two
  EXPECT_EQ(refuse("dc00020505"), Code::non_canonical);          // the array in three
  EXPECT_EQ(refuse("9205cf0000000100000000"), Code::malformed);  // 2^32 is no piece
  EXPECT_EQ(refuse("9205ff"), Code::malformed);                  // nor is -1
  EXPECT_EQ(refuse("9205c3"), Code::malformed);
  refuse("9205ca00000000");  // a float
  EXPECT_EQ(refuse("90"), Code::malformed);
  EXPECT_EQ(refuse("01"), Code::malformed);  // not an array
  EXPECT_EQ(refuse("80"), Code::malformed);
  EXPECT_EQ(refuse("91a0"), Code::malformed);      // a type that is no number
  EXPECT_EQ(refuse("9105"), Code::malformed);      // have without a piece
  EXPECT_EQ(refuse("93050101"), Code::malformed);  // have of two
  EXPECT_EQ(refuse("920100"), Code::malformed);    // choke of something
  EXPECT_EQ(refuse("930c0000"), Code::malformed);  // a block among messages
  EXPECT_EQ(refuse("9108"), Code::malformed);      // pieces without bits
  refuse("c1");
}

TEST(NativeMessageTest, BoundsOfRichMessages) {
  const Bytes root(32, 1);
  const auto hashes = [&](std::size_t bytes) {
    return refusal([&](pack::Writer& w) {
      w.array(7).number(15).binary(root).number(0).number(0).number(1).number(0).binary(Bytes(bytes, 2));
    });
  };
  EXPECT_EQ(hashes((max_hashes + 1) * 32), Code::too_large);
  EXPECT_EQ(hashes(33), Code::malformed);
  for (const std::size_t bytes : {31UL, 33UL})
    EXPECT_EQ(refusal([&](pack::Writer& w) {
                w.array(6).number(14).binary(Bytes(bytes, 1)).number(0).number(0).number(1).number(0);
              }),
              Code::malformed);
  EXPECT_EQ(refusal([&](pack::Writer& w) {
              w.array(4).number(19).number(0).number(1).binary(Bytes(max_metadata_part + 1, 0));
            }),
            Code::too_large);
  EXPECT_EQ(
      refusal([&](pack::Writer& w) { w.array(2).number(17).map(1).number(0).text(std::string(65, 'a')); }),
      Code::too_large);
  EXPECT_EQ(refusal([&](pack::Writer& w) { w.array(2).number(17).map(1).number(1).number(65536); }),
            Code::malformed);
  EXPECT_EQ(refusal([&](pack::Writer& w) { w.array(2).number(17).map(1).number(4).binary(Bytes(5, 0)); }),
            Code::malformed);
  Bytes mapped(16, 0);
  mapped[10] = mapped[11] = 0xff;
  EXPECT_EQ(refusal([&](pack::Writer& w) { w.array(2).number(17).map(1).number(4).binary(mapped); }),
            Code::non_canonical);
}

TEST(NativeMessageTest, BoundsOfPeerExchange) {
  const Bytes v4(6, 1);
  const auto exchange = [&](std::uint32_t added, std::uint32_t dropped, const Bytes& endpoint,
                            const Bytes& key) {
    Bytes bytes;
    pack::Writer w{bytes};
    w.array(3).number(21).array(added);
    for (std::uint32_t i = 0; i < added; ++i) w.array(3).binary(endpoint).binary(key).boolean(false);
    w.array(dropped);
    for (std::uint32_t i = 0; i < dropped; ++i) w.binary(endpoint);
    MessageReader reader;
    std::vector<Message> out;
    const auto done = reader.read(bytes, out);
    return done ? std::optional<Code>{} : done.error().code;
  };
  const Bytes key(32, 2);
  EXPECT_FALSE(exchange(64, 64, v4, key));
  EXPECT_EQ(exchange(65, 0, v4, key), Code::too_large);
  EXPECT_EQ(exchange(0, 65, v4, key), Code::too_large);
  EXPECT_EQ(exchange(1, 0, Bytes(7, 1), key), Code::malformed);
  EXPECT_EQ(exchange(0, 1, Bytes(17, 1), key), Code::malformed);
  EXPECT_EQ(exchange(1, 0, v4, Bytes(31, 1)), Code::malformed);
  EXPECT_EQ(exchange(300, 0, v4, key), Code::too_large);
}

TEST(NativeMessageTest, EachElementHasItsTypeAndEachArrayItsLength) {
  using W = pack::Writer&;
  const Bytes root(32, 1), v4(6, 1);
  const std::vector<std::function<void(W)>> bad{
      [&](W w) { w.array(5).number(14).binary(root).number(0).number(0).number(1); },
      [&](W w) { w.array(6).number(14).number(1).number(0).number(0).number(1).number(0); },
      [&](W w) { w.array(6).number(14).binary(root).text("0").number(0).number(1).number(0); },
      [&](W w) { w.array(6).number(16).binary(root).number(0).number(0).number(1).number(1ULL << 32); },
      [&](W w) { w.array(6).number(15).binary(root).number(0).number(0).number(1).number(0); },
      [&](W w) { w.array(7).number(15).binary(root).number(0).number(0).number(1).number(0).number(0); },
      [&](W w) { w.array(7).number(15).number(0).number(0).number(0).number(1).number(0).binary(root); },
      [&](W w) { w.array(1).number(17); },
      [&](W w) { w.array(2).number(17).number(0); },
      [&](W w) { w.array(2).number(17).text("no map"); },
      [&](W w) { w.array(3).number(17).map(0).map(0); },
      [&](W w) { w.array(3).number(19).number(0).binary(root); },
      [&](W w) { w.array(2).number(17).map(1).number(0).number(0); },
      [&](W w) { w.array(2).number(17).map(1).number(1).text("a port"); },
      [&](W w) { w.array(2).number(17).map(1).number(1).number(65'536); },
      [&](W w) { w.array(2).number(17).map(1).number(2).number(1ULL << 32); },
      [&](W w) { w.array(2).number(17).map(1).number(3).nil(); },
      [&](W w) { w.array(2).number(17).map(1).number(4).text("1234"); },
      [&](W w) { w.array(2).number(17).map(1).number(4).binary(Bytes(5, 1)); },
      [&](W w) { w.array(3).number(19).number(0).number(1); },
      [&](W w) { w.array(4).number(19).number(0).number(1).number(2); },
      [&](W w) { w.array(4).number(19).text("0").number(1).binary(root); },
      [&](W w) { w.array(2).number(21).array(0); },
      [&](W w) { w.array(3).number(21).number(0).array(0); },
      [&](W w) { w.array(3).number(21).array(0).number(0); },
      [&](W w) { w.array(3).number(21).array(1).binary(v4).array(0); },
      [&](W w) { w.array(3).number(21).array(1).array(2).binary(v4).nil().array(0); },
      [&](W w) { w.array(3).number(21).array(1).array(3).text("1").nil().boolean(true).array(0); },
      [&](W w) { w.array(3).number(21).array(1).array(3).binary(root).nil().boolean(true).array(0); },
      [&](W w) { w.array(3).number(21).array(1).array(3).binary(v4).nil().number(1).array(0); },
      [&](W w) { w.array(3).number(21).array(1).array(3).binary(v4).number(1).boolean(true).array(0); },
      [&](W w) { w.array(3).number(21).array(0).array(1).number(1); },
      [&](W w) { w.array(2).number(8).binary(root); },
      [&](W w) { w.array(3).number(8).text("32").binary(root); },
      [&](W w) { w.array(3).number(8).number(32).text("all"); },
      [&](W w) { w.array(1).text("0"); },
      [&](W w) { w.map(1).number(17).number(1); }};
  for (std::size_t i = 0; i < bad.size(); ++i) EXPECT_EQ(refusal(bad[i]), Code::malformed) << i;
}

TEST(NativeMessageTest, HelloGrowsWithoutHarm) {
  Bytes bytes;
  pack::Writer{bytes}.array(2).number(17).map(2).number(1).number(9).number(99).text("something new");
  const auto out = read(bytes);
  const auto& hello = std::get<wire::Hello>(out.at(0));
  EXPECT_EQ(hello.listen_port, 9U);
  EXPECT_EQ(hello.max_requests, wire::Hello{}.max_requests);
  EXPECT_TRUE(hello.client.empty());
}

TEST(NativeMessageTest, UnknownTypesAreSkippedUpToABound) {
  Bytes unknown;
  pack::Writer{unknown}.array(3).number(200).text("new").array(1).nil();
  MessageReader reader;
  std::vector<Message> out;
  for (std::uint32_t i = 0; i < max_unknown_messages; ++i) {
    Bytes frame = unknown;
    write_message(wire::Have{i}, frame);
    ASSERT_TRUE(reader.read(frame, out));
  }
  EXPECT_EQ(out.size(), max_unknown_messages);
  const auto done = reader.read(unknown, out);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::too_large);

  Bytes numbers;  // of the simple form, too
  pack::Writer{numbers}.array(2).number(22).number(1);
  EXPECT_TRUE(read(numbers).empty());
}

TEST(NativeMessageTest, BitfieldsComeInPartsAndInOnePiece) {
  Random random{{3}};
  for (const std::size_t size : {std::size_t{1}, pieces_part_bytes - 1, pieces_part_bytes,
                                 pieces_part_bytes + 1, 3 * pieces_part_bytes, max_pieces_bytes}) {
    const wire::Pieces pieces{wire::Pieces::Form::bits, test::random_bytes(random, size)};
    EXPECT_EQ(there_and_back(pieces).bits, pieces.bits);
  }
}

TEST(NativeMessageTest, BitfieldPartsAreStrict) {
  const Bytes part(pieces_part_bytes, 0xff);
  const auto after_first_part = [&](const std::function<void(Bytes&)>& then) {
    Bytes bytes;
    write_pieces_part(pieces_part_bytes + 10, part, bytes);
    then(bytes);
    return refusal(bytes);
  };
  EXPECT_EQ(after_first_part([](Bytes& b) { write_message(wire::KeepAlive{}, b); }), Code::malformed);
  EXPECT_EQ(after_first_part([](Bytes& b) { pack::Writer{b}.array(1).number(99); }), Code::malformed);
  EXPECT_EQ(after_first_part([](Bytes& b) { write_message(wire::Hello{}, b); }), Code::malformed);
  EXPECT_EQ(after_first_part([](Bytes& b) { write_pieces_part(pieces_part_bytes + 11, Bytes(11, 0), b); }),
            Code::malformed);
  EXPECT_EQ(after_first_part([](Bytes& b) { write_pieces_part(pieces_part_bytes + 10, Bytes(9, 0), b); }),
            Code::malformed);
  EXPECT_EQ(after_first_part([](Bytes& b) { write_pieces_part(pieces_part_bytes + 10, Bytes(11, 0), b); }),
            Code::malformed);

  EXPECT_EQ(refusal([&](pack::Writer& w) { w.array(3).number(8).number(max_pieces_bytes + 1).binary(part); }),
            Code::too_large);
  EXPECT_EQ(refusal([&](pack::Writer& w) { w.array(3).number(8).number(0).binary({}); }), Code::malformed);
  EXPECT_EQ(refusal([&](pack::Writer& w) { w.array(3).number(8).number(5).binary(Bytes(4, 0)); }),
            Code::malformed);
}

TEST(NativeMessageTest, BlockHeaders) {
  for (const std::uint32_t number : {0U, 127U, 128U, 65536U, 0xffffffffU}) {
    Bytes bytes;
    write_block_header(number, 0xffffffffU - number, bytes);
    EXPECT_LE(bytes.size(), 12U);
    EXPECT_FALSE(read_block_header(bytes));  // no payload
    const std::size_t header = bytes.size();
    bytes.resize(header + max_block_bytes);
    const auto block = read_block_header(bytes);
    ASSERT_TRUE(block);
    EXPECT_EQ(block->piece, number);
    EXPECT_EQ(block->begin, 0xffffffffU - number);
    EXPECT_EQ(block->bytes, header);
    bytes.push_back(0);
    EXPECT_EQ(read_block_header(bytes).error().code, Code::too_large);
  }
  EXPECT_FALSE(read_block_header({}));
  EXPECT_FALSE(read_block_header(from_hex("920c0011").value()));      // one number short
  EXPECT_FALSE(read_block_header(from_hex("9309000011").value()));    // a request
  EXPECT_FALSE(read_block_header(from_hex("930ccc000011").value()));  // not canonical
}

}  // namespace
}  // namespace shoal::swarm
