// Arguments of `simulate` (args_simulate.hpp).
#include "cli/args_simulate.hpp"

#include <charconv>

#include <fmt/format.h>

#include "storage/names.hpp"

namespace shoal::cli {
namespace {

std::string names_of(std::span<const sim::Scenario> scenarios) {
  std::string out;
  for (const sim::Scenario& each : scenarios) out.append(out.empty() ? "" : ", ").append(each.name);
  return out.empty() ? "none" : out;
}

std::string flags_of(const sim::Scenario& scenario) {
  std::string out;
  for (const sim::Parameter& each : scenario.parameters)
    out.append(out.empty() ? "--" : ", --").append(each.name);
  return out.empty() ? "none" : out;
}

std::string unknown_scenario(std::string_view word, std::span<const sim::Scenario> scenarios) {
  return fmt::format("'{}' is no scenario; there are: {}", storage::escape_for_display(word),
                     names_of(scenarios));
}

// A whole text that is a number, or nothing.
template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::expected<void, std::string> take_parameters(const sim::Scenario& scenario,
                                                 std::span<const std::string> texts, Simulation& out) {
  for (std::size_t i = 0; i < scenario.parameters.size(); ++i) {
    const sim::Parameter& parameter = scenario.parameters[i];
    double value = parameter.usual;
    if (i < texts.size() && !texts[i].empty()) {
      const auto given = number_in<double>(texts[i]);
      if (!given || !(*given >= parameter.least && *given <= parameter.most))  // NaN is refused too
        return std::unexpected(fmt::format("--{} is a number {} ({}), not '{}'", parameter.name,
                                           range_of(parameter), parameter.about,
                                           storage::escape_for_display(texts[i])));
      value = *given;
    }
    out.parameters.emplace(parameter.name, value);
  }
  return {};
}

}  // namespace

std::string range_of(const sim::Parameter& parameter) {
  return fmt::format("from {} to {}", parameter.least, parameter.most);
}

std::string simulate_variable(std::string_view name) {
  std::string out = "SHOAL_SIMULATE_";
  for (const char c : name)
    out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::expected<Simulation, std::string> judge_simulation(const SimulationText& text,
                                                        std::span<const sim::Scenario> scenarios) {
  Simulation out;
  if (text.chosen == nullptr && !text.stray.empty())
    return std::unexpected(unknown_scenario(text.stray, scenarios));
  if (!text.stray.empty())
    return std::unexpected(fmt::format("'{}' is one word too many: one scenario is run, with flags behind it",
                                       storage::escape_for_display(text.stray)));
  if (text.list) {
    out.list = text.chosen != nullptr ? std::span{text.chosen, 1} : scenarios;
    return out;
  }
  if (text.chosen == nullptr)
    return std::unexpected(
        fmt::format("name a scenario: {}; see shoal simulate --list", names_of(scenarios)));
  out.run = text.chosen;
  out.svg = text.svg;
  if (!text.seed.empty()) {
    const auto seed = number_in<std::uint64_t>(text.seed);
    if (!seed)
      return std::unexpected(fmt::format("--seed is a whole number from 0 to 2^64 - 1, not '{}'",
                                         storage::escape_for_display(text.seed)));
    out.seed = *seed;
  }
  const auto index = static_cast<std::size_t>(text.chosen - scenarios.data());
  const std::span<const std::string> values = index < text.values.size()
                                                  ? std::span<const std::string>{text.values[index]}
                                                  : std::span<const std::string>{};
  if (auto taken = take_parameters(*text.chosen, values, out); !taken) return std::unexpected(taken.error());
  return out;
}

std::string judge_stray_flag(const SimulationText& text, std::string_view flag,
                             std::span<const sim::Scenario> scenarios) {
  const std::string shown = storage::escape_for_display(flag);
  if (text.chosen == nullptr && !text.stray.empty()) return unknown_scenario(text.stray, scenarios);
  if (text.chosen == nullptr)
    return fmt::format("{} is not known without a scenario; name one of: {}", shown, names_of(scenarios));
  for (const sim::Parameter& each : text.chosen->parameters)
    if (flag == std::string{"--"} + each.name)
      return fmt::format("{} belongs behind the scenario's name: shoal simulate {} {} N", shown,
                         text.chosen->name, shown);
  return fmt::format("{} is no parameter of {}; it has: {}", shown, text.chosen->name,
                     flags_of(*text.chosen));
}

}  // namespace shoal::cli
