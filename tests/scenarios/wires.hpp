// Wires: a virtual network alone, with scripted endpoints instead of peers: what arrives is written down, and
// reading is by hand where a test wants that. For tests of the network itself.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/sim/network.hpp"

namespace shoal::sim {

struct Wires {
  explicit Wires(std::uint64_t seed = 1, Latency latency = {}, StreamModel streams = {},
                 DatagramModel datagrams = {})
      : network(Random::Seed{static_cast<std::uint8_t>(seed)}, latency, streams, datagrams, queue, pool) {}

  struct Datagram {
    Instant at;
    Endpoint from;
    Bytes bytes;
    swarm::DatagramIn::Via via;
  };
  struct Stream {
    Bytes bytes;  // received, in order
    std::uint64_t received = 0;
    bool keep = true;
    Instant last{};
    int connected = 0;
    std::vector<std::uint64_t> writable;
    std::vector<swarm::StreamClosed::Why> closed;
    Instant closed_at{};
  };
  struct Host {
    std::vector<Datagram> datagrams;
    std::map<swarm::StreamId, Stream> streams;
    std::vector<swarm::StreamAccepted> accepted;
  };

  HostId add(HostConfig config = {}) {
    const HostId id = network.add_host(config);
    network.start(id);
    hosts.emplace_back();
    return id;
  }
  Endpoint at(HostId id) { return network.topology().public_endpoint(id); }
  void send(HostId from, const Endpoint& to, std::string_view text) {
    network.perform(from,
                    swarm::DatagramOut{to, to_vector(as_bytes(text)), swarm::DatagramOut::Via::own_port});
  }
  void dial(HostId from, swarm::StreamId stream, const Endpoint& to) {
    network.perform(from, swarm::Dial{stream, to});
  }
  void write(HostId from, swarm::StreamId stream, std::string_view text) {
    Buffer buffer = pool.take(text.size());
    buffer.append(as_bytes(text));
    network.perform(from, swarm::Write{stream, std::move(buffer)});
  }
  void write_zeros(HostId from, swarm::StreamId stream, std::uint64_t bytes) {
    while (bytes > 0) {
      const std::uint64_t n = std::min<std::uint64_t>(bytes, 16'384);
      Buffer buffer = pool.take(n);
      std::memset(buffer.data(), 0, n);
      buffer.extend(n);
      network.perform(from, swarm::Write{stream, std::move(buffer)});
      bytes -= n;
    }
  }
  void close(HostId from, swarm::StreamId stream) { network.perform(from, swarm::Close{stream}); }
  void pause(HostId host, swarm::StreamId stream, bool paused) {
    network.perform(host, swarm::PauseRead{stream, paused});
  }

  void run_for(Duration duration) {
    const Instant until = queue.now() + duration;
    while (queue.next_at() <= until) {
      std::optional<Arrival> arrival = network.handle(queue.pop());
      if (!arrival) continue;
      take(*arrival);
      network.recycle(std::move(*arrival));
    }
    queue.advance(until);
  }

  void take(const Arrival& arrival) {
    Host& host = hosts[arrival.host];
    if (const auto* in = std::get_if<swarm::DatagramIn>(&arrival.input)) {
      host.datagrams.push_back({queue.now(), in->from, to_vector(in->bytes), in->via});
    } else if (const auto* accepted = std::get_if<swarm::StreamAccepted>(&arrival.input)) {
      host.accepted.push_back(*accepted);
    } else if (const auto* connected = std::get_if<swarm::StreamConnected>(&arrival.input)) {
      ++host.streams[connected->stream].connected;
    } else if (const auto* received = std::get_if<swarm::StreamReceived>(&arrival.input)) {
      Stream& stream = host.streams[received->stream];
      if (stream.keep) append(stream.bytes, received->bytes);
      stream.received += received->bytes.size();
      stream.last = queue.now();
    } else if (const auto* writable = std::get_if<swarm::StreamWritable>(&arrival.input)) {
      host.streams[writable->stream].writable.push_back(writable->unsent);
    } else if (const auto* closed = std::get_if<swarm::StreamClosed>(&arrival.input)) {
      host.streams[closed->stream].closed.push_back(closed->why);
      host.streams[closed->stream].closed_at = queue.now();
    }
  }
  // Dials and waits until both ends have the stream; gives the accepted end's name.
  swarm::StreamId join(HostId from, swarm::StreamId stream, HostId to) {
    const std::size_t before = hosts[to].accepted.size();
    dial(from, stream, at(to));
    run_for(std::chrono::seconds{1});
    return hosts[to].accepted.size() > before ? hosts[to].accepted.back().stream : 0;
  }

  EventQueue queue{Instant{std::chrono::seconds{1000}}};
  BufferPool pool{4096};
  Network network;
  std::vector<Host> hosts;
};

}  // namespace shoal::sim
