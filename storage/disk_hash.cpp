// Disk: hashing pieces as they lie there. No gate is held meanwhile.
//
// A piece of v2 lies in one file, one of v1 perhaps in many. Their stamps are looked at before and after: a
// change of a finished file meanwhile shows in them.
#include <algorithm>
#include <array>
#include <utility>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {
namespace {

// Read and hashed at once: all lanes of the multi-buffer hasher full, and in the second-level cache.
constexpr std::uint32_t hash_chunk_bytes = Disk::max_batch * block_bytes;

MutableBytes room(Disk::Worker& worker) {
  if (!worker.blocks) worker.blocks = std::make_unique_for_overwrite<BlockBuffer[]>(Disk::max_batch);
  return {worker.blocks[0].bytes.data(), hash_chunk_bytes};
}

}  // namespace

// A file as it was before the piece was read. It is not held open: a piece may lie in a great many.
struct Disk::PieceFile {
  std::uint32_t file = 0;
  DiskFile state;
  FileStamp before;
};

// Every file that holds bytes of the piece; Code::not_found where one is not there.
Disk::Outcome<Disk::PieceFiles> Disk::open_piece(Slot& slot, std::uint32_t piece) {
  PieceFiles out;
  Outcome<void> opened;
  slot.content->visit_extents(piece, [&](const Extent& extent) {
    if (!opened) return;
    auto lease = acquire(slot, extent.file, Access::read);
    if (!lease) {
      opened = std::unexpected(std::move(lease.error()));
      return;
    }
    const auto before = lease->file().stamp();
    if (!before)
      opened = std::unexpected(slot.fault(before.error(), extent.file));
    else
      out.push_back({extent.file, lease->state, *before});
  });
  if (!opened) return std::unexpected(std::move(opened.error()));
  return out;
}

// Fills `into` from `begin` of the piece on, padding with zeros; as far as it is there, which is what it
// gives.
Disk::Outcome<std::uint32_t> Disk::read_piece(Slot& slot, std::uint32_t piece, std::uint32_t begin,
                                              MutableBytes into) {
  const auto size = static_cast<std::uint32_t>(into.size());
  std::uint32_t done = 0;
  bool ended = false;
  Outcome<void> read;
  const auto pad_to = [&](std::uint32_t place) {
    std::fill_n(into.begin() + done, place - done, std::uint8_t{0});
    done = place;
  };
  slot.content->visit_extents(piece, begin, size, [&](const Extent& extent) {
    if (!read || ended) return;
    pad_to(extent.begin - begin);
    const auto lease = acquire(slot, extent.file, Access::read);
    if (!lease) {
      read = std::unexpected(lease.error());
      return;
    }
    const auto got = lease->file().read_at(extent.offset, into.subspan(done, extent.length));
    if (!got) {
      read = std::unexpected(slot.fault(got.error(), extent.file));
      return;
    }
    done += static_cast<std::uint32_t>(*got);
    ended = *got < extent.length;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  if (!ended) pad_to(size);
  return done;
}

// Leaves of the blocks that are wholly there; SHA-1 of the piece where all of it is.
Disk::Outcome<HashDone> Disk::hash_piece(Slot& slot, std::uint32_t piece, Worker& worker) {
  const Content& content = *slot.content;
  const std::uint32_t size = content.piece_bytes(piece);
  const std::uint32_t row_size = content.v1 ? content.v1_piece_bytes(piece) : size;
  HashDone out{.piece = piece};
  out.leaves.reserve(content.blocks_in(piece));
  Sha1Stream& stream = worker.stream;
  for (std::uint32_t begin = 0; begin < row_size; begin += hash_chunk_bytes) {
    const auto want = std::min(hash_chunk_bytes, row_size - begin);
    const MutableBytes chunk = room(worker).first(want);
    const auto got = read_piece(slot, piece, begin, chunk);
    if (!got) {
      static_cast<void>(stream.finish());  // it starts anew
      return std::unexpected(got.error());
    }
    std::array<ByteView, max_batch> messages;
    std::size_t count = 0;
    for (std::uint32_t at = 0; begin + at < size && at < *got;) {
      const std::uint32_t length = content.block_length(piece, (begin + at) / block_bytes);
      if (*got - at < length) break;
      messages[count++] = ByteView{chunk}.subspan(at, length);
      at += length;
    }
    out.leaves.resize(out.leaves.size() + count);
    worker.hasher.sha256({messages.data(), count}, std::span{out.leaves}.last(count));
    for (std::size_t i = 0; i < count && !content.v2; ++i) out.marks.push_back(mark_of(content, messages[i]));
    if (content.v1) stream.update(chunk.first(*got));
    if (*got == want) continue;
    if (content.v1) static_cast<void>(stream.finish());  // it starts anew
    return out;
  }
  if (content.v1) out.v1 = stream.finish();
  return out;
}

// Notes that a piece of a changed file was hashed under `stamp`. Gives the stamp under which earlier pieces
// were, if it is another.
std::optional<FileStamp> Disk::note_hashed(Slot& slot, std::uint32_t piece, std::uint32_t file,
                                           const FileStamp& stamp) {
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

Disk::Outcome<void> Disk::settle_hashed(Slot& slot, std::uint32_t piece, const PieceFiles& files) {
  for (const auto& [file, state, before] : files) {
    if (state.place != DiskFile::Place::final) continue;
    const auto lease = acquire(slot, file, Access::read);
    if (!lease) return std::unexpected(lease.error());
    const auto after = lease->file().stamp();
    if (!after) return std::unexpected(slot.fault(after.error(), file));
    if (before != *after) return std::unexpected(file_changed(slot, file, before));
    if (state.finished && before != state.stamp)
      return std::unexpected(file_changed(slot, file, state.stamp));
    if (const auto other = note_hashed(slot, piece, file, before))
      return std::unexpected(file_changed(slot, file, *other));
  }
  return {};
}

// The piece was hashed, which counts only if its files stayed as they were. What was read before a sync
// failed may have come from memory: the piece stays lost.
Done Disk::settled(Slot& slot, const PieceFiles& files, HashDone&& hashed) {
  if (auto same = settle_hashed(slot, hashed.piece, files); !same) return failed(std::move(same.error()));
  GateHold hold{gate_};
  const bool from_disk = std::ranges::all_of(files, [&](const PieceFile& each) {
    return slot.files[each.file].failed_syncs == each.state.failed_syncs;
  });
  if (from_disk) slot.lost.erase(hashed.piece);
  return std::move(hashed);
}

Done Disk::perform(HashJob& job, Worker& worker) {
  const SlotPtr slot = slot_of(job.slot);
  if (!slot) return failed(detached);
  if (job.piece >= slot->content->pieces) return failed(out_of_range);
  const auto files = open_piece(*slot, job.piece);
  if (!files && files.error().error.code == Code::not_found) return HashDone{.piece = job.piece};
  if (!files) return failed(files.error());
  auto hashed = hash_piece(*slot, job.piece, worker);
  if (!hashed) return failed(std::move(hashed.error()));
  return settled(*slot, *files, std::move(*hashed));
}

// ---- rows

// Up to max_batch pieces whose SHA-1 is computed side by side, a lane each, in stretches of a block.
class Disk::RowBatch {
 public:
  RowBatch(Disk& disk, Worker& worker) : disk_(disk), worker_(worker), blocks_(room(worker)) {}

  void add(const HashJob& job, Done& done) {
    Row row{.piece = job.piece, .slot = disk_.slot_of(job.slot), .done = &done};
    if (!row.slot) return void(done = failed(detached));
    const Content& content = *row.slot->content;
    if (job.piece >= content.pieces || !content.v1) return void(done = failed(out_of_range));
    auto files = disk_.open_piece(*row.slot, job.piece);
    if (!files && files.error().error.code == Code::not_found) return void(done = nothing(row));
    if (!files) return void(done = failed(std::move(files.error())));
    row.files = std::move(*files);
    row.size = content.v1_piece_bytes(job.piece);
    rows_[count_++] = std::move(row);
  }

  void run() {
    for (bool any = count_ > 0; any;) {
      any = false;
      for (std::size_t i = 0; i < count_; ++i)
        if (rows_[i].done != nullptr) any = step(i) || any;
      worker_.lanes.advance(parts_);
    }
  }

 private:
  struct Row {
    std::uint32_t piece = 0, size = 0, read = 0;
    SlotPtr slot{};
    PieceFiles files{};
    Done* done = nullptr;  // null: it is there
  };
  static HashDone nothing(const Row& row) { return {.piece = row.piece, .what = HashJob::What::row}; }

  // Gives the lane its next block, if it has used up the last. False: the row has ended.
  bool step(std::size_t i) {
    Row& row = rows_[i];
    if (parts_[i].size() >= Sha1Lanes::block) return true;
    if (row.read == row.size) {
      HashDone found = nothing(row);
      found.v1 = worker_.lanes.finish(i, parts_[i]);
      return end(i, disk_.settled(*row.slot, row.files, std::move(found)));
    }
    const MutableBytes into = blocks_.subspan(i * block_bytes, std::min(block_bytes, row.size - row.read));
    auto got = disk_.read_piece(*row.slot, row.piece, row.read, into);
    if (got && *got == into.size()) {
      parts_[i] = into;
      row.read += *got;
      return true;
    }
    worker_.lanes.forget(i);
    if (!got) return end(i, failed(std::move(got.error())));
    return end(i, disk_.settled(*row.slot, row.files, nothing(row)));
  }

  bool end(std::size_t i, Done&& done) {
    *std::exchange(rows_[i].done, nullptr) = std::move(done);
    parts_[i] = {};
    return false;
  }

  Disk& disk_;
  Worker& worker_;
  MutableBytes blocks_;
  std::array<Row, max_batch> rows_{};
  std::array<ByteView, Sha1Lanes::count> parts_{};
  std::size_t count_ = 0;
};

void Disk::hash_rows(std::span<Job> jobs, std::span<Done> done, Worker& worker) {
  static_assert(max_batch <= Sha1Lanes::count);
  RowBatch batch{*this, worker};
  for (std::size_t i = 0; i < jobs.size(); ++i) batch.add(std::get<HashJob>(jobs[i]), done[i]);
  batch.run();
}

}  // namespace shoal::storage
