// Disk jobs: all that the engine asks of disk and catalog, as values, and what comes back. A job is run by
// plain code (disk.hpp) on a worker of the disk pool, or at once in the simulator. Nothing here is a
// callback: the engine finds the meaning of a completion by its id.
//
// Order: jobs are independent unless stated. The engine sends Commit only after the Done of every write it
// covers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/buffer.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

using JobId = std::uint64_t;

// download: fetched by us, may be written. share: the user's own files, never written.
enum class ContentRole : std::uint8_t { download, share };

// What the catalog keeps of one content.
struct StoredContent {
  ContentRole role = ContentRole::download;
  Bytes info;                          // the info dictionary
  std::vector<Bytes> layers;           // per file: its piece layer (32 bytes a piece), or empty
  std::string folder;                  // absolute path under which `name` lies
  std::string root_name;               // name beneath it (the content's own, unless shared from another name)
  Bitfield have;                       // committed pieces
  std::vector<std::uint32_t> touched;  // begun, not committed: to be hashed again
  std::uint64_t uploaded = 0, downloaded = 0;  // payload bytes, over all runs
  std::uint64_t record_sequence = 0;           // the last one published (ms)
};

// ---- jobs
// -----------------------------------------------------------------------------------------------------

// Takes the content's lock (one command at a time) and reads what the catalog has of it, whatever id it is
// named by (Content::is). Done: Loaded.
struct LoadJob {
  ContentId id{};
};
// Makes the content usable under `slot`: opens the folder, and, in download mode, makes folders, links and
// empty files, checks for names in the way and for room. Writes the catalog's row if it is new. Done:
// Attached.
struct AttachJob {
  std::uint32_t slot = 0;
  ContentPtr content;
  std::string folder;
  enum class Mode : std::uint8_t { download, serve } mode = Mode::download;
  std::vector<bool> wanted;   // per file; empty: all
  std::vector<Bytes> layers;  // per file, where known
};
// Piece layers that were fetched and verified. Done: plain.
struct SaveLayersJob {
  std::uint32_t slot = 0;
  std::vector<std::pair<std::uint32_t, Bytes>> layers;  // file, layer
};
// Reads part of a block for a peer; of a hybrid also of the padding behind a file, as v1 has it. Fails with
// Code::mismatch where the file is no longer the one verified. Done: ReadDone.
struct ReadJob {
  std::uint32_t slot = 0, piece = 0, begin = 0, length = 0;
  Buffer into;             // room for length + `lead`
  std::uint32_t lead = 0;  // bytes left free before the data, for a header
};
// Hashes a block and writes it. The first write of a piece marks it touched before. Done: WriteDone.
struct WriteJob {
  std::uint32_t slot = 0;
  storage::BlockRef block;
  Buffer bytes;  // its view() is the block
  enum class First : std::uint8_t { no, yes } first = First::no;
};
// What a block's bytes were when they came: SHA-256 where the content has a v2 part, with v1 alone a
// checksum, which tells a fault of the disk and says nothing against a peer.
using BlockMark = Sha256;
[[nodiscard]] BlockMark mark_of(const Content& content, ByteView block);
// Hashes a piece as it lies on the disk. Done: HashDone.
struct HashJob {
  enum class What : std::uint8_t {
    all,
    row  // SHA-1 alone, of a content that v1 describes; several that follow each other go side by side
  };
  std::uint32_t slot = 0, piece = 0;
  What what = What::all;
};
// Makes written and verified pieces durable: data, then folders, then have-bits. Files of which every piece
// is now committed are renamed to their final name. Done: Committed.
struct CommitJob {
  std::uint32_t slot = 0;
  std::vector<std::uint32_t> pieces;
  std::uint64_t uploaded = 0, downloaded = 0;  // totals to keep
};
// Closes files and releases the content's lock. Done: plain. Of one that was not attached, `id` tells whose
// lock LoadJob took; it fails then with Code::cancelled.
struct DetachJob {
  std::uint32_t slot = 0;
  std::uint64_t uploaded = 0, downloaded = 0;
  ContentId id{};
};
// A saved DHT contact; times are Unix time, so that they mean something after a restart.
struct StoredContact {
  Bytes endpoint;  // compact, 6 or 18 bytes
  std::int64_t last_seen_ms = 0;
};
struct SaveContactsJob {
  std::string overlay;  // which DHT: "native4", "mainline6" ...
  std::vector<StoredContact> contacts;
};
// The sequence numbers of our records must never fall, over restarts. Done: plain.
struct SaveSequencesJob {
  std::vector<std::pair<ContentId, std::uint64_t>> sequences;
};

using Job = std::variant<LoadJob, AttachJob, SaveLayersJob, ReadJob, WriteJob, HashJob, CommitJob, DetachJob,
                         SaveContactsJob, SaveSequencesJob>;

// Whether it is worth while to run it with others of its kind.
[[nodiscard]] bool together(const Job& job);

// ---- completions
// ----------------------------------------------------------------------------------------------

struct Plain {};
struct Loaded {
  std::optional<StoredContent> stored;
  std::uint64_t record_sequence = 0;  // the last one published (ms), known before the metadata may be
};
struct Attached {
  enum class FileState : std::uint8_t { absent, partial, whole, changed };  // changed: hash before serving
  std::vector<FileState> files;
  std::uint64_t free_bytes = 0;  // of the file system; compare with what is missing
  std::uint32_t skipped_links = 0;
  // Where the content lies beneath the folder, for people: other than by its own names where the file system
  // refused those. `disk_paths`: per file; "" (or no element) where root_name/path.
  std::string root_name;
  std::vector<std::string> disk_paths;
};
struct ReadDone {
  Buffer data;  // `lead` unspecified bytes, then the data
};
struct WriteDone {
  BlockRef block;
  BlockMark mark{};  // of the block's bytes
  Buffer spent;      // the job's buffer, for the pool
};
struct HashDone {
  std::uint32_t piece = 0;
  HashJob::What what{};
  std::vector<Sha256> leaves{};  // of `all`: of each block; fewer than the piece has where the file is short
  std::vector<BlockMark> marks{};  // as many; empty where the leaves are the marks
  std::optional<Sha1> v1{};        // of the piece as v1 has it, where the content does and all of it is there
};
struct Committed {
  std::vector<std::uint32_t> pieces;
  std::vector<std::uint32_t> finished_files;
};

using Success = std::variant<Plain, Loaded, Attached, ReadDone, WriteDone, HashDone, Committed>;

// A failed write or read gives its buffer back too, so that the engine may try again.
struct JobFailure {
  Error error;
  std::string path;  // raw bytes; empty where none is concerned
  Buffer spent;
};
using Done = std::expected<Success, JobFailure>;

}  // namespace shoal::storage
