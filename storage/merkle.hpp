// Merkle trees of BEP 52: SHA-256 over blocks of 16 KiB, in binary trees whose missing leaves are 32 zero
// bytes.
//
// Words: *height* counts from the leaves (0). A node at height h covers 2^h blocks. The *piece layer* is the
// layer at height log2(piece length / 16 KiB). *Uncles* are the siblings met on the way from a subtree to the
// root. Nothing here knows files, peers or disks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dht/base/hash.hpp"
#include "storage/content.hpp"

namespace shoal::storage::merkle {

// 2^53 bytes are 2^39 blocks, and a piece layer may be padded once more.
inline constexpr unsigned max_height = 48;

// Root of a subtree of that height whose leaves are all missing. Precondition: height <= max_height.
[[nodiscard]] const Sha256& padding(unsigned height);

// The least h with 2^h >= n; 0 for n <= 1.
[[nodiscard]] unsigned ceil_log2(std::uint64_t n);

// The tree of one file. A file of one piece has a tree of its own blocks, padded to a power of two; a larger
// one is padded to whole pieces and to a power of two of them.
struct Shape {
  std::uint32_t pieces = 0;   // 0 for an empty file, which has no tree
  unsigned piece_height = 0;  // of a piece's root; for a file of one piece, of the file's
  unsigned height = 0;        // of the file's root
};
[[nodiscard]] Shape shape_of(std::uint64_t length, std::uint32_t piece_length);

// Root at `height` of the nodes that stand at `base_height`; missing ones are padding. Preconditions:
// base_height <= height <= max_height, nodes.size() <= 2^(height - base_height).
[[nodiscard]] Sha256 root_of(std::span<const Sha256> nodes, unsigned base_height, unsigned height);
// Root of a piece from the hashes of its blocks. `shape` is that of its file.
[[nodiscard]] Sha256 piece_root(std::span<const Sha256> leaves, const Shape& shape);
// Root of a file from its piece layer.
[[nodiscard]] Sha256 file_root(std::span<const Sha256> piece_roots, const Shape& shape);

// Root of the subtree of 2^k nodes, k = ceil_log2(nodes.size()), climbed through the uncles: `first` is the
// index of its first node in its layer. What verify_proof compares, and what a partial proof leads to.
[[nodiscard]] Sha256 climb(Sha256 node, std::uint64_t index, std::span<const Sha256> uncles);

// Uncles for the `count` nodes at `first` of a layer, nearest first, as far as `uncles` of them (BEP 52,
// "hashes"). The count is a power of two, `first` a multiple of it, both within the tree. Costs O(nodes).
[[nodiscard]] std::vector<Sha256> build_proof(std::span<const Sha256> nodes, unsigned base_height,
                                              std::uint64_t first, std::uint64_t count, unsigned uncles);
// Whether the hashes stand at `first` of the layer at `base_height` below `root` (which stands at `height`).
// False for a count that is no power of two, a misaligned start, a wrong number of uncles: never a crash.
[[nodiscard]] bool verify_proof(const Sha256& root, unsigned height, unsigned base_height,
                                std::uint64_t first, std::span<const Sha256> hashes,
                                std::span<const Sha256> uncles);

// Many piece roots at once: the levels of all trees are hashed together, so that the multi-buffer hasher is
// kept busy by small pieces too. Memory stays allocated between calls. One object a thread.
class TreeHasher {
 public:
  struct Tree {
    std::uint32_t leaves = 0;  // how many of the leaves given are its own, at least 1
    unsigned height = 0;       // of its root; at least ceil_log2(leaves)
  };
  // `leaves` are those of all trees, one after the other. roots[i] is that of trees[i].
  void roots(std::span<const Sha256> leaves, std::span<const Tree> trees, std::span<Sha256> roots);
  [[nodiscard]] BlockHasher& hasher() { return hasher_; }

 private:
  BlockHasher hasher_;
  std::vector<Sha256> nodes_, parents_;
  std::vector<std::uint32_t> counts_;
  std::vector<ByteView> pairs_;
};

// All layers from `nodes` (at base_height) up to the single node at `height`: element 0 is the layer above
// the nodes. Trailing padding is left out. Uses many-at-once hashing where the layer is large.
[[nodiscard]] std::vector<std::vector<Sha256>> layers_above(std::span<const Sha256> nodes,
                                                            unsigned base_height, unsigned height);

}  // namespace shoal::storage::merkle
