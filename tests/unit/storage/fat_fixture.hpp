// A file system that takes fewer names than Linux does, over real folders: as FAT, exFAT, NTFS and others are
// seen through their drivers. (It does not ignore case.)
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/posix_vfs.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage::fixture {

struct FatRules {
  std::string refused = "\"*:<>?\\|\x01\n";
  enum class LastDots : std::uint8_t { kept, dropped, refused } last_dots = LastDots::dropped;
  Error refusal{Code::unsupported, "injected: not such a name", 22};
  std::vector<std::string> created = {};  // every path that was made, in order; probes too
  // At this number of calls to open, from 1, it fails with `error`.
  std::uint64_t fail_open = 0, opens = 0;
  Error error{Code::no_space, "injected", 28};
};

class FatFolder final : public Folder {
 public:
  FatFolder(std::unique_ptr<Folder> folder, FatRules& rules) : folder_(std::move(folder)), rules_(rules) {}

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
    if (++rules_.opens == rules_.fail_open) return std::unexpected(rules_.error);
    if (mode != OpenMode::create)
      return seen(path, [&](const std::string& p) { return folder_->open(p, mode); });
    rules_.created.emplace_back(path);
    return made(path, [&](const std::string& p) { return folder_->open(p, mode); });
  }
  Result<void> make_folders(std::string_view path) override {
    rules_.created.emplace_back(path);
    return made(path, [&](const std::string& p) { return folder_->make_folders(p); });
  }
  Result<void> make_symlink(std::string_view path, std::string_view target) override {
    rules_.created.emplace_back(path);
    return made(path, [&](const std::string& p) { return folder_->make_symlink(p, target); });
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    return seen(from, [&](const std::string& f) {
      return made(to, [&](const std::string& t) { return folder_->rename(f, t); });
    });
  }
  Result<void> remove(std::string_view path) override {
    return seen(path, [&](const std::string& p) { return folder_->remove(p); });
  }
  Result<void> sync_folder(std::string_view path) override { return folder_->sync_folder(path); }
  Result<Entry> stat(std::string_view path) override {
    return seen(path, [&](const std::string& p) { return folder_->stat(p); });
  }
  Result<std::string> read_symlink(std::string_view path) override {
    return seen(path, [&](const std::string& p) { return folder_->read_symlink(p); });
  }
  Result<std::vector<Entry>> list(std::string_view path) override { return folder_->list(path); }
  Result<std::uint64_t> free_bytes() override { return folder_->free_bytes(); }

 private:
  // The path as it lies on the disk; nullopt where a component is refused.
  std::optional<std::string> on_disk(std::string_view path) const {
    std::string out;
    while (!path.empty()) {
      const std::size_t slash = path.find('/');
      std::string name{path.substr(0, slash)};
      path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
      const bool dots = name.ends_with('.');
      if (name.find_first_of(rules_.refused) != std::string::npos) return std::nullopt;
      if (dots && rules_.last_dots == FatRules::LastDots::refused) return std::nullopt;
      if (rules_.last_dots == FatRules::LastDots::dropped)
        while (name.ends_with('.')) name.pop_back();
      out += (out.empty() ? "" : "/") + name;
    }
    return out;
  }
  template <class Call>
  auto made(std::string_view path, const Call& call) const -> decltype(call(std::string{})) {
    const auto true_path = on_disk(path);
    if (!true_path) return std::unexpected(rules_.refusal);
    return call(*true_path);
  }
  template <class Call>
  auto seen(std::string_view path, const Call& call) const -> decltype(call(std::string{})) {
    const auto true_path = on_disk(path);
    if (!true_path) return fail(Code::not_found, "injected: no such name", 2);
    return call(*true_path);
  }

  std::unique_ptr<Folder> folder_;
  FatRules& rules_;
};

class FatVfs final : public Vfs {
 public:
  explicit FatVfs(FatRules& rules) : rules_(rules) {}
  Result<std::unique_ptr<Folder>> open_folder(const std::string& path, Missing missing) override {
    auto folder = vfs_.open_folder(path, missing);
    if (!folder) return folder;
    return std::make_unique<FatFolder>(std::move(*folder), rules_);
  }

 private:
  PosixVfs vfs_;
  FatRules& rules_;
};

}  // namespace shoal::storage::fixture
