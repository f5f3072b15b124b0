// What peers say and what is said to them.
#include <algorithm>
#include <utility>

#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t most_early_haves = 4096;  // what a peer may gain while we fetch the metadata

// What no honest peer says often: not blocks and requests for them, nor what is bounded by these or by the
// number of pieces.
bool is_talk(const wire::Message& message) {
  using namespace wire;
  return !std::holds_alternative<Block>(message) && !std::holds_alternative<Request>(message) &&
         !std::holds_alternative<Reject>(message) && !std::holds_alternative<Have>(message) &&
         !std::holds_alternative<DontHave>(message);
}

// What a later hello leaves out is as it was.
void keep_known(wire::Hello& now, const wire::Hello& before) {
  if (now.metadata_bytes == 0) now.metadata_bytes = before.metadata_bytes;
  if (now.listen_port == 0) now.listen_port = before.listen_port;
  if (now.max_requests == wire::Hello{}.max_requests) now.max_requests = before.max_requests;
  if (!now.native_key) now.native_key = before.native_key;
}

}  // namespace

// ---- bytes and messages

void Swarm::received(Turn& turn, PeerHandle handle, ByteView bytes) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr || !peer->wire) return;
  peer->heard = turn.now.mono;
  std::vector<wire::Message> messages = std::exchange(messages_, {});
  const auto result = peer->wire->receive(turn.now, bytes, messages);
  if (peer->stage == Peer::Stage::handshake && peer->wire->established()) established(turn, handle);
  peer = peers_.find(handle);
  if (peer != nullptr && !peer->proven && !messages.empty()) prove(turn, handle);
  for (wire::Message& message : messages) {
    peer = peers_.find(handle);
    if (peer == nullptr) break;
    if (unread(*peer) || (is_talk(message) && !peer->may_talk(turn.now.mono))) {
      drop(turn, handle, Roster::Why::misbehaved);
      break;
    }
    dispatch(turn, handle, message);
  }
  messages.clear();
  if (messages.capacity() <= limits::kept_messages) messages_ = std::move(messages);
  peer = peers_.find(handle);
  if (!result && peer != nullptr)
    drop(turn, handle, peer->up() ? Roster::Why::misbehaved : Roster::Why::no_greeting);
  else if (peer != nullptr)
    dirty_.push_back(handle);  // an answer of the handshake may wait
  if (stage_ == Stage::running) {
    if (Peer* still = peers_.find(handle)) fill(turn, handle, *still);
    hold_back(turn);
    fill_all(turn);
  }
  flush(turn);
}

void Swarm::writable(Turn& turn, PeerHandle handle, std::uint64_t unsent) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  peer->unsent = unsent;
  peer->taken = turn.now.mono;
  answer_more(turn, handle, *peer);
  flush(turn);
}

// Gives the host what the codecs hold. The end of every turn that may have said something.
void Swarm::flush(Turn& turn) {
  std::vector<PeerHandle> dirty = std::exchange(dirty_, {});
  for (const PeerHandle handle : dirty) {
    Peer* peer = peers_.find(handle);
    if (peer == nullptr || !peer->wire) continue;
    buffers_.clear();
    for (const std::uint32_t piece : peer->haves_later) peer->wire->send(turn.now, wire::Have{piece});
    peer->haves_later.clear();
    peer->wire->flush(turn.now, buffers_);
    peer->answers = 0;
    if (peer->unsent == 0) peer->taken = turn.now.mono;
    for (Buffer& buffer : buffers_) {
      peer->unsent += buffer.size();
      peer->spoke = turn.now.mono;
      const std::uint64_t paid = std::min<std::uint64_t>(peer->paid, buffer.size());
      peer->paid -= paid;
      turn.write(peer->stream, std::move(buffer), paid);
    }
  }
  buffers_.clear();
  dirty.clear();
  if (dirty_.empty()) dirty_ = std::move(dirty);  // keeps its room
}

void Swarm::dispatch(Turn& turn, PeerHandle handle, wire::Message& message) {
  Peer& peer = *peers_.find(handle);
  if (!peer.up()) return;
  using namespace wire;
  if (auto* block = std::get_if<Block>(&message)) return on(turn, handle, peer, *block);
  if (auto* request = std::get_if<Request>(&message)) return on(turn, handle, peer, *request);
  if (auto* have = std::get_if<Have>(&message)) return on(turn, handle, peer, *have);
  if (std::holds_alternative<Choke>(message)) {
    peer.choking_us = true;  // what was asked is rejected one by one (BEP 6), or gone at once
    if (!peer.wire->speech().rejects) release(turn, handle, peer, Pipeline::After::late);
  } else if (std::holds_alternative<Unchoke>(message)) {
    peer.choking_us = false;
  } else if (std::holds_alternative<Interested>(message)) {
    if (!peer.interested_in_us) interest_changed(turn, peer, true);
  } else if (std::holds_alternative<NotInterested>(message)) {
    if (peer.interested_in_us) interest_changed(turn, peer, false);
  } else if (auto* cancel = std::get_if<Cancel>(&message)) {
    if (peer.requests.cancel(cancel->request)) send(turn, handle, peer, Reject{cancel->request});
  } else if (auto* reject = std::get_if<Reject>(&message)) {
    on(turn, handle, peer, *reject);
  } else if (auto* pieces = std::get_if<Pieces>(&message)) {
    on(turn, handle, peer, *pieces);
  } else if (auto* hello = std::get_if<Hello>(&message)) {
    on(turn, handle, peer, *hello);
  } else if (auto* hash_request = std::get_if<HashRequest>(&message)) {
    take_question(turn, handle, peer, *hash_request);
  } else if (auto* hashes = std::get_if<Hashes>(&message)) {
    on(turn, handle, peer, *hashes);
  } else if (auto* hash_reject = std::get_if<HashReject>(&message)) {
    on(turn, handle, peer, *hash_reject);
  } else if (auto* metadata_request = std::get_if<MetadataRequest>(&message)) {
    take_question(turn, handle, peer, *metadata_request);
  } else if (auto* part = std::get_if<MetadataPart>(&message)) {
    on(turn, handle, peer, *part);
  } else if (auto* metadata_reject = std::get_if<MetadataReject>(&message)) {
    fetch_.rejected(turn.now.mono, handle, metadata_reject->part);
    if (stage_ == Stage::metadata) ask_metadata(turn);
  } else if (auto* exchange = std::get_if<PeerExchange>(&message)) {
    on(turn, handle, peer, *exchange);
  } else if (auto* dont_have = std::get_if<DontHave>(&message)) {
    on(turn, handle, peer, *dont_have);
  } else if (auto* port = std::get_if<DhtPort>(&message)) {
    on(turn, handle, peer, *port);
  }
}

// ---- greeting

void Swarm::say_hello(Turn& turn, PeerHandle handle, Peer& peer) {
  wire::Hello hello;
  hello.client = "shoal " SHOAL_VERSION;
  hello.listen_port = config_.listen_port;
  hello.metadata_bytes = content_ ? static_cast<std::uint32_t>(content_->info.size()) : 0;
  hello.max_requests = limits::max_queue / 2;
  hello.your_address = peer.endpoint.address;
  hello.takes_exchange = !is_private();
  // Of a part of the content (BEP 21); a seed of all of it shows that by its pieces, or, as a super seed, by
  // none.
  hello.upload_only = complete_ && work_->map.verified_bytes() < content_->bytes;
  hello.native_key = native_key();
  const bool first = !peer.said_hello;
  peer.said_hello = true;
  send(turn, handle, peer, std::move(hello));
  if (first && peer.way != Way::native && !is_private())
    send(turn, handle, peer, wire::DhtPort{config_.listen_port});
}

// Said again, once, by who has learned the metadata since: or two that met before either had it would never
// ask each other. In BitTorrent's dialect as often as something changed (BEP 10).
void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Hello& message) {
  const bool native = peer.way == Way::native;
  if (native && peer.hello && (peer.hello->metadata_bytes != 0 || message.metadata_bytes == 0))
    return strike(turn, handle);
  if (++peer.hellos > limits::max_hellos) return strike(turn, handle);
  if (peer.hello) keep_known(message, *peer.hello);
  peer.hello = std::move(message);
  peer.pipeline.set_remote_queue(peer.hello->max_requests);
  if (const auto listening = peer.listening();
      listening && peer.direction == Direction::incoming && !std::exchange(peer.named_port, true)) {
    roster_.add(turn.now, *listening, native ? std::optional{peer.key} : std::nullopt, Source::incoming);
    if (!native && roster_.occupy(*listening)) peer.occupies = *listening;
  }
  if (move_to_native(turn, handle)) return;
  if (stage_ != Stage::metadata) return;
  if (!fetch_.offer(handle, peer.hello->metadata_bytes)) return strike(turn, handle);
  ask_metadata(turn);
}

// BitTorrent's first word about pieces comes at once (BEP 6); what there is follows piece by piece.
void Swarm::say_none(Turn& turn, PeerHandle handle, Peer& peer) {
  if (!std::exchange(peer.said_none, true)) send(turn, handle, peer, wire::Pieces{});
}

void Swarm::say_pieces(Turn& turn, PeerHandle handle, Peer& peer) {
  if (peer.said_pieces) return;
  peer.said_pieces = true;
  wire::Pieces pieces;
  pieces.count = content_->pieces;
  if (super_seeds(turn, handle)) {
    peer.super_seeded = true;
    super_->add_peer(handle);
    say_none(turn, handle, peer);
    super_reveal(turn, handle, peer);
    return;
  }
  if (peer.said_none) {
    for (std::uint32_t piece = 0; piece < content_->pieces; ++piece)
      if (serves(piece)) send(turn, handle, peer, wire::Have{piece});
    return;
  }
  Bitfield bits{content_->pieces};
  for (std::uint32_t piece = 0; piece < content_->pieces; ++piece)
    if (serves(piece)) bits.set(piece);
  if (bits.all()) {
    pieces.form = wire::Pieces::Form::all;
  } else if (!bits.none()) {
    pieces.form = wire::Pieces::Form::bits;
    pieces.bits = to_vector(bits.view());
  }
  send(turn, handle, peer, std::move(pieces));
}

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Pieces& message) {
  const bool again = peer.pieces || peer.known_to_picker;
  if (again && peer.way == Way::native) return strike(turn, handle);
  if (peer.known_to_picker) return learn_again(turn, handle, message);
  peer.pieces = std::move(message);
  if (work_) introduce(turn, handle, peer);
}

// nullopt: it is none of this content.
std::optional<Bitfield> Swarm::bits_of(const wire::Pieces& message) const {
  if (message.form == wire::Pieces::Form::bits) {
    auto parsed = Bitfield::from_bytes(message.bits, content_->pieces);
    return parsed ? std::optional{std::move(*parsed)} : std::nullopt;
  }
  Bitfield out{content_->pieces};
  if (message.form == wire::Pieces::Form::all) out.set_all();
  return out;
}

// Some of BitTorrent's clients say it late, or once more in place of many a Have (aria2).
void Swarm::learn_again(Turn& turn, PeerHandle handle, const wire::Pieces& message) {
  if (message.form == wire::Pieces::Form::none || work_->picker.is_seed(handle)) return;
  const bool all =
      message.form == wire::Pieces::Form::all;  // a few bytes, where a list is as long as the work
  if (all && ++peers_.find(handle)->turnabouts > limits::max_turnabouts)
    return drop(turn, handle, Roster::Why::misbehaved);
  const auto bits = bits_of(message);
  if (!bits) return drop(turn, handle, Roster::Why::misbehaved);
  for (std::uint32_t piece = 0; piece < content_->pieces; ++piece) {
    Peer* peer = peers_.find(handle);
    if (peer == nullptr) return;
    if (bits->test(piece) && !work_->picker.has(handle, piece)) learn(turn, handle, *peer, piece);
  }
}

// What it has becomes known to the picker, once we know the content and it has spoken.
void Swarm::introduce(Turn& turn, PeerHandle handle, Peer& peer) {
  if (!peer.pieces || peer.known_to_picker) return;
  auto bits = bits_of(*peer.pieces);
  if (!bits) return drop(turn, handle, Roster::Why::misbehaved);
  peer.pieces.reset();
  peer.known_to_picker = true;
  peer.was_seed_at_first = bits->all();
  work_->picker.add_peer(handle, std::move(*bits));
  for (const std::uint32_t piece : std::exchange(peer.early_haves, {}))
    if (piece < content_->pieces) work_->picker.peer_has(handle, piece);
  peer.pieces_at_first = work_->picker.pieces_of(handle);
  peer.ours_at_first = work_->map.verified_count();
  update_interest(turn, handle, peer);
  if (super_) super_learn(turn, handle);
  if (stage_ == Stage::running) ask_hashes(turn);
}

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Have& message) {
  if (!peer.known_to_picker) {
    // It learns faster than we do: kept until we know what the content is, and have it attached, within
    // reason.
    if ((work_ && !peer.pieces) || peer.early_haves.size() >= most_early_haves) return strike(turn, handle);
    peer.early_haves.push_back(message.piece);
    return;
  }
  if (message.piece >= content_->pieces || too_many_haves(peer))
    return drop(turn, handle, Roster::Why::misbehaved);
  learn(turn, handle, peer, message.piece);
}

bool Swarm::too_many_haves(Peer& peer) const {
  return ++peer.haves > std::uint64_t{limits::haves_per_piece} * content_->pieces + limits::spare_haves;
}

void Swarm::learn(Turn& turn, PeerHandle handle, Peer& peer, std::uint32_t piece) {
  // Many say it of pieces of their bitfield too, and we ourselves of those that we had to hash once more.
  if (!work_->picker.peer_has(handle, piece)) return;
  if (super_) {
    if (super_->peer_has(turn.now.mono, handle, piece)) super_passed(turn);
    if (peer.draining && super_->open(handle) == 0) {
      peer.draining = false;
      set_choked(turn, handle, peer, true);
    }
    super_reveal(turn, handle, peer);
  }
  if (!peer.we_are_interested) update_interest(turn, handle, peer);
  if (complete_ && !told_copy_out_ && sent_ > 0 && !peer.was_seed_at_first && work_->picker.is_seed(handle)) {
    told_copy_out_ = true;
    event(turn, What::copy_out);
  }
}

// ---- metadata

void Swarm::ask_metadata(Turn& turn) {
  std::vector<MetadataFetch::Ask> asks;
  fetch_.next(turn.now.mono, asks);
  for (const MetadataFetch::Ask& ask : asks)
    if (Peer* peer = peers_.find(ask.peer)) send(turn, ask.peer, *peer, wire::MetadataRequest{ask.part});
}

void Swarm::on(Turn& turn, PeerHandle handle, Peer&, wire::MetadataPart& message) {
  if (stage_ != Stage::metadata) return;
  switch (fetch_.part(turn.now.mono, handle, message.part, message.total_bytes, message.data)) {
    case MetadataFetch::Verdict::taken:
    case MetadataFetch::Verdict::discarded:
    case MetadataFetch::Verdict::mismatch:
      break;
    case MetadataFetch::Verdict::complete:
      adopt(turn, fetch_.take(), {}, nullptr);
      return;
    case MetadataFetch::Verdict::strike:
      strike(turn, handle);
      break;
  }
  ask_metadata(turn);
}

// ---- peer exchange

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::PeerExchange& message) {
  if (is_private()) return;
  switch (peer.exchange.take(turn.now.mono, message)) {
    case Exchange::Verdict::taken:
      break;
    case Exchange::Verdict::discarded:
      return;
    case Exchange::Verdict::strike:
      return strike(turn, handle);
  }
  for (const wire::ExchangeEntry& entry : message.added)
    roster_.add(turn.now, entry.endpoint, entry.key, Source::exchange, entry.seed);
  find_peers(turn);
}

}  // namespace shoal::swarm
