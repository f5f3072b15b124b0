// See address_rules.hpp. Invariants: a dial history is never empty, rises in time, and is forgotten when it
// is older than its window.
#include "swarm/address_rules.hpp"

#include <algorithm>

#include "dht/limits.hpp"

namespace shoal::swarm {
namespace {

constexpr Duration sweep_period = std::chrono::seconds{10};
constexpr Duration full_wait = std::chrono::minutes{1};

}  // namespace

bool dialable(const AddressRules& rules, const Endpoint& endpoint, Source source) {
  const IpAddress& address = endpoint.address;
  if (endpoint.port < dht::limits::least_heard_port) return false;
  if (!(address.family == Family::v4 ? rules.ipv4 : rules.ipv6)) return false;
  if (std::find(rules.own.begin(), rules.own.end(), endpoint) != rules.own.end()) return false;

  const bool local = rules.reach == Reach::local;
  const bool named = source == Source::user || source == Source::lan;
  const auto ours = [&](const Subnet& subnet) { return subnet.contains(address); };
  switch (address.classify()) {
    case AddressClass::loopback:
      return local;
    case AddressClass::local_net:
      return local || (named && std::any_of(rules.subnets.begin(), rules.subnets.end(), ours));
    case AddressClass::global:
      break;
    case AddressClass::link_local:
    case AddressClass::multicast:
    case AddressClass::embedded:
    case AddressClass::reserved:
      return false;
  }
  // Another port of our own machine, or of a neighbour behind our NAT: only on the user's own word.
  const bool own_machine = std::any_of(rules.subnets.begin(), rules.subnets.end(),
                                       [&](const Subnet& s) { return s.address == address; }) ||
                           std::any_of(rules.own.begin(), rules.own.end(),
                                       [&](const Endpoint& own) { return own.address == address; });
  return !own_machine || named || local;
}

const Endpoint* AddressRules::seen_as(Family family) const {
  const auto found = std::ranges::find_if(
      own, [family](const Endpoint& each) { return each.address.family == family && each.address.global(); });
  return found == own.end() ? nullptr : &*found;
}

Instant DialLimits::allowed_at(Instant now, const IpAddress& address, Dial dial) const {
  if (!address.global()) return now;
  Instant out = now;
  if (const auto network = networks_.find(address.network());
      network != networks_.end() && dial == Dial::fresh)
    out = std::max(out, network->second + limits::dial_network_gap);
  const auto found = dials_.find(address.host());
  if (found == dials_.end())
    return dials_.size() < limits::max_dial_history ? out : std::max(out, now + full_wait);
  const Dials& dials = found->second;
  if (dials.count == limits::dials_per_ip) out = std::max(out, dials.when.front() + limits::dial_ip_window);
  return out;
}

void DialLimits::dialled(Instant now, const IpAddress& address) {
  if (!address.global()) return;
  forget(now);
  networks_[address.network()] = now;
  Dials& dials = dials_[address.host()];
  if (dials.count == limits::dials_per_ip) {
    std::shift_left(dials.when.begin(), dials.when.end(), 1);
    --dials.count;
  }
  dials.when[dials.count++] = now;
}

// Nothing older than its window is kept.
void DialLimits::forget(Instant now) {
  if (now - swept_ < sweep_period) return;
  swept_ = now;
  std::erase_if(networks_, [&](const auto& entry) { return entry.second + limits::dial_network_gap <= now; });
  std::erase_if(dials_, [&](const auto& entry) {
    return entry.second.when[entry.second.count - 1] + limits::dial_ip_window <= now;
  });
}

}  // namespace shoal::swarm
