// The virtual disk: files as on a real one, what a power cut leaves, and faults to order.
#include <set>

#include <gtest/gtest.h>

#include "cli/sim/sim_vfs.hpp"

namespace shoal::sim {
namespace {

using storage::OpenMode;
using storage::Vfs;

struct SimDisk : testing::Test {
  PageStore pages;
  DiskImage image{pages, CrashModel::on, 1U << 30};
  SimVfs vfs{image};
  Random random{Random::Seed{9}};

  std::unique_ptr<storage::Folder> folder(const std::string& path = "/data") {
    auto opened = vfs.open_folder(path, Vfs::Missing::create);
    EXPECT_TRUE(opened.has_value());
    image.sync_names(image.root());
    return std::move(*opened);
  }
  static std::unique_ptr<storage::File> open(storage::Folder& in, std::string_view path, OpenMode mode) {
    auto opened = in.open(path, mode);
    EXPECT_TRUE(opened.has_value()) << path;
    return opened ? std::move(*opened) : nullptr;
  }
  static Bytes read(storage::File& file, std::uint64_t offset, std::size_t length) {
    Bytes out(length, 0xee);
    auto n = file.read_at(offset, out);
    EXPECT_TRUE(n.has_value());
    out.resize(n.value_or(0));
    return out;
  }
};

TEST_F(SimDisk, HoldsSparseFilesAndSharesEqualPages) {
  auto data = folder();
  auto file = open(*data, "a", OpenMode::create);
  ASSERT_TRUE(file->resize(std::uint64_t{1} << 40));
  EXPECT_EQ(image.used(), 0U);
  const Bytes ones(100'000, 1);
  ASSERT_TRUE(file->write_at((std::uint64_t{1} << 39) + 5, ones));
  EXPECT_EQ(read(*file, (std::uint64_t{1} << 39) + 4, 3), (Bytes{0, 1, 1}));
  EXPECT_EQ(read(*file, (std::uint64_t{1} << 39) + 5, 100'000), ones);
  EXPECT_EQ(read(*file, (std::uint64_t{1} << 40) - 2, 10), (Bytes{0, 0}));  // the end of the file
  EXPECT_LE(image.used(), 8U * page_bytes);
  Random fill{Random::Seed{1}};
  Bytes page(page_bytes);
  fill.fill(page);
  for (int i = 0; i < 20; ++i) {
    auto copy = open(*data, "copy" + std::to_string(i), OpenMode::create);
    ASSERT_TRUE(copy->write_at(0, page));
  }
  EXPECT_LE(pages.pages(), 3U);
  auto first = open(*data, "copy0", OpenMode::write);
  ASSERT_TRUE(first->write_at(7, Bytes{99}));  // a shared page is copied before it changes
  EXPECT_EQ(read(*open(*data, "copy1", OpenMode::read), 7, 1), Bytes{page[7]});
  EXPECT_EQ(read(*first, 7, 1), Bytes{99});
}

TEST_F(SimDisk, NamesBehaveAsTheSeamSays) {
  auto data = folder();
  ASSERT_TRUE(data->make_folders("a/b/c"));
  ASSERT_TRUE(data->make_folders("a/b/c"));
  open(*data, "a/b/f", OpenMode::create);
  EXPECT_EQ(data->open("a/b/f", OpenMode::create).error().code, Code::exists);
  EXPECT_EQ(data->open("a/b/g", OpenMode::read).error().code, Code::not_found);
  EXPECT_EQ(data->open("../x", OpenMode::read).error().code, Code::unsafe);
  EXPECT_EQ(data->make_folders("a/b/f/x").error().code, Code::exists);
  ASSERT_TRUE(data->make_symlink("a/link", "b"));
  EXPECT_EQ(data->open("a/link/f", OpenMode::read).error().code, Code::unsafe);
  EXPECT_EQ(data->read_symlink("a/link").value(), "b");
  open(*data, "z", OpenMode::create);
  EXPECT_EQ(data->rename("z", "a/b/f").error().code, Code::exists);
  ASSERT_TRUE(data->rename("z", "a/b/z"));
  auto list = data->list("a/b");
  ASSERT_TRUE(list && list->size() == 3);
  EXPECT_EQ((*list)[0].name, "c");
  EXPECT_EQ((*list)[0].kind, storage::EntryKind::folder);
  ASSERT_TRUE(data->remove("a/b/z"));
  EXPECT_EQ(data->stat("a/b/z").error().code, Code::not_found);
  EXPECT_FALSE(vfs.open_folder("/nowhere", Vfs::Missing::error));
}

TEST_F(SimDisk, APowerCutKeepsWhatWasSyncedAlone) {
  for (const Unsynced fate : {Unsynced::dropped, Unsynced::applied}) {
    auto data = folder(fate == Unsynced::dropped ? "/dropped" : "/applied");
    auto file = open(*data, "f", OpenMode::create);
    ASSERT_TRUE(data->sync_folder(""));
    ASSERT_TRUE(file->write_at(0, Bytes(40'000, 1)));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(file->write_at(10'000, Bytes(40'000, 2)));
    open(*data, "nameless", OpenMode::create);
    image.crash(fate, random);
    auto after = folder(fate == Unsynced::dropped ? "/dropped" : "/applied");
    auto again = open(*after, "f", OpenMode::read);
    const std::size_t whole = fate == Unsynced::dropped ? 40'000 : 50'000;
    Bytes expected(whole, 1);
    if (fate == Unsynced::applied) std::fill(expected.begin() + 10'000, expected.end(), std::uint8_t{2});
    EXPECT_EQ(read(*again, 0, 100'000), expected);
    EXPECT_EQ(after->stat("nameless").has_value(), fate == Unsynced::applied);
  }
}

TEST_F(SimDisk, ATornWriteIsTornAtSectors) {
  std::set<int> torn, kept;
  for (int round = 0; round < 60; ++round) {
    auto data = folder("/r" + std::to_string(round));
    auto file = open(*data, "f", OpenMode::create);
    ASSERT_TRUE(file->write_at(0, Bytes(8192, 1)));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(data->sync_folder(""));
    ASSERT_TRUE(file->write_at(0, Bytes(8192, 2)));
    image.crash(Unsynced::torn, random);
    const Bytes now = read(*open(*folder("/r" + std::to_string(round)), "f", OpenMode::read), 0, 8192);
    ASSERT_EQ(now.size(), 8192U);
    int twos = 0;
    for (std::size_t sector = 0; sector < 16; ++sector) {
      const std::set<std::uint8_t> values(now.begin() + static_cast<std::ptrdiff_t>(sector * 512),
                                          now.begin() + static_cast<std::ptrdiff_t>(sector * 512 + 512));
      ASSERT_EQ(values.size(), 1U);
      twos += *values.begin() == 2 ? 1 : 0;
    }
    (twos > 0 && twos < 16 ? torn : kept).insert(round);
  }
  EXPECT_GT(torn.size(), 5U);
  EXPECT_GT(kept.size(), 5U);
}

TEST_F(SimDisk, ARenameIsThereOrNotButNeverHalf) {
  int moved = 0, stayed = 0;
  for (int round = 0; round < 40; ++round) {
    const std::string path = "/n" + std::to_string(round);
    auto data = folder(path);
    ASSERT_TRUE(data->make_folders("sub"));
    auto file = open(*data, "sub/f.part", OpenMode::create);
    ASSERT_TRUE(file->write_at(0, Bytes{5}));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(data->sync_folder("sub"));
    ASSERT_TRUE(data->sync_folder(""));
    ASSERT_TRUE(data->rename("sub/f.part", "sub/f"));
    image.crash(Unsynced::torn, random);
    auto after = folder(path);
    const bool is_new = after->stat("sub/f").has_value(), is_old = after->stat("sub/f.part").has_value();
    EXPECT_NE(is_new, is_old);
    (is_new ? moved : stayed)++;
    EXPECT_EQ(read(*open(*after, is_new ? "sub/f" : "sub/f.part", OpenMode::read), 0, 9), Bytes{5});
  }
  EXPECT_GT(moved, 5);
  EXPECT_GT(stayed, 5);
}

TEST_F(SimDisk, FilesInAFolderThatWasNeverSyncedGoWithIt) {
  auto data = folder();
  ASSERT_TRUE(data->make_folders("new"));
  auto file = open(*data, "new/f", OpenMode::create);
  ASSERT_TRUE(file->write_at(0, Bytes{1}));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(data->sync_folder("new"));  // but not the folder above
  image.crash(Unsynced::dropped, random);
  EXPECT_EQ(folder()->stat("new").error().code, Code::not_found);
}

TEST_F(SimDisk, TheNthCallFailsOnceOrForGood) {
  auto data = folder();
  auto file = open(*data, "f", OpenMode::create);
  image.order({DiskCall::write, 3, {Code::io, "bad sector", 5}, Fault::Lasting::once});
  EXPECT_TRUE(file->write_at(0, Bytes{1}));
  EXPECT_TRUE(file->write_at(0, Bytes{1}));
  EXPECT_EQ(file->write_at(0, Bytes{1}).error().code, Code::io);
  EXPECT_TRUE(file->write_at(0, Bytes{1}));
  image.order({DiskCall::any, 1, {Code::io, "gone", 5}, Fault::Lasting::for_good});
  EXPECT_FALSE(file->read_at(0, MutableBytes{}));
  EXPECT_FALSE(file->sync());
  image.clear_faults();
  EXPECT_TRUE(file->sync());
}

TEST_F(SimDisk, AFullDiskRefusesAndRecovers) {
  auto data = folder();
  image.set_capacity(image.used() + 3 * page_bytes);
  auto file = open(*data, "f", OpenMode::create);
  EXPECT_TRUE(file->write_at(0, Bytes(3 * page_bytes, 1)));
  EXPECT_EQ(file->write_at(3 * page_bytes, Bytes{1}).error().code, Code::no_space);
  EXPECT_TRUE(file->write_at(5, Bytes{2}));  // no new page
  EXPECT_EQ(data->free_bytes().value(), 0U);
  ASSERT_TRUE(data->remove("f"));
  EXPECT_EQ(data->free_bytes().value(), 3U * page_bytes);
}

TEST_F(SimDisk, AFailedSyncIsLostEvenIfTheNextOneSaysFine) {
  auto data = folder();
  auto file = open(*data, "f", OpenMode::create);
  ASSERT_TRUE(file->write_at(0, Bytes(page_bytes, 1)));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(data->sync_folder(""));
  ASSERT_TRUE(file->write_at(0, Bytes(page_bytes, 2)));
  image.order({DiskCall::sync, 1, {Code::io, "lost", 5}, Fault::Lasting::once});
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(file->sync());
  EXPECT_EQ(read(*file, 0, 1), Bytes{2});
  image.crash(Unsynced::applied, random);
  EXPECT_EQ(read(*open(*folder(), "f", OpenMode::read), 0, 1), Bytes{1});
}

TEST_F(SimDisk, ATrapTakesThePowerAtTheNthSync) {
  for (const auto moment : {DiskImage::Moment::before, DiskImage::Moment::after}) {
    auto data = folder(moment == DiskImage::Moment::before ? "/b" : "/a");
    auto file = open(*data, "f", OpenMode::create);
    ASSERT_TRUE(data->sync_folder(""));
    image.trap_sync(2, moment);
    ASSERT_TRUE(file->write_at(0, Bytes{1}));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(file->write_at(0, Bytes{2}));
    EXPECT_EQ(file->sync().has_value(), moment == DiskImage::Moment::after);
    EXPECT_TRUE(image.halted());
    EXPECT_FALSE(file->write_at(0, Bytes{3}));
    image.crash(Unsynced::dropped, random);
    auto again = folder(moment == DiskImage::Moment::before ? "/b" : "/a");
    EXPECT_EQ(read(*open(*again, "f", OpenMode::read), 0, 9),
              Bytes{static_cast<std::uint8_t>(moment == DiskImage::Moment::before ? 1 : 2)});
  }
}

}  // namespace
}  // namespace shoal::sim
