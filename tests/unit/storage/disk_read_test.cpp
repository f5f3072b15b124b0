// Disk: many blocks read at once, and blocks read at once because they are in memory.
#include <filesystem>
#include <numeric>
#include <optional>

#include <gtest/gtest.h>

#include "disk_place_fixture.hpp"
#include "storage/disk.hpp"

namespace shoal::storage {
namespace {

using fixture::block_of;
using fixture::DiskTest;
using fixture::edit;
using fixture::Engine;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::piece_length;
using fixture::WatchedVfs;

constexpr std::uint32_t lead = 7;

ReadJob read_job(std::uint32_t piece, std::uint32_t begin, std::uint32_t length) {
  return {0, piece, begin, length, Buffer{std::size_t{length} + lead}, lead};
}
ByteView data_of(const Done& done) { return std::get<ReadDone>(*done).data.view().subspan(lead); }

class DiskReadTest : public DiskTest {
 protected:
  // A disk over real folders, whose reads of what is in memory succeed as long as `cached_` is set.
  std::unique_ptr<Life> watched() {
    return std::make_unique<Life>(
        state_, std::make_unique<WatchedVfs>([this](const std::string& what) -> Result<void> {
          if (what.starts_with("cached ") && !cached_) return fail(Code::busy, "not in memory");
          return {};
        }));
  }
  bool cached_ = true;
  Made made_ =
      fixture::make({{"a", pattern(9 * block_bytes + 5)}, {"b", pattern(3 * block_bytes, 9)}}, piece_length);
};

TEST_F(DiskReadTest, ABatchGivesWhatSingleJobsGive) {
  Life life{state_, nullptr};
  Engine engine{life, made_, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  std::vector<Job> jobs;
  for (std::uint32_t piece = made_.content->pieces; piece-- > 0;)
    for (std::uint32_t block = 0; block < made_.content->blocks_in(piece); ++block)
      for (int twice = 0; twice < 2; ++twice)
        jobs.emplace_back(read_job(piece, block * block_bytes, made_.content->block_length(piece, block)));
  jobs.emplace(jobs.begin() + 3, read_job(999, 0, 1));
  jobs.emplace(jobs.begin() + 5, HashJob{0, 0});
  jobs.emplace(jobs.begin() + 8, read_job(0, 1, 100));
  std::vector<ReadJob> asked;
  for (const Job& job : jobs)
    if (const auto* read = std::get_if<ReadJob>(&job))
      asked.push_back({0, read->piece, read->begin, read->length, {}, 0});
    else
      asked.push_back({});
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (i == 3) {
      EXPECT_EQ(done[i].error().error.code, Code::malformed);
    } else if (i == 5) {
      EXPECT_TRUE(std::holds_alternative<HashDone>(*done[i]));
    } else {
      ASSERT_TRUE(done[i]) << i;
      EXPECT_TRUE(
          equal(data_of(done[i]), made_.piece(asked[i].piece).subspan(asked[i].begin, asked[i].length)));
    }
  }
}

TEST_F(DiskReadTest, WhatCannotBeReadFailsAlone) {
  Life life{state_, nullptr};
  Engine engine{life, made_, out_};
  ASSERT_TRUE(engine.start());
  for (std::uint32_t piece = 0; piece < 3; ++piece)
    for (std::uint32_t block = 0; block < 2; ++block)
      ASSERT_TRUE(life.run(fixture::write_job(made_, piece, block)));
  std::filesystem::resize_file(temp_.path("out/content/a.part"), 4 * block_bytes);
  std::vector<Job> jobs;
  for (std::uint32_t block = 0; block < 6; ++block)
    jobs.emplace_back(read_job(block / 2, block % 2 * block_bytes, block_bytes));
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  for (std::uint32_t block = 0; block < 6; ++block) {
    ASSERT_EQ(done[block].has_value(), block < 4) << block;
    if (block < 4) {
      EXPECT_TRUE(equal(data_of(done[block]), block_of(made_, block / 2, block % 2)));
    } else {
      EXPECT_EQ(done[block].error().error.code, Code::mismatch);
      EXPECT_EQ(done[block].error().spent.capacity(), std::size_t{block_bytes} + lead) << "for another try";
    }
  }
}

TEST_F(DiskReadTest, WhatIsInMemoryIsReadAtOnce) {
  const auto life = watched();
  Engine engine{*life, made_, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  ASSERT_TRUE(life->run(DetachJob{0}));
  ASSERT_TRUE(engine.start());
  Job job = read_job(1, 100, 200);
  EXPECT_FALSE(life->disk().run_now(job)) << "a file that is not open would have to be opened";
  ASSERT_TRUE(life->run(read_job(0, 0, 1)));
  const auto done = life->disk().run_now(job);
  ASSERT_TRUE(done && *done);
  EXPECT_TRUE(equal(data_of(*done), made_.piece(1).subspan(100, 200)));

  cached_ = false;
  job = read_job(1, 100, 200);
  EXPECT_FALSE(life->disk().run_now(job));
  const auto later = life->run(std::move(job));
  ASSERT_TRUE(later) << "the job was left as it was";
  EXPECT_TRUE(equal(data_of(later), made_.piece(1).subspan(100, 200)));
}

TEST_F(DiskReadTest, WhatIsOutOfTheOrdinaryIsNotDoneAtOnce) {
  const auto life = watched();
  Engine engine{*life, made_, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  ASSERT_TRUE(life->run(read_job(0, 0, 1)));
  const auto refused = [&](Job job) { return !life->disk().run_now(job); };
  EXPECT_FALSE(refused(read_job(0, 0, 1)));
  EXPECT_TRUE(refused(HashJob{0, 0}));
  EXPECT_TRUE(refused(fixture::write_job(made_, 0, 0)));
  EXPECT_TRUE(refused(read_job(999, 0, 1)));
  EXPECT_TRUE(refused(read_job(0, piece_length, 1)));
  EXPECT_TRUE(refused(read_job(0, 0xffffffff, 2)));
  Job elsewhere = read_job(0, 0, 1);
  std::get<ReadJob>(elsewhere).slot = 7;
  EXPECT_TRUE(refused(std::move(elsewhere)));
  edit(temp_.path("out/content/a"), 3, 'x');
  EXPECT_TRUE(refused(read_job(0, 0, 1))) << "the file is no longer what was verified";
  EXPECT_EQ(life->run(read_job(0, 0, 1)).error().error.code, Code::mismatch);
  EXPECT_TRUE(refused(read_job(0, 0, 1)));
}

// A block of v1 that lies in two files.
TEST_F(DiskReadTest, SeveralFilesAreNotReadAtOnce) {
  const Made made =
      fixture::make({{"a", pattern(100)}, {"b", pattern(3 * block_bytes, 9)}}, piece_length, Format::v1);
  const auto life = watched();
  Engine engine{*life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  for (const std::uint32_t piece : {0U, 1U}) ASSERT_TRUE(life->run(read_job(piece, 0, 200)));
  Job both = read_job(0, 0, 200);
  EXPECT_FALSE(life->disk().run_now(both));
  Job one = read_job(0, 100, 200);
  const auto done = life->disk().run_now(one);
  ASSERT_TRUE(done && *done);
  EXPECT_TRUE(equal(data_of(*done), made.piece(0).subspan(100, 200)));
}

}  // namespace
}  // namespace shoal::storage
