// Tables: alignment, titles, what is missing.
#include "cli/table.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "cli/render.hpp"

namespace shoal::cli {
namespace {

using Lines = std::vector<std::string>;

TEST(Table, NumbersStandToTheRightAndTextToTheLeft) {
  const std::vector<sim::Column> columns{{"n", "n", 0}, {"name", "name", 0}, {"t", "t, s", 2}};
  const std::vector<sim::Row> rows{{{}, {std::int64_t{-5}, "a", 1234.5}},
                                   {{}, {std::int64_t{10}, "long", 0.125}}};
  EXPECT_EQ(render_table(columns, rows), (Lines{" n  name     t, s",  //
                                                "--  ----  -------",  //
                                                "-5  a     1234.50",  //
                                                "10  long     0.12"}));
}

TEST(Table, LongTitlesBreakAtSpacesAndStandOnTheRule) {
  const std::vector<sim::Column> columns{{"a", "first value, median, ms", 0}, {"b", "unbreakabletitle", 0}};
  const std::vector<sim::Row> rows{{{}, {std::int64_t{1}, std::int64_t{2}}}};
  EXPECT_EQ(render_table(columns, rows), (Lines{"first value,",                    //
                                                "  median, ms  unbreakabletitle",  //
                                                "------------  ----------------",  //
                                                "           1                 2"}));
}

TEST(Table, WhatIsMissingOrNoNumberIsADash) {
  const std::vector<sim::Column> columns{{"a", "a", 1}, {"b", "b", 1}, {"c", "c", 0}};
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const std::vector<sim::Row> rows{{{}, {nan, -0.01, "x"}}, {{}, {inf}}, {{}, {{}, 2.0, {}}}};
  EXPECT_EQ(render_table(columns, rows), (Lines{"a    b  c",  //
                                                "-  ---  -",  //
                                                "-  0.0  x",  //
                                                "-    -  -",  //
                                                "-  2.0  -"}));
}

TEST(Table, WidthsAreThoseOnAScreenAndNothingMovesTheCursor) {
  const std::vector<sim::Column> columns{{"a", "a", 0}, {"b", "b", 0}};
  const std::vector<sim::Row> rows{{{}, {"\u4f60\u597d", "x"}}, {{}, {"\x1b[31m", "y"}}};
  const Lines lines = render_table(columns, rows);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(display_width(lines[2]), display_width(lines[3]));
  EXPECT_EQ(lines[3].find('\x1b'), std::string::npos);
}

TEST(Table, NothingInNothingOut) {
  EXPECT_TRUE(render_table({}, {}).empty());
  const std::vector<sim::Column> columns{{"a", "a", 0}};
  EXPECT_EQ(render_table(columns, {}), (Lines{"a", "-"}));
}

}  // namespace
}  // namespace shoal::cli
