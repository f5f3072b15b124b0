// Tests of dht/base/sha1_lanes.hpp: every way of computing against the hash of one message.
#include "dht/base/sha1_lanes.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

class Sha1LanesTest : public ::testing::TestWithParam<HashPath> {
 protected:
  using Parts = std::array<ByteView, Sha1Lanes::count>;
  Sha1LanesTest() {
    bytes_.resize(1 << 20);
    random_.fill(bytes_);
  }
  [[nodiscard]] ByteView message(std::size_t offset, std::size_t size) const {
    return ByteView{bytes_}.subspan(offset, size);
  }
  // Advances all lanes to the end of their messages and expects the right hashes.
  void expect_right(const Parts& messages) {
    Parts left = messages;
    while (std::ranges::any_of(left, [](ByteView part) { return part.size() >= Sha1Lanes::block; })) {
      const Parts before = left;
      lanes_.advance(left);
      ASSERT_TRUE(std::ranges::any_of(std::views::iota(std::size_t{0}, left.size()), [&](std::size_t i) {
        return before[i].size() >= Sha1Lanes::block && left[i].size() < Sha1Lanes::block;
      }));
    }
    for (std::size_t i = 0; i < left.size(); ++i)
      ASSERT_EQ(lanes_.finish(i, left[i]), sha1(messages[i])) << i << ", " << messages[i].size();
  }
  Random random_{Random::Seed{4}};
  Bytes bytes_;
  Sha1Lanes lanes_{GetParam()};
};

TEST_P(Sha1LanesTest, EveryCountOfLanes) {
  for (std::size_t busy = 0; busy <= Sha1Lanes::count; ++busy)
    for (const std::size_t from : {std::size_t{0}, Sha1Lanes::count - busy}) {
      Parts messages{};
      for (std::size_t i = from; i < from + busy; ++i) messages[i] = message(i * 7001, 4096 + i % 2);
      expect_right(messages);
    }
}

TEST_P(Sha1LanesTest, EveryLengthAroundTheBordersOfBlocks) {
  for (std::size_t size = 0; size < 300; size += Sha1Lanes::count) {
    Parts messages{};
    for (std::size_t i = 0; i < messages.size(); ++i) messages[i] = message(i * 13, size + i);
    expect_right(messages);
  }
}

TEST_P(Sha1LanesTest, LanesOfDifferentLengths) {
  for (int round = 0; round < 50; ++round) {
    Parts messages{};
    for (ByteView& one : messages)
      if (random_.below(4) != 0)
        one = message(static_cast<std::size_t>(random_.below(1000)),
                      static_cast<std::size_t>(random_.below(100'000)));
    expect_right(messages);
  }
}

// As pieces are read: part by part, a lane begins its next piece while the others are amid theirs.
TEST_P(Sha1LanesTest, LanesTakeNewMessagesWhileOthersGoOn) {
  struct Lane {
    ByteView whole, left;
  };
  std::array<Lane, Sha1Lanes::count> lanes;
  Parts parts{};
  int hashed = 0;
  while (hashed < 300) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Lane& lane = lanes[i];
      if (parts[i].size() >= Sha1Lanes::block) continue;
      if (lane.left.empty()) {
        if (!lane.whole.empty()) {
          ASSERT_EQ(lanes_.finish(i, parts[i]), sha1(lane.whole));
          ++hashed;
        }
        lane.whole = lane.left = message(static_cast<std::size_t>(random_.below(1000)),
                                         1 + static_cast<std::size_t>(random_.below(50'000)));
      }
      const std::size_t size = std::min<std::size_t>(lane.left.size(), 4096);
      parts[i] = lane.left.first(size);
      lane.left = lane.left.subspan(size);
    }
    lanes_.advance(parts);
  }
}

TEST_P(Sha1LanesTest, WhatIsForgottenLeavesNothingBehind) {
  Parts parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = message(i, 640);
  lanes_.advance(parts);
  for (std::size_t i = 0; i < parts.size(); ++i) lanes_.forget(i);
  EXPECT_EQ(lanes_.finish(3, as_bytes("abc")), sha1(as_bytes("abc")));
  Parts again{};
  again[3] = message(9, 128);
  expect_right(again);
  EXPECT_STRNE(lanes_.name(), "");
}

std::string path_name(const ::testing::TestParamInfo<HashPath>& info) {
  if (info.param == HashPath::best) return "best";
  return info.param == HashPath::portable ? "portable" : "multi_buffer";
}

INSTANTIATE_TEST_SUITE_P(Paths, Sha1LanesTest,
                         ::testing::Values(HashPath::best, HashPath::portable, HashPath::multi_buffer),
                         path_name);

}  // namespace
}  // namespace shoal
