// What tests of the disk share: a peer's disk side over real folders, an engine in miniature that downloads
// as the swarm does, and a file system in which a chosen call fails.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "content_fixture.hpp"
#include "folder_fixture.hpp"
#include "storage/catalog.hpp"
#include "storage/disk.hpp"
#include "storage/posix_state.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::storage::fixture {

// Counts calls and lets some fail. One for all files of a test, the catalog's included.
struct Faults {
  enum class How : std::uint8_t { never, once, for_good };
  How how = How::never;
  std::uint64_t at = 0;     // the call that fails, from 0
  std::uint64_t calls = 0;  // so far
  Error error{Code::io, "injected", 5};
  std::string last;  // what failed
  std::string only;  // if not empty: calls of this name alone count
  [[nodiscard]] Result<void> check(std::string_view what) {
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
    return file_->read_at(offset, out);
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

// One life of a process: made, used, dropped; the folders stay.
class Life {
 public:
  // `faults` null: the plain file system and SQLite's own files.
  Life(const std::string& state, Faults* faults, std::size_t open_files = 128) : locks_(state) {
    std::string catalog = state + "/catalog.sqlite", vfs_name;
    if (faults != nullptr) {
      vfs_ = std::make_unique<FaultyVfs>(*faults);
      auto folder = PosixVfs{}.open_folder(state, Vfs::Missing::create);
      if (!folder) return;
      state_folder_ = std::make_unique<FaultyFolder>(std::move(*folder), *faults);
      sqlite_ = std::make_unique<SqliteVfs>("disk test", *state_folder_);
      catalog = "catalog.sqlite";
      vfs_name = sqlite_->name();
    } else {
      vfs_ = std::make_unique<PosixVfs>();
      if (!prepare_state(state)) return;
    }
    begin({catalog, vfs_name, nullptr, 1'000}, open_files);
  }
  // A file system of the test's own for the contents; SQLite's own files.
  Life(const std::string& state, std::unique_ptr<Vfs> vfs) : locks_(state), vfs_(std::move(vfs)) {
    if (prepare_state(state)) begin({state + "/catalog.sqlite", {}, nullptr, 1'000}, 128);
  }

  [[nodiscard]] bool up() const { return disk_ != nullptr; }
  [[nodiscard]] Catalog& catalog() { return *catalog_; }
  [[nodiscard]] Disk& disk() { return *disk_; }
  Done run(Job job) { return disk_->run(std::move(job), worker_); }
  template <class T>
  [[nodiscard]] std::expected<T, JobFailure> get(Job job) {
    Done done = run(std::move(job));
    if (!done) return std::unexpected(std::move(done.error()));
    T* value = std::get_if<T>(&*done);
    EXPECT_NE(value, nullptr);
    return std::move(*value);
  }

  Error error{};

 private:
  void begin(const Catalog::Options& options, std::size_t open_files) {
    auto opened = Catalog::open(options);
    if (!opened) {
      error = opened.error();
      return;
    }
    catalog_ = std::move(*opened);
    disk_ = std::make_unique<Disk>(*vfs_, *catalog_, gate_, Disk::Options{open_files, &locks_});
  }

  PosixLocks locks_;
  OpenGate gate_;
  std::unique_ptr<Vfs> vfs_;
  std::unique_ptr<Folder> state_folder_;
  std::unique_ptr<SqliteVfs> sqlite_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Disk> disk_;
  Disk::Worker worker_;
};

inline ByteView block_of(const Made& made, std::uint32_t piece, std::uint32_t block) {
  const Content& content = *made.content;
  const Bytes& bytes = made.files[content.file_of_piece[piece]].bytes;
  return ByteView{bytes}.subspan(content.piece_offset(piece) + std::uint64_t{block} * block_bytes,
                                 content.block_length(piece, block));
}

inline Buffer buffer_of(ByteView bytes) {
  Buffer out{bytes.size() == 0 ? 1 : bytes.size()};
  out.append(bytes);
  return out;
}

inline WriteJob write_job(const Made& made, std::uint32_t piece, std::uint32_t block,
                          std::uint32_t slot = 0) {
  return {slot,
          {piece, block},
          buffer_of(block_of(made, piece, block)),
          block == 0 ? WriteJob::First::yes : WriteJob::First::no};
}

// An engine in miniature. Every step follows the rules of job.hpp and disk.hpp; `failure` is what stopped it.
class Engine {
 public:
  Engine(Life& life, const Made& made, std::string folder)
      : life_(life), made_(made), folder_(std::move(folder)) {}

  // Load, attach, hash again what must be. False: see `failure`.
  [[nodiscard]] bool start(AttachJob::Mode mode = AttachJob::Mode::download, std::vector<bool> wanted = {}) {
    const Content& content = *made_.content;
    have = Bitfield{content.pieces};
    auto loaded = life_.get<Loaded>(LoadJob{content.id});
    if (!loaded) return fail(loaded.error());
    std::vector<std::uint32_t> suspects;
    if (loaded->stored) {
      have = loaded->stored->have;
      suspects = loaded->stored->touched;
    }
    auto result =
        life_.get<Attached>(AttachJob{0, made_.content, folder_, mode, std::move(wanted), made_.layers});
    if (!result) return fail(result.error());
    attached = std::move(*result);
    for (std::uint32_t f = 0; f < content.files.size(); ++f) {
      const ContentFile& file = content.files[f];
      const bool gone = attached.files[f] == Attached::FileState::absent;
      const bool changed = attached.files[f] == Attached::FileState::changed;
      for (std::uint32_t p = file.first_piece; p < file.first_piece + file.pieces; ++p) {
        if (gone || changed) have.reset(p);
        if (changed) suspects.push_back(p);
      }
    }
    return hash_again(suspects);
  }

  // Pieces that turn out good are committed.
  [[nodiscard]] bool hash_again(std::vector<std::uint32_t> suspects) {
    std::sort(suspects.begin(), suspects.end());
    suspects.erase(std::unique(suspects.begin(), suspects.end()), suspects.end());
    std::vector<std::uint32_t> good;
    for (const std::uint32_t piece : suspects) {
      auto hashed = life_.get<HashDone>(HashJob{0, piece});
      if (!hashed) return fail(hashed.error());
      ++pieces_hashed;
      if (is_good(piece, hashed->leaves)) good.push_back(piece);
    }
    return good.empty() || commit(good);
  }

  [[nodiscard]] bool is_good(std::uint32_t piece, const std::vector<Sha256>& leaves) const {
    std::vector<Sha256> expected;
    for (std::uint32_t b = 0; b < made_.content->blocks_in(piece); ++b)
      expected.push_back(sha256(block_of(made_, piece, b)));
    return leaves == expected;
  }

  [[nodiscard]] bool commit(const std::vector<std::uint32_t>& pieces) {
    auto done = life_.get<Committed>(CommitJob{0, pieces, 1, 2});
    if (!done) return fail(done.error());
    for (const std::uint32_t piece : pieces) have.set(piece);
    for (const std::uint32_t file : done->finished_files) finished.push_back(file);
    return true;
  }

  // Writes what is missing, a commit every `window` pieces.
  [[nodiscard]] bool download(std::size_t window = 2) {
    std::vector<std::uint32_t> written;
    for (std::uint32_t piece = 0; piece < made_.content->pieces; ++piece) {
      if (have.test(piece)) continue;
      for (std::uint32_t block = 0; block < made_.content->blocks_in(piece); ++block) {
        auto done = life_.get<WriteDone>(write_job(made_, piece, block));
        if (!done) return fail(done.error());
        EXPECT_EQ(done->leaf, sha256(block_of(made_, piece, block)));
        EXPECT_EQ(done->spent.size(), block_of(made_, piece, block).size());
      }
      written.push_back(piece);
      if (written.size() < window) continue;
      if (!commit(written)) return false;
      written.clear();
    }
    return written.empty() || commit(written);
  }

  [[nodiscard]] std::expected<Bytes, JobFailure> read(std::uint32_t piece, std::uint32_t begin,
                                                      std::uint32_t length) {
    auto done = life_.get<ReadDone>(ReadJob{0, piece, begin, length, Buffer{length + 9U}, 9});
    if (!done) return std::unexpected(std::move(done.error()));
    EXPECT_EQ(done->data.size(), length + 9U);
    return to_vector(done->data.view().subspan(9));
  }

  Bitfield have;
  Attached attached;
  std::vector<std::uint32_t> finished;
  std::optional<JobFailure> failure;
  std::uint32_t pieces_hashed = 0;

 private:
  bool fail(JobFailure& error) {
    failure = std::move(error);
    return false;
  }
  Life& life_;
  const Made& made_;
  std::string folder_;
};

inline Bytes read_whole(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace shoal::storage::fixture
