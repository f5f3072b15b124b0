// SwarmTrial: one content given by one seed to many getters in a virtual network, all of them whole peers,
// and what is to be measured of it. The bounds are the textbook's (Kurose & Ross, "Computer Networking", 2.5:
// P2P file distribution).
//
// Peers find each other as users do: a DHT node everybody knows, and the seed's address in the link. They
// join the DHT 20 s before the first getter starts; times count from the last getter's start to the last
// durable finish. Whoever has finished stays.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cli/sim/world.hpp"

namespace shoal::sim {

enum class Manner : std::uint8_t {
  fair,
  rider,     // asks and unchokes like everybody, and never sends a block: its user's limit leaves no room
  poisoner,  // every block it serves is false
  attacker,  // takes as much of the seed as it can and gives nothing: a rider on a line without limit
  refuser,   // it says that it has all, from the start, and rejects every request
  miser,     // so does this one, and leaves every request unanswered
};

struct TrialPeer {
  LinkRates rates{};
  Manner manner = Manner::fair;
  Duration starts{};  // after the first one
};

struct TrialPlan {
  std::uint64_t seed = 1;
  std::uint64_t bytes = 0;
  // v2: sealed, in the native dialect. v1 and hybrid: public, in BitTorrent's alone.
  storage::Format format = storage::Format::v2;
  LinkRates seed_rates{};
  std::vector<TrialPeer> peers;
  // 0: never. Then one fair unfinished peer that has run for so long loses its power, for 10 s.
  Duration crash_every{};
  Duration limit = std::chrono::hours{24};  // the trial is given up
  Latency latency{Latency::Law::log_normal, Duration{10'000}, Duration{450'000}, Duration{45'000}, 0.5};
};

struct TrialResult {
  bool finished = false;        // every fair peer has it whole, its bytes are right
  double bound = 0;             // seconds: max(F / us, F / dmin, N F / (us + sum ui)), fair peers alone
  double client_server = 0;     // seconds: max(N F / us, F / dmin)
  std::vector<double> seconds;  // of each peer; below 0: not finished
  double last = 0, mean = 0;    // of the fair
  double busy =
      0;  // part of the fair peers' and the seed's uplinks that was used from 10 % to 90 % of the run
  double received = 0;  // payload bytes a fair peer received, over the content's
  double wasted = 0;    // of them received twice or false, over the content's
  double entropy =
      0;  // Legout 2006: of a leecher's time with other leechers, the part it finds them interesting
  double rider_share =
      0;  // the best rider's payload over the median fair peer's when the first fair one finishes
  std::uint64_t bans = 0, wrong_bans = 0,
                worst_blame = 0;  // peers banned by fair ones; blocks before the latest ban
  // Pairs of a fair peer and a poisoner that it took false blocks of; of those the poisoners that are not
  // banned there; and the most pieces that one of them spoilt for one fair peer.
  std::uint64_t poisoned = 0, missed = 0, worst_pieces = 0;
  WallTime at{};
  std::uint64_t digest = 0;
};

// `going_on` is asked every virtual second, with the part of the fair peers' bytes that is there; false:
// stop.
[[nodiscard]] TrialResult run_trial(const TrialPlan& plan, const std::function<bool(double part)>& going_on);

// Seconds; `least_down` 0: unlimited.
[[nodiscard]] double p2p_bound(double bytes, double seed_up, double least_down, double peers, double sum_up);
[[nodiscard]] double client_server_bound(double bytes, double seed_up, double least_down, double peers);

}  // namespace shoal::sim
