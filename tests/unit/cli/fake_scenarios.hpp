// Scenarios that need no world: a function of their seed and parameters that reports progress, gives every
// kind of cell, and may be stopped.
#pragma once

#include <array>
#include <limits>
#include <span>
#include <string>

#include "cli/sim/scenario.hpp"

namespace shoal::cli {

// `waves`: a row for each node, and a plot. `silent`: no row, no parameter, no plot.
inline std::span<const sim::Scenario> fake_scenarios() {
  using sim::Series;
  static constexpr std::array<sim::Parameter, 3> of_waves{{{"nodes", "how many", 4, 1, 100},
                                                           {"loss-rate", "part that is lost", 0.5, 0, 1},
                                                           {"up", "uplink, kB/s", 100, 1, 1000}}};
  static constexpr auto run_waves = [](const sim::Order& order) {
    sim::Report out;
    out.columns = {
        {"n", "nodes", 0}, {"half", "half of the nodes, s", 2}, {"name", "name", 0}, {"odd", "odd", 1}};
    out.notes = {"a note"};
    sim::Plot plot{"Waves", "nodes", "height, m", {{"half", Series::Style::line, {}}}};
    for (std::uint64_t i = 1; i <= order.count("nodes"); ++i) {
      const auto n = static_cast<double>(i);
      if (!order.progress((n - 1) / order.number("nodes"), "at sea")) break;
      sim::Row row{from_unix_ms(static_cast<std::int64_t>(1000 * i + order.seed)), {}};
      row.cells = {static_cast<std::int64_t>(i), n / 2, "wave " + std::to_string(i)};
      if (i % 2 == 1) row.cells.emplace_back(i == 3 ? std::numeric_limits<double>::quiet_NaN() : -n);
      out.rows.push_back(row);
      plot.series[0].points.emplace_back(n, n / 2);
    }
    out.plot = plot;
    return out;
  };
  static constexpr auto run_silent = [](const sim::Order&) { return sim::Report{}; };
  static const std::array<sim::Scenario, 2> all{
      {{"waves", "goes up and down", of_waves, run_waves}, {"silent", "says nothing", {}, run_silent}}};
  return all;
}

}  // namespace shoal::cli
