// Small questions with large answers: hashes and metadata. An answer is made when the stream takes it, and
// not before, so that who asks and does not read makes us hold little (THREATS A23).
#include <algorithm>
#include <utility>

#include "dht/base/saturated.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint64_t pieces_on_credit = 16;  // of a content whose pieces are large
constexpr std::uint64_t largest_answer =
    18 * 1024;                            // of one: a part of the metadata, or 512 hashes and a proof
constexpr std::uint64_t have_bytes = 32;  // of a Have on the stream, at most

// About what a message takes on the stream.
std::uint64_t bytes_of(const wire::Message& message) {
  constexpr std::uint64_t small = 64;
  if (const auto* hashes = std::get_if<wire::Hashes>(&message)) return small + hashes->hashes.size() * 32;
  if (const auto* part = std::get_if<wire::MetadataPart>(&message)) return small + part->data.size();
  return small;
}

}  // namespace

void Swarm::send(Turn& turn, PeerHandle handle, Peer& peer, wire::Message&& message) {
  if (!peer.up()) return;
  peer.answers += bytes_of(message);
  peer.wire->send(turn.now, std::move(message));
  dirty_.push_back(handle);
}

// More waits for it than can be, if it reads. It did not ask to be told of every piece that we get.
bool Swarm::unread(const Peer& peer) const {
  const std::uint64_t haves = content_ ? have_bytes * content_->pieces : 0;
  return peer.unsent + peer.answers > limits::max_unread + haves;
}

void Swarm::take_question(Turn& turn, PeerHandle handle, Peer& peer, Peer::Question question) {
  if (peer.questions.size() >= limits::max_questions) return drop(turn, handle, Roster::Why::misbehaved);
  peer.questions.push_back(std::move(question));
  answer_more(turn, handle, peer);
}

// Answers as much as its stream takes; then it is the turn of blocks.
void Swarm::answer_more(Turn& turn, PeerHandle handle, Peer& peer) {
  while (!peer.questions.empty() &&
         peer.unsent + peer.answers + peer.leaf_reads * largest_answer < limits::answers_ahead) {
    const Peer::Question question = std::move(peer.questions.front());
    peer.questions.pop_front();
    std::visit([&](const auto& each) { answer(turn, handle, peer, each); }, question);
  }
  want_turn(handle, peer);
}

void Swarm::answer(Turn& turn, PeerHandle handle, Peer& peer, const wire::MetadataRequest& message) {
  const auto part = content_ ? peer.metadata.part(content_->info, message.part) : std::nullopt;
  if (part)
    send(turn, handle, peer,
         wire::MetadataPart{message.part, static_cast<std::uint32_t>(content_->info.size()),
                            to_vector(*part)});
  else
    send(turn, handle, peer, wire::MetadataReject{message.part});
}

// Who asks for hashes and takes no blocks does not keep our disk and processor busy.
bool Swarm::may_hash(Instant now, const Peer& peer) const {
  const std::uint64_t credit =
      std::max<std::uint64_t>(limits::hashing_credit, pieces_on_credit * content_->piece_length);
  const auto earned = saturated<std::uint64_t>(seconds(now - peer.since) * limits::hashing_pace);
  return peer.hashed < credit + 2 * peer.took.total() + earned;
}

void Swarm::answer(Turn& turn, PeerHandle handle, Peer& peer, const wire::HashRequest& message) {
  if (!work_ || stage_ != Stage::running || !content_->v2 || !peer.wire->speech().hashes)
    return send(turn, handle, peer, wire::HashReject{message});
  const storage::HashRequest request = to_storage(message);
  if (!for_blocks(message)) {
    auto hashes = work_->layers.answer(request);
    if (hashes)
      send(turn, handle, peer, wire::Hashes{message, std::move(*hashes)});
    else
      send(turn, handle, peer, wire::HashReject{message});
    return;
  }
  // Hashes of blocks are made from the piece on the disk, once.
  const auto piece = work_->layers.piece_for_leaves(request);
  if (!piece || !serves(*piece)) return send(turn, handle, peer, wire::HashReject{message});
  if (const auto kept = leaves_kept_.find(*piece); kept != leaves_kept_.end()) {
    if (auto hashes = work_->layers.answer_leaves(request, kept->second))
      return send(turn, handle, peer, wire::Hashes{message, std::move(*hashes)});
  }
  if (!may_hash(turn.now.mono, peer)) return send(turn, handle, peer, wire::HashReject{message});
  ++peer.leaf_reads;
  peer.hashed += content_->piece_length;
  submit(turn, storage::HashJob{slot_, *piece},
         {.kind = Kind::serve_leaves, .peer = handle, .hashes = message, .piece = *piece});
}

// What the disk gives is not always what was written, and whoever asked would see that: hashes that do not
// lead to the piece's are neither told nor kept.
void Swarm::serve_leaves(Turn& turn, const Pending& pending, storage::HashDone& done) {
  const Truth truth = by_trees(pending.piece, done.leaves);
  if (truth == Truth::no && stage_ == Stage::running && serves(pending.piece))
    piece_changed(turn, pending.piece);
  if (truth == Truth::yes) keep_leaves(pending.piece, done.leaves);
  Peer* peer = peers_.find(pending.peer);
  if (peer == nullptr) return;
  --peer->leaf_reads;
  auto hashes = work_->layers.answer_leaves(to_storage(pending.hashes), done.leaves);
  if (hashes && truth != Truth::no)
    send(turn, pending.peer, *peer, wire::Hashes{pending.hashes, std::move(*hashes)});
  else
    send(turn, pending.peer, *peer, wire::HashReject{pending.hashes});
  answer_more(turn, pending.peer, *peer);
}

}  // namespace shoal::swarm
