// The store of records. See store.hpp for its limits and for what goes when it is full.
#include "dht/store.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "dht/base/check.hpp"

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

// A record's contribution to the digest. Signatures are as good as random.
std::uint64_t mark_of(ByteView record) {
  return load_be<std::uint64_t>(record.data() + record_bytes - 64) * 0x9E3779B97F4A7C15ULL;
}

bool past(ByteView record, WallTime wall) {
  return read_header(record).expiry + record_clock_tolerance <= wall;
}

}  // namespace

struct Store::Entry {
  struct Link {
    Index previous = none, next = none;
  };
  ByteArray<record_bytes> bytes;
  Rooms::iterator room;
  Networks::iterator network;
  Ends::iterator ending;
  Instant stored, end;
  std::array<Link, list_kinds> links;  // in the order of lists_of
  std::uint16_t rank = 0;
};

// The order of a record's lists. The key's and the network's are walked by others.
namespace {
constexpr std::size_t by_key = 0;
constexpr std::size_t by_rank = 1;
}  // namespace

Store::Store(const ByteArray<32>& secret, const Key& position, std::uint32_t room,
             const crypto::SignatureScheme& scheme)
    : secret_(secret), position_(position), capacity_(room), scheme_(&scheme) {
  SHOAL_CHECK(room >= 1 && room <= capacity);
}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

Store::Entry& Store::at(Index index) { return *entries_[index]; }
const Store::Entry& Store::at(Index index) const { return *entries_[index]; }

// ---- the four lists of a record

std::array<Store::List*, Store::list_kinds> Store::lists_of(const Entry& entry) {
  return {&entry.room->second, &ranks_[entry.rank], &entry.network->second, &entry.ending->second};
}

// With a list for it.
std::uint16_t Store::rank_of(const Key& key) {
  const auto rank = static_cast<std::size_t>(shared_prefix(position_, key));
  if (rank >= ranks_.size()) ranks_.resize(rank + 1);
  return static_cast<std::uint16_t>(rank);
}

void Store::append_to(List& list, std::size_t kind, Index index) {
  at(index).links[kind] = {list.last, none};
  (list.last == none ? list.first : at(list.last).links[kind].next) = index;
  list.last = index;
  ++list.count;
}

void Store::take_from(List& list, std::size_t kind, Index index) {
  const Entry::Link link = at(index).links[kind];
  (link.previous == none ? list.first : at(link.previous).links[kind].next) = link.next;
  (link.next == none ? list.last : at(link.next).links[kind].previous) = link.previous;
  --list.count;
}

// Keeps large_ true after a network's count has changed from `before`.
void Store::recount(Networks::const_iterator network, std::uint32_t before) {
  if (!stranger(network->first)) return;
  if (before > 1) large_.erase({before, network->first});
  if (network->second.count > 1) large_.emplace(network->second.count, network->first);
}

void Store::insert(Now now, const Key& key, ByteView record, std::uint64_t network) {
  if (free_.empty()) {
    free_.push_back(static_cast<Index>(entries_.size()));
    entries_.emplace_back();
  }
  const Index index = free_.back();
  free_.pop_back();
  entries_[index] = std::make_unique<Entry>();
  Entry& entry = at(index);
  std::copy(record.begin(), record.end(), entry.bytes.begin());
  entry.room = rooms_.try_emplace(key).first;
  entry.network = networks_.try_emplace(network).first;
  entry.rank = rank_of(key);
  entry.stored = now.mono;
  entry.end = now.mono + (keep_until(read_header(record).expiry, now.wall) - now.wall);
  entry.ending = ends_.try_emplace(minute_after(entry.end)).first;
  const std::uint32_t before = entry.network->second.count;
  const auto lists = lists_of(entry);
  for (std::size_t kind = 0; kind < list_kinds; ++kind) append_to(*lists[kind], kind, index);
  recount(entry.network, before);
  ++size_;
  digest_ ^= mark_of(entry.bytes);
}

void Store::remove(Index index) {
  Entry& entry = at(index);
  digest_ ^= mark_of(entry.bytes);
  const std::uint32_t before = entry.network->second.count;
  const auto lists = lists_of(entry);
  for (std::size_t kind = 0; kind < list_kinds; ++kind) take_from(*lists[kind], kind, index);
  recount(entry.network, before);
  if (entry.room->second.count == 0) rooms_.erase(entry.room);
  if (entry.network->second.count == 0) networks_.erase(entry.network);
  if (entry.ending->second.count == 0) ends_.erase(entry.ending);
  entries_[index].reset();
  free_.push_back(index);
  --size_;
}

// ---- admission

std::uint64_t Store::network_of(const IpAddress& address) const {
  static constexpr std::string_view label = "shoal store network";
  const bool global = address.global();
  // Neighbours on a LAN are told apart singly and not limited; strangers count by network.
  const IpAddress counted = global ? address.network() : address;
  ByteArray<label.size() + 17> message;
  std::uint8_t* to = std::copy(label.begin(), label.end(), message.data());
  *to++ = static_cast<std::uint8_t>(counted.family);
  std::copy(counted.bytes.begin(), counted.bytes.end(), to);
  const auto hash = load_be<std::uint64_t>(crypto::blake2b<8>(message, secret_).data());
  return (hash & ~std::uint64_t{1}) | (global ? 1 : 0);
}

Store::Index Store::find(const Key& key, const crypto::PublicKey& announcer) const {
  const auto room = rooms_.find(key);
  if (room == rooms_.end()) return none;
  for (Index i = room->second.first; i != none; i = at(i).links[by_key].next)
    if (read_header(at(i).bytes).announcer == announcer) return i;
  return none;
}

// Which record of a full key goes for one of `network`, or none. Diversity first: the network with most
// records gives its oldest, if the newcomer's stays smaller than it; failing that, the oldest if its refresh
// is overdue.
Store::Index Store::victim_of_key(Now now, const List& room, std::uint64_t network) const {
  struct Group {
    std::uint64_t network;
    Index oldest;
    std::uint32_t count;
  };
  std::array<Group, key_capacity> groups{};
  std::size_t known = 0;
  std::uint32_t ours = 0;
  for (Index i = room.first; i != none; i = at(i).links[by_key].next) {
    const std::uint64_t its = at(i).network->first;
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
  return now.mono - at(room.first).stored >= overdue ? room.first : none;
}

// Which record of a full store goes for one of `network` under `key`, or none. Networks are levelled first:
// the largest gives its oldest, or the newcomer's own if none is larger. Where every network has one record
// at most, or nobody is a stranger, distance decides.
Store::Index Store::victim_of_store(const Key& key, std::uint64_t network) const {
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

// The record that leaves when one of `network` comes under `key`: the one it replaces, a victim, or none
// where there is room. Fails where it may not come. Changes nothing, since the signatures are checked after.
Result<Store::Index> Store::make_room(Now now, const Key& key, std::uint64_t network, Index replaced) const {
  const auto room = rooms_.find(key);
  if (room != rooms_.end() && stranger(network)) {
    std::uint32_t same = 0;
    for (Index i = room->second.first; i != none; i = at(i).links[by_key].next)
      if (i != replaced && at(i).network->first == network) ++same;
    if (same >= network_share) return fail(Code::busy, "one network has few records under a key");
  }
  if (replaced != none) return replaced;
  if (room != rooms_.end() && room->second.count >= key_capacity) {
    const Index victim = victim_of_key(now, room->second, network);
    if (victim == none) return fail(Code::busy, "the room of this key is taken");
    return victim;
  }
  if (size_ < capacity_) return none;
  const Index victim = victim_of_store(key, network);
  if (victim == none) return fail(Code::busy, "the store is full of records nearer to this node");
  return victim;
}

Result<void> Store::put(Now now, const Endpoint& from, const Key& key, ByteView record, const Salt& salt) {
  ++counts_.puts;
  expire(now);
  if (record.size() != record_bytes) return fail(Code::malformed, "a record has 368 bytes");
  if (!rate_.admit_source(now.mono, from.address)) {
    ++counts_.over_rate;
    return fail(Code::busy, "a source puts twice a second at most");
  }
  const auto header = check_header(record, key, now.wall);
  if (!header) return std::unexpected(header.error());
  const Index previous = find(key, header->announcer);
  const Succession order = previous == none ? Succession::newer : succession(at(previous).bytes, record);
  if (order == Succession::stale) return fail(Code::exists, "a record's sequence rises");
  if (order == Succession::conflicting) return fail(Code::exists, "one sequence names one record");
  if (!commitment_matches(record, salt, from.address))
    return fail(Code::mismatch, "a record is put from the address it commits to");
  if (order == Succession::repeated) return {};

  const std::uint64_t network = network_of(from.address);
  const auto leaving = make_room(now, key, network, previous);
  if (!leaving) return std::unexpected(leaving.error());
  // A refresh has a claim only from where its record came, or whoever read it could spend the refreshers'
  // share.
  const bool due = previous != none && at(previous).network->first == network &&
                   now.mono - at(previous).stored >= PutRate::refresh_age;
  if (!rate_.admit_signatures(now.mono, due ? PutRate::Kind::due_refresh : PutRate::Kind::newcomer)) {
    ++counts_.over_rate;
    return fail(Code::busy, "signatures are checked at a bounded rate");
  }
  ++counts_.verified;
  if (auto genuine = check_signatures(record, *scheme_); !genuine) return genuine;
  if (*leaving != none) {
    if (*leaving != previous) ++counts_.evicted;
    remove(*leaving);
  }
  insert(now, key, record, network);
  ++counts_.accepted;
  return {};
}

// ---- serving

void Store::get(Now now, const Key& key, std::size_t max_bytes, Random& random,
                std::vector<ByteView>& out) const {
  std::size_t left = max_bytes / record_bytes;
  const auto own = own_.find(key);
  if (left > 0 && own != own_.end() && !past(own->second, now.wall)) {
    out.emplace_back(own->second);
    --left;
  }
  const auto room = rooms_.find(key);
  if (room == rooms_.end() || left == 0) return;
  std::array<Index, key_capacity> places;
  std::size_t found = 0;
  for (Index i = room->second.first; i != none; i = at(i).links[by_key].next)
    if (at(i).end > now.mono) places[found++] = i;
  std::span<Index> sample{places.data(), found};
  random.shuffle(sample);
  // Round by round, one record of each network, so that a crowd in few networks does not hide the others.
  // Within its network a record's round is by chance; within a round the order is drawn anew, or large
  // networks would lead it.
  struct Turn {
    Index index;
    std::uint32_t round;
  };
  std::array<Turn, key_capacity> turns;
  for (std::size_t i = 0; i < found; ++i) {
    turns[i] = {sample[i], 0};
    for (std::size_t j = 0; j < i; ++j)
      if (at(sample[j]).network == at(sample[i]).network) ++turns[i].round;
  }
  std::span<Turn> order{turns.data(), found};
  random.shuffle(order);
  for (std::uint32_t round = 0; found > 0 && left > 0; ++round) {
    for (const Turn& turn : order) {
      if (turn.round != round || left == 0) continue;
      out.emplace_back(at(turn.index).bytes);
      --found, --left;
    }
  }
}

std::size_t Store::count(Now now, const Key& key) const {
  const auto own = own_.find(key);
  std::size_t total = own != own_.end() && !past(own->second, now.wall) ? 1 : 0;
  const auto room = rooms_.find(key);
  if (room == rooms_.end()) return total;
  for (Index i = room->second.first; i != none; i = at(i).links[by_key].next)
    if (at(i).end > now.mono) ++total;
  return total;
}

Result<void> Store::hold(const Key& key, Bytes record) {
  if (record.size() != record_bytes) return fail(Code::malformed, "a record has 368 bytes");
  if (own_.size() >= held_capacity && !own_.contains(key))
    return fail(Code::busy, "a node holds 4096 announcements of its own");
  forget(key);
  digest_ ^= ~mark_of(record);
  own_.emplace(key, std::move(record));
  return {};
}

void Store::forget(const Key& key) {
  const auto own = own_.find(key);
  if (own == own_.end()) return;
  digest_ ^= ~mark_of(own->second);
  own_.erase(own);
}

// ---- time and place

void Store::expire(Now now) {
  const std::int64_t current = minute_before(now.mono);
  while (!ends_.empty() && ends_.begin()->first <= current) {
    remove(ends_.begin()->second.first);
    ++counts_.expired;
  }
}

Instant Store::next_expiry() const { return ends_.empty() ? never : Instant{ends_.begin()->first * minute}; }

void Store::set_position(const Key& position) {
  if (position == position_) return;
  position_ = position;
  std::vector<std::pair<Instant, Index>> all;
  all.reserve(size_);
  for (List& list : ranks_) {
    for (Index i = list.first; i != none; i = at(i).links[by_rank].next) all.emplace_back(at(i).stored, i);
    list = {};
  }
  std::ranges::sort(all);  // each list is in order of age
  for (const auto& [stored, index] : all) {
    Entry& entry = at(index);
    entry.rank = rank_of(entry.room->first);
    append_to(ranks_[entry.rank], by_rank, index);
  }
}

std::uint64_t Store::digest() const {
  return digest_ ^ (std::uint64_t{size_} << 32) ^ own_.size() ^
         load_be<std::uint64_t>(position_.bytes.data());
}

std::vector<std::pair<Key, Bytes>> Store::dump() const {
  std::vector<std::pair<Key, Bytes>> out;
  out.reserve(own_.size() + size_);
  for (const auto& [key, record] : own_) out.emplace_back(key, record);
  for (const auto& [key, room] : rooms_)
    for (Index i = room.first; i != none; i = at(i).links[by_key].next)
      out.emplace_back(key, to_vector(at(i).bytes));
  return out;
}

}  // namespace shoal::dht
