// What comes of disk jobs: failures, a full disk, commits.
#include <algorithm>
#include <utility>

#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::chrono::seconds commit_every{2};  // what a crash may cost, in time ...
// ... and in bytes: so much in a commit, as much that waits for the next one, and with each what was on its
// way to the disk are less than 64 MiB (DESIGN 9).
constexpr std::uint64_t commit_bytes = 16ULL << 20;
constexpr std::uint32_t most_check_failures =
    64;  // in a row: more than files that may share a piece in earnest
constexpr std::uint32_t most_commit_failures =
    3;  // in a row: the disk is broken, and hashing again mends nothing
constexpr std::uint32_t most_commits_put_off =
    16;  // in a row, since pieces of theirs were to be hashed again first

}  // namespace

void Swarm::disk_done(Turn& turn, storage::JobId job, storage::Done&& done) {
  auto node = jobs_.extract(job);
  if (node.empty()) return;
  Pending pending = node.mapped();
  if (pending.kind == Kind::write) writing_bytes_ -= pending.bytes;
  if (!done) {
    job_failed(turn, pending, done.error());
  } else {
    switch (pending.kind) {
      case Kind::load:
        if (stage_ == Stage::loading) loaded(turn, std::get<storage::Loaded>(*done));
        break;
      case Kind::attach:
        if (stage_ == Stage::attaching) attached(turn, std::get<storage::Attached>(*done));
        break;
      case Kind::plain:
        break;
      case Kind::read:
        block_read(turn, pending, std::get<storage::ReadDone>(*done));
        break;
      case Kind::write:
        written(turn, pending, std::get<storage::WriteDone>(*done));
        break;
      case Kind::check:
        check_failures_ = 0;
        checked(turn, std::get<storage::HashDone>(*done));
        break;
      case Kind::serve_leaves:
        serve_leaves(turn, pending, std::get<storage::HashDone>(*done));
        break;
      case Kind::commit:
        committed(turn, std::get<storage::Committed>(*done));
        break;
      case Kind::detach:
        stage_ = Stage::gone;
        event(turn, What::closed);
        break;
    }
  }
  if (stage_ == Stage::closing) advance_close(turn);
  if (stage_ == Stage::running) {
    hold_back(turn);
    commit_if_due(turn);
    fill_all(turn);
  }
  flush(turn);
}

void Swarm::job_failed(Turn& turn, Pending& pending, storage::JobFailure& failure) {
  const bool full = failure.error.code == Code::no_space;
  switch (pending.kind) {
    case Kind::load:
      // Another command has it at present; whoever came is turned away, and may come again.
      if (woken() && failure.error.code == Code::busy && stage_ == Stage::loading) return rest(turn);
      fail(turn, failure.error, std::move(failure.path));
      break;
    case Kind::attach:
      if (woken() && failure.error.code == Code::busy && stage_ == Stage::attaching) return rest(turn);
      if (!full) return fail(turn, failure.error, std::move(failure.path));
      if (!no_space_) event(turn, What::paused_no_space, 0, failure.error, std::move(failure.path));
      no_space_ = true;
      space_retry_ = turn.now.mono + limits::space_retry;
      break;
    case Kind::plain:
      break;
    case Kind::read: {
      Peer* peer = peers_.find(pending.peer);
      if (peer != nullptr) {
        --peer->reads;
        peer->reading_bytes -= pending.request.length;
        send(turn, pending.peer, *peer, wire::Reject{pending.request});
      }
      turn.pool.give(std::move(failure.spent));
      if (failure.error.code != Code::cancelled && stage_ == Stage::running)
        file_changed(turn, pending.request.piece, failure);
      break;
    }
    case Kind::write:
      write_failed(turn, pending, failure);
      break;
    case Kind::check:
    case Kind::serve_leaves: {
      if (pending.kind == Kind::check) {
        check_failed(turn, pending.piece, failure);
      } else if (Peer* peer = peers_.find(pending.peer)) {
        --peer->leaf_reads;
        send(turn, pending.peer, *peer, wire::HashReject{pending.hashes});
        answer_more(turn, pending.peer, *peer);
      }
      break;
    }
    case Kind::commit:
      commit_failed(turn, failure);
      break;
    case Kind::detach:
      stage_ = Stage::gone;
      event(turn, What::closed);
      break;
  }
}

// A piece cannot be hashed. One whose file changed under us has nothing there that counts; but a piece of v1
// may have bytes of a file that merely seems changed, and is hashed again once that is being looked at.
void Swarm::check_failed(Turn& turn, std::uint32_t piece, storage::JobFailure& failure) {
  const bool running = stage_ == Stage::running;
  const bool changed = failure.error.code == Code::mismatch;
  if (running && changed && !content_->v2 && ++check_failures_ < most_check_failures) {
    file_changed(turn, piece, failure);
    to_check_.push_back(piece);
    --checking_;
    return check_next(turn);
  }
  const bool broken =
      !changed && failure.error.code != Code::not_found && failure.error.code != Code::cancelled;
  if (running && broken) {
    if (++check_failures_ >= most_check_failures) return fail(turn, failure.error, std::move(failure.path));
    // A download fetches it again; a share only can be mended by its user.
    if (check_failures_ == 1) event(turn, What::file_changed, 0, failure.error, failure.path);
  }
  storage::HashDone nothing{.piece = piece};
  checked(turn, nothing);
}

void Swarm::write_failed(Turn& turn, const Pending& pending, storage::JobFailure& failure) {
  const BlockRef block{pending.piece, pending.request.begin / storage::block_bytes};
  if (failure.error.code == Code::no_space && stage_ == Stage::running) {
    // Nothing that came is lost: it is written when there is room.
    waiting_writes_.push_back({slot_, block, std::move(failure.spent), storage::WriteJob::First::yes});
    pause_for_space(turn, std::move(failure));
    return;
  }
  work_->map.write_failed(block);
  turn.pool.give(std::move(failure.spent));
  if (failure.error.code == Code::mismatch && stage_ == Stage::running) {
    file_changed(turn, pending.piece, failure);
    // The disk writes over a changed file only when it has seen what lies there: without this a file that
    // changes again while it is fetched anew would be asked for, and refused, for ever.
    check(turn, pending.piece, storage::HashJob::What::all);
  } else if (failure.error.code != Code::cancelled && stage_ == Stage::running)
    fail(turn, failure.error, std::move(failure.path));
}

void Swarm::commit_failed(Turn& turn, storage::JobFailure& failure) {
  committing_ = false;
  // The disk asks for a piece to be hashed again where it failed with an earlier one: that is no new failure.
  const bool again = failure.error.code == Code::mismatch && ++commits_put_off_ < most_commits_put_off;
  const bool failed = failure.error.code == Code::io && ++commit_failures_ < most_commit_failures;
  if (stage_ == Stage::closing) {
    to_commit_.clear();  // fetched or hashed again next time
  } else if (failure.error.code == Code::no_space) {
    pause_for_space(turn, std::move(failure));
  } else if (again || failed) {
    // What was thought written may not be: it is hashed again before it is believed.
    for (const std::uint32_t piece : std::exchange(to_commit_, {})) {
      work_->map.recheck(piece);
      to_check_.push_back(piece);
    }
    uncommitted_bytes_ = 0;
    commit_due_ = never;
    check_next(turn);
  } else {
    fail(turn, failure.error, std::move(failure.path));
  }
}

void Swarm::pause_for_space(Turn& turn, storage::JobFailure&& failure) {
  if (!no_space_) event(turn, What::paused_no_space, 0, failure.error, std::move(failure.path));
  no_space_ = true;
  space_retry_ = turn.now.mono + limits::space_retry;
  hold_back(turn);
}

void Swarm::retry_after_space(Turn& turn) {
  space_retry_ = never;
  if (stage_ == Stage::attaching) {
    attach(turn);
    return;
  }
  for (storage::WriteJob& job : std::exchange(waiting_writes_, {})) {
    Pending pending{
        .kind = Kind::write, .piece = job.block.piece, .bytes = static_cast<std::uint32_t>(job.bytes.size())};
    pending.request.begin = job.block.block * storage::block_bytes;
    writing_bytes_ += pending.bytes;
    submit(turn, std::move(job), pending);
  }
  if (!to_commit_.empty()) commit_due_ = turn.now.mono;
  if (writing_bytes_ == 0 && to_commit_.empty()) {
    no_space_ = false;
    event(turn, What::resumed);
    hold_back(turn);  // no job is under way whose end would let reading go on
  }
}

// A disk that takes writes faster than it makes them durable would owe more and more.
bool Swarm::commit_lags() const { return committing_ && uncommitted_bytes_ >= commit_bytes; }

void Swarm::commit_if_due(Turn& turn) {
  if (committing_ || to_commit_.empty()) return;
  const bool last = work_->map.verified_bytes() == work_->map.wanted_bytes() && writing_bytes_ == 0;
  const bool retry_waits = no_space_ && space_retry_ != never;
  if (retry_waits) return;
  if (stage_ != Stage::closing && !last && uncommitted_bytes_ < commit_bytes && commit_due_ > turn.now.mono)
    return;
  committing_ = true;
  committing_count_ = to_commit_.size();
  submit(turn, storage::CommitJob{slot_, to_commit_, earlier_sent_ + sent_, earlier_received_ + received_},
         {.kind = Kind::commit});
  uncommitted_bytes_ = 0;
  commit_due_ = never;
}

void Swarm::committed(Turn& turn, storage::Committed& done) {
  committing_ = false;
  commit_failures_ = commits_put_off_ = 0;
  for (const std::uint32_t piece : done.pieces)
    if (work_->map.state(piece) == PieceState::verified) work_->map.committed(piece);
  to_commit_.erase(to_commit_.begin(), to_commit_.begin() + static_cast<std::ptrdiff_t>(committing_count_));
  if (!to_commit_.empty()) commit_due_ = std::min(commit_due_, turn.now.mono + commit_every);
  if (no_space_ && waiting_writes_.empty()) {
    no_space_ = false;
    event(turn, What::resumed);
  }
  check_done(turn);
}

}  // namespace shoal::swarm
