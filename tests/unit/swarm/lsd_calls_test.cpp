#include "swarm/lsd_calls.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

Now at(Duration since) { return {Instant{} + 100s + since, {}}; }
LsdCalls calls() { return {true, {{*IpAddress::parse("192.168.1.2"), 24}}, "ours"}; }
std::vector<InfoHash> names(std::size_t count) {
  std::vector<InfoHash> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back({static_cast<std::uint8_t>(i), 1});
  return out;
}

TEST(LsdCalls, CallsWhatIsOpenedAtOnceAndThenEveryFiveMinutes) {
  LsdCalls ours = calls();
  EXPECT_EQ(ours.due(), never);
  ours.soon(at(0s));
  EXPECT_EQ(ours.due(), at(0s).mono);
  const auto call = ours.next(at(0s), 6881, names(3));
  EXPECT_EQ(call.port, 6881);
  EXPECT_EQ(call.contents, names(3));
  EXPECT_EQ(call.cookie, "ours");
  EXPECT_EQ(ours.due(), at(5min).mono);
  ours.soon(at(10s));  // another one: not within a minute
  EXPECT_EQ(ours.due(), at(1min).mono);
}

TEST(LsdCalls, ManyTakeTurns) {
  LsdCalls ours = calls();
  const auto all = names(50);
  std::vector<InfoHash> called;
  for (int minute = 0; minute < 3; ++minute) {
    const auto call = ours.next(at(minute * 1min), 6881, all);
    EXPECT_LE(call.contents.size(), lsd::contents_most);
    called.insert(called.end(), call.contents.begin(), call.contents.end());
    EXPECT_EQ(ours.due(), at(minute * 1min + (minute < 2 ? 1min : 5min)).mono);
  }
  EXPECT_EQ(called, all);
}

TEST(LsdCalls, NothingIsCalledWhereNothingMayBe) {
  LsdCalls ours = calls();
  ours.soon(at(0s));
  EXPECT_TRUE(ours.next(at(0s), 6881, {}).contents.empty());
  EXPECT_EQ(ours.due(), never);
  LsdCalls off{false, {}, "x"};
  off.soon(at(0s));
  EXPECT_EQ(off.due(), never);
}

TEST(LsdCalls, BelievesNeighboursAndNotItself) {
  LsdCalls ours = calls();
  const lsd::Announcement theirs{6881, names(1), "theirs"}, own{6881, names(1), "ours"};
  const Endpoint near = *Endpoint::parse("192.168.1.3:6771"), far = *Endpoint::parse("8.8.8.8:6771");
  EXPECT_TRUE(ours.admit(at(0s), near, theirs));
  EXPECT_TRUE(ours.admit(at(0s), near, theirs));  // another content's, perhaps
  EXPECT_FALSE(ours.admit(at(0s), far, theirs));
  EXPECT_FALSE(ours.admit(at(0s), near, own));
  int heard = 0;
  for (int i = 0; i < 1000; ++i) heard += ours.admit(at(1s), near, theirs) ? 1 : 0;
  EXPECT_LE(heard, 64);
  EXPECT_TRUE(ours.admit(at(6s), near, theirs));
}

}  // namespace
}  // namespace shoal::swarm
