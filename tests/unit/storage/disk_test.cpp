// Disk, one life after another over real folders: what is made, what is trusted, what is refused.
#include "storage/disk.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_fixture.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using fixture::Engine;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::read_whole;
using fixture::TempFolder;
using FileState = Attached::FileState;

constexpr std::uint32_t piece_length = 2 * block_bytes;

Made four_files() {
  return fixture::make({{"a.bin", pattern(100'000, 1)},
                        {"empty", {}},
                        {"sub/deep/b.bin", pattern(piece_length, 2)},
                        {"z.txt", pattern(10, 3)}},
                       piece_length);
}

class DiskTest : public testing::Test {
 protected:
  void expect_whole(const Made& made) {
    for (const fixture::HashedFile& file : made.files)
      EXPECT_EQ(read_whole(temp_.path("out/content/" + file.path)), file.bytes) << file.path;
  }
  [[nodiscard]] std::size_t part_files() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(temp_.path("out")))
      if (entry.path().extension() == ".part") ++count;
    return count;
  }
  void finish(const Made& made) {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download());
    expect_whole(made);
  }

  TempFolder temp_;
  std::string state_ = temp_.path("state"), out_ = temp_.path("out");
};

TEST_F(DiskTest, ADownloadEndsWithTheFiles) {
  const Made made = four_files();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files,
            (std::vector{FileState::absent, FileState::whole, FileState::absent, FileState::absent}));
  EXPECT_GT(engine.attached.free_bytes, 0U);
  EXPECT_TRUE(std::filesystem::exists(temp_.path("out/content/empty")));
  EXPECT_TRUE(std::filesystem::is_directory(temp_.path("out/content/sub/deep")));
  // The first piece: only its file is there, sparse, with its full size.
  ASSERT_TRUE(life.run(fixture::write_job(made, 0, 0)));
  const std::string part = temp_.path("out/content/a.bin.part");
  EXPECT_EQ(std::filesystem::file_size(part), 100'000U);
  EXPECT_EQ(part_files(), 1U);
  EXPECT_EQ(life.catalog().find(made.content->id)->value().touched, std::vector<std::uint32_t>{0});
  ASSERT_TRUE(engine.download(1));
  EXPECT_EQ(engine.finished, (std::vector<std::uint32_t>{0, 2, 3}));
  EXPECT_EQ(part_files(), 0U);
  expect_whole(made);
  for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece) {
    const auto bytes = engine.read(piece, 0, made.content->block_length(piece, 0));
    ASSERT_TRUE(bytes);
    EXPECT_TRUE(equal(*bytes, fixture::block_of(made, piece, 0)));
  }
  const auto found = *life.catalog().find(made.content->id);
  EXPECT_TRUE(found->have.all());
  EXPECT_TRUE(found->touched.empty());
  ASSERT_TRUE(life.run(DetachJob{0, 11, 12}));
  EXPECT_EQ(life.catalog().load(made.content->id)->value().uploaded, 11U);
}

TEST_F(DiskTest, RunAgainItResumes) {
  const Made made = four_files();
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    for (std::uint32_t block = 0; block < 2; ++block)
      ASSERT_TRUE(life.run(fixture::write_job(made, 1, block)));
    ASSERT_TRUE(engine.commit({1}));
    for (std::uint32_t block = 0; block < 2; ++block)
      ASSERT_TRUE(life.run(fixture::write_job(made, 2, block)));
    ASSERT_TRUE(life.run(fixture::write_job(made, 0, 0)));  // half of it
  }
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::partial);
  EXPECT_EQ(engine.pieces_hashed, 2U);  // the touched ones and nothing else
  EXPECT_TRUE(engine.have.test(1));
  EXPECT_TRUE(engine.have.test(2));
  EXPECT_FALSE(engine.have.test(0));
  EXPECT_EQ(engine.have.count(), 2U);
  ASSERT_TRUE(engine.download());
  expect_whole(made);
}

TEST_F(DiskTest, AFinishedDownloadIsNotHashedAgain) {
  const Made made = four_files();
  finish(made);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files, std::vector(4, FileState::whole));
  EXPECT_EQ(engine.pieces_hashed, 0U);
  EXPECT_TRUE(engine.have.all());
  ASSERT_TRUE(engine.read(0, 0, 100));
}

TEST_F(DiskTest, OnlyWantedFilesAreMade) {
  const Made made = four_files();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start(AttachJob::Mode::download, {false, false, true, false}));
  EXPECT_FALSE(std::filesystem::exists(temp_.path("out/content/empty")));
  EXPECT_TRUE(std::filesystem::is_directory(temp_.path("out/content/sub/deep")));
  // What lies at the name of an unwanted file is nobody's business.
  ASSERT_TRUE(life.run(DetachJob{0}));
  temp_.file("out/content/z.txt", as_bytes("mine"));
  Engine again{life, made, out_};
  EXPECT_TRUE(again.start(AttachJob::Mode::download, {false, false, true, false}));
  ASSERT_TRUE(life.run(DetachJob{0}));
  Engine all{life, made, out_};
  EXPECT_FALSE(all.start());
  EXPECT_EQ(all.failure->error.code, Code::exists);
}

TEST_F(DiskTest, WhatIsInTheWayIsNamedAndKept) {
  const Made made = four_files();
  struct Case {
    std::string name;
    std::function<void(const std::string&)> plant;
    Code code;
  };
  const std::string victim = temp_.path("victim");
  temp_.file("victim", as_bytes("victim"));
  temp_.folder("elsewhere");
  const std::vector<Case> cases{
      {"content/a.bin", [&](auto& path) { std::ofstream{path} << "mine"; }, Code::exists},
      {"content/a.bin", [&](auto& path) { std::filesystem::create_directory(path); }, Code::exists},
      {"content/a.bin", [&](auto& path) { std::filesystem::create_symlink(victim, path); }, Code::unsafe},
      {"content/a.bin", [&](auto& path) { ::mkfifo(path.c_str(), 0600); }, Code::unsafe},
      {"content/a.bin.part", [&](auto& path) { std::ofstream{path} << "mine"; }, Code::exists},
      {"content/a.bin.part", [&](auto& path) { std::filesystem::create_symlink(victim, path); },
       Code::unsafe},
      {"content/empty", [&](auto& path) { std::ofstream{path} << "mine"; }, Code::exists},
      {"content/empty", [&](auto& path) { std::filesystem::create_symlink(victim, path); }, Code::unsafe},
      {"content/sub", [&](auto& path) { std::ofstream{path} << "mine"; }, Code::exists},
      {"content/sub", [&](auto& path) { std::filesystem::create_symlink(temp_.path("elsewhere"), path); },
       Code::unsafe},
      {"content", [&](auto& path) { std::filesystem::create_symlink(temp_.path("elsewhere"), path); },
       Code::unsafe},
      {"content", [&](auto& path) { std::ofstream{path} << "mine"; }, Code::exists},
  };
  for (const Case& c : cases) {
    std::filesystem::remove_all(out_);
    std::filesystem::create_directories(std::filesystem::path(out_ + "/" + c.name).parent_path());
    c.plant(out_ + "/" + c.name);
    Life life{temp_.path("state-" + std::to_string(&c - cases.data())), nullptr};
    Engine engine{life, made, out_};
    EXPECT_FALSE(engine.start()) << c.name;
    ASSERT_TRUE(engine.failure);
    EXPECT_EQ(engine.failure->error.code, c.code) << c.name;
    EXPECT_TRUE(engine.failure->path.starts_with(out_ + "/content")) << engine.failure->path;
    EXPECT_FALSE(life.catalog().find(made.content->id)->has_value());  // nothing was begun
  }
  EXPECT_EQ(as_text(read_whole(victim)), "victim");
  EXPECT_TRUE(std::filesystem::is_empty(temp_.path("elsewhere")));
}

// Planted between attach and the first write.
TEST_F(DiskTest, APartFileThatCameMeanwhileIsNotOverwritten) {
  const Made made = four_files();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  temp_.file("out/content/a.bin.part", as_bytes("mine"));
  temp_.file("victim", as_bytes("victim"));
  temp_.link("out/content/z.txt.part", temp_.path("victim"));
  EXPECT_FALSE(engine.download());
  EXPECT_EQ(engine.failure->error.code, Code::exists);
  EXPECT_EQ(engine.failure->path, out_ + "/content/a.bin.part");
  EXPECT_EQ(engine.failure->spent.size(), block_bytes);  // the block comes back
  EXPECT_EQ(as_text(read_whole(temp_.path("out/content/a.bin.part"))), "mine");
  const std::uint32_t last = made.content->pieces - 1;
  EXPECT_EQ(life.run(fixture::write_job(made, last, 0)).error().error.code, Code::exists);
  EXPECT_EQ(as_text(read_whole(temp_.path("victim"))), "victim");
}

TEST_F(DiskTest, AFinalNameTakenMeanwhileIsKeptAndTheCommitCanBeRepeated) {
  const Made made = fixture::make({{"f", pattern(50'000)}}, piece_length);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  temp_.file("out/content/f", as_bytes("mine"));
  EXPECT_FALSE(engine.download(9));
  EXPECT_EQ(engine.failure->error.code, Code::exists);
  EXPECT_EQ(as_text(read_whole(temp_.path("out/content/f"))), "mine");
  EXPECT_TRUE(life.catalog().find(made.content->id)->value().have.all());  // the bytes are safe all the same
  {
    Life second{temp_.path("state2"), nullptr};  // and nobody else takes it for theirs
    Engine other{second, made, out_};
    EXPECT_FALSE(other.start());
  }
  std::filesystem::remove(temp_.path("out/content/f"));
  ASSERT_TRUE(engine.commit({0, 1}));
  EXPECT_EQ(engine.finished, std::vector<std::uint32_t>{0});
  expect_whole(made);
}

TEST_F(DiskTest, KilledBetweenCommitAndRename) {
  const Made made = fixture::make({{"f", pattern(50'000)}}, piece_length);
  finish(made);
  std::filesystem::rename(temp_.path("out/content/f"), temp_.path("out/content/f.part"));
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::whole);
  EXPECT_EQ(engine.pieces_hashed, 0U);
  expect_whole(made);
  EXPECT_EQ(part_files(), 0U);
  ASSERT_TRUE(engine.read(0, 0, 100));
}

TEST_F(DiskTest, RemovedFilesAreFetchedAgain) {
  const Made made = four_files();
  finish(made);
  std::filesystem::remove(temp_.path("out/content/a.bin"));
  std::filesystem::remove(temp_.path("out/content/empty"));
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    EXPECT_EQ(engine.attached.files,
              (std::vector{FileState::absent, FileState::whole, FileState::whole, FileState::whole}));
    // The catalog forgot, too: a crash now brings no false bit back.
    EXPECT_EQ(life.catalog().find(made.content->id)->value().have, engine.have);
    ASSERT_TRUE(engine.download());
  }
  expect_whole(made);
}

TEST_F(DiskTest, AnotherFolderIsAnotherDownload) {
  const Made made = four_files();
  finish(made);
  Life life{state_, nullptr};
  Engine engine{life, made, temp_.path("out2")};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::absent);
  EXPECT_TRUE(engine.have.none());
  ASSERT_TRUE(engine.download());
  EXPECT_EQ(read_whole(temp_.path("out2/content/a.bin")), made.files[0].bytes);
  expect_whole(made);  // the first stays
}

void edit(const std::string& path, std::streamoff at, char byte) {
  std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
  file.seekp(at);
  file.put(byte);
}
void set_time(const std::string& path, std::int64_t seconds) {
  const timespec times[2] = {{0, UTIME_OMIT}, {seconds, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

TEST_F(DiskTest, AFileEditedBetweenRunsIsHashedAndRepaired) {
  const Made made = four_files();
  finish(made);
  const std::string path = temp_.path("out/content/a.bin");
  edit(path, piece_length + 5, 'X');
  set_time(path, 1'000);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::changed);
  EXPECT_EQ(engine.pieces_hashed, 4U);
  EXPECT_FALSE(engine.have.test(1));
  EXPECT_EQ(engine.have.count(), made.content->pieces - 1);
  EXPECT_EQ(life.catalog().find(made.content->id)->value().have, engine.have);
  ASSERT_TRUE(engine.read(0, 0, 50));   // verified anew
  EXPECT_FALSE(engine.read(1, 0, 50));  // not
  ASSERT_TRUE(engine.download());
  expect_whole(made);
  EXPECT_EQ(part_files(), 0U);
  ASSERT_TRUE(engine.read(1, 0, 50));
}

TEST_F(DiskTest, AFileOnlyTouchedIsAcceptedWithItsNewStamp) {
  const Made made = four_files();
  finish(made);
  set_time(temp_.path("out/content/a.bin"), 1'000);
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    EXPECT_EQ(engine.attached.files[0], FileState::changed);
    EXPECT_EQ(engine.finished, std::vector<std::uint32_t>{0});
    EXPECT_TRUE(engine.have.all());
    ASSERT_TRUE(engine.read(0, 0, 50));
  }
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::whole);
  EXPECT_EQ(engine.pieces_hashed, 0U);
}

TEST_F(DiskTest, APartFileCutShortIsHashed) {
  const Made made = fixture::make({{"f", pattern(5 * piece_length)}}, piece_length);
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    for (const std::uint32_t piece : {0U, 3U}) {
      for (std::uint32_t block = 0; block < 2; ++block)
        ASSERT_TRUE(life.run(fixture::write_job(made, piece, block)));
    }
    ASSERT_TRUE(engine.commit({0, 3}));
  }
  std::filesystem::resize_file(temp_.path("out/content/f.part"), 2 * piece_length);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::changed);
  EXPECT_TRUE(engine.have.test(0));
  EXPECT_FALSE(engine.have.test(3));
  ASSERT_TRUE(engine.download());
  expect_whole(made);
}

// ---- shares

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

// ---- the rest

TEST_F(DiskTest, LinksEmptyFoldersAndExecutables) {
  Description description;
  description.name = "content";
  description.piece_length = piece_length;
  description.salt = Salt{7};
  const auto tool = fixture::hash_file("bin/tool", pattern(20'000), piece_length);
  description.files = {{"bin/tool", 20'000, tool.root, FileKind::executable, {}},
                       {"empty-tool", 0, {}, FileKind::executable, {}},
                       {"link", 0, {}, FileKind::symlink, "bin/tool"},
                       {"sub/link", 0, {}, FileKind::symlink, "../bin/tool"}};
  description.empty_folders = {"hollow/inner"};
  const auto content = make_content(description);
  ASSERT_TRUE(content) << content.error().rule;
  Made made;
  made.content = *content;
  made.files = {tool, {"empty-tool", {}, {}, {}, {}}, {"link", {}, {}, {}, {}}, {"sub/link", {}, {}, {}, {}}};
  made.layers.resize(4);
  for (int round = 0; round < 2; ++round) {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start()) << engine.failure->error.rule << engine.failure->path;
    EXPECT_EQ(engine.attached.skipped_links, 0U);
    EXPECT_EQ(engine.attached.files[2], FileState::whole);
    ASSERT_TRUE(engine.download());
    EXPECT_EQ(read_whole(temp_.path("out/content/bin/tool")), tool.bytes);
    EXPECT_EQ(std::filesystem::read_symlink(temp_.path("out/content/sub/link")), "../bin/tool");
    EXPECT_EQ(std::filesystem::file_size(temp_.path("out/content/sub/link")), 20'000U);
    EXPECT_TRUE(std::filesystem::is_directory(temp_.path("out/content/hollow/inner")));
    for (const char* name : {"bin/tool", "empty-tool"}) {
      struct stat seen{};
      ASSERT_EQ(::stat(temp_.path("out/content/" + std::string{name}).c_str(), &seen), 0);
      EXPECT_NE(seen.st_mode & 0100, 0U) << name;
    }
  }
  std::filesystem::remove(temp_.path("out/content/link"));
  temp_.link("out/content/link", "/etc/passwd");
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  EXPECT_FALSE(engine.start());
  EXPECT_EQ(engine.failure->error.code, Code::unsafe);
}

TEST_F(DiskTest, OneCommandAContent) {
  const Made made = four_files();
  Life life{state_, nullptr}, other{state_, nullptr};
  Engine engine{life, made, out_}, second{other, made, out_}, same{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_FALSE(second.start());
  EXPECT_EQ(second.failure->error.code, Code::busy);
  EXPECT_FALSE(same.start());
  EXPECT_EQ(same.failure->error.code, Code::busy);
  ASSERT_TRUE(life.run(DetachJob{0}));
  EXPECT_TRUE(second.start());
}

TEST_F(DiskTest, JobsOfAContentThatIsGoneAreCancelled) {
  const Made made = four_files();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(life.run(DetachJob{0}));
  std::vector<Job> jobs;
  jobs.emplace_back(ReadJob{0, 0, 0, 10, Buffer{100}, 0});
  jobs.emplace_back(fixture::write_job(made, 0, 0));
  jobs.emplace_back(HashJob{0, 0});
  jobs.emplace_back(CommitJob{0, {0}, 0, 0});
  jobs.emplace_back(SaveLayersJob{0, {}});
  jobs.emplace_back(DetachJob{0});
  for (Job& job : jobs) {
    const Done done = life.run(std::move(job));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().error.code, Code::cancelled);
  }
}

TEST_F(DiskTest, RangesOutsideTheContentAreRefused) {
  const Made made = four_files();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  const std::uint32_t last = made.content->pieces - 1;
  std::vector<Job> jobs;
  jobs.emplace_back(ReadJob{0, last + 1, 0, 1, Buffer{100}, 0});
  jobs.emplace_back(ReadJob{0, last, 5, 6, Buffer{100}, 0});
  jobs.emplace_back(ReadJob{0, last, 11, 0xffffffff, Buffer{100}, 0});
  jobs.emplace_back(ReadJob{0, last, 0xffffffff, 2, Buffer{100}, 0});
  jobs.emplace_back(HashJob{0, last + 1});
  jobs.emplace_back(CommitJob{0, {last + 1}, 0, 0});
  jobs.emplace_back(WriteJob{0, {last + 1, 0}, fixture::buffer_of(pattern(10)), WriteJob::First::yes});
  jobs.emplace_back(WriteJob{0, {last, 1}, fixture::buffer_of(pattern(10)), WriteJob::First::yes});
  jobs.emplace_back(WriteJob{0, {last, 0}, fixture::buffer_of(pattern(11)), WriteJob::First::yes});
  for (Job& job : jobs) {
    const Done done = life.run(std::move(job));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().error.code, Code::malformed);
  }
}

TEST_F(DiskTest, ABatchIsHashedAndWrittenLikeSingleJobs) {
  const Made made = fixture::make({{"a", pattern(40 * block_bytes + 5)}, {"b", pattern(3 * block_bytes, 9)}},
                                  4 * block_bytes);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  std::vector<Job> jobs;
  std::vector<BlockRef> order;
  for (std::uint32_t piece = made.content->pieces; piece-- > 0;)
    for (std::uint32_t block = 0; block < made.content->blocks_in(piece); ++block) {
      if (jobs.size() == 9) jobs.emplace_back(HashJob{0, 0}), order.push_back({});
      if (jobs.size() == 20)
        jobs.emplace_back(WriteJob{0, {999, 0}, Buffer{1}, WriteJob::First::no}), order.push_back({});
      jobs.emplace_back(fixture::write_job(made, piece, block));
      order.push_back({piece, block});
    }
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (i == 9 || i == 20) continue;
    ASSERT_TRUE(done[i]) << i;
    const auto& written = std::get<WriteDone>(*done[i]);
    EXPECT_EQ(written.block, order[i]);
    EXPECT_EQ(written.leaf, sha256(fixture::block_of(made, order[i].piece, order[i].block)));
    EXPECT_TRUE(equal(written.spent.view(), fixture::block_of(made, order[i].piece, order[i].block)));
  }
  EXPECT_TRUE(std::holds_alternative<HashDone>(*done[9]));
  EXPECT_EQ(done[20].error().error.code, Code::malformed);
  std::vector<std::uint32_t> all;
  for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece) all.push_back(piece);
  ASSERT_TRUE(engine.hash_again(all));
  EXPECT_TRUE(engine.have.all());
  expect_whole(made);
}

TEST_F(DiskTest, DescriptorsStayBounded) {
  std::vector<std::pair<std::string, Bytes>> files;
  for (int i = 100; i < 400; ++i)
    files.emplace_back("f" + std::to_string(i), pattern(1'000, static_cast<unsigned>(i)));
  const Made made = fixture::make(files, block_bytes);
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  Life life{state_, nullptr, 16};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  const auto before = descriptors();
  ASSERT_TRUE(engine.download(50));
  EXPECT_LE(descriptors(), before + 16);
  expect_whole(made);
  for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece)
    ASSERT_TRUE(engine.read(piece, 0, 1'000));
  EXPECT_LE(descriptors(), before + 16);
  ASSERT_TRUE(life.run(DetachJob{0}));
  EXPECT_LT(descriptors(), before);
}

TEST_F(DiskTest, AFullDiskStopsTheDownloadUntilThereIsRoom) {
  const Made made = fixture::make({{"f", pattern(40 * block_bytes)}}, 2 * block_bytes);
  temp_.folder("out");
  // A file system of its own, where the machine lets us mount one; a limit of the process elsewhere.
  const bool mounted = ::mount("tmpfs", out_.c_str(), "tmpfs", 0, "size=256k") == 0;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    const rlimit tight{256 << 10, before.rlim_max};
    if (!mounted) ::setrlimit(RLIMIT_FSIZE, &tight);
    if (mounted) {
      EXPECT_LT(engine.attached.free_bytes, made.content->bytes);
    }
    EXPECT_FALSE(engine.download());
    ASSERT_TRUE(engine.failure);
    EXPECT_EQ(engine.failure->error.code, mounted ? Code::no_space : Code::too_large);
    EXPECT_EQ(engine.failure->spent.size(), block_bytes);
    EXPECT_FALSE(engine.failure->path.empty());
    EXPECT_FALSE(engine.have.all());
    const std::uint32_t got = engine.have.count();
    if (mounted) {
      EXPECT_GT(got, 0U);
      ASSERT_EQ(::mount("tmpfs", out_.c_str(), "tmpfs", MS_REMOUNT, "size=8m"), 0);
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_TRUE(engine.download()) << engine.failure->error.rule;
    expect_whole(made);
  }
  ::signal(SIGXFSZ, handler);
  if (mounted) {
    EXPECT_EQ(::umount(out_.c_str()), 0);
  }
}

TEST_F(DiskTest, SequenceContactsAndLayersReachTheCatalog) {
  const Made made = four_files();
  Life life{state_, nullptr};
  ASSERT_TRUE(life.run(SaveSequenceJob{made.content->id, 77}));
  EXPECT_EQ(life.get<Loaded>(LoadJob{made.content->id})->record_sequence, 77U);  // before there is metadata
  ASSERT_TRUE(life.run(SaveContactsJob{"native4", {{Bytes(6, 1), {}, 5}}}));
  EXPECT_EQ(life.catalog().contacts("native4")->size(), 1U);
  Made bare = made;
  bare.layers.assign(4, {});
  Engine engine{life, bare, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(life.run(SaveLayersJob{0, {{0, made.layers[0]}}}));
  const auto stored = *life.catalog().load(made.content->id);
  EXPECT_EQ(stored->layers[0], made.layers[0]);
  EXPECT_EQ(stored->record_sequence, 77U);
  EXPECT_EQ(stored->info, made.content->info);
}

}  // namespace
}  // namespace shoal::storage
