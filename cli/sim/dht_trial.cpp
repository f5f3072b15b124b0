// See dht_trial.hpp.
#include "cli/sim/dht_trial.hpp"

#include <memory>
#include <utility>

namespace shoal::sim {
namespace {

DhtWorldConfig configure(const Order& order, std::size_t nodes, std::uint64_t which, swarm::Dialect dialect) {
  DhtWorldConfig config;
  config.dialect = dialect;
  config.seed = mix(order.seed + which) ^ nodes;
  config.loss = order.number("loss");
  config.signatures = nodes <= real_signatures_up_to ? &crypto::ed25519 : &keyed_hash;
  return config;
}

}  // namespace

Duration minutes_of(double minutes) { return Duration{static_cast<std::int64_t>(minutes * 60e6)}; }

DhtTrial::DhtTrial(const Order& ordered, std::size_t node_count, std::size_t keys, std::uint64_t which,
                   swarm::Dialect dialect)
    : order(ordered),
      nodes(node_count),
      world(configure(order, nodes, which, dialect)),
      random(world.random().fork("trial")),
      census(world),
      publishers(world, keys),
      lookups(world, census, publishers) {
  world.on_event = [this](NodeNumber node, const dht::Event& event) { lookups.on_event(node, event); };
}

Access DhtTrial::draw_access() { return random.unit() < order.number("nat") ? Access::nat : Access::open; }

NodeNumber DhtTrial::settle(Access access) {
  const auto membership = access == Access::open ? dht::Membership::full : dht::Membership::earned;
  const NodeNumber node = world.add({access, membership, true});
  census.update(node);
  return node;
}

NodeNumber DhtTrial::any_of(const std::vector<NodeNumber>& people) {
  return people[random.below(people.size())];
}

const Key& DhtTrial::any_key(std::size_t of_the_first) { return publishers.key(random.below(of_the_first)); }

void DhtTrial::at_random(Instant from, Duration window, std::uint64_t count,
                         std::function<void(std::uint64_t)> f) {
  const auto call = std::make_shared<const std::function<void(std::uint64_t)>>(std::move(f));
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto after = random.below(static_cast<std::uint64_t>(window.count()));
    world.at(from + Duration{static_cast<std::int64_t>(after)}, [call, i] { (*call)(i); });
  }
}

void DhtTrial::repeat(Duration period, Instant end, std::function<void()> f) {
  f();
  if (world.now().mono + period > end) return;
  world.at(world.now().mono + period, [this, period, end, f = std::move(f)] { repeat(period, end, f); });
}

bool DhtTrial::advance(Duration span, std::string_view what, double begin, double end) {
  const Instant from = world.now().mono;
  return world.run_until(from + span, [&] {
    const double part = seconds(world.now().mono - from) / seconds(span);
    return !order.progress || order.progress(begin + part * (end - begin), what);
  });
}

Row DhtTrial::row(std::initializer_list<Cell> cells) const { return {world.now().wall, cells}; }

}  // namespace shoal::sim
