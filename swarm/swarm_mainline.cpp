// What a public content says and does in BitTorrent's dialect, beside its native one.
#include <algorithm>
#include <utility>

#include "swarm/mse_wire.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

BtPeerId draw_peer_id(Random& random) {
  static constexpr std::string_view prefix = "-SH0100-";  // BEP 20
  BtPeerId out;
  random.fill(out);
  std::ranges::copy(prefix, out.begin());
  return out;
}

MseMethods methods_of(Obfuscation policy) {
  return {.plain = policy != Obfuscation::require, .rc4 = policy != Obfuscation::off};
}

}  // namespace

Ways ways_of(const SessionConfig& config, Visibility visibility) {
  Ways out;
  if (config.native) out.add(Way::native);
  if (visibility == Visibility::sealed || !config.mainline) return out;
  if (config.mse != Obfuscation::off) out.add(Way::obfuscated);
  if (config.mse != Obfuscation::require) out.add(Way::plain);
  return out;
}

// ---- names

ContentNames Swarm::names() const {
  if (content_) return {content_->id, content_->v1, content_->v2, true, open_.v1};
  if (open_.rest) return {open_.id, open_.v1, open_.rest->v2, true};
  return {open_.id, open_.v1, !open_.v1 || !is_short(open_.id), false};
}

std::vector<InfoHash> Swarm::info_hashes() const {
  if (visibility_ == Visibility::sealed || !config_.mainline) return {};
  return names().info_hashes();
}

// The content is known by its own name from now on; what was said under another is taken back.
void Swarm::take_name(Turn& turn) {
  renamed_ = true;
  if (content_->id == open_.id) return;
  for (const Key& key : announcer_.live_keys()) turn.overlays.forget(key);
  open_.id = content_->id;
  announcer_ =
      Announcer{open_.id, config_.identity, {.sequence = announcer_.sequence()}, random_.fork("announcer")};
  roster_.set_own_key(announcer_.exchange().public_key);
  look_up_due_ = turn.now.mono;
}

// Sealed after all (somebody made a magnet link of a capability), or private: what was open is closed.
void Swarm::respect(Turn& turn) {
  const bool was_open =
      std::exchange(visibility_, content_->sealed ? Visibility::sealed : visibility_) == Visibility::open;
  roster_.set_ways(ways_of(config_, visibility_));
  const bool closes = content_->sealed && was_open;
  if (!closes && !content_->is_private) return;
  withdraw(turn);
  if (content_->is_private)
    for (const Key& key : announcer_.live_keys()) turn.overlays.forget(key);
  std::vector<PeerHandle> others;
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    const bool dialled = peer.direction == Direction::outgoing;
    const Candidate* candidate = dialled ? roster_.find(peer.endpoint) : nullptr;
    const bool by_hearsay = dialled && (candidate == nullptr || candidate->source != Source::user);
    if (content_->sealed ? peer.way != Way::native : by_hearsay) others.push_back(handle);
  });
  for (const PeerHandle handle : others) drop(turn, handle, Roster::Why::not_needed);
  if (content_->is_private) roster_.forget_hearsay();
}

// ---- the DHT

void Swarm::announce_publicly(Turn& turn) {
  const auto completeness = complete_ ? dht::Completeness::seed : dht::Completeness::downloader;
  const std::vector<InfoHash> names = info_hashes();
  for (const InfoHash& hash : std::exchange(told_hashes_, names))
    if (std::ranges::find(names, hash) == names.end()) turn.overlays.forget_peer(hash);
  for (const InfoHash& hash : names)
    turn.overlays.announce_peer(turn.now, slot_, hash, completeness, config_.listen_port);
}

void Swarm::withdraw(Turn& turn) {
  for (const InfoHash& hash : std::exchange(told_hashes_, {})) turn.overlays.forget_peer(hash);
}

void Swarm::peers_found(Turn& turn, const PeersFound& found) {
  if (ending() || is_private()) return;
  const bool by_v2 = names().is_v2(found.name);
  for (const Endpoint& endpoint : found.peers) {
    roster_.add(turn.now, endpoint, std::nullopt, Source::record);
    roster_.found_by(endpoint, by_v2);
  }
  find_peers(turn);
}

// ---- streams

BtParams Swarm::bt_params() {
  if (peer_id_ == BtPeerId{}) peer_id_ = draw_peer_id(random_);
  BtParams out;
  out.accepted = info_hashes();
  SHOAL_CHECK(!out.accepted.empty());
  out.info_hash = out.accepted.front();  // v1's, which everybody knows; who knows v2 too sees the bit for it
  out.peer_id = peer_id_;
  if (content_ ? content_->v2 : !is_short(open_.id)) out.v2 = shortened(open_.id);
  return out;
}

std::unique_ptr<WireCodec> Swarm::dialled_wire(Turn& turn, const Peer& peer) {
  BtParams params = bt_params();
  if (peer.knows_v2 && params.v2) params.info_hash = *params.v2;
  if (peer.way == Way::plain) return BtWire::make_dialler(params, turn.pool);
  return MseWire::make_dialler(params, methods_of(config_.mse), random_, turn.pool);
}

std::unique_ptr<WireCodec> Swarm::accepted_wire(Turn& turn, std::optional<Mse>&& mse) {
  if (!mse) return BtWire::make_answerer(bt_params(), turn.pool);
  return MseWire::make_answerer(bt_params(), *std::move(mse), turn.pool);
}

// What a peer calls itself is no key: whoever claims the same from elsewhere is somebody else.
crypto::PublicKey Swarm::name_of(const Peer& peer) {
  crypto::PublicKey out = peer.wire->remote_key();
  if (peer.way == Way::native) return out;
  const ByteView address = peer.endpoint.address.view();
  std::ranges::copy(address.first(std::min<std::size_t>(address.size(), 8)), out.begin() + 20);
  return out;
}

// ---- from one dialect to the other

// Our key in this content, once we are sure by which id the other end knows it.
std::optional<crypto::PublicKey> Swarm::native_key() const {
  if (!config_.native || (!content_ && is_short(open_.id))) return std::nullopt;
  return announcer_.exchange().public_key;
}

// A shoal that was met over BitTorrent is dialled natively by the one that dialled (DESIGN 7). True: this
// connection is gone.
bool Swarm::move_to_native(Turn& turn, PeerHandle handle) {
  const Peer& peer = *peers_.find(handle);
  if (peer.way == Way::native || peer.direction == Direction::incoming || !peer.hello ||
      !peer.hello->native_key || !native_key())
    return false;
  const crypto::PublicKey key = *peer.hello->native_key;
  bool met = false;
  peers_.for_each(
      [&](PeerHandle, const Peer& other) { met = met || (other.way == Way::native && other.key == key); });
  if (!met && !roster_.go_native(turn.now, peer.endpoint, key)) return false;
  drop(turn, handle, met ? Roster::Why::not_needed : Roster::Why::moves);
  find_peers(turn);
  return true;
}

// Once the content is known.
void Swarm::renew_streams(Turn& turn) {
  std::vector<PeerHandle> all;
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    if (peer.up()) all.push_back(handle);
  });
  const bool hashes_needed = content_->v2 && !content_->v1;
  for (const PeerHandle handle : all) {
    const Peer* peer = peers_.find(handle);
    if (peer == nullptr || move_to_native(turn, handle)) continue;
    // We met before we knew that name of the content under which hashes are spoken of.
    if (hashes_needed && !peer->wire->speech().hashes) drop(turn, handle, Roster::Why::moves);
  }
}

// ---- messages that only this dialect has

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::DontHave& message) {
  if (!peer.known_to_picker) return;
  if (message.piece >= content_->pieces) return strike(turn, handle);
  const bool turns = work_->picker.is_seed(handle) && ++peer.turnabouts > limits::max_turnabouts;
  if (turns || too_many_haves(peer)) return drop(turn, handle, Roster::Why::misbehaved);
  work_->picker.peer_lacks(handle, message.piece);
  update_interest(turn, handle, peer);
}

// Once of each peer: where its DHT node listens (BEP 5).
void Swarm::on(Turn& turn, PeerHandle, Peer& peer, wire::DhtPort& message) {
  if (peer.way == Way::native || is_private() || message.port == 0 || std::exchange(peer.named_node, true))
    return;
  turn.overlays.heard_of(turn.now, {peer.endpoint.address, message.port});
}

}  // namespace shoal::swarm
