// The n-th call of a disk fails, whichever call that is, with whatever a system says then, once or for good;
// a write that fails has written a part. The peer goes on, or says why it cannot; when the cause is gone the
// same command again completes, and nothing that is claimed is false at any time.
//
// A signal that interrupts a call, and a write that is cut short without an error, are made good beneath this
// seam: tests/e2e/nth_call.py.
//
//   scenario_tests --gtest_filter='*NthCall*'                   a slice: every so many calls one
//   SHOAL_EVERY=1 scenario_tests --gtest_filter='*NthCall*'     the full sweep
#include <iostream>

#include "tests/scenarios/trial.hpp"

namespace shoal::sim {
namespace {

struct Said {
  const char* name;
  Error error;
};
constexpr Said said[] = {
    {"EIO", {Code::io, "the disk or its driver failed", 5}},
    {"ENOSPC", {Code::no_space, "the disk is full", 28}},
    {"EDQUOT", {Code::no_space, "the disk quota is used up", 122}},
    {"EMFILE", {Code::busy, "too many files are open", 24}},
};

TrialPlan plan_of(Duty duty, storage::Format format) {
  return {
      44, duty, {"set", {{"a", 150'000, 1}, {"b/c", 90'000, 2}, {"b/d", 40'000, 3}, {"e", 0, 4}}}, format};
}

// The calls of an undisturbed run, from the command to some seconds after the end.
std::uint64_t calls_of(const TrialPlan& plan) {
  Trial trial{plan};
  const std::uint64_t before = trial.disk().calls(DiskCall::any);
  EXPECT_TRUE(trial.command());
  EXPECT_TRUE(trial.finish(60s)) << trial.standing();
  trial.world.run_for(3s);
  return trial.disk().calls(DiskCall::any) - before;
}

class NthCall : public testing::TestWithParam<std::tuple<Duty, storage::Format>> {};

TEST_P(NthCall, FailsAndNothingIsLost) {
  const auto [duty, format] = GetParam();
  const TrialPlan plan = plan_of(duty, format);
  const std::uint64_t calls = calls_of(plan), every = ordered("SHOAL_EVERY", 61);
  std::uint64_t runs = 0, survived = 0, offset = GetParam() == NthCall::ParamType{} ? 1 : 7;
  for (const Said& each : said) {
    for (const Fault::Lasting lasting : {Fault::Lasting::once, Fault::Lasting::for_good}) {
      offset += 13;
      for (std::uint64_t nth = 1 + offset % every; nth <= calls; nth += every) {
        SCOPED_TRACE(std::string{each.name} + (lasting == Fault::Lasting::once ? " once" : " for good") +
                     " at call " + std::to_string(nth) + " of " + std::to_string(calls));
        ++runs;
        Trial trial{plan};
        const std::size_t said_before = trial.machine().answers().size();
        trial.disk().order({DiskCall::any, nth, each.error, lasting});
        trial.command();
        if (trial.finish(90s))
          ++survived;
        else
          ASSERT_TRUE(trial.told_why(said_before)) << "neither done nor told why: " << trial.standing();
        trial.disk().clear_faults();
        auto wrong = trial.false_bits();
        ASSERT_TRUE(wrong.empty()) << wrong.front();
        ASSERT_TRUE(trial.world.stop(trial.tested)) << trial.standing();
        const auto started = trial.world.start(trial.tested);
        ASSERT_TRUE(started.has_value()) << started.error().rule;
        wrong = trial.false_bits();
        ASSERT_TRUE(wrong.empty()) << wrong.front();
        trial.command();
        ASSERT_TRUE(trial.finish(120s)) << "again: " << trial.standing();
        if (duty != Duty::verify) trial.expect_right();
      }
    }
  }
  EXPECT_GT(runs, 0U);
  std::cout << runs << " runs of " << calls << " calls, " << survived << " went on by themselves\n";
}

INSTANTIATE_TEST_SUITE_P(All, NthCall,
                         testing::Combine(testing::ValuesIn(duties),
                                          testing::Values(storage::Format::v1, storage::Format::v2,
                                                          storage::Format::hybrid)),
                         [](const auto& each) {
                           return std::string{name_of(std::get<0>(each.param))} + "_" +
                                  name_of(std::get<1>(each.param));
                         });

}  // namespace
}  // namespace shoal::sim
