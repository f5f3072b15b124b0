// OpenFiles: the files that Disk keeps open, at most so many, least recently used out first. It opens and
// closes nothing itself: what is evicted is handed back, so that closing happens outside the gate. Not
// thread safe; Disk holds its gate.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "storage/vfs.hpp"

namespace shoal::storage {

struct OpenFile {
  std::unique_ptr<File> file;
  bool writable = false;
};
using OpenFilePtr = std::shared_ptr<OpenFile>;

class OpenFiles {
 public:
  // The serial number of an attached content (never used twice), and the file's index in it.
  using Key = std::pair<std::uint64_t, std::uint32_t>;
  explicit OpenFiles(std::size_t limit) : limit_(limit == 0 ? 1 : limit) {}

  [[nodiscard]] std::size_t size() const { return by_key_.size(); }
  // Null if it is not open. Counts as a use. O(log n).
  [[nodiscard]] OpenFilePtr find(const Key& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return found->second->second;
  }
  // Replaces what the key had. Gives what must be closed.
  [[nodiscard]] std::vector<OpenFilePtr> insert(const Key& key, OpenFilePtr file) {
    std::vector<OpenFilePtr> out;
    if (OpenFilePtr old = remove(key)) out.push_back(std::move(old));
    by_use_.emplace_front(key, std::move(file));
    by_key_[key] = by_use_.begin();
    append_oldest(out, limit_);
    return out;
  }
  OpenFilePtr remove(const Key& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    OpenFilePtr out = std::move(found->second->second);
    by_use_.erase(found->second);
    by_key_.erase(found);
    return out;
  }
  [[nodiscard]] std::vector<OpenFilePtr> remove_all_of(std::uint64_t serial) {
    std::vector<OpenFilePtr> out;
    auto at = by_key_.lower_bound({serial, 0});
    while (at != by_key_.end() && at->first.first == serial) {
      out.push_back(std::move(at->second->second));
      by_use_.erase(at->second);
      at = by_key_.erase(at);
    }
    return out;
  }
  // Keeps the `keep` most recently used; for when the process has run out of descriptors.
  [[nodiscard]] std::vector<OpenFilePtr> shrink(std::size_t keep) {
    std::vector<OpenFilePtr> out;
    append_oldest(out, keep);
    return out;
  }

 private:
  void append_oldest(std::vector<OpenFilePtr>& out, std::size_t keep) {
    while (by_use_.size() > keep) {
      out.push_back(std::move(by_use_.back().second));
      by_key_.erase(by_use_.back().first);
      by_use_.pop_back();
    }
  }

  using Uses = std::list<std::pair<Key, OpenFilePtr>>;
  std::size_t limit_;
  Uses by_use_;  // most recent first
  std::map<Key, Uses::iterator> by_key_;
};

}  // namespace shoal::storage
