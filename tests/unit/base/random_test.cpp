// Tests of dht/base/random.hpp: the stream itself, its determinism, and that draws are uniform.
#include "dht/base/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Random, IsTheChaCha20Stream) {
  Random random{Random::Seed{}};
  EXPECT_EQ(to_hex(random.bytes<32>()), "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
}

TEST(Random, SameSeedSameDrawsHoweverTheyAreCut) {
  Random a{Random::Seed{7}};
  Random b{Random::Seed{7}};
  Bytes whole(5000);
  a.fill(whole);
  Bytes pieces;
  for (std::size_t n = 0; pieces.size() < whole.size(); n = (n * 7 + 1) % 300) {
    Bytes piece(std::min(n, whole.size() - pieces.size()));
    b.fill(piece);
    append(pieces, piece);
  }
  EXPECT_EQ(whole, pieces);
  EXPECT_EQ(a.next(), b.next());
  Random c{Random::Seed{8}};
  EXPECT_NE(Random{Random::Seed{7}}.next(), c.next());
}

TEST(Random, RefillsDoNotRepeat) {
  Random random{Random::Seed{3}};
  std::vector<std::uint64_t> seen(20000);
  std::generate(seen.begin(), seen.end(), [&] { return random.next(); });
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

TEST(Random, ForksAreIndependentAndNamed) {
  Random a{Random::Seed{1}};
  Random b{Random::Seed{1}};
  Random c{Random::Seed{1}};
  Random one = a.fork("one");
  Random same = b.fork("one");
  Random other = c.fork("other");
  const auto first = one.next();
  EXPECT_EQ(first, same.next());
  EXPECT_NE(first, other.next());
  EXPECT_EQ(a.next(), b.next());           // the parents went on alike
  EXPECT_NE(a.fork("one").next(), first);  // and a second fork of one name is another stream
}

// Chi-square of `draws` over `buckets`; beyond 5 standard deviations of its mean is no accident.
template <class Draw>
void expect_uniform(std::size_t buckets, Draw&& draw) {
  const std::size_t draws = buckets * 2000;
  std::vector<double> counts(buckets, 0);
  for (std::size_t i = 0; i < draws; ++i) counts.at(draw()) += 1;
  double chi = 0;
  for (double count : counts) chi += (count - 2000) * (count - 2000) / 2000;
  const double degrees = static_cast<double>(buckets) - 1;
  EXPECT_LT(chi, degrees + 5 * std::sqrt(2 * degrees) + 5) << buckets;
}

TEST(Random, BelowIsUniform) {
  Random random{Random::Seed{9}};
  for (std::size_t bound : {2U, 3U, 5U, 6U, 7U, 10U, 64U, 100U})
    expect_uniform(bound, [&] { return static_cast<std::size_t>(random.below(bound)); });
  // A bound of two thirds of the range: a plain remainder would favour the lower half two to one.
  const std::uint64_t bound = 0xAAAAAAAAAAAAAAABULL;
  expect_uniform(2, [&] { return random.below(bound) < bound / 2 ? 0U : 1U; });
  EXPECT_EQ(random.below(1), 0U);
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.below(~std::uint64_t{0}), ~std::uint64_t{0});
}

TEST(Random, UnitIsUniformAndBelowOne) {
  Random random{Random::Seed{10}};
  expect_uniform(50, [&] {
    const double value = random.unit();
    EXPECT_GE(value, 0.0);
    EXPECT_LT(value, 1.0);
    return static_cast<std::size_t>(value * 50);
  });
}

TEST(Random, ShuffleIsAPermutationAndFair) {
  Random random{Random::Seed{11}};
  // All 24 orders of four cards.
  expect_uniform(24, [&] {
    std::array<int, 4> cards{0, 1, 2, 3};
    random.shuffle(cards);
    std::size_t rank = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      std::size_t smaller = 0;
      for (std::size_t j = i + 1; j < 4; ++j) smaller += cards[j] < cards[i] ? 1U : 0U;
      rank = rank * (4 - i) + smaller;
    }
    return rank;
  });
  std::vector<int> many(1000);
  std::iota(many.begin(), many.end(), 0);
  auto shuffled = many;
  random.shuffle(shuffled);
  EXPECT_NE(shuffled, many);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, many);
  std::vector<int> none;
  random.shuffle(none);
}

TEST(RandomDeathTest, BelowZeroIsOurBug) {
  Random random{Random::Seed{}};
  EXPECT_DEATH((void)random.below(0), "bound > 0");
}

}  // namespace
}  // namespace shoal
