// Timers of a node at rest; see upkeep.hpp.
#include "dht/upkeep.hpp"

#include <algorithm>

#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

constexpr std::array<Duty, duties> in_order = {Duty::bootstrap, Duty::neighbourhood, Duty::fill,
                                               Duty::stalest,   Duty::refresh,       Duty::probe};

// The period, 10 % shorter or longer.
Duration jittered(Duration period, Random& random) {
  const std::int64_t tenth = period.count() / 10;
  return Duration{period.count() - tenth +
                  static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * tenth + 1)))};
}

}  // namespace

Upkeep::Upkeep(Instant now, Random& random) : bootstrap_pause_(limits::bootstrap_again_first) {
  for (Duty duty : in_order) at(duty) = now;
  at(Duty::stalest) = now + jittered(limits::stalest_every, random);
  at(Duty::refresh) = now + jittered(limits::refresh_every, random);
}

bool Upkeep::applies(Duty duty, const Facts& facts, int fill_left) {
  switch (duty) {
    case Duty::bootstrap:
      return facts.lonely && facts.endpoints && !facts.bootstrapping;
    case Duty::neighbourhood:
      return facts.contacts && !facts.searching;
    case Duty::fill:
      return facts.contacts && facts.room && fill_left > 0 && !facts.searching;
    case Duty::stalest:
      return facts.contacts;
    case Duty::refresh:
      return facts.contacts && !facts.searching;
    case Duty::probe:
      return facts.contacts && facts.read_only;
  }
  return false;
}

std::optional<Duty> Upkeep::due(Instant now, const Facts& facts, Random& random) {
  for (Duty duty : in_order) {
    if (at(duty) > now || !applies(duty, facts, fill_left_)) continue;
    reschedule(duty, now, random);
    return duty;
  }
  return std::nullopt;
}

void Upkeep::reschedule(Duty duty, Instant now, Random& random) {
  switch (duty) {
    case Duty::bootstrap:
      at(duty) = now + jittered(bootstrap_pause_, random);
      bootstrap_pause_ = std::min<Duration>(bootstrap_pause_ * 2, limits::bootstrap_again_last);
      break;
    case Duty::neighbourhood:
      at(duty) =
          now +
          jittered(neighbourhoods_ < 2 ? limits::neighbourhood_first : limits::neighbourhood_every, random);
      ++neighbourhoods_;
      break;
    case Duty::fill:
      --fill_left_;
      at(duty) = now + jittered(limits::fill_every, random);
      break;
    case Duty::stalest:
      at(duty) = now + jittered(limits::stalest_every, random);
      break;
    case Duty::refresh:
      at(duty) = now + jittered(limits::refresh_every / 16, random);
      break;
    case Duty::probe:
      at(duty) =
          now + jittered(probes_ < limits::probe_rounds ? limits::probe_every : limits::probe_rarely, random);
      ++probes_;
      break;
  }
}

Instant Upkeep::next(const Facts& facts) const {
  Instant soonest = never;
  for (Duty duty : in_order)
    if (applies(duty, facts, fill_left_)) soonest = std::min(soonest, at(duty));
  return soonest;
}

void Upkeep::restart(Instant now) {
  at(Duty::neighbourhood) = now;
  at(Duty::fill) = now;
  at(Duty::probe) = now + std::chrono::seconds{1};  // our address should be known by then
  neighbourhoods_ = 0;
  fill_left_ = limits::fill_rounds;
  probes_ = 0;
  bootstrap_pause_ = limits::bootstrap_again_first;
}

void Upkeep::hurry_bootstrap(Instant now) { at(Duty::bootstrap) = std::min(at(Duty::bootstrap), now); }

}  // namespace shoal::dht
