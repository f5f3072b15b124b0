// Slot: one attached content, as Disk keeps it; and the judgement what a file found at attach is. Private to
// the disk*.cpp files and their tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/catalog.hpp"
#include "storage/job.hpp"
#include "storage/layout.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

// A file that changed after it was verified is verified anew, piece by piece, against one stamp.
struct Recheck {
  FileStamp stamp;  // of the file when its first piece was hashed, and ever since
  Bitfield hashed;  // pieces of the file, from its first
};

struct DiskFile {
  enum class Place : std::uint8_t { nowhere, part, final } place = Place::nowhere;
  bool finished = false;        // at its final place and verified: `stamp` must stay
  bool changed = false;         // at its final place, but not what was verified
  bool forget_pending = false;  // changed, and the catalog does not know yet
  std::uint32_t missing = 0;    // pieces without a have-bit
  std::uint32_t failed_syncs = 0;
  FileStamp stamp;
};

struct Slot {
  // Fixed once attached.
  std::uint64_t serial = 0;
  ContentPtr content;
  AttachJob::Mode mode = AttachJob::Mode::download;
  std::unique_ptr<Folder> folder;
  std::string folder_path, root_name;
  std::vector<std::string> disk_paths;  // per file, or empty
  // Download mode only: part files (per file), and what stands for names that the file system refuses.
  std::vector<std::string> parts, empty_folders;
  Substitutes replaced;

  // With Disk's gate held.
  std::vector<DiskFile> files;
  std::vector<std::unique_ptr<Recheck>> rechecks;  // per file, or empty
  Bitfield have;                                   // as the catalog has it
  std::set<std::uint32_t> begun;                   // written to, not committed
  std::set<std::uint32_t> lost;                    // begun when a sync failed: to be hashed before a commit
  std::set<std::string> synced_folders;            // their entries are on the disk

  [[nodiscard]] std::string path_of(std::uint32_t file) const {
    if (file < disk_paths.size() && !disk_paths[file].empty()) return disk_paths[file];
    if (content->single_file) return root_name;
    return root_name + "/" + content->files[file].path;
  }
  // The text of a symbolic link as it is made here.
  [[nodiscard]] std::string link_of(std::uint32_t file) const {
    return with_substitutes(content->files[file].target, replaced);
  }
  [[nodiscard]] std::string full_path(const std::string& path) const {
    return folder_path.ends_with('/') ? folder_path + path : folder_path + "/" + path;
  }
  [[nodiscard]] PathError fault(const Error& error, std::uint32_t file) const {
    return {error, full_path(path_of(file))};
  }
  [[nodiscard]] Recheck* recheck(std::uint32_t file) {
    return rechecks.empty() ? nullptr : rechecks[file].get();
  }
};

[[nodiscard]] inline std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string{} : path.substr(0, slash);
}

// ---- what a file found at attach is

enum class Ownership : std::uint8_t { foreign, ours };  // ours: the catalog has this content in this folder
enum class HaveBits : std::uint8_t { none, some, all };

struct FileKnown {
  Ownership ownership = Ownership::foreign;
  FileRecord record;
  HaveBits have = HaveBits::none;
  std::uint64_t length = 0;       // of the whole file; not 0
  std::uint64_t needed_size = 0;  // where the last committed piece ends
};

enum class FileVerdictAtAttach : std::uint8_t {
  absent,
  gone,           // absent, although have-bits say otherwise
  partial,        // the part file is there; its have-bits hold
  partial_short,  // the part file is there, but shorter than its have-bits say
  complete,       // the part file is there with all have-bits: to be renamed
  whole,
  altered,  // at its place, but not what was verified
  taken,    // something that is not ours
  blocked,  // a link or special file
};

// Downloads. `final` and `part`: what lies under these names. Pure.
[[nodiscard]] FileVerdictAtAttach judge_download(const FileKnown& known, const std::optional<Entry>& final,
                                                 const std::optional<Entry>& part);
// Shares: the file lies under its final name or nowhere.
[[nodiscard]] FileVerdictAtAttach judge_share(const FileKnown& known, const std::optional<Entry>& final);

}  // namespace shoal::storage
