// The POSIX file system where a system call fails that no test can make fail on a healthy machine: what is
// interrupted is done again, what a file system has not is done without, and all else is named.
#include <array>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failing_calls.hpp"
#include "folder_fixture.hpp"
#include "storage/posix_state.hpp"
#include "storage/posix_vfs.hpp"

namespace shoal::storage {
namespace {

using fixture::FailingCall;
using fixture::TempFolder;

template <class T>
Code code(const Result<T>& result) {
  return result ? Code::cancelled : result.error().code;
}
constexpr Code fine = Code::cancelled;  // which none of these calls gives

class PosixCalls : public testing::TestWithParam<PosixVfs::Resolve> {
 protected:
  void SetUp() override {
    auto opened = vfs_.open_folder(temp_.path("root"), Vfs::Missing::create);
    ASSERT_TRUE(opened);
    root_ = std::move(*opened);
    temp_.file("root/f", as_bytes("0123456789"));
    auto file = root_->open("f", OpenMode::write);
    ASSERT_TRUE(file);
    file_ = std::move(*file);
  }
  // The name of the call that opens beneath the root.
  [[nodiscard]] static const char* opening() {
    return GetParam() == PosixVfs::Resolve::kernel ? "openat2" : "openat";
  }
  // What `act` gives where `name` fails once, or `times`.
  template <class Act>
  static Code with(std::string_view name, int os_errno, Act act, int times = 1, int skip = 0) {
    const FailingCall failing{name, os_errno, times, skip};
    const Code out = code(act());
    EXPECT_EQ(failing.failed(), times) << name;
    return out;
  }

  TempFolder temp_;
  PosixVfs vfs_{GetParam()};
  std::unique_ptr<Folder> root_;
  std::unique_ptr<File> file_;
};
INSTANTIATE_TEST_SUITE_P(Both, PosixCalls,
                         testing::Values(PosixVfs::Resolve::kernel, PosixVfs::Resolve::walk));

TEST_P(PosixCalls, ReadsAndWritesGoOnWhereTheyWereInterrupted) {
  Bytes room(10), half(5), rest(5);
  const std::array<MutableBytes, 2> into{MutableBytes{half}, MutableBytes{rest}};
  const std::array<ByteView, 2> from{ByteView{half}, ByteView{rest}};
  const auto read = [&] { return file_->read_at(0, room); };
  const auto scatter = [&] { return file_->read_scatter(0, into); };
  const auto write = [&] { return file_->write_at(0, as_bytes("abcdefghij")); };
  const auto gather = [&] { return file_->write_gather(0, from); };
  EXPECT_EQ(with("pread", EINTR, read), fine);
  EXPECT_EQ(as_text(room), "0123456789");
  EXPECT_EQ(with("pread", EIO, read), Code::io);
  EXPECT_EQ(with("preadv", EINTR, scatter, 2), fine);
  EXPECT_EQ(as_text(rest), "56789");
  EXPECT_EQ(with("preadv", EIO, scatter), Code::io);
  EXPECT_EQ(with("pread", EIO, [&] { return file_->read_scatter(5, into); }), Code::io)
      << "short, then refused";
  EXPECT_EQ(with("pwritev", EINTR, gather), fine);
  EXPECT_EQ(with("pwritev", ENOSPC, gather), Code::no_space);
  EXPECT_EQ(with("pwrite", EINTR, write), fine);
  EXPECT_EQ(*read(), 10U);
  EXPECT_EQ(as_text(room), "abcdefghij");
  EXPECT_EQ(with("pwrite", EIO, write), Code::io);
  EXPECT_EQ(with("pwrite takes nothing", 1, write), Code::no_space);
  EXPECT_EQ(with("ftruncate", EINTR, [&] { return file_->resize(7); }), fine);
  EXPECT_EQ(with("ftruncate", EIO, [&] { return file_->resize(3); }), Code::io);
  EXPECT_EQ(file_->stamp()->size, 7U);
}

TEST_P(PosixCalls, WhatCannotBeReadWithoutWaitingIsBusy) {
  Bytes room(10);
  const auto cached = [&] { return file_->read_cached(0, room); };
  {
    const FailingCall no_tmpfs{"fstatfs", EIO};
    EXPECT_TRUE(cached() || code(cached()) == Code::busy);
  }
  EXPECT_EQ(with("preadv2", EAGAIN, cached), Code::busy);
  EXPECT_EQ(code(file_->read_cached(5, room)), Code::busy) << "less is there than is asked for";
  EXPECT_EQ(code(file_->read_cached(std::uint64_t{LLONG_MAX} - 5, room)), Code::too_large);
  EXPECT_EQ(code(file_->read_at(std::uint64_t{LLONG_MAX} - 5, room)), Code::too_large);
  EXPECT_EQ(code(file_->read_at(std::uint64_t{1} << 63, room)), Code::too_large);
  // What lies in memory is read at once, even where the kernel cannot promise it.
  std::string shared = "/dev/shm/shoal-XXXXXX";
  if (::mkdtemp(shared.data()) == nullptr) return;
  auto folder = vfs_.open_folder(shared, Vfs::Missing::create);
  ASSERT_TRUE(folder);
  auto file = (*folder)->open("f", OpenMode::create);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, as_bytes("0123456789")));
  {
    const FailingCall never{"preadv2", EOPNOTSUPP};
    EXPECT_EQ(*(*file)->read_cached(0, room), 10U);
    EXPECT_EQ(*(*file)->read_cached(0, room), 10U);
  }
  std::filesystem::remove_all(shared);
}

TEST_P(PosixCalls, SyncsAndStampsSayWhatFailed) {
  EXPECT_EQ(with("fdatasync", EINTR, [&] { return file_->sync(); }), fine);
  EXPECT_EQ(with("fdatasync", EIO, [&] { return file_->sync(); }), Code::io);
  EXPECT_EQ(with("fstat", EIO, [&] { return file_->stamp(); }), Code::io);
  EXPECT_EQ(with("fstat", EIO, [&] { return file_->set_executable(); }), Code::io);
  EXPECT_EQ(with("fchmod", EROFS, [&] { return file_->set_executable(); }), Code::denied);
  for (const int has_none : {EPERM, ENOSYS, ENOTSUP})
    EXPECT_EQ(with("fchmod", has_none, [&] { return file_->set_executable(); }), fine);
  const auto folder = [&] { return root_->sync_folder(""); };
  EXPECT_EQ(with("fsync", EINTR, folder), fine);
  for (const int has_none : {EINVAL, ENOSYS, ENOTSUP}) EXPECT_EQ(with("fsync", has_none, folder), fine);
  EXPECT_EQ(with("fsync", EIO, folder), Code::io);
  EXPECT_EQ(with("openat", EMFILE, folder), Code::busy);
  EXPECT_EQ(with("openat", EINTR, folder), fine);
  const auto everything = [&] { return root_->sync_everything(); };
  EXPECT_EQ(with("syncfs", EINTR, everything), fine);
  EXPECT_EQ(with("syncfs", EIO, everything), Code::io);
  const auto room = [&] { return root_->free_bytes(); };
  EXPECT_EQ(with("fstatvfs", EINTR, room), fine);
  EXPECT_EQ(with("fstatvfs", EIO, room), Code::io);
}

TEST_P(PosixCalls, AFileThatCannotBeLookedAtDoesNotStandInTheWay) {
  const auto make = [&] { return root_->open("new", OpenMode::create); };
  EXPECT_EQ(with("fstat", EIO, make), Code::io);
  EXPECT_EQ(code(root_->stat("new")), Code::not_found);
  EXPECT_EQ(with("fstat", EIO, [&] { return root_->open("f", OpenMode::read); }), Code::io);
  EXPECT_EQ(code(root_->stat("f")), fine) << "but what was there stays";
  EXPECT_EQ(with(opening(), EINVAL, make), Code::unsupported);
  EXPECT_NE(with(opening(), EINVAL, [&] { return root_->open("f", OpenMode::read); }), Code::unsupported);
  EXPECT_EQ(code(make()), fine);
}

TEST_P(PosixCalls, FoldersAreMadeOrTheCauseIsNamed) {
  const auto make = [&] { return root_->make_folders("a"); };
  EXPECT_EQ(with("mkdirat", ENOENT, make), Code::not_found);
  EXPECT_EQ(with("mkdirat", EINVAL, make), Code::unsupported);
  EXPECT_EQ(with("mkdirat", EACCES, make), Code::denied);
  EXPECT_EQ(code(make()), fine);
  EXPECT_EQ(with("fstatat", EIO, make), Code::io) << "it is there, and cannot be looked at";
  // The user's own path.
  const auto user = [&](std::string path) {
    return [this, path] { return vfs_.open_folder(path, Vfs::Missing::create); };
  };
  EXPECT_EQ(with("mkdir", ENOENT, user("relative")), Code::not_found);
  EXPECT_EQ(with("mkdir", ENOENT, user("/top")), Code::not_found);
  EXPECT_EQ(with("mkdir", ENOENT, user("//")), Code::not_found);
  EXPECT_EQ(with("mkdir", EIO, user(temp_.path("x/y")), 1, 1), Code::io);
  EXPECT_EQ(with("mkdir", EIO, user(temp_.path("x/y")), 1, 2), Code::io);
  EXPECT_EQ(with("mkdir", EEXIST, user(temp_.path("z")), 1, 0), Code::not_found) << "gone again";
  EXPECT_EQ(with("openat", EIO, user(temp_.path("v/w")), 1, 0), fine) << "the folder above is synced at best";
  {
    const FailingCall other{"mkdir", [&] { temp_.folder("q/r"); }, 2};
    EXPECT_EQ(code(user(temp_.path("q/r"))()), fine) << "somebody else has made it meanwhile";
    EXPECT_EQ(other.failed(), 1);
  }
  EXPECT_EQ(with("faccessat", EROFS, user(temp_.path("root"))), Code::denied);
  EXPECT_EQ(code(user(temp_.path("root") + std::string("\0x", 2))()), Code::not_found);
  EXPECT_EQ(code(user("")()), Code::not_found);
}

TEST_P(PosixCalls, WhatCannotBeRemovedIsNamed) {
  const auto drop = [&] { return root_->remove("f"); };
  EXPECT_EQ(with("unlinkat", EIO, drop), Code::io);
  EXPECT_EQ(code(root_->stat("f")), fine);
  EXPECT_EQ(code(drop()), fine);
  EXPECT_EQ(code(drop()), Code::not_found);
}

TEST_P(PosixCalls, ARenameReplacesNothingWhateverTheFileSystemHas) {
  const auto move = [&] { return root_->rename("f", "g"); };
  const auto back = [&] { ASSERT_TRUE(root_->rename("g", "f")); };
  EXPECT_EQ(with("renameat2", EXDEV, move), Code::io);
  EXPECT_EQ(with("renameat2", EACCES, move), Code::denied);
  for (const int has_none : {EINVAL, ENOSYS, ENOTSUP}) {
    EXPECT_EQ(with("renameat2", has_none, move), fine) << "by a link";
    EXPECT_EQ(code(root_->stat("f")), Code::not_found);
    back();
    const FailingCall no_flag{"renameat2", has_none, INT_MAX};
    {
      const FailingCall no_links{"linkat", EPERM, INT_MAX};
      EXPECT_EQ(with("renameat", EINVAL, move), Code::unsupported);
      EXPECT_EQ(code(move()), fine);
      temp_.file("root/f", as_bytes("theirs"));
      EXPECT_EQ(code(root_->rename("g", "f")), Code::exists);
    }
    EXPECT_EQ(code(root_->rename("g", "f")), Code::exists);
    EXPECT_EQ(root_->stat("f")->stamp.size, 6U);
    ASSERT_TRUE(root_->remove("f"));
    EXPECT_EQ(with("unlinkat", EIO, [&] { return root_->rename("g", "f"); }), Code::io);
    EXPECT_EQ(with("fstatat", EIO, [&] { return root_->rename("g", "f"); }), Code::exists);
    EXPECT_EQ(code(root_->rename("f", "f")), Code::exists);
    EXPECT_EQ(code(root_->rename("g", "f")), fine) << "it had both names";
    EXPECT_EQ(code(root_->stat("g")), Code::not_found);
    EXPECT_EQ(root_->stat("f")->stamp.size, 10U);
    EXPECT_EQ(code(root_->rename("f", "f")), Code::exists);
    EXPECT_EQ(root_->stat("f")->stamp.size, 10U);
  }
}

TEST_P(PosixCalls, ListsAreWholeOrAnError) {
  temp_.file("root/g", {});
  const auto list = [&] { return root_->list(""); };
  EXPECT_EQ(list()->size(), 2U);
  EXPECT_EQ(with("fdopendir", ENOMEM, list), Code::io);
  EXPECT_EQ(with("readdir", EIO, list), Code::io);
  EXPECT_EQ(with("readdir", EIO, list, 1, 2), Code::io);
  EXPECT_EQ(with("fstatat", EIO, list), Code::io);
  {
    const FailingCall gone{"fstatat", ENOENT};  // between the two calls
    EXPECT_EQ(list()->size(), 1U);
  }
  temp_.link("root/l", "f");
  EXPECT_EQ(*root_->read_symlink("l"), "f");
  EXPECT_EQ(code(root_->read_symlink("../root/l")), Code::unsafe);
  EXPECT_EQ(with("readlinkat", EIO, [&] { return root_->read_symlink("l"); }), Code::io);
  EXPECT_EQ(code(root_->open("f/x", OpenMode::read)), Code::exists);
  if (GetParam() == PosixVfs::Resolve::walk) {
    EXPECT_EQ(with("fstatat", EIO, [&] { return root_->open("f/x", OpenMode::read); }), Code::exists);
  }
}

// A rename elsewhere may make the kernel say "again"; who renames without end is an attacker.
TEST(PosixCallsKernel, RacesAreTriedAgainAndNotForEver) {
  TempFolder temp;
  temp.file("root/f", {});
  auto root = PosixVfs{}.open_folder(temp.path("root"), Vfs::Missing::error);
  ASSERT_TRUE(root);
  for (const int again : {EAGAIN, EINTR}) {
    const FailingCall races{"openat2", again, 10};
    EXPECT_TRUE((*root)->open("f", OpenMode::read));
    EXPECT_EQ(races.failed(), 10);
  }
  const FailingCall races{"openat2", EAGAIN, INT_MAX};
  EXPECT_EQ(code((*root)->open("f", OpenMode::read)), Code::busy);
  EXPECT_EQ(races.failed(), 1000);
}

TEST(PosixCallsKernel, WithoutOpenat2ItWalks) {
  TempFolder temp;
  temp.file("root/d/f", {});
  temp.link("root/l", "d");
  for (const int forbidden : {ENOSYS, EPERM}) {
    const FailingCall none{"openat2", forbidden, INT_MAX};
    auto root = PosixVfs{}.open_folder(temp.path("root"), Vfs::Missing::error);
    ASSERT_TRUE(root);
    EXPECT_TRUE((*root)->open("d/f", OpenMode::read));
    EXPECT_EQ(code((*root)->open("l/f", OpenMode::read)), Code::unsafe);
    EXPECT_EQ(none.failed(), 1);
  }
  const FailingCall blind{"fstat", EIO};  // whose device is not known
  auto root = PosixVfs{}.open_folder(temp.path("root"), Vfs::Missing::error);
  ASSERT_TRUE(root);
  EXPECT_EQ(blind.failed(), 1);
  EXPECT_TRUE((*root)->open("d/f", OpenMode::read));
  EXPECT_FALSE(*(*root)->sync_everything()) << "each for itself, then";
}

TEST(PosixStateCalls, WhatFailsIsNamed) {
  TempFolder temp;
  const auto prepared = [&](std::string_view name, int os_errno, std::string_view folder) {
    const FailingCall failing{name, os_errno};
    const auto path = prepare_state(temp.path(folder));
    EXPECT_EQ(failing.failed(), 1) << name;
    return path ? Code::cancelled : path.error().error.code;
  };
  EXPECT_EQ(prepared("chmod", EPERM, "a"), Code::denied);
  EXPECT_EQ(prepared("stat", EIO, "a"), Code::exists) << "something is there, and nobody knows what";
  EXPECT_EQ(prepared("openat", EMFILE, "b"), Code::busy);
  EXPECT_EQ(prepared("fstat", EIO, "c"), Code::io);
  const mode_t before = ::umask(0);
  temp.file("d/catalog.sqlite", {});
  ::umask(before);
  EXPECT_EQ(prepared("fchmod", EPERM, "d"), Code::denied);
  EXPECT_EQ(prepared("mkdir", EIO, "e/f"), Code::io);
  EXPECT_TRUE(prepare_state(temp.path("g//h/")));
}

TEST(PosixStateCalls, ALockIsHeldOrTheCauseIsNamed) {
  TempFolder temp;
  PosixLocks locks{temp.path("state")};
  const auto tried = [&](std::string_view name, int os_errno, int times = 1) {
    const FailingCall failing{name, os_errno, times};
    const auto lock = locks.acquire("x");
    EXPECT_EQ(failing.failed(), times) << name;
    return code(lock);
  };
  EXPECT_EQ(tried("mkdir", EIO), Code::io);
  EXPECT_EQ(tried("openat", EMFILE), Code::busy);
  EXPECT_EQ(tried("flock", EINTR, 5), fine);
  EXPECT_EQ(tried("flock", EINTR, 100), Code::busy) << "it is not tried for ever";
  EXPECT_EQ(tried("flock", EIO), Code::io);
  EXPECT_EQ(tried("fstat", EIO), Code::io);
  EXPECT_EQ(tried("lstat", EIO), Code::io);
  EXPECT_EQ(tried("lstat", ENOENT), fine) << "released just now: from the beginning";
  EXPECT_EQ(tried("flock", EWOULDBLOCK), Code::busy);
}

// Whoever gave a lock up has unlinked its file, and the next has made another: only the file that bears the
// name is the lock. In another file system it may even have the same number.
TEST(PosixStateCalls, ALockIsTheFileThatBearsTheName) {
  TempFolder temp;
  temp.folder("state/locks");
  const auto held_after = [&](const std::function<void()>& meanwhile) {
    PosixLocks locks{temp.path("state")};
    const FailingCall replaced{"lstat", meanwhile};
    const auto lock = locks.acquire("x");
    EXPECT_EQ(replaced.failed(), 1);
    EXPECT_TRUE(lock);
    EXPECT_EQ(code(PosixLocks{temp.path("state")}.acquire("x")), Code::busy)
        << "it is that one which is held";
  };
  held_after([&] {
    temp.file("state/locks/other", {});
    std::filesystem::rename(temp.path("state/locks/other"), temp.path("state/locks/x"));
  });
  const auto mounted = [&] {
    return ::mount("tmpfs", temp.path("state/locks").c_str(), "tmpfs", 0, "size=1m") == 0;
  };
  if (!mounted()) return;
  held_after([&] {
    EXPECT_TRUE(mounted());
    temp.file("state/locks/x", {});  // the first file there, as the lock was where it lies
  });
  for (int round = 0; round < 2; ++round) EXPECT_EQ(::umount(temp.path("state/locks").c_str()), 0);
}

// One sync for all is of one file system: who has opened a file of another does without it.
TEST(PosixCallsKernel, AFileOfAnotherFileSystemIsSyncedByItself) {
  TempFolder temp;
  temp.folder("root/other");
  if (::mount("tmpfs", temp.path("root/other").c_str(), "tmpfs", 0, "size=1m") != 0) return;
  {
    auto root = PosixVfs{PosixVfs::Resolve::walk}.open_folder(temp.path("root"), Vfs::Missing::error);
    ASSERT_TRUE(root);
    EXPECT_TRUE(*(*root)->sync_everything());
    EXPECT_TRUE((*root)->open("other/f", OpenMode::create));
    EXPECT_FALSE(*(*root)->sync_everything());
  }
  EXPECT_EQ(::umount(temp.path("root/other").c_str()), 0);
}

}  // namespace
}  // namespace shoal::storage
