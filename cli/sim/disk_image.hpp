// A virtual disk: what survives its machine. Files in pages, folders, links, a capacity, a crash model and
// faults to order. SimVfs (sim_vfs.hpp) shows it to the product as storage::Vfs.
//
// Crash model, after SQLite's and TigerBeetle's: what a file held at its last sync is safe. Each write or
// resize since then is, sector (512 B) by sector, applied or not; each new, renamed or removed name since the
// last sync of its folder is there or not, unless a later durable change of the same name needs it. Within
// one sector writes keep their order, as a page cache keeps it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/sim/page_store.hpp"
#include "dht/base/random.hpp"
#include "storage/vfs.hpp"

namespace shoal::sim {

enum class DiskCall : std::uint8_t {
  open,
  read,
  write,
  resize,
  sync,
  set_executable,
  rename,
  remove,
  sync_folder,
  make_folder,
  make_symlink,
  look,  // stat, list, read_symlink, stamp, free_bytes, open_folder
  any,   // in a Fault: whichever call comes n-th
};
inline constexpr std::size_t disk_calls = static_cast<std::size_t>(DiskCall::any);

struct Fault {
  DiskCall call = DiskCall::any;
  std::uint64_t nth = 1;  // counted from when it is ordered
  Error error{Code::io, "input/output error"};
  enum class Lasting : std::uint8_t { once, for_good } lasting = Lasting::once;
};

// What becomes of unsynced changes in a crash.
enum class Unsynced : std::uint8_t { applied, dropped, torn };

// In which order a crash may find things; without a model writes cost no second copy.
enum class CrashModel : std::uint8_t { off, on };

class DiskImage {
 public:
  DiskImage(PageStore& store, CrashModel model, std::uint64_t capacity);

  struct Node;
  using NodeRef = std::shared_ptr<Node>;
  struct Change {  // of a file's bytes, not synced
    std::uint64_t offset = 0;
    Bytes bytes;
    std::optional<std::uint64_t> resize;
  };
  struct Node {
    explicit Node(PageStore& store) : bytes(store) {}
    storage::EntryKind kind = storage::EntryKind::file;
    std::uint64_t inode = 0;
    bool executable = false;
    std::string target;  // of a symbolic link
    PagedBytes bytes;
    std::uint64_t size = 0, synced_size = 0;
    std::int64_t mtime_ns = 0;
    std::map<std::uint64_t, PageRef> before;  // pages changed since the last sync, as they were then
    std::vector<Change> changes;
    std::map<std::uint64_t, PageRef> lost;  // pages whose sync failed: only a new write makes them durable
    std::map<std::string, NodeRef> entries, synced_entries;  // of a folder
  };

  [[nodiscard]] const NodeRef& root() const { return root_; }
  [[nodiscard]] NodeRef make(storage::EntryKind kind);
  // Names. Precondition: the caller has checked what is there.
  void link(const NodeRef& folder, const std::string& name, const NodeRef& node);
  void unlink(const NodeRef& folder, const std::string& name);
  void rename(const NodeRef& from, const std::string& name, const NodeRef& to, const std::string& new_name);
  void sync_names(const NodeRef& folder);
  // Bytes.
  [[nodiscard]] Result<void> write(Node& node, std::uint64_t offset, ByteView bytes);
  void resize(Node& node, std::uint64_t size);
  void sync_bytes(Node& node);
  // As Linux does: what could not be written counts as clean, stays readable, and is gone after a power cut.
  void fail_sync(Node& node);
  // Bytes and names of a folder and of all beneath it.
  void sync_tree(const NodeRef& folder);

  // First of every call: counts it, and fails where a fault was ordered, a trap has sprung or power is gone.
  [[nodiscard]] Result<void> enter(DiskCall call);
  // Last of every sync that went well: a trap set for after it springs.
  void leave_sync();

  // ---- the scenario's hand
  void order(const Fault& fault);
  void clear_faults() { faults_.clear(); }
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint64_t used() const { return used_; }
  void set_wall(std::int64_t unix_ns) { wall_ns_ = unix_ns; }
  [[nodiscard]] std::uint64_t calls(DiskCall call) const;  // so far
  [[nodiscard]] std::uint64_t syncs() const { return calls(DiskCall::sync) + calls(DiskCall::sync_folder); }

  // Power goes at the n-th sync from now on, before it takes effect or just after: every later call fails
  // until crash() is called.
  enum class Moment : std::uint8_t { before, after };
  void trap_sync(std::uint64_t nth, Moment moment);
  // The same just before the n-th call of any kind.
  void trap_call(std::uint64_t nth);
  [[nodiscard]] bool halted() const { return halted_; }
  // The disk as found after a power cut; power is back.
  void crash(Unsynced fate, Random& random);
  void halt() { halted_ = true; }  // every call fails from now on
  // The process is gone, the machine is not: everything written stays.
  void release() { halted_ = false, trap_.reset(); }

 private:
  struct NameChange {
    enum class What : std::uint8_t { link, unlink, rename } what{};
    NodeRef folder, node, to_folder;
    std::string name, to_name;
  };
  static bool apply(const NameChange& change);  // to synced_entries; false where it no longer fits
  void keep_before(Node& node, std::uint64_t offset, std::uint64_t length);
  void crash_file(Node& node, Unsynced fate, Random& random);
  void crash_tree(const NodeRef& folder, Unsynced fate, Random& random);

  struct Ordered {
    Fault fault;
    std::uint64_t left = 0;
  };
  struct Trap {
    std::uint64_t left = 0;
    Moment moment{};
    DiskCall call = DiskCall::sync;  // or any; a sync of a folder is one, too
  };
  PageStore& store_;
  CrashModel model_;
  std::uint64_t capacity_, used_ = 0, next_inode_ = 2;
  std::int64_t wall_ns_ = 0;
  NodeRef root_;
  std::vector<NameChange> names_;
  std::vector<Ordered> faults_;
  std::optional<Trap> trap_;
  bool halted_ = false;
  std::array<std::uint64_t, disk_calls> calls_{};
};

}  // namespace shoal::sim
