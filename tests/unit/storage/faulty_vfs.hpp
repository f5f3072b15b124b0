// A file system over real folders in which a chosen call fails.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/posix_vfs.hpp"

namespace shoal::storage::fixture {

// Counts calls and lets some fail. One for all files of a test, the catalog's included.
struct Faults {
  enum class How : std::uint8_t { never, once, for_good };
  How how = How::never;
  std::uint64_t at = 0;     // the call that fails, from 0
  std::uint64_t calls = 0;  // so far
  Error error{Code::io, "injected", 5};
  std::string last;                                        // what failed
  std::string only;                                        // if not empty: calls of this name alone count
  std::map<std::string, std::uint64_t, std::less<>> seen;  // all calls, by name
  std::function<void()> meanwhile;                         // done once, after the next read
  [[nodiscard]] Result<void> check(std::string_view what) {
    ++seen[std::string{what}];
    if (!only.empty() && what != only) return {};
    const std::uint64_t now = calls++;
    if (how == How::never || now < at || (how == How::once && now > at)) return {};
    last = what;
    return std::unexpected(error);
  }
};

class FaultyFile final : public File {
 public:
  FaultyFile(std::unique_ptr<File> file, Faults& faults) : file_(std::move(file)), faults_(faults) {}
  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    if (auto ok = faults_.check("read"); !ok) return std::unexpected(ok.error());
    auto read = file_->read_at(offset, out);
    if (const auto meanwhile = std::exchange(faults_.meanwhile, nullptr)) meanwhile();
    return read;
  }
  // A write that fails has written a part: the worst that a disk does.
  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    if (auto ok = faults_.check("write"); !ok) {
      static_cast<void>(file_->write_at(offset, bytes.first(bytes.size() / 2)));
      return ok;
    }
    return file_->write_at(offset, bytes);
  }
  Result<void> resize(std::uint64_t size) override {
    if (auto ok = faults_.check("resize"); !ok) return ok;
    return file_->resize(size);
  }
  Result<void> sync() override {
    return faults_.check("sync");  // nothing here cuts the power, so the real one would only cost time
  }
  Result<FileStamp> stamp() override {
    if (auto ok = faults_.check("stamp"); !ok) return std::unexpected(ok.error());
    return file_->stamp();
  }
  Result<void> set_executable() override {
    if (auto ok = faults_.check("set_executable"); !ok) return ok;
    return file_->set_executable();
  }

 private:
  std::unique_ptr<File> file_;
  Faults& faults_;
};

class FaultyFolder final : public Folder {
 public:
  FaultyFolder(std::unique_ptr<Folder> folder, Faults& faults)
      : folder_(std::move(folder)), faults_(faults) {}
  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
    if (auto ok = faults_.check("open"); !ok) return std::unexpected(ok.error());
    auto file = folder_->open(path, mode);
    if (!file) return file;
    return std::make_unique<FaultyFile>(std::move(*file), faults_);
  }
  Result<void> make_folders(std::string_view path) override {
    if (auto ok = faults_.check("make_folders"); !ok) return ok;
    return folder_->make_folders(path);
  }
  Result<void> make_symlink(std::string_view path, std::string_view target) override {
    if (auto ok = faults_.check("make_symlink"); !ok) return ok;
    return folder_->make_symlink(path, target);
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    if (auto ok = faults_.check("rename"); !ok) return ok;
    return folder_->rename(from, to);
  }
  Result<void> remove(std::string_view path) override {
    if (auto ok = faults_.check("remove"); !ok) return ok;
    return folder_->remove(path);
  }
  Result<void> sync_folder(std::string_view path) override {
    if (auto ok = faults_.check("sync_folder"); !ok) return ok;
    const auto entry = path.empty() ? Result<Entry>{Entry{}} : folder_->stat(path);
    return entry ? Result<void>{} : std::unexpected(entry.error());
  }
  Result<bool> sync_everything() override {
    if (auto ok = faults_.check("sync_everything"); !ok) return std::unexpected(ok.error());
    return true;
  }
  Result<Entry> stat(std::string_view path) override {
    if (auto ok = faults_.check("stat"); !ok) return std::unexpected(ok.error());
    return folder_->stat(path);
  }
  Result<std::string> read_symlink(std::string_view path) override { return folder_->read_symlink(path); }
  Result<std::vector<Entry>> list(std::string_view path) override { return folder_->list(path); }
  Result<std::uint64_t> free_bytes() override {
    if (auto ok = faults_.check("free_bytes"); !ok) return std::unexpected(ok.error());
    return folder_->free_bytes();
  }

 private:
  std::unique_ptr<Folder> folder_;
  Faults& faults_;
};

class FaultyVfs final : public Vfs {
 public:
  explicit FaultyVfs(Faults& faults) : faults_(faults) {}
  Result<std::unique_ptr<Folder>> open_folder(const std::string& path, Missing missing) override {
    if (auto ok = faults_.check("open_folder"); !ok) return std::unexpected(ok.error());
    auto folder = vfs_.open_folder(path, missing);
    if (!folder) return folder;
    return std::make_unique<FaultyFolder>(std::move(*folder), faults_);
  }

 private:
  PosixVfs vfs_;
  Faults& faults_;
};

}  // namespace shoal::storage::fixture
