// The size of the network and the region that follows: accuracy, and growth that must be told of (THREATS
// A1).
#include "dht/size_estimate.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "dht/limits.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::at_second;

TEST(SizeEstimate, MedianOfSamplesFindsTheSize) {
  Random random{{}};
  for (const std::size_t real : {100U, 1000U, 20'000U}) {
    std::vector<Key> ids(real);
    for (Key& id : ids) id.bytes = random.bytes<32>();
    SizeEstimate estimate;
    for (int i = 0; i < 16; ++i) {
      const Key target{random.bytes<32>()};
      std::partial_sort(ids.begin(), ids.begin() + 8, ids.end(),
                        [&](const Key& a, const Key& b) { return closer(target, a, b); });
      estimate.sample(size_from(target, std::span{ids}.first(8)), at_second(i).mono);
    }
    EXPECT_GT(estimate.value(), static_cast<double>(real) * 0.6);
    EXPECT_LT(estimate.value(), static_cast<double>(real) * 1.6);
  }
}

TEST(SizeEstimate, RegionHoldsAboutTenNodes) {
  const Region region = region_of(10'000);
  EXPECT_NEAR(as_fraction(region.radius), 0.001, 1e-6);
  EXPECT_EQ(region.prefix_bits, 9);
  Key all;
  all.bytes.fill(0xff);
  EXPECT_EQ(region_of(1).radius, all);
  EXPECT_EQ(region_of(9).prefix_bits, 0);
  EXPECT_EQ(size_from(Key{}, {}), 1);
}

// A sample a minute; gives the minutes, counted from the jump, in which it is told of.
std::vector<int> told_after_growth_to(double before, double after, int minutes_of_growth) {
  SizeEstimate estimate;
  std::vector<int> told;
  for (int minute = -120; minute < 180; ++minute) {
    const double part = std::clamp(static_cast<double>(minute) / minutes_of_growth, 0.0, 1.0);
    const double noise = minute % 2 == 0 ? 1.2 : 1 / 1.2;
    estimate.sample((before + part * (after - before)) * noise, at_second(60 * minute).mono);
    if (estimate.doubled_from()) told.push_back(minute);
  }
  return told;
}

// THREATS A1: x2 in 1 h.
TEST(SizeEstimate, TellsOfANetworkThatDoublesWithinAnHour) {
  const std::vector<int> told = told_after_growth_to(1000, 2500, 1);
  ASSERT_FALSE(told.empty());
  EXPECT_LE(told.front(), 16);
  EXPECT_LE(told.back(), 80) << "an hour later that is how large it is";
  EXPECT_FALSE(told_after_growth_to(1000, 2500, 50).empty());
  EXPECT_TRUE(told_after_growth_to(1000, 1500, 1).empty());
  EXPECT_TRUE(told_after_growth_to(1000, 2500, 170).empty());
  EXPECT_TRUE(told_after_growth_to(10, 100, 1).empty()) << "a few friends";
}

}  // namespace
}  // namespace shoal::dht
