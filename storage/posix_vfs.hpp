// The file system of a POSIX host (Linux): Folder over a directory descriptor, File over a descriptor. Every
// path is resolved by the kernel beneath the root with no symbolic link followed (openat2, Linux 5.6), or,
// where that is missing or forbidden, component by component with O_NOFOLLOW. Not here: state files and locks
// (posix_state.hpp).
#pragma once

#include <memory>
#include <string>

#include "storage/vfs.hpp"

namespace shoal::storage {

class PosixVfs final : public Vfs {
 public:
  enum class Resolve : std::uint8_t { kernel, walk };  // walk: as if there were no openat2
  explicit PosixVfs(Resolve resolve = Resolve::kernel) : resolve_(resolve) {}
  [[nodiscard]] Result<std::unique_ptr<Folder>> open_folder(const std::string& path,
                                                            Missing missing) override;

 private:
  Resolve resolve_;
};

// What a failed system call means at this seam.
[[nodiscard]] Error error_of(int os_errno);

}  // namespace shoal::storage
