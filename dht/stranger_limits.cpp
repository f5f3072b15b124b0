// See stranger_limits.hpp. An instant of zero is none: no packet was ever sent then.
#include "dht/stranger_limits.hpp"

#include <algorithm>

namespace shoal::dht {

void StrangerLimits::Host::drop(std::uint32_t at) {
  std::shift_left(when.begin() + at, when.begin() + count, 1);
  --count;
  const std::uint32_t below = datagrams & ((1U << at) - 1), above = (datagrams >> (at + 1)) << at;
  datagrams = static_cast<std::uint8_t>(below | above);
}

void StrangerLimits::Host::add(Instant now, bool datagram) {
  if (count == limits::stranger_packets) drop(0);
  if (datagram) datagrams = static_cast<std::uint8_t>(datagrams | 1U << count);
  when[count++] = now;
}

bool StrangerLimits::Host::spent(Instant now) const {
  return count == 0 || when[count - 1U] + limits::stranger_window <= now;
}

std::uint32_t StrangerLimits::Host::room(Instant now) const {
  const auto recent = std::count_if(when.begin(), when.begin() + count,
                                    [now](Instant at) { return at + limits::stranger_window > now; });
  return limits::stranger_packets - static_cast<std::uint32_t>(recent);
}

bool StrangerLimits::Network::spent(Instant now) const {
  return std::max(dialled + limits::dial_network_gap, since + limits::stranger_window) <= now;
}

StrangerLimits::Host& StrangerLimits::host(Instant now, const IpAddress& address) {
  return hosts_.touch(address.host(), [now](const Host& one) { return one.spent(now); });
}

StrangerLimits::Network& StrangerLimits::network(Instant now, const IpAddress& address) {
  return networks_.touch(address.network(), [now](const Network& one) { return one.spent(now); });
}

bool StrangerLimits::take_datagram(Instant now, const IpAddress& to) {
  if (!to.global()) return true;
  if (const Host* known = hosts_.find(to.host()); known != nullptr && known->room(now) == 0) return false;
  Network& around = network(now, to);
  if (around.since + limits::stranger_window <= now) {
    around.since = now;
    around.datagrams = 0;
  }
  if (around.datagrams >= limits::stranger_network_datagrams) return false;
  ++around.datagrams;
  host(now, to).add(now, true);
  return true;
}

void StrangerLimits::answered(const IpAddress& from) {
  Host* known = hosts_.find(from.host());
  if (known == nullptr) return;
  Network* around = networks_.find(from.network());
  for (std::uint32_t i = known->count; i-- > 0;) {
    if ((known->datagrams >> i & 1U) == 0) continue;
    known->drop(i);
    if (around != nullptr && around->datagrams > 0) --around->datagrams;
  }
}

Instant StrangerLimits::dial_allowed_at(Instant now, const IpAddress& to, Dial dial) const {
  if (!to.global()) return now;
  Instant out = now;
  if (const Network* around = networks_.find(to.network());
      around != nullptr && around->dialled != Instant{} && dial == Dial::fresh)
    out = std::max(out, around->dialled + limits::dial_network_gap);
  if (const Host* known = hosts_.find(to.host()); known != nullptr && known->room(now) == 0)
    out = std::max(out, known->when.front() + limits::stranger_window);
  return out;
}

std::uint32_t StrangerLimits::dialled(Instant now, const IpAddress& to, std::uint32_t wanted) {
  if (!to.global()) return wanted;
  network(now, to).dialled = now;
  Host& known = host(now, to);
  const std::uint32_t granted = std::clamp(wanted, 1U, std::max(1U, known.room(now)));
  for (std::uint32_t i = 0; i < granted; ++i) known.add(now, false);
  return granted;
}

void StrangerLimits::unused(const IpAddress& to, std::uint32_t syns) {
  Host* known = to.global() ? hosts_.find(to.host()) : nullptr;
  if (known == nullptr) return;
  for (std::uint32_t i = known->count; i-- > 0 && syns > 0;) {
    if ((known->datagrams >> i & 1U) != 0) continue;
    known->drop(i);
    --syns;
  }
}

}  // namespace shoal::dht
