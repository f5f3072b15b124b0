// Merkle trees of BEP 52, see the header. One way of computing serves one tree (root_of), another many trees
// at once (TreeHasher); the tests hold them against each other and against libtorrent's roots.
#include "storage/merkle.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "dht/base/check.hpp"

namespace shoal::storage::merkle {
namespace {

// From this many nodes on, a multi-buffer hasher earns back what making one costs (some 50 microseconds).
constexpr std::size_t many_nodes = 512;

using Paddings = std::array<Sha256, max_height + 1>;

Paddings make_paddings() {
  Paddings out{};
  for (std::size_t h = 1; h < out.size(); ++h) out[h] = sha256_pair(out[h - 1], out[h - 1]);
  return out;
}

ByteView pair_at(const Sha256* nodes, std::size_t pair) { return {nodes[2 * pair].data(), 64}; }

std::vector<Sha256> layer_above(std::span<const Sha256> nodes, unsigned height, BlockHasher* hasher) {
  static_assert(sizeof(Sha256) == 32, "two neighbours are one message of 64 bytes");
  const std::size_t pairs = nodes.size() / 2;
  std::vector<Sha256> out((nodes.size() + 1) / 2);
  if (hasher != nullptr) {
    std::vector<ByteView> messages(pairs);
    for (std::size_t i = 0; i < pairs; ++i) messages[i] = pair_at(nodes.data(), i);
    hasher->sha256(messages, std::span{out}.first(pairs));
  } else {
    for (std::size_t i = 0; i < pairs; ++i) out[i] = sha256(pair_at(nodes.data(), i));
  }
  if (nodes.size() % 2 != 0) out.back() = sha256_pair(nodes.back(), padding(height));
  return out;
}

}  // namespace

const Sha256& padding(unsigned height) {
  static const Paddings paddings = make_paddings();
  SHOAL_CHECK(height <= max_height);
  return paddings[height];
}

unsigned ceil_log2(std::uint64_t n) { return n <= 1 ? 0 : static_cast<unsigned>(std::bit_width(n - 1)); }

Shape shape_of(std::uint64_t length, std::uint32_t piece_length) {
  SHOAL_CHECK(std::has_single_bit(piece_length) && piece_length >= block_bytes);
  Shape shape;
  if (length == 0) return shape;
  const std::uint64_t pieces = (length - 1) / piece_length + 1;
  SHOAL_CHECK(pieces <= UINT32_MAX);
  shape.pieces = static_cast<std::uint32_t>(pieces);
  if (pieces == 1) {
    shape.piece_height = ceil_log2((length - 1) / block_bytes + 1);
    shape.height = shape.piece_height;
  } else {
    shape.piece_height = ceil_log2(piece_length / block_bytes);
    shape.height = shape.piece_height + ceil_log2(pieces);
  }
  return shape;
}

std::vector<std::vector<Sha256>> layers_above(std::span<const Sha256> nodes, unsigned base_height,
                                              unsigned height) {
  SHOAL_CHECK(base_height <= height && height <= max_height && !nodes.empty());
  SHOAL_CHECK(nodes.size() <= std::uint64_t{1} << (height - base_height));
  std::optional<BlockHasher> hasher;
  if (nodes.size() >= many_nodes) hasher.emplace();
  std::vector<std::vector<Sha256>> out;
  out.reserve(height - base_height);
  for (unsigned h = base_height; h < height; ++h) {
    const std::span<const Sha256> below = out.empty() ? nodes : std::span<const Sha256>{out.back()};
    out.push_back(layer_above(below, h, below.size() >= many_nodes ? &*hasher : nullptr));
  }
  return out;
}

Sha256 root_of(std::span<const Sha256> nodes, unsigned base_height, unsigned height) {
  SHOAL_CHECK(base_height <= height && height <= max_height);
  if (nodes.empty()) return padding(height);
  if (nodes.size() >= many_nodes) return layers_above(nodes, base_height, height).back().front();
  SHOAL_CHECK(nodes.size() <= std::uint64_t{1} << (height - base_height));
  std::vector<Sha256> layer{nodes.begin(), nodes.end()};
  for (unsigned h = base_height; h < height; ++h) {
    const std::size_t parents = (layer.size() + 1) / 2;
    if (layer.size() % 2 != 0) layer.push_back(padding(h));
    for (std::size_t i = 0; i < parents; ++i) layer[i] = sha256(pair_at(layer.data(), i));
    layer.resize(parents);
  }
  return layer.front();
}

Sha256 piece_root(std::span<const Sha256> leaves, const Shape& shape) {
  return root_of(leaves, 0, shape.piece_height);
}

Sha256 file_root(std::span<const Sha256> piece_roots, const Shape& shape) {
  return root_of(piece_roots, shape.piece_height, shape.height);
}

Sha256 climb(Sha256 node, std::uint64_t index, std::span<const Sha256> uncles) {
  for (const Sha256& uncle : uncles) {
    node = index % 2 == 0 ? sha256_pair(node, uncle) : sha256_pair(uncle, node);
    index /= 2;
  }
  return node;
}

std::vector<Sha256> build_proof(std::span<const Sha256> nodes, unsigned base_height, std::uint64_t first,
                                std::uint64_t count, unsigned uncles) {
  SHOAL_CHECK(std::has_single_bit(count) && first % count == 0);
  const unsigned subtree = ceil_log2(count);
  SHOAL_CHECK(base_height + subtree + uncles <= max_height);
  std::vector<Sha256> out;
  out.reserve(uncles);
  for (unsigned above = subtree; above < subtree + uncles; ++above) {
    const std::uint64_t begin = ((first >> above) ^ 1) << above;
    const std::uint64_t end = std::min<std::uint64_t>(begin + (std::uint64_t{1} << above), nodes.size());
    const auto slice = begin < end ? nodes.subspan(begin, end - begin) : std::span<const Sha256>{};
    out.push_back(root_of(slice, base_height, base_height + above));
  }
  return out;
}

bool verify_proof(const Sha256& root, unsigned height, unsigned base_height, std::uint64_t first,
                  std::span<const Sha256> hashes, std::span<const Sha256> uncles) {
  if (height > max_height || base_height > height) return false;
  if (!std::has_single_bit(hashes.size()) || first % hashes.size() != 0) return false;
  const unsigned subtree = ceil_log2(hashes.size());
  if (base_height + subtree + uncles.size() != height) return false;
  if ((first >> (height - base_height)) != 0) return false;
  const Sha256 top = root_of(hashes, base_height, base_height + subtree);
  return climb(top, first >> subtree, uncles) == root;
}

void TreeHasher::roots(std::span<const Sha256> leaves, std::span<const Tree> trees, std::span<Sha256> roots) {
  SHOAL_CHECK(trees.size() == roots.size());
  counts_.clear();
  std::size_t unfinished = 0;
  for (std::size_t t = 0, at = 0; t < trees.size(); ++t) {
    SHOAL_CHECK(trees[t].leaves > 0 && trees[t].height <= max_height &&
                ceil_log2(trees[t].leaves) <= trees[t].height && at + trees[t].leaves <= leaves.size());
    if (trees[t].height == 0) roots[t] = leaves[at];
    unfinished += trees[t].height == 0 ? 0 : 1;
    counts_.push_back(trees[t].leaves);
    at += trees[t].leaves;
  }
  std::span<const Sha256> below = leaves;  // the nodes of trees that were unfinished one layer down
  for (unsigned h = 0; unfinished > 0; ++h) {
    nodes_.clear();
    for (std::size_t t = 0, at = 0; t < trees.size(); ++t) {
      if (trees[t].height < h) continue;  // its root was taken; it has no node in `below`
      if (trees[t].height > h) {
        nodes_.insert(nodes_.end(), below.begin() + static_cast<std::ptrdiff_t>(at),
                      below.begin() + static_cast<std::ptrdiff_t>(at + counts_[t]));
        if (counts_[t] % 2 != 0) nodes_.push_back(padding(h));
      }
      at += counts_[t];
    }
    pairs_.resize(nodes_.size() / 2);
    for (std::size_t i = 0; i < pairs_.size(); ++i) pairs_[i] = pair_at(nodes_.data(), i);
    parents_.resize(pairs_.size());
    hasher_.sha256(pairs_, parents_);
    below = parents_;
    for (std::size_t t = 0, at = 0; t < trees.size(); ++t) {
      if (trees[t].height <= h) continue;
      counts_[t] = (counts_[t] + 1) / 2;
      if (trees[t].height == h + 1) {
        roots[t] = parents_[at];
        --unfinished;
      }
      at += counts_[t];
    }
  }
}

}  // namespace shoal::storage::merkle
