// Quantities: K, M, G are powers of two, and what is shown has three digits that mean something.
#include "cli/quantity.hpp"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

TEST(Quantity, Parse) {
  EXPECT_EQ(parse_quantity("1"), 1U);
  EXPECT_EQ(parse_quantity("1000"), 1000U);
  EXPECT_EQ(parse_quantity("500K"), 512'000U);
  EXPECT_EQ(parse_quantity("500k"), 512'000U);
  EXPECT_EQ(parse_quantity("2M"), 2U << 20);
  EXPECT_EQ(parse_quantity("1.5G"), std::uint64_t{3} << 29);
  EXPECT_EQ(parse_quantity("1T"), std::uint64_t{1} << 40);
  EXPECT_EQ(parse_quantity(".5K"), 512U);
  EXPECT_EQ(parse_quantity("1MiB"), 1U << 20);
  EXPECT_EQ(parse_quantity("1MB/s"), 1U << 20);
  EXPECT_EQ(parse_quantity("20B"), 20U);
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const char* wrong : {"", "K", ".", "-1", "+1", "1e3", "1KK", "1 K", "0x10", "1..5", "0", "0.4", "nan",
                            "inf", "1P", "9999999999999G", "99999999999999999999999999999", "1,5M"})
    EXPECT_FALSE(parse_quantity(wrong)) << wrong;
}

TEST(Quantity, Sizes) {
  EXPECT_EQ(show_size(0), "0 B");
  EXPECT_EQ(show_size(1023), "1023 B");
  EXPECT_EQ(show_size(1024), "1.0 KiB");
  EXPECT_EQ(show_size(99 * 1024), "99.0 KiB");
  EXPECT_EQ(show_size(100 * 1024), "100 KiB");
  EXPECT_EQ(show_size(1024 * 1024 - 1), "1.0 MiB");  // never "1024 KiB"
  EXPECT_EQ(show_size(std::uint64_t{5} << 30), "5.0 GiB");
  EXPECT_EQ(show_size(~std::uint64_t{0}), "16.0 EiB");
  EXPECT_EQ(show_rate(1536), "1.5 KiB/s");
  EXPECT_EQ(show_rate(-1), "0 B/s");
}

TEST(Quantity, Durations) {
  EXPECT_EQ(show_duration(0), "0 s");
  EXPECT_EQ(show_duration(0.25), "0.2 s");
  EXPECT_EQ(show_duration(2), "2 s");
  EXPECT_EQ(show_duration(59.2), "1:00");
  EXPECT_EQ(show_duration(65), "1:05");
  EXPECT_EQ(show_duration(3600 * 2 + 3 * 60 + 4), "2:03:04");
  EXPECT_EQ(show_duration(86400 * 3 + 3600 * 4 + 5), "3 d 4 h");
  EXPECT_EQ(show_duration(1e300), "37037 d 0 h");
  EXPECT_EQ(show_duration(-5), "0 s");
}

TEST(Quantity, Counted) {
  EXPECT_EQ(counted(1, "file", "files"), "1 file");
  EXPECT_EQ(counted(0, "file", "files"), "0 files");
}

}  // namespace
}  // namespace shoal::cli
