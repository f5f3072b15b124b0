// Hashes of pieces and of blocks: fetched with proofs, and used to find who sent a bad block.
#include <algorithm>
#include <utility>

#include "storage/merkle.hpp"
#include "swarm/swarm.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t most_kept =
    131'072;  // hashes of blocks kept to be served: 4 MiB, which is 2 GiB of content
constexpr std::uint32_t most_hash_rejects = 2;  // of a peer: then others are asked, and it for a while not
constexpr std::uint32_t leaf_tries =
    3;  // peers asked for the hashes of a piece's blocks before it is begun anew

wire::HashRequest to_wire(const storage::HashRequest& r) {
  return {r.root, r.base_layer, r.index, r.length, r.proof_layers};
}

}  // namespace

storage::HashRequest Swarm::to_storage(const wire::HashRequest& r) {
  return {r.root, r.base, r.index, r.length, r.proofs};
}

// For hashes of blocks, and not for those of pieces. Where a piece is a block the piece layer lies at the
// base too, and nobody asks for blocks: the roots of pieces are their hashes.
bool Swarm::for_blocks(const wire::HashRequest& request) const {
  return request.base == 0 && content_->piece_length > storage::block_bytes;
}

// ---- asking

// Asks the peer with the fewest such questions among those that are likely to know. False: nobody at present.
bool Swarm::ask(Turn& turn, const wire::HashRequest& request, std::uint32_t piece, PeerHandle preferred) {
  if (hashes_asked_.contains(request)) return true;
  PeerHandle best = preferred;
  if (const Peer* peer = peers_.find(preferred);
      peer == nullptr || !peer->up() || !peer->wire->speech().hashes ||
      peer->hash_rejects(turn.now.mono) > 0 || peer->hashes_outstanding() >= limits::hashes_asked)
    best = {};
  std::uint32_t best_load = best ? 0 : limits::hashes_asked;
  const bool leaves = for_blocks(request);
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    if (!peer.up() || !peer.known_to_picker || !peer.wire->speech().hashes) return;
    // Hashes of blocks need the piece itself; those of pieces are with every peer that has any.
    if (leaves ? !work_->picker.has(handle, piece) : work_->picker.pieces_of(handle) == 0) return;
    const std::uint32_t load = peer.hashes_outstanding() +
                               peer.hash_rejects(turn.now.mono) * limits::hashes_asked / most_hash_rejects;
    if (load < best_load) {
      best = handle;
      best_load = load;
    }
  });
  Peer* peer = peers_.find(best);
  if (peer == nullptr) return false;
  peer->hashes_asked.push_back({.request = request, .when = turn.now.mono});
  hashes_asked_.emplace(request, piece);
  send(turn, best, *peer, wire::HashRequest{request});
  return true;
}

// Whether of those who have the piece none tells the hashes of its blocks: they do not know them (a hybrid's
// peers under v1's name), or refused too often just now.
bool Swarm::nobody_tells(Instant now, std::uint32_t piece) const {
  bool has = false, tells = false;
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    if (!peer.up() || !peer.known_to_picker || !work_->picker.has(handle, piece)) return;
    has = true;
    tells = tells || (peer.wire->speech().hashes && peer.hash_rejects(now) < most_hash_rejects);
  });
  return has && !tells;
}

// Those of pieces first: without them nothing can be accepted.
void Swarm::ask_hashes(Turn& turn) {
  for (std::size_t left = judging_ ? layers_wanted_.size() : 0; left > 0; --left) {
    const std::uint32_t piece = layers_wanted_.front();
    const auto request = work_->layers.request_for(piece);
    if (request && !ask(turn, to_wire(*request), piece, last_giver_)) break;
    layers_wanted_.pop_front();
  }
  std::vector<std::uint32_t> hopeless;
  for (auto& [piece, wanted] : leaves_wanted_) {
    if (wanted.asked || wanted.truth.size() >= content_->blocks_in(piece)) continue;
    const auto request =
        work_->layers.leaf_request_for(piece, static_cast<std::uint32_t>(wanted.truth.size()));
    wanted.asked = request && ask(turn, to_wire(*request), piece);
    if (!wanted.asked && wanted.why != LeavesWanted::Why::ahead && nobody_tells(turn.now.mono, piece))
      hopeless.push_back(piece);
  }
  for (const std::uint32_t piece : hopeless) give_up_leaves(turn, piece);
}

void Swarm::want_leaves(Turn& turn, std::uint32_t piece, LeavesWanted::Why why, PeerHandle preferred,
                        std::vector<Sha256> on_disk) {
  if (!content_->v2) return;  // its blocks have no hashes
  const auto [entry, fresh] = leaves_wanted_.try_emplace(piece);
  LeavesWanted& wanted = entry->second;
  if (!fresh && why == LeavesWanted::Why::ahead) return;
  wanted.why = why;
  wanted.on_disk = std::move(on_disk);
  const bool alone = content_->blocks_in(piece) == 1;
  if (alone && work_->layers.shape(content_->file_of(piece)).piece_height == 0) {
    // The root is the block's own hash.
    if (const auto root = work_->layers.piece_root(piece)) wanted.truth = {*root};
  } else if (alone && why == LeavesWanted::Why::failed) {
    // The last piece of a longer file: its root is that of a padded tree. The piece is wrong, so its only
    // block is, whatever the true hash may be; this stands for it and equals no block's.
    wanted.truth = {Sha256{}};
  } else if (!wanted.asked && wanted.truth.size() < content_->blocks_in(piece)) {
    const auto request =
        work_->layers.leaf_request_for(piece, static_cast<std::uint32_t>(wanted.truth.size()));
    wanted.asked = request && ask(turn, to_wire(*request), piece, preferred);
  }
  if (truth_of(piece) != nullptr && why != LeavesWanted::Why::ahead) leaves_known(turn, piece);
}

const Swarm::LeavesWanted* Swarm::truth_of(std::uint32_t piece) const {
  const auto found = leaves_wanted_.find(piece);
  if (found == leaves_wanted_.end() || found->second.truth.size() < content_->blocks_in(piece))
    return nullptr;
  return &found->second;
}

// Remembers the hashes of a verified piece's blocks, so that others can be told without reading the disk.
void Swarm::keep_leaves(std::uint32_t piece, std::span<const Sha256> leaves) {
  if (leaves.size() < 2) return;  // nobody asks
  const auto [entry, fresh] = leaves_kept_.try_emplace(piece, leaves.begin(), leaves.end());
  if (!fresh) return;
  leaves_order_.push_back(piece);
  leaves_count_ += leaves.size();
  while (leaves_count_ > most_kept) {
    const auto oldest = leaves_kept_.find(leaves_order_.front());
    leaves_order_.pop_front();
    leaves_count_ -= oldest->second.size();
    leaves_kept_.erase(oldest);
  }
}

// ---- what comes back

void Swarm::on(Turn& turn, PeerHandle handle, Peer& peer, wire::Hashes& message) {
  const auto asked = std::find_if(peer.hashes_asked.begin(), peer.hashes_asked.end(),
                                  [&](const auto& each) { return each.request == message.request; });
  if (asked == peer.hashes_asked.end() || !work_) return strike(turn, handle);
  peer.hashes_asked.erase(asked);
  const auto known = hashes_asked_.find(message.request);
  if (known == hashes_asked_.end()) return;
  const std::uint32_t piece = known->second;
  const storage::HashRequest request = to_storage(message.request);
  if (!for_blocks(message.request)) {
    auto files = work_->layers.add(request, message.hashes);
    if (!files) {
      hashes_failed(turn, message.request);
      return drop(turn, handle, Roster::Why::misbehaved);  // it sent hashes that prove nothing
    }
    hashes_asked_.erase(known);
    layers_complete(turn, *files);
  } else {
    const auto range = work_->layers.check_leaves(request, message.hashes);
    if (!range) {
      hashes_failed(turn, message.request);
      return drop(turn, handle, Roster::Why::misbehaved);
    }
    hashes_asked_.erase(known);
    for (const std::uint32_t each : wanted_alike(piece)) {
      const auto wanted = leaves_wanted_.find(each);  // it may have been answered for by what this led to
      if (wanted == leaves_wanted_.end() || range->first_block != wanted->second.truth.size()) continue;
      wanted->second.truth.insert(wanted->second.truth.end(), message.hashes.begin(),
                                  message.hashes.begin() + range->blocks);
      wanted->second.asked = false;
      if (wanted->second.truth.size() >= content_->blocks_in(each)) leaves_known(turn, each);
    }
  }
  ask_hashes(turn);
}

void Swarm::on(Turn& turn, PeerHandle, Peer& peer, wire::HashReject& message) {
  const auto asked = std::find_if(peer.hashes_asked.begin(), peer.hashes_asked.end(),
                                  [&](const auto& each) { return each.request == message.request; });
  if (asked == peer.hashes_asked.end() || !work_) return;
  const bool late = asked->late;
  peer.hashes_asked.erase(asked);
  peer.hash_rejected(turn.now.mono);
  if (!late) hashes_failed(turn, message.request);
}

// What has waited for long is asked of somebody else. Nobody knows whom that leads to ban: perhaps this one.
void Swarm::hashes_overdue(Turn& turn, Peer& peer) {
  const Instant now = turn.now.mono;
  std::vector<wire::HashRequest> failed;
  for (Peer::HashesAsked& asked : peer.hashes_asked) {
    const bool silent = std::max(asked.when, peer.heard) + limits::max_request_timeout <= now;
    if (asked.late || (!silent && asked.when + limits::answer_most > now)) continue;
    asked.late = true;
    peer.hash_rejected(now);
    failed.push_back(asked.request);
  }
  if (peer.hashes_asked.size() > 2 * limits::hashes_asked)
    peer.hashes_asked.erase(std::find_if(peer.hashes_asked.begin(), peer.hashes_asked.end(),
                                         [](const Peer::HashesAsked& asked) { return asked.late; }));
  for (const wire::HashRequest& request : failed) hashes_failed(turn, request);
}

// Not answered: asked of somebody else, at the latest within a second.
void Swarm::hashes_failed(Turn& turn, const wire::HashRequest& request) {
  auto node = hashes_asked_.extract(request);
  if (node.empty()) return;
  const std::uint32_t piece = node.mapped();
  if (!for_blocks(request)) {
    layers_wanted_.push_back(piece);
    return;
  }
  for (const std::uint32_t each : wanted_alike(piece)) {
    const auto wanted = leaves_wanted_.find(each);
    if (wanted == leaves_wanted_.end()) continue;
    wanted->second.asked = false;
    if (++wanted->second.tries >= leaf_tries) give_up_leaves(turn, each);
  }
}

// Of the pieces whose blocks' hashes are wanted those at this place of an equal file: by root they are one,
// and one question serves them all.
std::vector<std::uint32_t> Swarm::wanted_alike(std::uint32_t piece) const {
  const auto file_of = [&](std::uint32_t each) -> const storage::ContentFile& {
    return content_->files[content_->file_of(each)];
  };
  const storage::ContentFile& file = file_of(piece);
  std::vector<std::uint32_t> out;
  for (const auto& [each, wanted] : leaves_wanted_)
    if (each - file_of(each).first_piece == piece - file.first_piece && file_of(each).root == file.root)
      out.push_back(each);
  return out;
}

// Files whose pieces can now all be judged.
void Swarm::layers_complete(Turn& turn, const std::vector<std::uint32_t>& files) {
  storage::SaveLayersJob job;
  job.slot = slot_;
  for (const std::uint32_t file : files) {
    job.layers.emplace_back(file, work_->layers.layer(file));
    const storage::ContentFile& entry = content_->files[file];
    for (std::uint32_t piece = entry.first_piece; piece < entry.first_piece + entry.pieces; ++piece) {
      // Those of which it is being found out which blocks are right are judged after that.
      const auto wanted = leaves_wanted_.find(piece);
      const bool free = wanted == leaves_wanted_.end() || wanted->second.why == LeavesWanted::Why::ahead;
      // Of a piece that is a block no hashes of blocks can be asked for: this is the one that was waited for.
      if (!free && content_->piece_length == storage::block_bytes) {
        want_leaves(turn, piece, wanted->second.why, {}, std::move(wanted->second.on_disk));
        continue;
      }
      if (free && work_->map.state(piece) == PieceState::complete && !work_->map.leaves(piece).empty())
        judge(turn, piece);
    }
  }
  if (!job.layers.empty()) submit(turn, std::move(job), {.kind = Kind::plain});
}

// ---- blame

// The true hashes of a piece's blocks are known. Of a piece that failed: whoever sent a block that differs is
// to blame. Of one that lay on the disk: blocks that agree are kept.
void Swarm::leaves_known(Turn& turn, std::uint32_t piece) {
  if (leaves_wanted_[piece].why == LeavesWanted::Why::ahead) return;  // used as the blocks come
  auto node = leaves_wanted_.extract(piece);
  const LeavesWanted& wanted = node.mapped();
  if (wanted.why == LeavesWanted::Why::salvage) {
    std::vector<bool> good(wanted.on_disk.size());
    for (std::size_t i = 0; i < good.size(); ++i) good[i] = wanted.on_disk[i] == wanted.truth[i];
    work_->map.restore(piece, wanted.on_disk, good);
    if (work_->map.state(piece) == PieceState::complete) judge(turn, piece);
    return;
  }
  const std::vector<PieceMap::Bad> bad = work_->map.blame(piece, wanted.truth);
  std::map<PeerHandle, std::uint32_t> senders;
  for (const PieceMap::Bad& each : bad) {
    wasted_ += content_->block_length(piece, each.block.block);
    ++senders[each.sender];
  }
  for (const auto& [sender, blocks] : senders) blame(turn, sender, blocks);
  if (bad.empty()) judge(turn, piece);
}

// Who that is, or was; nobody, if it was in an earlier run or is gone long ago.
std::optional<Suspects::Suspect> Swarm::who_is(PeerHandle sender) const {
  if (const Peer* peer = peers_.find(sender)) return Suspects::Suspect{peer->key, peer->endpoint.address};
  const Suspects::Suspect* gone = suspects_.find(sender);
  return gone != nullptr ? std::optional{*gone} : std::nullopt;
}

void Swarm::blame(Turn& turn, PeerHandle sender, std::uint32_t blocks) {
  const auto who = who_is(sender);
  if (!who) return;
  Suspects::Guilt& guilt = suspects_.guilt(who->key);
  guilt.blocks += blocks;
  if (guilt.blocks >= limits::bad_blocks_before_ban) ban(turn, *who, guilt.blocks);
}

void Swarm::ban(Turn& turn, const Suspects::Suspect& who, std::uint32_t blocks) {
  // Two connections may both have shown it, before one of them is closed.
  const bool known = roster_.banned(who.key, who.address);
  roster_.ban(who.key, who.address);
  if (!known) event(turn, What::peer_banned, blocks);
  std::vector<PeerHandle> here;
  peers_.for_each([&](PeerHandle handle, const Peer& peer) {
    if (peer.up() && peer.key == who.key) here.push_back(handle);
  });
  for (const PeerHandle handle : here) drop(turn, handle, Roster::Why::misbehaved);
}

// Nobody tells: the piece is fetched anew.
void Swarm::give_up_leaves(Turn& turn, std::uint32_t piece) {
  auto node = leaves_wanted_.extract(piece);
  switch (node.mapped().why) {
    case LeavesWanted::Why::ahead:
      break;  // the piece is judged as a whole
    case LeavesWanted::Why::failed: {
      const auto leaves = work_->map.leaves(piece);
      try_again(turn, piece, {work_->map.senders(piece), {leaves.begin(), leaves.end()}});
      break;
    }
    case LeavesWanted::Why::salvage:
      work_->map.restore(piece, {}, {});
      break;
  }
}

}  // namespace shoal::swarm
