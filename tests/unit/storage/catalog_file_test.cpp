// The catalog as a file: what is no catalog of ours is refused and left as it was; older versions are taken
// over; processes and threads share it; and it works over storage::Folder.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog_fixture.hpp"
#include "storage/catalog.hpp"
#include "storage/catalog_schema.hpp"
#include "storage/posix_state.hpp"
#include "storage/sqlite.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::storage {
namespace {

using fixture::CatalogTest;
using fixture::open_catalog;
using fixture::plain_content;
using fixture::read_file;
using fixture::record_of;
using fixture::save_sequence;
using fixture::TempFolder;

// ---- files that are not ours, or not whole

TEST_F(CatalogTest, ForeignFilesAreRefusedAndKept) {
  catalog_.reset();
  const Bytes garbage = fixture::pattern(5'000);
  temp_.file("garbage", garbage);
  EXPECT_EQ(Catalog::open({temp_.path("garbage")}).error().code, Code::malformed);
  EXPECT_EQ(read_file(temp_.path("garbage")), garbage);
  temp_.file("short", as_bytes("hello"));
  EXPECT_EQ(Catalog::open({temp_.path("short")}).error().code, Code::malformed);
  EXPECT_EQ(read_file(temp_.path("short")).size(), 5U);
  {
    auto database = sqlite::Database::open(temp_.path("foreign"), {}, 0);
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->execute("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)"));
  }
  const Bytes foreign = read_file(temp_.path("foreign"));
  EXPECT_EQ(Catalog::open({temp_.path("foreign")}).error().code, Code::malformed);
  EXPECT_EQ(read_file(temp_.path("foreign")), foreign);
  {
    auto database = sqlite::Database::open(temp_.path("foreign2"), {}, 0);
    ASSERT_TRUE((*database)->execute("PRAGMA application_id=77; PRAGMA user_version=1"));
  }
  EXPECT_EQ(Catalog::open({temp_.path("foreign2")}).error().code, Code::malformed);
  EXPECT_EQ(Catalog::open({temp_.path("no/such/folder")}).error().code, Code::denied);
}

// A false have-bit would serve wrong bytes: a page that no content has is no page of it, not even where the
// place of its bits, computed in 64 bits, comes back to the beginning.
TEST_F(CatalogTest, APageOfHaveBitsBehindTheLastIsRefused) {
  const auto content = plain_content(3, 1);
  ASSERT_TRUE(catalog_->store(record_of(content)));
  for (const std::int64_t page :
       {std::int64_t{-1}, std::int64_t{1}, std::int64_t{1} << 32, std::int64_t{1} << 54, INT64_MAX}) {
    catalog_.reset();
    {
      auto database = sqlite::Database::open(path_, {}, 0);
      ASSERT_TRUE(database);
      const std::string row = "DELETE FROM have; INSERT INTO have(content, page, bits) VALUES(1, " +
                              std::to_string(page) + ", x'e0')";
      ASSERT_TRUE((*database)->execute(row.c_str()));
    }
    reopen();
    const auto found = catalog_->find(content->id);
    ASSERT_FALSE(found) << page;
    EXPECT_EQ(found.error().code, Code::malformed) << page;
  }
}

TEST_F(CatalogTest, ANewerVersionIsRefusedInOneSentence) {
  catalog_.reset();
  {
    auto database = sqlite::Database::open(path_, {}, 0);
    ASSERT_TRUE((*database)->execute("PRAGMA user_version=99"));
  }
  const auto opened = Catalog::open({path_});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::unsupported);
  EXPECT_STREQ(opened.error().rule, "the catalog was made by a newer version of shoal");
}

TEST_F(CatalogTest, ATruncatedFileIsMalformedAtEveryLength) {
  const ContentPtr content = plain_content(50'000, 1);
  ContentRecord record = record_of(content);
  record.have = ContentRecord::Have::all;
  ASSERT_TRUE(catalog_->store(record));
  catalog_.reset();  // the log goes into the file
  const Bytes whole = read_file(path_);
  ASSERT_GT(whole.size(), 16'384U);
  constexpr std::size_t page = 4'096;  // a torn last page may be legitimate, while its log is there
  // SQLite itself takes a file of one byte for an empty one (it once made such on some systems).
  for (std::size_t size = 2; size <= whole.size() - page; size += size < 200 ? 1 : 1'000) {
    temp_.file("cut", ByteView{whole}.first(size));
    const auto opened = Catalog::open({temp_.path("cut")});
    ASSERT_FALSE(opened) << size;
    EXPECT_EQ(opened.error().code, Code::malformed) << size;
    EXPECT_EQ(read_file(temp_.path("cut")).size(), size);
  }
  temp_.file("empty", {});
  EXPECT_TRUE(Catalog::open({temp_.path("empty")}));
}

// Damage inside shows when it is met, and never crashes or invents pieces that are not there.
TEST_F(CatalogTest, DamagedPagesAreErrorsNotCrashes) {
  const ContentPtr content = plain_content(20'000, 1, 4);
  ContentRecord record = record_of(content);
  record.layers = {Bytes(3'000, 1), {}, {}, {}};
  ASSERT_TRUE(catalog_->store(record));
  catalog_.reset();
  const Bytes whole = read_file(path_);
  int refused = 0;
  for (std::size_t at = 100; at + 40 < whole.size(); at += 509) {
    Bytes hurt = whole;
    for (std::size_t i = 0; i < 40; ++i) hurt[at + i] = static_cast<std::uint8_t>(hurt[at + i] ^ 0xa5);
    temp_.file("hurt", hurt);
    std::filesystem::remove(temp_.path("hurt-wal"));
    std::filesystem::remove(temp_.path("hurt-shm"));
    auto opened = Catalog::open({temp_.path("hurt")});
    if (!opened) {
      ++refused;
      continue;
    }
    const auto loaded = (*opened)->load(content->id);
    if (!loaded) ++refused;
    if (loaded && *loaded) {
      EXPECT_EQ((*loaded)->have.size(), 20'000U);
    }
    static_cast<void>((*opened)->store(record));
  }
  EXPECT_GE(refused, 4);  // most of the bytes hurt are free space or payload
}

// ---- versions

TEST(CatalogMigration, VersionOneKeepsItsContents) {
  TempFolder temp;
  const std::string path = temp.path("catalog.sqlite");
  {
    auto database = sqlite::Database::open(path, {}, 0);
    ASSERT_TRUE(database);
    // As version 1 made it: without the table of sequences.
    ASSERT_TRUE((*database)->execute(R"(
      PRAGMA application_id=1397247820; PRAGMA user_version=1; PRAGMA journal_mode=WAL;
      CREATE TABLE settings(name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
      CREATE TABLE contents(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, role INTEGER NOT NULL,
        pieces INTEGER NOT NULL, files INTEGER NOT NULL, folder BLOB NOT NULL, root_name BLOB NOT NULL,
        uploaded INTEGER NOT NULL DEFAULT 0, downloaded INTEGER NOT NULL DEFAULT 0);
      CREATE TABLE infos(content INTEGER PRIMARY KEY REFERENCES contents ON DELETE CASCADE, info BLOB NOT NULL);
      CREATE TABLE layers(content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, file INTEGER NOT NULL,
        layer BLOB NOT NULL, PRIMARY KEY(content, file));
      CREATE TABLE files(content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, file INTEGER NOT NULL,
        progress INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, mtime_ns INTEGER NOT NULL DEFAULT 0,
        inode INTEGER NOT NULL DEFAULT 0, disk_path BLOB NOT NULL DEFAULT x'', PRIMARY KEY(content, file))
        WITHOUT ROWID;
      CREATE TABLE have(content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, page INTEGER NOT NULL,
        bits BLOB NOT NULL, PRIMARY KEY(content, page));
      CREATE TABLE touched(content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, piece INTEGER NOT NULL,
        PRIMARY KEY(content, piece)) WITHOUT ROWID;
      CREATE TABLE shares(key BLOB PRIMARY KEY, salt BLOB NOT NULL,
        content INTEGER REFERENCES contents ON DELETE SET NULL) WITHOUT ROWID;
      CREATE INDEX shares_by_content ON shares(content);
      CREATE TABLE contacts(overlay BLOB NOT NULL, position INTEGER NOT NULL, endpoint BLOB NOT NULL,
        public_key BLOB NOT NULL, last_seen_ms INTEGER NOT NULL, PRIMARY KEY(overlay, position)) WITHOUT ROWID;
      INSERT INTO settings VALUES(CAST('x' AS BLOB), x'0102');
      INSERT INTO contents(number, id, role, pieces, files, folder, root_name, uploaded)
        VALUES(5, zeroblob(32), 1, 9, 1, CAST('/f' AS BLOB), CAST('n' AS BLOB), 44);
      INSERT INTO infos VALUES(5, x'6465');
      INSERT INTO have VALUES(5, 0, x'8080');
      INSERT INTO touched VALUES(5, 3);
      INSERT INTO contacts VALUES(CAST('native4' AS BLOB), 0, x'010203040506', zeroblob(32), 77);
    )"));
  }
  auto catalog = open_catalog(path);
  ASSERT_TRUE(catalog);
  EXPECT_EQ(catalog->value("x")->value(), (Bytes{1, 2}));
  const auto stored = *catalog->load(ContentId{});
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->have.count(), 2U);
  EXPECT_TRUE(stored->have.test(0) && stored->have.test(8));
  EXPECT_EQ(stored->touched, std::vector<std::uint32_t>{3});
  EXPECT_EQ(stored->uploaded, 44U);
  EXPECT_EQ(stored->record_sequence, 0U);
  const auto contacts = *catalog->contacts("native4");
  ASSERT_EQ(contacts.size(), 1U);
  EXPECT_EQ(contacts[0].endpoint, (Bytes{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(contacts[0].last_seen_ms, 77);
  ASSERT_TRUE(save_sequence(*catalog, ContentId{}, 12));
  catalog.reset();
  catalog = open_catalog(path);
  EXPECT_EQ(*catalog->sequence(ContentId{}), 12U);
}

// ---- several at once

TEST_F(CatalogTest, TwoConnectionsSeeEachOther) {
  auto other = open_catalog(path_);
  ASSERT_TRUE(other);
  const ContentPtr content = plain_content(100, 1);
  ASSERT_TRUE(catalog_->store(record_of(content)));
  for (std::uint32_t piece = 0; piece < 100; ++piece) {
    Catalog& one = piece % 2 == 0 ? *catalog_ : *other;
    ASSERT_TRUE(one.mark_touched(content->id, {&piece, 1}));
    ASSERT_TRUE(one.commit(*content, {{&piece, 1}, {}, 0, 0}));
  }
  EXPECT_TRUE((*other->find(content->id))->have.all());
  EXPECT_TRUE((*catalog_->find(content->id))->touched.empty());
}

TEST_F(CatalogTest, AHeldFileIsBusyAfterTheWait) {
  auto other = open_catalog(path_, 20);
  auto holder = sqlite::Database::open(path_, {}, 0);
  ASSERT_TRUE(holder);
  sqlite::Transaction transaction{**holder, sqlite::Durability::relaxed};
  ASSERT_TRUE(transaction.begun());
  EXPECT_EQ(other->save_value("x", as_bytes("y")).error().code, Code::busy);
  EXPECT_FALSE(other->value("x")->has_value());  // readers wait for nobody
  ASSERT_TRUE(transaction.commit());
  EXPECT_TRUE(other->save_value("x", as_bytes("y")));
}

TEST(CatalogProcesses, ManyMakeAndUseOneCatalogAtOnce) {
  TempFolder temp;
  const std::string path = temp.path("catalog.sqlite");
  constexpr std::uint32_t processes = 6, each = 40;
  const ContentPtr content = plain_content(processes * each, 1);
  int stored[2] = {};  // a byte for each child once the content is there
  ASSERT_EQ(::pipe(stored), 0);
  std::vector<pid_t> children;
  for (std::uint32_t p = 0; p < processes; ++p) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    ::close(stored[1]);  // so that the end of the parent is the end of its children
    auto opened = Catalog::open({path, {}, nullptr, 30'000});
    if (!opened) ::_exit(1);
    char there = 0;
    if (::read(stored[0], &there, 1) != 1) ::_exit(2);
    for (std::uint32_t i = 0; i < each; ++i) {
      const std::uint32_t piece = i * processes + p;
      if (!(*opened)->mark_touched(content->id, {&piece, 1})) ::_exit(3);
      if (!(*opened)->commit(*content, {{&piece, 1}, {}, 0, 0})) ::_exit(4);
    }
    ::_exit(0);
  }
  auto catalog = open_catalog(path);
  EXPECT_TRUE(catalog->store(record_of(content)));
  const std::string told(processes, '1');
  EXPECT_EQ(::write(stored[1], told.data(), told.size()), static_cast<ssize_t>(told.size()));
  ::close(stored[1]);
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  ::close(stored[0]);
  EXPECT_TRUE((*catalog->find(content->id))->have.all());
}

TEST(CatalogProcesses, ManyFindNoCatalogAtOnce) {
  TempFolder temp;
  for (int round = 0; round < 100; ++round) {
    const std::string path = temp.path("catalog" + std::to_string(round));
    int start[2] = {};
    ASSERT_EQ(::pipe(start), 0);
    std::vector<pid_t> children;
    for (int p = 0; p < 5; ++p) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child != 0) {
        children.push_back(child);
        continue;
      }
      ::close(start[1]);
      char none = 0;
      static_cast<void>(::read(start[0], &none, 1));  // ends when the parent closes the other side
      ::_exit(Catalog::open({path, {}, nullptr, 30'000}) ? 0 : 1);
    }
    ::close(start[0]);
    ::close(start[1]);
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << round << ": " << status;
    }
    EXPECT_TRUE(open_catalog(path));
  }
}

TEST(CatalogFiles, LogsAreAsClosedAsTheCatalog) {
  TempFolder temp;
  const mode_t before = ::umask(0);
  const auto path = prepare_state(temp.path("state"));
  auto catalog = open_catalog(*path);
  ASSERT_TRUE(catalog->save_value("x", as_bytes("y")));
  ::umask(before);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat seen{};
    ASSERT_EQ(::stat((*path + suffix).c_str(), &seen), 0) << suffix;
    EXPECT_EQ(seen.st_mode & 0777, 0600U) << suffix;
  }
}

// ---- over storage::Folder

TEST(CatalogOverFolder, WorksAndSurvivesAReopen) {
  TempFolder temp;
  PosixVfs vfs;
  auto folder = vfs.open_folder(temp.path(), Vfs::Missing::error);
  ASSERT_TRUE(folder);
  SqliteVfs sqlite_vfs{"catalog test", **folder};
  const ContentPtr content = plain_content(30'000, 1);
  {
    auto catalog = Catalog::open({"catalog.sqlite", sqlite_vfs.name()});
    ASSERT_TRUE(catalog) << catalog.error().rule;
    ASSERT_TRUE((*catalog)->store(record_of(content)));
    for (std::uint32_t i = 0; i < 3'000; ++i) {  // past a checkpoint
      const std::uint32_t piece = i * 7;
      ASSERT_TRUE((*catalog)->mark_touched(content->id, {&piece, 1}));
      ASSERT_TRUE((*catalog)->save_totals(content->id, i, i));
      if (i % 20 != 0) continue;
      ASSERT_TRUE((*catalog)->commit(*content, {{&piece, 1}, {}, i, i}));
    }
    EXPECT_TRUE(std::filesystem::exists(temp.path("catalog.sqlite-wal")));
    EXPECT_FALSE(std::filesystem::exists(temp.path("catalog.sqlite-shm")));
  }
  auto catalog = Catalog::open({"catalog.sqlite", sqlite_vfs.name()});
  ASSERT_TRUE(catalog);
  const auto found = *(*catalog)->find(content->id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->have.count(), 150U);
  EXPECT_EQ(found->touched.size(), 2'850U);
  // The system's SQLite reads what this layer wrote.
  catalog->reset();
  auto plain = open_catalog(temp.path("catalog.sqlite"));
  ASSERT_TRUE(plain);
  EXPECT_EQ((*plain->find(content->id))->have.count(), 150U);
}

// Killed without a close: the log is read back.
TEST(CatalogOverFolder, AnUnclosedLogIsReplayed) {
  TempFolder temp;
  temp.folder("copy");
  PosixVfs vfs;
  auto folder = vfs.open_folder(temp.path(), Vfs::Missing::error);
  auto copy = vfs.open_folder(temp.path("copy"), Vfs::Missing::error);
  SqliteVfs one{"catalog one", **folder}, two{"catalog two", **copy};
  auto catalog = Catalog::open({"c", one.name()});
  ASSERT_TRUE(catalog);
  ASSERT_TRUE((*catalog)->save_value("k", as_bytes("v")));
  for (const char* name : {"c", "c-wal"})
    std::filesystem::copy_file(temp.path(name), temp.path("copy/" + std::string{name}));
  auto recovered = Catalog::open({"c", two.name()});
  ASSERT_TRUE(recovered) << recovered.error().rule;
  EXPECT_EQ(as_text(**(*recovered)->value("k")), "v");
  recovered->reset();
  catalog->reset();
}

// What is read together is of one moment, whoever writes meanwhile.
TEST_F(CatalogTest, ASnapshotIsOfOneMoment) {
  const auto content = plain_content(3, 1);
  {
    const Catalog::Snapshot snapshot{*catalog_};
    EXPECT_EQ(*catalog_->sequence(content->id), 0U);
    const auto other = open_catalog(path_);
    ASSERT_TRUE(other->store(record_of(content)));
    ASSERT_TRUE(save_sequence(*other, content->id, 5));
    EXPECT_EQ(*catalog_->sequence(content->id), 0U);
    EXPECT_TRUE(catalog_->contents()->empty());
  }
  EXPECT_EQ(*catalog_->sequence(content->id), 5U);
  EXPECT_EQ(catalog_->contents()->size(), 1U);
  ASSERT_TRUE(save_sequence(*catalog_, content->id, 6));
}

}  // namespace
}  // namespace shoal::storage
