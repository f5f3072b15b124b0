// What Disk::acquire gives (private to the disk*.cpp files).
#pragma once

#include <optional>

#include "storage/disk.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {

struct Disk::Lease {
  FilePtr open;
  DiskFile state;  // as it was when the file was found or opened
  std::optional<FileStamp>
      recheck;  // of a changed file that is being verified: the stamp it is verified against
  [[nodiscard]] File& file() const { return *open->file; }
};

// An error without a path of its own (the catalog's), or with one.
[[nodiscard]] inline Done failed(PathError fault, Buffer spent = {}) {
  return std::unexpected(JobFailure{fault.error, std::move(fault.path), std::move(spent)});
}
[[nodiscard]] inline Done failed(const Error& error, Buffer spent = {}) {
  return std::unexpected(JobFailure{error, {}, std::move(spent)});
}
inline constexpr Error altered_file{Code::mismatch, "the file is no longer the one that was verified", 0};
inline constexpr Error out_of_range{Code::malformed, "the piece or block is not of this content", 0};
inline constexpr Error detached{Code::cancelled, "the content is not attached", 0};

}  // namespace shoal::storage
