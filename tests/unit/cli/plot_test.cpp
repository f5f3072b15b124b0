// Axes and plots: round ticks, places, escapes, well-formed whatever comes.
#include "cli/plot.hpp"

#include <cmath>
#include <limits>
#include <optional>
#include <regex>

#include <gtest/gtest.h>

#include "cli/axis.hpp"

namespace shoal::cli {
namespace {

using sim::Plot;
using sim::Scale;
using sim::Series;
using Labels = std::vector<std::string>;

Labels labels(const Axis& axis) {
  Labels out;
  for (const Tick& tick : axis.ticks) out.push_back(tick.label);
  return out;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t out = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++out;
  return out;
}

// Of the XML that is drawn: tags nest, attributes are quoted, entities are known, text has no bare '<' or
// '&'. Nothing where it is well-formed; else what is wrong.
std::optional<std::string> malformed(const std::string& text) {
  static const std::regex tag{R"(<(/?)([a-z]+)((?: [A-Za-z-]+="[^"<]*")*)(/?)>)"};
  static const std::regex entity{R"(&(amp|lt|gt|quot|#39);)"};
  std::vector<std::string> open;
  std::string between;
  auto at = text.cbegin();
  for (std::smatch found; std::regex_search(at, text.cend(), found, tag); at = found[0].second) {
    between += found.prefix().str() + found[3].str();
    if (found[1].length() == 0 && found[4].length() == 0) open.push_back(found[2]);
    if (found[1].length() == 0) continue;
    if (open.empty() || open.back() != found[2]) return "closes " + found[2].str();
    open.pop_back();
    if (open.empty()) break;
  }
  if (!open.empty()) return "leaves open " + open.back();
  const std::string rest = std::regex_replace(between, entity, "");
  if (rest.find_first_of("<&") != std::string::npos) return "holds a bare character: " + rest;
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return "holds a control character";
  return std::nullopt;
}

TEST(Axis, TicksAreRoundNumbers) {
  const Axis axis = axis_for({1, 35}, Scale::linear, End::at_value, 8);
  EXPECT_EQ(axis.first, 0);  // 1 is next to 0
  EXPECT_EQ(axis.last, 35);
  EXPECT_EQ(labels(axis), (Labels{"0", "5", "10", "15", "20", "25", "30", "35"}));
  EXPECT_EQ(labels(axis_for({0, 1.23}, Scale::linear, End::at_tick, 6)),
            (Labels{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2", "1.4"}));
  EXPECT_EQ(labels(axis_for({0.991, 1}, Scale::linear, End::at_tick, 5)),
            (Labels{"0.990", "0.992", "0.994", "0.996", "0.998", "1.000"}));
  EXPECT_EQ(labels(axis_for({-30, 45000}, Scale::linear, End::at_tick, 3)),
            (Labels{"-20,000", "0", "20,000", "40,000", "60,000"}));
}

TEST(Axis, LogarithmicTicksArePowersOfTen) {
  const Axis nodes = axis_for({500, 100'000}, Scale::logarithmic, End::at_value, 8);
  EXPECT_EQ(labels(nodes),
            (Labels{"500", "1,000", "2,000", "5,000", "10,000", "20,000", "50,000", "100,000"}));
  EXPECT_DOUBLE_EQ(nodes.part(500), 0);
  EXPECT_DOUBLE_EQ(nodes.part(100'000), 1);
  EXPECT_DOUBLE_EQ(nodes.part(std::sqrt(500.0 * 100'000)), 0.5);
  EXPECT_EQ(labels(axis_for({0.003, 90}, Scale::logarithmic, End::at_tick, 8)),
            (Labels{"0.001", "0.01", "0.1", "1", "10", "100"}));
  EXPECT_EQ(labels(axis_for({0, -1, 3, 4}, Scale::logarithmic, End::at_value, 8)), (Labels{"2", "5"}));
}

// Whatever the values, an axis has a beginning, an end, and a few ticks between them.
TEST(Axis, AnyValuesGiveAnAxis) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const double most = std::numeric_limits<double>::max(), least = std::numeric_limits<double>::denorm_min();
  const std::vector<double> odd{0,    -0.0, 1,     -1,   nan,      inf, -inf, most, -most, least, -least,
                                1e18, 1e17, 1e-18, 1e15, 1e15 + 1, 0.1, 1e-9, 42,   1e9,   -1e9};
  for (const double a : odd)
    for (const double b : odd)
      for (const Scale scale : {Scale::linear, Scale::logarithmic})
        for (const End end : {End::at_value, End::at_tick}) {
          const Axis axis = axis_for({a, b}, scale, end, 6);
          ASSERT_LT(axis.first, axis.last) << a << ' ' << b;
          ASSERT_GE(axis.ticks.size(), 2U) << a << ' ' << b;
          ASSERT_LE(axis.ticks.size(), 24U) << a << ' ' << b;
          for (const double value : {a, b}) {
            if (!axis.shows(value)) continue;
            ASSERT_GE(axis.part(value), -1e-6) << a << ' ' << b;
            ASSERT_LE(axis.part(value), 1 + 1e-6) << a << ' ' << b;
          }
          for (const Tick& tick : axis.ticks) {
            ASSERT_GE(axis.part(tick.value), -1e-6) << a << ' ' << b;
            ASSERT_LE(axis.part(tick.value), 1 + 1e-6) << a << ' ' << b;
          }
        }
}

TEST(Axis, LabelsHaveSeparators) {
  EXPECT_EQ(tick_label(0, 0), "0");
  EXPECT_EQ(tick_label(-0.0, 1), "0.0");
  EXPECT_EQ(tick_label(999, 0), "999");
  EXPECT_EQ(tick_label(-12345.5, 2), "-12,345.50");
  EXPECT_EQ(tick_label(1e6, 0), "1,000,000");
}

Plot three_kinds() {
  return {"Title",
          "x, s",
          "y, m",
          {{"a line", Series::Style::line, {{0, 0}, {5, 50}, {10, 100}}},
           {"dashes", Series::Style::dashed, {{0, 100}, {10, 0}}},
           {"points", Series::Style::points, {{2, 20}, {4, 40}, {6, 60}}}}};
}

TEST(Plot, HoldsAxesUnitsLegendAndCurves) {
  const std::string svg = draw_plot(three_kinds(), "how it was made");
  EXPECT_EQ(malformed(svg), std::nullopt);
  for (const char* text : {">Title<", ">x, s<", ">y, m<", ">a line<", ">dashes<", ">points<",
                           ">how it was made<", ">0<", ">10<", ">100<"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  EXPECT_EQ(count(svg, "stroke-dasharray"), 2U);    // the curve and its legend
  EXPECT_EQ(count(svg, "stroke=\"#ffffff\""), 4U);  // three points and theirs
  EXPECT_EQ(count(svg, "stroke=\"#0072b2\""), 2U);
  EXPECT_EQ(svg, draw_plot(three_kinds(), "how it was made"));
}

TEST(Plot, PlacesAreInProportion) {
  const std::string svg = draw_plot(three_kinds(), "");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(
      svg, found,
      std::regex{R"re(d="M([0-9.]+) ([0-9.]+)L([0-9.]+) ([0-9.]+)L([0-9.]+) ([0-9.]+)" fill="none")re"}));
  const auto at = [&](std::size_t i) { return std::stod(found[i]); };
  EXPECT_NEAR((at(1) + at(5)) / 2, at(3), 0.11);
  EXPECT_NEAR((at(2) + at(6)) / 2, at(4), 0.11);
  EXPECT_GT(at(2), at(6));  // up is smaller in SVG
  EXPECT_GT(at(1), 40);     // room for labels
  EXPECT_LT(at(5), 800);
  EXPECT_LT(at(2), 500);
  EXPECT_GT(at(6), 0);
}

TEST(Plot, GapsEndALineAndALonePointIsADot) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Plot plot{"t", "x", "y", {{"s", Series::Style::line, {{1, 1}, {2, 2}, {3, nan}, {4, 3}}}}};
  const std::string svg = draw_plot(plot, "");
  EXPECT_TRUE(std::regex_search(svg, std::regex{R"re(d="M[0-9.]+ [0-9.]+L[0-9.]+ [0-9.]+" fill="none")re"}))
      << svg;
  EXPECT_EQ(count(svg, "<circle"), 1U);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Plot, OnlyWhatALogarithmCanShowIsDrawn) {
  Plot plot{"t", "x", "y", {{"s", Series::Style::points, {{0, 1}, {-1, 1}, {10, 5}, {1000, 0}}}}};
  plot.x_scale = plot.y_scale = Scale::logarithmic;
  const std::string svg = draw_plot(plot, "");
  EXPECT_EQ(malformed(svg), std::nullopt);
  EXPECT_EQ(count(svg, "<circle"), 2U);  // one point and the legend's
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Plot, IsWellFormedWhateverItIsCalled) {
  for (const std::string& nasty :
       {std::string{"<script>&\"'</script>"}, std::string{"]]>\x01\x1b[31m\xff\xfe"}, std::string{"a\0b", 3},
        std::string(5000, 'w'), std::string(300, '&'), std::string{"\u00b5s \u2264 5 \u4f60\u597d"},
        std::string{}}) {
    const Plot plot{nasty, nasty, nasty, {{nasty, Series::Style::line, {{1, 1}}}, {nasty, {}, {}}}};
    const std::string svg = draw_plot(plot, nasty);
    EXPECT_EQ(malformed(svg), std::nullopt) << svg;
  }
  EXPECT_EQ(malformed(draw_plot({}, "")), std::nullopt);
  EXPECT_EQ(malformed("<a><b></a></b>"), "closes a");  // the checker can fail
  EXPECT_NE(malformed("<a>&nbsp;</a>"), std::nullopt);
  EXPECT_NE(malformed("<a><b></a>"), std::nullopt);
}

TEST(Plot, AManyPointLineIsDrawnInBoundedPlaces) {
  Series series{"s", Series::Style::line, {}};
  for (int i = 0; i < 100'000; ++i) series.points.emplace_back(i / 1000, i / 1000);
  EXPECT_LT(draw_plot({"t", "x", "y", {series}}, "").size(), 20'000U);
}

}  // namespace
}  // namespace shoal::cli
