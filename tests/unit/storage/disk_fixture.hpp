// What tests of the disk share: a peer's disk side over real folders, where a chosen call may fail, and an
// engine in miniature that downloads as the swarm does.
//
// Length: a life and the engine that runs in it are one thing to every test that uses them.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "content_fixture.hpp"
#include "faulty_vfs.hpp"
#include "folder_fixture.hpp"
#include "storage/catalog.hpp"
#include "storage/disk.hpp"
#include "storage/posix_state.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::storage::fixture {

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
  return made.piece(piece).subspan(std::size_t{block} * block_bytes,
                                   made.content->block_length(piece, block));
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
      if (is_good(*hashed)) good.push_back(piece);
    }
    return good.empty() || commit(good);
  }

  [[nodiscard]] bool is_good(const HashDone& hashed) const {
    const Content& content = *made_.content;
    if (content.v1 && (!hashed.v1 || !equal(*hashed.v1, content.v1_hash(hashed.piece)))) return false;
    std::vector<Sha256> expected;
    for (std::uint32_t b = 0; b < content.blocks_in(hashed.piece); ++b)
      expected.push_back(sha256(block_of(made_, hashed.piece, b)));
    return hashed.leaves == expected;
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
        EXPECT_EQ(done->mark, mark_of(*made_.content, block_of(made_, piece, block)));
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
