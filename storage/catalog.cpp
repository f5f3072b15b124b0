// The catalog: opening, settings, shares, contacts, sequences. Contents are in catalog_content.cpp, tables in
// catalog_schema.cpp.
//
// Threads: every public function holds the gate from its first statement to its last.
#include "storage/catalog.hpp"

#include <algorithm>

#include "dht/base/check.hpp"
#include "dht/base/crypto.hpp"
#include "storage/catalog_schema.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {

using sqlite::Durability;
using sqlite::Query;
using sqlite::Transaction;

namespace {

// A checkpoint syncs the log and the file: every 2,000 pages (8 MiB of log), so that it is rare beside
// commits and the log is read back in milliseconds.
constexpr const char* connection_pragmas =
    "PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=2000; PRAGMA journal_size_limit=16777216;"
    "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096";

// What a routing table of 256-bit keys can hold with room to spare.
constexpr std::size_t max_contacts = 4096;

}  // namespace

ShareKey share_key(std::span<const std::string> paths, std::string_view name, ShareKind kind) {
  Bytes spelled;
  spelled.push_back(kind == ShareKind::sealed ? 1 : 0);
  append_be<std::uint64_t>(spelled, name.size());
  append(spelled, as_bytes(name));
  for (const std::string& path : paths) {
    append_be<std::uint64_t>(spelled, path.size());
    append(spelled, as_bytes(path));
  }
  return crypto::blake2b<32>(spelled, as_bytes("shoal share key"));
}

Catalog::Catalog(std::unique_ptr<sqlite::Database> database, Gate* gate)
    : gate_(gate != nullptr ? *gate : no_gate_), database_(std::move(database)) {}

Catalog::~Catalog() = default;

Result<std::unique_ptr<Catalog>> Catalog::open(const Options& options) {
  auto database = sqlite::Database::open(options.path, options.vfs, options.busy_ms);
  if (!database) return std::unexpected(database.error());
  // Before the first access: a virtual file has no shared memory, and WAL without it needs this mode.
  if (!options.vfs.empty()) {
    if (auto done = (*database)->execute("PRAGMA locking_mode=EXCLUSIVE"); !done)
      return std::unexpected(done.error());
  }
  if (auto done = (*database)->execute(connection_pragmas); !done) return std::unexpected(done.error());
  if (auto done = prepare_schema(**database); !done) return std::unexpected(done.error());
  return std::unique_ptr<Catalog>{new Catalog{std::move(*database), options.gate}};
}

Catalog::Snapshot::Snapshot(Catalog& catalog) : catalog_(catalog) {
  GateHold hold{catalog_.gate_};
  reading_ = std::make_unique<Transaction>(*catalog_.database_);
}

Catalog::Snapshot::~Snapshot() {
  GateHold hold{catalog_.gate_};
  reading_.reset();
}

Result<std::optional<Bytes>> Catalog::value(std::string_view name) {
  GateHold hold{gate_};
  Query query{*database_, "SELECT value FROM settings WHERE name=?", name};
  if (query.next()) return to_vector(query.blob(0));
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return std::nullopt;
}

Result<void> Catalog::save_value(std::string_view name, ByteView value) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  Query query{*database_, "INSERT OR REPLACE INTO settings(name, value) VALUES(?, ?)", name, value};
  if (auto done = query.run(); !done) return done;
  return transaction.commit();
}

// One setting of 34 bytes, so that seed and port change together.
Result<std::optional<Identity>> Catalog::identity() {
  const auto kept = value("identity");
  if (!kept) return std::unexpected(kept.error());
  if (!*kept) return std::nullopt;
  const Bytes& raw = **kept;
  if (raw.size() != 34) return fail(Code::malformed, "the identity in the catalog has 34 bytes");
  return Identity{to_array<32>(raw), load_be<std::uint16_t>(raw.data() + 32)};
}

Result<void> Catalog::save_identity(const Identity& identity) {
  Bytes raw = to_vector(identity.seed);
  append_be(raw, identity.port);
  auto done = save_value("identity", raw);
  crypto::wipe(raw);
  return done;
}

Result<void> Catalog::save_sequences(std::span<const std::pair<ContentId, std::uint64_t>> sequences) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  for (const auto& [id, sequence] : sequences) {
    Query query{*database_,
                "INSERT INTO sequences(id, sequence) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET "
                "sequence=max(sequence, excluded.sequence)",
                id, sequence};
    if (auto done = query.run(); !done) return done;
  }
  return transaction.commit();
}

Result<std::uint64_t> Catalog::sequence(const ContentId& id) {
  GateHold hold{gate_};
  Query query{*database_, "SELECT sequence FROM sequences WHERE id=?", id};
  if (query.next()) return static_cast<std::uint64_t>(query.integer(0));
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return 0;
}

Result<std::optional<ShareRecord>> Catalog::share(const ShareKey& key) {
  GateHold hold{gate_};
  Query query{
      *database_,
      "SELECT shares.salt, contents.id FROM shares LEFT JOIN contents ON contents.number=shares.content "
      "WHERE shares.key=?",
      key};
  if (!query.next()) {
    if (auto done = query.outcome(); !done) return std::unexpected(done.error());
    return std::nullopt;
  }
  if (query.blob(0).size() != 32 || (!query.is_null(1) && query.blob(1).size() != 32))
    return fail(Code::malformed, "a share in the catalog has a salt and an id of 32 bytes");
  ShareRecord out;
  out.salt = to_array<32>(query.blob(0));
  if (!query.is_null(1)) out.content = to_array<32>(query.blob(1));
  return out;
}

Result<void> Catalog::store_share(const ShareKey& key, const ByteArray<32>& salt,
                                  const ContentRecord& record) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  if (auto done = write_content(record); !done) return done;
  std::int64_t before = 0;
  {
    Query query{*database_, "SELECT content FROM shares WHERE key=?", key};
    if (query.next()) before = query.integer(0);  // NULL reads as 0, which numbers nothing
    if (auto done = query.outcome(); !done) return done;
  }
  Query write{
      *database_,
      "INSERT INTO shares(key, salt, content) VALUES(?1, ?2, (SELECT number FROM contents WHERE id=?3)) "
      "ON CONFLICT(key) DO UPDATE SET salt=excluded.salt, content=excluded.content",
      key, salt, record.content->id};
  if (auto done = write.run(); !done) return done;
  Query sweep{*database_,
              "DELETE FROM contents WHERE number=?1 AND role=?2 AND "
              "NOT EXISTS(SELECT 1 FROM shares WHERE content=?1)",
              before, static_cast<int>(ContentRole::share)};
  if (auto done = sweep.run(); !done) return done;
  return transaction.commit();
}

Result<std::vector<StoredContact>> Catalog::contacts(std::string_view overlay) {
  GateHold hold{gate_};
  std::vector<StoredContact> out;
  Query query{*database_, "SELECT endpoint, last_seen_ms FROM contacts WHERE overlay=? ORDER BY position",
              overlay};
  while (query.next()) out.push_back({to_vector(query.blob(0)), query.integer(1)});
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return out;
}

Result<void> Catalog::save_contacts(std::string_view overlay, std::span<const StoredContact> contacts) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::relaxed};
  if (!transaction.begun()) return transaction.begun();
  if (auto done = Query{*database_, "DELETE FROM contacts WHERE overlay=?", overlay}.run(); !done)
    return done;
  const std::size_t count = std::min(contacts.size(), max_contacts);
  for (std::size_t i = 0; i < count; ++i) {
    const StoredContact& contact = contacts[i];
    Query query{*database_,
                "INSERT INTO contacts(overlay, position, endpoint, last_seen_ms) VALUES(?, ?, ?, ?)",
                overlay,
                std::uint64_t{i},
                contact.endpoint,
                contact.last_seen_ms};
    if (auto done = query.run(); !done) return done;
  }
  return transaction.commit();
}

}  // namespace shoal::storage
