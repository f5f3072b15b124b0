// Reading info dictionaries, see the header: what they share, and the v2 part, whose file tree is walked with
// a stack of its own, never the program's.
//
// Deviations from BEP 52: a file tree of one file under the content's own name is a single file, under any
// other a folder (the BEP leaves it open; libtorrent makes a single file of both). Empty folders stand as
// empty dictionaries. A symlink path with ".." in it is read as relative to the link's folder, as libtorrent
// writes it, although BEP 47 has it relative to the root; we write the latter. A name that escapes is
// refused, where the BEP lets one sanitise it.
#include "storage/metainfo.hpp"

#include <algorithm>
#include <bit>

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "storage/metainfo_read.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using bencode::Document;
using bencode::Type;
using bencode::Value;

// info, file tree, 100 components, properties, symlink path.
constexpr int info_depth = static_cast<int>(max_path_depth) + 5;
constexpr std::uint32_t info_tokens = 2'500'000;  // some 300,000 files; 40 bytes each while reading
static_assert(info_tokens / 6 < max_files,
              "name, dictionary, key, dictionary, key and length are a file's least");

Result<void> read_size(MetainfoWalk& walk, ContentFile& file, Value properties) {
  const auto length = properties.find("length").integer();
  if (!length || *length < 0) return fail(Code::malformed, "a file has a length that is not negative");
  Content& content = walk.content;
  file.length = static_cast<std::uint64_t>(*length);
  if (auto ok = walk.count_bytes(file.length); !ok) return ok;
  content.bytes += file.length;
  if (file.length == 0) return {};
  const auto root = properties.find("pieces root").string();
  if (!root || root->size() != file.root.size())
    return fail(Code::malformed, "a file has a pieces root of 32 bytes");
  file.root = to_array<32>(*root);
  if (file.root == Sha256{}) return fail(Code::malformed, "a pieces root is not zero");
  const std::uint64_t pieces = (file.length - 1) / content.piece_length + 1;
  walk.row += pieces * content.piece_length;
  if (walk.row / content.piece_length > max_pieces)
    return fail(Code::too_large, "a content has at most 2097152 pieces");
  file.pieces = static_cast<std::uint32_t>(pieces);
  return {};
}

Result<void> read_file(MetainfoWalk& walk, Value properties, const std::string& path) {
  if (properties.type() != Type::dict) return fail(Code::malformed, "a file's properties are a dictionary");
  ContentFile file;
  file.path = path;
  file.start = walk.row;
  file.first_piece = static_cast<std::uint32_t>(walk.row / walk.content.piece_length);
  const auto attributes = read_attributes(properties);
  if (!attributes) return std::unexpected(attributes.error());
  if (attributes->contains('p')) return fail(Code::malformed, "a v2 file tree has no padding files");
  if (attributes->contains('l')) {
    file.kind = FileKind::symlink;
    const Value length = properties.find("length");
    if (length && length.integer() != 0) return fail(Code::malformed, "a symbolic link has no length");
    auto target = read_link_target(walk, properties, path);
    if (!target) return std::unexpected(target.error());
    file.target = std::move(*target);
  } else {
    if (attributes->contains('x')) file.kind = FileKind::executable;
    if (auto ok = read_size(walk, file, properties); !ok) return ok;
  }
  walk.content.files.push_back(std::move(file));
  return {};
}

Result<void> read_tree(MetainfoWalk& walk, Value tree) {
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
  const Value version = root.find("meta version");
  content.v2 = static_cast<bool>(version);
  if (version && !version.integer()) return fail(Code::malformed, "a meta version is a number");
  if (version && version.integer() != 2)
    return fail(Code::unsupported, "the meta version of an info dictionary is 2");
  if (!version && !root.find("pieces"))
    return fail(Code::malformed, "an info dictionary has a meta version, or the pieces of v1");
  const auto piece_length = root.find("piece length").integer();
  if (!piece_length) return fail(Code::malformed, "an info dictionary has a piece length");
  const std::int64_t least = content.v2 ? min_piece_length : min_v1_piece_length;
  if (*piece_length < least || *piece_length > max_piece_length)
    return fail(Code::malformed, content.v2 ? "a piece length is from 16 KiB to 64 MiB"
                                            : "a piece length of v1 is from 1 KiB to 64 MiB");
  if (content.v2 && !std::has_single_bit(static_cast<std::uint64_t>(*piece_length)))
    return fail(Code::malformed, "a piece length is a power of two");
  content.piece_length = static_cast<std::uint32_t>(*piece_length);
  const auto other_name = content.v2 ? std::nullopt : root.find("name.utf-8").text();
  const auto name = other_name ? other_name : root.find("name").text();
  if (!name) return fail(Code::malformed, "an info dictionary has a name");
  if (auto ok = check_component(*name); !ok) return ok;
  content.name = *name;
  content.is_private = root.find("private").integer() == 1;
  return {};
}

bool single(const Content& content, Value root) {
  if (content.files.size() != 1 || !content.empty_folders.empty()) return false;
  const ContentFile& file = content.files.front();
  return file.path == content.name && file.kind != FileKind::symlink && !root.find("shoal folder") &&
         !root.find("files");
}

Result<void> read_v2(MetainfoWalk& walk, Value root) {
  Content& content = walk.content;
  if (const Value salt = root.find("shoal salt"); salt) {
    if (!salt.string() || salt.string()->size() != Salt{}.size())
      return fail(Code::malformed, "a shoal salt has 32 bytes");
    content.sealed = true;
  }
  if (root.find("file tree").type() != Type::dict)
    return fail(Code::malformed, "an info dictionary has a file tree");
  if (auto ok = read_tree(walk, root.find("file tree")); !ok) return ok;
  if (content.files.empty() && !content.sealed) return fail(Code::malformed, "a public content has a file");
  if (const Value folder = root.find("shoal folder"); folder && folder.integer() != 1)
    return fail(Code::malformed, "shoal folder is 1 or absent");
  if (auto ok = check_roots(content); !ok) return ok;
  content.single_file = single(content, root);
  return {};
}

void index_pieces(Content& content, std::uint64_t row) {
  content.pieces = static_cast<std::uint32_t>((row + content.piece_length - 1) / content.piece_length);
  content.index_files();
}

// v1 alone has been written by many hands: keys out of order are taken there, since the bytes are hashed as
// they came and nothing is ever written again from them.
Result<Document> parse_document(ByteView info) {
  auto document = Document::parse(info, {info_depth, info_tokens, bencode::Mode::strict});
  if (document || document.error().code != Code::non_canonical) return document;
  auto lenient = Document::parse(info, {info_depth, info_tokens, bencode::Mode::lenient});
  return lenient && !lenient->root().find("meta version") ? std::move(lenient) : std::move(document);
}

}  // namespace

// Files of one root are one file to whoever speaks of hashes by root (BEP 52). Of different lengths they can
// only be made so: one file's bytes are two hashes of the other's tree, or there is no file with that root at
// all.
Result<void> check_roots(const Content& content) {
  std::vector<std::uint32_t> by_root;
  for (std::uint32_t f = 0; f < content.files.size(); ++f)
    if (content.files[f].length > 0) by_root.push_back(f);
  const auto root_of = [&](std::uint32_t f) -> const Sha256& { return content.files[f].root; };
  std::ranges::sort(by_root, {}, root_of);
  for (std::size_t i = 1; i < by_root.size(); ++i)
    if (root_of(by_root[i]) == root_of(by_root[i - 1]) &&
        content.files[by_root[i]].length != content.files[by_root[i - 1]].length)
      return fail(Code::malformed, "files of one pieces root have one length");
  return {};
}

Result<void> MetainfoWalk::count_name(std::size_t bytes) {
  names_bytes += bytes;
  if (names_bytes > max_names_bytes) return fail(Code::too_large, "all paths together have at most 64 MiB");
  return {};
}

Result<void> MetainfoWalk::count_bytes(std::uint64_t bytes) {
  if (bytes > max_content_bytes || row > max_content_bytes - bytes)
    return fail(Code::too_large, "a content has at most 2^53 bytes");
  if (content.piece_length > 0 && (row + bytes) / content.piece_length > max_pieces)
    return fail(Code::too_large, "a content has at most 2097152 pieces");
  return {};
}

Result<std::string_view> read_attributes(Value properties) {
  const Value attr = properties.find("attr");
  if (attr && !attr.text()) return fail(Code::malformed, "a file's attr is a string");
  return attr.text().value_or("");
}

Result<std::string> read_link_target(MetainfoWalk& walk, Value properties, std::string_view link_path) {
  const Value list = properties.find("symlink path");
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

bool paths_clash(std::string_view before, std::string_view path) {
  return path.starts_with(before) && (path.size() == before.size() || path[before.size()] == '/');
}

Result<ContentPtr> parse_info(Bytes info) { return read_info(std::move(info)); }

Result<std::shared_ptr<Content>> read_info(Bytes info) {
  if (info.size() > max_info_bytes) return fail(Code::too_large, "an info dictionary has at most 30 MiB");
  auto content = std::make_shared<Content>();
  content->info = std::move(info);
  const auto document = parse_document(content->info);
  if (!document) {
    const bool crowded = document.error().code == Code::too_large && content->info.size() > info_tokens;
    if (crowded)
      return fail(Code::too_large, "a content has at most some 300000 files");  // or 1000000 empty ones
    return std::unexpected(document.error());
  }
  const Value root = document->root();
  if (root.type() != Type::dict) return fail(Code::malformed, "an info dictionary is a dictionary");
  if (auto ok = read_header(*content, root); !ok) return std::unexpected(ok.error());
  MetainfoWalk walk{*content};
  if (auto ok = content->v2 ? read_v2(walk, root) : read_v1_files(walk, root); !ok)
    return std::unexpected(ok.error());
  index_pieces(*content, walk.row);
  if (content->v2 && root.find("pieces")) {
    if (auto ok = check_hybrid(*content, root); !ok) return std::unexpected(ok.error());
  }
  set_ids(*content);
  return content;
}

void set_ids(Content& content) {
  if (content.v1_hashes_at > 0) content.v1 = sha1(content.info);
  content.id = content.v2 ? sha256(content.info) : id_of_v1(*content.v1);
}

bool is_info_of(const ContentId& id, ByteView info) {
  const Sha256 whole = sha256(info);
  return whole == id || id_of_v1(to_array<20>(ByteView{whole}.first(Sha1{}.size()))) == id ||
         id_of_v1(sha1(info)) == id;
}

}  // namespace shoal::storage
