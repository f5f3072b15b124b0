// That each bound of watch.hpp can fail, and what does not count does not.
#include "tests/fuzz/watch.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace shoal::fuzz {
namespace {

volatile std::uint64_t sink = 0;

void spin(std::uint64_t turns) {
  for (std::uint64_t i = 0; i < turns; ++i) sink = sink * 6364136223846793005U + i;
}
// Of a size that no compiler sees through.
std::vector<std::uint8_t> held(std::size_t bytes) {
  volatile std::size_t unseen = bytes;
  return std::vector<std::uint8_t>(unseen);
}
void hold(std::size_t bytes) { sink = held(bytes).size(); }

constexpr std::uint64_t long_enough = 200'000'000;  // turns: over 100 ms on any machine
constexpr std::size_t input_bytes = 1000;

std::optional<std::string> outcome(std::string_view what) {
  Bytes input = to_vector(as_bytes(what));
  input.resize(input_bytes, ' ');
  return exceeds(input);
}

}  // namespace

const Bounds bounds = decoder;

void one(ByteView input) {
  const std::string_view what = as_text(input);
  constexpr std::size_t heap = decoder.heap_per_byte * input_bytes + decoder.heap;
  static bool first = true;
  if (what.starts_with("slow ")) spin(long_enough);
  if (what.starts_with("most ")) hold(heap);
  if (what.starts_with("over ")) hold(heap + 1);
  if (what.starts_with("sum ")) {
    const auto half = held(heap / 2);
    hold(heap / 2 + 2);
  }
  if (what.starts_with("turns "))
    for (int i = 0; i < 10; ++i) hold(heap / 2);
  if (what.starts_with("aside ")) {
    const Aside aside;
    spin(long_enough);
    hold(2 * heap);
  }
  if (what.starts_with("once ") && std::exchange(first, false)) {
    spin(long_enough);
    hold(2 * heap);
  }
}

namespace {

TEST(Watch, WhatTakesTooLongIsCaught) {
  const auto what = outcome("slow ");
  ASSERT_TRUE(what);
  EXPECT_TRUE(what->starts_with("nanoseconds")) << *what;
}

TEST(Watch, AByteTooManyIsCaught) {
  EXPECT_FALSE(outcome("most "));
  const auto what = outcome("over ");
  ASSERT_TRUE(what);
  EXPECT_TRUE(what->starts_with("bytes of heap")) << *what;
}

TEST(Watch, WhatLivesAtOnceCounts) {
  EXPECT_TRUE(outcome("sum "));
  EXPECT_FALSE(outcome("turns "));
}

TEST(Watch, WhatIsSetAsideOrHappensOnceDoesNotCount) {
  EXPECT_FALSE(outcome("aside "));
  EXPECT_FALSE(outcome("once "));
}

}  // namespace
}  // namespace shoal::fuzz
