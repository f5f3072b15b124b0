// Catalog: what a peer remembers, in one SQLite file: its identity, contents with their have-bits, what was
// shared from where, DHT contacts. Nothing here reads payload or knows a peer.
//
// Invariants: every function is one transaction. Durable ones survive a power cut once they returned (WAL,
// synchronous FULL); the others (marks, totals, contacts) survive a crash of the process, may be lost in a
// power cut, and never harm the durable ones (synchronous NORMAL; OFF would endanger the file when the log
// starts over). Have-bits are pages of bitmap, so that a commit writes a page and neither a row a block nor
// one blob a content. A file that is not a catalog of ours, or is damaged, is refused and never overwritten.
//
// Several processes may use one file (busy timeout), several threads one object (the gate in Options).
// Errors everywhere: no_space, busy (another process holds it too long), malformed (damaged or foreign),
// unsupported (made by a newer shoal), denied, io.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"
#include "storage/gate.hpp"
#include "storage/job.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

namespace sqlite {
class Database;
class Transaction;
}  // namespace sqlite

struct Identity {
  ByteArray<32> seed{};    // of the node's Ed25519 key
  std::uint16_t port = 0;  // the one listened on last; 0: none yet
};

// What the catalog knows of one file of a content.
struct FileRecord {
  enum class Progress : std::uint8_t {
    open,      // never finished here
    finished,  // whole and verified, `stamp` tells whether it still is that file
    changed,   // was finished, then found altered: to be hashed again, whatever its stamp
  } progress = Progress::open;
  FileStamp stamp;
  std::string disk_path;  // beneath the content's folder, where it differs from what follows from root_name
};

// A content as it is written: replaces what the catalog had of that id, but for its totals and record
// sequence.
struct ContentRecord {
  ContentPtr content;
  ContentRole role = ContentRole::download;
  std::string folder;     // absolute
  std::string root_name;  // beneath it; empty where disk_paths tell all
  enum class Have : std::uint8_t { none, all } have = Have::none;
  std::vector<Bytes> layers;            // per file, or empty
  std::vector<FileStamp> stamps;        // per file, or empty; with Have::all: finished files
  std::vector<std::string> disk_paths;  // per file, or empty
};

// A content as it is read, without the large parts (info and layers; `load` has them).
struct FoundContent {
  ContentRole role = ContentRole::download;
  std::string folder, root_name;
  Bitfield have;
  std::vector<std::uint32_t> touched;  // rising
  std::vector<FileRecord> files;       // one a file of the content
  [[nodiscard]] bool has_disk_paths() const;
  [[nodiscard]] std::vector<std::string> disk_paths() const;  // per file, or empty where none has one
  [[nodiscard]] std::vector<FileStamp> stamps() const;
};

// What paths were shared as. The salt stays, so that unchanged files give the same link again.
struct ShareRecord {
  ByteArray<32> salt{};
  std::optional<ContentId> content;
};
using ShareKey = ByteArray<32>;
enum class ShareKind : std::uint8_t { sealed, open };
// Of absolute paths in the order given, the name asked for (or ""), and whether it is sealed.
[[nodiscard]] ShareKey share_key(std::span<const std::string> paths, std::string_view name, ShareKind kind);

// What a commit makes durable, at once.
struct CommitRecord {
  std::span<const std::uint32_t> pieces;                          // now held; no longer touched
  std::span<const std::pair<std::uint32_t, FileStamp>> finished;  // files, with the stamp verified
  std::uint64_t uploaded = 0, downloaded = 0;                     // totals; they never fall
};
// Files whose bytes are not (any more) what was verified: their have-bits and touched marks go.
struct ForgottenFile {
  std::uint32_t file = 0;
  FileRecord::Progress progress = FileRecord::Progress::open;  // open: it is gone; changed: it is altered
};

class Catalog {
 public:
  struct Options {
    std::string path;  // of the file; with `vfs` the name in that folder
    // Empty: the system's files, shared. Else the name of a SqliteVfs; the file is this object's alone.
    std::string vfs = {};
    Gate* gate = nullptr;  // where several threads use this object
    int busy_ms = 10'000;  // how long to wait for another process
  };
  // Opens, or makes a new one where there is no file or an empty one. Migrates older versions.
  [[nodiscard]] static Result<std::unique_ptr<Catalog>> open(const Options& options);
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  // While one exists, what is read is of one moment, and costs no lock of its own. Nothing may be written
  // meanwhile through the same object; who cannot begin reads one by one, and meets the error there.
  class Snapshot {
   public:
    explicit Snapshot(Catalog& catalog);
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

   private:
    Catalog& catalog_;
    std::unique_ptr<sqlite::Transaction> reading_;
  };

  // ---- identity, and settings of the host by name (durable)
  [[nodiscard]] Result<std::optional<Identity>> identity();
  [[nodiscard]] Result<void> save_identity(const Identity& identity);
  [[nodiscard]] Result<std::optional<Bytes>> value(std::string_view name);
  [[nodiscard]] Result<void> save_value(std::string_view name, ByteView value);

  // ---- contents. A function on a content that is not there does nothing, or gives nullopt.
  [[nodiscard]] Result<std::vector<ContentId>> contents();
  // The id under which a content that `id` names (Content::is) is kept; `id` itself where there is none.
  [[nodiscard]] Result<ContentId> kept_as(const ContentId& id);
  [[nodiscard]] Result<std::optional<StoredContent>> load(const ContentId& id);
  [[nodiscard]] Result<std::optional<FoundContent>> find(const ContentId& id);
  [[nodiscard]] Result<void> store(const ContentRecord& record);  // durable
  [[nodiscard]] Result<void> remove(const ContentId& id);         // durable
  // Layers are verified, so one that is there already is the same, and is not written again.
  [[nodiscard]] Result<void> save_layers(const ContentId& id,
                                         std::span<const std::pair<std::uint32_t, Bytes>> layers);
  [[nodiscard]] Result<void> mark_touched(const ContentId& id, std::span<const std::uint32_t> pieces);
  [[nodiscard]] Result<void> commit(const Content& content, const CommitRecord& record);            // durable
  [[nodiscard]] Result<void> forget(const Content& content, std::span<const ForgottenFile> files);  // durable
  [[nodiscard]] Result<void> save_totals(const ContentId& id, std::uint64_t uploaded,
                                         std::uint64_t downloaded);
  [[nodiscard]] Result<void> save_sequences(
      std::span<const std::pair<ContentId, std::uint64_t>> sequences);  // durable, none falls
  // For contents that are not stored (yet), too: a record may be published before the metadata is known.
  [[nodiscard]] Result<std::uint64_t> sequence(const ContentId& id);

  // ---- shares. store_share writes content and share at once, and removes the content that these paths were
  // before, if it was a share and no other paths name it.
  [[nodiscard]] Result<std::optional<ShareRecord>> share(const ShareKey& key);
  [[nodiscard]] Result<void> store_share(const ShareKey& key, const ByteArray<32>& salt,
                                         const ContentRecord& record);

  // ---- contacts of a DHT overlay; saving replaces them all
  [[nodiscard]] Result<std::vector<StoredContact>> contacts(std::string_view overlay);
  [[nodiscard]] Result<void> save_contacts(std::string_view overlay, std::span<const StoredContact> contacts);

 private:
  Catalog(std::unique_ptr<sqlite::Database> database, Gate* gate);
  [[nodiscard]] Result<void> write_content(const ContentRecord& record);
  [[nodiscard]] Result<void> write_files(std::int64_t number, const ContentRecord& record);
  [[nodiscard]] Result<Bitfield> read_have(std::int64_t number, std::uint32_t pieces);
  [[nodiscard]] Result<void> write_have(std::int64_t number, std::uint32_t pieces,
                                        std::span<const std::uint32_t> changed, std::uint8_t value);
  [[nodiscard]] Result<std::optional<std::int64_t>> number_of(const ContentId& id);

  OpenGate no_gate_;
  Gate& gate_;
  std::unique_ptr<sqlite::Database> database_;
};

}  // namespace shoal::storage
