// What a node learns about itself from others: its address, whether strangers reach it, its clock.
#include <gtest/gtest.h>

#include "dht/node.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::grow;
using test::LittleWorld;
using test::nearest;
using test::public_host;

TEST(NodeSelf, ExternalAddressIsLearntAndThePositionFollows) {
  LittleWorld world{12};
  grow(world, 12, 30s);
  const std::size_t fresh = world.add_public(300, Membership::earned);
  const Key before = world.node(fresh).position();
  EXPECT_FALSE(world.node(fresh).external_address());
  world.bootstrap(fresh, {world.at(0).at, world.at(1).at});
  world.run(20s);
  EXPECT_EQ(world.node(fresh).external_address(), world.at(fresh).at.address);
  EXPECT_EQ(world.node(fresh).external_endpoint(), world.at(fresh).at);
  EXPECT_NE(world.node(fresh).position(), before);
  EXPECT_EQ(world.count_events<ExternalAddress>(fresh), 1U);
  EXPECT_GE(world.node(fresh).stats().contacts, 10U);
}

TEST(NodeSelf, ReadOnlyUntilAStrangerReachesIt) {
  LittleWorld world{13};
  grow(world, 12, 30s);
  const std::size_t open = world.add_public(300, Membership::earned);
  const std::size_t closed = world.add_public(301, Membership::earned);
  world.at(closed).behind_nat = true;
  EXPECT_TRUE(world.node(open).stats().read_only);
  world.bootstrap(open, {world.at(0).at});
  world.bootstrap(closed, {world.at(0).at});
  world.run(5min);
  EXPECT_FALSE(world.node(open).stats().read_only);
  EXPECT_EQ(world.count_events<Reachable>(open), 1U);
  EXPECT_TRUE(world.node(closed).stats().read_only);
  EXPECT_GE(world.node(closed).stats().contacts, 3U);  // half are left alone by upkeep
  const auto* done = world.wait<SearchDone>(closed, world.find(closed, Key{}));
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->closest[0].endpoint, world.at(nearest(world, Key{}, 1)[0]).at);  // not by searches
  std::size_t know_open = 0, know_closed = 0;
  for (std::size_t i = 0; i < 12; ++i) {
    for (const SavedContact& contact : world.node(i).contacts_to_save(world.now())) {
      know_open += contact.endpoint == world.at(open).at ? 1 : 0;
      know_closed += contact.endpoint == world.at(closed).at ? 1 : 0;
    }
  }
  EXPECT_GE(know_open, 6U);
  EXPECT_EQ(know_closed, 0U);
}

TEST(NodeSelf, AVisitorIsInNobodysTable) {
  LittleWorld world{15};
  grow(world, 12, 30s);
  const std::size_t visitor = world.add_public(300, Membership::visiting);
  world.bootstrap(visitor, {world.at(0).at});
  world.run(5min);
  EXPECT_TRUE(world.node(visitor).stats().read_only);
  EXPECT_EQ(world.count_events<Reachable>(visitor), 0U);
  EXPECT_GE(world.node(visitor).stats().contacts, 10U);  // none is left alone
  for (std::size_t i = 0; i < 12; ++i)
    for (const SavedContact& contact : world.node(i).contacts_to_save(world.now()))
      EXPECT_NE(contact.endpoint, world.at(visitor).at);
}

TEST(NodeSelf, OneBootstrapNodeAndEarnedPeersBecomeANetwork) {
  LittleWorld world{14};
  const std::size_t seed = world.add_public(1);
  for (std::uint32_t i = 0; i < 10; ++i) {
    const std::size_t number = world.add_public(10 + i, Membership::earned);
    world.bootstrap(number, {world.at(seed).at});
    world.run(2s);
  }
  world.run(10min);
  for (std::size_t i = 1; i < world.size(); ++i) {
    EXPECT_FALSE(world.node(i).stats().read_only) << i;
    EXPECT_GE(world.node(i).stats().contacts, 8U) << i;
  }
}

TEST(NodeSelf, ABootstrapThatDoesNotKnowItsAddressLearnsItFromTheFirst) {
  LittleWorld world{15};
  NodeConfig config;
  config.membership = Membership::full;  // `node`, listening on any address
  const std::size_t seed = world.add({public_host(1, 1), 4000}, config);
  const std::size_t other = world.add({public_host(2, 1), 4000}, config);
  world.bootstrap(other, {world.at(seed).at});
  world.run(60s);
  EXPECT_EQ(world.node(seed).external_address(), world.at(seed).at.address);
  EXPECT_EQ(world.node(other).external_address(), world.at(other).at.address);
  EXPECT_EQ(world.node(seed).stats().contacts, 1U);
  EXPECT_EQ(world.node(other).stats().contacts, 1U);
}

TEST(NodeSelf, AWrongClockIsNamedAndPutsWait) {
  LittleWorld world{16};
  grow(world, 14, 30s);
  const std::size_t wrong = world.add_public(300);
  world.at(wrong).clock_error = 2h;
  world.bootstrap(wrong, {world.at(0).at});
  world.run(10s);
  ASSERT_EQ(world.count_events<ClockSkew>(wrong), 2U) << "by the one that was named, then by many";
  bool doubtful = true;
  for (const auto& seen : world.at(wrong).events)
    if (const auto* skew = std::get_if<ClockSkew>(&seen.event)) {
      EXPECT_TRUE(skew->matters);
      EXPECT_EQ(skew->doubtful, std::exchange(doubtful, false));
      EXPECT_NEAR(seconds(skew->ahead), 7200, 60);
    }
  const SearchId put = world.put(wrong, Key{}, Bytes(368, 1), {});
  ASSERT_NE(world.find_event<PutDone>(wrong, put), nullptr);
  EXPECT_EQ(world.find_event<PutDone>(wrong, put)->outcome, SearchOutcome::refused);
  for (std::size_t i = 0; i < 14; ++i) EXPECT_EQ(world.count_events<ClockSkew>(i), 0U);
}

// THREATS A33: two people alone. Who named the other is told that one of the clocks is wrong, and whoever
// only comes along is not believed; nothing stops for it. When the clock is right again that is told, too.
TEST(NodeSelf, TheClockOfWhoWasNamedIsComparedEvenIfItIsOne) {
  LittleWorld world{17};
  const std::size_t named = world.add_public(1), asker = world.add_public(2);
  world.at(asker).clock_error = -2h;
  world.bootstrap(asker, {world.at(named).at});
  world.run(10s);
  ASSERT_EQ(world.count_events<ClockSkew>(asker), 1U);
  EXPECT_EQ(world.count_events<ClockSkew>(named), 0U);
  const auto skew_of = [&](std::size_t number) {
    ClockSkew last;
    for (const auto& seen : world.at(number).events)
      if (const auto* skew = std::get_if<ClockSkew>(&seen.event)) last = *skew;
    return last;
  };
  EXPECT_TRUE(skew_of(asker).matters && skew_of(asker).doubtful);
  EXPECT_NEAR(seconds(skew_of(asker).ahead), -7200, 60);
  const SearchId put = world.put(asker, Key{}, Bytes(368, 1), {});
  EXPECT_EQ(world.find_event<PutDone>(asker, put), nullptr) << "it is tried";
  world.at(asker).clock_error = {};
  world.run(30min);
  EXPECT_EQ(world.count_events<ClockSkew>(asker), 2U);
  EXPECT_FALSE(skew_of(asker).matters);
}

// In a network so small that by chance the node leaves nobody alone, there is no stranger to probe it; its
// choice changes in time.
TEST(NodeSelf, ReachableAmongThreeWhomeverItLeavesAlone) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    LittleWorld world{seed};
    for (std::uint32_t i = 0; i < 3; ++i) world.add_public(i);
    for (std::size_t i = 1; i < 3; ++i) world.bootstrap(i, {world.at(0).at});
    const std::size_t open = world.add_public(99, Membership::earned);
    world.bootstrap(open, {world.at(0).at});
    world.run(std::chrono::hours{3});
    EXPECT_FALSE(world.node(open).stats().read_only) << seed;
  }
}

}  // namespace
}  // namespace shoal::dht
