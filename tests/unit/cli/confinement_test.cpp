// Confinement, tried by a child process that confines itself and then does what it may and may not.
#include "cli/confinement.hpp"

#include <cerrno>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.hpp"

namespace shoal::cli {
namespace {

// errno of a call, 0 where it went well.
int outcome(long result) { return result >= 0 ? 0 : errno; }
int try_open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  const int out = outcome(fd);
  if (fd >= 0) ::close(fd);
  return out;
}
void put(const std::string& path) { ASSERT_EQ(try_open(path, O_WRONLY | O_CREAT), 0); }

class ConfinementTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
      GTEST_SKIP() << "this kernel has no Landlock";
    for (const char* folder : {"mine", "mine/deep", "shared", "seen", "other"})
      ASSERT_EQ(::mkdir(scratch_.path(folder).c_str(), 0700), 0);
    for (const char* file : {"mine/a", "shared/a", "seen/a", "other/a", "one"}) put(scratch_.path(file));
    ASSERT_EQ(::symlink(scratch_.path("other/a").c_str(), scratch_.path("mine/way-out").c_str()), 0);
  }
  // What `what` gives in a confined child.
  int confined(const std::function<int()>& what) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const Confinement done = confine({.read = {scratch_.path("shared"), scratch_.path("one")},
                                        .list = {scratch_.path("seen")},
                                        .write = {scratch_.path("mine"), scratch_.path("missing")}});
      if (done.landlock == 0 || !done.system_calls) ::_exit(255);
      ::_exit(what());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_NE(WEXITSTATUS(status), 255) << "not confined";
    return WEXITSTATUS(status);
  }
  int opened(const char* name, int flags) const {
    return confined([&] { return try_open(scratch_.path(name), flags); });
  }
  Scratch scratch_;
};

TEST_F(ConfinementTest, FilesAreThoseOfItsTerritory) {
  EXPECT_EQ(opened("mine/a", O_RDWR | O_TRUNC), 0);
  EXPECT_EQ(opened("mine/deep/new", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(opened("shared/a", O_RDONLY), 0);
  EXPECT_EQ(opened("one", O_RDONLY), 0);
  EXPECT_EQ(opened("seen", O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(opened("shared/a", O_WRONLY), EACCES);
  EXPECT_EQ(opened("shared/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(opened("one", O_WRONLY), EACCES);
  EXPECT_EQ(opened("seen/a", O_RDONLY), EACCES);
  EXPECT_EQ(opened("other/a", O_RDONLY), EACCES);
  EXPECT_EQ(opened("other", O_RDONLY | O_DIRECTORY), EACCES);
  EXPECT_EQ(opened("mine/way-out", O_RDONLY), EACCES);
  EXPECT_EQ(opened("missing", O_WRONLY | O_CREAT), EACCES);
}

TEST_F(ConfinementTest, ItsOwnFilesAreRenamedAndRemoved) {
  EXPECT_EQ(confined([&] {
              return outcome(::rename(scratch_.path("mine/a").c_str(), scratch_.path("mine/deep/b").c_str()));
            }),
            0);
  EXPECT_EQ(confined([&] { return outcome(::unlink(scratch_.path("mine/deep/b").c_str())); }), 0);
  EXPECT_EQ(confined([&] { return outcome(::mkdir(scratch_.path("mine/more").c_str(), 0700)); }), 0);
  EXPECT_EQ(confined([&] { return outcome(::unlink(scratch_.path("shared/a").c_str())); }), EACCES);
  EXPECT_NE(confined([&] {
              return outcome(::rename(scratch_.path("shared/a").c_str(), scratch_.path("mine/b").c_str()));
            }),
            0);
  EXPECT_NE(confined([&] {
              return outcome(::link(scratch_.path("other/a").c_str(), scratch_.path("mine/b").c_str()));
            }),
            0);
}

TEST_F(ConfinementTest, NamesOfHostsAreFound) {
  EXPECT_EQ(confined([] {
              addrinfo* found = nullptr;
              const int failed = ::getaddrinfo("localhost", nullptr, nullptr, &found);
              return failed != 0 || found == nullptr ? 1 : 0;
            }),
            0);
}

TEST_F(ConfinementTest, ThreadsBegunLaterAreConfinedToo) {
  EXPECT_EQ(confined([&] {
              int out = 0;
              std::thread{[&] { out = try_open(scratch_.path("other/a"), O_RDONLY); }}.join();
              return out;
            }),
            EACCES);
}

TEST_F(ConfinementTest, SystemCallsOfNoUseAreRefused) {
  EXPECT_EQ(confined([] {
              char name[] = "/bin/true";
              char* const words[] = {name, nullptr};
              ::execv(name, words);
              return errno;
            }),
            EPERM);
  EXPECT_EQ(confined([] { return outcome(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }), EPERM);
  EXPECT_EQ(confined([] { return outcome(::kill(::getppid(), 0)); }), EPERM);
  EXPECT_EQ(confined([&] { return outcome(::chmod(scratch_.path("other/a").c_str(), 0777)); }), EPERM);
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK})
    EXPECT_EQ(confined([&] { return outcome(::socket(family, SOCK_DGRAM, 0)); }), 0) << family;
  EXPECT_EQ(confined([] { return outcome(::socket(AF_INET, SOCK_RAW, IPPROTO_UDP)); }), EPERM);
  for (const int family : {AF_PACKET, AF_VSOCK, AF_ALG, AF_X25})
    EXPECT_EQ(confined([&] { return outcome(::socket(family, SOCK_DGRAM, 0)); }), EPERM) << family;
}

TEST_F(ConfinementTest, NoPageIsWrittenAndExecuted) {
  const auto map = [](int protection) {
    return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  };
  EXPECT_EQ(confined([&] { return map(PROT_READ | PROT_WRITE) == MAP_FAILED ? errno : 0; }), 0);
  EXPECT_EQ(confined([&] { return map(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED ? errno : 0; }),
            EPERM);
  EXPECT_EQ(
      confined([&] { return outcome(::mprotect(map(PROT_READ | PROT_WRITE), 4096, PROT_READ | PROT_EXEC)); }),
      EPERM);
}

}  // namespace
}  // namespace shoal::cli
