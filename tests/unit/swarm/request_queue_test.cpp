// The upload side's queue: order, bounds, refusals (THREATS A23).
#include "swarm/request_queue.hpp"

#include <algorithm>
#include <deque>

#include <gtest/gtest.h>

#include "contents.hpp"

namespace shoal::swarm {
namespace {

using Verdict = RequestQueue::Verdict;

const storage::ContentPtr content = test::make_content(1U << 20, {(64ULL << 20) + 5000});
wire::Request block(std::uint32_t index) { return {index / 64, index % 64 * 16384, 16384}; }

TEST(RequestQueue, ServesInOrder) {
  RequestQueue queue;
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(queue.push(*content, block(i)), Verdict::queued);
  EXPECT_EQ(queue.bytes(), 10U * 16384);
  EXPECT_TRUE(queue.cancel(block(3)));
  EXPECT_FALSE(queue.cancel(block(3)));
  EXPECT_FALSE(queue.cancel(block(77)));
  EXPECT_EQ(queue.front(), block(0));
  EXPECT_EQ(queue.pop(), block(0));
  std::vector<wire::Request> rejected;
  queue.clear(rejected);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0U);
  ASSERT_EQ(rejected.size(), 8U);
  EXPECT_EQ(rejected[1], block(2));
  EXPECT_EQ(rejected[2], block(4));
}

TEST(RequestQueue, RefusesWhatIsOutsideTheContent) {
  RequestQueue queue;
  EXPECT_EQ(queue.push(*content, {65, 0, 16384}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {0, 0, 0}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {0, 0, 16385}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {0, (1U << 20) - 16383, 16384}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {0, 0xffffffff, 16384}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {64, 0, 16384}), Verdict::queued);  // a whole block, zeros at its end
  EXPECT_EQ(queue.push(*content, {64, 5000, 11385}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {64, 16384, 1}), Verdict::invalid);
  EXPECT_EQ(queue.push(*content, {64, 0, 5000}), Verdict::queued);
  EXPECT_EQ(queue.push(*content, {0, 100, 16000}), Verdict::queued);
  EXPECT_EQ(queue.refused(*content, {99, 0, 1}), Verdict::invalid);
}

TEST(RequestQueue, HoldsEachRequestOnce) {
  RequestQueue queue;
  EXPECT_EQ(queue.push(*content, block(1)), Verdict::queued);
  EXPECT_EQ(queue.push(*content, block(1)), Verdict::queued);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.bytes(), 16384U);
  (void)queue.pop();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.push(*content, block(1)), Verdict::queued);
}

TEST(RequestQueue, AskingForOneBlockForEverIsAFlood) {
  RequestQueue queue;
  std::uint32_t asked = 0;
  while (queue.push(*content, block(1)) != Verdict::flood) ASSERT_LT(++asked, 3000U);
  EXPECT_EQ(asked, limits::flood_requests);
}

TEST(RequestQueue, IsBoundedAndFloodsAreTold) {
  RequestQueue queue;
  std::uint32_t queued = 0, rejected = 0;
  for (std::uint32_t i = 0;; ++i) {
    const Verdict verdict = queue.push(*content, block(i % 4096));
    if (verdict == Verdict::flood) break;
    (verdict == Verdict::queued ? queued : rejected) += 1;
    ASSERT_LT(i, 3000U);
  }
  EXPECT_EQ(queued, limits::max_queue);
  EXPECT_EQ(queued + rejected, limits::flood_requests);
}

TEST(RequestQueue, ABusyHonestPeerIsNoFlood) {
  RequestQueue queue;
  std::vector<wire::Request> rejected;
  std::uint32_t next = 0;
  for (int round = 0; round < 500;
       ++round) {  // unchoked, served 300, choked with 200 waiting and 100 under way
    for (int i = 0; i < 500; ++i) ASSERT_EQ(queue.push(*content, block(next++ % 4096)), Verdict::queued);
    for (int i = 0; i < 300; ++i) (void)queue.pop();
    queue.clear(rejected);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(queue.refused(*content, block(next++ % 4096)), Verdict::reject);
  }
}

TEST(RequestQueue, AgreesWithADeque) {
  RequestQueue queue;
  std::deque<wire::Request> model;
  Random random = test::make_random(1);
  for (int step = 0; step < 50'000; ++step) {
    const wire::Request request = block(static_cast<std::uint32_t>(random.below(700)));
    const auto found = std::find(model.begin(), model.end(), request);
    switch (random.below(8)) {
      case 0:
      case 1:
        ASSERT_EQ(queue.cancel(request), found != model.end());
        if (found != model.end()) model.erase(found);
        break;
      case 2:
        if (model.empty()) break;
        ASSERT_EQ(queue.pop(), model.front());
        model.pop_front();
        break;
      default: {
        const Verdict verdict = queue.push(*content, request);
        if (verdict == Verdict::flood) {  // too many repeats: such a connection is closed
          queue = RequestQueue{};
          model.clear();
          break;
        }
        const bool waits = found != model.end();
        ASSERT_EQ(verdict == Verdict::queued, waits || model.size() < limits::max_queue);
        if (verdict == Verdict::queued && !waits) model.push_back(request);
      }
    }
    ASSERT_EQ(queue.size(), model.size());
  }
}

}  // namespace
}  // namespace shoal::swarm
