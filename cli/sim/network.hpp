// The virtual network: datagrams with delay, loss, duplication and reordering, streams (streams.hpp), and the
// powers of a scenario over hosts and paths. It takes what hosts do, schedules events in the world's queue,
// and turns each of its events into at most one Arrival.
#pragma once

#include "cli/sim/streams.hpp"
#include "dht/base/random.hpp"

namespace shoal::sim {

struct DatagramModel {
  double loss = 0;       // chance that one is lost
  double duplicate = 0;  // chance that it comes twice
  double late = 0;       // chance that it takes up to `late_by` longer, so that others overtake it
  Duration late_by{200'000};
  double jitter = 0.1;  // of the pair's delay
};

class Network {
 public:
  Network(const Random::Seed& seed, const Latency& latency, const StreamModel& streams,
          const DatagramModel& datagrams, EventQueue& queue, BufferPool& pool);

  [[nodiscard]] Topology& topology() { return topology_; }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] Streams& streams() { return streams_; }
  [[nodiscard]] DatagramModel& datagrams() { return datagrams_; }  // a scenario may change it at any time
  HostId add_host(const HostConfig& config);

  // Performs one output of a session that concerns the network.
  void perform(HostId from, swarm::DatagramOut&& what);
  void perform(HostId from, swarm::Dial&& what) { streams_.dial(from, what); }
  void perform(HostId from, swarm::Write&& what) { streams_.write(from, what.stream, std::move(what.bytes)); }
  void perform(HostId from, swarm::PauseRead&& what) { streams_.pause(from, what.stream, what.paused); }
  void perform(HostId from, swarm::Close&& what) { streams_.close(from, what.stream); }

  // One event of the network's kinds (EventKind up to reset_arrives).
  [[nodiscard]] std::optional<Arrival> handle(const Event& event);
  void recycle(Arrival&& arrival) { pool_.give(std::move(arrival.segment)); }

  // ---- the scenario's hand
  void start(HostId host);        // powered, its process runs
  void end_process(HostId host);  // streams are reset, dials refused
  void lose_power(HostId host);   // silence
  void set_plugged(HostId host, bool plugged) { topology_.host(host).plugged = plugged; }
  // Hosts of different groups do not hear each other; everyone starts in group 0.
  void set_group(HostId host, std::uint32_t group) { topology_.host(host).group = group; }
  void heal();  // everyone in group 0, plugged in

  void set_tap(Tap* tap) { tap_ = tap, streams_.set_tap(tap); }
  [[nodiscard]] const Traffic& traffic(HostId host) const { return streams_.traffic(host); }
  [[nodiscard]] std::uint64_t digest() const { return digest_; }  // of all that was delivered, and when

 private:
  struct Flight {
    HostId from = no_host;
    bool through_nat = false;
    swarm::DatagramIn::Via via = swarm::DatagramIn::Via::own_port;
    Endpoint source;
    Bytes bytes;
  };
  void launch(HostId to, Flight&& flight);
  std::optional<Arrival> land(HostId to, std::uint32_t slot);
  void note(const Arrival& arrival);

  Random random_;
  Topology topology_;
  EventQueue& queue_;
  BufferPool& pool_;
  Streams streams_;
  DatagramModel datagrams_;
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_flights_;
  Tap* tap_ = nullptr;
  std::uint64_t digest_ = 0;
};

}  // namespace shoal::sim
