// Arguments of `simulate`, judged: which scenario, with which numbers. Text in, a value or one sentence out;
// the flags themselves are declared with all others (args.cpp).
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/args.hpp"

namespace shoal::cli {

// As it came. One list of values for each scenario, one value for each of its parameters; empty: not given.
struct SimulationText {
  const sim::Scenario* chosen = nullptr;
  std::string stray;  // a word that names no scenario, or one word too many
  std::string seed, svg;
  bool list = false;
  std::vector<std::vector<std::string>> values;
};

[[nodiscard]] std::expected<Simulation, std::string> judge_simulation(
    const SimulationText& text, std::span<const sim::Scenario> scenarios);
// What is wrong with a flag that nothing takes where it stands; `flag` with its dashes.
[[nodiscard]] std::string judge_stray_flag(const SimulationText& text, std::string_view flag,
                                           std::span<const sim::Scenario> scenarios);

// "SHOAL_SIMULATE_SEED_UP" for seed-up. Parameters of one name share a variable: it counts for the scenario
// that is run.
[[nodiscard]] std::string simulate_variable(std::string_view name);
// "from 1 to 500".
[[nodiscard]] std::string range_of(const sim::Parameter& parameter);

}  // namespace shoal::cli
