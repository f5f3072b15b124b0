// See dht_world.hpp.
#include "cli/sim/dht_world.hpp"

#include <algorithm>
#include <utility>

#include "dht/krpc_codec.hpp"
#include "dht/native_codec.hpp"

namespace shoal::sim {
namespace {

constexpr WallTime world_wall = WallTime{std::chrono::milliseconds{1'760'000'123'456}};
constexpr Instant world_start = Instant{std::chrono::hours{1'000}};
constexpr std::uint64_t events_between_questions = 8192;

Random::Seed seed_of(std::uint64_t world, std::string_view what, std::uint64_t number) {
  Bytes message = to_vector(as_bytes(what));
  append_be(message, world);
  append_be(message, number);
  return crypto::blake2b<32>(message);
}

std::uint32_t number_of(const IpAddress& address) { return load_be<std::uint32_t>(address.bytes.data()); }

// The n-th /24 of 20.0.0.0 .. 83.255.255.0, which are global unicast: an odd factor walks through all of
// them, and the last byte is drawn, so that the part of a position that BEP 42 takes from the address is
// spread evenly.
IpAddress address_of(std::uint64_t seed, std::uint32_t n) {
  constexpr std::uint32_t networks = 1U << 22;
  SHOAL_CHECK(n < networks);
  const std::uint32_t network = (n * 2'654'435'761U) % networks;
  const auto host = static_cast<std::uint32_t>(1 + mix(seed ^ n) % 254);
  return IpAddress::v4((20U << 24) + (network << 8) + host);
}

crypto::Signature hash_sign(const crypto::SigningKey& key, ByteView message) {
  return crypto::blake2b<64>(message, key.public_key);
}
bool hash_verify(const crypto::PublicKey& key, ByteView message, const crypto::Signature& signature) {
  return crypto::blake2b<64>(message, key) == signature;
}

}  // namespace

const crypto::SignatureScheme keyed_hash{hash_sign, hash_verify};

std::unique_ptr<dht::Codec> codec_of(swarm::Dialect dialect) {
  if (dialect == swarm::Dialect::mainline) return std::make_unique<dht::KrpcCodec>();
  return std::make_unique<dht::NativeCodec>();
}

DhtWorld::DhtWorld(const DhtWorldConfig& config)
    : config_(config),
      random_(seed_of(config.seed, "dht world", 0)),
      start_(world_start),
      queue_(world_start) {
  crypto::initialise();
  network_seed_ = random_.next();
}

DhtWorld::~DhtWorld() = default;

Now DhtWorld::now() const {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(queue_.now() - start_);
  return {queue_.now(), world_wall + passed};
}

crypto::SecretKey DhtWorld::secret(NodeNumber node) const {
  return seed_of(config_.seed, "identity", machines_[node].identity);
}

NodeNumber DhtWorld::who(const Endpoint& endpoint) const {
  const auto found = places_.find(number_of(endpoint.address));
  if (found == places_.end() || found->second.port != endpoint.port) return no_node;
  return found->second.number;
}

NodeNumber DhtWorld::launch(Machine machine, bool knows_address) {
  const auto number = static_cast<NodeNumber>(machines_.size());
  places_[number_of(machine.at.address)] = {number, machine.identity, machine.at.port};
  groups_.push_back(0);
  machine.since = queue_.now();
  machines_.push_back(std::move(machine));
  if (machines_[number].stranger == nullptr) begin(number, knows_address);
  return number;
}

void DhtWorld::begin(NodeNumber number, bool knows_address) {
  Machine& machine = machines_[number];
  dht::NodeConfig config;
  config.identity = crypto::SigningKey::from_seed(secret(number));
  config.membership = machine.membership;
  if (knows_address) config.external = machine.at.address;
  config.max_stored_records = config_.stored_records;
  config.signatures = config_.signatures;
  machine.node = std::make_unique<dht::Node>(now(), std::move(config), codec_of(config_.dialect),
                                             Random{seed_of(config_.seed, "node", number)});
  reschedule(number);
}

NodeNumber DhtWorld::add(const Entry& entry) {
  Machine machine;
  machine.identity = static_cast<NodeNumber>(machines_.size());
  machine.access = entry.access;
  machine.membership = entry.membership;
  const std::uint32_t n = given_++;
  const auto mapped =
      static_cast<std::uint16_t>(20'000 + mix(network_seed_ ^ (std::uint64_t{n} << 20)) % 40'000);
  machine.at = {address_of(network_seed_, n), entry.access == Access::open ? open_port : mapped};
  return launch(std::move(machine), entry.knows_address);
}

NodeNumber DhtWorld::again(NodeNumber earlier, std::span<const dht::SavedContact> saved) {
  SHOAL_CHECK(!alive(earlier));
  Machine machine;
  machine.identity = machines_[earlier].identity;
  machine.access = machines_[earlier].access;
  machine.membership = dht::Membership::earned;
  machine.at = machines_[earlier].at;
  const NodeNumber number = launch(std::move(machine), false);
  with(number, [&](dht::Node& node, Now t, dht::NodeOutput& out) {
    node.restore(t, saved, out);
    return 0;
  });
  return number;
}

NodeNumber DhtWorld::add_stranger(const IpAddress& address, Stranger& stranger) {
  Machine machine;
  machine.identity = static_cast<NodeNumber>(machines_.size());
  machine.at = {address, open_port};
  machine.stranger = &stranger;
  return launch(std::move(machine), true);
}

void DhtWorld::stop(NodeNumber node) {
  Machine& machine = machines_[node];
  if (machine.node) search_bytes_of_the_stopped_ += machine.node->stats().bytes_out_searches;
  machine.node.reset();
  machine.stranger = nullptr;
  machine.wake = never;
  machine.openings = {};
}

std::uint64_t DhtWorld::search_bytes_sent() const {
  std::uint64_t sum = search_bytes_of_the_stopped_;
  for (const Machine& machine : machines_)
    if (machine.node) sum += machine.node->stats().bytes_out_searches;
  return sum;
}

void DhtWorld::bootstrap(NodeNumber number, std::span<const Endpoint> from) {
  with(number, [&](dht::Node& node, Now t, dht::NodeOutput& out) {
    node.bootstrap(t, from, out);
    return 0;
  });
}

void DhtWorld::at(Instant when, std::function<void()> script) {
  std::uint32_t slot = 0;
  if (free_scripts_.empty()) {
    slot = static_cast<std::uint32_t>(scripts_.size());
    scripts_.push_back(std::move(script));
  } else {
    slot = free_scripts_.back();
    free_scripts_.pop_back();
    scripts_[slot] = std::move(script);
  }
  queue_.schedule(when, EventKind::script, 0, slot);
}

std::uint32_t DhtWorld::clock_ms() const {
  return static_cast<std::uint32_t>((queue_.now() - start_).count() / 1000);  // 49 days
}

// A mapping once made stays at its port; the filter lets in for two minutes whom its node wrote to.
void DhtWorld::open_nat(Machine& machine, const Endpoint& to) const {
  const std::uint32_t now_ms = clock_ms();
  const auto memory = static_cast<std::uint32_t>(Topology::nat_memory.count() / 1000);
  const Opening fresh{number_of(to.address), now_ms + memory, to.port};
  Opening* stale = nullptr;
  for (Opening& opening : machine.openings) {
    if (opening.address == fresh.address && opening.port == fresh.port) {
      opening.until = fresh.until;
      std::swap(opening, machine.openings.front());
      return;
    }
    if (opening.until < now_ms) stale = &opening;
  }
  if (stale != nullptr) {
    *stale = fresh;
    std::swap(*stale, machine.openings.front());
  } else {
    machine.openings.push_back(fresh);
    std::swap(machine.openings.back(), machine.openings.front());
  }
}

bool DhtWorld::nat_admits(Machine& machine, const Endpoint& source) const {
  const std::uint32_t address = number_of(source.address), now_ms = clock_ms();
  for (Opening& opening : machine.openings) {
    if (opening.address != address || opening.port != source.port) continue;
    std::swap(opening, machine.openings.front());
    return machine.openings.front().until >= now_ms;
  }
  return false;
}

void DhtWorld::send(NodeNumber from, const Endpoint& to, Bytes bytes) {
  ++datagrams_;
  bytes_sent_ += bytes.size();
  Machine& machine = machines_[from];
  if (tap) tap(from, to, bytes);
  if (machine.access == Access::nat) open_nat(machine, to);
  if (!machine.plugged) return;
  if (config_.loss > 0 && random_.unit() < config_.loss) return;
  const auto place = places_.find(number_of(to.address));
  if (place == places_.end()) return;
  const Place& target = place->second;
  if (target.port != to.port || target.number == from) return;
  const Duration base = pair_delay(config_.latency, network_seed_, machine.identity, target.identity);
  const auto extra = static_cast<double>(base.count()) * config_.jitter * random_.unit();
  std::uint32_t slot = 0;
  if (free_flights_.empty()) {
    slot = static_cast<std::uint32_t>(flights_.size());
    flights_.push_back({from, machine.at, std::move(bytes)});
  } else {
    slot = free_flights_.back();
    free_flights_.pop_back();
    flights_[slot] = {from, machine.at, std::move(bytes)};
  }
  queue_.schedule(queue_.now() + base + Duration{static_cast<std::int64_t>(extra)},
                  EventKind::datagram_arrives, target.number, slot);
}

void DhtWorld::carry(NodeNumber number, dht::NodeOutput& out) {
  for (dht::Datagram& datagram : out.datagrams) send(number, datagram.to, std::move(datagram.bytes));
  out.datagrams.clear();
  reschedule(number);
  if (out.events.empty()) return;
  // The listener may call the node again: what it is told of must not be in the way.
  const std::vector<dht::Event> events = std::exchange(out.events, {});
  if (on_event)
    for (const dht::Event& event : events) on_event(number, event);
}

void DhtWorld::land(NodeNumber to, std::uint32_t slot) {
  const Flight flight = std::move(flights_[slot]);
  free_flights_.push_back(slot);
  Machine& machine = machines_[to];
  if (!machine.plugged || groups_[to] != groups_[flight.from]) return;
  if (machine.access == Access::nat && !nat_admits(machine, flight.source)) return;
  digest_ = mix(digest_ ^ static_cast<std::uint64_t>(queue_.now().time_since_epoch().count()) ^
                (std::uint64_t{to} << 40) ^ flight.bytes.size());
  if (machine.stranger != nullptr) {
    stranger_output_.clear();
    machine.stranger->handle(now(), to, flight.source, flight.bytes, stranger_output_);
    for (dht::Datagram& datagram : stranger_output_) send(to, datagram.to, std::move(datagram.bytes));
    return;
  }
  if (!machine.node) return;
  machine.node->handle(now(), flight.source, flight.bytes, output_);
  carry(to, output_);
}

void DhtWorld::reschedule(NodeNumber number) {
  Machine& machine = machines_[number];
  if (!machine.node) return;
  machine.due = std::max(machine.node->next_wake(), queue_.now());
  schedule_tick(number);
}

// One tick in the queue is enough: where it comes too early, it puts itself off.
void DhtWorld::schedule_tick(NodeNumber number) {
  Machine& machine = machines_[number];
  if (machine.due >= machine.wake) return;
  machine.wake = machine.due;
  queue_.schedule(machine.due, EventKind::tick, number);
}

void DhtWorld::step() {
  const Event event = queue_.pop();
  switch (event.kind) {
    case EventKind::datagram_arrives:
      land(event.target, static_cast<std::uint32_t>(event.subject));
      break;
    case EventKind::tick: {
      Machine& machine = machines_[event.target];
      if (!machine.node || event.at != machine.wake) break;  // it died, or was woken before
      machine.wake = never;
      if (machine.due > event.at) {
        schedule_tick(event.target);
        break;
      }
      machine.node->tick(now(), output_);
      carry(event.target, output_);
      break;
    }
    case EventKind::script: {
      const auto slot = static_cast<std::uint32_t>(event.subject);
      const std::function<void()> script = std::exchange(scripts_[slot], {});
      free_scripts_.push_back(slot);
      script();
      break;
    }
    default:
      SHOAL_CHECK(false);
  }
}

bool DhtWorld::run_until(Instant end, const std::function<bool()>& keep_on) {
  std::uint64_t asked = queue_.handled();
  while (queue_.next_at() <= end) {
    step();
    if (keep_on && queue_.handled() - asked >= events_between_questions) {
      asked = queue_.handled();
      if (!keep_on()) return false;
    }
  }
  queue_.advance(end);
  return true;
}

std::uint64_t DhtWorld::digest() const {
  std::uint64_t out = digest_;
  for (const Machine& machine : machines_)
    if (machine.node) out = mix(out ^ machine.node->digest());
  return out;
}

}  // namespace shoal::sim
