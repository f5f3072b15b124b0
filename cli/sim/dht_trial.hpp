// DhtTrial: what the DHT's scenarios have in common: a DhtWorld and its people, a part of them behind NATs,
// their census, those who publish and those who look up; and time, which passes under the eyes of whoever
// ordered the scenario. The parameters it reads: loss, nat.
#pragma once

#include <string_view>
#include <vector>

#include "cli/sim/dht_lookups.hpp"
#include "cli/sim/scenario.hpp"

namespace shoal::sim {

[[nodiscard]] Duration minutes_of(double minutes);

struct DhtTrial {
  // `nodes`: how many it is about, which decides how they sign. `which`: tells the worlds of one
  // order apart.
  DhtTrial(const Order& ordered, std::size_t node_count, std::size_t keys, std::uint64_t which = 0,
           swarm::Dialect dialect = swarm::Dialect::native);
  DhtTrial(const DhtTrial&) = delete;
  DhtTrial& operator=(const DhtTrial&) = delete;

  [[nodiscard]] Access draw_access();
  // One who has been here for long: it knows its address, and where that is open it is a full member.
  NodeNumber settle(Access access);
  [[nodiscard]] NodeNumber any_of(const std::vector<NodeNumber>& people);
  [[nodiscard]] const Key& any_key(std::size_t of_the_first);
  // Calls f(i) for i < count, each at a random moment of the time from `from` to `from + window`.
  void at_random(Instant from, Duration window, std::uint64_t count, std::function<void(std::uint64_t)> f);

  // Calls f now and every `period` until `end`.
  void repeat(Duration period, Instant end, std::function<void()> f);

  // Lets time pass; progress goes from `begin` to `end`. False: told to stop.
  bool advance(Duration span, std::string_view what, double begin = 0, double end = 1);

  [[nodiscard]] Row row(std::initializer_list<Cell> cells) const;

  const Order& order;
  const std::size_t nodes;
  DhtWorld world;
  Random random;
  Census census;
  Publishers publishers;
  Lookups lookups;
};

}  // namespace shoal::sim
