// Streams of the virtual network, after TCP: ordered bytes, a connection set up in one round trip, refused or
// unreachable dials, back-pressure, silent deaths that only a timeout or a restart's reset ends.
//
// The unit is the Buffer that a Write brought (cut at 64 KiB), moved from hand to hand without a copy: the
// sender's queue -> its uplink, which serves its streams round robin and a segment at a time, a small one
// between the packets of a large one, as fair queueing does (RFC 8290) -> the wire -> the receiver's
// downlink, first come first served -> its inbox where it has paused reading. A stream has at most a window
// in flight, opened by acknowledgements as in RFC 5681 (slow start, additive increase) and
// halved when the downlink's queue is longer than `queue_target`, as its router would by dropping. So both
// ends of an access link are shared about equally, and nothing is recomputed when a stream comes or goes.
//
// Left out: packet headers, loss within streams (a wait, not a loss, to those above), acknowledgement bytes.
#pragma once

#include <optional>
#include <unordered_map>

#include "cli/sim/event_queue.hpp"
#include "cli/sim/fifo.hpp"
#include "cli/sim/topology.hpp"
#include "dht/base/handle.hpp"
#include "swarm/io.hpp"

namespace shoal::sim {

struct StreamModel {
  std::uint32_t segment_bytes = 65'536;  // a longer Write is cut
  std::uint64_t first_window = 32'768;   // RFC 6928's ten packets, in whole blocks
  std::uint64_t most_window = 1U << 20;  // of the receiver
  std::uint64_t socket_buffer = 16'384;  // bytes the kernel takes beyond those in flight (TCP_NOTSENT_LOWAT)
  Duration queue_target{100'000};        // of a downlink; beyond it the sender is told to slow down
  Duration give_up = std::chrono::minutes{15};  // Linux's tcp_retries2
  Duration linger = std::chrono::seconds{1};    // what a closed stream still sends (swarm::Close)
  double fragment = 0;                          // chance that a Write is cut at a random place
};

// What an event brings to one host. `segment` and `datagram` own the bytes the input views: hand the arrival
// back by Network::recycle() when the host has handled it.
struct Arrival {
  HostId host = no_host;
  swarm::Input input;
  Buffer segment;
  Bytes datagram;
};

struct Traffic {  // of one host
  std::uint64_t datagrams_in = 0, datagrams_out = 0, datagram_bytes_in = 0, datagram_bytes_out = 0;
  std::uint64_t stream_bytes_in = 0, stream_bytes_out = 0;
  std::uint64_t dials = 0, accepted = 0;
};

// Sees all that passes; for tests of what is sealed.
class Tap {
 public:
  virtual ~Tap() = default;
  virtual void datagram(Instant at, HostId from, const Endpoint& to, ByteView bytes) = 0;
  // Bytes of one direction of one connection, in order; `connection` is the same number every time.
  virtual void stream(Instant at, HostId from, HostId to, std::uint64_t connection, ByteView bytes) = 0;
};

class Streams {
 public:
  Streams(const StreamModel& model, std::uint64_t seed, Topology& topology, EventQueue& queue,
          BufferPool& pool);

  // What a host does. Streams unknown to it (ended before) are ignored.
  void add_host() { hosts_.emplace_back(); }
  void dial(HostId from, const swarm::Dial& what);
  void write(HostId from, swarm::StreamId stream, Buffer&& bytes);
  void pause(HostId from, swarm::StreamId stream, bool paused);
  void close(HostId from, swarm::StreamId stream);

  // The host falls silent: nothing is sent, and what reaches it is lost. Before its incarnation rises.
  void lose_power(HostId host);
  // Its process ends: the kernel resets its streams.
  void end_process(HostId host);

  [[nodiscard]] std::optional<Arrival> handle(const Event& event);
  // A datagram takes its share of both links, ahead of streams.
  void charge_up(HostId host, std::size_t bytes) { hosts_[host].up_debt += bytes; }
  void charge_down(HostId host, std::size_t bytes);

  [[nodiscard]] std::size_t open_connections() const { return connections_.size(); }
  [[nodiscard]] const Traffic& traffic(HostId host) const { return hosts_[host].traffic; }
  [[nodiscard]] Traffic& traffic(HostId host) { return hosts_[host].traffic; }
  void set_tap(Tap* tap) { tap_ = tap; }

 private:
  struct End {
    HostId host = no_host;
    std::uint32_t incarnation = 0;
    swarm::StreamId stream = 0;
    bool open = false;  // the session has it
    bool paused = false;
  };
  struct Acknowledgement {
    Instant at;
    std::uint64_t bytes = 0;
  };
  struct Half {            // the bytes from end i to end 1 - i
    Fifo<Buffer> queue;    // written, not on the wire; an empty one is the end of the stream
    Fifo<Buffer> wire;     // left the uplink
    Fifo<Buffer> landing;  // in the receiver's downlink
    Fifo<Buffer> inbox;    // received while reading was paused
    Fifo<Buffer> lost;     // reached nobody: sent again when the path heals
    Fifo<Acknowledgement> acknowledgements;
    std::uint64_t queued = 0, in_flight = 0, window = 0, threshold = ~std::uint64_t{0};
    Instant slowed{}, stalled_since{};
    Duration backoff{};
    std::uint32_t stall = 0;  // number of the current stall; 0: none
    bool in_ring = false, above_low_water = false, had_unsent = false;
    bool window_wake = false, writable_due = false, read_due = false;
  };
  struct Connection {
    End end[2];
    Half half[2];
    Endpoint to, seen_from;
    Duration delay{};
    Instant given_up{};  // when a dial that nobody answers ends
    std::uint32_t stalls = 0;
    bool established = false;  // the dialler knows
  };
  using ConnectionId = Slab<Connection>::Id;
  struct Place {  // one end of a connection
    ConnectionId id;
    std::uint8_t end = 0;
  };
  struct HostLinks {
    std::unordered_map<swarm::StreamId, Place> names;  // looked up, never walked
    Fifo<Place> ring;                                  // halves with something to send, in turn
    Place on_uplink;
    Buffer sending;
    bool busy = false;
    std::uint64_t up_debt = 0;
    Instant down_free{};
    std::uint64_t accepted = 0;
    Traffic traffic;
  };

  Place find(HostId host, swarm::StreamId stream) const;
  void name(ConnectionId id, int end, HostId host, swarm::StreamId stream);
  // The end is gone for its session. Erases the connection when both are.
  void drop_end(ConnectionId id, int end);
  Arrival closed(ConnectionId id, int end, swarm::StreamClosed::Why why);

  void pump(ConnectionId id, int from);
  [[nodiscard]] bool sendable(const Connection& c, int from) const;
  [[nodiscard]] bool overtakes(ConnectionId id, int from) const;
  void send_packet(ConnectionId id, int from);
  void serve_uplink(HostId host);
  std::optional<Arrival> told_writable(Connection& c, int from);
  void drain_acknowledgements(Half& half);
  void acknowledge(ConnectionId id, int from, std::uint64_t bytes);
  std::optional<Arrival> deliver(ConnectionId id, int from, Buffer&& segment);
  void stall(ConnectionId id, int from);
  void discard(Fifo<Buffer>& buffers);

  std::optional<Arrival> on_dial_arrives(ConnectionId id);
  std::optional<Arrival> on_dial_answered(ConnectionId id, bool accepted);
  std::optional<Arrival> on_uplink_free(HostId host);
  std::optional<Arrival> on_segment_arrives(ConnectionId id, int from);
  std::optional<Arrival> on_read_inbox(ConnectionId id, int from);
  std::optional<Arrival> on_retry(ConnectionId id, int from, std::uint32_t stall);

  [[nodiscard]] std::uint64_t up_rate(HostId host) const;
  [[nodiscard]] std::uint64_t down_rate(HostId host) const;
  [[nodiscard]] std::uint64_t unsent(const Half& half) const {
    return half.queued > model_.socket_buffer ? half.queued - model_.socket_buffer : 0;
  }

  StreamModel model_;
  std::uint64_t dice_;  // state of the fragmentation's draws
  Topology& topology_;
  EventQueue& queue_;
  BufferPool& pool_;
  Slab<Connection> connections_;
  std::vector<HostLinks> hosts_;
  Tap* tap_ = nullptr;
};

}  // namespace shoal::sim
