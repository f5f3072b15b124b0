// SkewMedian: how far our wall clock is ahead of the others', as the median of signed times from distinct
// networks (THREATS A33). It corrects nothing: a skew that matters is told to the user, and record puts wait.
// Two people alone are no such crowd: what those say whom the user named is told, too, and stops nothing.
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
  enum class Voter : std::uint8_t { heard_of, named };  // by the user
  // `theirs` was written somewhere within the round trip that ended now.
  void report(const Endpoint& voter, std::int64_t theirs_unix_ms, Duration round_trip, Now now,
              Voter who = Voter::heard_of);
  // Positive: ours is ahead. nullopt: too few voters.
  [[nodiscard]] std::optional<std::chrono::milliseconds> median(Now now) const;
  // The same of those that the user named, however few: of what they agree in, the least. nullopt: none
  // answered, or some find us ahead and others behind.
  [[nodiscard]] std::optional<std::chrono::milliseconds> of_named(Now now) const;

 private:
  struct Sample {
    Endpoint party;
    std::int64_t base_ms = 0;  // their wall clock minus our steady one: our wall clock may jump meanwhile
    Instant at{};
    Voter who{};
  };
  [[nodiscard]] static std::chrono::milliseconds ahead(Now now, std::int64_t base_ms);
  std::size_t needed_;
  std::vector<Sample> samples_;  // oldest first; bounded by limits::voters
};

}  // namespace shoal::dht
