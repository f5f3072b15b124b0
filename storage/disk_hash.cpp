// Disk: hashing pieces as they lie there. No gate is held meanwhile.
//
// A piece of v2 lies in one file, one of v1 perhaps in many. Their stamps are looked at before and after: a
// change of a finished file meanwhile shows in them.
#include <algorithm>
#include <array>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {
namespace {

// Read and hashed at once: all lanes of the multi-buffer hasher full, and in the second-level cache.
constexpr std::uint32_t hash_chunk_bytes = Disk::max_batch * block_bytes;

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
  HashDone out{piece, {}, {}};
  out.leaves.reserve(content.blocks_in(piece));
  worker.scratch.resize(hash_chunk_bytes);
  Sha1Stream& stream = worker.stream;
  for (std::uint32_t begin = 0; begin < row_size; begin += hash_chunk_bytes) {
    const auto want = std::min(hash_chunk_bytes, row_size - begin);
    const MutableBytes chunk = MutableBytes{worker.scratch}.first(want);
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

Done Disk::perform(HashJob& job, Worker& worker) {
  const SlotPtr slot = slot_of(job.slot);
  if (!slot) return failed(detached);
  if (job.piece >= slot->content->pieces) return failed(out_of_range);
  const auto files = open_piece(*slot, job.piece);
  if (!files && files.error().error.code == Code::not_found) return HashDone{job.piece, {}, {}};
  if (!files) return failed(files.error());
  auto hashed = hash_piece(*slot, job.piece, worker);
  if (!hashed) return failed(std::move(hashed.error()));
  if (auto settled = settle_hashed(*slot, job.piece, *files); !settled)
    return failed(std::move(settled.error()));
  GateHold hold{gate_};
  slot->lost.erase(job.piece);
  return std::move(*hashed);
}

}  // namespace shoal::storage
