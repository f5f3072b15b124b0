// Tests of dht/base/bitfield.hpp: BitTorrent's bit order, exact lengths, the kept count.
#include "dht/base/bitfield.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

TEST(Bitfield, BitZeroIsTheHighBitOfByteZero) {
  Bitfield bits{10};
  EXPECT_TRUE(bits.set(0));
  EXPECT_TRUE(bits.set(9));
  EXPECT_FALSE(bits.set(9));
  EXPECT_EQ(to_hex(bits.view()), "8040");
  EXPECT_EQ(bits.count(), 2U);
  EXPECT_TRUE(bits.reset(0));
  EXPECT_FALSE(bits.reset(0));
  EXPECT_EQ(bits.count(), 1U);
  EXPECT_FALSE(bits.test(0));
  EXPECT_TRUE(bits.test(9));
}

TEST(Bitfield, SetAllLeavesSpareBitsZero) {
  for (std::uint32_t n = 0; n < 70; ++n) {
    Bitfield bits{n};
    EXPECT_TRUE(bits.none());
    EXPECT_EQ(bits.all(), n == 0);
    bits.set_all();
    EXPECT_TRUE(bits.all());
    EXPECT_EQ(bits.count(), n);
    const auto back = Bitfield::from_bytes(bits.view(), n);
    ASSERT_TRUE(back) << n;
    EXPECT_EQ(*back, bits);
  }
}

TEST(Bitfield, FromBytesIsStrict) {
  EXPECT_FALSE(Bitfield::from_bytes(Bytes{0xff}, 9));
  EXPECT_FALSE(Bitfield::from_bytes(Bytes{0xff, 0x80, 0x00}, 9));
  EXPECT_FALSE(Bitfield::from_bytes(Bytes{}, 1));
  EXPECT_FALSE(Bitfield::from_bytes(Bytes{0}, 0));
  EXPECT_TRUE(Bitfield::from_bytes(Bytes{}, 0));
  EXPECT_EQ(Bitfield::from_bytes(Bytes{0xff, 0x80}, 9).value().count(), 9U);
  for (std::uint32_t n = 1; n < 8; ++n)
    for (unsigned spare = n; spare < 8; ++spare) {
      const Bytes raw{static_cast<std::uint8_t>(0x80U >> spare)};
      EXPECT_EQ(Bitfield::from_bytes(raw, n).error().code, Code::non_canonical) << n << ' ' << spare;
    }
  // A size whose sum with seven wraps in 32 bits needs half a gigabyte, not nothing.
  EXPECT_FALSE(Bitfield::from_bytes(Bytes{}, ~std::uint32_t{0}));
}

TEST(Bitfield, AgreesWithAVectorOfBools) {
  Random random{Random::Seed{6}};
  for (std::uint32_t n : {1U, 7U, 8U, 9U, 64U, 1000U}) {
    Bitfield bits{n};
    std::vector<bool> model(n, false);
    for (int step = 0; step < 3000; ++step) {
      const auto i = static_cast<std::uint32_t>(random.below(n));
      const bool value = random.below(2) == 1;
      EXPECT_EQ(value ? bits.set(i) : bits.reset(i), model[i] != value);
      model[i] = value;
    }
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      EXPECT_EQ(bits.test(i), model[i]);
      count += model[i] ? 1U : 0U;
    }
    EXPECT_EQ(bits.count(), count);
    EXPECT_EQ(Bitfield::from_bytes(bits.view(), n).value(), bits);
  }
}

TEST(BitfieldDeathTest, OutOfRangeIsOurBug) {
  Bitfield bits{8};
  EXPECT_DEATH((void)bits.test(8), "i < bits_");
  EXPECT_DEATH((void)bits.set(8), "i < bits_");
}

}  // namespace
}  // namespace shoal
