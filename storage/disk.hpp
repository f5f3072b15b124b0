// Disk: runs disk jobs (job.hpp) against a file system and the catalog. Plain code: no thread of its own; it
// may be entered by several at once, and the gate guards what they share. The pool's workers and the
// simulator call the same functions.
//
// Invariants (DESIGN 9):
// - A have-bit reaches the catalog only after the piece's bytes are synced and the folders that lead to the
//   file are. A file bears its final name only after all its have-bits are committed.
// - A crash between any two steps loses nothing: a whole file still named .part is renamed at the next
//   attach, a renamed file is known by its stamp, which is committed together with its last have-bits.
// - A file that was finished is read only while its stamp is the one verified. Otherwise: Code::mismatch, its
//   have-bits are gone, and every piece must be hashed (HashJob) and committed (CommitJob) again.
// - Nothing that was not made here is overwritten, and no symbolic link is followed.
// - After a failed sync the pieces begun in that file cannot be committed until they are hashed again from
// the
//   disk: Code::mismatch until then.
//
// What the engine should know of failures: Code::mismatch of a read, hash or write job means that the file
// `path` changed under us: treat the file as FileState::changed, that is: hash all of its pieces. A failed
// commit may be sent again as it was (it is idempotent); after Code::io or Code::mismatch hash its pieces
// first. Code::not_found of a commit: bytes that were written are gone with the file, or with its end.
// Code::cancelled: the slot is not attached (any more).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dht/base/hash.hpp"
#include "dht/base/sha1_lanes.hpp"
#include "storage/block_buffer.hpp"
#include "storage/catalog.hpp"
#include "storage/gate.hpp"
#include "storage/job.hpp"
#include "storage/locks.hpp"
#include "storage/open_files.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

struct Slot;  // disk_slot.hpp: one attached content

class Disk {
 public:
  struct Options {
    // Descriptors kept open over all contents, least recently used closed first: far below the usual limit
    // of 1,024 a process, so that sockets have room, and enough for what a swarm touches within a second.
    std::size_t open_files = 128;
    Locks* locks = nullptr;  // none: no other process can have this state
  };
  // A part of a block to be written, as it goes to one file.
  struct WritePart {
    std::size_t item = 0;  // of the batch
    std::uint32_t file = 0;
    std::uint64_t offset = 0;  // in the file
    ByteView bytes;
  };
  // A part of a block to be read, as it lies in one file.
  struct ReadPart {
    std::size_t item = 0;  // of the batch
    std::uint32_t file = 0;
    std::uint64_t offset = 0;  // in the file
    MutableBytes into;
  };
  // What a worker keeps for itself between jobs. One a thread.
  struct Worker {
    BlockHasher hasher;
    Sha1Stream stream;
    Sha1Lanes lanes;
    std::unique_ptr<BlockBuffer[]> blocks;  // max_batch, once something was hashed
    std::vector<WritePart> parts;
    std::vector<ReadPart> reads;
  };
  // Jobs of a kind that run_batch takes at once: as many as the multi-buffer hashers have lanes.
  static constexpr std::size_t max_batch = 16;

  // All must outlive it. `gate` guards this object alone; the catalog has its own.
  Disk(Vfs& vfs, Catalog& catalog, Gate& gate, const Options& options);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Runs one job to its end; a failure is in the result.
  [[nodiscard]] Done run(Job job, Worker& worker);
  // done[i] is what came of jobs[i]; the spans have the same size. Blocks to write, and pieces of which only
  // the row is wanted, are hashed together, at most max_batch at once, and neighbours on the disk are read
  // and written in one call.
  void run_batch(std::span<Job> jobs, std::span<Done> done, Worker& worker);
  // Does at once what needs no waiting: a read of bytes that are in memory, from a file that is open. For a
  // thread that must not wait for a disk. nullopt: run it elsewhere, it is as it was.
  [[nodiscard]] std::optional<Done> run_now(Job& job);

 private:
  using SlotPtr = std::shared_ptr<Slot>;
  using FilePtr = std::shared_ptr<OpenFile>;
  enum class Access : std::uint8_t { read, write };
  using Fault = PathError;
  template <class T>
  using Outcome = PathResult<T>;

  struct Lease;  // an open file, and what was known of it at that instant
  [[nodiscard]] SlotPtr slot_of(std::uint32_t slot);
  [[nodiscard]] Outcome<void> hold_lock(const ContentId& id);
  void release_lock(const ContentId& id);
  [[nodiscard]] bool attached(const ContentId& id);

  [[nodiscard]] Done perform(LoadJob& job, Worker& worker);
  [[nodiscard]] Done perform(AttachJob& job, Worker& worker);
  [[nodiscard]] Done perform(SaveLayersJob& job, Worker& worker);
  [[nodiscard]] Done perform(HashJob& job, Worker& worker);
  [[nodiscard]] Done perform(CommitJob& job, Worker& worker);
  [[nodiscard]] Done perform(DetachJob& job, Worker& worker);
  [[nodiscard]] Done perform(SaveContactsJob& job, Worker& worker);
  [[nodiscard]] Done perform(SaveSequencesJob& job, Worker& worker);

  // disk_files.cpp: from an index to an open file
  [[nodiscard]] Outcome<Lease> acquire(Slot& slot, std::uint32_t file, Access access);
  [[nodiscard]] Outcome<FilePtr> create_part(Slot& slot, std::uint32_t file);
  [[nodiscard]] Outcome<void> back_to_part(Slot& slot, std::uint32_t file);
  [[nodiscard]] Result<std::unique_ptr<File>> open_file(Slot& slot, const std::string& path, OpenMode mode);
  [[nodiscard]] Fault file_changed(Slot& slot, std::uint32_t file, const FileStamp& expected);
  [[nodiscard]] Result<void> settle_forgotten(Slot& slot, std::uint32_t file);

  // disk_read.cpp, disk_write.cpp: blocks
  struct ReadItem;
  void read_blocks(std::span<Job> jobs, std::span<Done> done, Worker& worker);
  [[nodiscard]] bool prepare_read(ReadItem& item, std::size_t index, std::vector<ReadPart>& parts);
  [[nodiscard]] Outcome<void> read_run(std::span<ReadItem> items, std::span<const ReadPart> run);
  struct WriteBatch;
  void write_blocks(std::span<Job> jobs, std::span<Done> done, Worker& worker);
  void check_writes(WriteBatch& batch);
  static void mark_blocks(WriteBatch& batch, Worker& worker);
  void mark_first_writes(WriteBatch& batch);
  void write_runs(WriteBatch& batch, std::vector<WritePart>& parts);
  [[nodiscard]] bool keeps(Slot& slot, std::uint32_t file);
  // disk_hash.cpp: pieces as they lie there
  struct PieceFile;
  using PieceFiles = std::vector<PieceFile>;
  [[nodiscard]] Outcome<PieceFiles> open_piece(Slot& slot, std::uint32_t piece);
  [[nodiscard]] Outcome<std::uint32_t> read_piece(Slot& slot, std::uint32_t piece, std::uint32_t begin,
                                                  MutableBytes into);
  [[nodiscard]] Outcome<HashDone> hash_piece(Slot& slot, std::uint32_t piece, Worker& worker);
  class RowBatch;
  void hash_rows(std::span<Job> jobs, std::span<Done> done, Worker& worker);
  [[nodiscard]] Done settled(Slot& slot, const PieceFiles& files, HashDone&& hashed);
  [[nodiscard]] Outcome<void> settle_hashed(Slot& slot, std::uint32_t piece, const PieceFiles& files);
  [[nodiscard]] std::optional<FileStamp> note_hashed(Slot& slot, std::uint32_t piece, std::uint32_t file,
                                                     const FileStamp& stamp);

  // disk_attach.cpp
  struct Findings;
  [[nodiscard]] Outcome<void> recall(Findings& at, Slot& slot, const AttachJob& job);
  [[nodiscard]] Outcome<bool> choose_names(Slot& slot, const FoundContent* row);
  [[nodiscard]] Outcome<void> survey(Findings& at, Slot& slot, const AttachJob& job);
  [[nodiscard]] Outcome<void> survey_file(Findings& at, Slot& slot, const AttachJob& job, std::uint32_t file);
  [[nodiscard]] Outcome<void> settle_catalog(Findings& at, Slot& slot, const AttachJob& job);
  [[nodiscard]] Outcome<void> populate(Findings& at, Slot& slot, const AttachJob& job);

  // disk_commit.cpp
  struct CommitBatch;
  [[nodiscard]] Outcome<void> check_commit(Slot& slot, CommitBatch& batch);
  [[nodiscard]] Outcome<void> prepare_files(Slot& slot, CommitBatch& batch);
  [[nodiscard]] Outcome<void> sync_data(Slot& slot, CommitBatch& batch);
  [[nodiscard]] Outcome<void> sync_folders(Slot& slot, const CommitBatch& batch);
  [[nodiscard]] Outcome<void> give_final_names(Slot& slot, CommitBatch& batch);
  void sync_failed(Slot& slot, const CommitBatch& batch, std::uint32_t file);

  Vfs& vfs_;
  Catalog& catalog_;
  Gate& gate_;
  Options options_;
  // All below, and what is marked so in Slot, only with the gate held.
  std::map<std::uint32_t, SlotPtr> slots_;
  std::map<ContentId, std::unique_ptr<Lock>> locks_;
  OpenFiles open_files_;
  std::uint64_t next_serial_ = 1;
};

}  // namespace shoal::storage
