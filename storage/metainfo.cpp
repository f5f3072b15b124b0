// Metainfo, see the header. Reading walks the file tree with a stack of its own, never the program's. Making
// writes canonical bytes and reads them back, so that one set of rules guards both directions.
//
// Deviations from BEP 52: a file tree of one file under the content's own name is a single file, under any
// other a folder (the BEP leaves it open; libtorrent makes a single file of both). Empty folders stand as
// empty dictionaries. A symlink path with ".." in it is read as relative to the link's folder, as libtorrent
// writes it, although BEP 47 has it relative to the root; we write the latter. A name that escapes is
// refused, where the BEP lets one sanitise it.
#include "storage/metainfo.hpp"

#include <algorithm>
#include <bit>
#include <map>

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "storage/merkle.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using bencode::Document;
using bencode::Type;
using bencode::Value;

// info, file tree, 100 components, properties, symlink path; and a torrent around it.
constexpr int info_depth = static_cast<int>(max_path_depth) + 5;
constexpr std::uint32_t info_tokens = 2'500'000;     // some 300,000 files; 40 bytes each while reading
constexpr std::uint32_t torrent_tokens = 3'500'000;  // and the piece layers and other clients' extras
constexpr std::string_view link_attribute = "l";

struct Walk {
  Content& content;
  std::uint64_t pieces = 0;
  std::size_t names_bytes = 0;

  Result<void> count_name(std::size_t bytes) {
    names_bytes += bytes;
    if (names_bytes > max_names_bytes) return fail(Code::too_large, "all paths together have at most 64 MiB");
    return {};
  }
};

Result<std::string> read_target(Walk& walk, Value list, std::string_view link_path) {
  if (list.type() != Type::list) return fail(Code::malformed, "a symbolic link has a symlink path");
  std::string target;
  bool climbs = false;
  for (Value step = list.first(); step; step = step.next()) {
    const auto text = step.text();
    if (!text) return fail(Code::malformed, "a symlink path is a list of names");
    if (*text == "..") {
      climbs = true;
    } else if (auto ok = check_component(*text); !ok) {
      return std::unexpected(ok.error());
    }
    if (!target.empty()) target += '/';
    target.append(*text);
    if (target.size() > max_names_bytes)
      return fail(Code::too_large, "all paths together have at most 64 MiB");
  }
  if (climbs) {
    auto resolved = resolve_link(link_path, target);
    if (!resolved) return fail(Code::unsafe, "a symbolic link stays inside the content");
    target = std::move(*resolved);
  }
  std::string out = link_text(link_path, target);
  if (auto ok = walk.count_name(out.size()); !ok) return std::unexpected(ok.error());
  return out;
}

Result<void> read_size(Walk& walk, ContentFile& file, Value properties) {
  const auto length = properties.find("length").integer();
  if (!length || *length < 0) return fail(Code::malformed, "a file has a length that is not negative");
  Content& content = walk.content;
  file.length = static_cast<std::uint64_t>(*length);
  if (file.length > max_content_bytes || content.bytes > max_content_bytes - file.length)
    return fail(Code::too_large, "a content has at most 2^53 bytes");
  content.bytes += file.length;
  file.first_piece = static_cast<std::uint32_t>(walk.pieces);
  if (file.length == 0) return {};
  const auto root = properties.find("pieces root").string();
  if (!root || root->size() != file.root.size())
    return fail(Code::malformed, "a file has a pieces root of 32 bytes");
  file.root = to_array<32>(*root);
  if (file.root == Sha256{}) return fail(Code::malformed, "a pieces root is not zero");
  const std::uint64_t pieces = (file.length - 1) / content.piece_length + 1;
  walk.pieces += pieces;
  if (pieces > max_pieces || walk.pieces > max_pieces)
    return fail(Code::too_large, "a content has at most 2097152 pieces");
  file.pieces = static_cast<std::uint32_t>(pieces);
  return {};
}

Result<void> read_file(Walk& walk, Value properties, const std::string& path) {
  if (properties.type() != Type::dict) return fail(Code::malformed, "a file's properties are a dictionary");
  if (walk.content.files.size() == max_files)
    return fail(Code::too_large, "a content has at most 1000000 files");
  ContentFile file;
  file.path = path;
  std::string_view attributes;
  if (const Value attr = properties.find("attr"); attr) {
    const auto text = attr.text();
    if (!text) return fail(Code::malformed, "a file's attr is a string");
    attributes = *text;
  }
  if (attributes.contains('p')) return fail(Code::malformed, "a v2 file tree has no padding files");
  if (attributes.contains('l')) {
    file.kind = FileKind::symlink;
    const Value length = properties.find("length");
    if (length && length.integer() != 0) return fail(Code::malformed, "a symbolic link has no length");
    auto target = read_target(walk, properties.find("symlink path"), path);
    if (!target) return std::unexpected(target.error());
    file.target = std::move(*target);
    file.first_piece = static_cast<std::uint32_t>(walk.pieces);
  } else {
    if (attributes.contains('x')) file.kind = FileKind::executable;
    if (auto ok = read_size(walk, file, properties); !ok) return ok;
  }
  walk.content.files.push_back(std::move(file));
  return {};
}

Result<void> read_tree(Walk& walk, Value tree) {
  struct Frame {
    Value next;
    std::size_t path_bytes;
  };
  std::vector<Frame> frames{{tree.first(), 0}};
  std::string path;
  while (!frames.empty()) {
    Frame& frame = frames.back();
    path.resize(frame.path_bytes);
    const Value entry = frame.next;
    if (!entry) {
      frames.pop_back();
      continue;
    }
    frame.next = entry.next();
    const std::string_view name = as_text(entry.key());
    if (auto ok = check_component(name); !ok) return ok;
    if (entry.type() != Type::dict) return fail(Code::malformed, "an entry of a file tree is a dictionary");
    if (!path.empty()) path += '/';
    path.append(name);
    const Value first = entry.first();
    const bool folder = first && !first.key().empty();
    if (!folder) {
      if (auto ok = walk.count_name(path.size()); !ok) return ok;
    }
    if (folder) {
      if (frames.size() >= max_path_depth) return fail(Code::too_large, "folders are at most 100 deep");
      frames.push_back({first, path.size()});
    } else if (!first) {
      if (walk.content.empty_folders.size() == max_files)
        return fail(Code::too_large, "a content has at most 1000000 empty folders");
      walk.content.empty_folders.push_back(path);
    } else {
      if (entry.size() != 1)
        return fail(Code::malformed, "an entry of a file tree is a file or a folder, not both");
      if (auto ok = read_file(walk, first, path); !ok) return ok;
    }
  }
  return {};
}

Result<void> read_header(Content& content, Value root) {
  if (root.type() != Type::dict) return fail(Code::malformed, "an info dictionary is a dictionary");
  const Value version = root.find("meta version");
  if (!version && root.find("pieces"))
    return fail(Code::unsupported, "a torrent of BitTorrent v1 alone is not supported by this version");
  if (!version.integer()) return fail(Code::malformed, "an info dictionary has a meta version");
  if (version.integer() != 2) return fail(Code::unsupported, "the meta version of an info dictionary is 2");
  const auto piece_length = root.find("piece length").integer();
  if (!piece_length || *piece_length < min_piece_length || *piece_length > max_piece_length ||
      !std::has_single_bit(static_cast<std::uint64_t>(*piece_length)))
    return fail(Code::malformed, "a piece length is a power of two from 16 KiB to 64 MiB");
  content.piece_length = static_cast<std::uint32_t>(*piece_length);
  const auto name = root.find("name").text();
  if (!name) return fail(Code::malformed, "an info dictionary has a name");
  if (auto ok = check_component(*name); !ok) return ok;
  content.name = *name;
  if (const Value salt = root.find("shoal salt"); salt) {
    if (!salt.string() || salt.string()->size() != Salt{}.size())
      return fail(Code::malformed, "a shoal salt has 32 bytes");
    content.sealed = true;
  }
  if (root.find("file tree").type() != Type::dict)
    return fail(Code::malformed, "an info dictionary has a file tree");
  return {};
}

bool single(const Content& content, Value root) {
  if (content.files.size() != 1 || !content.empty_folders.empty()) return false;
  const ContentFile& file = content.files.front();
  return file.path == content.name && file.kind != FileKind::symlink && !root.find("shoal folder") &&
         !root.find("files");
}

void index_pieces(Content& content, std::uint64_t pieces) {
  content.pieces = static_cast<std::uint32_t>(pieces);
  content.file_of_piece.reserve(pieces);
  for (std::uint32_t f = 0; f < content.files.size(); ++f)
    content.file_of_piece.insert(content.file_of_piece.end(), content.files[f].pieces, f);
  SHOAL_CHECK(content.file_of_piece.size() == pieces);
}

// One leaf of the tree to be written: a file, or an empty folder (file == nullptr).
struct Leaf {
  std::string_view path;
  const FileDescription* file = nullptr;
};

void write_properties(bencode::Writer& writer, const FileDescription& file) {
  writer.begin_dict().key("").begin_dict();
  if (file.kind == FileKind::symlink) {
    writer.key("attr").string(link_attribute).key("length").integer(0).key("symlink path").begin_list();
    const std::string target = resolve_link(file.path, file.target).value_or("");
    for (std::string_view left = target; !left.empty();) {
      const std::size_t slash = std::min(left.find('/'), left.size());
      writer.string(left.substr(0, slash));
      left.remove_prefix(std::min(slash + 1, left.size()));
    }
    writer.end();
  } else {
    if (file.kind == FileKind::executable) writer.key("attr").string("x");
    writer.key("length").integer(static_cast<std::int64_t>(file.length));
    if (file.length > 0) writer.key("pieces root").string(file.root);
  }
  writer.end().end();
}

// The leaves are in tree order and free of conflicts.
void write_tree(bencode::Writer& writer, std::span<const Leaf> leaves) {
  writer.begin_dict();
  std::vector<std::string_view> open;  // folders whose dictionaries are open
  for (const Leaf& leaf : leaves) {
    std::vector<std::string_view> steps;
    for (std::string_view left = leaf.path;;) {
      const std::size_t slash = left.find('/');
      steps.push_back(left.substr(0, slash));
      if (slash == std::string_view::npos) break;
      left.remove_prefix(slash + 1);
    }
    std::size_t shared = 0;
    while (shared < open.size() && shared + 1 < steps.size() && open[shared] == steps[shared]) ++shared;
    for (; open.size() > shared; open.pop_back()) writer.end();
    for (; open.size() + 1 < steps.size(); open.push_back(steps[open.size()]))
      writer.key(steps[open.size()]).begin_dict();
    writer.key(steps.back());
    if (leaf.file == nullptr) {
      writer.begin_dict().end();
    } else {
      write_properties(writer, *leaf.file);
    }
  }
  for (; !open.empty(); open.pop_back()) writer.end();
  writer.end();
}

Result<std::vector<Leaf>> sorted_leaves(const Description& description) {
  std::vector<Leaf> leaves;
  leaves.reserve(description.files.size() + description.empty_folders.size());
  for (const FileDescription& file : description.files) leaves.push_back({file.path, &file});
  if (description.salt)
    for (const std::string& folder : description.empty_folders) leaves.push_back({folder, nullptr});
  for (const Leaf& leaf : leaves) {
    if (auto ok = check_path(leaf.path); !ok) return std::unexpected(ok.error());
    if (leaf.file == nullptr) continue;
    if (leaf.file->length > max_content_bytes)
      return fail(Code::too_large, "a content has at most 2^53 bytes");
    if (leaf.file->kind == FileKind::symlink && !resolve_link(leaf.path, leaf.file->target))
      return fail(Code::unsafe, "a symbolic link stays inside the content");
  }
  std::ranges::sort(leaves, [](const Leaf& a, const Leaf& b) { return compare_paths(a.path, b.path) < 0; });
  for (std::size_t i = 1; i < leaves.size(); ++i) {
    const std::string_view before = leaves[i - 1].path, path = leaves[i].path;
    if (path.starts_with(before) && (path.size() == before.size() || path[before.size()] == '/'))
      return fail(Code::exists, "a name stands once in its folder");
  }
  return leaves;
}

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

Result<ContentPtr> parse_info(Bytes info) {
  if (info.size() > max_info_bytes) return fail(Code::too_large, "an info dictionary has at most 30 MiB");
  auto content = std::make_shared<Content>();
  content->info = std::move(info);
  const auto document = Document::parse(content->info, {info_depth, info_tokens, bencode::Mode::strict});
  if (!document) {
    const bool crowded = document.error().code == Code::too_large && content->info.size() > info_tokens;
    if (crowded)
      return fail(Code::too_large, "a content has at most some 300000 files");  // or 1000000 empty ones
    return std::unexpected(document.error());
  }
  const Value root = document->root();
  if (auto ok = read_header(*content, root); !ok) return std::unexpected(ok.error());
  Walk walk{*content};
  if (auto ok = read_tree(walk, root.find("file tree")); !ok) return std::unexpected(ok.error());
  if (content->files.empty() && !content->sealed) return fail(Code::malformed, "a public content has a file");
  if (const Value folder = root.find("shoal folder"); folder && folder.integer() != 1)
    return fail(Code::malformed, "shoal folder is 1 or absent");
  content->single_file = single(*content, root);
  index_pieces(*content, walk.pieces);
  content->id = sha256(content->info);
  return content;
}

Result<ContentPtr> make_content(const Description& description) {
  if (auto ok = check_component(description.name); !ok) return std::unexpected(ok.error());
  const auto leaves = sorted_leaves(description);
  if (!leaves) return std::unexpected(leaves.error());
  const bool looks_single = leaves->size() == 1 && leaves->front().path == description.name &&
                            leaves->front().file != nullptr &&
                            leaves->front().file->kind != FileKind::symlink;
  if (description.single_file && !looks_single)
    return fail(Code::malformed, "a single file bears the name of its content");
  Bytes info;
  bencode::Writer writer{info};
  writer.begin_dict().key("file tree");
  write_tree(writer, *leaves);
  writer.key("meta version").integer(2);
  writer.key("name").string(description.name);
  writer.key("piece length").integer(description.piece_length);
  if (looks_single && !description.single_file) writer.key("shoal folder").integer(1);
  if (description.salt) writer.key("shoal salt").string(*description.salt);
  writer.end();
  return parse_info(std::move(info));
}

// The largest file decides, since in v2 no piece holds two files. At most 2,048 pieces keep its layer at 64
// KiB (four hash requests of 512) and the HAVE traffic small, and are plenty to trade; every block is
// verified on its own, so a large piece costs no wasted download. Below 128 KiB the news of pieces cost more
// than their spreading sooner brings (50 equal peers, 100 MB, in `shoal simulate swarm`: the last at 1.12 of
// the bound with 256 KiB, 1.11 with 128, 1.15 with 64); above 4 MiB a leech would wait long for its first
// piece to give away. Only a content that would have more than 131,072 pieces goes further, so that have-bits
// stay at 16 KiB a peer.
std::uint32_t choose_piece_length(std::uint64_t total_bytes, std::uint64_t largest_file) {
  constexpr std::uint64_t pieces_wanted = 2048, pieces_many = 131'072;
  std::uint32_t length = 128 * 1024;
  while (length < 4U << 20 && largest_file / length >= pieces_wanted && largest_file > length * pieces_wanted)
    length *= 2;
  while (length < max_piece_length && total_bytes / length > pieces_many) length *= 2;
  return length;
}

Result<Torrent> read_torrent(ByteView file) {
  if (file.size() > max_torrent_bytes) return fail(Code::too_large, "a torrent file has at most 160 MiB");
  // Lenient outside the info dictionary, which is read again strictly: other clients' extras are no concern.
  const auto document = Document::parse(file, {info_depth + 2, torrent_tokens, bencode::Mode::lenient});
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
    const auto layer = entry.pieces >= 2 ? by_root->find(entry.root) : by_root->end();
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
  writer.begin_dict().key("info").raw(content.info).key("piece layers").begin_dict();
  for (const auto& [root, layer] : by_root) writer.key(as_text(root)).string(layer);
  writer.end().end();
  return out;
}

}  // namespace shoal::storage
