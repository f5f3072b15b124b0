// See streams.hpp. Here: what hosts do to streams, and their lives. streams_flow.cpp moves the bytes.
#include "cli/sim/streams.hpp"

#include <algorithm>

namespace shoal::sim {
namespace {

enum DialAnswer : std::uint32_t { connected, refused, unreachable };

}  // namespace

Streams::Streams(const StreamModel& model, std::uint64_t seed, Topology& topology, EventQueue& queue,
                 BufferPool& pool)
    : model_(model), dice_(seed), topology_(topology), queue_(queue), pool_(pool) {}

Streams::Place Streams::find(HostId host, swarm::StreamId stream) const {
  const auto& names = hosts_[host].names;
  const auto found = names.find(stream);
  return found == names.end() ? Place{} : found->second;
}

void Streams::name(ConnectionId id, int end, HostId host, swarm::StreamId stream) {
  End& e = connections_.find(id)->end[end];
  e = {host, topology_.host(host).incarnation, stream, true, false};
  hosts_[host].names[stream] = {id, static_cast<std::uint8_t>(end)};
}

void Streams::discard(Fifo<Buffer>& buffers) {
  for (Buffer& buffer : buffers) pool_.give(std::move(buffer));
  buffers.clear();
}

void Streams::drop_end(ConnectionId id, int end) {
  Connection& c = *connections_.find(id);
  End& e = c.end[end];
  if (e.open) hosts_[e.host].names.erase(e.stream);
  e.open = false;
  discard(c.half[1 - end].inbox);
  if (c.end[1 - end].open) return;
  for (Half& half : c.half)
    for (auto* buffers : {&half.queue, &half.wire, &half.landing, &half.inbox, &half.lost}) discard(*buffers);
  connections_.erase(id);
}

Arrival Streams::closed(ConnectionId id, int end, swarm::StreamClosed::Why why) {
  const End& e = connections_.find(id)->end[end];
  Arrival arrival{e.host, swarm::StreamClosed{e.stream, why}, {}, {}};
  drop_end(id, end);
  return arrival;
}

void Streams::dial(HostId from, const swarm::Dial& what) {
  const auto& [stream, to, syns] = what;
  const ConnectionId id = connections_.emplace();
  name(id, 0, from, stream);
  Connection& c = *connections_.find(id);
  c.to = to;
  c.given_up = queue_.now() + swarm::dial_patience(syns);
  for (Half& half : c.half) half.window = model_.first_window;
  ++hosts_[from].traffic.dials;
  c.seen_from = topology_.stream_source(from, to);
  const Topology::Route route = topology_.route(from, to);
  if (route.host == no_host || route.through_nat) {
    queue_.schedule(c.given_up, EventKind::dial_answered, unreachable, id.value());
    return;
  }
  c.delay = topology_.delay(from, route.host);
  queue_.schedule(queue_.now() + c.delay, EventKind::dial_arrives, 0, id.value());
}

std::optional<Arrival> Streams::on_dial_arrives(ConnectionId id) {
  Connection& c = *connections_.find(id);
  const HostId from = c.end[0].host;
  const HostId target = topology_.route(from, c.to).host;
  if (target == no_host || !topology_.connected(from, target)) {
    queue_.schedule(c.given_up, EventKind::dial_answered, unreachable, id.value());
    return std::nullopt;
  }
  const Topology::Host& host = topology_.host(target);
  if (!host.up || host.config.port != c.to.port) {
    queue_.schedule(queue_.now() + c.delay, EventKind::dial_answered, refused, id.value());
    return std::nullopt;
  }
  HostLinks& links = hosts_[target];
  const swarm::StreamId stream = swarm::accepted_stream | ++links.accepted;
  name(id, 1, target, stream);
  ++links.traffic.accepted;
  queue_.schedule(queue_.now() + c.delay, EventKind::dial_answered, DialAnswer::connected, id.value());
  return Arrival{target, swarm::StreamAccepted{stream, c.seen_from}, {}, {}};
}

std::optional<Arrival> Streams::on_dial_answered(ConnectionId id, bool accepted) {
  Connection& c = *connections_.find(id);
  if (!c.end[0].open) return std::nullopt;
  if (accepted && c.end[1].host != no_host && !topology_.connected(c.end[0].host, c.end[1].host)) {
    queue_.schedule(std::max(queue_.now(), c.given_up), EventKind::dial_answered, unreachable, id.value());
    return std::nullopt;
  }
  c.established = true;
  pump(id, 0);
  return Arrival{c.end[0].host, swarm::StreamConnected{c.end[0].stream}, {}, {}};
}

void Streams::write(HostId from, swarm::StreamId stream, Buffer&& bytes) {
  const Place place = find(from, stream);
  Connection* c = connections_.find(place.id);
  if (c == nullptr || bytes.empty()) {
    pool_.give(std::move(bytes));
    return;
  }
  Half& half = c->half[place.end];
  hosts_[from].traffic.stream_bytes_out += bytes.size();
  if (tap_ != nullptr)
    tap_->stream(queue_.now(), from, c->end[1 - place.end].host, place.id.value() * 2 + place.end,
                 bytes.view());
  half.queued += bytes.size();
  std::size_t most = model_.segment_bytes;
  if (model_.fragment > 0 && bytes.size() > 1) {
    dice_ = mix(dice_);
    if (static_cast<double>(dice_ >> 11) * 0x1.0p-53 < model_.fragment)
      most = std::min<std::size_t>(most, 1 + mix(dice_) % bytes.size());
  }
  while (bytes.size() > most) {
    Buffer part = pool_.take(most);
    part.append(bytes.view().first(most));
    bytes.drop_front(most);
    half.queue.push_back(std::move(part));
    most = model_.segment_bytes;
  }
  half.queue.push_back(std::move(bytes));
  const std::uint64_t waiting = unsent(half);
  if (waiting >= swarm::stream_low_water) half.above_low_water = true;
  half.had_unsent = waiting > 0;
  if (waiting == 0 && !half.writable_due) {
    half.writable_due = true;
    queue_.schedule(queue_.now(), EventKind::writable, place.end, place.id.value());
  }
  pump(place.id, place.end);
}

void Streams::pause(HostId from, swarm::StreamId stream, bool paused) {
  const Place place = find(from, stream);
  Connection* c = connections_.find(place.id);
  if (c == nullptr) return;
  c->end[place.end].paused = paused;
  Half& half = c->half[1 - place.end];
  if (paused || half.inbox.empty() || half.read_due) return;
  half.read_due = true;
  queue_.schedule(queue_.now(), EventKind::read_inbox, 1U - place.end, place.id.value());
}

void Streams::close(HostId from, swarm::StreamId stream) {
  const Place place = find(from, stream);
  Connection* c = connections_.find(place.id);
  if (c == nullptr) return;
  const bool other_open = c->end[1 - place.end].open;
  drop_end(place.id, place.end);
  if (!other_open) return;
  c->established =
      true;  // where it was accepted and its dialler has not heard: the end of the stream follows
  c->half[place.end].queue.push_back(Buffer{});
  queue_.schedule(queue_.now() + model_.linger, EventKind::linger_ends, place.end, place.id.value());
  pump(place.id, place.end);
}

void Streams::lose_power(HostId host) {
  connections_.for_each([&](ConnectionId id, Connection& c) {
    for (const int end : {0, 1}) {
      if (c.end[end].host != host) continue;
      discard(c.half[end].queue);
      c.half[end].queued = 0;
      if (!c.end[end].open) continue;
      const bool last = !c.end[1 - end].open;
      drop_end(id, end);
      if (last) return;
    }
  });
  HostLinks& links = hosts_[host];
  links.names.clear();
  links.ring.clear();
  links.on_uplink = {};
}

void Streams::end_process(HostId host) {
  connections_.for_each([&](ConnectionId id, Connection& c) {
    for (const int end : {0, 1})
      if (c.end[end].host == host && c.end[end].open && c.end[1 - end].open && c.end[1 - end].host != host)
        queue_.schedule(queue_.now() + c.delay, EventKind::reset_arrives, static_cast<std::uint32_t>(end),
                        id.value());
  });
  lose_power(host);
}

std::optional<Arrival> Streams::handle(const Event& event) {
  if (event.kind == EventKind::uplink_free) return on_uplink_free(event.target);
  const auto id = ConnectionId::from_value(event.subject);
  Connection* c = connections_.find(id);
  if (c == nullptr) return std::nullopt;
  const int from = static_cast<int>(event.target & 1);
  switch (event.kind) {
    case EventKind::dial_arrives:
      return on_dial_arrives(id);
    case EventKind::dial_answered:
      if (event.target == DialAnswer::connected) return on_dial_answered(id, true);
      if (!c->end[0].open || (c->established && c->end[1].open)) return std::nullopt;
      return closed(id, 0,
                    event.target == DialAnswer::refused ? swarm::StreamClosed::Why::refused
                                                        : swarm::StreamClosed::Why::unreachable);
    case EventKind::segment_arrives:
      return on_segment_arrives(id, from);
    case EventKind::segment_ready: {
      Half& half = c->half[from];
      return deliver(id, from, half.landing.take_front());
    }
    case EventKind::read_inbox:
      return on_read_inbox(id, from);
    case EventKind::window_opens:
      c->half[from].window_wake = false;
      pump(id, from);
      return std::nullopt;
    case EventKind::writable:
      c->half[from].writable_due = false;
      if (!c->end[from].open || unsent(c->half[from]) > 0) return std::nullopt;
      return Arrival{c->end[from].host, swarm::StreamWritable{c->end[from].stream, 0}, {}, {}};
    case EventKind::linger_ends:
      if (c->half[from].queue.size() > 1) {
        discard(c->half[from].queue);
        c->half[from].queued = 0;
        c->half[from].queue.push_back(Buffer{});
        pump(id, from);
      }
      return std::nullopt;
    case EventKind::stall_retry:
      return on_retry(id, from, event.target >> 1);
    case EventKind::reset_arrives:
      if (!c->end[1 - from].open || !topology_.connected(c->end[0].host, c->end[1].host)) return std::nullopt;
      return closed(id, 1 - from, swarm::StreamClosed::Why::failed);
    default:
      return std::nullopt;
  }
}

}  // namespace shoal::sim
