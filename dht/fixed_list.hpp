// A list with its room inside: for the short lists of a datagram, which need no heap. Pushing beyond the room
// is refused and reported, never undefined.
#pragma once

#include <array>
#include <cstddef>

#include "dht/base/check.hpp"

namespace shoal::dht {

template <class T, std::size_t Room>
class FixedList {
 public:
  static constexpr std::size_t room = Room;

  // False, and nothing changes, where the list is full.
  bool push(const T& value) {
    if (size_ == Room) return false;
    items_[size_++] = value;
    return true;
  }
  void clear() { size_ = 0; }
  void pop() {
    SHOAL_CHECK(size_ > 0);
    --size_;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == Room; }
  [[nodiscard]] T& operator[](std::size_t i) { return items_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return items_[i]; }
  [[nodiscard]] T* begin() { return items_.data(); }
  [[nodiscard]] T* end() { return items_.data() + size_; }
  [[nodiscard]] const T* begin() const { return items_.data(); }
  [[nodiscard]] const T* end() const { return items_.data() + size_; }

 private:
  std::array<T, Room> items_{};
  std::size_t size_ = 0;
};

}  // namespace shoal::dht
