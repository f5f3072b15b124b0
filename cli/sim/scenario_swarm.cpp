// `swarm`: one seed and many getters with lines of several classes, a flash crowd or arrivals over time, free
// riders, poisoners, attackers, liars and crashes; each row one run with a seed of randomness of its own.
#include <algorithm>
#include <array>

#include "cli/sim/scenarios.hpp"
#include "cli/sim/swarm_trial.hpp"

namespace shoal::sim {
namespace {

constexpr std::array parameters{
    Parameter{"nodes", "getters that give and take", 50, 1, 1000},
    Parameter{"runs", "runs, each with a seed of its own", 3, 1, 1000},
    Parameter{"bytes", "size of the file, MB (10^6 bytes)", 100, 0.1, 10'000},
    Parameter{"up", "uplink of a getter (of the slowest class), kB/s", 1000, 1, 1e6},
    Parameter{"down", "downlink, in uplinks; 0: no limit", 8, 0, 1000},
    Parameter{"seed-up", "the seed's uplink, in uplinks of the slowest class", 1, 0.01, 1000},
    Parameter{"classes", "1: equal lines; 3: a third each of 1, 4 and 16 uplinks", 1, 1, 3},
    Parameter{"riders", "getters besides that give nothing", 0, 0, 500},
    Parameter{"poisoners", "getters besides whose every block is false", 0, 0, 500},
    Parameter{"attackers", "riders besides on lines without limit", 0, 0, 500},
    Parameter{"liars", "getters besides that claim to have all: half reject what is asked, half are silent",
              0, 0, 500},
    Parameter{"format", "2: v2, sealed, native; 1: v1 and 3: hybrid, public, in BitTorrent's dialect", 2, 1,
              3},
    Parameter{"spread", "getters start over so many seconds; 0: all at once, a flash crowd", 0, 0, 1e6},
    Parameter{"crash-every", "seconds; a getter loses its power and is back after 10 s; 0: never", 0, 0, 1e6},
};

TrialPlan plan_of(const Order& order, std::uint64_t number) {
  const double up = order.number("up") * 1000;
  const auto rate = [&](double factor) { return static_cast<std::uint64_t>(up * factor); };
  TrialPlan plan;
  plan.seed = order.seed * 1'000'003 + number;
  plan.bytes = static_cast<std::uint64_t>(order.number("bytes") * 1e6);
  plan.seed_rates.up = rate(order.number("seed-up"));
  constexpr std::array formats{storage::Format::v1, storage::Format::v2, storage::Format::hybrid};
  plan.format = formats[order.count("format") - 1];
  plan.crash_every = Duration{static_cast<std::int64_t>(order.number("crash-every") * 1e6)};
  const std::uint64_t count = order.count("nodes");
  for (std::uint64_t i = 0; i < count; ++i) {
    constexpr std::array<double, 3> factors{1, 4, 16};
    const double factor = order.count("classes") == 3 ? factors[i % 3] : 1;
    TrialPeer peer{.rates = {rate(factor), rate(factor * order.number("down"))}};
    peer.starts = Duration{static_cast<std::int64_t>(order.number("spread") * 1e6 * static_cast<double>(i) /
                                                     static_cast<double>(count))};
    plan.peers.push_back(peer);
  }
  const LinkRates usual{rate(1), rate(order.number("down"))};
  const auto add = [&](std::uint64_t peers, Manner manner, LinkRates rates) {
    plan.peers.insert(plan.peers.end(), peers, {.rates = rates, .manner = manner});
  };
  add(order.count("riders"), Manner::rider, usual);
  add(order.count("poisoners"), Manner::poisoner, usual);
  add(order.count("attackers"), Manner::attacker, {});
  add((order.count("liars") + 1) / 2, Manner::refuser, usual);
  add(order.count("liars") / 2, Manner::miser, usual);
  return plan;
}

// Mean seconds of the fair peers of one class, for classes beside each other.
double class_mean(const TrialPlan& plan, const TrialResult& result, std::uint64_t up) {
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < plan.peers.size(); ++i)
    if (plan.peers[i].manner == Manner::fair && plan.peers[i].rates.up == up) {
      sum += result.seconds[i];
      count += 1;
    }
  return count > 0 ? sum / count : 0;
}

Row row_of(const TrialPlan& plan, const TrialResult& result, bool classes) {
  Row row{result.at, {}};
  const auto fair = std::count_if(plan.peers.begin(), plan.peers.end(),
                                  [](const TrialPeer& peer) { return peer.manner == Manner::fair; });
  row.cells = {static_cast<std::int64_t>(plan.seed), static_cast<std::int64_t>(fair), result.bound,
               result.client_server};
  if (!result.finished) {
    row.cells.resize(18);
    return row;
  }
  const std::uint64_t slow = plan.peers.front().rates.up;
  row.cells.insert(
      row.cells.end(),
      {result.last, result.last / result.bound, result.mean / result.bound, result.busy, result.received,
       result.wasted, result.entropy, result.rider_share, static_cast<std::int64_t>(result.bans),
       static_cast<std::int64_t>(result.wrong_bans), static_cast<std::int64_t>(result.missed),
       static_cast<std::int64_t>(result.worst_pieces)});
  if (classes)
    row.cells.insert(row.cells.end(), {class_mean(plan, result, 4 * slow) / result.bound,
                                       class_mean(plan, result, 16 * slow) / result.bound});
  row.cells.resize(18);
  return row;
}

Report run(const Order& order) {
  Report out;
  out.columns = {{"seed", "seed", 0},
                 {"n", "peers", 0},
                 {"bound_s", "bound, s", 1},
                 {"client_server_s", "client-server, s", 1},
                 {"time_s", "last, s", 1},
                 {"ratio", "last / bound", 3},
                 {"mean_ratio", "mean / bound", 3},
                 {"busy", "uplinks busy", 3},
                 {"received", "received / size", 4},
                 {"wasted", "wasted / size", 4},
                 {"entropy", "entropy", 3},
                 {"rider_share", "rider / fair", 3},
                 {"bans", "bans", 0},
                 {"wrong_bans", "wrong bans", 0},
                 {"missed", "poisoners not banned", 0},
                 {"worst_pieces", "pieces spoilt by one", 0},
                 {"mean_ratio_4", "class 4 / bound", 3},
                 {"mean_ratio_16", "class 16 / bound", 3}};
  out.notes = {"bound: max(F/us, F/dmin, N F/(us + sum ui)) over the peers that give; Kurose & Ross, 2.5",
               "busy: of the seed's and the fair peers' uplinks, from 10 % to 90 % of the run",
               "entropy: of the time that leechers are connected, the part in which one finds the other "
               "interesting, once every "
               "piece is out (Legout, Urvoy-Keller & Michiardi 2006)"};
  const std::uint64_t runs = order.count("runs");
  for (std::uint64_t number = 0; number < runs; ++number) {
    const TrialPlan plan = plan_of(order, number);
    bool stopped = false;
    const TrialResult result = run_trial(plan, [&](double part) {
      stopped = stopped || !order.progress((static_cast<double>(number) + part) / static_cast<double>(runs),
                                           "run " + std::to_string(number + 1));
      return !stopped;
    });
    if (stopped) break;
    out.rows.push_back(row_of(plan, result, order.count("classes") == 3));
  }
  return out;
}

}  // namespace

Scenario swarm_scenario() {
  return {"swarm",
          "one seed and many getters: classes of lines, riders, poisoners, attackers, liars, crashes",
          parameters, run};
}

}  // namespace shoal::sim
