// Real folders for tests of storage: a temporary one that goes away, and a file system that does something at
// a chosen read, so that what happens "meanwhile" happens at a known instant.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "storage/posix_vfs.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage::fixture {

class TempFolder {
 public:
  TempFolder() {
    std::string name =
        (std::filesystem::canonical(std::filesystem::temp_directory_path()) / "shoal-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] std::string path() const { return path_; }
  [[nodiscard]] std::string path(std::string_view name) const { return path_ + "/" + std::string{name}; }
  void folder(std::string_view name) const { std::filesystem::create_directories(path(name)); }
  void file(std::string_view name, ByteView bytes) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream out{path(name), std::ios::binary | std::ios::trunc};
    const std::string_view text = as_text(bytes);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
  }
  void link(std::string_view name, std::string_view target) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::filesystem::create_symlink(target, path(name));
  }

 private:
  std::string path_;
};

// Called before each open, read or list, with "open PATH", "read PATH", "cached PATH" (a read of what is in
// memory), "list PATH"; an error stands for the operation's own.
using Meanwhile = std::function<Result<void>(const std::string& what)>;

class WatchedFile final : public File {
 public:
  WatchedFile(std::unique_ptr<File> file, std::string path, const Meanwhile& meanwhile)
      : file_(std::move(file)), path_(std::move(path)), meanwhile_(meanwhile) {}
  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    if (auto ok = meanwhile_("read " + path_); !ok) return std::unexpected(ok.error());
    return file_->read_at(offset, out);
  }
  Result<std::size_t> read_cached(std::uint64_t offset, MutableBytes out) override {
    if (auto ok = meanwhile_("cached " + path_); !ok) return std::unexpected(ok.error());
    return file_->read_at(offset, out);
  }
  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    return file_->write_at(offset, bytes);
  }
  Result<void> resize(std::uint64_t size) override { return file_->resize(size); }
  Result<void> sync() override { return file_->sync(); }
  Result<FileStamp> stamp() override { return file_->stamp(); }
  Result<void> set_executable() override { return file_->set_executable(); }

 private:
  std::unique_ptr<File> file_;
  std::string path_;
  const Meanwhile& meanwhile_;
};

class WatchedFolder final : public Folder {
 public:
  WatchedFolder(std::unique_ptr<Folder> folder, const Meanwhile& meanwhile)
      : folder_(std::move(folder)), meanwhile_(meanwhile) {}
  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
    if (auto ok = meanwhile_("open " + std::string{path}); !ok) return std::unexpected(ok.error());
    auto file = folder_->open(path, mode);
    if (!file) return file;
    return std::make_unique<WatchedFile>(std::move(*file), std::string{path}, meanwhile_);
  }
  Result<void> make_folders(std::string_view path) override { return folder_->make_folders(path); }
  Result<void> make_symlink(std::string_view path, std::string_view target) override {
    return folder_->make_symlink(path, target);
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    return folder_->rename(from, to);
  }
  Result<void> remove(std::string_view path) override { return folder_->remove(path); }
  Result<void> sync_folder(std::string_view path) override { return folder_->sync_folder(path); }
  Result<Entry> stat(std::string_view path) override { return folder_->stat(path); }
  Result<std::string> read_symlink(std::string_view path) override { return folder_->read_symlink(path); }
  Result<std::vector<Entry>> list(std::string_view path) override {
    if (auto ok = meanwhile_("list " + std::string{path}); !ok) return std::unexpected(ok.error());
    return folder_->list(path);
  }
  Result<std::uint64_t> free_bytes() override { return folder_->free_bytes(); }

 private:
  std::unique_ptr<Folder> folder_;
  const Meanwhile& meanwhile_;
};

class WatchedVfs final : public Vfs {
 public:
  explicit WatchedVfs(Meanwhile meanwhile) : meanwhile_(std::move(meanwhile)) {}
  Result<std::unique_ptr<Folder>> open_folder(const std::string& path, Missing missing) override {
    auto folder = vfs_.open_folder(path, missing);
    if (!folder) return folder;
    return std::make_unique<WatchedFolder>(std::move(*folder), meanwhile_);
  }

 private:
  PosixVfs vfs_;
  Meanwhile meanwhile_;
};

}  // namespace shoal::storage::fixture
