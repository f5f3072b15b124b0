// Events as JSON lines (render_json.hpp), by nlohmann-json. Bytes that are no UTF-8 after all become U+FFFD:
// a line is always valid.
#include "cli/render_json.hpp"

#include <nlohmann/json.hpp>

namespace shoal::cli {

std::string EventLine::line(WallTime when) const {
  nlohmann::ordered_json out;
  out["v"] = 1;
  out["ts"] = unix_ms(when);
  out["event"] = event_;
  for (const auto& [key, field] : fields_) {
    auto& place = out[key];
    std::visit([&place](const auto& value) { place = value; }, field);
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace shoal::cli
