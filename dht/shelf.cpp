// Lists and victims of a bounded store; see shelf.hpp.
#include "dht/shelf.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "dht/base/check.hpp"
#include "dht/base/crypto.hpp"

namespace shoal::dht {
namespace {

constexpr Duration minute = std::chrono::minutes{1};

std::int64_t minute_before(Instant time) {  // floor
  const Duration since = time.time_since_epoch();
  const std::int64_t quotient = since / minute;
  return since < quotient * minute ? quotient - 1 : quotient;
}
std::int64_t minute_after(Instant time) {  // ceiling
  return minute_before(time - Duration{1}) + 1;
}

bool stranger(std::uint64_t network) { return (network & 1) != 0; }

}  // namespace

Shelf::Shelf(const ByteArray<32>& secret, const Key& position, const Bounds& bounds)
    : secret_(secret), position_(position), bounds_(bounds) {
  SHOAL_CHECK(bounds.capacity >= 1 && bounds.key_capacity >= 1 && bounds.key_capacity <= key_capacity_most);
}

std::uint64_t Shelf::network_of(const IpAddress& address) const {
  static constexpr std::string_view label = "shoal store network";
  const bool global = address.global();
  const IpAddress counted = global ? address.network() : address;
  ByteArray<label.size() + 17> message;
  std::uint8_t* to = std::copy(label.begin(), label.end(), message.data());
  *to++ = static_cast<std::uint8_t>(counted.family);
  std::copy(counted.bytes.begin(), counted.bytes.end(), to);
  const auto hash = load_be<std::uint64_t>(crypto::blake2b<8>(message, secret_).data());
  return (hash & ~std::uint64_t{1}) | (global ? 1 : 0);
}

// ---- the four lists of a value

std::array<Shelf::List*, Shelf::list_kinds> Shelf::lists_of(const Slot& slot) {
  return {&slot.room->second, &ranks_[slot.rank], &slot.network->second, &slot.ending->second};
}

// With a list for it.
std::uint16_t Shelf::rank_of(const Key& key) {
  const auto rank = static_cast<std::size_t>(shared_prefix(position_, key));
  if (rank >= ranks_.size()) ranks_.resize(rank + 1);
  return static_cast<std::uint16_t>(rank);
}

void Shelf::append_to(List& list, std::size_t kind, Index index) {
  slots_[index].links[kind] = {list.last, none};
  (list.last == none ? list.first : slots_[list.last].links[kind].next) = index;
  list.last = index;
  ++list.count;
}

void Shelf::take_from(List& list, std::size_t kind, Index index) {
  const Link link = slots_[index].links[kind];
  (link.previous == none ? list.first : slots_[link.previous].links[kind].next) = link.next;
  (link.next == none ? list.last : slots_[link.next].links[kind].previous) = link.previous;
  --list.count;
}

// Keeps large_ true after a network's count has changed from `before`.
void Shelf::recount(Networks::const_iterator network, std::uint32_t before) {
  if (!stranger(network->first)) return;
  if (before > 1) large_.erase({before, network->first});
  if (network->second.count > 1) large_.emplace(network->second.count, network->first);
}

Shelf::Index Shelf::insert(Instant now, const Key& key, std::uint64_t network, Instant end) {
  if (free_.empty()) {
    free_.push_back(static_cast<Index>(slots_.size()));
    slots_.emplace_back();
  }
  const Index index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.room = rooms_.try_emplace(key).first;
  slot.network = networks_.try_emplace(network).first;
  slot.rank = rank_of(key);
  slot.stored = now;
  slot.end = end;
  slot.ending = ends_.try_emplace(minute_after(end)).first;
  const std::uint32_t before = slot.network->second.count;
  const auto lists = lists_of(slot);
  for (std::size_t kind = 0; kind < list_kinds; ++kind) append_to(*lists[kind], kind, index);
  recount(slot.network, before);
  ++size_;
  return index;
}

void Shelf::remove(Index index) {
  const Slot& slot = slots_[index];
  const std::uint32_t before = slot.network->second.count;
  const auto lists = lists_of(slot);
  for (std::size_t kind = 0; kind < list_kinds; ++kind) take_from(*lists[kind], kind, index);
  recount(slot.network, before);
  if (slot.room->second.count == 0) rooms_.erase(slot.room);
  if (slot.network->second.count == 0) networks_.erase(slot.network);
  if (slot.ending->second.count == 0) ends_.erase(slot.ending);
  free_.push_back(index);
  --size_;
}

// ---- who may come, and who goes

// Which value of a full key goes for one of `network`, or none. Diversity first: the network with most values
// gives its oldest, if the newcomer's stays smaller than it; failing that, the oldest if its refresh is
// overdue.
Shelf::Index Shelf::victim_of_key(Instant now, const List& room, std::uint64_t network) const {
  struct Group {
    std::uint64_t network;
    Index oldest;
    std::uint32_t count;
  };
  std::array<Group, key_capacity_most> groups;
  std::size_t known = 0;
  std::uint32_t ours = 0;
  for (Index i = room.first; i != none; i = next(i)) {
    const std::uint64_t its = network_of(i);
    if (its == network) ++ours;
    auto* const end = groups.data() + known;
    auto* const group = std::find_if(groups.data(), end, [its](const Group& g) { return g.network == its; });
    if (group != end) {
      ++group->count;
    } else {
      groups[known++] = {its, i, 1};
    }
  }
  const auto largest = std::max_element(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(known),
                                        [](const Group& a, const Group& b) { return a.count < b.count; });
  if (largest->count >= ours + 2) return largest->oldest;
  return now - stored(room.first) >= bounds_.overdue ? room.first : none;
}

// Which value of a full shelf goes for one of `network` under `key`, or none. Networks are levelled first:
// the largest gives its oldest, or the newcomer's own if none is larger. Where every network has one value at
// most, or nobody is a stranger, distance decides.
Shelf::Index Shelf::victim_of_all(const Key& key, std::uint64_t network) const {
  if (!large_.empty()) {
    const auto own = networks_.find(network);
    const bool own_largest =
        stranger(network) && own != networks_.end() && own->second.count >= large_.rbegin()->first;
    return own_largest ? own->second.first : networks_.find(large_.rbegin()->second)->second.first;
  }
  const auto rank = std::min(ranks_.size(), static_cast<std::size_t>(shared_prefix(position_, key)));
  for (std::size_t farther = 0; farther < rank; ++farther)
    if (ranks_[farther].count != 0) return ranks_[farther].first;
  return none;
}

Result<Shelf::Index> Shelf::make_room(Instant now, const Key& key, std::uint64_t network,
                                      Index replaced) const {
  const auto room = rooms_.find(key);
  if (room != rooms_.end() && stranger(network)) {
    std::uint32_t same = 0;
    for (Index i = room->second.first; i != none; i = next(i))
      if (i != replaced && network_of(i) == network) ++same;
    if (same >= bounds_.network_share) return fail(Code::busy, "one network has few places under a key");
  }
  if (replaced != none) return replaced;
  if (room != rooms_.end() && room->second.count >= bounds_.key_capacity) {
    const Index victim = victim_of_key(now, room->second, network);
    if (victim == none) return fail(Code::busy, "the room of this key is taken");
    return victim;
  }
  if (size_ < bounds_.capacity) return none;
  const Index victim = victim_of_all(key, network);
  if (victim == none) return fail(Code::busy, "the store is full of what is nearer to this node");
  return victim;
}

// ---- serving

Shelf::Index Shelf::first(const Key& key) const {
  const auto room = rooms_.find(key);
  return room == rooms_.end() ? none : room->second.first;
}

Shelf::Sample Shelf::sample(Instant now, const Key& key, Random& random) const {
  Sample out;
  for (Index i = first(key); i != none; i = next(i))
    if (slots_[i].end > now) out.push(i);
  std::span<Index> drawn{out.begin(), out.size()};
  random.shuffle(drawn);
  struct Turn {
    Index index;
    std::uint32_t round;
  };
  std::array<Turn, key_capacity_most> turns;
  std::span<Turn> order{turns.data(), out.size()};
  for (std::size_t i = 0; i < out.size(); ++i) {
    turns[i] = {out[i], 0};
    for (std::size_t j = 0; j < i; ++j)
      if (slots_[out[j]].network == slots_[out[i]].network) ++turns[i].round;
  }
  random.shuffle(order);
  std::size_t placed = 0;
  for (std::uint32_t round = 0; placed < out.size(); ++round)
    for (const Turn& turn : order)
      if (turn.round == round) out[placed++] = turn.index;
  return out;
}

std::size_t Shelf::count(Instant now, const Key& key) const {
  std::size_t total = 0;
  for (Index i = first(key); i != none; i = next(i))
    if (slots_[i].end > now) ++total;
  return total;
}

std::size_t Shelf::of_network(std::uint64_t network) const {
  const auto found = networks_.find(network);
  return found == networks_.end() ? 0 : found->second.count;
}

// ---- time and place

Shelf::Index Shelf::ended(Instant now) const {
  if (ends_.empty() || ends_.begin()->first > minute_before(now)) return none;
  return ends_.begin()->second.first;
}

Instant Shelf::next_expiry() const { return ends_.empty() ? never : Instant{ends_.begin()->first * minute}; }

void Shelf::set_position(const Key& position) {
  if (position == position_) return;
  position_ = position;
  std::vector<std::pair<Instant, Index>> all;
  all.reserve(size_);
  for (List& list : ranks_) {
    for (Index i = list.first; i != none; i = slots_[i].links[by_rank].next) all.emplace_back(stored(i), i);
    list = {};
  }
  std::ranges::sort(all);  // each list is in order of age
  for (const auto& [when, index] : all) {
    slots_[index].rank = rank_of(key_of(index));
    append_to(ranks_[slots_[index].rank], by_rank, index);
  }
}

}  // namespace shoal::dht
