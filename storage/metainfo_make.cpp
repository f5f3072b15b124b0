// Making info dictionaries, see metainfo.hpp: canonical bytes, which are read back, so that one set of rules
// guards both directions.
#include <algorithm>
#include <span>

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "storage/metainfo_read.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

constexpr std::string_view executable_attribute = "x", link_attribute = "l";

// One leaf of the tree to be written: a file, or an empty folder (file == nullptr).
struct Leaf {
  std::string_view path;
  const FileDescription* file = nullptr;
};

void write_path(bencode::Writer& writer, std::string_view key, std::string_view path) {
  writer.key(key).begin_list();
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    writer.string(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  writer.end();
}

// What both parts say of a file, up to its length.
void write_kind(bencode::Writer& writer, const FileDescription& file) {
  if (file.kind != FileKind::regular)
    writer.key("attr").string(file.kind == FileKind::executable ? executable_attribute : link_attribute);
  writer.key("length").integer(static_cast<std::int64_t>(file.length));
}

void write_target(bencode::Writer& writer, const FileDescription& file) {
  if (file.kind == FileKind::symlink)
    write_path(writer, "symlink path", resolve_link(file.path, file.target).value_or(""));
}

// Where in `info` the roots come to lie.
struct Roots {
  const Bytes& info;
  std::vector<std::size_t> at{};
};

void write_properties(bencode::Writer& writer, const FileDescription& file, Roots& roots) {
  writer.begin_dict().key("").begin_dict();
  write_kind(writer, file);
  if (file.length > 0) {
    writer.key("pieces root").string(file.root);
    roots.at.push_back(roots.info.size() - file.root.size());
  }
  write_target(writer, file);
  writer.end().end();
}

// The leaves are in tree order and free of conflicts.
void write_tree(bencode::Writer& writer, std::span<const Leaf> leaves, Roots& roots) {
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
      write_properties(writer, *leaf.file, roots);
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
  for (std::size_t i = 1; i < leaves.size(); ++i)
    if (paths_clash(leaves[i - 1].path, leaves[i].path))
      return fail(Code::exists, "a name stands once in its folder");
  return leaves;
}

// The list of v1. In a hybrid padding stands behind every file that does not end at a piece's border, as
// libtorrent 2 writes it, so that the same files give the same info dictionary.
void write_v1_files(bencode::Writer& writer, std::span<const Leaf> leaves, const Description& description) {
  if (description.single_file) {
    if (description.format == Format::v1) return write_kind(writer, *leaves.front().file);
    writer.key("length").integer(static_cast<std::int64_t>(leaves.front().file->length));
    return;
  }
  writer.key("files").begin_list();
  for (const Leaf& leaf : leaves) {
    const FileDescription& file = *leaf.file;
    writer.begin_dict();
    write_kind(writer, file);
    write_path(writer, "path", file.path);
    write_target(writer, file);
    writer.end();
    const std::uint64_t over = file.length % description.piece_length;
    if (description.format != Format::hybrid || over == 0) continue;
    const std::uint64_t padding = description.piece_length - over;
    writer.begin_dict().key("attr").string("p").key("length").integer(static_cast<std::int64_t>(padding));
    write_path(writer, "path", ".pad/" + std::to_string(padding));
    writer.end();
  }
  writer.end();
}

}  // namespace

Result<ContentPtr> make_content(const Description& description) {
  auto draft = draft_content(description);
  if (!draft) return std::unexpected(draft.error());
  return std::move(draft->content);
}

Result<Draft> draft_content(const Description& description) {
  if (auto ok = check_component(description.name); !ok) return std::unexpected(ok.error());
  const auto leaves = sorted_leaves(description);
  if (!leaves) return std::unexpected(leaves.error());
  const bool looks_single = leaves->size() == 1 && leaves->front().path == description.name &&
                            leaves->front().file != nullptr &&
                            leaves->front().file->kind != FileKind::symlink;
  if (description.single_file && !looks_single)
    return fail(Code::malformed, "a single file bears the name of its content");
  const bool v1 = description.format != Format::v2, v2 = description.format != Format::v1;
  SHOAL_CHECK(!v1 || !description.salt);
  Bytes info;
  Roots roots{info};
  bencode::Writer writer{info};
  writer.begin_dict();
  if (v2) {
    writer.key("file tree");
    write_tree(writer, *leaves, roots);
  }
  if (v1) write_v1_files(writer, *leaves, description);
  if (v2) writer.key("meta version").integer(2);
  writer.key("name").string(description.name);
  writer.key("piece length").integer(description.piece_length);
  if (v1) writer.key("pieces").string(description.v1_hashes);
  if (v2 && looks_single && !description.single_file) writer.key("shoal folder").integer(1);
  if (description.salt) writer.key("shoal salt").string(*description.salt);
  writer.end();
  auto content = read_info(std::move(info));
  if (!content) return std::unexpected(content.error());
  if ((*content)->files.size() != description.files.size())
    return fail(Code::unsafe, "a file has the name that padding has in v1 (_____padding_file_)");
  return Draft{std::move(*content), std::move(roots.at)};
}

Result<ContentPtr> complete(Draft&& draft, std::span<const Sha256> roots, ByteView v1_hashes) {
  Content& content = *draft.content;
  if (content.v2) {
    SHOAL_CHECK(roots.size() == content.files.size());
    auto at = draft.roots_at.begin();
    for (std::size_t f = 0; f < roots.size(); ++f) {
      if (content.files[f].length == 0) continue;
      content.files[f].root = roots[f];
      std::ranges::copy(roots[f], content.info.begin() + static_cast<std::ptrdiff_t>(*at++));
    }
    if (auto ok = check_roots(content); !ok) return std::unexpected(ok.error());
  }
  if (content.v1) {
    const std::uint64_t pieces = (content.v1_bytes + content.piece_length - 1) / content.piece_length;
    SHOAL_CHECK(v1_hashes.size() == pieces * Sha1{}.size());
    std::ranges::copy(v1_hashes, content.info.begin() + static_cast<std::ptrdiff_t>(content.v1_hashes_at));
  }
  set_ids(content);
  return std::move(draft.content);
}

// The largest file decides, since in v2 no piece holds two files. At most 2,048 pieces keep its layer at 64
// KiB (four hash requests of 512) and the HAVE traffic small, and are plenty to trade; every block is
// verified on its own, so a large piece costs no wasted download. Below 128 KiB the news of pieces cost more
// than their spreading sooner brings (50 equal peers, 100 MB, in `shoal simulate swarm`: the last at 1.12 of
// the bound with 256 KiB, 1.11 with 128, 1.15 with 64); above 4 MiB a leech would wait long for its first
// piece to give away. Only a content that would have more than 131,072 pieces goes further, so that have-bits
// stay at 16 KiB a peer. A hybrid pads each file to whole pieces for v1: there pieces are no longer than the
// largest file, which makes no more of them.
std::uint32_t choose_piece_length(std::uint64_t total_bytes, std::uint64_t largest_file, Format format) {
  constexpr std::uint64_t pieces_wanted = 2048, pieces_many = 131'072;
  std::uint32_t length = 128 * 1024;
  while (length < 4U << 20 && largest_file / length >= pieces_wanted && largest_file > length * pieces_wanted)
    length *= 2;
  while (length < max_piece_length && total_bytes / length > pieces_many) length *= 2;
  while (format == Format::hybrid && length > min_piece_length && length / 2 >= largest_file) length /= 2;
  return length;
}

}  // namespace shoal::storage
