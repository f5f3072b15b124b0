// FileHasher, see the header. A span is a run of whole pieces of one file (its last piece may be short); a
// unit is the spans that one worker reads in one go. Workers draw units in order from a shared counter, so a
// disk is read nearly in sequence, and write results to places of their own: nothing is locked.
#include "storage/file_hasher.hpp"

#include <algorithm>
#include <memory>

#include "dht/base/check.hpp"

namespace shoal::storage {
namespace {

// Small enough that what was read is still in the processor's cache when it is hashed, large enough that a
// system call costs nothing.
constexpr std::size_t buffer_bytes = std::size_t{1} << 20;
constexpr std::uint64_t unit_bytes = std::uint64_t{4} << 20;
constexpr std::size_t unit_spans = 256;  // small files a unit: then opening them is most of the work

struct Span {
  std::uint32_t task = 0;
  std::uint64_t offset = 0, length = 0;
  std::uint32_t first_piece = 0, pieces = 0;
};

struct Unit {
  std::size_t first = 0, count = 0;  // of the spans
};

struct Plan {
  std::vector<Span> spans;
  std::vector<Unit> units;
};

Plan make_plan(std::span<const HashTask> tasks, std::uint32_t piece_length) {
  Plan plan;
  const std::uint64_t step = std::max<std::uint64_t>(unit_bytes, piece_length);  // both powers of two
  std::uint64_t unit_filled = step;
  for (std::uint32_t t = 0; t < tasks.size(); ++t) {
    const HashTask& task = tasks[t];
    SHOAL_CHECK(task.length > 0 && task.present <= task.length);
    const std::uint64_t whole = task.to_hash(piece_length);
    for (std::uint64_t offset = 0; offset < whole;) {
      const std::uint64_t length = std::min(step, whole - offset);
      if (unit_filled + length > step || plan.units.back().count == unit_spans) {
        plan.units.push_back({plan.spans.size(), 0});
        unit_filled = 0;
      }
      plan.spans.push_back({t, offset, length, static_cast<std::uint32_t>(offset / piece_length),
                            static_cast<std::uint32_t>((length - 1) / piece_length + 1)});
      ++plan.units.back().count;
      unit_filled += length;
      offset += length;
    }
  }
  return plan;
}

// Reads and hashes units; one a worker.
class UnitHasher {
 public:
  UnitHasher(Folder& folder, std::span<const HashTask> tasks, std::uint32_t piece_length,
             HashProgress& progress)
      : folder_(folder),
        tasks_(tasks),
        piece_length_(piece_length),
        progress_(progress),
        buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(buffer_bytes)) {}

  // False if it was cancelled; the outcomes are then unspecified.
  [[nodiscard]] bool run(std::span<const Span> spans, std::span<HashOutcome> outcomes) {
    used_ = 0;
    blocks_.clear();
    leaves_.clear();
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const std::size_t before = leaves_.size() + blocks_.size();
      outcomes[i] = read(spans[i]);
      if (progress_.cancel.load(std::memory_order_relaxed)) return false;
      if (outcomes[i].state == HashOutcome::State::hashed) continue;
      // What a failed span has left must not shift the others.
      blocks_.resize(before > leaves_.size() ? before - leaves_.size() : 0);
      leaves_.resize(std::min(leaves_.size(), before));
    }
    flush();
    finish(spans, outcomes);
    return true;
  }

 private:
  static HashOutcome failed(const Error& error) { return {HashOutcome::State::failed, error}; }

  HashOutcome read(const Span& span) {
    const auto file = folder_.open(tasks_[span.task].disk_path, OpenMode::read);
    if (!file) return failed(file.error());
    for (std::uint64_t at = 0; at < span.length;) {
      if (progress_.cancel.load(std::memory_order_relaxed)) return {};
      if (buffer_bytes - used_ < block_bytes) flush();
      // Whole blocks, so that only the last of a span is short; the next span begins where this one ended.
      const std::uint64_t room = (buffer_bytes - used_) / block_bytes * block_bytes;
      const std::size_t want = static_cast<std::size_t>(std::min(room, span.length - at));
      std::uint8_t* const into = buffer_.get() + used_;
      const auto count = (*file)->read_at(span.offset + at, {into, want});
      if (!count) return failed(count.error());
      if (*count != want) return {HashOutcome::State::changed, {}};
      for (std::size_t b = 0; b < want; b += block_bytes)
        blocks_.push_back(ByteView{into + b, std::min<std::size_t>(block_bytes, want - b)});
      used_ += want;
      at += want;
      progress_.done_bytes.fetch_add(want, std::memory_order_relaxed);
    }
    // Once after reading is enough: a change before or meanwhile shows in it just as well.
    const auto after = (*file)->stamp();
    if (!after) return failed(after.error());
    return {*after == tasks_[span.task].stamp ? HashOutcome::State::hashed : HashOutcome::State::changed, {}};
  }

  void flush() {
    const std::size_t done = leaves_.size();
    leaves_.resize(done + blocks_.size());
    trees_hasher_.hasher().sha256(blocks_, std::span{leaves_}.subspan(done));
    blocks_.clear();
    used_ = 0;
  }

  void finish(std::span<const Span> spans, std::span<const HashOutcome> outcomes) {
    trees_.clear();
    for (std::size_t i = 0; i < spans.size(); ++i) {
      if (outcomes[i].state != HashOutcome::State::hashed) continue;
      const merkle::Shape shape = merkle::shape_of(tasks_[spans[i].task].length, piece_length_);
      for (std::uint64_t at = 0; at < spans[i].length; at += piece_length_) {
        const std::uint64_t bytes = std::min<std::uint64_t>(piece_length_, spans[i].length - at);
        trees_.push_back({static_cast<std::uint32_t>((bytes - 1) / block_bytes + 1), shape.piece_height});
      }
    }
    roots_.resize(trees_.size());
    trees_hasher_.roots(leaves_, trees_, roots_);
    auto next = roots_.begin();
    for (std::size_t i = 0; i < spans.size(); ++i) {
      if (outcomes[i].state != HashOutcome::State::hashed) continue;
      const auto into = tasks_[spans[i].task].roots.subspan(spans[i].first_piece, spans[i].pieces);
      std::copy_n(next, into.size(), into.begin());
      next += static_cast<std::ptrdiff_t>(into.size());
    }
  }

  Folder& folder_;
  std::span<const HashTask> tasks_;
  std::uint32_t piece_length_;
  HashProgress& progress_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t used_ = 0;
  std::vector<ByteView> blocks_;  // read, not yet hashed
  std::vector<Sha256> leaves_;
  std::vector<merkle::TreeHasher::Tree> trees_;
  std::vector<Sha256> roots_;
  merkle::TreeHasher trees_hasher_;
};

}  // namespace

std::vector<HashOutcome> hash_files(Folder& folder, std::span<const HashTask> tasks,
                                    std::uint32_t piece_length, Executor& executor, HashProgress* progress) {
  const Plan plan = make_plan(tasks, piece_length);
  HashProgress unwatched;
  HashProgress& watched = progress != nullptr ? *progress : unwatched;
  std::vector<HashOutcome> of_span(plan.spans.size());
  std::vector<HashOutcome> outcomes(tasks.size());
  std::atomic<std::size_t> next{0};
  executor.parallel(std::min(executor.width(), plan.units.size()), [&](std::size_t) {
    UnitHasher hasher{folder, tasks, piece_length, watched};
    for (;;) {
      const std::size_t u = next.fetch_add(1, std::memory_order_relaxed);
      if (u >= plan.units.size()) return;
      const Unit& unit = plan.units[u];
      if (!hasher.run(std::span{plan.spans}.subspan(unit.first, unit.count),
                      std::span{of_span}.subspan(unit.first, unit.count)))
        return;
    }
  });
  if (watched.cancel.load(std::memory_order_relaxed)) return outcomes;
  for (std::size_t s = 0; s < plan.spans.size();
       ++s) {  // a file's outcome is the first of its spans to go wrong
    HashOutcome& outcome = outcomes[plan.spans[s].task];
    if (outcome.state == HashOutcome::State::untouched || outcome.state == HashOutcome::State::hashed)
      outcome = of_span[s];
  }
  return outcomes;
}

}  // namespace shoal::storage
