// See roster.hpp. Invariants: dialling_ counts the candidates in that state; networks_ counts the candidates
// of each network; the key of a dialling candidate counts as up (keys_up_). Choosing costs O(candidates), a
// few times a second at most; next_time() is kept until something changes.
#include "swarm/roster.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "dht/base/check.hpp"
#include "swarm/peer_priority.hpp"

namespace shoal::swarm {
namespace {

constexpr crypto::PublicKey no_key{};
constexpr Duration after_loss = std::chrono::seconds{3};        // then the connection is tried again
constexpr Duration not_needed_rest = std::chrono::minutes{10};  // two seeds find nothing new in each other
constexpr Duration named_back_off = std::chrono::minutes{1};    // the most, for what the user named ...
constexpr Duration named_first_back_off = std::chrono::seconds{2};  // ... and the first: somebody is waiting
constexpr std::uint32_t misbehaviour_failures = 4;                  // counts like so many dead dials

constexpr Duration move_rest = std::chrono::minutes{10};

// When the dial limits let it be dialled. They bind no members.
Instant allowed_at(const dht::StrangerLimits& limits, Instant now, const Candidate& candidate) {
  using Dial = dht::StrangerLimits::Dial;
  if (candidate.proven) return now;
  return limits.dial_allowed_at(now, candidate.endpoint.address,
                                candidate.follow_up ? Dial::follow_up : Dial::fresh);
}

bool named(Source source) { return source == Source::user || source == Source::lan; }

// Lower comes first.
struct Rank {
  int source = 0;           // user, lan, then all hearsay alike
  std::uint32_t tried = 0;  // dials to its network (global ones): a crowd from one place waits in one line
  std::uint32_t failures = 0;
  bool stranger = true;  // never connected
  std::uint64_t tie = 0;
  auto operator<=>(const Rank&) const = default;
};

}  // namespace

Roster::Roster(AddressRules rules, Random random) : rules_(std::move(rules)), random_(std::move(random)) {}

// ---- bookkeeping

std::uint32_t Roster::tried(const IpAddress& network) const {
  const auto found = networks_.find(network);
  return found == networks_.end() ? 0 : found->second.tried;
}
std::uint32_t Roster::members(const IpAddress& network) const {
  const auto found = networks_.find(network);
  return found == networks_.end() ? 0 : found->second.members;
}

const Candidate* Roster::find(const Endpoint& endpoint) const {
  const auto found = candidates_.find(endpoint);
  return found == candidates_.end() ? nullptr : &found->second;
}

void Roster::set_rules(AddressRules rules) {
  const bool moved = rules.own != rules_.own;
  rules_ = std::move(rules);
  if (moved)
    for (auto& [endpoint, one] : candidates_) one.tie = tie_of(endpoint);
  touch();
}

std::uint32_t Roster::priority(const Endpoint& endpoint) const {
  const Endpoint* own = rules_.seen_as(endpoint.address.family);
  return own == nullptr ? 0 : peer_priority(*own, endpoint);
}

std::uint64_t Roster::tie_of(const Endpoint& endpoint) {
  return (std::uint64_t{~priority(endpoint)} << 32) | random_.below(std::uint64_t{1} << 32);
}

void Roster::set_ways(Ways ways) {
  if (ways != ways_)
    for (auto& [endpoint, one] : candidates_) one.refused = {};
  ways_ = ways;
  touch();
}

// The first that is left, the best first.
std::optional<Way> Roster::way_of(const Candidate& candidate) const {
  for (const Way way : {Way::native, Way::obfuscated, Way::plain}) {
    if (way == Way::native && !candidate.key) continue;
    if (ways_.has(way) && !candidate.refused.has(way)) return way;
  }
  return std::nullopt;
}

void Roster::set_state(Candidate& candidate, Candidate::State state) {
  if (candidate.state == state) return;
  if (candidate.state == Candidate::State::dialling) {
    --dialling_;
    if (candidate.dialled_key != no_key) peer_down(candidate.dialled_key);
    candidate.dialled_key = no_key;
  }
  candidate.state = state;
  if (state == Candidate::State::dialling) {
    ++dialling_;
    if (candidate.key && *candidate.key != no_key) {
      candidate.dialled_key = *candidate.key;
      peer_up(*candidate.key);
    }
  }
  touch();
}

void Roster::erase(Table::iterator entry) {
  set_state(entry->second, Candidate::State::idle);
  const auto network = networks_.find(entry->first.address.network());
  // A network's count of dials outlives its candidates while others of it remain.
  if (network != networks_.end() && --network->second.members == 0) networks_.erase(network);
  candidates_.erase(entry);
  touch();
}

void Roster::peer_up(const crypto::PublicKey& key) {
  if (key == no_key) return;
  ++keys_up_[key];
  touch();
}

void Roster::peer_down(const crypto::PublicKey& key) {
  const auto found = keys_up_.find(key);
  if (found == keys_up_.end()) return;
  if (--found->second == 0) keys_up_.erase(found);
  touch();
}

bool Roster::key_connected(const crypto::PublicKey& key) const { return keys_up_.contains(key); }

// ---- taking up

// Room for one more of that network: a candidate that failed, or one of a more crowded network, gives way.
bool Roster::make_room(const IpAddress& network) {
  const bool crowded = network.global() && members(network) >= limits::max_candidates_per_network;
  if (candidates_.size() < limits::max_candidates && !crowded) return true;
  auto worst = candidates_.end();
  std::tuple<std::uint32_t, std::uint32_t, std::uint64_t> worst_rank{};
  for (auto it = candidates_.begin(); it != candidates_.end(); ++it) {
    const Candidate& one = it->second;
    const IpAddress home = it->first.address.network();
    if (one.state != Candidate::State::idle || one.proven || named(one.source)) continue;
    if (crowded && home != network) continue;
    const std::tuple rank{one.failures, members(home), one.tie};
    if (worst != candidates_.end() && rank <= worst_rank) continue;
    worst = it;
    worst_rank = rank;
  }
  if (worst == candidates_.end()) return false;
  const bool failing = worst->second.failures > 0;
  const bool thinner = !crowded && members(worst->first.address.network()) > members(network) + 1;
  if (!failing && !thinner) return false;
  erase(worst);
  return true;
}

Roster::Added Roster::add(Now now, const Endpoint& endpoint, std::optional<crypto::PublicKey> key,
                          Source source, bool seed) {
  last_ = std::max(last_, now.mono);
  if (key && (*key == no_key || key == own_key_)) return Added::refused;
  if (!dialable(rules_, endpoint, source)) return Added::refused;
  if (banned(key.value_or(no_key), endpoint.address)) return Added::refused;
  const auto found = candidates_.find(endpoint);
  if (found != candidates_.end()) {
    Candidate& one = found->second;
    // Whose word counts for the key: a better or equal source, or anybody once the old one has failed.
    const bool believe = !one.key || (!one.proven && (source <= one.source || one.failures > 0));
    if (key && believe && one.key != key) {
      one.key = key;
      one.refused.remove(Way::native);
      one.asks = 0;
      if (one.state == Candidate::State::asking) set_state(one, Candidate::State::idle);
      if (one.state == Candidate::State::idle) one.not_before = std::min(one.not_before, now.mono);
    }
    one.source = std::min(one.source, source);
    one.seed = one.seed || seed;
    touch();
    return Added::known;
  }
  if (key) {
    const auto same = std::count_if(candidates_.begin(), candidates_.end(),
                                    [&](const auto& entry) { return entry.second.key == key; });
    if (same >= static_cast<std::ptrdiff_t>(limits::max_endpoints_per_key)) return Added::refused;
  }
  if (!make_room(endpoint.address.network())) return Added::refused;
  Candidate& one = candidates_[endpoint];
  one.endpoint = endpoint;
  one.key = key;
  one.source = source;
  one.seed = seed;
  one.tie = tie_of(endpoint);
  ++networks_[endpoint.address.network()].members;
  touch();
  return Added::added;
}

void Roster::found_by(const Endpoint& endpoint, bool v2) {
  if (const auto found = candidates_.find(endpoint); found != candidates_.end()) found->second.knows_v2 = v2;
}

void Roster::forget_hearsay() {
  for (auto it = candidates_.begin(); it != candidates_.end();) {
    const auto entry = it++;
    if (entry->second.source != Source::user) erase(entry);
  }
}

// ---- whom next

bool Roster::dial_ready(const Candidate& candidate) const {
  if (candidate.state != Candidate::State::idle || candidate.not_before > last_) return false;
  return way_of(candidate) && !(candidate.key && key_connected(*candidate.key));
}

bool Roster::ask_ready(const Candidate& candidate) const {
  const bool free = candidate.state == Candidate::State::idle || candidate.state == Candidate::State::asking;
  return free && !way_of(candidate) && candidate.not_before <= last_;
}

std::optional<Candidate> Roster::next_dial(Now now, dht::StrangerLimits& limits) {
  last_ = std::max(last_, now.mono);
  touch();
  auto best = candidates_.end();
  Rank best_rank;
  for (auto it = candidates_.begin(); it != candidates_.end(); ++it) {
    const Candidate& one = it->second;
    if (!dial_ready(one) || !dialable(rules_, one.endpoint, one.source)) continue;
    if (allowed_at(limits, last_, one) > last_) continue;
    const IpAddress& address = one.endpoint.address;
    const Rank rank{.source = named(one.source) ? static_cast<int>(one.source) : 2,
                    .tried = address.global() ? tried(address.network()) : 0,
                    .failures = one.failures,
                    .stranger = !one.proven,
                    .tie = one.tie};
    if (best != candidates_.end() && !(rank < best_rank)) continue;
    best = it;
    best_rank = rank;
  }
  if (best == candidates_.end()) return std::nullopt;
  Candidate& one = best->second;
  // Redials of members do not use up what strangers of other contents at that address may be dialled. What
  // the user named is dialled as seldom, and each dial is repeated as usual: somebody is waiting.
  one.syns = limits::syns_of_others;
  if (!one.proven && named(one.source))
    limits.dialled(last_, one.endpoint.address, 1);
  else if (!one.proven && one.endpoint.address.global())
    one.syns = limits.dialled(last_, one.endpoint.address, limits::syns_of_stranger);
  one.followed_up = std::exchange(one.follow_up, false);
  one.way = *way_of(one);
  ++networks_[one.endpoint.address.network()].tried;
  set_state(one, Candidate::State::dialling);
  return one;
}

std::optional<Endpoint> Roster::next_ask(Now now, const dht::StrangerLimits& limits) {
  last_ = std::max(last_, now.mono);
  touch();
  for (auto& [endpoint, one] : candidates_) {
    if (!ask_ready(one) || !dialable(rules_, endpoint, one.source)) continue;
    // What the user named may be asked again and again; a stranger named by hearsay once (A12).
    const std::uint32_t tries = named(one.source) ? limits::ask_tries : 1;
    if (one.asks >= tries) {
      one.asks = 0;
      ++one.failures;
      set_state(one, Candidate::State::idle);
      back_off(now, one);
      continue;
    }
    if (!named(one.source) && limits.dial_allowed_at(last_, endpoint.address) > last_) continue;
    ++one.asks;
    one.not_before = last_ + limits::ask_period;
    set_state(one, Candidate::State::asking);
    return endpoint;
  }
  return std::nullopt;
}

Instant Roster::due_at(Instant now, const Candidate& candidate, const dht::StrangerLimits& limits) const {
  const bool asks = !way_of(candidate);
  const bool free =
      candidate.state == Candidate::State::idle || (asks && candidate.state == Candidate::State::asking);
  if (!free || (candidate.key && key_connected(*candidate.key))) return never;
  if (!dialable(rules_, candidate.endpoint, candidate.source)) return never;
  if (asks && named(candidate.source)) return candidate.not_before;
  return std::max(candidate.not_before, asks ? limits.dial_allowed_at(now, candidate.endpoint.address)
                                             : allowed_at(limits, now, candidate));
}

Instant Roster::next_time(const dht::StrangerLimits& limits) const {
  if (!dirty_) return next_;
  next_ = never;
  for (const auto& [endpoint, one] : candidates_) next_ = std::min(next_, due_at(last_, one, limits));
  dirty_ = false;
  return next_;
}

// ---- how it went

// Doubled by every failure; a quarter of chance keeps many peers from coming at once.
void Roster::back_off(Now now, Candidate& candidate) {
  const Duration most = candidate.proven          ? limits::known_back_off
                        : named(candidate.source) ? named_back_off
                                                  : limits::max_back_off;
  const std::uint32_t doublings =
      std::min<std::uint32_t>(candidate.failures > 0 ? candidate.failures - 1 : 0, 16);
  const Duration first = named(candidate.source) ? named_first_back_off : limits::first_back_off;
  const Duration wait = std::min<Duration>(first * (1U << doublings), most);
  const auto chance =
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(wait.count() / 4 + 1)));
  candidate.not_before = now.mono + wait + Duration{chance};
}

void Roster::connected(Now now, const Endpoint& endpoint, const std::optional<crypto::PublicKey>& key) {
  last_ = std::max(last_, now.mono);
  const auto found = candidates_.find(endpoint);
  if (found == candidates_.end()) return;
  Candidate& one = found->second;
  set_state(one, Candidate::State::connected);
  if (key) one.key = key;
  one.proven = true;
  one.failures = one.asks = 0;
  if (const auto network = networks_.find(endpoint.address.network()); network != networks_.end())
    network->second.tried = 0;
  touch();
}

bool Roster::occupy(const Endpoint& endpoint) {
  const auto found = candidates_.find(endpoint);
  if (found == candidates_.end() || found->second.state != Candidate::State::idle) return false;
  set_state(found->second, Candidate::State::connected);
  return true;
}

bool Roster::go_native(Now now, const Endpoint& endpoint, const crypto::PublicKey& key) {
  const auto found = candidates_.find(endpoint);
  if (found == candidates_.end() || !ways_.has(Way::native) || key == no_key || key == own_key_ ||
      banned(key, endpoint.address))
    return false;
  Candidate& one = found->second;
  if (one.state != Candidate::State::connected) return false;
  if (one.key == key && one.refused.has(Way::native)) return false;
  // Who names one key after the other leads nowhere.
  if (one.moved && *one.moved + move_rest > now.mono) return false;
  last_ = std::max(last_, now.mono);
  one.moved = now.mono;
  one.key = key;
  one.refused.remove(Way::native);
  touch();
  return true;
}

void Roster::failed(Now now, const Endpoint& endpoint, Why why) {
  last_ = std::max(last_, now.mono);
  const auto found = candidates_.find(endpoint);
  if (found == candidates_.end()) return;
  Candidate& one = found->second;
  set_state(one, Candidate::State::idle);
  touch();
  switch (why) {
    case Why::lost:
      one.not_before = now.mono + after_loss + Duration{static_cast<std::int64_t>(random_.below(2'000'000))};
      return;
    case Why::not_needed:
      one.not_before = now.mono + not_needed_rest;
      return;
    case Why::misbehaved:
      one.failures += misbehaviour_failures;
      one.proven = false;
      break;
    case Why::moves:
      one.not_before = now.mono;
      return;
    case Why::no_greeting:
      one.refused.add(one.way);
      if (way_of(one)) {
        one.not_before = now.mono;
        one.follow_up = !one.followed_up;
        return;
      }
      // All of them: from the first again, in a while.
      one.refused = {};
      ++one.failures;
      break;
    case Why::no_answer:
      if (!one.proven) one.refused = {};
      one.follow_up = false;
      ++one.failures;
      break;
  }
  if (one.failures >= limits::forget_failures && !one.proven && !named(one.source)) {
    erase(found);
    return;
  }
  back_off(now, one);
}

void Roster::ban(const crypto::PublicKey& key, const IpAddress& address) {
  if (key != no_key && std::find(banned_keys_.begin(), banned_keys_.end(), key) == banned_keys_.end()) {
    if (banned_keys_.size() >= limits::max_bans) banned_keys_.erase(banned_keys_.begin());
    banned_keys_.push_back(key);
    const IpAddress host = address.host();
    if (address.global() && (struck_.size() < limits::max_bans || struck_.contains(host))) ++struck_[host];
  }
  for (auto it = candidates_.begin(); it != candidates_.end();) {
    const auto entry = it++;
    if (banned(entry->second.key.value_or(no_key), entry->first.address)) erase(entry);
  }
}

bool Roster::banned(const crypto::PublicKey& key, const IpAddress& address) const {
  if (key != no_key && std::find(banned_keys_.begin(), banned_keys_.end(), key) != banned_keys_.end())
    return true;
  const auto found = struck_.find(address.host());
  return found != struck_.end() && found->second >= limits::bans_per_address;
}

}  // namespace shoal::swarm
