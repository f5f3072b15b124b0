// Open files. Sources: preadv2(2), pwritev(2), fdatasync(2).
//
// A failed fdatasync leaves pages that Linux calls clean although the disk lacks them; they are dropped from
// the cache, so that hashing again reads what the disk really has.
#include "storage/posix_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <optional>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/uio.h>

namespace shoal::storage {
namespace {

constexpr std::size_t gather_parts = 16;  // spans of one preadv or pwritev; Disk::max_batch

Result<off_t> offset_of(std::uint64_t offset, std::size_t size) {
  constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  if (offset > limit || size > limit - offset)
    return fail(Code::too_large, "the file would be too large", EFBIG);
  return static_cast<off_t>(offset);
}

class PosixFile final : public File {
 public:
  explicit PosixFile(Descriptor fd) : fd_(std::move(fd)) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    if (auto start = offset_of(offset, out.size()); !start) return std::unexpected(start.error());
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return os_fail(errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    if (auto start = offset_of(offset, bytes.size()); !start) return std::unexpected(start.error());
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t put =
          ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return os_fail(errno);
      if (put == 0) return os_fail(ENOSPC);  // no progress and no reason: do not spin
      done += static_cast<std::size_t>(put);
    }
    return {};
  }

  Result<std::size_t> read_cached(std::uint64_t offset, MutableBytes out) override {
    if (!in_memory_) in_memory_ = lies_in_memory();
    if (*in_memory_) return read_at(offset, out);
    if (auto start = offset_of(offset, out.size()); !start) return std::unexpected(start.error());
    const iovec part{out.data(), out.size()};
    const ssize_t got = ::preadv2(fd_.get(), &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (got < 0 || static_cast<std::size_t>(got) != out.size()) return File::read_cached(offset, out);
    return out.size();
  }

  Result<std::size_t> read_scatter(std::uint64_t offset, std::span<const MutableBytes> parts) override {
    std::size_t done = 0;
    while (!parts.empty()) {
      std::array<iovec, gather_parts> vectors;
      const std::size_t count = std::min(parts.size(), vectors.size());
      std::size_t total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        vectors[i] = {parts[i].data(), parts[i].size()};
        total += parts[i].size();
      }
      if (auto start = offset_of(offset + done, total); !start) return std::unexpected(start.error());
      ssize_t got = 0;
      do
        got = ::preadv(fd_.get(), vectors.data(), static_cast<int>(count), static_cast<off_t>(offset + done));
      while (got < 0 && errno == EINTR);
      if (got < 0) return os_fail(errno);
      if (static_cast<std::size_t>(got) != total) {  // the end of the file, or a signal
        const auto rest = File::read_scatter(offset + done, parts);
        if (!rest) return rest;
        return done + *rest;
      }
      done += total;
      parts = parts.subspan(count);
    }
    return done;
  }

  // A short write is finished span by span: it is rare, and then speed does not matter.
  Result<void> write_gather(std::uint64_t offset, std::span<const ByteView> parts) override {
    while (!parts.empty()) {
      std::array<iovec, gather_parts> vectors;
      const std::size_t count = std::min(parts.size(), vectors.size());
      std::size_t total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        vectors[i] = {const_cast<std::uint8_t*>(parts[i].data()), parts[i].size()};
        total += parts[i].size();
      }
      if (auto start = offset_of(offset, total); !start) return std::unexpected(start.error());
      ssize_t put = 0;
      do put = ::pwritev(fd_.get(), vectors.data(), static_cast<int>(count), static_cast<off_t>(offset));
      while (put < 0 && errno == EINTR);
      if (put < 0) return os_fail(errno);
      if (static_cast<std::size_t>(put) != total) return File::write_gather(offset, parts);
      offset += total;
      parts = parts.subspan(count);
    }
    return {};
  }

  Result<void> resize(std::uint64_t size) override {
    const auto length = offset_of(size, 0);
    if (!length) return std::unexpected(length.error());
    while (::ftruncate(fd_.get(), *length) != 0)
      if (errno != EINTR) return os_fail(errno);
    return {};
  }

  Result<void> sync() override {
    while (::fdatasync(fd_.get()) != 0) {
      if (errno == EINTR) continue;
      const int failed = errno;
      ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
      return os_fail(failed);
    }
    return {};
  }

  Result<FileStamp> stamp() override {
    struct stat seen{};
    if (::fstat(fd_.get(), &seen) != 0) return os_fail(errno);
    return stamp_of(seen);
  }

  Result<void> set_executable() override {
    struct stat seen{};
    if (::fstat(fd_.get(), &seen) != 0) return os_fail(errno);
    const mode_t mode = (seen.st_mode & 07777) | ((seen.st_mode & 0444) >> 2);  // for whoever may read
    if (::fchmod(fd_.get(), mode) != 0 && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
      return os_fail(errno);
    return {};
  }

 private:
  // Of a file system that has no disk; it lacks RWF_NOWAIT.
  [[nodiscard]] bool lies_in_memory() const {
    struct statfs system{};
    return ::fstatfs(fd_.get(), &system) == 0 && system.f_type == TMPFS_MAGIC;
  }

  Descriptor fd_;
  std::optional<bool> in_memory_;  // asked once, by the thread of read_cached
};

}  // namespace

FileStamp stamp_of(const struct stat& seen) {
  return {static_cast<std::uint64_t>(seen.st_size),
          std::int64_t{seen.st_mtim.tv_sec} * 1'000'000'000 + seen.st_mtim.tv_nsec,
          static_cast<std::uint64_t>(seen.st_ino)};
}

Descriptor open_at(int folder, const char* path, int flags, mode_t mode) {
  int fd = -1;
  do fd = ::openat(folder, path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return Descriptor{fd};
}

std::unique_ptr<File> posix_file(Descriptor fd) { return std::make_unique<PosixFile>(std::move(fd)); }

}  // namespace shoal::storage
