// The state folder: where it is, who has the identity, what a damaged catalog says.
#include "cli/state.hpp"

#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cli/source.hpp"
#include "dht/base/crypto.hpp"
#include "scratch.hpp"

namespace shoal::cli {
namespace {

Environment table(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

class State : public testing::Test {
 protected:
  State() { crypto::initialise(); }
  Scratch scratch_;
  Environment nothing_ = table({});
};

TEST_F(State, DefaultFolderFollowsXdg) {
  EXPECT_EQ(default_state_folder(table({{"HOME", "/h"}})), "/h/.local/state/shoal");
  EXPECT_EQ(default_state_folder(table({{"HOME", "/h"}, {"XDG_STATE_HOME", "/x"}})), "/x/shoal");
  EXPECT_EQ(default_state_folder(table({{"HOME", "/h"}, {"XDG_STATE_HOME", "x"}})), "/h/.local/state/shoal");
  const auto none = default_state_folder(nothing_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().exit, Exit::path);
}

TEST_F(State, AbsolutePaths) {
  EXPECT_EQ(absolute_path("a", "/w"), "/w/a");
  EXPECT_EQ(absolute_path("./a//b/", "/w"), "/w/a/b");
  EXPECT_EQ(absolute_path("/a/./b", "/w"), "/a/b");
  EXPECT_EQ(absolute_path("../a", "/w"), "/w/../a");  // the system's to resolve: /w may be a link
  EXPECT_EQ(absolute_path(".", "/w"), "/w");
  EXPECT_EQ(absolute_path("/", "/w"), "/");
  EXPECT_EQ(absolute_path("a", "/"), "/a");
}

TEST_F(State, IdentityStaysAndIsOursAlone) {
  const std::string folder = scratch_.path("state");
  storage::Identity first;
  {
    auto state = open_state(folder, Use::with_identity, nothing_);
    ASSERT_TRUE(state);
    EXPECT_TRUE((*state)->identity_lock);
    first = (*state)->identity;
    // Another command at the same time has an identity of its own.
    auto other = open_state(folder, Use::with_identity, nothing_);
    ASSERT_TRUE(other);
    EXPECT_FALSE((*other)->identity_lock);
    EXPECT_NE((*other)->identity.seed, first.seed);
    EXPECT_EQ((*other)->identity.port, 0);
  }
  auto again = open_state(folder, Use::with_identity, nothing_);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->identity.seed, first.seed);
  struct stat seen{};
  ASSERT_EQ(::stat(folder.c_str(), &seen), 0);
  EXPECT_EQ(seen.st_mode & 0777, 0700U);
  ASSERT_EQ(::stat((*again)->catalog_path.c_str(), &seen), 0);
  EXPECT_EQ(seen.st_mode & 0777, 0600U);
}

TEST_F(State, ADamagedCatalogIsNamedAndKept) {
  const std::string folder = scratch_.path("state");
  std::filesystem::create_directory(folder);
  std::ofstream{folder + "/catalog.sqlite"} << "this is somebody's diary, and no catalog";
  const auto state = open_state(folder, Use::with_identity, nothing_);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().exit, Exit::path);
  EXPECT_EQ(state.error().path, folder + "/catalog.sqlite");
  EXPECT_NE(state.error().sentence.find("catalog.sqlite"), std::string::npos);
  std::ifstream kept{folder + "/catalog.sqlite"};
  std::string word;
  kept >> word;
  EXPECT_EQ(word, "this");
}

TEST_F(State, AFolderThatCannotBeIsRefused) {
  std::ofstream{scratch_.path("file")} << "x";
  const auto state = open_state(scratch_.path("file"), Use::catalog_alone, nothing_);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().exit, Exit::path);
}

TEST_F(State, SourcesAreLinksOrTorrents) {
  const std::string id(52, 'a');
  const auto link = read_source(" shoal:" + id + "?at=1.2.3.4:5\n");
  ASSERT_TRUE(link) << link.error().sentence;
  EXPECT_EQ(std::get<storage::Link>(*link).at.size(), 1U);
  for (const std::string& wrong : {std::string{"shoal:abc"}, std::string{"magnet:?xt=urn:btih:00"},
                                   scratch_.path("absent"), scratch_.path(""), std::string{}}) {
    const auto source = read_source(wrong);
    ASSERT_FALSE(source) << wrong;
    EXPECT_EQ(source.error().exit, Exit::not_a_link);
  }
  std::ofstream{scratch_.path("t")} << "d4:infode";
  EXPECT_EQ(read_source(scratch_.path("t")).error().exit, Exit::not_a_link);
}

TEST_F(State, ALinkMayComeFromAnInput) {
  const auto from = [&](const std::string& text) {
    std::ofstream{scratch_.path("in")} << text;
    std::FILE* file = std::fopen(scratch_.path("in").c_str(), "r");
    auto out = read_source("-", ::fileno(file));
    std::fclose(file);
    return out;
  };
  EXPECT_TRUE(from("shoal:" + std::string(52, 'a') + "\n"));
  EXPECT_EQ(from("").error().exit, Exit::not_a_link);
  EXPECT_EQ(from(std::string(100'000, 'a')).error().exit, Exit::not_a_link);
}

TEST_F(State, FilesAreReadUpToALimit) {
  std::ofstream{scratch_.path("f")} << std::string(1000, 'x');
  EXPECT_EQ(read_file(scratch_.path("f"), 1000)->size(), 1000U);
  EXPECT_EQ(read_file(scratch_.path("f"), 999).error().code, Code::too_large);
  EXPECT_FALSE(read_file(scratch_.path(""), 1000));
  EXPECT_FALSE(read_file("/dev/zero", 1000));
}

}  // namespace
}  // namespace shoal::cli
