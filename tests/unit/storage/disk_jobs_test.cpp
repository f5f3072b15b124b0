// Disk: what is neither one download nor one share: links and folders, locks, refused jobs, batches, bounds,
// a full disk, and the jobs that only talk to the catalog.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_place_fixture.hpp"
#include "storage/disk.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using fixture::DiskTest;
using fixture::Engine;
using fixture::four_files;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::piece_length;
using fixture::read_whole;
using FileState = Attached::FileState;

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
  jobs.emplace_back(ReadJob{0, last, block_bytes - 1, 2, Buffer{100}, 0});
  jobs.emplace_back(ReadJob{0, last, block_bytes + 1, 0xffffffff, Buffer{100}, 0});
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

// Some clients ask for whole blocks where a file of v2 ends.
TEST_F(DiskTest, BehindTheEndOfAFileABlockIsZeros) {
  const Made made = four_files();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  const std::uint32_t last = made.content->pieces - 1, bytes = made.content->piece_bytes(last);
  const auto read = engine.read(last, 0, block_bytes);
  ASSERT_TRUE(read);
  Bytes expected = to_vector(fixture::block_of(made, last, 0));
  ASSERT_EQ(expected.size(), bytes);
  expected.resize(block_bytes);
  EXPECT_EQ(*read, expected);
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
    EXPECT_EQ(written.mark, sha256(fixture::block_of(made, order[i].piece, order[i].block)));
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
  ASSERT_TRUE(life.run(SaveSequencesJob{{{made.content->id, 77}}}));
  EXPECT_EQ(life.get<Loaded>(LoadJob{made.content->id})->record_sequence, 77U);  // before there is metadata
  ASSERT_TRUE(life.run(SaveContactsJob{"native4", {{Bytes(6, 1), 5}}}));
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
