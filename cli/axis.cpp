// Axes (axis.hpp).
#include "cli/axis.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

namespace shoal::cli {
namespace {

using sim::Scale;

// What an axis shows at all: beyond it lies no figure of an experiment, and within it no step below overflows
// or vanishes.
constexpr double most_magnitude = 1e18, least_positive = 1e-18;
// Two values closer than this part of themselves are one.
constexpr double same_part = 1e-9;
constexpr double most_fine_decades = 2.5;  // up to here ticks stand at 2 and 5 too
constexpr int most_log_ticks = 10;

double power_of_ten(int exponent) {
  const double power = std::pow(10.0, std::abs(exponent));
  return exponent < 0 ? 1 / power : power;
}

// count x mantissa x 10^exponent; dividing keeps 3 x 10^-1 at 0.3.
double multiple(double count, int mantissa, int exponent) {
  const double power = std::pow(10.0, std::abs(exponent));
  return exponent < 0 ? count * mantissa / power : count * mantissa * power;
}

struct Step {
  int mantissa = 1, exponent = 0;
  [[nodiscard]] double at(double count) const { return multiple(count, mantissa, exponent); }
};

Step round_step(double about) {
  const int exponent = static_cast<int>(std::floor(std::log10(about)));
  const double rest = about / power_of_ten(exponent);
  if (rest < 1.5) return {1, exponent};
  if (rest < 3) return {2, exponent};
  if (rest < 7) return {5, exponent};
  return {1, exponent + 1};
}

bool one_value(double low, double high) {
  return high - low < std::max(same_part * std::max(std::abs(low), std::abs(high)), least_positive);
}

Axis linear_axis(double low, double high, End end, int wanted) {
  if (one_value(low, high)) {
    low = std::min(low, 0.0);
    high = std::max(high, 0.0);
    if (one_value(low, high)) low = 0, high = 1;
  }
  if (low > 0 && low <= high / 2) low = 0;
  if (high < 0 && high >= low / 2) high = 0;
  const Step step = round_step((high - low) / wanted);
  const double unit = step.at(1), slack = 1e-6;  // of a step: what division loses
  const bool outward = end == End::at_tick;
  const double from = outward ? std::floor(low / unit + slack) : std::ceil(low / unit - slack);
  const double to = outward ? std::ceil(high / unit - slack) : std::floor(high / unit + slack);
  Axis out;
  out.first = outward ? step.at(from) : low;
  out.last = outward ? step.at(to) : high;
  for (double count = from; count <= to; ++count)
    out.ticks.push_back({step.at(count), tick_label(step.at(count), std::max(0, -step.exponent))});
  return out;
}

// 1 (or 1, 2, 5) times the powers of ten around [low, high].
std::vector<Tick> log_ticks(double low, double high) {
  static constexpr int fine[] = {1, 2, 5};
  const bool is_fine = std::log10(high / low) <= most_fine_decades;
  const std::span<const int> mantissas = is_fine ? std::span<const int>{fine} : std::span<const int>{fine, 1};
  const int from = static_cast<int>(std::floor(std::log10(low))) - 1;
  const int to = static_cast<int>(std::ceil(std::log10(high))) + 1;
  const int stride = is_fine ? 1 : (to - from) / most_log_ticks + 1;
  std::vector<Tick> out;
  for (int exponent = from; exponent < to + stride; exponent += stride)
    for (const int mantissa : mantissas) {
      const double value = multiple(1, mantissa, exponent);
      out.push_back({value, tick_label(value, std::max(0, -exponent))});
    }
  return out;
}

Axis log_axis(double low, double high, End end) {
  if (one_value(low, high)) low /= 2, high *= 2;
  Axis out;
  out.scale = Scale::logarithmic;
  const std::vector<Tick> all = log_ticks(low, high);
  const auto within = [&](double least, double most) {
    out.first = least;
    out.last = most;
    out.ticks.clear();
    for (const Tick& tick : all)
      if (tick.value >= least * (1 - same_part) && tick.value <= most * (1 + same_part))
        out.ticks.push_back(tick);
  };
  within(low, high);
  if (end == End::at_value && out.ticks.size() >= 2) return out;
  double least = all.front().value, most = all.back().value;
  for (const Tick& tick : all)
    if (tick.value <= low * (1 + same_part)) least = tick.value;
  for (auto tick = all.rbegin(); tick != all.rend(); ++tick)
    if (tick->value >= high * (1 - same_part)) most = tick->value;
  within(least, most);
  return out;
}

}  // namespace

double Axis::part(double value) const {
  if (scale == Scale::linear) return (value - first) / (last - first);
  return std::log(value / first) / std::log(last / first);
}

bool Axis::shows(double value) const {
  if (!(std::abs(value) <= most_magnitude)) return false;  // neither NaN nor infinite
  return scale == Scale::linear || value >= least_positive;
}

Axis axis_for(const std::vector<double>& values, Scale scale, End end, int wanted) {
  const Axis judge{scale, 0, 1, {}};
  std::vector<double> shown;
  std::copy_if(values.begin(), values.end(), std::back_inserter(shown),
               [&](double value) { return judge.shows(value); });
  if (shown.empty()) shown = {1};
  const auto [low, high] = std::minmax_element(shown.begin(), shown.end());
  return scale == Scale::linear ? linear_axis(*low, *high, end, std::max(wanted, 1))
                                : log_axis(*low, *high, end);
}

std::string tick_label(double value, int decimals) {
  std::string out = fmt::format("{:.{}f}", std::abs(value), decimals);
  const std::size_t point = std::min(out.find('.'), out.size());
  for (std::size_t at = point; at > 3; at -= 3) out.insert(at - 3, 1, ',');
  const bool zero = out.find_first_not_of("0.,") == std::string::npos;
  return value < 0 && !zero ? "-" + out : out;
}

}  // namespace shoal::cli
