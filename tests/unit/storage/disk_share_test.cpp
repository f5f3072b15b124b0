// Disk: shares, which lie where the user has them and are never written, however they change meanwhile.
#include <gtest/gtest.h>

#include "disk_place_fixture.hpp"
#include "storage/disk.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {
namespace {

using fixture::DiskTest;
using fixture::edit;
using fixture::Engine;
using fixture::four_files;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::piece_length;
using fixture::set_time;
using FileState = Attached::FileState;

class ShareTest : public DiskTest {
 protected:
  void SetUp() override {
    for (const fixture::HashedFile& file : made_.files) temp_.file("shared/" + file.path, file.bytes);
    store(temp_.path(), "shared", {});
  }
  void store(const std::string& folder, const std::string& root_name, std::vector<std::string> disk_paths) {
    auto opened = PosixVfs{}.open_folder(temp_.path("shared"), Vfs::Missing::error);
    ContentRecord record;
    record.content = made_.content;
    record.role = ContentRole::share;
    record.folder = folder;
    record.root_name = root_name;
    record.have = ContentRecord::Have::all;
    record.layers = made_.layers;
    for (const fixture::HashedFile& file : made_.files)
      record.stamps.push_back((*opened)->stat(file.path)->stamp);
    record.disk_paths = std::move(disk_paths);
    Life life{state_, nullptr};
    ASSERT_TRUE(life.catalog().store(record));
  }
  Made made_ = four_files();
};

TEST_F(ShareTest, IsServedFromWhereItLies) {
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  EXPECT_EQ(engine.attached.files, std::vector(4, FileState::whole));
  EXPECT_TRUE(engine.have.all());
  const auto bytes = engine.read(4, 100, 200);
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(equal(*bytes, ByteView{made_.files[2].bytes}.subspan(100, 200)));
  const auto refused = life.run(fixture::write_job(made_, 0, 0));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code, Code::denied);
  EXPECT_EQ(refused.error().spent.size(), block_bytes);
  EXPECT_FALSE(std::filesystem::exists(temp_.path("shared/a.bin.part")));
}

TEST_F(ShareTest, PathsOfTheirOwn) {
  std::filesystem::rename(temp_.path("shared/a.bin"), temp_.path("moved"));
  std::vector<std::string> disk_paths{"moved", "shared/empty", "shared/sub/deep/b.bin", "shared/z.txt"};
  temp_.file("shared/a.bin", {});  // for its stamp in store(); corrected below
  std::filesystem::remove(temp_.path("shared/a.bin"));
  std::filesystem::create_hard_link(temp_.path("moved"), temp_.path("shared/a.bin"));
  store(temp_.path(), "", disk_paths);
  std::filesystem::remove(temp_.path("shared/a.bin"));
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  EXPECT_EQ(engine.attached.files, std::vector(4, FileState::whole));
  const auto bytes = engine.read(0, 0, 200);
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(equal(*bytes, ByteView{made_.files[0].bytes}.first(200)));
}

TEST_F(ShareTest, AChangeWhileServingStopsTheFileUntilItIsVerified) {
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  ASSERT_TRUE(engine.read(0, 0, 50));
  const std::string path = temp_.path("shared/a.bin");
  set_time(path, 2'000);  // the bytes are the same, but who knows
  auto refused = engine.read(0, 0, 50);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code, Code::mismatch);
  EXPECT_EQ(refused.error().path, path);
  EXPECT_GE(refused.error().spent.capacity(), 50U);
  EXPECT_FALSE(engine.read(1, 0, 50));
  ASSERT_TRUE(engine.read(4, 0, 50));  // other files are served on
  EXPECT_FALSE(life.catalog().find(made_.content->id)->value().have.test(0));
  // A commit without hashing is refused; with it the file is served again.
  EXPECT_FALSE(engine.commit({0, 1, 2, 3}));
  EXPECT_EQ(engine.failure->error.code, Code::mismatch);
  ASSERT_TRUE(engine.hash_again({0, 1, 2, 3}));
  EXPECT_EQ(engine.finished, std::vector<std::uint32_t>{0});
  ASSERT_TRUE(engine.read(0, 0, 50));
  EXPECT_TRUE(life.catalog().find(made_.content->id)->value().have.all());
}

TEST_F(ShareTest, AnEditedFileServesWhatIsStillGood) {
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  const std::string path = temp_.path("shared/a.bin");
  edit(path, piece_length, 'X');
  set_time(path, 2'000);
  EXPECT_FALSE(engine.read(1, 0, 50));
  engine.have = Bitfield{made_.content->pieces};
  ASSERT_TRUE(engine.hash_again({0, 1, 2, 3}));
  EXPECT_TRUE(engine.have.test(0));
  EXPECT_FALSE(engine.have.test(1));
  ASSERT_TRUE(engine.read(0, 0, 50));
  EXPECT_FALSE(engine.read(1, 0, 50));
  set_time(path, 3'000);  // once more
  EXPECT_FALSE(engine.read(0, 0, 50));
}

TEST_F(ShareTest, AChangeAmidTheHashingStartsItOver) {
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  const std::string path = temp_.path("shared/a.bin");
  set_time(path, 2'000);
  EXPECT_FALSE(engine.read(0, 0, 50));
  ASSERT_TRUE(life.run(HashJob{0, 0}));
  set_time(path, 3'000);
  const auto hashed = life.run(HashJob{0, 1});
  ASSERT_FALSE(hashed);
  EXPECT_EQ(hashed.error().error.code, Code::mismatch);
  ASSERT_TRUE(life.run(HashJob{0, 1}));
  EXPECT_FALSE(engine.commit({0, 1}));  // piece 0 was hashed of another file
  ASSERT_TRUE(engine.hash_again({0, 1, 2, 3}));
  ASSERT_TRUE(engine.read(0, 0, 50));
}

TEST_F(ShareTest, AChangeBehindTheHashingIsNotCommitted) {
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  const std::string path = temp_.path("shared/a.bin");
  set_time(path, 2'000);
  EXPECT_FALSE(engine.read(0, 0, 50));
  const std::vector<std::uint32_t> pieces{0, 1, 2, 3};
  for (const std::uint32_t piece : pieces) ASSERT_TRUE(life.run(HashJob{0, piece}));
  set_time(path, 3'000);
  ASSERT_FALSE(engine.commit(pieces));
  EXPECT_EQ(engine.failure->error.code, Code::mismatch);
  EXPECT_EQ(engine.failure->path, path);
  EXPECT_FALSE(life.catalog().find(made_.content->id)->value().have.test(0));
  ASSERT_TRUE(engine.hash_again(pieces));
  ASSERT_TRUE(engine.read(0, 0, 50));
}

// Else it would serve what changed as verified once it is started again.
TEST_F(ShareTest, ACatalogThatCouldNotBeToldOfAChangeIsToldBeforeACommit) {
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  const auto tell_catalog = [&](const char* sql) {
    auto database = sqlite::Database::open(state_ + "/catalog.sqlite", {}, 0);
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->execute(sql));
  };
  set_time(temp_.path("shared/a.bin"), 2'000);
  // It can be told of all but changes.
  tell_catalog(
      "CREATE TRIGGER t BEFORE UPDATE ON files WHEN NEW.progress=2 BEGIN SELECT RAISE(ABORT, 'no'); END");
  EXPECT_FALSE(engine.read(0, 0, 50));
  EXPECT_TRUE(life.catalog().find(made_.content->id)->value().have.test(0)) << "it does not know";
  const std::vector<std::uint32_t> pieces{0, 1, 2, 3};
  ASSERT_FALSE(engine.hash_again(pieces));
  EXPECT_EQ(engine.failure->error.code, Code::io);
  EXPECT_TRUE(engine.failure->path.empty());
  tell_catalog("DROP TRIGGER t");
  EXPECT_TRUE(engine.commit({0}));
  const auto found = *life.catalog().find(made_.content->id);
  EXPECT_TRUE(found->have.test(0));
  EXPECT_FALSE(found->have.test(1)) << "now it does, and has what was committed since";
}

TEST_F(ShareTest, ReplacedAndRemovedFiles) {
  {
    Life life{state_, nullptr};
    Engine engine{life, made_, temp_.path()};
    std::filesystem::rename(temp_.path("shared/a.bin"), temp_.path("kept"));
    ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
    EXPECT_EQ(engine.attached.files[0], FileState::absent);
    EXPECT_FALSE(engine.read(0, 0, 10));
    auto hashed = life.get<HashDone>(HashJob{0, 0});
    ASSERT_TRUE(hashed);
    EXPECT_TRUE(hashed->leaves.empty());
  }
  {  // Away is not changed: back again, it needs no hashing.
    std::filesystem::rename(temp_.path("kept"), temp_.path("shared/a.bin"));
    Life life{state_, nullptr};
    Engine engine{life, made_, temp_.path()};
    ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
    EXPECT_EQ(engine.attached.files[0], FileState::whole);
  }
  temp_.file("shared/new", pattern(100'000, 1));  // the same bytes in another file
  std::filesystem::rename(temp_.path("shared/new"), temp_.path("shared/a.bin"));
  Life life{state_, nullptr};
  Engine engine{life, made_, temp_.path()};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  EXPECT_EQ(engine.attached.files[0], FileState::changed);
  EXPECT_EQ(engine.pieces_hashed, 4U);
  ASSERT_TRUE(engine.read(0, 0, 10));
}

}  // namespace
}  // namespace shoal::storage
