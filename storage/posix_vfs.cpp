// The POSIX file system (posix_vfs.hpp). Sources: openat2(2), renameat2(2).
//
// How a path is kept inside its root. Kernel: openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, in one
// step, so no rename of a folder in between can move us out. Walk: one openat with O_NOFOLLOW a component;
// each step starts from a descriptor, so a folder swapped for a link is refused as well. What acts on a name
// (rename, unlink, symlink, mkdir, stat) opens the parent that way and then names one component, which such
// calls never follow.
//
// Things planted in our way: O_NONBLOCK makes a FIFO or device return at once, and only regular files are
// taken.
#include "storage/posix_vfs.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dht/base/check.hpp"
#include "storage/posix_file.hpp"

namespace shoal::storage {
namespace {

// RESOLVE_BENEATH gives EAGAIN when a rename raced with it (openat2(2)); so many times in a row is an attack.
constexpr int resolve_rounds = 1000;

// Of calls that make a name; there EINVAL means the name (open(2), mkdir(2), rename(2)).
std::unexpected<Error> name_fail(int os_errno) {
  if (os_errno != EINVAL) return os_fail(os_errno);
  return fail(Code::unsupported, "the file system does not take this name", os_errno);
}

Entry entry_of(const struct stat& seen) {
  Entry out;
  out.kind = S_ISREG(seen.st_mode)   ? EntryKind::file
             : S_ISDIR(seen.st_mode) ? EntryKind::folder
             : S_ISLNK(seen.st_mode) ? EntryKind::symlink
                                     : EntryKind::other;
  out.executable = S_ISREG(seen.st_mode) && (seen.st_mode & 0100) != 0;
  out.stamp = stamp_of(seen);
  return out;
}

struct Parent {
  Descriptor owned;
  int fd = -1;
  std::string name;
};

// Two names of one file; one name in two spellings is none of these.
bool two_names(const Parent& one, const Parent& other) {
  struct stat a{}, b{};
  return ::fstatat(one.fd, one.name.c_str(), &a, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstatat(other.fd, other.name.c_str(), &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino && a.st_nlink > 1;
}

// Splits off the last component. Refuses what no caller should hand in: the names come from outside.
Result<std::pair<std::string_view, std::string>> split(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || path.find('\0') != std::string_view::npos)
    return fail(Code::unsafe, "a path stays beneath its folder");
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..")
      return fail(Code::unsafe, "a path stays beneath its folder");
    at = end + 1;
  }
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::pair{std::string_view{}, std::string{path}};
  return std::pair{path.substr(0, slash), std::string{path.substr(slash + 1)}};
}

class PosixFolder final : public Folder {
 public:
  PosixFolder(Descriptor root, PosixVfs::Resolve resolve) : root_(std::move(root)), resolve_(resolve) {
    struct stat seen{};
    if (::fstat(root_.get(), &seen) == 0) device_ = seen.st_dev;
    if (resolve_ == PosixVfs::Resolve::walk) return;
    // Older kernels have no openat2, and some sandboxes forbid it: then walk.
    open_how how = how_of(O_PATH | O_DIRECTORY, 0);
    const Descriptor probe{static_cast<int>(::syscall(SYS_openat2, root_.get(), ".", &how, sizeof how))};
    if (!probe.valid()) resolve_ = PosixVfs::Resolve::walk;
  }

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
    const auto parts = split(path);
    if (!parts) return std::unexpected(parts.error());
    int flags = O_NONBLOCK | O_NOCTTY;
    flags |= mode == OpenMode::read ? O_RDONLY : O_RDWR;
    if (mode == OpenMode::create) flags |= O_CREAT | O_EXCL;
    auto fd = resolve(std::string{path}, flags, mode == OpenMode::create ? 0666 : 0);
    if (!fd && mode == OpenMode::create && fd.error().os_errno == EINVAL) return name_fail(EINVAL);
    if (!fd) return std::unexpected(fd.error());
    struct stat seen{};
    if (::fstat(fd->get(), &seen) != 0) {
      const int why = errno;
      if (mode == OpenMode::create) (void)remove(path);  // else it would stand in the way of who tries again
      return os_fail(why);
    }
    if (S_ISDIR(seen.st_mode)) return fail(Code::exists, "a folder lies where a file should be", EISDIR);
    if (!S_ISREG(seen.st_mode)) return fail(Code::unsafe, "what lies there is no regular file");
    if (seen.st_dev != device_) crossed_.store(true, std::memory_order_relaxed);
    return posix_file(std::move(*fd));
  }

  Result<void> make_folders(std::string_view path) override {
    if (path.empty()) return {};
    if (auto parts = split(path); !parts) return std::unexpected(parts.error());
    // Most often all are there but the last.
    for (std::size_t end = path.size();;) {
      auto made = make_folder(path.substr(0, end));
      if (made && end == path.size()) return {};
      if (made) {
        end = std::min(path.find('/', end + 1), path.size());
        continue;
      }
      if (made.error().code != Code::not_found) return made;
      const std::size_t slash = path.substr(0, end).rfind('/');
      if (slash == std::string_view::npos) return made;
      end = slash;
    }
  }

  Result<void> make_symlink(std::string_view path, std::string_view target) override {
    auto parent = parent_of(path);
    if (!parent) return std::unexpected(parent.error());
    if (::symlinkat(std::string{target}.c_str(), parent->fd, parent->name.c_str()) != 0)
      return os_fail(errno);
    return {};
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    auto source = parent_of(from);
    if (!source) return std::unexpected(source.error());
    auto target = parent_of(to);
    if (!target) return std::unexpected(target.error());
    const char* const old_name = source->name.c_str();
    const char* const new_name = target->name.c_str();
    if (::renameat2(source->fd, old_name, target->fd, new_name, RENAME_NOREPLACE) == 0) return {};
    if (errno == EXDEV) return fail(Code::io, "a file is not moved to another file system", EXDEV);
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return os_fail(errno);
    // The file system cannot refuse to replace; a hard link can, and is as atomic. Where it is there already
    // the old name could not be removed the last time.
    const int linked = ::linkat(source->fd, old_name, target->fd, new_name, 0) == 0 ? 0 : errno;
    if (linked == 0 || (linked == EEXIST && from != to && two_names(*source, *target))) {
      if (::unlinkat(source->fd, old_name, 0) != 0) return os_fail(errno);
      return {};
    }
    if (linked == EEXIST) return os_fail(linked);
    // No hard links either (FAT): what remains is to look first.
    struct stat seen{};
    if (::fstatat(target->fd, new_name, &seen, AT_SYMLINK_NOFOLLOW) == 0) return os_fail(EEXIST);
    if (::renameat(source->fd, old_name, target->fd, new_name) != 0) return name_fail(errno);
    return {};
  }

  Result<void> remove(std::string_view path) override {
    auto parent = parent_of(path);
    if (!parent) return std::unexpected(parent.error());
    if (::unlinkat(parent->fd, parent->name.c_str(), 0) != 0) return os_fail(errno);
    return {};
  }

  Result<void> sync_folder(std::string_view path) override {
    auto fd = open_folder_fd(path);
    if (!fd) return std::unexpected(fd.error());
    while (::fsync(fd->get()) != 0) {
      if (errno == EINTR) continue;
      if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP) return {};  // it has no such thing
      return os_fail(errno);
    }
    return {};
  }

  // Errors of writing back are reported by syncfs since Linux 5.8; what it does not cover are other file
  // systems mounted beneath the root.
  Result<bool> sync_everything() override {
    if (crossed_.load(std::memory_order_relaxed)) return false;
    while (::syncfs(root_.get()) != 0) {
      if (errno == EINTR) continue;
      return os_fail(errno);
    }
    return true;
  }

  Result<Entry> stat(std::string_view path) override {
    auto parent = parent_of(path);
    if (!parent) return std::unexpected(parent.error());
    struct stat seen{};
    if (::fstatat(parent->fd, parent->name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return os_fail(errno);
    return entry_of(seen);
  }

  Result<std::string> read_symlink(std::string_view path) override {
    auto parent = parent_of(path);
    if (!parent) return std::unexpected(parent.error());
    std::string out(PATH_MAX, '\0');
    const ssize_t size = ::readlinkat(parent->fd, parent->name.c_str(), out.data(), out.size());
    if (size < 0) return os_fail(errno);
    out.resize(static_cast<std::size_t>(size));
    return out;
  }

  Result<std::vector<Entry>> list(std::string_view path) override {
    auto fd = open_folder_fd(path);
    if (!fd) return std::unexpected(fd.error());
    DIR* stream = ::fdopendir(fd->get());
    if (stream == nullptr) return os_fail(errno);
    const int folder = fd->release();  // closedir closes it
    std::vector<Entry> out;
    int failed = 0;
    for (;;) {
      errno = 0;
      const dirent* found = ::readdir(stream);
      if (found == nullptr) {
        failed = errno;
        break;
      }
      const std::string_view name = found->d_name;
      if (name == "." || name == "..") continue;
      struct stat seen{};
      if (::fstatat(folder, found->d_name, &seen, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // gone meanwhile
        failed = errno;
        break;
      }
      out.push_back(entry_of(seen));
      out.back().name = name;
    }
    ::closedir(stream);
    if (failed != 0) return os_fail(failed);
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return out;
  }

  Result<std::uint64_t> free_bytes() override {
    struct statvfs seen{};
    while (::fstatvfs(root_.get(), &seen) != 0)
      if (errno != EINTR) return os_fail(errno);
    return std::uint64_t{seen.f_bavail} * seen.f_frsize;
  }

 private:
  static open_how how_of(int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return how;
  }

  // A descriptor of `path`, which has passed split().
  Result<Descriptor> resolve(const std::string& path, int flags, mode_t mode) {
    if (resolve_ == PosixVfs::Resolve::walk) return walk(path, flags, mode);
    open_how how = how_of(flags, mode);
    for (int round = 0; round < resolve_rounds; ++round) {
      const long fd = ::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how);
      if (fd >= 0) return Descriptor{static_cast<int>(fd)};
      if (errno != EAGAIN && errno != EINTR) return os_fail(errno);
    }
    return os_fail(EAGAIN);
  }

  Result<Descriptor> walk(const std::string& path, int flags, mode_t mode) {
    Descriptor at;
    for (std::size_t start = 0;;) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      const std::string part = path.substr(start, end - start);
      const bool last = end == path.size();
      const int from = at.valid() ? at.get() : root_.get();
      Descriptor next = open_at(from, part.c_str(), (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW, mode);
      if (!next.valid()) {
        // O_DIRECTORY with O_NOFOLLOW calls a link "not a folder". One that is a folder now was a link then.
        const int failed = errno;
        struct stat seen{};
        if (failed == ENOTDIR && ::fstatat(from, part.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0 &&
            (S_ISLNK(seen.st_mode) || S_ISDIR(seen.st_mode)))
          return os_fail(ELOOP);
        return os_fail(failed);
      }
      at = std::move(next);
      if (last) return at;
      start = end + 1;
    }
  }

  Result<Parent> parent_of(std::string_view path) {
    auto parts = split(path);
    if (!parts) return std::unexpected(parts.error());
    Parent out;
    out.name = std::move(parts->second);
    out.fd = root_.get();
    if (parts->first.empty()) return out;
    auto fd = resolve(std::string{parts->first}, O_PATH | O_DIRECTORY, 0);
    if (!fd) return std::unexpected(fd.error());
    out.owned = std::move(*fd);
    out.fd = out.owned.get();
    return out;
  }

  Result<Descriptor> open_folder_fd(std::string_view path) {
    if (path.empty()) {
      Descriptor fd = open_at(root_.get(), ".", O_RDONLY | O_DIRECTORY);
      if (!fd.valid()) return os_fail(errno);
      return fd;
    }
    if (auto parts = split(path); !parts) return std::unexpected(parts.error());
    return resolve(std::string{path}, O_RDONLY | O_DIRECTORY, 0);
  }

  // One folder whose parent exists; fine if it is there.
  Result<void> make_folder(std::string_view path) {
    auto parent = parent_of(path);
    if (!parent) return std::unexpected(parent.error());
    if (::mkdirat(parent->fd, parent->name.c_str(), 0777) == 0) return {};
    if (errno != EEXIST) return name_fail(errno);
    struct stat seen{};
    if (::fstatat(parent->fd, parent->name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return os_fail(errno);
    if (S_ISDIR(seen.st_mode)) return {};
    if (S_ISREG(seen.st_mode)) return os_fail(ENOTDIR);
    return fail(Code::unsafe, "a link or special file lies where a folder should be", ELOOP);
  }

  Descriptor root_;
  PosixVfs::Resolve resolve_;
  dev_t device_ = 0;
  std::atomic<bool> crossed_{false};  // a file was opened that lies on another file system
};

// mkdir -p of the user's own path, the folders that hold new ones synced. Links are followed.
Result<void> make_user_folders(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) != 0) {
    if (errno == EEXIST) return {};
    if (errno != ENOENT) return os_fail(errno);
    const std::size_t end = path.find_last_not_of('/');
    const std::size_t slash = end == std::string::npos ? end : path.rfind('/', end);
    if (slash == std::string::npos || slash == 0) return os_fail(ENOENT);
    if (auto done = make_user_folders(path.substr(0, slash)); !done) return done;
    if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return os_fail(errno);
  }
  const Descriptor above = open_at(AT_FDCWD, (path + "/..").c_str(), O_RDONLY | O_DIRECTORY);
  if (above.valid()) ::fsync(above.get());  // a file system that cannot is no reason to fail
  return {};
}

}  // namespace

Result<std::unique_ptr<Folder>> PosixVfs::open_folder(const std::string& path, Missing missing) {
  if (path.empty() || path.find('\0') != std::string::npos)
    return fail(Code::not_found, "a folder has a name without zero bytes", ENOENT);
  if (missing == Missing::create) {
    if (auto made = make_user_folders(path); !made) return std::unexpected(made.error());
  }
  Descriptor fd = open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return os_fail(errno);
  if (missing == Missing::create && ::faccessat(fd.get(), ".", W_OK | X_OK, AT_EACCESS) != 0)
    return os_fail(errno);
  return std::make_unique<PosixFolder>(std::move(fd), resolve_);
}

}  // namespace shoal::storage
