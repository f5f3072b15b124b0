// Tables (table.hpp).
#include "cli/table.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "cli/render.hpp"
#include "dht/base/check.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

constexpr unsigned least_title = 12;  // columns that a title may take although what stands below is narrower
constexpr const char* between = "  ";

enum class Side : std::uint8_t { left, right };

struct Strip {  // one column of the table
  std::vector<std::string> title, cells;
  Side side = Side::right;
  unsigned width = 0;
};

std::string show_number(double value, int decimals) {
  if (!std::isfinite(value)) return "-";
  std::string out = fmt::format("{:.{}f}", value, std::max(decimals, 0));
  const bool zero = out.find_first_not_of("-0.") == std::string::npos;
  return zero && out.front() == '-' ? out.substr(1) : out;  // no "-0.0"
}

std::string show_cell(const sim::Cell& cell, int decimals) {
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *whole);
  if (const auto* number = std::get_if<double>(&cell)) return show_number(*number, decimals);
  if (const auto* text = std::get_if<std::string>(&cell)) return storage::escape_for_display(*text);
  return "-";
}

unsigned widest(std::span<const std::string> lines) {
  unsigned out = 0;
  for (const std::string& line : lines) out = std::max(out, display_width(line));
  return out;
}

Strip strip_of(const sim::Column& column, std::size_t index, std::span<const sim::Row> rows) {
  Strip out;
  for (const sim::Row& row : rows) {
    const sim::Cell cell = index < row.cells.size() ? row.cells[index] : sim::Cell{};
    if (std::holds_alternative<std::string>(cell)) out.side = Side::left;
    out.cells.push_back(show_cell(cell, column.decimals));
  }
  const unsigned below = widest(out.cells);
  out.title = wrap(column.title, std::max(below, least_title));
  out.width = std::max(below, widest(out.title));
  return out;
}

void put(std::string& line, std::string_view text, const Strip& strip) {
  const std::string room(strip.width - display_width(text), ' ');
  if (strip.side == Side::right) line += room;
  line += text;
  if (strip.side == Side::left) line += room;
}

// One line of the table: what `text` gives for each strip.
template <class Text>
std::string line_of(std::span<const Strip> strips, Text text) {
  std::string line;
  for (const Strip& strip : strips) {
    if (&strip != strips.data()) line += between;
    put(line, text(strip), strip);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::vector<std::string> render_table(std::span<const sim::Column> columns, std::span<const sim::Row> rows) {
  if (columns.empty()) return {};
  for (const sim::Row& row : rows) SHOAL_CHECK(row.cells.size() <= columns.size());
  std::vector<Strip> strips;
  strips.reserve(columns.size());
  std::size_t height = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    strips.push_back(strip_of(columns[i], i, rows));
    height = std::max(height, strips.back().title.size());
  }
  std::vector<std::string> out;
  out.reserve(height + 1 + rows.size());
  for (std::size_t i = 0; i < height; ++i)  // titles stand on the rule
    out.push_back(line_of(strips, [&](const Strip& strip) {
      const std::size_t above = height - strip.title.size();
      return i < above ? std::string{} : strip.title[i - above];
    }));
  out.push_back(line_of(strips, [](const Strip& strip) { return std::string(strip.width, '-'); }));
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(line_of(strips, [&](const Strip& strip) { return strip.cells[i]; }));
  return out;
}

}  // namespace shoal::cli
