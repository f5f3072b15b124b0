#include "swarm/handshake_budget.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct HandshakeBudgetTest : testing::Test {
  HandshakeBudget budget;
  Instant now{seconds{1000}};

  std::uint32_t taken(const IpAddress& from, std::uint32_t tries) {
    std::uint32_t out = 0;
    for (std::uint32_t i = 0; i < tries; ++i) out += budget.take(now, from) ? 1U : 0U;
    return out;
  }
};

TEST_F(HandshakeBudgetTest, AHostHasAFewAtOnceAndThenItsPace) {
  const IpAddress host = IpAddress::v4(0x08080808);
  EXPECT_EQ(taken(host, 1000), limits::host_handshakes_at_once);
  EXPECT_EQ(taken(IpAddress::v4(0x08080809), 1), 1U) << "its neighbour has its own";
  now += limits::host_handshake_gap - Duration{1};
  EXPECT_EQ(taken(host, 10), 0U);
  now += Duration{1};
  EXPECT_EQ(taken(host, 10), 1U);
  now += 5 * limits::host_handshake_gap;
  EXPECT_EQ(taken(host, 10), 5U);
  now += seconds{3600};
  EXPECT_EQ(taken(host, 1000), limits::host_handshakes_at_once);
}

TEST_F(HandshakeBudgetTest, AHostOfIpv6IsItsSubnet) {
  IpAddress one = *IpAddress::parse("2a00:1:2:3::1");
  std::uint32_t granted = 0;
  for (std::uint8_t last = 0; last < 200; ++last) {
    one.bytes[15] = last;
    granted += taken(one, 1);
  }
  EXPECT_EQ(granted, limits::host_handshakes_at_once);
}

TEST_F(HandshakeBudgetTest, AllTogetherKeepAPaceToo) {
  std::uint32_t granted = 0;
  const Instant start = now;
  for (std::uint32_t i = 0; now < start + seconds{10}; ++i, now += Duration{10})
    granted += taken(IpAddress::v4(0x08000000 + i % 100'000), 1);
  const auto pace = static_cast<std::uint32_t>(seconds{10} / limits::handshake_gap);
  EXPECT_GE(granted, pace);
  EXPECT_LE(granted, pace + limits::handshakes_at_once);
}

TEST_F(HandshakeBudgetTest, HostsThatAreWholeAgainAreForgotten) {
  for (std::uint32_t i = 0; i < limits::max_handshake_hosts; ++i, now += limits::handshake_gap)
    ASSERT_EQ(taken(IpAddress::v4(0x08000000 + i), limits::host_handshakes_at_once) > 0, true) << i;
  now += limits::host_handshake_gap * limits::host_handshakes_at_once;
  EXPECT_EQ(taken(IpAddress::v4(0x09000000), 1), 1U);
  // However many come, and as fast as all together may: each new one gets its first.
  for (std::uint32_t i = 1; i <= 3 * limits::max_handshake_hosts; ++i, now += limits::handshake_gap)
    ASSERT_EQ(taken(IpAddress::v4(0x09000000 + i), 1), 1U) << i;
}

TEST_F(HandshakeBudgetTest, TheLocalNetworkIsBoundByTheCommonPaceAlone) {
  EXPECT_EQ(taken(IpAddress::v4(0x7f000001), 100'000), limits::handshakes_at_once);
}

}  // namespace
}  // namespace shoal::swarm
