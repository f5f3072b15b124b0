// Merkle trees against libtorrent 2.0.8's roots (constants below), against the definition, and against each
// other.
#include "storage/merkle.hpp"

#include <gtest/gtest.h>

#include "tests/unit/storage/content_fixture.hpp"

namespace shoal::storage::merkle {
namespace {

using fixture::hash_file;
using fixture::leaves_of;
using fixture::pattern;
using fixture::plain_root;

struct Known {
  std::uint32_t size, piece_length;
  const char* root;
  const char* layer;  // the first 8 bytes of the SHA-256 of the piece layer; empty: none
};

// libtorrent::create_torrent(v2_only) of a file that holds pattern(size).
constexpr Known libtorrent_roots[] = {
    {1, 16384, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", ""},
    {16383, 16384, "edca85df79038995a58a29cde47a400ca9ea42705a52c68bc6b54662d0056e5e", ""},
    {16384, 16384, "c85be998ed1656d19fe8482f1191453f9806de55b305213736d8ffad240739fc", ""},
    {16385, 16384, "0a057fb4022b5706c242106efaa171fc7fd5492239f0935f4ddd980fde8455f8", "0a057fb4022b5706"},
    {32768, 16384, "10c06b105fe606da787598a37fd154ba71f10eefb6af886c04bffe79c19eb651", "10c06b105fe606da"},
    {49153, 16384, "13f31cf61bfef61839e41a7232d893f4d290a35d595a09a0314c3ebd9f5a9781", "3cb8ab0c22461092"},
    {65536, 16384, "a55ad6f7e3a051d5412b39a0b8e7276cb197f6c3ffa8186a87d54f209580ed3a", "7cc02c2a41299abc"},
    {65537, 16384, "d3ba2ad3b22589b7cfbb12ac6205d5064f5a795b971571376fbfec0159af385b", "0e0d4c0426ce7d08"},
    {131072, 16384, "6025a234adf3ba50de67c895d67835c2e6cf3e07a7026164b4c1c4cffb4ebd11", "61b1fe41a02df28d"},
    {200000, 16384, "66c42ad5a3bebf2175045c7f1f866d3f2530e5774495485230499067e40ddf7f", "9635210d5cd58770"},
    {262144, 16384, "8e697fef31abf2ec2a4e618ad153406f2646fd51c9bb81fb9216e26e008c1ffa", "f3166f9f8e7e094c"},
    {262145, 16384, "e1d669a33730e2c5c477614cd8991d526fc5b5c4c18044b7ca6c5b43a3ed35e2", "ce0aab24f4261d2e"},
    {1048576, 16384, "909303def0639beeffc6cc541234ac1dad534530adaf4b49c3deaf8edf462d74", "fee53699552932b1"},
    {1048577, 16384, "e2e22ef37f4ad0cf1937aecc894fe0d78d8c8ed79c3e2c21db96f1bba462a74a", "da0d7b7487c1f4ea"},
    {3000000, 16384, "ed1152f4ee86529fa7d754a701f7cf43bde84d43f658a22a021f645df3d4e7d3", "e859d75dd79b8ffd"},
    {1, 65536, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", ""},
    {16383, 65536, "edca85df79038995a58a29cde47a400ca9ea42705a52c68bc6b54662d0056e5e", ""},
    {16384, 65536, "c85be998ed1656d19fe8482f1191453f9806de55b305213736d8ffad240739fc", ""},
    {16385, 65536, "0a057fb4022b5706c242106efaa171fc7fd5492239f0935f4ddd980fde8455f8", ""},
    {32768, 65536, "10c06b105fe606da787598a37fd154ba71f10eefb6af886c04bffe79c19eb651", ""},
    {49153, 65536, "13f31cf61bfef61839e41a7232d893f4d290a35d595a09a0314c3ebd9f5a9781", ""},
    {65536, 65536, "a55ad6f7e3a051d5412b39a0b8e7276cb197f6c3ffa8186a87d54f209580ed3a", ""},
    {65537, 65536, "d3ba2ad3b22589b7cfbb12ac6205d5064f5a795b971571376fbfec0159af385b", "d3ba2ad3b22589b7"},
    {131072, 65536, "6025a234adf3ba50de67c895d67835c2e6cf3e07a7026164b4c1c4cffb4ebd11", "6025a234adf3ba50"},
    {200000, 65536, "66c42ad5a3bebf2175045c7f1f866d3f2530e5774495485230499067e40ddf7f", "105535052787e544"},
    {262144, 65536, "8e697fef31abf2ec2a4e618ad153406f2646fd51c9bb81fb9216e26e008c1ffa", "05317b3b699de62f"},
    {262145, 65536, "e1d669a33730e2c5c477614cd8991d526fc5b5c4c18044b7ca6c5b43a3ed35e2", "e6f4ee3a15891d55"},
    {1048576, 65536, "909303def0639beeffc6cc541234ac1dad534530adaf4b49c3deaf8edf462d74", "a1d7d6e823f65c66"},
    {1048577, 65536, "e2e22ef37f4ad0cf1937aecc894fe0d78d8c8ed79c3e2c21db96f1bba462a74a", "297d2094dda73fbd"},
    {3000000, 65536, "ed1152f4ee86529fa7d754a701f7cf43bde84d43f658a22a021f645df3d4e7d3", "530d02cd085461aa"},
    {1, 262144, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", ""},
    {16383, 262144, "edca85df79038995a58a29cde47a400ca9ea42705a52c68bc6b54662d0056e5e", ""},
    {16384, 262144, "c85be998ed1656d19fe8482f1191453f9806de55b305213736d8ffad240739fc", ""},
    {16385, 262144, "0a057fb4022b5706c242106efaa171fc7fd5492239f0935f4ddd980fde8455f8", ""},
    {32768, 262144, "10c06b105fe606da787598a37fd154ba71f10eefb6af886c04bffe79c19eb651", ""},
    {49153, 262144, "13f31cf61bfef61839e41a7232d893f4d290a35d595a09a0314c3ebd9f5a9781", ""},
    {65536, 262144, "a55ad6f7e3a051d5412b39a0b8e7276cb197f6c3ffa8186a87d54f209580ed3a", ""},
    {65537, 262144, "d3ba2ad3b22589b7cfbb12ac6205d5064f5a795b971571376fbfec0159af385b", ""},
    {131072, 262144, "6025a234adf3ba50de67c895d67835c2e6cf3e07a7026164b4c1c4cffb4ebd11", ""},
    {200000, 262144, "66c42ad5a3bebf2175045c7f1f866d3f2530e5774495485230499067e40ddf7f", ""},
    {262144, 262144, "8e697fef31abf2ec2a4e618ad153406f2646fd51c9bb81fb9216e26e008c1ffa", ""},
    {262145, 262144, "e1d669a33730e2c5c477614cd8991d526fc5b5c4c18044b7ca6c5b43a3ed35e2", "e1d669a33730e2c5"},
    {1048576, 262144, "909303def0639beeffc6cc541234ac1dad534530adaf4b49c3deaf8edf462d74", "175349696f52d1a1"},
    {1048577, 262144, "e2e22ef37f4ad0cf1937aecc894fe0d78d8c8ed79c3e2c21db96f1bba462a74a", "77f5cbce7603bacb"},
    {3000000, 262144, "ed1152f4ee86529fa7d754a701f7cf43bde84d43f658a22a021f645df3d4e7d3", "a6ede7b856b7e4d3"},
};

Bytes layer_bytes(std::span<const Sha256> roots) {
  Bytes out;
  for (const Sha256& root : roots) append(out, root);
  return out;
}

std::vector<Sha256> some_nodes(std::size_t count) {
  std::vector<Sha256> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(sha256(pattern(7, static_cast<unsigned>(i))));
  for (std::size_t i = 0; i < count; ++i) store_be(out[i].data(), static_cast<std::uint64_t>(i));
  return out;
}

TEST(Merkle, RootsAreLibtorrents) {
  TreeHasher hasher;
  for (const Known& known : libtorrent_roots) {
    SCOPED_TRACE(testing::Message() << known.size << " bytes in pieces of " << known.piece_length);
    const Bytes bytes = pattern(known.size);
    const auto leaves = leaves_of(bytes);
    const Shape shape = shape_of(known.size, known.piece_length);
    std::vector<TreeHasher::Tree> trees;
    const std::uint32_t blocks = known.piece_length / block_bytes;
    for (std::size_t at = 0; at < leaves.size(); at += blocks)
      trees.push_back({static_cast<std::uint32_t>(std::min<std::size_t>(blocks, leaves.size() - at)),
                       shape.piece_height});
    ASSERT_EQ(trees.size(), shape.pieces);
    std::vector<Sha256> roots(trees.size());
    hasher.roots(leaves, trees, roots);
    EXPECT_EQ(to_hex(file_root(roots, shape)), known.root);
    EXPECT_EQ(to_hex(hash_file("f", bytes, known.piece_length).root), known.root);
    EXPECT_EQ(roots.size() < 2 ? "" : to_hex(sha256(layer_bytes(roots))).substr(0, 16), known.layer);
    for (std::size_t p = 0; p < roots.size(); ++p) {
      const auto own = std::span{leaves}.subspan(p * blocks, trees[p].leaves);
      EXPECT_EQ(piece_root(own, shape), roots[p]);
    }
  }
}

TEST(Merkle, ShapesAtTheBorders) {
  EXPECT_EQ(shape_of(0, 65536).pieces, 0U);
  EXPECT_EQ(shape_of(1, 65536).height, 0U);
  EXPECT_EQ(shape_of(16384, 65536).height, 0U);
  EXPECT_EQ(shape_of(16385, 65536).height, 1U);
  EXPECT_EQ(shape_of(65536, 65536).height, 2U);
  EXPECT_EQ(shape_of(65537, 65536).height, 3U);
  EXPECT_EQ(shape_of(65537, 65536).piece_height, 2U);
  EXPECT_EQ(shape_of(65536 * 5, 65536).height, 5U);
  EXPECT_EQ(shape_of(32768, 16384).piece_height, 0U);
  const Shape largest = shape_of(std::uint64_t{1} << 53, 64U << 20);
  EXPECT_EQ(largest.pieces, 1U << 27);
  EXPECT_EQ(largest.height, 39U);
  EXPECT_EQ(ceil_log2(0), 0U);
  EXPECT_EQ(ceil_log2(1), 0U);
  EXPECT_EQ(ceil_log2(2), 1U);
  EXPECT_EQ(ceil_log2(3), 2U);
  EXPECT_EQ(ceil_log2((std::uint64_t{1} << 40) + 1), 41U);
}

TEST(Merkle, PaddingIsAZeroTree) {
  EXPECT_EQ(padding(0), Sha256{});
  EXPECT_EQ(padding(5), plain_root(std::vector<Sha256>(32)));
  EXPECT_EQ(root_of({}, 0, 5), padding(5));
}

TEST(Merkle, LargeLayersAreHashedAsSmallOnes) {
  for (const std::size_t count : {1UL, 2UL, 3UL, 511UL, 512UL, 513UL, 1000UL, 1025UL}) {
    auto nodes = some_nodes(count);
    const unsigned height = ceil_log2(count);
    const auto layers = layers_above(nodes, 3, 3 + height);
    ASSERT_EQ(layers.size(), height);
    const Sha256 root = root_of(nodes, 3, 3 + height);
    if (height > 0) {
      EXPECT_EQ(layers.back().front(), root);
    }
    nodes.resize(std::size_t{1} << height, padding(3));
    EXPECT_EQ(root, plain_root(nodes)) << count;
  }
}

TEST(Merkle, ManyTreesOfManyShapesAtOnce) {
  std::vector<TreeHasher::Tree> trees;
  std::vector<Sha256> leaves, expected;
  unsigned step = 1;
  for (unsigned height = 0; height <= 6; ++height) {
    for (std::uint32_t count = 1; count <= 1U << height; count += step % 5 + 1, ++step) {
      auto own = some_nodes(count);
      own.front()[31] = static_cast<std::uint8_t>(step);
      leaves.insert(leaves.end(), own.begin(), own.end());
      trees.push_back({count, height});
      expected.push_back(root_of(own, 0, height));
    }
  }
  ASSERT_GT(trees.size(), 30U);
  std::vector<Sha256> roots(trees.size());
  TreeHasher hasher;
  hasher.roots(leaves, trees, roots);
  EXPECT_EQ(roots, expected);
  hasher.roots({}, {}, {});  // nothing is fine too
}

TEST(Merkle, ProofsOfEveryRangeVerify) {
  for (const std::size_t count : {1UL, 2UL, 5UL, 8UL, 13UL}) {
    const auto nodes = some_nodes(count);
    const unsigned base = 2, height = base + ceil_log2(count);
    const Sha256 root = root_of(nodes, base, height);
    auto padded = nodes;
    padded.resize(std::size_t{1} << (height - base), padding(base));
    for (std::uint64_t length = 1; length <= padded.size(); length *= 2) {
      for (std::uint64_t first = 0; first < padded.size(); first += length) {
        const unsigned uncles = height - base - ceil_log2(length);
        auto proof = build_proof(nodes, base, first, length, uncles);
        std::vector<Sha256> range{padded.begin() + static_cast<std::ptrdiff_t>(first),
                                  padded.begin() + static_cast<std::ptrdiff_t>(first + length)};
        ASSERT_TRUE(verify_proof(root, height, base, first, range, proof))
            << count << " " << first << " " << length;
        if (length < padded.size() && first < count) {  // one padding is as good as another
          EXPECT_FALSE(verify_proof(root, height, base, (first + length) % padded.size(), range, proof));
        }
        range.back()[5] ^= 1;
        EXPECT_FALSE(verify_proof(root, height, base, first, range, proof));
        range.back()[5] ^= 1;
        if (!proof.empty()) {
          proof.back()[31] ^= 0x80;
          EXPECT_FALSE(verify_proof(root, height, base, first, range, proof));
          proof.pop_back();
          EXPECT_FALSE(verify_proof(root, height, base, first, range, proof));
        }
      }
    }
  }
}

TEST(Merkle, HostileProofsAreRefusedWithoutHarm) {
  const auto nodes = some_nodes(8);
  const Sha256 root = root_of(nodes, 0, 3);
  ASSERT_TRUE(verify_proof(root, 3, 0, 0, nodes, {}));
  EXPECT_FALSE(verify_proof(root, 3, 0, 8, nodes, {}));  // beyond the tree
  EXPECT_FALSE(verify_proof(root, 3, 0, std::uint64_t{1} << 63, nodes, {}));
  EXPECT_FALSE(verify_proof(root, 3, 0, 0, {}, {}));                         // nothing
  EXPECT_FALSE(verify_proof(root, 3, 0, 0, std::span{nodes}.first(3), {}));  // no power of two
  EXPECT_FALSE(
      verify_proof(root, 3, 0, 1, std::span{nodes}.first(2), std::span{nodes}.first(2)));  // misaligned
  EXPECT_FALSE(verify_proof(root, 2, 0, 0, nodes, {}));    // more than the tree holds
  EXPECT_FALSE(verify_proof(root, 0, 3, 0, nodes, {}));    // upside down
  EXPECT_FALSE(verify_proof(root, 200, 0, 0, nodes, {}));  // higher than any tree
  // Right in itself, but higher than any tree.
  std::vector<Sha256> above;
  Sha256 top = nodes[0];
  for (unsigned height = 0; height <= max_height; ++height) {
    EXPECT_TRUE(verify_proof(top, height, 0, 0, std::span{nodes}.first(1), above)) << height;
    above.push_back(nodes[1]);
    Bytes pair = to_vector(top);
    append(pair, nodes[1]);
    top = sha256(pair);
  }
  EXPECT_FALSE(verify_proof(top, max_height + 1, 0, 0, std::span{nodes}.first(1), above));
  // A node is no leaf: the two nodes below the root do not pass for the range of leaves they stand for.
  const std::vector<Sha256> below{root_of(std::span{nodes}.first(4), 0, 2),
                                  root_of(std::span{nodes}.last(4), 0, 2)};
  EXPECT_FALSE(verify_proof(root, 3, 0, 0, below, {}));
}

}  // namespace
}  // namespace shoal::storage::merkle
