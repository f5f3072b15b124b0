// PieceHasher, see the header. Nothing is locked: workers share the counter of pieces alone.
#include "storage/piece_hasher.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "dht/base/check.hpp"
#include "dht/base/sha1_lanes.hpp"
#include "storage/block_buffer.hpp"
#include "storage/merkle.hpp"

namespace shoal::storage {
namespace {

constexpr std::size_t digest_bytes = Sha1{}.size();
constexpr std::size_t leaves_at_once = 4096;  // trees are hashed together, once they have so many

struct Fault {
  std::uint32_t file = 0;
  HashOutcome outcome;
};

// What the workers share.
struct Task {
  Folder& folder;
  const Content& content;
  std::span<const LocalFile> files;
  HashProgress& progress;
  PieceHashes& out;
  std::vector<std::uint32_t> order;   // the pieces to be hashed
  std::vector<std::uint8_t> hashed;   // per piece; a byte each, so that workers do not share one
  std::size_t lanes = 1;              // a worker
  std::atomic<std::size_t> next = 0;  // in `order`
};

// One worker.
class LaneHasher {
 public:
  explicit LaneHasher(Task& task)
      : task_(task),
        content_(task.content),
        buffer_(std::make_unique_for_overwrite<BlockBuffer[]>(task.lanes)) {}

  // False if it was cancelled.
  [[nodiscard]] bool run() {
    for (bool any = true; any;) {
      any = false;
      for (std::size_t i = 0; i < task_.lanes; ++i) {
        if (task_.progress.cancel.load(std::memory_order_relaxed)) return false;
        if (parts_[i].size() < Sha1Lanes::block) refill(i);
        any = any || lanes_[i].piece.has_value();
      }
      sha1_.advance(parts_);
    }
    finish_trees();
    for (std::size_t i = 0; i < task_.lanes; ++i) let_go(lanes_[i]);
    return true;
  }
  [[nodiscard]] const std::vector<Fault>& faults() const { return faults_; }

 private:
  struct Lane {
    std::optional<std::uint32_t> piece;
    std::uint32_t size = 0;       // bytes to be hashed, padding included
    std::uint32_t tree_size = 0;  // of these, those that are blocks of the tree; 0: its root is not wanted
    std::uint32_t done = 0;       // read
    ByteView block;               // read, to become the next leaf
    std::vector<Sha256> leaves;
    std::unique_ptr<File> open;
    std::uint32_t open_file = 0;
  };

  // The lane's bytes are used up: gives it the next of its piece, or the next piece. None left: it rests.
  void refill(std::size_t i) {
    Lane& lane = lanes_[i];
    if (!lane.block.empty()) hash_blocks();
    if (lane.piece && lane.done == lane.size) keep(i);
    for (;;) {
      if (!lane.piece && !draw(lane)) return;
      if (read(i)) return;
      sha1_.forget(i);
      lane.leaves.clear();
      lane.piece.reset();
    }
  }

  bool draw(Lane& lane) {
    const std::size_t next = task_.next.fetch_add(1, std::memory_order_relaxed);
    if (next >= task_.order.size()) return false;
    const std::uint32_t piece = task_.order[next], bytes = content_.piece_bytes(piece);
    lane.piece = piece;
    lane.size = content_.v1 ? content_.v1_piece_bytes(piece) : bytes;
    lane.tree_size = content_.v2 && task_.files[content_.file_of(piece)].wanted ? bytes : 0;
    lane.done = 0;
    return true;
  }

  // False where it cannot be read: the file's outcome tells.
  bool read(std::size_t i) {
    Lane& lane = lanes_[i];
    const std::uint32_t begin = lane.done, length = std::min(block_bytes, lane.size - begin);
    const MutableBytes into = MutableBytes{buffer_[i].bytes}.first(length);
    bool sound = true;
    std::uint32_t filled = 0;
    const auto pad_to = [&](std::uint32_t place) {
      std::fill(into.begin() + filled, into.begin() + place, std::uint8_t{0});
      filled = place;
    };
    content_.visit_extents(*lane.piece, begin, length, [&](const Extent& extent) {
      if (!sound) return;
      pad_to(extent.begin - begin);
      sound = read_extent(lane, extent, into.subspan(filled, extent.length));
      filled += extent.length;
    });
    if (!sound) return false;
    pad_to(length);
    lane.done += length;
    if (begin < lane.tree_size) {
      lane.block = into.first(std::min(length, lane.tree_size - begin));
      ++blocks_;
    }
    parts_[i] = content_.v1 ? ByteView{into} : ByteView{};
    return true;
  }

  bool read_extent(Lane& lane, const Extent& extent, MutableBytes into) {
    const LocalFile& file = task_.files[extent.file];
    if (!lane.open || lane.open_file != extent.file) {
      let_go(lane);
      auto opened = task_.folder.open(file.disk_path, OpenMode::read);
      if (!opened) return wrong(extent.file, {HashOutcome::State::failed, opened.error()});
      lane.open = std::move(*opened);
      lane.open_file = extent.file;
    }
    const auto got = lane.open->read_at(extent.offset, into);
    if (!got) return wrong(extent.file, {HashOutcome::State::failed, got.error()});
    if (*got != into.size()) return wrong(extent.file, {HashOutcome::State::changed, {}});
    task_.progress.done_bytes.fetch_add(into.size(), std::memory_order_relaxed);
    return true;
  }

  bool wrong(std::uint32_t file, const HashOutcome& outcome) {
    if (faults_.empty() || faults_.back().file != file) faults_.push_back({file, outcome});
    return false;
  }

  // Once after reading is enough: a change before or meanwhile shows in it just as well.
  void let_go(Lane& lane) {
    if (!lane.open) return;
    const auto after = lane.open->stamp();
    if (!after)
      wrong(lane.open_file, {HashOutcome::State::failed, after.error()});
    else if (*after != task_.files[lane.open_file].stamp)
      wrong(lane.open_file, {HashOutcome::State::changed, {}});
    lane.open.reset();
  }

  // The blocks of all lanes become leaves.
  void hash_blocks() {
    std::array<ByteView, Sha1Lanes::count> blocks;
    std::array<Sha256, Sha1Lanes::count> leaves;
    std::size_t count = 0;
    for (const Lane& lane : lanes_)
      if (!lane.block.empty()) blocks[count++] = lane.block;
    SHOAL_CHECK(count == std::exchange(blocks_, 0));
    trees_hasher_.hasher().sha256({blocks.data(), count}, {leaves.data(), count});
    count = 0;
    for (Lane& lane : lanes_) {
      if (lane.block.empty()) continue;
      lane.leaves.push_back(leaves[count++]);
      lane.block = {};
    }
  }

  // The lane's piece is whole.
  void keep(std::size_t i) {
    Lane& lane = lanes_[i];
    const std::uint32_t piece = *lane.piece;
    if (content_.v1) {
      const Sha1 digest = sha1_.finish(i, std::exchange(parts_[i], {}));
      std::ranges::copy(digest, task_.out.v1.begin() + static_cast<std::ptrdiff_t>(piece * digest_bytes));
    }
    if (lane.tree_size > 0) {
      const std::uint64_t length = content_.files[content_.file_of(piece)].length;
      trees_.push_back({static_cast<std::uint32_t>(lane.leaves.size()),
                        merkle::shape_of(length, content_.piece_length).piece_height});
      tree_pieces_.push_back(piece);
      leaves_.insert(leaves_.end(), lane.leaves.begin(), lane.leaves.end());
      lane.leaves.clear();
      if (leaves_.size() >= leaves_at_once) finish_trees();
    }
    task_.hashed[piece] = 1;
    lane.piece.reset();
  }

  void finish_trees() {
    roots_.resize(trees_.size());
    trees_hasher_.roots(leaves_, trees_, roots_);
    for (std::size_t i = 0; i < trees_.size(); ++i) task_.out.roots[tree_pieces_[i]] = roots_[i];
    leaves_.clear();
    trees_.clear();
    tree_pieces_.clear();
  }

  Task& task_;
  const Content& content_;
  std::unique_ptr<BlockBuffer[]> buffer_;  // a lane each
  std::array<Lane, Sha1Lanes::count> lanes_;
  std::array<ByteView, Sha1Lanes::count> parts_{};  // read, not yet in the SHA-1 of the piece
  std::size_t blocks_ = 0;                          // lanes with one
  Sha1Lanes sha1_;
  std::vector<Sha256> leaves_, roots_;  // of whole pieces whose trees are to be hashed
  std::vector<merkle::TreeHasher::Tree> trees_;
  std::vector<std::uint32_t> tree_pieces_;
  merkle::TreeHasher trees_hasher_;
  std::vector<Fault> faults_;
};

// Whether every byte of the piece is there.
bool there(const Content& content, std::span<const LocalFile> files, std::uint32_t piece) {
  bool out = true;
  content.visit_extents(piece, [&](const Extent& extent) {
    const LocalFile& file = files[extent.file];
    out = out && !file.disk_path.empty() && extent.offset + extent.length <= file.present;
  });
  return out;
}

}  // namespace

PieceHashes hash_pieces(Folder& folder, const Content& content, std::span<const LocalFile> files,
                        Executor& executor, HashProgress* progress) {
  SHOAL_CHECK(files.size() == content.files.size());
  HashProgress unwatched;
  PieceHashes out;
  Task task{folder, content, files, progress != nullptr ? *progress : unwatched, out, {}, {}};
  out.files.resize(files.size());
  if (content.v2) out.roots.resize(content.pieces);
  if (content.v1) out.v1.resize(content.pieces * digest_bytes);
  task.hashed.resize(content.pieces, 0);
  for (std::uint32_t piece = 0; piece < content.pieces; ++piece)
    if ((content.v1 || files[content.file_of(piece)].wanted) && there(content, files, piece))
      task.order.push_back(piece);
  // Few pieces are shared out evenly.
  const std::size_t workers = std::min(executor.width(), task.order.size());
  if (workers > 0) task.lanes = std::min((task.order.size() + workers - 1) / workers, Sha1Lanes::count);
  std::vector<std::vector<Fault>> faults(workers);
  executor.parallel(workers, [&](std::size_t worker) {
    LaneHasher hasher{task};
    if (hasher.run()) faults[worker] = hasher.faults();
  });
  out.hashed = Bitfield{content.pieces};
  for (std::uint32_t piece = 0; piece < content.pieces; ++piece)
    if (task.hashed[piece] != 0) out.hashed.set(piece);
  for (const std::vector<Fault>& each : faults)
    for (const Fault& fault : each)
      if (out.files[fault.file].state != HashOutcome::State::failed) out.files[fault.file] = fault.outcome;
  return out;
}

}  // namespace shoal::storage
