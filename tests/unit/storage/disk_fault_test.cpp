// Faults: every call to files and catalog of a small download fails in turn, once or for good, with each kind
// of error; and the process dies after each. Whatever happens: no have-bit without its bytes, the cause is
// named, and once it is gone the download ends whole.
#include <gtest/gtest.h>

#include "disk_fixture.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using fixture::Engine;
using fixture::Faults;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::read_whole;
using fixture::TempFolder;

// The odd name makes the file system be asked about it (layout.hpp).
// Of v1 its second piece lies in both files.
Made small_content(Format format = Format::v2) {
  return fixture::make({{"a", pattern(3 * block_bytes + 7, 1)}, {"d/b", pattern(block_bytes, 2)}, {"e?", {}}},
                       2 * block_bytes, format);
}

// Reads the truth past everything: each piece that the catalog calls held has its bytes on the disk.
void expect_no_false_have(const Made& made, const std::string& state, const std::string& out) {
  if (!std::filesystem::exists(state + "/catalog.sqlite")) return;
  Faults none;
  auto folder = PosixVfs{}.open_folder(state, Vfs::Missing::error);
  ASSERT_TRUE(folder);
  fixture::FaultyFolder unsynced{std::move(*folder), none};
  SqliteVfs sqlite{"truth", unsynced};
  auto catalog = Catalog::open({"catalog.sqlite", sqlite.name()});
  ASSERT_TRUE(catalog) << catalog.error().rule;
  const auto found = (*catalog)->find(made.content->id);
  ASSERT_TRUE(found);
  if (!*found) return;
  const std::vector<std::string> parts = part_paths(*made.content);
  for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece) {
    if (!(*found)->have.test(piece)) continue;
    made.content->visit_extents(piece, [&](const Extent& in) {
      Bytes bytes = read_whole(out + "/" + made.content->disk_path(in.file));
      if (bytes.empty()) bytes = read_whole(out + "/" + parts[in.file]);
      ASSERT_GE(bytes.size(), in.offset + in.length);
      EXPECT_TRUE(equal(ByteView{bytes}.subspan(in.offset, in.length),
                        ByteView{made.files[in.file].bytes}.subspan(in.offset, in.length)));
    });
  }
}

// One life under faults; tries a step again a few times, as an engine does when a disk is full for a while.
bool live(const Made& made, const std::string& state, const std::string& out, Faults& faults) {
  Life life{state, &faults};
  if (!life.up()) {
    EXPECT_NE(std::string_view{life.error.rule}, "");
    return false;
  }
  for (int round = 0; round < 2; ++round) {
    Engine engine{life, made, out};
    bool done = engine.start() && engine.download();
    if (!done && engine.failure && engine.failure->error.code != Code::cancelled && round == 0) {
      EXPECT_NE(std::string_view{engine.failure->error.rule}, "");
      static_cast<void>(life.run(DetachJob{0, 0, 0}));
      continue;
    }
    return done;
  }
  return false;
}

void sweep(Faults::How how, Error error, Format format = Format::v2) {
  const Made made = small_content(format);
  std::uint64_t total = 0;
  {
    TempFolder temp;
    Faults none;
    ASSERT_TRUE(live(made, temp.path("state"), temp.path("out"), none));
    total = none.calls;
  }
  ASSERT_GT(total, 60U);
  int survived = 0;
  for (std::uint64_t at = 0; at < total; ++at) {
    SCOPED_TRACE(at);
    TempFolder temp;
    Faults faults;
    faults.how = how;
    faults.at = at;
    faults.error = error;
    survived += live(made, temp.path("state"), temp.path("out"), faults) ? 1 : 0;
    {
      // The catalog may have died in its first steps; then it must open all the same.
      SCOPED_TRACE(faults.last);
      expect_no_false_have(made, temp.path("state"), temp.path("out"));
      Faults none;
      ASSERT_TRUE(live(made, temp.path("state"), temp.path("out"), none));
    }
    for (const fixture::HashedFile& file : made.files)
      ASSERT_EQ(read_whole(temp.path("out/content/" + file.path)), file.bytes);
    expect_no_false_have(made, temp.path("state"), temp.path("out"));
    if (testing::Test::HasFailure()) return;
  }
  if (how == Faults::How::once) {
    EXPECT_GT(survived, static_cast<int>(total) / 2);  // most are got over by trying again
  }
}

TEST(DiskFaults, EveryCallFailsOnce) { sweep(Faults::How::once, {Code::io, "injected", EIO}); }
TEST(DiskFaults, EveryCallFailsOnceWherePiecesHoldManyFiles) {
  sweep(Faults::How::once, {Code::io, "injected", EIO}, Format::v1);
}
TEST(DiskFaults, EveryCallFailsForGoodWherePiecesHoldManyFiles) {
  sweep(Faults::How::for_good, {Code::io, "injected", EIO}, Format::v1);
}
TEST(DiskFaults, EveryCallFailsForGood) { sweep(Faults::How::for_good, {Code::io, "injected", EIO}); }
TEST(DiskFaults, EveryCallFindsTheDiskFullOnce) {
  sweep(Faults::How::once, {Code::no_space, "injected", ENOSPC});
}
TEST(DiskFaults, EveryCallFindsTheDiskFullForGood) {
  sweep(Faults::How::for_good, {Code::no_space, "injected", ENOSPC});
}
TEST(DiskFaults, EveryCallRunsOutOfDescriptorsOnce) {
  sweep(Faults::How::once, {Code::busy, "injected", EMFILE});
}
TEST(DiskFaults, EveryCallRunsOutOfDescriptorsForGood) {
  sweep(Faults::How::for_good, {Code::busy, "injected", EMFILE});
}

// Fifty files of a block each: so many that all is synced at once.
Made fifty_files(const std::string& before, const std::string& behind) {
  std::vector<std::pair<std::string, Bytes>> files;
  for (unsigned i = 10; i < 60; ++i)
    files.emplace_back(before + std::to_string(i) + behind, pattern(1'000, i));
  return fixture::make(files, block_bytes);
}
std::vector<std::uint32_t> write_fifty(Life& life, const Made& made) {
  std::vector<std::uint32_t> pieces;
  for (std::uint32_t piece = 0; piece < 50; ++piece) {
    EXPECT_TRUE(life.run(fixture::write_job(made, piece, 0)));
    pieces.push_back(piece);
  }
  return pieces;
}

// Many files in one commit are synced at once; where that fails, each by itself, and what fails then is lost.
TEST(DiskFaults, OneSyncForManyFiles) {
  const Made made = fifty_files("d", "/f");
  TempFolder temp;
  Faults faults;
  auto life = std::make_unique<Life>(temp.path("state"), &faults);
  Engine engine{*life, made, temp.path("out")};
  ASSERT_TRUE(engine.start());
  const std::vector<std::uint32_t> pieces = write_fifty(*life, made);
  faults.only = "sync_everything";
  faults.calls = 0;
  ASSERT_TRUE(engine.commit(pieces));
  EXPECT_EQ(faults.calls, 2U);  // the files; then their new names, which lie in as many folders
  EXPECT_EQ(engine.finished.size(), 50U);
  life.reset();
  expect_no_false_have(made, temp.path("state"), temp.path("out"));
}

TEST(DiskFaults, WhereOneSyncForAllNewNamesFailsEachFolderIsSynced) {
  const Made made = fifty_files("d", "/f");
  TempFolder temp;
  Faults faults;
  Life life{temp.path("state"), &faults};
  Engine engine{life, made, temp.path("out")};
  ASSERT_TRUE(engine.start());
  const std::vector<std::uint32_t> pieces = write_fifty(life, made);
  faults.only = "sync_everything";
  faults.how = Faults::How::once;
  faults.at = faults.calls + 1;
  faults.seen.clear();
  ASSERT_TRUE(engine.commit(pieces));
  EXPECT_EQ(faults.last, "sync_everything");
  EXPECT_GE(faults.seen["sync_folder"], 50U);
  EXPECT_EQ(engine.finished.size(), 50U);
}

TEST(DiskFaults, WhereOneSyncForAllFailsEachFileTells) {
  const Made made = fifty_files("f", "");
  for (const bool each_fails : {false, true}) {
    TempFolder temp;
    Faults faults;
    Life life{temp.path("state"), &faults};
    Engine engine{life, made, temp.path("out")};
    ASSERT_TRUE(engine.start());
    const std::vector<std::uint32_t> pieces = write_fifty(life, made);
    faults.how = Faults::How::for_good;
    faults.only = each_fails ? "sync" : "sync_everything";
    faults.at = faults.calls = 0;
    if (!each_fails) {
      EXPECT_TRUE(engine.commit(pieces));
      EXPECT_EQ(faults.calls, 1U);
      EXPECT_EQ(engine.finished.size(), 50U);
      continue;
    }
    // The catalog syncs, too: with all files synced at once its failure is the first.
    EXPECT_FALSE(engine.commit(pieces));
    EXPECT_TRUE(engine.failure->path.empty());
    faults.how = Faults::How::never;
    EXPECT_TRUE(engine.commit(pieces));
    EXPECT_EQ(engine.finished.size(), 50U);
  }
}

class DiskFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(life_.up());
    ASSERT_TRUE(engine_.start());
  }
  void fail_next(Error error) {
    faults_.how = Faults::How::once;
    faults_.at = faults_.calls;
    faults_.error = error;
  }
  void write(std::uint32_t piece) {
    for (std::uint32_t block = 0; block < made_.content->blocks_in(piece); ++block)
      ASSERT_TRUE(life_.run(fixture::write_job(made_, piece, block)));
  }
  TempFolder temp_;
  Faults faults_;
  Made made_ = small_content();
  Life life_{temp_.path("state"), &faults_};
  Engine engine_{life_, made_, temp_.path("out")};
};

TEST_F(DiskFaultTest, AFullDiskGivesTheBlockBackAndPasses) {
  write(0);
  fail_next({Code::no_space, "the disk is full", ENOSPC});
  WriteJob job = fixture::write_job(made_, 1, 0);
  job.first = WriteJob::First::no;  // so that the next call is the write itself
  Done done = life_.run(std::move(job));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, Code::no_space);
  EXPECT_EQ(done.error().path, temp_.path("out/content/a"));
  EXPECT_TRUE(equal(done.error().spent.view(), fixture::block_of(made_, 1, 0)));
  ASSERT_TRUE(engine_.download());
}

// The pages are in memory, the disk lost them: only what is read back may count.
TEST_F(DiskFaultTest, AFailedSyncCountsAsLost) {
  write(0);
  write(1);
  // A commit asks for the stamp, then syncs.
  faults_.how = Faults::How::once;
  faults_.at = faults_.calls + 1;
  faults_.error = {Code::io, "injected", EIO};
  EXPECT_FALSE(engine_.commit({0}));
  EXPECT_EQ(faults_.last, "sync");
  EXPECT_EQ(engine_.failure->error.code, Code::io);
  EXPECT_EQ(engine_.failure->path, temp_.path("out/content/a"));
  EXPECT_TRUE(life_.catalog().find(made_.content->id)->value().have.none());
  // Neither piece of that file may be committed as it is, not even by a sync that works.
  EXPECT_FALSE(engine_.commit({0}));
  EXPECT_EQ(engine_.failure->error.code, Code::mismatch);
  EXPECT_FALSE(engine_.commit({1}));
  write(2);
  EXPECT_TRUE(engine_.commit({2}));  // another file
  ASSERT_TRUE(engine_.hash_again({0, 1}));
  EXPECT_TRUE(engine_.have.all());
  EXPECT_EQ(engine_.finished, (std::vector<std::uint32_t>{1, 0}));
}

// Bytes that were read before the sync failed came from memory: they say nothing about the disk.
TEST_F(DiskFaultTest, AHashBegunBeforeAFailedSyncDoesNotUndoIt) {
  write(0);
  faults_.meanwhile = [&] {
    faults_.how = Faults::How::once;
    faults_.at = faults_.calls + 1;
    faults_.error = {Code::io, "injected", EIO};
    EXPECT_FALSE(engine_.commit({0}));
    EXPECT_EQ(faults_.last, "sync");
  };
  ASSERT_TRUE(life_.run(HashJob{0, 0}));
  EXPECT_FALSE(engine_.commit({0}));
  EXPECT_EQ(engine_.failure->error.code, Code::mismatch);
  ASSERT_TRUE(life_.run(HashJob{0, 0}));
  EXPECT_TRUE(engine_.commit({0}));
}

TEST_F(DiskFaultTest, AFailedSyncOfAFolderWritesNoBits) {
  write(0);
  const std::uint64_t before = faults_.calls;
  bool seen = false;
  for (std::uint64_t at = 0; at < 8 && !seen; ++at) {
    faults_.how = Faults::How::once;
    faults_.at = faults_.calls + at;
    if (engine_.commit({0})) break;
    if (faults_.last == "sync_folder") {
      seen = true;
      EXPECT_TRUE(life_.catalog().find(made_.content->id)->value().have.none());
    }
    faults_.how = Faults::How::never;
    ASSERT_TRUE(engine_.hash_again({}));
    if (!seen) {
      ASSERT_TRUE(life_.run(HashJob{0, 0}));
    }
  }
  EXPECT_GT(faults_.calls, before);
  EXPECT_TRUE(seen);
  faults_.how = Faults::How::never;
  ASSERT_TRUE(engine_.commit({0}));
  EXPECT_TRUE(life_.catalog().find(made_.content->id)->value().have.test(0));
}

// Else a share would be given without it, and its user told nothing.
TEST_F(DiskFaultTest, AShareThatCannotBeLookedAtIsNotAbsent) {
  ASSERT_TRUE(engine_.download());
  ASSERT_TRUE(life_.run(DetachJob{0, 0, 0}));
  Engine sharer{life_, made_, temp_.path("out")};
  faults_.only = "stat";
  for (const Code passing : {Code::io, Code::busy, Code::no_space}) {
    faults_.calls = faults_.at = 0;
    faults_.how = Faults::How::once;
    faults_.error.code = passing;
    ASSERT_FALSE(sharer.start(AttachJob::Mode::serve));
    EXPECT_EQ(sharer.failure->error.code, passing);
    EXPECT_EQ(sharer.failure->path, temp_.path("out/content/a"));
  }
  ASSERT_TRUE(sharer.start(AttachJob::Mode::serve));
  EXPECT_TRUE(sharer.have.all());
  // What is said of the place and not of the moment: there is no such file, and it is not forgotten for that.
  for (const Code lasting : {Code::unsafe, Code::denied, Code::exists}) {
    ASSERT_TRUE(life_.run(DetachJob{0, 0, 0}));
    faults_.calls = 0;
    faults_.error.code = lasting;
    ASSERT_TRUE(sharer.start(AttachJob::Mode::serve));
    EXPECT_EQ(sharer.attached.files[0], Attached::FileState::absent);
    EXPECT_EQ(sharer.attached.files[1], Attached::FileState::whole);
  }
  ASSERT_TRUE(life_.run(DetachJob{0, 0, 0}));
  ASSERT_TRUE(sharer.start(AttachJob::Mode::serve));
  EXPECT_TRUE(sharer.have.all());
}

}  // namespace
}  // namespace shoal::storage
