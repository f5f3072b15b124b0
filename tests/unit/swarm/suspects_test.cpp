// Those that left are known for what they gave, and no more of them are than may be.
#include "swarm/suspects.hpp"

#include <gtest/gtest.h>

#include "dht/base/handle.hpp"

namespace shoal::swarm {
namespace {

crypto::PublicKey key(std::uint8_t n) {
  crypto::PublicKey out{};
  out[0] = n;
  return out;
}

TEST(SuspectsTest, AConnectionThatEndedHasAName) {
  Slab<int, PeerTag> connections;
  Suspects suspects{2};
  const PeerHandle one = connections.emplace(1), two = connections.emplace(2), three = connections.emplace(3);
  suspects.left(one, {key(1), {}});
  suspects.left(two, {key(1), {}});
  ASSERT_NE(suspects.find(one), nullptr);
  EXPECT_EQ(suspects.find(one)->key, key(1));
  EXPECT_EQ(suspects.find(three), nullptr);
  suspects.left(three, {key(3), {}});
  EXPECT_EQ(suspects.find(one), nullptr) << "the oldest goes";
  EXPECT_EQ(suspects.find(two)->key, key(1));
  EXPECT_EQ(suspects.find(three)->key, key(3));
  EXPECT_EQ(suspects.size(), 2U);
}

TEST(SuspectsTest, GuiltAddsUpByKey) {
  Suspects suspects{2};
  suspects.guilt(key(1)).blocks += 1;
  suspects.guilt(key(2)).pieces += 3;
  EXPECT_EQ(++suspects.guilt(key(1)).blocks, 2U);
  EXPECT_EQ(suspects.guilt_of(key(2)).pieces, 3U);
  EXPECT_EQ(suspects.guilt_of(key(3)).pieces, 0U) << "to ask makes nobody guilty";
  EXPECT_EQ(suspects.size(), 2U);
  EXPECT_EQ(suspects.guilt(key(3)).blocks, 0U);
  EXPECT_EQ(suspects.guilt_of(key(1)).blocks, 0U) << "the oldest goes";
  EXPECT_EQ(suspects.size(), 2U);
}

}  // namespace
}  // namespace shoal::swarm
