// What several tests of storage share: bytes with a known pattern, and contents made of them in memory, with
// the trees computed the plain way (one hash after the other), so that the fast ways have something to be
// held against.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/hash.hpp"
#include "storage/content.hpp"
#include "storage/merkle.hpp"
#include "storage/metainfo.hpp"

namespace shoal::storage::fixture {

// The bytes for which the constants from libtorrent in these tests were computed.
inline Bytes pattern(std::size_t size, unsigned seed = 0) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8) * 7 + (i >> 16) * 13 + seed);
  return out;
}

inline std::vector<Sha256> leaves_of(ByteView bytes) {
  std::vector<Sha256> out;
  for (std::size_t at = 0; at < bytes.size(); at += block_bytes)
    out.push_back(sha256(bytes.subspan(at, std::min<std::size_t>(block_bytes, bytes.size() - at))));
  return out;
}

// The root of a power of two of nodes, by the definition.
inline Sha256 plain_root(std::vector<Sha256> nodes) {
  while (nodes.size() > 1) {
    std::vector<Sha256> above;
    for (std::size_t i = 0; i < nodes.size(); i += 2) above.push_back(sha256_pair(nodes[i], nodes[i + 1]));
    nodes = above;
  }
  return nodes.front();
}

struct HashedFile {
  std::string path;
  Bytes bytes;
  Sha256 root{};
  std::vector<Sha256> roots;  // of its pieces
  Bytes layer;                // as the catalog keeps it: empty for less than two pieces
};

inline HashedFile hash_file(std::string path, Bytes bytes, std::uint32_t piece_length) {
  HashedFile out{std::move(path), std::move(bytes), {}, {}, {}};
  if (out.bytes.empty()) return out;
  const auto shape = merkle::shape_of(out.bytes.size(), piece_length);
  const ByteView all{out.bytes};
  for (std::size_t at = 0; at < all.size(); at += piece_length) {
    auto leaves = leaves_of(all.subspan(at, std::min<std::size_t>(piece_length, all.size() - at)));
    leaves.resize(std::size_t{1} << shape.piece_height);
    out.roots.push_back(plain_root(leaves));
  }
  auto nodes = out.roots;
  const Sha256 padding = plain_root(std::vector<Sha256>(std::size_t{1} << shape.piece_height));
  nodes.resize(std::size_t{1} << (shape.height - shape.piece_height), padding);
  out.root = plain_root(nodes);
  if (out.roots.size() >= 2)
    for (const Sha256& root : out.roots) append(out.layer, root);
  return out;
}

struct Made {
  ContentPtr content;
  std::vector<HashedFile> files;  // in the order of the content
  std::vector<Bytes> layers;
  Bytes row;  // as v1 has it, files and padding
  [[nodiscard]] ByteView piece(std::uint32_t index) const {
    const std::size_t start = std::size_t{index} * content->piece_length;
    if (!content->v2) return ByteView{row}.subspan(start, content->piece_bytes(index));
    const std::uint32_t file = content->file_of(index);
    return ByteView{files[file].bytes}.subspan(start - content->files[file].start,
                                               content->piece_bytes(index));
  }
};

// A public content named "content" of the given files, whose paths are in tree order.
inline Made make(const std::vector<std::pair<std::string, Bytes>>& files, std::uint32_t piece_length,
                 Format format = Format::v2) {
  Made out;
  Description description;
  description.name = "content";
  description.format = format;
  description.piece_length = piece_length;
  for (const auto& [path, bytes] : files) {
    out.files.push_back(hash_file(path, bytes, piece_length));
    if (format == Format::v1) out.files.back().layer.clear();
    out.layers.push_back(out.files.back().layer);
    description.files.push_back({path, bytes.size(), out.files.back().root, FileKind::regular, {}});
    append(out.row, bytes);
    while (format != Format::v1 && out.row.size() % piece_length != 0) out.row.push_back(0);
  }
  if (format != Format::v2)
    for (std::size_t at = 0; at < out.row.size(); at += piece_length)
      append(description.v1_hashes,
             sha1(ByteView{out.row}.subspan(at, std::min<std::size_t>(piece_length, out.row.size() - at))));
  const auto content = make_content(description);
  EXPECT_TRUE(content.has_value()) << (content ? "" : content.error().rule);
  out.content = *content;
  return out;
}

// Info dictionaries as text.
inline Result<ContentPtr> parse(std::string_view info) { return parse_info(to_vector(as_bytes(info))); }
inline std::string bstring(std::string_view text) {
  return std::to_string(text.size()) + ":" + std::string{text};
}

}  // namespace shoal::storage::fixture
