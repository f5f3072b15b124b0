// Opening a catalog, and storing in it, where SQLite refuses a statement, as it does when it runs out of
// memory, or where another process is faster by a moment.
#include <functional>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "catalog_fixture.hpp"
#include "faulty_vfs.hpp"
#include "storage/sqlite.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::storage {
namespace {

using fixture::plain_content;
using fixture::record_of;
using fixture::TempFolder;

// Has a hand in every connection that is opened while it exists; it must outlive them.
class Meddler {
 public:
  Meddler() {
    current = this;
    EXPECT_EQ(sqlite3_auto_extension(reinterpret_cast<void (*)()>(&opened)), SQLITE_OK);
  }
  ~Meddler() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&opened));
    current = nullptr;
  }
  Meddler(const Meddler&) = delete;
  Meddler& operator=(const Meddler&) = delete;

  // From now on SQLite's n-th question whether a statement may do something, from 0, is answered with no.
  void refuse(int at) {
    at_ = at;
    refused_ = false;
  }
  [[nodiscard]] bool refused() const { return refused_; }
  // Just before the next run of that statement.
  void before(std::string sql, std::function<void()> meanwhile) {
    sql_ = std::move(sql);
    meanwhile_ = std::move(meanwhile);
  }

 private:
  static int opened(sqlite3* database, char**, const sqlite3_api_routines*) {
    sqlite3_set_authorizer(database, &asked, current);
    sqlite3_trace_v2(database, SQLITE_TRACE_STMT, &runs, current);
    return SQLITE_OK;
  }
  static int asked(void* self, int action, const char* what, const char*, const char*, const char*) {
    auto& meddler = *static_cast<Meddler*>(self);
    // This one is not allowed to fail: it would say less of a commit than was promised.
    if (action == SQLITE_PRAGMA && std::string_view{what} == "synchronous") return SQLITE_OK;
    if (meddler.at_ < 0 || meddler.at_-- > 0) return SQLITE_OK;
    meddler.refused_ = true;
    return SQLITE_DENY;
  }
  static int runs(unsigned, void* self, void*, void* sql) {
    auto& meddler = *static_cast<Meddler*>(self);
    if (!meddler.meanwhile_ || meddler.sql_ != static_cast<const char*>(sql)) return 0;
    std::exchange(meddler.meanwhile_, nullptr)();
    return 0;
  }
  static Meddler* current;

  int at_ = -1;
  bool refused_ = false;
  std::string sql_;
  std::function<void()> meanwhile_;
};
Meddler* Meddler::current = nullptr;

// A folder of its own each, in which nothing is synced.
struct Place {
  TempFolder temp;
  fixture::Faults none;
  std::unique_ptr<Folder> folder =
      fixture::FaultyVfs{none}.open_folder(temp.path(), Vfs::Missing::error).value();
  SqliteVfs layer{"catalog open test", *folder};
  auto open() { return Catalog::open({"catalog.sqlite", layer.name()}); }
};

TEST(CatalogOpen, EveryStatementThatIsRefusedIsNamedAndNothingIsHalfMade) {
  for (int at = 0;; ++at) {
    Place place;
    Meddler meddler;
    meddler.refuse(at);
    const auto opened = place.open();
    if (!meddler.refused()) {
      EXPECT_TRUE(opened);
      EXPECT_GT(at, 30);
      break;
    }
    ASSERT_FALSE(opened) << at;
    // Of a statement within another SQLite says no more than that it failed.
    EXPECT_TRUE(opened.error().code == Code::denied || opened.error().code == Code::io) << at;
    const auto again = place.open();
    ASSERT_TRUE(again) << at;
    EXPECT_TRUE((*again)->contents()->empty());
  }
}

TEST(CatalogOpen, EveryStatementThatIsRefusedLeavesNothingStored) {
  const ContentPtr content = plain_content(16, 1, 2);
  ContentRecord record = record_of(content);
  record.layers = {Bytes(64, 1), {}};
  record.disk_paths = {"", "elsewhere"};
  record.have = ContentRecord::Have::all;
  record.stamps.resize(2);
  for (int at = 0;; ++at) {
    Place place;
    Meddler meddler;
    const auto catalog = place.open();
    ASSERT_TRUE(catalog);
    meddler.refuse(at);
    const auto stored = (*catalog)->store(record);
    if (!meddler.refused()) {
      EXPECT_TRUE(stored);
      EXPECT_GT(at, 10);
      break;
    }
    ASSERT_FALSE(stored) << at;
    EXPECT_EQ(stored.error().code, Code::denied) << at;
    EXPECT_TRUE((*catalog)->contents()->empty()) << at;
    EXPECT_TRUE((*catalog)->store(record));
    EXPECT_TRUE((*catalog)->find(content->id)->value().have.all());
  }
}

// Both have seen an empty file; the first makes the catalog while the second waits for its turn.
TEST(CatalogOpen, WhoComesSecondFindsItMade) {
  TempFolder temp;
  const std::string path = temp.path("catalog.sqlite");
  Meddler meddler;
  const ContentPtr content = plain_content(16, 1);
  meddler.before("BEGIN IMMEDIATE",
                 [&] { EXPECT_TRUE(fixture::open_catalog(path)->store(record_of(content))); });
  const auto catalog = fixture::open_catalog(path);
  ASSERT_TRUE(catalog);
  EXPECT_TRUE(catalog->find(content->id)->has_value());
}

TEST(CatalogOpen, WhoComesSecondMayBeTooOld) {
  TempFolder temp;
  const std::string path = temp.path("catalog.sqlite");
  Meddler meddler;
  meddler.before("BEGIN IMMEDIATE", [&] {
    auto newer = sqlite::Database::open(path, {}, 0);
    EXPECT_TRUE((*newer)->execute("PRAGMA application_id=1397247820; PRAGMA user_version=99"));
  });
  const auto opened = Catalog::open({path});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::unsupported);
}

}  // namespace
}  // namespace shoal::storage
