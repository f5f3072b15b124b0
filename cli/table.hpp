// A scenario's rows as a table for people: pure text, the same for the same rows.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/sim/scenario.hpp"

namespace shoal::cli {

// Lines without line feeds: the titles (broken into several lines where they are wider than what stands below
// them), a rule, then one line a row. Numbers to the right, text to the left; "-" where there is nothing to
// tell, or no finite number. Empty where there is no column.
[[nodiscard]] std::vector<std::string> render_table(std::span<const sim::Column> columns,
                                                    std::span<const sim::Row> rows);

}  // namespace shoal::cli
