// Lan: when to call into the local network, and whom heard there to believe. The call is a native ping to a
// multicast group (TTL 1): it says where a node listens and nothing of any content. Whoever hears one asks
// the caller for records of its own contents, by unicast; who has contents at rest, and wants none, calls
// back once. Calls: one at the start or when a content is opened, then every 5 min, never two within 5 s
// (THREATS A35).
#pragma once

#include <algorithm>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"
#include "swarm/config.hpp"

namespace shoal::swarm {

class Lan {
 public:
  Lan(bool enabled, std::vector<Subnet> subnets) : enabled_(enabled), subnets_(std::move(subnets)) {}

  [[nodiscard]] Instant due() const { return enabled_ ? due_ : never; }
  void soon(Now now) { due_ = std::min(due_, std::max(now.mono, last_ + least)); }
  void sent(Now now) {
    last_ = now.mono;
    due_ = now.mono + usual;
  }
  [[nodiscard]] std::vector<Family> families() const { return families_of(subnets_); }
  // Whether to ask the sender of a call: it is on a subnet of ours, not ourselves, and was not heard just
  // before.
  [[nodiscard]] bool admit(Now now, const Endpoint& from, std::uint16_t own_port) {
    if (!enabled_) return false;
    const auto near = [&](const Subnet& s) { return s.contains(from.address); };
    const auto self = [&](const Subnet& s) { return s.address == from.address && from.port == own_port; };
    if (std::none_of(subnets_.begin(), subnets_.end(), near)) return false;
    if (std::any_of(subnets_.begin(), subnets_.end(), self)) return false;
    std::erase_if(heard_, [&](const Heard& heard) { return heard.when + least <= now.mono; });
    const auto same = [&](const Heard& heard) { return heard.from == from; };
    if (heard_.size() >= most_heard || std::any_of(heard_.begin(), heard_.end(), same)) return false;
    heard_.push_back({from, now.mono});
    return true;
  }
  // Somebody called who may not have heard us: it is told of us by a call, unless it called before, some time
  // ago at most. So two who do the same come to an end.
  void call_back(Now now, const Endpoint& from) {
    std::erase_if(told_, [&](const Heard& heard) { return heard.when + 2 * usual <= now.mono; });
    const auto known =
        std::find_if(told_.begin(), told_.end(), [&](const Heard& heard) { return heard.from == from; });
    if (known != told_.end()) {
      known->when = now.mono;
    } else if (told_.size() < most_heard) {
      told_.push_back({from, now.mono});
      soon(now);
    }
  }

 private:
  static constexpr std::chrono::seconds least{5};
  static constexpr std::chrono::minutes usual{5};
  static constexpr std::size_t most_heard = 64;  // callers in 5 s; beyond that somebody floods
  struct Heard {
    Endpoint from;
    Instant when;
  };
  bool enabled_;
  std::vector<Subnet> subnets_;
  std::vector<Heard> heard_, told_;
  Instant due_ = never;
  Instant last_{-least};
};

}  // namespace shoal::swarm
