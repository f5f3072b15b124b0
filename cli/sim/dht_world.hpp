// DhtWorld: a lean second host beside World. It runs `dht::Node` engines alone, the product's own and
// unchanged, a thousand to a hundred thousand of them: one queue, datagrams with delay and loss, NATs,
// partitions. No streams, no disks, no link rates: a DHT's datagrams are too few to fill a link.
//
// Every node stands at a public address in a /24 of its own, or behind a NAT that has one:
// endpoint-independent mapping, address-and-port-dependent filtering, no hairpin (RFC 4787), as in
// topology.hpp. Delays: log-normal with a median round trip of 90 ms, clamped to 20..900 ms, fixed for a
// pair, up to 10 % jitter on each datagram; sigma 0.6 puts the 90th percentile at 190 ms, as in the King data
// set (Gummadi et al. 2002).
//
// A keyed hash of the same size may stand for Ed25519's signatures. It costs a hundredth, and anybody could
// forge it: for worlds whose attackers do not try.
//
// The same seed and the same calls give the same run, to the bit. Invariant: a number is never given twice.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cli/sim/event_queue.hpp"
#include "cli/sim/topology.hpp"
#include "dht/node.hpp"
#include "swarm/way.hpp"

namespace shoal::sim {

using NodeNumber = std::uint32_t;
inline constexpr NodeNumber no_node = ~NodeNumber{0};

enum class Access : std::uint8_t { open, nat };

// BLAKE2b-512 of the message under the public key.
extern const crypto::SignatureScheme keyed_hash;

struct DhtWorldConfig {
  std::uint64_t seed = 1;
  double loss = 0;  // of datagrams
  double jitter = 0.1;
  Latency latency{.law = Latency::Law::log_normal,
                  .low = Duration{10'000},
                  .high = Duration{450'000},
                  .median = Duration{45'000},
                  .sigma = 0.6};
  const crypto::SignatureScheme* signatures = &crypto::ed25519;
  std::size_t stored_records = 65'536;  // a node
  swarm::Dialect dialect = swarm::Dialect::native;
};

[[nodiscard]] std::unique_ptr<dht::Codec> codec_of(swarm::Dialect dialect);

// Who answers in a node's place: an attacker. Owned by the scenario, outlives the world's run.
class Stranger {
 public:
  virtual ~Stranger() = default;
  virtual void handle(Now now, NodeNumber self, const Endpoint& from, ByteView datagram,
                      std::vector<dht::Datagram>& out) = 0;
};

class DhtWorld {
 public:
  explicit DhtWorld(const DhtWorldConfig& config);
  ~DhtWorld();

  // A node with an identity of its own that begins now. `knows_address`: its position is bound to its address
  // from the start, as after a restart; else it learns it from others.
  struct Entry {
    Access access = Access::open;
    dht::Membership membership = dht::Membership::earned;
    bool knows_address = false;
  };
  NodeNumber add(const Entry& entry);
  // The same person again, with identity, address and what was saved; the old one must have stopped.
  NodeNumber again(NodeNumber earlier, std::span<const dht::SavedContact> saved);
  NodeNumber add_stranger(const IpAddress& address, Stranger& stranger);
  static constexpr std::uint16_t open_port = 4100;  // of strangers, and of nodes behind no NAT

  void stop(NodeNumber node);  // without a word
  void set_plugged(NodeNumber node, bool plugged) { machines_[node].plugged = plugged; }
  void set_group(NodeNumber node, std::uint8_t group) { groups_[node] = group; }

  [[nodiscard]] bool alive(NodeNumber node) const { return machines_[node].node != nullptr; }
  [[nodiscard]] bool plugged(NodeNumber node) const { return machines_[node].plugged; }
  [[nodiscard]] bool stranger(NodeNumber node) const { return machines_[node].stranger != nullptr; }
  [[nodiscard]] Access access(NodeNumber node) const { return machines_[node].access; }
  [[nodiscard]] std::uint8_t group(NodeNumber node) const { return groups_[node]; }
  [[nodiscard]] Instant since(NodeNumber node) const { return machines_[node].since; }
  [[nodiscard]] const Endpoint& endpoint(NodeNumber node) const {
    return machines_[node].at;
  }  // as others see it
  [[nodiscard]] const dht::Node& node(NodeNumber number) const { return *machines_[number].node; }
  [[nodiscard]] NodeNumber who(const Endpoint& endpoint) const;  // no_node: nobody ever
  [[nodiscard]] std::size_t size() const { return machines_.size(); }
  [[nodiscard]] crypto::SecretKey secret(NodeNumber node) const;  // the seed of its identity
  [[nodiscard]] const crypto::SignatureScheme& signatures() const { return *config_.signatures; }
  [[nodiscard]] swarm::Dialect dialect() const { return config_.dialect; }

  // Calls f(dht::Node&, Now, dht::NodeOutput&) on a living node and carries its output.
  template <class F>
  auto with(NodeNumber number, F&& f) {
    dht::NodeOutput out;
    auto result = f(*machines_[number].node, now(), out);
    carry(number, out);
    return result;
  }
  void bootstrap(NodeNumber number, std::span<const Endpoint> from);
  void send(NodeNumber from, const Endpoint& to, Bytes bytes);  // for a stranger that speaks unasked

  // ---- time
  [[nodiscard]] Now now() const;
  [[nodiscard]] Instant start() const { return start_; }
  void at(Instant when, std::function<void()> script);
  // Runs to `end`. `keep_on` is asked every few thousand events; false stops (and then this gives false).
  bool run_until(Instant end, const std::function<bool()>& keep_on = {});

  std::function<void(NodeNumber, const dht::Event&)> on_event;  // of every engine
  // Every datagram that is sent, before loss.
  std::function<void(NodeNumber from, const Endpoint& to, ByteView bytes)> tap;

  [[nodiscard]] double& loss() { return config_.loss; }
  [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }    // sent
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }  // of UDP payload
  [[nodiscard]] std::uint64_t search_bytes_sent() const;  // of these for searches, see dht::NodeStats
  [[nodiscard]] std::uint64_t digest() const;  // of all engines that live and all that was delivered
  [[nodiscard]] Random& random() { return random_; }

 private:
  // What a NAT lets in: where its node wrote to within the last two minutes. Flat, since most are few; the
  // one used last stands first, since an answer follows its question.
  struct Opening {
    std::uint32_t address = 0;
    std::uint32_t until = 0;  // ms since the start
    std::uint16_t port = 0;
  };
  struct Machine {
    std::unique_ptr<dht::Node> node;
    Stranger* stranger = nullptr;
    Endpoint at;
    Access access = Access::open;
    bool plugged = true;
    dht::Membership membership = dht::Membership::earned;
    NodeNumber identity = 0;  // whose number seeds it
    Instant since{};
    Instant wake = never;  // the earliest tick in the queue
    Instant due = never;   // when its engine wishes to be woken
    std::vector<Opening> openings;
  };
  // What a sender has to know of it: a machine is far from the cache.
  struct Place {
    NodeNumber number = no_node;
    NodeNumber identity = 0;
    std::uint16_t port = 0;
  };
  struct Flight {
    NodeNumber from = no_node;
    Endpoint source;
    Bytes bytes;
  };
  NodeNumber launch(Machine machine, bool knows_address);
  void begin(NodeNumber number, bool knows_address);
  void carry(NodeNumber number, dht::NodeOutput& out);
  void land(NodeNumber to, std::uint32_t slot);
  [[nodiscard]] std::uint32_t clock_ms() const;
  void open_nat(Machine& machine, const Endpoint& to) const;
  [[nodiscard]] bool nat_admits(Machine& machine, const Endpoint& source) const;
  void reschedule(NodeNumber number);
  void schedule_tick(NodeNumber number);
  void step();

  DhtWorldConfig config_;
  Random random_;
  Instant start_;
  EventQueue queue_;
  std::vector<Machine> machines_;
  std::vector<std::uint8_t> groups_;                 // by number; both ends of every datagram are looked up
  std::unordered_map<std::uint32_t, Place> places_;  // by IPv4 address, the latest there; never iterated
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_flights_;
  std::vector<std::function<void()>> scripts_;
  std::vector<std::uint32_t> free_scripts_;
  dht::NodeOutput output_;
  std::vector<dht::Datagram> stranger_output_;
  std::uint32_t given_ = 0;  // addresses
  std::uint64_t datagrams_ = 0, bytes_sent_ = 0, search_bytes_of_the_stopped_ = 0, digest_ = 0,
                network_seed_ = 0;
};

}  // namespace shoal::sim
