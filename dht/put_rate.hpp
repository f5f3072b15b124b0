// PutRate: how many PUTs a source may make, and how many signatures all of them together may cost us (THREATS
// A15).
//
// Per global address 2 a second in bursts of 16; addresses of a LAN or loopback are not strangers and are not
// limited singly. In total 500 pairs of signatures a second (65 ms of a core), bursts of 500: a full store
// refreshed every 25 minutes needs 44. When that is used up, refreshes of records that we already keep, and
// that are due, have 150 a second of their own: a store full of records refreshed no more often than every 10
// minutes needs 110. Rates are kept as GCRA does (ITU-T I.371): one instant each. Not here: query budgets of
// the responder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

// A rate as one instant: the time at which all that was admitted would have been paid off at the steady pace.
class PacedRate {
 public:
  // One event every `interval` on average, `burst` (>= 1) at once.
  [[nodiscard]] bool admit(Instant now, Duration interval, std::int64_t burst) {
    if (paid_off_ > now + interval * (burst - 1)) return false;
    paid_off_ = (paid_off_ < now ? now : paid_off_) + interval;
    return true;
  }
  // When admit() will say yes again.
  [[nodiscard]] Instant next(Duration interval, std::int64_t burst) const {
    return paid_off_ == Instant::min() ? paid_off_ : paid_off_ - interval * (burst - 1);
  }

 private:
  Instant paid_off_ = Instant::min();
};

class PutRate {
 public:
  static constexpr Duration source_interval = std::chrono::milliseconds{500};
  static constexpr std::int64_t source_burst = 16;  // a start-up announcing many contents
  // 0.5 MB; the least recently seen makes room. More at once are bounded by the guard's budget of all
  // strangers, which is half of what so many sources may put.
  static constexpr std::size_t sources = 4'096;
  static constexpr Duration signature_interval = std::chrono::milliseconds{2};
  static constexpr std::int64_t signature_burst = 500;
  static constexpr Duration refresh_interval = std::chrono::microseconds{6667};
  static constexpr std::int64_t refresh_burst = 150;
  static constexpr Duration refresh_age = std::chrono::minutes{10};  // a younger record's refresh is not due

  enum class Kind : std::uint8_t { newcomer, due_refresh };

  [[nodiscard]] bool admit_source(Instant now, const IpAddress& source);
  [[nodiscard]] bool admit_signatures(Instant now, Kind kind);

 private:
  struct Source {
    PacedRate rate;
    std::list<IpAddress>::iterator place;
  };
  std::map<IpAddress, Source> by_address_;
  std::list<IpAddress> by_use_;  // least recently seen first
  PacedRate signatures_, refreshes_;
};

}  // namespace shoal::dht
