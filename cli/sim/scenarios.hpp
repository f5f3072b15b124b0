// The scenarios that there are, each in a file of its own.
#pragma once

#include "cli/sim/scenario.hpp"

namespace shoal::sim {

[[nodiscard]] Scenario lookup_scenario();
[[nodiscard]] Scenario churn_scenario();
[[nodiscard]] Scenario hostile_scenario();
[[nodiscard]] Scenario sybils_scenario();
[[nodiscard]] Scenario eclipse_scenario();
[[nodiscard]] Scenario partition_scenario();
[[nodiscard]] Scenario textbook_scenario();
[[nodiscard]] Scenario swarm_scenario();

}  // namespace shoal::sim
