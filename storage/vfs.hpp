// The seam to a file system: what storage needs of a disk and no more, so that the product runs unchanged
// over a virtual disk with a crash model. Two implementations: posix_vfs (openat2 beneath the root) and the
// simulator's.
//
// Paths are relative to a root, components joined by '/', already safe (names.hpp); an implementation must
// still refuse to leave the root and to follow a symbolic link (Code::unsafe). A name that the file system
// does not take is Code::unsupported; some drivers say denied or not_found instead. Nothing here is buffered:
// a write that returned is seen by every later read; it survives a power cut only after sync() of the file,
// and a new or renamed name only after sync_folder() of its folder. Thread rule: a File and a Folder may be
// used by several threads at once; no two writes overlap.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"

namespace shoal::storage {

// What tells that a file is still the one we verified.
struct FileStamp {
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

enum class EntryKind : std::uint8_t { file, folder, symlink, other };

struct Entry {
  std::string name;  // one component; in stat(), empty
  EntryKind kind = EntryKind::other;
  bool executable = false;
  FileStamp stamp;
};

enum class OpenMode : std::uint8_t {
  read,
  write,
  create
};  // write: read and write, must exist; create: may not exist yet

class File {
 public:
  virtual ~File() = default;
  // Reads out.size() bytes at the offset; fewer only at the end of the file. Returns the count.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) = 0;
  // The same of what is in memory, for callers that may not wait for a disk: Code::busy where some of it is
  // not, or where that cannot be told.
  [[nodiscard]] virtual Result<std::size_t> read_cached(std::uint64_t offset, MutableBytes out) {
    static_cast<void>(offset);
    static_cast<void>(out);
    return fail(Code::busy, "it may have to be read from the disk");
  }
  // Into several spans one after the other from `offset` on; one system call where there is one for it.
  [[nodiscard]] virtual Result<std::size_t> read_scatter(std::uint64_t offset,
                                                         std::span<const MutableBytes> parts) {
    std::size_t done = 0;
    for (const MutableBytes part : parts) {
      const auto got = read_at(offset + done, part);
      if (!got) return got;
      done += *got;
      if (*got < part.size()) break;
    }
    return done;
  }
  [[nodiscard]] virtual Result<void> write_at(std::uint64_t offset, ByteView bytes) = 0;  // all or an error
  // Several spans one after the other from `offset` on; one system call where there is one for it.
  [[nodiscard]] virtual Result<void> write_gather(std::uint64_t offset, std::span<const ByteView> parts) {
    for (const ByteView part : parts) {
      if (auto written = write_at(offset, part); !written) return written;
      offset += part.size();
    }
    return {};
  }
  [[nodiscard]] virtual Result<void> resize(std::uint64_t size) = 0;  // sparse
  [[nodiscard]] virtual Result<void> sync() = 0;  // data durable (fdatasync); an error means: treat as lost
  [[nodiscard]] virtual Result<FileStamp> stamp() = 0;
  [[nodiscard]] virtual Result<void> set_executable() = 0;  // nothing where files bear no modes
};

// A root that nothing leaves.
class Folder {
 public:
  virtual ~Folder() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) = 0;
  [[nodiscard]] virtual Result<void> make_folders(
      std::string_view path) = 0;  // path and all above; fine if there
  [[nodiscard]] virtual Result<void> make_symlink(std::string_view path, std::string_view target) = 0;
  [[nodiscard]] virtual Result<void> rename(std::string_view from,
                                            std::string_view to) = 0;         // refuses to replace
  [[nodiscard]] virtual Result<void> remove(std::string_view path) = 0;       // a file or link
  [[nodiscard]] virtual Result<void> sync_folder(std::string_view path) = 0;  // "" is the root
  // Makes all files and names beneath the root durable at once, where the system can; false: it cannot, each
  // must be synced. For commits of many small files.
  [[nodiscard]] virtual Result<bool> sync_everything() { return false; }
  [[nodiscard]] virtual Result<Entry> stat(std::string_view path) = 0;  // not_found if absent
  [[nodiscard]] virtual Result<std::string> read_symlink(std::string_view path) = 0;
  [[nodiscard]] virtual Result<std::vector<Entry>> list(
      std::string_view path) = 0;  // sorted by name, bytewise
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes() = 0;
};

class Vfs {
 public:
  virtual ~Vfs() = default;
  enum class Missing : std::uint8_t { error, create };
  // `path` is the user's own (absolute, or relative to the working folder); links in it are followed, it must
  // be a folder, and for writing it must be writable (denied).
  [[nodiscard]] virtual Result<std::unique_ptr<Folder>> open_folder(const std::string& path,
                                                                    Missing missing) = 0;
};

}  // namespace shoal::storage
