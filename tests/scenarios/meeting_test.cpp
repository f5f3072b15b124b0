// Scenarios of finding each other: two peers alone, through a NAT, in a small network, over partitions and
// lossy lines. Each is run twice: the same seed must give the same digest.
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

struct Outcome {
  std::uint64_t digest = 0;
  Duration took{};
};

// Runs a scenario twice and compares; gives the first.
Outcome twice(const std::function<Outcome()>& scenario) {
  const Outcome first = scenario(), second = scenario();
  EXPECT_EQ(first.digest, second.digest) << "the same seed gave two different runs";
  EXPECT_EQ(first.took, second.took);
  return first;
}

TEST(Meeting, TwoPeersAlone) {
  twice([] {
    World world{1};
    const Oracle oracle{"folder", {{"a", 300'000, 1}, {"sub/b", 1'000'000, 2}, {"empty", 0, 3}}};
    const MachineId sharer = start(world), getter = start(world);
    const auto content = share(world, sharer, oracle);
    if (!content) return Outcome{};
    world.get(getter, content->id, {world.endpoint(sharer)});
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 30s))
        << standing(world, getter, *content);
    expect_right(world, getter, *content, oracle);
    EXPECT_TRUE(world.told(getter, content->id, What::metadata));
    EXPECT_TRUE(world.told(getter, content->id, What::complete));
    EXPECT_TRUE(world.told(sharer, content->id, What::announced));
    const Duration took = world.elapsed();
    EXPECT_LT(took, 10s);
    EXPECT_TRUE(world.stop(getter));
    EXPECT_TRUE(world.stop(sharer));
    return Outcome{world.digest(), took};
  });
}

TEST(Meeting, ManyFilesOfAllSizes) {
  World world{2};
  std::vector<SyntheticFile> files;
  for (std::uint64_t i = 0; i < 60; ++i)
    files.push_back({"d" + std::to_string(i % 7) + "/f" + std::to_string(i), (i * i * 977) % 200'000, i});
  const Oracle oracle{"many", files};
  const MachineId sharer = start(world), getter = start(world);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.get(getter, content->id, {world.endpoint(sharer)});
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, oracle);
}

// The sharer is behind a NAT: the getter cannot dial it, so it must find the getter's record and dial.
TEST(Meeting, ANattedSharerFindsTheGetterThroughANode) {
  twice([] {
    World world{3};
    const MachineId node = start_node(world);
    world.run_for(1s);
    const SiteId home = world.network().topology().add_site();
    const std::vector<Endpoint> bootstrap{world.endpoint(node)};
    const MachineId sharer = start(world, {.host = {.site = home}, .bootstrap = bootstrap});
    const Oracle oracle = Oracle::single("film", 2 * mib, 7);
    const auto content = share(world, sharer, oracle);
    if (!content) return Outcome{};
    world.run_for(20s);
    const MachineId getter = start(world, {.bootstrap = bootstrap});
    const Instant asked = world.now();
    world.get(getter, content->id, bootstrap);
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
        << standing(world, getter, *content);
    expect_right(world, getter, *content, oracle);
    EXPECT_EQ(world.network().traffic(sharer).accepted, 0U);
    return Outcome{world.digest(), world.now() - asked};
  });
}

// 24 nodes, of which one shares and some get, knowing nothing but the link and one node.
TEST(Meeting, InANetworkOf24Nodes) {
  twice([] {
    World world{4, {.latency = {Latency::Law::log_normal, 5ms, 300ms, 40ms, 0.5}}};
    std::vector<MachineId> nodes{start_node(world)};
    const Endpoint first = world.endpoint(nodes[0]);
    for (int i = 1; i < 24; ++i) {
      world.run_for(500ms);
      nodes.push_back(start_node(world, {first}));
    }
    world.run_for(60s);
    const MachineId sharer = start(world, {.bootstrap = {world.endpoint(nodes[5])}});
    const Oracle oracle = Oracle::single("song", mib, 8);
    const auto content = share(world, sharer, oracle);
    if (!content) return Outcome{};
    EXPECT_TRUE(
        world.run_until([&] { return world.told(sharer, content->id, What::published).has_value(); }, 60s));
    const Instant asked = world.now();
    std::vector<MachineId> getters;
    for (int i = 0; i < 3; ++i) {
      getters.push_back(
          start(world, {.bootstrap = {world.endpoint(nodes[10 + static_cast<std::size_t>(i)])}}));
      world.get(getters.back(), content->id, {});
    }
    EXPECT_TRUE(world.run_until([&] { return all_finished(world, getters, *content); }, 120s))
        << standing(world, getters[0], *content);
    for (const MachineId getter : getters) expect_right(world, getter, *content, oracle);
    EXPECT_LT(world.now() - asked, 30s);
    return Outcome{world.digest(), world.now() - asked};
  });
}

TEST(Meeting, OnALossyDisorderlyLine) {
  World world{5, {.streams = {.fragment = 0.2}, .datagrams = {.loss = 0.2, .duplicate = 0.1, .late = 0.3}}};
  const MachineId node = start_node(world);
  const std::vector<Endpoint> bootstrap{world.endpoint(node)};
  const MachineId sharer = start(world, {.bootstrap = bootstrap}),
                  getter = start(world, {.bootstrap = bootstrap});
  const Oracle oracle = Oracle::single("data", mib, 9);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.run_for(30s);
  world.get(getter, content->id, {});
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, oracle);
}

// A getter whose clock is an hour wrong still gets from the address in the link.
TEST(Meeting, WithClocksThatAreWrong) {
  for (const auto skew : {-1h, 1h}) {
    World world{6};
    const MachineId sharer = start(world);
    const MachineId getter = start(world, {.clock_skew = skew});
    const Oracle oracle = Oracle::single("clock", 500'000, 10);
    const auto content = share(world, sharer, oracle);
    ASSERT_TRUE(content);
    world.run_for(5s);
    world.get(getter, content->id, {world.endpoint(sharer)});
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
        << standing(world, getter, *content);
  }
}

// A clock is set while all runs, far and in either direction: what is under way goes on, and once it is right
// again whoever comes finds its way.
TEST(Meeting, AClockMayJumpWhileItRuns) {
  for (const std::chrono::milliseconds jump : {-90'000h, -3h, 3h, 90'000h}) {
    for (const bool of_sharer : {false, true}) {
      SCOPED_TRACE((of_sharer ? "sharer " : "getter ") + std::to_string(jump.count()));
      World world{10};
      const MachineId node = start_node(world), other = start_node(world, {world.endpoint(node)});
      const std::vector<Endpoint> bootstrap{world.endpoint(node), world.endpoint(other)};
      const MachineId sharer = start(world, {.host = {.rates = {512 * kib, 0}}, .bootstrap = bootstrap});
      const Oracle oracle = Oracle::single("clock", 24 * mib, 13);
      const auto content = share(world, sharer, oracle);
      ASSERT_TRUE(content);
      world.run_for(10s);
      const MachineId getter = start(world, {.bootstrap = bootstrap});
      world.get(getter, content->id, bootstrap);
      world.run_for(10s);
      const auto received = [&] { return world.network().traffic(getter).stream_bytes_in; };
      std::chrono::milliseconds& clock = world.machine(of_sharer ? sharer : getter).config().clock_skew;
      for (const std::chrono::milliseconds set : {jump, 0ms}) {
        clock = set;
        const std::uint64_t before = received();
        EXPECT_GT(before, mib);
        EXPECT_TRUE(world.run_until([&] { return received() > before + 4 * mib; }, 15s))
            << standing(world, getter, *content);
      }
      const MachineId third = start(world, {.bootstrap = bootstrap});
      const Instant came = world.now();
      world.get(third, content->id, {});
      EXPECT_TRUE(
          world.run_until([&] { return world.told(third, content->id, What::receiving).has_value(); }, 60s))
          << standing(world, third, *content);
      EXPECT_TRUE(world.run_until([&] { return all_finished(world, {getter, third}, *content); }, 300s))
          << "came " << seconds(world.now() - came) << " s ago; " << standing(world, third, *content);
      expect_right(world, getter, *content, oracle);
    }
  }
}

// However long it was: while the transport would have come back by itself, about when the peers give each
// other up, and long after.
TEST(Meeting, APartitionHealsWithinAMinute) {
  for (const Duration outage : {Duration{20s}, Duration{65s}, Duration{80s}, Duration{5min}}) {
    twice([outage] {
      World world{7};
      const MachineId node = start_node(world), other = start_node(world, {world.endpoint(node)});
      const std::vector<Endpoint> bootstrap{world.endpoint(node), world.endpoint(other)};
      const MachineId sharer = start(world, {.host = {.rates = {512 * kib, 0}}, .bootstrap = bootstrap});
      const MachineId getter = start(world, {.bootstrap = bootstrap});
      const Oracle oracle = Oracle::single("split", 16 * mib, 11);
      const auto content = share(world, sharer, oracle);
      if (!content) return Outcome{};
      world.run_for(10s);
      world.get(getter, content->id, bootstrap);
      world.run_for(10s);
      EXPECT_GT(oracle.committed(world.machine(getter), *content), 0U) << standing(world, getter, *content);
      world.network().set_group(sharer, 1);
      world.network().set_group(node, 1);
      world.run_for(outage);
      const std::uint64_t before = world.network().traffic(getter).stream_bytes_in;
      world.network().heal();
      const Instant healed = world.now();
      EXPECT_TRUE(world.run_until(
          [&] { return world.network().traffic(getter).stream_bytes_in > before + 256 * kib; }, 120s));
      const Duration took = world.now() - healed;
      EXPECT_LE(took, 60s) << "after " << seconds(outage) << " s";
      EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
          << standing(world, getter, *content);
      expect_right(world, getter, *content, oracle);
      return Outcome{world.digest(), took};
    });
  }
}

// Two nodes here and two there, which began while nothing passed between them: each part is a DHT of its
// own, in which nobody is missed, and asks the nodes it was told of again.
TEST(Meeting, PartsOfASmallNetworkFindEachOther) {
  World world{9};
  const MachineId here = world.add({.role = swarm::Role::bootstrap_node}),
                  there = world.add({.role = swarm::Role::bootstrap_node});
  world.network().set_group(there, 1);
  ASSERT_TRUE(world.start(here) && world.start(there));
  const std::vector<Endpoint> bootstrap{world.endpoint(here), world.endpoint(there)};
  const MachineId sharer = world.add({.bootstrap = bootstrap}), getter = world.add({.bootstrap = bootstrap});
  world.network().set_group(getter, 1);
  ASSERT_TRUE(world.start(sharer) && world.start(getter));
  const Oracle oracle = Oracle::single("island", mib, 12);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.get(getter, content->id, {});
  world.run_for(20min);
  EXPECT_FALSE(finished(world, getter, *content));
  world.network().heal();
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 5min))
      << standing(world, getter, *content);
}

// The getter waits for a sharer that comes later.
TEST(Meeting, TheGetterMayComeFirst) {
  World world{8};
  const MachineId node = start_node(world);
  const std::vector<Endpoint> bootstrap{world.endpoint(node)};
  const MachineId sharer = start(world, {.bootstrap = bootstrap});
  const Oracle oracle = Oracle::single("late", mib, 12);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  EXPECT_TRUE(world.stop(sharer));
  const MachineId getter = start(world, {.bootstrap = bootstrap});
  world.get(getter, content->id, {});
  world.run_for(2min);
  EXPECT_FALSE(finished(world, getter, *content));
  ASSERT_TRUE(world.start(sharer));
  world.get(sharer, content->id, {});  // the catalog knows it whole
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, oracle);
}

}  // namespace
}  // namespace shoal::sim
