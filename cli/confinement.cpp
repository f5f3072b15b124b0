// Confinement (confinement.hpp). Sources: landlock(7), seccomp(2), seccomp_rule_add(3).
#include "cli/confinement.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <span>

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/posix_file.hpp"

namespace shoal::cli {
namespace {

using storage::Descriptor;

// Rights that came after the first version, by the version that brought them. The oldest headers we build
// with know the first two of them.
constexpr std::uint64_t may_refer = LANDLOCK_ACCESS_FS_REFER, may_truncate = 1ULL << 14,
                        may_ioctl = 1ULL << 15;

constexpr std::uint64_t may_list = LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t may_read = LANDLOCK_ACCESS_FS_READ_FILE | may_list;
constexpr std::uint64_t may_write = may_read | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | may_refer |
                                    may_truncate;
constexpr std::uint64_t of_first_version =
    (may_write & ~(may_refer | may_truncate)) | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr std::uint64_t of_a_file =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | may_truncate;  // others are a folder's

// Names of hosts are looked up at any time, by plug-ins of the C library, and their configuration is replaced
// when the network changes: so whole folders.
constexpr std::array name_service{"/etc",
                                  "/lib",
                                  "/lib64",
                                  "/usr/lib",
                                  "/usr/lib64",
                                  "/usr/share/zoneinfo",
                                  "/run/systemd/resolve",
                                  "/run/resolvconf",
                                  "/run/NetworkManager",
                                  "/sys/devices/system/cpu",
                                  "/proc/self"};

std::uint64_t rights_known(int version) {
  std::uint64_t out = of_first_version;
  if (version >= 2) out |= may_refer;
  if (version >= 3) out |= may_truncate;
  if (version >= 5) out |= may_ioctl;
  return out;
}

class Ruleset {
 public:
  explicit Ruleset(int version) : known_(rights_known(version)) {
    const landlock_ruleset_attr attributes{.handled_access_fs = known_};
    fd_ = Descriptor{
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))};
  }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  void allow(const char* path, std::uint64_t rights) {
    const Descriptor place{::open(path, O_PATH | O_CLOEXEC)};
    struct stat seen{};
    if (!place.valid() || ::fstat(place.get(), &seen) != 0) return;  // not there: nothing to allow
    rights &= S_ISDIR(seen.st_mode) ? known_ : known_ & of_a_file;
    if (rights == 0) return;
    const landlock_path_beneath_attr rule{.allowed_access = rights, .parent_fd = place.get()};
    (void)::syscall(SYS_landlock_add_rule, fd_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
  [[nodiscard]] bool enforce() const { return ::syscall(SYS_landlock_restrict_self, fd_.get(), 0) == 0; }

 private:
  std::uint64_t known_;
  Descriptor fd_;
};

int confine_files(const Territory& territory) {
  const auto version =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (version < 1) return 0;  // none in this kernel, or switched off
  Ruleset rules{version};
  if (!rules.valid()) return 0;
  for (const char* path : name_service) rules.allow(path, may_read);
  rules.allow("/dev/null", of_a_file);
  for (const std::string& path : territory.read) rules.allow(path.c_str(), may_read);
  for (const std::string& path : territory.list) rules.allow(path.c_str(), may_list);
  for (const std::string& path : territory.write) rules.allow(path.c_str(), may_write);
  return rules.enforce() ? version : 0;
}

// Refused with EPERM, as where a user lacks the right: a library that tries one for its own reasons goes on.
constexpr std::array refused{
    // other programs, other processes
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal), SCMP_SYS(kcmp), SCMP_SYS(kill), SCMP_SYS(tkill),
    // another view of the machine
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
    SCMP_SYS(fsmount), SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns),
    SCMP_SYS(unshare), SCMP_SYS(personality), SCMP_SYS(open_by_handle_at), SCMP_SYS(fanotify_init),
    // much code of the kernel's that no peer needs
    SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(add_key), SCMP_SYS(request_key),
    SCMP_SYS(keyctl), SCMP_SYS(memfd_secret), SCMP_SYS(vmsplice),
    // the machine itself
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(syslog),
    // who owns a file and who may use it, which Landlock does not govern
    SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(lchown), SCMP_SYS(fchown),
    SCMP_SYS(fchownat), SCMP_SYS(setxattr), SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(removexattr),
    SCMP_SYS(lremovexattr), SCMP_SYS(fremovexattr), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(utime),
    SCMP_SYS(utimes), SCMP_SYS(futimesat), SCMP_SYS(utimensat), SCMP_SYS(link), SCMP_SYS(linkat),
    // becoming somebody else
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(capset)};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)), good_(context_ != nullptr) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  void refuse(int call, std::span<const scmp_arg_cmp> when = {}) {
    // A call that this kind of machine has not needs no rule.
    if (!good_ || call < 0) return;
    good_ = seccomp_rule_add_array(context_, SCMP_ACT_ERRNO(EPERM), call, static_cast<unsigned>(when.size()),
                                   when.data()) == 0;
  }
  [[nodiscard]] bool load() {
    // A tree of decisions instead of a chain: the cost of a call does not grow with the list.
    good_ = good_ && seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
    return good_ && seccomp_load(context_) == 0;
  }

 private:
  scmp_filter_ctx context_;
  bool good_;
};

// The library's own macros for these are C.
constexpr scmp_arg_cmp argument(unsigned number, scmp_compare how, scmp_datum_t value) {
  return {.arg = number, .op = how, .datum_a = value, .datum_b = 0};
}
constexpr scmp_arg_cmp masked(unsigned number, scmp_datum_t mask, scmp_datum_t value) {
  return {.arg = number, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

bool confine_system_calls() {
  Filter filter;
  for (const int call : refused) filter.refuse(call);
  // Sockets of the families between and beyond: a filter has no "none of", so the gaps are named.
  for (const auto& [above, below] :
       {std::pair{AF_UNIX, AF_INET}, {AF_INET, AF_INET6}, {AF_INET6, AF_NETLINK}})
    for (int family = above + 1; family < below; ++family)
      filter.refuse(SCMP_SYS(socket), std::array{argument(0, SCMP_CMP_EQ, static_cast<unsigned>(family))});
  filter.refuse(SCMP_SYS(socket), std::array{argument(0, SCMP_CMP_GT, AF_NETLINK)});
  constexpr scmp_datum_t type_mask = 0xf;
  for (const scmp_datum_t family : {scmp_datum_t{AF_INET}, scmp_datum_t{AF_INET6}})
    filter.refuse(SCMP_SYS(socket),
                  std::array{argument(0, SCMP_CMP_EQ, family), masked(1, type_mask, SOCK_RAW)});
  // Code is what was loaded: no page is written and executed at once, and none becomes executable later.
  constexpr scmp_datum_t both = PROT_WRITE | PROT_EXEC;
  filter.refuse(SCMP_SYS(mmap), std::array{masked(2, both, both)});
  filter.refuse(SCMP_SYS(mprotect), std::array{masked(2, PROT_EXEC, PROT_EXEC)});
  filter.refuse(SCMP_SYS(pkey_mprotect), std::array{masked(2, PROT_EXEC, PROT_EXEC)});
  return filter.load();
}

}  // namespace

const char* Confinement::to_string() const {
  if (landlock > 0) return system_calls ? "files and system calls" : "files";
  return system_calls ? "system calls" : "no";
}

Confinement confine(const Territory& territory) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return {};
  Confinement out;
  out.landlock = confine_files(territory);
  out.system_calls = confine_system_calls();
  return out;
}

}  // namespace shoal::cli
