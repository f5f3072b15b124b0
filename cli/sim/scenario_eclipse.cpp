// `shoal simulate eclipse`: some nodes of a network are to be surrounded (THREATS A3).
//
// The attacker owns one of the four bootstraps that each victim is told of, and many Sybils that nobody else
// knows. They call the victims until, of all the names that reach a victim, in replies and by calls, so great
// a part is theirs as ordered. First row: victims that start for the first time; second: old members that
// come back with the contacts they saved, and are told of the same four.
#include <algorithm>
#include <array>

#include "cli/sim/colluders.hpp"
#include "cli/sim/dht_trial.hpp"
#include "cli/sim/scenarios.hpp"
#include "dht/identity.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array parameters{
    Parameter{"nodes", "honest nodes", 2000, 50, 100'000},
    Parameter{"victims", "a row", 40, 1, 1000},
    Parameter{"sybils", "from a network (/24) each", 2000, 1, 20'000},
    Parameter{"around", "more of them ground to stand next to each victim", 0, 0, 200},
    Parameter{"captured", "of the four bootstraps, how many the attacker owns", 1, 0, 4},
    Parameter{"hearsay", "part of all names that reach a victim that is his", 0.9, 0, 0.99},
    Parameter{"minutes", "of the attack", 60, 1, 1000},
    Parameter{"keys", "keys with an honest announcer", 50, 1, 10'000},
    Parameter{"lookups", "of all victims of a row, in the end", 1000, 1, 1'000'000},
    Parameter{"loss", "part of all datagrams that is lost", 0, 0, 0.5},
    Parameter{"nat", "part of all honest nodes but the victims behind a NAT", 0.3, 0, 0.9},
};

constexpr std::array columns{
    Column{"who", "who"},
    Column{"nodes", "honest nodes"},
    Column{"sybils", "Sybils"},
    Column{"victims", "victims"},
    Column{"hearsay", "names that were Sybils', part", 3},
    Column{"contacts_mean", "contacts, mean", 1},
    Column{"honest_mean", "honest part of a table, mean", 3},
    Column{"honest_least", "the least", 3},
    Column{"lookups", "look-ups"},
    Column{"success", "living announcer found, part", 4},
    Column{"success_least", "at least, with 95 % confidence", 4},
    Column{"size_p50", "size as estimated, p50"},
};

constexpr Duration filling = 20s, calls_every = 200ms;
constexpr std::size_t bootstraps = 4;
constexpr int calls_at_once = 60;

class EclipseTrial : private DhtTrial {
 public:
  enum class Start : std::uint8_t { first, warm };
  EclipseTrial(const Order& ordered, Start start)
      : DhtTrial(ordered, ordered.count("nodes"), ordered.count("keys"), start == Start::first ? 0 : 1),
        start_(start),
        codec_(codec_of(world.dialect())),
        colluders_(world) {}

  // False: told to stop.
  bool run(Report& report) {
    const std::string_view what = start_ == Start::first ? "first start" : "warm restart";
    for (std::size_t i = 0; i < nodes; ++i) people_.push_back(settle(draw_access()));
    fill_tables(world, census, filling);
    if (!advance(filling + 60s, what)) return false;
    for (std::size_t key = 0; key < publishers.keys(); ++key) publishers.announce(key, any_of(people_));
    colluders_.add_from(order.count("sybils"), order.count("sybils"));
    world.tap = [this](NodeNumber from, const Endpoint& to, ByteView bytes) { overhear(from, to, bytes); };
    for (std::uint64_t i = 0; i < order.count("victims"); ++i) add_victim();
    const Duration attack = minutes_of(order.number("minutes"));
    repeat(calls_every, world.now().mono + attack, [this] { call(); });
    if (!advance(attack, what)) return false;
    const Duration window = Duration{static_cast<std::int64_t>(order.number("lookups") / 50 * 1e6)};
    at_random(world.now().mono, window, order.count("lookups"),
              [this](std::uint64_t) { lookups.get(any_of(numbers_), any_key(publishers.keys())); });
    if (!advance(window + 20s, what)) return false;
    tell(std::string{what}, report);
    return true;
  }

 private:
  struct Victim {
    std::size_t honest = 0, hostile = 0;  // names that reached it
  };

  void add_victim() {
    NodeNumber victim = no_node;
    if (start_ == Start::first) {
      victim = world.add({Access::open, dht::Membership::earned, false});
    } else {
      const auto person = static_cast<std::size_t>(
          std::ranges::find_if(people_,
                               [this](NodeNumber node) { return world.access(node) == Access::open; }) -
          people_.begin());
      const NodeNumber earlier = people_[person];
      const auto saved = world.node(earlier).contacts_to_save(world.now());
      world.stop(earlier);
      people_.erase(people_.begin() + static_cast<std::ptrdiff_t>(person));
      victim = world.again(earlier, saved);
    }
    if (order.count("around") > 0) {
      const crypto::SigningKey key = crypto::SigningKey::from_seed(world.secret(victim));
      colluders_.crowd(dht::position_of(key.public_key, world.endpoint(victim).address),
                       order.count("around"), 0);
    }
    std::vector<Endpoint> first;
    while (first.size() < order.count("captured"))
      first.push_back(world.endpoint(any_of(colluders_.members())));
    while (first.size() < bootstraps)
      if (const NodeNumber other = any_of(people_); world.access(other) == Access::open && world.alive(other))
        first.push_back(world.endpoint(other));
    random.shuffle(first);
    victims_[victim] = {};
    numbers_.push_back(victim);
    world.bootstrap(victim, first);
  }

  void overhear(NodeNumber from, const Endpoint& to, ByteView bytes) {
    const auto victim = victims_.find(world.who(to));
    if (victim == victims_.end()) return;
    const auto message = codec_->decode(bytes);
    if (!message) return;
    std::size_t names = 0;
    if (const auto* reply = std::get_if<dht::Reply>(&*message)) names = reply->nodes.size();
    if (const auto* query = std::get_if<dht::Query>(&*message)) names = query->sender ? 1 : 0;
    (world.stranger(from) ? victim->second.hostile : victim->second.honest) += names;
  }

  void call() {
    const double wanted = order.number("hearsay") / (1 - order.number("hearsay"));
    for (const auto& [number, victim] : victims_) {
      const double missing =
          wanted * static_cast<double>(victim.honest) - static_cast<double>(victim.hostile);
      for (int i = 0; i < std::min(calls_at_once, static_cast<int>(missing)); ++i)
        colluders_.call(any_of(colluders_.members()), world.endpoint(number));
    }
  }

  void tell(std::string what, Report& report) {
    std::vector<double> heard, contacts, honest, sizes;
    for (const auto& [number, victim] : victims_) {
      const double names = static_cast<double>(std::max<std::size_t>(1, victim.honest + victim.hostile));
      heard.push_back(static_cast<double>(victim.hostile) / names);
      const dht::NodeStats stats = world.node(number).stats();
      contacts.push_back(static_cast<double>(stats.contacts));
      honest.push_back(1 - strangers_part(world, number));
      sizes.push_back(stats.network_size);
    }
    const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
    report.rows.push_back(
        row({std::move(what), static_cast<std::int64_t>(nodes), static_cast<std::int64_t>(colluders_.size()),
             static_cast<std::int64_t>(victims_.size()), mean(heard), mean(contacts), mean(honest),
             percentile(honest, 0), static_cast<std::int64_t>(records.lookups), records.success,
             records.success_least, percentile(sizes, 0.5)}));
  }

  Start start_;
  std::unique_ptr<dht::Codec> codec_;
  Colluders colluders_;
  std::vector<NodeNumber> people_, numbers_;
  std::map<NodeNumber, Victim> victims_;
};

Report run(const Order& order) {
  Report report;
  report.columns.assign(columns.begin(), columns.end());
  report.notes = dht_notes(order.count("nodes"));
  report.notes.emplace_back(
      "The Sybils answer at once, are signed properly, name only the nearest of their own, 16 of them, keep "
      "no "
      "record, and are in nobody's table but the victims'.");
  for (const auto start : {EclipseTrial::Start::first, EclipseTrial::Start::warm})
    if (!EclipseTrial(order, start).run(report)) break;
  return report;
}

}  // namespace

Scenario eclipse_scenario() {
  return {"eclipse", "nodes that an attacker tries to surround: whose are their tables then", parameters,
          run};
}

}  // namespace shoal::sim
