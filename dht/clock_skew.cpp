// Median clock skew; see clock_skew.hpp.
#include "dht/clock_skew.hpp"

#include <algorithm>
#include <array>

#include "dht/external_vote.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

std::int64_t steady_ms(Instant instant) { return instant.time_since_epoch().count() / 1000; }

// A signed time outside 1970..9999 is noise; keeping it out keeps the arithmetic below from overflowing.
constexpr std::int64_t latest_unix_ms = 253'402'300'799'000;

}  // namespace

void SkewMedian::report(const Endpoint& voter, std::int64_t theirs_unix_ms, Duration round_trip, Now now,
                        Voter who) {
  if (theirs_unix_ms < 0 || theirs_unix_ms > latest_unix_ms) return;
  const Endpoint party = party_of(voter);
  samples_.erase(samples_.begin(), std::ranges::find_if(samples_, [&](const Sample& sample) {
                   return now.mono - sample.at <= limits::vote_life;
                 }));
  const auto known = std::ranges::find(samples_, party, &Sample::party);
  if (known != samples_.end())
    samples_.erase(known);
  else if (samples_.size() >= limits::voters)
    samples_.erase(samples_.begin());
  const std::int64_t written = steady_ms(now.mono - round_trip / 2);
  samples_.push_back({party, theirs_unix_ms - written, now.mono, who});
}

std::optional<std::chrono::milliseconds> SkewMedian::median(Now now) const {
  if (samples_.size() < needed_) return std::nullopt;
  std::array<std::int64_t, limits::voters> bases;  // filled as far as there are samples
  const auto end = std::ranges::transform(samples_, bases.begin(), &Sample::base_ms).out;
  const auto middle = bases.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2);
  std::nth_element(bases.begin(), middle, end);
  return ahead(now, *middle);
}

std::optional<std::chrono::milliseconds> SkewMedian::of_named(Now now) const {
  std::optional<std::chrono::milliseconds> least;
  for (const Sample& sample : samples_) {
    if (sample.who != Voter::named) continue;
    const auto one = ahead(now, sample.base_ms);
    if (least && (*least < one.zero()) != (one < one.zero())) return std::nullopt;
    if (!least || std::chrono::abs(one) < std::chrono::abs(*least)) least = one;
  }
  return least;
}

std::chrono::milliseconds SkewMedian::ahead(Now now, std::int64_t base_ms) {
  return std::chrono::milliseconds{unix_ms(now.wall) - steady_ms(now.mono) - base_ms};
}

}  // namespace shoal::dht
