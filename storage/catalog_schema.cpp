// Schema of the catalog (catalog_schema.hpp).
//
// Notes. Paths and names are blobs: raw bytes that need not be UTF-8. The info dictionary (up to 30 MiB) and
// layers have tables of their own, because SQLite writes a whole row again when one column changes. A page of
// have-bits is 1 KiB = 8,192 pieces: it fits a leaf of the b-tree beside others, so that a commit writes
// that leaf and no overflow pages. Files have a row only when there is something to say of them.
#include "storage/catalog_schema.hpp"

#include <array>

namespace shoal::storage {
namespace {

// Version 0 (an empty file) -> 1.
constexpr const char* first_tables = R"(
CREATE TABLE settings(name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE contents(
  number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, role INTEGER NOT NULL,
  pieces INTEGER NOT NULL, files INTEGER NOT NULL, folder BLOB NOT NULL, root_name BLOB NOT NULL,
  uploaded INTEGER NOT NULL DEFAULT 0, downloaded INTEGER NOT NULL DEFAULT 0);
CREATE TABLE infos(
  content INTEGER PRIMARY KEY REFERENCES contents ON DELETE CASCADE, info BLOB NOT NULL);
CREATE TABLE layers(
  content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, file INTEGER NOT NULL, layer BLOB NOT NULL,
  PRIMARY KEY(content, file));
CREATE TABLE files(
  content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, file INTEGER NOT NULL,
  progress INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, mtime_ns INTEGER NOT NULL DEFAULT 0,
  inode INTEGER NOT NULL DEFAULT 0, disk_path BLOB NOT NULL DEFAULT x'',
  PRIMARY KEY(content, file)) WITHOUT ROWID;
CREATE TABLE have(
  content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, page INTEGER NOT NULL, bits BLOB NOT NULL,
  PRIMARY KEY(content, page));
CREATE TABLE touched(
  content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, piece INTEGER NOT NULL,
  PRIMARY KEY(content, piece)) WITHOUT ROWID;
CREATE TABLE shares(
  key BLOB PRIMARY KEY, salt BLOB NOT NULL, content INTEGER REFERENCES contents ON DELETE SET NULL)
  WITHOUT ROWID;
CREATE INDEX shares_by_content ON shares(content);
CREATE TABLE contacts(
  overlay BLOB NOT NULL, position INTEGER NOT NULL, endpoint BLOB NOT NULL, public_key BLOB NOT NULL,
  last_seen_ms INTEGER NOT NULL, PRIMARY KEY(overlay, position)) WITHOUT ROWID;
)";

// 1 -> 2: sequence numbers of records outlive their content, and exist before its metadata is known.
constexpr const char* sequences_table = R"(
CREATE TABLE sequences(id BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
)";

// 2 -> 3: who answers at a saved endpoint proves a key of its own, whatever stood there before.
constexpr const char* nameless_contacts = "ALTER TABLE contacts DROP COLUMN public_key";

// 3 -> 4: contents are found by the id that v1 gives them, too; empty where they have none.
constexpr const char* v1_ids = R"(
ALTER TABLE contents ADD COLUMN v1 BLOB NOT NULL DEFAULT x'';
CREATE INDEX contents_by_v1 ON contents(v1);
)";

constexpr std::array<const char*, catalog_version> steps{first_tables, sequences_table, nameless_contacts,
                                                         v1_ids};

Result<void> migrate(sqlite::Database& database) {
  sqlite::Transaction transaction{database, sqlite::Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  // Read again: another process may have been first.
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  if (*version < 0 || *version > catalog_version)
    return fail(Code::unsupported, "the catalog was made by a newer version of shoal");
  for (auto step = static_cast<std::size_t>(*version); step < steps.size(); ++step) {
    if (auto done = database.execute(steps[step]); !done) return done;
  }
  static_assert(catalog_version == 4 && catalog_application_id == 1397247820, "the pragmas below name both");
  if (auto done = database.execute("PRAGMA application_id=1397247820; PRAGMA user_version=4"); !done)
    return done;
  return transaction.commit();
}

}  // namespace

Result<void> prepare_schema(sqlite::Database& database) {
  // In this order: where another process makes the catalog meanwhile, tables that are seen are seen as ours.
  const auto tables = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return std::unexpected(tables.error());
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  const auto application = database.integer("PRAGMA application_id");
  if (!application) return std::unexpected(application.error());
  const bool empty = *application == 0 && *version == 0 && *tables == 0;
  if (!empty && *application != catalog_application_id)
    return fail(Code::malformed, "the file in the catalog's place is a database of another program");
  if (*version > catalog_version)
    return fail(Code::unsupported, "the catalog was made by a newer version of shoal");
  if (auto done = database.execute_patiently("PRAGMA journal_mode=WAL"); !done) return done;
  if (!empty && *version == catalog_version) return {};
  return migrate(database);
}

}  // namespace shoal::storage
