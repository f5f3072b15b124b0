// A piece that is wrong, of which nobody tells the hashes of the blocks (v1 has none), is tried again:
// fetched from one peer alone, and if that one does not deliver, from another, until it is right. Then the
// blocks of earlier attempts that differ from it are the false ones, and their senders are known; and whoever
// sent all of a wrong piece is known at once (THREATS A21).
//
// Nothing of it can be drawn out for ever: a turn ends with the right piece, with a wrong one, which only one
// can have spoilt, or with its time, and everybody who has the piece comes to his turn.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "dht/base/saturated.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t most_retrials = 64;            // at a time; beyond that a piece is fetched as any other
constexpr std::size_t most_attempts = 8;             // of a piece that are remembered
constexpr std::size_t most_suspect_blocks = 65'536;  // in all of them: 3 MiB
// Of one turn, doubled when everybody has had his: the pace of the slowest is not known. Who would have the
// piece soon at its pace of late has three times as long.
constexpr std::chrono::seconds first_patience{15}, soon{20};
constexpr std::chrono::minutes most_patience{16};

}  // namespace

// The piece, all of which is here, is wrong.
void Swarm::try_again(Turn& turn, std::uint32_t piece, Retrial::Attempt attempt) {
  wasted_ += content_->piece_bytes(piece);
  work_->map.reset(piece);
  const PeerHandle first = attempt.senders.front();
  if (std::ranges::all_of(attempt.senders, [&](PeerHandle each) { return each == first; }))
    attempt.alone = first;
  const PeerHandle alone = attempt.alone;
  auto found = retrials_.find(piece);
  if (found == retrials_.end() && retrials_.size() < most_retrials) {
    found = retrials_.try_emplace(piece).first;
    found->second.patience = first_patience;
    work_->map.reserve(piece);
  }
  if (found != retrials_.end()) {
    Retrial& retrial = found->second;
    if (alone) retrial.tried.push_back(alone);
    if (retrial.attempts.size() < most_attempts &&
        suspect_blocks_ + attempt.leaves.size() <= most_suspect_blocks) {
      suspect_blocks_ += attempt.leaves.size();
      retrial.attempts.push_back(std::move(attempt));
    }
  }
  if (const auto who = who_is(alone)) {
    Suspects::Guilt& guilt = suspects_.guilt(who->key);
    if (++guilt.pieces >= limits::bad_pieces_before_ban) ban(turn, *who, guilt.blocks);
  }
  assign(turn, piece);
}

// Of those who have it and may be asked for one more piece, and had no turn, who sent nothing of what was
// wrong, has given something right, has the fewest such pieces, and is the fastest.
PeerHandle Swarm::next_to_try(Instant now, std::uint32_t piece, const Retrial& retrial) {
  const auto suspect = [&](PeerHandle handle) {
    return std::ranges::any_of(retrial.attempts, [&](const Retrial::Attempt& attempt) {
      return std::ranges::find(attempt.senders, handle) != attempt.senders.end();
    });
  };
  const auto turns = [&](PeerHandle handle) {
    return std::ranges::count_if(retrials_, [&](const auto& each) { return each.second.sole == handle; });
  };
  PeerHandle best;
  std::tuple<bool, bool, std::uint32_t, std::ptrdiff_t, double> least;
  peers_.for_each([&](PeerHandle handle, Peer& peer) {
    if (!peer.up() || peer.choking_us || peer.demoted > now || !work_->picker.has(handle, piece)) return;
    if (std::ranges::find(retrial.tried, handle) != retrial.tried.end()) return;
    if (const auto most = unjudged_pieces(peer); most > 0 && work_->picker.unjudged(handle) >= most) return;
    const std::tuple rank{suspect(handle), peer.good_blocks == 0, suspects_.guilt_of(peer.key).pieces,
                          turns(handle), -peer.pipeline.rate(now)};
    if (best && least <= rank) return;
    best = handle;
    least = rank;
  });
  return best;
}

// To whoever is next; to nobody, until somebody can be asked, which is looked at every second.
void Swarm::assign(Turn& turn, std::uint32_t piece) {
  const auto found = retrials_.find(piece);
  if (found == retrials_.end()) return;
  Retrial& retrial = found->second;
  const Instant now = turn.now.mono;
  std::erase_if(retrial.tried, [&](PeerHandle handle) { return peers_.find(handle) == nullptr; });
  retrial.sole = next_to_try(now, piece, retrial);
  if (!retrial.sole && !retrial.tried.empty()) {
    retrial.tried.clear();
    retrial.patience = std::min<Duration>(2 * retrial.patience, most_patience);
    retrial.sole = next_to_try(now, piece, retrial);
  }
  if (!retrial.sole) return;
  retrial.tried.push_back(retrial.sole);
  Peer& sole = *peers_.find(retrial.sole);
  const double takes = content_->piece_bytes(piece) / std::max(sole.pipeline.rate(now), 1.0);
  const Duration paced{saturated<std::int64_t>(takes <= seconds(soon) ? 3e6 * takes : 0)};
  retrial.until = now + std::max(retrial.patience, paced);
  fill(turn, retrial.sole, sole);
}

// Who sent all of a wrong piece is asked for nothing more until it is known what was wrong with it, but for
// what it may show by itself.
bool Swarm::on_parole(PeerHandle handle) const {
  return std::ranges::any_of(retrials_, [&](const auto& each) {
    return std::ranges::any_of(each.second.attempts,
                               [&](const Retrial::Attempt& attempt) { return attempt.alone == handle; });
  });
}

// Picker::Ask::unjudged. It takes a while to find out who spoilt a piece of v1: whoever has given nothing
// right yet is asked for one piece, or two where nothing was wrong so far, and none spoils a third before it
// is known.
std::uint32_t Swarm::unjudged_pieces(const Peer& peer) const {
  if (!content_->v1 || peer.good_blocks > 0) return 0;
  return retrials_.empty() && !suspects_.anybody_guilty() ? limits::unproven_pieces : 1;
}

// Appends what is to be asked of it to blocks_.
void Swarm::pick_for_retrial(Instant now, PeerHandle handle, Peer& peer, std::uint32_t room) {
  for (const auto& [piece, retrial] : retrials_) {
    const PieceState state = work_->map.state(piece);
    if (retrial.sole != handle || (state != PieceState::missing && state != PieceState::partial)) continue;
    const auto taken = static_cast<std::uint32_t>(blocks_.size());
    if (taken < room) work_->map.request_free(piece, handle, peer.pipeline.rate(now), room - taken, blocks_);
  }
}

// Whose turn is over without the piece: what it gave of it is dropped, so that the next one is judged by what
// it gives alone. Where there is nobody else, it goes on.
void Swarm::look_at_retrials(Turn& turn) {
  std::vector<std::uint32_t> over;
  for (const auto& [piece, retrial] : retrials_) {
    const PieceState state = work_->map.state(piece);
    if (state != PieceState::missing && state != PieceState::partial) continue;  // it is being judged
    const Peer* sole = peers_.find(retrial.sole);
    const bool going_on = sole != nullptr && !sole->choking_us && sole->demoted <= turn.now.mono &&
                          work_->picker.has(retrial.sole, piece);
    if (going_on && retrial.until > turn.now.mono) continue;
    Retrial others;
    others.tried.push_back(retrial.sole);
    if (going_on && !next_to_try(turn.now.mono, piece, others)) continue;
    over.push_back(piece);
  }
  for (const std::uint32_t piece : over) {
    if (work_->map.state(piece) == PieceState::partial) {
      const PieceMap::Summary now = work_->map.summary(piece);
      if (now.free + now.requested + now.written < now.blocks) continue;  // a write is under way
      const PeerHandle handle = retrials_.at(piece).sole;
      Peer* sole = peers_.find(handle);
      for (std::uint32_t block = 0; block < now.blocks && sole != nullptr; ++block)
        if (sole->pipeline.cancelled({piece, block}))
          send(turn, handle, *sole,
               wire::Cancel{{piece, block * storage::block_bytes, content_->block_length(piece, block)}});
      wasted_ += std::uint64_t{now.written} * storage::block_bytes;
      work_->map.reset(piece);
    }
    assign(turn, piece);
  }
}

// The piece is right, and these are the hashes of its blocks.
void Swarm::conclude(Turn& turn, std::uint32_t piece, std::span<const Sha256> right) {
  const auto node = retrials_.extract(piece);
  if (node.empty()) return;
  std::map<PeerHandle, std::uint32_t> bad;
  for (const Retrial::Attempt& attempt : node.mapped().attempts) {
    suspect_blocks_ -= attempt.leaves.size();
    for (std::size_t block = 0; block < std::min(right.size(), attempt.leaves.size()); ++block)
      if (attempt.senders[block] && attempt.leaves[block] != right[block]) ++bad[attempt.senders[block]];
  }
  for (const auto& [sender, blocks] : bad) blame(turn, sender, blocks);
}

}  // namespace shoal::swarm
