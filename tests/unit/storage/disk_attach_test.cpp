// Attaching and committing where what lies there, the catalog or the job is out of the ordinary: refused by
// name, before anything is changed.
#include <functional>

#include <gtest/gtest.h>

#include "disk_place_fixture.hpp"
#include "failing_calls.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {
namespace {

using fixture::Engine;
using fixture::FailingCall;
using fixture::four_files;
using fixture::Life;
using fixture::Made;
using fixture::make;
using fixture::pattern;
using fixture::piece_length;
using fixture::read_whole;

class DiskAttach : public fixture::DiskTest {
 protected:
  std::expected<Attached, JobFailure> attach(Life& life, const Made& made, std::vector<bool> wanted = {},
                                             AttachJob::Mode mode = AttachJob::Mode::download) {
    return life.get<Attached>(AttachJob{0, made.content, out_, mode, std::move(wanted), {}});
  }
  void tell_catalog(const char* sql) {
    auto database = sqlite::Database::open(state_ + "/catalog.sqlite", {}, 0);
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->execute(sql));
  }
};

TEST_F(DiskAttach, JobsThatMakeNoSenseAreRefused) {
  const Made made = four_files();
  Life life{state_, nullptr};
  EXPECT_EQ(attach(life, made, {true}).error().error.code, Code::malformed);
  EXPECT_FALSE(std::filesystem::exists(out_));
  ASSERT_TRUE(attach(life, made));
  const auto beyond = life.get<Committed>(CommitJob{0, {made.content->pieces}, 0, 0});
  ASSERT_FALSE(beyond);
  EXPECT_TRUE(life.get<Committed>(CommitJob{0, {}, 5, 6})) << "totals alone";
}

TEST_F(DiskAttach, AContentIsOpenInOneCommandAtATime) {
  const Made made = four_files();
  Life one{state_, nullptr}, other{state_, nullptr};
  ASSERT_TRUE(attach(one, made));
  const auto second = attach(other, made);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().error.code, Code::busy);
  ASSERT_TRUE(one.run(DetachJob{0}));
  EXPECT_TRUE(attach(other, made));
}

TEST_F(DiskAttach, ACatalogThatFailsIsNamedAndTheContentLetGo) {
  const Made made = four_files();
  Life life{state_, nullptr};
  tell_catalog("ALTER TABLE contents RENAME TO gone");
  const auto attached = attach(life, made);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().error.code, Code::io);
  EXPECT_TRUE(attached.error().path.empty());
  tell_catalog("ALTER TABLE gone RENAME TO contents");
  Life other{state_, nullptr};
  EXPECT_TRUE(attach(other, made));
}

// What lies at the name of a file that is not wanted is nobody's business, and where no name can be looked
// at, nothing of that file is there.
TEST_F(DiskAttach, WhatIsNotWantedNeedNotBeSeen) {
  const Made made = four_files();
  temp_.folder("elsewhere/deep");
  temp_.file("elsewhere/deep/b.bin", as_bytes("theirs"));
  temp_.link("out/content/sub", temp_.path("elsewhere"));
  temp_.link("out/content/z.txt", temp_.path("elsewhere/deep/b.bin"));
  Life life{state_, nullptr};
  const auto attached = attach(life, made, {true, false, false, false});
  ASSERT_TRUE(attached);
  EXPECT_EQ(attached->files, std::vector(4, Attached::FileState::absent));
  EXPECT_EQ(as_text(read_whole(temp_.path("elsewhere/deep/b.bin"))), "theirs");
}

// As when the state was lost, or a torrent file is shared that somebody else has made.
TEST_F(DiskAttach, AShareThatTheCatalogDoesNotKnowIsHashed) {
  const Made made = four_files();
  temp_.file("out/content/a.bin", made.files[0].bytes);
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start(AttachJob::Mode::serve));
  using enum Attached::FileState;
  EXPECT_EQ(engine.attached.files, (std::vector{changed, absent, absent, absent}));
  EXPECT_EQ(engine.pieces_hashed, 4U);
  EXPECT_EQ(engine.have.count(), 4U);
  EXPECT_TRUE(engine.read(0, 0, 100));
  const auto found = *life.catalog().find(made.content->id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->role, ContentRole::share);
  EXPECT_EQ(found->have, engine.have);
}

TEST_F(DiskAttach, ACatalogThatKnowsAnotherShapeIsDamaged) {
  const Made made = four_files();
  finish(made);
  for (const char* sql :
       {"UPDATE contents SET files=files+1", "DELETE FROM have; UPDATE contents SET pieces=pieces-1"}) {
    tell_catalog(sql);
    Life life{state_, nullptr};
    const auto attached = attach(life, made);
    ASSERT_FALSE(attached) << sql;
    EXPECT_EQ(attached.error().error.code, Code::malformed);
    tell_catalog("UPDATE contents SET files=4, pieces=5");
  }
}

// Of v1 a file that is not wanted is written where its pieces hold bytes of one that is: then it must be
// free, too.
TEST_F(DiskAttach, WhatComesAlongMustBeFreeAsWell) {
  const Made made = make({{"a", pattern(piece_length - 100, 1)},
                          {"b", pattern(200, 2)},
                          {"c", pattern(3 * piece_length, 3)},
                          {"e", {}}},
                         piece_length, Format::v1);
  for (const char* path : {"b", "c", "b.part"}) {
    std::filesystem::remove_all(state_);  // which would know the part file as ours
    temp_.file("out/content/" + std::string{path}, as_bytes("theirs"));
    Life life{state_, nullptr};
    const bool shares = std::string_view{path} != "c";
    const auto attached = attach(life, made, {true, false, false, false});
    EXPECT_EQ(attached.has_value(), !shares) << path;
    EXPECT_EQ(as_text(read_whole(temp_.path("out/content/" + std::string{path}))), "theirs");
    std::filesystem::remove(temp_.path("out/content/" + std::string{path}));
  }
  temp_.file("out/content/b", as_bytes("theirs"));
  Life life{state_, nullptr};
  EXPECT_TRUE(attach(life, made, {false, false, false, true})) << "nothing of b comes with an empty file";
}

// A tool with an empty one beside it, and a link.
Made tools() {
  Description description;
  description.name = "content";
  description.piece_length = piece_length;
  description.salt = Salt{7};
  const auto tool = fixture::hash_file("tool", pattern(20'000), piece_length);
  description.files = {{"empty-tool", 0, {}, FileKind::executable, {}},
                       {"link", 0, {}, FileKind::symlink, "tool"},
                       {"tool", 20'000, tool.root, FileKind::executable, {}}};
  Made made;
  made.content = make_content(description).value();
  made.files = {{"empty-tool", {}, {}, {}, {}}, {"link", {}, {}, {}, {}}, tool};
  made.layers.resize(3);
  return made;
}

TEST_F(DiskAttach, AnExecutableIsWholeWithoutItsBitAndNotWhereTheDiskFails) {
  const Made made = tools();
  {
    const FailingCall failing{"fchmod", EIO};
    Life life{state_, nullptr};
    EXPECT_FALSE(attach(life, made));
    EXPECT_EQ(failing.failed(), 1);
  }
  std::filesystem::remove_all(out_);
  {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    const FailingCall failing{"fchmod", EIO};
    ASSERT_FALSE(engine.download());
    EXPECT_EQ(failing.failed(), 1);
    EXPECT_EQ(engine.failure->path, temp_.path("out/content/tool"));
    EXPECT_TRUE(engine.commit({0}));
    EXPECT_EQ(read_whole(temp_.path("out/content/tool")), made.files[2].bytes);
  }
  std::filesystem::remove_all(out_);
  std::filesystem::remove_all(state_);
  const FailingCall denied{"fchmod", EPERM, 9};
  Life life{state_, nullptr};
  Engine engine{life, made, out_};
  ASSERT_TRUE(engine.start());
  ASSERT_TRUE(engine.download());
  EXPECT_EQ(denied.failed(), 2);
  EXPECT_EQ(read_whole(temp_.path("out/content/tool")), made.files[2].bytes);
}

// Some file systems have no links: the content is taken without them, and how many is told. A full disk is no
// such thing.
TEST_F(DiskAttach, LinksThatCannotBeMadeAreCounted) {
  const Made made = tools();
  const auto attached_with = [&](int os_errno) {
    std::filesystem::remove_all(out_);
    std::filesystem::remove_all(state_);
    Life life{state_, nullptr};
    const FailingCall failing{"symlinkat", os_errno};
    auto out = attach(life, made);
    EXPECT_EQ(failing.failed(), 1);
    return out;
  };
  const auto skipped = attached_with(EPERM);
  ASSERT_TRUE(skipped);
  EXPECT_EQ(skipped->skipped_links, 1U);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(temp_.path("out/content/link"))));
  const auto full = attached_with(ENOSPC);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().error.code, Code::no_space);
}

// Killed between the commit and the rename, and then something fails once more: the next attach ends it all
// the same.
TEST_F(DiskAttach, WhatWasCompleteIsNamedInTheEnd) {
  const Made made = make({{"a", pattern(100, 1)}}, piece_length);
  const auto broken = [&](std::string_view call, int os_errno, int skip, const char* trigger) {
    std::filesystem::remove_all(out_);
    std::filesystem::remove_all(state_);
    {
      Life life{state_, nullptr};
      Engine engine{life, made, out_};
      ASSERT_TRUE(engine.start());
      const FailingCall crash{"renameat2", EIO};
      EXPECT_FALSE(engine.download());
      EXPECT_EQ(crash.failed(), 1);
    }
    {
      if (trigger != nullptr) tell_catalog(trigger);
      Life life{state_, nullptr};
      const FailingCall again{call, os_errno, 1, skip};
      EXPECT_FALSE(attach(life, made)) << call;
    }
    if (trigger != nullptr) tell_catalog("DROP TRIGGER t");
    Life life{state_, nullptr};
    const auto attached = attach(life, made);
    ASSERT_TRUE(attached) << call;
    EXPECT_EQ(attached->files[0], Attached::FileState::whole);
    EXPECT_EQ(read_whole(temp_.path("out/" + made.content->disk_path(0))), made.files[0].bytes);
  };
  broken("renameat2", EIO, 0, nullptr);
  broken("fsync", EIO, 0, nullptr);
  broken("", 0, 0, "CREATE TRIGGER t BEFORE UPDATE ON contents BEGIN SELECT RAISE(ABORT, 'no'); END");
  for (const int skip : {0, 1, 2, 3}) broken("fstatat", EIO, skip, nullptr);
}

}  // namespace
}  // namespace shoal::storage
