// One axis of a plot: from where to where it goes, and where its ticks stand. Pure.
//
// Ticks at 1, 2 and 5 times a power of ten: Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/sim/scenario.hpp"

namespace shoal::cli {

struct Tick {
  double value = 0;
  std::string label;  // "10,000", "0.25"
};

struct Axis {
  sim::Scale scale = sim::Scale::linear;
  double first = 0, last = 1;  // first < last; both above 0 where it is logarithmic
  std::vector<Tick> ticks;     // ascending, within [first, last]

  // 0 at its beginning, 1 at its end. `value` must be one that the scale can show.
  [[nodiscard]] double part(double value) const;
  [[nodiscard]] bool shows(double value) const;  // finite, and above 0 where it is logarithmic
};

// Where an axis ends: at its last value, or at the next tick.
enum class End : std::uint8_t { at_value, at_tick };

// For these values, with about `wanted` ticks; those that the scale cannot show do not count. Zero is part of
// a linear axis when all are above it and the least is below half of the greatest.
[[nodiscard]] Axis axis_for(const std::vector<double>& values, sim::Scale scale, End end, int wanted);

// With separators: "-12,345.50".
[[nodiscard]] std::string tick_label(double value, int decimals);

}  // namespace shoal::cli
