// Quantities (quantity.hpp).
#include "cli/quantity.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace shoal::cli {

Result<std::uint64_t> parse_quantity(std::string_view text) {
  constexpr auto wrong = "a quantity is a number with K, M or G behind it, such as 500K or 1.5M";
  for (const std::string_view tail : {"/s", "B", "i"})
    if (text.ends_with(tail)) text.remove_suffix(tail.size());
  double unit = 1;
  if (!text.empty()) {
    constexpr std::string_view letters = "KMGT";
    const char last = text.back() >= 'a' ? static_cast<char>(text.back() - 'a' + 'A') : text.back();
    if (const auto at = letters.find(last); at != std::string_view::npos) {
      unit = std::pow(1024.0, static_cast<double>(at + 1));
      text.remove_suffix(1);
    }
  }
  double value = 0, place = 1;
  bool point = false, digits = false;
  if (text.size() > 18)
    return fail(Code::malformed, wrong);  // beyond any rate, and beyond what a double holds
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      digits = true;
      if (point) place /= 10;
      value = point ? value + place * (c - '0') : value * 10 + (c - '0');
    } else {
      return fail(Code::malformed, wrong);
    }
  }
  if (!digits) return fail(Code::malformed, wrong);
  const double bytes = value * unit;
  if (bytes < 1 || bytes > std::pow(2.0, 50))
    return fail(Code::too_large, "a quantity is from 1 byte to 2^50");
  return static_cast<std::uint64_t>(std::llround(bytes));
}

std::string show_size(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0, so the next unit begins before it.
  while (value >= 1023.5 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 99.95 ? fmt::format("{:.1f} {}", value, units[unit])
                       : fmt::format("{:.0f} {}", value, units[unit]);
}

std::string show_rate(double bytes_a_second) {
  return show_size(static_cast<std::uint64_t>(std::llround(std::clamp(bytes_a_second, 0.0, 1e18)))) + "/s";
}

std::string show_duration(double seconds) {
  if (seconds >= 0 && seconds < 9.95 && seconds != std::floor(seconds))
    return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::clamp(std::ceil(seconds), 0.0, 3.2e9));
  const std::uint64_t days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60;
  if (days > 0) return fmt::format("{} d {} h", days, hours);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  if (minutes > 0) return fmt::format("{}:{:02}", minutes, whole % 60);
  return fmt::format("{} s", whole);
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace shoal::cli
