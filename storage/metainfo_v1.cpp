// The v1 part of an info dictionary: the list of files, padding, the hashes of pieces; alone, or beside the
// v2 part of a hybrid, with which it must agree.
//
// Habits of others that are taken: names a second time in UTF-8 (`path.utf-8`), which then count; BitComet's
// padding, told by its name alone. A name that escapes is refused here too, where most clients sanitise it.
#include <algorithm>
#include <numeric>

#include "dht/base/check.hpp"
#include "storage/metainfo_read.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

using bencode::Type;
using bencode::Value;

constexpr std::string_view bitcomet_padding = "_____padding_file_";

struct Entry {
  std::string path;
  std::uint64_t length = 0;
  FileKind kind = FileKind::regular;
  bool padding = false;
  Value properties;
};

Result<std::string> read_path(MetainfoWalk& walk, Value properties) {
  Value list = properties.find("path.utf-8");
  if (list.type() != Type::list) list = properties.find("path");
  if (list.type() != Type::list || !list.first())
    return fail(Code::malformed, "a file's path is a list of names");
  std::string path;
  std::size_t depth = 0;
  for (Value step = list.first(); step; step = step.next()) {
    const auto text = step.text();
    if (!text) return fail(Code::malformed, "a file's path is a list of names");
    if (auto ok = check_component(*text); !ok) return std::unexpected(ok.error());
    if (++depth > max_path_depth) return fail(Code::too_large, "folders are at most 100 deep");
    if (!path.empty()) path += '/';
    path.append(*text);
  }
  if (auto ok = walk.count_name(path.size()); !ok)  // unreachable: all of them stand in 30 MiB
    return std::unexpected(ok.error());
  return path;
}

Result<Entry> read_entry(MetainfoWalk& walk, Value properties, std::string path) {
  Entry out;
  out.path = std::move(path);
  out.properties = properties;
  const auto attributes = read_attributes(properties);
  if (!attributes) return std::unexpected(attributes.error());
  const std::string_view last = std::string_view{out.path}.substr(out.path.rfind('/') + 1);
  out.padding = attributes->contains('p') || (!walk.content.v2 && last.starts_with(bitcomet_padding));
  if (attributes->contains('x')) out.kind = FileKind::executable;
  if (attributes->contains('l') && !out.padding) out.kind = FileKind::symlink;
  if (out.kind == FileKind::symlink) return out;  // some write the length of what it leads to
  const auto length = properties.find("length").integer();
  if (!length || *length < 0) return fail(Code::malformed, "a file has a length that is not negative");
  out.length = static_cast<std::uint64_t>(*length);
  if (auto ok = walk.count_bytes(out.length); !ok) return std::unexpected(ok.error());
  return out;
}

// Calls visit(Entry&) -> Result<void> for every file of the list, or for the single one; walk.row is then
// where it begins.
template <class Visit>
Result<void> each_entry(MetainfoWalk& walk, Value root, Visit&& visit) {
  const auto one = [&](Value properties, std::string path) -> Result<void> {
    auto entry = read_entry(walk, properties, std::move(path));
    if (!entry) return std::unexpected(entry.error());
    if (auto ok = visit(*entry); !ok) return ok;
    walk.row += entry->length;
    return {};
  };
  const Value files = root.find("files");
  if (!files) return one(root, walk.content.name);
  if (files.type() != Type::list || root.find("length"))
    return fail(Code::malformed, "an info dictionary of v1 has either a length or a list of files");
  for (Value properties = files.first(); properties; properties = properties.next()) {
    if (properties.type() != Type::dict) return fail(Code::malformed, "a file's properties are a dictionary");
    auto path = read_path(walk, properties);
    if (!path) return std::unexpected(path.error());
    if (auto ok = one(properties, std::move(*path)); !ok) return ok;
  }
  return {};
}

// Where the hashes lie; what the row of pieces is cut into, agrees with their number.
Result<void> read_hashes(Content& content, Value root, std::uint64_t row) {
  const auto hashes = root.find("pieces").string();
  if (!hashes || hashes->size() % Sha1{}.size() != 0)
    return fail(Code::malformed, "pieces is a string of 20 bytes for each piece");
  const std::uint64_t pieces = hashes->size() / Sha1{}.size();
  if (pieces > max_pieces)  // unreachable: their hashes stand in 30 MiB
    return fail(Code::too_large, "a content has at most 2097152 pieces");
  if (pieces != (row + content.piece_length - 1) / content.piece_length)
    return fail(Code::malformed, "the hashes of v1 are as many as its pieces");
  content.v1_bytes = row;
  content.v1_hashes_at = static_cast<std::size_t>(hashes->data() - content.info.data());
  return {};
}

// Every name stands once in its folder; the order of the tree, where the list has another.
Result<void> settle_order(Content& content) {
  std::vector<std::uint32_t> order(content.files.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return compare_paths(content.files[a].path, content.files[b].path) < 0;
  };
  const bool sorted = std::ranges::is_sorted(order, before);
  if (!sorted) std::ranges::sort(order, before);
  for (std::size_t i = 1; i < order.size(); ++i)
    if (paths_clash(content.files[order[i - 1]].path, content.files[order[i]].path))
      return fail(Code::exists, "a name stands once in its folder");
  if (!sorted) content.tree_order = std::move(order);
  return {};
}

constexpr Error not_the_same{Code::mismatch, "both parts of a hybrid have the same files"};

}  // namespace

Result<void> read_v1_files(MetainfoWalk& walk, Value root) {
  Content& content = walk.content;
  auto read = each_entry(walk, root, [&](Entry& entry) -> Result<void> {
    if (entry.padding) return {};
    ContentFile file;
    file.path = std::move(entry.path);
    file.kind = entry.kind;
    file.length = entry.length;
    file.start = walk.row;
    file.first_piece = static_cast<std::uint32_t>(walk.row / content.piece_length);
    if (entry.length > 0)
      file.pieces = static_cast<std::uint32_t>((walk.row + entry.length - 1) / content.piece_length -
                                               file.first_piece + 1);
    if (entry.kind == FileKind::symlink) {
      auto target = read_link_target(walk, entry.properties, file.path);
      if (!target) return std::unexpected(target.error());
      file.target = std::move(*target);
    }
    content.bytes += file.length;
    content.files.push_back(std::move(file));
    return {};
  });
  if (!read) return read;
  if (content.files.empty()) return fail(Code::malformed, "a public content has a file");
  if (auto ok = read_hashes(content, root, walk.row); !ok) return ok;
  content.single_file = !root.find("files");
  if (content.single_file && content.files.front().kind == FileKind::symlink)
    return fail(Code::unsafe, "a content is no symbolic link itself");
  return settle_order(content);
}

Result<void> check_hybrid(Content& content, Value root) {
  if (content.sealed) return fail(Code::malformed, "a sealed share has no v1 part");
  Content scratch;  // for the bounds of the walk
  scratch.name = content.name;
  MetainfoWalk walk{scratch};
  std::size_t next = 0;
  auto read = each_entry(walk, root, [&](const Entry& entry) -> Result<void> {
    if (entry.padding) return {};
    if (next == content.files.size()) return std::unexpected(not_the_same);
    const ContentFile& file = content.files[next++];
    const bool links = (file.kind == FileKind::symlink) == (entry.kind == FileKind::symlink);
    if (entry.path != file.path || entry.length != file.length || !links)
      return std::unexpected(not_the_same);
    if (file.length > 0 && walk.row != file.start)
      return fail(Code::mismatch, "both parts of a hybrid have their files in the same pieces");
    return {};
  });
  if (!read) return read;
  if (next != content.files.size()) return std::unexpected(not_the_same);
  if (auto ok = read_hashes(content, root, walk.row); !ok) return ok;
  if (std::uint64_t{content.pieces} != (walk.row + content.piece_length - 1) / content.piece_length)
    return fail(Code::mismatch, "both parts of a hybrid have their files in the same pieces");
  return {};
}

}  // namespace shoal::storage
