// The catalog: contents, their files, layers, have-bits and touched marks (catalog.hpp).
//
// A stored number that makes no sense (a page of the wrong size, a file beyond the count) is Code::malformed:
// nothing is guessed, because a false have-bit would serve wrong bytes.
#include <algorithm>
#include <numeric>

#include "dht/base/check.hpp"
#include "storage/catalog.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {

using sqlite::Durability;
using sqlite::Query;
using sqlite::Transaction;

namespace {

constexpr std::uint32_t page_bytes = 1024;  // see catalog_schema.cpp
constexpr std::uint32_t page_pieces = page_bytes * 8;
// Bounds of what is believed of a row before memory is taken for it (metainfo.hpp has the same).
constexpr std::int64_t most_pieces = std::int64_t{1} << 21;
constexpr std::int64_t most_files = 1'000'000;

constexpr Error bad_row{Code::malformed, "a content in the catalog is damaged"};

std::uint32_t bytes_of_page(std::uint32_t page, std::uint32_t pieces) {
  return std::min(page_bytes, (pieces + 7) / 8 - page * page_bytes);
}

}  // namespace

bool FoundContent::has_disk_paths() const {
  return std::any_of(files.begin(), files.end(),
                     [](const FileRecord& file) { return !file.disk_path.empty(); });
}

std::vector<std::string> FoundContent::disk_paths() const {
  std::vector<std::string> out;
  if (!has_disk_paths()) return out;
  out.reserve(files.size());
  for (const FileRecord& file : files) out.push_back(file.disk_path);
  return out;
}

std::vector<FileStamp> FoundContent::stamps() const {
  std::vector<FileStamp> out;
  out.reserve(files.size());
  for (const FileRecord& file : files)
    out.push_back(file.progress == FileRecord::Progress::finished ? file.stamp : FileStamp{});
  return out;
}

Result<std::optional<std::int64_t>> Catalog::number_of(const ContentId& id) {
  Query query{*database_, "SELECT number FROM contents WHERE id=?", id};
  if (query.next()) return query.integer(0);
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return std::nullopt;
}

Result<std::vector<ContentId>> Catalog::contents() {
  GateHold hold{gate_};
  std::vector<ContentId> out;
  Query query{*database_, "SELECT id FROM contents ORDER BY number"};
  while (query.next()) {
    if (query.blob(0).size() != 32) return std::unexpected(bad_row);
    out.push_back(to_array<32>(query.blob(0)));
  }
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return out;
}

Result<Bitfield> Catalog::read_have(std::int64_t number, std::uint32_t pieces) {
  Bytes raw((std::size_t{pieces} + 7) / 8, 0);
  const std::int64_t pages = (std::int64_t{pieces} + page_pieces - 1) / page_pieces;
  Query query{*database_, "SELECT page, bits FROM have WHERE content=?", number};
  while (query.next()) {
    const std::int64_t page = query.integer(0);
    const ByteView bits = query.blob(1);
    if (page < 0 || page >= pages) return std::unexpected(bad_row);
    if (bits.size() != bytes_of_page(static_cast<std::uint32_t>(page), pieces))
      return std::unexpected(bad_row);
    std::copy(bits.begin(), bits.end(), raw.begin() + page * page_bytes);
  }
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  auto have = Bitfield::from_bytes(raw, pieces);
  if (!have) return std::unexpected(bad_row);
  return have;
}

// Sets the bits of `changed` to `value` (0 or 1). Pieces of one page may stand anywhere; each page is read
// and written once.
Result<void> Catalog::write_have(std::int64_t number, std::uint32_t pieces,
                                 std::span<const std::uint32_t> changed, std::uint8_t value) {
  std::vector<std::uint32_t> sorted{changed.begin(), changed.end()};
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t at = 0; at < sorted.size();) {
    SHOAL_CHECK(sorted.back() < pieces);
    const std::uint32_t page = sorted[at] / page_pieces;
    Bytes bits(bytes_of_page(page, pieces), 0);
    {
      Query read{*database_, "SELECT bits FROM have WHERE content=? AND page=?", number, page};
      if (read.next()) {
        if (read.blob(0).size() != bits.size()) return std::unexpected(bad_row);
        std::copy(read.blob(0).begin(), read.blob(0).end(), bits.begin());
      }
      if (auto done = read.outcome(); !done) return done;
    }
    for (; at < sorted.size() && sorted[at] / page_pieces == page; ++at) {
      const std::uint32_t bit = sorted[at] % page_pieces;
      const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
      std::uint8_t& byte = bits[bit / 8];
      byte = static_cast<std::uint8_t>(value != 0 ? byte | mask : byte & ~mask);
    }
    Query write{
        *database_,
        "INSERT INTO have(content, page, bits) VALUES(?, ?, ?) ON CONFLICT(content, page) DO UPDATE SET "
        "bits=excluded.bits",
        number, page, bits};
    if (auto done = write.run(); !done) return done;
  }
  return {};
}

Result<ContentId> Catalog::kept_as(const ContentId& id) {
  constexpr std::size_t short_bytes = Sha1{}.size();
  const ByteView rest = ByteView{id}.subspan(short_bytes);
  if (std::ranges::any_of(rest, [](std::uint8_t byte) { return byte != 0; })) return id;
  GateHold hold{gate_};
  Query query{*database_,
              "SELECT id FROM contents WHERE id=?1 OR v1=?2 OR substr(id, 1, 20)=?2 ORDER BY id=?1 DESC", id,
              ByteView{id}.first(short_bytes)};
  if (!query.next()) {
    if (auto done = query.outcome(); !done) return std::unexpected(done.error());
    return id;
  }
  const ByteView found = query.blob(0);
  if (found.size() != id.size()) return std::unexpected(bad_row);
  return to_array<32>(found);
}

Result<std::optional<FoundContent>> Catalog::find(const ContentId& id) {
  GateHold hold{gate_};
  FoundContent out;
  std::int64_t number = 0, pieces = 0, files = 0;
  {
    Query query{*database_, "SELECT number, role, pieces, files, folder, root_name FROM contents WHERE id=?",
                id};
    if (!query.next()) {
      if (auto done = query.outcome(); !done) return std::unexpected(done.error());
      return std::nullopt;
    }
    number = query.integer(0);
    out.role =
        query.integer(1) == static_cast<int>(ContentRole::share) ? ContentRole::share : ContentRole::download;
    pieces = query.integer(2);
    files = query.integer(3);
    out.folder = query.text(4);
    out.root_name = query.text(5);
  }
  if (pieces < 0 || pieces > most_pieces || files < 0 || files > most_files) return std::unexpected(bad_row);
  auto have = read_have(number, static_cast<std::uint32_t>(pieces));
  if (!have) return std::unexpected(have.error());
  out.have = std::move(*have);
  {
    Query query{*database_, "SELECT piece FROM touched WHERE content=? ORDER BY piece", number};
    while (query.next()) {
      if (query.integer(0) < 0 || query.integer(0) >= pieces) return std::unexpected(bad_row);
      out.touched.push_back(static_cast<std::uint32_t>(query.integer(0)));
    }
    if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  }
  out.files.resize(static_cast<std::size_t>(files));
  Query query{*database_,
              "SELECT file, progress, size, mtime_ns, inode, disk_path FROM files WHERE content=?", number};
  while (query.next()) {
    if (query.integer(0) < 0 || query.integer(0) >= files || query.integer(1) < 0 || query.integer(1) > 2)
      return std::unexpected(bad_row);
    FileRecord& file = out.files[static_cast<std::size_t>(query.integer(0))];
    file.progress = static_cast<FileRecord::Progress>(query.integer(1));
    file.stamp = {static_cast<std::uint64_t>(query.integer(2)), query.integer(3),
                  static_cast<std::uint64_t>(query.integer(4))};
    file.disk_path = query.text(5);
  }
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return out;
}

Result<std::optional<StoredContent>> Catalog::load(const ContentId& id) {
  auto found = find(id);
  if (!found) return std::unexpected(found.error());
  const auto sequence_kept = sequence(id);
  if (!sequence_kept) return std::unexpected(sequence_kept.error());
  if (!*found) return std::nullopt;
  GateHold hold{gate_};
  StoredContent out;
  out.role = (*found)->role;
  out.folder = std::move((*found)->folder);
  out.root_name = std::move((*found)->root_name);
  out.have = std::move((*found)->have);
  out.touched = std::move((*found)->touched);
  out.record_sequence = *sequence_kept;
  out.layers.resize((*found)->files.size());
  std::int64_t number = 0;
  {
    Query query{*database_,
                "SELECT number, uploaded, downloaded, info FROM contents JOIN infos ON infos.content=number "
                "WHERE id=?",
                id};
    if (!query.next()) {
      if (auto done = query.outcome(); !done) return std::unexpected(done.error());
      return std::nullopt;  // removed by another process just now
    }
    number = query.integer(0);
    out.uploaded = static_cast<std::uint64_t>(query.integer(1));
    out.downloaded = static_cast<std::uint64_t>(query.integer(2));
    out.info = to_vector(query.blob(3));
  }
  Query query{*database_, "SELECT file, layer FROM layers WHERE content=?", number};
  while (query.next()) {
    if (query.integer(0) < 0 || static_cast<std::size_t>(query.integer(0)) >= out.layers.size())
      return std::unexpected(bad_row);
    out.layers[static_cast<std::size_t>(query.integer(0))] = to_vector(query.blob(1));
  }
  if (auto done = query.outcome(); !done) return std::unexpected(done.error());
  return out;
}

Result<void> Catalog::write_files(std::int64_t number, const ContentRecord& record) {
  const std::size_t count = record.content->files.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t file{i};
    if (i < record.layers.size() && !record.layers[i].empty()) {
      Query query{*database_, "INSERT INTO layers(content, file, layer) VALUES(?, ?, ?)", number, file,
                  record.layers[i]};
      if (auto done = query.run(); !done) return done;
    }
    const bool finished = record.have == ContentRecord::Have::all && i < record.stamps.size();
    const std::string_view disk_path =
        i < record.disk_paths.size() ? record.disk_paths[i] : std::string_view{};
    if (!finished && disk_path.empty()) continue;
    const FileStamp stamp = finished ? record.stamps[i] : FileStamp{};
    const auto progress = finished ? FileRecord::Progress::finished : FileRecord::Progress::open;
    Query query{*database_,
                "INSERT INTO files(content, file, progress, size, mtime_ns, inode, disk_path) "
                "VALUES(?, ?, ?, ?, ?, ?, ?)",
                number,
                file,
                static_cast<int>(progress),
                stamp.size,
                stamp.mtime_ns,
                stamp.inode,
                disk_path};
    if (auto done = query.run(); !done) return done;
  }
  return {};
}

Result<void> Catalog::write_content(const ContentRecord& record) {
  const Content& content = *record.content;
  Query head{*database_,
             "INSERT INTO contents(id, role, pieces, files, folder, root_name, v1) "
             "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) "
             "ON CONFLICT(id) DO UPDATE SET role=?2, pieces=?3, files=?4, folder=?5, root_name=?6, v1=?7",
             content.id,
             static_cast<int>(record.role),
             content.pieces,
             std::uint64_t{content.files.size()},
             record.folder,
             record.root_name,
             content.v1 ? ByteView{*content.v1} : ByteView{}};
  if (auto done = head.run(); !done) return done;
  const auto number = number_of(content.id);
  if (!number) return std::unexpected(number.error());
  SHOAL_CHECK(number->has_value());
  for (const char* sql : {"DELETE FROM layers WHERE content=?", "DELETE FROM files WHERE content=?",
                          "DELETE FROM have WHERE content=?", "DELETE FROM touched WHERE content=?"}) {
    if (auto done = Query{*database_, sql, **number}.run(); !done) return done;
  }
  Query info{*database_, "INSERT OR REPLACE INTO infos(content, info) VALUES(?, ?)", **number, content.info};
  if (auto done = info.run(); !done) return done;
  if (auto done = write_files(**number, record); !done) return done;
  if (record.have == ContentRecord::Have::none) return {};
  std::vector<std::uint32_t> all(content.pieces);
  std::iota(all.begin(), all.end(), 0U);
  return write_have(**number, content.pieces, all, 1);
}

Result<void> Catalog::store(const ContentRecord& record) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  if (auto done = write_content(record); !done) return done;
  return transaction.commit();
}

Result<void> Catalog::remove(const ContentId& id) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  if (auto done = Query{*database_, "DELETE FROM contents WHERE id=?", id}.run(); !done) return done;
  return transaction.commit();
}

Result<void> Catalog::save_layers(const ContentId& id,
                                  std::span<const std::pair<std::uint32_t, Bytes>> layers) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::relaxed};
  if (!transaction.begun()) return transaction.begun();
  for (const auto& [file, layer] : layers) {
    Query query{
        *database_,
        "INSERT OR IGNORE INTO layers(content, file, layer) SELECT number, ?2, ?3 FROM contents WHERE id=?1 "
        "AND ?2<files",
        id, file, layer};
    if (auto done = query.run(); !done) return done;
  }
  return transaction.commit();
}

Result<void> Catalog::mark_touched(const ContentId& id, std::span<const std::uint32_t> pieces) {
  if (pieces.empty()) return {};
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::relaxed};
  if (!transaction.begun()) return transaction.begun();
  for (const std::uint32_t piece : pieces) {
    Query query{
        *database_,
        "INSERT OR IGNORE INTO touched(content, piece) SELECT number, ?2 FROM contents WHERE id=?1 AND "
        "?2<pieces",
        id, piece};
    if (auto done = query.run(); !done) return done;
  }
  return transaction.commit();
}

Result<void> Catalog::commit(const Content& content, const CommitRecord& record) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  const auto number = number_of(content.id);
  if (!number) return std::unexpected(number.error());
  if (!*number) return {};
  if (auto done = write_have(**number, content.pieces, record.pieces, 1); !done) return done;
  for (const std::uint32_t piece : record.pieces) {
    Query query{*database_, "DELETE FROM touched WHERE content=? AND piece=?", **number, piece};
    if (auto done = query.run(); !done) return done;
  }
  for (const auto& [file, stamp] : record.finished) {
    Query query{
        *database_,
        "INSERT INTO files(content, file, progress, size, mtime_ns, inode) VALUES(?1, ?2, ?3, ?4, ?5, ?6) "
        "ON CONFLICT(content, file) DO UPDATE SET progress=?3, size=?4, mtime_ns=?5, inode=?6",
        **number,
        file,
        static_cast<int>(FileRecord::Progress::finished),
        stamp.size,
        stamp.mtime_ns,
        stamp.inode};
    if (auto done = query.run(); !done) return done;
  }
  Query totals{
      *database_,
      "UPDATE contents SET uploaded=max(uploaded, ?2), downloaded=max(downloaded, ?3) WHERE number=?1",
      **number, record.uploaded, record.downloaded};
  if (auto done = totals.run(); !done) return done;
  return transaction.commit();
}

Result<void> Catalog::forget(const Content& content, std::span<const ForgottenFile> files) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::durable};
  if (!transaction.begun()) return transaction.begun();
  const auto number = number_of(content.id);
  if (!number) return std::unexpected(number.error());
  if (!*number) return {};
  std::vector<std::uint32_t> lost;
  for (const ForgottenFile& forgotten : files) {
    const ContentFile& file = content.files[forgotten.file];
    for (std::uint32_t i = 0; i < file.pieces; ++i) lost.push_back(file.first_piece + i);
    Query touched{*database_, "DELETE FROM touched WHERE content=?1 AND piece>=?2 AND piece<?3", **number,
                  file.first_piece, file.first_piece + file.pieces};
    if (auto done = touched.run(); !done) return done;
    Query row{
        *database_,
        "INSERT INTO files(content, file, progress) VALUES(?1, ?2, ?3) ON CONFLICT(content, file) DO UPDATE "
        "SET progress=?3, size=0, mtime_ns=0, inode=0",
        **number, forgotten.file, static_cast<int>(forgotten.progress)};
    if (auto done = row.run(); !done) return done;
  }
  if (auto done = write_have(**number, content.pieces, lost, 0); !done) return done;
  return transaction.commit();
}

Result<void> Catalog::save_totals(const ContentId& id, std::uint64_t uploaded, std::uint64_t downloaded) {
  GateHold hold{gate_};
  Transaction transaction{*database_, Durability::relaxed};
  if (!transaction.begun()) return transaction.begun();
  Query query{*database_,
              "UPDATE contents SET uploaded=max(uploaded, ?2), downloaded=max(downloaded, ?3) WHERE id=?1",
              id, uploaded, downloaded};
  if (auto done = query.run(); !done) return done;
  return transaction.commit();
}

}  // namespace shoal::storage
