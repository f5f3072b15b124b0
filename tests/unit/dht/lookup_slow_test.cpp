// Whom a look-up waits for, asks anew and gives up: the slow and the silent of twenty nodes that it has all
// heard of.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "dht/lookup.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

struct TwentyKnown {
  explicit TwentyKnown(std::uint64_t seed)
      : random(test::numbered("twenty", seed)),
        target{random.bytes<32>()},
        lookup{target, {}, Key{}, test::at_second(0).mono} {
    for (std::uint32_t i = 0; i < 20; ++i)
      nodes.push_back({Key{random.bytes<32>()}, {test::public_host(i + 1, 1), 4000}});
    std::sort(nodes.begin(), nodes.end(),
              [this](const NodeInfo& a, const NodeInfo& b) { return closer(target, a.id, b.id); });
    lookup.seed(nodes);
  }
  // Asks until it wishes to ask nobody more; f(candidate) with each. Seeded nearest first: a candidate's
  // number is its rank.
  template <class F>
  void ask(F&& f) {
    std::vector<Ask> asks;
    do {
      asks.clear();
      lookup.next(region, asks);
      for (const Ask& ask : asks) f(ask.candidate);
    } while (!asks.empty());
  }
  void answer(std::uint16_t candidate) {
    Lookup::Answer answer;
    answer.candidate = candidate;
    answer.standing = Standing::full;
    lookup.answered(answer);
  }
  [[nodiscard]] bool finished() const { return lookup.finished(region); }

  Random random;
  Key target;
  std::vector<NodeInfo> nodes;
  Lookup lookup;
  const Region region = region_of(20);
};

// All answer but the nearest and `silent` others behind the nearest six, `late` of them after their soft
// timeout. The silent are slow, or dead, or answer when they are asked anew. Gives how often a query to the
// nearest has to be overdue until the look-up is over.
enum class Silent : std::uint8_t { slow, dead, answer_later };
int overdue_until_over(std::size_t late, std::size_t silent, Silent how = Silent::slow) {
  TwentyKnown known{5};
  const auto is_silent = [&](std::uint16_t candidate) { return candidate >= 6 && candidate < 6 + silent; };
  std::set<std::uint16_t> asked;
  known.ask([&](std::uint16_t candidate) {
    const bool again = !asked.insert(candidate).second;
    if (candidate == 0) return;
    if (is_silent(candidate)) {
      known.lookup.slow(candidate);
      if (how == Silent::dead) known.lookup.failed(candidate);
      if (how != Silent::answer_later || !again) return;
    }
    if (late > 0) {
      known.lookup.slow(candidate);
      --late;
    }
    known.answer(candidate);
  });
  EXPECT_TRUE(asked.contains(0));
  known.lookup.slow(0);
  known.ask([&](std::uint16_t candidate) {
    if (candidate != 0 && !is_silent(candidate)) known.answer(candidate);
  });
  known.lookup.slow(0);
  int times = 0;
  for (; times < 10 && !known.finished(); ++times) known.lookup.overdue(0);
  return times;
}

TEST(LookupSlow, TheNearestAtTheEndOfALongLineIsWaitedForWhereTheOthersAnswer) {
  EXPECT_EQ(overdue_until_over(0, 0), 3);
  EXPECT_EQ(overdue_until_over(6, 0), 3);
  for (const Silent how : {Silent::slow, Silent::dead}) {
    EXPECT_EQ(overdue_until_over(0, 1, how), 3);
    EXPECT_EQ(overdue_until_over(0, 2, how), 1);  // several are dead here, and it may be as well
  }
  EXPECT_EQ(overdue_until_over(0, 2, Silent::answer_later), 3);
}

// All answer but those of `silent` ranks, who are slow and asked anew. Gives the ranks that were asked.
std::set<std::uint16_t> asked_past(const std::set<std::uint16_t>& silent, bool& finished) {
  TwentyKnown known{6};
  std::set<std::uint16_t> asked;
  known.ask([&](std::uint16_t candidate) {
    const bool first = asked.insert(candidate).second;
    if (!silent.contains(candidate))
      known.answer(candidate);
    else if (first)
      known.lookup.slow(candidate);
  });
  if (!known.finished())  // the second queries are late as well
    for (std::uint16_t candidate = 0; candidate < 20; ++candidate) known.lookup.slow(candidate);
  finished = known.finished();
  return asked;
}

TEST(LookupSlow, TheWindowGoesPastThoseAskedAnew) {
  bool finished = false;
  const auto asked = asked_past({1, 3}, finished);
  EXPECT_EQ(asked.size(), 10U);  // the k nearest that are not in doubt, and the two
  EXPECT_FALSE(finished);        // but the nearest are waited for
}

TEST(LookupSlow, ASearchForNodesDoesNotWaitForSlowOnesBehindTheNearestFour) {
  bool finished = false;
  asked_past({5, 6}, finished);
  EXPECT_TRUE(finished);
  asked_past({3}, finished);
  EXPECT_FALSE(finished);
}

}  // namespace
}  // namespace shoal::dht
