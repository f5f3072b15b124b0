// See swarm_trial.hpp.
#include "cli/sim/swarm_trial.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "cli/sim/oracle.hpp"

namespace shoal::sim {
namespace {

using std::chrono::seconds;
using What = swarm::ContentEvent::What;

constexpr Duration settle = seconds{20};  // everybody is in the DHT, the seed's record is out
constexpr Duration sample = seconds{1};
constexpr Duration down_time = seconds{10};  // of one that crashed

class Trial {
 public:
  explicit Trial(const TrialPlan& plan)
      : plan_(plan),
        world_(plan.seed, {.latency = plan.latency}),
        oracle_(Oracle::single("payload", plan.bytes, plan.seed)),
        chance_(world_.random().fork("trial")) {}

  TrialResult run(const std::function<bool(double)>& going_on) {
    if (!prepare()) return {};
    bool go = true;
    while (go && !all_done() && world_.now() - began_ < plan_.limit) {
      world_.run_for(sample);
      look();
      go = going_on(part_);
    }
    return judge();
  }

 private:
  struct Of {  // a peer
    MachineId id = 0;
    bool started = false;
    Instant start{}, done{}, up_since{};
    Instant back = never;                    // when it is switched on again
    std::uint64_t received = 0, wasted = 0;  // of its lives so far, and of the present one
    std::uint64_t past_received = 0, past_wasted = 0;
    std::map<std::size_t, std::set<std::uint32_t>> spoilt{};  // pieces of which a poisoner gave a false block
    [[nodiscard]] bool finished() const { return done != Instant{}; }
  };

  bool prepare() {
    const auto start = [&](MachineConfig config) {
      config.native = sealed();
      config.mainline = !sealed();
      const MachineId id = world_.add(std::move(config));
      ready_ = ready_ && world_.start(id).has_value();
      return id;
    };
    const MachineId node = start({.role = swarm::Role::bootstrap_node});
    bootstrap_ = {world_.endpoint(node)};
    seed_ = start({.host = {.rates = plan_.seed_rates}, .bootstrap = bootstrap_});
    const auto path = oracle_.plant(world_.machine(seed_));
    if (!path) return false;
    const auto shared = world_.share(seed_, *path, 0, plan_.format);
    if (!shared) return false;
    content_ = *shared;
    for (const TrialPeer& peer : plan_.peers) {
      MachineConfig config{.host = {.rates = peer.rates}, .bootstrap = bootstrap_};
      if (gives_nothing(peer.manner)) config.up_limit = 1;
      peers_.emplace_back().id = start(std::move(config));
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) prepare(i);
    world_.run_for(settle);
    prepare_liars();
    began_ = world_.now();
    next_crash_ = plan_.crash_every > Duration{} ? began_ + plan_.crash_every : never;
    start_due();
    return ready_;
  }

  static bool gives_nothing(Manner manner) {
    return manner == Manner::rider || manner == Manner::attacker || manner == Manner::miser;
  }
  [[nodiscard]] bool sealed() const { return plan_.format == storage::Format::v2; }

  // What its disk does, as its manner has it.
  void prepare(std::size_t i) {
    Machine& machine = world_.machine(peers_[i].id);
    switch (plan_.peers[i].manner) {
      case Manner::rider:
      case Manner::attacker:
        break;
      case Manner::fair:
        machine.after_job = [this, i](const JobNote& note, storage::Done& done) { taste(i, note, done); };
        break;
      case Manner::poisoner:
        // It reads what it has from a disk that gives other bytes than were verified, and others than that of
        // any other poisoner.
        machine.after_job = [i](const JobNote& note, storage::Done& done) {
          if (note.kind != JobNote::Kind::read || !done || note.length < 16) return;
          if (auto* read = std::get_if<storage::ReadDone>(&*done))
            store_be(read->data.span().data() + note.lead + note.length / 2, ~static_cast<std::uint64_t>(i));
        };
        break;
      case Manner::refuser:
      case Manner::miser:
        begin(i);
        break;
    }
  }
  // They say the truth until they have it all.
  void prepare_liars() {
    const auto liar = [&](std::size_t i) {
      return plan_.peers[i].manner == Manner::refuser || plan_.peers[i].manner == Manner::miser;
    };
    const auto whole = [&] {
      for (std::size_t i = 0; i < peers_.size(); ++i)
        if (liar(i) && !world_.told(peers_[i].id, content_->id, What::complete)) return false;
      return true;
    };
    ready_ = ready_ && world_.run_until(whole, plan_.limit, sample);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (plan_.peers[i].manner != Manner::refuser) continue;
      world_.machine(peers_[i].id).after_job = [](const JobNote& note, storage::Done& done) {
        if (note.kind == JobNote::Kind::read)
          done = std::unexpected(storage::JobFailure{{Code::cancelled, "it will not"}, {}, {}});
      };
    }
  }
  // Of a block that a fair peer has written: whether, and by which poisoner, it is false.
  void taste(std::size_t i, const JobNote& note, const storage::Done& done) {
    const auto* write = done ? std::get_if<storage::WriteDone>(&*done) : nullptr;
    if (write == nullptr || write->spent.size() < note.length / 2 + 8) return;
    const std::uint64_t poisoner = ~load_be<std::uint64_t>(write->spent.view().data() + note.length / 2);
    if (poisoner < peers_.size()) peers_[i].spoilt[poisoner].insert(note.piece);
  }

  void begin(std::size_t i) {
    Of& of = peers_[i];
    of.started = true;
    of.start = of.up_since = world_.now();
    get(of);
  }
  void get(Of& of) {
    swarm::OpenContent what;
    what.id = content_->id;
    what.hints = {world_.endpoint(seed_)};
    what.seed = {swarm::SeedUntil::forever, 0};
    what.is_public = !sealed();
    world_.open(of.id, std::move(what));
  }
  void start_due() {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const Of& of = peers_[i];
      if (of.started || world_.now() - began_ < plan_.peers[i].starts) continue;
      begin(i);
      last_start_ = world_.now();
    }
  }

  [[nodiscard]] bool fair(std::size_t i) const { return plan_.peers[i].manner == Manner::fair; }
  [[nodiscard]] bool all_done() const {
    for (std::size_t i = 0; i < peers_.size(); ++i)
      if (fair(i) && !peers_[i].finished()) return false;
    return true;
  }

  void look() {
    start_due();
    crash_due();
    double done = 0, fair_peers = 0;
    std::uint64_t leechers = 0, interesting = 0;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      Of& of = peers_[i];
      if (const auto status = world_.status(of.id, content_->id)) {
        of.received = of.past_received + status->received;
        of.wasted = of.past_wasted + status->wasted;
        if (fair(i)) done += static_cast<double>(status->bytes_committed);
        if (fair(i) && !of.finished()) {
          leechers += status->peers - std::min(status->peers, status->seeds);
          interesting += status->interesting;
        }
      }
      fair_peers += fair(i) ? 1 : 0;
      if (!of.finished())
        if (const auto told = world_.told(of.id, content_->id, What::complete)) of.done = *told;
    }
    part_ = done / (fair_peers * static_cast<double>(plan_.bytes));
    if (const auto at_seed = world_.status(seed_, content_->id))
      copy_out_ = copy_out_ || (at_seed->peers > 0 && at_seed->rarest > 0);
    if (copy_out_) {
      leechers_ += leechers;
      interesting_ += interesting;
    }
    std::uint64_t out = world_.network().traffic(seed_).stream_bytes_out;
    for (std::size_t i = 0; i < peers_.size(); ++i)
      if (fair(i)) out += world_.network().traffic(peers_[i].id).stream_bytes_out;
    sent_.push_back(out);
    note_riders();
  }

  void note_riders() {
    if (rider_share_ >= 0) return;
    std::vector<std::uint64_t> fair_ones;
    std::uint64_t best = 0;
    bool first_done = false, any = false;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (fair(i)) {
        fair_ones.push_back(peers_[i].received);
        first_done = first_done || peers_[i].finished();
      } else {
        any = true;
        best = std::max(best, peers_[i].received);
      }
    }
    if (!first_done || !any || fair_ones.empty()) return;
    std::sort(fair_ones.begin(), fair_ones.end());
    rider_share_ = static_cast<double>(best) / static_cast<double>(fair_ones[fair_ones.size() / 2]);
  }

  void crash_due() {
    for (Of& of : peers_) {
      if (of.back > world_.now()) continue;
      of.back = never;
      of.up_since = world_.now();
      if (world_.start(of.id)) get(of);
    }
    if (world_.now() < next_crash_) return;
    next_crash_ += plan_.crash_every;
    std::vector<std::size_t> candidates;
    for (std::size_t i = 0; i < peers_.size(); ++i)
      if (fair(i) && peers_[i].started && !peers_[i].finished() && peers_[i].back == never &&
          world_.now() - peers_[i].up_since >= plan_.crash_every)
        candidates.push_back(i);
    if (candidates.empty()) return;
    Of& of = peers_[candidates[chance_.below(candidates.size())]];
    world_.kill(of.id, Machine::Death::power);
    of.past_received = of.received;
    of.past_wasted = of.wasted;
    of.spoilt.clear();  // as it forgets whom it banned
    of.back = world_.now() + down_time;
  }

  void bounds(TrialResult& out) const {
    double sum_up = 0, least_down = 0, count = 0;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (!fair(i)) continue;
      const LinkRates& rates = plan_.peers[i].rates;
      sum_up += static_cast<double>(rates.up);
      const auto down = static_cast<double>(rates.down);
      if (down > 0 && (least_down <= 0 || down < least_down)) least_down = down;
      count += 1;
    }
    const auto bytes = static_cast<double>(plan_.bytes), up = static_cast<double>(plan_.seed_rates.up);
    out.bound = p2p_bound(bytes, up, least_down, count, sum_up);
    out.client_server = client_server_bound(bytes, up, least_down, count);
    // Of what all uplinks could have carried in the middle of the run.
    const double from = 0.1 * out.last, to = 0.9 * out.last;
    const auto at = [&](double second) {
      const auto i = static_cast<std::size_t>(second);
      return i == 0 || sent_.empty() ? 0.0 : static_cast<double>(sent_[std::min(i, sent_.size()) - 1]);
    };
    if (to - from >= 1) out.busy = (at(to) - at(from)) / ((to - from) * (sum_up + up));
  }

  void blame(TrialResult& out) const {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (!fair(i)) continue;
      for (const Recorded& recorded : world_.machine(peers_[i].id).answers()) {
        const auto* event = std::get_if<swarm::ContentEvent>(&recorded.answer.what);
        if (event == nullptr || event->what != What::peer_banned) continue;
        ++out.bans;
        out.worst_blame = std::max(out.worst_blame, event->count);
      }
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const auto status = world_.status(peers_[i].id, content_->id);
      if (!fair(i) || !status) continue;
      const std::uint64_t givers = peers_[i].spoilt.size(), banned = status->banned;
      out.poisoned += givers;
      out.missed += givers - std::min(banned, givers);
      out.wrong_bans += banned - std::min(banned, givers);
      for (const auto& [poisoner, pieces] : peers_[i].spoilt)
        out.worst_pieces = std::max<std::uint64_t>(out.worst_pieces, pieces.size());
    }
  }

  TrialResult judge() {
    TrialResult out;
    out.finished = all_done();
    double count = 0, received = 0, wasted = 0;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const Of& of = peers_[i];
      out.seconds.push_back(of.finished() ? shoal::seconds(of.done - last_start_) : -1.0);
      if (!fair(i)) continue;
      out.last = std::max(out.last, out.seconds.back());
      out.mean += out.seconds.back();
      received += static_cast<double>(of.received);
      wasted += static_cast<double>(of.wasted);
      count += 1;
      out.finished = out.finished && oracle_.whole(world_.machine(of.id), *content_);
    }
    const auto bytes = static_cast<double>(plan_.bytes);
    out.mean /= std::max(count, 1.0);
    out.received = received / (std::max(count, 1.0) * bytes);
    out.wasted = wasted / (std::max(count, 1.0) * bytes);
    out.entropy = leechers_ > 0 ? static_cast<double>(interesting_) / static_cast<double>(leechers_) : 0;
    out.rider_share = std::max(rider_share_, 0.0);
    bounds(out);
    blame(out);
    out.at = world_.wall();
    out.digest = world_.digest();
    return out;
  }

  const TrialPlan& plan_;
  World world_;
  Oracle oracle_;
  Random chance_;
  bool ready_ = true;
  std::vector<Endpoint> bootstrap_;
  MachineId seed_ = 0;
  storage::ContentPtr content_;
  std::vector<Of> peers_;
  Instant began_{}, last_start_{}, next_crash_ = never;
  double part_ = 0;
  bool copy_out_ = false;
  std::uint64_t leechers_ = 0, interesting_ = 0;
  std::vector<std::uint64_t> sent_;  // by all fair uplinks, every second since the start
  double rider_share_ = -1;
};

}  // namespace

double p2p_bound(double bytes, double seed_up, double least_down, double peers, double sum_up) {
  const double down = least_down > 0 ? bytes / least_down : 0;
  return std::max({bytes / seed_up, down, peers * bytes / (seed_up + sum_up)});
}

double client_server_bound(double bytes, double seed_up, double least_down, double peers) {
  return std::max(peers * bytes / seed_up, least_down > 0 ? bytes / least_down : 0.0);
}

TrialResult run_trial(const TrialPlan& plan, const std::function<bool(double)>& going_on) {
  return Trial{plan}.run(going_on);
}

}  // namespace shoal::sim
