// See topology.hpp.
#include "cli/sim/topology.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "dht/base/check.hpp"

namespace shoal::sim {
namespace {

// Addresses given out: one a /24 from 20.0.0.0 on, all of them global unicast up to 99.255.255.1.
constexpr std::uint32_t first_public = (20U << 24) | 1;
constexpr std::uint32_t most_public = 80U << 16;
constexpr std::uint32_t first_private = (192U << 24) | (168U << 16) | 10;

std::uint32_t v4_number(const IpAddress& address) { return load_be<std::uint32_t>(address.bytes.data()); }

std::uint64_t private_key(SiteId site, const IpAddress& address) {
  return (std::uint64_t{site} << 32) | v4_number(address);
}

double unit_of(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

Duration pair_delay(const Latency& latency, std::uint64_t seed, std::uint32_t a, std::uint32_t b) {
  const std::uint64_t bits = mix(mix(seed ^ std::min(a, b)) + std::max(a, b));
  if (latency.law == Latency::Law::uniform) {
    const auto span = static_cast<double>((latency.high - latency.low).count());
    return latency.low + Duration{static_cast<std::int64_t>(span * unit_of(bits))};
  }
  // Box-Muller: one normal variate from two uniform ones.
  const double radius = std::sqrt(-2 * std::log(1 - unit_of(bits)));
  const double normal = radius * std::cos(2 * std::numbers::pi * unit_of(mix(bits)));
  const double raw = static_cast<double>(latency.median.count()) * std::exp(latency.sigma * normal);
  return std::clamp(Duration{static_cast<std::int64_t>(raw)}, latency.low, latency.high);
}

SiteId Topology::add_site() {
  SHOAL_CHECK(given_ < most_public);
  const auto id = static_cast<SiteId>(sites_.size());
  Site site;
  site.public_address = IpAddress::v4(first_public + (given_++ << 8));
  public_[site.public_address] = {no_host, id};
  sites_.push_back(std::move(site));
  return id;
}

HostId Topology::add_host(const HostConfig& config) {
  const auto id = static_cast<HostId>(hosts_.size());
  Host host;
  host.config = config;
  if (!config.v4 && !config.v6) {
    SHOAL_CHECK(given_ < most_public);
    host.config.v4 =
        config.site == 0
            ? IpAddress::v4(first_public + (given_++ << 8))
            : IpAddress::v4(first_private + static_cast<std::uint32_t>(sites_[config.site].hosts.size()));
  }
  if (host.config.v4) {
    host.v4 = {*host.config.v4, config.port};
    if (config.site == 0)
      public_[*host.config.v4] = {id, 0};
    else
      private_[private_key(config.site, *host.config.v4)] = id;
  }
  if (host.config.v6) {  // no NAT in v6
    host.v6 = {*host.config.v6, config.port};
    public_[*host.config.v6] = {id, 0};
  }
  if (config.site != 0) sites_[config.site].hosts.push_back(id);
  hosts_.push_back(std::move(host));
  filters_.emplace_back();
  return id;
}

bool Topology::leaves_site(HostId from, const Endpoint& to) const {
  const SiteId site = hosts_[from].config.site;
  return site != 0 && to.address.family == Family::v4 && !private_.contains(private_key(site, to.address));
}

Endpoint Topology::map_port(HostId id) {
  const SiteId number = hosts_[id].config.site;
  Site& site = sites_[number];
  std::uint16_t& port = filters_[id].external_port;
  if (port == 0) {  // not the port within, as with most home routers under contention
    do port = static_cast<std::uint16_t>(20'000 + mix(seed_ ^ (std::uint64_t{id} << 20) ^ port) % 40'000);
    while (site.mapped.contains(port));
    site.mapped[port] = id;
  }
  return {site.public_address, port};
}

Endpoint Topology::public_endpoint(HostId id) {
  const Host& host = hosts_[id];
  if (host.config.site != 0 && host.config.v4) return map_port(id);
  return host.config.v4 ? host.v4 : host.v6;
}

Topology::Route Topology::route(HostId from, const Endpoint& to) const {
  const SiteId site = hosts_[from].config.site;
  if (site != 0 && to.address.family == Family::v4) {
    const auto found = private_.find(private_key(site, to.address));
    if (found != private_.end()) return {found->second, false};
  }
  const auto found = public_.find(to.address);
  if (found == public_.end()) return {};
  if (found->second.site == 0) return {found->second.host, false};
  if (found->second.site == site) return {};  // no hairpin
  const auto& mapped = sites_[found->second.site].mapped;
  const auto port = mapped.find(to.port);
  return port == mapped.end() ? Route{} : Route{port->second, true};
}

Endpoint Topology::datagram_source(Instant now, HostId from, const Endpoint& to) {
  const Host& host = hosts_[from];
  if (to.address.family == Family::v6) return host.v6;
  if (!leaves_site(from, to)) return host.v4;
  auto& allowed = filters_[from].allowed;
  allowed[to] = now + nat_memory;
  if (allowed.size() % 4096 == 0) std::erase_if(allowed, [now](const auto& e) { return e.second < now; });
  return map_port(from);
}

Endpoint Topology::stream_source(HostId from, const Endpoint& to) {
  Host& host = hosts_[from];
  const std::uint16_t port = host.next_ephemeral;
  host.next_ephemeral = port >= 60'999 ? std::uint16_t{32'768} : static_cast<std::uint16_t>(port + 1);
  if (to.address.family == Family::v6) return {host.v6.address, port};
  if (!leaves_site(from, to)) return {host.v4.address, port};
  return {sites_[host.config.site].public_address, port};
}

bool Topology::nat_admits(Instant now, HostId target, const Endpoint& source) const {
  const auto& allowed = filters_[target].allowed;
  const auto found = allowed.find(source);
  return found != allowed.end() && found->second >= now;
}

Duration Topology::delay(HostId a, HostId b) const {
  const Host &x = hosts_[a], &y = hosts_[b];
  if (x.config.site != 0 && x.config.site == y.config.site) return Duration{300};  // a LAN
  return pair_delay(latency_, seed_, a, b);
}

}  // namespace shoal::sim
