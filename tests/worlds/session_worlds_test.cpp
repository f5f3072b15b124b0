// Worlds of whole peers by lot: whatever is drawn, no invariant breaks, and once the faults are over everyone
// gets what it can reach. Each seed is a test.
//
//   session_worlds                                    the first worlds, as many as SHOAL_WORLDS says (40)
//   SHOAL_WORLD_FIRST=5000 SHOAL_WORLDS=2000 session_worlds    others; the long form
//   SHOAL_WORLD_SEED=1234 session_worlds              that one, and its story
//
// GTEST_TOTAL_SHARDS and GTEST_SHARD_INDEX spread them over processes.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/worlds/session_world.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t twice_every = 50;  // worlds: the same seed must give the same run

std::optional<std::uint64_t> number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

// The line to paste, also at hand where a check of the product ends the process.
std::string replay;
void tell_replay(int signal) {
  (void)!::write(STDERR_FILENO, replay.data(), replay.size());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::string program() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return path.lexically_relative(std::filesystem::current_path()).string();
}

class SessionWorlds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SessionWorlds, ComeRight) {
  const std::uint64_t seed = GetParam();
  replay = "replay: SHOAL_WORLD_SEED=" + std::to_string(seed) + " " + program() + "\n";
  const bool alone = number("SHOAL_WORLD_SEED").has_value();
  const SessionWorld::Outcome outcome = SessionWorld{seed}.run();
  for (const std::string& finding : outcome.findings) ADD_FAILURE() << finding;
  const bool twice = alone || seed % twice_every == 0;
  EXPECT_TRUE(!twice || SessionWorld{seed}.run() == outcome) << "the same seed gave two different runs";
  if (alone)
    for (const std::string& line : outcome.story) std::cout << line << "\n";
  if (HasFailure() && !alone) std::cerr << replay;
  RecordProperty("virtual_seconds", std::to_string(seconds(outcome.took)));
  RecordProperty("healing_seconds", std::to_string(seconds(outcome.healing)));
}

std::vector<std::uint64_t> seeds() {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, tell_replay);
  if (const auto one = number("SHOAL_WORLD_SEED")) return {*one};
  std::vector<std::uint64_t> out(number("SHOAL_WORLDS").value_or(40));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = number("SHOAL_WORLD_FIRST").value_or(1) + i;
  return out;
}

INSTANTIATE_TEST_SUITE_P(Seed, SessionWorlds, testing::ValuesIn(seeds()),
                         [](const auto& tested) { return std::to_string(tested.param); });

}  // namespace
}  // namespace shoal::sim
