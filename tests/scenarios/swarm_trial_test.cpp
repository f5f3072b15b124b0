// What `shoal simulate textbook` and `swarm` measure, in small: the bounds hold, hostile peers do not pay,
// and the same seed gives the same run.
#include "cli/sim/swarm_trial.hpp"

#include <gtest/gtest.h>

#include "cli/sim/scenarios.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * 1024;

TrialPlan equal_peers(std::size_t count, std::uint64_t bytes) {
  TrialPlan plan;
  plan.seed = 7;
  plan.bytes = bytes;
  plan.seed_rates.up = 512 * kib;
  plan.peers.assign(count, {.rates = {512 * kib, 0}});
  return plan;
}
TrialResult whole(const TrialPlan& plan) {
  return run_trial(plan, [](double) { return true; });
}

TEST(Bounds, AreTheTextbooks) {
  EXPECT_DOUBLE_EQ(p2p_bound(100, 10, 0, 5, 20), 5 * 100 / 30.0);
  EXPECT_DOUBLE_EQ(p2p_bound(100, 2, 0, 5, 200), 50);
  EXPECT_DOUBLE_EQ(p2p_bound(100, 50, 1, 5, 500), 100);
  EXPECT_DOUBLE_EQ(client_server_bound(100, 10, 0, 5), 50);
  EXPECT_DOUBLE_EQ(client_server_bound(100, 10, 1, 5), 100);
}

TEST(SwarmTrial, NobodyBeatsTheBoundAndThePeersComeNear) {
  const TrialResult result = whole(equal_peers(10, 32 * mib));
  ASSERT_TRUE(result.finished);
  EXPECT_GE(result.last, result.bound);
  EXPECT_LE(result.last, 1.25 * result.bound);
  EXPECT_LE(result.mean, result.last);
  EXPECT_GT(result.busy, 0.85);
  EXPECT_LE(result.busy, 1.0);
  EXPECT_GE(result.received, 1.0);
  EXPECT_LE(result.received, 1.03);  // endgame weighs more in so small a content
  EXPECT_EQ(result.bans, 0U);
}

// The seed's line is the narrowest of all: it must be full from the first second on, however young its
// streams.
TEST(SwarmTrial, LinesOfVeryDifferentWidthWaitForTheSeedAlone) {
  TrialPlan plan;
  plan.seed = 5;
  plan.bytes = 48 * mib;
  plan.seed_rates.up = 4 * mib;
  for (std::uint64_t i = 0; i < 24; ++i) {
    const std::uint64_t up = mib << (2 * (i % 3));
    plan.peers.push_back({.rates = {up, 8 * up}});
  }
  const TrialResult result = whole(plan);
  ASSERT_TRUE(result.finished);
  EXPECT_LE(result.last, 1.30 * result.bound);
}

// A piece takes four seconds, and an answer up to half a minute: nobody is given up for it, nothing is asked
// for twice.
TEST(SwarmTrial, SlowLinesWasteNothing) {
  TrialPlan plan;
  plan.seed = 11;
  plan.bytes = 16 * mib;
  plan.seed_rates.up = 320 * kib;
  plan.peers.assign(20, {.rates = {32 * kib, 0}});
  const TrialResult result = whole(plan);
  ASSERT_TRUE(result.finished);
  EXPECT_LE(result.last, 1.10 * result.bound);
  EXPECT_LE(result.wasted, 0.06);  // of 16 MiB the end, where blocks are asked of two, is a large part
}

TEST(SwarmTrial, TheSameSeedGivesTheSameRun) {
  TrialPlan plan = equal_peers(6, 4 * mib);
  plan.peers[2].manner = Manner::rider;
  plan.crash_every = std::chrono::seconds{5};
  const TrialResult first = whole(plan), again = whole(plan);
  EXPECT_EQ(first.digest, again.digest);
  EXPECT_EQ(first.seconds, again.seconds);
  plan.seed = 8;
  EXPECT_NE(whole(plan).digest, first.digest);
}

TEST(SwarmTrial, RidersAndAttackersGetLessThanHalf) {
  TrialPlan plan = equal_peers(12, 40 * mib);
  plan.peers.push_back({.rates = {512 * kib, 0}, .manner = Manner::rider});
  plan.peers.push_back({.rates = {}, .manner = Manner::attacker});
  const TrialResult result = whole(plan);
  ASSERT_TRUE(result.finished);
  EXPECT_LE(result.rider_share, 0.5);
  EXPECT_GT(result.rider_share, 0.0);
  EXPECT_LE(result.last, 1.4 * result.bound);
}

TEST(SwarmTrial, PoisonersAreBannedAndNobodyElse) {
  TrialPlan plan = equal_peers(6, 48 * mib);
  plan.peers.push_back({.rates = {512 * kib, 0}, .manner = Manner::poisoner});
  plan.crash_every = std::chrono::seconds{15};
  const TrialResult result = whole(plan);
  ASSERT_TRUE(result.finished);
  EXPECT_GT(result.bans, 0U);
  EXPECT_EQ(result.wrong_bans, 0U);
  EXPECT_LE(result.worst_blame, 2U);
  EXPECT_LE(result.wasted, 0.02);
}

TEST(SwarmTrial, EndsWhenToldTo) {
  int asked = 0;
  const TrialResult result = run_trial(equal_peers(3, 64 * mib), [&](double) { return ++asked < 3; });
  EXPECT_EQ(asked, 3);
  EXPECT_FALSE(result.finished);
}

// The scenarios as the command runs them.
TEST(Scenarios, GiveTheirColumnsAndAPlot) {
  for (const Scenario& scenario : scenarios()) {
    const std::string name = scenario.name;
    if (name != "textbook" && name != "swarm") continue;
    Order order;
    order.seed = 3;
    for (const Parameter& parameter : scenario.parameters) order.parameters[parameter.name] = parameter.usual;
    order.parameters["nodes"] = 3;
    order.parameters["bytes"] = 4;
    if (name == "swarm")
      order.parameters["runs"] = 2;
    else
      order.parameters["hours"] = 0.01;
    double last = 0;
    order.progress = [&](double part, std::string_view) {
      EXPECT_GE(part, last);
      EXPECT_LE(part, 1.0);
      last = part;
      return true;
    };
    const Report report = scenario.run(order);
    ASSERT_EQ(report.rows.size(), name == "swarm" ? 2U : 1U);
    std::map<std::string, Cell> cells;
    for (const Row& row : report.rows) {
      ASSERT_EQ(row.cells.size(), report.columns.size());
      for (std::size_t i = 0; i < row.cells.size(); ++i) cells[report.columns[i].key] = row.cells[i];
    }
    for (const char* key : {"n", "bound_s", "client_server_s", "time_s", "ratio"})
      EXPECT_FALSE(std::holds_alternative<std::monostate>(cells[key])) << name << " " << key;
    EXPECT_GE(std::get<double>(cells["ratio"]), 1.0);
    EXPECT_EQ(report.plot.has_value(), name == "textbook");
    EXPECT_FALSE(report.notes.empty());
  }
}

}  // namespace
}  // namespace shoal::sim
