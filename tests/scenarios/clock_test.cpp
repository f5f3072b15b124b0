// Clocks that are wrong (THREATS A33): whoever cannot be met for that is told so.
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

using std::chrono::milliseconds;

// What a machine was told of its clock last.
std::optional<swarm::ClockAnswer> clock_of(World& world, MachineId id) {
  std::optional<swarm::ClockAnswer> out;
  for (const Recorded& recorded : world.machine(id).answers())
    if (const auto* clock = std::get_if<swarm::ClockAnswer>(&recorded.answer.what)) out = *clock;
  return out;
}

// Within ten seconds of the command it has the content or is told why not, and truly.
void gets_or_is_told(World& world, MachineId getter, const storage::Content& content, milliseconds ahead) {
  const auto named = [&] {
    const auto clock = clock_of(world, getter);
    return clock && clock->matters;
  };
  EXPECT_TRUE(world.run_until([&] { return named() || finished(world, getter, content); }, 10s))
      << standing(world, getter, content);
  world.run_for(10s);
  EXPECT_EQ(named(), std::chrono::abs(ahead) > 30min);
  if (const auto clock = clock_of(world, getter); clock && clock->matters) {
    EXPECT_NEAR(seconds(clock->ahead), seconds(ahead), 60.0);
  }
  EXPECT_TRUE(finished(world, getter, content) || std::chrono::abs(ahead) > 30min);
}

constexpr milliseconds step = 15min, most = 2h;

TEST(Clock, A33TwoPeersAloneMeetOrAreTold) {
  const Oracle oracle = Oracle::single("clock", 300'000, 10);
  for (milliseconds ahead = -most; ahead <= most; ahead += step) {
    for (const bool getters : {true, false}) {  // whose clock it is
      SCOPED_TRACE(std::to_string(seconds(ahead)) + " s, the getter's: " + std::to_string(getters));
      World world{6};
      const MachineId sharer = start(world, {.clock_skew = getters ? milliseconds{} : -ahead});
      const MachineId getter = start(world, {.clock_skew = getters ? ahead : milliseconds{}});
      const auto content = share(world, sharer, oracle);
      ASSERT_TRUE(content);
      world.run_for(5s);
      world.get(getter, content->id, {world.endpoint(sharer)});
      gets_or_is_told(world, getter, *content, ahead);
      const auto clock = clock_of(world, getter);
      EXPECT_TRUE(!clock || clock->doubtful) << "either may be wrong";
      EXPECT_FALSE(clock_of(world, sharer)) << "whoever comes along is not believed";
    }
  }
}

TEST(Clock, A33AmongFourteenNodesOneIsMetOrTold) {
  const Oracle oracle = Oracle::single("clock", 300'000, 10);
  World world{7};
  std::vector<MachineId> nodes{start_node(world)};
  for (int i = 1; i < 14; ++i) nodes.push_back(start_node(world, {world.endpoint(nodes[0])}));
  world.run_for(30s);
  const MachineId sharer = start(world, {.bootstrap = {world.endpoint(nodes[3])}});
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  ASSERT_TRUE(
      world.run_until([&] { return world.told(sharer, content->id, What::published).has_value(); }, 60s));
  for (milliseconds ahead = -most; ahead <= most; ahead += step) {
    SCOPED_TRACE(std::to_string(seconds(ahead)) + " s");
    const MachineId getter = start(world, {.clock_skew = ahead, .bootstrap = {world.endpoint(nodes[5])}});
    world.get(getter, content->id, {});
    gets_or_is_told(world, getter, *content, ahead);
    const auto clock = clock_of(world, getter);
    EXPECT_EQ(clock && !clock->doubtful && clock->matters, std::chrono::abs(ahead) > 30min);
    EXPECT_TRUE(world.stop(getter));
  }
  for (const MachineId node : nodes) EXPECT_FALSE(clock_of(world, node));
}

}  // namespace
}  // namespace shoal::sim
