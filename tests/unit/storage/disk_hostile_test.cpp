// A19: five thousand names of strangers, on a real file system through the engine that keeps contents there.
// Not one file lies outside, and every name that is a name is there byte for byte.
#include <algorithm>
#include <set>

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "disk_fixture.hpp"
#include "storage/names.hpp"
#include "tests/full_size.hpp"
#include "tests/unit/storage/hostile_names.hpp"

namespace shoal::storage {
namespace {

using fixture::bstring;
using fixture::Engine;
using fixture::leaves_its_folder;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::read_whole;
using fixture::TempFolder;

constexpr std::size_t corpus = 5'000;

bool legal(const std::string& name) { return !leaves_its_folder(name) && name.size() <= 255; }

// Everything beneath a folder that is no folder, as readdir tells it: an oracle that shares no code with us.
void list(const std::string& folder, const std::string& prefix, std::set<std::string>& out) {
  DIR* const open = opendir(folder.c_str());
  ASSERT_NE(open, nullptr) << folder;
  while (const dirent* const entry = readdir(open)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status{};
    ASSERT_EQ(lstat((folder + "/" + name).c_str(), &status), 0);
    if (S_ISDIR(status.st_mode))
      list(folder + "/" + name, prefix + name + "/", out);
    else
      out.insert(prefix + name);
  }
  closedir(open);
}

class A19Names : public testing::Test {
 protected:
  // What lies where it may not: anything beside the folders of the test, or in a neighbour of the content's.
  [[nodiscard]] std::set<std::string> outside() const {
    std::set<std::string> out;
    list(temp_.path(), "", out);
    std::erase_if(out, [](const std::string& path) {
      return path.starts_with("root/out/content/") || path.starts_with("root/state/");
    });
    return out;
  }

  TempFolder temp_;  // the root's parent
  std::string root_ = temp_.path("root"), state_ = root_ + "/state", out_ = root_ + "/out";
  std::vector<std::string> names_ = fixture::many_hostile_names(corpus);
};

// As a file, as a folder, as the content itself: accepted if and only if it is one entry of a folder.
TEST_F(A19Names, AnInfoDictionaryMayHoldOnlyNames) {
  const auto info = [](const std::string& name, const std::string& tree) {
    return "d9:file treed" + tree + "e12:meta versioni2e4:name" + bstring(name) + "12:piece lengthi16384ee";
  };
  const std::string leaf = "d0:d6:lengthi0eee";
  std::size_t accepted = 0;
  for (const std::string& name : names_)
    for (const std::string& text : {info("content", bstring(name) + leaf), info(name, bstring("x") + leaf),
                                    info("content", bstring(name) + "d" + bstring("x") + leaf + "e")}) {
      const auto content = fixture::parse(text);
      ASSERT_EQ(content.has_value(), legal(name)) << escape_for_display(name);
      accepted += content ? 1 : 0;
    }
  EXPECT_GT(accepted, corpus) << "two in three are names";
  EXPECT_LT(accepted, corpus * 5 / 2);
}

// A content whose files and folders bear all the legal ones, whole and read again by others.
TEST_F(A19Names, LegalOnesLieThereByteForByteAndNothingElseDoes) {
  std::vector<std::pair<std::string, Bytes>> files;
  std::set<std::string> expected;
  unsigned number = 0;
  for (const std::string& name : names_) {
    if (!legal(name)) continue;
    ++number;
    // A name in three is a folder's. Most files are empty: it is the names that count.
    const std::string path = number % 3 == 0 ? "in/" + name + "/file" : name;
    if (path == "in") continue;
    files.emplace_back(path, number % 16 == 0 ? pattern(10 + number % 50, number) : Bytes{});
    expected.insert("root/out/content/" + path);
  }
  ASSERT_GT(files.size(), 2'000U);
  std::ranges::sort(files, [](const auto& a, const auto& b) { return compare_paths(a.first, b.first) < 0; });
  const Made made = fixture::make(files, 16'384);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start()) << engine.failure->error.rule << engine.failure->path;
  ASSERT_TRUE(engine.download(1'000)) << engine.failure->error.rule << engine.failure->path;
  EXPECT_TRUE(outside().empty());
  std::set<std::string> found;
  list(temp_.path(), "", found);
  std::erase_if(found, [](const std::string& path) { return path.starts_with("root/state/"); });
  EXPECT_TRUE(found == expected) << found.size() << " of " << expected.size();
  for (const auto& [path, bytes] : files)
    ASSERT_EQ(read_whole(out_ + "/content/" + path), bytes) << escape_for_display(path);
}

// The rest has no content that could bear it. Were one made all the same, past every check of ours but the
// disk's own, nothing would come to lie outside either.
TEST_F(A19Names, WhatIsNoNameLeadsNowhereEvenUnchecked) {
  temp_.folder("root/out/content");
  temp_.file("secret", as_bytes("untouched"));
  temp_.file("root/secret", as_bytes("untouched"));
  const auto before = outside();
  const Made honest = fixture::make({{"x", pattern(10, 1)}}, 16'384);
  std::size_t tried = 0, refused = 0;
  const std::size_t enough = shoal::test::sized(400, corpus);
  Life life{state_, nullptr};
  for (const std::string& name : names_) {
    if (legal(name) || name.size() > 4'000 || tried == enough) continue;
    const std::string ways[] = {name, "../" + name, "/" + name, "../../secret" + name};
    Content forged = *honest.content;
    forged.files[0].path = ways[tried % std::size(ways)];
    store_be(forged.id.data(), std::uint64_t{++tried});
    Made made = honest;
    made.content = std::make_shared<const Content>(std::move(forged));
    Engine engine{life, made, out_};
    if (!engine.start() || !engine.download()) ++refused;
    static_cast<void>(life.run(DetachJob{0}));
  }
  EXPECT_GE(tried, 400U);
  EXPECT_GT(refused, tried / 2);
  EXPECT_EQ(outside(), before);
  EXPECT_EQ(as_text(read_whole(temp_.path("secret"))), "untouched");
  EXPECT_EQ(as_text(read_whole(temp_.path("root/secret"))), "untouched");
}

}  // namespace
}  // namespace shoal::storage
