// RecentMap: the last `Room` keys written, with a value each; the oldest key goes when another comes. Memory
// grows only with use, and what says nothing any more goes before it does: a ring of items, and an
// open-addressing index of 16-bit places in it, each beside 16 bits of its key's hash, so that an item is
// seldom looked at for nothing. Never iterated, so the hash order decides nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace shoal::dht {

template <class K, class V, std::size_t Room>
class RecentMap {
 public:
  static_assert(Room < 0xffff);
  [[nodiscard]] V* find(const K& key) {
    const std::size_t place = lookup(key);
    return place == none ? nullptr : &items_[index_[place].item].value;
  }
  [[nodiscard]] const V* find(const K& key) const {
    const std::size_t place = lookup(key);
    return place == none ? nullptr : &items_[index_[place].item].value;
  }
  // The value of `key`, made if absent. The reference is good until the next write. `spent`: whether a value
  // may go; where the oldest may, its place is taken. `blank`: whether it says no more than none would;
  // before the map grows all of these go.
  template <class Spent, class Blank>
  V& touch(const K& key, Spent&& spent, Blank&& blank) {
    if (V* known = find(key)) return *known;
    std::uint16_t item = 0;
    if (items_.size() == Room || (!items_.empty() && spent(items_[next_].value))) {
      item = static_cast<std::uint16_t>(next_);
      unlink(lookup(items_[item].key));
      items_[item] = {key, V{}};
      next_ = (next_ + 1) % items_.size();
    } else {
      // The ring grows where it closes, so that the order of ages stays.
      bool moved = next_ != 0;
      std::rotate(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(next_), items_.end());
      next_ = 0;
      if (items_.size() == items_.capacity()) moved = make_room(blank) || moved;
      items_.push_back({key, V{}});
      item = static_cast<std::uint16_t>(items_.size() - 1);
      if (moved || 2 * items_.size() > index_.size()) {
        rebuild();
        return items_[item].value;
      }
    }
    link(item);
    return items_[item].value;
  }
  template <class Spent>
  V& touch(const K& key, Spent&& spent) {
    return touch(key, spent, spent);
  }
  V& touch(const K& key) {
    return touch(key, [](const V&) { return false; });
  }
  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  struct Item {
    K key;
    V value;
  };
  static constexpr std::uint16_t empty = 0xffff;
  struct Entry {
    std::uint16_t item = empty;
    std::uint16_t tag = 0;
  };
  static constexpr std::size_t none = ~std::size_t{0};

  [[nodiscard]] static std::uint64_t hash_of(const K& key) {
    return std::hash<K>{}(key) * 0x9E3779B97F4A7C15ULL;
  }
  [[nodiscard]] static std::uint16_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint16_t>(hash >> 24);
  }
  [[nodiscard]] std::size_t home(std::uint64_t hash) const {
    return static_cast<std::size_t>(hash >> 40) & (index_.size() - 1);
  }
  [[nodiscard]] std::size_t lookup(const K& key) const {
    if (index_.empty()) return none;
    const std::uint64_t hash = hash_of(key);
    for (std::size_t i = home(hash); index_[i].item != empty; i = (i + 1) & (index_.size() - 1))
      if (index_[i].tag == tag_of(hash) && items_[index_[i].item].key == key) return i;
    return none;
  }
  // Room for one item more. True: others went, and places have changed. A little is left free, lest the next
  // one asks for the same again.
  template <class Blank>
  bool make_room(Blank&& blank) {
    const auto gone = std::erase_if(items_, [&](const Item& item) { return blank(item.value); });
    if (items_.size() * 8 >= items_.capacity() * 7) items_.reserve(std::min(Room, items_.size() * 5 / 4 + 8));
    return gone > 0;
  }
  void link(std::uint16_t item) {
    const std::uint64_t hash = hash_of(items_[item].key);
    std::size_t i = home(hash);
    while (index_[i].item != empty) i = (i + 1) & (index_.size() - 1);
    index_[i] = {item, tag_of(hash)};
  }
  // Shifts back what the hole displaces, so that there are no tombstones.
  void unlink(std::size_t hole) {
    const std::size_t mask = index_.size() - 1;
    for (std::size_t i = (hole + 1) & mask; index_[i].item != empty; i = (i + 1) & mask) {
      if (((i - home(hash_of(items_[index_[i].item].key))) & mask) < ((i - hole) & mask)) continue;
      index_[hole] = index_[i];
      hole = i;
    }
    index_[hole] = {};
  }
  void rebuild() {
    std::size_t slots = std::max<std::size_t>(index_.size(), 16);
    while (slots < 2 * items_.size()) slots *= 2;
    index_.assign(slots, {});
    for (std::size_t i = 0; i < items_.size(); ++i) link(static_cast<std::uint16_t>(i));
  }

  std::vector<Item> items_;   // a ring: the oldest is at next_
  std::vector<Entry> index_;  // a power of two, at most half full
  std::size_t next_ = 0;
};

}  // namespace shoal::dht
