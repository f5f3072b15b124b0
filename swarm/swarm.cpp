// The life of a content: loaded, made known, attached to the disk, checked, committed, closed.
#include "swarm/swarm.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "storage/metainfo.hpp"
#include "swarm/selection.hpp"

namespace shoal::swarm {

Swarm::Swarm(Slot slot, CommandId command, const SessionConfig& config, OpenContent&& open,
             Announcer::Past past, Random random)
    : slot_(slot),
      command_(command),
      config_(config),
      open_(std::move(open)),
      random_(std::move(random)),
      announcer_(open_.id, config.identity, std::move(past), random_.fork("announcer")),
      roster_(rules_of(config), random_.fork("roster")),
      visibility_(open_.is_public ? Visibility::open : Visibility::sealed),
      fetch_(open_.id),
      folder_(open_.folder) {
  roster_.set_own_key(announcer_.exchange().public_key);
  roster_.set_ways(ways_of(config, visibility_));
  if (woken()) told_hashes_ = info_hashes();
}

// Of a content that rests now and then: what was told when it was opened.
bool Swarm::untold(What what) const {
  const bool again = what == What::announced || what == What::metadata || what == What::attached ||
                     what == What::complete || what == What::seeded;
  return (woken() && again) || (rests_ && what == What::closed);
}

void Swarm::event(Turn& turn, What what, std::uint64_t count, Error error, std::string path) {
  if (untold(what)) return;
  ContentEvent event;
  event.what = what;
  event.id = open_.id;
  event.count = count;
  event.error = error;
  event.path = std::move(path);
  turn.answer(command_, std::move(event));
}

storage::JobId Swarm::submit(Turn& turn, storage::Job&& job, Pending pending) {
  const storage::JobId id = turn.names.next_job(slot_);
  jobs_.emplace(id, pending);
  turn.out.push_back(DiskJob{id, std::move(job)});
  return id;
}

void Swarm::start(Turn& turn) {
  second_ = turn.now.mono;
  submit(turn, storage::LoadJob{open_.id}, {.kind = Kind::load});
}

void Swarm::loaded(Turn& turn, storage::Loaded& loaded) {
  for (const Endpoint& endpoint : open_.hints) hint(turn, endpoint, Source::user);
  const Bitfield* have = nullptr;
  Bytes info = std::move(open_.info);
  std::vector<Bytes> layers = std::move(open_.layers);
  if (loaded.stored) {
    storage::StoredContent& stored = *loaded.stored;
    announcer_.restore_sequence(stored.record_sequence);
    earlier_sent_ = stored.uploaded;
    earlier_received_ = stored.downloaded;
    if (!stored.info.empty()) {
      info = std::move(stored.info);
      layers = std::move(stored.layers);
      folder_ = stored.folder;
      touched_ = std::move(stored.touched);
      have = &stored.have;
      share_ = stored.role == storage::ContentRole::share;
    }
  }
  stage_ = Stage::metadata;
  if (woken() && info.empty()) {
    fail(turn, {Code::not_found, "the catalog does not know this content any more"});
    return;
  }
  // What is known may forbid the rest.
  if (!info.empty() && !adopt(turn, std::move(info), layers, have)) return;
  update_rules(turn);
  if (woken()) {
    look_up_due_ = turn.now.mono + limits::rest_look_up;
  } else {
    announce(turn);
    if (!is_private()) ask_hints(turn);
    look_up(turn);
  }
  find_peers(turn);
  if (content_) return;
  // Who dialled us while the disk was asked has greeted us already.
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (peer.hello) static_cast<void>(fetch_.offer(handle, peer.hello->metadata_bytes));
  });
  ask_metadata(turn);
}

// Whoever made the link may have named any place (THREATS A30).
void Swarm::ask_hints(Turn& turn) {
  std::vector<Endpoint> nodes;
  std::ranges::copy_if(
      open_.hints, std::back_inserter(nodes),
      [rules = rules_of(config_)](const Endpoint& who) { return dialable(rules, who, Source::user); });
  turn.overlays.bootstrap(turn.now, nodes);
}

// Takes the content up; false: its info dictionary is none that we accept, and the content has failed.
bool Swarm::adopt(Turn& turn, Bytes info, const std::vector<Bytes>& layers, const Bitfield* have) {
  auto parsed = storage::parse_info(std::move(info));
  if (!parsed || !(*parsed)->is(open_.id)) {
    fail(turn, parsed ? Error{Code::mismatch, "the metadata does not belong to this link"} : parsed.error());
    return false;
  }
  content_ = *parsed;
  take_name(turn);
  respect(turn);
  wanted_ = wanted_files(*content_, open_.only, open_.only_places);
  if (std::none_of(wanted_.begin(), wanted_.end(), [](bool each) { return each; }) && !wanted_.empty()) {
    fail(turn, {Code::not_found, "no file of this content matches what --only asks for"});
    return false;
  }
  const Bitfield none{content_->pieces};
  if (have == nullptr || have->size() != content_->pieces) have = &none;
  work_ = std::make_unique<Work>(content_, *have, wanted_, random_.fork("picker"));
  if (!layers.empty() && !work_->layers.set_layers(layers)) {
    // Damaged or foreign: they are fetched again, with proofs.
    work_->layers = storage::PieceLayers{content_};
  }
  event(turn, What::metadata);
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (peer.up()) say_hello(turn, handle, peer);  // it was greeted by one that had nothing to offer
  });
  renew_streams(turn);
  attach(turn);
  return true;
}

void Swarm::attach(Turn& turn) {
  stage_ = Stage::attaching;
  storage::AttachJob job;
  job.slot = slot_;
  job.content = content_;
  job.folder = folder_;
  job.mode = share_ ? storage::AttachJob::Mode::serve : storage::AttachJob::Mode::download;
  if (!open_.only.empty() || !open_.only_places.empty())
    job.wanted = wanted_;  // empty: everything, empty folders too
  job.layers.resize(content_->files.size());
  for (std::uint32_t file = 0; file < content_->files.size(); ++file)
    job.layers[file] = work_->layers.layer(file);
  submit(turn, std::move(job), {.kind = Kind::attach});
}

void Swarm::attached(Turn& turn, storage::Attached& attached) {
  using FileState = storage::Attached::FileState;
  PieceMap& map = work_->map;
  root_name_ = std::move(attached.root_name);
  for (std::uint32_t file = 0; file < content_->files.size(); ++file) {
    const storage::ContentFile& entry = content_->files[file];
    const FileState state = file < attached.files.size() ? attached.files[file] : FileState::absent;
    for (std::uint32_t piece = entry.first_piece; piece < entry.first_piece + entry.pieces; ++piece) {
      const bool lost = state == FileState::absent || state == FileState::changed;
      if (map.have(piece) && lost) {
        map.recheck(piece);
        to_check_.push_back(piece);
      } else if (map.wanted(piece) && state == FileState::changed &&
                 map.state(piece) == PieceState::missing) {
        // Its bits went when the change was found, perhaps in an earlier run. What lies there counts again,
        // or may be written over, once it is hashed; a share that was put right comes back in no other way.
        map.checking(piece);
        to_check_.push_back(piece);
      }
    }
    const bool elsewhere = file < attached.disk_paths.size() && !attached.disk_paths[file].empty();
    if (state == FileState::changed)
      event(turn, What::file_changed, 0, {Code::mismatch, "a file changed after it was verified"},
            elsewhere ? attached.disk_paths[file] : content_->disk_path(file));
  }
  for (const std::uint32_t piece : touched_)
    if (piece < map.pieces() && map.state(piece) == PieceState::missing) {
      map.checking(piece);
      to_check_.push_back(piece);
    }
  touched_.clear();
  std::uint64_t missing = 0;
  for (std::uint32_t piece = 0; piece < map.pieces(); ++piece)
    if (map.wanted(piece) && map.state(piece) == PieceState::missing) missing += content_->piece_bytes(piece);
  if (missing > attached.free_bytes && to_check_.empty()) {
    no_space_ = true;
    space_retry_ = turn.now.mono + limits::space_retry;
    event(turn, What::paused_no_space, missing - attached.free_bytes);
    // Attached again when the time comes, until there is room.
    submit(turn, storage::DetachJob{slot_, earlier_sent_, earlier_received_}, {.kind = Kind::plain});
    return;
  }
  if (no_space_) {
    no_space_ = false;
    space_retry_ = never;
    event(turn, What::resumed);
  }
  stage_ = Stage::running;
  if (woken()) rest_due_ = turn.now.mono + limits::rest_after;
  event(turn, What::attached, map.have_bits().count());
  for (const storage::ContentFile& entry : content_->files)
    for (std::uint32_t at = 0; content_->v2 && entry.pieces > 1 && at < entry.pieces;
         at += storage::max_hashes_asked)
      if (!work_->layers.piece_root(entry.first_piece + at)) layers_wanted_.push_back(entry.first_piece + at);
  for (std::uint32_t piece = 0; piece < content_->pieces && !judging_; ++piece)
    judging_ = map.state(piece) != PieceState::missing;
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!peer.up()) return;
    say_pieces(turn, handle, peer);
    introduce(turn, handle, peer);
  });
  check_next(turn);
  check_done(turn);
}

void Swarm::fail(Turn& turn, const Error& error, std::string path) {
  event(turn, What::failed, 0, error, std::move(path));
  close(turn);
}

// ---- disk

void Swarm::check_done(Turn& turn) {
  if (stage_ != Stage::running) return;
  if (!complete_ && work_->map.finished()) {
    complete_ = true;
    event(turn, What::complete);
    if (!woken()) announcer_.soon(turn.now);
    const bool partial = work_->map.verified_bytes() < content_->bytes;
    peers_.for_each([&](PeerHandle handle, Peer& peer) {
      update_interest(turn, handle, peer);
      if (partial && peer.way != Way::native) say_hello(turn, handle, peer);  // that we want no more (BEP 21)
    });
  }
  if (!complete_ || told_seeded_) return;
  const double given = static_cast<double>(earlier_sent_ + sent_);
  const bool enough = open_.seed.until == SeedUntil::complete ||
                      (open_.seed.until == SeedUntil::ratio &&
                       given >= open_.seed.ratio * static_cast<double>(work_->map.wanted_bytes()));
  if (!enough) return;
  told_seeded_ = true;
  event(turn, What::seeded);
}

// ---- the end

void Swarm::close(Turn& turn) {
  rests_ = false;
  for (const Key& key : announcer_.live_keys()) turn.overlays.forget(key);
  withdraw(turn);
  if (!ending()) leave(turn);
}

void Swarm::leave(Turn& turn) {
  stage_ = Stage::closing;
  std::vector<PeerHandle> all;
  peers_.for_each([&](PeerHandle handle, Peer&) { all.push_back(handle); });
  for (const PeerHandle handle : all) drop(turn, handle, Roster::Why::not_needed);
  to_check_.clear();
  for (storage::WriteJob& job : std::exchange(waiting_writes_, {})) {
    work_->map.write_failed(job.block);
    turn.pool.give(std::move(job.bytes));
  }
  no_space_ = false;
  advance_close(turn);
}

void Swarm::rest(Turn& turn) {
  rests_ = true;
  leave(turn);
}

void Swarm::rest_if_idle(Turn& turn) {
  if (rest_due_ > turn.now.mono || ending()) return;
  if (!rest_now(turn)) rest_due_ = turn.now.mono + limits::rest_after;
}

bool Swarm::rest_now(Turn& turn) {
  const bool may = woken() && stage_ == Stage::running && up_ == 0 && jobs_.empty() && to_check_.empty() &&
                   to_commit_.empty() && !is_private();
  if (may) rest(turn);
  return may;
}

RestingContent Swarm::to_rest() const {
  return {command_, names(), visibility_, open_.seed, progress(), announcer_.past()};
}

// Writes under way end, what they completed is committed, then files and lock are let go.
void Swarm::advance_close(Turn& turn) {
  if (!jobs_.empty()) return;
  if (work_ && !to_commit_.empty()) {
    commit_if_due(turn);
    return;
  }
  stage_ = Stage::detaching;
  submit(turn, storage::DetachJob{slot_, earlier_sent_ + sent_, earlier_received_ + received_, open_.id},
         {.kind = Kind::detach});
}

// ---- time and reports

void Swarm::tick(Turn& turn) {
  if (ending()) return;
  if (stage_ != Stage::loading) {
    if (announcer_.due() <= turn.now.mono) announce(turn);
    if (look_up_due_ <= turn.now.mono) look_up(turn);
    find_peers(turn);
  }
  if (space_retry_ <= turn.now.mono) retry_after_space(turn);
  if (second_ <= turn.now.mono) {
    second_ = turn.now.mono + std::chrono::seconds{1};
    std::vector<PeerHandle> all;
    peers_.for_each([&](PeerHandle handle, Peer&) { all.push_back(handle); });
    for (const PeerHandle handle : all)
      if (Peer* peer = peers_.find(handle)) tick_peer(turn, handle, *peer);
    exchange_peers(turn);
    if (stage_ == Stage::running) {
      end_super_seed_if_over(turn);
      super_feed(turn);  // what is on its way for long counts no more
    }
    if (stage_ == Stage::metadata) ask_metadata(turn);
    if (stage_ == Stage::running) {
      ask_hashes(turn);
      look_at_retrials(turn);
      if (up_rate_.rate(turn.now.mono) >= 1) up_best_ *= 0.99;
      look_at_slots(turn);
    }
  }
  if (stage_ == Stage::running) {
    if (choke_clock_.next() <= turn.now.mono) choke_round(turn, choke_clock_.due(turn.now.mono));
    commit_if_due(turn);
    if (check_due_ <= turn.now.mono) check_next(turn);
    fill_all(turn);
    if (serve_due_ <= turn.now.mono) serve_due_ = never;  // the session will ask for blocks
  }
  flush(turn);
  rest_if_idle(turn);
}

Instant Swarm::next_wake() const {
  if (stage_ == Stage::loading || ending()) return never;
  Instant first = std::min({announcer_.due(), look_up_due_, space_retry_, roster_wake_});
  if (peers_.size() > 0) first = std::min(first, second_);
  if (stage_ == Stage::running) {
    if (up_ > 0) first = std::min(first, choke_clock_.next());
    if (!committing_ && !no_space_) first = std::min(first, commit_due_);
    first = std::min({first, check_due_, rest_due_});
    if (!upload_turns_.empty()) first = std::min(first, serve_due_);
  }
  return first;
}

ContentStatus Swarm::status(Now now) const {
  ContentStatus out;
  using Phase = ContentStatus::Phase;
  out.id = open_.id;
  out.content = content_;
  switch (stage_) {
    case Stage::loading:
      out.phase = Phase::loading;
      break;
    case Stage::metadata:
      out.phase = Phase::metadata;
      break;
    case Stage::attaching:
      out.phase = Phase::attaching;
      break;
    case Stage::running:
      out.phase = complete_ ? Phase::seeding : Phase::fetching;
      break;
    case Stage::closing:
    case Stage::detaching:
    case Stage::gone:
      out.phase = Phase::failed;
      break;
  }
  if (no_space_) out.phase = Phase::paused;
  if (rests_) out.phase = Phase::resting;
  // Pieces that were just fetched and are judged by v1's hash are no check of what lay there.
  if (stage_ == Stage::running && !complete_ && checking_ + to_check_.size() > under_check_.size())
    out.phase = Phase::checking;
  if (work_) {
    out.bytes_wanted = work_->map.wanted_bytes();
    out.bytes_verified = work_->map.verified_bytes();
    out.bytes_committed = work_->map.committed_bytes();
    out.seeds = work_->picker.seeds();
    out.rarest = work_->picker.rarest();
  }
  out.root_name = root_name_;
  out.received = received_;
  out.sent = sent_;
  out.wasted = wasted_;
  out.down_rate = down_.rate(now.mono);
  out.up_rate = up_rate_.rate(now.mono);
  out.peers = up_;
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    if (!peer.up()) return;
    out.native_peers += peer.way == Way::native ? 1 : 0;
    out.interesting += peer.we_are_interested && !work_->picker.is_seed(handle) ? 1 : 0;
    out.serving += !peer.choked_by_us && peer.interested_in_us ? 1 : 0;
    out.served_by += !peer.choking_us && peer.we_are_interested ? 1 : 0;
    out.waiting_here += peer.requests.size() + peer.reads;
    out.waiting_there += peer.pipeline.outstanding();
  });
  out.banned = roster_.bans();
  out.candidates = roster_.size();
  return out;
}

std::uint64_t Swarm::digest() const {
  std::uint64_t out = digest_;
  const auto mix = [&out](std::uint64_t value) { out = (out ^ value) * 0x9E3779B97F4A7C15ULL + (out >> 29); };
  mix(static_cast<std::uint64_t>(stage_));
  mix(received_);
  mix(sent_);
  mix(wasted_);
  mix(peers_.size());
  mix(roster_.size());
  mix(announcer_.sequence());
  if (work_) {
    mix(work_->map.verified_bytes());
    mix(work_->map.committed_bytes());
    mix(work_->map.supply());
    for (const std::uint8_t byte : work_->map.have_bits().view()) mix(byte);
  }
  return out;
}

}  // namespace shoal::swarm
