// `shoal simulate sybils`: as many Sybils as there are honest nodes come to a network that has grown (THREATS
// A1).
//
// The honest arrive one after another, each told of four who were there, and learn their tables as anybody
// does. Then the Sybils come, from a few networks (/24), at addresses and with keys as they are, and call:
// each puts questions to honest nodes at random, and so offers itself. Meanwhile some honest newcomers
// arrive, told of four honest ones. Rows: how much of the tables is Sybils', and which part of the look-ups
// of an honest node finds the record of an honest announcer, as time goes by.
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
    Parameter{"nodes", "honest nodes", 2000, 50, 100'000},
    Parameter{"part", "part of all nodes that is a Sybil, in the end", 0.5, 0.01, 0.95},
    Parameter{"networks", "the /24 networks that Sybils come from", 100, 1, 10'000},
    Parameter{"calls", "honest nodes that each Sybil calls a minute", 10, 0, 600},
    Parameter{"growth", "minutes in which the honest arrive", 20, 1, 1000},
    Parameter{"rest", "minutes then without attack", 20, 1, 1000},
    Parameter{"minutes", "of the attack", 60, 1, 1000},
    Parameter{"newcomers", "honest nodes that arrive in its first half", 100, 0, 10'000},
    Parameter{"rows", "of the attack", 4, 1, 100},
    Parameter{"keys", "keys with an honest announcer", 50, 1, 10'000},
    Parameter{"lookups", "look-ups a row", 1000, 1, 1'000'000},
    Parameter{"loss", "part of all datagrams that is lost", 0, 0, 0.5},
    Parameter{"nat", "part of all honest nodes behind a NAT", 0.3, 0, 0.9},
};

constexpr std::array columns{
    Column{"minutes", "minutes of attack", 1},
    Column{"nodes", "honest nodes"},
    Column{"sybils", "Sybils"},
    Column{"lookups", "look-ups"},
    Column{"success", "living announcer found, part", 4},
    Column{"success_least", "at least, with 95 % confidence", 4},
    Column{"contacts_mean", "contacts, mean", 1},
    Column{"share_mean", "Sybils' part of a table, mean", 3},
    Column{"share_p99", "Sybils' part of a table, p99", 3},
    Column{"newcomers", "newcomers"},
    Column{"newcomers_share", "Sybils' part of a newcomer's table, mean", 3},
    Column{"size_p50", "size as estimated, p50"},
    Column{"alarmed", "part that noticed", 3},
};

constexpr std::size_t told_of = 4;  // others, to whom comes

class SybilsTrial : private DhtTrial {
 public:
  explicit SybilsTrial(const Order& ordered)
      : DhtTrial(ordered, ordered.count("nodes"), ordered.count("keys")), colluders_(world) {
    world.on_event = [this](NodeNumber node, const dht::Event& event) {
      lookups.on_event(node, event);
      if (std::holds_alternative<dht::SizeJump>(event)) noticed_.insert(node);
    };
  }

  Report run() {
    Report report;
    report.columns.assign(columns.begin(), columns.end());
    report.notes.push_back(dht_notes(nodes).front());
    report.notes.push_back(dht_notes(nodes).back());
    report.notes.emplace_back(
        "All tables were learnt. The Sybils answer at once, are signed properly, name only the nearest of "
        "their "
        "own, 16 of them, keep no record, and call honest nodes at random.");
    grow();
    if (!advance(minutes_of(order.number("growth") + order.number("rest")), "growing")) return report;
    for (std::size_t key = 0; key < publishers.keys(); ++key) publishers.announce(key, any_of(settled_));
    if (!advance(20s, "announcing") || !row_after(0, report)) return report;
    const double part = order.number("part");
    const auto sybils = std::llround(static_cast<double>(nodes) * part / (1 - part));
    colluders_.add_from(static_cast<std::size_t>(sybils), order.count("networks"));
    const Duration attack = minutes_of(order.number("minutes"));
    repeat(1s, world.now().mono + attack, [this] { call(); });
    at_random(world.now().mono, attack / 2, order.count("newcomers"),
              [this](std::uint64_t) { newcomers_.push_back(arrive(draw_access())); });
    const auto rows = order.count("rows");
    for (std::uint64_t i = 1; i <= rows; ++i)
      if (!row_after(order.number("minutes") * static_cast<double>(i) / static_cast<double>(rows), report))
        break;
    return report;
  }

 private:
  void grow() {
    for (std::size_t i = 0; i < told_of; ++i) settled_.push_back(settle(Access::open));
    for (std::size_t i = 1; i < told_of; ++i) {
      const std::array first{world.endpoint(settled_.front())};
      world.bootstrap(settled_[i], first);
    }
    at_random(world.now().mono, minutes_of(order.number("growth")), nodes - told_of, [this](std::uint64_t) {
      const NodeNumber node = arrive(draw_access());
      settled_.push_back(node);
    });
  }
  NodeNumber arrive(Access access) {
    const NodeNumber node = world.add({access, dht::Membership::earned, false});
    std::vector<Endpoint> first;
    while (first.size() < told_of)
      if (const NodeNumber other = any_of(settled_); world.access(other) == Access::open)
        first.push_back(world.endpoint(other));
    world.bootstrap(node, first);
    return node;
  }

  void call() {
    calls_due_ += order.number("calls") / 60 * static_cast<double>(colluders_.size());
    for (; calls_due_ >= 1; --calls_due_)
      colluders_.call(any_of(colluders_.members()), world.endpoint(any_of(settled_)));
  }

  // Lets time pass until so much of the attack is over, and looks up in the end of it.
  bool row_after(double minutes, Report& report) {
    const Duration window = Duration{static_cast<std::int64_t>(order.number("lookups") / 50 * 1e6)} + 20s;
    const Duration until = minutes_of(minutes - passed_);
    if (until > window && !advance(until - window, "under attack", passed_ / order.number("minutes"),
                                   minutes / order.number("minutes")))
      return false;
    passed_ = minutes;
    lookups.clear();
    at_random(world.now().mono, window - 20s, order.count("lookups"),
              [this](std::uint64_t) { lookups.get(any_of(settled_), any_key(publishers.keys())); });
    if (!advance(window, "looking up")) return false;
    const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
    const Tables old = tables(settled_), fresh = tables(newcomers_);
    report.rows.push_back(row(
        {minutes, static_cast<std::int64_t>(settled_.size()), static_cast<std::int64_t>(colluders_.size()),
         static_cast<std::int64_t>(records.lookups), records.success, records.success_least,
         mean(old.contacts), mean(old.shares), percentile(old.shares, 0.99),
         static_cast<std::int64_t>(newcomers_.size()), mean(fresh.shares), percentile(old.sizes, 0.5),
         static_cast<double>(noticed_.size()) / static_cast<double>(settled_.size())}));
    return true;
  }

  struct Tables {
    std::vector<double> contacts, shares, sizes;
  };
  [[nodiscard]] Tables tables(const std::vector<NodeNumber>& people) const {
    Tables out;
    for (const NodeNumber node : people) {
      out.shares.push_back(strangers_part(world, node));
      const dht::NodeStats stats = world.node(node).stats();
      out.contacts.push_back(static_cast<double>(stats.contacts));
      out.sizes.push_back(stats.network_size);
    }
    return out;
  }

  Colluders colluders_;
  std::vector<NodeNumber> settled_, newcomers_;
  std::set<NodeNumber> noticed_;
  double calls_due_ = 0, passed_ = 0;
};

Report run(const Order& order) { return SybilsTrial(order).run(); }

}  // namespace

Scenario sybils_scenario() {
  return {"sybils", "Sybils in masses come to a network that has grown: whose are the tables then",
          parameters, run};
}

}  // namespace shoal::sim
