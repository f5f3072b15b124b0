// Scenario: an experiment that `shoal simulate` runs in a virtual network with the product's own engines:
// what it may be told, and what it gives. A value in, a value out; how it is shown is the command's business.
//
// The same seed and parameters give the same outcome, to the bit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dht/base/time.hpp"

namespace shoal::sim {

// One setting of a scenario; --NAME VALUE on the command line. All are numbers within [least, most].
struct Parameter {
  const char* name;   // lower case, words joined by '-'
  const char* about;  // with its unit
  double usual, least, most;
};

// What to run. `progress` is told the part done (0 to 1) and what is being done, often enough for a line on a
// screen; where it returns false the scenario ends early, with the rows it has.
struct Order {
  std::uint64_t seed = 1;
  std::map<std::string, double, std::less<>> parameters;  // all of the scenario's, checked
  std::function<bool(double part, std::string_view what)> progress;

  [[nodiscard]] double number(std::string_view name) const { return parameters.find(name)->second; }
  [[nodiscard]] std::uint64_t count(std::string_view name) const {
    return static_cast<std::uint64_t>(number(name));
  }
};

using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: nothing to tell

struct Column {
  const char* key;    // of the JSON object
  const char* title;  // with its unit
  int decimals = 0;   // of a double
};
struct Row {
  WallTime at{};  // virtual: when this row was known
  std::vector<Cell> cells;
};

struct Series {
  enum class Style : std::uint8_t { line, dashed, points };
  std::string name;
  Style style{};
  std::vector<std::pair<double, double>> points;
};
enum class Scale : std::uint8_t { linear, logarithmic };  // the latter shows positive values alone
struct Plot {
  std::string title, x, y;  // axes with their units
  std::vector<Series> series;
  Scale x_scale = Scale::linear, y_scale = Scale::linear;
};

struct Report {
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::vector<std::string> notes;  // sentences: models, sources, what is not as in the real world
  std::optional<Plot> plot;
};

struct Scenario {
  const char* name;
  const char* about;  // one line
  std::span<const Parameter> parameters;
  Report (*run)(const Order& order);
};

// All there are, in the order in which they are listed.
[[nodiscard]] std::span<const Scenario> scenarios();

}  // namespace shoal::sim
