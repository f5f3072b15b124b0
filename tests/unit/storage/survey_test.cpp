// Surveying where a call fails, or where a file system says what none here could: the cause is named with its
// path, and the bounds hold.
#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include <gtest/gtest.h>

#include "failing_calls.hpp"
#include "faulty_vfs.hpp"
#include "storage/importer.hpp"
#include "tests/unit/storage/folder_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::FailingCall;
using fixture::Faults;
using fixture::FaultyVfs;
using fixture::TempFolder;

// ---- calls that fail

class SurveyCalls : public testing::Test {
 protected:
  void SetUp() override {
    temp_.file("s/a/f", as_bytes("12345"));
    temp_.file("t/u/g", as_bytes("1"));
    temp_.folder("s/empty");
    temp_.link("s/inside", "a/f");
    temp_.link("to-s", "s");
  }
  // What a user may name, in the ways that are found differently.
  [[nodiscard]] std::vector<std::vector<std::string>> starts() const {
    return {{temp_.path("s")},
            {temp_.path("s/a/f")},
            {temp_.path("to-s")},
            {temp_.path("s/a/../a")},
            {temp_.path("s/a/../../s/a/f")},
            {temp_.path("s/empty/..")},
            {temp_.path("s/a/f/..")},
            {temp_.path("s/a"), temp_.path("to-s/inside")},
            {temp_.path("t/u/g"), temp_.path("s")}};
  }
  TempFolder temp_;
};

TEST_F(SurveyCalls, EachThatFailsIsNamed) {
  PosixVfs vfs;
  int failures = 0;
  for (const auto& paths : starts())
    for (const char* call : {"fstatat", "readlinkat", "openat", "fdopendir", "readdir"})
      for (int skip = 0;; ++skip) {
        const FailingCall failing{call, EIO, 1, skip};
        const auto seen = survey(vfs, paths, "name");
        if (failing.failed() == 0) {
          EXPECT_TRUE(seen) << paths.front();
          break;
        }
        ++failures;
        ASSERT_FALSE(seen) << call << skip << paths.front();
        EXPECT_EQ(seen.error().error.code, Code::io) << call << skip << paths.front();
        EXPECT_TRUE(seen.error().path.starts_with('/')) << seen.error().path;
      }
  EXPECT_GT(failures, 100);
}

TEST_F(SurveyCalls, EachFolderThatCannotBeOpenedIsNamed) {
  for (const auto& paths : starts()) {
    Faults faults;
    faults.only = "open_folder";
    FaultyVfs vfs{faults};
    ASSERT_TRUE(survey(vfs, paths, "name"));
    const std::uint64_t calls = std::exchange(faults.calls, 0);
    EXPECT_GE(calls, 2U);
    faults.how = Faults::How::once;
    for (faults.at = 0; faults.at < calls; ++faults.at, faults.calls = 0) {
      const auto seen = survey(vfs, paths, "name");
      ASSERT_FALSE(seen) << faults.at;
      EXPECT_EQ(seen.error().error.code, Code::io);
      EXPECT_TRUE(seen.error().path.starts_with('/'));
    }
  }
}

TEST_F(SurveyCalls, WhatIsMissingOnTheWayIsNamedAndNotTheWhole) {
  PosixVfs vfs;
  const auto seen = survey(vfs, {temp_.path("none/../s")});
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().error.code, Code::not_found);
  EXPECT_EQ(seen.error().path, temp_.path("none"));
}

// ---- what a file system may say

// Folders that hold what the test says; every link leads to "x" beside it. Nothing can be opened or made.
using Told = std::map<std::string, std::vector<Entry>>;  // by absolute path

class ToldFolder final : public Folder {
 public:
  ToldFolder(const Told& told, std::string root) : told_(told), root_(std::move(root)) {}
  Result<std::unique_ptr<File>> open(std::string_view, OpenMode) override { return none(); }
  Result<void> make_folders(std::string_view) override { return none(); }
  Result<void> make_symlink(std::string_view, std::string_view) override { return none(); }
  Result<void> rename(std::string_view, std::string_view) override { return none(); }
  Result<void> remove(std::string_view) override { return none(); }
  Result<void> sync_folder(std::string_view) override { return none(); }
  Result<std::uint64_t> free_bytes() override { return none(); }
  Result<std::string> read_symlink(std::string_view) override { return "x"; }
  Result<Entry> stat(std::string_view path) override {
    const std::string whole = absolute(path);
    const std::size_t slash = whole.rfind('/');
    const auto folder = told_.find(slash == 0 ? "/" : whole.substr(0, slash));
    if (folder == told_.end()) return none();
    const auto found = std::ranges::find(folder->second, whole.substr(slash + 1), &Entry::name);
    if (found == folder->second.end()) return none();
    return *found;
  }
  Result<std::vector<Entry>> list(std::string_view path) override {
    const auto folder = told_.find(absolute(path));
    return folder == told_.end() ? std::vector<Entry>{} : folder->second;
  }

 private:
  static std::unexpected<Error> none() { return fail(Code::not_found, "not told"); }
  [[nodiscard]] std::string absolute(std::string_view path) const {
    return path.empty() ? root_ : (root_ == "/" ? "/" : root_ + "/") + std::string{path};
  }
  const Told& told_;
  std::string root_;
};

class ToldVfs final : public Vfs {
 public:
  explicit ToldVfs(Told told) : told_(std::move(told)) {}
  Result<std::unique_ptr<Folder>> open_folder(const std::string& path, Missing) override {
    return std::make_unique<ToldFolder>(told_, path);
  }

 private:
  Told told_;
};

Entry entry(std::string name, EntryKind kind, std::uint64_t size = 0) {
  return {std::move(name), kind, false, {size, 0, 1}};
}
const Entry the_share = entry("s", EntryKind::folder);

Code code_of(const PathResult<Survey>& seen) { return seen ? Code::cancelled : seen.error().error.code; }
constexpr Code fine = Code::cancelled;  // which no survey gives

TEST(Survey, PathsMayHaveNoFolderInCommonButTheRoot) {
  ToldVfs vfs{
      {{"/", {entry("a", EntryKind::folder), entry("b", EntryKind::folder), entry("c", EntryKind::file)}},
       {"/a", {entry("f", EntryKind::file, 1)}},
       {"/b", {entry("g", EntryKind::folder)}},
       {"/b/g", {entry("h", EntryKind::file, 2)}}}};
  const auto seen = survey(vfs, {"/b/g", "/a/f", "/c"}, "name");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->folder, "/");
  std::vector<std::string> lie, are;
  for (const SurveyedFile& file : seen->files) {
    lie.push_back(file.disk_path);
    are.push_back(file.path);
  }
  EXPECT_EQ(lie, (std::vector<std::string>{"c", "a/f", "b/g/h"}));
  EXPECT_EQ(are, (std::vector<std::string>{"c", "f", "g/h"}));
  EXPECT_EQ(code_of(survey(vfs, {"/b/g", "/a/f"})), Code::unsafe) << "the root gives them no name";
  EXPECT_EQ(survey(vfs, {"/a/none", "/c"}).error().path, "/a/none");
  EXPECT_EQ(survey(vfs, {"/none/../c"}).error().path, "/none");
}

TEST(Survey, SizesDoNotOverflow) {
  const auto of_sizes = [](std::uint64_t first, std::uint64_t second) {
    ToldVfs vfs{{{"/", {the_share}},
                 {"/s", {entry("a", EntryKind::file, first), entry("b", EntryKind::file, second)}}}};
    return survey(vfs, {"/s"});
  };
  EXPECT_EQ(of_sizes(max_content_bytes - 1, 1)->bytes, max_content_bytes);
  for (const auto& [first, second] : {std::pair{max_content_bytes, std::uint64_t{1}},
                                      {std::uint64_t{1}, max_content_bytes},
                                      {std::uint64_t{1}, max_content_bytes + 1},
                                      {std::uint64_t{1}, UINT64_MAX}}) {
    const auto seen = of_sizes(first, second);
    ASSERT_EQ(code_of(seen), Code::too_large);
    EXPECT_EQ(seen.error().path, "/s/b");
  }
}

TEST(Survey, PathsAreBoundedTogetherWhateverTheyAreOf) {
  constexpr std::size_t each = 1 << 20, fit = max_names_bytes / each;
  const std::string deep(each - 2, 'd');  // and a slash, and a name of one byte
  for (const EntryKind kind : {EntryKind::file, EntryKind::symlink, EntryKind::folder}) {
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < fit; ++i)
      entries.push_back(entry(std::string(1, static_cast<char>('@' + i)), kind));
    const auto found = [&] {
      ToldVfs vfs{{{"/", {the_share}}, {"/s", {entry(deep, EntryKind::folder)}}, {"/s/" + deep, entries}}};
      return survey(vfs, {"/s"});
    };
    EXPECT_EQ(code_of(found()), fine);
    entries.push_back(entry("more", kind));
    const auto more = found();
    ASSERT_EQ(code_of(more), Code::too_large);
    EXPECT_TRUE(more.error().path.ends_with("/more"));
  }
}

TEST(Survey, FilesAndEmptyFoldersAreBoundedTogether) {
  std::vector<Entry> entries(max_files - 1, entry("d", EntryKind::folder));
  entries.push_back(entry("f", EntryKind::file));
  const auto found = [&] {
    ToldVfs vfs{{{"/", {the_share}}, {"/s", entries}}};
    return survey(vfs, {"/s"});
  };
  const auto most = found();
  ASSERT_TRUE(most);
  EXPECT_EQ(most->empty_folders.size() + most->files.size(), max_files);
  entries.push_back(entry("g", EntryKind::file));
  const auto more = found();
  ASSERT_EQ(code_of(more), Code::too_large);
  EXPECT_EQ(more.error().path, "/s/g");
}

}  // namespace
}  // namespace shoal::storage
