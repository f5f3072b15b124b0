// See exchange.hpp. What was told is merged with what is connected, both sorted; what exceeds a bound stays
// for the next minute. The first intake sets the clock; one that comes too soon does not.
#include "swarm/exchange.hpp"

#include <algorithm>
#include <set>

namespace shoal::swarm {

std::optional<wire::PeerExchange> Exchange::update(Instant now,
                                                   std::span<const wire::ExchangeEntry> connected,
                                                   const std::optional<Endpoint>& self) {
  if (now < next_) return std::nullopt;
  next_ = now + limits::exchange_period;
  wire::PeerExchange out;
  std::vector<Endpoint> told;
  told.reserve(connected.size());
  auto old = told_.begin();
  const auto drop_until = [&](const Endpoint* end) {
    for (; old != told_.end() && (end == nullptr || *old < *end); ++old) {
      if (out.dropped.size() < limits::exchange_dropped) {
        out.dropped.push_back(*old);
      } else {
        told.push_back(*old);  // told next time
      }
    }
  };
  for (const wire::ExchangeEntry& entry : connected) {
    if (self && entry.endpoint == *self) continue;
    drop_until(&entry.endpoint);
    if (old != told_.end() && *old == entry.endpoint) {
      told.push_back(*old++);
    } else if (out.added.size() < limits::exchange_added) {
      out.added.push_back(entry);
      told.push_back(entry.endpoint);
    }
  }
  drop_until(nullptr);
  told_ = std::move(told);
  if (out.added.empty() && out.dropped.empty()) return std::nullopt;
  return out;
}

Exchange::Verdict Exchange::take(Instant now, wire::PeerExchange& message) {
  const bool too_soon = heard_ && now - taken_ < limits::exchange_least;
  const bool too_many =
      message.added.size() > limits::exchange_taken || message.dropped.size() > limits::exchange_taken;
  if (too_soon || too_many) ++offences_;
  if (offences_ >= limits::exchange_strikes) {
    message = {};
    return too_soon || too_many ? Verdict::strike : Verdict::discarded;
  }
  if (too_soon) {
    message = {};
    return Verdict::discarded;
  }
  heard_ = true;
  taken_ = now;
  if (too_many) {
    if (message.added.size() > limits::exchange_taken) message.added.resize(limits::exchange_taken);
    if (message.dropped.size() > limits::exchange_taken) message.dropped.resize(limits::exchange_taken);
  }
  std::set<Endpoint> seen;
  std::erase_if(message.added, [&](const wire::ExchangeEntry& entry) {
    return entry.endpoint.port == 0 || !seen.insert(entry.endpoint).second;
  });
  return Verdict::taken;
}

}  // namespace shoal::swarm
