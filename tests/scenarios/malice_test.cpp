// Peers that give false blocks (THREATS A21, CVE-2010-0749) or claim what they do not give (A24), in every
// format and both dialects.
#include <algorithm>

#include "cli/sim/swarm_trial.hpp"
#include "swarm/limits.hpp"
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

using storage::Format;

class Malice : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Formats, Malice, testing::Values(Format::v1, Format::v2, Format::hybrid),
                         [](const auto& each) {
                           return each.param == Format::v1   ? "v1"
                                  : each.param == Format::v2 ? "v2"
                                                             : "hybrid";
                         });

TrialResult run(TrialPlan plan) {
  return run_trial(plan, [](double) { return true; });
}

// In full: `shoal simulate swarm --nodes 45 --poisoners 5 --format 1 --runs 5`, and 2 and 3.
TEST_P(Malice, A21PoisonersAreAllBannedForTwoPiecesAtMost) {
  TrialPlan plan;
  plan.format = GetParam();
  plan.seed = 17;
  plan.bytes = 32 * mib;
  plan.seed_rates.up = 512 * kib;
  plan.peers.assign(9, {.rates = {512 * kib, 0}});
  const TrialResult honest = run(plan);
  plan.peers.push_back({.rates = {512 * kib, 0}, .manner = Manner::poisoner});
  const TrialResult result = run(plan);
  ASSERT_TRUE(result.finished) << "a false byte, or somebody is not done";
  EXPECT_GE(result.poisoned, 5U) << "of nine";
  EXPECT_EQ(result.missed, 0U);
  EXPECT_EQ(result.wrong_bans, 0U);
  EXPECT_LE(result.worst_pieces, 2U);
  EXPECT_LE(result.wasted, honest.wasted + 0.015) << "of so little the end is a large part";
}

// In full: `shoal simulate swarm --nodes 40`, with and without `--liars 10`.
TEST_P(Malice, A24LiarsDelayNobodyMuch) {
  TrialPlan plan;
  plan.format = GetParam();
  plan.seed = 19;
  plan.bytes = 32 * mib;
  plan.seed_rates.up = 512 * kib;
  plan.peers.assign(8, {.rates = {512 * kib, 0}});
  const TrialResult honest = run(plan);
  for (const Manner manner : {Manner::refuser, Manner::miser})
    plan.peers.push_back({.rates = {512 * kib, 0}, .manner = manner});
  const TrialResult lied = run(plan);
  ASSERT_TRUE(honest.finished && lied.finished);
  // Of a public content the liars have got it from the seed itself: it must show it piece by piece once more.
  EXPECT_LE(lied.last, 1.1 * honest.last);
  RecordProperty("ratio", std::to_string(lied.last / honest.last));
}

// A getter, and sharers of whom the last few give false blocks.
struct Poisoned {
  World world;
  Oracle oracle;
  Format format;
  storage::ContentPtr content;
  std::vector<MachineId> sharers;
  MachineId getter = 0;

  Poisoned(Format kind, std::uint64_t seed, std::uint64_t bytes, std::uint32_t piece_length,
           const std::vector<std::uint64_t>& rates, std::size_t poisoners)
      : world{seed}, oracle{Oracle::single("film", bytes, seed)}, format{kind} {
    for (const std::uint64_t rate : rates) sharers.push_back(add(rate));
    const auto path = oracle.plant(world.machine(sharers.front()));
    EXPECT_TRUE(path);
    const auto shared = world.share(sharers.front(), *path, piece_length, format);
    EXPECT_TRUE(shared);
    content = *shared;
    for (std::size_t i = 1; i < sharers.size(); ++i) open(sharers[i]);
    EXPECT_TRUE(world.run_until([&] { return all_finished(world, sharers, *content); }, 1h));
    for (std::size_t i = sharers.size() - poisoners; i < sharers.size(); ++i)
      world.machine(sharers[i]).after_job = [](const JobNote& note, storage::Done& done) {
        if (note.kind != JobNote::Kind::read || !done) return;
        std::get<storage::ReadDone>(*done).data.span()[note.lead + note.length / 2] ^= 1;
      };
    getter = add(0);
    open(getter);
  }
  MachineId add(std::uint64_t rate) {
    return start(
        world,
        {.host = {.rates = {rate, 0}}, .native = format == Format::v2, .mainline = format != Format::v2});
  }
  void open(MachineId id) {
    swarm::OpenContent what;
    what.id = content->id;
    for (const MachineId sharer : sharers) what.hints.push_back(world.endpoint(sharer));
    what.seed = {swarm::SeedUntil::forever, 0};
    what.is_public = format != Format::v2;
    world.open(id, std::move(what));
  }
  bool finish(Duration limit) {
    return world.run_until([&] { return finished(world, getter, *content); }, limit);
  }
  [[nodiscard]] std::uint32_t banned() { return world.status(getter, content->id)->banned; }
};

// Each piece takes long, so that several give of it, and of several pieces at once each is spoilt by others.
TEST_P(Malice, A21PiecesOfManySendersTellWhoSpoiltThem) {
  for (const std::uint64_t number : {1U, 2U, 3U}) {
    Poisoned all{GetParam(), number, 12 * mib, 1 * mib, std::vector<std::uint64_t>(7, 64 * kib), 3};
    EXPECT_TRUE(all.finish(300s)) << number << ": " << standing(all.world, all.getter, *all.content);
    EXPECT_EQ(all.banned(), 3U) << number;
    expect_right(all.world, all.getter, *all.content, all.oracle);
    const std::uint64_t wasted = all.world.status(all.getter, all.content->id)->wasted;
    EXPECT_LE(wasted, 2 * all.content->bytes) << number << ": three of seven spoil every piece they give of";
    RecordProperty("wasted" + std::to_string(number), std::to_string(wasted / mib));
  }
}

// Transmission CVE-2010-0749: all that is missing is asked of two, and one of them is faster and false. It
// keeps us from nothing, however it goes about it: at its full pace, or so slowly that it never comes to an
// end.
TEST_P(Malice, TransmissionCve2010_0749FalseBlocksInTheEndgame) {
  for (const std::uint64_t pace : {1 * mib, 2 * kib}) {
    for (const std::uint64_t number : {4U, 5U}) {
      Poisoned all{GetParam(), number, 1 * mib, 256 * kib, {64 * kib, pace, pace, pace, pace}, 4};
      EXPECT_TRUE(all.finish(240s)) << pace << ' ' << standing(all.world, all.getter, *all.content);
      EXPECT_LE(all.banned(), 4U);
      expect_right(all.world, all.getter, *all.content, all.oracle);
      RecordProperty("seconds" + std::to_string(pace) + "_" + std::to_string(number),
                     std::to_string(seconds(all.world.elapsed())));
    }
  }
}

// One block is false, by no fault of who sends it: nobody is banned for that.
TEST_P(Malice, A21OneFalseBlockIsForgiven) {
  Poisoned all{GetParam(), 6, 8 * mib, 256 * kib, {256 * kib, 256 * kib}, 0};
  bool once = false;
  all.world.machine(all.sharers[1]).after_job = [&once](const JobNote& note, storage::Done& done) {
    if (note.kind != JobNote::Kind::read || !done || std::exchange(once, true)) return;
    std::get<storage::ReadDone>(*done).data.span()[note.lead] ^= 1;
  };
  EXPECT_TRUE(all.finish(60s)) << standing(all.world, all.getter, *all.content);
  EXPECT_TRUE(once);
  EXPECT_EQ(all.banned(), 0U);
  expect_right(all.world, all.getter, *all.content, all.oracle);
}

}  // namespace
}  // namespace shoal::sim
