// Orders for scenarios of the simulator, and what their reports say.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "cli/sim/scenario.hpp"

namespace shoal::sim {

inline Order order_for(const Scenario& scenario, std::uint64_t seed,
                       std::initializer_list<std::pair<const char*, double>> set) {
  Order order;
  order.seed = seed;
  for (const Parameter& parameter : scenario.parameters) order.parameters[parameter.name] = parameter.usual;
  for (const auto& [name, value] : set) {
    EXPECT_TRUE(order.parameters.contains(name)) << name;
    order.parameters[name] = value;
  }
  return order;
}

inline double cell(const Report& report, std::size_t row, std::string_view key) {
  for (std::size_t i = 0; i < report.columns.size(); ++i) {
    if (report.columns[i].key != key) continue;
    const Cell& found = report.rows.at(row).cells.at(i);
    if (const auto* number = std::get_if<double>(&found)) return *number;
    if (const auto* number = std::get_if<std::int64_t>(&found)) return static_cast<double>(*number);
  }
  ADD_FAILURE() << "no number " << key;
  return -1;
}

// One seed twice gives the same bytes, another seed others.
inline void expect_digest(const Scenario& scenario,
                          std::initializer_list<std::pair<const char*, double>> set) {
  const auto run = [&](std::uint64_t seed) { return scenario.run(order_for(scenario, seed, set)); };
  const Report first = run(7), second = run(7), other = run(8);
  ASSERT_FALSE(first.rows.empty());
  ASSERT_EQ(first.rows.size(), second.rows.size());
  for (std::size_t i = 0; i < first.rows.size(); ++i) {
    EXPECT_EQ(first.rows[i].cells, second.rows[i].cells);
    EXPECT_EQ(first.rows[i].at, second.rows[i].at);
  }
  EXPECT_NE(first.rows.back().cells, other.rows.back().cells);
}

}  // namespace shoal::sim
