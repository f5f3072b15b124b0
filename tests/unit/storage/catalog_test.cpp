// The catalog: what is stored comes back, over restarts, versions, processes and threads; and what is no
// catalog of ours is refused and left as it was.
#include "storage/catalog.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content_fixture.hpp"
#include "folder_fixture.hpp"
#include "storage/catalog_schema.hpp"
#include "storage/posix_state.hpp"
#include "storage/sqlite.hpp"
#include "storage/sqlite_vfs.hpp"

namespace shoal::storage {
namespace {

using fixture::TempFolder;

std::unique_ptr<Catalog> open_catalog(const std::string& path, int busy_ms = 10'000) {
  auto opened = Catalog::open({path, {}, nullptr, busy_ms});
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().rule);
  return opened ? std::move(*opened) : nullptr;
}

Bytes read_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// A content of which only the geometry matters here; the catalog never looks into it.
ContentPtr plain_content(std::uint32_t pieces, std::uint8_t number, std::uint32_t files = 1) {
  auto content = std::make_shared<Content>();
  content->id[0] = number;
  content->info = Bytes(300, number);
  content->name = "name";
  content->piece_length = block_bytes;
  content->pieces = pieces;
  for (std::uint32_t i = 0; i < files; ++i) {
    ContentFile file;
    file.path = "f" + std::to_string(i);
    file.first_piece = pieces / files * i;
    file.pieces = i + 1 == files ? pieces - file.first_piece : pieces / files;
    file.length = std::uint64_t{file.pieces} * block_bytes;
    content->files.push_back(file);
    content->file_of_piece.insert(content->file_of_piece.end(), file.pieces, i);
  }
  return content;
}

ContentRecord record_of(const ContentPtr& content) {
  ContentRecord out;
  out.content = content;
  out.folder = "/somewhere";
  out.root_name = "name";
  return out;
}

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    catalog_.reset();
    catalog_ = open_catalog(path_);
    ASSERT_TRUE(catalog_);
  }
  TempFolder temp_;
  std::string path_ = temp_.path("catalog.sqlite");
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, IdentityAndSettings) {
  EXPECT_EQ(*catalog_->value("x"), std::nullopt);
  EXPECT_FALSE(catalog_->identity()->has_value());
  Identity identity;
  identity.seed[3] = 9;
  identity.port = 40'000;
  ASSERT_TRUE(catalog_->save_identity(identity));
  ASSERT_TRUE(catalog_->save_value("x", as_bytes(std::string_view("a\0b", 3))));
  ASSERT_TRUE(catalog_->save_value("empty", {}));
  reopen();
  const auto kept = catalog_->identity();
  ASSERT_TRUE(kept && kept->has_value());
  EXPECT_EQ((*kept)->seed, identity.seed);
  EXPECT_EQ((*kept)->port, 40'000);
  EXPECT_EQ(as_text(**catalog_->value("x")), std::string_view("a\0b", 3));
  EXPECT_EQ(catalog_->value("empty")->value().size(), 0U);
  ASSERT_TRUE(catalog_->save_value("x", as_bytes("new")));
  EXPECT_EQ(as_text(**catalog_->value("x")), "new");
}

TEST_F(CatalogTest, AContentComesBackAsItWas) {
  const ContentPtr content = plain_content(20, 1, 3);
  EXPECT_EQ(*catalog_->find(content->id), std::nullopt);
  EXPECT_FALSE(catalog_->load(content->id)->has_value());
  ContentRecord record = record_of(content);
  record.folder = "/raw/\xff\xfe";
  record.layers = {Bytes(64, 1), {}, Bytes(32, 3)};
  ASSERT_TRUE(catalog_->store(record));
  const std::vector<std::uint32_t> touched{7, 3, 3, 19};
  ASSERT_TRUE(catalog_->mark_touched(content->id, touched));
  ASSERT_TRUE(catalog_->mark_touched(content->id, touched));
  const std::vector<std::uint32_t> pieces{3, 0, 1};
  const std::vector<std::pair<std::uint32_t, FileStamp>> finished{{0, {98'304, -5, ~std::uint64_t{0}}}};
  ASSERT_TRUE(catalog_->commit(*content, {pieces, finished, 10, 20}));
  ASSERT_TRUE(catalog_->save_totals(content->id, 5, 25));  // totals never fall
  ASSERT_TRUE(catalog_->save_sequence(content->id, 1000));
  ASSERT_TRUE(catalog_->save_sequence(content->id, 999));  // nor does the sequence
  const std::vector<std::pair<std::uint32_t, Bytes>> layers{
      {1, Bytes(96, 2)}, {0, Bytes(64, 1)}, {99, Bytes(1)}};
  ASSERT_TRUE(catalog_->save_layers(content->id, layers));
  reopen();
  const auto loaded = catalog_->load(content->id);
  ASSERT_TRUE(loaded && loaded->has_value());
  const StoredContent& stored = **loaded;
  EXPECT_EQ(stored.info, content->info);
  EXPECT_EQ(stored.folder, record.folder);
  EXPECT_EQ(stored.root_name, "name");
  EXPECT_EQ(stored.layers, (std::vector<Bytes>{Bytes(64, 1), Bytes(96, 2), Bytes(32, 3)}));
  EXPECT_EQ(stored.touched, (std::vector<std::uint32_t>{7, 19}));
  EXPECT_EQ(stored.have.count(), 3U);
  EXPECT_TRUE(stored.have.test(0) && stored.have.test(1) && stored.have.test(3));
  EXPECT_EQ(stored.uploaded, 10U);
  EXPECT_EQ(stored.downloaded, 25U);
  EXPECT_EQ(stored.record_sequence, 1000U);
  const auto found = catalog_->find(content->id);
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->role, ContentRole::download);
  EXPECT_EQ((*found)->files[0].progress, FileRecord::Progress::finished);
  EXPECT_EQ((*found)->files[0].stamp, finished[0].second);
  EXPECT_EQ((*found)->files[1].progress, FileRecord::Progress::open);
  EXPECT_FALSE((*found)->has_disk_paths());
  EXPECT_EQ(*catalog_->contents(), std::vector<ContentId>{content->id});
  ASSERT_TRUE(catalog_->remove(content->id));
  EXPECT_TRUE(catalog_->contents()->empty());
  EXPECT_EQ(*catalog_->sequence(content->id), 1000U);  // outlives it
}

TEST_F(CatalogTest, WhatIsNotThereIsLeftAlone) {
  const ContentPtr content = plain_content(8, 1);
  const std::vector<std::uint32_t> pieces{1};
  EXPECT_TRUE(catalog_->mark_touched(content->id, pieces));
  EXPECT_TRUE(catalog_->commit(*content, {pieces, {}, 1, 1}));
  EXPECT_TRUE(catalog_->save_totals(content->id, 1, 1));
  EXPECT_TRUE(catalog_->remove(content->id));
  EXPECT_TRUE(catalog_->contents()->empty());
  EXPECT_EQ(*catalog_->sequence(content->id), 0U);
  EXPECT_FALSE(catalog_->share({})->has_value());
}

// Pages hold 8,192 pieces; the last is short.
TEST_F(CatalogTest, HaveBitsOverPageBorders) {
  for (const std::uint32_t pieces : {1U, 7U, 8U, 9U, 8'191U, 8'192U, 8'193U, 16'384U, 40'001U}) {
    const ContentPtr content = plain_content(pieces, static_cast<std::uint8_t>(pieces % 251), 1);
    ASSERT_TRUE(catalog_->store(record_of(content)));
    Bitfield expected{pieces};
    std::vector<std::uint32_t> some;
    for (const std::uint32_t piece :
         {0U, 7U, 8U, 8'190U, 8'191U, 8'192U, 8'193U, 16'383U, 16'384U, 40'000U, pieces - 1})
      if (piece < pieces && expected.set(piece)) some.push_back(piece);
    ASSERT_TRUE(catalog_->commit(*content, {some, {}, 0, 0}));
    EXPECT_EQ((*catalog_->find(content->id))->have, expected) << pieces;
    // All, then none.
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < pieces; ++i) all.push_back(pieces - 1 - i);
    ASSERT_TRUE(catalog_->commit(*content, {all, {}, 0, 0}));
    EXPECT_TRUE((*catalog_->find(content->id))->have.all()) << pieces;
    const ForgottenFile forgotten{0, FileRecord::Progress::changed};
    ASSERT_TRUE(catalog_->forget(*content, {&forgotten, 1}));
    EXPECT_TRUE((*catalog_->find(content->id))->have.none()) << pieces;
  }
}

TEST_F(CatalogTest, ForgettingAFileLeavesItsNeighbours) {
  const ContentPtr content = plain_content(30, 1, 3);
  ContentRecord record = record_of(content);
  record.have = ContentRecord::Have::all;
  record.stamps = {{1, 1, 1}, {2, 2, 2}, {3, 3, 3}};
  record.disk_paths = {"", "elsewhere/x", ""};
  ASSERT_TRUE(catalog_->store(record));
  const std::vector<std::uint32_t> touched{9, 10, 19, 20};
  ASSERT_TRUE(catalog_->mark_touched(content->id, touched));
  const ForgottenFile forgotten{1, FileRecord::Progress::changed};
  ASSERT_TRUE(catalog_->forget(*content, {&forgotten, 1}));
  const auto found = *catalog_->find(content->id);
  for (std::uint32_t i = 0; i < 30; ++i) EXPECT_EQ(found->have.test(i), i < 10 || i >= 20) << i;
  EXPECT_EQ(found->touched, (std::vector<std::uint32_t>{9, 20}));
  EXPECT_EQ(found->files[1].progress, FileRecord::Progress::changed);
  EXPECT_EQ(found->files[1].disk_path, "elsewhere/x");
  EXPECT_EQ(found->files[2].progress, FileRecord::Progress::finished);
  EXPECT_EQ(found->stamps()[1], FileStamp{});
  EXPECT_EQ(found->stamps()[2], (FileStamp{3, 3, 3}));
  EXPECT_TRUE(found->has_disk_paths());
}

TEST_F(CatalogTest, StoringAgainReplacesAllButTotalsAndSequence) {
  const ContentPtr content = plain_content(10, 1);
  ContentRecord record = record_of(content);
  record.have = ContentRecord::Have::all;
  record.stamps = {{1, 1, 1}};
  record.layers = {Bytes(32, 1)};
  ASSERT_TRUE(catalog_->store(record));
  ASSERT_TRUE(catalog_->save_totals(content->id, 7, 8));
  ASSERT_TRUE(catalog_->save_sequence(content->id, 9));
  ContentRecord fresh = record_of(content);
  fresh.folder = "/other";
  ASSERT_TRUE(catalog_->store(fresh));
  const auto stored = *catalog_->load(content->id);
  EXPECT_EQ(stored->folder, "/other");
  EXPECT_TRUE(stored->have.none());
  EXPECT_TRUE(stored->layers[0].empty());
  EXPECT_EQ(stored->uploaded, 7U);
  EXPECT_EQ(stored->record_sequence, 9U);
  EXPECT_EQ((*catalog_->find(content->id))->files[0].progress, FileRecord::Progress::open);
}

TEST_F(CatalogTest, SharesKeepTheirSalt) {
  const std::vector<std::string> paths{"/a/b"}, joined{"/a", "b"};
  const ShareKey key = share_key(paths, "", ShareKind::sealed);
  EXPECT_NE(key, share_key(paths, "", ShareKind::open));
  EXPECT_NE(key, share_key(paths, "name", ShareKind::sealed));
  EXPECT_NE(key, share_key(joined, "", ShareKind::sealed));
  const ByteArray<32> salt{1, 2, 3};
  const ContentPtr first = plain_content(4, 1), second = plain_content(4, 2);
  ContentRecord record = record_of(first);
  record.role = ContentRole::share;
  record.have = ContentRecord::Have::all;
  ASSERT_TRUE(catalog_->store_share(key, salt, record));
  const ShareKey other_key = share_key(paths, "name", ShareKind::sealed);
  reopen();
  auto share = *catalog_->share(key);
  ASSERT_TRUE(share);
  EXPECT_EQ(share->salt, salt);
  EXPECT_EQ(share->content, first->id);
  EXPECT_TRUE((*catalog_->find(first->id))->have.all());
  // The files changed: another content, the old one goes.
  record.content = second;
  ASSERT_TRUE(catalog_->store_share(key, salt, record));
  EXPECT_EQ((*catalog_->share(key))->content, second->id);
  EXPECT_EQ(*catalog_->contents(), std::vector<ContentId>{second->id});
  // Shared under a second name: it stays when the first moves on.
  ASSERT_TRUE(catalog_->store_share(other_key, salt, record));
  record.content = first;
  ASSERT_TRUE(catalog_->store_share(key, salt, record));
  EXPECT_EQ(catalog_->contents()->size(), 2U);
  // A content that is removed leaves its salt.
  ASSERT_TRUE(catalog_->remove(first->id));
  EXPECT_EQ((*catalog_->share(key))->content, std::nullopt);
  EXPECT_EQ((*catalog_->share(key))->salt, salt);
}

TEST_F(CatalogTest, ContactsAreReplacedPerOverlay) {
  std::vector<StoredContact> contacts(3);
  for (std::size_t i = 0; i < contacts.size(); ++i) {
    contacts[i].endpoint = Bytes(6, static_cast<std::uint8_t>(i));
    contacts[i].public_key[0] = static_cast<std::uint8_t>(9 - i);
    contacts[i].last_seen_ms = static_cast<std::int64_t>(i) - 1;
  }
  ASSERT_TRUE(catalog_->save_contacts("native4", contacts));
  ASSERT_TRUE(catalog_->save_contacts("native6", std::span{contacts}.first(1)));
  ASSERT_TRUE(catalog_->save_contacts("native4", std::span{contacts}.last(2)));
  reopen();
  const auto kept = catalog_->contacts("native4");
  ASSERT_TRUE(kept);
  ASSERT_EQ(kept->size(), 2U);
  EXPECT_EQ((*kept)[0].endpoint, contacts[1].endpoint);
  EXPECT_EQ((*kept)[1].public_key, contacts[2].public_key);
  EXPECT_EQ((*kept)[1].last_seen_ms, 1);
  EXPECT_EQ(catalog_->contacts("native6")->size(), 1U);
  EXPECT_TRUE(catalog_->contacts("mainline4")->empty());
}

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

TEST_F(CatalogTest, ANewerVersionIsRefusedInOneSentence) {
  catalog_.reset();
  {
    auto database = sqlite::Database::open(path_, {}, 0);
    ASSERT_TRUE((*database)->execute("PRAGMA user_version=3"));
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
  ASSERT_TRUE(catalog->save_sequence(ContentId{}, 12));
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
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  ::close(stored[0]);
  EXPECT_TRUE((*catalog->find(content->id))->have.all());
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

}  // namespace
}  // namespace shoal::storage
