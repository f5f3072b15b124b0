// Downloads onto a file system that refuses some of the content's names, one life after another: what lies
// where, what the catalog keeps, and that ordinary names notice nothing.
#include <algorithm>
#include <cerrno>
#include <set>

#include <gtest/gtest.h>

#include "disk_fixture.hpp"
#include "failing_calls.hpp"
#include "fat_fixture.hpp"
#include "storage/disk.hpp"
#include "storage/names.hpp"
#include "storage/verifier.hpp"

namespace shoal::storage {
namespace {

using fixture::Engine;
using fixture::FatRules;
using fixture::FatVfs;
using fixture::hash_file;
using fixture::Life;
using fixture::Made;
using fixture::pattern;
using fixture::read_whole;
using fixture::TempFolder;
using FileState = Attached::FileState;

constexpr std::uint32_t piece_length = 2 * block_bytes;

// A sealed content of these files (a size of 0: empty) and empty folders, paths in tree order.
Made make(std::string name, const std::vector<std::pair<std::string, std::size_t>>& files,
          std::vector<std::string> folders = {}, bool link = false) {
  Made out;
  Description description;
  description.name = std::move(name);
  description.piece_length = piece_length;
  description.salt = Salt{3};
  description.empty_folders = std::move(folders);
  unsigned seed = 0;
  for (const auto& [path, size] : files) {
    out.files.push_back(hash_file(path, pattern(size, ++seed), piece_length));
    out.layers.push_back(out.files.back().layer);
    description.files.push_back({path, size, out.files.back().root, FileKind::regular, {}});
  }
  if (link) {
    description.files.push_back({"zlink", 0, {}, FileKind::symlink, files.front().first});
    out.files.push_back({"zlink", {}, {}, {}, {}});
    out.layers.emplace_back();
  }
  const auto content = make_content(description);
  EXPECT_TRUE(content) << (content ? "" : content.error().rule);
  out.content = *content;
  return out;
}

Made odd_content() {
  return make("what: all?",
              {{"a:b", 100'000},
               {"empty*", 0},
               {"end.", piece_length},
               {"line\nfeed", 10},
               {"plain", 20'000},
               {"sub?/100%", 70'000},
               {"sub?/deep/a:b", 5}},
              {"hollow|/inner", "sub?/hollow"}, true);
}
// Where they lie, in that order.
const std::vector<std::string> odd_places{"what%3a all%3f/a%3ab",
                                          "what%3a all%3f/empty%2a",
                                          "what%3a all%3f/end%2e",
                                          "what%3a all%3f/line%0afeed",
                                          "what%3a all%3f/plain",
                                          "what%3a all%3f/sub%3f/100%",
                                          "what%3a all%3f/sub%3f/deep/a%3ab",
                                          "what%3a all%3f/zlink"};

class DiskNames : public testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<Vfs> fat() { return std::make_unique<FatVfs>(rules_); }
  [[nodiscard]] std::set<std::string> tree() const {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out_))
      if (!entry.is_directory() || std::filesystem::is_empty(entry.path()))
        out.insert(entry.path().lexically_relative(out_).string());
    return out;
  }
  [[nodiscard]] bool probed() const {
    return std::ranges::any_of(rules_.created, [](auto& path) { return path.starts_with(".shoal-probe"); });
  }
  void expect_bytes(const Made& made, const std::vector<std::string>& places) {
    for (std::size_t i = 0; i < made.files.size(); ++i) {
      if (made.content->files[i].kind == FileKind::symlink) continue;
      EXPECT_EQ(read_whole(out_ + "/" + places[i]), made.files[i].bytes) << places[i];
    }
  }
  void expect_served(Engine& engine, const Made& made) {
    for (std::uint32_t piece = 0; piece < made.content->pieces; ++piece) {
      const auto bytes = engine.read(piece, 0, made.content->block_length(piece, 0));
      ASSERT_TRUE(bytes) << bytes.error().error.rule << bytes.error().path;
      EXPECT_TRUE(equal(*bytes, fixture::block_of(made, piece, 0)));
    }
  }

  TempFolder temp_;
  std::string state_ = temp_.path("state"), out_ = temp_.path("out");
  FatRules rules_;
};

TEST_F(DiskNames, RefusedNamesGetSubstitutesAndTheContentIsWhole) {
  const Made made = odd_content();
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start()) << engine.failure->error.rule << engine.failure->path;
    EXPECT_EQ(engine.attached.root_name, "what%3a all%3f");
    EXPECT_EQ(engine.attached.disk_paths[0], odd_places[0]);
    EXPECT_EQ(engine.attached.disk_paths[4], "") << "it follows from the root's name";
    EXPECT_EQ(engine.attached.skipped_links, 0U);
    ASSERT_TRUE(life.run(fixture::write_job(made, 0, 0)));
    EXPECT_TRUE(tree().contains("what%3a all%3f/a%3ab.part"));
    ASSERT_TRUE(engine.download()) << engine.failure->error.rule << engine.failure->path;
    expect_served(engine, made);
  }
  std::set<std::string> expected{odd_places.begin(), odd_places.end()};
  expected.insert({"what%3a all%3f/hollow%7c/inner", "what%3a all%3f/sub%3f/hollow"});
  EXPECT_EQ(tree(), expected) << "nothing else, no probe either";
  expect_bytes(made, odd_places);
  EXPECT_EQ(std::filesystem::read_symlink(out_ + "/what%3a all%3f/zlink"), "a%3ab");
  SerialExecutor executor;
  const auto verified = verify_content(*fat(), out_, *made.content, made.layers, executor);
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->whole());
  // Another life seeds it, whichever way it is opened, and hashes nothing.
  for (const auto mode : {AttachJob::Mode::download, AttachJob::Mode::serve}) {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start(mode)) << engine.failure->error.rule << engine.failure->path;
    EXPECT_EQ(engine.pieces_hashed, 0U);
    EXPECT_TRUE(engine.have.all());
    if (mode == AttachJob::Mode::download) {
      EXPECT_EQ(engine.attached.files, std::vector(8, FileState::whole));
    }
    expect_served(engine, made);
  }
  EXPECT_EQ(tree(), expected);
}

TEST_F(DiskNames, RunAgainItResumesUnderTheSameNames) {
  const Made made = make("content", {{"a:b", 100'000}, {"plain", 50'000}, {"x?/y.", 50'000}});
  const std::vector<std::string> places{"content/a%3ab", "content/plain", "content/x%3f/y%2e"};
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    for (std::uint32_t block = 0; block < 2; ++block)
      ASSERT_TRUE(life.run(fixture::write_job(made, 1, block)));
    ASSERT_TRUE(engine.commit({1}));
    ASSERT_TRUE(life.run(fixture::write_job(made, made.content->pieces - 1, 0)));
  }
  EXPECT_TRUE(probed());
  rules_.created.clear();
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    EXPECT_FALSE(probed()) << "the catalog tells";
    EXPECT_EQ(engine.attached.files[0], FileState::partial);
    EXPECT_EQ(engine.attached.files[2], FileState::partial);
    EXPECT_TRUE(engine.have.test(1));
    EXPECT_EQ(engine.attached.disk_paths, (std::vector<std::string>{places[0], "", places[2]}));
    ASSERT_TRUE(engine.download());
  }
  expect_bytes(made, places);
  EXPECT_EQ(tree(), (std::set<std::string>{places.begin(), places.end()}));
  // Killed between commit and rename.
  std::filesystem::rename(out_ + "/" + places[2], out_ + "/" + places[2] + ".part");
  // Edited.
  temp_.file("out/" + places[0], as_bytes("short"));
  Life life{state_, fat()};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files, (std::vector{FileState::changed, FileState::whole, FileState::whole}));
  ASSERT_TRUE(engine.download());
  expect_bytes(made, places);
  EXPECT_EQ(tree(), (std::set<std::string>{places.begin(), places.end()}));
}

Made single_file() {
  Made made;
  made.files.push_back(hash_file("who?", pattern(60'000, 9), piece_length));
  made.layers = {made.files[0].layer};
  Description description;
  description.name = "who?";
  description.single_file = true;
  description.piece_length = piece_length;
  description.files = {{"who?", 60'000, made.files[0].root, FileKind::regular, {}}};
  made.content = *make_content(description);
  return made;
}

TEST_F(DiskNames, ASingleFile) {
  const Made made = single_file();
  ASSERT_TRUE(made.content->single_file);
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start()) << engine.failure->error.rule << engine.failure->path;
    ASSERT_TRUE(life.run(fixture::write_job(made, 0, 0)));
    EXPECT_EQ(tree(), std::set<std::string>{"who%3f.part"});
  }
  rules_.created.clear();
  Life life{state_, fat()};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_FALSE(probed());
  ASSERT_TRUE(engine.download());
  EXPECT_EQ(tree(), std::set<std::string>{"who%3f"});
  expect_bytes(made, {"who%3f"});
}

TEST_F(DiskNames, OrdinaryNamesAreNoticedByNobody) {
  const Made made = make("content", {{"100%", 40'000}, {"a b", 10}, {"dot.dot", 10}}, {"hollow"});
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    EXPECT_FALSE(probed());
    EXPECT_EQ(engine.attached.root_name, "content");
    EXPECT_TRUE(engine.attached.disk_paths.empty());
    ASSERT_TRUE(engine.download());
    EXPECT_FALSE((*life.catalog().find(made.content->id))->has_disk_paths());
  }
  expect_bytes(made, {"content/100%", "content/a b", "content/dot.dot"});
}

TEST_F(DiskNames, WhatTheFileSystemTakesStaysByteForByte) {
  const Made made = odd_content();
  rules_.refused = "?";
  rules_.last_dots = FatRules::LastDots::kept;
  Life life{state_, fat()};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  EXPECT_EQ(tree(), (std::set<std::string>{"what%3a all%3f/a:b", "what%3a all%3f/empty*",
                                           "what%3a all%3f/end.", "what%3a all%3f/line\nfeed",
                                           "what%3a all%3f/plain", "what%3a all%3f/sub%3f/100%",
                                           "what%3a all%3f/sub%3f/deep/a:b", "what%3a all%3f/zlink",
                                           "what%3a all%3f/hollow|/inner", "what%3a all%3f/sub%3f/hollow"}));
  ASSERT_TRUE(life.run(DetachJob{0}));
  // And where all is taken, the catalog has nothing to tell.
  Life plain{temp_.path("state2"), nullptr};
  Engine other{plain, made, temp_.path("out2")};
  ASSERT_TRUE(other.start());
  ASSERT_TRUE(other.download());
  EXPECT_EQ(other.attached.root_name, "what: all?");
  EXPECT_FALSE((*plain.catalog().find(made.content->id))->has_disk_paths());
  EXPECT_EQ(read_whole(temp_.path("out2/what: all?/sub?/deep/a:b")), made.files[6].bytes);
  EXPECT_EQ(std::filesystem::read_symlink(temp_.path("out2/what: all?/zlink")), "a:b");
}

TEST_F(DiskNames, ASubstituteIsNoOtherFileOfTheContent) {
  const Made made = make("content", {{"a%3ab", 40'000}, {"a%3ab.part", 9}, {"a:b", 50'000}});
  const std::string own = escaped_name("a:b", [](std::string_view c) { return c == "a%3ab"; });
  for (int life_number = 0; life_number < 2; ++life_number) {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start()) << engine.failure->error.rule;
    ASSERT_TRUE(engine.download());
    EXPECT_EQ(engine.attached.disk_paths[2], "content/" + own);
  }
  expect_bytes(made, {"content/a%3ab", "content/a%3ab.part", "content/" + own});
  EXPECT_EQ(tree().size(), 3U);
}

TEST_F(DiskNames, FailuresNameThePlaceWhereItLies) {
  const Made made = make("content", {{"a:b", 40'000}, {"c", 10}});
  temp_.file("out/content/a%3ab", as_bytes("mine"));
  Life life{state_, fat()};
  Engine engine{life, made, out_};
  EXPECT_FALSE(engine.start());
  EXPECT_EQ(engine.failure->error.code, Code::exists);
  EXPECT_EQ(engine.failure->path, out_ + "/content/a%3ab");
  EXPECT_EQ(as_text(read_whole(out_ + "/content/a%3ab")), "mine");
  EXPECT_FALSE(life.catalog().find(made.content->id)->has_value());
}

// The question fails: nothing is decided, nothing stored, and the next try asks again.
TEST_F(DiskNames, AFullDiskAmidTheQuestion) {
  const Made made = make("content", {{"a:b", 40'000}, {"c?", 10}});
  Life life{state_, fat()};
  for (std::uint64_t call = 1; call <= 2; ++call) {
    rules_.fail_open = rules_.opens + call;
    Engine engine{life, made, out_};
    EXPECT_FALSE(engine.start());
    EXPECT_EQ(engine.failure->error.code, Code::no_space);
    EXPECT_TRUE(engine.failure->path.starts_with(out_ + "/.shoal-probe"));
    EXPECT_FALSE(life.catalog().find(made.content->id)->has_value());
    EXPECT_TRUE(tree().empty());
  }
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  expect_bytes(made, {"content/a%3ab", "content/c%3f"});
}

// Names are chosen for a disk. Where nothing of the content is there any more, another one may be mounted.
TEST_F(DiskNames, AnotherDiskInItsPlaceIsAskedAnew) {
  const Made made = make("content", {{"a:b", 40'000}, {"c", 10}});
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download());
  }
  EXPECT_EQ(tree(), (std::set<std::string>{"content/a:b", "content/c"}));
  std::filesystem::remove_all(out_);
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    EXPECT_TRUE(engine.have.none());
    ASSERT_TRUE(engine.download());
  }
  EXPECT_EQ(tree(), (std::set<std::string>{"content/a%3ab", "content/c"}));
  std::filesystem::remove_all(out_);  // only the files are gone: it is the same download, as ever
  Life life{state_, fat()};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.files, std::vector(2, FileState::absent));
  ASSERT_TRUE(engine.download());
  expect_bytes(made, {"content/a%3ab", "content/c"});
}

TEST_F(DiskNames, OfASingleFileTheDiskIsAskedAnewWhenItIsGone) {
  const Made made = single_file();
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download());
  }
  EXPECT_EQ(tree(), std::set<std::string>{"who%3f"});
  std::filesystem::remove(out_ + "/who%3f");
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  EXPECT_EQ(tree(), std::set<std::string>{"who?"});
}

// A disk that fails at the moment has not shown that nothing is there: the names stay.
TEST_F(DiskNames, ADiskThatCannotBeLookedAtKeepsItsNames) {
  const Made made = make("content", {{"a:b", 40'000}, {"c", 10}});
  const std::set<std::string> places{"content/a%3ab", "content/c"};
  {
    Life life{state_, fat()};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download());
  }
  rules_.created.clear();
  Life life{state_, fat()};
  Engine engine{life, made, out_};
  const fixture::FailingCall failing{"fstatat", EIO};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(failing.failed(), 1);
  EXPECT_FALSE(probed());
  EXPECT_TRUE(engine.have.all());
  EXPECT_EQ(tree(), places);
}

// What a share of the same content says of other names is no download.
TEST_F(DiskNames, AShareUnderOtherNamesIsNotContinued) {
  const Made made = make("content", {{"a:b", 40'000}, {"c", 10}});
  Life life{state_, fat()};
  ContentRecord record;
  record.content = made.content;
  record.role = ContentRole::share;
  record.folder = out_;
  record.root_name = "content";
  record.have = ContentRecord::Have::all;
  record.stamps.resize(2);
  record.disk_paths = {"content/elsewhere", ""};
  ASSERT_TRUE(life.catalog().store(record));
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  EXPECT_EQ(engine.attached.disk_paths[0], "content/a%3ab");
  EXPECT_EQ((*life.catalog().find(made.content->id))->role, ContentRole::download);
  EXPECT_EQ((*life.catalog().find(made.content->id))->disk_paths(),
            (std::vector<std::string>{"content/a%3ab", ""}));
}

}  // namespace
}  // namespace shoal::storage
