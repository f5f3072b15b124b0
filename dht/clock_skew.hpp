// SkewMedian: how far our wall clock is ahead of the others', as the median of signed times from distinct
// networks (THREATS A33). It corrects nothing: a skew that matters is told to the user, and record puts wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

class SkewMedian {
 public:
  explicit SkewMedian(std::size_t voters_needed) : needed_(voters_needed) {}
  // `theirs` was written somewhere within the round trip that ended now.
  void report(const Endpoint& voter, std::int64_t theirs_unix_ms, Duration round_trip, Now now);
  // Positive: ours is ahead. nullopt: too few voters.
  [[nodiscard]] std::optional<std::chrono::milliseconds> median(Now now) const;

 private:
  struct Sample {
    Endpoint party;
    std::int64_t base_ms = 0;  // their wall clock minus our steady one: our wall clock may jump meanwhile
    Instant at{};
  };
  std::size_t needed_;
  std::vector<Sample> samples_;  // oldest first; bounded by limits::voters
};

}  // namespace shoal::dht
