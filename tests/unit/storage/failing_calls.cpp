// See failing_calls.hpp.
#include "failing_calls.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace shoal::storage::fixture {
namespace {

thread_local FailingCall* innermost = nullptr;

// A name as a template's argument: each call keeps the one that it stands for.
struct Name {
  template <std::size_t N>
  consteval Name(const char (&literal)[N]) {
    std::copy_n(literal, N, text);
  }
  char text[16]{};
};

template <Name name, class Call, class... Values>
auto pass_on(Call*, Values... values) {
  if (const int why = FailingCall::next(name.text); why != 0) {
    errno = why;
    using Out = decltype(std::declval<Call*>()(values...));
    if constexpr (std::is_pointer_v<Out>)
      return Out{nullptr};
    else
      return static_cast<Out>(-1);
  }
  static const auto real = reinterpret_cast<Call*>(::dlsym(RTLD_NEXT, name.text));
  return real(values...);
}

}  // namespace

FailingCall::FailingCall(std::string_view name, int os_errno, int times, int skip)
    : name_(name), os_errno_(os_errno), times_(times), skip_(skip), outer_(innermost) {
  innermost = this;
}
FailingCall::FailingCall(std::string_view name, std::function<void()> meanwhile, int skip)
    : FailingCall(name, 0, 1, skip) {
  meanwhile_ = std::move(meanwhile);
}
FailingCall::~FailingCall() { innermost = outer_; }

int FailingCall::next(std::string_view name) {
  for (FailingCall* at = innermost; at != nullptr; at = at->outer_) {
    if (at->name_ != name) continue;
    if (at->skip_-- > 0) return 0;
    at->skip_ = 0;
    if (at->failed_ == at->times_) return 0;
    ++at->failed_;
    if (at->meanwhile_) at->meanwhile_();
    return at->os_errno_;
  }
  return 0;
}

}  // namespace shoal::storage::fixture

using shoal::storage::fixture::pass_on;

extern "C" {

int fstat(int fd, struct stat* out) noexcept { return pass_on<"fstat">(&fstat, fd, out); }
int stat(const char* path, struct stat* out) noexcept { return pass_on<"stat">(&stat, path, out); }
int lstat(const char* path, struct stat* out) noexcept { return pass_on<"lstat">(&lstat, path, out); }
int fstatat(int fd, const char* name, struct stat* out, int flags) noexcept {
  return pass_on<"fstatat">(&fstatat, fd, name, out, flags);
}
int fstatvfs(int fd, struct statvfs* out) noexcept { return pass_on<"fstatvfs">(&fstatvfs, fd, out); }
int fstatfs(int fd, struct statfs* out) noexcept { return pass_on<"fstatfs">(&fstatfs, fd, out); }
int fchmod(int fd, mode_t mode) noexcept { return pass_on<"fchmod">(&fchmod, fd, mode); }
int chmod(const char* path, mode_t mode) noexcept { return pass_on<"chmod">(&chmod, path, mode); }
int faccessat(int fd, const char* name, int mode, int flags) noexcept {
  return pass_on<"faccessat">(&faccessat, fd, name, mode, flags);
}
int flock(int fd, int operation) noexcept { return pass_on<"flock">(&flock, fd, operation); }
int ftruncate(int fd, off_t size) noexcept { return pass_on<"ftruncate">(&ftruncate, fd, size); }
int syncfs(int fd) noexcept { return pass_on<"syncfs">(&syncfs, fd); }
int fsync(int fd) { return pass_on<"fsync">(&fsync, fd); }
int fdatasync(int fd) { return pass_on<"fdatasync">(&fdatasync, fd); }
int mkdir(const char* path, mode_t mode) noexcept { return pass_on<"mkdir">(&mkdir, path, mode); }
int mkdirat(int fd, const char* name, mode_t mode) noexcept {
  return pass_on<"mkdirat">(&mkdirat, fd, name, mode);
}
int renameat(int from, const char* old_name, int to, const char* new_name) noexcept {
  return pass_on<"renameat">(&renameat, from, old_name, to, new_name);
}
int renameat2(int from, const char* old_name, int to, const char* new_name, unsigned flags) noexcept {
  return pass_on<"renameat2">(&renameat2, from, old_name, to, new_name, flags);
}
int linkat(int from, const char* old_name, int to, const char* new_name, int flags) noexcept {
  return pass_on<"linkat">(&linkat, from, old_name, to, new_name, flags);
}
int symlinkat(const char* target, int fd, const char* name) noexcept {
  return pass_on<"symlinkat">(&symlinkat, target, fd, name);
}
int unlinkat(int fd, const char* name, int flags) noexcept {
  return pass_on<"unlinkat">(&unlinkat, fd, name, flags);
}
ssize_t readlinkat(int fd, const char* name, char* out, size_t size) noexcept {
  return pass_on<"readlinkat">(&readlinkat, fd, name, out, size);
}
ssize_t pread(int fd, void* out, size_t size, off_t at) {
  return pass_on<"pread">(&pread, fd, out, size, at);
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  const int why = shoal::storage::fixture::FailingCall::next("pwrite takes nothing");
  return why != 0 ? 0 : pass_on<"pwrite">(&pwrite, fd, from, size, at);
}
ssize_t preadv(int fd, const iovec* parts, int count, off_t at) {
  return pass_on<"preadv">(&preadv, fd, parts, count, at);
}
ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  return pass_on<"pwritev">(&pwritev, fd, parts, count, at);
}
ssize_t preadv2(int fd, const iovec* parts, int count, off_t at, int flags) {
  return pass_on<"preadv2">(&preadv2, fd, parts, count, at, flags);
}
DIR* fdopendir(int fd) { return pass_on<"fdopendir">(&fdopendir, fd); }
dirent* readdir(DIR* stream) { return pass_on<"readdir">(&readdir, stream); }

int openat(int fd, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return pass_on<"openat">(static_cast<int (*)(int, const char*, int, mode_t)>(nullptr), fd, path, flags,
                           mode);
}

long syscall(long number, ...) noexcept {
  va_list more;
  va_start(more, number);
  long values[6];
  for (long& value : values) value = va_arg(more, long);
  va_end(more);
  if (number == SYS_openat2) {
    if (const int why = shoal::storage::fixture::FailingCall::next("openat2"); why != 0) {
      errno = why;
      return -1;
    }
  }
  return pass_on<"syscall">(static_cast<long (*)(long, long, long, long, long, long, long)>(nullptr), number,
                            values[0], values[1], values[2], values[3], values[4], values[5]);
}
}
