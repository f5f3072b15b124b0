// `shoal simulate hostile`: attackers in the DHT (THREATS D5, D6).
//
// Row by row: a part of all nodes is hostile (look-ups over one path, four, eight), then Sybils crowd single
// keys: before there are records, or some time after, when they offer themselves to all and to those near the
// key most of all. In mainline the records lie in sealed slots (BEP 44).
#include <algorithm>
#include <array>
#include <cmath>

#include "cli/sim/colluders.hpp"
#include "cli/sim/dht_trial.hpp"
#include "cli/sim/scenarios.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array parameters{
    Parameter{"nodes", "nodes, the hostile of the first rows included", 2000, 50, 200'000},
    Parameter{"hostile", "part of all reachable nodes that is hostile; 0: leave these rows out", 0.2, 0, 0.9},
    Parameter{"sybils", "around each key; 0: leave this row out", 20, 0, 200},
    Parameter{"networks", "the /24 networks these come from; 0: one each", 0, 0, 200},
    Parameter{"late", "minutes by which these come after the records; 0: they were there before", 0, 0, 600},
    Parameter{"mainline", "1: BitTorrent's DHT, records in sealed slots, one path at first", 0, 0, 1},
    Parameter{"keys", "keys that somebody announces under", 50, 1, 10'000},
    Parameter{"attacked", "of these keys, how many Sybils crowd", 5, 1, 100},
    Parameter{"announcers", "of each key", 1, 1, 100},
    Parameter{"lookups", "look-ups a row", 1000, 1, 1'000'000},
    Parameter{"loss", "part of all datagrams that is lost", 0, 0, 0.5},
    Parameter{"nat", "part of all nodes behind a NAT", 0.3, 0, 0.9},
};

constexpr std::array columns{
    Column{"attack", "attack"},
    Column{"nodes", "nodes"},
    Column{"hostile", "hostile"},
    Column{"paths", "paths at first"},
    Column{"lookups", "look-ups"},
    Column{"success", "living announcer found, part", 4},
    Column{"success_least", "at least, with 95 % confidence", 4},
    Column{"hops_mean", "hops, mean", 2},
    Column{"rpcs_mean", "RPCs, mean", 1},
    Column{"first_ms_p50", "first living announcer, ms, p50"},
    Column{"first_ms_p99", "first living announcer, ms, p99"},
    Column{"done_ms_p50", "done, ms, p50"},
    Column{"done_ms_p99", "done, ms, p99"},
};

constexpr Duration filling = 20s;

swarm::Dialect dialect_of(const Order& order) {
  return order.count("mainline") == 0 ? swarm::Dialect::native : swarm::Dialect::mainline;
}

class HostileTrial : private DhtTrial {
 public:
  HostileTrial(const Order& ordered, std::string_view attack)
      : DhtTrial(ordered, ordered.count("nodes"), ordered.count("keys"), attack.size(), dialect_of(ordered)),
        attack_(attack),
        mainline_(world.dialect() == swarm::Dialect::mainline),
        targets_(ordered.count("keys")),
        colluders_(world) {}

  void add_honest(std::size_t count) {
    honest_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) honest_.push_back(settle(draw_access()));
  }
  void add_hostile(std::size_t count) {
    colluders_.add_from(count, count);
    colluders_.enter_all(census);
  }

  bool prepare() {
    const Duration late = minutes_of(order.number("late"));
    const bool crowded = attack_ == sybils;
    if (crowded && late == 0s) {
      crowd_keys();
      colluders_.enter_all(census);
    }
    fill_tables(world, census, filling);
    if (!advance(filling + 5s, attack_)) return false;
    for (std::size_t key = 0; key < publishers.keys(); ++key)
      for (std::uint64_t i = 0; i < order.count("announcers"); ++i) publishers.announce(key, any_of(honest_));
    if (!advance(20s, attack_)) return false;
    if (!crowded || late == 0s) return true;
    crowd_keys();
    repeat(calls_every, world.now().mono + late, [this] { call_all(); });
    return advance(late, attack_);
  }

  bool look_up(std::size_t paths, Report& report) {
    lookups.clear();
    const auto count = order.count("lookups");
    const Duration window = Duration{static_cast<std::int64_t>(static_cast<double>(count) / 50 * 1e6)};
    at_random(world.now().mono, window, count, [this, paths](std::uint64_t) {
      const auto key = static_cast<std::size_t>(random.below(targets_));
      if (mainline_)
        lookups.read_slot(any_of(honest_), key);
      else
        lookups.get(any_of(honest_), publishers.key(key), paths);
    });
    const bool on = advance(window + 20s, attack_);
    const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
    if (on)
      report.rows.push_back(
          row({std::string{attack_}, static_cast<std::int64_t>(nodes),
               static_cast<std::int64_t>(colluders_.size()), static_cast<std::int64_t>(paths),
               static_cast<std::int64_t>(records.lookups), records.success, records.success_least,
               records.hops_mean, records.rpcs_mean, records.first_ms_p50, records.first_ms_p99,
               records.done_ms_p50, records.done_ms_p99}));
    return on;
  }

  static constexpr std::string_view sybils = "Sybils";

 private:
  [[nodiscard]] Key target(std::size_t key) const {
    return mainline_ ? publishers.slot(key) : publishers.key(key);
  }
  void crowd_keys() {
    targets_ = std::min<std::size_t>(order.count("attacked"), publishers.keys());
    for (std::size_t key = 0; key < targets_; ++key)
      colluders_.crowd(target(key), order.count("sybils"), order.count("networks"));
    for (std::size_t key = 0; key < targets_; ++key)
      for (const NodeNumber node : census.nearest(target(key), neighbours_called)) near_.push_back(node);
  }
  // Each calls one of those who stand near an attacked key, and one of all.
  void call_all() {
    for (const NodeNumber member : colluders_.members()) {
      colluders_.call(member, world.endpoint(any_of(near_)));
      colluders_.call(member, world.endpoint(any_of(honest_)));
    }
  }

  static constexpr Duration calls_every = 5s;
  static constexpr std::size_t neighbours_called = 40;  // of a key: its region four times over
  std::string_view attack_;
  bool mainline_;
  std::size_t targets_;
  Colluders colluders_;
  std::vector<NodeNumber> honest_, near_;
};

Report run(const Order& order) {
  Report report;
  report.columns.assign(columns.begin(), columns.end());
  report.notes = dht_notes(order.count("nodes"));
  report.notes.emplace_back(
      "The hostile answer at once, are signed properly, name only the nearest of their own, 16 of them, and "
      "keep no record. A search that has found nothing goes on over four, then eight disjoint paths.");
  const auto nodes = order.count("nodes");
  if (order.number("hostile") > 0) {
    HostileTrial trial(order, "hostile nodes");
    const double reachable = static_cast<double>(nodes) * (1 - order.number("nat"));
    const auto hostile = static_cast<std::size_t>(std::llround(reachable * order.number("hostile")));
    trial.add_honest(nodes - hostile);
    trial.add_hostile(hostile);
    if (!trial.prepare()) return report;
    for (const std::size_t paths : {1, 4, 8})
      if ((paths == 1 || order.count("mainline") == 0) && !trial.look_up(paths, report)) return report;
  }
  if (order.count("sybils") > 0) {
    HostileTrial trial(order, HostileTrial::sybils);
    trial.add_honest(nodes);
    if (!trial.prepare()) return report;
    if (!trial.look_up(1, report)) return report;
  }
  return report;
}

}  // namespace

Scenario hostile_scenario() {
  return {"hostile", "hostile nodes and Sybils around keys: are living announcers still found", parameters,
          run};
}

}  // namespace shoal::sim
