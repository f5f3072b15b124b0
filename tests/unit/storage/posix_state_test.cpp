// The state folder: its permissions whatever the umask, and locks that no two holders have.
#include "storage/posix_state.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::TempFolder;

unsigned mode_of(const std::string& path) {
  struct stat seen{};
  return ::stat(path.c_str(), &seen) == 0 ? seen.st_mode & 0777 : 0;
}

TEST(PosixState, IsClosedToOthersWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0077}, mode_t{0277}}) {
    TempFolder temp;
    const mode_t before = ::umask(mask);
    const auto path = prepare_state(temp.path("deep/state"));
    ::umask(before);
    ASSERT_TRUE(path) << path.error().error.rule;
    EXPECT_EQ(*path, temp.path("deep/state/catalog.sqlite"));
    EXPECT_EQ(mode_of(temp.path("deep/state")), 0700U);
    EXPECT_EQ(mode_of(*path), 0600U);
  }
}

TEST(PosixState, AnExistingFolderKeepsItsModeAndTheFileIsClosed) {
  TempFolder temp;
  temp.folder("state");
  ::chmod(temp.path("state").c_str(), 0755);
  temp.file("state/catalog.sqlite", {});
  ::chmod(temp.path("state/catalog.sqlite").c_str(), 0644);
  ASSERT_TRUE(prepare_state(temp.path("state")));
  EXPECT_EQ(mode_of(temp.path("state")), 0755U);
  EXPECT_EQ(mode_of(temp.path("state/catalog.sqlite")), 0600U);
}

TEST(PosixState, WhatIsInTheWayIsNamed) {
  TempFolder temp;
  temp.file("file", as_bytes("x"));
  EXPECT_EQ(prepare_state(temp.path("file")).error().error.code, Code::exists);
  EXPECT_EQ(prepare_state(temp.path("file/state")).error().error.code, Code::exists);
  temp.folder("linked");
  temp.file("victim", as_bytes("x"));
  temp.link("linked/catalog.sqlite", temp.path("victim"));
  EXPECT_EQ(prepare_state(temp.path("linked")).error().error.code, Code::unsafe);
  temp.folder("special");
  ASSERT_EQ(::mkfifo(temp.path("special/catalog.sqlite").c_str(), 0600), 0);
  EXPECT_EQ(prepare_state(temp.path("special")).error().error.code, Code::unsafe);
  EXPECT_FALSE(prepare_state(""));
}

TEST(PosixLocks, OneHolderAtATime) {
  TempFolder temp;
  PosixLocks locks{temp.path("state")}, others{temp.path("state")};
  auto held = locks.acquire("identity");
  ASSERT_TRUE(held);
  EXPECT_EQ(mode_of(temp.path("state/locks")), 0700U);
  EXPECT_EQ(mode_of(temp.path("state/locks/identity")), 0600U);
  EXPECT_EQ(locks.acquire("identity").error().code, Code::busy);
  EXPECT_EQ(others.acquire("identity").error().code, Code::busy);
  EXPECT_TRUE(others.acquire("another"));
  held->reset();
  EXPECT_FALSE(std::filesystem::exists(temp.path("state/locks/identity")));
  EXPECT_TRUE(others.acquire("identity"));
  for (const char* bad : {"", ".", "..", "a/b"}) EXPECT_EQ(locks.acquire(bad).error().code, Code::unsafe);
}

TEST(PosixLocks, AKilledProcessHoldsNothing) {
  TempFolder temp;
  PosixLocks locks{temp.path()};
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto held = locks.acquire("content");
    const char byte = held ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  EXPECT_EQ(locks.acquire("content").error().code, Code::busy);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(locks.acquire("content"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(PosixLocks, NeverTwoHoldersUnderContention) {
  TempFolder temp;
  std::atomic<int> inside{0}, most{0}, taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      PosixLocks locks{temp.path()};
      for (int i = 0; i < 2'000; ++i) {
        auto held = locks.acquire("content");
        if (!held) continue;
        const int now = inside.fetch_add(1) + 1;
        int before = most.load();
        while (before < now && !most.compare_exchange_weak(before, now)) {
        }
        taken.fetch_add(1);
        inside.fetch_sub(1);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most.load(), 1);
  EXPECT_GT(taken.load(), 0);
}

TEST(PosixLocks, AContentsLockDoesNotShowItsId) {
  ContentId id{};
  id[0] = 0x42;
  const std::string name = content_lock(id);
  EXPECT_EQ(name.find("42000000"), std::string::npos);
  EXPECT_EQ(name.find('/'), std::string::npos);
  EXPECT_NE(name, content_lock(ContentId{}));
}

}  // namespace
}  // namespace shoal::storage
