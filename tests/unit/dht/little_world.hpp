// A little world for tests of dht::Node: nodes wired directly to each other under a virtual clock. Datagrams
// take a fixed time a pair, may be lost, and may be kept out by a NAT. The same seed gives the same run.
//
// Length: a world's parts mean nothing without each other, and templates have to be seen.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "dht/krpc_codec.hpp"
#include "dht/native_codec.hpp"
#include "dht/node.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht::test {

enum class Dialect : std::uint8_t { native, mainline };

class LittleWorld {
 public:
  struct Seen {
    Instant at;
    Event event;
  };
  struct Machine {
    std::unique_ptr<Node> node;
    Endpoint at;
    bool alive = true;
    bool behind_nat = false;
    std::set<Endpoint> opened;
    std::deque<Seen> events;  // pointers to events stay good
    std::chrono::milliseconds clock_error{};
    Instant wake = never;
    std::optional<std::size_t> beside;  // of the other family, on the same host
  };

  explicit LittleWorld(std::uint64_t seed, Dialect dialect = Dialect::native)
      : random_(numbered("world", seed)), seed_(seed), dialect_(dialect) {
    crypto::initialise();
  }

  std::size_t add(const Endpoint& at, Scope scope = Scope::internet,
                  Membership membership = Membership::full) {
    NodeConfig config;
    config.family = at.address.family;
    config.scope = scope;
    config.membership = membership;
    if (scope == Scope::internet && membership == Membership::full) config.external = at.address;
    return add(at, config);
  }
  std::size_t add(const Endpoint& at, NodeConfig config) {
    const std::size_t number = machines_.size();
    config.identity = crypto::SigningKey::from_seed(numbered("identity", seed_ * 100'000 + number));
    std::unique_ptr<Codec> codec;
    if (dialect_ == Dialect::native)
      codec = std::make_unique<NativeCodec>();
    else
      codec = std::make_unique<KrpcCodec>();
    Machine machine;
    machine.at = at;
    machine.node = std::make_unique<Node>(now(), config, std::move(codec), random_.fork("node"));
    places_[at] = number;
    machines_.push_back(std::move(machine));
    reschedule(number);
    return number;
  }
  // A node on the n-th public network.
  std::size_t add_public(std::uint32_t n, Membership membership = Membership::full) {
    return add({public_host(n, 7), 4000}, Scope::internet, membership);
  }

  void stand_beside(std::size_t one, std::size_t other) {
    node(one).stand_beside(node(other));
    machines_[one].beside = other;
    machines_[other].beside = one;
  }

  [[nodiscard]] Machine& at(std::size_t number) { return machines_[number]; }
  [[nodiscard]] Node& node(std::size_t number) { return *machines_[number].node; }
  [[nodiscard]] std::size_t size() const { return machines_.size(); }
  [[nodiscard]] Now now() const {
    return {clock_, some_day + std::chrono::duration_cast<std::chrono::milliseconds>(clock_ - start)};
  }
  [[nodiscard]] Now now_of(const Machine& machine) const {
    Now out = now();
    out.wall += machine.clock_error;
    return out;
  }
  [[nodiscard]] std::optional<std::size_t> who(const Endpoint& endpoint) const {
    const auto it = places_.find(endpoint);
    if (it == places_.end()) return std::nullopt;
    return it->second;
  }

  // Calls `f(Node&, Now, NodeOutput&)` on a machine and carries its output.
  template <class F>
  auto with(std::size_t number, F&& f) {
    NodeOutput out;
    Machine& machine = machines_[number];
    auto result = f(*machine.node, now_of(machine), out);
    take(number, out);
    return result;
  }
  void bootstrap(std::size_t number, std::vector<Endpoint> from) {
    with(number, [&](Node& n, Now t, NodeOutput& out) {
      n.bootstrap(t, from, out);
      return 0;
    });
  }
  // Returns how many are asked at once.
  std::size_t restore(std::size_t number, std::span<const SavedContact> saved) {
    return with(number, [&](Node& n, Now t, NodeOutput& out) {
      n.restore(t, saved, out);
      return out.datagrams.size();
    });
  }
  void inject(const Endpoint& from, std::size_t to, ByteView bytes) {
    if (!machines_[to].alive) return;
    NodeOutput out;
    machines_[to].node->handle(now_of(machines_[to]), from, bytes, out);
    take(to, out);
  }

  void run(Duration span) {
    run_until(clock_ + span, [] { return false; });
  }
  // Until `done` or `span` has passed; true: done.
  bool run_until_done(Duration span, const std::function<bool()>& done) {
    return run_until(clock_ + span, done);
  }

  template <class E>
  [[nodiscard]] const E* find_event(std::size_t number, SearchId search) const {
    for (const Seen& seen : machines_[number].events)
      if (const E* event = std::get_if<E>(&seen.event); event != nullptr && event->search == search)
        return event;
    return nullptr;
  }
  template <class E>
  [[nodiscard]] std::size_t count_events(std::size_t number) const {
    std::size_t count = 0;
    for (const Seen& seen : machines_[number].events) count += std::holds_alternative<E>(seen.event) ? 1 : 0;
    return count;
  }
  [[nodiscard]] std::vector<ReceivedRecord> values_of(std::size_t number, SearchId search) const {
    std::vector<ReceivedRecord> out;
    for (const Seen& seen : machines_[number].events)
      if (const auto* values = std::get_if<SearchValues>(&seen.event);
          values != nullptr && values->search == search)
        out.insert(out.end(), values->records.begin(), values->records.end());
    return out;
  }
  template <class E>
  const E* wait(std::size_t number, SearchId search, Duration span = std::chrono::seconds{30}) {
    run_until_done(span, [&] { return find_event<E>(number, search) != nullptr; });
    return find_event<E>(number, search);
  }

  SearchId find(std::size_t number, const Key& target, std::size_t paths = 1) {
    return with(number, [&](Node& n, Now t, NodeOutput& out) { return n.find_node(t, target, paths, out); });
  }
  SearchId get(std::size_t number, const Key& target, std::size_t paths = 1) {
    return with(number,
                [&](Node& n, Now t, NodeOutput& out) { return n.get_records(t, target, paths, out); });
  }
  SearchId put(std::size_t number, const Key& target, Bytes record, const Salt& salt) {
    return with(number,
                [&](Node& n, Now t, NodeOutput& out) { return n.put_record(t, target, record, salt, out); });
  }
  SearchId ask(std::size_t number, const Endpoint& to, const Key& target) {
    return with(number, [&](Node& n, Now t, NodeOutput& out) { return n.ask(t, to, target, out); });
  }
  SearchId ping(std::size_t number, const Endpoint& to) {
    return with(number, [&](Node& n, Now t, NodeOutput& out) { return n.ping(t, to, out); });
  }

  // Every datagram on its way: from, to, bytes.
  std::function<void(const Endpoint&, const Endpoint&, ByteView)> tap;
  double loss = 0;
  std::size_t delivered = 0;
  // Fixed a pair, 20..80 ms.
  std::function<Duration(const Endpoint&, const Endpoint&)> latency = [](const Endpoint& a,
                                                                         const Endpoint& b) {
    const auto mix = load_be<std::uint32_t>(a.address.bytes.data()) ^
                     load_be<std::uint32_t>(b.address.bytes.data()) ^ a.port ^ b.port;
    return Duration{20'000 + (mix * 2654435761U) % 60'000};
  };

  static constexpr Instant start = Instant{std::chrono::seconds{1'000'000}};

 private:
  struct Flight {
    Instant at;
    std::uint64_t sequence;
    Endpoint from, to;
    Bytes bytes;
    bool operator>(const Flight& other) const {
      return std::tie(at, sequence) > std::tie(other.at, other.sequence);
    }
  };

  void take(std::size_t number, NodeOutput& out) {
    Machine& machine = machines_[number];
    for (Event& event : out.events) machine.events.push_back({clock_, std::move(event)});
    for (Datagram& datagram : out.datagrams) {
      if (tap) tap(machine.at, datagram.to, datagram.bytes);
      machine.opened.insert(datagram.to);
      if (loss > 0 && random_.unit() < loss) continue;
      flights_.push({clock_ + latency(machine.at, datagram.to), sequence_++, machine.at, datagram.to,
                     std::move(datagram.bytes)});
    }
    reschedule(number);
    if (machine.beside) reschedule(*machine.beside);
  }
  void reschedule(std::size_t number) {
    Machine& machine = machines_[number];
    const Instant wake = machine.alive ? machine.node->next_wake() : never;
    if (wake == machine.wake) return;
    if (machine.wake != never) wakes_.erase({machine.wake, number});
    machine.wake = wake;
    if (wake != never) wakes_.insert({wake, number});
  }
  bool run_until(Instant end, const std::function<bool()>& done) {
    for (;;) {
      if (done()) return true;
      const Instant flight = flights_.empty() ? never : flights_.top().at;
      const Instant wake = wakes_.empty() ? never : wakes_.begin()->first;
      const Instant next = std::min(flight, wake);
      if (next > end) break;
      clock_ = std::max(clock_, next);
      NodeOutput out;
      if (flight <= wake) {
        const Flight datagram = flights_.top();
        flights_.pop();
        const auto to = places_.find(datagram.to);
        if (to == places_.end()) continue;
        Machine& machine = machines_[to->second];
        if (!machine.alive || (machine.behind_nat && !machine.opened.contains(datagram.from))) continue;
        ++delivered;
        machine.node->handle(now_of(machine), datagram.from, datagram.bytes, out);
        take(to->second, out);
      } else {
        const std::size_t number = wakes_.begin()->second;
        Machine& machine = machines_[number];
        if (!machine.alive) {
          reschedule(number);
          continue;
        }
        machine.node->tick(now_of(machine), out);
        take(number, out);
      }
    }
    clock_ = end;
    return done();
  }

  Random random_;
  std::uint64_t seed_;
  Dialect dialect_;
  Instant clock_ = start;
  std::uint64_t sequence_ = 0;
  std::vector<Machine> machines_;
  std::map<Endpoint, std::size_t> places_;
  std::priority_queue<Flight, std::vector<Flight>, std::greater<>> flights_;
  std::set<std::pair<Instant, std::size_t>> wakes_;
};

// The nearest living machines to a key.
inline std::vector<std::size_t> nearest(LittleWorld& world, const Key& target, std::size_t count) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < world.size(); ++i)
    if (world.at(i).alive) all.push_back(i);
  std::sort(all.begin(), all.end(), [&](std::size_t a, std::size_t b) {
    return closer(target, world.node(a).position(), world.node(b).position());
  });
  if (all.size() > count) all.resize(count);
  return all;
}

// `count` public nodes that know each other: a few are bootstraps, the others join one after another.
inline void grow(LittleWorld& world, std::size_t count, Duration settle) {
  const std::size_t first = world.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t number = world.add_public(static_cast<std::uint32_t>(first + i + 1));
    if (number == 0) continue;
    world.bootstrap(number, {world.at(number / 2).at, world.at(0).at});
    world.run(std::chrono::milliseconds{20});
  }
  world.run(settle);
}

}  // namespace shoal::dht::test
