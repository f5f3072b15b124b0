// Nodes among nodes: finding, putting and getting, in a little world with a virtual clock.
#include "dht/node.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "dht/identity.hpp"
#include "dht/limits.hpp"
#include "dht/routing_table.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::announcement;
using test::content;
using test::Dialect;
using test::grow;
using test::LittleWorld;
using test::nearest;
using test::public_host;

Endpoint loopback(std::uint16_t port) { return {IpAddress::v4(0x7f000001), port}; }

// One content with its keys, and announcements of it.
struct Content {
  explicit Content(std::uint64_t number, LittleWorld& world)
      : id(content(number)), keys(derive_epoch(id, SwarmKeys{id}.epoch_at(world.now().wall))), random(id) {}
  BuiltRecord record(std::uint64_t node, const IpAddress& address, LittleWorld& world) {
    return announcement(keys, id, node, address, world.now().wall, random);
  }
  ContentId id;
  EpochKeys keys;
  Random random;
};

TEST(Node, TwoNodesOnlyTheSharersOwnRecordWithinTwoRoundTrips) {
  LittleWorld world{1};
  world.latency = [](const Endpoint&, const Endpoint&) { return Duration{50ms}; };
  const std::size_t sharer = world.add(loopback(5001), Scope::local);
  const std::size_t getter = world.add(loopback(5002), Scope::local);
  Content content{1, world};
  const BuiltRecord record = content.record(1, loopback(0).address, world);
  world.node(sharer).hold(content.keys.key, record.bytes);
  world.bootstrap(getter, {world.at(sharer).at});
  const SearchId search = world.get(getter, content.keys.key);
  const auto* done = world.wait<SearchDone>(getter, search);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->outcome, SearchOutcome::finished);
  const auto values = world.values_of(getter, search);
  ASSERT_EQ(values.size(), 1U);
  EXPECT_EQ(values[0].record, record.bytes);
  EXPECT_EQ(values[0].served_by, world.at(sharer).at);
  EXPECT_LE(done->stats.first_value_after, 201ms);
  EXPECT_EQ(world.count_events<FirstContact>(getter), 1U);
}

TEST(Node, AskFetchesFromABareEndpointInOneRoundTrip) {
  LittleWorld world{2};
  world.latency = [](const Endpoint&, const Endpoint&) { return Duration{50ms}; };
  const std::size_t sharer = world.add_public(1, Membership::earned);
  const std::size_t getter = world.add_public(2, Membership::earned);
  Content content{1, world};
  const BuiltRecord record = content.record(1, world.at(sharer).at.address, world);
  world.node(sharer).hold(content.keys.key, record.bytes);
  const SearchId search = world.ask(getter, world.at(sharer).at, content.keys.key);
  const auto* done = world.wait<SearchDone>(getter, search);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->outcome, SearchOutcome::finished);
  EXPECT_EQ(done->stats.took, 100ms);
  ASSERT_EQ(world.values_of(getter, search).size(), 1U);
  // A read-only sharer is no contact for the table, but a later search starts from it.
  EXPECT_EQ(world.node(getter).stats().contacts, 0U);
  const SearchId again = world.get(getter, content.keys.key);
  ASSERT_NE(world.wait<SearchDone>(getter, again), nullptr);
  EXPECT_EQ(world.values_of(getter, again).size(), 1U);
  world.node(sharer).forget(content.keys.key);
  const SearchId gone = world.ask(getter, world.at(sharer).at, content.keys.key);
  ASSERT_NE(world.wait<SearchDone>(getter, gone), nullptr);
  EXPECT_TRUE(world.values_of(getter, gone).empty());
}

TEST(Node, ALossyLinkCostsAttemptsNotTheAnswer) {
  int answered = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    LittleWorld world{100 + seed};
    world.loss = 0.2;
    const std::size_t a = world.add_public(1);
    const std::size_t b = world.add_public(2);
    const SearchId search = world.ping(b, world.at(a).at);
    const auto* done = world.wait<PingDone>(b, search);
    ASSERT_NE(done, nullptr);
    answered += done->id ? 1 : 0;
  }
  EXPECT_GE(answered, 18);
}

TEST(Node, NobodyAnswersAndItSaysSo) {
  LittleWorld world{3};
  const std::size_t lonely = world.add_public(1);
  const SearchId at_once = world.get(lonely, Key{});
  ASSERT_NE(world.find_event<SearchDone>(lonely, at_once), nullptr);
  EXPECT_EQ(world.find_event<SearchDone>(lonely, at_once)->outcome, SearchOutcome::nobody_answered);
  world.bootstrap(lonely, {Endpoint{public_host(77, 1), 1}, Endpoint{public_host(78, 1), 1}});
  const SearchId search = world.get(lonely, Key{});
  EXPECT_EQ(world.find_event<SearchDone>(lonely, search), nullptr);  // answers may come yet
  const auto* done = world.wait<SearchDone>(lonely, search, 10s);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->outcome, SearchOutcome::nobody_answered);
  EXPECT_LE(done->stats.took, 6s);
  const SearchId ping = world.ping(lonely, {public_host(79, 1), 1});
  const auto* silent = world.wait<PingDone>(lonely, ping, 10s);
  ASSERT_NE(silent, nullptr);
  EXPECT_FALSE(silent->id);
}

TEST(Node, ABootstrapThatStartsLaterIsFound) {
  LittleWorld world{4};
  const std::size_t late = world.add_public(1);
  world.at(late).alive = false;
  const std::size_t node = world.add_public(2);
  world.bootstrap(node, {world.at(late).at});
  world.run(20s);
  EXPECT_EQ(world.node(node).stats().contacts, 0U);
  world.at(late).alive = true;
  world.run(60s);
  EXPECT_EQ(world.node(node).stats().contacts, 1U);
}

TEST(Node, TwentyFourLocalNodesFormAGoodNetwork) {
  LittleWorld world{5};
  for (std::uint16_t i = 0; i < 24; ++i) {
    const std::size_t number = world.add(loopback(static_cast<std::uint16_t>(6000 + i)), Scope::local);
    if (i > 0) world.bootstrap(number, {world.at(0).at});
    world.run(100ms);
  }
  world.run(30s);
  double size = 0;
  for (std::size_t i = 0; i < 24; ++i) {
    const NodeStats stats = world.node(i).stats();
    EXPECT_GE(stats.contacts, 21U) << i;
    EXPECT_FALSE(stats.read_only);
    size += stats.network_size / 24;
    EXPECT_EQ(world.node(i).external_address(), loopback(0).address);
  }
  EXPECT_NEAR(size, 24, 8);
  Content content{1, world};
  const BuiltRecord record = content.record(3, loopback(0).address, world);
  const SearchId put = world.put(3, content.keys.key, record.bytes, record.salt_v4);
  const auto* stored = world.wait<PutDone>(3, put);
  ASSERT_NE(stored, nullptr);
  EXPECT_GE(stored->stored, 7U);
  EXPECT_EQ(stored->refused, 0U);
  for (std::size_t i = 0; i < 24; ++i) {
    const SearchId get = world.get(i, content.keys.key);
    const auto* done = world.wait<SearchDone>(i, get);
    ASSERT_NE(done, nullptr);
    EXPECT_EQ(world.values_of(i, get).size(), 1U) << i;
  }
}

TEST(Node, LargeNetworkFindsTheClosestAlwaysAndIn24Hops) {
  LittleWorld world{8, Dialect::mainline};
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::size_t number = world.add({IpAddress::v4(0x0a000001 + i), 4000}, Scope::local);
    if (number > 0) world.bootstrap(number, {world.at(number / 3).at});
    world.run(20ms);
  }
  world.run(45s);
  Random random{{}};
  double depth = 0;
  int exact = 0;
  constexpr int rounds = 100;
  for (int i = 0; i < rounds; ++i) {
    const Key target{random.bytes<32>()};
    const auto from = static_cast<std::size_t>(random.below(300));
    const SearchId search = world.find(from, target);
    const auto* done = world.wait<SearchDone>(from, search);
    ASSERT_NE(done, nullptr);
    auto near = nearest(world, target, 2);
    if (near[0] == from) near.erase(near.begin());
    ASSERT_FALSE(done->closest.empty());
    exact += done->closest[0].endpoint == world.at(near[0]).at ? 1 : 0;
    depth += done->stats.depth;
  }
  EXPECT_EQ(exact, rounds);
  EXPECT_LE(depth / rounds, 2.4);
  double total = 0;
  for (std::size_t i = 0; i < 300; ++i) total += world.node(i).stats().network_size;
  EXPECT_NEAR(total / 300, 300, 120);
}

TEST(Node, PutsReachTheRegionAndGetsFindThemWithDeadEntries) {
  LittleWorld world{9};
  grow(world, 120, 60s);
  Content content{1, world};
  const BuiltRecord record = content.record(1, world.at(30).at.address, world);
  const SearchId put = world.put(30, content.keys.key, record.bytes, record.salt_v4);
  const auto* stored = world.wait<PutDone>(30, put);
  ASSERT_NE(stored, nullptr);
  EXPECT_GE(stored->stored, 8U);
  EXPECT_LE(stored->stored, 40U);
  std::size_t holders = 0;
  for (const std::size_t number : nearest(world, content.keys.key, 8)) {
    holders += world.node(number).stats().records;
    for (const auto& [key, bytes] : world.node(number).stored_records()) EXPECT_EQ(bytes, record.bytes);
  }
  EXPECT_GE(holders, 7U);
  for (std::size_t i = 0; i < 120; ++i)
    if (i % 10 < 3 && i != 30) world.at(i).alive = false;  // 30 % of every table is dead now
  int found = 0, rounds = 0;
  std::vector<Duration> first;
  for (std::size_t i = 3; i < 120; i += 10) {
    if (!world.at(i).alive) continue;
    ++rounds;
    const SearchId get = world.get(i, content.keys.key);
    const auto* done = world.wait<SearchDone>(i, get);
    ASSERT_NE(done, nullptr);
    found += world.values_of(i, get).size() == 1 ? 1 : 0;
    if (world.values_of(i, get).empty() || world.values_of(i, get)[0].served_by.port == 0) continue;
    first.push_back(done->stats.first_value_after);
  }
  EXPECT_EQ(found, rounds);
  std::sort(first.begin(), first.end());
  ASSERT_FALSE(first.empty());
  EXPECT_LE(first[first.size() / 2], 500ms);  // round trips are 40..160 ms here
}

TEST(Node, APutSoonAfterAnotherReusesItsTokens) {
  LittleWorld world{10};
  grow(world, 30, 40s);
  Content content{1, world};
  const BuiltRecord record = content.record(1, world.at(3).at.address, world);
  const auto* first = world.wait<PutDone>(3, world.put(3, content.keys.key, record.bytes, record.salt_v4));
  ASSERT_NE(first, nullptr);
  const auto* second = world.wait<PutDone>(3, world.put(3, content.keys.key, record.bytes, record.salt_v4));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->stored, first->stored);
  EXPECT_LT(second->stats.queries, first->stats.queries);
  EXPECT_LE(second->stats.took, 400ms);
}

TEST(Node, TwoNodesOnALossyOrSlowLinkStillFindEachOther) {
  int found = 0;
  constexpr int rounds = 60;
  for (std::uint64_t seed = 0; seed < rounds; ++seed) {
    LittleWorld world{200 + seed};
    const bool slow = seed % 2 == 0;
    if (slow)
      world.latency = [](const Endpoint&, const Endpoint&) { return Duration{800ms}; };
    else
      world.loss = 0.15;
    const std::size_t sharer = world.add(loopback(5001), Scope::local);
    const std::size_t getter = world.add(loopback(5002), Scope::local);
    Content content{1, world};
    world.node(sharer).hold(content.keys.key, content.record(1, loopback(0).address, world).bytes);
    world.bootstrap(getter, {world.at(sharer).at});
    const SearchId search = world.get(getter, content.keys.key);
    ASSERT_NE(world.wait<SearchDone>(getter, search), nullptr);
    found += world.values_of(getter, search).size() == 1 ? 1 : 0;
    EXPECT_TRUE(!slow || world.values_of(getter, search).size() == 1);
  }
  EXPECT_GE(found, rounds - 4);
}

// Where every answer takes 700 ms, none of them is taken for slow once that is known.
TEST(Node, BehindASlowLineNobodyIsAskedTwice) {
  LittleWorld world{17};
  world.latency = [](const Endpoint&, const Endpoint&) { return Duration{350'000}; };
  grow(world, 150, 120s);
  std::uint32_t queries = 0, answered = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    const std::size_t from = 7 * i;
    const auto* done = world.wait<SearchDone>(from, world.find(from, Key{test::numbered("target", i)}));
    ASSERT_NE(done, nullptr);
    queries += done->stats.queries;
    answered += done->stats.answered;
  }
  EXPECT_GT(answered, 100U);
  EXPECT_LE(queries, answered + 8);
}

TEST(Node, ALargeSwarmIsSampledWidely) {
  LittleWorld world{21};
  for (std::uint16_t i = 0; i < 40; ++i) {
    const std::size_t number = world.add(loopback(static_cast<std::uint16_t>(6000 + i)), Scope::local);
    if (i > 0) world.bootstrap(number, {world.at(0).at});
    world.run(50ms);
  }
  world.run(30s);
  Content content{1, world};
  for (std::size_t i = 0; i < 40; ++i) {
    const BuiltRecord record = content.record(i, loopback(0).address, world);
    world.put(i, content.keys.key, record.bytes, record.salt_v4);
    world.run(500ms);
  }
  world.run(10s);
  const SearchId search = world.get(5, content.keys.key);
  const auto* done = world.wait<SearchDone>(5, search);
  ASSERT_NE(done, nullptr);
  EXPECT_GE(world.values_of(5, search).size(), 30U);
  std::set<Bytes> distinct;
  for (const ReceivedRecord& received : world.values_of(5, search)) distinct.insert(received.record);
  EXPECT_EQ(distinct.size(), world.values_of(5, search).size());
  EXPECT_LE(done->stats.queries, 100U);
}

TEST(Node, ForgedRecordsAreNotHandedOn) {
  LittleWorld world{11};
  const std::size_t liar = world.add(loopback(1), Scope::local);
  const std::size_t getter = world.add(loopback(2), Scope::local);
  Content content{1, world};
  BuiltRecord record = content.record(1, loopback(0).address, world);
  record.bytes[200] ^= 1;
  world.node(liar).hold(content.keys.key, record.bytes);
  const SearchId ask = world.ask(getter, world.at(liar).at, content.keys.key);
  const auto* done = world.wait<SearchDone>(getter, ask);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->outcome, SearchOutcome::finished);
  EXPECT_TRUE(world.values_of(getter, ask).empty());
}

TEST(Node, TheDeadLeaveTablesButNotWhenOurLinkIsDown) {
  LittleWorld world{17};
  grow(world, 40, 60s);
  const std::size_t before = world.node(5).stats().contacts;
  for (std::size_t i = 0; i < 40; ++i)
    if (i != 5) world.at(i).alive = false;
  world.run(20min);  // cut off: nobody answers
  EXPECT_GE(world.node(5).stats().contacts, before * 8 / 10);
  for (std::size_t i = 0; i < 20; ++i) world.at(i).alive = true;
  world.run(40min);  // half of them are back: the others are really gone
  EXPECT_LE(world.node(5).stats().contacts, 24U);
  EXPECT_GE(world.node(5).stats().contacts, 16U);
}

TEST(Node, ManySearchesAtOnceAllEnd) {
  LittleWorld world{18};
  grow(world, 40, 40s);
  Random random{{}};
  std::vector<SearchId> searches;
  for (int i = 0; i < 500; ++i) searches.push_back(world.get(3, Key{random.bytes<32>()}));
  EXPECT_GE(world.node(3).stats().searches, 500U);
  world.run(60s);
  for (const SearchId search : searches) ASSERT_NE(world.find_event<SearchDone>(3, search), nullptr);
  EXPECT_LE(world.node(3).stats().searches, 1U);
}

TEST(Node, ACancelledSearchSaysNothing) {
  LittleWorld world{19};
  grow(world, 20, 30s);
  const SearchId search = world.get(3, Key{});
  world.node(3).cancel(search);
  world.run(10s);
  EXPECT_EQ(world.find_event<SearchDone>(3, search), nullptr);
}

TEST(Node, TwoRunsOfASeedAreEqualAndOfTwoSeedsDiffer) {
  const auto run = [](std::uint64_t seed) {
    LittleWorld world{seed};
    world.loss = 0.05;
    grow(world, 25, 30s);
    Content content{1, world};
    const BuiltRecord record = content.record(1, world.at(3).at.address, world);
    world.put(3, content.keys.key, record.bytes, record.salt_v4);
    world.run(5s);
    world.get(7, content.keys.key, 4);
    world.run(30s);
    std::uint64_t digest = 0;
    for (std::size_t i = 0; i < world.size(); ++i) digest = digest * 31 + world.node(i).digest();
    return digest;
  };
  EXPECT_EQ(run(42), run(42));
  EXPECT_NE(run(42), run(43));
}

TEST(Node, AnIdleNodeSendsLittle) {
  LittleWorld world{20};
  grow(world, 60, 5min);
  const std::uint64_t before = world.node(9).stats().bytes_out;
  const std::uint64_t queries = world.node(9).stats().queries_out;
  world.run(10min);
  EXPECT_LE(world.node(9).stats().queries_out - queries, 600U);          // stalest, neighbourhood, refresh
  EXPECT_LE(world.node(9).stats().bytes_out - before, 10 * 60 * 1024U);  // 1 KiB a second
}

}  // namespace
}  // namespace shoal::dht
