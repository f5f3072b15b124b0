// Token buckets (exact limits) and rate meters (what was seen), both driven by the instants handed in.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "dht/base/time.hpp"

namespace shoal {

// At most `rate` bytes a second, in bursts of at most `burst` (at least one byte). Rate 0: unlimited. A
// bucket starts empty at the first instant it is asked, so that even its first seconds keep the rate. Counts
// may go below zero, when a read brought more than was granted; the debt is paid before the next grant.
// Counted in integers, in millionths of a byte, which is what `rate` gives in a microsecond: nothing is
// rounded, however often it is asked.
class TokenBucket {
 public:
  TokenBucket() = default;
  TokenBucket(std::uint64_t rate, std::uint64_t burst)
      : rate_(std::min(rate, largest)), burst_(micro(std::max<std::uint64_t>(burst, 1))) {}

  [[nodiscard]] bool unlimited() const { return rate_ == 0; }
  [[nodiscard]] std::uint64_t rate() const { return rate_; }
  // Bytes that may pass now; negative: the debt.
  [[nodiscard]] std::int64_t available(Instant now) {
    if (unlimited()) return std::int64_t{1} << 40;
    refill(now);
    return tokens_ >= 0 ? tokens_ / 1'000'000 : -((-tokens_ + 999'999) / 1'000'000);
  }
  void spend(Instant now, std::uint64_t bytes) {
    if (unlimited()) return;
    refill(now);
    tokens_ = std::max(tokens_ - micro(bytes), deepest);
  }
  // The first instant at which `bytes` are available (clamped to the burst); `now` if they are already.
  [[nodiscard]] Instant when(Instant now, std::uint64_t bytes) {
    if (unlimited()) return now;
    refill(now);
    const std::int64_t missing = std::min(micro(bytes), burst_) - tokens_;
    return missing <= 0 ? now : now + Duration{time_for(missing)};
  }

 private:
  static constexpr std::uint64_t largest = std::uint64_t{1} << 40;   // bytes (a second): beyond any link, and
  static constexpr std::int64_t deepest = -(std::int64_t{1} << 61);  // keeps every sum below within 64 bits
  static std::int64_t micro(std::uint64_t bytes) {
    return static_cast<std::int64_t>(std::min(bytes, largest)) * 1'000'000;
  }
  // Microseconds until that many millionths have come, rounded up.
  [[nodiscard]] std::int64_t time_for(std::int64_t tokens) const {
    const auto rate = static_cast<std::int64_t>(rate_);
    return tokens / rate + (tokens % rate != 0 ? 1 : 0);
  }
  void refill(Instant now) {
    if (!started_ || now <= last_) {
      if (!started_) last_ = now;
      started_ = true;
      return;
    }
    const std::int64_t passed = (now - last_).count();
    tokens_ =
        passed >= time_for(burst_ - tokens_) ? burst_ : tokens_ + passed * static_cast<std::int64_t>(rate_);
    last_ = now;
  }
  std::uint64_t rate_ = 0;
  std::int64_t burst_ = 0;
  std::int64_t tokens_ = 0;
  Instant last_{};
  bool started_ = false;
};

// Exponentially weighted bytes a second, time constant `tau`. O(1) per sample and per question. It starts
// low, as is right where trust is earned; with `eager`, for those who look on, the weights are at first those
// of the time it has seen, of which a first sample counts as that much.
class RateMeter {
 public:
  explicit RateMeter(Duration tau = std::chrono::seconds{10}, Duration eager = {})
      : tau_(seconds(tau)), eager_(seconds(eager)) {}

  void add(Instant now, std::uint64_t bytes) {
    decay(now);
    if (value_ < 1) began_ = now;
    value_ += static_cast<double>(bytes) / tau_;
    total_ += bytes;
  }
  [[nodiscard]] double rate(Instant now) {
    decay(now);
    const double seen = std::max(seconds(now - began_), eager_) / tau_;
    return eager_ <= 0 || seen > 8 ? value_ : value_ / (1 - std::exp(-seen));
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  void decay(Instant now) {
    if (now <= last_) return;
    if (value_ > 0) value_ *= std::exp(-seconds(now - last_) / tau_);
    last_ = now;
  }
  double tau_, eager_;
  double value_ = 0;
  Instant began_{};
  Instant last_{};
  std::uint64_t total_ = 0;
};

}  // namespace shoal
