// Disk where a piece holds several files, or parts of them, and padding: v1 contents and hybrids.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "disk_place_fixture.hpp"
#include "storage/disk.hpp"

namespace shoal::storage {
namespace {

using fixture::DiskTest;
using fixture::edit;
using fixture::Engine;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::piece_length;
using fixture::read_whole;
using fixture::set_time;
using FileState = Attached::FileState;

// Pieces of 32 KiB: 0-2 a, 3 a b c, 4-5 c, 6 c e f.
Made shared_pieces(Format format = Format::v1) {
  return fixture::make({{"a", pattern(3 * piece_length + 1000, 1)},
                        {"b", pattern(500, 2)},
                        {"c", pattern(3 * piece_length, 3)},
                        {"d/e", pattern(20'000, 4)},
                        {"d/empty", {}},
                        {"f", pattern(3, 5)}},
                       piece_length, format);
}

FileStamp stamp_of(const std::string& path) {
  struct stat seen{};
  EXPECT_EQ(::stat(path.c_str(), &seen), 0);
  return {static_cast<std::uint64_t>(seen.st_size),
          seen.st_mtim.tv_sec * 1'000'000'000 + seen.st_mtim.tv_nsec, seen.st_ino};
}

class DiskV1 : public DiskTest {};

TEST_F(DiskV1, ADownloadEndsWithTheFiles) {
  for (const Format format : {Format::v1, Format::hybrid}) {
    const Made made = shared_pieces(format);
    const std::string out = temp_.path(format == Format::v1 ? "v1" : "hybrid");
    Life life{state_, nullptr};
    Engine engine{life, made, out};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download(1)) << engine.failure->error.rule;
    for (const fixture::HashedFile& file : made.files)
      EXPECT_EQ(read_whole(out + "/content/" + file.path), file.bytes) << file.path;
    for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece) {
      const std::uint32_t size = made.content->piece_bytes(piece);
      const auto bytes = engine.read(piece, 0, size);
      ASSERT_TRUE(bytes);
      EXPECT_TRUE(equal(*bytes, made.piece(piece)));
      const auto hashed = life.get<HashDone>(HashJob{0, piece});
      ASSERT_TRUE(hashed && hashed->v1);
      EXPECT_TRUE(equal(*hashed->v1, made.content->v1_hash(piece)));
      EXPECT_EQ(hashed->leaves.size(), made.content->blocks_in(piece));
    }
    EXPECT_TRUE(life.catalog().find(made.content->id)->value().have.all());
    ASSERT_TRUE(life.run(DetachJob{0, 0, 0}));
  }
}

TEST_F(DiskV1, RowsAreHashedSideBySide) {
  const auto row = [](std::uint32_t piece) { return HashJob{0, piece, HashJob::What::row}; };
  for (const Format format : {Format::v1, Format::hybrid, Format::v2}) {
    const Made made = shared_pieces(format);
    const std::string out = temp_.path("rows" + std::to_string(static_cast<int>(format)));
    Life life{state_, nullptr};
    Engine engine{life, made, out};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download(1)) << engine.failure->error.rule;
    std::vector<Job> jobs;
    const std::uint32_t pieces = made.content->pieces;
    for (std::uint32_t piece = 0; piece <= pieces; ++piece) jobs.emplace_back(row(piece));
    jobs.emplace_back(HashJob{0, 0});
    for (std::uint32_t piece = pieces; piece-- > 0;) jobs.emplace_back(row(piece));
    std::vector<Done> done(jobs.size());
    Disk::Worker worker;
    life.disk().run_batch(jobs, done, worker);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const HashJob& asked = std::get<HashJob>(jobs[i]);
      if (asked.piece == pieces || (format == Format::v2 && asked.what == HashJob::What::row)) {
        EXPECT_EQ(done[i].error().error.code, Code::malformed);
        continue;
      }
      const auto& found = std::get<HashDone>(*done[i]);
      EXPECT_EQ(found.piece, asked.piece);
      EXPECT_EQ(found.what, asked.what);
      EXPECT_EQ(found.leaves.empty(), asked.what == HashJob::What::row);
      ASSERT_EQ(found.v1.has_value(), made.content->v1.has_value());
      if (found.v1) {
        EXPECT_TRUE(equal(*found.v1, made.content->v1_hash(asked.piece)));
      }
    }
    ASSERT_TRUE(life.run(DetachJob{0, 0, 0}));
  }
}

// What is not all there has no row, and spoils none of those beside it.
TEST_F(DiskV1, ARowThatEndsEarlyIsNone) {
  const Made made = shared_pieces();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  for (const std::uint32_t piece : {0U, 1U, 2U})
    for (std::uint32_t block = 0; block < made.content->blocks_in(piece); ++block)
      ASSERT_TRUE(life.run(fixture::write_job(made, piece, block)));
  std::vector<Job> jobs;
  for (const std::uint32_t piece : {3U, 0U, 4U, 1U, 2U})
    jobs.emplace_back(HashJob{0, piece, HashJob::What::row});
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& found = std::get<HashDone>(*done[i]);
    EXPECT_EQ(found.v1.has_value(), found.piece < 3);
    if (found.v1) {
      EXPECT_TRUE(equal(*found.v1, made.content->v1_hash(found.piece)));
    }
  }
}

// With v1 alone a block's mark is no hash of v2; it tells what lies there from what came.
TEST_F(DiskV1, MarksTellBlocksApart) {
  const Made made = shared_pieces();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  std::vector<BlockMark> marks;
  for (std::uint32_t block = 0; block < 2; ++block) {
    const auto written = life.get<WriteDone>(fixture::write_job(made, 0, block));
    ASSERT_TRUE(written);
    marks.push_back(written->mark);
  }
  EXPECT_NE(marks[0], marks[1]);
  EXPECT_NE(marks[0], sha256(fixture::block_of(made, 0, 0)));
  const auto hashed = life.get<HashDone>(HashJob{0, 0});
  ASSERT_TRUE(hashed);
  EXPECT_EQ(hashed->marks, marks);
  EXPECT_EQ(hashed->leaves[1], sha256(fixture::block_of(made, 0, 1)));
}

TEST_F(DiskV1, AReadMayCrossFilesAndPadding) {
  const Made made = shared_pieces();
  finish(made);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  const auto across = engine.read(3, 990, 600);
  ASSERT_TRUE(across);
  EXPECT_TRUE(equal(*across, made.piece(3).subspan(990, 600)));
  EXPECT_FALSE(engine.read(made.content->pieces - 1, 0, piece_length)) << "beyond the end";
}

// Who knows only v1 asks for the padding that follows a file, and nothing else lies there.
TEST_F(DiskV1, TheHybridsPaddingIsServedAsZeros) {
  const Made made = shared_pieces(Format::hybrid);
  finish(made);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  const auto padded = engine.read(3, 500, 2000);
  ASSERT_TRUE(padded);
  Bytes expected(2000, 0);
  std::ranges::copy(made.piece(3).subspan(500), expected.begin());
  EXPECT_EQ(*padded, expected);
  const auto nothing_else = engine.read(3, piece_length - 10, 10);
  ASSERT_TRUE(nothing_else);
  EXPECT_EQ(*nothing_else, Bytes(10, 0));
  EXPECT_FALSE(engine.read(3, piece_length - 10, 11));
}

TEST_F(DiskV1, ACrashKeepsWhatWasCommitted) {
  const Made made = shared_pieces();
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    for (const std::uint32_t piece : {0U, 1U, 2U, 3U, 5U})
      for (std::uint32_t block = 0; block < made.content->blocks_in(piece); ++block)
        ASSERT_TRUE(life.run(fixture::write_job(made, piece, block)));
    ASSERT_TRUE(engine.commit({0, 1, 2, 3}));
    EXPECT_EQ(engine.finished, (std::vector<std::uint32_t>{0, 1})) << "a and b";
  }
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files[0], FileState::whole);
  EXPECT_EQ(engine.attached.files[2], FileState::partial);
  EXPECT_EQ(engine.pieces_hashed, 1U) << "5 was begun";
  EXPECT_TRUE(engine.have.test(5));
  ASSERT_TRUE(engine.download());
  expect_whole(made);
}

// Its neighbours are whole and stay untouched, although they share pieces with it.
TEST_F(DiskV1, AFileThatIsGoneIsFetchedAgainAlone) {
  const Made made = shared_pieces();
  finish(made);
  const std::string a = temp_.path("out/content/a"), c = temp_.path("out/content/c");
  const FileStamp a_before = stamp_of(a), c_before = stamp_of(c);
  std::filesystem::remove(temp_.path("out/content/b"));
  for (int run = 0; run < 2; ++run) {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    EXPECT_EQ(engine.attached.files[0], FileState::whole);
    EXPECT_EQ(engine.attached.files[2], FileState::whole);
    EXPECT_EQ(engine.have.count(), made.content->pieces - 1);
    EXPECT_FALSE(engine.have.test(3));
    if (run == 0) continue;  // stopped before anything came
    ASSERT_TRUE(engine.download()) << engine.failure->error.rule;
    EXPECT_EQ(engine.finished, std::vector<std::uint32_t>{1});
  }
  expect_whole(made);
  EXPECT_EQ(stamp_of(a), a_before);
  EXPECT_EQ(stamp_of(c), c_before);
  Life life{state_, nullptr};
  EXPECT_TRUE(life.catalog().find(made.content->id)->value().have.all());
}

// The bytes of b that share a piece with wanted files lie in its part file.
TEST_F(DiskV1, WantedFilesBringPartsOfTheirNeighbours) {
  const Made made = shared_pieces();
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start(AttachJob::Mode::download, {false, false, false, true, false, false}));
  for (std::uint32_t block = 0; block < made.content->blocks_in(6); ++block)
    ASSERT_TRUE(life.run(fixture::write_job(made, 6, block)));
  ASSERT_TRUE(engine.commit({6}));
  EXPECT_EQ(engine.finished, (std::vector<std::uint32_t>{3, 5})) << "e, and f, which lies in the same piece";
  EXPECT_EQ(read_whole(temp_.path("out/content/d/e")), made.files[3].bytes);
  EXPECT_TRUE(std::filesystem::exists(temp_.path("out/content/c.part")));
  EXPECT_FALSE(std::filesystem::exists(temp_.path("out/content/a")));
  EXPECT_FALSE(std::filesystem::exists(temp_.path("out/content/a.part")));
}

TEST_F(DiskV1, AChangedFileTakesItsSharedPiecesAlong) {
  const Made made = shared_pieces();
  finish(made);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  const std::string b = temp_.path("out/content/b");
  edit(b, 5, 'X');
  set_time(b, 2'000);
  ASSERT_TRUE(engine.read(3, 0, 900)) << "a's part of it";
  const auto refused = engine.read(3, 900, 200);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code, Code::mismatch);
  EXPECT_EQ(refused.error().path, b);
  EXPECT_FALSE(life.catalog().find(made.content->id)->value().have.test(3));
  engine.have.reset(3);
  ASSERT_TRUE(engine.hash_again({3}));
  EXPECT_FALSE(engine.have.test(3));
  ASSERT_TRUE(engine.download()) << engine.failure->error.rule;
  expect_whole(made);
  ASSERT_TRUE(engine.read(3, 0, piece_length));
}

// As many blocks as are written at once, all in one file, and the last in its neighbours as well.
TEST_F(DiskV1, AWholeBatchOfOneFileAndItsNeighbours) {
  const Made made = fixture::make(
      {{"a", pattern(Disk::max_batch * block_bytes - 100, 1)}, {"b", pattern(40, 2)}, {"c", pattern(60, 3)}},
      piece_length, Format::v1);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  std::vector<Job> jobs;
  std::vector<std::uint32_t> pieces;
  for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece) {
    for (std::uint32_t block = 0; block < 2; ++block)
      jobs.emplace_back(fixture::write_job(made, piece, block));
    pieces.push_back(piece);
  }
  ASSERT_EQ(jobs.size(), Disk::max_batch);
  std::vector<Done> done(jobs.size());
  Disk::Worker worker;
  life.disk().run_batch(jobs, done, worker);
  for (const Done& one : done) EXPECT_TRUE(one);
  ASSERT_TRUE(engine.commit(pieces));
  expect_whole(made);
}

// Many tiny files in one block.
TEST_F(DiskV1, ABlockOfManyFiles) {
  std::vector<std::pair<std::string, Bytes>> files;
  for (unsigned i = 1000; i < 1400; ++i) files.emplace_back("f" + std::to_string(i), pattern(i % 97, i));
  const Made made = fixture::make(files, piece_length, Format::v1);
  finish(made);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  const auto bytes = engine.read(0, 0, made.content->piece_bytes(0));
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(equal(*bytes, made.row));
}

}  // namespace
}  // namespace shoal::storage
