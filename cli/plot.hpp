// A scenario's plot as SVG, 800 x 500 on a light background: axes with ticks at round numbers, a legend,
// lines, dashed lines and points. Pure text, the same for the same plot.
#pragma once

#include <string>
#include <string_view>

#include "cli/sim/scenario.hpp"

namespace shoal::cli {

// `caption`: one small line at the foot, such as the command that draws this again; may be empty.
// A point that is not finite, or not positive on a logarithmic axis, is left out and ends its line there.
[[nodiscard]] std::string draw_plot(const sim::Plot& plot, std::string_view caption);

}  // namespace shoal::cli
