// Preloaded into a process (LD_PRELOAD) it makes the n-th call of one kind fail, as the system would. Built by
// nth_call.py, which also says what to fail:
//
//   FAIL_KIND     open, read, write, sync, resize, rename, folder, unlink, stat, accept
//   FAIL_NTH      the first that fails, from 1
//   FAIL_TIMES    how many fail; 0: all from then on
//   FAIL_ERRNO    with what; 0: no error, but half of the bytes (read, write)
//   FAIL_BENEATH  calls about files in this folder count alone (accept: all)
//   FAIL_MARK     a file that is made when the first has failed
//   FAIL_COUNTS   a file for the number of calls of each kind, "KIND NUMBER" a line, written at the end
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char* const kinds[] = {"open",   "read",   "write",  "sync", "resize",
                                    "rename", "folder", "unlink", "stat", "accept"};
enum { kinds_count = sizeof kinds / sizeof *kinds };
static atomic_long calls[kinds_count];
static long nth, times, failure;
static const char *kind = "", *beneath = "", *mark = "", *counts = "";

static long number(const char* name, long otherwise) {
  const char* text = getenv(name);
  return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
  nth = number("FAIL_NTH", 0);
  times = number("FAIL_TIMES", 1);
  failure = number("FAIL_ERRNO", EIO);
  if (getenv("FAIL_KIND")) kind = getenv("FAIL_KIND");
  if (getenv("FAIL_BENEATH")) beneath = getenv("FAIL_BENEATH");
  if (getenv("FAIL_MARK")) mark = getenv("FAIL_MARK");
  if (getenv("FAIL_COUNTS")) counts = getenv("FAIL_COUNTS");
}

__attribute__((destructor)) static void end(void) {
  FILE* out = *counts ? fopen(counts, "w") : NULL;
  if (out == NULL) return;
  for (int i = 0; i < kinds_count; ++i) fprintf(out, "%s %ld\n", kinds[i], atomic_load(&calls[i]));
  fclose(out);
}

static int in_folder(const char* path) { return strncmp(path, beneath, strlen(beneath)) == 0; }

static int of_descriptor(int fd) {
  char name[64], path[PATH_MAX];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(name, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  return in_folder(path);
}

static int of_path(int folder, const char* path) {
  if (path[0] == '/') return in_folder(path);
  if (folder != AT_FDCWD) return of_descriptor(folder);
  char here[PATH_MAX];
  return getcwd(here, sizeof here) != NULL && in_folder(here);
}

// Counts a call, and tells whether it is one that fails; then errno is set.
static int hit(const char* what) {
  int which = 0;
  while (strcmp(kinds[which], what) != 0) ++which;
  const long call = atomic_fetch_add(&calls[which], 1) + 1;
  if (strcmp(kind, what) != 0 || call < nth || (times > 0 && call >= nth + times)) return 0;
  if (call == nth) syscall(SYS_close, syscall(SYS_open, mark, O_CREAT | O_WRONLY, 0666));
  errno = (int)failure;
  return 1;
}
// What nobody wants to know is not looked at.
static int concerns(const char* what) { return *counts || strcmp(kind, what) == 0; }
#define FAILS_AT(what, folder, path) (concerns(what) && of_path(folder, path) && hit(what))
#define FAILS_OF(what, fd) (concerns(what) && of_descriptor(fd) && hit(what))
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// ---- opening

#define MODE_OF(flags)                             \
  mode_t mode = 0;                                 \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {         \
    va_list more;                                  \
    va_start(more, flags);                         \
    mode = va_arg(more, mode_t);                   \
    va_end(more);                                  \
  }
#define OPEN(name)                                               \
  int name(const char* path, int flags, ...) {                   \
    MODE_OF(flags)                                               \
    if (FAILS_AT("open", AT_FDCWD, path)) return -1;             \
    return REAL(name)(path, flags, mode);                        \
  }
#define OPENAT(name)                                             \
  int name(int folder, const char* path, int flags, ...) {       \
    MODE_OF(flags)                                               \
    if (FAILS_AT("open", folder, path)) return -1;               \
    return REAL(name)(folder, path, flags, mode);                \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

// Of openat2, which has no function.
long syscall(long which, ...) {
  long a[6];
  va_list more;
  va_start(more, which);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(more, long);
  va_end(more);
  if (which == SYS_openat2 && FAILS_AT("open", (int)a[0], (const char*)a[1])) return -1;
  return REAL(syscall)(which, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// ---- bytes. Without an error half of them go.

static size_t half(size_t size) { return size > 1 ? size / 2 : size; }

#define BYTES(name, what, pointer)                                                              \
  ssize_t name(int fd, pointer bytes, size_t size, off_t at) {                                  \
    if (FAILS_OF(what, fd)) return failure ? -1 : REAL(name)(fd, bytes, half(size), at);        \
    return REAL(name)(fd, bytes, size, at);                                                     \
  }
BYTES(pread, "read", void*)
BYTES(pread64, "read", void*)
BYTES(pwrite, "write", const void*)
BYTES(pwrite64, "write", const void*)

ssize_t read(int fd, void* bytes, size_t size) {
  if (FAILS_OF("read", fd)) return failure ? -1 : REAL(read)(fd, bytes, half(size));
  return REAL(read)(fd, bytes, size);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  if (FAILS_OF("write", fd)) return failure ? -1 : REAL(write)(fd, bytes, half(size));
  return REAL(write)(fd, bytes, size);
}

#define VECTORS(name, what, one)                                                                      \
  ssize_t name(int fd, const struct iovec* parts, int count, off_t at) {                              \
    if (FAILS_OF(what, fd)) return failure ? -1 : one(fd, parts->iov_base, half(parts->iov_len), at); \
    return REAL(name)(fd, parts, count, at);                                                          \
  }
VECTORS(preadv, "read", REAL(pread))
VECTORS(preadv64, "read", REAL(pread))
VECTORS(pwritev, "write", REAL(pwrite))
VECTORS(pwritev64, "write", REAL(pwrite))

#define SYNC(name)                   \
  int name(int fd) {                 \
    if (FAILS_OF("sync", fd)) return -1; \
    return REAL(name)(fd);           \
  }
SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)

#define RESIZE(name)                       \
  int name(int fd, off_t size) {           \
    if (FAILS_OF("resize", fd)) return -1; \
    return REAL(name)(fd, size);           \
  }
RESIZE(ftruncate)
RESIZE(ftruncate64)

// ---- names

int renameat2(int from, const char* old, int to, const char* new, unsigned flags) {
  if (FAILS_AT("rename", from, old)) return -1;
  return REAL(renameat2)(from, old, to, new, flags);
}
int mkdir(const char* path, mode_t mode) {
  if (FAILS_AT("folder", AT_FDCWD, path)) return -1;
  return REAL(mkdir)(path, mode);
}
int mkdirat(int folder, const char* path, mode_t mode) {
  if (FAILS_AT("folder", folder, path)) return -1;
  return REAL(mkdirat)(folder, path, mode);
}
int unlink(const char* path) {
  if (FAILS_AT("unlink", AT_FDCWD, path)) return -1;
  return REAL(unlink)(path);
}
int unlinkat(int folder, const char* path, int flags) {
  if (FAILS_AT("unlink", folder, path)) return -1;
  return REAL(unlinkat)(folder, path, flags);
}
int fstat(int fd, struct stat* out) {
  if (FAILS_OF("stat", fd)) return -1;
  return REAL(fstat)(fd, out);
}
int fstatat(int folder, const char* path, struct stat* out, int flags) {
  if (FAILS_AT("stat", folder, path)) return -1;
  return REAL(fstatat)(folder, path, out, flags);
}

// ---- sockets

int accept4(int fd, struct sockaddr* from, socklen_t* size, int flags) {
  if (concerns("accept") && hit("accept")) return -1;
  return REAL(accept4)(fd, from, size, flags);
}
