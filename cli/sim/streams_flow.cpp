// The way of a segment in streams.hpp: queue -> uplink -> wire -> downlink -> session, the window that bounds
// it, and what happens to it where the path is cut.
#include <algorithm>

#include "cli/sim/streams.hpp"

namespace shoal::sim {
namespace {

// "Unlimited" is 10 Gbit/s, so that even an unbounded world has an order in time.
constexpr std::uint64_t unlimited_rate = 1'250'000'000;
constexpr std::uint64_t packet_bytes = 1460;  // the step of additive increase
constexpr std::uint64_t least_window =
    32'768;  // two blocks: less than RFC 5681's would starve on whole segments
constexpr std::uint64_t most_debt = 16'384;   // beyond it small messages queue like the others
constexpr Duration first_backoff{1'000'000};  // RFC 6298: at least a second
constexpr Duration most_backoff{60'000'000};

Duration transmit_time(std::uint64_t bytes, std::uint64_t rate) {
  return Duration{static_cast<std::int64_t>((bytes * 1'000'000 + rate - 1) / rate)};
}

}  // namespace

std::uint64_t Streams::up_rate(HostId host) const {
  const std::uint64_t rate = topology_.host(host).config.rates.up;
  return rate == 0 ? unlimited_rate : rate;
}

std::uint64_t Streams::down_rate(HostId host) const {
  const std::uint64_t rate = topology_.host(host).config.rates.down;
  return rate == 0 ? unlimited_rate : rate;
}

void Streams::charge_down(HostId host, std::size_t bytes) {
  Instant& free = hosts_[host].down_free;
  free = std::max(free, queue_.now()) + transmit_time(bytes, down_rate(host));
}

void Streams::drain_acknowledgements(Half& half) {
  while (!half.acknowledgements.empty() && half.acknowledgements.front().at <= queue_.now()) {
    const std::uint64_t bytes = half.acknowledgements.take_front().bytes;
    if (half.in_flight * 2 >= half.window) {  // a window that is not used does not grow
      half.window += half.window < half.threshold ? bytes : bytes * packet_bytes / half.window + 1;
      half.window = std::min(half.window, model_.most_window);
    }
    half.in_flight -= std::min(bytes, half.in_flight);
  }
}

bool Streams::sendable(const Connection& c, int from) const {
  const Half& half = c.half[from];
  if (half.stall != 0 || half.queue.empty() || (from == 0 && !c.established)) return false;
  const std::size_t size = half.queue.front().size();
  return size == 0 || half.in_flight == 0 || half.in_flight + size <= half.window;
}

void Streams::pump(ConnectionId id, int from) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  if (half.queue.empty()) return;
  drain_acknowledgements(half);
  if (!sendable(c, from)) {
    if (half.stall == 0 && !half.acknowledgements.empty() && !half.window_wake) {
      half.window_wake = true;
      queue_.schedule(half.acknowledgements.front().at, EventKind::window_opens,
                      static_cast<std::uint32_t>(from), id.value());
    }
    return;
  }
  if (overtakes(id, from)) return send_packet(id, from);
  if (half.in_ring) return;
  half.in_ring = true;
  hosts_[c.end[from].host].ring.push_back({id, static_cast<std::uint8_t>(from)});
  serve_uplink(c.end[from].host);
}

// What fits in a packet goes between the packets of the segment that is on the uplink, which is another
// stream's; the bytes are paid for with the next segment.
bool Streams::overtakes(ConnectionId id, int from) const {
  const Connection& c = *connections_.find(id);
  const HostLinks& links = hosts_[c.end[from].host];
  const Half& half = c.half[from];
  const std::size_t size = half.queue.front().size();
  const bool own = links.on_uplink.id == id && links.on_uplink.end == from;
  const bool small = size > 0 && size <= packet_bytes && !half.had_unsent && !half.above_low_water;
  return links.busy && !own && small && links.up_debt < most_debt;
}

void Streams::send_packet(ConnectionId id, int from) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  HostLinks& links = hosts_[c.end[from].host];
  Buffer segment = half.queue.take_front();
  half.queued -= segment.size();
  half.in_flight += segment.size();
  links.up_debt += segment.size();
  const Duration takes = transmit_time(links.up_debt, up_rate(c.end[from].host));
  half.wire.push_back(std::move(segment));
  queue_.schedule(queue_.now() + takes + c.delay, EventKind::segment_arrives,
                  static_cast<std::uint32_t>(from), id.value());
  pump(id, from);
}

void Streams::serve_uplink(HostId host) {
  HostLinks& links = hosts_[host];
  while (!links.busy && !links.ring.empty()) {
    const Place place = links.ring.take_front();
    Connection* c = connections_.find(place.id);
    if (c == nullptr) continue;
    Half& half = c->half[place.end];
    half.in_ring = false;
    if (!sendable(*c, place.end)) continue;
    links.sending = half.queue.take_front();
    half.queued -= links.sending.size();
    half.in_flight += links.sending.size();
    links.on_uplink = place;
    links.busy = true;
    const Duration takes = transmit_time(links.sending.size() + links.up_debt, up_rate(host));
    links.up_debt = 0;
    queue_.schedule(queue_.now() + takes, EventKind::uplink_free, host);
  }
}

std::optional<Arrival> Streams::told_writable(Connection& c, int from) {
  Half& half = c.half[from];
  const std::uint64_t waiting = unsent(half);
  const bool below = half.above_low_water && waiting < swarm::stream_low_water;
  const bool none = half.had_unsent && waiting == 0;
  if (below) half.above_low_water = false;
  if (none) half.had_unsent = false;
  if ((!below && !none) || !c.end[from].open) return std::nullopt;
  return Arrival{c.end[from].host, swarm::StreamWritable{c.end[from].stream, waiting}, {}, {}};
}

std::optional<Arrival> Streams::on_uplink_free(HostId host) {
  HostLinks& links = hosts_[host];
  links.busy = false;
  Buffer segment = std::move(links.sending);
  const Place place = links.on_uplink;
  std::optional<Arrival> told;
  if (Connection* c = connections_.find(place.id); c != nullptr) {
    c->half[place.end].wire.push_back(std::move(segment));
    queue_.schedule(queue_.now() + c->delay, EventKind::segment_arrives, place.end, place.id.value());
    told = told_writable(*c, place.end);
    pump(place.id, place.end);
  } else {
    pool_.give(std::move(segment));
  }
  serve_uplink(host);
  return told;
}

std::optional<Arrival> Streams::on_segment_arrives(ConnectionId id, int from) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  const End& receiver = c.end[1 - from];
  Buffer segment = half.wire.take_front();
  const bool gone = topology_.host(receiver.host).incarnation != receiver.incarnation;
  if (half.stall != 0 || gone || !topology_.connected(c.end[from].host, receiver.host)) {
    half.lost.push_back(std::move(segment));
    stall(id, from);
    return std::nullopt;
  }
  HostLinks& links = hosts_[receiver.host];
  const Instant now = queue_.now();
  const Duration queueing = std::max(Duration{}, links.down_free - now);
  links.down_free = now + queueing + transmit_time(segment.size(), down_rate(receiver.host));
  if (queueing > model_.queue_target && now - half.slowed > 2 * c.delay + queueing) {
    half.slowed = now;
    half.threshold = half.window = std::max(half.window / 2, least_window);
  }
  if (links.down_free <= now && half.landing.empty()) return deliver(id, from, std::move(segment));
  half.landing.push_back(std::move(segment));
  queue_.schedule(links.down_free, EventKind::segment_ready, static_cast<std::uint32_t>(from), id.value());
  return std::nullopt;
}

void Streams::acknowledge(ConnectionId id, int from, std::uint64_t bytes) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  half.acknowledgements.push_back({queue_.now() + c.delay, bytes});
  if (half.queue.empty() || half.in_ring || half.window_wake || half.stall != 0) return;
  half.window_wake = true;
  queue_.schedule(half.acknowledgements.front().at, EventKind::window_opens, static_cast<std::uint32_t>(from),
                  id.value());
}

std::optional<Arrival> Streams::deliver(ConnectionId id, int from, Buffer&& segment) {
  Connection& c = *connections_.find(id);
  const End& receiver = c.end[1 - from];
  Half& half = c.half[from];
  if (topology_.host(receiver.host).incarnation != receiver.incarnation) {
    half.lost.push_back(std::move(segment));
    stall(id, from);
    return std::nullopt;
  }
  if (!receiver.open) {  // its session closed it; the sender will hear
    acknowledge(id, from, segment.size());
    pool_.give(std::move(segment));
    return std::nullopt;
  }
  if (receiver.paused || !half.inbox.empty()) {
    half.inbox.push_back(std::move(segment));
    return std::nullopt;
  }
  if (segment.empty()) return closed(id, 1 - from, swarm::StreamClosed::Why::by_peer);
  acknowledge(id, from, segment.size());
  hosts_[receiver.host].traffic.stream_bytes_in += segment.size();
  Arrival arrival{receiver.host, swarm::StreamReceived{receiver.stream, segment.view()}, {}, {}};
  arrival.segment = std::move(segment);
  return arrival;
}

std::optional<Arrival> Streams::on_read_inbox(ConnectionId id, int from) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  half.read_due = false;
  if (c.end[1 - from].paused || half.inbox.empty()) return std::nullopt;
  Fifo<Buffer> rest;
  Buffer segment = half.inbox.take_front();
  rest.swap(half.inbox);  // so that deliver() hands this one on
  std::optional<Arrival> arrival = deliver(id, from, std::move(segment));
  if (connections_.find(id) == nullptr) {
    discard(rest);
    return arrival;
  }
  half.inbox.swap(rest);
  if (!half.inbox.empty()) {
    half.read_due = true;
    queue_.schedule(queue_.now(), EventKind::read_inbox, static_cast<std::uint32_t>(from), id.value());
  }
  return arrival;
}

void Streams::stall(ConnectionId id, int from) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  if (half.stall != 0) return;
  half.stall = ++c.stalls;
  half.stalled_since = queue_.now();
  half.backoff = first_backoff;
  queue_.schedule(queue_.now() + half.backoff, EventKind::stall_retry,
                  (half.stall << 1) | static_cast<std::uint32_t>(from), id.value());
}

std::optional<Arrival> Streams::on_retry(ConnectionId id, int from, std::uint32_t number) {
  Connection& c = *connections_.find(id);
  Half& half = c.half[from];
  const End &sender = c.end[from], &receiver = c.end[1 - from];
  if (half.stall != number || topology_.host(sender.host).incarnation != sender.incarnation)
    return std::nullopt;
  const bool path = topology_.connected(sender.host, receiver.host);
  const bool gone = topology_.host(receiver.host).incarnation != receiver.incarnation;
  const bool given_up = queue_.now() - half.stalled_since > model_.give_up;
  if ((path && gone) || (!path && given_up)) {  // the other machine knows no such stream, or nobody answers
    if (!sender.open) return std::nullopt;
    return closed(id, from, swarm::StreamClosed::Why::failed);
  }
  if (!path || !half.wire.empty()) {
    half.backoff = std::min(half.backoff * 2, most_backoff);
    queue_.schedule(queue_.now() + half.backoff, EventKind::stall_retry,
                    (number << 1) | static_cast<std::uint32_t>(from), id.value());
    return std::nullopt;
  }
  half.stall = 0;
  for (Buffer& segment : half.lost) {
    half.wire.push_back(std::move(segment));
    queue_.schedule(queue_.now() + c.delay, EventKind::segment_arrives, static_cast<std::uint32_t>(from),
                    id.value());
  }
  half.lost.clear();
  pump(id, from);
  return std::nullopt;
}

}  // namespace shoal::sim
