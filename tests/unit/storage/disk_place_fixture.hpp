// What the tests of attached contents share: a content of four files, a place for it, and ways to change a
// file behind the back of whoever knows it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include "disk_fixture.hpp"

namespace shoal::storage::fixture {

inline constexpr std::uint32_t piece_length = 2 * block_bytes;

inline Made four_files() {
  return fixture::make({{"a.bin", pattern(100'000, 1)},
                        {"empty", {}},
                        {"sub/deep/b.bin", pattern(piece_length, 2)},
                        {"z.txt", pattern(10, 3)}},
                       piece_length);
}

class DiskTest : public testing::Test {
 protected:
  void expect_whole(const Made& made) {
    for (const fixture::HashedFile& file : made.files)
      EXPECT_EQ(read_whole(temp_.path("out/content/" + file.path)), file.bytes) << file.path;
  }
  [[nodiscard]] std::size_t part_files() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(temp_.path("out")))
      if (entry.path().extension() == ".part") ++count;
    return count;
  }
  void finish(const Made& made) {
    Life life{state_, nullptr};
    Engine engine{life, made, out_};
    ASSERT_TRUE(engine.start());
    ASSERT_TRUE(engine.download());
    expect_whole(made);
  }

  TempFolder temp_;
  std::string state_ = temp_.path("state"), out_ = temp_.path("out");
};

inline void edit(const std::string& path, std::streamoff at, char byte) {
  std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
  file.seekp(at);
  file.put(byte);
}
inline void set_time(const std::string& path, std::int64_t seconds) {
  const timespec times[2] = {{0, UTIME_OMIT}, {seconds, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

}  // namespace shoal::storage::fixture
