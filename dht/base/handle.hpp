// Handles with generations instead of shared ownership: a late completion finds nothing and is dropped.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace shoal {

// `Tag` keeps handles of different tables apart. The default handle names nothing.
template <class Tag>
struct Handle {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: nothing
  auto operator<=>(const Handle&) const = default;
  explicit operator bool() const { return generation != 0; }
  [[nodiscard]] std::uint64_t value() const { return (std::uint64_t{generation} << 32) | index; }
  static Handle from_value(std::uint64_t v) {
    return {static_cast<std::uint32_t>(v), static_cast<std::uint32_t>(v >> 32)};
  }
};

// A table of T by handle. O(1) insert, find, erase. Pointers stay good until their element is erased; each
// lies in memory of its own, so that the address sanitizer sees a use after that.
template <class T, class Tag = T>
class Slab {
 public:
  using Id = Handle<Tag>;

  template <class... Args>
  Id emplace(Args&&... args) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.value = std::make_unique<T>(std::forward<Args>(args)...);
    ++size_;
    return {index, slot.generation};
  }
  [[nodiscard]] T* find(Id id) {
    if (id.index >= slots_.size()) return nullptr;
    Slot& slot = slots_[id.index];
    return slot.generation == id.generation && slot.value ? slot.value.get() : nullptr;
  }
  [[nodiscard]] const T* find(Id id) const { return const_cast<Slab*>(this)->find(id); }
  bool erase(Id id) {
    if (find(id) == nullptr) return false;
    Slot& slot = slots_[id.index];
    slot.value.reset();
    if (++slot.generation == 0) slot.generation = 1;
    free_.push_back(id.index);
    --size_;
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Calls f(Id, T&) in index order. f may erase the element it is given, and no other; it must not insert.
  template <class F>
  void for_each(F&& f) {
    for (std::uint32_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].value) f(Id{i, slots_[i].generation}, *slots_[i].value);
  }
  template <class F>
  void for_each(F&& f) const {
    for (std::uint32_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].value) f(Id{i, slots_[i].generation}, *slots_[i].value);
  }

 private:
  struct Slot {
    std::unique_ptr<T> value;
    std::uint32_t generation = 1;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace shoal
