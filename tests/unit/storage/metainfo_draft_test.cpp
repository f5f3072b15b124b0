// Info dictionaries that are drafted before anything is hashed, and completed afterwards.
#include <algorithm>

#include <gtest/gtest.h>

#include "storage/metainfo.hpp"

namespace shoal::storage {
namespace {

// Drafted with hashes that take up the room alone, then completed: not a byte is different.
TEST(MetainfoDraft, CompletedItIsWhatIsMadeAtOnce) {
  for (const Format format : {Format::v1, Format::v2, Format::hybrid})
    for (const bool single : {false, true}) {
      Description whole;
      whole.name = "content";
      whole.format = format;
      whole.single_file = single;
      whole.piece_length = block_bytes;
      std::vector<Sha256> roots;
      std::uint64_t pieces = 0;
      const std::vector<std::string> paths =
          single ? std::vector<std::string>{"content"} : std::vector<std::string>{"a", "b/empty", "b/x", "c"};
      for (const std::string& path : paths) {
        const std::uint64_t length = path == "b/empty" ? 0 : 40'000 + path.size();
        roots.push_back(length == 0 ? Sha256{} : sha256(as_bytes(path)));
        whole.files.push_back({path, length, roots.back(), FileKind::regular, {}});
        pieces += (length + block_bytes - 1) / block_bytes;
      }
      if (format == Format::v1 && !single) pieces = (3 * 40'000 + 1 + 3 + 1) / block_bytes + 1;
      if (format != Format::v2) whole.v1_hashes = Bytes(pieces * 20, 7);
      Description rough = whole;
      for (FileDescription& file : rough.files) {
        file.root.fill(1);
        store_be(file.root.data(), file.length);
      }
      std::ranges::fill(rough.v1_hashes, 0);
      const auto made = make_content(whole);
      ASSERT_TRUE(made) << made.error().rule;
      auto draft = draft_content(rough);
      ASSERT_TRUE(draft);
      EXPECT_NE(draft->content->info, (*made)->info);
      const auto completed = complete(std::move(*draft), roots, whole.v1_hashes);
      ASSERT_TRUE(completed);
      EXPECT_EQ((*completed)->info, (*made)->info);
      EXPECT_EQ((*completed)->id, (*made)->id);
      EXPECT_EQ((*completed)->v1, (*made)->v1);
      for (std::size_t f = 0; f < paths.size(); ++f)
        EXPECT_EQ((*completed)->files[f].root, (*made)->files[f].root);
    }
}

TEST(MetainfoDraft, RootsThatNoFilesCanHaveAreRefused) {
  Description rough;
  rough.name = "content";
  rough.piece_length = block_bytes;
  for (const std::uint64_t length : {10'000U, 20'000U}) {
    rough.files.push_back({"f" + std::to_string(length), length, {}, FileKind::regular, {}});
    rough.files.back().root.fill(static_cast<std::uint8_t>(length / 10'000));
  }
  auto draft = draft_content(rough);
  ASSERT_TRUE(draft);
  const std::vector<Sha256> same(2, sha256({}));
  EXPECT_EQ(complete(std::move(*draft), same, {}).error().code, Code::malformed);
}

}  // namespace
}  // namespace shoal::storage
