// Tests of dht/base/hash.hpp: known answers, and every path of the many-message hasher against the single
// one.
#include "dht/base/hash.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(to_hex(sha1({})), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(to_hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const auto two_blocks = as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
  EXPECT_EQ(to_hex(sha1(two_blocks)), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(to_hex(sha256(two_blocks)), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const std::string million(1'000'000, 'a');
  EXPECT_EQ(to_hex(sha1(as_bytes(million))), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  EXPECT_EQ(to_hex(sha256(as_bytes(million))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, PairIsTheHashOfBothHalves) {
  const Sha256 left = sha256(as_bytes("left"));
  const Sha256 right = sha256(as_bytes("right"));
  Bytes both = to_vector(left);
  append(both, right);
  EXPECT_EQ(sha256_pair(left, right), sha256(both));
  EXPECT_NE(sha256_pair(left, right), sha256_pair(right, left));
}

TEST(Hash, StreamAgreesHoweverTheBytesAreCut) {
  Random random{Random::Seed{1}};
  Bytes message(100'000);
  random.fill(message);
  Sha1Stream stream;
  for (int round = 0; round < 20; ++round) {  // and starts anew after each finish
    ByteView rest = message;
    while (!rest.empty()) {
      const auto n = std::min<std::size_t>(rest.size(), random.below(20'000));
      stream.update(rest.first(n));
      rest = rest.subspan(n);
    }
    EXPECT_EQ(stream.finish(), sha1(message));
  }
  EXPECT_EQ(stream.finish(), sha1({}));
  stream.update(as_bytes("ab"));
  Sha1Stream moved{std::move(stream)};
  Sha1Stream target;
  target = std::move(moved);
  target.update(as_bytes("c"));
  EXPECT_EQ(target.finish(), sha1(as_bytes("abc")));
}

class BlockHasherTest : public ::testing::TestWithParam<HashPath> {
 protected:
  BlockHasherTest() {
    Random random{Random::Seed{2}};
    pool_.resize(4'400'000);
    random.fill(pool_);
  }
  [[nodiscard]] ByteView message(std::size_t offset, std::size_t size) const {
    return ByteView{pool_}.subspan(offset, size);
  }
  void expect_right(const std::vector<ByteView>& messages) {
    std::vector<Sha256> wide(messages.size());
    hasher_.sha256(messages, wide);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      ASSERT_EQ(wide[i], sha256(messages[i])) << i << " of " << messages.size() << ", " << messages[i].size();
    }
  }
  Bytes pool_;
  BlockHasher hasher_{GetParam()};
};

TEST_P(BlockHasherTest, EveryCountOfEqualBlocks) {
  for (std::size_t count = 0; count <= 40; ++count)
    for (std::size_t size : {1024U, 16'384U}) {
      std::vector<ByteView> messages;
      for (std::size_t i = 0; i < count; ++i) messages.push_back(message(i * 17'001, size));
      expect_right(messages);
    }
}

TEST_P(BlockHasherTest, EveryShortLengthAndEveryPaddingBorder) {
  std::vector<ByteView> messages;
  for (std::size_t size = 0; size <= 400; ++size) messages.push_back(message(size * 3, size));
  expect_right(messages);
  messages.clear();
  for (std::size_t base : {512U, 1024U, 4096U, 16'384U, 32'768U, 65'536U, 70'000U})
    for (std::size_t delta = 0; delta < 20; ++delta) messages.push_back(message(delta, base - 10 + delta));
  expect_right(messages);
}

TEST_P(BlockHasherTest, MixedLengthsAndCounts) {
  Random random{Random::Seed{3}};
  for (std::size_t count = 1; count <= 40; ++count) {
    std::vector<ByteView> messages;
    for (std::size_t i = 0; i < count; ++i) {
      const auto size = random.below(4) == 0 ? random.below(200) : random.below(70'001);
      messages.push_back(
          message(static_cast<std::size_t>(random.below(1000)), static_cast<std::size_t>(size)));
    }
    expect_right(messages);
  }
}

TEST_P(BlockHasherTest, MoreThanTheSchedulerHolds) {
  std::vector<ByteView> messages;
  for (std::size_t i = 0; i < 1000; ++i) messages.push_back(message(i * 5, 512 + i));
  expect_right(messages);
}

TEST_P(BlockHasherTest, LongMessages) {
  // Beyond 16 bits of bytes, and beyond 16 bits of 64-byte blocks.
  std::vector<ByteView> messages;
  for (std::size_t i = 0; i < 18; ++i) messages.push_back(message(i, 262'144));
  messages.push_back(message(7, 4'194'304));
  messages.push_back(message(7, 4'194'304 + 65));
  expect_right(messages);
}

TEST_P(BlockHasherTest, MovesAndNamesItself) {
  BlockHasher moved{std::move(hasher_)};
  hasher_ = std::move(moved);
  expect_right({message(0, 1000), message(1, 1000)});
  EXPECT_STRNE(hasher_.name(), "");
  if (GetParam() == HashPath::portable) {
    EXPECT_FALSE(hasher_.multi_buffer());
  }
}

std::string path_name(const ::testing::TestParamInfo<HashPath>& info) {
  if (info.param == HashPath::best) return "best";
  return info.param == HashPath::portable ? "portable" : "multi_buffer";
}

INSTANTIATE_TEST_SUITE_P(Paths, BlockHasherTest,
                         ::testing::Values(HashPath::best, HashPath::portable, HashPath::multi_buffer),
                         path_name);

}  // namespace
}  // namespace shoal
