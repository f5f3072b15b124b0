// Timers of a node at rest; see upkeep.hpp.
#include "dht/upkeep.hpp"

#include <algorithm>

#include "dht/churn_seen.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

constexpr std::array<Duty, duties> in_order = {
    Duty::bootstrap, Duty::neighbourhood, Duty::fill, Duty::stalest, Duty::refresh, Duty::probe, Duty::lost};

// The period, 10 % shorter or longer.
Duration jittered(Duration period, Random& random) {
  const std::int64_t tenth = period.count() / 10;
  return Duration{period.count() - tenth +
                  static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * tenth + 1)))};
}

// A life cut into that many parts, within bounds.
Duration part_of(Duration life, double parts, Duration least, Duration most) {
  const auto part = static_cast<std::int64_t>(static_cast<double>(life.count()) / std::max(1.0, parts));
  return std::clamp(Duration{part}, least, most);
}

}  // namespace

Upkeep::Upkeep(Instant now, Random& random) : bootstrap_pause_(limits::bootstrap_again_first) {
  for (Duty duty : in_order) at(duty) = now;
  at(Duty::stalest) = now + jittered(limits::stalest_every, random);
  at(Duty::refresh) = now + jittered(limits::refresh_every, random);
}

bool Upkeep::applies(Duty duty, const Facts& facts) {
  switch (duty) {
    case Duty::bootstrap:
      return facts.lonely && facts.endpoints && !facts.bootstrapping;
    case Duty::neighbourhood:
      return facts.contacts && !facts.searching;
    case Duty::fill:
      return facts.contacts && facts.room;
    case Duty::stalest:
      return facts.contacts;
    case Duty::refresh:
      return facts.contacts && !facts.searching;
    case Duty::probe:
      return facts.contacts && facts.hopes_to_be_reached;
    case Duty::lost:
      return facts.contacts && facts.lost;
  }
  return false;
}

std::optional<Duty> Upkeep::due(Instant now, const Facts& facts, Random& random) {
  for (Duty duty : in_order) {
    if (at(duty) > now || !applies(duty, facts)) continue;
    reschedule(duty, now, facts, random);
    return duty;
  }
  return std::nullopt;
}

void Upkeep::reschedule(Duty duty, Instant now, const Facts& facts, Random& random) {
  switch (duty) {
    case Duty::bootstrap:
      at(duty) = now + jittered(bootstrap_pause_, random);
      bootstrap_pause_ = std::min<Duration>(bootstrap_pause_ * 2, limits::bootstrap_again_last);
      break;
    case Duty::neighbourhood:
      at(duty) = now + jittered(neighbourhoods_ < 2
                                    ? limits::neighbourhood_first
                                    : part_of(facts.life, limits::neighbourhoods_a_life,
                                              limits::neighbourhood_least, limits::neighbourhood_every),
                                random);
      ++neighbourhoods_;
      break;
    case Duty::fill:
      at(duty) = now + jittered(fills_ < limits::fill_first_rounds
                                    ? limits::fill_first
                                    : ChurnSeen::stretched(limits::fill_every, facts.life),
                                random);
      ++fills_;
      break;
    case Duty::stalest:
      at(duty) =
          now + jittered(part_of(facts.life, limits::checks_a_life * static_cast<double>(facts.entries),
                                 limits::stalest_least, limits::stalest_every),
                         random);
      break;
    case Duty::refresh:
      at(duty) = now + jittered(limits::refresh_every / 16, random);
      break;
    case Duty::probe:
      at(duty) = now + jittered(probes_ < limits::probe_first_rounds ? limits::probe_first
                                : probes_ < limits::probe_rounds     ? limits::probe_every
                                                                     : limits::probe_rarely,
                                random);
      ++probes_;
      break;
    case Duty::lost:
      at(duty) = now + jittered(limits::lost_every, random);
      break;
  }
}

Instant Upkeep::next(const Facts& facts) const {
  Instant soonest = never;
  for (Duty duty : in_order)
    if (applies(duty, facts)) soonest = std::min(soonest, at(duty));
  return soonest;
}

void Upkeep::restart(Instant now) {
  at(Duty::neighbourhood) = now;
  at(Duty::fill) = now;
  at(Duty::probe) = now + std::chrono::seconds{1};  // our address should be known by then
  neighbourhoods_ = 0;
  fills_ = 0;
  probes_ = 0;
  bootstrap_pause_ = limits::bootstrap_again_first;
}

bool Upkeep::fill_by_lookup() const {
  return std::find(std::begin(limits::fill_lookups), std::end(limits::fill_lookups), fills_) !=
         std::end(limits::fill_lookups);
}

void Upkeep::found_again(Instant now) {
  at(Duty::lost) = std::min(at(Duty::lost), now + limits::lost_next);
  if (now - reunited_ < limits::reunion_every) return;
  reunited_ = now;
  at(Duty::neighbourhood) = std::min(at(Duty::neighbourhood), now + limits::lost_next);
  neighbourhoods_ = 0;
  fills_ = 0;
}

void Upkeep::hurry_bootstrap(Instant now) { at(Duty::bootstrap) = std::min(at(Duty::bootstrap), now); }

}  // namespace shoal::dht
