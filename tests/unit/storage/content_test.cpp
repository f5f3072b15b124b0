// Which file a piece belongs to, however many of either there are.
#include "storage/content.hpp"

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal::storage {
namespace {

// Files of random lengths, some empty, that follow each other at once (v1) or begin at a piece each (v2).
Content made(Random& random, std::uint32_t files, std::uint64_t longest, bool v2) {
  Content out;
  out.v2 = v2;
  out.piece_length = 1024;
  std::uint64_t row = 0;
  for (std::uint32_t i = 0; i < files; ++i) {
    if (v2) row = (row + out.piece_length - 1) / out.piece_length * out.piece_length;
    ContentFile file;
    file.start = row;
    file.length = i % 5 == 1 ? 0 : random.below(longest);
    row += file.length;
    out.files.push_back(file);
  }
  out.pieces = static_cast<std::uint32_t>((row + out.piece_length - 1) / out.piece_length);
  out.index_files();
  return out;
}

TEST(ContentTest, EveryPieceFindsItsFirstFile) {
  Random random{{}};
  for (const bool v2 : {false, true}) {
    for (const std::uint64_t longest : {100U, 1024U, 5000U, 3'000'000U}) {
      for (const std::uint32_t files : {1U, 2U, 3U, 50U}) {
        const Content content = made(random, files, longest, v2);
        for (std::uint32_t piece = 0; piece < content.pieces; ++piece) {
          const std::uint64_t start = std::uint64_t{piece} * content.piece_length;
          std::uint32_t first = 0;
          while (content.files[first].start + content.files[first].length <= start) ++first;
          ASSERT_EQ(content.file_of(piece), first)
              << piece << " of " << content.pieces << ", " << files << " files";
        }
      }
    }
  }
}

}  // namespace
}  // namespace shoal::storage
