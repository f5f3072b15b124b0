// What people read while a command works: one line of progress, as wide as their screen. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "swarm/session.hpp"

namespace shoal::cli {

enum class Colour : std::uint8_t { none, some };

// Columns that a text takes on a terminal: combining marks none, East Asian wide characters and emoji two.
// `text` is valid UTF-8 without control characters (escaped).
[[nodiscard]] unsigned display_width(std::string_view text);
// At most so many columns; what is cut off is marked by "..." at its end.
[[nodiscard]] std::string clip(std::string_view text, unsigned columns);
// Broken at spaces into lines of at most so many columns; a longer word has a line of its own. Never empty.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, unsigned columns);
// "SCENARIO: 45.2 %, WHAT, 3:20 left"; `part` from 0 to 1, `seconds` since it was 0.
[[nodiscard]] std::string simulation_line(std::string_view scenario, double part, std::string_view what,
                                          double seconds, unsigned columns);

// "NAME: 45.2 % of 1.2 GiB, 12.3 MiB/s down, 0 B/s up, 5 peers, 3:20 left". The name gives way first where it
// is narrow.
[[nodiscard]] std::string progress_line(const swarm::ContentStatus& status, std::string_view name,
                                        unsigned columns, Colour colour);
[[nodiscard]] std::string hashing_line(std::uint64_t done, std::uint64_t total, double seconds,
                                       unsigned columns);
[[nodiscard]] const char* phase_name(swarm::ContentStatus::Phase phase);

}  // namespace shoal::cli
