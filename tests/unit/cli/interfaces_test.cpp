// Own addresses: which go into a link, which are subnets, where neighbours are called for.
#include "cli/host/interfaces.hpp"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

Interface make(const char* name, const char* address, int bits, bool multicast = true) {
  return {name, 1, *IpAddress::parse(address), bits, multicast};
}

const std::vector<Interface> house{make("lo", "127.0.0.1", 8, false), make("eth0", "192.168.1.5", 24),
                                   make("eth0", "fe80::5", 64),       make("eth0", "2a01:4f8::5", 64),
                                   make("lo", "::1", 128, false),     make("tun0", "10.8.0.2", 24, false)};

std::vector<std::string> shown(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> out;
  for (const Endpoint& each : endpoints) out.push_back(each.to_string());
  return out;
}

TEST(Interfaces, LinksNameGlobalAddressesFirstAndNeverLinkLocal) {
  EXPECT_EQ(shown(own_endpoints(house, std::nullopt, 7, swarm::Reach::internet)),
            (std::vector<std::string>{"[2a01:4f8::5]:7", "192.168.1.5:7", "10.8.0.2:7"}));
}

TEST(Interfaces, LoopbackIsForTestNetworks) {
  EXPECT_EQ(
      shown(own_endpoints(house, std::nullopt, 7, swarm::Reach::local)),
      (std::vector<std::string>{"[2a01:4f8::5]:7", "192.168.1.5:7", "10.8.0.2:7", "127.0.0.1:7", "[::1]:7"}));
}

TEST(Interfaces, AListenAddressIsTheOnlyOne) {
  EXPECT_EQ(shown(own_endpoints(house, *IpAddress::parse("127.0.0.1"), 7, swarm::Reach::local)),
            std::vector<std::string>{"127.0.0.1:7"});
  EXPECT_EQ(shown(own_endpoints(house, *IpAddress::parse("0.0.0.0"), 7, swarm::Reach::internet)),
            (std::vector<std::string>{"192.168.1.5:7", "10.8.0.2:7"}));
}

TEST(Interfaces, ALinkStaysShort) {
  std::vector<Interface> many;
  for (int i = 1; i < 40; ++i) many.push_back(make("e", ("10.0.0." + std::to_string(i)).c_str(), 24));
  EXPECT_EQ(own_endpoints(many, std::nullopt, 7, swarm::Reach::internet).size(), 8U);
}

TEST(Interfaces, Subnets) {
  const auto internet = own_subnets(house, std::nullopt, swarm::Reach::internet);
  ASSERT_EQ(internet.size(), 3U);
  EXPECT_TRUE(internet[0].contains(*IpAddress::parse("192.168.1.77")));
  EXPECT_FALSE(internet[0].contains(*IpAddress::parse("192.168.2.77")));
  EXPECT_EQ(own_subnets(house, std::nullopt, swarm::Reach::local).size(), 5U);
  EXPECT_EQ(own_subnets(house, *IpAddress::parse("192.168.1.5"), swarm::Reach::internet).size(), 1U);
}

TEST(Interfaces, NeighboursAreCalledOnPrivateMulticastInterfacesAlone) {
  const auto lan = lan_interfaces(house, std::nullopt);
  ASSERT_EQ(lan.size(), 1U);
  EXPECT_EQ(lan[0].address.to_string(), "192.168.1.5");
  EXPECT_TRUE(lan_interfaces(house, *IpAddress::parse("127.0.0.1")).empty());
}

TEST(Interfaces, ThisMachineHasSome) {
  for (const Interface& each : list_interfaces()) {
    EXPECT_FALSE(each.name.empty());
    EXPECT_GE(each.prefix_bits, 0);
    EXPECT_LE(each.prefix_bits, each.address.family == Family::v4 ? 32 : 128);
  }
}

}  // namespace
}  // namespace shoal::cli
