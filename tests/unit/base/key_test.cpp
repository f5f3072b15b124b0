// Tests of dht/base/key.hpp: the XOR metric and its order.
#include "dht/base/key.hpp"

#include <algorithm>
#include <initializer_list>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

Key key_of(std::initializer_list<std::uint8_t> first) {
  Key out;
  std::copy(first.begin(), first.end(), out.bytes.begin());
  return out;
}

TEST(Key, BitsCountFromTheTop) {
  Key key;
  key.set_bit(0, true);
  EXPECT_EQ(key.bytes[0], 0x80);
  key.set_bit(255, true);
  EXPECT_EQ(key.bytes[31], 0x01);
  EXPECT_TRUE(key.bit(0));
  EXPECT_FALSE(key.bit(1));
  EXPECT_TRUE(key.bit(255));
  key.set_bit(0, false);
  EXPECT_EQ(key.bytes[0], 0);
}

TEST(Key, SharedPrefixIsTheCountOfLeadingEqualBits) {
  const Key zero;
  EXPECT_EQ(shared_prefix(zero, zero), 256);
  for (int i = 0; i < Key::bits; ++i) {
    Key other;
    other.set_bit(i, true);
    EXPECT_EQ(shared_prefix(zero, other), i);
    EXPECT_EQ(shared_prefix(other, zero), i);
    if (i < 255) {
      other.set_bit(255, true);
      EXPECT_EQ(shared_prefix(zero, other), i);
    }
  }
}

TEST(Key, TheMetricHolds) {
  Random random{Random::Seed{2}};
  for (int i = 0; i < 2000; ++i) {
    const Key a{random.bytes<32>()};
    const Key b{random.bytes<32>()};
    const Key target{random.bytes<32>()};
    EXPECT_EQ(distance(a, a), Key{});
    EXPECT_EQ(distance(a, b), distance(b, a));
    EXPECT_EQ(distance(a, distance(a, b)), b);  // one point at each distance: lookups converge
    EXPECT_EQ(closer(target, a, b), distance(target, a) < distance(target, b));
    EXPECT_FALSE(closer(target, a, a));
    EXPECT_TRUE(closer(a, a, b));
    EXPECT_EQ(shared_prefix(a, b) < 256, a != b);
  }
}

TEST(Key, OrderIsOfUnsignedBytes) {
  EXPECT_LT(key_of({0x7f}), key_of({0x80}));
  EXPECT_LT(key_of({0x01, 0xff}), key_of({0x02}));
}

TEST(Key, TruncatedKeepsThePrefixAlone) {
  Random random{Random::Seed{3}};
  const Key key{random.bytes<32>()};
  EXPECT_EQ(truncated(key, 256), key);
  EXPECT_EQ(truncated(key, 0), Key{});
  for (int bits = 0; bits <= 256; ++bits) {
    const Key cut = truncated(key, bits);
    EXPECT_GE(shared_prefix(cut, key), bits);
    for (int i = bits; i < 256; ++i) EXPECT_FALSE(cut.bit(i));
  }
}

TEST(Key, FractionOfTheSpace) {
  EXPECT_EQ(as_fraction(Key{}), 0.0);
  EXPECT_EQ(as_fraction(key_of({0x80})), 0.5);
  EXPECT_EQ(as_fraction(key_of({0x20})), 0.125);
  Key all;
  all.bytes.fill(0xff);
  EXPECT_LT(as_fraction(all), 1.0);
  EXPECT_GT(as_fraction(all), 0.999999);
}

}  // namespace
}  // namespace shoal
