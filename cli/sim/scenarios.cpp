// The list of scenarios (scenario.hpp).
#include "cli/sim/scenarios.hpp"

#include <array>

namespace shoal::sim {

std::span<const Scenario> scenarios() {
  static const std::array all{
      lookup_scenario(),  churn_scenario(),     hostile_scenario(),  sybils_scenario(),
      eclipse_scenario(), partition_scenario(), textbook_scenario(), swarm_scenario(),
  };
  return all;
}

}  // namespace shoal::sim
