// `textbook`: Figure 2.23 of Kurose & Ross, "Computer Networking: A Top-Down Approach": how long it takes to
// give a file to N peers, by client and server and by peers, with F/u = 1 hour and us = 10 u; and beside the
// book's bounds the time that real engines need.
#include <array>
#include <cmath>
#include <sstream>

#include "cli/sim/scenarios.hpp"
#include "cli/sim/swarm_trial.hpp"

namespace shoal::sim {
namespace {

constexpr double mib = 1 << 20;
constexpr std::array<double, 9> figure{1, 2, 5, 10, 15, 20, 25, 30, 35};

constexpr std::array parameters{
    Parameter{"bytes", "size of the file, MiB", 256, 1, 4096},
    Parameter{"hours", "F/u: how long one peer's uplink takes for one copy, hours", 1, 0.001, 100},
    Parameter{"seed-up", "the seed's uplink, in uplinks of a peer", 10, 0.1, 1000},
    Parameter{"rtt", "median round trip between two peers, ms", 90, 0.02, 1000},
    Parameter{"nodes", "peers; 0: the figure's 1, 2, 5, 10, ... 35", 0, 0, 500},
};

// As short as it can be said: "1", "0.5".
std::string plain(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// As trials have it, stretched so that the median round trip is this.
Latency latency_of(double rtt_ms) {
  Latency out = TrialPlan{}.latency;
  const double stretch = rtt_ms * 1000 / (2 * static_cast<double>(out.median.count()));
  for (Duration* each : {&out.low, &out.median, &out.high})
    *each = Duration{std::llround(static_cast<double>(each->count()) * stretch)};
  return out;
}

Report run(const Order& order) {
  Report out;
  out.columns = {{"n", "peers", 0},
                 {"bound_s", "P2P bound, s", 1},
                 {"client_server_s", "client-server bound, s", 1},
                 {"time_s", "shoal, s", 1},
                 {"ratio", "shoal / bound", 4},
                 {"mean_ratio", "mean peer / bound", 4},
                 {"received", "received / size", 4}};
  out.notes = {
      "bounds: max(F/us, F/dmin, N F/(us + sum ui)) and max(N F/us, F/dmin); downlinks have no limit here",
      "time: from the start of the getters to the last durable finish; peers stay; every byte on a line "
      "counts"};
  const auto bytes = static_cast<std::uint64_t>(order.number("bytes") * mib);
  const double up = static_cast<double>(bytes) / (order.number("hours") * 3600);
  std::vector<double> counts(figure.begin(), figure.end());
  if (order.count("nodes") > 0) counts = {order.number("nodes")};
  double all = 0, before = 0;
  for (const double n : counts) all += n;
  Plot plot;
  plot.title = "Time to give a file to N peers: F/u = " + plain(order.number("hours")) +
               " h, us = " + plain(order.number("seed-up")) + " u";
  plot.x = "N, peers";
  plot.y = "time, hours";
  Series server{"client-server, bound", Series::Style::dashed, {}};
  Series bound{"P2P, bound", Series::Style::line, {}};
  Series time{"shoal, simulated", Series::Style::points, {}};
  for (const double n : counts) {
    TrialPlan plan;
    plan.seed = order.seed;
    plan.bytes = bytes;
    plan.latency = latency_of(order.number("rtt"));
    plan.seed_rates.up = static_cast<std::uint64_t>(std::llround(up * order.number("seed-up")));
    plan.peers.assign(static_cast<std::size_t>(n),
                      {.rates = {static_cast<std::uint64_t>(std::llround(up)), 0}});
    bool stopped = false;
    const TrialResult result = run_trial(plan, [&](double part) {
      stopped = stopped ||
                !order.progress((before + part * n) / all, std::to_string(static_cast<int>(n)) + " peers");
      return !stopped;
    });
    if (stopped) break;
    before += n;
    Row row{result.at, {}};
    row.cells = {static_cast<std::int64_t>(n), result.bound, result.client_server};
    if (result.finished) {
      row.cells.insert(row.cells.end(), {result.last, result.last / result.bound, result.mean / result.bound,
                                         result.received});
      time.points.emplace_back(n, result.last / 3600);
    }
    row.cells.resize(out.columns.size());
    out.rows.push_back(std::move(row));
    server.points.emplace_back(n, result.client_server / 3600);
    bound.points.emplace_back(n, result.bound / 3600);
  }
  plot.series = {std::move(server), std::move(bound), std::move(time)};
  out.plot = std::move(plot);
  return out;
}

}  // namespace

Scenario textbook_scenario() {
  return {"textbook", "the textbook's figure: a file for N peers, beside the client-server and P2P bounds",
          parameters, run};
}

}  // namespace shoal::sim
