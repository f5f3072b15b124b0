// Verifying real folders: every way in which a tree may differ is told apart.
#include "storage/verifier.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "storage/disk_pool.hpp"
#include "tests/unit/storage/content_fixture.hpp"
#include "tests/unit/storage/folder_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::hash_file;
using fixture::pattern;
using fixture::TempFolder;
using fixture::WatchedVfs;

constexpr std::uint32_t piece = 65536;

class Verifier : public testing::Test {
 protected:
  Verifier() {
    Description d;
    d.name = "content";
    d.piece_length = piece;
    d.salt = Salt{};
    d.empty_folders = {"none"};
    for (const auto& [path, size] : {std::pair{"a-long", piece * 5 + 100UL},
                                     {"b-piece", 1UL * piece},
                                     {"c-small", 10UL},
                                     {"d-zero", 0UL}}) {
      const auto file = hash_file(path, pattern(size), piece);
      d.files.push_back({path, size, file.root, FileKind::regular, {}});
      layers_.push_back(file.layer);
      temp_.file("content/" + std::string{path}, pattern(size));
    }
    d.files.push_back({"e-link", 0, {}, FileKind::symlink, "a-long"});
    layers_.emplace_back();
    temp_.link("content/e-link", "a-long");
    temp_.folder("content/none");
    content_ = *make_content(d);
  }

  VerifyReport verify(Vfs& vfs) {
    SerialExecutor executor;
    auto report = verify_content(vfs, temp_.path(), *content_, layers_, executor);
    EXPECT_TRUE(report) << (report ? "" : report.error().error.rule);
    return report ? *report : VerifyReport{};
  }
  VerifyReport verify() {
    PosixVfs vfs;
    return verify(vfs);
  }

  TempFolder temp_;
  ContentPtr content_;
  std::vector<Bytes> layers_;
};

TEST_F(Verifier, AWholeTree) {
  const auto report = verify();
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(report.whole_files, 5U);
  EXPECT_TRUE(report.good.all());
  EXPECT_EQ(report.good_bytes, content_->bytes);
  layers_.assign(5, {});  // without layers the roots of the files suffice
  EXPECT_TRUE(verify().whole());
  layers_.clear();
  EXPECT_TRUE(verify().whole());
}

TEST_F(Verifier, ABadPiece) {
  Bytes bytes = pattern(piece * 5 + 100);
  bytes[piece * 2 + 7] ^= 1;
  temp_.file("content/a-long", bytes);
  auto report = verify();
  EXPECT_FALSE(report.whole());
  EXPECT_EQ(report.files[0].verdict, FileVerdict::bad_pieces);
  EXPECT_EQ(report.files[0].bad_pieces, 1U);
  for (std::uint32_t p = 0; p < content_->pieces; ++p) EXPECT_EQ(report.good.test(p), p != 2) << p;
  EXPECT_EQ(report.good_bytes, content_->bytes - piece);
  layers_.assign(5, {});
  report = verify();
  EXPECT_EQ(report.files[0].verdict, FileVerdict::bad_pieces);
  EXPECT_EQ(report.files[0].bad_pieces, 6U) << "which one is bad cannot be known";
}

TEST_F(Verifier, AShortFile) {
  for (const auto& [size, good] : {std::pair{piece * 5UL, 5U}, {piece * 4UL + 1, 4U}, {1UL, 0U}, {0UL, 0U}}) {
    temp_.file("content/a-long", pattern(size));
    const auto report = verify();
    EXPECT_EQ(report.files[0].verdict, FileVerdict::too_short);
    EXPECT_EQ(report.files[0].bad_pieces, 6 - good);
    EXPECT_EQ(report.good.count(), content_->pieces - 6 + good);
  }
  temp_.file("content/c-small", pattern(9));
  EXPECT_EQ(verify().files[2].verdict, FileVerdict::too_short);
}

TEST_F(Verifier, ALongFile) {
  temp_.file("content/a-long", pattern(piece * 5 + 101));
  temp_.file("content/d-zero", pattern(1));
  const auto report = verify();
  EXPECT_EQ(report.files[0].verdict, FileVerdict::too_long);
  EXPECT_EQ(report.files[0].bad_pieces, 0U);
  EXPECT_EQ(report.files[3].verdict, FileVerdict::too_long);
  EXPECT_TRUE(report.good.all()) << "what should be there is there";
  EXPECT_FALSE(report.whole());
}

TEST_F(Verifier, MissingThings) {
  for (const char* name : {"b-piece", "c-small", "d-zero", "e-link", "none"})
    std::filesystem::remove(temp_.path("content/" + std::string{name}));
  const auto report = verify();
  EXPECT_EQ(report.files[0].verdict, FileVerdict::whole);
  for (int f = 1; f < 5; ++f)
    EXPECT_EQ(report.files[static_cast<std::size_t>(f)].verdict, FileVerdict::missing) << f;
  EXPECT_EQ(report.files[1].bad_pieces, 1U);
  EXPECT_EQ(report.missing_folders, 1U);
  EXPECT_FALSE(report.whole());
  EXPECT_EQ(report.good.count(), 6U);
}

TEST_F(Verifier, OtherKindsOfThings) {
  for (const char* name : {"b-piece", "c-small", "e-link"})
    std::filesystem::remove(temp_.path("content/" + std::string{name}));
  temp_.folder("content/b-piece");
  temp_.link("content/c-small", "a-long");  // never followed
  temp_.link("content/e-link", "b-piece");
  const auto report = verify();
  EXPECT_EQ(report.files[1].verdict, FileVerdict::wrong_kind);
  EXPECT_EQ(report.files[2].verdict, FileVerdict::wrong_kind);
  EXPECT_EQ(report.files[4].verdict, FileVerdict::wrong_kind);
}

TEST_F(Verifier, UnreadableFiles) {
  WatchedVfs vfs{[](const std::string& what) -> Result<void> {
    if (what == "read content/a-long") return fail(Code::io, "the disk failed", 5);
    if (what == "open content/c-small") return fail(Code::denied, "permission denied", 13);
    return {};
  }};
  const auto report = verify(vfs);
  EXPECT_EQ(report.files[0].verdict, FileVerdict::unreadable);
  EXPECT_EQ(report.files[0].error.os_errno, 5);
  EXPECT_EQ(report.files[1].verdict, FileVerdict::whole);
  EXPECT_EQ(report.files[2].verdict, FileVerdict::unreadable);
  EXPECT_EQ(report.files[2].error.code, Code::denied);
  EXPECT_EQ(report.good.count(), 1U);
}

TEST_F(Verifier, AMissingFolderIsAnError) {
  PosixVfs vfs;
  SerialExecutor executor;
  const auto report = verify_content(vfs, temp_.path("nowhere"), *content_, layers_, executor);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().error.code, Code::not_found);
  EXPECT_EQ(report.error().path, temp_.path("nowhere"));
}

TEST_F(Verifier, CanBeStopped) {
  HashProgress progress;
  progress.cancel = true;
  PosixVfs vfs;
  SerialExecutor executor;
  const auto report = verify_content(vfs, temp_.path(), *content_, layers_, executor, &progress);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().error.code, Code::cancelled);
}

// v1 and hybrids: a folder of files that share pieces.
class VerifierV1 : public testing::TestWithParam<Format> {
 protected:
  VerifierV1() {
    for (const auto& file : made_.files) temp_.file("content/" + file.path, file.bytes);
  }
  VerifyReport verify(const Content& content, std::span<const Bytes> layers) {
    PosixVfs vfs;
    ThreadExecutor executor{2};
    HashProgress progress;
    auto report = verify_content(vfs, temp_.path(), content, layers, executor, &progress);
    EXPECT_TRUE(report) << (report ? "" : report.error().error.rule);
    EXPECT_LE(progress.done_bytes.load(), progress.total_bytes.load());
    return report ? *report : VerifyReport{};
  }
  VerifyReport verify() { return verify(*made_.content, made_.layers); }

  fixture::Made made_ = fixture::make({{"a", pattern(piece + 100)},
                                       {"b", pattern(50, 1)},
                                       {"c", pattern(2 * piece, 2)},
                                       {"d", {}},
                                       {"e", pattern(10, 3)}},
                                      piece, GetParam());
  TempFolder temp_;
};

INSTANTIATE_TEST_SUITE_P(Formats, VerifierV1, testing::Values(Format::v1, Format::hybrid));

TEST_P(VerifierV1, AWholeTree) {
  const auto report = verify();
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(report.good_bytes, made_.content->bytes);
  EXPECT_TRUE(report.good.all());
  EXPECT_EQ(report.inconsistent_pieces, 0U);
}

TEST_P(VerifierV1, ABadByteSpoilsThePiecesItLiesIn) {
  temp_.file("content/b", pattern(50, 9));
  const auto report = verify();
  const bool alone = GetParam() == Format::hybrid;
  EXPECT_EQ(report.files[1].verdict, FileVerdict::bad_pieces);
  EXPECT_EQ(report.files[0].verdict, alone ? FileVerdict::whole : FileVerdict::bad_pieces);
  EXPECT_EQ(report.files[0].bad_pieces, alone ? 0U : 1U);
  EXPECT_EQ(report.files[4].verdict, FileVerdict::whole);
  EXPECT_EQ(report.whole_files, alone ? 4U : 2U);
  EXPECT_EQ(report.inconsistent_pieces, 0U);
}

TEST_P(VerifierV1, ShortLongAndMissing) {
  temp_.file("content/a", pattern(piece));
  temp_.file("content/e", pattern(11, 3));
  std::filesystem::remove(temp_.path("content/d"));
  const auto report = verify();
  EXPECT_EQ(report.files[0].verdict, FileVerdict::too_short);
  EXPECT_EQ(report.files[0].bad_pieces, 1U);
  EXPECT_EQ(report.files[3].verdict, FileVerdict::missing);
  EXPECT_EQ(report.files[4].verdict, FileVerdict::too_long);
  EXPECT_TRUE(report.good.test(0));
  EXPECT_FALSE(report.good.test(1));
}

// Whatever lies there, one of the two parts says that it is wrong.
TEST_P(VerifierV1, AHybridThatContradictsItself) {
  if (GetParam() != Format::hybrid) return;
  Bytes info = made_.content->info;
  info[made_.content->v1_hashes_at + 25] ^= 1;  // of a's second piece
  const auto other = parse_info(std::move(info));
  ASSERT_TRUE(other);
  for (const bool layers : {true, false}) {
    const auto report =
        verify(**other, layers ? std::span<const Bytes>{made_.layers} : std::span<const Bytes>{});
    EXPECT_EQ(report.inconsistent_pieces, 1U);
    EXPECT_EQ(report.files[0].verdict, FileVerdict::bad_pieces);
    EXPECT_EQ(report.whole_files, 4U);
  }
}

// Where no layer tells of single pieces, v1 does.
TEST_P(VerifierV1, WithoutLayersV1TellsWhichPiecesAreGood) {
  if (GetParam() != Format::hybrid) return;
  Bytes wrong = made_.files[2].bytes;
  wrong[piece + 5] ^= 1;
  temp_.file("content/c", wrong);
  const auto report = verify(*made_.content, {});
  EXPECT_EQ(report.files[2].verdict, FileVerdict::bad_pieces);
  EXPECT_EQ(report.files[2].bad_pieces, 1U);
  EXPECT_EQ(report.inconsistent_pieces, 0U);
}

}  // namespace
}  // namespace shoal::storage
