// Finding peers, dialling them, greeting them, and letting them go.
#include <algorithm>
#include <utility>

#include "dht/base/saturated.hpp"
#include "dht/record.hpp"
#include "swarm/announcing.hpp"
#include "swarm/native_wire.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

// How often a content is looked up: soon again while nobody is found, rarely once there are peers enough.
constexpr std::chrono::seconds first_gap{5};
constexpr std::chrono::seconds lonely_gap{20};  // a sharer behind a NAT finds who waits a minute
constexpr std::chrono::minutes contented_gap{5};
constexpr std::uint32_t few_peers = 4;

// Whether a record that `node` served may be its own: it names no address, or the port it answered at. Who
// was asked serves the records of others too, and dialling it with the key of another would lead nowhere.
bool may_be_of(const dht::OpenedRecord& record, const Endpoint& node) {
  return record.endpoints.empty() ||
         std::any_of(record.endpoints.begin(), record.endpoints.end(),
                     [&](const Endpoint& endpoint) { return endpoint.port == node.port; });
}

}  // namespace

// ---- the DHT

dht::Progress Swarm::progress() const {
  dht::Progress out;
  if (!work_ || work_->map.wanted_bytes() == 0) return out;
  out.role = complete_ ? dht::Progress::Role::seed : dht::Progress::Role::leech;
  out.per_mille = static_cast<std::uint16_t>(work_->map.verified_bytes() * 1000 / work_->map.wanted_bytes());
  return out;
}

void Swarm::announce(Turn& turn) {
  const bool first = announcer_.sequence() == 0 || announcer_.live_keys().empty();
  swarm::announce(turn, slot_, announcer_, config_.listen_port, progress(), visibility_,
                  is_private() ? AnnounceTo::nobody : AnnounceTo::all);
  if (!is_private()) announce_publicly(turn);
  submit(turn, storage::SaveSequencesJob{{{open_.id, announcer_.sequence()}}}, {.kind = Kind::plain});
  if (first) event(turn, What::announced);
}

void Swarm::look_up(Turn& turn) {
  if (is_private()) {
    look_up_due_ = never;
    return;
  }
  swarm::look_up(turn, slot_, announcer_.keys(), info_hashes(), visibility_);
  const bool served = up_ >= few_peers || (complete_ && up_ > 0);
  const bool eager = look_up_gap_ < lonely_gap;
  const bool found = complete_ && turn.overlays.reachable(Family::v4);  // whoever comes can dial us
  if (served || (!eager && found))
    look_up_gap_ = contented_gap;
  else
    look_up_gap_ = std::min<Duration>(lonely_gap, look_up_gap_ + first_gap);
  // A tenth more or less, so that contents do not march in step.
  const auto spread = static_cast<std::uint64_t>(look_up_gap_.count() / 5);
  look_up_due_ = turn.now.mono + look_up_gap_ - look_up_gap_ / 10 +
                 Duration{static_cast<std::int64_t>(random_.below(spread))};
}

void Swarm::hint(Turn& turn, const Endpoint& who, Source source, const InfoHash& name) {
  if (ending() || (is_private() && source != Source::user)) return;
  roster_.add(turn.now, who, std::nullopt, source);
  if (name != InfoHash{}) roster_.found_by(who, names().is_v2(name));
  if (stage_ != Stage::loading) find_peers(turn);
}

void Swarm::records(Turn& turn, RecordsFound& found) {
  if (ending() || is_private()) return;
  bool own_found = false;
  for (const dht::ReceivedRecord& received : found.records) {
    for (const dht::Epoch epoch : announcer_.keys().epochs_at(turn.now.wall)) {
      const auto opened = dht::open_record(received.record, announcer_.keys().of(epoch), turn.now.wall);
      if (!opened) continue;
      const bool seed = opened->progress.role == dht::Progress::Role::seed;
      for (const Endpoint& endpoint : opened->endpoints)
        roster_.add(turn.now, endpoint, opened->exchange, Source::record, seed);
      // Who was asked for its own record may be dialled where it answered.
      if (!own_found && found.asked && received.served_by == *found.asked &&
          may_be_of(*opened, *found.asked)) {
        own_found = true;
        const Candidate* known = roster_.find(*found.asked);
        roster_.add(turn.now, *found.asked, opened->exchange, known != nullptr ? known->source : Source::lan,
                    seed);
      }
      break;
    }
  }
  find_peers(turn);
}

void Swarm::lookup_ended(Turn& turn, const LookupEnded& ended) {
  const bool needed = !complete_ && up_ == 0;
  if (!ended.anybody_answered && needed && !ending()) event(turn, What::no_contact);
}

void Swarm::published(Turn& turn, std::uint32_t nodes) {
  announcer_.published(turn.now, nodes);
  event(turn, What::published, nodes);
}

void Swarm::overlay_connected(Turn& turn) {
  if (woken()) announcer_.soon(turn.now);  // also while it loads, or goes to rest
  if (stage_ == Stage::loading || ending()) return;
  update_rules(turn);
  announcer_.soon(turn.now);
  look_up_due_ = turn.now.mono;
}

// Without what others see of us.
AddressRules Swarm::rules_of(const SessionConfig& config) {
  AddressRules rules;
  rules.reach = config.reach;
  rules.ipv4 = config.ipv4;
  rules.ipv6 = config.ipv6;
  rules.subnets = config.subnets;
  for (const Subnet& subnet : config.subnets) rules.own.push_back({subnet.address, config.listen_port});
  return rules;
}

void Swarm::update_rules(Turn& turn) {
  AddressRules rules = rules_of(config_);
  for (const Family family : {Family::v4, Family::v6})
    if (const auto external = turn.overlays.external(family))
      rules.own.push_back({external->address, config_.listen_port});
  roster_.set_rules(std::move(rules));
}

// ---- dialling

void Swarm::find_peers(Turn& turn) {
  if (stage_ == Stage::loading || ending()) return;
  while (const auto who = roster_.next_ask(turn.now, turn.dials.limits))
    turn.overlays.ask(turn.now, slot_, *who, announcer_.keys().current(turn.now.wall).key);
  while (may_dial(turn)) {
    const auto candidate = roster_.next_dial(turn.now, turn.dials.limits);
    if (!candidate) break;
    dial(turn, *candidate);
  }
  const Instant next = roster_.next_time(turn.dials.limits);
  // Where there is no room for more, a peer that leaves calls again; at the latest in a second.
  roster_wake_ =
      next == never ? never
                    : std::max(next, turn.now.mono + (may_dial(turn) ? Duration{1000} : Duration{1'000'000}));
}

bool Swarm::may_dial(const Turn& turn) const {
  const bool wanted = peers_.size() < limits::wanted_peers || outgoing_ < limits::reserved_dials;
  return wanted && turn.dials.half_open < limits::half_open_dials;
}

void Swarm::dial(Turn& turn, const Candidate& candidate) {
  Peer peer;
  peer.endpoint = candidate.endpoint;
  peer.direction = Direction::outgoing;
  peer.way = candidate.way;
  peer.knows_v2 = candidate.knows_v2;
  peer.syns = candidate.syns;
  peer.expected_key = candidate.key;
  peer.since = peer.heard = turn.now.mono;
  const PeerHandle handle = peers_.emplace(std::move(peer));
  Peer& placed = *peers_.find(handle);
  placed.stream = turn.names.next_stream({slot_, handle});
  ++turn.dials.half_open;
  ++outgoing_;
  turn.out.push_back(Dial{placed.stream, candidate.endpoint, candidate.syns});
}

// A stranger's, before its first SYN would have been repeated: the other was not sent.
void Swarm::dial_answered(Turn& turn, const Peer& peer) {
  if (peer.syns == limits::syns_of_stranger && peer.since + dial_patience(1) > turn.now.mono)
    turn.dials.limits.unused(peer.endpoint.address, peer.syns - 1);
}

void Swarm::connected(Turn& turn, PeerHandle handle) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr || peer->stage != Peer::Stage::dialling) return;
  --turn.dials.half_open;
  dial_answered(turn, *peer);
  peer->stage = Peer::Stage::handshake;
  peer->since = peer->heard = peer->spoke = turn.now.mono;
  if (peer->way == Way::native) {
    const dht::EpochKeys& epoch = announcer_.keys().current(turn.now.wall);
    ChannelParams params;
    params.ours = announcer_.exchange();
    params.remote = *peer->expected_key;
    params.psk = epoch.psk;
    params.tag = dht::dial_tag(epoch, params.remote, turn.now.wall);
    peer->wire = NativeWire::make_initiator(params, random_, turn.pool);
  } else if (info_hashes().empty()) {  // it was public when it was dialled
    return drop(turn, handle, Roster::Why::not_needed);
  } else {
    peer->wire = dialled_wire(turn, *peer);
  }
  dirty_.push_back(handle);
  if (reading_held_ || reading_limited_) turn.out.push_back(PauseRead{peer->stream, true});
  flush(turn);
}

void Swarm::accepted(Turn& turn, StreamId stream, Entrance::Admission&& admission) {
  const Endpoint& from = admission.from;
  if (ending() || (admission.way() != Way::native && info_hashes().empty()) || !make_place(turn, from)) {
    turn.refused.push_back({stream, admission.since});
    return;
  }
  Peer peer;
  peer.endpoint = from;
  peer.direction = Direction::incoming;
  peer.stage = Peer::Stage::handshake;
  peer.stream = stream;
  peer.since = admission.since;
  peer.heard = peer.spoke = turn.now.mono;
  peer.way = admission.way();
  if (admission.epoch) {
    ChannelParams params;
    params.ours = announcer_.exchange();
    params.psk = announcer_.keys().of(*admission.epoch).psk;
    params.tag = to_array<channel_tag_bytes>(admission.bytes);
    params.replays = &turn.replays;
    peer.wire = NativeWire::make_responder(params, random_, turn.pool);
  } else {
    peer.wire = accepted_wire(turn, std::move(admission.mse));
  }
  const PeerHandle handle = peers_.emplace(std::move(peer));
  turn.names.adopt(stream, {slot_, handle});
  if (reading_held_ || reading_limited_) turn.out.push_back(PauseRead{stream, true});
  received(turn, handle, admission.bytes);
}

// Whether somebody who dialled us finds a place. Who is slow to greet goes first; in a full house, who wants
// nothing and is silent (else a crowd that merely greets would keep everybody out, THREATS A22); then, now
// and then, who has lain idle for long: of those the least by BEP 40.
bool Swarm::make_place(Turn& turn, const Endpoint& from) {
  const Instant now = turn.now.mono;
  std::uint32_t half_open = 0, of_host = 0, of_network = 0, least = 0;
  PeerHandle oldest, idlest, useless;
  Instant since = never, silent_since = never;
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (peer.direction != Direction::incoming) return;
    if (!peer.proven) {
      ++half_open;
      of_host += peer.endpoint.address.host() == from.address.host() ? 1U : 0U;
      of_network += peer.endpoint.address.network() == from.address.network() ? 1U : 0U;
      if (peer.since < since) {
        since = peer.since;
        oldest = handle;
      }
      return;
    }
    const bool wanting = peer.interested_in_us || peer.we_are_interested;
    if (!wanting && peer.heard + limits::silent_place <= now && peer.heard < silent_since) {
      silent_since = peer.heard;
      useless = handle;
    }
    const bool busy = peer.gave.rate(now) >= limits::least_gift || peer.took.rate(now) >= limits::least_gift;
    if (busy || peer.since + limits::newcomer_for > now) return;
    const std::uint32_t priority = roster_.priority(peer.endpoint);
    if (idlest && priority >= least) return;
    least = priority;
    idlest = handle;
  });
  const bool crowd = of_host >= limits::half_open_per_host || of_network >= limits::half_open_per_network;
  if (from.address.global() && crowd) return false;
  if (half_open >= limits::half_open_accepted) drop(turn, oldest, Roster::Why::no_greeting);
  if (peers_.size() < limits::max_peers) return true;
  if (!useless && (!idlest || place_due_ > now)) return false;
  if (!useless) place_due_ = now + limits::place_period;
  drop(turn, useless ? useless : idlest, Roster::Why::not_needed);
  return true;
}

void Swarm::established(Turn& turn, PeerHandle handle) {
  Peer& peer = *peers_.find(handle);
  peer.key = name_of(peer);
  peer.stage = Peer::Stage::up;
  peer.since = peer.choke_changed = turn.now.mono;
  ++up_;
  if (roster_.banned(peer.key, peer.endpoint.address)) return drop(turn, handle, Roster::Why::misbehaved);
  if (peer.key == announcer_.exchange().public_key) return drop(turn, handle, Roster::Why::misbehaved);
  if (peer.direction == Direction::outgoing && !prove(turn, handle)) return;
  if (peer.direction == Direction::outgoing)
    roster_.connected(turn.now, peer.endpoint,
                      peer.way == Way::native ? std::optional{peer.key} : std::nullopt);
  say_hello(turn, handle, peer);
  if (stage_ == Stage::running)
    say_pieces(turn, handle, peer);
  else if (peer.way != Way::native)
    say_none(turn, handle, peer);
}

// Of two connections with one peer, one goes, and so does one that is too many from its host. False: it was
// this one.
bool Swarm::prove(Turn& turn, PeerHandle handle) {
  peers_.find(handle)->proven = true;
  if (keeps(turn, handle) && !crowded(*peers_.find(handle))) return true;
  drop(turn, handle, Roster::Why::not_needed);
  return false;
}

// Two peers that dial each other at once end up with two connections. Both keep the one that was dialled by
// the greater key; so neither closes the one that the other keeps.
bool Swarm::keeps(Turn& turn, PeerHandle handle) {
  const Peer& fresh = *peers_.find(handle);
  PeerHandle other;
  peers_.for_each([&](PeerHandle each, const Peer& peer) {
    if (each != handle && peer.up() && peer.proven && peer.key == fresh.key) other = each;
  });
  if (!other) return true;
  // By keys, or by peer ids, as other clients have it, too.
  const crypto::PublicKey own =
      fresh.way == Way::native ? announcer_.exchange().public_key : peer_name(peer_id_);
  const Direction favoured = own > fresh.key ? Direction::outgoing : Direction::incoming;
  const Peer& old = *peers_.find(other);
  // Of two in the same direction the newer one lives: the other end would not dial again without having lost
  // the older.
  if (old.direction != fresh.direction && fresh.direction != favoured) return false;
  drop(turn, other, Roster::Why::not_needed);
  return true;
}

// One host does not take many places by dialling us (A22), nor does one network.
bool Swarm::crowded(const Peer& fresh) const {
  const IpAddress& address = fresh.endpoint.address;
  if (fresh.direction == Direction::outgoing || !address.global()) return false;
  std::uint32_t of_host = 0, of_network = 0;
  peers_.for_each([&](PeerHandle, const Peer& peer) {
    if (&peer == &fresh || !peer.proven) return;
    of_host += peer.endpoint.address.host() == address.host() ? 1U : 0U;
    const bool near =
        peer.direction == Direction::incoming && peer.endpoint.address.network() == address.network();
    of_network += near ? 1U : 0U;
  });
  return of_host >= limits::established_per_host || of_network >= limits::established_per_network;
}

// ---- leaving

void Swarm::drop(Turn& turn, PeerHandle handle, Roster::Why why) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  const bool unproven = peer->direction == Direction::incoming && peer->stage == Peer::Stage::handshake;
  if (unproven && peer->way == Way::native)
    turn.refused.push_back({peer->stream, peer->since});
  else
    turn.out.push_back(Close{peer->stream});
  turn.names.forget(peer->stream);
  if (peer->stage == Peer::Stage::dialling) --turn.dials.half_open;
  if (peer->up()) {
    --up_;
    if (woken()) rest_due_ = turn.now.mono + limits::rest_after;
  }
  if (peer->direction == Direction::outgoing) --outgoing_;
  if (!peer->choked_by_us && peer->interested_in_us) {
    --busy_slots_;
    // Perhaps the same peer is here twice, and waits with the connection that stays.
    if (up_ <= slots()) {
      choked_at_ = {};
      choke_clock_.soon(turn.now.mono);
    }
  }
  if (work_) {
    if (peer->gave.total() > 0) suspects_.left(handle, {peer->key, peer->endpoint.address});
    release(turn, handle, *peer, Pipeline::After::gone);
    work_->picker.remove_peer(handle);
    if (super_) super_->remove_peer(handle);
  }
  fetch_.remove_peer(handle);
  if (peer->direction == Direction::outgoing) {
    roster_.failed(turn.now, peer->endpoint, why);
  } else if (peer->way != Way::native) {
    if (peer->occupies) roster_.failed(turn.now, *peer->occupies, why);
  } else if (const auto listening = peer->listening(); listening && why != Roster::Why::not_needed) {
    roster_.failed(turn.now, *listening, why);
  }
  const auto asked = std::move(peer->hashes_asked);
  if (optimistic_ == handle) optimistic_ = {};
  if (!peer->choked_by_us) choke_clock_.soon(turn.now.mono + std::chrono::milliseconds{50});
  peers_.erase(handle);
  for (const Peer::HashesAsked& each : asked)
    if (!each.late) hashes_failed(turn, each.request);
  roster_wake_ = std::min(roster_wake_, turn.now.mono + std::chrono::milliseconds{100});
}

void Swarm::closed(Turn& turn, PeerHandle handle, StreamClosed::Why why) {
  const Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  if (peer->stage == Peer::Stage::dialling && why == StreamClosed::Why::refused) dial_answered(turn, *peer);
  // Of two seeds the one that hangs up first rests; so must the other, or it would dial for ever, at the
  // expense of other contents that want the same address.
  const bool both_seed = complete_ && work_->picker.knows(handle) && work_->picker.is_seed(handle);
  drop(turn, handle,
       peer->stage == Peer::Stage::dialling    ? Roster::Why::no_answer
       : peer->stage == Peer::Stage::handshake ? Roster::Why::no_greeting
       : both_seed                             ? Roster::Why::not_needed
                                               : Roster::Why::lost);
  if (stage_ == Stage::running) fill_all(turn);
  flush(turn);
}

void Swarm::strike(Turn& turn, PeerHandle handle) {
  Peer* peer = peers_.find(handle);
  if (peer != nullptr && ++peer->strikes >= limits::strikes_before_ban)
    drop(turn, handle, Roster::Why::misbehaved);
}

// How long we wait for a peer that lives. At the end not long: what it holds may be all that is missing.
Duration Swarm::answer_most(Instant now) {
  if (!work_->picker.endgame()) return limits::answer_most;
  const double wait = limits::endgame_wait_blocks * storage::block_bytes / std::max(down_.rate(now), 1.0);
  const double most = seconds(limits::max_request_timeout);
  return std::max(limits::endgame_wait_least, Duration{saturated<std::int64_t>(1e6 * std::min(wait, most))});
}

void Swarm::tick_peer(Turn& turn, PeerHandle handle, Peer& peer) {
  const Instant now = turn.now.mono;
  switch (peer.stage) {
    case Peer::Stage::dialling:
      if (peer.since + dial_patience(peer.syns) <= now) drop(turn, handle, Roster::Why::no_answer);
      return;
    case Peer::Stage::handshake:
      if (peer.since + limits::handshake_timeout <= now) drop(turn, handle, Roster::Why::no_greeting);
      return;
    case Peer::Stage::up:
      if (!peer.proven && peer.since + limits::handshake_timeout <= now)
        return drop(turn, handle, Roster::Why::no_greeting);
      break;
  }
  const Duration patience = peer.way == Way::native ? limits::idle_timeout : limits::bt_idle_timeout;
  if (peer.heard + patience <= now) return drop(turn, handle, Roster::Why::lost);
  // It speaks, and reads less than a block a minute of what it asked for (A22).
  const auto blocks = static_cast<std::int64_t>(1 + peer.unsent / storage::block_bytes);
  if (peer.unsent > 0 && peer.taken + blocks * limits::block_time <= now)
    return drop(turn, handle, Roster::Why::lost);
  const Duration silence = peer.requests.empty() ? limits::keepalive : limits::sign_of_life;
  if (peer.spoke + silence <= now) send(turn, handle, peer, wire::KeepAlive{});
  hashes_overdue(turn, peer);
  if (peers_.find(handle) == nullptr) return;
  if (!peer.haves_later.empty()) dirty_.push_back(handle);
  if (!work_) return;
  blocks_.clear();
  peer.pipeline.overdue(now, peer.heard, answer_most(now), blocks_);
  for (const BlockRef block : blocks_) work_->map.release(handle, block);
  update_interest(turn, handle, peer);
  if (peer.demotions > 0) fill(turn, handle, peer);
  super_reveal(turn, handle, peer);
  // Two seeds have nothing to say to each other; nor have two that want nothing.
  const bool wants_nothing = (work_->picker.knows(handle) && work_->picker.is_seed(handle)) ||
                             (peer.hello && peer.hello->upload_only);
  if (complete_ && wants_nothing && peer.since + limits::handshake_timeout <= now)
    drop(turn, handle, Roster::Why::not_needed);
}

void Swarm::exchange_peers(Turn& turn) {
  if (is_private()) return;  // BEP 27
  std::vector<wire::ExchangeEntry> connected;
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    const auto listening = peer.up() ? peer.listening() : std::nullopt;
    if (!listening || connected.size() >= limits::max_peers) return;
    const bool seed = work_ && work_->picker.knows(handle) && work_->picker.is_seed(handle);
    const auto key = peer.way == Way::native ? std::optional{peer.key} : std::nullopt;
    connected.push_back({*listening, key, seed});
  });
  std::sort(connected.begin(), connected.end(),
            [](const auto& a, const auto& b) { return a.endpoint < b.endpoint; });
  connected.erase(std::unique(connected.begin(), connected.end(),
                              [](const auto& a, const auto& b) { return a.endpoint == b.endpoint; }),
                  connected.end());
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!peer.up() || peer.exchange.next() > turn.now.mono) return;
    if (!peer.hello || !peer.hello->takes_exchange) return;  // not yet, or never
    if (auto update = peer.exchange.update(turn.now.mono, connected, peer.listening()))
      send(turn, handle, peer, std::move(*update));
  });
}

void Swarm::pause_reading(Turn& turn, bool paused) {
  reading_limited_ = paused;
  if (reading_held_) return;  // held already, by the disk
  peers_.for_each([&](PeerHandle, Peer& peer) {
    if (!paused) peer.pipeline.excuse(turn.now.mono);
    turn.out.push_back(PauseRead{peer.stream, paused});
  });
}

}  // namespace shoal::swarm
