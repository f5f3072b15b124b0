// Disk: from the index of a file to an open one. Opening happens outside the gate, so two workers may open
// the same file at once: the first to come back wins, the other closes its own. Creating and renaming happen
// inside it: each is short, happens once a file, and must not be seen half done.
#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {
namespace {

// A file may be renamed between our look and our open: once when it is finished, once when it is taken back.
constexpr int acquire_rounds = 4;

}  // namespace

Result<std::unique_ptr<File>> Disk::open_file(Slot& slot, const std::string& path, OpenMode mode) {
  auto opened = slot.folder->open(path, mode);
  if (opened || opened.error().code != Code::busy) return opened;
  std::vector<FilePtr> closed;  // out of descriptors: give back all but a few of ours
  {
    GateHold hold{gate_};
    closed = open_files_.shrink(4);
  }
  closed.clear();
  return slot.folder->open(path, mode);
}

Disk::Outcome<Disk::Lease> Disk::acquire(Slot& slot, std::uint32_t file, Access access) {
  const OpenFiles::Key key{slot.serial, file};
  const auto lease = [&](FilePtr open) {  // with the gate held
    Lease out{std::move(open), slot.files[file], std::nullopt};
    if (const Recheck* recheck = slot.recheck(file)) out.recheck = recheck->stamp;
    return out;
  };
  const auto usable = [&](const FilePtr& open) { return open && (access == Access::read || open->writable); };
  Error error{};
  for (int round = 0; round < acquire_rounds; ++round) {
    DiskFile::Place place{};
    {
      GateHold hold{gate_};
      if (access == Access::write && slot.files[file].place == DiskFile::Place::final) {
        if (auto back = back_to_part(slot, file); !back) return std::unexpected(back.error());
      }
      place = slot.files[file].place;
      if (FilePtr open = open_files_.find(key); usable(open)) return lease(std::move(open));
      if (place == DiskFile::Place::nowhere && access == Access::write) {
        auto created = create_part(slot, file);
        if (!created) return std::unexpected(created.error());
        return lease(std::move(*created));
      }
    }
    if (place == DiskFile::Place::nowhere)
      return std::unexpected(slot.fault({Code::not_found, "the file is not there"}, file));
    const bool part = place == DiskFile::Place::part;
    auto opened = open_file(slot, part ? slot.parts[file] : slot.path_of(file),
                            part ? OpenMode::write : OpenMode::read);
    if (!opened) {
      error = opened.error();
      if (error.code == Code::not_found) continue;
      break;
    }
    auto open = std::make_shared<OpenFile>(OpenFile{std::move(*opened), part});
    std::vector<FilePtr> closed;
    GateHold hold{gate_};
    if (slot.files[file].place != place) continue;
    if (FilePtr other = open_files_.find(key); usable(other)) return lease(std::move(other));
    closed = open_files_.insert(key, open);
    return lease(std::move(open));
  }
  return std::unexpected(slot.fault(error, file));
}

// With the gate held.
Disk::Outcome<Disk::FilePtr> Disk::create_part(Slot& slot, std::uint32_t file) {
  if (slot.mode != AttachJob::Mode::download)
    return std::unexpected(slot.fault({Code::denied, "a shared file is never written"}, file));
  const std::string& path = slot.parts[file];
  auto created = slot.folder->open(path, OpenMode::create);
  if (!created && created.error().code == Code::not_found) {  // its folder was removed meanwhile
    if (auto made = slot.folder->make_folders(folder_of(path)); !made)
      return std::unexpected(slot.fault(made.error(), file));
    slot.synced_folders.clear();
    created = slot.folder->open(path, OpenMode::create);
  }
  if (!created && created.error().code == Code::busy) {
    static_cast<void>(open_files_.shrink(4));
    created = slot.folder->open(path, OpenMode::create);
  }
  if (!created) return std::unexpected(Fault{created.error(), slot.full_path(path)});
  // Tells at once whether the file system takes a file of this size. One of a single block gets it by the
  // write.
  const std::uint64_t length = slot.content->files[file].length;
  const auto sized = length > block_bytes ? (*created)->resize(length) : Result<void>{};
  if (!sized) {
    static_cast<void>(slot.folder->remove(path));
    return std::unexpected(Fault{sized.error(), slot.full_path(path)});
  }
  slot.files[file].place = DiskFile::Place::part;
  slot.synced_folders.erase(folder_of(path));
  auto open = std::make_shared<OpenFile>(OpenFile{std::move(*created), true});
  static_cast<void>(open_files_.insert({slot.serial, file}, open));
  return open;
}

// With the gate held. A finished file that changed, of which some pieces must be fetched again: it is
// unfinished, so it gets the name of one. Only while it still is what its other pieces were verified of.
Disk::Outcome<void> Disk::back_to_part(Slot& slot, std::uint32_t file) {
  DiskFile& state = slot.files[file];
  if (slot.mode != AttachJob::Mode::download || !state.changed)
    return std::unexpected(slot.fault({Code::denied, "a finished or shared file is never written"}, file));
  const std::string path = slot.path_of(file);
  const auto entry = slot.folder->stat(path);
  if (!entry) return std::unexpected(slot.fault(entry.error(), file));
  const Recheck* recheck = slot.recheck(file);
  if (recheck == nullptr || entry->stamp != recheck->stamp)
    return std::unexpected(slot.fault({Code::mismatch, "the file changed while it was verified"}, file));
  if (auto moved = slot.folder->rename(path, slot.parts[file]); !moved)
    return std::unexpected(Fault{moved.error(), slot.full_path(slot.parts[file])});
  state.place = DiskFile::Place::part;
  state.changed = false;
  slot.rechecks[file].reset();
  slot.synced_folders.erase(folder_of(path));
  static_cast<void>(open_files_.remove({slot.serial, file}));  // it was opened for reading alone
  return {};
}

// The file at its final place has not, or no more, the stamp `expected`. Gives the failure that says so. What
// late jobs still find wrong after a verification has begun anew does not stop it.
Disk::Fault Disk::file_changed(Slot& slot, std::uint32_t file, const FileStamp& expected) {
  FilePtr closed;  // outside the gate
  {
    GateHold hold{gate_};
    DiskFile& state = slot.files[file];
    const Recheck* recheck = slot.recheck(file);
    const bool news = state.place == DiskFile::Place::final &&
                      ((state.finished && state.stamp == expected) ||
                       (state.changed && recheck != nullptr && recheck->stamp == expected));
    if (!news) return slot.fault(altered_file, file);
    state.finished = false;
    state.changed = true;
    state.forget_pending = true;
    const ContentFile& described = slot.content->files[file];
    for (std::uint32_t i = 0; i < described.pieces; ++i)
      if (slot.have.reset(described.first_piece + i))
        slot.content->visit_extents(described.first_piece + i,
                                    [&](const Extent& in) { ++slot.files[in.file].missing; });
    if (!slot.rechecks.empty()) slot.rechecks[file].reset();
    closed = open_files_.remove({slot.serial, file});
  }
  // If the catalog cannot be told now, the next commit of this file tells it first; and a restart sees the
  // stamp.
  static_cast<void>(settle_forgotten(slot, file));
  return slot.fault(altered_file, file);
}

Result<void> Disk::settle_forgotten(Slot& slot, std::uint32_t file) {
  {
    GateHold hold{gate_};
    if (!slot.files[file].forget_pending) return {};
  }
  const ForgottenFile forgotten{file, FileRecord::Progress::changed};
  if (auto done = catalog_.forget(*slot.content, {&forgotten, 1}); !done) return done;
  GateHold hold{gate_};
  slot.files[file].forget_pending = false;
  return {};
}

}  // namespace shoal::storage
