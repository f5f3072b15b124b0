// How a node starts: from one endpoint, from what an earlier run saved, while others are dead or the link is
// down.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "dht/node.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::grow;
using test::LittleWorld;
using test::nearest;

// From now until a search for another node has ended well; `never` where it does not.
Duration time_to_find(LittleWorld& world, std::size_t from, std::size_t whom) {
  const Instant began = world.now().mono;
  const SearchId search = world.find(from, world.node(whom).position());
  const auto* done = world.wait<SearchDone>(from, search);
  const bool found = done != nullptr && done->outcome == SearchOutcome::finished;
  return found ? world.now().mono - began : never - began;
}

TEST(NodeStart, ANodeRestartedWithOneBootstrapFillsItsTable) {
  LittleWorld world{6};
  grow(world, 60, 60s);
  const std::size_t fresh = world.add_public(500);
  world.bootstrap(fresh, {world.at(17).at});
  world.run(40s);
  EXPECT_GE(world.node(fresh).stats().contacts, 45U);
  const auto near = nearest(world, world.node(fresh).position(), 9);  // itself and the next 8
  const auto saved = world.node(fresh).contacts_to_save(world.now());
  for (std::size_t i = 1; i < near.size(); ++i) {
    const bool known = std::any_of(saved.begin(), saved.end(), [&](const SavedContact& contact) {
      return contact.endpoint == world.at(near[i]).at;
    });
    EXPECT_TRUE(known) << i;
  }
}

TEST(NodeStart, WarmRestartFromSavedContacts) {
  LittleWorld world{7};
  grow(world, 60, 60s);
  const std::vector<SavedContact> saved = world.node(5).contacts_to_save(world.now());
  ASSERT_GE(saved.size(), 40U);
  EXPECT_TRUE(std::is_sorted(saved.begin(), saved.end(), [](const auto& a, const auto& b) {
    return a.last_seen_unix_ms > b.last_seen_unix_ms;
  }));
  for (std::size_t i = 10; i < 25; ++i) world.at(i).alive = false;
  const std::size_t again = world.add_public(900);
  const Instant before = world.now().mono;
  EXPECT_EQ(world.restore(again, saved), 16U);  // the freshest, in parallel
  world.run_until_done(10s, [&] { return world.node(again).stats().contacts > 0; });
  EXPECT_LE(world.now().mono - before, 200ms);
  world.run(30s);
  EXPECT_GE(world.node(again).stats().contacts, 35U);
  for (const SavedContact& contact : world.node(again).contacts_to_save(world.now()))
    EXPECT_TRUE(world.at(*world.who(contact.endpoint)).alive);
}

// After a day four of five are dead: nobody waits for the hard timeout of the first sixteen.
TEST(NodeStart, WhoeverIsSlowAtAStartGivesItsPlaceToTheNext) {
  LittleWorld world{7};
  grow(world, 60, 60s);
  const std::vector<SavedContact> saved = world.node(5).contacts_to_save(world.now());
  ASSERT_GE(saved.size(), 40U);
  for (std::size_t i = 0; i < 35; ++i) world.at(*world.who(saved[i].endpoint)).alive = false;
  const std::size_t again = world.add_public(900);
  world.restore(again, saved);
  EXPECT_LE(time_to_find(world, again, 5), 2500ms);
  EXPECT_EQ(world.node(again).stats().timeouts, 0U);  // before anybody is given up for good
}

// A machine that starts before its link is up, knows no node but those it saved, and was not told of any.
TEST(NodeStart, SavedContactsAreAskedAgainUntilSomebodyAnswers) {
  LittleWorld world{7};
  grow(world, 60, 60s);
  const std::vector<SavedContact> saved = world.node(5).contacts_to_save(world.now());
  const std::size_t again = world.add_public(900);
  const auto set_link = [&](bool up) {
    for (std::size_t i = 0; i < again; ++i) world.at(i).alive = up;
  };
  set_link(false);
  std::map<Endpoint, int> asked;
  world.tap = [&](const Endpoint& from, const Endpoint& to, ByteView) {
    if (from == world.at(again).at) ++asked[to];
  };
  world.restore(again, saved);
  world.run(60s);
  EXPECT_EQ(world.node(again).stats().contacts, 0U);
  EXPECT_EQ(asked.size(), saved.size());
  for (const auto& [to, times] : asked) EXPECT_LE(times, 6);  // the pauses double
  set_link(true);
  world.run(60s);
  EXPECT_GE(world.node(again).stats().contacts, 40U);
  // A search does not wait for the pause.
  const std::size_t other = world.add_public(901);
  set_link(false);
  world.restore(other, saved);
  world.run(5min);
  set_link(true);
  EXPECT_LE(time_to_find(world, other, 5), 2s);
}

// The first contact of a start may be gone a moment later; others answer meanwhile.
TEST(NodeStart, ASearchThatBeganWithADyingContactBeginsAgain) {
  LittleWorld world{7};
  grow(world, 30, 60s);
  const std::vector<SavedContact> saved = world.node(5).contacts_to_save(world.now());
  const std::size_t fresh = world.add_public(900);
  world.restore(fresh, saved);
  const Instant began = world.now().mono;
  const SearchId search = world.find(fresh, world.node(9).position());
  world.run_until_done(5s, [&] { return world.node(fresh).stats().contacts > 0; });
  const auto first = world.node(fresh).contacts_to_save(world.now());
  ASSERT_EQ(first.size(), 1U);
  world.at(*world.who(first[0].endpoint)).alive = false;
  const auto* done = world.wait<SearchDone>(fresh, search);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->outcome, SearchOutcome::finished);
  ASSERT_FALSE(done->closest.empty());
  EXPECT_EQ(done->closest[0].endpoint, world.at(9).at);
  EXPECT_LE(world.now().mono - began, 2500ms);  // nobody waits until the dead one is given up for good
}

}  // namespace
}  // namespace shoal::dht
