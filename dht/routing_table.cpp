// The routing table; see routing_table.hpp for its invariants.
#include "dht/routing_table.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::dht {
namespace {

// Last sign of interest in an entry: what "stalest" orders by.
Instant last_touch(const Contact& contact) { return std::max(contact.asked, contact.answered); }

constexpr Duration rest_after_failure = std::chrono::seconds{10};  // one burst of loss should not count twice

void count_up(std::unordered_map<IpAddress, std::uint32_t>& counts, const IpAddress& address) {
  ++counts[address];
}
void count_down(std::unordered_map<IpAddress, std::uint32_t>& counts, const IpAddress& address) {
  const auto it = counts.find(address);
  SHOAL_CHECK(it != counts.end() && it->second > 0);
  if (--it->second == 0) counts.erase(it);
}
std::uint32_t count_of(const std::unordered_map<IpAddress, std::uint32_t>& counts, const IpAddress& address) {
  const auto it = counts.find(address);
  return it == counts.end() ? 0 : it->second;
}

}  // namespace

bool counted(const IpAddress& address) { return address.global(); }

std::size_t RoutingTable::bucket_room(int index) {
  return static_cast<std::size_t>(index) < std::size(limits::far_buckets) ? limits::far_buckets[index]
                                                                          : limits::k;
}

RoutingTable::Bucket& RoutingTable::bucket_of(const Key& id) {
  const int index = std::min(shared_prefix(own_, id), Key::bits - 1);
  if (buckets_.size() <= static_cast<std::size_t>(index))
    buckets_.resize(static_cast<std::size_t>(index) + 1);
  return buckets_[static_cast<std::size_t>(index)];
}

const RoutingTable::Bucket* RoutingTable::bucket_if(const Key& id) const {
  const auto index = static_cast<std::size_t>(shared_prefix(own_, id));
  return index < buckets_.size() ? &buckets_[index] : nullptr;
}

Contact* RoutingTable::entry(const Endpoint& endpoint) {
  return const_cast<Contact*>(std::as_const(*this).find(endpoint));
}

const Contact* RoutingTable::find(const Endpoint& endpoint) const {
  const auto id = ids_.find(endpoint);
  if (id == ids_.end()) return nullptr;
  const Bucket* bucket = bucket_if(id->second);
  SHOAL_CHECK(bucket != nullptr);
  for (const Contact& contact : bucket->entries)
    if (contact.endpoint == endpoint) return &contact;
  SHOAL_CHECK(false);
  return nullptr;
}

bool RoutingTable::crowded(const Bucket& bucket, const IpAddress& address) const {
  if (!counted(address)) return false;
  if (count_of(hosts_, address) > 0) return true;
  const IpAddress network = address.network();
  if (count_of(networks_, network) >= limits::per_network_in_table) return true;
  const auto same = std::count_if(bucket.entries.begin(), bucket.entries.end(), [&](const Contact& contact) {
    return contact.endpoint.address.network() == network;
  });
  return static_cast<std::size_t>(same) >= limits::per_network_in_bucket;
}

void RoutingTable::insert(Bucket& bucket, const Contact& contact) {
  bucket.entries.push_back(contact);
  ids_.emplace(contact.endpoint, contact.id);
  if (counted(contact.endpoint.address)) {
    count_up(hosts_, contact.endpoint.address);
    count_up(networks_, contact.endpoint.address.network());
  }
  ++size_;
}

void RoutingTable::erase(Bucket& bucket, std::size_t index) {
  const Endpoint endpoint = bucket.entries[index].endpoint;
  bucket.entries.erase(bucket.entries.begin() + static_cast<std::ptrdiff_t>(index));
  ids_.erase(endpoint);
  if (counted(endpoint.address)) {
    count_down(hosts_, endpoint.address);
    count_down(networks_, endpoint.address.network());
  }
  --size_;
}

void RoutingTable::forget_waiting(Bucket& bucket, const Key& id, const Endpoint& endpoint) {
  std::erase_if(bucket.waiting,
                [&](const Contact& contact) { return contact.id == id || contact.endpoint == endpoint; });
}

void RoutingTable::keep_waiting(Bucket& bucket, const Contact& contact) {
  forget_waiting(bucket, contact.id, contact.endpoint);
  if (bucket.waiting.size() >= limits::replacements) bucket.waiting.erase(bucket.waiting.begin());
  bucket.waiting.push_back(contact);
}

Admission RoutingTable::admit(const Contact& contact, Instant now) {
  if (contact.id == own_) return Admission::own;
  if (Contact* known = entry(contact.endpoint); known != nullptr) {
    if (known->id == contact.id) {
      known->public_key = contact.public_key;
      known->answered = contact.answered;
      known->answered_wall = contact.answered_wall;
      known->proven = contact.proven;
      known->failures = 0;
      return Admission::refreshed;
    }
    remove(contact.endpoint);
  }
  Bucket& bucket = bucket_of(contact.id);
  const auto same = std::find_if(bucket.entries.begin(), bucket.entries.end(),
                                 [&](const Contact& other) { return other.id == contact.id; });
  if (same != bucket.entries.end()) {
    if (same->failures == 0) {
      keep_waiting(bucket, contact);
      return Admission::moved;
    }
    erase(bucket, static_cast<std::size_t>(same - bucket.entries.begin()));
  }
  if (crowded(bucket, contact.endpoint.address)) return Admission::crowded;
  forget_waiting(bucket, contact.id, contact.endpoint);
  const auto index = static_cast<int>(&bucket - buckets_.data());
  if (bucket.entries.size() < bucket_room(index)) {
    if (bucket.entries.empty()) bucket.touched = now;
    insert(bucket, contact);
    return Admission::added;
  }
  const auto dead = std::find_if(bucket.entries.begin(), bucket.entries.end(), [](const Contact& other) {
    return other.failures >= limits::failures_to_evict;
  });
  if (dead != bucket.entries.end()) {
    erase(bucket, static_cast<std::size_t>(dead - bucket.entries.begin()));
    insert(bucket, contact);
    return Admission::replaced;
  }
  keep_waiting(bucket, contact);
  return Admission::waiting;
}

bool RoutingTable::has_room_for(const Key& id, const IpAddress& address) const {
  if (id == own_) return false;
  const Bucket* bucket = bucket_if(id);
  if (bucket == nullptr) return !counted(address) || !crowded(Bucket{}, address);
  if (crowded(*bucket, address)) return false;
  return bucket->entries.size() < bucket_room(shared_prefix(own_, id)) ||
         bucket->waiting.size() < limits::replacements;
}

bool RoutingTable::heard(const Endpoint& endpoint, const Key& id, Now now,
                         std::optional<Duration> round_trip) {
  Contact* contact = entry(endpoint);
  if (contact == nullptr || contact->id != id) return false;
  contact->answered = now.mono;
  contact->answered_wall = now.wall;
  contact->failures = 0;
  if (round_trip) contact->round_trip.sample(*round_trip);
  return true;
}

void RoutingTable::asked(const Endpoint& endpoint, Instant now) {
  if (Contact* contact = entry(endpoint); contact != nullptr) contact->asked = now;
}

bool RoutingTable::failed(const Endpoint& endpoint, Link link) {
  Contact* contact = entry(endpoint);
  if (contact == nullptr || link == Link::suspect) return false;
  if (contact->failures < 255) ++contact->failures;
  const Bucket& bucket = bucket_of(contact->id);
  const bool evict = contact->failures >= limits::failures_to_forget ||
                     (contact->failures >= limits::failures_to_evict && !bucket.waiting.empty());
  return evict && remove(endpoint);
}

bool RoutingTable::remove(const Endpoint& endpoint) {
  const auto id = ids_.find(endpoint);
  if (id == ids_.end()) return false;
  Bucket& bucket = bucket_of(id->second);
  for (std::size_t i = 0; i < bucket.entries.size(); ++i) {
    if (bucket.entries[i].endpoint != endpoint) continue;
    erase(bucket, i);
    return true;
  }
  return false;
}

// Buckets in the order of their distance from `target`, which shares p bits with us: bucket p shares more
// than p bits with it; all deeper ones share exactly p and come together; then p-1, p-2, ... one by one.
void RoutingTable::closest(const Key& target, std::size_t count, Choice choice, Instant now,
                           std::vector<const Contact*>& out) const {
  const std::size_t start = out.size();
  const auto collect = [&](const Bucket& bucket, std::size_t group) {
    for (const Contact& contact : bucket.entries) {
      if (choice == Choice::fit && !contact.alive(now)) continue;
      if (out.size() - start == count) {
        if (out.size() == group || !closer(target, contact.id, out.back()->id)) continue;
        out.pop_back();
      }
      const auto place =
          std::upper_bound(out.begin() + static_cast<std::ptrdiff_t>(group), out.end(), &contact,
                           [&](const Contact* a, const Contact* b) { return closer(target, a->id, b->id); });
      out.insert(place, &contact);
    }
  };
  const auto p = static_cast<std::size_t>(shared_prefix(own_, target));
  if (p < buckets_.size()) collect(buckets_[p], out.size());
  if (out.size() - start < count) {
    const std::size_t group = out.size();
    for (std::size_t i = p + 1; i < buckets_.size(); ++i) collect(buckets_[i], group);
  }
  for (std::size_t i = std::min(p, buckets_.size()); i-- > 0 && out.size() - start < count;)
    collect(buckets_[i], out.size());
}

const Contact* RoutingTable::stalest(Instant now) const {
  const Contact* best = nullptr;
  const Contact* failing = nullptr;
  for_each([&](const Contact& contact) {
    if (contact.failures > 0 && now - contact.asked >= rest_after_failure &&
        (failing == nullptr || contact.asked < failing->asked))
      failing = &contact;
    if (best == nullptr || last_touch(contact) < last_touch(*best)) best = &contact;
  });
  return failing != nullptr ? failing : best;
}

std::optional<Contact> RoutingTable::take_replacement(Instant now) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    Bucket& bucket = buckets_[i];
    if (bucket.waiting.empty() || bucket.entries.size() >= bucket_room(static_cast<int>(i))) continue;
    const Contact contact = bucket.waiting.back();
    bucket.waiting.pop_back();
    if (now - contact.answered <= std::chrono::hours{2}) return contact;
    bucket.waiting.clear();  // the others are older still
  }
  return std::nullopt;
}

void RoutingTable::move_to(const Key& own, Instant now) {
  std::vector<Bucket> old;
  old.swap(buckets_);
  ids_.clear();
  hosts_.clear();
  networks_.clear();
  size_ = 0;
  own_ = own;
  for (const Bucket& bucket : old)
    for (const Contact& contact : bucket.entries) static_cast<void>(admit(contact, now));
  for (const Bucket& bucket : old)
    for (const Contact& contact : bucket.waiting) static_cast<void>(admit(contact, now));
}

std::size_t RoutingTable::replacements() const {
  std::size_t sum = 0;
  for (const Bucket& bucket : buckets_) sum += bucket.waiting.size();
  return sum;
}

std::size_t RoutingTable::bucket_count() const {
  return static_cast<std::size_t>(std::count_if(
      buckets_.begin(), buckets_.end(), [](const Bucket& bucket) { return !bucket.entries.empty(); }));
}

std::size_t RoutingTable::bucket_size(int index) const {
  const auto i = static_cast<std::size_t>(index);
  return i < buckets_.size() ? buckets_[i].entries.size() : 0;
}

int RoutingTable::deepest() const {
  for (std::size_t i = buckets_.size(); i-- > 0;)
    if (!buckets_[i].entries.empty()) return static_cast<int>(i);
  return -1;
}

std::optional<int> RoutingTable::bucket_with_room(int after) const {
  const int count = deepest() + 1;
  for (int step = 1; step <= count; ++step) {
    const int index = (after + step) % count;
    if (bucket_size(index) < bucket_room(index)) return index;
  }
  return std::nullopt;
}

void RoutingTable::touch(const Key& target, Instant now) {
  const auto index = static_cast<std::size_t>(shared_prefix(own_, target));
  if (index < buckets_.size()) buckets_[index].touched = now;
}

std::optional<int> RoutingTable::stale_bucket(Instant before) const {
  for (int i = 0; i <= deepest(); ++i)
    if (buckets_[static_cast<std::size_t>(i)].touched < before) return i;
  return std::nullopt;
}

}  // namespace shoal::dht
