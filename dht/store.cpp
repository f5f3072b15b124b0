// The store of records. See store.hpp for its checks, shelf.hpp for what goes when it is full.
#include "dht/store.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::dht {
namespace {

// A record's contribution to the digest. Signatures are as good as random.
std::uint64_t mark_of(ByteView record) {
  return load_be<std::uint64_t>(record.data() + record_bytes - 64) * 0x9E3779B97F4A7C15ULL;
}

bool past(ByteView record, WallTime wall) {
  return read_header(record).expiry + record_clock_tolerance <= wall;
}

}  // namespace

Store::Store(const ByteArray<32>& secret, const Key& position, std::uint32_t room,
             const crypto::SignatureScheme& scheme)
    : shelf_(secret, position, {room, key_capacity, network_share, overdue}), scheme_(&scheme) {
  SHOAL_CHECK(room <= capacity);
}

void Store::insert(Now now, const Key& key, ByteView record, std::uint64_t network) {
  const Instant end = now.mono + (keep_until(read_header(record).expiry, now.wall) - now.wall);
  const Index index = shelf_.insert(now.mono, key, network, end);
  if (records_.size() < shelf_.places()) records_.resize(shelf_.places());
  records_[index] = std::make_unique<ByteArray<record_bytes>>(to_array<record_bytes>(record));
  digest_ ^= mark_of(record);
}

void Store::remove(Index index) {
  digest_ ^= mark_of(at(index));
  shelf_.remove(index);
  records_[index].reset();
}

Store::Index Store::find(const Key& key, const crypto::PublicKey& announcer) const {
  for (Index i = shelf_.first(key); i != Shelf::none; i = shelf_.next(i))
    if (read_header(at(i)).announcer == announcer) return i;
  return Shelf::none;
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
  const Succession order = previous == Shelf::none ? Succession::newer : succession(at(previous), record);
  if (order == Succession::stale) return fail(Code::exists, "a record's sequence rises");
  if (order == Succession::conflicting) return fail(Code::exists, "one sequence names one record");
  if (!commitment_matches(record, salt, from.address))
    return fail(Code::mismatch, "a record is put from the address it commits to");
  if (order == Succession::repeated) return {};

  const std::uint64_t network = shelf_.network_of(from.address);
  const auto leaving = shelf_.make_room(now.mono, key, network, previous);
  if (!leaving) return std::unexpected(leaving.error());
  // A refresh has a claim only from where its record came, or whoever read it could spend the refreshers'
  // share.
  const bool due = previous != Shelf::none && shelf_.network_of(previous) == network &&
                   now.mono - shelf_.stored(previous) >= PutRate::refresh_age;
  if (!rate_.admit_signatures(now.mono, due ? PutRate::Kind::due_refresh : PutRate::Kind::newcomer)) {
    ++counts_.over_rate;
    return fail(Code::busy, "signatures are checked at a bounded rate");
  }
  ++counts_.verified;
  if (auto genuine = check_signatures(record, *scheme_); !genuine) return genuine;
  if (*leaving != Shelf::none) {
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
  if (left == 0) return;
  for (const Index i : shelf_.sample(now.mono, key, random)) {
    if (left-- == 0) break;
    out.emplace_back(at(i));
  }
}

std::size_t Store::count(Now now, const Key& key) const {
  const auto own = own_.find(key);
  return (own != own_.end() && !past(own->second, now.wall) ? 1 : 0) + shelf_.count(now.mono, key);
}

Result<void> Store::hold(const Key& key, Bytes record) {
  if (record.size() != record_bytes) return fail(Code::malformed, "a record has 368 bytes");
  if (own_.size() >= held_capacity && !own_.contains(key))
    return fail(Code::busy, "a node holds 32768 announcements of its own");
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
  for (Index i = shelf_.ended(now.mono); i != Shelf::none; i = shelf_.ended(now.mono)) {
    remove(i);
    ++counts_.expired;
  }
}

std::uint64_t Store::digest() const {
  return digest_ ^ (std::uint64_t{size()} << 32) ^ own_.size() ^ shelf_.position().word(0);
}

std::vector<std::pair<Key, Bytes>> Store::dump() const {
  std::vector<std::pair<Key, Bytes>> out;
  out.reserve(own_.size() + size());
  for (const auto& [key, record] : own_) out.emplace_back(key, record);
  shelf_.for_each([&](Index i) { out.emplace_back(shelf_.key_of(i), to_vector(at(i))); });
  return out;
}

}  // namespace shoal::dht
