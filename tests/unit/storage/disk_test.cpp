// Disk, one life after another over real folders: what is made, what is trusted, what is refused.
#include "storage/disk.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "disk_place_fixture.hpp"

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
using fixture::read_whole;
using fixture::set_time;
using FileState = Attached::FileState;

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
      {"content/empty", [&](auto& path) { std::filesystem::create_directory(path); }, Code::exists},
      {"content/empty", [&](auto& path) { ::mkfifo(path.c_str(), 0600); }, Code::unsafe},
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

}  // namespace
}  // namespace shoal::storage
