// See network.hpp.
#include "cli/sim/network.hpp"

namespace shoal::sim {
namespace {

constexpr std::size_t datagram_limit = 65'507;  // UDP over IPv4

std::uint64_t number_of(const Random::Seed& seed) { return load_be<std::uint64_t>(seed.data()); }

// Length and both ends of the bytes: enough to tell two runs apart, cheap enough for every segment.
std::uint64_t fingerprint(ByteView bytes) {
  std::uint64_t out = mix(bytes.size());
  const std::size_t n = std::min<std::size_t>(bytes.size(), 8);
  ByteArray<16> ends{};
  if (n > 0) std::memcpy(ends.data(), bytes.data(), n);
  if (n > 0) std::memcpy(ends.data() + 8, bytes.data() + bytes.size() - n, n);
  out = mix(out ^ load_be<std::uint64_t>(ends.data()));
  return mix(out ^ load_be<std::uint64_t>(ends.data() + 8));
}

}  // namespace

Network::Network(const Random::Seed& seed, const Latency& latency, const StreamModel& streams,
                 const DatagramModel& datagrams, EventQueue& queue, BufferPool& pool)
    : random_(seed),
      topology_(number_of(seed), latency),
      queue_(queue),
      pool_(pool),
      streams_(streams, mix(number_of(seed)), topology_, queue, pool),
      datagrams_(datagrams) {}

HostId Network::add_host(const HostConfig& config) {
  streams_.add_host();
  return topology_.add_host(config);
}

void Network::launch(HostId to, Flight&& flight) {
  const Duration base = topology_.delay(flight.from, to);
  Duration takes = base + Duration{static_cast<std::int64_t>(static_cast<double>(base.count()) *
                                                             datagrams_.jitter * random_.unit())};
  if (datagrams_.late > 0 && random_.unit() < datagrams_.late)
    takes +=
        Duration{static_cast<std::int64_t>(static_cast<double>(datagrams_.late_by.count()) * random_.unit())};
  std::uint32_t slot = 0;
  if (free_flights_.empty()) {
    slot = static_cast<std::uint32_t>(flights_.size());
    flights_.push_back(std::move(flight));
  } else {
    slot = free_flights_.back();
    free_flights_.pop_back();
    flights_[slot] = std::move(flight);
  }
  queue_.schedule(queue_.now() + takes, EventKind::datagram_arrives, to, slot);
}

void Network::perform(HostId from, swarm::DatagramOut&& what) {
  if (what.bytes.size() > datagram_limit) return;
  Traffic& traffic = streams_.traffic(from);
  ++traffic.datagrams_out;
  traffic.datagram_bytes_out += what.bytes.size();
  streams_.charge_up(from, what.bytes.size());
  if (tap_ != nullptr) tap_->datagram(queue_.now(), from, what.to, what.bytes);
  const Topology::Host& host = topology_.host(from);
  if (what.via != swarm::DatagramOut::Via::own_port) {
    if (what.to.address.family != Family::v4 || host.config.site == 0) return;
    const auto via = what.via == swarm::DatagramOut::Via::lan_group ? swarm::DatagramIn::Via::lan_group
                                                                    : swarm::DatagramIn::Via::lsd_group;
    for (const HostId other : topology_.site_hosts(host.config.site))
      if (other != from) launch(other, {from, false, via, host.v4, what.bytes});
    return;
  }
  if ((what.to.address.family == Family::v4 ? host.v4 : host.v6).port == 0) return;  // has no such socket
  const Endpoint source = topology_.datagram_source(queue_.now(), from, what.to);
  const Topology::Route route = topology_.route(from, what.to);
  if (route.host == no_host) return;
  if (!route.through_nat && topology_.host(route.host).config.port != what.to.port) return;
  if (datagrams_.loss > 0 && random_.unit() < datagrams_.loss) return;
  if (datagrams_.duplicate > 0 && random_.unit() < datagrams_.duplicate)
    launch(route.host, {from, route.through_nat, swarm::DatagramIn::Via::own_port, source, what.bytes});
  launch(route.host,
         {from, route.through_nat, swarm::DatagramIn::Via::own_port, source, std::move(what.bytes)});
}

std::optional<Arrival> Network::land(HostId to, std::uint32_t slot) {
  Flight flight = std::move(flights_[slot]);
  free_flights_.push_back(slot);
  if (!topology_.host(to).up || !topology_.connected(flight.from, to)) return std::nullopt;
  if (flight.through_nat && !topology_.nat_admits(queue_.now(), to, flight.source)) return std::nullopt;
  Traffic& traffic = streams_.traffic(to);
  ++traffic.datagrams_in;
  traffic.datagram_bytes_in += flight.bytes.size();
  streams_.charge_down(to, flight.bytes.size());
  Arrival arrival{to, swarm::DatagramIn{flight.source, flight.bytes, flight.via}, {}, {}};
  arrival.datagram = std::move(flight.bytes);
  return arrival;
}

void Network::note(const Arrival& arrival) {
  digest_ = mix(digest_ ^ static_cast<std::uint64_t>(queue_.now().time_since_epoch().count()));
  digest_ = mix(digest_ ^ (std::uint64_t{arrival.host} << 8) ^ arrival.input.index());
  digest_ ^= fingerprint(arrival.datagram.empty() ? arrival.segment.view() : ByteView{arrival.datagram});
}

std::optional<Arrival> Network::handle(const Event& event) {
  std::optional<Arrival> arrival = event.kind == EventKind::datagram_arrives
                                       ? land(event.target, static_cast<std::uint32_t>(event.subject))
                                       : streams_.handle(event);
  if (arrival) note(*arrival);
  return arrival;
}

void Network::start(HostId host) {
  topology_.host(host).up = true;
  topology_.host(host).powered = true;
}

void Network::end_process(HostId host) {
  streams_.end_process(host);
  topology_.host(host).up = false;
  ++topology_.host(host).incarnation;
}

void Network::lose_power(HostId host) {
  streams_.lose_power(host);
  topology_.host(host).up = false;
  topology_.host(host).powered = false;
  ++topology_.host(host).incarnation;
}

void Network::heal() {
  for (HostId id = 0; id < topology_.size(); ++id) {
    topology_.host(id).group = 0;
    topology_.host(id).plugged = true;
  }
}

}  // namespace shoal::sim
