// The bytes of virtual files: pages of 16 KiB, shared wherever they are equal, so that fifty machines with
// the same content hold it once. A page that is shared is never written to; PagedBytes copies it first.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dht/base/bytes.hpp"

namespace shoal::sim {

inline constexpr std::uint32_t page_bytes = 16'384;
using Page = ByteArray<page_bytes>;
using PageRef = std::shared_ptr<Page>;  // null: all zero

// One a world. Gives the same page for the same bytes.
class PageStore {
 public:
  [[nodiscard]] PageRef intern(ByteView whole_page);
  [[nodiscard]] std::size_t pages() const { return known_.size(); }

 private:
  void forget_unused();
  std::unordered_map<std::uint64_t, PageRef>
      known_;  // by fingerprint; looked up, never walked in an order that shows
  std::size_t sweep_at_ = 1024;
};

// A sparse array of bytes. Does not know its length: what was never written is zero.
class PagedBytes {
 public:
  explicit PagedBytes(PageStore& store) : store_(&store) {}

  void read(std::uint64_t offset, MutableBytes out) const;
  void write(std::uint64_t offset, ByteView bytes);
  void cut(std::uint64_t size);  // what lies at `size` and beyond becomes zero

  [[nodiscard]] PageRef page(std::uint64_t number) const;
  void set_page(std::uint64_t number, PageRef page);
  [[nodiscard]] std::uint64_t allocated() const { return std::uint64_t{count_} * page_bytes; }

 private:
  static constexpr std::uint64_t leaf_pages = 256;
  using Leaf = std::array<PageRef, leaf_pages>;
  PageRef& slot(std::uint64_t number);

  PageStore* store_;
  std::map<std::uint64_t, std::unique_ptr<Leaf>> leaves_;
  std::size_t count_ = 0;
};

}  // namespace shoal::sim
