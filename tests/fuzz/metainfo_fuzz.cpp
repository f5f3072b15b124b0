// Metainfo: whatever is accepted keeps every promise that the rest of the program builds on.
#include <cstdint>

#include "dht/base/check.hpp"
#include "storage/merkle.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"

namespace {

using namespace shoal;
using namespace shoal::storage;

void check_content(const Content& content) {
  SHOAL_CHECK(content.id == sha256(content.info));
  SHOAL_CHECK(check_component(content.name).has_value());
  std::uint64_t bytes = 0;
  std::uint32_t pieces = 0;
  for (std::uint32_t f = 0; f < content.files.size(); ++f) {
    const ContentFile& file = content.files[f];
    SHOAL_CHECK(check_path(file.path).has_value());
    SHOAL_CHECK(f == 0 || compare_paths(content.files[f - 1].path, file.path) < 0);
    SHOAL_CHECK(file.kind != FileKind::symlink || resolve_link(file.path, file.target).has_value());
    SHOAL_CHECK(file.first_piece == pieces);
    SHOAL_CHECK(merkle::shape_of(file.length, content.piece_length).pieces == file.pieces);
    for (std::uint32_t p = 0; p < file.pieces; ++p) SHOAL_CHECK(content.file_of_piece[pieces + p] == f);
    pieces += file.pieces;
    bytes += file.length;
  }
  SHOAL_CHECK(pieces == content.pieces && bytes == content.bytes && content.file_of_piece.size() == pieces);
  SHOAL_CHECK(part_paths(content).size() == content.files.size());
}

// Made again from its description, a content without other clients' keys has the same bytes.
void check_round_trip(const Content& content) {
  Description description;
  description.name = content.name;
  description.single_file = content.single_file;
  description.piece_length = content.piece_length;
  if (content.sealed) description.salt = Salt{};
  for (const ContentFile& file : content.files)
    description.files.push_back({file.path, file.length, file.root, file.kind, file.target});
  description.empty_folders = content.empty_folders;
  const auto made = make_content(description);
  if (!made) {  // only where what was read could not be said: an empty folder in a public content
    SHOAL_CHECK(!content.sealed && content.files.empty());
    return;
  }
  SHOAL_CHECK((*made)->files.size() == content.files.size() && (*made)->pieces == content.pieces);
  for (std::size_t f = 0; f < content.files.size(); ++f)
    SHOAL_CHECK((*made)->files[f].path == content.files[f].path);
  const auto again = parse_info((*made)->info);
  SHOAL_CHECK(again && (*again)->id == (*made)->id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto content = parse_info(to_vector({data, size}))) {
    check_content(**content);
    check_round_trip(**content);
  }
  if (const auto torrent = read_torrent({data, size})) {
    check_content(*torrent->content);
    SHOAL_CHECK(torrent->layers.size() == torrent->content->files.size());
    const auto again = read_torrent(write_torrent(*torrent->content, torrent->layers));
    SHOAL_CHECK(again && again->content->id == torrent->content->id && again->layers == torrent->layers);
  }
  return 0;
}
