// New files (new_file.hpp), over renameat2(2): with RENAME_NOREPLACE it fails where the name is taken, by a
// symbolic link as well.
#include "cli/new_file.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/names.hpp"
#include "storage/posix_file.hpp"

namespace shoal::cli {
namespace {

Result<void> write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return storage::os_fail(errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  while (::fsync(fd) != 0)
    if (errno != EINTR) return storage::os_fail(errno);
  return {};
}

Failure file_failure(const Error& error, const std::string& path, const char* flag) {
  const std::string shown = storage::escape_for_display(path);
  if (error.code == Code::no_space)
    return {Exit::disk_full,
            fmt::format("no room for '{}'; free some room and run the same command again", shown), path};
  if (error.code == Code::exists)
    return {Exit::path,
            fmt::format("'{}' is there already; move it away, or give another name with {}", shown, flag),
            path};
  return {Exit::path,
          fmt::format("'{}' cannot be written: {}; give another place with {}", shown,
                      what_was_wrong(error, {}), flag),
          path};
}

Result<void> write_and_rename(const std::string& path, ByteView bytes) {
  const std::string part = path + ".part";
  storage::Descriptor fd =
      storage::open_at(AT_FDCWD, part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
  if (!fd.valid()) return storage::os_fail(errno);
  auto done = write_all(fd.get(), bytes);
  fd = {};
  if (done && ::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0)
    done = std::unexpected(storage::error_of(errno));
  if (!done) ::unlink(part.c_str());
  return done;
}

}  // namespace

Outcome<void> expect_free(const std::string& path, const char* flag) {
  struct stat seen{};
  if (::lstat(path.c_str(), &seen) != 0) return {};
  return std::unexpected(file_failure({Code::exists, "it is there already"}, path, flag));
}

Outcome<void> write_new_file(const std::string& path, ByteView bytes, const char* flag) {
  const auto done = write_and_rename(path, bytes);
  if (!done) return std::unexpected(file_failure(done.error(), path, flag));
  return {};
}

}  // namespace shoal::cli
