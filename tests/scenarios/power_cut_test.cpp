// Power cuts: at every sync point of one download, and by lot at any call of anything that a machine does.
// Unsynced writes are applied, lost or torn, each by itself. Whatever is found afterwards, nothing that is
// claimed is false.
//
//   scenario_tests --gtest_filter='*PowerCut*'                      some hundreds
//   SHOAL_CUTS=10000 scenario_tests --gtest_filter='*PowerCut*'     the long form; GTEST_TOTAL_SHARDS spreads
//   it
#include <iostream>
#include <map>
#include <tuple>

#include "tests/scenarios/trial.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t most_hashed = 64 * mib;  // again, after a power cut

Oracle small_files() {
  return {"set", {{"a", 150'000, 1}, {"b/c", 90'000, 2}, {"b/d", 40'000, 3}, {"e", 0, 4}}};
}

class PowerCut : public testing::TestWithParam<std::tuple<DiskImage::Moment, Unsynced>> {};

TEST_P(PowerCut, AtEverySyncPointLeavesNoFalseBit) {
  const auto [moment, fate] = GetParam();
  const TrialPlan plan{.number = 40, .oracle = small_files(), .fate = fate};
  Trial undisturbed{plan};
  const std::uint64_t before = undisturbed.disk().syncs();
  undisturbed.command();
  ASSERT_TRUE(undisturbed.finish(60s)) << undisturbed.standing();
  undisturbed.world.run_for(10s);
  const std::uint64_t syncs = undisturbed.disk().syncs() - before;
  ASSERT_GT(syncs, 5U);
  std::uint64_t died = 0;
  for (std::uint64_t nth = 1; nth <= syncs; ++nth) {
    SCOPED_TRACE("sync " + std::to_string(nth));
    Trial trial{plan};
    trial.disk().trap_sync(nth, moment);
    trial.command();
    trial.world.run_until([&] { return !trial.machine().running(); }, 30s);
    if (!trial.machine().running()) {
      ++died;
      trial.world.run_for(1s);
      const auto started = trial.world.start(trial.tested);
      ASSERT_TRUE(started.has_value()) << started.error().rule;
      const auto wrong = trial.false_bits();
      ASSERT_TRUE(wrong.empty()) << wrong.front();
      trial.command();
    }
    ASSERT_TRUE(trial.finish(120s)) << trial.standing();
    trial.expect_right();
  }
  EXPECT_GE(died + 2, syncs);  // the trap did spring
}

std::string power_cut_name(const testing::TestParamInfo<PowerCut::ParamType>& tested) {
  const auto [moment, fate] = tested.param;
  const char* what = fate == Unsynced::applied ? "Applied" : fate == Unsynced::dropped ? "Dropped" : "Torn";
  return std::string{moment == DiskImage::Moment::before ? "Before" : "After"} + what;
}

INSTANTIATE_TEST_SUITE_P(
    All, PowerCut,
    testing::Combine(testing::Values(DiskImage::Moment::before, DiskImage::Moment::after),
                     testing::Values(Unsynced::applied, Unsynced::dropped, Unsynced::torn)),
    power_cut_name);

// ---- by lot

struct Kind {
  Oracle oracle;
  DiskTiming timing{};
};

Kind kind_of(std::uint64_t number) {
  if (number == 1) return {Oracle::single("one", 700'001, 5)};
  if (number == 2) {  // more files in a commit than are synced one by one
    std::vector<SyntheticFile> files;
    for (std::uint64_t i = 0; i < 50; ++i)
      files.push_back({"d" + std::to_string(i % 5) + "/f" + std::to_string(i), i * 613 % 9'000, i});
    return {Oracle{"many", files}};
  }
  // More than may be hashed again, on a disk that takes long to sync.
  if (number == 3) return {Oracle::single("large", 160 * mib, 6), {.sync = Duration{900'000}}};
  return {small_files()};
}

struct Cut {
  Duty duty{};
  storage::Format format{};
  std::uint64_t kind = 0;
  auto operator<=>(const Cut&) const = default;

  [[nodiscard]] TrialPlan plan(Unsynced fate) const {
    Kind what = kind_of(kind);
    return {41, duty, std::move(what.oracle), format, fate, what.timing};
  }
};

template <class Range>
auto one_of(const Range& range, Random& lots) {
  return range[static_cast<std::size_t>(lots.below(std::size(range)))];
}

Cut draw(Random& lots, std::uint64_t number) {
  constexpr Duty often[] = {Duty::get,  Duty::get,  Duty::get,   Duty::share,
                            Duty::seed, Duty::rest, Duty::verify};
  constexpr storage::Format formats[] = {storage::Format::v2, storage::Format::v1, storage::Format::hybrid};
  if (number % 250 == 0) return {Duty::get, formats[number / 250 % 3], 3};
  return {one_of(often, lots), one_of(formats, lots), lots.below(3)};
}

// How many calls of the disk it takes from the command to some seconds after the end.
std::uint64_t calls_of(const Cut& cut) {
  static std::map<Cut, std::uint64_t> known;
  std::uint64_t& calls = known[cut];
  if (calls > 0) return calls;
  Trial trial{cut.plan(Unsynced::torn)};
  const std::uint64_t before = trial.disk().calls(DiskCall::any);
  EXPECT_TRUE(trial.command());
  EXPECT_TRUE(trial.finish(120s)) << trial.standing();
  trial.world.run_for(3s);
  return calls = trial.disk().calls(DiskCall::any) - before;
}

struct Tally {
  std::uint64_t cuts = 0, most_hashed = 0;
};

// One life after another, each cut short by what was set for it. False: it lived.
bool dies(Trial& trial, bool& done) {
  trial.world.run_until([&] { return !trial.machine().running() || trial.disk().halted() || trial.done(); },
                        120s);
  done = trial.machine().running() && !trial.disk().halted() && trial.done();
  if (!done && trial.machine().running() && !trial.disk().halted()) return false;
  if (trial.disk().halted()) trial.world.kill(trial.tested, Machine::Death::power);
  return !done;
}

void cut_power(std::uint64_t number, Tally& tally) {
  Random::Seed seed{};
  store_be(seed.data(), number);
  Random lots{seed};
  const Cut cut = draw(lots, number);
  constexpr Unsynced fates[] = {Unsynced::torn, Unsynced::torn, Unsynced::dropped, Unsynced::applied};
  const Unsynced fate = one_of(fates, lots);
  Trial trial{cut.plan(fate)};
  std::uint64_t hashed = 0;
  trial.count_hashed(hashed);
  trial.disk().trap_call(1 + lots.below(calls_of(cut)));
  trial.command();
  bool done = false;
  for (int deaths = 1; dies(trial, done); ++deaths) {
    ++tally.cuts;
    trial.world.run_for(1s);
    hashed = 0;
    // Now and then it goes again while the machine comes back.
    if (deaths < 3 && lots.below(4) == 0) trial.disk().trap_call(1 + lots.below(150));
    while (!trial.machine().running()) {
      const auto started = trial.world.start(trial.tested);
      if (started) break;
      ASSERT_TRUE(trial.disk().halted()) << "the catalog does not open: " << started.error().rule;
      trial.disk().crash(fate, trial.world.random());
      ++tally.cuts;
    }
    const auto wrong = trial.false_bits();
    ASSERT_TRUE(wrong.empty() || trial.disk().halted()) << wrong.front();
    if (!trial.disk().halted()) trial.command();
  }
  trial.disk().release();  // a trap that has not sprung
  ASSERT_TRUE(done || trial.finish(5min)) << trial.standing();
  if (cut.duty != Duty::verify) trial.expect_right();
  const auto wrong = trial.false_bits();
  ASSERT_TRUE(wrong.empty()) << wrong.front();
  ASSERT_LE(hashed, most_hashed);
  tally.most_hashed = std::max(tally.most_hashed, hashed);
}

// A sixteenth each.
class PowerCutByLot : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCutByLot, LeavesNothingFalse) {
  const std::uint64_t wanted = (ordered("SHOAL_CUTS", 320) + 15) / 16;
  Tally tally;
  for (std::uint64_t number = GetParam(); tally.cuts < wanted; number += 16) {
    SCOPED_TRACE("lot " + std::to_string(number));
    cut_power(number, tally);
    if (HasFailure()) return;
  }
  RecordProperty("cuts", std::to_string(tally.cuts));
  std::cout << tally.cuts << " power cuts; hashed again after one, at most: " << tally.most_hashed
            << " bytes\n";
}

INSTANTIATE_TEST_SUITE_P(Shard, PowerCutByLot, testing::Range<std::uint64_t>(0, 16));

}  // namespace
}  // namespace shoal::sim
