// What the tests of the catalog share: catalogs in temporary folders, and contents made of nothing but
// geometry.
#pragma once

#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "content_fixture.hpp"
#include "folder_fixture.hpp"
#include "storage/catalog.hpp"

namespace shoal::storage::fixture {

inline std::unique_ptr<Catalog> open_catalog(const std::string& path, int busy_ms = 10'000) {
  auto opened = Catalog::open({path, {}, nullptr, busy_ms});
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().rule);
  return opened ? std::move(*opened) : nullptr;
}

inline Result<void> save_sequence(Catalog& catalog, const ContentId& id, std::uint64_t sequence) {
  const std::pair one{id, sequence};
  return catalog.save_sequences({&one, 1});
}

inline Bytes read_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// A content of which only the geometry matters here; the catalog never looks into it.
inline ContentPtr plain_content(std::uint32_t pieces, std::uint8_t number, std::uint32_t files = 1) {
  auto content = std::make_shared<Content>();
  content->id[0] = number;
  content->info = Bytes(300, number);
  content->name = "name";
  content->piece_length = block_bytes;
  content->pieces = pieces;
  for (std::uint32_t i = 0; i < files; ++i) {
    ContentFile file;
    file.path = "f" + std::to_string(i);
    file.first_piece = pieces / files * i;
    file.start = std::uint64_t{file.first_piece} * block_bytes;
    file.pieces = i + 1 == files ? pieces - file.first_piece : pieces / files;
    file.length = std::uint64_t{file.pieces} * block_bytes;
    content->files.push_back(file);
  }
  content->index_files();
  return content;
}

inline ContentRecord record_of(const ContentPtr& content) {
  ContentRecord out;
  out.content = content;
  out.folder = "/somewhere";
  out.root_name = "name";
  return out;
}

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    catalog_.reset();
    catalog_ = open_catalog(path_);
    ASSERT_TRUE(catalog_);
  }
  TempFolder temp_;
  std::string path_ = temp_.path("catalog.sqlite");
  std::unique_ptr<Catalog> catalog_;
};

}  // namespace shoal::storage::fixture
