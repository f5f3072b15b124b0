// How many packets a stranger gets because others have named it (THREATS A12).
#include "dht/stranger_limits.hpp"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using Dial = StrangerLimits::Dial;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

constexpr Instant start{std::chrono::hours{1}};

// If every storer colludes and names one victim: at most 3 in 10 minutes, whatever is asked for.
TEST(StrangerLimits, AVictimSeesThreePacketsInTenMinutes) {
  const IpAddress victim = ip("8.8.8.8");
  for (const bool dials : {true, false}) {
    for (const bool datagrams : {true, false}) {
      if (!dials && !datagrams) continue;
      StrangerLimits limits;
      std::vector<Instant> packets;
      for (Instant now = start; now < start + 1h; now += 500ms) {
        if (dials && limits.dial_allowed_at(now, victim) <= now)
          packets.resize(packets.size() + limits.dialled(now, victim, 2), now);
        if (datagrams && limits.take_datagram(now, victim)) packets.push_back(now);
      }
      for (std::size_t i = 3; i < packets.size(); ++i) EXPECT_GE(packets[i] - packets[i - 3], 10min);
      EXPECT_EQ(packets.size(), 18U) << dials << datagrams;
    }
  }
}

// The first dial may repeat its SYN, since one may be lost; that leaves one.
TEST(StrangerLimits, ADialHasAsManySynsAsAreLeft) {
  StrangerLimits limits;
  const IpAddress who = ip("8.8.8.8");
  EXPECT_EQ(limits.dialled(start, who, 2), 2U);
  EXPECT_LE(limits.dial_allowed_at(start, who, Dial::follow_up), start);
  EXPECT_EQ(limits.dialled(start, who, 2), 1U);
  EXPECT_EQ(limits.dial_allowed_at(start, who, Dial::follow_up), start + 10min);
}

// Who answers at once was sent one: three peers behind one NAT are met in turn, and whoever refuses is no
// more than dialled thrice.
TEST(StrangerLimits, SynsThatWereNotSentDoNotCount) {
  StrangerLimits limits;
  const IpAddress who = ip("8.8.8.8");
  Instant now = start;
  for (int i = 0; i < 3; ++i, now += 10s) {
    EXPECT_LE(limits.dial_allowed_at(now, who), now) << i;
    limits.unused(who, limits.dialled(now, who, 2) - 1);
  }
  EXPECT_EQ(limits.dial_allowed_at(now, who), start + 10min);
}

// Whoever answers datagrams is no victim of them, and gets as many as it answers; its dials count on.
TEST(StrangerLimits, AnswersFreeDatagramsAlone) {
  StrangerLimits limits;
  const IpAddress who = ip("8.8.8.8");
  EXPECT_EQ(limits.dialled(start, who, 1), 1U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(limits.take_datagram(start, who));
    EXPECT_TRUE(limits.take_datagram(start, who));
    EXPECT_FALSE(limits.take_datagram(start, who));
    limits.answered(who);
  }
  EXPECT_EQ(limits.dialled(start, who, 4), 2U);
  EXPECT_EQ(limits.dial_allowed_at(start, who, Dial::follow_up), start + 10min);
}

// Its owner has 2^64 addresses.
TEST(StrangerLimits, AHostOfIpv6IsItsSubnet) {
  StrangerLimits limits;
  Instant now = start;
  for (const char* text : {"2a00:1:2:3::1", "2a00:1:2:3::2", "2a00:1:2:3:4::3"}) {
    EXPECT_LE(limits.dial_allowed_at(now, ip(text)), now) << text;
    limits.dialled(now, ip(text), 1);
    now += 10s;
  }
  EXPECT_EQ(limits.dial_allowed_at(now, ip("2a00:1:2:3::9")), start + 10min);
  EXPECT_FALSE(limits.take_datagram(now, ip("2a00:1:2:3::9")));
  EXPECT_LE(limits.dial_allowed_at(now, ip("2a00:1:2:4::9")), now);
}

TEST(StrangerLimits, ANetworkIsSparedToo) {
  StrangerLimits limits;
  limits.dialled(start, ip("8.8.8.8"), 2);
  EXPECT_EQ(limits.dial_allowed_at(start, ip("8.8.8.9")), start + 10s);
  EXPECT_EQ(limits.dial_allowed_at(start, ip("8.8.9.9")), start);
  EXPECT_EQ(limits.dial_allowed_at(start + 10s, ip("8.8.8.9")), start + 10s);
  std::uint32_t sent = 0;
  for (std::uint32_t host = 0; host < 256; ++host)
    sent += limits.take_datagram(start, IpAddress::v4(0x09090900 + host)) ? 1U : 0U;
  EXPECT_EQ(sent, limits::stranger_network_datagrams);
  limits.answered(ip("9.9.9.3"));
  EXPECT_TRUE(limits.take_datagram(start, ip("9.9.9.200")));
  EXPECT_FALSE(limits.take_datagram(start, ip("9.9.9.201")));
  EXPECT_TRUE(limits.take_datagram(start + 10min, ip("9.9.9.201")));
}

TEST(StrangerLimits, PrivateAddressesAreNoStrangers) {
  StrangerLimits limits;
  for (const char* text : {"192.168.1.1", "127.0.0.1", "::1", "fd00::1"}) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(limits.take_datagram(start, ip(text)));
      EXPECT_EQ(limits.dialled(start, ip(text), 4), 4U);
    }
    EXPECT_EQ(limits.dial_allowed_at(start, ip(text)), start);
  }
}

// Of more silent hosts than are remembered the latest are: each still gets its three.
TEST(StrangerLimits, TheLatestAreRemembered) {
  StrangerLimits limits;
  const auto host = [](std::uint32_t i) { return IpAddress::v4(0x20000000 + i * 256); };
  for (std::uint32_t i = 0; i < 100'000; ++i)
    while (limits.take_datagram(start, host(i))) continue;
  for (std::uint32_t i = 100'000 - limits::strangers; i < 100'000; ++i)
    EXPECT_FALSE(limits.take_datagram(start, host(i))) << i;
  EXPECT_TRUE(limits.take_datagram(start, host(0)));
}

}  // namespace
}  // namespace shoal::dht
