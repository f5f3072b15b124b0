// A thin hold on SQLite for the catalog: an open database, its prepared statements, transactions, and
// SQLite's errors in our codes. No SQL of its own but pragmas; no thread safety (the catalog has a gate).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace shoal::storage::sqlite {

enum class Durability : std::uint8_t {
  relaxed,  // synchronous NORMAL: survives the process; a power cut may undo it, whole
  durable,  // synchronous FULL: on the disk when commit returned
};

class Database {
 public:
  // Opens read and write; makes the file where it is missing. `vfs` empty: the system's. Touches no byte yet.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& path, const std::string& vfs,
                                                              int busy_ms);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] Result<void> execute(const char* sql);          // any number of statements, results dropped
  [[nodiscard]] Result<std::int64_t> integer(const char* sql);  // the first column of the first row; 0: none
  // Like execute, but tries again for as long as others hold the file: for what SQLite's busy handler does
  // not cover (the change to WAL).
  [[nodiscard]] Result<void> execute_patiently(const char* sql);
  void set_durability(Durability durability);
  [[nodiscard]] Error error(int code) const;

 private:
  friend class Query;
  friend class Transaction;
  Database(sqlite3* handle, int busy_ms) : handle_(handle), busy_ms_(busy_ms) {}

  sqlite3* handle_;
  int busy_ms_;
  std::optional<Durability> durability_;
  std::map<std::string_view, sqlite3_stmt*> statements_;  // by the literal they were made of
};

// One run of a statement. `sql` must be a literal: it is prepared once and kept. The first error sticks,
// makes next() false, and is what outcome() says.
class Query {
 public:
  template <class... Values>
  Query(Database& database, const char* sql, const Values&... values) : database_(database) {
    prepare(sql);
    int index = 0;
    (bind(++index, values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  [[nodiscard]] bool next();  // steps; true: there is a row
  // Steps to the end of a statement without rows.
  [[nodiscard]] Result<void> run();
  [[nodiscard]] Result<void> outcome() const;

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] ByteView blob(int column) const;  // valid until the next step
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  void prepare(const char* sql);
  void bind(int index, std::int64_t value);
  void bind(int index, std::uint64_t value) { bind(index, static_cast<std::int64_t>(value)); }
  void bind(int index, int value) { bind(index, std::int64_t{value}); }
  void bind(int index, std::uint32_t value) { bind(index, std::int64_t{value}); }
  void bind(int index, ByteView value);
  void bind(int index, const Bytes& value) { bind(index, ByteView{value}); }
  template <std::size_t N>
  void bind(int index, const ByteArray<N>& value) {
    bind(index, ByteView{value});
  }
  // Text is kept as a blob: paths and names are raw bytes, which need not be UTF-8.
  void bind(int index, std::string_view value) { bind(index, as_bytes(value)); }
  void bind(int index, const std::string& value) { bind(index, as_bytes(value)); }
  void note(int code);

  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  std::optional<Error> error_;
};

// Begins at once (BEGIN IMMEDIATE: waits for others here and nowhere else); undone unless committed.
class Transaction {
 public:
  Transaction(Database& database, Durability durability);
  explicit Transaction(Database& database);  // that only reads: what it sees is of one moment
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  [[nodiscard]] const Result<void>& begun() const { return begun_; }
  [[nodiscard]] Result<void> commit();

 private:
  Database& database_;
  Result<void> begun_;
  bool open_ = false;
};

}  // namespace shoal::storage::sqlite
