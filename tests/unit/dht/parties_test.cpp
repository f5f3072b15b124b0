// Who leads us to how many contacts (THREATS A3).
#include "dht/parties.hpp"

#include <gtest/gtest.h>

#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

class PartiesTest : public testing::Test {
 protected:
  Parties parties_;
  // As many as may enter, up to `times`.
  std::size_t fill(Party party, std::size_t times) {
    std::size_t entered = 0;
    for (; entered < times && !parties_.full(party); ++entered) parties_.enter(party);
    return entered;
  }
};

TEST_F(PartiesTest, A3NobodyLeadsToManyMoreThanTheOthersDo) {
  constexpr Party captured = 1, endless = 1000;
  EXPECT_EQ(fill(captured, 100), 100U) << "there is nobody else";
  for (std::size_t i = 0; i < 100; ++i) parties_.leave(captured);
  for (const Party party : {2, 3, 4}) {
    parties_.informed(party);
    parties_.enter(party);
  }
  EXPECT_EQ(fill(captured, endless), limits::party_first / 4) << "a start waits for nobody";
  for (const Party party : {2, 3, 4}) fill(party, 47);
  for (int i = 0; i < 20; ++i)
    for (const Party party : {2, 3, 4}) fill(party, 1);
  fill(captured, endless);
  const std::size_t mean = (parties_.led_by(2) + parties_.led_by(3) + parties_.led_by(4)) / 3;
  EXPECT_GT(mean, 60U);
  EXPECT_EQ(parties_.led_by(captured), mean + limits::party_lead);
  parties_.leave(captured);
  EXPECT_EQ(fill(captured, endless), 1U);
}

// Whoever names next to nobody must not keep the others' share down, and whoever never showed that it knows
// the network is no measure at all.
TEST_F(PartiesTest, WhoNamesFewHoldsUpNobody) {
  parties_.enter(2);
  EXPECT_EQ(fill(1, 300), 300U);
  parties_.informed(2);
  EXPECT_TRUE(parties_.full(1));
  for (int i = 0; i < 290; ++i) parties_.leave(1);
  EXPECT_EQ(fill(1, 300), limits::party_first / 2 - 10);
}

TEST_F(PartiesTest, A3CallersAreFewWhereOthersLedUs) {
  for (int i = 0; i < 100; ++i) parties_.enter(no_party);
  EXPECT_FALSE(parties_.too_many_callers());  // the first node of a network has nobody but these
  parties_.informed(1);
  parties_.enter(1);
  EXPECT_TRUE(parties_.too_many_callers());
  while (parties_.too_many_callers()) parties_.leave(no_party);
  EXPECT_EQ(parties_.led_by(no_party), limits::callers_first);
  fill(1, 2 * limits::callers_one_in * limits::callers_first);
  while (!parties_.too_many_callers()) parties_.enter(no_party);
  EXPECT_EQ(parties_.callers(), 2 * limits::callers_first + 1);
}

TEST_F(PartiesTest, AMoveKeepsWhoIsInformedAndCountsAnew) {
  parties_.informed(1);
  for (int i = 0; i < 5; ++i) parties_.enter(1);
  for (int i = 0; i < 3; ++i) parties_.enter(no_party);
  Parties moved = parties_.without_entries();
  EXPECT_EQ(moved.led_by(1) + moved.callers(), 0U);
  for (int i = 0; i < 20; ++i) moved.enter(no_party);
  EXPECT_FALSE(moved.too_many_callers());
  moved.enter(1);
  EXPECT_TRUE(moved.too_many_callers());
}

}  // namespace
}  // namespace shoal::dht
