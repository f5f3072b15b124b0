// An open file of the POSIX file system, for posix_vfs.cpp, and what the two share.
#pragma once

#include <memory>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "storage/posix_vfs.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

[[nodiscard]] inline std::unexpected<Error> os_fail(int os_errno) {
  return std::unexpected(error_of(os_errno));
}
[[nodiscard]] FileStamp stamp_of(const struct stat& seen);

// openat(2), closed on exec; a signal does not end it. Not valid: errno says why.
[[nodiscard]] Descriptor open_at(int folder, const char* path, int flags, mode_t mode = 0);

// Of a regular file, opened for reading or for both.
[[nodiscard]] std::unique_ptr<File> posix_file(Descriptor fd);

}  // namespace shoal::storage
