// Disk: writing blocks. No gate is held meanwhile. A block of v1 may lie in several files and in padding,
// which is nowhere.
#include <algorithm>
#include <array>
#include <tuple>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {

// Up to max_batch write jobs on their way to the disk.
struct Disk::WriteBatch {
  struct Item {
    WriteJob* job = nullptr;
    SlotPtr slot;
    BlockMark mark{};
    Done* done = nullptr;
    std::optional<Fault> fault{};
  };
  std::array<Item, max_batch> items;
  std::size_t size = 0;
  [[nodiscard]] std::span<Item> all() { return {items.data(), size}; }
};

void Disk::write_blocks(std::span<Job> jobs, std::span<Done> done, Worker& worker) {
  WriteBatch batch;
  for (std::size_t i = 0; i < jobs.size(); ++i)
    batch.items[batch.size++] = {std::get_if<WriteJob>(&jobs[i]), nullptr, {}, &done[i], {}};
  check_writes(batch);
  mark_blocks(batch, worker);
  mark_first_writes(batch);
  write_runs(batch, worker.parts);
}

void Disk::mark_blocks(WriteBatch& batch, Worker& worker) {
  std::array<ByteView, max_batch> messages;
  std::array<Sha256, max_batch> leaves;
  std::size_t count = 0;
  for (const WriteBatch::Item& item : batch.all())
    if (item.slot->content->v2) messages[count++] = item.job->bytes.view();
  worker.hasher.sha256({messages.data(), count}, {leaves.data(), count});
  count = 0;
  for (WriteBatch::Item& item : batch.all())
    item.mark =
        item.slot->content->v2 ? leaves[count++] : mark_of(*item.slot->content, item.job->bytes.view());
}

// Answers those that cannot be written, and keeps the others, those of a content together.
void Disk::check_writes(WriteBatch& batch) {
  std::size_t kept = 0;
  for (WriteBatch::Item& item : batch.all()) {
    WriteJob& job = *item.job;
    item.slot = slot_of(job.slot);
    if (!item.slot) {
      *item.done = failed(detached, std::move(job.bytes));
      continue;
    }
    const Content& content = *item.slot->content;
    if (job.block.piece >= content.pieces || job.block.block >= content.blocks_in(job.block.piece) ||
        job.bytes.size() != content.block_length(job.block.piece, job.block.block)) {
      *item.done = failed(out_of_range, std::move(job.bytes));
      continue;
    }
    std::swap(batch.items[kept++], item);
  }
  batch.size = kept;
  std::sort(batch.items.begin(), batch.items.begin() + static_cast<std::ptrdiff_t>(kept),
            [](const WriteBatch::Item& a, const WriteBatch::Item& b) {
              return std::tuple{a.slot->serial, a.job->block} < std::tuple{b.slot->serial, b.job->block};
            });
}

// One transaction a content. A mark that cannot be written fails the job, so that the engine sends it again.
void Disk::mark_first_writes(WriteBatch& batch) {
  for (std::size_t at = 0; at < batch.size;) {
    const SlotPtr slot = batch.items[at].slot;
    std::array<std::uint32_t, max_batch> pieces;
    std::size_t count = 0, end = at;
    for (; end < batch.size && batch.items[end].slot == slot; ++end)
      if (batch.items[end].job->first == WriteJob::First::yes)
        pieces[count++] = batch.items[end].job->block.piece;
    const auto marked = catalog_.mark_touched(slot->content->id, {pieces.data(), count});
    if (marked && count > 0) {
      GateHold hold{gate_};
      slot->begun.insert(pieces.begin(), pieces.begin() + count);
    }
    for (; at < end; ++at) {
      WriteBatch::Item& item = batch.items[at];
      if (marked || item.job->first == WriteJob::First::no) continue;
      *item.done = failed(marked.error(), std::move(item.job->bytes));
      item.job = nullptr;
    }
  }
  const auto kept =
      std::remove_if(batch.items.begin(), batch.items.begin() + static_cast<std::ptrdiff_t>(batch.size),
                     [](const WriteBatch::Item& item) { return item.job == nullptr; });
  batch.size = static_cast<std::size_t>(kept - batch.items.begin());
}

// What bears its final name and was verified stays as it is: a piece of v1 that it shares with a file that is
// still fetched may be fetched whole.
bool Disk::keeps(Slot& slot, std::uint32_t file) {
  if (slot.content->v2) return false;  // nobody asks for a piece of such a file
  GateHold hold{gate_};
  const DiskFile& state = slot.files[file];
  return state.place == DiskFile::Place::final && !state.changed;
}

// What follows each other in a file goes there in one call.
void Disk::write_runs(WriteBatch& batch, std::vector<WritePart>& parts) {
  parts.clear();
  for (std::size_t i = 0; i < batch.size; ++i) {
    const WriteJob& job = *batch.items[i].job;
    const std::uint32_t begin = job.block.block * block_bytes;
    const ByteView bytes = job.bytes.view();
    batch.items[i].slot->content->visit_extents(
        job.block.piece, begin, static_cast<std::uint32_t>(bytes.size()), [&](const Extent& extent) {
          parts.push_back(
              {i, extent.file, extent.offset, bytes.subspan(extent.begin - begin, extent.length)});
        });
  }
  const auto slot_at = [&](std::size_t part) -> Slot& { return *batch.items[parts[part].item].slot; };
  std::ranges::sort(parts, {}, [&](const WritePart& part) {
    return std::tuple{batch.items[part.item].slot->serial, part.file, part.offset};
  });
  for (std::size_t at = 0; at < parts.size();) {
    const WritePart& first = parts[at];
    Slot& slot = slot_at(at);
    std::array<ByteView, max_batch> views;
    std::uint64_t next = first.offset;
    std::size_t end = at;
    while (end < parts.size() && end - at < max_batch && &slot_at(end) == &slot &&
           parts[end].file == first.file && parts[end].offset == next) {
      views[end - at] = parts[end].bytes;
      next += parts[end].bytes.size();
      ++end;
    }
    std::optional<Fault> fault;
    if (!keeps(slot, first.file)) {
      if (auto lease = acquire(slot, first.file, Access::write); !lease)
        fault = std::move(lease.error());
      else if (auto written = lease->file().write_gather(first.offset, {views.data(), end - at}); !written)
        fault = slot.fault(written.error(), first.file);
    }
    for (; at < end; ++at)
      if (fault && !batch.items[parts[at].item].fault) batch.items[parts[at].item].fault = fault;
  }
  for (WriteBatch::Item& item : batch.all()) {
    if (item.fault)
      *item.done = failed(std::move(*item.fault), std::move(item.job->bytes));
    else
      *item.done = WriteDone{item.job->block, item.mark, std::move(item.job->bytes)};
  }
}

}  // namespace shoal::storage
