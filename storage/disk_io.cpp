// Disk: reading, writing and hashing payload. No gate is held meanwhile.
//
// A read of a finished file asks for its stamp after the bytes were read: a change that came before the end
// of the read shows in it.
#include <algorithm>
#include <array>
#include <tuple>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {
namespace {

// Read and hashed at once: all lanes of the multi-buffer hasher full, and in the second-level cache.
constexpr std::uint32_t hash_chunk_blocks = Disk::max_batch;

constexpr Error out_of_range{Code::malformed, "the piece or block is not of this content"};

}  // namespace

// ---- reading

Done Disk::perform(ReadJob& job, Worker&) {
  const SlotPtr slot = slot_of(job.slot);
  if (!slot) return failed(detached, std::move(job.into));
  const Content& content = *slot->content;
  if (job.piece >= content.pieces || job.begin > content.piece_bytes(job.piece) ||
      job.length > content.piece_bytes(job.piece) - job.begin)
    return failed(out_of_range, std::move(job.into));
  const std::uint32_t file = content.file_of_piece[job.piece];
  auto lease = acquire(*slot, file, Access::read);
  if (!lease) return failed(std::move(lease.error()), std::move(job.into));
  const bool final = lease->state.place == DiskFile::Place::final;
  FileStamp expected = lease->state.stamp;
  if (lease->state.changed) {
    bool verified = false;
    {
      GateHold hold{gate_};
      verified = lease->recheck.has_value() && slot->have.test(job.piece);
    }
    if (!verified) return failed(slot->fault(altered_file, file), std::move(job.into));
    expected = *lease->recheck;
  }
  job.into.clear();
  SHOAL_CHECK(job.into.room() >= std::size_t{job.lead} + job.length);
  job.into.extend(std::size_t{job.lead} + job.length);
  const auto got =
      lease->file().read_at(content.piece_offset(job.piece) + job.begin, job.into.span().subspan(job.lead));
  if (!got) return failed(slot->fault(got.error(), file), std::move(job.into));
  if (final) {
    const auto stamp = lease->file().stamp();
    if (!stamp) return failed(slot->fault(stamp.error(), file), std::move(job.into));
    if (*stamp != expected) return failed(file_changed(*slot, file, expected), std::move(job.into));
  }
  if (*got != job.length)
    return failed(slot->fault({Code::mismatch, "the file is shorter than it was"}, file),
                  std::move(job.into));
  return ReadDone{std::move(job.into)};
}

// ---- writing

// Up to max_batch write jobs on their way to the disk.
struct Disk::WriteBatch {
  struct Item {
    WriteJob* job = nullptr;
    SlotPtr slot;
    std::uint32_t file = 0;
    std::uint64_t offset = 0;  // in the file
    Sha256 leaf{};
    Done* done = nullptr;
  };
  std::array<Item, max_batch> items;
  std::size_t size = 0;
  [[nodiscard]] std::span<Item> all() { return {items.data(), size}; }
};

void Disk::write_blocks(std::span<Job> jobs, std::span<Done> done, Worker& worker) {
  WriteBatch batch;
  for (std::size_t i = 0; i < jobs.size(); ++i)
    batch.items[batch.size++] = {std::get_if<WriteJob>(&jobs[i]), nullptr, 0, 0, {}, &done[i]};
  check_writes(batch);
  std::array<ByteView, max_batch> messages;
  std::array<Sha256, max_batch> leaves;
  for (std::size_t i = 0; i < batch.size; ++i) messages[i] = batch.items[i].job->bytes.view();
  if (batch.size == 1)
    leaves[0] = sha256(messages[0]);
  else if (batch.size > 1)
    worker.hasher.sha256({messages.data(), batch.size}, {leaves.data(), batch.size});
  for (std::size_t i = 0; i < batch.size; ++i) batch.items[i].leaf = leaves[i];
  mark_first_writes(batch);
  write_runs(batch);
}

// Answers those that cannot be written, and keeps the others, in the order of the disk.
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
    item.file = content.file_of_piece[job.block.piece];
    item.offset = content.piece_offset(job.block.piece) + std::uint64_t{job.block.block} * block_bytes;
    std::swap(batch.items[kept++], item);
  }
  batch.size = kept;
  std::sort(batch.items.begin(), batch.items.begin() + static_cast<std::ptrdiff_t>(kept),
            [](const WriteBatch::Item& a, const WriteBatch::Item& b) {
              return std::tuple{a.slot->serial, a.file, a.offset} <
                     std::tuple{b.slot->serial, b.file, b.offset};
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

// Blocks that follow each other in a file go there in one call.
void Disk::write_runs(WriteBatch& batch) {
  for (std::size_t at = 0; at < batch.size;) {
    const WriteBatch::Item& first = batch.items[at];
    std::array<ByteView, max_batch> parts;
    std::uint64_t next = first.offset;
    std::size_t end = at;
    while (end < batch.size && batch.items[end].slot == first.slot && batch.items[end].file == first.file &&
           batch.items[end].offset == next) {
      parts[end - at] = batch.items[end].job->bytes.view();
      next += parts[end - at].size();
      ++end;
    }
    std::optional<Fault> fault;
    if (auto lease = acquire(*first.slot, first.file, Access::write); !lease)
      fault = std::move(lease.error());
    else if (auto written = lease->file().write_gather(first.offset, {parts.data(), end - at}); !written)
      fault = first.slot->fault(written.error(), first.file);
    for (; at < end; ++at) {
      WriteBatch::Item& item = batch.items[at];
      if (fault)
        *item.done = failed(*fault, std::move(item.job->bytes));
      else
        *item.done = WriteDone{item.job->block, item.leaf, std::move(item.job->bytes)};
    }
  }
}

// ---- hashing

// Leaves of the blocks that are wholly there.
Result<std::vector<Sha256>> Disk::hash_piece(const Content& content, std::uint32_t piece, File& file,
                                             Worker& worker) {
  const std::uint32_t size = content.piece_bytes(piece), blocks = content.blocks_in(piece);
  const std::uint64_t start = content.piece_offset(piece);
  std::vector<Sha256> leaves;
  leaves.reserve(blocks);
  worker.scratch.resize(std::size_t{hash_chunk_blocks} * block_bytes);
  for (std::uint32_t block = 0; block < blocks; block += hash_chunk_blocks) {
    const std::uint32_t begin = block * block_bytes;
    const std::size_t want = std::min<std::size_t>(worker.scratch.size(), size - begin);
    const auto got = file.read_at(start + begin, MutableBytes{worker.scratch}.first(want));
    if (!got) return std::unexpected(got.error());
    std::array<ByteView, hash_chunk_blocks> messages;
    std::size_t count = 0;
    for (std::size_t at = 0; at < *got;) {
      const std::size_t length = content.block_length(piece, block + static_cast<std::uint32_t>(count));
      if (*got - at < length) break;
      messages[count++] = ByteView{worker.scratch}.subspan(at, length);
      at += length;
    }
    leaves.resize(leaves.size() + count);
    worker.hasher.sha256({messages.data(), count}, std::span{leaves}.last(count));
    if (*got < want) break;
  }
  return leaves;
}

// Notes that a piece of a changed file was hashed under `stamp`. Gives the stamp under which earlier pieces
// were, if it is another.
std::optional<FileStamp> Disk::note_hashed(Slot& slot, std::uint32_t piece, const FileStamp& stamp) {
  const std::uint32_t file = slot.content->file_of_piece[piece];
  const ContentFile& described = slot.content->files[file];
  GateHold hold{gate_};
  if (slot.files[file].place != DiskFile::Place::final || !slot.files[file].changed) return std::nullopt;
  if (slot.rechecks.empty()) slot.rechecks.resize(slot.content->files.size());
  std::unique_ptr<Recheck>& recheck = slot.rechecks[file];
  if (!recheck) recheck = std::make_unique<Recheck>(Recheck{stamp, Bitfield{described.pieces}});
  if (recheck->stamp != stamp) return recheck->stamp;
  recheck->hashed.set(piece - described.first_piece);
  return std::nullopt;
}

Done Disk::perform(HashJob& job, Worker& worker) {
  const SlotPtr slot = slot_of(job.slot);
  if (!slot) return failed(detached);
  if (job.piece >= slot->content->pieces) return failed(out_of_range);
  const std::uint32_t file = slot->content->file_of_piece[job.piece];
  auto lease = acquire(*slot, file, Access::read);
  if (!lease && lease.error().error.code == Code::not_found) return HashDone{job.piece, {}};
  if (!lease) return failed(std::move(lease.error()));
  const auto before = lease->file().stamp();
  if (!before) return failed(slot->fault(before.error(), file));
  auto leaves = hash_piece(*slot->content, job.piece, lease->file(), worker);
  if (!leaves) return failed(slot->fault(leaves.error(), file));
  if (lease->state.place == DiskFile::Place::final) {
    const auto after = lease->file().stamp();
    if (!after) return failed(slot->fault(after.error(), file));
    if (*before != *after) return failed(file_changed(*slot, file, *before));
    const bool finished = lease->state.finished;
    if (finished && *before != lease->state.stamp)
      return failed(file_changed(*slot, file, lease->state.stamp));
    if (const auto other = note_hashed(*slot, job.piece, *before))
      return failed(file_changed(*slot, file, *other));
  }
  GateHold hold{gate_};
  slot->lost.erase(job.piece);
  return HashDone{job.piece, std::move(*leaves)};
}

}  // namespace shoal::storage
