// Tests of dht/base/handle.hpp: a handle finds its own element and nothing else, ever.
#include "dht/base/handle.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

TEST(Slab, FindsWhatWasPutIn) {
  Slab<std::string> slab;
  const auto a = slab.emplace("a");
  const auto b = slab.emplace(3, 'b');
  EXPECT_EQ(slab.size(), 2U);
  EXPECT_EQ(*slab.find(a), "a");
  EXPECT_EQ(*std::as_const(slab).find(b), "bbb");
  EXPECT_NE(a, b);
  EXPECT_TRUE(a);
  EXPECT_FALSE(Slab<std::string>::Id{});
}

TEST(Slab, StaleHandlesFindNothing) {
  Slab<int> slab;
  const auto old = slab.emplace(1);
  EXPECT_TRUE(slab.erase(old));
  EXPECT_FALSE(slab.erase(old));
  EXPECT_EQ(slab.find(old), nullptr);
  const auto fresh = slab.emplace(2);
  EXPECT_EQ(fresh.index, old.index);  // the slot is used again
  EXPECT_NE(fresh, old);              // under another name
  EXPECT_EQ(slab.find(old), nullptr);
  EXPECT_FALSE(slab.erase(old));
  EXPECT_EQ(*slab.find(fresh), 2);
  EXPECT_EQ(slab.find({}), nullptr);
  EXPECT_EQ(slab.find({1000, 1}), nullptr);
}

TEST(Slab, HandlesSurviveAsNumbers) {
  Slab<int> slab;
  const auto id = slab.emplace(5);
  EXPECT_EQ(Slab<int>::Id::from_value(id.value()), id);
  EXPECT_EQ((Handle<int>::from_value(0xfedcba9876543210ULL)), (Handle<int>{0x76543210, 0xfedcba98}));
}

TEST(Slab, ErasedElementsAreDestroyedAtOnce) {
  Slab<std::shared_ptr<int>> slab;
  auto watched = std::make_shared<int>(1);
  const auto id = slab.emplace(watched);
  EXPECT_EQ(watched.use_count(), 2);
  slab.erase(id);
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(Slab, WalksInIndexOrderAndMayEraseOnTheWay) {
  Slab<int> slab;
  for (int i = 0; i < 10; ++i) slab.emplace(i);
  std::vector<int> seen;
  slab.for_each([&](auto id, int& value) {
    seen.push_back(value);
    if (value % 2 == 0) slab.erase(id);
  });
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  seen.clear();
  std::as_const(slab).for_each([&](auto, const int& value) { seen.push_back(value); });
  EXPECT_EQ(seen, (std::vector<int>{1, 3, 5, 7, 9}));
  EXPECT_EQ(slab.size(), 5U);
}

TEST(Slab, AgreesWithAMapUnderRandomUse) {
  Random random{Random::Seed{4}};
  Slab<std::uint64_t> slab;
  std::map<std::uint64_t, std::uint64_t> model;
  std::vector<std::uint64_t> dead;
  for (int step = 0; step < 20000; ++step) {
    if (model.empty() || random.below(100) < 52) {
      const std::uint64_t value = random.next();
      const auto id = slab.emplace(value);
      EXPECT_TRUE(model.emplace(id.value(), value).second);
    } else {
      auto victim = std::next(
          model.begin(), static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(model.size(), 20))));
      EXPECT_TRUE(slab.erase(Slab<std::uint64_t>::Id::from_value(victim->first)));
      dead.push_back(victim->first);
      model.erase(victim);
    }
  }
  EXPECT_EQ(slab.size(), model.size());
  for (const auto& [id, value] : model) EXPECT_EQ(*slab.find(Slab<std::uint64_t>::Id::from_value(id)), value);
  for (std::uint64_t id : dead) EXPECT_EQ(slab.find(Slab<std::uint64_t>::Id::from_value(id)), nullptr);
}

}  // namespace
}  // namespace shoal
