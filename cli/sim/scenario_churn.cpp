// `shoal simulate churn`: nodes come and go for hours, swarms announce, strangers look them up.
//
// Sessions: Weibull, shape 0.38, scale 42.4 min, as measured for BitTorrent (Stutzbach & Rejaie 2006), median
// 16.2 min; or another shape and median (shape 1, exponential: the churn of Rhea et al. 2004). Whoever leaves
// is replaced at once by a newcomer, so that the population stays constant. The world starts in the middle of
// its life: sessions under way are drawn with their length as weight and a uniform age, and tables are
// filled. Newcomers know one full member and nothing of themselves: address, reachability, table are theirs
// to find out.
#include <algorithm>
#include <array>
#include <cmath>

#include "cli/sim/dht_trial.hpp"
#include "cli/sim/scenarios.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

constexpr double measured_median = 16.2;  // minutes: 42.4 (ln 2)^(1/0.38)

constexpr std::array parameters{
    Parameter{"nodes", "nodes at any time", 2000, 20, 200'000},
    Parameter{"hours", "virtual time", 1, 0.1, 1000},
    Parameter{"median-session", "half of all sessions are shorter, minutes", measured_median, 0.1, 10'000},
    Parameter{"shape", "of the Weibull distribution of sessions; 1: exponential", 0.38, 0.2, 5},
    Parameter{"loss", "part of all datagrams that is lost", 0.05, 0, 0.5},
    Parameter{"nat", "part of all nodes behind a NAT", 0.3, 0, 0.9},
    Parameter{"lookups", "look-ups of each kind, spread over the time", 1000, 1, 1'000'000},
    Parameter{"swarms", "keys under which nodes announce", 100, 1, 100'000},
    Parameter{"announcers", "of each key at any time", 3, 1, 1000},
    Parameter{"restarts", "nodes that return at the end with what they saved", 100, 0, 10'000},
    Parameter{"rows", "parts of the time, a row each", 4, 1, 1000},
};

constexpr std::array columns{
    Column{"nodes", "nodes"},
    Column{"hours", "until hour", 2},
    Column{"lookups", "look-ups"},
    Column{"success", "living announcer found, part", 4},
    Column{"closest_found", "nearest found, %", 2},
    Column{"hops_mean", "hops, mean", 2},
    Column{"rpcs_mean", "RPCs, mean", 1},
    Column{"first_ms_p50", "first living announcer, ms, p50"},
    Column{"first_ms_p99", "first living announcer, ms, p99"},
    Column{"done_ms_p50", "record look-up, ms, p50"},
    Column{"done_ms_p99", "record look-up, ms, p99"},
    Column{"sent_bytes_s", "sent, bytes/s a node"},
    Column{"upkeep_bytes_s", "of these upkeep"},
    Column{"arrivals", "arrivals"},
    Column{"contacts_5s_p50", "living contacts 5 s after arrival, p50"},
    Column{"contacts_5s_p10", "living contacts 5 s after arrival, p10"},
    Column{"contacts_10min_p50", "living contacts 10 min after arrival, p50"},
    Column{"contacts_10min_p10", "living contacts 10 min after arrival, p10"},
    Column{"dead_part", "dead table entries, part", 3},
    Column{"restart_ms_p50", "after a restart, first living announcer, ms, p50"},
    Column{"restart_ms_p99", "after a restart, first living announcer, ms, p99"},
    Column{"datagrams", "datagrams simulated"},
};

constexpr Duration warming = 3min;  // after filling: what starting up costs is not upkeep
constexpr Duration filling = 20s;

class Sessions {
 public:
  Sessions(double median_minutes, double shape)
      : shape_(shape), scale_(median_minutes * 60e6 / std::pow(std::log(2.0), 1 / shape)) {}
  [[nodiscard]] Duration draw(Random& random) const {
    return as_duration(scale_ * std::pow(-std::log(1 - random.unit()), 1 / shape_));
  }
  // What is left of a session met at a random time: its length comes with its length as weight, so that
  // (length/scale)^shape has a gamma distribution of 1 + 1/shape; the age is uniform.
  [[nodiscard]] Duration draw_rest(Random& random) const {
    return as_duration(scale_ * std::pow(gamma(1 + 1 / shape_, random), 1 / shape_) * random.unit());
  }

 private:
  static Duration as_duration(double microseconds) {
    return Duration{static_cast<std::int64_t>(std::min(microseconds, 1e16))};
  }
  static double normal(Random& random) {
    return std::sqrt(-2 * std::log(1 - random.unit())) * std::cos(6.283185307179586 * random.unit());
  }
  // Marsaglia & Tsang 2000, for parameters of 1 and more.
  static double gamma(double k, Random& random) {
    const double d = k - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal(random), v = std::pow(1 + c * x, 3);
      if (v <= 0) continue;
      if (std::log(1 - random.unit()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
  }
  double shape_, scale_;  // microseconds
};

class ChurnTrial : private DhtTrial {
 public:
  explicit ChurnTrial(const Order& ordered)
      : DhtTrial(ordered, ordered.count("nodes"), ordered.count("swarms")),
        sessions_(ordered.number("median-session"), ordered.number("shape")) {
    world.on_event = [this](NodeNumber node, const dht::Event& event) { heard(node, event); };
  }

  Report run() {
    Report report;
    report.columns.assign(columns.begin(), columns.end());
    report.notes = dht_notes(nodes);
    report.notes.emplace_back(
        "Sessions: Weibull (Stutzbach & Rejaie 2006); the nearest is sought among full members that lived "
        "through the look-up; bytes are of UDP payloads; upkeep is all but the queries of look-ups and "
        "announcements and the answers about records.");
    present_.reserve(nodes);
    for (std::size_t i = 0; i < nodes; ++i) present_.push_back(settle(draw_access()));
    fill_tables(world, census, filling);
    if (!advance(filling + 5s, "filling tables", 0, 0)) return report;
    begin_swarms();
    for (std::size_t place = 0; place < nodes; ++place) schedule_end(place, sessions_.draw_rest(random));
    if (!advance(warming, "warming up", 0, 0)) return report;
    save_tables();
    const auto total = Duration{static_cast<std::int64_t>(order.number("hours") * 3600e6)};
    const auto rows = order.count("rows");
    start_ = world.now().mono;
    schedule_lookups(total);
    Series success{"living announcer found", Series::Style::line, {}};
    Series closest{"nearest node found", Series::Style::dashed, {}};
    for (std::uint64_t row = 1; row <= rows; ++row) {
      const std::uint64_t bytes = world.bytes_sent(), search_bytes = world.search_bytes_sent();
      const Duration part = total / static_cast<std::int64_t>(rows);
      const double share = 1 / static_cast<double>(rows), done = share * static_cast<double>(row - 1);
      if (!advance(part, "churn", done, done + share)) return report;
      const double node_seconds = seconds(part) * static_cast<double>(nodes);
      const double sent = static_cast<double>(world.bytes_sent() - bytes);
      const double for_searches = static_cast<double>(world.search_bytes_sent() - search_bytes);
      const bool last = row == rows;
      if (last && !restart_some()) return report;
      report.rows.push_back(summary(sent / node_seconds, (sent - for_searches) / node_seconds));
      const double hour = seconds(world.now().mono - start_) / 3600;
      success.points.emplace_back(hour, 100 * std::get<double>(report.rows.back().cells[3]));
      closest.points.emplace_back(hour, std::get<double>(report.rows.back().cells[4]));
      lookups.clear();
      fresh_.clear();
      settled_.clear();
    }
    report.plot = Plot{"Look-ups under churn", "hours", "%", {success, closest}};
    return report;
  }

 private:
  void heard(NodeNumber node, const dht::Event& event) {
    if (std::holds_alternative<dht::ExternalAddress>(event) || std::holds_alternative<dht::Reachable>(event))
      census.update(node);
    lookups.on_event(node, event);
  }

  [[nodiscard]] NodeNumber draw_node() { return any_of(present_); }

  void begin_swarms() {
    for (std::size_t key = 0; key < publishers.keys(); ++key)
      for (std::uint64_t i = 0; i < order.count("announcers"); ++i) join(key);
  }
  void join(std::size_t key) {
    NodeNumber node = draw_node();
    for (int i = 0; i < 20 && announces(node, key); ++i) node = draw_node();
    if (announces(node, key)) return;  // it is announced by nearly everybody
    swarms_of_.emplace(node, key);
    publishers.announce(key, node);
  }
  [[nodiscard]] bool announces(NodeNumber node, std::size_t key) const {
    const auto [first, last] = swarms_of_.equal_range(node);
    return std::any_of(first, last, [key](const auto& one) { return one.second == key; });
  }

  void schedule_end(std::size_t place, Duration after) {
    if (after > 2000h) return;
    world.at(world.now().mono + after, [this, place] { replace(place); });
  }

  // One leaves without a word, another comes.
  void replace(std::size_t place) {
    const NodeNumber gone = present_[place];
    census.remove(gone);
    world.stop(gone);
    const NodeNumber node = world.add({draw_access(), dht::Membership::earned, false});
    present_[place] = node;
    ++arrivals_;
    schedule_end(place, sessions_.draw(random));
    const Endpoint known = world.endpoint(draw_member());
    world.bootstrap(node, {{known}});
    world.at(world.now().mono + 5s, [this, node] { count_contacts(node, fresh_); });
    world.at(world.now().mono + 10min, [this, node] { count_contacts(node, settled_); });
    leave_swarms(gone);
  }
  // Others come for it, so that no key is without a living announcer.
  void leave_swarms(NodeNumber gone) {
    const auto [first, last] = swarms_of_.equal_range(gone);
    const std::vector<std::pair<const NodeNumber, std::size_t>> left(first, last);
    swarms_of_.erase(gone);
    for (const auto& [was, key] : left) join(key);
  }

  [[nodiscard]] NodeNumber draw_member() {
    for (;;)
      if (const NodeNumber node = draw_node(); census.position(node) != nullptr) return node;
  }

  void count_contacts(NodeNumber node, std::vector<double>& into) {
    if (!world.alive(node)) return;
    into.push_back(static_cast<double>(living_contacts(node).first));
  }
  [[nodiscard]] std::pair<std::size_t, std::size_t> living_contacts(NodeNumber node) const {
    const auto contacts = world.node(node).contacts_to_save(world.now());
    const auto living =
        std::count_if(contacts.begin(), contacts.end(), [this](const dht::SavedContact& contact) {
          const NodeNumber other = world.who(contact.endpoint);
          return other != no_node && world.alive(other);
        });
    return {static_cast<std::size_t>(living), contacts.size()};
  }

  void schedule_lookups(Duration total) {
    at_random(start_, total, 2 * order.count("lookups"), [this](std::uint64_t i) {
      const NodeNumber from = draw_node();
      // Who has only just come is measured apart.
      if (world.node(from).stats().contacts < 8) return;
      if (i % 2 == 0)
        lookups.find(from, Key{random.bytes<32>()});
      else
        lookups.get(from, any_key(publishers.keys()));
    });
  }

  void save_tables() {
    for (std::uint64_t i = 0; i < order.count("restarts"); ++i) {
      const NodeNumber node = draw_node();
      if (std::any_of(saved_.begin(), saved_.end(), [&](const auto& one) { return one.first == node; }))
        continue;
      saved_.emplace_back(node, world.node(node).contacts_to_save(world.now()));
    }
  }

  // Who saved its table when the time began and has left since comes back, and looks a key up at once.
  bool restart_some() {
    if (saved_.empty()) return true;
    Lookups restarted(world, census, publishers);
    const auto hear = std::exchange(world.on_event, {});
    world.on_event = [&](NodeNumber node, const dht::Event& event) {
      heard(node, event);
      restarted.on_event(node, event);
    };
    for (const auto& [node, contacts] : saved_) {
      if (world.alive(node)) {  // it stops now: of those that stay for a day there are many
        census.remove(node);
        world.stop(node);
      }
      const NodeNumber again = world.again(node, contacts);
      std::replace(present_.begin(), present_.end(), node, again);
      leave_swarms(node);
      restarted.get(again, any_key(publishers.keys()));
      if (!advance(200ms, "restarts", 1)) return false;
    }
    if (!advance(20s, "restarts", 1)) return false;
    world.on_event = hear;
    for (const LookupResult& result : restarted.results())
      restart_ms_.push_back(result.first_living ? static_cast<double>(result.first_living->count()) / 1000
                                                : 1e6);
    return true;
  }

  [[nodiscard]] double dead_part() const {
    std::size_t living = 0, all = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(present_.size(), 500); ++i) {
      if (!world.alive(present_[i])) continue;
      const auto [alive, entries] = living_contacts(present_[i]);
      living += alive;
      all += entries;
    }
    return all == 0 ? 0 : 1 - static_cast<double>(living) / static_cast<double>(all);
  }

  [[nodiscard]] Row summary(double sent, double upkeep) const {
    const LookupSummary points = summarise(lookups.results(), LookupResult::Kind::nodes);
    const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
    Row out = row({static_cast<std::int64_t>(nodes), seconds(world.now().mono - start_) / 3600,
                   static_cast<std::int64_t>(points.lookups + records.lookups), records.success,
                   100 * points.success, points.hops_mean, points.rpcs_mean, records.first_ms_p50,
                   records.first_ms_p99, records.done_ms_p50, records.done_ms_p99, sent, upkeep,
                   static_cast<std::int64_t>(arrivals_), percentile(fresh_, 0.5), percentile(fresh_, 0.1),
                   percentile(settled_, 0.5), percentile(settled_, 0.1), dead_part()});
    if (restart_ms_.empty()) {
      out.cells.insert(out.cells.end(), 2, std::monostate{});
    } else {
      out.cells.emplace_back(percentile(restart_ms_, 0.5));
      out.cells.emplace_back(percentile(restart_ms_, 0.99));
    }
    out.cells.emplace_back(static_cast<std::int64_t>(world.datagrams()));
    return out;
  }

  Sessions sessions_;
  Instant start_{};
  std::vector<NodeNumber> present_;                   // by place
  std::multimap<NodeNumber, std::size_t> swarms_of_;  // the keys it announces
  std::vector<std::pair<NodeNumber, std::vector<dht::SavedContact>>> saved_;
  std::vector<double> fresh_, settled_, restart_ms_;
  std::uint64_t arrivals_ = 0;
};

Report run(const Order& order) { return ChurnTrial(order).run(); }

}  // namespace

Scenario churn_scenario() {
  return {"churn", "nodes come and go: do look-ups find living announcers, and at what price", parameters,
          run};
}

}  // namespace shoal::sim
