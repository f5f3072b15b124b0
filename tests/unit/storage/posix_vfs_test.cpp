// The POSIX file system: what it gives back, what it refuses, and that nothing planted leads outside. All of
// it both with openat2 and with the walk that stands in for it.
#include "storage/posix_vfs.hpp"

#include <atomic>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::TempFolder;

std::string read_text(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

class PosixVfsTest : public testing::TestWithParam<PosixVfs::Resolve> {
 protected:
  void SetUp() override {
    auto opened = vfs_.open_folder(temp_.path("root"), Vfs::Missing::create);
    ASSERT_TRUE(opened) << opened.error().rule;
    root_ = std::move(*opened);
  }
  [[nodiscard]] std::string real(std::string_view name) const {
    return temp_.path("root/" + std::string{name});
  }
  [[nodiscard]] Code open_code(std::string_view path, OpenMode mode) {
    const auto opened = root_->open(path, mode);
    return opened ? Code::cancelled : opened.error().code;
  }

  TempFolder temp_;
  PosixVfs vfs_{GetParam()};
  std::unique_ptr<Folder> root_;
};

INSTANTIATE_TEST_SUITE_P(Both, PosixVfsTest,
                         testing::Values(PosixVfs::Resolve::kernel, PosixVfs::Resolve::walk));

TEST_P(PosixVfsTest, BytesWrittenAreRead) {
  ASSERT_TRUE(root_->make_folders("a/b"));
  auto file = root_->open("a/b/f", OpenMode::create);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->resize(100));
  ASSERT_TRUE((*file)->write_at(10, as_bytes("hello")));
  const std::array<ByteView, 3> parts{as_bytes("ab"), as_bytes(""), as_bytes("cd")};
  ASSERT_TRUE((*file)->write_gather(15, parts));
  ASSERT_TRUE((*file)->sync());
  Bytes out(200, 0xee);
  const auto got = (*file)->read_at(8, out);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, 92U);
  EXPECT_EQ(as_text(ByteView{out}.first(11)), std::string_view("\0\0helloabcd", 11));
  const auto stamp = (*file)->stamp();
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->size, 100U);
  const auto entry = root_->stat("a/b/f");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->stamp, *stamp);
  EXPECT_EQ(entry->kind, EntryKind::file);
  EXPECT_FALSE(entry->executable);
  ASSERT_TRUE((*file)->set_executable());
  EXPECT_TRUE(root_->stat("a/b/f")->executable);
  EXPECT_TRUE(root_->sync_folder("a/b"));
  EXPECT_TRUE(root_->sync_folder(""));
}

TEST_P(PosixVfsTest, MoreSpansThanOneCallTakes) {
  auto file = root_->open("f", OpenMode::create);
  ASSERT_TRUE(file);
  std::vector<Bytes> pieces;
  std::vector<ByteView> parts;
  std::string expected;
  for (int i = 0; i < 40; ++i)
    pieces.push_back(Bytes(static_cast<std::size_t>(i), static_cast<std::uint8_t>('a' + i % 26)));
  for (const Bytes& piece : pieces) {
    parts.emplace_back(piece);
    expected += as_text(piece);
  }
  ASSERT_TRUE((*file)->write_gather(3, parts));
  EXPECT_EQ(read_text(real("f")), std::string(3, '\0') + expected);
}

TEST_P(PosixVfsTest, ReadsIntoSeveralSpans) {
  temp_.file("root/f", as_bytes(std::string(40, 'a') + std::string(40, 'b') + std::string(40, 'c')));
  auto file = root_->open("f", OpenMode::read);
  ASSERT_TRUE(file);
  std::vector<Bytes> pieces(25, Bytes(4));
  std::vector<MutableBytes> parts(pieces.begin(), pieces.end());
  ASSERT_EQ((*file)->read_scatter(10, parts), 100U);
  std::string read;
  for (const Bytes& piece : pieces) read += as_text(piece);
  EXPECT_EQ(read, std::string(30, 'a') + std::string(40, 'b') + std::string(30, 'c'));
  EXPECT_EQ((*file)->read_scatter(60, parts), 60U) << "as far as the file goes";
  EXPECT_EQ(as_text(pieces[5]), "cccc");
  EXPECT_EQ((*file)->read_scatter(120, parts), 0U);
  EXPECT_EQ((*file)->read_scatter(std::uint64_t{1} << 63, parts).error().code, Code::too_large);
}

// What was just written is in memory; where the file system cannot say so, nobody waits for it.
TEST_P(PosixVfsTest, ReadsWhatIsInMemory) {
  temp_.file("root/f", as_bytes("hello"));
  auto file = root_->open("f", OpenMode::read);
  ASSERT_TRUE(file);
  Bytes out(5);
  if (const auto got = (*file)->read_cached(0, out)) {
    EXPECT_EQ(*got, 5U);
    EXPECT_EQ(as_text(out), "hello");
  } else {
    EXPECT_EQ(got.error().code, Code::busy);
  }
  Bytes more(6);
  const auto beyond = (*file)->read_cached(0, more);
  EXPECT_TRUE(beyond ? *beyond == 5 : beyond.error().code == Code::busy);
}

TEST_P(PosixVfsTest, ModesSayWhatMustExist) {
  EXPECT_EQ(open_code("f", OpenMode::read), Code::not_found);
  EXPECT_EQ(open_code("f", OpenMode::write), Code::not_found);
  EXPECT_EQ(open_code("no/f", OpenMode::create), Code::not_found);
  ASSERT_TRUE(root_->open("f", OpenMode::create));
  EXPECT_EQ(open_code("f", OpenMode::create), Code::exists);
  EXPECT_EQ(open_code("f/x", OpenMode::create), Code::exists);  // a file where a folder should be
  ASSERT_TRUE(root_->make_folders("d"));
  EXPECT_EQ(open_code("d", OpenMode::read), Code::exists);
  EXPECT_EQ(open_code("d", OpenMode::write), Code::exists);
}

TEST_P(PosixVfsTest, PathsThatLeaveAreRefused) {
  temp_.file("secret", as_bytes("secret"));
  const std::vector<std::string> bad{
      "",    "/etc/passwd", "..", "../secret", "a/../../secret", ".",
      "./f", "a//b",        "a/", "a/./b",     "a/..",           std::string("f\0g", 3)};
  for (const std::string& path : bad) {
    EXPECT_EQ(open_code(path, OpenMode::read), Code::unsafe) << path;
    EXPECT_EQ(open_code(path, OpenMode::create), Code::unsafe) << path;
    EXPECT_EQ(root_->stat(path).error().code, Code::unsafe) << path;
    EXPECT_EQ(root_->remove(path).error().code, Code::unsafe) << path;
    EXPECT_EQ(root_->rename(path, "x").error().code, Code::unsafe) << path;
    EXPECT_EQ(root_->rename("x", path).error().code, Code::unsafe) << path;
    EXPECT_EQ(root_->make_symlink(path, "x").error().code, Code::unsafe) << path;
    if (!path.empty()) {
      EXPECT_EQ(root_->make_folders(path).error().code, Code::unsafe) << path;
      EXPECT_EQ(root_->list(path).error().code, Code::unsafe) << path;
      EXPECT_EQ(root_->sync_folder(path).error().code, Code::unsafe) << path;
    }
  }
  EXPECT_EQ(open_code(std::string(256, 'x'), OpenMode::create), Code::too_large);
}

TEST_P(PosixVfsTest, LinksAreNeverFollowed) {
  temp_.folder("outside");
  temp_.file("outside/f", as_bytes("outside"));
  temp_.folder("root/inside");
  temp_.link("root/out", temp_.path("outside"));
  temp_.link("root/near", "inside");
  temp_.link("root/file", temp_.path("outside/f"));
  temp_.link("root/dangling", temp_.path("outside/new"));
  for (const std::string folder : {"out", "near"}) {
    EXPECT_EQ(open_code(folder + "/f", OpenMode::read), Code::unsafe);
    EXPECT_EQ(open_code(folder + "/new", OpenMode::create), Code::unsafe);
    EXPECT_EQ(root_->stat(folder + "/f").error().code, Code::unsafe);
    EXPECT_EQ(root_->make_folders(folder + "/sub").error().code, Code::unsafe);
    EXPECT_EQ(root_->make_folders(folder).error().code, Code::unsafe);
    EXPECT_EQ(root_->remove(folder + "/f").error().code, Code::unsafe);
    EXPECT_EQ(root_->list(folder).error().code, Code::unsafe);
    EXPECT_EQ(root_->sync_folder(folder).error().code, Code::unsafe);
    EXPECT_EQ(root_->stat(folder)->kind, EntryKind::symlink);
  }
  EXPECT_EQ(open_code("file", OpenMode::read), Code::unsafe);
  EXPECT_EQ(open_code("file", OpenMode::write), Code::unsafe);
  EXPECT_EQ(open_code("file", OpenMode::create), Code::exists);
  EXPECT_EQ(open_code("dangling", OpenMode::create), Code::exists);
  EXPECT_EQ(*root_->read_symlink("near"), "inside");
  EXPECT_FALSE(std::filesystem::exists(temp_.path("outside/new")));
  EXPECT_TRUE(root_->remove("file"));  // the link, not what it names
  EXPECT_EQ(read_text(temp_.path("outside/f")), "outside");
}

TEST_P(PosixVfsTest, SpecialFilesDoNotBlock) {
  ASSERT_EQ(::mkfifo(real("fifo").c_str(), 0600), 0);
  EXPECT_EQ(open_code("fifo", OpenMode::read), Code::unsafe);
  EXPECT_EQ(open_code("fifo", OpenMode::write), Code::unsafe);
  EXPECT_EQ(root_->stat("fifo")->kind, EntryKind::other);
  EXPECT_EQ(root_->make_folders("fifo/x").error().code, Code::exists);
  EXPECT_EQ(root_->make_folders("fifo").error().code, Code::unsafe);
}

TEST_P(PosixVfsTest, RenameNeverReplaces) {
  temp_.file("root/a", as_bytes("a"));
  temp_.file("root/b", as_bytes("b"));
  temp_.folder("root/d");
  temp_.link("root/l", "nowhere");
  for (const char* target : {"b", "d", "l"}) EXPECT_EQ(root_->rename("a", target).error().code, Code::exists);
  EXPECT_EQ(root_->rename("missing", "c").error().code, Code::not_found);
  ASSERT_TRUE(root_->rename("a", "d/c"));
  EXPECT_EQ(read_text(real("d/c")), "a");
  EXPECT_EQ(read_text(real("b")), "b");
}

TEST_P(PosixVfsTest, FoldersAreMadeWhereMissing) {
  ASSERT_TRUE(root_->make_folders("a/b/c/d"));
  ASSERT_TRUE(root_->make_folders("a/b/c/d"));
  ASSERT_TRUE(root_->make_folders("a/b/x"));
  EXPECT_EQ(root_->stat("a/b/c/d")->kind, EntryKind::folder);
  temp_.file("root/f", as_bytes("f"));
  EXPECT_EQ(root_->make_folders("f").error().code, Code::exists);
  EXPECT_EQ(root_->make_folders("f/g").error().code, Code::exists);
}

TEST_P(PosixVfsTest, ListsSortedByBytes) {
  for (const char* name : {"b", "a", "\xff", "B", "a.txt"})
    temp_.file("root/" + std::string{name}, as_bytes("1"));
  temp_.link("root/link", "a");
  const auto entries = root_->list("");
  ASSERT_TRUE(entries);
  std::vector<std::string> names;
  for (const Entry& entry : *entries) names.push_back(entry.name);
  EXPECT_EQ(names, (std::vector<std::string>{"B", "a", "a.txt", "b", "link", "\xff"}));
}

TEST_P(PosixVfsTest, StampsTellOfChanges) {
  temp_.file("root/f", as_bytes("12345"));
  const auto before = root_->stat("f")->stamp;
  EXPECT_EQ(root_->stat("f")->stamp, before);
  timespec times[2] = {{0, UTIME_OMIT}, {1'700'000'000, 123'456'789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, real("f").c_str(), times, 0), 0);
  const auto touched = root_->stat("f")->stamp;
  EXPECT_EQ(touched.mtime_ns, 1'700'000'000'123'456'789);
  EXPECT_NE(touched, before);
  // The same size and time, another file.
  temp_.file("root/g", as_bytes("54321"));
  ASSERT_EQ(::utimensat(AT_FDCWD, real("g").c_str(), times, 0), 0);
  ASSERT_EQ(::rename(real("g").c_str(), real("f").c_str()), 0);
  EXPECT_NE(root_->stat("f")->stamp, touched);
}

TEST_P(PosixVfsTest, OffsetsBeyondAllFilesAreErrors) {
  auto file = root_->open("f", OpenMode::create);
  ASSERT_TRUE(file);
  const std::uint64_t huge = ~std::uint64_t{0} - 3;
  Bytes some(8);
  EXPECT_EQ((*file)->write_at(huge, some).error().code, Code::too_large);
  EXPECT_EQ((*file)->read_at(huge, some).error().code, Code::too_large);
  EXPECT_EQ((*file)->resize(huge).error().code, Code::too_large);
  const ByteView part{some};
  EXPECT_EQ((*file)->write_gather(huge, {&part, 1}).error().code, Code::too_large);
}

TEST_P(PosixVfsTest, TheUsersFolder) {
  EXPECT_EQ(vfs_.open_folder(temp_.path("none"), Vfs::Missing::error).error().code, Code::not_found);
  EXPECT_TRUE(vfs_.open_folder(temp_.path("x/y/z"), Vfs::Missing::create));
  EXPECT_TRUE(vfs_.open_folder(temp_.path("x/y/z/"), Vfs::Missing::create));
  temp_.link("shortcut", temp_.path("x"));  // the user's own links are followed
  EXPECT_TRUE(vfs_.open_folder(temp_.path("shortcut/y"), Vfs::Missing::error));
  temp_.file("plain", as_bytes("1"));
  EXPECT_EQ(vfs_.open_folder(temp_.path("plain"), Vfs::Missing::error).error().code, Code::exists);
  EXPECT_EQ(vfs_.open_folder(temp_.path("plain/x"), Vfs::Missing::create).error().code, Code::exists);
  EXPECT_EQ(vfs_.open_folder("", Vfs::Missing::error).error().code, Code::not_found);
  EXPECT_GT(*root_->free_bytes(), 0U);
}

TEST_P(PosixVfsTest, AFullDiskIsNamedSo) {
  // A file system of 1 MiB, where the machine lets us mount one; the device that is always full elsewhere.
  temp_.folder("small");
  const bool mounted = ::mount("tmpfs", temp_.path("small").c_str(), "tmpfs", 0, "size=1m") == 0;
  if (mounted) {
    auto small = vfs_.open_folder(temp_.path("small"), Vfs::Missing::create);
    ASSERT_TRUE(small);
    EXPECT_LE(*(*small)->free_bytes(), std::uint64_t{1} << 20);
    auto file = (*small)->open("f", OpenMode::create);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->resize(std::uint64_t{1} << 30));  // sparse
    const Bytes block(1 << 16, 1);
    Result<void> done;
    for (std::uint64_t at = 0; at < 64 && done; ++at) done = (*file)->write_at(at << 16, block);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::no_space);
    EXPECT_EQ(done.error().os_errno, ENOSPC);
    // The fallback for a call that takes less than all is the same.
    const std::array<ByteView, 2> parts{ByteView{block}, ByteView{block}};
    EXPECT_EQ((*file)->write_gather(std::uint64_t{100} << 16, parts).error().code, Code::no_space);
    file->reset();
    small->reset();
    EXPECT_EQ(::umount(temp_.path("small").c_str()), 0);
  } else {
    EXPECT_EQ(error_of(ENOSPC).code, Code::no_space);
  }
  EXPECT_EQ(error_of(EDQUOT).code, Code::no_space);
  EXPECT_EQ(error_of(EIO).code, Code::io);
  EXPECT_EQ(error_of(EILSEQ).code, Code::unsupported);
  EXPECT_EQ(error_of(EROFS).code, Code::denied);
  EXPECT_EQ(error_of(EXDEV).code, Code::unsafe);
}

TEST_P(PosixVfsTest, ALimitOfTheProcessCutsAWriteShort) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  auto file = root_->open("f", OpenMode::create);
  ASSERT_TRUE(file);
  const rlimit tight{10'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const Bytes block(8'000, 7);
  const std::array<ByteView, 2> parts{ByteView{block}, ByteView{block}};
  const auto gathered = (*file)->write_gather(0, parts);  // short first, then refused
  const auto plain = (*file)->write_at(9'000, block);
  const auto resized = (*file)->resize(20'000);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(gathered.error().code, Code::too_large);
  EXPECT_EQ(plain.error().code, Code::too_large);
  EXPECT_EQ(resized.error().code, Code::too_large);
  EXPECT_EQ(root_->stat("f")->stamp.size, 10'000U);
}

TEST_P(PosixVfsTest, TooManyOpenFilesIsBusy) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  temp_.file("root/f", as_bytes("1"));
  const rlimit tight{64, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<std::unique_ptr<File>> open;
  Result<std::unique_ptr<File>> opened = root_->open("f", OpenMode::read);
  while (opened && open.size() < 100) {
    open.push_back(std::move(*opened));
    opened = root_->open("f", OpenMode::read);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::busy);
}

TEST_P(PosixVfsTest, UnprivilegedUsersAreDenied) {
  if (::geteuid() != 0) {
    temp_.folder("root/locked");
    ASSERT_EQ(::chmod(real("locked").c_str(), 0500), 0);
    EXPECT_EQ(vfs_.open_folder(real("locked"), Vfs::Missing::create).error().code, Code::denied);
    ASSERT_EQ(::chmod(real("locked").c_str(), 0700), 0);
    return;
  }
  ASSERT_EQ(::chmod(temp_.path().c_str(), 0755), 0);
  temp_.file("root/f", as_bytes("1"));
  ASSERT_EQ(::chmod(real("f").c_str(), 0600), 0);
  // In a child, so that this process keeps its rights.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(9);
    int wrong = 0;
    auto again = vfs_.open_folder(temp_.path("root"), Vfs::Missing::error);
    if (!again) ::_exit(8);
    wrong += (*again)->open("f", OpenMode::read).error().code == Code::denied ? 0 : 1;
    wrong += (*again)->open("g", OpenMode::create).error().code == Code::denied ? 0 : 2;
    wrong += vfs_.open_folder(temp_.path("root"), Vfs::Missing::create).error().code == Code::denied ? 0 : 4;
    ::_exit(wrong);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Somebody swaps a folder for a link, over and over, while files are made, renamed and removed beneath it.
TEST_P(PosixVfsTest, SwappedFoldersNeverLeadOutside) {
  temp_.folder("outside");
  temp_.folder("root/d");
  const std::string folder = real("d"), aside = real("aside"), link = real("link");
  ASSERT_EQ(::symlink(temp_.path("outside").c_str(), link.c_str()), 0);
  std::atomic<bool> stop{false};
  std::thread attacker{[&] {
    while (!stop.load()) {
      // RENAME_EXCHANGE: the name is never free, so both sides always find something.
      ::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
    }
  }};
  int made = 0, refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = "d/f" + std::to_string(i);
    auto file = root_->open(name, OpenMode::create);
    if (!file) {
      EXPECT_TRUE(file.error().code == Code::unsafe || file.error().code == Code::busy) << file.error().rule;
      ++refused;
      continue;
    }
    ++made;
    static_cast<void>((*file)->write_at(0, as_bytes("x")));
    static_cast<void>(root_->rename(name, name + ".new"));
    static_cast<void>(root_->remove(name + ".new"));
    static_cast<void>(root_->make_folders("d/s" + std::to_string(i % 10)));
    static_cast<void>(root_->make_symlink("d/l" + std::to_string(i % 10), "x"));
  }
  stop = true;
  attacker.join();
  EXPECT_GT(made, 0);
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(std::filesystem::is_empty(temp_.path("outside")));
}

}  // namespace
}  // namespace shoal::storage
