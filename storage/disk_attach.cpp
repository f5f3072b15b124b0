// Disk: attaching a content. First everything is looked at and nothing changed (but for the probes of odd
// names, layout.hpp, which come and go); then the catalog is told (durably: from here on what we make is
// known to be ours); then folders, links and empty files are made and complete part files renamed. A crash
// after any step is mended by the next attach.
#include <algorithm>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"
#include "storage/names.hpp"

namespace shoal::storage {

using FileState = Attached::FileState;
using Verdict = FileVerdictAtAttach;

struct Disk::Findings {
  std::optional<FoundContent> known;  // only if it is this content in this folder
  std::vector<FileState> states;
  std::vector<ForgottenFile> forgotten;
  std::vector<std::uint32_t> complete;            // part files to be renamed
  std::vector<std::uint32_t> empty_files, links;  // to be made
  std::set<std::string> folders;                  // to be made
  std::uint32_t skipped_links = 0;
};

namespace {

bool is_wanted(const AttachJob& job, std::uint32_t file) { return job.wanted.empty() || job.wanted[file]; }

// Whether bytes of the file, which has some, come with pieces of wanted ones (v1 alone), so that its part
// file is written.
bool comes_along(const AttachJob& job, std::uint32_t file) {
  const Content& content = *job.content;
  const ContentFile& described = content.files[file];
  if (content.v2) return false;
  bool along = false;
  for (const std::uint32_t piece : {described.first_piece, described.first_piece + described.pieces - 1})
    content.visit_extents(piece, [&](const Extent& in) { along = along || is_wanted(job, in.file); });
  return along;
}

Result<std::optional<Entry>> look(Folder& folder, const std::string& path) {
  auto entry = folder.stat(path);
  if (entry) return std::optional{std::move(*entry)};
  if (entry.error().code == Code::not_found) return std::nullopt;
  return std::unexpected(entry.error());
}

// A fault of the disk, or of the system, and not of what lies there.
bool is_passing(const Error& error) {
  return error.code == Code::io || error.code == Code::busy || error.code == Code::no_space;
}

// Whether the first or last piece of a file holds bytes of others (v1 alone).
bool shares(const Content& content, const ContentFile& file, std::uint32_t piece) {
  const std::uint64_t begin = std::uint64_t{piece} * content.piece_length;
  return !content.v2 &&
         (file.start > begin || file.start + file.length < begin + content.v1_piece_bytes(piece));
}

FileKnown known_of(const Slot& slot, const std::optional<FoundContent>& found, std::uint32_t file) {
  const ContentFile& described = slot.content->files[file];
  FileKnown out;
  out.length = described.length;
  if (!found) return out;
  out.ownership = Ownership::ours;
  out.record = found->files[file];
  // Of a finished file the pieces that it shares say nothing: they may have gone with another file.
  const bool finished = out.record.progress == FileRecord::Progress::finished;
  std::uint32_t count = 0, last = 0, considered = 0;
  for (std::uint32_t i = 0; i < described.pieces; ++i) {
    if (finished && shares(*slot.content, described, described.first_piece + i)) continue;
    ++considered;
    if (!found->have.test(described.first_piece + i)) continue;
    ++count;
    last = i;
  }
  if (count == considered) out.have = HaveBits::all;
  if (count == 0) return out;
  if (count < considered) out.have = HaveBits::some;
  const std::uint64_t end = (std::uint64_t{described.first_piece} + last + 1) * slot.content->piece_length;
  out.needed_size = std::min(described.length, end - described.start);
  return out;
}

Error error_of_verdict(Verdict verdict) {
  if (verdict == Verdict::taken) return {Code::exists, "something else bears that name", 0};
  return {Code::unsafe, "a symbolic link or special file is in the way", 0};
}

FileState state_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::absent:
    case Verdict::gone:
    case Verdict::taken:
    case Verdict::blocked:
      return FileState::absent;
    case Verdict::partial:
      return FileState::partial;
    case Verdict::complete:
    case Verdict::whole:
      return FileState::whole;
    case Verdict::partial_short:
    case Verdict::altered:
      return FileState::changed;
  }
  return FileState::absent;
}

void drop_have(Slot& slot, std::uint32_t file) {
  const ContentFile& described = slot.content->files[file];
  for (std::uint32_t i = 0; i < described.pieces; ++i) slot.have.reset(described.first_piece + i);
}

}  // namespace

Done Disk::perform(AttachJob& job, Worker&) {
  SHOAL_CHECK(job.content != nullptr);
  if (!job.wanted.empty() && job.wanted.size() != job.content->files.size())
    return failed(Error{Code::malformed, "wanted names each file once"});
  if (auto held = hold_lock(job.content->id); !held) return failed(held.error());
  auto slot = std::make_shared<Slot>();
  slot->content = job.content;
  slot->mode = job.mode;
  slot->folder_path = job.folder;
  Findings at;
  auto outcome = recall(at, *slot, job);
  if (outcome) outcome = survey(at, *slot, job);
  if (outcome) outcome = settle_catalog(at, *slot, job);
  if (outcome) outcome = populate(at, *slot, job);
  Attached attached;
  if (outcome) {
    const auto room = slot->folder->free_bytes();
    if (!room) outcome = std::unexpected(Fault{room.error(), job.folder});
    attached.free_bytes = room.value_or(0);
  }
  if (!outcome) {
    slot->folder.reset();
    release_lock(job.content->id);
    return failed(std::move(outcome.error()));
  }
  attached.files = std::move(at.states);
  attached.skipped_links = at.skipped_links;
  attached.root_name = slot->root_name;
  attached.disk_paths = slot->disk_paths;
  GateHold hold{gate_};
  SHOAL_CHECK(!slots_.contains(job.slot));
  slot->serial = next_serial_++;
  slots_[job.slot] = std::move(slot);
  return attached;
}

// Opens the folder and reads what the catalog has of this content in it.
Disk::Outcome<void> Disk::recall(Findings& at, Slot& slot, const AttachJob& job) {
  const Content& content = *job.content;
  const bool download = job.mode == AttachJob::Mode::download;
  auto folder = vfs_.open_folder(job.folder, download ? Vfs::Missing::create : Vfs::Missing::error);
  if (!folder) return std::unexpected(Fault{folder.error(), job.folder});
  slot.folder = std::move(*folder);
  auto found = catalog_.find(content.id);
  if (!found) return std::unexpected(Fault{found.error(), {}});
  slot.root_name = content.name;
  slot.have = Bitfield{content.pieces};
  slot.files.resize(content.files.size());
  const bool here = *found && (*found)->folder == job.folder;
  if (here && ((*found)->have.size() != content.pieces || (*found)->files.size() != content.files.size()))
    return fail_at({}, Code::malformed, "a content in the catalog is damaged");
  if (download) {
    const auto own_names = choose_names(slot, here ? &**found : nullptr);
    if (!own_names) return std::unexpected(own_names.error());
    if (!*own_names) return {};
  }
  if (!here) return {};
  at.known = std::move(*found);
  slot.root_name = at.known->root_name;
  slot.disk_paths = at.known->disk_paths();
  slot.have = at.known->have;
  slot.begun.insert(at.known->touched.begin(), at.known->touched.end());
  return {};
}

// The names of a download, in `slot`: those that it has already, where `row` tells of it; else those that the
// file system takes. True where the row's names are these.
Disk::Outcome<bool> Disk::choose_names(Slot& slot, const FoundContent* row) {
  const Content& content = *slot.content;
  const Substitutes odd = substitutes(content);
  std::optional<NamesTold> told;
  // A share may lie under other names than the content's; a download of it then is another thing.
  if (row != nullptr) told = names_told(content, odd, row->root_name, row->disk_paths());
  NamesTold names = told.value_or(NamesTold{{}, odd});
  if (told && !odd.empty()) {
    // Nothing is there any more: perhaps another disk is, and that one may take other names.
    const Layout before = lay_out(content, told->replaced);
    const auto root = look(*slot.folder, before.root_name);
    const bool part = content.single_file && look(*slot.folder, before.parts.front()).value_or(std::nullopt);
    if (root && !*root && !part) names = NamesTold{{}, odd};
  }
  Oddities asked;
  for (const auto& [name, substitute] : names.open) asked |= oddities(name);
  const auto refused = refused_oddities(*slot.folder, asked);
  if (!refused) return std::unexpected(Fault{refused.error().error, slot.full_path(refused.error().path)});
  for (const auto& [name, substitute] : names.open)
    if ((oddities(name) & *refused).any()) names.replaced.emplace(name, substitute);
  Layout laid = lay_out(content, names.replaced);
  slot.root_name = std::move(laid.root_name);
  slot.disk_paths = std::move(laid.disk_paths);
  slot.empty_folders = std::move(laid.empty_folders);
  slot.parts = std::move(laid.parts);
  slot.replaced = std::move(names.replaced);
  return told && std::ranges::all_of(odd, [&](const auto& entry) {
           return told->open.contains(entry.first) ||
                  told->replaced.contains(entry.first) == slot.replaced.contains(entry.first);
         });
}

Disk::Outcome<void> Disk::survey(Findings& at, Slot& slot, const AttachJob& job) {
  const auto count = static_cast<std::uint32_t>(job.content->files.size());
  at.states.assign(count, FileState::absent);
  for (std::uint32_t file = 0; file < count; ++file) {
    if (auto done = survey_file(at, slot, job, file); !done) return done;
  }
  for (std::uint32_t file = 0; file < count; ++file) {
    const ContentFile& described = job.content->files[file];
    for (std::uint32_t i = 0; i < described.pieces; ++i)
      slot.files[file].missing += slot.have.test(described.first_piece + i) ? 0 : 1;
  }
  if (job.mode == AttachJob::Mode::serve || !job.wanted.empty()) return {};
  at.folders.insert(slot.empty_folders.begin(), slot.empty_folders.end());
  if (!job.content->single_file) at.folders.insert(slot.root_name);
  return {};
}

Disk::Outcome<void> Disk::survey_file(Findings& at, Slot& slot, const AttachJob& job, std::uint32_t file) {
  const ContentFile& described = job.content->files[file];
  const std::string path = slot.path_of(file);
  const bool download = job.mode == AttachJob::Mode::download;
  const bool wanted = download && is_wanted(job, file);
  auto final = look(*slot.folder, path);
  // Of a share what lies there counts as it is found, but a disk that fails at the moment has shown nothing.
  if (!final && (wanted || (!download && is_passing(final.error()))))
    return std::unexpected(slot.fault(final.error(), file));
  const std::optional<Entry> at_name = final ? std::move(*final) : std::nullopt;
  if (wanted) at.folders.insert(folder_of(path));

  if (described.kind == FileKind::symlink || described.length == 0) {
    const bool link = described.kind == FileKind::symlink;
    bool whole = at_name && at_name->kind == (link ? EntryKind::symlink : EntryKind::file);
    if (whole && link) whole = slot.folder->read_symlink(path) == slot.link_of(file);
    if (whole && !link) whole = at_name->stamp.size == 0;
    if (whole) at.states[file] = FileState::whole;
    if (whole || !wanted) return {};
    if (at_name && at_name->kind != EntryKind::file && at_name->kind != EntryKind::folder)
      return std::unexpected(slot.fault(error_of_verdict(Verdict::blocked), file));
    if (at_name) return std::unexpected(slot.fault(error_of_verdict(Verdict::taken), file));
    (link ? at.links : at.empty_files).push_back(file);
    return {};
  }

  const FileKnown known = known_of(slot, at.known, file);
  Verdict verdict = Verdict::absent;
  if (download) {
    auto part = look(*slot.folder, slot.parts[file]);
    if (!part && wanted) return std::unexpected(Fault{part.error(), slot.full_path(slot.parts[file])});
    const std::optional<Entry> at_part = part ? std::move(*part) : std::nullopt;
    verdict = judge_download(known, at_name, at_part);
    const bool occupied = verdict == Verdict::taken || verdict == Verdict::blocked;
    if (occupied && (wanted || comes_along(job, file)))
      return std::unexpected(
          Fault{error_of_verdict(verdict), slot.full_path(at_name ? path : slot.parts[file])});
  } else {
    verdict = judge_share(known, at_name);
  }
  at.states[file] = state_of(verdict);

  DiskFile& state = slot.files[file];
  using Progress = FileRecord::Progress;
  if (verdict == Verdict::whole || verdict == Verdict::altered) state.place = DiskFile::Place::final;
  if (verdict == Verdict::partial || verdict == Verdict::partial_short || verdict == Verdict::complete)
    state.place = DiskFile::Place::part;
  state.finished = verdict == Verdict::whole;
  state.changed = verdict == Verdict::altered;
  if (state.finished) state.stamp = at_name->stamp;
  if (verdict == Verdict::complete) at.complete.push_back(file);
  // A share that is merely away (an unplugged disk) is not forgotten: its stamp tells when it is back.
  if (verdict == Verdict::altered) at.forgotten.push_back({file, Progress::changed});
  if (verdict == Verdict::gone || verdict == Verdict::partial_short)
    at.forgotten.push_back({file, Progress::open});
  if (at.states[file] == FileState::absent || at.states[file] == FileState::changed) drop_have(slot, file);
  return {};
}

Disk::Outcome<void> Disk::settle_catalog(Findings& at, Slot& slot, const AttachJob& job) {
  Result<void> done;
  if (!at.known) {
    ContentRecord record;
    record.content = job.content;
    record.role = job.mode == AttachJob::Mode::download ? ContentRole::download : ContentRole::share;
    record.folder = job.folder;
    record.root_name = slot.root_name;
    record.disk_paths = slot.disk_paths;
    record.layers = job.layers;
    done = catalog_.store(record);
  } else {
    std::vector<std::pair<std::uint32_t, Bytes>> layers;
    for (std::uint32_t file = 0; file < job.layers.size(); ++file)
      if (!job.layers[file].empty()) layers.emplace_back(file, job.layers[file]);
    if (!layers.empty()) done = catalog_.save_layers(job.content->id, layers);
  }
  // What a foreign row said of altered files is gone with it; their state must be known all the same.
  if (done && !at.forgotten.empty()) done = catalog_.forget(*job.content, at.forgotten);
  if (!done) return std::unexpected(Fault{done.error(), {}});
  return {};
}

Disk::Outcome<void> Disk::populate(Findings& at, Slot& slot, const AttachJob&) {
  for (const std::string& folder : at.folders) {
    if (auto made = slot.folder->make_folders(folder); !made)
      return std::unexpected(Fault{made.error(), slot.full_path(folder)});
  }
  for (const std::uint32_t file : at.empty_files) {
    auto made = slot.folder->open(slot.path_of(file), OpenMode::create);
    if (!made) return std::unexpected(slot.fault(made.error(), file));
    if (slot.content->files[file].kind == FileKind::executable) {
      if (auto set = (*made)->set_executable(); !set) return std::unexpected(slot.fault(set.error(), file));
    }
    at.states[file] = FileState::whole;
  }
  for (const std::uint32_t file : at.links) {
    const auto made = slot.folder->make_symlink(slot.path_of(file), slot.link_of(file));
    if (!made && made.error().code == Code::no_space) return std::unexpected(slot.fault(made.error(), file));
    if (made)
      at.states[file] = FileState::whole;
    else
      ++at.skipped_links;  // a file system without links; the content's files are whole without
  }
  // Part files that have everything: we crashed before the rename. The stamp first, as in a commit.
  std::vector<std::pair<std::uint32_t, FileStamp>> finished;
  for (const std::uint32_t file : at.complete) {
    const auto entry = slot.folder->stat(slot.parts[file]);
    if (!entry) return std::unexpected(slot.fault(entry.error(), file));
    finished.emplace_back(file, entry->stamp);
  }
  if (finished.empty()) return {};
  if (auto done = catalog_.commit(*slot.content, {{}, finished, 0, 0}); !done)
    return std::unexpected(Fault{done.error(), {}});
  for (const auto& [file, stamp] : finished) {
    const std::string path = slot.path_of(file);
    auto done = slot.folder->rename(slot.parts[file], path);
    if (done) done = slot.folder->sync_folder(folder_of(path));
    if (!done) return std::unexpected(slot.fault(done.error(), file));
    slot.files[file].place = DiskFile::Place::final;
    slot.files[file].finished = true;
    slot.files[file].stamp = stamp;
  }
  return {};
}

}  // namespace shoal::storage
