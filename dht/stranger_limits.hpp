// StrangerLimits: how many packets may go to addresses that others have named and that have not answered, so
// that whoever lies about addresses cannot aim us, let alone all of us, at a third party (THREATS A9, A12).
// One table for the datagrams of all overlays of a host and for its dials. In limits::stranger_window a
// global host (v4 address, v6 /64) gets limits::stranger_packets: datagrams, until one is answered, and
// dials' SYNs, answered or not; a global network (/24, /48) a dial every limits::dial_network_gap and
// limits::stranger_network_datagrams. Other addresses are not limited.
//
// Who may be written to all the same (members, contacts, those that the user named) is the caller's to know.
// Bounded: beyond limits::strangers silent hosts in a window the longest known is forgotten.
#pragma once

#include <array>
#include <cstdint>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"
#include "dht/limits.hpp"
#include "dht/recent.hpp"

namespace shoal::dht {

class StrangerLimits {
 public:
  // Whether a datagram may be sent; counts it.
  [[nodiscard]] bool take_datagram(Instant now, const IpAddress& to);
  // A datagram came that answers one of ours: those to this host no longer count.
  void answered(const IpAddress& from);

  enum class Dial : std::uint8_t {
    fresh,
    follow_up  // another greeting for one who took a stream just now: no gap, and it counts all the same
  };
  // The first instant at which this address may be dialled (now, if it may be at once). Does not count.
  [[nodiscard]] Instant dial_allowed_at(Instant now, const IpAddress& to, Dial dial = Dial::fresh) const;
  // Counts a dial, and gives how many SYNs of the `wanted` it may send, 1 at least.
  std::uint32_t dialled(Instant now, const IpAddress& to, std::uint32_t wanted);
  // So many SYNs of the last dial were not sent, because there was an answer before.
  void unused(const IpAddress& to, std::uint32_t syns);

 private:
  struct Host {
    std::array<Instant, limits::stranger_packets> when{};  // the oldest first
    std::uint8_t count = 0;
    std::uint8_t datagrams = 0;  // a bit for each
    void drop(std::uint32_t at);
    void add(Instant now, bool datagram);
    [[nodiscard]] bool spent(Instant now) const;  // it says nothing any more
    [[nodiscard]] bool full(Instant now) const;
    [[nodiscard]] std::uint32_t room(Instant now) const;
  };
  struct Network {
    Instant dialled{}, since{};
    std::uint32_t datagrams = 0;  // since then
    [[nodiscard]] bool spent(Instant now) const;
  };
  [[nodiscard]] Host& host(Instant now, const IpAddress& address);
  [[nodiscard]] Network& network(Instant now, const IpAddress& address);

  RecentMap<IpAddress, Host, limits::strangers> hosts_;
  RecentMap<IpAddress, Network, limits::stranger_networks> networks_;
};

}  // namespace shoal::dht
