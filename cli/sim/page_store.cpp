// See page_store.hpp.
#include "cli/sim/page_store.hpp"

#include <algorithm>
#include <array>

#include "cli/sim/topology.hpp"

namespace shoal::sim {
namespace {

// Four lanes of mixing over 8-byte words: memory speed. Equality is checked, so it need not be strong.
std::uint64_t fingerprint(ByteView bytes) {
  std::array<std::uint64_t, 4> lanes{1, 2, 3, 4};
  for (std::size_t at = 0; at + 32 <= bytes.size(); at += 32)
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at + 8 * i, 8);
      lanes[i] = (lanes[i] ^ word) * 0x9FB21C651E98DF25ULL;
      lanes[i] ^= lanes[i] >> 29;
    }
  std::uint64_t out = 0;
  for (const std::uint64_t lane : lanes) out = mix(out ^ lane);
  return out;
}

}  // namespace

PageRef PageStore::intern(ByteView whole_page) {
  PageRef& known = known_[fingerprint(whole_page)];
  if (known && equal(*known, whole_page)) return known;
  auto fresh = std::make_shared<Page>();
  std::copy(whole_page.begin(), whole_page.end(), fresh->begin());
  if (!known) known = fresh;
  if (known_.size() >= sweep_at_) forget_unused();
  return fresh;
}

void PageStore::forget_unused() {
  std::erase_if(known_, [](const auto& entry) { return !entry.second || entry.second.use_count() == 1; });
  sweep_at_ = std::max<std::size_t>(1024, known_.size() * 2);
}

PageRef PagedBytes::page(std::uint64_t number) const {
  const auto found = leaves_.find(number / leaf_pages);
  return found == leaves_.end() ? PageRef{} : (*found->second)[number % leaf_pages];
}

PageRef& PagedBytes::slot(std::uint64_t number) {
  auto& leaf = leaves_[number / leaf_pages];
  if (!leaf) leaf = std::make_unique<Leaf>();
  return (*leaf)[number % leaf_pages];
}

void PagedBytes::set_page(std::uint64_t number, PageRef page) {
  if (!page && !this->page(number)) return;
  PageRef& at = slot(number);
  count_ += page ? (at ? 0U : 1U) : (at ? ~std::size_t{0} : 0U);
  at = std::move(page);
}

void PagedBytes::read(std::uint64_t offset, MutableBytes out) const {
  while (!out.empty()) {
    const std::uint64_t within = offset % page_bytes;
    const std::size_t n = std::min<std::size_t>(out.size(), page_bytes - within);
    const PageRef from = page(offset / page_bytes);
    if (from)
      std::memcpy(out.data(), from->data() + within, n);
    else
      std::memset(out.data(), 0, n);
    out = out.subspan(n);
    offset += n;
  }
}

void PagedBytes::write(std::uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const std::uint64_t within = offset % page_bytes;
    const std::size_t n = std::min<std::size_t>(bytes.size(), page_bytes - within);
    if (n == page_bytes) {
      set_page(offset / page_bytes, store_->intern(bytes.first(n)));
    } else {
      PageRef& at = slot(offset / page_bytes);
      if (!at) {
        at = std::make_shared<Page>();
        ++count_;
      } else if (at.use_count() > 1) {
        at = std::make_shared<Page>(*at);
      }
      std::memcpy(at->data() + within, bytes.data(), n);
    }
    bytes = bytes.subspan(n);
    offset += n;
  }
}

void PagedBytes::cut(std::uint64_t size) {
  const std::uint64_t kept = (size + page_bytes - 1) / page_bytes;
  for (auto leaf = leaves_.lower_bound(kept / leaf_pages); leaf != leaves_.end(); ++leaf)
    for (std::uint64_t i = 0; i < leaf_pages; ++i)
      if (leaf->first * leaf_pages + i >= kept && (*leaf->second)[i]) {
        (*leaf->second)[i].reset();
        --count_;
      }
  if (const std::uint64_t within = size % page_bytes; within != 0 && page(kept - 1)) {
    const Page zeros{};
    write(size, ByteView{zeros}.first(page_bytes - within));
  }
}

}  // namespace shoal::sim
