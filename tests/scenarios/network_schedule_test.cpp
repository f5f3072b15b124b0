// Faults of the network by lot: loss, duplicates, datagrams out of order, a partition anywhere or a cable
// pulled, for minutes. Once it is over the getters receive again within a minute, every time, and in the end
// they have it all. Each schedule is a test.
//
//   SHOAL_SCHEDULES=1000 scenario_tests --gtest_filter='*NetworkSchedule*'     the long form;
//   GTEST_TOTAL_SHARDS spreads it
#include "tests/scenarios/trial.hpp"

namespace shoal::sim {
namespace {

class NetworkSchedule : public testing::TestWithParam<std::uint64_t> {};

TEST_P(NetworkSchedule, IsSurvivedAndRejoinedWithinAMinute) {
  const std::uint64_t number = GetParam();
  World world{number, {.streams = {.fragment = 0.1}}};
  Random& lots = world.random();
  std::vector<MachineId> nodes{start_node(world)};
  for (int i = 0; i < 5; ++i) nodes.push_back(start_node(world, {world.endpoint(nodes[0])}));
  const std::vector<Endpoint> bootstrap{world.endpoint(nodes[1]), world.endpoint(nodes[2])};
  const MachineId sharer = start(world, {.host = {.rates = {128 * kib, 0}}, .bootstrap = bootstrap});
  const Oracle oracle = Oracle::single("faulty", 24 * mib, number);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.run_for(20s);
  std::vector<MachineId> getters;
  for (int i = 0; i < 2; ++i) {
    getters.push_back(start(world, {.host = {.rates = {mib, 0}}, .bootstrap = bootstrap}));
    world.get(getters.back(), content->id, {});
  }
  world.run_for(20s);
  world.network().datagrams() = {.loss = 0.3 * lots.unit(), .duplicate = 0.1, .late = 0.3 * lots.unit()};
  if (lots.below(3) == 0) {
    world.network().set_plugged(getters[lots.below(2)], false);
  } else {
    for (MachineId id = 0; id < world.size(); ++id)
      world.network().set_group(id, static_cast<std::uint32_t>(lots.below(2)));
    world.network().set_group(sharer, 2);  // nobody can finish without it
  }
  world.run_for(std::chrono::seconds{30 + lots.below(300)});
  world.network().heal();
  const std::uint64_t before[] = {world.network().traffic(getters[0]).stream_bytes_in,
                                  world.network().traffic(getters[1]).stream_bytes_in};
  EXPECT_TRUE(world.run_until(
      [&] {
        for (std::size_t i = 0; i < 2; ++i)
          if (!finished(world, getters[i], *content) &&
              world.network().traffic(getters[i]).stream_bytes_in < before[i] + 64 * kib)
            return false;
        return true;
      },
      60s))
      << standing(world, getters[0], *content) << "; " << standing(world, getters[1], *content);
  EXPECT_TRUE(world.run_until([&] { return all_finished(world, getters, *content); }, 600s))
      << standing(world, getters[0], *content) << "; " << standing(world, getters[1], *content);
}

INSTANTIATE_TEST_SUITE_P(Lot, NetworkSchedule,
                         testing::Range<std::uint64_t>(100, 100 + ordered("SHOAL_SCHEDULES", 30)));

}  // namespace
}  // namespace shoal::sim
