// Whose word our contacts rest on; see parties.hpp.
#include "dht/parties.hpp"

#include <algorithm>

#include "dht/limits.hpp"

namespace shoal::dht {

std::vector<Parties::Led>::iterator Parties::place(Party party) {
  return std::ranges::lower_bound(led_, party, {}, &Led::party);
}

const Parties::Led* Parties::find(Party party) const {
  const auto at = std::ranges::lower_bound(led_, party, {}, &Led::party);
  return at != led_.end() && at->party == party ? &*at : nullptr;
}

void Parties::enter(Party party) {
  if (party == no_party) {
    ++callers_;
    return;
  }
  auto at = place(party);
  if (at == led_.end() || at->party != party) at = led_.insert(at, Led{party});
  if (at->informed) {
    measures_ += at->entries == 0 ? 1 : 0;
    ++of_measures_;
  }
  ++at->entries;
  ++entries_;
}

void Parties::leave(Party party) {
  if (party == no_party) {
    --callers_;
    return;
  }
  const auto at = place(party);
  --at->entries;
  --entries_;
  if (at->informed) {
    measures_ -= at->entries == 0 ? 1 : 0;
    --of_measures_;
  } else if (at->entries == 0) {
    led_.erase(at);
  }
}

void Parties::informed(Party party) {
  if (party == no_party || led_.size() >= limits::parties) return;
  auto at = place(party);
  if (at == led_.end() || at->party != party) at = led_.insert(at, Led{party});
  if (at->informed) return;
  at->informed = true;
  measures_ += at->entries > 0 ? 1 : 0;
  of_measures_ += at->entries;
}

Parties Parties::without_entries() const {
  Parties out;
  for (const Led& led : led_)
    if (led.informed) out.led_.push_back({led.party, true, 0});
  return out;
}

std::size_t Parties::led_by(Party party) const {
  if (party == no_party) return callers_;
  const Led* led = find(party);
  return led == nullptr ? 0 : led->entries;
}

bool Parties::too_many_callers() const {
  return measures_ > 0 && callers_ > std::max(limits::callers_first, entries_ / limits::callers_one_in);
}

bool Parties::full(Party party) const {
  if (party == no_party) return false;
  const Led* led = find(party);
  const std::size_t own = led == nullptr ? 0 : led->entries;
  const bool measure = own > 0 && led->informed;
  const std::size_t others = measures_ - (measure ? 1 : 0);
  if (others == 0) return false;
  const std::size_t theirs = of_measures_ - (measure ? own : 0);
  return own >= std::max(theirs / others + limits::party_lead, limits::party_first / (others + 1));
}

}  // namespace shoal::dht
