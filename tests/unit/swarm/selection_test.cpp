#include "swarm/selection.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace shoal::swarm
