// Which addresses may be dialled: 200 spellings by 5 sources and 2 reaches (THREATS A30).
#include "swarm/address_rules.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/swarm/spellings.hpp"

namespace shoal::swarm {
namespace {

using namespace test;

constexpr Source all_sources[] = {Source::user, Source::lan, Source::record, Source::exchange,
                                  Source::incoming};

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

}  // namespace
}  // namespace shoal::swarm
