#include "swarm/entrance.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

struct EntranceTest : testing::Test {
  Entrance entrance;
  dht::SwarmKeys keys{dht::ContentId{1, 2, 3}};
  crypto::ExchangeKey ours = crypto::ExchangeKey::from_secret({9, 9, 9});
  Now now{Instant{} + 100s, from_unix_ms(1'790'000'000'000)};
  StreamId next = accepted_stream;

  void SetUp() override { entrance.tags().add(now.wall, 5, keys, ours); }
  StreamId from(const char* address) {
    const StreamId stream = ++next;
    return entrance.accept(now, stream, {*IpAddress::parse(address), 1000}) ? stream : 0;
  }
};

TEST_F(EntranceTest, ATagLeadsToItsContentHoweverItIsCut) {
  const auto tag = dht::dial_tag(keys.current(now.wall), ours.public_key, now.wall);
  const StreamId stream = from("20.0.0.1");
  for (std::size_t i = 0; i < 15; ++i)
    ASSERT_EQ(entrance.received(stream, ByteView{tag}.subspan(i, 1)).verdict, Entrance::Verdict::wait);
  const auto admission = entrance.received(stream, ByteView{tag}.subspan(15));
  ASSERT_EQ(admission.verdict, Entrance::Verdict::admit);
  EXPECT_EQ(admission.entry.content, 5U);
  EXPECT_EQ(admission.bytes, to_vector(tag));
  EXPECT_EQ(admission.entry.psk, keys.current(now.wall).psk);
}

TEST_F(EntranceTest, AnythingElseIsRefused) {
  for (const char* probe : {"GET / HTTP/1.1\r\nHost: x",
                            "\x13"
                            "BitTorrent protocol....",
                            "\x16\x03\x01................"})
    EXPECT_EQ(entrance.received(from("20.0.0.1"), as_bytes(probe)).verdict, Entrance::Verdict::refuse);
  EXPECT_EQ(entrance.received(12345, as_bytes("0123456789abcdef")).verdict, Entrance::Verdict::refuse);
}

TEST_F(EntranceTest, AClosedContentIsUnknown) {
  const auto tag = dht::dial_tag(keys.current(now.wall), ours.public_key, now.wall);
  entrance.tags().remove(5);
  EXPECT_EQ(entrance.received(from("20.0.0.1"), tag).verdict, Entrance::Verdict::refuse);
}

TEST_F(EntranceTest, TheSilentAreBoundedAndShownOut) {
  int waiting = 0;
  while (from("20.0.0.1") != 0) ++waiting;
  EXPECT_EQ(waiting, 4) << "of one global address";
  for (int i = 0; i < 200; ++i) waiting += from("127.0.0.1") != 0 ? 1 : 0;
  EXPECT_EQ(waiting, 64);
  EXPECT_EQ(entrance.next_wake(), now.mono + 10s);
  EXPECT_TRUE(entrance.expire({now.mono + 9s, now.wall}).empty());
  EXPECT_EQ(entrance.expire({now.mono + 10s, now.wall}).size(), 64U);
  EXPECT_EQ(entrance.next_wake(), never);
}

}  // namespace
}  // namespace shoal::swarm
