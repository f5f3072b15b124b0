// Where a peer may go: how far it reaches, and which networks are its own. Values alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dht/base/endpoint.hpp"

namespace shoal::swarm {

enum class Reach : std::uint8_t { internet, local };

struct Subnet {  // one of this machine's own; `address` is the machine's, not the network's
  IpAddress address;
  int prefix_bits = 0;
  [[nodiscard]] bool contains(const IpAddress& other) const {
    if (other.family != address.family) return false;
    const int most = static_cast<int>(address.view().size()) * 8;
    const int bits = prefix_bits < 0 ? 0 : prefix_bits > most ? most : prefix_bits;
    for (int i = 0; i < bits; ++i)
      if (((address.bytes[i / 8] ^ other.bytes[i / 8]) >> (7 - i % 8) & 1) != 0) return false;
    return true;
  }
};

// The families of which we have a network.
[[nodiscard]] inline std::vector<Family> families_of(const std::vector<Subnet>& subnets) {
  std::vector<Family> out;
  for (const Family family : {Family::v4, Family::v6})
    if (std::ranges::any_of(subnets, [family](const Subnet& s) { return s.address.family == family; }))
      out.push_back(family);
  return out;
}

}  // namespace shoal::swarm
