// The routing table; see routing_table.hpp for its invariants.
#include "dht/routing_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "dht/base/check.hpp"

namespace shoal::dht {
namespace {

// Last sign of interest in an entry: what "stalest" orders by.
Instant last_touch(const Contact& contact) { return std::max(contact.asked, contact.answered); }

constexpr Duration rest_after_failure = std::chrono::seconds{10};  // one burst of loss should not count twice

constexpr std::size_t growth = 16;  // contacts of room at a time: doubling would waste half of it

template <class T>
std::uint16_t mark_of(const T& named) {
  return static_cast<std::uint16_t>(std::hash<T>{}(named) >> 48);
}
std::uint64_t head_of(const Key& key) { return load_be<std::uint64_t>(key.bytes.data()); }

// Marks side by side in one register. Spelt out: of a short loop over them compilers make a long one.
constexpr std::size_t lanes = 8;
using Lanes [[gnu::vector_size(2 * lanes)]] = std::uint16_t;
Lanes lanes_at(const std::uint16_t* marks) {
  Lanes out;
  std::memcpy(&out, marks, sizeof(out));
  return out;
}
template <class Hits>
bool any(const Hits& hits) {
  std::uint64_t halves[2];
  static_assert(sizeof(hits) == sizeof(halves));
  std::memcpy(halves, &hits, sizeof(halves));
  return (halves[0] | halves[1]) != 0;
}

// The next place of `mark` at `from` or behind; marks.size(): none.
std::size_t next_place(const std::vector<std::uint16_t>& marks, std::uint16_t mark, std::size_t from) {
  const Lanes wanted = Lanes{} + mark;
  std::size_t i = from;
  for (; i + 4 * lanes <= marks.size(); i += 4 * lanes) {
    const std::uint16_t* const at = marks.data() + i;
    if (any((lanes_at(at) == wanted) | (lanes_at(at + lanes) == wanted) |
            (lanes_at(at + 2 * lanes) == wanted) | (lanes_at(at + 3 * lanes) == wanted)))
      break;
  }
  for (; i + lanes <= marks.size(); i += lanes)
    if (any(lanes_at(marks.data() + i) == wanted)) break;
  while (i < marks.size() && marks[i] != mark) ++i;
  return i;
}

template <class T>
void insert_tightly(std::vector<T>& list, std::size_t place, const T& value) {
  if (list.size() == list.capacity()) list.reserve(list.size() + growth);
  list.insert(list.begin() + static_cast<std::ptrdiff_t>(place), value);
}
template <class T>
void push_tightly(std::vector<T>& list, const T& value) {
  insert_tightly(list, list.size(), value);
}
template <class T>
void take_out(std::vector<T>& list, std::size_t index) {
  list[index] = list.back();
  list.pop_back();
}

}  // namespace

bool counted(const IpAddress& address) { return address.global(); }

std::size_t RoutingTable::bucket_room(int index) {
  return static_cast<std::size_t>(index) < std::size(limits::far_buckets) ? limits::far_buckets[index]
                                                                          : limits::near_bucket;
}

RoutingTable::Bucket& RoutingTable::bucket_of(const Key& id) {
  const int index = std::min(shared_prefix(own_, id), Key::bits - 1);
  if (buckets_.size() <= static_cast<std::size_t>(index)) {
    Bucket fresh;
    fresh.begin = fresh.end = static_cast<Place>(slots_.size());
    buckets_.resize(static_cast<std::size_t>(index) + 1, fresh);
  }
  return buckets_[static_cast<std::size_t>(index)];
}

const RoutingTable::Bucket* RoutingTable::bucket_if(const Key& id) const {
  const auto index = static_cast<std::size_t>(shared_prefix(own_, id));
  return index < buckets_.size() ? &buckets_[index] : nullptr;
}

std::size_t RoutingTable::slot_of(const Endpoint& endpoint) const {
  const Mark mark = mark_of(endpoint);
  for (std::size_t i = next_place(endpoint_marks_, mark, 0); i < contacts_.size();
       i = next_place(endpoint_marks_, mark, i + 1))
    if (contacts_[i].endpoint == endpoint) return i;
  return none;
}

Contact* RoutingTable::entry(const Endpoint& endpoint) {
  const std::size_t slot = slot_of(endpoint);
  return slot == none ? nullptr : &contacts_[slot];
}

const Contact* RoutingTable::find(const Endpoint& endpoint) const {
  const std::size_t slot = slot_of(endpoint);
  return slot == none ? nullptr : &contacts_[slot];
}

bool RoutingTable::crowded(int bucket, const IpAddress& address) const {
  if (!counted(address)) return false;
  const IpAddress network = address.network();
  const Mark mark = mark_of(network);
  std::size_t in_table = 0, in_bucket = 0;
  for (std::size_t i = next_place(network_marks_, mark, 0); i < contacts_.size();
       i = next_place(network_marks_, mark, i + 1)) {
    const Contact& contact = contacts_[i];
    if (contact.endpoint.address.network() != network) continue;
    if (contact.endpoint.address == address) return true;
    ++in_table;
    if (shared_prefix(own_, contact.id) == bucket) ++in_bucket;
  }
  return in_table >= limits::per_network_in_table || in_bucket >= limits::per_network_in_bucket;
}

void RoutingTable::named(const Endpoint& endpoint, const Key& id, Party party) {
  if (parties_.callers() == 0 || party == no_party) return;
  Contact* contact = entry(endpoint);
  if (contact == nullptr || contact->id != id || contact->party != no_party || parties_.full(party)) return;
  contact->party = party;
  if (!counted(endpoint.address)) return;
  parties_.leave(no_party);
  parties_.enter(party);
}

void RoutingTable::touched(const Contact& contact) {
  touched_[static_cast<std::size_t>(&contact - contacts_.data())] = last_touch(contact);
}

void RoutingTable::set_failures(Contact& contact, std::uint8_t failures) {
  failing_ += failures > 0 ? 1 : 0;
  failing_ -= contact.failures > 0 ? 1 : 0;
  contact.failures = failures;
}

void RoutingTable::insert(Bucket& bucket, const Contact& contact) {
  insert_tightly(slots_, bucket.end, static_cast<Slot>(contacts_.size()));
  insert_tightly(heads_, bucket.end, head_of(contact.id));
  ++bucket.end;
  for (Bucket* deeper = &bucket + 1; deeper != buckets_.data() + buckets_.size(); ++deeper) {
    ++deeper->begin;
    ++deeper->end;
  }
  push_tightly(contacts_, contact);
  push_tightly(touched_, last_touch(contact));
  failing_ += contact.failures > 0 ? 1 : 0;
  if (counted(contact.endpoint.address)) parties_.enter(contact.party);
  push_tightly(endpoint_marks_, mark_of(contact.endpoint));
  push_tightly(network_marks_, mark_of(contact.endpoint.address.network()));
}

// The last contact moves into the hole.
void RoutingTable::erase(Place place) {
  const Slot slot = slots_[place];
  slots_.erase(slots_.begin() + place);
  heads_.erase(heads_.begin() + place);
  for (Bucket& bucket : buckets_) {
    if (bucket.begin > place) --bucket.begin;
    if (bucket.end > place) --bucket.end;
  }
  const auto last = static_cast<Slot>(contacts_.size() - 1);
  if (slot != last) *std::find(slots_.begin(), slots_.end(), last) = slot;
  failing_ -= contacts_[slot].failures > 0 ? 1 : 0;
  if (counted(contacts_[slot].endpoint.address)) parties_.leave(contacts_[slot].party);
  take_out(contacts_, slot);
  take_out(touched_, slot);
  take_out(endpoint_marks_, slot);
  take_out(network_marks_, slot);
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
  if (!counted(contact.endpoint.address)) return take(contact, now);
  if (find(contact.endpoint) == nullptr && parties_.full(contact.party)) return Admission::crowded;
  const Admission admission = take(contact, now);
  const bool entered = admission == Admission::added || admission == Admission::replaced;
  if (entered && contact.party == no_party && parties_.too_many_callers()) remove_oldest_caller();
  return admission;
}

void RoutingTable::remove_oldest_caller() {
  const Contact* oldest = nullptr;
  for (const Contact& contact : contacts_)
    if (contact.party == no_party && counted(contact.endpoint.address) &&
        (oldest == nullptr || contact.since < oldest->since))
      oldest = &contact;
  static_cast<void>(remove(Endpoint{oldest->endpoint}));
}

Admission RoutingTable::take(const Contact& contact, Instant now) {
  if (contact.id == own_) return Admission::own;
  if (Contact* known = entry(contact.endpoint); known != nullptr) {
    if (known->id == contact.id) {
      known->answered = contact.answered;
      known->proven = contact.proven;
      set_failures(*known, 0);
      touched(*known);
      return Admission::refreshed;
    }
    remove(contact.endpoint);
  }
  Bucket& bucket = bucket_of(contact.id);
  for (Place place = bucket.begin; place < bucket.end; ++place) {
    if (heads_[place] != head_of(contact.id) || contacts_[slots_[place]].id != contact.id) continue;
    if (contacts_[slots_[place]].failures == 0) {
      keep_waiting(bucket, contact);
      return Admission::moved;
    }
    erase(place);
    break;
  }
  const auto index = static_cast<int>(&bucket - buckets_.data());
  if (crowded(index, contact.endpoint.address)) return Admission::crowded;
  forget_waiting(bucket, contact.id, contact.endpoint);
  if (bucket.size() < bucket_room(index)) {
    if (bucket.size() == 0) bucket.touched = now;
    insert(bucket, contact);
    return Admission::added;
  }
  for (Place place = bucket.begin; place < bucket.end; ++place) {
    if (contacts_[slots_[place]].failures < limits::failures_to_evict) continue;
    erase(place);
    insert(bucket, contact);
    return Admission::replaced;
  }
  keep_waiting(bucket, contact);
  return Admission::waiting;
}

bool RoutingTable::has_room_for(const Key& id, const IpAddress& address, Party party) const {
  if (id == own_) return false;
  const int index = shared_prefix(own_, id);
  const Bucket* bucket = bucket_if(id);
  const bool full = bucket != nullptr && bucket->size() >= bucket_room(index) &&
                    bucket->waiting.size() >= limits::replacements;
  return !full && !crowded(index, address) && !(counted(address) && parties_.full(party));
}

bool RoutingTable::heard(const Endpoint& endpoint, const Key& id, Now now,
                         std::optional<Duration> round_trip) {
  Contact* contact = entry(endpoint);
  if (contact == nullptr || contact->id != id) return false;
  contact->answered = now.mono;
  set_failures(*contact, 0);
  touched(*contact);
  if (round_trip) contact->round_trip.sample(*round_trip);
  return true;
}

void RoutingTable::asked(const Endpoint& endpoint, Instant now) {
  Contact* contact = entry(endpoint);
  if (contact == nullptr) return;
  contact->asked = now;
  touched(*contact);
}

bool RoutingTable::failed(const Endpoint& endpoint, Link link) {
  Contact* contact = entry(endpoint);
  if (contact == nullptr || link == Link::suspect) return false;
  if (contact->failures < 255) set_failures(*contact, static_cast<std::uint8_t>(contact->failures + 1));
  const Bucket& bucket = bucket_of(contact->id);
  const bool evict = contact->failures >= limits::failures_to_forget ||
                     (contact->failures >= limits::failures_to_evict && !bucket.waiting.empty());
  return evict && remove(endpoint);
}

bool RoutingTable::remove(const Endpoint& endpoint) {
  const std::size_t slot = slot_of(endpoint);
  if (slot == none) return false;
  const auto place = std::find(slots_.begin(), slots_.end(), slot);
  SHOAL_CHECK(place != slots_.end());
  erase(static_cast<Place>(place - slots_.begin()));
  return true;
}

void RoutingTable::doubt(const Key& id, Instant now) {
  const Bucket* bucket = bucket_if(id);
  if (bucket == nullptr) return;
  for (Place place = bucket->begin; place < bucket->end; ++place)
    contacts_[slots_[place]].proven = now - limits::proof_life;
}

// The nearest of those offered, nearest first, in groups: whoever comes in a later group is farther away than
// all of the earlier ones. Two ids of a table that agree in 64 bits are not met with.
//
// Nearly every entry may be passed on, and to ask whether costs more than to compare a hundred heads, since
// the contact itself must be looked at. So a few more than wanted are chosen by their heads, and only these
// are asked; if too few of them remain, the group is gone through again, and everybody is asked at once.
class RoutingTable::Nearest {
 public:
  Nearest(const RoutingTable& table, const Key& target, std::size_t count, Choice choice, Instant now)
      : table_(table), head_(head_of(target)), count_(std::min(count, most)), choice_(choice), now_(now) {}

  [[nodiscard]] bool full() const { return size_ == count_; }
  // A group: the entries at these places.
  void offer(std::size_t begin, std::size_t end) {
    const std::size_t group = size_;
    const auto all = [](Slot) { return true; };
    if (choice_ == Choice::any) return choose(begin, end, group, count_, all);
    const auto fit = [this](Slot slot) { return table_.contacts_[slot].alive(now_, table_.passed_on_for_); };
    choose(begin, end, group, count_ + spare, all);
    const bool everybody = size_ - group == end - begin;
    const auto unfit = std::remove_if(items_.begin() + static_cast<std::ptrdiff_t>(group),
                                      items_.begin() + static_cast<std::ptrdiff_t>(size_),
                                      [&](const Near& near) { return !fit(near.slot); });
    size_ = std::min(static_cast<std::size_t>(unfit - items_.begin()), count_);
    if (everybody || full()) return;
    size_ = group;
    choose(begin, end, group, count_, fit);
  }
  void write(std::vector<const Contact*>& out) const {
    for (std::size_t i = 0; i < size_; ++i) out.push_back(&table_.contacts_[items_[i].slot]);
  }

 private:
  struct Near {
    std::uint64_t head;  // of the distance
    Slot slot;
  };
  // Appends the nearest that `fits` behind `group`, up to `room` in all.
  template <class Fits>
  void choose(std::size_t begin, std::size_t end, std::size_t group, std::size_t room, Fits&& fits) {
    for (std::size_t i = begin; i < end; ++i) {
      const Near near{table_.heads_[i] ^ head_, table_.slots_[i]};
      if (size_ == room && (size_ == group || near.head >= items_[size_ - 1].head)) continue;
      if (!fits(near.slot)) continue;
      if (size_ == room) --size_;
      std::size_t place = size_++;
      for (; place > group && near.head < items_[place - 1].head; --place) items_[place] = items_[place - 1];
      items_[place] = near;
    }
  }

  static constexpr std::size_t most = 512;  // of one question; a lookup's seeds are 160
  static constexpr std::size_t spare = 4;   // of nine, three are seldom unfit
  const RoutingTable& table_;
  std::uint64_t head_;
  std::size_t count_, size_ = 0;
  Choice choice_;
  Instant now_;
  std::array<Near, most + spare> items_;
};

// Buckets in the order of their distance from `target`, which shares p bits with us: bucket p shares more
// than p bits with it; all deeper ones share exactly p and come together; then p-1, p-2, ... one by one.
void RoutingTable::closest(const Key& target, std::size_t count, Choice choice, Instant now,
                           std::vector<const Contact*>& out) const {
  Nearest nearest(*this, target, count, choice, now);
  const auto p = static_cast<std::size_t>(shared_prefix(own_, target));
  if (p < buckets_.size()) {
    nearest.offer(buckets_[p].begin, buckets_[p].end);
    if (!nearest.full()) nearest.offer(buckets_[p].end, slots_.size());
  }
  for (std::size_t i = std::min(p, buckets_.size()); i-- > 0 && !nearest.full();)
    nearest.offer(buckets_[i].begin, buckets_[i].end);
  nearest.write(out);
}

const Contact* RoutingTable::stalest(Instant now) const {
  const Contact* failing = nullptr;
  if (failing_ > 0)
    for_each([&](const Contact& contact) {
      if (contact.failures > 0 && now - contact.asked >= rest_after_failure &&
          (failing == nullptr || contact.asked < failing->asked))
        failing = &contact;
    });
  if (failing != nullptr) return failing;
  std::size_t best = none;
  for (const Slot slot : slots_)
    if (best == none || touched_[slot] < touched_[best]) best = slot;
  return best == none ? nullptr : &contacts_[best];
}

std::optional<Contact> RoutingTable::take_replacement(Instant now) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    Bucket& bucket = buckets_[i];
    if (bucket.waiting.empty() || bucket.size() >= bucket_room(static_cast<int>(i))) continue;
    const Contact contact = bucket.waiting.back();
    bucket.waiting.pop_back();
    if (now - contact.answered <= std::chrono::hours{2}) return contact;
    bucket.waiting.clear();  // the others are older still
  }
  return std::nullopt;
}

void RoutingTable::move_to(const Key& own, Instant now) {
  RoutingTable old{own};
  std::swap(old, *this);
  passed_on_for_ = old.passed_on_for_;
  parties_ = old.parties_.without_entries();
  old.for_each([&](const Contact& contact) { static_cast<void>(take(contact, now)); });
  for (const Bucket& bucket : old.buckets_)
    for (const Contact& contact : bucket.waiting) static_cast<void>(admit(contact, now));
}

std::size_t RoutingTable::replacements() const {
  std::size_t sum = 0;
  for (const Bucket& bucket : buckets_) sum += bucket.waiting.size();
  return sum;
}

std::size_t RoutingTable::bucket_count() const {
  return static_cast<std::size_t>(std::count_if(buckets_.begin(), buckets_.end(),
                                                [](const Bucket& bucket) { return bucket.size() > 0; }));
}

std::size_t RoutingTable::bucket_size(int index) const {
  const auto i = static_cast<std::size_t>(index);
  return i < buckets_.size() ? buckets_[i].size() : 0;
}

int RoutingTable::deepest() const {
  for (std::size_t i = buckets_.size(); i-- > 0;)
    if (buckets_[i].size() > 0) return static_cast<int>(i);
  return -1;
}

std::optional<int> RoutingTable::bucket_with_room(int after, double network_size) const {
  const int count = deepest() + 1;
  if (count == 0) return std::nullopt;
  const int start = (after + 1) % count;
  std::optional<int> before;
  double there = network_size;
  for (int index = 0; index < count; ++index) {
    there /= 2;  // so many nodes belong into this bucket
    const double room = std::min(static_cast<double>(bucket_room(index)), there - 1);
    if (static_cast<double>(bucket_size(index)) >= room) continue;
    if (index >= start) return index;
    if (!before) before = index;
  }
  return before;
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
