// Cost of a pick. A peer stays on its piece, so most picks are one look at that piece. When it is used up
// (once a piece a peer), the picker looks at up to partial_looks partial pieces, then for a new one: a seed
// takes the first of the rarest; for a leech up to rare_looks pieces are tried from the rarest on, and if it
// has none of these (it has few, or only common ones), the words of its bitfield are intersected with those
// of the startable pieces: 1,600 words at 100,000 pieces, and the rarest of a sample is taken. A peer for
// which nothing is left is remembered as starved until the map's supply changes. A state change of a piece
// touches each leech once, for its interest count.
#include "swarm/picker.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t none = PieceMap::no_id;
constexpr std::uint32_t partial_looks = 64;   // more would be walked again for every piece begun
constexpr std::uint32_t rare_looks = 128;     // beyond that the bitfield walk is as cheap
constexpr std::uint32_t sample = 64;          // enough to hit the rarest percent with probability 1/2
constexpr std::uint32_t endgame_looks = 256;  // oldest first, so the first few nearly always do
constexpr std::uint32_t deadline_looks = 64;

}  // namespace

Picker::Picker(PieceMap& map, Random random)
    : map_(&map),
      random_(random.fork("picker")),
      available_(map.pieces(), 0),
      levels_(map.pieces(), Level::normal),
      startable_(3, Bitfield{map.pieces()}),
      lacking_(map.pieces()) {
  for (const char* label : {"low", "normal", "high"}) orders_.emplace_back(random.fork(label));
  for (RarityOrder& order : orders_) order.resize(map.pieces());
  map_->clear_changes();
  for (std::uint32_t piece = 0; piece < map.pieces(); ++piece) sync_piece(piece);
}

// ---- what changed in the map

RarityOrder& Picker::order_of(std::uint32_t piece) {
  return orders_[static_cast<std::size_t>(levels_[piece])];
}

void Picker::sync() {
  if (map_->changes().empty()) return;
  for (const std::uint32_t piece : map_->changes()) sync_piece(piece);
  map_->clear_changes();
}

void Picker::sync_piece(std::uint32_t piece) {
  const PieceState state = map_->state(piece);
  const bool needed = state == PieceState::missing || state == PieceState::partial;
  const bool lacking = map_->wanted(piece) && needed;
  const bool startable = lacking && state == PieceState::missing && !map_->reserved(piece);
  RarityOrder& order = order_of(piece);
  Bitfield& bits = startable_[static_cast<std::size_t>(levels_[piece])];
  if (startable != order.contains(piece)) {
    if (startable) {
      order.insert(piece, available_[piece]);
      bits.set(piece);
    } else {
      order.erase(piece);
      bits.reset(piece);
    }
  }
  if (lacking == lacking_.test(piece)) return;
  if (lacking) {
    lacking_.set(piece);
  } else {
    lacking_.reset(piece);
  }
  for (PeerEntry& peer : peers_)
    if (peer.generation != 0 && !peer.seed && peer.pieces.test(piece)) peer.interesting += lacking ? 1U : ~0U;
}

// ---- what the peers have

const Picker::PeerEntry* Picker::find(PeerHandle peer) const {
  if (!peer || peer.index >= peers_.size()) return nullptr;
  return peers_[peer.index].generation == peer.generation ? &peers_[peer.index] : nullptr;
}
Picker::PeerEntry* Picker::find(PeerHandle peer) {
  return const_cast<PeerEntry*>(std::as_const(*this).find(peer));
}

void Picker::shift_availability(std::uint32_t piece, int by) {
  available_[piece] = static_cast<std::uint16_t>(available_[piece] + by);
  RarityOrder& order = order_of(piece);
  if (order.contains(piece)) order.move(piece, available_[piece]);
}

void Picker::count_availability(PeerEntry& peer, int sign) {
  peer.pieces.for_each([&](std::uint32_t piece) { shift_availability(piece, sign); });
}

void Picker::add_peer(PeerHandle peer, Bitfield pieces) {
  SHOAL_CHECK(peer && pieces.size() == map_->pieces());
  sync();
  if (peer.index >= peers_.size()) peers_.resize(peer.index + 1);
  PeerEntry& entry = peers_[peer.index];
  if (entry.generation != 0) remove_peer({.index = peer.index, .generation = entry.generation});
  entry.generation = peer.generation;
  if (pieces.all()) {
    entry.seed = true;
    ++seeds_;
    return;
  }
  entry.pieces = std::move(pieces);
  entry.interesting = common(entry.pieces, lacking_);
  count_availability(entry, 1);
}

void Picker::remove_peer(PeerHandle peer) {
  PeerEntry* entry = find(peer);
  if (entry == nullptr) return;
  if (entry->seed) {
    --seeds_;
  } else {
    count_availability(*entry, -1);
  }
  *entry = PeerEntry{};
}

void Picker::become_seed(PeerEntry& peer) {
  count_availability(peer, -1);
  peer.pieces = Bitfield{};
  peer.seed = true;
  ++seeds_;
}

std::uint32_t Picker::rarest() const {
  const auto least = std::min_element(available_.begin(), available_.end());
  return seeds_ + (least == available_.end() ? 0 : *least);
}

bool Picker::peer_has(PeerHandle peer, std::uint32_t piece) {
  SHOAL_CHECK(piece < map_->pieces());
  PeerEntry* entry = find(peer);
  if (entry == nullptr || entry->seed || entry->pieces.test(piece)) return false;
  sync();
  entry->pieces.set(piece);
  entry->starved = 0;
  if (lacking_.test(piece)) ++entry->interesting;
  shift_availability(piece, 1);
  if (entry->pieces.all() && !entry->unreliable) become_seed(*entry);
  return true;
}

void Picker::peer_lacks(PeerHandle peer, std::uint32_t piece) {
  SHOAL_CHECK(piece < map_->pieces());
  PeerEntry* entry = find(peer);
  if (entry == nullptr || !holds(*entry, piece)) return;
  sync();
  entry->unreliable = true;
  if (entry->seed) {
    entry->seed = false;
    --seeds_;
    entry->pieces = Bitfield{map_->pieces()};
    entry->pieces.set_all();
    entry->interesting = lacking_.count();
    count_availability(*entry, 1);
  }
  entry->pieces.reset(piece);
  if (lacking_.test(piece)) --entry->interesting;
  shift_availability(piece, -1);
}

bool Picker::has(PeerHandle peer, std::uint32_t piece) const {
  const PeerEntry* entry = find(peer);
  return entry != nullptr && piece < map_->pieces() && holds(*entry, piece);
}

bool Picker::is_seed(PeerHandle peer) const {
  const PeerEntry* entry = find(peer);
  return entry != nullptr && (entry->seed || entry->pieces.all());
}

std::uint32_t Picker::pieces_of(PeerHandle peer) const {
  const PeerEntry* entry = find(peer);
  if (entry == nullptr) return 0;
  return entry->seed ? map_->pieces() : entry->pieces.count();
}

std::uint32_t Picker::interesting(PeerHandle peer) {
  sync();
  const PeerEntry* entry = find(peer);
  if (entry == nullptr) return 0;
  return entry->seed ? lacking_.count() : entry->interesting;
}

std::uint32_t Picker::availability(std::uint32_t piece) const { return available_[piece] + seeds_; }

// ---- choosing

std::uint32_t Picker::pick(const Ask& ask, std::vector<BlockRef>& out) {
  PeerEntry* peer = find(ask.peer);
  if (peer == nullptr || ask.want == 0) return 0;
  sync();
  if (lacking_.none()) return 0;
  std::uint32_t left = ask.want;
  if (ask.unjudged > 0) {
    left -= of_few_pieces(*peer, ask, out);
  } else if (peer->starved != map_->supply()) {
    left -= from_deadlines(*peer, ask, left, out);
    if (left > 0 && peer->on != none) left -= take(*peer, ask, peer->on, left, out);
    if (left > 0) left -= from_partials(*peer, ask, left, Join::helpful, out);
    bool full = false;  // the bound of detail records stands in the way of a new piece
    if (left > 0) left -= from_new(*peer, ask, left, full, out);
    if (left > 0) left -= from_partials(*peer, ask, left, Join::any, out);
    if (left > 0 && !full) peer->starved = map_->supply();
  }
  if (left > 0 && endgame()) left -= from_requests(*peer, ask, left, out);
  return ask.want - left;
}

// What nobody wants any more, what the peer does not have, and what is tried again, which is somebody else's
// business, would never be judged for all that this peer does.
bool Picker::awaits_judgement(const PeerEntry& peer, std::uint32_t piece) const {
  if (piece == none || !holds(peer, piece) || !map_->wanted(piece) || map_->reserved(piece)) return false;
  const PieceState state = map_->state(piece);
  return state == PieceState::partial || state == PieceState::complete;
}
std::uint32_t Picker::unjudged(const PeerEntry& peer) const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      peer.unjudged, [&](std::uint32_t piece) { return awaits_judgement(peer, piece); }));
}
std::uint32_t Picker::unjudged(PeerHandle peer) const {
  const PeerEntry* entry = find(peer);
  return entry == nullptr ? 0 : unjudged(*entry);
}

// That it was asked for that piece, in the place of one that is judged.
void Picker::remember(PeerEntry& peer, std::uint32_t piece) {
  auto& all = peer.unjudged;
  if (std::ranges::find(all, piece) != all.end()) return;
  const auto over = std::ranges::find_if_not(all, [&](auto each) { return awaits_judgement(peer, each); });
  *(over == all.end() ? all.begin() : over) = piece;
}

std::uint32_t Picker::of_few_pieces(PeerEntry& peer, const Ask& ask, std::vector<BlockRef>& out) {
  std::uint32_t taken = 0;
  for (const std::uint32_t piece : peer.unjudged)
    if (taken < ask.want && awaits_judgement(peer, piece))
      taken += take(peer, ask, piece, ask.want - taken, out);
  while (taken < ask.want && unjudged(peer) < ask.unjudged) {
    bool full = false;
    std::uint32_t begun = from_deadlines(peer, ask, 1, out);
    if (begun == 0) begun = from_new(peer, ask, 1, full, out);
    if (begun == 0) begun = from_partials(peer, ask, 1, Join::any, out);
    if (begun == 0) break;
    ++taken;
    taken += take(peer, ask, out.back().piece, ask.want - taken, out);
  }
  return taken;
}

// Free blocks of one piece, if the peer has it and we want it.
std::uint32_t Picker::take(PeerEntry& peer, const Ask& ask, std::uint32_t piece, std::uint32_t want,
                           std::vector<BlockRef>& out) {
  ++steps_;
  const PieceState state = map_->state(piece);
  const bool wanted = map_->wanted(piece) && !map_->reserved(piece) &&
                      (state == PieceState::missing || state == PieceState::partial);
  const std::uint32_t taken =
      wanted && holds(peer, piece) ? map_->request_free(piece, ask.peer, ask.speed, want, out) : 0;
  const bool more = taken > 0 && map_->summary(piece).free > 0;
  if (more) {
    peer.on = piece;
  } else if (peer.on == piece) {
    peer.on = none;
  }
  if (taken > 0) {
    remember(peer, piece);
    sync();
  }
  return taken;
}

std::uint32_t Picker::from_deadlines(PeerEntry& peer, const Ask& ask, std::uint32_t want,
                                     std::vector<BlockRef>& out) {
  if (deadlines_.empty()) return 0;
  const auto done = [&](std::uint32_t piece) { return !lacking_.test(piece); };
  const auto first = std::find_if_not(deadlines_.begin(), deadlines_.end(), done);
  deadlines_.erase(deadlines_.begin(), first);
  std::uint32_t taken = 0;
  const std::size_t looks = std::min<std::size_t>(deadlines_.size(), deadline_looks);
  for (std::size_t i = 0; i < looks && taken < want; ++i)
    taken += take(peer, ask, deadlines_[i], want - taken, out);
  return taken;
}

// Partial pieces: first those that nobody works on, then those with least left. With Join::helpful, pieces in
// work are left to their peers unless these need long and we are no slower by half; with Join::any there is
// nothing else for this peer, and an idle peer helps nobody.
std::uint32_t Picker::from_partials(PeerEntry& peer, const Ask& ask, std::uint32_t want, Join join,
                                    std::vector<BlockRef>& out) {
  std::uint32_t taken = 0;
  while (taken < want) {
    const auto open = map_->open_pieces();
    if (open.empty()) break;
    const std::size_t looks =
        join == Join::any ? open.size() : std::min<std::size_t>(open.size(), partial_looks);
    std::uint32_t best = none;
    std::pair<bool, std::uint32_t> best_rank{};
    for (std::size_t i = 0; i < looks; ++i) {
      ++steps_;
      const std::uint32_t piece = open[(turn_ + i) % open.size()];
      if (!holds(peer, piece)) continue;
      const PieceMap::Summary now = map_->summary(piece);
      const double left_bytes = static_cast<double>(now.free) * storage::block_bytes;
      const bool helpful = now.requested == 0 || (ask.speed * 2 >= now.speed &&
                                                  left_bytes > now.speed * seconds(limits::join_after));
      if (join == Join::helpful && !helpful) continue;
      const std::pair<bool, std::uint32_t> rank{now.requested > 0, now.free};
      if (best != none && best_rank <= rank) continue;
      best = piece;
      best_rank = rank;
    }
    turn_ = static_cast<std::uint32_t>((turn_ + looks) % open.size());
    if (best == none) break;
    taken += take(peer, ask, best, want - taken, out);
  }
  return taken;
}

std::uint32_t Picker::from_new(PeerEntry& peer, const Ask& ask, std::uint32_t want, bool& full,
                               std::vector<BlockRef>& out) {
  std::uint32_t taken = 0;
  for (const Level level : {Level::high, Level::normal, Level::low}) {
    RarityOrder& order = orders_[static_cast<std::size_t>(level)];
    while (taken < want && !order.empty()) {
      const bool at_random = !peer.seed && map_->verified_count() < limits::random_first_pieces &&
                             map_->pieces() >= limits::random_first_least;
      const std::uint32_t piece = at_random ? sampled(peer, level, 1) : rarest(peer, level);
      if (piece == none) break;
      const std::uint32_t blocks = map_->content().blocks_in(piece);
      if (map_->partial_blocks() > 0 && map_->partial_blocks() + blocks > limits::max_partial_blocks) {
        full = true;
        return taken;
      }
      taken += take(peer, ask, piece, want - taken, out);
    }
  }
  return taken;
}

// The rarest startable piece that the peer has; beyond rare_looks the rarest of a sample.
std::uint32_t Picker::rarest(const PeerEntry& peer, Level level) {
  const RarityOrder& order = orders_[static_cast<std::size_t>(level)];
  std::uint32_t looks = rare_looks;
  for (std::uint32_t b = peer.seed ? 0 : 1; b < order.buckets(); ++b) {  // no leech has a piece of bucket 0
    const auto bucket = order.bucket(b);
    if (bucket.empty()) continue;
    const std::size_t start = static_cast<std::size_t>(random_.below(bucket.size()));
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      if (looks-- == 0) return sampled(peer, level, sample);
      ++steps_;
      const std::uint32_t piece = bucket[(start + i) % bucket.size()];
      if (holds(peer, piece)) return piece;
    }
  }
  return none;
}

// Of up to `most` startable pieces of a leech, found from a random place on, the rarest.
std::uint32_t Picker::sampled(const PeerEntry& peer, Level level, std::uint32_t most) {
  const Bitfield& bits = startable_[static_cast<std::size_t>(level)];
  const std::uint32_t size = bits.words();
  const auto start = static_cast<std::uint32_t>(random_.below(size));
  std::uint32_t best = none, seen = 0, equals = 0;
  for (std::uint32_t i = 0; i < size && seen < most; ++i) {
    ++steps_;
    const std::uint32_t index = (start + i) % size;
    std::uint64_t left = bits.word(index) & peer.pieces.word(index);
    const int turn = left == 0 ? 0 : static_cast<int>(random_.below(64));  // not always the first of the word
    left = std::rotl(left, turn);
    for (; left != 0 && seen < most; ++seen) {
      ++steps_;
      const int lead = std::countl_zero(left);
      left &= ~(std::uint64_t{1} << (63 - lead));
      const std::uint32_t piece = index * 64 + static_cast<std::uint32_t>((lead + turn) % 64);
      if (best != none && available_[piece] > available_[best]) continue;
      equals = best != none && available_[piece] == available_[best] ? equals + 1 : 1;
      if (equals == 1 || random_.below(equals) == 0) best = piece;
    }
  }
  return best;
}

std::uint32_t Picker::from_requests(PeerEntry& peer, const Ask& ask, std::uint32_t want,
                                    std::vector<BlockRef>& out) {
  const std::uint32_t most = ask.outstanding + (ask.want - want);
  if (most >= limits::endgame_outstanding) return 0;
  want = std::min(want, limits::endgame_outstanding - most);
  std::uint32_t taken = 0, looks = 0;
  for (std::uint32_t id = map_->oldest_request(); id != none && taken < want && looks < endgame_looks;
       ++looks) {
    const std::uint32_t next = map_->request_after(id);
    const BlockRef block = map_->request_at(id);
    const bool may = ask.unjudged == 0 || unjudged(peer) < ask.unjudged ||
                     std::ranges::find(peer.unjudged, block.piece) != peer.unjudged.end();
    if (may && map_->wanted(block.piece) && holds(peer, block.piece) &&
        map_->request_again(block, ask.peer)) {
      out.push_back(block);
      remember(peer, block.piece);
      ++taken;
    }
    id = next;
  }
  steps_ += looks;
  return taken;
}

// No wanted missing piece is held by anybody: bucket 0 is what no leech has.
bool Picker::nothing_new() const {
  return std::all_of(orders_.begin(), orders_.end(), [&](const RarityOrder& order) {
    return order.empty() || (seeds_ == 0 && order.bucket(0).size() == order.size());
  });
}

bool Picker::endgame() {
  sync();
  if (map_->requested_blocks() == 0) return false;
  if (map_->free_blocks() == 0) return true;
  if (!nothing_new()) return false;
  const auto open = map_->open_pieces();
  return std::all_of(open.begin(), open.end(), [&](std::uint32_t piece) { return availability(piece) == 0; });
}

void Picker::set_priority(std::uint32_t file, Priority priority) {
  sync();
  const storage::ContentFile& entry = map_->content().files[file];
  map_->set_wanted(file, priority != Priority::unwanted);
  if (priority != Priority::unwanted) {
    const auto level = static_cast<Level>(static_cast<int>(priority) - 1);
    for (std::uint32_t piece = entry.first_piece; piece < entry.first_piece + entry.pieces; ++piece) {
      if (order_of(piece).contains(piece)) {
        order_of(piece).erase(piece);
        startable_[static_cast<std::size_t>(levels_[piece])].reset(piece);
      }
      levels_[piece] = level;
      sync_piece(piece);
    }
  }
  sync();
}

void Picker::set_deadlines(std::span<const std::uint32_t> pieces) {
  const std::size_t most = std::min<std::size_t>(pieces.size(), limits::max_deadlines);
  deadlines_.clear();
  for (const std::uint32_t piece : pieces.first(most))
    if (piece < map_->pieces()) deadlines_.push_back(piece);
}

std::uint64_t Picker::steps() const {
  std::uint64_t out = steps_;
  for (const RarityOrder& order : orders_) out += order.steps();
  return out;
}

void Picker::check_invariants() {
  sync();
  std::uint32_t seeds = 0;
  std::vector<std::uint16_t> available(map_->pieces(), 0);
  for (const PeerEntry& peer : peers_) {
    if (peer.generation == 0) continue;
    seeds += peer.seed ? 1 : 0;
    if (peer.seed) continue;
    SHOAL_CHECK(peer.interesting == common(peer.pieces, lacking_));
    peer.pieces.for_each([&](std::uint32_t piece) { ++available[piece]; });
  }
  SHOAL_CHECK(seeds == seeds_ && available == available_);
  std::size_t startable = 0;
  for (std::uint32_t piece = 0; piece < map_->pieces(); ++piece) {
    const PieceState state = map_->state(piece);
    const bool needed = state == PieceState::missing || state == PieceState::partial;
    SHOAL_CHECK(lacking_.test(piece) == (map_->wanted(piece) && needed));
    const bool start = lacking_.test(piece) && state == PieceState::missing && !map_->reserved(piece);
    SHOAL_CHECK(order_of(piece).contains(piece) == start);
    SHOAL_CHECK(startable_[static_cast<std::size_t>(levels_[piece])].test(piece) == start);
    startable += start ? 1 : 0;
  }
  for (const RarityOrder& order : orders_) {
    startable -= order.size();
    for (std::uint32_t b = 0; b < order.buckets(); ++b)
      for (const std::uint32_t piece : order.bucket(b))
        SHOAL_CHECK(b == std::min<std::uint32_t>(available_[piece], RarityOrder::most_availability));
  }
  SHOAL_CHECK(startable == 0);
}

}  // namespace shoal::swarm
