#include "swarm/address_rules.hpp"

#include <algorithm>

#include "dht/limits.hpp"

namespace shoal::swarm {
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

}  // namespace shoal::swarm
