// See disk_image.hpp.
#include "cli/sim/disk_image.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "dht/base/check.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t sector_bytes = 512;

// One unsynced thing survives or not.
bool survives(Unsynced fate, Random& random) {
  return fate == Unsynced::applied || (fate == Unsynced::torn && random.below(2) == 0);
}

}  // namespace

DiskImage::DiskImage(PageStore& store, CrashModel model, std::uint64_t capacity)
    : store_(store), model_(model), capacity_(capacity) {
  root_ = std::make_shared<Node>(store_);
  root_->kind = storage::EntryKind::folder;
  root_->inode = 1;
}

DiskImage::NodeRef DiskImage::make(storage::EntryKind kind) {
  auto node = std::make_shared<Node>(store_);
  node->kind = kind;
  node->inode = next_inode_++;
  node->mtime_ns = wall_ns_;
  return node;
}

// ---- names

void DiskImage::link(const NodeRef& folder, const std::string& name, const NodeRef& node) {
  folder->entries[name] = node;
  folder->mtime_ns = wall_ns_;
  if (model_ == CrashModel::on) names_.push_back({NameChange::What::link, folder, node, {}, name, {}});
}

void DiskImage::unlink(const NodeRef& folder, const std::string& name) {
  const auto found = folder->entries.find(name);
  SHOAL_CHECK(found != folder->entries.end());
  const NodeRef node = found->second;
  used_ -= std::min(used_, node->bytes.allocated());
  folder->entries.erase(found);
  folder->mtime_ns = wall_ns_;
  if (model_ == CrashModel::on) names_.push_back({NameChange::What::unlink, folder, node, {}, name, {}});
}

void DiskImage::rename(const NodeRef& from, const std::string& name, const NodeRef& to,
                       const std::string& new_name) {
  const auto found = from->entries.find(name);
  SHOAL_CHECK(found != from->entries.end());
  const NodeRef node = found->second;
  from->entries.erase(found);
  to->entries[new_name] = node;
  from->mtime_ns = to->mtime_ns = wall_ns_;
  if (model_ == CrashModel::on) names_.push_back({NameChange::What::rename, from, node, to, name, new_name});
}

bool DiskImage::apply(const NameChange& change) {
  auto& entries = change.folder->synced_entries;
  const auto found = entries.find(change.name);
  const bool there = found != entries.end() && found->second == change.node;
  switch (change.what) {
    case NameChange::What::link:
      if (found != entries.end()) return false;
      entries[change.name] = change.node;
      return true;
    case NameChange::What::unlink:
      if (there) entries.erase(found);
      return there;
    case NameChange::What::rename:
      if (!there || change.to_folder->synced_entries.contains(change.to_name)) return false;
      entries.erase(found);
      change.to_folder->synced_entries[change.to_name] = change.node;
      return true;
  }
  return false;
}

void DiskImage::sync_names(const NodeRef& folder) {
  // A change of this folder is durable now, with those before it that concern the same names.
  std::set<std::pair<const Node*, std::string>> needed;
  std::vector<bool> chosen(names_.size(), false);
  for (std::size_t i = names_.size(); i-- > 0;) {
    const NameChange& change = names_[i];
    const std::pair from{static_cast<const Node*>(change.folder.get()), change.name};
    const std::pair to{static_cast<const Node*>(change.to_folder.get()), change.to_name};
    const bool here = change.folder == folder || change.to_folder == folder;
    if (!here && !needed.contains(from) && !(change.to_folder && needed.contains(to))) continue;
    chosen[i] = true;
    needed.insert(from);
    if (change.to_folder) needed.insert(to);
  }
  std::vector<NameChange> left;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (chosen[i])
      apply(names_[i]);
    else
      left.push_back(std::move(names_[i]));
  }
  names_ = std::move(left);
}

// ---- bytes

void DiskImage::keep_before(Node& node, std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return;
  for (std::uint64_t page = offset / page_bytes; page <= (offset + length - 1) / page_bytes; ++page)
    node.before.try_emplace(page, node.bytes.page(page));
}

Result<void> DiskImage::write(Node& node, std::uint64_t offset, ByteView bytes) {
  const std::uint64_t had = node.bytes.allocated();
  if (!bytes.empty() && used_ + page_bytes > capacity_) {  // only where a new page is needed
    for (std::uint64_t page = offset / page_bytes; page <= (offset + bytes.size() - 1) / page_bytes; ++page)
      if (!node.bytes.page(page)) return fail(Code::no_space, "no space left on device", 28);
  }
  if (model_ == CrashModel::on) {
    keep_before(node, offset, bytes.size());
    node.changes.push_back({offset, to_vector(bytes), std::nullopt});
  }
  node.bytes.write(offset, bytes);
  node.size = std::max(node.size, offset + bytes.size());
  node.mtime_ns = wall_ns_;
  used_ += node.bytes.allocated() - had;
  return {};
}

void DiskImage::resize(Node& node, std::uint64_t size) {
  const std::uint64_t had = node.bytes.allocated();
  if (model_ == CrashModel::on) {
    if (size < node.size) keep_before(node, size, node.size - size);
    node.changes.push_back({0, {}, size});
  }
  if (size < node.size) node.bytes.cut(size);
  node.size = size;
  node.mtime_ns = wall_ns_;
  used_ -= std::min(used_, had - std::min(had, node.bytes.allocated()));
}

void DiskImage::sync_bytes(Node& node) {
  for (const auto& [number, page] : node.before) node.lost.erase(number);
  node.before.clear();
  node.changes.clear();
  node.synced_size = node.size;
}

void DiskImage::fail_sync(Node& node) {
  if (halted_) return;
  node.lost.merge(node.before);
  node.before.clear();
  node.changes.clear();
  node.synced_size = node.size;
}

void DiskImage::sync_tree(const NodeRef& folder) {
  for (const auto& [name, node] : folder->entries) {
    if (node->kind == storage::EntryKind::folder)
      sync_tree(node);
    else
      sync_bytes(*node);
  }
  sync_names(folder);
}

// ---- calls, faults, traps

std::uint64_t DiskImage::calls(DiskCall call) const {
  if (call != DiskCall::any) return calls_[static_cast<std::size_t>(call)];
  return std::accumulate(calls_.begin(), calls_.end(), std::uint64_t{0});
}

Result<void> DiskImage::enter(DiskCall call) {
  if (halted_) return fail(Code::io, "the power is gone", 5);
  ++calls_[static_cast<std::size_t>(call)];
  const bool syncs = call == DiskCall::sync || call == DiskCall::sync_folder;
  const bool counted = trap_ && trap_->left > 0 && (syncs || trap_->call == DiskCall::any);
  if (counted) --trap_->left;
  if (counted && trap_->left == 0 && trap_->moment == Moment::before) {
    halted_ = true;
    return fail(Code::io, "the power is gone", 5);
  }
  std::optional<Error> error;
  for (Ordered& ordered : faults_) {
    if (ordered.fault.call != call && ordered.fault.call != DiskCall::any) continue;
    if (ordered.left > 0) --ordered.left;
    if (ordered.left > 0) continue;
    error = ordered.fault.error;
    if (ordered.fault.lasting == Fault::Lasting::once) ordered.left = ~std::uint64_t{0};
  }
  if (error) return std::unexpected(*error);
  return {};
}

void DiskImage::leave_sync() {
  if (trap_ && trap_->left == 0 && trap_->moment == Moment::after) halted_ = true;
}

void DiskImage::order(const Fault& fault) {
  SHOAL_CHECK(fault.nth > 0);
  faults_.push_back({fault, fault.nth});
}

void DiskImage::trap_sync(std::uint64_t nth, Moment moment) {
  SHOAL_CHECK(nth > 0 && model_ == CrashModel::on);
  trap_ = Trap{nth, moment};
}

void DiskImage::trap_call(std::uint64_t nth) {
  SHOAL_CHECK(nth > 0 && model_ == CrashModel::on);
  trap_ = Trap{nth, Moment::before, DiskCall::any};
}

// ---- crash

void DiskImage::crash_file(Node& node, Unsynced fate, Random& random) {
  for (const auto& [number, page] : node.before) node.bytes.set_page(number, page);
  node.before.clear();
  for (const auto& [number, page] : std::exchange(node.lost, {})) node.bytes.set_page(number, page);
  node.size = node.synced_size;
  for (const Change& change : std::exchange(node.changes, {})) {
    if (change.resize) {
      if (!survives(fate, random)) continue;
      if (*change.resize < node.size) node.bytes.cut(*change.resize);
      node.size = *change.resize;
      continue;
    }
    // Whole, not at all, or sector by sector.
    const bool torn = fate == Unsynced::torn && random.below(3) == 0;
    const bool all = !torn && survives(fate, random);
    std::uint64_t at = change.offset;
    const std::uint64_t end = change.offset + change.bytes.size();
    while (at < end) {
      const std::uint64_t stop = std::min(end, (at / sector_bytes + 1) * sector_bytes);
      if (all || (torn && random.below(2) == 0)) {
        node.bytes.write(at, ByteView{change.bytes}.subspan(at - change.offset, stop - at));
        node.size = std::max(node.size, stop);
      }
      at = stop;
    }
  }
  node.bytes.cut(node.size);
  node.synced_size = node.size;
}

void DiskImage::crash_tree(const NodeRef& folder, Unsynced fate, Random& random) {
  folder->entries = folder->synced_entries;
  for (const auto& [name, node] : folder->entries) {
    if (node->kind == storage::EntryKind::folder)
      crash_tree(node, fate, random);
    else if (node->kind == storage::EntryKind::file)
      crash_file(*node, fate, random);
    used_ += node->bytes.allocated();
  }
}

void DiskImage::crash(Unsynced fate, Random& random) {
  SHOAL_CHECK(model_ == CrashModel::on);
  for (const NameChange& change : std::exchange(names_, {}))
    if (survives(fate, random)) apply(change);
  used_ = 0;
  crash_tree(root_, fate, random);
  release();
}

}  // namespace shoal::sim
