// The hold on SQLite: every code of its has an error of ours, the first error of a query sticks, and what
// SQLite's busy handler does not cover is tried again for as long.
#include "storage/sqlite.hpp"

#include <array>
#include <cerrno>
#include <cstddef>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "catalog_fixture.hpp"
#include "faulty_vfs.hpp"
#include "storage/catalog_schema.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::storage::sqlite {
namespace {

using fixture::TempFolder;

class SqliteTest : public testing::Test {
 protected:
  void SetUp() override { database_ = open(); }
  std::unique_ptr<Database> open(int busy_ms = 0) {
    auto opened = Database::open(temp_.path("db"), {}, busy_ms);
    EXPECT_TRUE(opened);
    return opened ? std::move(*opened) : nullptr;
  }
  TempFolder temp_;
  std::unique_ptr<Database> database_;
};

TEST_F(SqliteTest, EveryCodeHasItsError) {
  const std::vector<std::pair<int, Code>> codes{{1, Code::io},
                                                {3, Code::denied},
                                                {5, Code::busy},
                                                {6, Code::busy},
                                                {7, Code::io},
                                                {8, Code::denied},
                                                {10, Code::io},
                                                {11, Code::malformed},
                                                {13, Code::no_space},
                                                {14, Code::denied},
                                                {18, Code::too_large},
                                                {23, Code::denied},
                                                {26, Code::malformed},
                                                {5 | 2 << 8, Code::busy},
                                                {14 | 6 << 8, Code::unsafe},
                                                {10 | 4 << 8, Code::io}};
  for (const auto& [sqlite, ours] : codes) {
    EXPECT_EQ(database_->error(sqlite).code, ours) << sqlite;
    EXPECT_NE(std::string_view{database_->error(sqlite).rule}, "");
  }
}

TEST_F(SqliteTest, NumbersAreReadOrTheErrorSaid) {
  EXPECT_EQ(database_->integer("SELECT 7").value(), 7);
  EXPECT_EQ(database_->integer("SELECT 7 WHERE 0").value(), 0);
  EXPECT_FALSE(database_->integer("SELECT 7 FROM nothing"));
  EXPECT_FALSE(database_->integer("SELECT abs(-9223372036854775807 - 1)")) << "fails while it runs";
}

TEST_F(SqliteTest, TheFirstErrorSticks) {
  Query query{*database_, "SELECT ?1", 1, 2, as_bytes("3")};  // more than it takes
  EXPECT_FALSE(query.next());
  EXPECT_FALSE(query.run());
  EXPECT_FALSE(query.outcome());
  Query wrong{*database_, "SELEKT ?1", 1, as_bytes("2")};
  EXPECT_FALSE(wrong.next());
  EXPECT_FALSE(wrong.outcome());
  EXPECT_TRUE((Query{*database_, "SELECT 1 UNION SELECT 2"}.run())) << "rows that nobody asks for";
  Query empty{*database_, "SELECT x'', NULL, x'00'"};
  ASSERT_TRUE(empty.next());
  EXPECT_TRUE(empty.blob(0).empty() && empty.blob(1).empty());
  EXPECT_TRUE(!empty.is_null(0) && empty.is_null(1));
  EXPECT_EQ(empty.blob(2).size(), 1U);
}

TEST_F(SqliteTest, WhatOthersHoldIsTriedAgainForAWhile) {
  const auto patient = open(25);
  ASSERT_TRUE(database_->execute("CREATE TABLE t(x); BEGIN EXCLUSIVE"));
  EXPECT_EQ(patient->execute_patiently("INSERT INTO t VALUES(1)").error().code, Code::busy);
  EXPECT_EQ(patient->execute_patiently("INSERT INTO none VALUES(1)").error().code, Code::busy);
  ASSERT_TRUE(database_->execute("COMMIT"));
  EXPECT_EQ(patient->execute_patiently("INSERT INTO none VALUES(1)").error().code, Code::io)
      << "said at once";
  EXPECT_TRUE(patient->execute_patiently("INSERT INTO t VALUES(1)"));
}

TEST_F(SqliteTest, OverAFolderThereAreNoTemporaryFilesAndNoLongNames) {
  PosixVfs vfs;
  auto folder = vfs.open_folder(temp_.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  SqliteVfs layer{"sqlite test", **folder};
  EXPECT_EQ(Database::open(std::string(600, 'x'), layer.name(), 0).error().code, Code::denied);
  auto opened = Database::open("other", layer.name(), 0);
  ASSERT_TRUE(opened);
  // Made, cut and removed again: what a rollback journal does.
  ASSERT_TRUE((*opened)->execute("PRAGMA journal_mode=DELETE; CREATE TABLE t(x); INSERT INTO t VALUES(1)"));
  EXPECT_EQ((*opened)->integer("SELECT x FROM t").value(), 1);
  EXPECT_FALSE(std::filesystem::exists(temp_.path("other-journal")));
}

// What the layer below says of the disk reaches the error, and what it cannot remove is no catalog's end.
TEST_F(SqliteTest, WhatTheFolderRefusesIsNamed) {
  fixture::Faults faults;
  fixture::FaultyVfs vfs{faults};
  auto folder = vfs.open_folder(temp_.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  SqliteVfs layer{"sqlite faults", **folder};
  const auto code = [&](const char* call, Code given, int os_errno) {
    auto opened = Database::open("faulty", layer.name(), 0);
    EXPECT_TRUE((*opened)->execute("PRAGMA journal_mode=DELETE; CREATE TABLE IF NOT EXISTS t(x)"));
    faults.calls = 0;
    faults.how = fixture::Faults::How::once;
    faults.error = {given, "injected", os_errno};
    faults.only = call;
    const auto done = (*opened)->execute("INSERT INTO t VALUES(1)");
    faults = fixture::Faults{};
    return done ? Code::cancelled : done.error().code;
  };
  EXPECT_EQ(code("write", Code::io, EIO), Code::io);
  EXPECT_EQ(code("write", Code::io, ENOSPC), Code::no_space);
  EXPECT_EQ(code("write", Code::io, EDQUOT), Code::no_space);
  EXPECT_EQ(code("write", Code::no_space, ENOSPC), Code::no_space);
  EXPECT_EQ(code("sync", Code::io, EIO), Code::io);
  EXPECT_EQ(code("remove", Code::io, EIO), Code::io) << "the journal stays: nothing is committed";
  EXPECT_EQ(code("open", Code::unsafe, ELOOP), Code::unsafe);
}

// Schemas that no version of ours has made.
TEST(CatalogSchema, WhatCannotBeBroughtUpToDateIsRefused) {
  const auto code = [](const char* sql) {
    TempFolder temp;
    {
      auto database = Database::open(temp.path("c"), {}, 0);
      EXPECT_TRUE((*database)->execute(sql)) << sql;
    }
    const auto opened = Catalog::open({temp.path("c")});
    return opened ? Code::cancelled : opened.error().code;
  };
  EXPECT_EQ(code("PRAGMA user_version=5"), Code::malformed) << "a version, and nobody's application";
  EXPECT_EQ(code("PRAGMA application_id=1397247820; PRAGMA user_version=-1"), Code::unsupported);
  EXPECT_EQ(code("PRAGMA application_id=1397247820; CREATE TABLE sequences(x)"), Code::io)
      << "it has one already";
  EXPECT_EQ(code("PRAGMA application_id=1397247820"), Code::cancelled) << "begun, and nothing made yet";
}

// An empty journal has nothing to be rolled back: SQLite must not take it for one, as with its own files.
TEST_F(SqliteTest, AnEmptyJournalIsNone) {
  temp_.file("empty", {});
  temp_.file("full", fixture::pattern(1));
  auto folder = PosixVfs{}.open_folder(temp_.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  const SqliteVfs vfs{"journals", **folder};
  sqlite3_vfs* registered = sqlite3_vfs_find("journals");
  ASSERT_NE(registered, nullptr);
  const auto seen = [&](const char* name, int how) {
    int out = -1;
    EXPECT_EQ(registered->xAccess(registered, name, how, &out), SQLITE_OK);
    return out;
  };
  EXPECT_EQ(seen("full", SQLITE_ACCESS_EXISTS), 1);
  EXPECT_EQ(seen("empty", SQLITE_ACCESS_EXISTS), 0);
  EXPECT_EQ(seen("empty", SQLITE_ACCESS_READWRITE), 1);
  EXPECT_EQ(seen("absent", SQLITE_ACCESS_EXISTS), 0);
}

// What SQLite asks of a layer in modes that a catalog is never in.
TEST_F(SqliteTest, TheLayerAnswersWhatACatalogDoesNotAsk) {
  temp_.file("journal", fixture::pattern(1));
  fixture::Faults faults;
  fixture::FaultyVfs vfs{faults};
  auto folder = vfs.open_folder(temp_.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  const SqliteVfs layer{"asked", **folder};
  sqlite3_vfs* asked = sqlite3_vfs_find("asked");
  ASSERT_NE(asked, nullptr);
  alignas(std::max_align_t) std::array<std::byte, 256> room{};
  ASSERT_LE(static_cast<std::size_t>(asked->szOsFile), room.size());
  auto* file = reinterpret_cast<sqlite3_file*>(room.data());
  const auto opened = [&](const char* name, int flags) {
    return asked->xOpen(asked, name, file, flags, nullptr);
  };
  constexpr int write = SQLITE_OPEN_READWRITE;
  EXPECT_EQ(opened(nullptr, write | SQLITE_OPEN_CREATE), SQLITE_CANTOPEN) << "a temporary file";
  EXPECT_EQ(file->pMethods, nullptr) << "it must not be closed";
  EXPECT_EQ(opened("absent", write), SQLITE_CANTOPEN);
  EXPECT_FALSE(std::filesystem::exists(temp_.path("absent")));
  ASSERT_EQ(opened("absent", write | SQLITE_OPEN_CREATE), SQLITE_OK);
  EXPECT_EQ(file->pMethods->xClose(file), SQLITE_OK);
  const auto removed = [&](const char* name, int sync) { return asked->xDelete(asked, name, sync); };
  EXPECT_EQ(removed("journal", 1), SQLITE_OK);
  EXPECT_EQ(faults.seen["sync_folder"], 1U);
  EXPECT_EQ(removed("journal", 1), SQLITE_IOERR_DELETE_NOENT);
  EXPECT_EQ(removed("absent", 0), SQLITE_OK);
  EXPECT_EQ(faults.seen["sync_folder"], 1U);
  temp_.file("journal", fixture::pattern(1));
  faults.how = fixture::Faults::How::for_good;
  faults.only = "sync_folder";
  faults.calls = 0;
  EXPECT_EQ(removed("journal", 1), SQLITE_IOERR_DIR_FSYNC);
}

}  // namespace
}  // namespace shoal::storage::sqlite
