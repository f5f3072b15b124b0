// A queue in one block of memory: what waits at a place of the network. Unlike std::deque it costs nothing
// while empty and moves without throwing, so that tables of connections may grow.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace shoal::sim {

template <class T>
class Fifo {
 public:
  [[nodiscard]] bool empty() const { return head_ == items_.size(); }
  [[nodiscard]] std::size_t size() const { return items_.size() - head_; }
  [[nodiscard]] T& front() { return items_[head_]; }
  [[nodiscard]] const T& front() const { return items_[head_]; }
  void push_back(T item) {
    if (head_ > 16 && head_ * 2 > items_.size()) {  // amortised: as many were taken as are moved
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    items_.push_back(std::move(item));
  }
  [[nodiscard]] T take_front() {
    T out = std::move(items_[head_]);
    if (++head_ == items_.size()) clear();
    return out;
  }
  void clear() {
    items_.clear();
    head_ = 0;
  }
  [[nodiscard]] auto begin() { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  [[nodiscard]] auto end() { return items_.end(); }
  void swap(Fifo& other) noexcept {
    items_.swap(other.items_);
    std::swap(head_, other.head_);
  }

 private:
  std::vector<T> items_;
  std::size_t head_ = 0;
};

}  // namespace shoal::sim
