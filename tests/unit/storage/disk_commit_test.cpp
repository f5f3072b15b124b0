// Writing and committing where the part files, the catalog or the descriptors are not as they were a moment
// ago: no have-bit without its bytes, the cause is named, and once it is gone the same commit succeeds.
#include <cerrno>

#include <gtest/gtest.h>

#include "disk_place_fixture.hpp"
#include "failing_calls.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {
namespace {

using fixture::Engine;
using fixture::FailingCall;
using fixture::Faults;
using fixture::Life;
using fixture::Made;
using fixture::make;
using fixture::pattern;
using fixture::piece_length;
using fixture::read_whole;
using fixture::set_time;
using fixture::TempFolder;

class DiskCommit : public fixture::DiskTest {
 protected:
  static void write_all(Life& life, const Made& made) {
    for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece)
      for (std::uint32_t block = 0; block < made.content->blocks_in(piece); ++block)
        ASSERT_TRUE(life.run(fixture::write_job(made, piece, block)));
  }
  [[nodiscard]] static Bitfield kept(Life& life, const Made& made) {
    return life.catalog().find(made.content->id)->value().have;
  }
  const std::string file_ = temp_.path("out/content/f"), part_ = file_ + ".part";
};

TEST_F(DiskCommit, AFileThatCannotBeOpenedFailsTheCommitAlone) {
  const Made made = make({{"a", pattern(100, 1)}, {"b", pattern(100, 2)}}, piece_length);
  std::uint64_t opened = 0;
  for (std::uint64_t at = 0;; ++at) {
    TempFolder temp;
    Faults faults;
    Life life{temp.path("state"), &faults, 1};  // a file is opened anew each time that it is its turn
    Engine engine{life, made, temp.path("out")};
    ASSERT_TRUE(engine.start());
    write_all(life, made);
    faults.only = "open";
    faults.how = Faults::How::once;
    faults.at = at;
    faults.calls = 0;
    const bool committed = engine.commit({0, 1});
    if (faults.calls <= at) {
      EXPECT_TRUE(committed);
      opened = faults.calls;
      break;
    }
    ASSERT_FALSE(committed);
    EXPECT_EQ(engine.failure->error.code, Code::io);
    EXPECT_TRUE(engine.failure->path.starts_with(temp.path("out/content/")));
    EXPECT_TRUE(kept(life, made).none());
    EXPECT_TRUE(engine.commit({0, 1}));
    EXPECT_EQ(read_whole(temp.path("out/content/a")), made.files[0].bytes);
  }
  EXPECT_EQ(opened, 4U) << "both to look at them, both to sync them";
}

// Whoever cuts a part file takes bytes that were verified: a sparse file of the right length would be false.
TEST_F(DiskCommit, APartFileThatWasCutIsNotCommitted) {
  const Made made = make({{"f", pattern(3 * piece_length, 1)}}, piece_length);
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    write_all(life, made);
    std::filesystem::resize_file(part_, 2 * piece_length - 1);
    for (const std::vector<std::uint32_t>& pieces : {std::vector{0U, 1U, 2U}, {0U, 1U}, {2U}}) {
      ASSERT_FALSE(engine.commit(pieces));
      EXPECT_EQ(engine.failure->error.code, Code::not_found);
      EXPECT_EQ(engine.failure->path, part_);
    }
    EXPECT_TRUE(kept(life, made).none());
    EXPECT_TRUE(engine.commit({0})) << "which is there";
  }
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.pieces_hashed, 2U);
  EXPECT_EQ(engine.have.count(), 1U);
  ASSERT_TRUE(engine.download());
  expect_whole(made);
}

TEST_F(DiskCommit, APartFileThatGrewIsCutToItsLength) {
  const Made made = make({{"f", pattern(piece_length + 5, 1)}}, piece_length);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  write_all(life, made);
  std::filesystem::resize_file(part_, 2 * piece_length);
  {
    const FailingCall failing{"ftruncate", EIO};
    ASSERT_FALSE(engine.commit({0, 1}));
    EXPECT_EQ(failing.failed(), 1);
    EXPECT_EQ(engine.failure->error.code, Code::io);
    EXPECT_EQ(engine.failure->path, file_);
    EXPECT_TRUE(kept(life, made).none());
  }
  ASSERT_TRUE(engine.commit({0, 1}));
  expect_whole(made);
}

// Between the sync and the new name: what bears the name then is not what was verified.
TEST_F(DiskCommit, AFileThatIsTouchedBeforeItIsNamedIsHashedAgain) {
  const Made made = make({{"f", pattern(piece_length + 5, 1)}}, piece_length);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  write_all(life, made);
  const FailingCall touched{"renameat2", [&] { set_time(part_, 1'000); }};
  ASSERT_FALSE(engine.commit({0, 1}));
  EXPECT_EQ(touched.failed(), 1);
  EXPECT_EQ(engine.failure->error.code, Code::mismatch);
  EXPECT_EQ(engine.failure->path, file_);
  EXPECT_TRUE(kept(life, made).none());
  EXPECT_FALSE(engine.read(0, 0, 10));
  ASSERT_TRUE(engine.hash_again({0, 1}));
  EXPECT_TRUE(engine.read(0, 0, 10));
  expect_whole(made);
}

TEST_F(DiskCommit, BlocksOfTwoContentsAreWrittenAtOnce) {
  const Made one = make({{"f", pattern(2 * piece_length, 1)}}, piece_length),
             other = make({{"f", pattern(2 * piece_length, 2)}}, piece_length);
  constexpr auto mode = AttachJob::Mode::download;
  Life life{state_, nullptr};
  ASSERT_TRUE(life.get<Attached>(AttachJob{0, one.content, out_, mode, {}, {}}));
  ASSERT_TRUE(life.get<Attached>(AttachJob{1, other.content, temp_.path("out2"), mode, {}, {}}));
  std::vector<Job> jobs;
  for (std::uint32_t piece = 0; piece < 2; ++piece)
    for (std::uint32_t block = 0; block < 2; ++block) {
      jobs.emplace_back(fixture::write_job(one, piece, block, 0));
      jobs.emplace_back(fixture::write_job(other, piece, block, 1));
    }
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  for (const Done& each : done) EXPECT_TRUE(each);
  for (const std::uint32_t slot : {0U, 1U}) {
    EXPECT_TRUE(life.get<Committed>(CommitJob{slot, {0, 1}, 0, 0}));
  }
  EXPECT_EQ(read_whole(file_), one.files[0].bytes);
  EXPECT_EQ(read_whole(temp_.path("out2/content/f")), other.files[0].bytes);
}

// A crash would leave bytes of a piece of which the catalog knows nothing; later blocks of one that it knows
// are written all the same.
TEST_F(DiskCommit, AMarkThatCannotBeKeptFailsTheFirstBlockOfAPiece) {
  const Made made = make({{"f", pattern(2 * piece_length, 1)}}, piece_length);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(life.run(fixture::write_job(made, 0, 0)));
  auto database = sqlite::Database::open(state_ + "/catalog.sqlite", {}, 0);
  ASSERT_TRUE(database);
  ASSERT_TRUE(
      (*database)->execute("CREATE TRIGGER t BEFORE INSERT ON touched BEGIN SELECT RAISE(ABORT, 'no'); END"));
  std::vector<Job> jobs;
  jobs.emplace_back(fixture::write_job(made, 1, 0));
  jobs.emplace_back(fixture::write_job(made, 0, 1));
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  ASSERT_FALSE(done[0]);
  EXPECT_EQ(done[0].error().error.code, Code::io);
  EXPECT_TRUE(equal(done[0].error().spent.view(), fixture::block_of(made, 1, 0)));
  ASSERT_TRUE(done[1]);
  EXPECT_EQ(std::get<WriteDone>(*done[1]).block, (BlockRef{0, 1}));
  ASSERT_TRUE((*database)->execute("DROP TRIGGER t"));
  EXPECT_TRUE(engine.commit({0}));
  ASSERT_TRUE(engine.download());
  expect_whole(made);
}

}  // namespace
}  // namespace shoal::storage
