// ChurnSeen: how long nodes live, from what becomes of our own table's entries: each check that an entry
// passes is time lived, each that it fails for good a death. Lives over deaths, both fading, so that it
// follows the hour. A maximum-likelihood estimate for exponential lives; for long-tailed ones it errs to the
// short side of what old entries have before them, which only makes us check more often. A leaf; what follows
// from it is the node's.
#pragma once

#include <algorithm>

#include "dht/base/time.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {

class ChurnSeen {
 public:
  void lived(Duration since_heard) {
    lived_ = lived_ * fading + std::max(0.0, seconds(since_heard));
    deaths_ *= fading;
  }
  // Somewhere in that time: half of it counts as lived.
  void died(Duration since_heard) {
    lived(since_heard / 2);
    deaths_ += 1;
  }
  // Of a node's remaining life; until something is known, that of a quiet network.
  [[nodiscard]] Duration life() const {
    const double mean = (lived_ + prior_lived) / (deaths_ + prior_deaths);
    return Duration{static_cast<std::int64_t>(mean * 1e6)};
  }
  // A period of looking for more nodes: what was learnt lasts no longer than its node.
  [[nodiscard]] static Duration stretched(Duration period, Duration life) {
    const double worth = std::clamp(seconds(life) / seconds(limits::quiet_life), limits::least_worth, 1.0);
    return Duration{static_cast<std::int64_t>(static_cast<double>(period.count()) / worth)};
  }

 private:
  static constexpr double fading = 0.99;              // the last hundred checks
  static constexpr double prior_deaths = 0.5;         // worth half a death
  static constexpr double prior_lived = 0.5 * 9'000;  // of 150 minutes, as measured for BitTorrent
  double lived_ = 0, deaths_ = 0;
};

}  // namespace shoal::dht
