// The native channel under attack: silence before the PSK is proven, tampering, replay, hostile frames,
// bounded memory.
#include "swarm/native_channel.hpp"

#include <gtest/gtest.h>

#include "dht/base/msgpack.hpp"
#include "tests/unit/swarm/native_samples.hpp"
#include "tests/unit/swarm/wire_pair.hpp"

namespace shoal::swarm {
namespace {

using test::Pair;
using test::Parties;
using wire::Message;

// An error now, and for ever after neither bytes nor messages.
void expect_dead(NativeWire& wire, Now now, BufferPool& pool) {
  std::vector<Message> out;
  EXPECT_FALSE(wire.receive(now, Bytes(100, 0), out));
  EXPECT_TRUE(out.empty());
  wire.send(now, wire::KeepAlive{});
  Buffer data = pool.take();
  const std::uint8_t* const where = data.data();
  wire.send(now, wire::Block{1, 0, std::move(data)});
  EXPECT_TRUE(test::flushed(wire, now, pool).empty());
  EXPECT_EQ(pool.take().data(), where) << "the buffer is back";
  EXPECT_EQ(wire.held(), 0U);
}

// Whoever was built before understands whoever is built now: of these secrets these bytes come.
TEST(NativeChannelTest, TheBytesOfAHandshakeAndAFrameStayTheSame) {
  Pair pair;
  pair.initiator.aes = AesOffer::never;  // the same on every processor
  pair.initiator.rekey_bytes = 20'000;
  pair.open();
  const auto digest = [&](ByteView bytes) { return to_hex(ByteView{sha256(bytes)}.first(8)); };
  const Bytes first = test::flushed(*pair.a, pair.now, pair.pool);
  ASSERT_TRUE(pair.b->receive(pair.now, first, pair.at_b));
  const Bytes second = test::flushed(*pair.b, pair.now, pair.pool);
  ASSERT_TRUE(pair.a->receive(pair.now, second, pair.at_a));
  pair.a->send(pair.now, wire::Have{7});
  pair.b->send(pair.now, wire::Have{7});
  EXPECT_EQ(digest(first), "9dd13cefb2e185e4");
  EXPECT_EQ(digest(second), "4b141aca615112e9");
  EXPECT_EQ(digest(test::flushed(*pair.a, pair.now, pair.pool)), "7ceb7ace9dec062a");
  EXPECT_EQ(digest(test::flushed(*pair.b, pair.now, pair.pool)), "15057b852a96737f");
  // And after new keys, which mask headers from their start.
  for (int i = 0; i < 2; ++i) pair.a->send(pair.now, pair.block(1, 0, 16384));
  (void)test::flushed(*pair.a, pair.now, pair.pool);
  pair.a->send(pair.now, wire::Have{7});
  const Bytes after = test::flushed(*pair.a, pair.now, pair.pool);
  EXPECT_EQ(digest(after), "3f0614e876dfe203");
}

TEST(NativeChannelTest, EveryFlippedBitOfTheFirstFlightGetsSilence) {
  Pair pair;
  const Bytes flight = test::flushed(*pair.a, pair.now, pair.pool);
  ASSERT_EQ(flight.size(), first_flight_bytes);
  for (std::size_t i = 0; i < flight.size(); ++i)
    for (const std::uint8_t bit : {0x01, 0x80}) {
      const auto responder = NativeWire::make_responder(pair.responder, pair.random, pair.pool);
      Bytes bad = flight;
      bad[i] ^= bit;
      EXPECT_FALSE(responder->receive(pair.now, bad, pair.at_b)) << i;
      EXPECT_FALSE(responder->established());
      expect_dead(*responder, pair.now, pair.pool);
    }
  EXPECT_EQ(pair.replays.size(), 0U);  // nothing unproven is remembered
  EXPECT_TRUE(pair.b->receive(pair.now, flight, pair.at_b));
}

TEST(NativeChannelTest, EveryFlippedBitOfTheSecondFlightIsNoticed) {
  Pair pair;
  ASSERT_TRUE(pair.b->receive(pair.now, test::flushed(*pair.a, pair.now, pair.pool), pair.at_b));
  const Bytes answer = test::flushed(*pair.b, pair.now, pair.pool);
  ASSERT_EQ(answer.size(), second_flight_bytes);
  for (std::size_t i = 0; i < answer.size(); ++i) {
    Pair again;  // the same seed: the same handshake
    ASSERT_TRUE(again.b->receive(again.now, test::flushed(*again.a, again.now, again.pool), again.at_b));
    Bytes bad = test::flushed(*again.b, again.now, again.pool);
    ASSERT_EQ(bad, answer);
    bad[i] ^= 0x80;
    EXPECT_FALSE(again.a->receive(again.now, bad, again.at_a)) << i;
    EXPECT_FALSE(again.a->established());
    expect_dead(*again.a, again.now, again.pool);
  }
}

TEST(NativeChannelTest, WhoDoesNotKnowTheLinkGetsNoByte) {
  for (int what = 0; what < 4; ++what) {
    Pair pair;
    if (what == 0) pair.initiator.psk[31] ^= 1;
    if (what == 1) pair.initiator.tag[0] ^= 1;
    if (what == 2) pair.initiator.remote = pair.initiator.ours.public_key;
    if (what == 3) pair.responder.tag[15] ^= 1;
    pair.open();
    const Bytes flight = test::flushed(*pair.a, pair.now, pair.pool);
    EXPECT_FALSE(pair.give(*pair.b, flight, pair.at_b, test::of(40))) << what;
    EXPECT_FALSE(pair.b->established());
    expect_dead(*pair.b, pair.now, pair.pool);
  }
}

TEST(NativeChannelTest, ProbesGetNoByte) {
  Pair pair;
  for (int i = 0; i < 300; ++i) {
    const auto responder = NativeWire::make_responder(pair.responder, pair.random, pair.pool);
    Bytes probe = test::random_bytes(pair.random, pair.random.below(400));
    if (i % 2 == 0 && probe.size() >= 16) std::copy_n(pair.responder.tag.begin(), 16, probe.begin());
    const auto done = responder->receive(pair.now, probe, pair.at_b);
    EXPECT_EQ(done.has_value(), probe.size() < first_flight_bytes);
    EXPECT_TRUE(test::flushed(*responder, pair.now, pair.pool).empty());
  }
  EXPECT_TRUE(pair.at_b.empty());
}

TEST(NativeChannelTest, AnInitiatorWithAHostileKeyStaysSilent) {
  Pair pair;
  pair.initiator.remote = {};  // small order
  pair.open();
  EXPECT_FALSE(pair.a->established());
  EXPECT_TRUE(test::flushed(*pair.a, pair.now, pair.pool).empty());
  EXPECT_FALSE(pair.a->receive(pair.now, Bytes(1, 0), pair.at_a));
}

TEST(NativeChannelTest, AReplayedFirstFlightGetsSilence) {
  Pair pair;
  const Bytes flight = test::flushed(*pair.a, pair.now, pair.pool);
  ASSERT_TRUE(pair.b->receive(pair.now, flight, pair.at_b));
  EXPECT_FALSE(test::flushed(*pair.b, pair.now, pair.pool).empty());
  for (const auto later : {Duration{}, Duration{std::chrono::hours{2}}}) {
    const auto again = NativeWire::make_responder(pair.responder, pair.random, pair.pool);
    const auto done = again->receive(test::at(later), flight, pair.at_b);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::exists);
    expect_dead(*again, pair.now, pair.pool);
  }
}

TEST(NativeChannelTest, WithoutAFilterAReplayIsAnsweredAndLeadsNowhere) {
  Pair pair;
  pair.responder.replays = nullptr;
  const Bytes flight = test::flushed(*pair.a, pair.now, pair.pool);
  for (int time = 0; time < 2; ++time) {
    const auto responder = NativeWire::make_responder(pair.responder, pair.random, pair.pool);
    EXPECT_TRUE(responder->receive(pair.now, flight, pair.at_b));
    EXPECT_TRUE(responder->established());
    EXPECT_FALSE(responder->confirmed());
    EXPECT_EQ(test::flushed(*responder, pair.now, pair.pool).size(), second_flight_bytes);
  }
}

TEST(NativeChannelTest, EveryFlippedBitOfAFrameIsNoticed) {
  for (const bool with_block : {false, true}) {
    Pair shape;
    shape.establish();
    std::size_t size = 0;
    for (std::size_t i = 0; i == 0 || i < size; ++i) {
      Pair pair;
      pair.establish();
      if (with_block) {
        pair.a->send(pair.now, pair.block(3, 0, 40));
      } else {
        pair.a->send(pair.now, wire::Request{1, 2, 3});
      }
      Bytes frame = test::flushed(*pair.a, pair.now, pair.pool);
      size = frame.size();
      frame[i] ^= 0x01;
      auto done = pair.b->receive(pair.now, frame, pair.at_b);
      // A length that grew is only found out when that much has come.
      if (done) done = pair.b->receive(pair.now, Bytes(70'000, 0), pair.at_b);
      EXPECT_FALSE(done) << i;
      EXPECT_TRUE(pair.at_b.empty());
      expect_dead(*pair.b, pair.now, pair.pool);
    }
  }
}

TEST(NativeChannelTest, FramesCannotBeRepeatedSwappedOrReflected) {
  const auto frames_of = [](Pair& pair) {
    std::vector<Bytes> out;
    for (std::uint32_t i = 0; i < 2; ++i) {
      pair.a->send(pair.now, wire::Have{i});
      out.push_back(test::flushed(*pair.a, pair.now, pair.pool));
    }
    return out;
  };
  const auto feed = [](Pair& pair, NativeWire& to, const Bytes& frame) {
    auto done = to.receive(pair.now, frame, pair.at_b);
    return done ? to.receive(pair.now, Bytes(70'000, 0), pair.at_b) : done;
  };
  Pair repeated, swapped, reflected;
  for (Pair* pair : {&repeated, &swapped, &reflected}) pair->establish();
  auto frames = frames_of(repeated);
  ASSERT_TRUE(repeated.b->receive(repeated.now, frames[0], repeated.at_b));
  EXPECT_FALSE(feed(repeated, *repeated.b, frames[0]));
  EXPECT_EQ(repeated.at_b.size(), 1U);
  frames = frames_of(swapped);
  EXPECT_FALSE(feed(swapped, *swapped.b, frames[1]));
  EXPECT_TRUE(swapped.at_b.empty());
  frames = frames_of(reflected);
  EXPECT_FALSE(feed(reflected, *reflected.a, frames[0]));
  EXPECT_TRUE(reflected.at_b.empty());
}

// A member of the swarm that speaks the channel well and means ill.
struct Hostile : Parties {
  NativeChannel attacker{noise::Role::initiator, initiator, random};
  std::unique_ptr<NativeWire> victim = NativeWire::make_responder(responder, random, pool);
  std::vector<Message> got;
  Now now = test::at(Duration{});

  Hostile() {
    const Bytes flight = attacker.first_flight().value();
    EXPECT_TRUE(victim->receive(now, flight, got));
    const Bytes answer = test::flushed(*victim, now, pool);
    ByteView rest = answer;
    Bytes none;
    EXPECT_TRUE(attacker.handshake(now, rest, none));
    EXPECT_TRUE(attacker.established() && rest.empty());
  }
  Bytes frame(FrameKind kind, ByteView plain) {
    Bytes out(frame_header_bytes);
    append(out, plain);
    out.resize(out.size() + crypto::tag_bytes);
    attacker.seal(now, kind, out);
    return out;
  }
  Result<void> say(FrameKind kind, ByteView plain) { return victim->receive(now, frame(kind, plain), got); }
};

TEST(NativeChannelTest, LengthsAreRefusedBeforeTheyAreBuffered) {
  Hostile block;
  const Bytes big = block.frame(FrameKind::block, Bytes(max_block_body - crypto::tag_bytes + 1, 0));
  const auto done = block.victim->receive(block.now, ByteView{big}.first(3), block.got);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::too_large);
  EXPECT_EQ(block.victim->held(), 0U);

  // The largest of other frames is held as it comes, not as it is promised.
  Hostile slow;
  const Bytes largest = slow.frame(FrameKind::messages, Bytes(max_body - crypto::tag_bytes, 0x90));
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(slow.victim->receive(slow.now, ByteView{largest}.subspan(i, 1), slow.got));
    EXPECT_LE(slow.victim->held(), i + 1);
  }
  EXPECT_FALSE(slow.victim->receive(slow.now, ByteView{largest}.subspan(1000), slow.got));
}

TEST(NativeChannelTest, HostileFramesAreRefused) {
  const auto refused = [](FrameKind kind, ByteView plain) {
    Hostile hostile;
    const auto done = hostile.say(kind, plain);
    EXPECT_TRUE(hostile.got.empty());
    if (!done) expect_dead(*hostile.victim, hostile.now, hostile.pool);
    return done ? Code::io : done.error().code;
  };
  Bytes block;
  write_block_header(1, 0, block);
  EXPECT_EQ(refused(FrameKind::messages, {}), Code::malformed);
  EXPECT_EQ(refused(FrameKind::block, {}), Code::malformed);
  EXPECT_EQ(refused(FrameKind::block, block), Code::malformed);  // without payload
  EXPECT_EQ(refused(FrameKind::messages, block), Code::malformed);
  EXPECT_EQ(refused(FrameKind::rekey, Bytes(1, 0)), Code::malformed);
  EXPECT_EQ(refused(FrameKind::rekey, {}), Code::malformed);  // before any other frame
  EXPECT_EQ(refused(static_cast<FrameKind>(3), Bytes(1, 0)), Code::unsupported);
  EXPECT_EQ(refused(static_cast<FrameKind>(255), Bytes(1, 0)), Code::unsupported);
  Bytes short_header_long_block = block;  // more than 16 KiB behind a short header, within the frame's bound
  short_header_long_block.resize(block.size() + max_block_bytes + 1);
  EXPECT_EQ(refused(FrameKind::block, short_header_long_block), Code::too_large);
}

TEST(NativeChannelTest, ABlockMayNotInterruptABitfield) {
  Hostile hostile;
  Bytes part, block;
  write_pieces_part(pieces_part_bytes + 5, Bytes(pieces_part_bytes, 0), part);
  write_block_header(1, 0, block);
  block.push_back(1);
  ASSERT_TRUE(hostile.say(FrameKind::messages, part));
  EXPECT_GT(hostile.victim->held(), pieces_part_bytes - 1);
  EXPECT_FALSE(hostile.say(FrameKind::block, block));
  EXPECT_TRUE(hostile.got.empty());
}

TEST(NativeChannelTest, KeysAreNeitherWornOutNorChangedForFun) {
  Hostile twice;
  Bytes have;
  write_message(wire::Have{1}, have);
  ASSERT_TRUE(twice.say(FrameKind::messages, have));
  ASSERT_TRUE(twice.say(FrameKind::rekey, {}));
  ASSERT_TRUE(twice.say(FrameKind::messages, have));
  ASSERT_TRUE(twice.say(FrameKind::rekey, {}));
  EXPECT_FALSE(twice.say(FrameKind::rekey, {}));
  EXPECT_EQ(twice.got.size(), 2U);

  Pair pair;  // one end never rekeys
  pair.responder.rekey_bytes = 100'000;
  pair.open();
  pair.establish();
  Result<void> done;
  std::uint64_t sent = 0;
  while (done && sent < 1'000'000) {
    pair.a->send(pair.now, pair.block(1, 0, 16384));
    const Bytes frame = test::flushed(*pair.a, pair.now, pair.pool);
    sent += frame.size();
    done = pair.b->receive(pair.now, frame, pair.at_b);
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::too_large);
  EXPECT_LT(sent, 300'000U);
}

TEST(NativeChannelTest, ShortBlocksTakeNoMoreRoomThanTheyHave) {
  for (const auto& chunks : {test::whole(), test::of(7)}) {
    Pair pair;
    pair.establish();
    for (int i = 0; i < 100; ++i) pair.a->send(pair.now, pair.block(1, 0, 1));
    const std::uint64_t before = pair.carried;
    pair.pump(chunks);
    std::size_t room = 0;
    for (const Message& message : pair.at_b) room += std::get<wire::Block>(message).data.capacity();
    EXPECT_EQ(pair.at_b.size(), 100U);
    EXPECT_LE(room, pair.carried - before);
  }
}

TEST(NativeChannelTest, UnknownMessagesAreIgnoredByAVictimUpToABound) {
  Hostile hostile;
  Bytes unknown;
  pack::Writer{unknown}.array(1).number(99);
  for (std::uint32_t i = 0; i < max_unknown_messages; ++i)
    ASSERT_TRUE(hostile.say(FrameKind::messages, unknown));
  EXPECT_TRUE(hostile.got.empty());
  EXPECT_FALSE(hostile.say(FrameKind::messages, unknown));
}

}  // namespace
}  // namespace shoal::swarm
