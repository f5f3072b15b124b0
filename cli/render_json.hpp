// One event as one line of JSON: `v`, `ts` (Unix time in ms), `event`, then its fields in the order given.
// Text that came from strangers must have been escaped before (storage::escape_for_display): then it is valid
// UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dht/base/time.hpp"

namespace shoal::cli {

class EventLine {
 public:
  explicit EventLine(std::string_view event) : event_(event) {}
  EventLine& text(std::string_view key, std::string_view value) { return add(key, std::string{value}); }
  EventLine& count(std::string_view key, std::uint64_t value) { return add(key, value); }
  EventLine& integer(std::string_view key, std::int64_t value) { return add(key, value); }
  EventLine& number(std::string_view key, double value) { return add(key, value); }
  EventLine& flag(std::string_view key, bool value) { return add(key, value); }
  EventLine& list(std::string_view key, std::vector<std::string> value) { return add(key, std::move(value)); }
  [[nodiscard]] std::string line(WallTime when) const;  // without the line feed
  // Equal: the same event with the same fields, whenever it was.
  bool operator==(const EventLine&) const = default;

 private:
  using Field =
      std::variant<std::string, std::uint64_t, std::int64_t, double, bool, std::vector<std::string>>;
  EventLine& add(std::string_view key, Field value) {
    fields_.emplace_back(std::string{key}, std::move(value));
    return *this;
  }
  std::string event_;
  std::vector<std::pair<std::string, Field>> fields_;
};

}  // namespace shoal::cli
