// A double as an integer: of what lies beyond its range the nearest, of what is no number 0. The language
// leaves that undefined, and rates that others determine have no bounds.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>

namespace shoal {

template <std::integral T>
[[nodiscard]] T saturated(double value) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(value)) return 0;
  if (value <= static_cast<double>(Limits::min())) return Limits::min();
  return value >= static_cast<double>(Limits::max()) ? Limits::max() : static_cast<T>(value);
}

}  // namespace shoal
