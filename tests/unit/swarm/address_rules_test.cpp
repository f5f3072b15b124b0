// Which addresses may be dialled: 200 spellings by 5 sources and 2 reaches (THREATS A30); and how often
// (A12).
#include "swarm/address_rules.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Source all_sources[] = {Source::user, Source::lan, Source::record, Source::exchange,
                                  Source::incoming};

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

AddressRules home() {
  AddressRules out;
  out.ipv6 = true;
  out.subnets = {{ip("192.168.1.7"), 24}, {ip("fd00:1::7"), 64}, {ip("2a02:1:2:3::7"), 64}};
  out.own = {*Endpoint::parse("198.17.5.9:5000"), *Endpoint::parse("192.168.1.7:5000")};
  return out;
}

// For every spelling that is an endpoint at all: never dialled, whoever names it, on the internet.
const char* const never_dialled[] = {
    // unspecified, "this" network
    "0.0.0.0:6881", "0.0.0.1:6881", "0.1.2.3:6881", "0.255.255.255:6881", "[::]:6881",
    // loopback
    "127.0.0.1:6881", "127.0.0.0:6881", "127.1.2.3:6881", "127.255.255.255:6881", "127.0.0.1:65535",
    "[::1]:6881", "[0:0:0:0:0:0:0:1]:6881", "[0000:0000:0000:0000:0000:0000:0000:0001]:6881",
    // link-local
    "169.254.0.1:6881", "169.254.169.254:6881", "169.254.169.254:8080", "169.254.255.255:6881",
    "[fe80::1]:6881", "[fe80::192.168.1.1]:6881", "[febf:ffff::1]:6881", "[FE80::1]:6881",
    // multicast, broadcast, reserved
    "224.0.0.1:6881", "224.0.0.251:5353", "239.192.152.143:6771", "239.255.255.255:6881", "240.0.0.1:6881",
    "250.1.2.3:6881", "255.255.255.254:6881", "255.255.255.255:6881", "[ff02::1]:6881", "[ff05::1]:6881",
    "[ff0e::1]:6881", "[ff15::efc0:988f]:6771", "[ffff:ffff::1]:6881",
    // documentation, benchmarks, protocol assignments, 6to4 anycast
    "192.0.2.1:6881", "192.0.2.255:6881", "198.51.100.7:6881", "203.0.113.9:6881", "198.18.0.1:6881",
    "198.19.255.255:6881", "192.0.0.1:6881", "192.0.0.170:6881", "192.88.99.1:6881", "[2001:db8::1]:6881",
    "[2001:db8:ffff::1]:6881", "[2001:DB8::2]:6881",
    // IPv4 inside IPv6: mapped, compatible, 6to4, NAT64, Teredo; of loopback, private and global addresses
    "[::ffff:127.0.0.1]:6881", "[::ffff:7f00:1]:6881", "[0:0:0:0:0:ffff:127.0.0.1]:6881",
    "[::FFFF:127.0.0.1]:6881", "[::ffff:10.0.0.1]:6881", "[::ffff:192.168.1.1]:6881",
    "[::ffff:169.254.169.254]:6881", "[::ffff:8.8.8.8]:6881", "[::ffff:a00:1]:6881", "[::ffff:0.0.0.0]:6881",
    "[::127.0.0.1]:6881", "[::10.0.0.1]:6881", "[::7f00:1]:6881", "[::8.8.8.8]:6881", "[::2]:6881",
    "[::ffff]:6881", "[2002:7f00:1::]:6881", "[2002:7f00:1::1]:6881", "[2002:a00:1::1]:6881",
    "[2002:c0a8:101::1]:6881", "[2002:808:808::1]:6881", "[2002:a9fe:a9fe::]:6881", "[64:ff9b::7f00:1]:6881",
    "[64:ff9b::127.0.0.1]:6881", "[64:ff9b::10.0.0.1]:6881", "[64:ff9b::c0a8:101]:6881",
    "[64:ff9b::8.8.8.8]:6881", "[64:ff9b:1::1]:6881", "[64:ff9b:1::127.0.0.1]:6881", "[2001:0:7f00:1::]:6881",
    "[2001::1]:6881", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:6881",
    // outside 2000::/3
    "[100::1]:6881", "[1::1]:6881", "[4000::1]:6881", "[5f00::1]:6881", "[8000::1]:6881", "[fec0::1]:6881",
    "[e000::1]:6881", "[::1:0:0:1]:6881", "[0:1::]:6881",
    // our own endpoints
    "198.17.5.9:5000", "192.168.1.7:5000",
    // services below 1024, wherever
    "8.8.8.8:1", "8.8.8.8:22", "8.8.8.8:25", "8.8.8.8:53", "8.8.8.8:80", "8.8.8.8:123", "8.8.8.8:443",
    "8.8.8.8:445", "8.8.8.8:993", "8.8.8.8:1023", "192.168.1.1:80", "192.168.1.1:443", "192.168.1.1:22",
    "[2a00:1450::1]:443", "[2a00:1450::1]:25", "[fd00:1::1]:53"};

// Private, on no subnet of ours: never on the internet; with --local anybody may name them.
const char* const private_elsewhere[] = {
    "10.0.0.1:6881",        "10.255.255.255:6881",   "10.0.0.0:6881",
    "10.1.2.3:1024",        "10.1.2.3:65535",        "172.16.0.1:6881",
    "172.31.255.255:6881",  "172.20.10.1:6881",      "172.17.0.1:6881",
    "192.168.0.1:6881",     "192.168.2.7:6881",      "192.168.255.255:6881",
    "192.168.100.1:8080",   "192.168.122.1:6881",    "100.64.0.1:6881",
    "100.127.255.255:6881", "100.100.100.200:6881",  "[fc00::1]:6881",
    "[fd00:2::1]:6881",     "[fdff:ffff::1]:6881",   "[fd12:3456:789a:1::1]:6881",
    "[fd00:1:0:1::7]:6881", "[fc00::127.0.0.1]:6881"};

// Private, on a subnet of ours: when the user's link, --peer or LAN discovery names them.
const char* const private_near[] = {
    "192.168.1.1:6881",      "192.168.1.254:1024", "192.168.1.7:5001",
    "192.168.1.200:65535",   "192.168.1.0:6881",   "[fd00:1::1]:6881",
    "[fd00:1::ffff:1]:6881", "[FD00:1::8]:6881",   "[fd00:1:0:0:1:2:3:4]:6881"};

const char* const global[] = {"1.1.1.1:1024",         "8.8.8.8:6881",         "9.9.9.9:65535",
                              "11.0.0.1:6881",        "9.255.255.255:6881",   "100.63.255.255:6881",
                              "100.128.0.1:6881",     "126.255.255.255:6881", "128.0.0.1:6881",
                              "169.253.255.255:6881", "169.255.0.1:6881",     "172.15.255.255:6881",
                              "172.32.0.1:6881",      "192.167.255.255:6881", "192.169.0.1:6881",
                              "191.255.255.255:6881", "198.17.5.8:6881",      "198.20.0.1:6881",
                              "203.0.112.1:6881",     "203.0.114.1:6881",     "223.255.255.255:6881",
                              "192.0.1.1:6881",       "192.0.3.1:6881",       "[2a00:1450::1]:6881",
                              "[2001:470::1]:6881",   "[2003::1]:6881",       "[2600::1]:6881",
                              "[3fff::1]:6881",       "[2a02:1:2:3::8]:6881", "[2a02:1:2:4::8]:6881",
                              "[2001:200::1]:6881",   "64.0.0.1:6881",        "[2001:4860:4860::8888]:6881",
                              "[2620:fe::fe]:6881"};

// Not even endpoints: no parser lets them become one.
const char* const not_endpoints[] = {"127.1:6881",
                                     "0x7f000001:6881",
                                     "2130706433:6881",
                                     "0177.0.0.1:6881",
                                     "127.0.0.1.:6881",
                                     "127.0.0.01:6881",
                                     "localhost:6881",
                                     "[::1%lo]:6881",
                                     "::1:6881",
                                     "[127.0.0.1]:6881",
                                     "127.0.0.1",
                                     "127.0.0.1:",
                                     "127.0.0.1:0",
                                     "127.0.0.1:65536",
                                     "127.0.0.1:+80",
                                     "127.0.0.1: 6881",
                                     " 127.0.0.1:6881",
                                     "[::1]",
                                     "[::1:6881",
                                     "1.2.3:6881",
                                     "256.0.0.1:6881",
                                     "1.2.3.4.5:6881",
                                     "[fe80::1%eth0]:6881",
                                     "[::g]:6881",
                                     "\xEF\xBC\x91.2.3.4:6881",
                                     "1.2.3.4:0x50",
                                     "[::ffff:1.2.3.256]:6881",
                                     "[]:6881",
                                     ":6881",
                                     ""};

TEST(AddressRules, TwoHundredSpellings) {
  const std::size_t spellings = std::size(never_dialled) + std::size(private_elsewhere) +
                                std::size(private_near) + std::size(global) + std::size(not_endpoints);
  EXPECT_GE(spellings, 200U);
  const AddressRules rules = home();
  for (const char* text : not_endpoints) EXPECT_FALSE(Endpoint::parse(text)) << text;
  for (const Source source : all_sources) {
    const bool named = source == Source::user || source == Source::lan;
    for (const char* text : never_dialled) {
      const auto endpoint = Endpoint::parse(text);
      if (!endpoint) continue;
      EXPECT_FALSE(dialable(rules, *endpoint, source)) << text;
      // As it would come in a compact form.
      EXPECT_FALSE(dialable(rules, *Endpoint::from_compact(endpoint->compact()), source)) << text;
    }
    for (const char* text : private_elsewhere)
      EXPECT_FALSE(dialable(rules, *Endpoint::parse(text), source)) << text;
    for (const char* text : private_near)
      EXPECT_EQ(dialable(rules, *Endpoint::parse(text), source), named) << text;
    for (const char* text : global) EXPECT_TRUE(dialable(rules, *Endpoint::parse(text), source)) << text;
  }
}

TEST(AddressRules, LocalReachAllowsLoopbackAndPrivate) {
  AddressRules rules = home();
  rules.reach = Reach::local;
  for (const Source source : all_sources) {
    for (const char* text : private_elsewhere)
      EXPECT_TRUE(dialable(rules, *Endpoint::parse(text), source)) << text;
    for (const char* text : private_near)
      EXPECT_TRUE(dialable(rules, *Endpoint::parse(text), source)) << text;
    EXPECT_TRUE(dialable(rules, *Endpoint::parse("127.0.0.1:6881"), source));
    EXPECT_TRUE(dialable(rules, *Endpoint::parse("[::1]:6881"), source));
    EXPECT_FALSE(dialable(rules, *Endpoint::parse("127.0.0.1:80"), source));
    EXPECT_FALSE(dialable(rules, *Endpoint::parse("192.168.1.7:5000"), source));
    EXPECT_FALSE(dialable(rules, *Endpoint::parse("[::ffff:127.0.0.1]:6881"), source));
    EXPECT_FALSE(dialable(rules, *Endpoint::parse("169.254.1.1:6881"), source));
    EXPECT_FALSE(dialable(rules, *Endpoint::parse("224.0.0.1:6881"), source));
  }
}

TEST(AddressRules, OwnMachineAndFamilies) {
  AddressRules rules = home();
  // Another port at our own external address: a neighbour behind the same NAT, on the user's word alone.
  EXPECT_FALSE(dialable(rules, *Endpoint::parse("198.17.5.9:6000"), Source::exchange));
  EXPECT_TRUE(dialable(rules, *Endpoint::parse("198.17.5.9:6000"), Source::user));
  EXPECT_FALSE(dialable(rules, *Endpoint::parse("[2a02:1:2:3::7]:6000"), Source::record));
  rules.ipv6 = false;
  EXPECT_FALSE(dialable(rules, *Endpoint::parse("[2a00:1450::1]:6881"), Source::user));
  rules.ipv4 = false;
  EXPECT_FALSE(dialable(rules, *Endpoint::parse("8.8.8.8:6881"), Source::user));
}

// If every storer colludes and names one victim: at most 3 dials in 10 minutes, whatever is asked for.
TEST(DialLimits, AVictimSeesThreeInTenMinutes) {
  DialLimits limits;
  const IpAddress victim = ip("8.8.8.8");
  std::vector<Instant> dials;
  for (Instant now{seconds{1000}}; now < Instant{seconds{1000 + 3600}};
       now += std::chrono::milliseconds{500}) {
    if (limits.allowed_at(now, victim) > now) continue;
    limits.dialled(now, victim);
    dials.push_back(now);
  }
  for (std::size_t i = 3; i < dials.size(); ++i) EXPECT_GE(dials[i] - dials[i - 3], minutes{10});
  EXPECT_EQ(dials.size(), 18U);
}

// Its owner has 2^64 addresses (THREATS A12).
TEST(DialLimits, AHostOfIpv6IsItsSubnet) {
  DialLimits limits;
  Instant now{seconds{1000}};
  for (const char* text : {"2a00:1:2:3::1", "2a00:1:2:3::2", "2a00:1:2:3:4::3"}) {
    EXPECT_LE(limits.allowed_at(now, ip(text)), now) << text;
    limits.dialled(now, ip(text));
    now += seconds{10};
  }
  EXPECT_EQ(limits.allowed_at(now, ip("2a00:1:2:3::9")), Instant{seconds{1000}} + minutes{10});
  EXPECT_LE(limits.allowed_at(now, ip("2a00:1:2:4::9")), now);
}

// Another greeting, at once: outside the gap, not outside the count.
TEST(DialLimits, AFollowUpCounts) {
  DialLimits limits;
  const Instant now{seconds{1000}};
  const IpAddress who = ip("8.8.8.8");
  for (int i = 0; i < 3; ++i) {
    EXPECT_LE(limits.allowed_at(now, who, DialLimits::Dial::follow_up), now);
    limits.dialled(now, who);
  }
  EXPECT_EQ(limits.allowed_at(now, who, DialLimits::Dial::follow_up), now + minutes{10});
}

TEST(DialLimits, ANetworkSeesOneInTenSeconds) {
  DialLimits limits;
  const Instant now{seconds{1000}};
  limits.dialled(now, ip("8.8.8.8"));
  EXPECT_EQ(limits.allowed_at(now, ip("8.8.8.9")), now + seconds{10});
  EXPECT_EQ(limits.allowed_at(now, ip("8.8.9.9")), now);
  EXPECT_EQ(limits.allowed_at(now + seconds{10}, ip("8.8.8.9")), now + seconds{10});
  // Private networks and loopback are no strangers.
  for (int i = 0; i < 100; ++i) {
    limits.dialled(now, ip("192.168.1.1"));
    limits.dialled(now, ip("127.0.0.1"));
  }
  EXPECT_EQ(limits.allowed_at(now, ip("192.168.1.1")), now);
  EXPECT_EQ(limits.allowed_at(now, ip("127.0.0.1")), now);
}

TEST(DialLimits, MemoryIsBounded) {
  DialLimits limits;
  Instant now{seconds{1000}};
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const IpAddress address = IpAddress::v4(0x08000000 + i * 256);
    if (limits.allowed_at(now, address) <= now) limits.dialled(now, address);
  }
  EXPECT_EQ(limits.size(), limits::max_dial_history);
  now += minutes{11};
  limits.dialled(now, ip("9.9.9.9"));
  EXPECT_EQ(limits.size(), 1U);
}

}  // namespace
}  // namespace shoal::swarm
