// BEP 40: its own vectors, and libtorrent's for what it leaves open.
#include "swarm/peer_priority.hpp"

#include <string_view>

#include <gtest/gtest.h>

#include "dht/base/crc.hpp"

namespace shoal::swarm {
namespace {

std::uint32_t of(std::string_view a, std::string_view b) {
  const auto left = Endpoint::parse(a), right = Endpoint::parse(b);
  EXPECT_TRUE(left && right);
  const std::uint32_t out = peer_priority(*left, *right);
  EXPECT_EQ(out, peer_priority(*right, *left)) << "both ends must agree";
  return out;
}
std::uint32_t hashed(std::string_view hex) { return crc32c(*from_hex(hex)); }

TEST(PeerPriority, VectorsOfTheSpecification) {
  EXPECT_EQ(of("123.213.32.10:1", "98.76.54.32:1"), 0xec2d7224U);
  EXPECT_EQ(of("123.213.32.10:1", "123.213.32.234:1"), 0x99568189U);
}

TEST(PeerPriority, ByPortsAtOneAddress) {
  EXPECT_EQ(of("230.12.123.3:1234", "230.12.123.3:300"), hashed("012c04d2"));
  EXPECT_EQ(of("[ffff::ffff]:1234", "[ffff::ffff]:300"), hashed("012c04d2"));
}

TEST(PeerPriority, MoreIsLookedAtOfThoseThatBeginAlike) {
  EXPECT_EQ(of("230.12.123.1:1234", "230.12.123.3:300"), hashed("e60c7b01e60c7b03"));
  EXPECT_EQ(of("230.12.23.1:1234", "230.12.123.3:300"), hashed("e60c1701e60c7b01"));
  EXPECT_EQ(of("230.120.23.1:1234", "230.12.123.3:300"), hashed("e60c5101e6781501"));

  constexpr std::string_view all = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1234";
  EXPECT_EQ(of(all, "[ffff:0fff:ffff:ffff:ffff:ffff:ffff:ffff]:300"),
            hashed("ffff0fffffff55555555555555555555ffffffffffff55555555555555555555"));
  EXPECT_EQ(of(all, "[ffff:ffff:0fff:ffff:ffff:ffff:ffff:ffff]:300"),
            hashed("ffffffff0fff55555555555555555555ffffffffffff55555555555555555555"));
  EXPECT_EQ(of(all, "[ffff:ffff:ff0f:ffff:ffff:ffff:ffff:ffff]:300"),
            hashed("ffffffffff0fff555555555555555555ffffffffffffff555555555555555555"));
  EXPECT_EQ(of(all, "[ffff:ffff:ffff:0fff:ffff:ffff:ffff:ffff]:300"),
            hashed("ffffffffffff0fff5555555555555555ffffffffffffffff5555555555555555"));
}

TEST(PeerPriority, NothingIsToldOfTwoFamilies) { EXPECT_EQ(of("1.2.3.4:5", "[2a00::1]:5"), 0U); }

}  // namespace
}  // namespace shoal::swarm
