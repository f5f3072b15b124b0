// Importing what was imported before, and what changes while it is: unchanged files are not read again, every
// kind of change is seen.
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <utime.h>

#include "storage/torrent.hpp"
#include "tests/unit/storage/content_fixture.hpp"
#include "tests/unit/storage/folder_fixture.hpp"
#include "tests/unit/storage/import_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::fill_known_folder;
using fixture::import_paths;
using fixture::import_with;
using fixture::pattern;
using fixture::some_salt;
using fixture::TempFolder;
using fixture::WatchedVfs;

TEST(Importer, UnchangedFilesAreNotReadAgain) {
  const TempFolder temp;
  fill_known_folder(temp);
  std::set<std::string> reads;
  WatchedVfs vfs{[&](const std::string& what) -> Result<void> {
    if (what.starts_with("read ")) reads.insert(what);
    return {};
  }};
  SerialExecutor executor;
  const ImportOptions options{.salt = some_salt(), .piece_length = 65536};
  auto seen = survey(vfs, {temp.path("folder")});
  ASSERT_TRUE(seen);
  EXPECT_TRUE(reads.empty());
  const auto first = import_content(vfs, *seen, options, executor);
  ASSERT_TRUE(first);
  EXPECT_EQ(reads.size(), 5U);
  EXPECT_TRUE(unchanged(*seen, *first->content, first->stamps));

  const Earlier earlier{first->content, first->layers, first->stamps};
  const auto changed = [&] {
    const auto now = survey(vfs, {temp.path("folder")});
    EXPECT_TRUE(now);
    return !unchanged(*now, *first->content, first->stamps);
  };
  temp.file("folder/a.b/two", pattern(300000, 1));
  struct utimbuf times{1'000'000'000, 1'000'000'000};
  utime(temp.path("folder/a.b/two").c_str(), &times);
  EXPECT_TRUE(changed());
  temp.file("folder/new", pattern(100));
  reads.clear();
  seen = survey(vfs, {temp.path("folder")});
  ImportOptions again = options;
  again.earlier = &earlier;
  const auto second = import_content(vfs, *seen, again, executor);
  ASSERT_TRUE(second);
  EXPECT_EQ(reads, (std::set<std::string>{"read folder/a.b/two", "read folder/new"}));
  const auto fresh = import_content(vfs, *seen, options, executor);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(second->content->info, fresh->content->info) << "reused hashes are the true ones";
  EXPECT_EQ(second->layers, fresh->layers);
}

TEST(Importer, EveryKindOfChangeIsSeen) {
  const TempFolder temp;
  temp.file("s/a", pattern(5));
  temp.file("s/b", pattern(6));
  temp.link("s/l", "a");
  temp.folder("s/e");
  PosixVfs vfs;
  const auto imported = import_paths({temp.path("s")}, {.salt = some_salt()});
  ASSERT_TRUE(imported);
  const auto same = [&](std::string_view name = {}) {
    return unchanged(*survey(vfs, {temp.path("s")}, name), *imported->content, imported->stamps);
  };
  ASSERT_TRUE(same());
  EXPECT_FALSE(same("other"));
  chmod(temp.path("s/a").c_str(), 0755);
  EXPECT_FALSE(same());
  chmod(temp.path("s/a").c_str(), 0644);
  EXPECT_TRUE(same());
  std::filesystem::remove(temp.path("s/l"));
  EXPECT_FALSE(same());
  temp.link("s/l", "b");
  EXPECT_FALSE(same());
  std::filesystem::remove(temp.path("s/l"));
  temp.link("s/l", "a");
  EXPECT_TRUE(same());
  temp.folder("s/f");
  EXPECT_FALSE(same());
  std::filesystem::remove(temp.path("s/f"));
  EXPECT_TRUE(same());
  std::filesystem::rename(temp.path("s/b"), temp.path("s/c"));
  EXPECT_FALSE(same());
  std::filesystem::rename(temp.path("s/c"), temp.path("s/b"));
  EXPECT_TRUE(same());
  std::filesystem::copy_file(temp.path("s/b"), temp.path("s/b2"));  // another inode under the old name
  std::filesystem::last_write_time(temp.path("s/b2"), std::filesystem::last_write_time(temp.path("s/b")));
  std::filesystem::rename(temp.path("s/b2"), temp.path("s/b"));
  EXPECT_FALSE(same());
}

TEST(Importer, AFileThatChangesMeanwhileIsNamed) {
  for (const std::string change : {"grow", "shrink", "rewrite", "remove"}) {
    const TempFolder temp;
    temp.file("s/a", pattern(100));
    temp.file("s/b", pattern(20'000'000));
    int reads = 0;
    WatchedVfs vfs{[&](const std::string& what) -> Result<void> {
      if (what != "read s/b" || ++reads != 3) return {};
      if (change == "grow") temp.file("s/b", pattern(20'000'001));
      if (change == "shrink") temp.file("s/b", pattern(10));
      if (change == "rewrite") {
        temp.file("s/b", pattern(20'000'000, 1));
        struct utimbuf times{1'000'000'000, 1'000'000'000};
        utime(temp.path("s/b").c_str(), &times);
      }
      if (change == "remove") std::filesystem::remove(temp.path("s/b"));
      return {};
    }};
    const auto imported = import_with(vfs, {temp.path("s")}, {.piece_length = 65536});
    ASSERT_FALSE(imported) << change;
    EXPECT_EQ(imported.error().path, temp.path("s/b"));
    EXPECT_EQ(imported.error().error.code, change == "remove" ? Code::not_found : Code::mismatch) << change;
  }
}

TEST(Importer, AFileThatChangesBeforeItsTurnIsNamed) {
  const TempFolder temp;
  temp.file("s/a", pattern(100));
  temp.file("s/b", pattern(100));
  WatchedVfs vfs{[&](const std::string& what) -> Result<void> {
    if (what == "open s/a") temp.file("s/b", pattern(101));
    return {};
  }};
  const auto imported = import_with(vfs, {temp.path("s")}, {});
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().path, temp.path("s/b"));
  EXPECT_EQ(imported.error().error.code, Code::mismatch);
}

}  // namespace
}  // namespace shoal::storage
