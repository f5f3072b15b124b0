// Handshakes are taken once, whatever the clock does meanwhile (A31).
#include "swarm/replay_filter.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

crypto::PublicKey numbered(std::uint32_t number) {
  crypto::PublicKey out{};
  store_be(out.data(), number);
  return out;
}

constexpr WallTime noon{12h * 1000};

TEST(ReplayFilter, TakesOnceForAsLongAsATagIsGood) {
  ReplayFilter filter;
  EXPECT_TRUE(filter.admit(noon, numbered(1)));
  EXPECT_FALSE(filter.admit(noon, numbered(1)));
  EXPECT_FALSE(filter.admit(noon + 3h, numbered(1)));
  EXPECT_FALSE(filter.admit(noon - 3h, numbered(1)));
  EXPECT_TRUE(filter.admit(noon + 1h, numbered(2)));
  EXPECT_TRUE(filter.admit(noon + 4h, numbered(1))) << "no tag of then is good any more";
}

// What was seen at a clock that ran ahead does not stand in the way for ever once it is set back.
TEST(ReplayFilter, HoursOfTheFutureAreForgottenWhereTheClockIsSetBack) {
  ReplayFilter filter;
  EXPECT_TRUE(filter.admit(noon + 10h, numbered(1)));
  EXPECT_TRUE(filter.admit(noon, numbered(2)));
  EXPECT_TRUE(filter.admit(noon + 10h, numbered(1)));
  EXPECT_FALSE(filter.admit(noon + 10h, numbered(1)));
}

}  // namespace
}  // namespace shoal::swarm
