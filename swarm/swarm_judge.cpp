// Which pieces are right: those that were fetched, and those that lay on the disk before.
//
// v2: the hashes of a piece's blocks, which come with the blocks' writes, lead to its root. v1: its SHA-1
// needs the bytes in order, so that the piece is read and hashed once all of it is written. A hybrid has to
// be right by both; where one part says yes and the other no, the content contradicts itself and nobody can
// ever have all of it.
#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/merkle.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t checks_at_once = 4;  // pieces hashed at the same time: keeps every worker busy
constexpr std::uint32_t rows_at_once = 32;   // of those of which only the row is wanted
constexpr std::uint32_t rows_together = 8;   // side by side these take a third of the time
constexpr std::chrono::milliseconds rows_wait{50};

constexpr Error contradicts_itself{
    Code::mismatch, "the v1 and the v2 part of this torrent describe different bytes; get another one", 0};

}  // namespace

// Every block of the piece is on the disk: is it what the content says?
void Swarm::judge(Turn& turn, std::uint32_t piece) {
  if (content_->v1) {
    if (under_check_.insert(piece).second) to_check_.push_back(piece);
    return check_next(turn);
  }
  const auto leaves = work_->map.leaves(piece);
  const Truth truth = by_trees(piece, leaves);
  if (truth == Truth::unknown) return;  // judged when its hash has come
  if (truth == Truth::yes) {
    keep_leaves(piece, leaves);
    conclude(turn, piece, leaves);
    return accept(turn, piece);
  }
  work_->map.failed(piece);
  want_leaves(turn, piece, LeavesWanted::Why::failed);
}

Swarm::Truth Swarm::by_trees(std::uint32_t piece, std::span<const Sha256> leaves) const {
  const auto expected = work_->layers.piece_root(piece);
  if (!expected) return Truth::unknown;
  if (leaves.size() != content_->blocks_in(piece)) return Truth::no;
  const storage::merkle::Shape shape = work_->layers.shape(content_->file_of(piece));
  return storage::merkle::piece_root(leaves, shape) == *expected ? Truth::yes : Truth::no;
}

void Swarm::accept(Turn& turn, std::uint32_t piece) {
  std::vector<PeerHandle> proven;
  for (const PeerHandle sender : work_->map.senders(piece))
    if (Peer* peer = peers_.find(sender); peer != nullptr && peer->good_blocks++ == 0)
      proven.push_back(sender);
  work_->map.verified(piece);
  for (const PeerHandle sender : proven) fill(turn, sender, *peers_.find(sender));  // more than before
  leaves_wanted_.erase(piece);
  to_commit_.push_back(piece);
  uncommitted_bytes_ += content_->piece_bytes(piece);
  if (commit_due_ == never) commit_due_ = turn.now.mono + std::chrono::seconds{2};
  peers_.for_each([&](PeerHandle handle, Peer& peer) { tell_have(turn, handle, peer, piece); });
  commit_if_due(turn);
}

// At once to who may ask for it, or becomes interested by it. For the others it is news of how rare the piece
// is: alone in its frame it would be four fifths overhead.
void Swarm::tell_have(Turn& turn, PeerHandle handle, Peer& peer, std::uint32_t piece) {
  if (!peer.said_pieces) return;
  const bool has = peer.known_to_picker && work_->picker.has(handle, piece);
  if (has && complete_ && work_->picker.is_seed(handle)) return;
  if (!has && (!peer.choked_by_us || !peer.interested_in_us))
    send(turn, handle, peer, wire::Have{piece});
  else
    peer.haves_later.push_back(piece);
}

// ---- hashed from the disk

// What was fetched just now has marks: only its row is not known.
storage::HashJob::What Swarm::check_of(std::uint32_t piece) const {
  const bool marked = content_->v1 && !work_->map.leaves(piece).empty();
  return marked && !retrials_.contains(piece) ? storage::HashJob::What::row : storage::HashJob::What::all;
}

// Whether more pieces are on their way whose rows could be hashed together with those that wait.
bool Swarm::more_rows_come(Turn& turn) {
  const bool some = !to_check_.empty() && to_check_.size() < rows_together && check_due_ > turn.now.mono;
  const double soon = down_.rate(turn.now.mono) * seconds(rows_wait);
  const bool more = some && check_of(to_check_.front()) == storage::HashJob::What::row &&
                    soon >= double{rows_together} * content_->piece_length && !work_->picker.endgame();
  if (!more)
    check_due_ = never;
  else if (check_due_ == never)
    check_due_ = turn.now.mono + rows_wait;
  return more;
}

void Swarm::check_next(Turn& turn) {
  if (more_rows_come(turn)) return;
  while (!to_check_.empty()) {
    const std::uint32_t piece = to_check_.front();
    const storage::HashJob::What what = check_of(piece);
    if (checking_ >= (what == storage::HashJob::What::row ? rows_at_once : checks_at_once)) return;
    to_check_.pop_front();
    check(turn, piece, what);
  }
}

void Swarm::check(Turn& turn, std::uint32_t piece, storage::HashJob::What what) {
  ++checking_;
  submit(turn, storage::HashJob{slot_, piece, what}, {.kind = Kind::check, .piece = piece});
}

// Whether the row, and the marks of what came, say that the piece is right.
bool Swarm::right_by_row(const storage::HashDone& done) const {
  if (!done.v1 || !std::ranges::equal(*done.v1, content_->v1_hash(done.piece))) return false;
  return !content_->v2 || by_trees(done.piece, work_->map.leaves(done.piece)) != Truth::no;
}

void Swarm::checked(Turn& turn, storage::HashDone& done) {
  --checking_;
  const std::uint32_t piece = done.piece;
  const bool waited = work_->map.state(piece) == PieceState::complete;
  if (waited && done.what == storage::HashJob::What::row) {
    if (!right_by_row(done))
      return check(turn, piece, storage::HashJob::What::all);  // what is wrong with it?
    const auto marks = work_->map.leaves(piece);
    if (content_->v2) done.leaves.assign(marks.begin(), marks.end());
  }
  under_check_.erase(piece);
  check_next(turn);
  if (!waited) return;
  const Truth trees = by_trees(piece, done.leaves);
  Truth row = Truth::unknown;
  if (content_->v1)
    row = done.v1 && std::ranges::equal(*done.v1, content_->v1_hash(piece)) ? Truth::yes : Truth::no;
  if (content_->v1 && done.v1 && trees != Truth::unknown && trees != row)
    return fail(turn, contradicts_itself, {});
  if (row == Truth::yes || (row == Truth::unknown && trees == Truth::yes)) {
    if (content_->v1 && content_->v2) keep_leaves(piece, done.leaves);
    if (content_->v2 && trees == Truth::unknown && !learn_root(turn, piece, done.leaves)) return;
    conclude(turn, piece, done.leaves);
    return accept(turn, piece);
  }
  if (!work_->map.leaves(piece).empty()) return fetched_wrong(turn, piece, trees, done);
  const bool alone = trees != Truth::unknown && content_->blocks_in(piece) == 1;
  if (!content_->v2 || done.leaves.empty() || alone) {
    work_->map.restore(piece, {}, {});
  } else {
    // Some of its blocks may be right: the hashes of the blocks, which a peer has, will tell.
    want_leaves(turn, piece, LeavesWanted::Why::salvage, {}, std::move(done.leaves));
  }
}

// A piece of v1 or of a hybrid that was written, read again, and is not right.
void Swarm::fetched_wrong(Turn& turn, std::uint32_t piece, Truth trees, const storage::HashDone& done) {
  if (!std::ranges::equal(work_->map.leaves(piece), done.marks.empty() ? done.leaves : done.marks)) {
    // What lies there is not what came: the disk is at fault, or who writes to it, and no peer.
    leaves_wanted_.erase(piece);
    return work_->map.reset(piece);
  }
  work_->map.failed(piece);
  if (trees == Truth::no) return want_leaves(turn, piece, LeavesWanted::Why::failed);
  try_again(turn, piece, {work_->map.senders(piece), done.leaves});
}

// A hybrid got from peers that know only v1: once all pieces of a file are here, the roots of its pieces are
// known, and have to lead to the file's. False: they do not, and the content was given up.
bool Swarm::learn_root(Turn& turn, std::uint32_t piece, std::span<const Sha256> leaves) {
  const std::uint32_t file = content_->file_of(piece);
  const storage::ContentFile& entry = content_->files[file];
  const auto [found, fresh] = learned_.try_emplace(file);
  Learned& learned = found->second;
  if (fresh) {
    learned.roots.resize(entry.pieces);
    learned.known = Bitfield{entry.pieces};
  }
  const std::uint32_t at = piece - entry.first_piece;
  learned.roots[at] = storage::merkle::piece_root(leaves, work_->layers.shape(file));
  learned.known.set(at);
  if (learned.known.count() < entry.pieces) return true;
  Bytes layer(learned.roots.size() * sizeof(Sha256));
  std::memcpy(layer.data(), learned.roots.data(), layer.size());
  learned_.erase(found);
  if (!work_->layers.set_layer(file, layer)) {
    fail(turn, contradicts_itself, {});
    return false;
  }
  layers_complete(turn, {file});
  return true;
}

}  // namespace shoal::swarm
