// Disk: reading blocks. No gate is held meanwhile.
//
// A read of a finished file asks for its stamp after the bytes were read: a change that came before the end
// of the read shows in it. A block of v1 may lie in several files and in padding, which is zeros and is
// nowhere.
#include <algorithm>
#include <array>
#include <tuple>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {

namespace {

// Whether others may ask for that much of that piece.
bool in_range(const Content& content, const ReadJob& job) {
  const std::uint32_t size = job.piece >= content.pieces ? 0 : content.readable_bytes(job.piece);
  return job.begin <= size && job.length <= size - job.begin;
}

// Gives the room for the data, behind the room for a header.
MutableBytes make_room(ReadJob& job) {
  job.into.clear();
  SHOAL_CHECK(job.into.room() >= std::size_t{job.lead} + job.length);
  job.into.extend(std::size_t{job.lead} + job.length);
  return job.into.span().subspan(job.lead);
}

}  // namespace

// A read job on its way.
struct Disk::ReadItem {
  ReadJob* job = nullptr;
  SlotPtr slot;
  Done* done = nullptr;
  std::optional<Fault> fault;
};

void Disk::read_blocks(std::span<Job> jobs, std::span<Done> done, Worker& worker) {
  SHOAL_CHECK(jobs.size() <= max_batch);
  std::array<ReadItem, max_batch> items;
  std::vector<ReadPart>& parts = worker.reads;
  parts.clear();
  std::size_t count = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    ReadItem& item = items[count];
    item.job = std::get_if<ReadJob>(&jobs[i]);
    item.done = &done[i];
    if (prepare_read(item, count, parts)) ++count;
  }
  const auto slot_of_part = [&](const ReadPart& part) { return items[part.item].slot.get(); };
  std::ranges::sort(parts, {}, [&](const ReadPart& part) {
    return std::tuple{slot_of_part(part)->serial, part.file, part.offset};
  });
  for (std::size_t at = 0; at < parts.size();) {
    std::size_t end = at + 1;
    while (end < parts.size() && end - at < max_batch &&
           slot_of_part(parts[end]) == slot_of_part(parts[at]) && parts[end].file == parts[at].file &&
           parts[end].offset == parts[end - 1].offset + parts[end - 1].into.size())
      ++end;
    const std::span<const ReadPart> run{parts.data() + at, end - at};
    if (!read_run(items, run))
      // Which of them cannot be read, each tells alone.
      for (const ReadPart& part : run)
        if (auto alone = read_run(items, {&part, 1}); !alone && !items[part.item].fault)
          items[part.item].fault = std::move(alone.error());
    at = end;
  }
  for (ReadItem& item : std::span{items}.first(count)) {
    if (item.fault)
      *item.done = failed(std::move(*item.fault), std::move(item.job->into));
    else
      *item.done = ReadDone{std::move(item.job->into)};
  }
}

// Makes room for the block, fills what is padding, and adds what lies in files to `parts`. False: it is
// answered.
bool Disk::prepare_read(ReadItem& item, std::size_t index, std::vector<ReadPart>& parts) {
  ReadJob& job = *item.job;
  item.slot = slot_of(job.slot);
  if (!item.slot) {
    *item.done = failed(detached, std::move(job.into));
    return false;
  }
  const Content& content = *item.slot->content;
  if (!in_range(content, job)) {
    *item.done = failed(out_of_range, std::move(job.into));
    return false;
  }
  const MutableBytes into = make_room(job);
  std::uint32_t next = job.begin;
  const auto pad_to = [&](std::uint32_t place) {
    std::fill_n(into.begin() + (next - job.begin), place - next, std::uint8_t{0});
    next = place;
  };
  content.visit_extents(job.piece, job.begin, job.length, [&](const Extent& extent) {
    pad_to(extent.begin);
    parts.push_back(
        {index, extent.file, extent.offset, into.subspan(extent.begin - job.begin, extent.length)});
    next += extent.length;
  });
  pad_to(job.begin + job.length);
  return true;
}

// Parts of one file that follow each other, in one call.
Disk::Outcome<void> Disk::read_run(std::span<ReadItem> items, std::span<const ReadPart> run) {
  Slot& slot = *items[run.front().item].slot;
  const std::uint32_t file = run.front().file;
  auto lease = acquire(slot, file, Access::read);
  if (!lease) return std::unexpected(std::move(lease.error()));
  const bool final = lease->state.place == DiskFile::Place::final;
  FileStamp expected = lease->state.stamp;
  if (lease->state.changed) {
    bool verified = lease->recheck.has_value();
    {
      GateHold hold{gate_};
      for (const ReadPart& part : run) verified = verified && slot.have.test(items[part.item].job->piece);
    }
    if (!verified) return std::unexpected(slot.fault(altered_file, file));
    expected = *lease->recheck;
  }
  std::array<MutableBytes, max_batch> views;
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < run.size(); ++i) {
    views[i] = run[i].into;
    wanted += views[i].size();
  }
  const auto got = lease->file().read_scatter(run.front().offset, {views.data(), run.size()});
  if (!got) return std::unexpected(slot.fault(got.error(), file));
  if (final) {
    const auto stamp = lease->file().stamp();
    if (!stamp) return std::unexpected(slot.fault(stamp.error(), file));
    if (*stamp != expected) return std::unexpected(file_changed(slot, file, expected));
  }
  if (*got != wanted)
    return std::unexpected(slot.fault({Code::mismatch, "the file is shorter than it was"}, file));
  return {};
}

// What is out of the ordinary (a changed file, several files, an error) is left to the long way, which judges
// it.
std::optional<Done> Disk::run_now(Job& job) {
  ReadJob* const read = std::get_if<ReadJob>(&job);
  if (read == nullptr || !gate_.try_lock()) return std::nullopt;
  SlotPtr slot;
  FilePtr open;
  DiskFile state;
  std::optional<Extent> all;
  if (const auto found = slots_.find(read->slot); found != slots_.end()) {
    slot = found->second;
    const Content& content = *slot->content;
    if (in_range(content, *read))
      content.visit_extents(read->piece, read->begin, read->length, [&](const Extent& extent) {
        if (extent.length == read->length) all = extent;
      });
    if (all) {
      open = open_files_.find({slot->serial, all->file});
      state = slot->files[all->file];
    }
  }
  gate_.unlock();
  if (!open || state.changed) return std::nullopt;
  const auto got = open->file->read_cached(all->offset, make_room(*read));
  if (!got || *got != read->length) return std::nullopt;
  if (state.place == DiskFile::Place::final) {
    const auto stamp = open->file->stamp();
    if (!stamp || *stamp != state.stamp) return std::nullopt;
  }
  return ReadDone{std::move(read->into)};
}

}  // namespace shoal::storage
