// The names of a content on a file system that refuses some of them: substitutes, what follows from them, and
// the question to the file system.
#include "storage/layout.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include <gtest/gtest.h>

#include "fat_fixture.hpp"
#include "faulty_vfs.hpp"
#include "folder_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::FatRules;
using fixture::FatVfs;
using fixture::TempFolder;

Content content_of(std::string name, std::vector<std::string> paths, std::vector<std::string> folders = {}) {
  Content out;
  out.name = std::move(name);
  const auto before = [](const std::string& a, const std::string& b) { return compare_paths(a, b) < 0; };
  std::ranges::sort(paths, before);
  std::ranges::sort(folders, before);
  for (std::string& path : paths) {
    ContentFile file;
    file.path = std::move(path);
    out.files.push_back(std::move(file));
  }
  out.empty_folders = std::move(folders);
  return out;
}

std::vector<std::string> paths_on_disk(const Content& content, const Layout& laid) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    const bool own = i < laid.disk_paths.size() && !laid.disk_paths[i].empty();
    out.push_back(own ? laid.disk_paths[i] : laid.root_name + "/" + content.files[i].path);
  }
  return out;
}

TEST(Layout, OrdinaryContentsHaveNoSubstitutes) {
  const Content content =
      content_of("na\xc3\xafve", {"a", "b.c/d e", "100%", ".hidden", "a~1b2c3d4e", "..x"}, {"empty"});
  EXPECT_TRUE(substitutes(content).empty());
  const Layout laid = lay_out(content, {});
  EXPECT_EQ(laid.root_name, content.name);
  EXPECT_TRUE(laid.disk_paths.empty());
  EXPECT_EQ(laid.parts, part_paths(content));
  EXPECT_EQ(laid.empty_folders, std::vector<std::string>{content.name + "/empty"});
}

TEST(Layout, EachOddComponentHasOneSubstitute) {
  const Content content = content_of("w?", {"a:b/c", "d/a:b", "d/end.", "d/e"}, {"w?/a:b", "z*"});
  const Substitutes odd = substitutes(content);
  EXPECT_EQ(odd, (Substitutes{{"a:b", "a%3ab"}, {"end.", "end%2e"}, {"w?", "w%3f"}, {"z*", "z%2a"}}));
  const Layout all = lay_out(content, odd);
  EXPECT_EQ(all.root_name, "w%3f");
  EXPECT_EQ(all.disk_paths, (std::vector<std::string>{"w%3f/a%3ab/c", "w%3f/d/a%3ab", "", "w%3f/d/end%2e"}));
  EXPECT_EQ(all.parts, (std::vector<std::string>{"w%3f/a%3ab/c.part", "w%3f/d/a%3ab.part", "w%3f/d/e.part",
                                                 "w%3f/d/end%2e.part"}));
  EXPECT_EQ(all.empty_folders, (std::vector<std::string>{"w%3f/w%3f/a%3ab", "w%3f/z%2a"}));
  // A file system that takes all but '?'.
  const Layout some = lay_out(content, {{"w?", "w%3f"}});
  EXPECT_EQ(some.root_name, "w%3f");
  EXPECT_TRUE(some.disk_paths.empty());
  EXPECT_EQ(some.empty_folders, (std::vector<std::string>{"w%3f/w%3f/a:b", "w%3f/z*"}));
  EXPECT_EQ(with_substitutes("../a:b/../end.", odd), "../a%3ab/../end%2e");
}

TEST(Layout, ASingleFileIsItsRoot) {
  Content content = content_of("a:b", {"a:b"});
  content.single_file = true;
  const Layout laid = lay_out(content, substitutes(content));
  EXPECT_EQ(laid.root_name, "a%3ab");
  EXPECT_TRUE(laid.disk_paths.empty());
  EXPECT_EQ(laid.parts, std::vector<std::string>{"a%3ab.part"});
}

// Whoever makes the content cannot make two of its paths one, nor a path a part file of another.
TEST(Layout, TwoPathsStayTwo) {
  const std::string long_odd = std::string(254, ':'), long_two = std::string(253, ':') + "?";
  std::vector<std::string> names{
      "a:b",   "a%3ab",        "A%3aB",         "A:b",       "a%3Ab",      "a?b",    "a%3fb.part", long_odd,
      "x.",    "x%2e",         "x%2E",          "x%2e.part", "x",          "x.part", "\xff",       "%ff",
      "%ff~2", "\x01",         "dir:/a%3ab",    "y",         "dir%3a/a:b", long_two, "CaSe:",      "case%3a",
      "q|",    "q%7c.part/r:", "q%7c.part.part"};
  // The names that the substitutes of a first try would get, and of a second.
  for (int round = 0; round < 2; ++round)
    for (const auto& [name, substitute] : substitutes(content_of("root", names))) names.push_back(substitute);
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  const Content content = content_of("root", names);
  const Substitutes odd = substitutes(content);
  const Layout laid = lay_out(content, odd);
  std::set<std::string> all;
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  for (const auto& [name, substitute] : odd) {
    EXPECT_TRUE(check_component(substitute));
    EXPECT_TRUE(oddities(substitute).none()) << substitute;
    EXPECT_TRUE(all.insert(lower(substitute)).second) << substitute;
    for (const std::string& other : names) EXPECT_NE(lower(other), lower(substitute));
  }
  all.clear();
  for (const std::string& path : paths_on_disk(content, laid)) {
    EXPECT_TRUE(check_path(path)) << path;
    EXPECT_TRUE(all.insert(path).second) << path;
  }
  for (const std::string& part : laid.parts) EXPECT_TRUE(all.insert(part).second) << part;
  // No file is a folder of another.
  for (const std::string& path : all)
    for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1))
      EXPECT_FALSE(all.contains(path.substr(0, at))) << path;
  EXPECT_EQ(substitutes(content), odd) << "the same every time";
}

TEST(Layout, TheCatalogTellsWhatWasReplaced) {
  const Content content = content_of("w?", {"a:b/c", "d/a:b", "d/end.", "d/e"}, {"only*here"});
  const Substitutes odd = substitutes(content);
  ASSERT_EQ(odd.size(), 4U);
  for (unsigned mask = 0; mask < 8; ++mask) {
    Substitutes replaced;
    unsigned bit = 1;
    for (const auto& entry : odd) {
      if (entry.first == "only*here") continue;
      if ((mask & bit) != 0) replaced.insert(entry);
      bit <<= 1;
    }
    const Layout laid = lay_out(content, replaced);
    const auto told = names_told(content, odd, laid.root_name, laid.disk_paths);
    ASSERT_TRUE(told) << mask;
    EXPECT_EQ(told->replaced, replaced) << mask;
    EXPECT_EQ(told->open, (Substitutes{{"only*here", "only%2ahere"}}));
  }
  // Paths of a share, of another content, or damaged ones.
  const std::vector<std::string> none;
  EXPECT_FALSE(names_told(content, odd, "other", none));
  EXPECT_FALSE(names_told(content, odd, "", none));
  EXPECT_FALSE(names_told(content, odd, "w?", std::vector<std::string>{"", "elsewhere", "", ""}));
  EXPECT_FALSE(names_told(content, odd, "w?", std::vector<std::string>{"w?/a%3ab", "", "", ""}));
  EXPECT_FALSE(names_told(content, odd, "w?", std::vector<std::string>{"w?/a%3ab/c", "", "", ""}))
      << "the same component has the same name everywhere";
  EXPECT_FALSE(names_told(content_of("c", {"a"}), {}, "c", std::vector<std::string>{"c/b"}));
  EXPECT_TRUE(names_told(content_of("c", {"a"}), {}, "c", none));
}

TEST(Layout, ASingleFileTellsByItsOwnPath) {
  Content content = content_of("a:b", {"a:b"});
  content.single_file = true;
  const Substitutes odd = substitutes(content);
  const auto told = [&](const std::string& root, const std::string& path) {
    return names_told(content, odd, root, std::vector{path});
  };
  EXPECT_EQ(told("a%3ab", "a%3ab")->replaced, odd);
  EXPECT_TRUE(told("a:b", "a:b")->replaced.empty());
  EXPECT_EQ(told("a%3ab", "")->replaced, odd) << "the root's name is the file's";
  EXPECT_FALSE(told("a:b", "a%3ab")) << "it cannot have both";
  EXPECT_FALSE(told("a:b", "elsewhere"));
}

TEST(Layout, AShorterOrLongerPathStandsForNoOther) {
  const Substitutes odd{{"a:b", "a%3ab"}};
  EXPECT_TRUE(stands_for("a%3ab/c", "a:b/c", odd));
  EXPECT_TRUE(stands_for("a:b/c", "a:b/c", odd));
  EXPECT_TRUE(stands_for("", "", odd));
  for (const auto& [on_disk, path] :
       {std::pair{"a%3ab/c/d", "a:b/c"}, {"a%3ab", "a:b/c"}, {"a%3ab/c", "a:b/d"}, {"c", "a:b"}, {"", "c"}})
    EXPECT_FALSE(stands_for(on_disk, path, odd)) << on_disk;
}

// What was made where all names are taken is found under them, whatever may stand for them elsewhere.
TEST(Layout, APathIsFoundAsItLies) {
  const TempFolder temp;
  temp.file("a:b/c", {});
  temp.file("x%3fy/a:b", {});
  const Substitutes odd{{"a:b", "a%3ab"}, {"x?y", "x%3fy"}};
  PosixVfs vfs;
  const auto folder = vfs.open_folder(temp.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  EXPECT_EQ(find_path(**folder, "a:b/c", odd), "a:b/c");
  EXPECT_EQ(find_path(**folder, "x?y/a:b", odd), "x%3fy/a:b");
  EXPECT_EQ(find_path(**folder, "none/a:b", odd), "none/a:b");
  EXPECT_EQ(find_path(**folder, "a:b/c", {}), "a:b/c");
}

// ---- the question

class Probes : public testing::Test {
 protected:
  PathResult<Oddities> ask(std::string_view names) {
    FatVfs vfs{rules_};
    auto folder = vfs.open_folder(temp_.path(), Vfs::Missing::error);
    return refused_oddities(**folder, oddities(names));
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{temp_.path()}, {}));
  }
  TempFolder temp_;
  FatRules rules_;
};

TEST_F(Probes, WhatIsRefusedIsFoundAndNothingStays) {
  const auto refused = ask("a:b?c\x7f\xff.");
  ASSERT_TRUE(refused) << refused.error().error.rule;
  Oddities expected;
  expected.set(':').set('?').set(odd_last_dot);
  EXPECT_EQ(*refused, expected);
  EXPECT_EQ(entries(), 0U);
  EXPECT_EQ(rules_.created.size(), 6U) << "one file each, and an ordinary one";
  const auto none = ask("");
  EXPECT_TRUE(none && none->none());
  EXPECT_EQ(rules_.created.size(), 6U);
}

TEST_F(Probes, ADotThatIsKeptIsTaken) {
  rules_.last_dots = FatRules::LastDots::kept;
  EXPECT_TRUE(ask("a.")->none());
  rules_.last_dots = FatRules::LastDots::refused;
  EXPECT_TRUE(ask("a.")->test(odd_last_dot));
  EXPECT_FALSE(ask("a ")->test(odd_last_space));
  EXPECT_EQ(entries(), 0U);
}

TEST_F(Probes, DriversSayItInManyWays) {
  for (const Code code : {Code::unsupported, Code::denied, Code::not_found}) {
    rules_.refusal.code = code;
    EXPECT_TRUE(ask("a:b")->test(':'));
  }
  rules_.refusal.code = Code::io;  // a broken disk tells nothing of names
  const auto failed = ask("a:b");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().error.code, Code::io);
  EXPECT_TRUE(failed.error().path.starts_with(".shoal-probe-1:"));
}

TEST_F(Probes, AFolderThatTakesNothingIsNoMatterOfNames) {
  for (const Code code : {Code::denied, Code::no_space}) {
    rules_.fail_open = rules_.opens + 1;
    rules_.error.code = code;
    const auto failed = ask("a:b");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().error.code, code);
  }
  EXPECT_EQ(entries(), 0U);
}

// Whether the last character is dropped is seen by looking: a disk that cannot be looked at has not said it.
TEST_F(Probes, ADiskThatCannotBeLookedAtTellsNothing) {
  fixture::Faults faults;
  fixture::FaultyVfs vfs{faults};
  const auto folder = vfs.open_folder(temp_.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  faults.only = "stat";
  faults.how = fixture::Faults::How::once;
  for (faults.at = 0; faults.at < 2; ++faults.at) {
    faults.calls = 0;
    const auto failed = refused_oddities(**folder, oddities("a."));
    ASSERT_FALSE(failed) << faults.at;
    EXPECT_EQ(failed.error().error.code, Code::io);
    EXPECT_EQ(failed.error().path, ".shoal-probe-1.");
    EXPECT_EQ(entries(), 0U);
  }
  faults.calls = 0;
  EXPECT_TRUE(refused_oddities(**folder, oddities("a."))->none());
  EXPECT_EQ(faults.calls, 2U);
}

TEST_F(Probes, WhatLiesThereIsLeftAlone) {
  rules_.refused = "?";
  for (const char* name : {".shoal-probe-1-x", ".shoal-probe-1:x", ".shoal-probe-2:x", ".shoal-probe-1"})
    temp_.file(name, as_bytes("mine"));
  const auto refused = ask("a:b?.");
  ASSERT_TRUE(refused);
  Oddities expected;
  expected.set('?').set(odd_last_dot);
  EXPECT_EQ(*refused, expected);
  EXPECT_EQ(entries(), 4U);
  for (int round = 3; round <= 100; ++round)
    temp_.file(".shoal-probe-" + std::to_string(round) + ":x", as_bytes("mine"));
  const auto failed = ask("a:b");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().error.code, Code::exists);
  EXPECT_EQ(entries(), 102U);
}

}  // namespace
}  // namespace shoal::storage
