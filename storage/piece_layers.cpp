// Piece layers, see the header. Invariants: files of one root have one length (parse_info);
// layers_ is sorted by root and holds the files of two pieces or more; by_root_ is sorted by (root, file) and
// holds every file with bytes; what is in
// `roots` at a known place has been proven up to the file's root; `upper` exists exactly where a layer is
// complete.
#include "storage/piece_layers.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "dht/base/check.hpp"

namespace shoal::storage {
namespace {

// Layers nearer to the piece layer than this are computed when asked for, from at most 8 roots: a compromise
// between doubling the memory and hashing a whole layer for every proof.
constexpr unsigned kept_height = 3;

Result<unsigned> log2_of_length(const HashRequest& request, std::uint32_t most) {
  if (!std::has_single_bit(request.length) || request.length < 2 || request.length > most)
    return fail(Code::malformed, "a hash request has a length that is a power of two from 2 on");
  if (request.index % request.length != 0)
    return fail(Code::malformed, "a hash request begins at a multiple of its length");
  return merkle::ceil_log2(request.length);
}

}  // namespace

std::uint32_t uncles_of(const HashRequest& request) {
  const std::uint64_t above = std::uint64_t{request.proof_layers} + 1;
  const unsigned inside = merkle::ceil_log2(request.length);
  return above > inside ? static_cast<std::uint32_t>(std::min<std::uint64_t>(above - inside, UINT32_MAX)) : 0;
}

PieceLayers::PieceLayers(ContentPtr content) : content_(std::move(content)) {
  const auto& files = content_->files;
  for (std::uint32_t f = 0; content_->v2 && f < files.size(); ++f)
    if (files[f].pieces > 0) by_root_.push_back(f);
  std::ranges::sort(by_root_, {}, [&](std::uint32_t f) { return std::tuple{files[f].root, f}; });
  layer_of_.assign(files.size(), no_layer);
  for (const std::uint32_t f : by_root_) {
    if (files[f].pieces < 2) continue;
    if (layers_.empty() || files[layers_.back().file].root != files[f].root)
      layers_.push_back({f, shape(f), {}, {}, {}});
    layer_of_[f] = static_cast<std::uint32_t>(layers_.size() - 1);
  }
  incomplete_ = static_cast<std::uint32_t>(layers_.size());
}

merkle::Shape PieceLayers::shape(std::uint32_t file) const {
  return merkle::shape_of(content_->files[file].length, content_->piece_length);
}

std::span<const std::uint32_t> PieceLayers::files_with(const Sha256& root) const {
  const auto range = std::ranges::equal_range(
      by_root_, root, {}, [&](std::uint32_t f) -> const Sha256& { return content_->files[f].root; });
  return {range.begin(), range.end()};
}

std::optional<std::uint32_t> PieceLayers::find(const Sha256& root) const {
  const auto files = files_with(root);
  return files.empty() ? std::nullopt : std::optional{files.front()};
}

bool PieceLayers::complete(std::uint32_t file) const {
  SHOAL_CHECK(file < layer_of_.size());
  return layer_of_[file] == no_layer || layers_[layer_of_[file]].complete();
}

bool PieceLayers::all_complete() const { return incomplete_ == 0; }

void PieceLayers::finish(Layer& layer) {
  auto upper = merkle::layers_above(layer.roots, layer.shape.piece_height, layer.shape.height);
  SHOAL_CHECK(upper.back().front() == content_->files[layer.file].root);
  upper.erase(upper.begin(), upper.begin() + std::min<std::ptrdiff_t>(kept_height - 1, std::ssize(upper)));
  layer.upper = std::move(upper);
  --incomplete_;
}

Result<void> PieceLayers::set_layer(std::uint32_t file, ByteView bytes) {
  SHOAL_CHECK(file < layer_of_.size());
  if (layer_of_[file] == no_layer) return fail(Code::malformed, "a file of one piece has no piece layer");
  Layer& layer = layers_[layer_of_[file]];
  if (layer.complete()) return {};
  if (bytes.size() != std::size_t{layer.shape.pieces} * 32)
    return fail(Code::mismatch, "a piece layer has 32 bytes for every piece of its file");
  std::vector<Sha256> roots(layer.shape.pieces);
  std::memcpy(roots.data(), bytes.data(), bytes.size());
  if (merkle::file_root(roots, layer.shape) != content_->files[file].root)
    return fail(Code::mismatch, "a piece layer hashes to the pieces root of its file");
  layer.roots = std::move(roots);
  layer.known = Bitfield{layer.shape.pieces};
  layer.known.set_all();
  finish(layer);
  return {};
}

Result<void> PieceLayers::set_layers(std::span<const Bytes> layers) {
  if (layers.size() != layer_of_.size()) return fail(Code::mismatch, "there is a piece layer for every file");
  for (std::uint32_t f = 0; f < layers.size(); ++f) {
    if (layers[f].empty()) continue;
    if (auto ok = set_layer(f, layers[f]); !ok) return ok;
  }
  return {};
}

Bytes PieceLayers::layer(std::uint32_t file) const {
  SHOAL_CHECK(file < layer_of_.size());
  Bytes out;
  if (layer_of_[file] == no_layer || !layers_[layer_of_[file]].complete()) return out;
  const auto& roots = layers_[layer_of_[file]].roots;
  out.resize(roots.size() * 32);
  std::memcpy(out.data(), roots.data(), out.size());
  return out;
}

std::optional<Sha256> PieceLayers::piece_root(std::uint32_t piece) const {
  SHOAL_CHECK(piece < content_->pieces);
  if (!content_->v2) return std::nullopt;
  const std::uint32_t file = content_->file_of(piece);
  if (layer_of_[file] == no_layer) return content_->files[file].root;
  const Layer& layer = layers_[layer_of_[file]];
  const std::uint32_t index = piece - content_->files[file].first_piece;
  if (layer.roots.empty() || !layer.known.test(index)) return std::nullopt;
  return layer.roots[index];
}

std::optional<HashRequest> PieceLayers::request_for(std::uint32_t piece) const {
  if (!content_->v2 || piece_root(piece)) return std::nullopt;
  const std::uint32_t file = content_->file_of(piece);
  const merkle::Shape s = shape(file);
  const unsigned above = s.height - s.piece_height;  // at least 1: two pieces or more
  HashRequest request{content_->files[file].root, s.piece_height, 0, 0, above - 1};
  request.length = std::min(max_hashes_asked, std::uint32_t{1} << above);
  const std::uint32_t index = piece - content_->files[file].first_piece;
  request.index = index - index % request.length;
  return request;
}

std::optional<HashRequest> PieceLayers::leaf_request_for(std::uint32_t piece,
                                                         std::uint32_t first_block) const {
  if (!content_->v2) return std::nullopt;
  const std::uint32_t file = content_->file_of(piece);
  const merkle::Shape s = shape(file);
  if (s.piece_height == 0) return std::nullopt;
  const std::uint32_t blocks = content_->blocks_in(piece);
  SHOAL_CHECK(first_block < blocks && first_block % max_hashes_asked == 0);
  HashRequest request{content_->files[file].root, 0, 0, 0, 0};
  request.length = std::clamp(std::uint32_t{1} << merkle::ceil_log2(blocks), 2U, max_hashes_asked);
  const std::uint32_t index = piece - content_->files[file].first_piece;
  const std::uint64_t at = (std::uint64_t{index} << s.piece_height) + first_block;
  if (at > UINT32_MAX) return std::nullopt;  // beyond 64 TiB in one file; the wire cannot say it
  request.index = static_cast<std::uint32_t>(at);
  request.proof_layers = (piece_root(piece) ? s.piece_height : s.height) - 1;
  return request;
}

Result<void> PieceLayers::add_to(Layer& layer, const HashRequest& request, std::span<const Sha256> hashes,
                                 unsigned subtree) const {
  const merkle::Shape& s = layer.shape;
  const auto nodes = hashes.first(request.length);
  const auto uncles = hashes.subspan(request.length);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (request.index + i >= s.pieces && nodes[i] != merkle::padding(s.piece_height))
      return fail(Code::mismatch, "hashes beyond the last piece are padding");
  for (unsigned i = 0; i < uncles.size(); ++i) {
    const unsigned above = subtree + i;
    const std::uint64_t first = ((std::uint64_t{request.index} >> above) ^ 1) << above;
    if (first >= s.pieces && uncles[i] != merkle::padding(s.piece_height + above))
      return fail(Code::mismatch, "hashes beyond the last piece are padding");
  }
  if (!merkle::verify_proof(request.root, s.height, s.piece_height, request.index, nodes, uncles))
    return fail(Code::mismatch, "hashes lead to the pieces root of their file");
  if (layer.roots.empty()) {
    layer.roots.resize(s.pieces);
    layer.known = Bitfield{s.pieces};
  }
  for (std::uint32_t i = 0; i < nodes.size() && request.index + i < s.pieces; ++i) {
    layer.roots[request.index + i] = nodes[i];
    layer.known.set(request.index + i);
  }
  return {};
}

Result<std::vector<std::uint32_t>> PieceLayers::add(const HashRequest& request,
                                                    std::span<const Sha256> hashes) {
  const auto subtree = log2_of_length(request, max_hashes_asked);
  if (!subtree) return std::unexpected(subtree.error());
  const auto file = find(request.root);
  if (!file || layer_of_[*file] == no_layer)
    return fail(Code::malformed, "a hash request names a piece layer of the content");
  Layer& layer = layers_[layer_of_[*file]];
  const unsigned above = layer.shape.height - layer.shape.piece_height;
  if (request.base_layer != layer.shape.piece_height || *subtree > above || request.index >> above != 0)
    return fail(Code::malformed, "a hash request names a piece layer of the content");
  const unsigned uncles = above - *subtree;
  if (uncles_of(request) != uncles || hashes.size() != request.length + std::size_t{uncles})
    return fail(Code::malformed, "hashes come with the uncles up to the pieces root");
  std::vector<std::uint32_t> finished;
  if (layer.complete()) return finished;
  if (auto ok = add_to(layer, request, hashes, *subtree); !ok) return std::unexpected(ok.error());
  if (!layer.known.all()) return finished;
  finish(layer);
  const auto equal = files_with(request.root);
  finished.assign(equal.begin(), equal.end());
  return finished;
}

Sha256 PieceLayers::node(const Layer& layer, unsigned above, std::uint64_t index) {
  const unsigned height = layer.shape.piece_height + above;
  if (above >= kept_height) {
    const auto& nodes = layer.upper[above - kept_height];
    return index < nodes.size() ? nodes[index] : merkle::padding(height);
  }
  const std::uint64_t begin = index << above;
  if (begin >= layer.roots.size()) return merkle::padding(height);
  const std::uint64_t count = std::min<std::uint64_t>(std::uint64_t{1} << above, layer.roots.size() - begin);
  return merkle::root_of(std::span{layer.roots}.subspan(begin, count), layer.shape.piece_height, height);
}

Result<std::vector<Sha256>> PieceLayers::answer(const HashRequest& request) const {
  const auto subtree = log2_of_length(request, max_hashes_answered);
  if (!subtree) return std::unexpected(subtree.error());
  constexpr Error unknown{Code::not_found, "a hash request names a piece layer that is known"};
  const auto file = find(request.root);
  if (!file || layer_of_[*file] == no_layer) return std::unexpected(unknown);
  const Layer& layer = layers_[layer_of_[*file]];
  if (!layer.complete() || request.base_layer != layer.shape.piece_height) return std::unexpected(unknown);
  const unsigned above = layer.shape.height - layer.shape.piece_height;
  const std::uint32_t uncles = uncles_of(request);
  if (*subtree > above || request.index >> above != 0 || uncles > above - *subtree)
    return fail(Code::malformed, "a hash request stays inside its tree");
  std::vector<Sha256> out;
  out.reserve(request.length + uncles);
  for (std::uint32_t i = 0; i < request.length; ++i)
    out.push_back(node(layer, 0, std::uint64_t{request.index} + i));
  for (unsigned i = *subtree; i < *subtree + uncles; ++i)
    out.push_back(node(layer, i, (std::uint64_t{request.index} >> i) ^ 1));
  return out;
}

Result<PieceLayers::LeafPlace> PieceLayers::place_of(const HashRequest& request) const {
  const auto subtree = log2_of_length(request, max_hashes_answered);
  if (!subtree) return std::unexpected(subtree.error());
  if (request.base_layer != 0)
    return fail(Code::unsupported, "a hash request is for leaves or a piece layer");
  const auto file = find(request.root);
  if (!file) return fail(Code::not_found, "a hash request names a file of the content");
  const merkle::Shape s = shape(*file);
  const std::uint32_t piece = static_cast<std::uint32_t>(std::uint64_t{request.index} >> s.piece_height);
  const std::uint32_t uncles = uncles_of(request);
  if (piece >= s.pieces || *subtree > s.piece_height || uncles > s.height - *subtree)
    return fail(Code::malformed, "a request for leaves stays inside one piece");
  LeafPlace out{s, *file, content_->files[*file].first_piece + piece, *subtree, uncles, {}};
  const std::uint32_t first = request.index & ((std::uint32_t{1} << s.piece_height) - 1);
  const std::uint32_t blocks = content_->blocks_in(out.piece);
  if (first >= blocks) return fail(Code::malformed, "a request for leaves begins at a block");
  out.range = {out.piece, first, std::min(request.length, blocks - first)};
  return out;
}

Result<LeafRange> PieceLayers::check_leaves(const HashRequest& request,
                                            std::span<const Sha256> hashes) const {
  const auto place = place_of(request);
  if (!place) return std::unexpected(place.error());
  if (hashes.size() != std::size_t{request.length} + place->uncles)
    return fail(Code::malformed, "hashes are as many as were asked for");
  const merkle::Shape& s = place->shape;
  const auto leaves = hashes.first(request.length);
  for (const Sha256& beyond : leaves.subspan(place->range.blocks))
    if (beyond != Sha256{}) return fail(Code::mismatch, "hashes beyond the last block are zero");
  const auto uncles = hashes.subspan(request.length);
  const unsigned reached = place->subtree + place->uncles;
  const std::optional<Sha256> expected = reached == s.height         ? std::optional{request.root}
                                         : reached == s.piece_height ? piece_root(place->piece)
                                                                     : std::nullopt;
  if (!expected) return fail(Code::malformed, "leaves come with the uncles up to a root that is known");
  const std::uint64_t from = reached == s.height ? request.index : place->range.first_block;
  if (!merkle::verify_proof(*expected, reached, 0, from, leaves, uncles))
    return fail(Code::mismatch, "hashes lead to the root of their piece");
  return place->range;
}

Result<std::uint32_t> PieceLayers::piece_for_leaves(const HashRequest& request) const {
  const auto place = place_of(request);
  if (!place) return std::unexpected(place.error());
  const bool leaves_piece = place->subtree + place->uncles > place->shape.piece_height;
  if (leaves_piece && !complete(place->file)) return fail(Code::not_found, "the piece layer is known");
  return place->piece;
}

Result<std::vector<Sha256>> PieceLayers::answer_leaves(const HashRequest& request,
                                                       std::span<const Sha256> leaves) const {
  if (const auto allowed = piece_for_leaves(request); !allowed) return std::unexpected(allowed.error());
  const LeafPlace place = *place_of(request);
  if (leaves.size() != content_->blocks_in(place.piece))
    return fail(Code::mismatch, "a piece has all its blocks");
  const std::uint32_t first = place.range.first_block;
  std::vector<Sha256> out{leaves.begin() + first, leaves.begin() + first + place.range.blocks};
  out.resize(request.length);  // missing leaves are zero
  const unsigned in_piece = std::min(place.uncles, place.shape.piece_height - place.subtree);
  const auto near = merkle::build_proof(leaves, 0, first, request.length, in_piece);
  out.insert(out.end(), near.begin(), near.end());
  const std::uint64_t piece_index = std::uint64_t{request.index} >> place.shape.piece_height;
  for (unsigned above = 0; above < place.uncles - in_piece; ++above)
    out.push_back(node(layers_[layer_of_[place.file]], above, (piece_index >> above) ^ 1));
  return out;
}

}  // namespace shoal::storage
