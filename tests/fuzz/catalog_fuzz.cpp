// A catalog in which anything may stand: rows of another's making, read back by every function that reads.
// None breaks, and what is given out is within the bounds that the rest builds on.
//
// The input is a series of rows: table (1 byte), then a value a column: kind (number, border of a number,
// blob of a good size, blob, null), and what it needs.
#include <array>
#include <string>

#include <sqlite3.h>

#include "dht/base/check.hpp"
#include "storage/catalog.hpp"
#include "storage/metainfo.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::storage;
using fuzz::Script;

const ContentId content{1};
const std::string path = "file:catalog_fuzz?mode=memory&cache=shared";

struct Table {
  const char* insert;
  int columns;
};
constexpr std::array tables{
    Table{"INSERT OR REPLACE INTO contents(number, id, role, pieces, files, folder, root_name, uploaded, "
          "downloaded, v1) VALUES(1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          9},
    Table{"INSERT OR REPLACE INTO infos(content, info) VALUES(1, ?)", 1},
    Table{"INSERT OR REPLACE INTO layers(content, file, layer) VALUES(1, ?, ?)", 2},
    Table{"INSERT OR REPLACE INTO files(content, file, progress, size, mtime_ns, inode, disk_path) "
          "VALUES(1, ?, ?, ?, ?, ?, ?)",
          6},
    Table{"INSERT OR REPLACE INTO have(content, page, bits) VALUES(1, ?, ?)", 2},
    Table{"INSERT OR REPLACE INTO touched(content, piece) VALUES(1, ?)", 1},
    Table{"INSERT OR REPLACE INTO shares(key, salt, content) VALUES(zeroblob(32), ?, ?)", 2},
    Table{"INSERT OR REPLACE INTO contacts(overlay, position, endpoint, last_seen_ms) "
          "VALUES(x'6e617469766534', ?, ?, ?)",
          3},
    Table{"INSERT OR REPLACE INTO sequences(id, sequence) VALUES(?, ?)", 2},
    Table{"INSERT OR REPLACE INTO settings(name, value) VALUES(x'6964656e74697479', ?)", 1},
};

// One database in memory for all inputs; each is undone.
class World {
 public:
  World() {
    SHOAL_CHECK(sqlite3_config(SQLITE_CONFIG_URI, 1) == SQLITE_OK);
    auto opened = Catalog::open({.path = path});
    SHOAL_CHECK(opened.has_value());
    catalog = std::move(*opened);
    SHOAL_CHECK(sqlite3_open(path.c_str(), &hostile_) == SQLITE_OK);
    run("PRAGMA foreign_keys=OFF; PRAGMA read_uncommitted=ON");
    for (std::size_t i = 0; i < tables.size(); ++i)
      SHOAL_CHECK(sqlite3_prepare_v2(hostile_, tables[i].insert, -1, &inserts_[i], nullptr) == SQLITE_OK);
  }
  // In the place of all that was there.
  void fill(Script& script) {
    run("BEGIN");
    for (const char* table : {"contents", "infos", "layers", "files", "have", "touched", "shares", "contacts",
                              "sequences", "settings"})
      run((std::string{"DELETE FROM "} + table).c_str());
    for (int row = 0; row < 64 && !script.empty(); ++row) insert(script);
    run("COMMIT");
  }
  std::unique_ptr<Catalog> catalog;

 private:
  void insert(Script& script) {
    const std::size_t which = script.byte() % tables.size();
    sqlite3_stmt* statement = inserts_[which];
    for (int column = 1; column <= tables[which].columns; ++column) bind(script, statement, column);
    (void)sqlite3_step(statement);  // what the schema refuses is not there
    sqlite3_reset(statement);
  }
  void run(const char* sql) {
    SHOAL_CHECK(sqlite3_exec(hostile_, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  static void bind(Script& script, sqlite3_stmt* statement, int column) {
    switch (script.byte() % 6) {
      case 0:
        sqlite3_bind_int64(statement, column, script.byte());
        return;
      case 1: {
        const std::uint8_t bit = script.byte();
        sqlite3_bind_int64(statement, column,
                           static_cast<std::int64_t>((std::uint64_t{1} << bit % 64) - (bit >> 7)));
        return;
      }
      case 2:
        sqlite3_bind_blob(statement, column, content.data(), static_cast<int>(content.size()), SQLITE_STATIC);
        return;
      case 3: {  // noughts, so many that a page of have-bits or a hash may be meant
        sqlite3_bind_zeroblob(statement, column, static_cast<int>(script.below(1100)));
        return;
      }
      case 4: {
        const ByteView raw = script.take(script.byte());
        sqlite3_bind_blob(statement, column, raw.data(), static_cast<int>(raw.size()), SQLITE_TRANSIENT);
        return;
      }
      default:
        sqlite3_bind_null(statement, column);
    }
  }

  sqlite3* hostile_ = nullptr;
  std::array<sqlite3_stmt*, tables.size()> inserts_{};
};

void read_content(Catalog& catalog, const ContentId& id) {
  if (const auto found = catalog.find(id); found && *found) {
    const FoundContent& row = **found;
    SHOAL_CHECK(row.have.size() <= std::uint32_t{1} << 21 && row.files.size() <= 1'000'000);
    for (const std::uint32_t piece : row.touched) SHOAL_CHECK(piece < row.have.size());
    SHOAL_CHECK(row.stamps().size() == row.files.size());
    SHOAL_CHECK(row.disk_paths().size() == (row.has_disk_paths() ? row.files.size() : 0));
  }
  if (const auto loaded = catalog.load(id); loaded && *loaded) {
    const StoredContent& row = **loaded;
    for (const std::uint32_t piece : row.touched) SHOAL_CHECK(piece < row.have.size());
    (void)parse_info(row.info);
  }
}

void read_all(Catalog& catalog) {
  if (const auto all = catalog.contents())
    for (const ContentId& id : *all) read_content(catalog, id);
  read_content(catalog, content);
  (void)catalog.kept_as(content);
  (void)catalog.kept_as(id_of_v1(Sha1{}));
  (void)catalog.sequence(content);
  (void)catalog.share(ShareKey{});
  (void)catalog.contacts("native4");
  (void)catalog.identity();
}

}  // namespace

// Rows name sizes that are believed up to the bounds of metainfo.hpp: 2^21 pieces, of which 256 KiB of
// have-bits follow, and 10^6 files. The rest is SQLite's cache of pages.
const shoal::fuzz::Bounds shoal::fuzz::bounds{
    .time = std::chrono::milliseconds{50}, .heap_per_byte = 64, .heap = 256 << 20};

void shoal::fuzz::one(ByteView input) {
  static World world;
  Script script{input};
  {
    const Aside aside;
    world.fill(script);
  }
  read_all(*world.catalog);
}
