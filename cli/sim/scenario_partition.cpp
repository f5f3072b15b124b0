// `shoal simulate partition`: a network is cut in two for a time and heals; then nodes are unplugged and
// return.
//
// Rows: the moments after the healing, each with look-ups from either half for keys whose announcer stands in
// the other and announced while they were apart; and one row for the unplugged: how long after its return
// until a node has had a look-up that found a living announcer, started at the return and anew every five
// seconds.
#include <algorithm>
#include <array>

#include "cli/sim/dht_trial.hpp"
#include "cli/sim/scenarios.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array parameters{
    Parameter{"nodes", "nodes", 1000, 20, 200'000},
    Parameter{"minutes", "how long the network is cut", 60, 1, 10'000},
    Parameter{"lookups", "look-ups a row", 200, 1, 100'000},
    Parameter{"keys", "keys announced in each half", 50, 1, 10'000},
    Parameter{"unplugged", "nodes unplugged and plugged in again", 1000, 0, 100'000},
    Parameter{"longest", "time unplugged, drawn up to this, minutes", 30, 0.1, 1000},
    Parameter{"loss", "part of all datagrams that is lost", 0, 0, 0.5},
    Parameter{"nat", "part of all nodes behind a NAT", 0.3, 0, 0.9},
};

constexpr std::array columns{
    Column{"what", "after"},
    Column{"seconds", "seconds after the healing"},
    Column{"nodes", "nodes"},
    Column{"lookups", "look-ups, or nodes"},
    Column{"success", "found, part", 4},
    Column{"hops_mean", "hops, mean", 2},
    Column{"rpcs_mean", "RPCs, mean", 1},
    Column{"first_ms_p50", "first living announcer, ms, p50"},
    Column{"first_ms_p99", "first living announcer, ms, p99"},
    Column{"back_s_p50", "back after, s, p50", 1},
    Column{"back_s_p99", "back after, s, p99", 1},
    Column{"back_s_max", "back after, s, the last", 1},
};

constexpr Duration filling = 20s;
constexpr std::monostate none;
constexpr std::array moments{15, 30, 60, 120, 180, 240, 300};

class PartitionTrial : private DhtTrial {
 public:
  explicit PartitionTrial(const Order& ordered)
      : DhtTrial(ordered, ordered.count("nodes"), 2 * ordered.count("keys")) {
    world.on_event = [this](NodeNumber node, const dht::Event& event) {
      lookups.on_event(node, event);
      if (const auto* values = std::get_if<dht::SearchValues>(&event)) trial_found(node, *values);
    };
  }

  Report run() {
    Report report;
    report.columns.assign(columns.begin(), columns.end());
    report.notes = dht_notes(nodes);
    people_.reserve(nodes);
    for (std::size_t i = 0; i < nodes; ++i) people_.push_back(settle(draw_access()));
    fill_tables(world, census, filling);
    if (!advance(filling + 60s, "filling tables")) return report;
    for (const NodeNumber node : people_) world.set_group(node, static_cast<std::uint8_t>(random.below(2)));
    const auto cut = minutes_of(order.number("minutes"));
    if (!advance(cut - 5min > 0s ? cut - 5min : 0s, "cut in two")) return report;
    for (std::size_t key = 0; key < publishers.keys(); ++key)
      publishers.announce(key, draw(static_cast<std::uint8_t>(key % 2)));
    if (!advance(std::min<Duration>(cut, 5min), "cut in two")) return report;
    remember_sides();
    for (const NodeNumber node : people_) world.set_group(node, 0);
    Series found{"keys of the other half found", Series::Style::line, {}};
    if (!heal(report, found)) return report;
    if (order.count("unplugged") > 0 && !unplug(report)) return report;
    report.plot = Plot{"After a partition", "seconds after it healed", "look-ups that succeed, %", {found}};
    return report;
  }

 private:
  [[nodiscard]] NodeNumber draw(std::uint8_t group) {
    for (;;)
      if (const NodeNumber node = any_of(people_); world.group(node) == group) return node;
  }
  void remember_sides() {
    for (const NodeNumber node : people_) sides_[world.group(node)].push_back(node);
  }

  bool heal(Report& report, Series& found) {
    const Instant healed = world.now().mono;
    for (const int moment : moments) {
      if (!advance(healed + std::chrono::seconds{moment} - world.now().mono, "healing")) return false;
      lookups.clear();
      for (std::uint64_t i = 0; i < order.count("lookups"); ++i) {
        const auto key = static_cast<std::size_t>(random.below(publishers.keys()));
        const auto& others = sides_[1 - key % 2];
        lookups.get(any_of(others), publishers.key(key));
      }
      if (!advance(8s, "healing")) return false;
      const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
      report.rows.push_back(
          row({std::string{"partition"}, std::int64_t{moment}, static_cast<std::int64_t>(nodes),
               static_cast<std::int64_t>(records.lookups), records.success, records.hops_mean,
               records.rpcs_mean, records.first_ms_p50, records.first_ms_p99, none, none, none}));
      found.points.emplace_back(moment, 100 * records.success);
    }
    return true;
  }

  // ---- the unplugged
  struct Trial {
    Instant plugged{};
    std::optional<Duration> back;
  };
  void trial_found(NodeNumber node, const dht::SearchValues& values) {
    const auto trial = trials_.find(node);
    if (trial == trials_.end() || trial->second.back || trial->second.plugged == Instant{}) return;
    for (const dht::ReceivedRecord& value : values.records)
      if (value.served_by.port != 0 && publishers.announcer(value.record) != no_node)
        trial->second.back = world.now().mono - trial->second.plugged;
  }
  void try_again(NodeNumber node) {
    const Trial& trial = trials_[node];
    if (trial.back || world.now().mono - trial.plugged > 5min) return;
    world.with(node, [&](dht::Node& engine, Now now, dht::NodeOutput& out) {
      return engine.get_records(now, any_key(publishers.keys()), 1, out);
    });
    world.at(world.now().mono + 5s, [this, node] { try_again(node); });
  }

  bool unplug(Report& report) {
    const auto wanted = order.count("unplugged");
    std::vector<double> back;
    std::size_t made = 0;
    // At most a tenth of all at a time, so that the network stays one.
    while (back.size() < wanted && made < 100 * wanted) {
      trials_.clear();
      const auto batch = std::min<std::size_t>(wanted - back.size(), std::max<std::size_t>(1, nodes / 10));
      while (trials_.size() < batch) {
        const NodeNumber node = any_of(people_);
        if (trials_.contains(node)) continue;
        trials_[node] = {};
        ++made;
        world.set_plugged(node, false);
        world.at(world.now().mono + minutes_of(order.number("longest") * random.unit()), [this, node] {
          world.set_plugged(node, true);
          trials_[node].plugged = world.now().mono;
          try_again(node);
        });
      }
      const auto longest = minutes_of(order.number("longest"));
      if (!advance(longest + 70s, "unplugged")) return false;
      for (const auto& [node, trial] : trials_) back.push_back(trial.back ? seconds(*trial.back) : 1e3);
    }
    const auto in_time = std::count_if(back.begin(), back.end(), [](double s) { return s <= 60; });
    report.rows.push_back(
        row({std::string{"unplugged"}, none, static_cast<std::int64_t>(nodes),
             static_cast<std::int64_t>(back.size()),
             static_cast<double>(in_time) / static_cast<double>(back.size()), none, none, none, none,
             percentile(back, 0.5), percentile(back, 0.99), percentile(back, 1)}));
    return true;
  }

  std::vector<NodeNumber> people_;
  std::array<std::vector<NodeNumber>, 2> sides_;
  std::map<NodeNumber, Trial> trials_;
};

Report run(const Order& order) { return PartitionTrial(order).run(); }

}  // namespace

Scenario partition_scenario() {
  return {"partition", "a network cut in two that heals, and nodes that were unplugged", parameters, run};
}

}  // namespace shoal::sim
