// `shoal simulate lookup`: look-ups in a network at rest, or at the moment after a part of it has vanished.
//
// Tables are filled first (dht_people.hpp), announcers publish, then a part of all nodes disappears at once,
// and nodes drawn at random look up random points (hops, RPCs) and keys under which somebody announces (first
// value).
#include <algorithm>
#include <array>
#include <cmath>

#include "cli/sim/dht_trial.hpp"
#include "cli/sim/scenarios.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array parameters{
    Parameter{"nodes", "living nodes of the largest network", 10'000, 20, 200'000},
    Parameter{"steps", "networks in all, each a tenth of the next", 3, 1, 4},
    Parameter{"lookups", "look-ups of each kind", 1000, 1, 100'000},
    Parameter{"records", "keys with an announcer", 200, 1, 10'000},
    Parameter{"dead-part", "part of all nodes that vanishes before the look-ups", 0, 0, 0.9},
    Parameter{"loss", "part of all datagrams that is lost", 0, 0, 0.5},
    Parameter{"nat", "part of all nodes behind a NAT", 0.3, 0, 0.9},
};

constexpr std::array columns{
    Column{"nodes", "nodes"},
    Column{"lookups", "look-ups"},
    Column{"hops_mean", "hops, mean", 2},
    Column{"hops_p99", "hops, p99"},
    Column{"rpcs_mean", "RPCs, mean", 1},
    Column{"closest_found", "nearest found, %", 2},
    Column{"find_ms_p50", "node look-up, ms, p50"},
    Column{"find_ms_p99", "node look-up, ms, p99"},
    Column{"first_ms_p50", "first value, ms, p50"},
    Column{"first_ms_p99", "first value, ms, p99"},
    Column{"done_ms_p50", "record look-up, ms, p50"},
    Column{"done_ms_p99", "record look-up, ms, p99"},
    Column{"record_rpcs_mean", "its RPCs, mean", 1},
    Column{"success", "found, part", 4},
    Column{"datagrams", "datagrams simulated"},
};

constexpr Duration filling = 10s, publishing = 5s, settling = 12s, rest = 10s;
constexpr double lookups_a_second = 100;  // of all nodes together

class LookupTrial : private DhtTrial {
 public:
  LookupTrial(const Order& ordered, std::size_t size) : DhtTrial(ordered, size, ordered.count("records")) {}

  // False: told to stop.
  bool run(std::string_view what, double begin, double end) {
    populate();
    const Instant start = world.now().mono;
    fill_tables(world, census, filling);
    const Instant publish_at = start + filling + 4s;
    at_random(publish_at, publishing, publishers.keys(),
              [this](std::uint64_t key) { publishers.announce(key, any_of(living_)); });
    const Instant death_at = publish_at + publishing + settling;
    world.at(death_at, [this] {
      for (const NodeNumber node : doomed_) {
        census.remove(node);
        world.stop(node);
      }
    });
    const auto each = order.count("lookups");
    const auto window =
        Duration{static_cast<std::int64_t>(static_cast<double>(each) / lookups_a_second * 1e6)};
    at_random(death_at + 100ms, window, each,
              [this](std::uint64_t) { lookups.find(any_of(living_), Key{random.bytes<32>()}); });
    at_random(death_at + 100ms, window, each,
              [this](std::uint64_t) { lookups.get(any_of(living_), any_key(publishers.keys())); });
    return advance(death_at + window + rest - start, what, begin, end);
  }

  [[nodiscard]] Row result() const {
    const LookupSummary points = summarise(lookups.results(), LookupResult::Kind::nodes);
    const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
    return row({static_cast<std::int64_t>(nodes), static_cast<std::int64_t>(points.lookups), points.hops_mean,
                points.hops_p99, points.rpcs_mean, 100 * points.success, points.done_ms_p50,
                points.done_ms_p99, records.first_ms_p50, records.first_ms_p99, records.done_ms_p50,
                records.done_ms_p99, records.rpcs_mean, records.success,
                static_cast<std::int64_t>(world.datagrams())});
  }

 private:
  void populate() {
    const double dead = order.number("dead-part");
    const auto all = static_cast<std::size_t>(std::llround(static_cast<double>(nodes) / (1 - dead)));
    const auto behind_nat =
        static_cast<std::size_t>(std::llround(order.number("nat") * static_cast<double>(all)));
    living_.reserve(all);
    for (std::size_t i = 0; i < all; ++i)
      living_.push_back(settle(i < behind_nat ? Access::nat : Access::open));
    random.shuffle(living_);
    doomed_.assign(living_.begin() + static_cast<std::ptrdiff_t>(nodes), living_.end());
    living_.resize(nodes);
  }

  std::vector<NodeNumber> living_, doomed_;
};

Report run(const Order& order) {
  Report report;
  report.columns.assign(columns.begin(), columns.end());
  const auto steps = order.count("steps");
  Series hops{"hops, mean", Series::Style::line, {}};
  Series model{"log8 N", Series::Style::dashed, {}};
  double behind = 0, all = 0;  // how long a step takes grows with its nodes
  std::vector<std::size_t> sizes;
  for (std::uint64_t step = 0; step < steps; ++step) {
    const double size = order.number("nodes") / std::pow(10.0, static_cast<double>(steps - 1 - step));
    if (size < 20) continue;
    sizes.push_back(static_cast<std::size_t>(std::llround(size)));
    all += size;
  }
  for (const std::size_t size : sizes) {
    LookupTrial trial(order, size);
    const double begin = behind / all;
    behind += static_cast<double>(size);
    if (!trial.run("look-ups among " + std::to_string(size) + " nodes", begin, behind / all)) break;
    report.rows.push_back(trial.result());
    hops.points.emplace_back(static_cast<double>(size), std::get<double>(report.rows.back().cells[2]));
    model.points.emplace_back(static_cast<double>(size), std::log(static_cast<double>(size)) / std::log(8.0));
  }
  report.notes = dht_notes(sizes.empty() ? 0 : sizes.back());
  report.notes.emplace_back(
      "Hops: referrals until the nearest node was first heard of; known from one's own table: 1. Node "
      "look-ups "
      "are for random points, record look-ups for keys with one announcer.");
  report.plot = Plot{.title = "Look-ups by size of the network",
                     .x = "nodes",
                     .y = "hops",
                     .series = {hops, model},
                     .x_scale = Scale::logarithmic};
  return report;
}

}  // namespace

Scenario lookup_scenario() {
  return {"lookup", "look-ups in a network at rest: hops, RPCs, time to the first value", parameters, run};
}

}  // namespace shoal::sim
