// The hold on SQLite (sqlite.hpp). This and sqlite_vfs.cpp are the only files that include its header.
//
// Source: sqlite.org/wal.html, pragma.html#pragma_synchronous. Why NORMAL and never OFF for relaxed writes:
// with OFF, SQLite does not sync the log's header when the log starts over, and a power cut could then bring
// an old half of the log back over newer pages (SQLite's ticket ff5be73dee).
#include "storage/sqlite.hpp"

#include <cerrno>

#include <sqlite3.h>

#include "dht/base/check.hpp"

namespace shoal::storage::sqlite {
namespace {

// Between two tries of what the busy handler does not cover.
constexpr int retry_ms = 10;

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const std::string& vfs,
                                                 int busy_ms) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  if (handle == nullptr)  // unreachable: on a machine that has memory for one
    return fail(Code::io, "there is no memory for the catalog");
  std::unique_ptr<Database> database{new Database{handle, busy_ms}};
  if (code != SQLITE_OK) return std::unexpected(database->error(code));
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, busy_ms);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Error Database::error(int code) const {
  const int os_errno = sqlite3_system_errno(handle_);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {Code::no_space, "there is no room on the disk of the catalog", ENOSPC};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Code::busy, "another process holds the catalog"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Code::malformed, "the catalog is damaged, or is no catalog"};
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return {Code::denied, "the catalog cannot be written", os_errno};
    case SQLITE_CANTOPEN:
      if (os_errno == ELOOP || code == SQLITE_CANTOPEN_SYMLINK)
        return {Code::unsafe, "the catalog is a symbolic link", os_errno};
      return {Code::denied, "the catalog cannot be opened", os_errno};
    case SQLITE_IOERR:
      if (os_errno == ENOSPC || os_errno == EDQUOT)
        return {Code::no_space, "there is no room on the disk of the catalog", os_errno};
      return {Code::io, "the catalog cannot be read or written", os_errno};
    case SQLITE_TOOBIG:
      return {Code::too_large, "a value is too large for the catalog"};
    default:
      return {Code::io, "the catalog failed", os_errno};
  }
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

Result<void> Database::execute_patiently(const char* sql) {
  for (int waited = 0;; waited += retry_ms) {
    auto done = execute(sql);
    if (done || done.error().code != Code::busy || waited >= busy_ms_) return done;
    sqlite3_sleep(retry_ms);
  }
}

Result<std::int64_t> Database::integer(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr);
  std::int64_t value = 0;
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) value = sqlite3_column_int64(statement, 0);
  const Error failed = error(code);
  sqlite3_finalize(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) return std::unexpected(failed);
  return value;
}

void Database::set_durability(Durability durability) {
  if (durability_ == durability) return;
  const int code = sqlite3_exec(
      handle_, durability == Durability::durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
      nullptr, nullptr, nullptr);
  SHOAL_CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
  durability_ = durability;
}

void Query::note(int code) {
  if (!error_) error_ = database_.error(code);
}

void Query::prepare(const char* sql) {
  sqlite3_stmt*& kept = database_.statements_[sql];
  if (kept == nullptr) {
    const int code =
        sqlite3_prepare_v3(database_.handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &kept, nullptr);
    if (code != SQLITE_OK) return note(code);
  }
  SHOAL_CHECK(sqlite3_stmt_busy(kept) == 0);  // one run of a statement at a time
  statement_ = kept;
}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::bind(int index, std::int64_t value) {
  if (statement_ == nullptr) return;
  const int code = sqlite3_bind_int64(statement_, index, value);
  if (code != SQLITE_OK) note(code);
}

void Query::bind(int index, ByteView value) {
  if (statement_ == nullptr) return;
  // The caller's bytes outlive the query. An empty blob is not NULL.
  const void* bytes = value.empty() ? static_cast<const void*>("") : value.data();
  const int code = sqlite3_bind_blob64(statement_, index, bytes, value.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) note(code);
}

bool Query::next() {
  if (error_) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) note(code);
  return false;
}

Result<void> Query::run() {
  while (next()) {
  }
  return outcome();
}

Result<void> Query::outcome() const {
  if (error_) return std::unexpected(*error_);
  return {};
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

ByteView Query::blob(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr) return {};  // NULL, or no bytes
  return {static_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(size)};
}

std::string Query::text(int column) const { return std::string{as_text(blob(column))}; }

bool Query::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Transaction::Transaction(Database& database, Durability durability) : database_(database) {
  database_.set_durability(durability);
  begun_ = Query{database_, "BEGIN IMMEDIATE"}.run();
  open_ = begun_.has_value();
}

Transaction::Transaction(Database& database) : database_(database) {
  begun_ = Query{database_, "BEGIN"}.run();
  open_ = begun_.has_value();
}

Transaction::~Transaction() {
  // SQLite itself may have rolled back already (full disk, failed read).
  if (open_ && sqlite3_get_autocommit(database_.handle_) == 0)
    static_cast<void>(Query{database_, "ROLLBACK"}.run());
}

Result<void> Transaction::commit() {
  if (!begun_) return begun_;
  auto done = Query{database_, "COMMIT"}.run();
  if (done) open_ = false;
  return done;
}

}  // namespace shoal::storage::sqlite
