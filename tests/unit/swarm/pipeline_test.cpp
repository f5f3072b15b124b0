// The download window over simulated links, and its clocks.
#include "swarm/pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include <gtest/gtest.h>

#include "dht/base/saturated.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using storage::BlockRef;
using Receipt = Pipeline::Receipt;

const Instant start{seconds{1000}};

// A link that delivers blocks one after the other at `rate`, each `delay` after it was asked for at least.
struct Link {
  Pipeline pipeline{500};
  double rate;
  Duration delay;
  Instant now = start, free = start;
  std::deque<std::pair<Instant, BlockRef>> under_way{};
  std::uint32_t next = 0, most = 0;
  std::uint64_t bytes = 0;

  void ask() {
    for (std::uint32_t room = pipeline.room(); room > 0; --room) {
      const BlockRef block{next++, 0};
      pipeline.requested(now, block);
      free = std::max(free, now + delay) + Duration{static_cast<std::int64_t>(16384e6 / rate)};
      under_way.emplace_back(free, block);
    }
    most = std::max(most, pipeline.outstanding());
  }
  void run(Duration time) {
    const Instant end = now + time;
    ask();
    while (!under_way.empty() && under_way.front().first <= end) {
      const auto [when, block] = under_way.front();
      under_way.pop_front();
      now = when;
      EXPECT_EQ(pipeline.arrived(now, block, 16384), Receipt::expected);
      bytes += 16384;
      ask();
    }
    now = end;
  }
};

TEST(Pipeline, FillsFatLongLinks) {
  for (const auto& [rate, delay] :
       {std::pair{1e6, milliseconds{20}}, {1e7, milliseconds{100}}, {2e7, milliseconds{300}}}) {
    Link link{.rate = rate, .delay = delay};
    link.run(seconds{15});
    const std::uint64_t before = link.bytes;
    link.run(seconds{10});
    EXPECT_GT(static_cast<double>(link.bytes - before), rate * 10 * 0.95) << rate;
  }
}

TEST(Pipeline, FollowsTheRateDownToItsFloor) {
  Link link{.rate = 1e5, .delay = milliseconds{50}};
  link.run(seconds{30});
  EXPECT_NEAR(link.pipeline.window(), 1e5 * shoal::seconds(limits::window_time) / 16384, 2);
  Link slow{.rate = 3000, .delay = milliseconds{50}};
  slow.run(seconds{100});
  EXPECT_EQ(slow.pipeline.window(), limits::min_window);
  Link fast{.rate = 1e9, .delay = milliseconds{1}};
  fast.run(seconds{3});
  EXPECT_EQ(fast.pipeline.window(), limits::max_window);
}

TEST(Pipeline, SlowStartDoublesARoundTrip) {
  Pipeline pipeline{500};
  Instant now = start;
  std::uint32_t next = 0, done = 0;
  for (int round = 0; round < 4; ++round) {
    const std::uint32_t window = pipeline.window();
    while (pipeline.room() > 0) pipeline.requested(now, {next++, 0});
    now += milliseconds{100};
    for (const std::uint32_t end = next; done < end; ++done) (void)pipeline.arrived(now, {done, 0}, 16384);
    EXPECT_EQ(pipeline.window(), window * 2);
  }
}

TEST(Pipeline, RespectsTheRemoteQueue) {
  Pipeline pipeline{500};
  pipeline.set_remote_queue(2);
  EXPECT_EQ(pipeline.room(), 2U);
  Link link{.pipeline = Pipeline{10}, .rate = 1e7, .delay = milliseconds{100}};
  link.run(seconds{5});
  EXPECT_EQ(link.most, 10U);
  pipeline.set_remote_queue(0);
  EXPECT_EQ(pipeline.room(), 1U);
}

TEST(Pipeline, StoppedPeersAreNoticedWithinSeconds) {
  Link link{.rate = 1e6, .delay = milliseconds{20}};
  link.run(seconds{10});
  std::vector<BlockRef> released;
  link.pipeline.overdue(link.now + seconds{4}, link.now, limits::answer_most, released);
  EXPECT_TRUE(released.empty());
  const std::uint32_t outstanding = link.pipeline.outstanding();
  link.pipeline.overdue(link.now + limits::min_request_timeout, link.now, limits::answer_most, released);
  EXPECT_EQ(released.size(), outstanding);
  EXPECT_EQ(link.pipeline.outstanding(), 0U);
  EXPECT_EQ(link.pipeline.window(), 1U);
  // It comes back: late blocks are no offence and open the window again.
  const Instant later = link.now + seconds{8};
  EXPECT_EQ(link.pipeline.arrived(later, released[0], 16384), Receipt::late);
  EXPECT_GE(link.pipeline.window(), limits::min_window);
  EXPECT_EQ(link.pipeline.arrived(later, released[0], 16384), Receipt::unrequested);
}

TEST(Pipeline, SlowPeersThatDeliverAreNotGivenUp) {
  Link link{.rate = 16384.0 / 8, .delay = milliseconds{20}};
  std::vector<BlockRef> released;
  for (int i = 0; i < 200; ++i) {
    link.run(seconds{1});
    link.pipeline.overdue(link.now, link.now, limits::answer_most, released);
  }
  EXPECT_TRUE(released.empty());
}

// Of whom something is heard, it is busy with others on a slow line: it keeps the requests, but not for ever.
TEST(Pipeline, WhoLivesAndIsBusyKeepsTheRequestsForAWhile) {
  Pipeline pipeline;
  pipeline.requested(start, {0, 0});
  std::vector<BlockRef> released;
  const Instant last = start + limits::answer_most - milliseconds{1};
  for (Instant now = start; now <= last; now += seconds{3})
    pipeline.overdue(now, now, limits::answer_most, released);
  EXPECT_TRUE(released.empty());
  pipeline.overdue(start + limits::answer_most, last, limits::answer_most, released);
  EXPECT_EQ(released.size(), 1U);
}

TEST(Pipeline, SnubbingTakesAMinute) {
  Pipeline pipeline;
  pipeline.requested(start, {0, 0});
  EXPECT_FALSE(pipeline.snubbed(start + seconds{59}));
  std::vector<BlockRef> released;
  pipeline.overdue(start + seconds{20}, start, limits::answer_most, released);
  EXPECT_EQ(released.size(), 1U);
  pipeline.requested(start + seconds{20}, {1, 0});
  EXPECT_TRUE(pipeline.snubbed(start + seconds{60}));
  EXPECT_EQ(pipeline.arrived(start + seconds{61}, {1, 0}, 16384), Receipt::expected);
  EXPECT_FALSE(pipeline.snubbed(start + seconds{200}));
  pipeline.requested(start + seconds{200}, {2, 0});
  pipeline.clear(Pipeline::After::late, released);  // choked: no snub
  EXPECT_FALSE(pipeline.snubbed(start + seconds{400}));
}

TEST(Pipeline, OurOwnPausesAreExcused) {
  Pipeline pipeline;
  pipeline.requested(start, {0, 0});
  pipeline.excuse(start + seconds{50});
  std::vector<BlockRef> released;
  pipeline.overdue(start + seconds{55}, start, limits::answer_most, released);
  EXPECT_TRUE(released.empty());
  EXPECT_FALSE(pipeline.snubbed(start + seconds{100}));
  pipeline.overdue(start + seconds{60}, start, limits::answer_most, released);
  EXPECT_EQ(released.size(), 1U);
}

TEST(Pipeline, KnowsWhatItAsked) {
  Pipeline pipeline;
  std::vector<BlockRef> released;
  for (std::uint32_t i = 0; i < 4; ++i) pipeline.requested(start, {i, 0});
  EXPECT_EQ(pipeline.arrived(start, {9, 0}, 1), Receipt::unrequested);
  EXPECT_TRUE(pipeline.rejected({1, 0}));
  EXPECT_FALSE(pipeline.rejected({1, 0}));
  EXPECT_EQ(pipeline.arrived(start, {1, 0}, 1), Receipt::unrequested);
  EXPECT_TRUE(pipeline.cancelled({2, 0}));
  EXPECT_FALSE(pipeline.cancelled({2, 0}));
  EXPECT_EQ(pipeline.arrived(start, {2, 0}, 16384), Receipt::late);
  EXPECT_EQ(pipeline.arrived(start + seconds{1}, {3, 0}, 16384), Receipt::expected);  // out of order
  EXPECT_EQ(pipeline.outstanding(), 1U);
  pipeline.clear(Pipeline::After::gone, released);
  EXPECT_EQ(released, (std::vector<BlockRef>{{0, 0}}));
  EXPECT_EQ(pipeline.arrived(start, {0, 0}, 1), Receipt::unrequested);
  EXPECT_EQ(pipeline.total(), 32768U);
}

TEST(Pipeline, RemembersABoundedNumberOfLateOnes) {
  Pipeline pipeline{500};
  for (std::uint32_t i = 0; i < 2000; ++i) {
    pipeline.requested(start, {i, 0});
    EXPECT_TRUE(pipeline.cancelled({i, 0}));
  }
  EXPECT_EQ(pipeline.arrived(start, {0, 0}, 1), Receipt::unrequested);
  EXPECT_EQ(pipeline.arrived(start, {1999, 0}, 1), Receipt::late);
}

// libtorrent's estimate of how long a queue takes overflowed at rates that the other end decides. Whatever
// these are, windows and time-outs stay within their bounds (and UBSan finds nothing).
TEST(Pipeline, LibtorrentOverflowInDownloadQueueTime) {
  using limits_of_64 = std::numeric_limits<std::int64_t>;
  for (const std::uint32_t bytes : {0U, 1U, 16'384U, ~0U})
    for (const std::int64_t gap :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{1'000'000}, limits_of_64::max() / 64}) {
      Pipeline pipeline{~0U};
      Instant now = start;
      std::vector<BlockRef> released;
      for (std::uint32_t i = 0; i < 40; ++i) {
        pipeline.requested(now, {i, 0});
        now += Duration{gap};
        EXPECT_EQ(pipeline.arrived(now, {i, 0}, bytes), Receipt::expected);
        EXPECT_GE(pipeline.window(), 1U);
        EXPECT_LE(pipeline.window(), limits::max_window);
        EXPECT_TRUE(std::isfinite(pipeline.rate(now)));
      }
      pipeline.requested(now, {99, 0});
      pipeline.overdue(now + limits::min_request_timeout - Duration{1}, now, limits::answer_most, released);
      EXPECT_TRUE(released.empty()) << bytes << ' ' << gap;
      pipeline.overdue(now + limits::max_request_timeout, now, limits::answer_most, released);
      EXPECT_EQ(released.size(), 1U) << bytes << ' ' << gap;
    }
  for (const double beyond : {1e300, std::numeric_limits<double>::infinity(), 0x1p64}) {
    EXPECT_EQ(saturated<std::uint64_t>(beyond), ~std::uint64_t{0});
    EXPECT_EQ(saturated<std::uint32_t>(beyond), ~0U);
    EXPECT_EQ(saturated<std::int64_t>(beyond), limits_of_64::max());
    EXPECT_EQ(saturated<std::int64_t>(-beyond), limits_of_64::min());
    EXPECT_EQ(saturated<std::uint64_t>(-beyond), 0U);
  }
  EXPECT_EQ(saturated<std::int64_t>(0x1p63), limits_of_64::max());
  EXPECT_EQ(saturated<std::uint32_t>(4294967295.5), ~0U);
  EXPECT_EQ(saturated<std::uint32_t>(4294967294.5), ~0U - 1);
  EXPECT_EQ(saturated<std::int64_t>(std::numeric_limits<double>::quiet_NaN()), 0);
  EXPECT_EQ(saturated<std::int64_t>(-1.5), -1);
}

}  // namespace
}  // namespace shoal::swarm
