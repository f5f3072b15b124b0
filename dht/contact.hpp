// Contact: what we know of one node that has proven itself, and how alive it is. A value; it decides nothing.
// Round trips as in RFC 6298.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {

class RoundTrip {
 public:
  void sample(Duration measured) {
    if (smoothed_ == 0) {
      smoothed_ = static_cast<std::int32_t>(measured.count());
      variance_ = smoothed_ / 2;
      return;
    }
    const auto m = static_cast<std::int32_t>(measured.count());
    const std::int32_t error = std::abs(smoothed_ - m);
    variance_ += (error - variance_) / 4;
    smoothed_ += (m - smoothed_) / 8;
  }
  // clamp(srtt + 4 var, 150 ms, 1 s). At least one sample.
  [[nodiscard]] Duration soft_timeout() const {
    return std::clamp(Duration{smoothed_ + 4 * variance_}, limits::soft_floor, limits::soft_ceiling);
  }
  [[nodiscard]] Duration smoothed() const { return Duration{smoothed_}; }

 private:
  std::int32_t smoothed_ = 0;  // microseconds; 0: no sample yet
  std::int32_t variance_ = 0;
};

// The time within which 19 of 20 answers came, whoever gave them: how long to wait for one never asked
// before. Stochastic approximation of a quantile (Robbins & Monro 1951): one that came later moves it up by
// an eighth, the 19 others together down by as much. So who lives behind a slow line waits longer.
class UsualRoundTrip {
 public:
  void sample(Duration measured) {
    const Duration step = within_ / 8;
    within_ += measured > within_ ? step * 19 / 20 : -(step / 20);
    within_ = std::clamp<Duration>(within_, limits::soft_floor, limits::soft_ceiling);
  }
  [[nodiscard]] Duration within() const { return within_; }

 private:
  Duration within_ = limits::soft_unknown;
};

// Who led us to a contact (parties.hpp): a keyed hash of its network.
using Party = std::uint16_t;
inline constexpr Party no_party = 0;

struct Contact {
  // What is asked often stands first: a table has hundreds.
  Key id;
  Endpoint endpoint;
  std::uint8_t failures = 0;  // hard timeouts since the last reply
  Party party = no_party;
  RoundTrip round_trip;
  Instant since{};     // in the table
  Instant answered{};  // its last reply
  Instant asked{};     // our last query
  Instant proven{};    // its last signed reply

  [[nodiscard]] bool alive(Instant now, Duration heard_within) const {
    return failures == 0 && now - answered <= heard_within;
  }
};

}  // namespace shoal::dht
