// Importing real folders: the content is the one that libtorrent makes, whoever hashes it in whatever order;
// what cannot be shared is skipped and counted, or named.
#include "storage/importer.hpp"

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <utime.h>

#include "storage/disk_pool.hpp"
#include "storage/names.hpp"
#include "storage/torrent.hpp"
#include "tests/unit/storage/content_fixture.hpp"
#include "tests/unit/storage/folder_fixture.hpp"
#include "tests/unit/storage/import_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::fill_known_folder;
using fixture::hash_file;
using fixture::import_paths;
using fixture::import_with;
using fixture::pattern;
using fixture::some_salt;
using fixture::TempFolder;
using fixture::WatchedVfs;

// Says that many tasks run at once, runs them backwards.
struct BackwardExecutor final : Executor {
  [[nodiscard]] std::size_t width() const override { return 7; }
  void parallel(std::size_t tasks, const std::function<void(std::size_t)>& task) override {
    while (tasks > 0) task(--tasks);
  }
};

std::vector<std::string> paths_of(const Content& content) {
  std::vector<std::string> out;
  for (const ContentFile& file : content.files) out.push_back(file.path);
  return out;
}

TEST(Importer, MakesTheContentThatLibtorrentMakes) {
  const TempFolder temp;
  fill_known_folder(temp);
  ImportOptions options;
  options.piece_length = 65536;
  const auto imported = import_paths({temp.path("folder")}, options);
  ASSERT_TRUE(imported) << imported.error().error.rule;
  EXPECT_EQ(to_hex(imported->content->id),
            "d1733ba756786c20155c26ae6a6ff8fd64000411947224bad43c4e87232b32f8");
  EXPECT_EQ(to_hex(sha256(write_torrent(*imported->content, imported->layers))),
            "4f33194e99955773984e060a3622959388f3695bac27003195cea84b25774895");
  EXPECT_EQ(imported->folder, temp.path());
  EXPECT_EQ(imported->root_name, "folder");
  EXPECT_TRUE(imported->disk_paths.empty());
  ASSERT_EQ(imported->stamps.size(), 6U);
  EXPECT_EQ(imported->stamps[0].size, 16384U);
  EXPECT_NE(imported->stamps[0].inode, 0U);
}

// v1: of a single file, since libtorrent lists the files of a folder in an order of its own.
TEST(Importer, MakesTheHybridAndTheV1ThatLibtorrentMakes) {
  const TempFolder temp;
  fill_known_folder(temp);
  ImportOptions options;
  options.piece_length = 65536;
  options.format = Format::hybrid;
  auto imported = import_paths({temp.path("folder")}, options);
  ASSERT_TRUE(imported) << imported.error().error.rule;
  EXPECT_EQ(to_hex(imported->content->id),
            "783390e109f921ede0ca1a85e4eb68cf0a7a8319b6c630661fe4993995b355fd");
  ASSERT_TRUE(imported->content->v1);
  EXPECT_EQ(to_hex(*imported->content->v1), "44535e8f816367d9986e2156e010c7a041d8e21c");
  imported = import_paths({temp.path("folder/a.b/two")}, options);
  ASSERT_TRUE(imported);
  EXPECT_EQ(to_hex(imported->content->id),
            "36e5f51168f8022ae8e0c7fc77cd98c948fb05e13ad08b00b8eeae6e18e68bb2");
  options.format = Format::v1;
  imported = import_paths({temp.path("folder/a.b/two")}, options);
  ASSERT_TRUE(imported);
  EXPECT_EQ(to_hex(imported->content->id), "8e579509456ab61b55650da0250e9a79917f036b" + std::string(24, '0'));
  EXPECT_TRUE(imported->layers.front().empty());
}

// Around a block, a piece and the hasher's buffer; pieces that hold many files, and files of many pieces.
TEST(Importer, V1HashesAreThoseOfTheRowOfBytes) {
  const TempFolder temp;
  std::vector<std::pair<std::string, Bytes>> files;
  unsigned seed = 0;
  for (const std::size_t size : {0UL, 1UL, 16384UL, 70000UL, 5UL, 3UL << 20, 4097UL, 0UL, 20000UL, 9UL}) {
    files.emplace_back("f" + std::to_string(10 + seed), pattern(size, seed));
    temp.file("content/" + files.back().first, files.back().second);
    ++seed;
  }
  for (const Format format : {Format::v1, Format::hybrid}) {
    for (const std::uint32_t piece_length : {16384U, 65536U, 2U << 20}) {
      const auto made = fixture::make(files, piece_length, format);
      HashProgress progress;
      const auto imported = import_paths(
          {temp.path("content")}, {.format = format, .piece_length = piece_length, .progress = &progress});
      ASSERT_TRUE(imported) << imported.error().error.rule;
      EXPECT_TRUE(equal(imported->content->info, made.content->info)) << piece_length;
      EXPECT_EQ(imported->layers, made.layers);
      EXPECT_EQ(progress.done_bytes.load(), progress.total_bytes.load());
    }
  }
}

// Folders are listed ahead, some at once: more of them than that, in folders and beside files, empty ones
// too.
TEST(Importer, WhoListsDoesNotMatter) {
  const TempFolder temp;
  for (int i = 0; i < 150; ++i) {
    const std::string folder = "all/d" + std::to_string(100 + i);
    for (int j = 0; j < i % 4; ++j)
      temp.file(folder + "/sub" + std::to_string(j) + "/f", pattern(10, static_cast<unsigned>(i)));
    if (i % 3 == 0) temp.file(folder + "/f", pattern(20, static_cast<unsigned>(i)));
    if (i % 5 == 0) temp.file("all/e" + std::to_string(i), {});
    ASSERT_TRUE(std::filesystem::create_directories(temp.path(folder + "/empty")));
  }
  PosixVfs vfs;
  SerialExecutor serial;
  BackwardExecutor backward;
  ThreadExecutor threads{4};
  const auto paths_of_survey = [&](Executor& executor) {
    const auto seen = survey(vfs, {temp.path("all")}, {}, executor);
    EXPECT_TRUE(seen);
    std::vector<std::string> out = seen->empty_folders;
    for (const SurveyedFile& file : seen->files) out.push_back(file.disk_path);
    return out;
  };
  const auto one = paths_of_survey(serial);
  EXPECT_EQ(one.size(), 150U + 223 + 50 + 30);
  EXPECT_EQ(paths_of_survey(backward), one);
  EXPECT_EQ(paths_of_survey(threads), one);
}

TEST(Importer, WhoHashesDoesNotMatter) {
  const TempFolder temp;
  const std::uint32_t mib = 1 << 20;
  // Sizes around a block, a piece, a buffer and a unit of work.
  std::vector<std::size_t> sizes{0,       1,           16383,   16384,       16385,
                                 262143,  262144,      262145,  mib - 1,     mib,
                                 mib + 1, 4 * mib - 1, 4 * mib, 4 * mib + 1, 9 * mib + 77};
  for (std::size_t i = 0; i < sizes.size(); ++i)
    temp.file("all/f" + std::to_string(100 + i), pattern(sizes[i], static_cast<unsigned>(i)));
  for (int i = 0; i < 700; ++i)
    temp.file("all/small/" + std::to_string(1000 + i),
              pattern(static_cast<std::size_t>(i * 37 % 50000), static_cast<unsigned>(i)));
  PosixVfs vfs;
  const auto seen = survey(vfs, {temp.path("all")});
  ASSERT_TRUE(seen);
  for (const std::uint32_t piece_length : {16384U, 65536U, mib, 8 * mib}) {
    HashProgress progress;
    ImportOptions options{.salt = some_salt(), .piece_length = piece_length, .progress = &progress};
    SerialExecutor serial;
    BackwardExecutor backward;
    ThreadExecutor threads{4};
    const auto one = import_content(vfs, *seen, options, serial);
    ASSERT_TRUE(one);
    EXPECT_EQ(progress.total_bytes.load(), seen->bytes);
    EXPECT_EQ(progress.done_bytes.load(), seen->bytes);
    for (Executor* other : {static_cast<Executor*>(&backward), static_cast<Executor*>(&threads)}) {
      const auto two = import_content(vfs, *seen, options, *other);
      ASSERT_TRUE(two);
      EXPECT_EQ(two->content->info, one->content->info);
      EXPECT_EQ(two->layers, one->layers);
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const auto plain = hash_file("f", pattern(sizes[i], static_cast<unsigned>(i)), piece_length);
      EXPECT_EQ(one->content->files[i].root, plain.root) << sizes[i];
      EXPECT_EQ(one->layers[i], plain.layer) << sizes[i];
    }
  }
}

TEST(Importer, KeepsLinksAndFoldersAndCountsTheRest) {
  const TempFolder temp;
  temp.file("s/dir/file", pattern(10));
  temp.folder("s/empty/inner");
  temp.folder("s/only-skipped");
  ASSERT_EQ(mkfifo(temp.path("s/only-skipped/fifo").c_str(), 0600), 0);
  temp.folder("s/only-links");
  temp.link("s/only-links/outside", "../../etc");
  temp.link("s/inside", "dir/file");
  temp.link("s/dir/up", "../dir/./file");
  temp.link("s/dir/root", "..");
  temp.link("s/dangling", "nothing/here");
  temp.link("s/outside", "../../etc/passwd");
  temp.link("s/absolute", "/etc/passwd");
  temp.link("s/dir/tricky", "x/../../../y");
  const auto sealed = import_paths({temp.path("s")}, {.salt = some_salt()});
  ASSERT_TRUE(sealed) << sealed.error().error.rule << sealed.error().path;
  EXPECT_EQ(sealed->skipped_links, 4U);
  EXPECT_EQ(sealed->skipped_special, 1U);
  EXPECT_EQ(sealed->skipped_folders, 0U);
  EXPECT_TRUE(sealed->content->sealed);
  EXPECT_EQ(paths_of(*sealed->content),
            (std::vector<std::string>{"dangling", "dir/file", "dir/root", "dir/up", "inside"}));
  EXPECT_EQ(sealed->content->empty_folders,
            (std::vector<std::string>{"empty/inner", "only-links", "only-skipped"}));
  EXPECT_EQ(sealed->content->files[2].target, "..");
  EXPECT_EQ(sealed->content->files[3].target, "file") << "the shortest spelling";
  EXPECT_EQ(sealed->content->files[4].target, "dir/file");
  const auto open = import_paths({temp.path("s")}, {});
  ASSERT_TRUE(open);
  EXPECT_EQ(open->skipped_folders, 3U);
  EXPECT_TRUE(open->content->empty_folders.empty());
  EXPECT_FALSE(open->content->sealed);
}

TEST(Importer, OneFile) {
  const TempFolder temp;
  temp.file("name.bin", pattern(300000));
  auto imported = import_paths({temp.path("name.bin")}, {});
  ASSERT_TRUE(imported);
  EXPECT_TRUE(imported->content->single_file);
  EXPECT_EQ(imported->content->name, "name.bin");
  EXPECT_EQ(imported->content->disk_path(0), "name.bin");
  EXPECT_TRUE(imported->disk_paths.empty());
  EXPECT_EQ(imported->content->piece_length, 131072U);
  EXPECT_EQ(imported->layers[0].size(), 96U);
  imported = import_paths({temp.path("name.bin")}, {}, "other");
  ASSERT_TRUE(imported);
  EXPECT_TRUE(imported->content->single_file);
  EXPECT_EQ(imported->content->name, "other");
  EXPECT_EQ(imported->root_name, "name.bin");
  EXPECT_EQ(imported->disk_paths, std::vector<std::string>{"name.bin"});
}

TEST(Importer, EmptyThings) {
  const TempFolder temp;
  temp.folder("nothing");
  temp.file("zero", {});
  const auto folder = import_paths({temp.path("nothing")}, {.salt = some_salt()});
  ASSERT_TRUE(folder) << folder.error().error.rule;
  EXPECT_EQ(folder->content->pieces, 0U);
  EXPECT_FALSE(import_paths({temp.path("nothing")}, {})) << "a public content has a file";
  const auto file = import_paths({temp.path("zero")}, {});
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->content->single_file);
  EXPECT_EQ(file->content->bytes, 0U);
}

TEST(Importer, AFolderThatHoldsOneFileOfItsName) {
  const TempFolder temp;
  temp.file("x/x", pattern(5));
  const auto imported = import_paths({temp.path("x")}, {.salt = some_salt()});
  ASSERT_TRUE(imported);
  EXPECT_FALSE(imported->content->single_file);
  EXPECT_EQ(imported->content->disk_path(0), "x/x");
}

TEST(Importer, ARenamedFolderIsFoundUnderItsOldName) {
  const TempFolder temp;
  temp.file("old/a", pattern(5));
  temp.file("old/b/c", pattern(6));
  const auto imported = import_paths({temp.path("old")}, {}, "new");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->content->name, "new");
  EXPECT_EQ(imported->root_name, "old");
  EXPECT_EQ(imported->disk_paths, (std::vector<std::string>{"old/a", "old/b/c"}));
}

TEST(Importer, SeveralPathsMakeOneFolder) {
  const TempFolder temp;
  temp.file("p/one", pattern(5));
  temp.file("p/two/inner", pattern(6));
  temp.file("q/r/three", pattern(7));
  temp.link("p/two/link", "inner");
  temp.link("p/two/beyond", "../one");
  auto imported = import_paths({temp.path("p/two"), temp.path("p/one")}, {}, "both");
  ASSERT_TRUE(imported) << imported.error().error.rule;
  EXPECT_FALSE(imported->content->single_file);
  EXPECT_EQ(imported->content->name, "both");
  EXPECT_EQ(paths_of(*imported->content), (std::vector<std::string>{"one", "two/inner", "two/link"}));
  EXPECT_EQ(imported->content->files[2].target, "inner");
  EXPECT_EQ(imported->skipped_links, 1U)
      << "it means something else once its neighbours are chosen one by one";
  EXPECT_EQ(imported->folder, temp.path("p"));
  EXPECT_EQ(imported->root_name, "");
  EXPECT_EQ(imported->disk_paths, (std::vector<std::string>{"one", "two/inner", "two/link"}));
  imported = import_paths({temp.path("q/r/three"), temp.path("p/two")}, {});
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->content->name, temp.path().substr(temp.path().rfind('/') + 1));
  EXPECT_EQ(imported->folder, temp.path());
  EXPECT_EQ(imported->disk_paths, (std::vector<std::string>{"q/r/three", "p/two/inner", "p/two/link"}));
  EXPECT_EQ(paths_of(*imported->content), (std::vector<std::string>{"three", "two/inner", "two/link"}));
  const auto twice = import_paths({temp.path("p/one"), temp.path("p/one")}, {});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().error.code, Code::exists);
}

TEST(Importer, PathsOfTheUserAreFollowed) {
  const TempFolder temp;
  temp.file("real/dir/file", pattern(5));
  temp.link("to-dir", "real/dir");
  temp.link("to-file", "to-dir/file");
  temp.link("absolute", temp.path("real"));
  temp.link("circle", "circle2");
  temp.link("circle2", "circle");
  for (const std::string path : {"real/dir/", "real//dir", "real/./dir/.", "to-dir/../dir", "absolute/dir",
                                 "real/dir/../../real/dir"}) {
    const auto imported = import_paths({temp.path(path)}, {});
    ASSERT_TRUE(imported) << path << imported.error().error.rule;
    EXPECT_EQ(imported->content->name, "dir") << path;
    EXPECT_EQ(paths_of(*imported->content), std::vector<std::string>{"file"});
  }
  auto imported = import_paths({temp.path("to-dir")}, {});
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->content->name, "to-dir") << "named as the user named it";
  EXPECT_EQ(imported->folder, temp.path("real"));
  EXPECT_EQ(imported->disk_paths, std::vector<std::string>{"dir/file"});
  imported = import_paths({temp.path("to-file")}, {});
  ASSERT_TRUE(imported);
  EXPECT_TRUE(imported->content->single_file);
  EXPECT_EQ(imported->content->name, "to-file");
  EXPECT_EQ(imported->disk_paths, std::vector<std::string>{"file"});
  imported = import_paths({temp.path("to-file"), temp.path("absolute/dir")}, {}, "n");
  ASSERT_TRUE(imported);
  EXPECT_EQ(paths_of(*imported->content), (std::vector<std::string>{"dir/file", "to-file"}));
  const auto circle = import_paths({temp.path("circle")}, {});
  ASSERT_FALSE(circle);
  EXPECT_EQ(circle.error().error.code, Code::unsafe);
}

TEST(Importer, PathsThatCannotBeSharedAreNamed) {
  const TempFolder temp;
  temp.file("file", pattern(5));
  ASSERT_EQ(mkfifo(temp.path("fifo").c_str(), 0600), 0);
  const auto error = [](const std::vector<std::string>& paths, std::string_view name = {}) {
    const auto imported = import_paths(paths, {}, name);
    EXPECT_FALSE(imported);
    return imported ? PathError{} : imported.error();
  };
  EXPECT_EQ(error({temp.path("none")}).error.code, Code::not_found);
  EXPECT_EQ(error({temp.path("none")}).path, temp.path("none"));
  EXPECT_EQ(error({temp.path("none/below")}).error.code, Code::not_found);
  EXPECT_EQ(error({temp.path("fifo")}).error.code, Code::unsupported);
  EXPECT_EQ(error({"/"}).error.code, Code::unsafe);
  EXPECT_EQ(error({"/.."}).error.code, Code::unsafe);
  EXPECT_EQ(error({"relative"}).error.code, Code::malformed);
  EXPECT_EQ(error({""}).error.code, Code::malformed);
  EXPECT_EQ(error({}).error.code, Code::malformed);
  EXPECT_EQ(error({temp.path("file")}, "..").error.code, Code::unsafe);
  EXPECT_EQ(error({temp.path("file")}, "a/b").error.code, Code::unsafe);
}

TEST(Importer, UnreadableFilesAndFoldersAreNamed) {
  const TempFolder temp;
  temp.file("s/a", pattern(100));
  temp.file("s/dir/b", pattern(100));
  for (const auto& [what, path] :
       {std::pair{"open s/a", "s/a"}, {"read s/dir/b", "s/dir/b"}, {"list s/dir", "s/dir"}}) {
    WatchedVfs vfs{[&](const std::string& now) -> Result<void> {
      if (now == what) return fail(Code::denied, "permission denied", 13);
      return {};
    }};
    const auto imported = import_with(vfs, {temp.path("s")}, {});
    ASSERT_FALSE(imported) << what;
    EXPECT_EQ(imported.error().error.code, Code::denied);
    EXPECT_EQ(imported.error().error.os_errno, 13);
    EXPECT_EQ(imported.error().path, temp.path(path));
  }
}

TEST(Importer, CanBeStopped) {
  const TempFolder temp;
  temp.file("s/a", pattern(30'000'000));
  HashProgress progress;
  int reads = 0;
  WatchedVfs vfs{[&](const std::string& what) -> Result<void> {
    if (what == "read s/a" && ++reads == 5) progress.cancel = true;
    return {};
  }};
  const auto imported = import_with(vfs, {temp.path("s")}, {.salt = {}, .progress = &progress});
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().error.code, Code::cancelled);
  EXPECT_LE(reads, 6);
}

TEST(Importer, AHybridIsReadOnce) {
  const TempFolder temp;
  temp.file("s/a", pattern(300'000));
  temp.file("s/b", pattern(70'000));
  int reads = 0;
  WatchedVfs vfs{[&](const std::string& what) -> Result<void> {
    if (what.starts_with("read ")) ++reads;
    return {};
  }};
  HashProgress progress;
  const ImportOptions options{
      .salt = {}, .format = Format::hybrid, .piece_length = 65536, .progress = &progress};
  ASSERT_TRUE(import_with(vfs, {temp.path("s")}, options));
  EXPECT_EQ(reads, 19 + 5);  // blocks
  EXPECT_EQ(progress.done_bytes.load(), 370'000U);
  EXPECT_EQ(progress.total_bytes.load(), 370'000U);
}

TEST(Importer, BoundsAreJudgedBeforeAnythingIsHashed) {
  const TempFolder temp;
  std::string deep = "deep";
  for (int i = 0; i < 101; ++i) deep += "/d";
  temp.folder(deep);
  const auto tree = import_paths({temp.path("deep")}, {.salt = some_salt()});
  ASSERT_FALSE(tree);
  EXPECT_EQ(tree.error().error.code, Code::too_large);
  // A sparse file of more than 2^21 pieces of the length asked for.
  temp.file("s/big", {});
  std::filesystem::resize_file(temp.path("s/big"), (std::uint64_t{1} << 35) + 1);
  const auto big = import_paths({temp.path("s")}, {.piece_length = 16384});
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().error.code, Code::too_large);
}

TEST(Importer, HostileNamesOnTheDiskAreKept) {
  const TempFolder temp;
  const std::vector<std::string> names{"...",      " ",  "\n",           "\x1b[2J", "\\",    "a\\..\\b",
                                       "\xff\xfe", "C:", "\xe2\x80\xae", "-rf",     "x.part"};
  for (const std::string& name : names) temp.file("s/" + name, pattern(3));
  const auto imported = import_paths({temp.path("s")}, {.salt = some_salt()});
  ASSERT_TRUE(imported) << imported.error().error.rule;
  auto sorted = names;
  std::ranges::sort(sorted, [](const auto& a, const auto& b) { return compare_paths(a, b) < 0; });
  EXPECT_EQ(paths_of(*imported->content), sorted);
}

}  // namespace
}  // namespace shoal::storage
