#include "swarm/selection.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/swarm/contents.hpp"

namespace shoal::swarm {
namespace {

TEST(Glob, MatchesAsAShellWould) {
  EXPECT_TRUE(glob_match("*.txt", "a.txt"));
  EXPECT_FALSE(glob_match("*.txt", "b/a.txt"));
  EXPECT_TRUE(glob_match("**.txt", "b/a.txt"));
  EXPECT_TRUE(glob_match("b/*", "b/a.txt"));
  EXPECT_TRUE(glob_match("?.txt", "a.txt"));
  EXPECT_FALSE(glob_match("?.txt", "/.txt"));
  EXPECT_TRUE(glob_match("[a-c]x", "bx"));
  EXPECT_FALSE(glob_match("[!a-c]x", "bx"));
  EXPECT_TRUE(glob_match("[!a-c]x", "dx"));
  EXPECT_TRUE(glob_match("[", "["));
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_FALSE(glob_match("a", "ab"));
  EXPECT_FALSE(glob_match("ab", "a"));
}

TEST(Glob, AFolderTakesWhatIsInIt) {
  EXPECT_TRUE(glob_match("music", "music/one/two.flac"));
  EXPECT_TRUE(glob_match("music/", "music/one/two.flac"));
  EXPECT_FALSE(glob_match("music", "musical/one"));
  EXPECT_TRUE(glob_match("mus*", "music/one"));
}

TEST(Glob, ManyStarsAreCheap) {
  const std::string path(4000, 'a');
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern + "b", path));
}

// BEP 53's ranges come in any order, overlap, are empty or reach behind the last file.
TEST(Places, AreInOneOfTheRanges) {
  const auto content = test::make_content(16'384, std::vector<std::uint64_t>(40, 16'384));
  Random random = test::make_random(1);
  for (int round = 0; round < 500; ++round) {
    FilePlaces places;
    for (std::uint64_t left = 1 + random.below(6); left > 0; --left)
      places.emplace_back(random.below(50), round % 7 == 0 ? 0xffffffff : random.below(50));
    const auto wanted = wanted_files(*content, {}, places);
    for (std::uint32_t file = 0; file < 40; ++file)
      EXPECT_EQ(wanted[file], std::ranges::any_of(places, [&](const auto& range) {
                  return range.first <= file && file <= range.second;
                }));
  }
}

}  // namespace
}  // namespace shoal::swarm
