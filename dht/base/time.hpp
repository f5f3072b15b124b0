// Time as values. No file outside cli/ reads a clock: the host hands `Now` in with every input.
#pragma once

#include <chrono>
#include <cstdint>

namespace shoal {

using Duration = std::chrono::microseconds;

// The host's steady clock; its origin means nothing. Never goes back.
struct SteadyClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<SteadyClock, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = SteadyClock::time_point;

// Unix time. May jump either way: use it only for what is stored or sent, never for timers.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

struct Now {
  Instant mono;
  WallTime wall;
};

inline constexpr Instant never = Instant::max();

[[nodiscard]] constexpr std::int64_t unix_ms(WallTime time) { return time.time_since_epoch().count(); }
[[nodiscard]] constexpr WallTime from_unix_ms(std::int64_t ms) {
  return WallTime{std::chrono::milliseconds{ms}};
}
[[nodiscard]] constexpr double seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

}  // namespace shoal
