#include "swarm/entrance.hpp"

#include <gtest/gtest.h>

#include "swarm/bt_wire.hpp"
#include "swarm/mse_wire.hpp"
#include "swarm/native_channel.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

struct EntranceTest : testing::Test {
  Entrance entrance{Obfuscation::prefer};
  Random random{ByteArray<32>{8}};
  BufferPool pool;
  dht::SwarmKeys keys{dht::ContentId{1, 2, 3}};
  crypto::ExchangeKey ours = crypto::ExchangeKey::from_secret({9, 9, 9});
  Now now{Instant{} + 100s, from_unix_ms(1'790'000'000'000)};
  StreamId next = accepted_stream;

  void SetUp() override { entrance.tags().add(now.wall, 5, keys.content(), ours.public_key); }
  Entrance::Admission say(StreamId stream, ByteView bytes) {
    return entrance.received(now, stream, bytes, random);
  }
  // The first flight of who dials for that content.
  Bytes greeting(const InfoHash& content, std::optional<MseMethods> methods = {}) {
    const BtParams params{.info_hash = content, .accepted = {content}, .peer_id = {1}, .v2 = {}};
    std::vector<Buffer> out;
    if (methods)
      MseWire::make_dialler(params, *methods, random, pool)->flush(now, out);
    else
      BtWire::make_dialler(params, pool)->flush(now, out);
    return to_vector(out.at(0).view());
  }
  // Of who dials for the content of the tags; what follows the tag opens nothing here.
  Bytes native_flight() {
    Bytes out = to_vector(dht::dial_tag(keys.current(now.wall), ours.public_key, now.wall));
    out.resize(first_flight_bytes);
    return out;
  }
  StreamId from(const char* address) {
    const StreamId stream = ++next;
    return entrance.accept(now, stream, {*IpAddress::parse(address), 1000}) ? stream : 0;
  }
};

TEST_F(EntranceTest, ATagLeadsToItsContentHoweverItIsCut) {
  const Bytes flight = native_flight();
  const StreamId stream = from("20.0.0.1");
  for (std::size_t i = 0; i + 1 < flight.size(); ++i)
    ASSERT_EQ(say(stream, ByteView{flight}.subspan(i, 1)).verdict, Entrance::Verdict::wait);
  const auto admission = say(stream, ByteView{flight}.last(1));
  ASSERT_EQ(admission.verdict, Entrance::Verdict::admit);
  EXPECT_EQ(admission.content, 5U);
  EXPECT_EQ(admission.way(), Way::native);
  EXPECT_EQ(admission.bytes, flight);
  EXPECT_EQ(admission.epoch, keys.epoch_at(now.wall));
}

TEST_F(EntranceTest, AnythingElseIsRefused) {
  for (const char* probe : {"GET / HTTP/1.1\r\nHost: x",
                            "\x13"
                            "BitTorrent protocol....",
                            "\x16\x03\x01................"})
    EXPECT_EQ(say(from("20.0.0.1"), as_bytes(probe)).verdict, Entrance::Verdict::refuse);
  EXPECT_EQ(say(12345, as_bytes("0123456789abcdef")).verdict, Entrance::Verdict::refuse);
}

constexpr InfoHash ours_v1{1, 1}, ours_v2{2, 2}, strange{3, 3};

TEST_F(EntranceTest, ABitTorrentHandshakeLeadsToAPublicContentHoweverItIsCut) {
  entrance.info_hashes().set(6, {ours_v1, ours_v2});
  const Bytes hello = greeting(ours_v2);
  const StreamId stream = from("20.0.0.1");
  for (std::size_t i = 0; i < 47; ++i)
    ASSERT_EQ(say(stream, ByteView{hello}.subspan(i, 1)).verdict, Entrance::Verdict::wait) << i;
  const auto admission = say(stream, ByteView{hello}.subspan(47));
  ASSERT_EQ(admission.verdict, Entrance::Verdict::admit);
  EXPECT_EQ(admission.content, 6U);
  EXPECT_EQ(admission.way(), Way::plain);
  EXPECT_EQ(admission.bytes, hello);
}

TEST_F(EntranceTest, SoDoesAnObfuscatedOne) {
  entrance.info_hashes().set(6, {ours_v1, ours_v2});
  for (const bool rc4 : {false, true})
    for (const std::size_t step : {std::size_t{1}, std::size_t{16}, std::size_t{1000}}) {
      Mse dialler = Mse::dialler(ours_v1, {.plain = !rc4, .rc4 = rc4}, greeting(ours_v1), random);
      const StreamId stream = from("127.0.0.1");
      Entrance::Admission last;
      const auto tell = [&](const Bytes& flight) {
        Bytes replies;
        for (std::size_t at = 0; at < flight.size(); at += step) {
          last = say(stream, ByteView{flight}.subspan(at, std::min(step, flight.size() - at)));
          append(replies, last.reply);
        }
        ByteView rest = replies;
        EXPECT_TRUE(dialler.receive(rest));
      };
      tell(dialler.take_reply());
      EXPECT_EQ(last.verdict, Entrance::Verdict::wait);
      tell(dialler.take_reply());
      ASSERT_EQ(last.verdict, Entrance::Verdict::admit);
      EXPECT_TRUE(dialler.done());
      EXPECT_EQ(last.content, 6U);
      EXPECT_EQ(last.way(), Way::obfuscated);
      EXPECT_TRUE(last.mse && last.mse->done());
    }
}

// THREATS A32.
TEST_F(EntranceTest, NothingIsSaidToWhoNamesNoPublicContent) {
  const auto probe = [&](const Bytes& bytes) {
    const auto admission = say(from("127.0.0.1"), bytes);
    EXPECT_TRUE(admission.reply.empty());
    return admission.verdict;
  };
  const Bytes plain = greeting(strange), hidden = greeting(strange, MseMethods{});
  EXPECT_EQ(probe(plain), Entrance::Verdict::refuse);  // nothing public is open
  EXPECT_EQ(probe(hidden), Entrance::Verdict::refuse);
  entrance.info_hashes().set(6, {ours_v1});
  EXPECT_EQ(probe(plain), Entrance::Verdict::refuse);
  entrance.info_hashes().remove(6);
  EXPECT_EQ(probe(greeting(ours_v1)), Entrance::Verdict::refuse);
}

TEST_F(EntranceTest, ThePolicyDecidesWhichHandshakesAreAnswered) {
  Entrance strict{Obfuscation::require}, open{Obfuscation::off};
  for (Entrance* each : {&strict, &open}) {
    each->info_hashes().set(6, {ours_v1});
    ASSERT_TRUE(each->accept(now, 1, {}) && each->accept(now, 2, {}));
  }
  const Bytes plain = greeting(ours_v1), hidden = greeting(ours_v1, MseMethods{});
  EXPECT_EQ(strict.received(now, 1, plain, random).verdict, Entrance::Verdict::refuse);
  EXPECT_EQ(strict.received(now, 2, hidden, random).verdict, Entrance::Verdict::wait);
  EXPECT_EQ(open.received(now, 1, plain, random).verdict, Entrance::Verdict::admit);
  EXPECT_EQ(open.received(now, 2, hidden, random).verdict, Entrance::Verdict::refuse);
}

// THREATS A31: what costs a key agreement is budgeted; what costs a look-up is not.
TEST_F(EntranceTest, AHostMayMakeUsComputeSoOftenAndNoMore) {
  entrance.info_hashes().set(6, {ours_v1});
  const Bytes native = native_flight();
  const Bytes hidden = greeting(ours_v1, MseMethods{}), plain = greeting(ours_v1);
  const auto verdict = [&](const Bytes& flight, const char* address) {
    const StreamId stream = from(address);
    const Entrance::Verdict out = say(stream, flight).verdict;
    entrance.forget(stream);
    return out;
  };
  for (std::uint32_t i = 0; i < limits::host_handshakes_at_once; ++i)
    ASSERT_NE(verdict(i % 2 == 0 ? hidden : native, "20.0.0.1"), Entrance::Verdict::refuse) << i;
  for (const Bytes& flight : {hidden, native})
    EXPECT_EQ(verdict(flight, "20.0.0.1"), Entrance::Verdict::refuse);
  EXPECT_EQ(verdict(plain, "20.0.0.1"), Entrance::Verdict::admit);
  EXPECT_EQ(verdict(native, "20.0.0.2"), Entrance::Verdict::admit);
  now.mono += limits::host_handshake_gap;
  EXPECT_EQ(verdict(native, "20.0.0.1"), Entrance::Verdict::admit);
}

TEST_F(EntranceTest, AClosedContentIsUnknown) {
  const Bytes flight = native_flight();
  entrance.tags().remove(5);
  EXPECT_EQ(say(from("20.0.0.1"), flight).verdict, Entrance::Verdict::refuse);
}

TEST_F(EntranceTest, TheSilentAreBoundedAndShownOut) {
  int waiting = 0;
  while (from("20.0.0.1") != 0) ++waiting;
  EXPECT_EQ(waiting, 4) << "of one global address";
  for (int i = 0; i < 200; ++i) waiting += from("127.0.0.1") != 0 ? 1 : 0;
  EXPECT_EQ(waiting, 64);
  EXPECT_EQ(entrance.next_wake(), now.mono + 5s);
  EXPECT_TRUE(entrance.expire({now.mono + 4s, now.wall}).empty());
  EXPECT_EQ(entrance.expire({now.mono + 5s, now.wall}).size(), 64U);
  EXPECT_EQ(entrance.next_wake(), never);
}

TEST_F(EntranceTest, WhoBeginsToSpeakHasTenSecondsInAll) {
  EXPECT_EQ(say(from("20.0.0.1"), Bytes{1}).verdict, Entrance::Verdict::wait);
  EXPECT_TRUE(entrance.expire({now.mono + 9s, now.wall}).empty());
  EXPECT_EQ(entrance.expire({now.mono + 10s, now.wall}).size(), 1U);
}

// THREATS A32: while nothing public is open all that is refused is closed at one time, whenever that was.
TEST_F(EntranceTest, TheShunnedAreShownOutWithTheSlow) {
  const Instant accepted = now.mono;
  const StreamId at_once = from("20.0.0.1"), later = from("20.0.0.1"), slow = from("20.0.0.1");
  const auto refuse = [&](StreamId stream) {
    const auto admission = say(stream, as_bytes("0123456789abcdefghij"));
    ASSERT_EQ(admission.verdict, Entrance::Verdict::refuse);
    EXPECT_EQ(admission.since, accepted);
    EXPECT_EQ(entrance.shun(stream, admission.since), std::nullopt);
  };
  refuse(at_once);
  EXPECT_EQ(say(slow, Bytes{1}).verdict, Entrance::Verdict::wait);
  now.mono += 7s;
  refuse(later);
  EXPECT_EQ(say(at_once, native_flight()).verdict, Entrance::Verdict::wait) << "it is heard no more";
  EXPECT_EQ(entrance.next_wake(), accepted + 10s);
  now.mono = accepted + 10s;
  EXPECT_EQ(entrance.expire(now).size(), 3U);
  EXPECT_EQ(entrance.next_wake(), never);
  EXPECT_EQ(entrance.key_agreements(), 0U);
}

TEST_F(EntranceTest, TheShunnedAreBounded) {
  StreamId stream = 100;
  for (; stream < 164; ++stream) EXPECT_EQ(entrance.shun(stream, now.mono + stream * 1ms), std::nullopt);
  EXPECT_EQ(entrance.shun(stream, now.mono + 1h), StreamId{100}) << "whose time is up first";
  const Bytes much(20'000);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(say(stream, much).read_no_more);
  EXPECT_TRUE(say(stream, much).read_no_more);
  entrance.forget(101);
  EXPECT_EQ(entrance.shun(200, now.mono), std::nullopt);
  // Every client of public contents closes at once what it cannot read.
  entrance.info_hashes().set(6, {ours_v1});
  EXPECT_EQ(entrance.shun(201, now.mono), StreamId{201});
}

// THREATS A31: 10^5 first flights that are none cost no key agreement; where message stream encryption is
// answered, so many as the budget has.
TEST_F(EntranceTest, A31JunkCostsNoKeyAgreement) {
  constexpr std::uint32_t flights = 100'000;
  const auto flood = [&] {
    Bytes junk(first_flight_bytes);
    const Instant end = now.mono + 1s;
    for (std::uint32_t i = 0; i < flights; ++i) {
      random.fill(junk);
      const Endpoint who{IpAddress::v4(0x15000000 + random.below(1U << 16) * 256), 1000};
      now.mono = end - 1s + Duration{1'000'000 / flights * i};
      const StreamId stream = ++next;
      if (const auto accepted = entrance.accept(now, stream, who); accepted.displaced)
        entrance.forget(*accepted.displaced);
      const auto admission = say(stream, junk);
      EXPECT_NE(admission.verdict, Entrance::Verdict::admit);
      entrance.forget(stream);
    }
  };
  flood();
  EXPECT_EQ(entrance.key_agreements(), 0U);
  entrance.info_hashes().set(6, {ours_v1});
  flood();
  const auto budget = limits::handshakes_at_once + 1s / limits::handshake_gap + 1;
  EXPECT_LE(entrance.key_agreements(), static_cast<std::uint64_t>(budget));
  EXPECT_GE(entrance.key_agreements(), limits::handshakes_at_once);
}

// THREATS A22: whatever a crowd does, who comes from elsewhere has a place, and time to say what it wants.
TEST_F(EntranceTest, ASilentCrowdKeepsNobodyElseOut) {
  const Bytes flight = native_flight();
  for (const bool one_network : {true, false}) {
    Entrance full{Obfuscation::prefer};
    full.tags().add(now.wall, 5, keys.content(), ours.public_key);
    const auto member = [&](int i) {
      const std::string address =
          one_network ? "21.0.0." + std::to_string(i % 250) : "22.0." + std::to_string(i % 250) + ".1";
      return Endpoint{*IpAddress::parse(address), 1000};
    };
    StreamId stream = 1000;
    const StreamId honest = 1;
    for (int i = 0; i < 64; ++i) ASSERT_TRUE(full.accept(now, ++stream, member(i)));
    now.mono += 1ms;
    const auto accepted = full.accept(now, honest, {*IpAddress::parse("20.0.0.1"), 1000});
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted.displaced, StreamId{1001});  // the oldest
    EXPECT_EQ(full.received(now, 1001, flight, random).verdict, Entrance::Verdict::refuse);
    // Of one network no more come in; of many each takes the place of the oldest, which the honest is only
    // after all others have been displaced.
    for (int i = 64; i < 64 + 63; ++i) {
      const auto more = full.accept(now, ++stream, member(i));
      EXPECT_EQ(more.in, !one_network);
      EXPECT_NE(more.displaced, honest);
    }
    EXPECT_EQ(full.received(now, honest, flight, random).verdict, Entrance::Verdict::admit);
  }
}

}  // namespace
}  // namespace shoal::swarm
