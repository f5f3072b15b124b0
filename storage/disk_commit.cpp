// Disk: commits (DESIGN 9). The order is the promise: data, folders, one transaction with have-bits and the
// stamps of finished files, new names. After a failure at any point the same commit may be sent again.
//
// The engine has one commit of a content under way at a time.
#include <algorithm>
#include <map>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {

namespace {

// From so many files or folders in a commit on, one sync of the whole file system is cheaper than one of
// each, although it waits for what others wrote as well.
constexpr std::size_t many_files = 32;

// How long a part file is at least that holds its pieces up to `last_piece`, or all.
std::uint64_t length_with(const Content& content, std::uint32_t file, std::uint32_t last_piece, bool whole) {
  const ContentFile& described = content.files[file];
  const std::uint64_t end = (std::uint64_t{last_piece} + 1) * content.piece_length;
  return whole ? described.length : std::min(described.length, end - described.start);
}

}  // namespace

struct Disk::CommitBatch {
  struct Part {  // of one file
    std::vector<std::uint32_t> pieces;
    bool in_place = false;  // a changed file, verified where it is
    bool becomes_whole = false;
    FileStamp stamp;  // of the file, if it becomes whole
  };
  std::vector<std::uint32_t> pieces;  // rising, each once
  std::map<std::uint32_t, Part> files;
  bool everything_synced = false;  // the folders too
};

Done Disk::perform(CommitJob& job, Worker&) {
  const SlotPtr slot = slot_of(job.slot);
  if (!slot) return failed(detached);
  CommitBatch batch;
  batch.pieces = job.pieces;
  std::sort(batch.pieces.begin(), batch.pieces.end());
  batch.pieces.erase(std::unique(batch.pieces.begin(), batch.pieces.end()), batch.pieces.end());
  if (!batch.pieces.empty() && batch.pieces.back() >= slot->content->pieces)
    return failed(Error{Code::malformed, "the piece is not of this content"});

  auto outcome = check_commit(*slot, batch);
  if (outcome) outcome = prepare_files(*slot, batch);
  if (outcome) outcome = sync_data(*slot, batch);
  if (outcome) outcome = sync_folders(*slot, batch);
  if (!outcome) return failed(std::move(outcome.error()));

  std::vector<std::pair<std::uint32_t, FileStamp>> finished;
  for (const auto& [file, part] : batch.files)
    if (part.becomes_whole) finished.emplace_back(file, part.stamp);
  if (auto done = catalog_.commit(*slot->content, {batch.pieces, finished, job.uploaded, job.downloaded});
      !done)
    return failed(done.error());
  {
    GateHold hold{gate_};
    for (const std::uint32_t piece : batch.pieces) {
      if (slot->have.set(piece))
        slot->content->visit_extents(piece, [&](const Extent& in) { --slot->files[in.file].missing; });
      slot->begun.erase(piece);
    }
  }
  if (outcome = give_final_names(*slot, batch); !outcome) return failed(std::move(outcome.error()));
  Committed committed;
  committed.pieces = std::move(job.pieces);
  for (const auto& [file, stamp] : finished) committed.finished_files.push_back(file);
  return committed;
}

Disk::Outcome<void> Disk::check_commit(Slot& slot, CommitBatch& batch) {
  for (const std::uint32_t piece : batch.pieces)
    slot.content->visit_extents(piece,
                                [&](const Extent& in) { batch.files[in.file].pieces.push_back(piece); });
  for (auto& [file, part] : batch.files) {
    if (auto told = settle_forgotten(slot, file); !told) return std::unexpected(Fault{told.error(), {}});
    GateHold hold{gate_};
    const DiskFile& state = slot.files[file];
    const Recheck* recheck = slot.recheck(file);
    part.in_place = state.place == DiskFile::Place::final;
    std::uint32_t news = 0;
    for (const std::uint32_t piece : part.pieces) {
      if (slot.lost.contains(piece))
        return std::unexpected(
            slot.fault({Code::mismatch, "a sync failed: the piece must be hashed again"}, file));
      const std::uint32_t in_file = piece - slot.content->files[file].first_piece;
      if (state.changed && (recheck == nullptr || !recheck->hashed.test(in_file)))
        return std::unexpected(
            slot.fault({Code::mismatch, "the file changed: the piece must be hashed again"}, file));
      news += slot.have.test(piece) ? 0 : 1;
    }
    part.becomes_whole = state.missing == news && !state.finished;
  }
  return {};
}

// What is done to the files themselves before they are synced, and their stamps.
Disk::Outcome<void> Disk::prepare_files(Slot& slot, CommitBatch& batch) {
  for (auto& [file, part] : batch.files) {
    const ContentFile& described = slot.content->files[file];
    auto lease = acquire(slot, file, Access::read);
    if (!lease) return std::unexpected(std::move(lease.error()));
    File& open = lease->file();
    auto stamp = open.stamp();
    // Whoever has cut it took what was verified; the next attach sees which pieces are left.
    if (stamp && !part.in_place &&
        stamp->size < length_with(*slot.content, file, part.pieces.back(), part.becomes_whole))
      return std::unexpected(Fault{{Code::not_found, "what was written into a part file is gone", 0},
                                   slot.full_path(slot.parts[file])});
    if (stamp && part.becomes_whole && !part.in_place) {
      if (stamp->size > described.length) {
        if (auto sized = open.resize(described.length); !sized)
          return std::unexpected(slot.fault(sized.error(), file));
      }
      if (described.kind == FileKind::executable) {
        if (auto set = open.set_executable(); !set) return std::unexpected(slot.fault(set.error(), file));
      }
      stamp = open.stamp();
    }
    if (!stamp) return std::unexpected(slot.fault(stamp.error(), file));
    part.stamp = *stamp;
    if (!part.in_place) continue;
    const FileStamp& expected = lease->recheck ? *lease->recheck : lease->state.stamp;
    if (*stamp != expected) return std::unexpected(file_changed(slot, file, expected));
  }
  return {};
}

// Many small files at once: a sync of each would cost a flush of the disk's cache each. Where the one sync
// for all fails, those of each tell whose bytes are lost.
Disk::Outcome<void> Disk::sync_data(Slot& slot, CommitBatch& batch) {
  if (batch.files.size() > many_files)
    batch.everything_synced = slot.folder->sync_everything().value_or(false);
  if (batch.everything_synced) return {};
  for (const auto& [file, part] : batch.files) {
    auto lease = acquire(slot, file, Access::read);
    if (!lease) return std::unexpected(std::move(lease.error()));
    if (auto done = lease->file().sync(); !done) {
      sync_failed(slot, batch, file);
      return std::unexpected(slot.fault(done.error(), file));
    }
  }
  return {};
}

// What was written and not committed may be gone. It is read back from the disk before it counts again.
void Disk::sync_failed(Slot& slot, const CommitBatch& batch, std::uint32_t file) {
  const ContentFile& described = slot.content->files[file];
  GateHold hold{gate_};
  const auto first = slot.begun.lower_bound(described.first_piece);
  const auto last = slot.begun.lower_bound(described.first_piece + described.pieces);
  slot.lost.insert(first, last);
  const std::vector<std::uint32_t>& pieces = batch.files.at(file).pieces;
  slot.lost.insert(pieces.begin(), pieces.end());
  ++slot.files[file].failed_syncs;
}

// The folders from each part file up to the root, unless they are synced since something was made in them. A
// folder is noted before it is synced: what is made in it meanwhile takes the note away again.
Disk::Outcome<void> Disk::sync_folders(Slot& slot, const CommitBatch& batch) {
  if (batch.everything_synced) return {};
  for (const auto& [file, part] : batch.files) {
    if (slot.mode == AttachJob::Mode::serve || part.in_place) continue;
    for (std::string folder = folder_of(slot.path_of(file));; folder = folder_of(folder)) {
      bool known = false;
      {
        GateHold hold{gate_};
        known = !slot.synced_folders.insert(folder).second;
      }
      if (!known) {
        if (auto done = slot.folder->sync_folder(folder); !done) {
          GateHold hold{gate_};
          slot.synced_folders.erase(folder);
          return std::unexpected(Fault{done.error(), slot.full_path(folder)});
        }
      }
      if (folder.empty()) break;
    }
  }
  return {};
}

Disk::Outcome<void> Disk::give_final_names(Slot& slot, CommitBatch& batch) {
  std::set<std::string> folders;
  for (const auto& [file, part] : batch.files) {
    if (!part.becomes_whole) continue;
    const std::string path = slot.path_of(file);
    {
      GateHold hold{gate_};
      DiskFile& state = slot.files[file];
      if (state.place == DiskFile::Place::part) {
        if (auto moved = slot.folder->rename(slot.parts[file], path); !moved)
          return std::unexpected(slot.fault(moved.error(), file));
        state.place = DiskFile::Place::final;
        folders.insert(folder_of(path));
      }
      state.finished = true;
      state.changed = false;
      state.stamp = part.stamp;
      if (!slot.rechecks.empty()) slot.rechecks[file].reset();
    }
    // Is what bears the name now what we synced and verified?
    if (part.in_place) continue;
    const auto entry = slot.folder->stat(path);
    if (!entry) return std::unexpected(slot.fault(entry.error(), file));
    if (entry->stamp != part.stamp) return std::unexpected(file_changed(slot, file, part.stamp));
  }
  if (folders.size() > many_files && slot.folder->sync_everything().value_or(false)) return {};
  for (const std::string& folder : folders) {
    if (auto done = slot.folder->sync_folder(folder); !done)
      return std::unexpected(Fault{done.error(), slot.full_path(folder)});
  }
  return {};
}

}  // namespace shoal::storage
