// See session_world.hpp.
#include "tests/worlds/session_world.hpp"

#include <algorithm>

#include "swarm/selection.hpp"

namespace shoal::sim {
namespace {

constexpr Duration glance = 500ms;       // how often users look
constexpr Duration patience = 25min;     // within which everything must have come right
constexpr Duration stop_within = 10min;  // a stop, also with a disk that stands still

std::string described(MachineId id, const PeerPlan& plan) {
  const MachineConfig& config = plan.config;
  std::string out =
      "peer " + std::to_string(id) + (plan.site > 0 ? " at home " + std::to_string(plan.site) : "");
  out += ", lines " + std::to_string(config.host.rates.up) + " up and " +
         std::to_string(config.host.rates.down) + " down, limits " + std::to_string(config.up_limit) +
         " and " + std::to_string(config.down_limit);
  for (const WantPlan& want : plan.wants)
    out += std::string{want.shares ? ", shares " : ", gets "} + std::to_string(want.content) +
           (want.only.empty() ? "" : " in part") + (want.leaves ? " and leaves" : "");
  return out;
}

std::string described(const ContentPlan& plan) {
  std::uint64_t bytes = 0;
  for (const SyntheticFile& file : plan.files) bytes += file.bytes;
  return "content " + plan.name + ": " + std::to_string(plan.files.size()) + " files, " +
         std::to_string(bytes) + " bytes, pieces of " + std::to_string(plan.piece_length);
}

}  // namespace

SessionWorld::SessionWorld(std::uint64_t seed)
    : plan_(Plan::draw(seed)), lots_(seed, "faults"), world_(seed, plan_.world), auditor_(world_) {}

void SessionWorld::note(const std::string& what) {
  story_.push_back(std::to_string(seconds(world_.elapsed())) + " s: " + what);
}

void SessionWorld::people() {
  for (std::size_t i = 0; i < plan_.nodes; ++i) {
    const MachineId id = world_.add({.role = swarm::Role::bootstrap_node, .bootstrap = bootstrap_});
    auditor_.watch(id);
    if (!world_.start(id)) findings_.push_back("a node does not start");
    bootstrap_.push_back(world_.endpoint(id));
  }
  note(std::to_string(plan_.nodes) + " nodes");
  std::vector<SiteId> sites{0};
  for (std::size_t i = 0; i < plan_.sites; ++i) sites.push_back(world_.network().topology().add_site());
  for (const ContentPlan& each : plan_.contents) {
    contents_.push_back({each, Oracle{each.name, each.files}});
    note(described(each));
  }
  for (const PeerPlan& each : plan_.peers) {
    Peer peer{.plan = each};
    peer.plan.config.host.site = sites[each.site];
    peer.plan.config.bootstrap = bootstrap_;
    peer.id = world_.add(peer.plan.config);
    auditor_.watch(peer.id);
    for (const WantPlan& want : each.wants) peer.wants.push_back({want, world_.now() + want.begins});
    note(described(peer.id, each));
    peers_.push_back(std::move(peer));
  }
  if (plan_.corrupter < peers_.size()) {
    auditor_.corrupt(peers_[plan_.corrupter].id, plan_.corrupt_part);
    note("peer " + std::to_string(peers_[plan_.corrupter].id) + " falsifies");
  }
}

// ---- the users

void SessionWorld::settle(Peer& peer) {
  Machine& machine = world_.machine(peer.id);
  if (!machine.disk().halted()) return;
  if (machine.running())
    world_.kill(peer.id, Machine::Death::power);
  else
    machine.disk().crash(machine.config().fate, world_.random());
  peer.back = world_.now() + lots_.time(100ms, 30s);
  note("peer " + std::to_string(peer.id) + " lost its power at a sync");
}

bool SessionWorld::switch_on(Peer& peer) {
  if (peer.away || world_.now() < peer.back) return false;
  const auto started = world_.start(peer.id);
  settle(peer);
  if (started && world_.machine(peer.id).running()) {
    for (Want& want : peer.wants) want.due = std::max(want.due, world_.now());
    return true;
  }
  peer.back = std::max(peer.back, world_.now() + 2s);
  note("peer " + std::to_string(peer.id) + " does not start: " + (started ? "" : started.error().rule));
  return false;
}

void SessionWorld::share(Peer& peer, Want& want, Content& content) {
  Machine& machine = world_.machine(peer.id);
  if (!content.content)
    if (auto there = content.oracle.mend(machine); !there)
      return note("peer " + std::to_string(peer.id) + " has nothing to share yet: " + there.error().rule);
  auto shared = world_.share(peer.id, data_folder + "/" + content.plan.name, content.plan.piece_length,
                             content.plan.format);
  settle(peer);
  if (!shared) return note("peer " + std::to_string(peer.id) + " cannot share: " + shared.error().error.rule);
  if (!content.content) {
    content.content = *shared;
    content.shared = world_.now();
    auditor_.know(content.content, content.oracle);
    for (const Peer& each : peers_)
      for (const Want& other : each.wants)
        if (other.plan.content == want.plan.content && !other.plan.shares)
          auditor_.wants(each.id, content.content->id,
                         swarm::wanted_files(*content.content, other.plan.only));
  } else if ((*shared)->id != content.content->id) {
    findings_.push_back("what was shared again has another id");
  }
}

void SessionWorld::attend(Peer& peer, Want& want) {
  Content& content = contents_[want.plan.content];
  if (want.left || want.held_back || world_.now() < want.due) return;
  if (content.content && auditor_.open(peer.id, content.content->id)) return leave_if_done(peer, want);
  want.due = world_.now() + lots_.time(1s, 8s);  // once more, should it fail
  if (want.plan.shares) {
    const bool anew =
        !content.content || (lots_.chance(0.5) && !auditor_.is_altered(peer.id, content.content->id));
    if (anew) return share(peer, want, content);
  }
  if (!content.content) return;
  std::vector<Endpoint> hints;
  if (peer.plan.told_addresses && !want.plan.shares)
    hints.push_back(world_.endpoint(peers_[content.plan.sharer].id));
  world_.get(peer.id, content.content->id, std::move(hints),
             {want.plan.leaves ? swarm::SeedUntil::complete : swarm::SeedUntil::forever, 0}, want.plan.only);
}

void SessionWorld::leave_if_done(Peer& peer, Want& want) {
  if (!want.plan.leaves || !auditor_.complete(peer.id, contents_[want.plan.content].content->id)) return;
  want.left = true;
  world_.command(peer.id, swarm::CloseContent{contents_[want.plan.content].content->id});
  note("peer " + std::to_string(peer.id) + " has content " + std::to_string(want.plan.content) +
       " and leaves");
}

void SessionWorld::attend(Peer& peer) {
  settle(peer);
  if (!world_.machine(peer.id).running() && !switch_on(peer)) return;
  for (Want& want : peer.wants)
    if (world_.machine(peer.id).running()) attend(peer, want);
}

void SessionWorld::attend() {
  for (Peer& peer : peers_) attend(peer);
}

void SessionWorld::advance(Duration time) {
  const Instant until = world_.now() + time;
  while (world_.now() < until && auditor_.findings().empty()) {
    Instant next = std::min(until, world_.now() + glance);
    for (const Healing& each : healings_) next = std::min(next, std::max(each.when, world_.now() + 1ms));
    world_.run_for(next - world_.now());
    for (std::size_t i = 0; i < healings_.size();) {
      if (healings_[i].when > world_.now()) {
        ++i;
        continue;
      }
      const auto what = std::move(healings_[i].what);
      healings_.erase(healings_.begin() + static_cast<std::ptrdiff_t>(i));
      what();
    }
    attend();
  }
}

// ---- the end

bool SessionWorld::is_whole(Peer& peer, const Want& want) {
  const Content& content = contents_[want.plan.content];
  return content.content && (want.left || auditor_.complete(peer.id, content.content->id)) &&
         content.oracle.whole(world_.machine(peer.id), *content.content,
                              swarm::wanted_files(*content.content, want.plan.only));
}

// Where a peer stands, for a finding.
std::string SessionWorld::standing(const Peer& peer, std::size_t content) const {
  const auto& known = contents_[content].content;
  const auto status = known ? world_.status(peer.id, known->id) : std::nullopt;
  if (!status) return "";
  return "; peer " + std::to_string(peer.id) + ": phase " + std::to_string(static_cast<int>(status->phase)) +
         ", " + std::to_string(status->bytes_verified) + " verified and " +
         std::to_string(status->bytes_committed) + " committed of " + std::to_string(status->bytes_wanted) +
         ", " + std::to_string(status->peers) + " peers, " + std::to_string(status->candidates) +
         " candidates, serves " + std::to_string(status->serving) + ", served by " +
         std::to_string(status->served_by) + ", waits " + std::to_string(status->waiting_here) +
         " here and " + std::to_string(status->waiting_there) + " there";
}

bool SessionWorld::all_well() {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    for (const Want& want : peers_[i].wants)
      if (plan_.reachable(i, want.plan.content) && !is_whole(peers_[i], want)) return false;
  return true;
}

void SessionWorld::finish() {
  seen_ = mix(seen_ ^ world_.digest());
  for (std::size_t i = 0; i < peers_.size(); ++i)
    for (const Want& want : peers_[i].wants) {
      if (!plan_.reachable(i, want.plan.content) || is_whole(peers_[i], want)) continue;
      std::string line = "content " + std::to_string(want.plan.content) + " has not come to peer " +
                         std::to_string(peers_[i].id);
      for (const Peer& each : peers_) line += standing(each, want.plan.content);
      findings_.push_back(std::move(line));
    }
  for (MachineId id = 0; id < world_.size(); ++id)
    if (world_.machine(id).running() && !world_.stop(id, stop_within))
      findings_.push_back("machine " + std::to_string(id) + " does not stop");
  auditor_.close();
  seen_ = mix(seen_ ^ world_.digest());
}

SessionWorld::Outcome SessionWorld::run() {
  people();
  for (std::size_t i = 0; i < plan_.faults && auditor_.findings().empty(); ++i) {
    advance(lots_.time(20ms, 12s));
    disturb();
    auditor_.look();
    seen_ = mix(seen_ ^ world_.digest());
  }
  advance(lots_.time(1s, 60s));
  heal_all();
  const Instant healed = world_.now();
  Outcome out;
  while (findings_.empty() && auditor_.findings().empty() && !all_well() &&
         world_.now() - healed < patience) {
    advance(2s);
    auditor_.look();
  }
  out.healing = world_.now() - healed;
  if (auditor_.findings().empty()) {
    advance(3s);  // what is left to be committed is
    auditor_.look();
    finish();
  }
  out.took = world_.elapsed();
  out.digest = seen_;
  out.findings = findings_;
  out.findings.insert(out.findings.end(), auditor_.findings().begin(), auditor_.findings().end());
  out.story = story_;
  return out;
}

}  // namespace shoal::sim
