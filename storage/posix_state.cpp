// State folder and locks of a POSIX host (posix_state.hpp).
#include "storage/posix_state.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/posix_file.hpp"

namespace shoal::storage {
namespace {

// A holder may release (and unlink) between our open and our flock; then we try again. Each round means that
// somebody else made progress, so few are enough.
constexpr int lock_rounds = 100;

Result<void> make_private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (::chmod(path.c_str(), 0700) != 0)
      return std::unexpected(error_of(errno));  // the umask may forbid more
    return {};
  }
  const int failed = errno;
  struct stat seen{};
  if (failed == EEXIST && ::stat(path.c_str(), &seen) == 0 && S_ISDIR(seen.st_mode)) return {};
  return std::unexpected(error_of(failed));
}

Result<void> make_private_folders(const std::string& path) {
  for (std::size_t at = 1; at < path.size(); ++at) {
    if (path[at] != '/' || path[at - 1] == '/') continue;
    if (auto done = make_private_folder(path.substr(0, at)); !done) return done;
  }
  return make_private_folder(path);
}

class FileLock final : public Lock {
 public:
  FileLock(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  ~FileLock() override {
    ::unlink(path_.c_str());  // while still held: whoever waits sees that the name is gone, and starts over
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  Descriptor fd_;
  std::string path_;
};

// A file for this user alone, made where it is not there.
Descriptor open_private(const std::string& path) {
  return open_at(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
}

}  // namespace

PathResult<std::string> prepare_state(const std::string& folder) {
  if (folder.empty()) return fail_at(folder, Code::not_found, "a state folder has a name");
  if (auto done = make_private_folders(folder); !done)
    return fail_at(folder, done.error().code, done.error().rule, done.error().os_errno);
  std::string path = folder + "/catalog.sqlite";
  const auto broken = [&path] {
    const Error error = error_of(errno);
    return fail_at(path, error.code, error.rule, error.os_errno);
  };
  const Descriptor fd = open_private(path);
  struct stat seen{};
  if (!fd.valid() || ::fstat(fd.get(), &seen) != 0) return broken();
  if (!S_ISREG(seen.st_mode))
    return fail_at(path, Code::unsafe, "something else lies in the catalog's place");
  // SQLite gives its log the same permissions.
  if ((seen.st_mode & 0777) != 0600 && ::fchmod(fd.get(), 0600) != 0) return broken();
  return path;
}

Result<std::unique_ptr<Lock>> PosixLocks::acquire(std::string_view name) {
  if (name.empty() || name[0] == '.' || name.find('/') != std::string_view::npos)
    return fail(Code::unsafe, "a lock's name is one component");
  if (auto done = make_private_folders(folder_); !done) return std::unexpected(done.error());
  const std::string path = folder_ + "/" + std::string{name};
  for (int round = 0; round < lock_rounds; ++round) {
    Descriptor fd = open_private(path);
    if (!fd.valid()) return os_fail(errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return fail(Code::busy, "another command holds it");
      return os_fail(errno);
    }
    struct stat ours{}, named{};
    if (::fstat(fd.get(), &ours) != 0) return os_fail(errno);
    const bool there = ::lstat(path.c_str(), &named) == 0;
    if (!there && errno != ENOENT) return os_fail(errno);
    if (there && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
      return std::make_unique<FileLock>(std::move(fd), path);
    // Released and unlinked just now.
  }
  return fail(Code::busy, "another command holds it");
}

}  // namespace shoal::storage
