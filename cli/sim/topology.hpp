// Who can reach whom, under which address, how far away: hosts, sites behind a NAT, latencies, partitions. No
// queue and no traffic (network.hpp, streams.hpp).
//
// A host stands on the public Internet, or in a site: a private network whose one public address is a NAT
// with endpoint-independent mapping and address-and-port-dependent filtering (RFC 4787), which also refuses
// every stream from outside and does not hairpin. Latency is a function of (seed, pair), so that no table of
// pairs exists.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"

namespace shoal::sim {

using HostId = std::uint32_t;
using SiteId = std::uint32_t;  // 0: none, the public Internet
inline constexpr HostId no_host = ~HostId{0};

struct Latency {
  enum class Law : std::uint8_t { uniform, log_normal } law = Law::uniform;
  Duration low{10'000}, high{60'000};  // one way; uniform within; log_normal: clamped to them
  Duration median{35'000};             // log_normal
  double sigma = 0.5;                  // log_normal: of the logarithm
};

// One way between two parties; a function of its arguments, symmetric in a and b.
[[nodiscard]] Duration pair_delay(const Latency& latency, std::uint64_t seed, std::uint32_t a,
                                  std::uint32_t b);

struct LinkRates {
  std::uint64_t up = 0, down = 0;  // bytes a second; 0: unlimited
};

struct HostConfig {
  // Public, or private in a site; neither: a v4 is given, on the Internet in a /24 of its own.
  std::optional<IpAddress> v4{}, v6{};
  std::uint16_t port = 4100;  // bound, for UDP and TCP alike
  SiteId site = 0;
  LinkRates rates{};
};

class Topology {
 public:
  Topology(std::uint64_t seed, const Latency& latency) : seed_(seed), latency_(latency) {}

  // A private network behind a NAT; its public address is drawn like a host's.
  SiteId add_site();
  HostId add_host(const HostConfig& config);

  struct Host {
    HostConfig config;
    Endpoint v4, v6;                // as it knows itself; port 0 where it has none
    std::uint32_t incarnation = 0;  // rises with each death
    std::uint32_t group = 0;        // hosts of different groups do not hear each other
    bool up = false;                // the process runs
    bool powered = true;            // the machine runs: it refuses what no process takes
    bool plugged = true;
    std::uint16_t next_ephemeral = 32'768;
  };
  [[nodiscard]] const Host& host(HostId id) const { return hosts_[id]; }
  [[nodiscard]] Host& host(HostId id) { return hosts_[id]; }
  [[nodiscard]] std::size_t size() const { return hosts_.size(); }
  // How others may name the host: its own endpoint, or for one in a site the NAT's for it.
  [[nodiscard]] Endpoint public_endpoint(HostId id);
  [[nodiscard]] const std::vector<HostId>& site_hosts(SiteId site) const { return sites_[site].hosts; }

  // Where a packet from `from` to `to` goes; no_host where nothing has that address. `through_nat`: it must
  // pass the filter of the target's NAT.
  struct Route {
    HostId host = no_host;
    bool through_nat = false;
  };
  [[nodiscard]] Route route(HostId from, const Endpoint& to) const;
  // The sender as `to` will see it; a datagram leaves its mark in the filter of the sender's NAT.
  [[nodiscard]] Endpoint datagram_source(Instant now, HostId from, const Endpoint& to);
  [[nodiscard]] Endpoint stream_source(HostId from, const Endpoint& to);
  [[nodiscard]] bool nat_admits(Instant now, HostId target, const Endpoint& source) const;

  [[nodiscard]] Duration delay(HostId a, HostId b) const;  // one way, symmetric
  // Packets pass between the two now (both plugged in and powered, no partition).
  [[nodiscard]] bool connected(HostId a, HostId b) const {
    const Host &x = hosts_[a], &y = hosts_[b];
    return x.plugged && y.plugged && x.powered && y.powered && x.group == y.group;
  }

  static constexpr Duration nat_memory = std::chrono::minutes{2};  // RFC 4787 REQ-5: no less

 private:
  struct Site {
    IpAddress public_address;
    std::vector<HostId> hosts;
    std::unordered_map<std::uint16_t, HostId> mapped;  // external port -> host
  };
  struct Filter {
    std::uint16_t external_port = 0;                // 0: not mapped yet
    std::unordered_map<Endpoint, Instant> allowed;  // until when
  };
  [[nodiscard]] bool leaves_site(HostId from, const Endpoint& to) const;
  Endpoint map_port(HostId host);

  std::uint64_t seed_;
  Latency latency_;
  std::vector<Host> hosts_;
  std::vector<Site> sites_{Site{}};
  std::vector<Filter> filters_;  // by host
  struct Owner {
    HostId host = no_host;
    SiteId site = 0;
  };
  std::unordered_map<IpAddress, Owner> public_;
  std::unordered_map<std::uint64_t, HostId> private_;  // site << 32 | v4
  std::uint32_t given_ = 0;
};

// A fast mixing function (SplitMix64, Steele et al. 2014), for latencies and digests.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace shoal::sim
