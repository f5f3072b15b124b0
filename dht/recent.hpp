// RecentMap: the last `Room` keys written, with a value each; the oldest key goes when another comes. Memory
// grows only with use. Looked up, never iterated, so the hash order decides nothing.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>
#include <vector>

namespace shoal::dht {

template <class K, class V, std::size_t Room>
class RecentMap {
 public:
  [[nodiscard]] V* find(const K& key) {
    const auto it = map_.find(key);
    return it == map_.end() ? nullptr : &it->second;
  }
  [[nodiscard]] const V* find(const K& key) const {
    const auto it = map_.find(key);
    return it == map_.end() ? nullptr : &it->second;
  }
  // The value of `key`, made if absent. The reference is good until the next write.
  V& touch(const K& key) {
    if (V* known = find(key)) return *known;
    if (ring_.size() < Room) {
      ring_.push_back(key);
    } else {
      map_.erase(ring_[next_]);
      ring_[next_] = key;
      next_ = (next_ + 1) % Room;
    }
    return map_[key];
  }
  [[nodiscard]] std::size_t size() const { return map_.size(); }
  void clear() {
    map_.clear();
    ring_.clear();
    next_ = 0;
  }

 private:
  std::unordered_map<K, V> map_;
  std::vector<K> ring_;
  std::size_t next_ = 0;
};

}  // namespace shoal::dht
