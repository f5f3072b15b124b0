#include "swarm/lan.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

Endpoint endpoint(const char* text) { return *Endpoint::parse(text); }
Now at(Duration since) { return {Instant{} + 100s + since, {}}; }
Lan lan() { return {true, {{*IpAddress::parse("192.168.1.2"), 24}}}; }

TEST(Lan, BelievesNeighboursAlone) {
  Lan ours = lan();
  EXPECT_TRUE(ours.admit(at(0s), endpoint("192.168.1.3:5000"), 6000));
  EXPECT_FALSE(ours.admit(at(0s), endpoint("192.168.2.3:5000"), 6000));
  EXPECT_FALSE(ours.admit(at(0s), endpoint("8.8.8.8:5000"), 6000));
  EXPECT_FALSE(ours.admit(at(0s), endpoint("192.168.1.2:6000"), 6000)) << "ourselves";
  EXPECT_TRUE(ours.admit(at(0s), endpoint("192.168.1.2:6001"), 6000)) << "another peer on this machine";
}

TEST(Lan, HearsACallerOnceInFiveSeconds) {
  Lan ours = lan();
  EXPECT_TRUE(ours.admit(at(0s), endpoint("192.168.1.3:5000"), 6000));
  EXPECT_FALSE(ours.admit(at(4s), endpoint("192.168.1.3:5000"), 6000));
  EXPECT_TRUE(ours.admit(at(5s), endpoint("192.168.1.3:5000"), 6000));
}

TEST(Lan, AFloodIsBounded) {
  Lan ours = lan();
  int heard = 0;
  for (std::uint16_t port = 1; port < 2000; ++port)
    heard += ours.admit(at(0s), {*IpAddress::parse("192.168.1.9"), port}, 6000) ? 1 : 0;
  EXPECT_EQ(heard, 64);
}

TEST(Lan, CallsAtMostOnceInFiveSeconds) {
  Lan ours = lan();
  EXPECT_EQ(ours.due(), never);
  ours.soon(at(0s));
  EXPECT_EQ(ours.due(), at(0s).mono);
  ours.sent(at(0s));
  EXPECT_EQ(ours.due(), at(5min).mono);
  ours.soon(at(1s));
  EXPECT_EQ(ours.due(), at(5s).mono);
}

TEST(Lan, WhoCallsAnewIsCalledBackOnce) {
  Lan ours = lan();
  ours.sent(at(0s));
  ours.call_back(at(30s), endpoint("192.168.1.3:5000"));
  EXPECT_EQ(ours.due(), at(30s).mono);
  ours.sent(at(30s));
  ours.call_back(at(36s), endpoint("192.168.1.3:5000"));  // it, in turn, called us back
  EXPECT_EQ(ours.due(), at(30s + 5min).mono);
  for (std::uint16_t port = 1; port < 100; ++port)
    ours.call_back(at(40s), {*IpAddress::parse("192.168.1.9"), port});
  ours.sent(at(40s));
  ours.call_back(at(50s), endpoint("192.168.1.4:5000"));
  EXPECT_EQ(ours.due(), at(40s + 5min).mono) << "somebody floods";
  ours.sent(at(11min));
  ours.call_back(at(12min), endpoint("192.168.1.4:5000"));
  EXPECT_EQ(ours.due(), at(12min).mono) << "it was forgotten";
}

TEST(Lan, OffMeansSilentAndDeaf) {
  Lan ours{false, {{*IpAddress::parse("192.168.1.2"), 24}}};
  ours.soon(at(0s));
  EXPECT_EQ(ours.due(), never);
  EXPECT_FALSE(ours.admit(at(0s), endpoint("192.168.1.3:5000"), 6000));
}

}  // namespace
}  // namespace shoal::swarm
