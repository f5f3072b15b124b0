// PieceLayers: which piece roots of a content are known to be true. They come from a .torrent file or the
// catalog as whole layers, or from peers in ranges with proofs (BEP 52 "hash request", "hashes"); nothing
// unverified is ever kept. It answers such requests too. It knows no peer and no wire.
//
// A file of one piece needs no layer: its root is its piece's. Files with equal roots (equal files) share
// what is known.
//
// Memory: 40 bytes a piece as it becomes known, thus at most 80 MiB (2^21 pieces), and some 150 bytes a
// distinct file of two pieces or more.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"
#include "storage/merkle.hpp"

namespace shoal::storage {

// As on the wire (BEP 52). `length` is a power of two, at least 2; `index` a multiple of it; both count
// hashes of the base layer. `proof_layers` counts layers above the base layer; uncles inside the range asked
// are left out, so max(0, proof_layers + 1 - log2(length)) uncles follow the hashes.
struct HashRequest {
  Sha256 root{};
  std::uint32_t base_layer = 0;  // height
  std::uint32_t index = 0;
  std::uint32_t length = 0;
  std::uint32_t proof_layers = 0;
  bool operator==(const HashRequest&) const = default;
};

inline constexpr std::uint32_t max_hashes_asked = 512;  // BEP 52: "SHOULD NOT be greater than 512"
// What we answer at most: a whole piece of 64 MiB in leaves. Larger requests are refused.
inline constexpr std::uint32_t max_hashes_answered = 4096;
[[nodiscard]] std::uint32_t uncles_of(const HashRequest& request);

struct LeafRange {
  std::uint32_t piece = 0, first_block = 0;  // the blocks whose hashes are now known
  std::uint32_t blocks = 0;                  // without padding
};

class PieceLayers {
 public:
  explicit PieceLayers(ContentPtr content);

  // The whole layer of a file of at least two pieces, 32 bytes a piece. Code::mismatch unless it hashes to
  // the file's root.
  [[nodiscard]] Result<void> set_layer(std::uint32_t file, ByteView layer);
  // All at once, as the catalog keeps them: one element a file, empty where unknown or not needed.
  [[nodiscard]] Result<void> set_layers(std::span<const Bytes> layers);

  [[nodiscard]] bool complete(std::uint32_t file) const;  // true for files of no or one piece
  [[nodiscard]] bool all_complete() const;
  [[nodiscard]] Bytes layer(std::uint32_t file) const;  // empty unless complete and of two pieces or more
  [[nodiscard]] std::optional<Sha256> piece_root(std::uint32_t piece) const;
  [[nodiscard]] merkle::Shape shape(std::uint32_t file) const;

  // A file of at least one byte with that root; nullopt if there is none. O(log files).
  [[nodiscard]] std::optional<std::uint32_t> find(const Sha256& root) const;

  // What to ask a peer for, so that the root of this piece becomes known with a proof up to the file's root;
  // nullopt if it is known.
  [[nodiscard]] std::optional<HashRequest> request_for(std::uint32_t piece) const;
  // What to ask for the hashes of a piece's blocks from `first_block` (a multiple of 512), with the proof
  // that leads to the piece's root. nullopt for a piece of one block, whose root is the block's hash.
  [[nodiscard]] std::optional<HashRequest> leaf_request_for(std::uint32_t piece,
                                                            std::uint32_t first_block) const;

  // The answer to a request on a piece layer: hashes, then uncles. Gives the files that became complete by
  // it. Code::mismatch where it does not verify; Code::malformed where the request is none that we make.
  [[nodiscard]] Result<std::vector<std::uint32_t>> add(const HashRequest& request,
                                                       std::span<const Sha256> hashes);
  // The answer to a request for leaves (base layer 0) inside one piece. On success hashes[0 .. blocks) are
  // those of the blocks named. The proof may end at the piece's root, if known, or at the file's.
  [[nodiscard]] Result<LeafRange> check_leaves(const HashRequest& request,
                                               std::span<const Sha256> hashes) const;

  // Answering. Hashes, then uncles; an error means: reject (BEP 52 "hash reject").
  [[nodiscard]] Result<std::vector<Sha256>> answer(const HashRequest& request) const;
  // For a request of leaves: the piece whose leaves are needed; then the answer from all leaves of that
  // piece.
  [[nodiscard]] Result<std::uint32_t> piece_for_leaves(const HashRequest& request) const;
  [[nodiscard]] Result<std::vector<Sha256>> answer_leaves(const HashRequest& request,
                                                          std::span<const Sha256> leaves) const;

 private:
  static constexpr std::uint32_t no_layer = UINT32_MAX;
  struct Layer {             // of one root, shared by equal files
    std::uint32_t file = 0;  // one of them
    merkle::Shape shape;
    std::vector<Sha256> roots;  // empty until something is known
    Bitfield known;             // of `roots`
    std::vector<std::vector<Sha256>>
        upper;  // layers from kept_height above the piece layer on, once complete
    [[nodiscard]] bool complete() const { return !roots.empty() && known.all(); }
  };
  struct LeafPlace {  // where a request for leaves lies
    merkle::Shape shape;
    std::uint32_t file = 0, piece = 0;
    unsigned subtree = 0, uncles = 0;
    LeafRange range;
  };
  [[nodiscard]] std::span<const std::uint32_t> files_with(const Sha256& root) const;
  [[nodiscard]] Result<LeafPlace> place_of(const HashRequest& request) const;
  [[nodiscard]] Result<void> add_to(Layer& layer, const HashRequest& request, std::span<const Sha256> hashes,
                                    unsigned subtree) const;
  [[nodiscard]] static Sha256 node(const Layer& layer, unsigned above, std::uint64_t index);
  void finish(Layer& layer);

  ContentPtr content_;
  std::vector<std::uint32_t> by_root_;   // files with bytes
  std::vector<Layer> layers_;            // files of two pieces or more
  std::vector<std::uint32_t> layer_of_;  // per file, or no_layer
  std::uint32_t incomplete_ = 0;         // layers not yet whole
};

}  // namespace shoal::storage
