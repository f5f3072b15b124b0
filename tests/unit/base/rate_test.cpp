// Tests of dht/base/rate.hpp: the bucket keeps its rate however it is polled, its burst bound and its debts.
#include "dht/base/rate.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at(Duration since_origin) { return Instant{since_origin}; }

// Sends in blocks of at most `block` whenever the bucket lets it, asking every `step`; the bytes after 10 s.
std::uint64_t flow(TokenBucket bucket, Instant start, Duration step, std::uint64_t block) {
  std::uint64_t sent = 0;
  for (Instant now = start; now <= start + seconds{10}; now += step) {
    while (bucket.available(now) > 0) {
      const auto n = std::min<std::uint64_t>(static_cast<std::uint64_t>(bucket.available(now)), block);
      bucket.spend(now, n);
      sent += n;
    }
  }
  return sent;
}

TEST(TokenBucket, KeepsItsRateAtEveryGranularity) {
  for (std::uint64_t rate : {1'000ULL, 100'000ULL, 1'048'576ULL, 123'456'789ULL, 10'000'000'000ULL})
    for (Duration step :
         {Duration{777}, Duration{1'000}, Duration{16'667}, Duration{100'000}, Duration{499'000}})
      for (Instant start : {at(Duration{0}), at(seconds{1'000'000})}) {
        const std::uint64_t sent = flow(TokenBucket{rate, rate / 2}, start, step, 1'000'000'000);
        // Never more than the rate; less only by what came after the last question.
        EXPECT_LE(sent, rate * 10) << rate << ' ' << step.count();
        const auto lag = static_cast<std::uint64_t>(static_cast<double>(rate) * shoal::seconds(step)) + 1;
        EXPECT_GE(sent + lag, rate * 10) << rate << ' ' << step.count();
        if (step <= milliseconds{100}) {
          EXPECT_NEAR(static_cast<double>(sent), static_cast<double>(rate) * 10,
                      static_cast<double>(rate) * 0.2);
        }
      }
}

TEST(TokenBucket, LosesNoFractionHoweverOftenItIsAsked) {
  // 3 bytes a second asked every microsecond: each question adds three millionths of a byte.
  TokenBucket bucket{3, 1000};
  std::int64_t last = 0;
  for (Instant now = at(Duration{0}); now <= at(seconds{2}); now += microseconds{1})
    last = bucket.available(now);
  EXPECT_EQ(last, 6);
}

TEST(TokenBucket, StartsEmptyWheneverItStarts) {
  for (Instant start : {at(Duration{0}), at(Duration{1}), at(seconds{3600})}) {
    TokenBucket bucket{1000, 500};
    EXPECT_EQ(bucket.available(start), 0);
    EXPECT_EQ(bucket.available(start + milliseconds{100}),
              100);  // also where the first question came at the origin
    EXPECT_EQ(bucket.available(start + milliseconds{50}), 100);  // time does not go back
  }
}

TEST(TokenBucket, BurstIsBounded) {
  TokenBucket bucket{1000, 500};
  (void)bucket.available(at(seconds{1}));
  EXPECT_EQ(bucket.available(at(seconds{1000})), 500);
  bucket.spend(at(seconds{1000}), 500);
  EXPECT_EQ(bucket.available(at(seconds{1000})), 0);
  EXPECT_EQ(bucket.available(at(seconds{1000} + milliseconds{499})), 499);
  EXPECT_EQ(bucket.available(at(seconds{1001})), 500);
  // In any 10 s after any idle time: the rate, and one burst.
  TokenBucket rested{100'000, 50'000};
  (void)rested.available(at(seconds{0}));
  EXPECT_LE(flow(rested, at(seconds{500}), milliseconds{10}, 16384), 1'050'000U);
  // Centuries of sleep, and rates beyond any link, overflow nothing.
  TokenBucket fast{~std::uint64_t{0}, ~std::uint64_t{0}};
  (void)fast.available(at(seconds{0}));
  EXPECT_EQ(fast.available(at(seconds{9'000'000'000'000})), std::int64_t{1} << 40);
  fast.spend(at(seconds{9'000'000'000'000}), ~std::uint64_t{0});
  EXPECT_LE(fast.available(at(seconds{9'000'000'000'000})), 0);
}

TEST(TokenBucket, DebtIsPaidFirst) {
  TokenBucket bucket{1000, 500};
  const Instant start = at(seconds{5});
  EXPECT_EQ(bucket.available(start), 0);
  bucket.spend(start, 2000);
  EXPECT_EQ(bucket.available(start), -2000);
  EXPECT_EQ(bucket.available(start + microseconds{1}), -2000);  // rounded to the side of the debt
  EXPECT_EQ(bucket.available(start + seconds{2}), 0);
  EXPECT_EQ(bucket.available(start + seconds{2} + milliseconds{1}), 1);
  for (int i = 0; i < 100; ++i) bucket.spend(start + seconds{3}, ~std::uint64_t{0});
  EXPECT_LT(bucket.available(start + seconds{3}), 0);
}

TEST(TokenBucket, WhenIsTheFirstInstant) {
  for (std::uint64_t rate : {1ULL, 3ULL, 7ULL, 1000ULL, 999'983ULL, 1'000'003ULL, 50'000'000ULL})
    for (std::uint64_t bytes : {1ULL, 2ULL, 16'384ULL, 100'000ULL}) {
      TokenBucket bucket{rate, 100'000};
      const Instant start = at(seconds{7});
      bucket.spend(start, 12'345);
      const Instant ready = bucket.when(start, bytes);
      TokenBucket before = bucket;
      EXPECT_LT(before.available(ready - microseconds{1}), static_cast<std::int64_t>(bytes)) << rate;
      EXPECT_GE(bucket.available(ready), static_cast<std::int64_t>(bytes)) << rate;
      EXPECT_EQ(bucket.when(ready, bytes), ready);
    }
  TokenBucket small{1000, 500};  // more than a burst never comes at once: when() says when the bucket is full
  EXPECT_EQ(small.when(at(seconds{1}), 16384), at(seconds{1} + milliseconds{500}));
  TokenBucket none{10, 0};  // a burst of nothing would never pass a byte
  EXPECT_EQ(none.when(at(seconds{1}), 1), at(seconds{1} + milliseconds{100}));
}

TEST(TokenBucket, RateZeroIsUnlimited) {
  TokenBucket bucket{0, 0};
  EXPECT_TRUE(bucket.unlimited());
  bucket.spend(at(seconds{1}), 1ULL << 50);
  EXPECT_GT(bucket.available(at(seconds{1})), 1LL << 39);
  EXPECT_EQ(bucket.when(at(seconds{2}), 1ULL << 50), at(seconds{2}));
  EXPECT_TRUE(TokenBucket{}.unlimited());
}

TEST(RateMeter, ComesToTheRateAndDecays) {
  RateMeter meter{seconds{10}};
  Instant now = at(seconds{100});
  for (int i = 0; i < 10'000; ++i, now += milliseconds{10}) meter.add(now, 1000);
  EXPECT_NEAR(meter.rate(now), 100'000, 1'000);
  EXPECT_EQ(meter.total(), 10'000'000U);
  EXPECT_NEAR(meter.rate(now + seconds{10}), 100'000 / 2.718281828, 500);
  EXPECT_NEAR(meter.rate(now + seconds{100}), 0, 10);
  EXPECT_EQ(meter.total(), 10'000'000U);
}

TEST(RateMeter, AnEagerOneDoesNotStartLow) {
  RateMeter meter{seconds{10}, seconds{2}};
  Instant now = at(seconds{100});
  for (int i = 0; i < 300; ++i, now += milliseconds{10}) meter.add(now, 1000);  // 3 s
  EXPECT_NEAR(meter.rate(now), 100'000, 2'000);
  EXPECT_LE(RateMeter{meter}.rate(now + seconds{300}), 1);
  now += seconds{300};  // silent for long: it begins anew
  meter.add(now, 10'000);
  EXPECT_NEAR(meter.rate(now), 10'000 / 2.0, 1'000) << "a single sample counts as two seconds";
}

TEST(RateMeter, DoesNotDependOnHowOftenItIsRead) {
  RateMeter read{seconds{5}};
  RateMeter unread{seconds{5}};
  for (int i = 0; i < 1000; ++i) {
    const Instant now = at(milliseconds{i * 20});
    if (i % 10 == 0) {
      read.add(now, 5000);
      unread.add(now, 5000);
    }
    (void)read.rate(now);
  }
  EXPECT_NEAR(read.rate(at(seconds{30})), unread.rate(at(seconds{30})), 1e-6);
}

}  // namespace
}  // namespace shoal
