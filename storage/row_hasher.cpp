// RowHasher, see the header. Pieces up to 1 MiB are hashed many at once; of larger ones a unit is one, and
// goes by in parts.
#include "storage/row_hasher.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

#include "dht/base/check.hpp"

namespace shoal::storage {
namespace {

constexpr std::uint64_t buffer_bytes = std::uint64_t{4} << 20;
constexpr std::uint32_t large_piece = std::uint32_t{1} << 20;
constexpr std::size_t digest_bytes = Sha1{}.size();

struct Fault {
  std::uint32_t file = 0;
  HashOutcome outcome;
};

struct Run {
  std::uint32_t first = 0, count = 0;
  std::vector<Fault> faults;
};

// Reads and hashes runs; one a worker.
class RunHasher {
 public:
  RunHasher(Folder& folder, const Content& content, std::span<const RowFile> files, HashProgress& progress,
            RowHashes& out)
      : folder_(folder),
        content_(content),
        files_(files),
        progress_(progress),
        out_(out),
        buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(buffer_bytes)) {}

  // hashed[i] tells of piece run.first + i; false if it was cancelled.
  [[nodiscard]] bool run(Run& run, std::span<std::uint8_t> hashed) {
    run_ = &run;
    messages_.clear();
    places_.clear();
    std::size_t used = 0;
    for (std::uint32_t i = 0; i < run.count; ++i) {
      if (progress_.cancel.load(std::memory_order_relaxed)) return false;
      const std::uint32_t piece = run.first + i, size = content_.v1_piece_bytes(piece);
      if (content_.piece_length > large_piece) {
        hashed[i] = stream(piece, size) ? 1 : 0;
        continue;
      }
      const MutableBytes into{buffer_.get() + used, size};
      hashed[i] = read(piece, 0, into) ? 1 : 0;
      if (hashed[i] == 0) continue;
      messages_.push_back(into);
      places_.push_back(piece);
      used += size;
    }
    digests_.resize(messages_.size());
    hasher_.sha1(messages_, digests_);
    for (std::size_t i = 0; i < places_.size(); ++i) keep(places_[i], digests_[i]);
    let_go();
    return true;
  }

 private:
  void keep(std::uint32_t piece, const Sha1& digest) {
    std::ranges::copy(digest, out_.hashes.begin() + static_cast<std::ptrdiff_t>(piece * digest_bytes));
  }

  bool stream(std::uint32_t piece, std::uint32_t size) {
    for (std::uint32_t at = 0; at < size;) {
      if (progress_.cancel.load(std::memory_order_relaxed)) return false;
      const auto part = static_cast<std::uint32_t>(std::min<std::uint64_t>(buffer_bytes, size - at));
      const MutableBytes into{buffer_.get(), part};
      if (!read(piece, at, into)) {
        stream_ = Sha1Stream{};
        return false;
      }
      stream_.update(into);
      at += part;
    }
    keep(piece, stream_.finish());
    return true;
  }

  // False where some of it is not there, or cannot be read.
  bool read(std::uint32_t piece, std::uint32_t begin, MutableBytes into) {
    bool whole = true;
    std::uint32_t next = begin;
    const auto skip_to = [&](std::uint32_t place) {
      std::fill_n(into.begin() + (next - begin), place - next, std::uint8_t{0});
      next = place;
    };
    content_.visit_extents(piece, begin, static_cast<std::uint32_t>(into.size()), [&](const Extent& extent) {
      if (!whole) return;
      skip_to(extent.begin);
      whole = read_extent(extent, into.subspan(extent.begin - begin, extent.length));
      next += extent.length;
    });
    if (whole) skip_to(begin + static_cast<std::uint32_t>(into.size()));
    return whole;
  }

  bool read_extent(const Extent& extent, MutableBytes into) {
    const RowFile& file = files_[extent.file];
    if (file.disk_path.empty() || extent.offset + extent.length > file.present) return false;
    if (open_file_ != extent.file) {
      let_go();
      auto opened = folder_.open(file.disk_path, OpenMode::read);
      if (!opened) return wrong(extent.file, {HashOutcome::State::failed, opened.error()});
      open_ = std::move(*opened);
      open_file_ = extent.file;
    }
    const auto got = open_->read_at(extent.offset, into);
    if (!got) return wrong(extent.file, {HashOutcome::State::failed, got.error()});
    if (*got != into.size()) return wrong(extent.file, {HashOutcome::State::changed, {}});
    progress_.done_bytes.fetch_add(into.size(), std::memory_order_relaxed);
    return true;
  }

  bool wrong(std::uint32_t file, const HashOutcome& outcome) {
    run_->faults.push_back({file, outcome});
    return false;
  }

  // Once after reading is enough: a change before or meanwhile shows in it just as well.
  void let_go() {
    if (!open_) return;
    const auto after = open_->stamp();
    if (!after)
      wrong(*open_file_, {HashOutcome::State::failed, after.error()});
    else if (*after != files_[*open_file_].stamp)
      wrong(*open_file_, {HashOutcome::State::changed, {}});
    open_.reset();
    open_file_.reset();
  }

  Folder& folder_;
  const Content& content_;
  std::span<const RowFile> files_;
  HashProgress& progress_;
  RowHashes& out_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  Run* run_ = nullptr;
  std::unique_ptr<File> open_;
  std::optional<std::uint32_t> open_file_;
  BlockHasher hasher_;
  Sha1Stream stream_;
  std::vector<ByteView> messages_;
  std::vector<std::uint32_t> places_;
  std::vector<Sha1> digests_;
};

}  // namespace

RowHashes hash_row(Folder& folder, const Content& content, std::span<const RowFile> files, Executor& executor,
                   HashProgress* progress) {
  SHOAL_CHECK(content.v1 && files.size() == content.files.size());
  HashProgress unwatched;
  HashProgress& watched = progress != nullptr ? *progress : unwatched;
  RowHashes out;
  out.hashes.resize(content.pieces * digest_bytes);
  out.files.resize(files.size());
  const auto at_once = static_cast<std::uint32_t>(std::max<std::uint64_t>(
      1, content.piece_length > large_piece ? 1 : buffer_bytes / content.piece_length));
  std::vector<Run> runs;
  for (std::uint32_t piece = 0; piece < content.pieces; piece += at_once)
    runs.push_back({piece, std::min(at_once, content.pieces - piece), {}});
  std::vector<std::uint8_t> hashed(content.pieces, 0);
  std::atomic<std::size_t> next{0};
  executor.parallel(std::min(executor.width(), runs.size()), [&](std::size_t) {
    RunHasher hasher{folder, content, files, watched, out};
    for (;;) {
      const std::size_t r = next.fetch_add(1, std::memory_order_relaxed);
      if (r >= runs.size()) return;
      if (!hasher.run(runs[r], std::span{hashed}.subspan(runs[r].first, runs[r].count))) return;
    }
  });
  out.hashed = Bitfield{content.pieces};
  for (std::uint32_t piece = 0; piece < content.pieces; ++piece)
    if (hashed[piece] != 0) out.hashed.set(piece);
  for (const Run& run : runs)
    for (const Fault& fault : run.faults)
      if (out.files[fault.file].state == HashOutcome::State::untouched) out.files[fault.file] = fault.outcome;
  return out;
}

}  // namespace shoal::storage
