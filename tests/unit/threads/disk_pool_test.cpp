// The pool: every job comes back once, the queue is bounded, writes keep their order, closing finishes what
// is queued; and the disk under several threads at once (run under the thread sanitizer, too).
#include "storage/disk_pool.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/unit/storage/disk_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::Made;
using fixture::pattern;
using fixture::TempFolder;

// A disk with real locks, and a reactor that waits for the mailbox.
class PoolTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = prepare_state(temp_.path("state"));
    ASSERT_TRUE(path);
    auto opened = Catalog::open({*path, {}, &catalog_gate_, 10'000});
    ASSERT_TRUE(opened);
    catalog_ = std::move(*opened);
    disk_ = std::make_unique<Disk>(vfs_, *catalog_, disk_gate_, Disk::Options{8, nullptr});
  }
  std::unique_ptr<DiskPool> pool(unsigned workers, std::size_t queue = 1024) {
    return std::make_unique<DiskPool>(*disk_, DiskPool::Options{workers, queue}, [this] {
      const std::lock_guard hold{mutex_};
      ++notified_;
      wake_.notify_one();
    });
  }
  JobId submit(DiskPool& pool, Job job) {
    const JobId id = next_++;
    std::deque<DiskPool::Item> one;
    one.push_back({id, std::move(job)});
    for (pool.submit(one); !one.empty(); pool.submit(one)) collect(pool);
    return id;
  }
  // Waits for at least one notice, and takes what is there.
  void collect(DiskPool& pool) {
    {
      std::unique_lock hold{mutex_};
      wake_.wait(hold, [&] { return notified_ > 0; });
      notified_ = 0;
    }
    std::vector<DiskPool::Completion> taken;
    pool.drain(taken);
    for (auto& [id, done] : taken) {
      EXPECT_TRUE(done_.emplace(id, std::move(done)).second) << "twice: " << id;
    }
  }
  Done wait(DiskPool& pool, JobId id) {
    while (!done_.contains(id)) collect(pool);
    auto node = done_.extract(id);
    return std::move(node.mapped());
  }
  void attach(DiskPool& pool, const Made& made, std::uint32_t slot, const std::string& folder) {
    const Done done =
        wait(pool, submit(pool, AttachJob{slot, made.content, folder, AttachJob::Mode::download, {}, {}}));
    ASSERT_TRUE(done) << done.error().error.rule;
  }

  TempFolder temp_;
  PosixVfs vfs_;
  MutexGate catalog_gate_, disk_gate_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Disk> disk_;
  std::mutex mutex_;
  std::condition_variable wake_;
  int notified_ = 0;
  JobId next_ = 1;
  std::map<JobId, Done> done_;
};

TEST_F(PoolTest, ManyContentsAtOnceFromManyThreads) {
  std::vector<Made> contents;
  for (unsigned i = 0; i < 3; ++i)
    contents.push_back(fixture::make({{"a", pattern(20 * block_bytes + 1 + i, i)},
                                      {"b", pattern(7 * block_bytes, 50 + i)},
                                      {"c" + std::to_string(i), pattern(100 + i)}},
                                     2 * block_bytes));
  auto workers = pool(4, 64);
  for (std::uint32_t slot = 0; slot < 3; ++slot)
    attach(*workers, contents[slot], slot, temp_.path("out" + std::to_string(slot)));
  std::map<JobId, std::pair<std::uint32_t, BlockRef>> writes;
  for (std::uint32_t piece = 0; piece < 16; ++piece)
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
      const Content& content = *contents[slot].content;
      if (piece >= content.pieces) continue;
      for (std::uint32_t block = 0; block < content.blocks_in(piece); ++block)
        writes[submit(*workers, fixture::write_job(contents[slot], piece, block, slot))] = {slot,
                                                                                            {piece, block}};
    }
  for (const auto& [id, what] : writes) {
    const Done done = wait(*workers, id);
    ASSERT_TRUE(done) << done.error().error.rule;
    EXPECT_EQ(std::get<WriteDone>(*done).mark,
              sha256(fixture::block_of(contents[what.first], what.second.piece, what.second.block)));
  }
  // Commits, reads and hashes all at once.
  std::vector<JobId> commits;
  std::map<JobId, std::pair<std::uint32_t, std::uint32_t>> reads;
  std::vector<JobId> hashes;
  for (std::uint32_t piece = 0; piece < 16; ++piece)
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
      if (piece >= contents[slot].content->pieces) continue;
      commits.push_back(submit(*workers, CommitJob{slot, {piece}, piece, piece}));
      const std::uint32_t length = std::min(50U, contents[slot].content->piece_bytes(piece));
      reads[submit(*workers, ReadJob{slot, piece, 0, length, Buffer{60}, 10})] = {slot, piece};
      hashes.push_back(submit(*workers, HashJob{slot, piece}));
    }
  std::size_t finished = 0;
  for (const JobId id : commits) {
    const Done done = wait(*workers, id);
    ASSERT_TRUE(done) << done.error().error.rule;
    finished += std::get<Committed>(*done).finished_files.size();
  }
  EXPECT_EQ(finished, 9U);
  for (const auto& [id, what] : reads) {
    const Done done = wait(*workers, id);
    ASSERT_TRUE(done) << done.error().error.rule << " " << done.error().path;
    const ByteView data = std::get<ReadDone>(*done).data.view().subspan(10);
    EXPECT_TRUE(equal(data, fixture::block_of(contents[what.first], what.second, 0).first(data.size())));
  }
  for (const JobId id : hashes) ASSERT_TRUE(wait(*workers, id));
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    ASSERT_TRUE(wait(*workers, submit(*workers, DetachJob{slot, 0, 0})));
    for (const fixture::HashedFile& file : contents[slot].files)
      EXPECT_EQ(fixture::read_whole(temp_.path("out" + std::to_string(slot) + "/content/" + file.path)),
                file.bytes);
  }
  EXPECT_EQ(workers->outstanding(), 0U);
}

TEST_F(PoolTest, AFullQueueRefusesAndLeavesTheJob) {
  const Made made = fixture::make({{"a", pattern(64 * block_bytes)}}, 64 * block_bytes);
  auto workers = pool(1, 4);
  attach(*workers, made, 0, temp_.path("out"));
  int refused = 0;
  std::vector<JobId> ids;
  for (std::uint32_t round = 0; round < 50; ++round)
    for (std::uint32_t block = 0; block < 64; ++block) {
      ids.push_back(next_++);
      std::deque<DiskPool::Item> one;
      one.push_back({ids.back(), fixture::write_job(made, 0, block)});
      for (workers->submit(one); !one.empty(); workers->submit(one)) {
        ++refused;
        ASSERT_EQ(std::get<WriteJob>(one.front().job).bytes.size(), block_bytes);
        collect(*workers);
      }
    }
  for (const JobId id : ids) ASSERT_TRUE(wait(*workers, id));
  EXPECT_GT(refused, 0);
}

TEST_F(PoolTest, OneWorkerKeepsTheOrder) {
  const Made made = fixture::make({{"a", pattern(200 * block_bytes)}}, 4 * block_bytes);
  auto workers = pool(1);
  attach(*workers, made, 0, temp_.path("out"));
  for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece)
    for (std::uint32_t block = 0; block < 4; ++block)
      submit(*workers, fixture::write_job(made, piece, block));
  workers->shut_down();
  std::vector<DiskPool::Completion> all;
  workers->drain(all);
  ASSERT_EQ(all.size(), 200U);  // closing finished what was queued
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1].first, all[i].first);
  for (const auto& [id, done] : all) EXPECT_TRUE(done);
}

TEST_F(PoolTest, DroppingThePoolFinishesWhatIsQueued) {
  const Made made = fixture::make({{"a", pattern(20 * block_bytes)}}, block_bytes);
  {
    auto workers = pool(2);
    attach(*workers, made, 0, temp_.path("out"));
    for (std::uint32_t piece = 0; piece < 20; ++piece) submit(*workers, fixture::write_job(made, piece, 0));
  }
  EXPECT_EQ(fixture::read_whole(temp_.path("out/content/a.part")), made.files[0].bytes);
}

TEST(ThreadExecutor, RunsEachTaskOnce) {
  for (const unsigned threads : {1U, 2U, 5U}) {
    ThreadExecutor executor{threads};
    EXPECT_EQ(executor.width(), threads);
    for (const std::size_t tasks : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{1'000}}) {
      std::vector<std::atomic<int>> counts(tasks);
      executor.parallel(tasks, [&](std::size_t i) { counts[i].fetch_add(1); });
      for (const auto& count : counts) EXPECT_EQ(count.load(), 1);
    }
  }
  EXPECT_GE(ThreadExecutor{}.width(), 1U);
  EXPECT_GE(default_workers(), 1U);
  EXPECT_LE(default_workers(), 4U);
}

}  // namespace
}  // namespace shoal::storage
