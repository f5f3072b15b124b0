// Torrent files, see the header.
#include "storage/torrent.hpp"

#include <cstring>
#include <map>

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "storage/merkle.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using bencode::Document;
using bencode::Type;
using bencode::Value;

constexpr int torrent_depth = static_cast<int>(max_path_depth) + 7;  // an info dictionary, one deeper; extras
constexpr std::uint32_t torrent_tokens =
    3'500'000;  // an info dictionary, piece layers, other clients' extras

// A torrent's piece layers by root, each checked for its form.
using LayersByRoot = std::map<Sha256, ByteView>;

Result<LayersByRoot> read_layers(Value layers) {
  LayersByRoot out;
  if (!layers) return out;
  if (layers.type() != Type::dict) return fail(Code::malformed, "piece layers are a dictionary");
  for (Value layer = layers.first(); layer; layer = layer.next()) {
    if (layer.key().size() != 32 || !layer.string())
      return fail(Code::malformed, "piece layers map a root of 32 bytes to a string");
    out.emplace(to_array<32>(layer.key()), *layer.string());
  }
  return out;
}

Result<Bytes> checked_layer(const ContentFile& file, std::uint32_t piece_length, ByteView layer) {
  if (layer.size() != std::size_t{file.pieces} * 32)
    return fail(Code::mismatch, "a piece layer has 32 bytes for every piece of its file");
  std::vector<Sha256> roots(file.pieces);
  std::memcpy(roots.data(), layer.data(), layer.size());
  if (merkle::file_root(roots, merkle::shape_of(file.length, piece_length)) != file.root)
    return fail(Code::mismatch, "a piece layer hashes to the pieces root of its file");
  return to_vector(layer);
}

}  // namespace

Result<Torrent> read_torrent(ByteView file) {
  if (file.size() > max_torrent_bytes) return fail(Code::too_large, "a torrent file has at most 160 MiB");
  // Lenient outside the info dictionary, which is read again strictly: other clients' extras are no concern.
  const auto document = Document::parse(file, {torrent_depth, torrent_tokens, bencode::Mode::lenient});
  if (!document) return std::unexpected(document.error());
  const Value root = document->root();
  const Value info = root.find("info");
  if (info.type() != Type::dict) return fail(Code::malformed, "a torrent file has an info dictionary");
  auto content = parse_info(to_vector(info.raw()));
  if (!content) return std::unexpected(content.error());
  const auto by_root = read_layers(root.find("piece layers"));
  if (!by_root) return std::unexpected(by_root.error());
  Torrent out{*content, {}};
  out.layers.resize(out.content->files.size());
  for (std::size_t f = 0; f < out.layers.size(); ++f) {
    const ContentFile& entry = out.content->files[f];
    const bool layered = out.content->v2 && entry.pieces >= 2;
    const auto layer = layered ? by_root->find(entry.root) : by_root->end();
    if (layer == by_root->end()) continue;
    auto checked = checked_layer(entry, out.content->piece_length, layer->second);
    if (!checked) return std::unexpected(checked.error());
    out.layers[f] = std::move(*checked);
  }
  return out;
}

Bytes write_torrent(const Content& content, const std::vector<Bytes>& layers) {
  SHOAL_CHECK(layers.size() == content.files.size());
  LayersByRoot by_root;
  for (std::size_t f = 0; f < layers.size(); ++f)
    if (!layers[f].empty()) by_root.emplace(content.files[f].root, layers[f]);
  Bytes out;
  bencode::Writer writer{out};
  writer.begin_dict().key("info").raw(content.info);
  if (content.v2) {
    writer.key("piece layers").begin_dict();
    for (const auto& [root, layer] : by_root) writer.key(as_text(root)).string(layer);
    writer.end();
  }
  writer.end();
  return out;
}

}  // namespace shoal::storage
