// Pooled buffers for block payloads and stream writes: one owner, moved from hand to hand, given back to the
// pool by whoever ends with them. A buffer that is merely dropped is freed; nothing leaks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/check.hpp"

namespace shoal {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t capacity)
      : data_(std::make_unique_for_overwrite<std::uint8_t[]>(capacity)), capacity_(capacity) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken{std::move(other)};
    swap(taken);
    return *this;
  }

  [[nodiscard]] std::uint8_t* data() { return data_.get() + begin_; }
  [[nodiscard]] ByteView view() const { return {data_.get() + begin_, size_}; }
  [[nodiscard]] MutableBytes span() { return {data_.get() + begin_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t room() const { return capacity_ - begin_ - size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  void clear() { begin_ = size_ = 0; }
  void drop_front(std::size_t n) {  // n <= size()
    SHOAL_CHECK(n <= size_);
    begin_ += n;
    size_ -= n;
  }
  // Takes back bytes that drop_front gave up, for a header to be written in place.
  [[nodiscard]] std::size_t front_room() const { return begin_; }
  void grow_front(std::size_t n) {  // n <= front_room()
    SHOAL_CHECK(n <= begin_);
    begin_ -= n;
    size_ += n;
  }
  void shrink(std::size_t n) {  // n <= size()
    SHOAL_CHECK(n <= size_);
    size_ = n;
  }
  void extend(std::size_t n) {  // n <= room(); the bytes are what they were
    SHOAL_CHECK(n <= room());
    size_ += n;
  }
  void append(ByteView bytes) {  // bytes.size() <= room()
    SHOAL_CHECK(bytes.size() <= room());
    if (!bytes.empty()) std::memcpy(data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }

 private:
  void swap(Buffer& other) noexcept {
    data_.swap(other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
  }
  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t capacity_ = 0, begin_ = 0, size_ = 0;
};

// Keeps freed buffers of one standard capacity. One thread (the reactor's) takes and gives; buffers
// themselves may travel to workers and back.
class BufferPool {
 public:
  // A 16 KiB block with room for its frame header, its tag and a length prefix.
  static constexpr std::size_t standard = 16384 + 256;
  explicit BufferPool(std::size_t keep = 256) : keep_(keep) {}

  [[nodiscard]] Buffer take(std::size_t capacity = standard) {
    if (capacity > standard || free_.empty()) return Buffer{capacity > standard ? capacity : standard};
    Buffer out = std::move(free_.back());
    free_.pop_back();
    return out;
  }
  // For a payload of that size which somebody else chose: a short one has a buffer of its own, so that many
  // of them take no more memory than was sent for them (THREATS A16).
  [[nodiscard]] Buffer take_for(std::size_t payload) {
    return payload < standard / 8 ? Buffer{payload} : take(payload);
  }
  void give(Buffer&& buffer) {
    if (buffer.capacity() != standard || free_.size() >= keep_) return;
    buffer.clear();
    free_.push_back(std::move(buffer));
  }

 private:
  std::vector<Buffer> free_;
  std::size_t keep_;
};

}  // namespace shoal
