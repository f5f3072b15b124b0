// What others ask for, and who may ask.
#include <algorithm>
#include <utility>

#include "dht/base/saturated.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t seed_turn_pieces =
    4;  // a turn at a seed brings so many whole pieces, see ChokerInput
constexpr std::chrono::milliseconds slot_refill{50};  // between rounds: several changes make one
constexpr std::uint64_t drained_below = 8192;         // bytes with the host: the next may begin

}  // namespace

bool Swarm::serves(std::uint32_t piece) const {
  const PieceState state = work_->map.state(piece);
  return state == PieceState::verified || state == PieceState::have;
}

Bitfield Swarm::held() const {
  Bitfield out{work_ ? content_->pieces : 0};
  for (std::uint32_t piece = 0; piece < out.size(); ++piece)
    if (serves(piece)) out.set(piece);
  return out;
}

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Request& message) {
  if (stage_ != Stage::running) return send(turn, handle, peer, wire::Reject{message});
  const bool serve = !peer.choked_by_us && message.piece < content_->pieces && serves(message.piece);
  const RequestQueue::Verdict verdict =
      serve ? peer.requests.push(*content_, message) : peer.requests.refused(*content_, message);
  switch (verdict) {
    case RequestQueue::Verdict::queued:
      want_turn(handle, peer);
      break;
    case RequestQueue::Verdict::reject:
      send(turn, handle, peer, wire::Reject{message});
      break;
    case RequestQueue::Verdict::invalid:
      strike(turn, handle);
      break;
    case RequestQueue::Verdict::flood:
      drop(turn, handle, Roster::Why::misbehaved);
      break;
  }
}

// Queues the peer for blocks while it has asked for some and its stream takes more, but for what it asked
// besides.
void Swarm::want_turn(PeerHandle handle, Peer& peer, Turns where) {
  if (peer.in_turn || peer.requests.empty() || !peer.questions.empty() ||
      peer.unsent + peer.reading_bytes >= ahead())
    return;
  peer.in_turn = true;
  if (where == Turns::next)
    upload_turns_.push_front(handle);
  else
    upload_turns_.push_back(handle);
}

// Bytes that a peer's stream is given beyond what its socket takes: enough until we hear that they are gone,
// and no more, since whose turn it is cannot be changed any more for these.
std::uint64_t Swarm::ahead() const {
  return std::clamp(saturated<std::uint64_t>(up_best_ * seconds(limits::given_ahead)),
                    std::uint64_t{storage::block_bytes}, stream_low_water);
}

bool Swarm::wants_upload() const { return !upload_turns_.empty(); }

// How long a peer may take to drain before others are served beside it: nearly twice as long as a piece takes
// on our line, so that the pace can rise to what the line can do while the windows of young streams are small
// (RFC 5681). A slow peer holds up nobody for long, unless it is our own line that is slow.
Duration Swarm::service_time() const {
  if (up_best_ <= 0) return limits::service_most;
  const auto time_of = [this](double bytes) {
    return Duration{saturated<std::int64_t>(1e6 * std::min(bytes / up_best_, seconds(limits::turn_time)))};
  };
  const Duration most =
      std::max(limits::service_most, time_of(limits::service_blocks * storage::block_bytes));
  return std::clamp(time_of(limits::service_pieces * content_->piece_length), limits::service_least, most);
}

// The uplink's blocks go to few peers at a time, and to each by the piece: shared among all, every piece
// would be whole at the end of all of them, and could be passed on by nobody before. Whose line is slow holds
// its place for service_time(), not longer.
bool Swarm::may_serve(Instant now, const Peer& peer) {
  if (peer.in_service) return true;
  std::erase_if(in_service_, [&](PeerHandle handle) {
    Peer* other = peers_.find(handle);
    if (other == nullptr) return true;
    const bool drained = other->unsent + other->reading_bytes <= drained_below;
    other->in_service = !drained && now - other->served < service_time();
    return !other->in_service;
  });
  // What goes out in a moment needs no order.
  const double pieces = up_rate_.rate(now) * seconds(limits::service_moment) / content_->piece_length;
  return in_service_.size() < std::max(limits::served_at_once, saturated<std::uint32_t>(pieces));
}

bool Swarm::serve_one(Turn& turn) {
  serve_due_ = never;
  while (!upload_turns_.empty()) {
    const PeerHandle handle = upload_turns_.front();
    Peer* peer = peers_.find(handle);
    if (peer != nullptr && !peer->requests.empty() && !may_serve(turn.now.mono, *peer)) {
      for (const PeerHandle each : in_service_)
        serve_due_ = std::min(serve_due_, peers_.find(each)->served + service_time());
      return false;
    }
    upload_turns_.pop_front();
    if (peer == nullptr) continue;
    peer->in_turn = false;
    if (peer->requests.empty()) continue;
    const wire::Request request = peer->requests.pop();
    const std::uint32_t lead = peer->wire->block_lead();
    ++peer->reads;
    peer->reading_bytes += request.length;
    peer->served = turn.now.mono;
    if (!std::exchange(peer->in_service, true)) in_service_.push_back(handle);
    turn.up.spend(turn.now.mono, request.length);
    Buffer into = turn.pool.take(std::max<std::size_t>(BufferPool::standard, request.length + lead + 64));
    submit(turn, storage::ReadJob{slot_, request.piece, request.begin, request.length, std::move(into), lead},
           {.kind = Kind::read, .peer = handle, .request = request});
    if (peer->turn_bytes == 0) peer->turn_began = turn.now.mono;
    peer->turn_bytes += request.length;
    const bool over = peer->turn_bytes >= content_->piece_length || peer->requests.empty() ||
                      turn.now.mono - peer->turn_began >= limits::turn_time;
    if (over) peer->turn_bytes = 0;
    want_turn(handle, *peer, over ? Turns::last : Turns::next);
    return true;
  }
  return false;
}

void Swarm::block_read(Turn& turn, const Pending& pending, storage::ReadDone& done) {
  Peer* peer = peers_.find(pending.peer);
  if (peer == nullptr) {
    turn.pool.give(std::move(done.data));
    return;
  }
  const std::uint32_t length = pending.request.length;
  --peer->reads;
  peer->reading_bytes -= length;
  peer->paid += length;
  sent_ += length;
  up_rate_.add(turn.now.mono, length);
  up_best_ = std::max(up_best_, up_rate_.rate(turn.now.mono));
  peer->took.add(turn.now.mono, length);
  done.data.drop_front(done.data.size() - length);
  send(turn, pending.peer, *peer,
       wire::Block{pending.request.piece, pending.request.begin, std::move(done.data)});
  super_gave(turn, pending.peer, *peer, pending.request);
  // The codec's buffers reach the host in this turn's flush, which counts them as unsent.
  flush(turn);
  want_turn(pending.peer, *peer);
  if (complete_ && open_.seed.until == SeedUntil::ratio) check_done(turn);
}

// ---- choking

void Swarm::choke_round(Turn& turn, ChokeClock::Due due) {
  std::vector<ChokerPeer> peers;
  UploadSlots::Uplink uplink{up_rate_.rate(turn.now.mono), config_.up_rate, 0};
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!peer.up()) return;
    ChokerPeer each;
    each.peer = handle;
    // It will be, once it is shown a piece.
    const bool will_be = super_ && peer.super_seeded && !work_->picker.is_seed(handle);
    each.interested = peer.interested_in_us || will_be;
    each.unchoked = !peer.choked_by_us;
    each.snubbed = peer.pipeline.snubbed(turn.now.mono);
    each.gave_rate = peer.gave.rate(turn.now.mono);
    each.took_rate = peer.took.rate(turn.now.mono);
    each.gave_total = peer.gave.total();
    each.took_total = peer.took.total();
    // Who unchokes us and sends nothing refuses as well.
    const bool nothing = peer.choking_us || each.gave_rate < limits::least_gift;
    const bool refuses = !peer.choked_by_us && nothing && work_->picker.interesting(handle) > 0;
    if (due.round && refuses && peer.choke_changed + limits::choke_period <= turn.now.mono) ++peer.refusals;
    each.refusals = peer.refusals;
    const std::uint64_t piece = content_->piece_length;
    const std::uint32_t theirs = work_->picker.pieces_of(handle), ours = work_->map.verified_count();
    each.pieces = theirs;
    each.gained = theirs > peer.pieces_at_first ? (theirs - peer.pieces_at_first) * piece : 0;
    each.we_gained = ours > peer.ours_at_first ? (ours - peer.ours_at_first) * piece : 0;
    each.took_in_state = peer.choked_by_us ? 0 : peer.took.total() - peer.took_before;
    each.connected_for = turn.now.mono - peer.since;
    each.in_state_for = turn.now.mono - peer.choke_changed;
    peers.push_back(each);
    if (peer.interested_in_us) choked_at_ = turn.now.mono;
    if (peer.interested_in_us && peer.choked_by_us) ++uplink.waiting;
  });
  ChokerInput input;
  input.peers = peers;
  input.trade = complete_ ? Trade::seed : Trade::leech;
  input.pieces = work_->map.verified_count();
  // A round may come early, when a peer becomes interested; the number of slots has its own pace.
  if (due.round && slots_due_ <= turn.now.mono) {
    slots_.round(uplink);
    slots_due_ = turn.now.mono + limits::choke_period;
  }
  input.slots = slots();
  input.seed_turn_bytes = std::uint64_t{seed_turn_pieces} * content_->piece_length;
  input.optimistic = optimistic_;
  input.new_optimistic = due.optimistic;
  const ChokerVerdict verdict = choose_unchoked(input, random_);
  optimistic_ = verdict.optimistic;
  std::vector<PeerHandle> unchoke = verdict.unchoke;
  std::sort(unchoke.begin(), unchoke.end());
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!peer.up()) return;
    const bool choke = !std::binary_search(unchoke.begin(), unchoke.end(), handle);
    // A super seed's peer finishes what it was shown, for a round at most.
    peer.draining = choke && !peer.choked_by_us && !peer.draining && super_ && super_->open(handle) > 0 &&
                    peer.took.rate(turn.now.mono) >= limits::least_gift;
    if (!peer.draining)
      set_choked(turn, handle, peer, choke);
    else
      super_->set_slot(turn.now.mono, handle, SuperSeed::Slot::draining);
  });
}

void Swarm::look_at_slots(Turn& turn) {
  const double piece_time = content_->piece_length / std::max(up_best_, 1.0);
  const double turn_time = std::min(piece_time, seconds(limits::turn_time));
  slots_.set_most(saturated<std::uint32_t>(
      std::min(seconds(limits::round_time) / turn_time, double{limits::max_slots + limits::spare_slots})));
  UploadSlots::Look look;
  peers_.for_each([&](PeerHandle, const Peer& peer) {
    if (!peer.up() || !peer.interested_in_us) return;
    if (peer.choked_by_us) {
      ++look.waiting;
      return;
    }
    ++look.open;
    if (!peer.requests.empty() || peer.reads > 0 || peer.unsent > 0) ++look.fed;
  });
  if (slots_.look(look)) choke_clock_.soon(turn.now.mono);
}

// A slot that is free, or has just become so, is not left empty until the next round. Where there are more
// peers than slots it is not for who comes first: the round looks at all of them, a moment later.
void Swarm::interest_changed(Turn& turn, Peer& peer, bool interested) {
  peer.interested_in_us = interested;
  if (!peer.choked_by_us) busy_slots_ += interested ? 1 : -1;
  const bool slot_free = busy_slots_ < static_cast<std::int32_t>(slots());
  if (!slot_free || (interested && !peer.choked_by_us)) return;
  const bool contended = up_ > slots();
  choke_clock_.soon(contended ? turn.now.mono + slot_refill
                              : std::max(turn.now.mono, choked_at_ + slot_refill));
}

void Swarm::set_choked(Turn& turn, PeerHandle handle, Peer& peer, bool choked) {
  if (peer.choked_by_us == choked) return;
  peer.choked_by_us = choked;
  if (peer.interested_in_us) busy_slots_ += choked ? -1 : 1;
  peer.choke_changed = turn.now.mono;
  peer.took_before = peer.took.total();
  if (super_)
    super_->set_slot(turn.now.mono, handle, choked ? SuperSeed::Slot::choked : SuperSeed::Slot::unchoked);
  if (!choked) {
    send(turn, handle, peer, wire::Unchoke{});
    return super_reveal(turn, handle, peer);
  }
  send(turn, handle, peer, wire::Choke{});
  requests_.clear();
  peer.requests.clear(requests_);
  for (const wire::Request& request : requests_) send(turn, handle, peer, wire::Reject{request});
}

// ---- a file that is no longer what was verified

// The piece is not to be committed, or its commit, which may be under way, does not count.
void Swarm::forget_commit(std::uint32_t piece) {
  const auto found = std::find(to_commit_.begin(), to_commit_.end(), piece);
  if (found == to_commit_.end()) return;
  if (committing_ && found - to_commit_.begin() < static_cast<std::ptrdiff_t>(committing_count_))
    --committing_count_;
  to_commit_.erase(found);
  if (to_commit_.empty()) commit_due_ = never;  // or its time would have come for ever
}

// A piece that was right is hashed again before another byte of it is served (DESIGN 9). The native dialect
// has no word for that: who asks for the piece meanwhile is refused.
void Swarm::hash_again(Turn& turn, std::uint32_t piece) {
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (peer.said_pieces && peer.way != Way::native) send(turn, handle, peer, wire::DontHave{piece});
  });
  forget_commit(piece);
  work_->map.recheck(piece);
  to_check_.push_back(piece);
  complete_ = false;
}

// Its bytes turned out to be others, and nothing says that the rest of the file changed.
void Swarm::piece_changed(Turn& turn, std::uint32_t piece) {
  hash_again(turn, piece);
  event(turn, What::file_changed, 0, {Code::mismatch, "a piece is not what was verified", 0},
        content_->disk_path(content_->file_of(piece)));
  check_next(turn);
}

// Every piece of the file is in doubt.
void Swarm::file_changed(Turn& turn, std::uint32_t piece, const storage::JobFailure& why) {
  bool any = false;
  // A piece of v1 may hold several files; which of them it was makes little difference.
  content_->visit_extents(piece, [&](const storage::Extent& in) {
    const storage::ContentFile& file = content_->files[in.file];
    for (std::uint32_t each = file.first_piece; each < file.first_piece + file.pieces; ++each) {
      if (!serves(each)) continue;
      any = true;
      hash_again(turn, each);
    }
  });
  if (!any) return;
  event(turn, What::file_changed, 0, why.error, why.path);
  check_next(turn);
}

}  // namespace shoal::swarm
