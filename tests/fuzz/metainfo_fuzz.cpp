// Metainfo: whatever is accepted keeps every promise that the rest of the program builds on.
#include <cstdint>

#include "dht/base/check.hpp"
#include "storage/merkle.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"
#include "storage/torrent.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::storage;

void check_file(const Content& content, std::uint32_t f) {
  const ContentFile& file = content.files[f];
  SHOAL_CHECK(check_path(file.path).has_value());
  SHOAL_CHECK(file_with(content, file.path) == f);
  SHOAL_CHECK(file.kind != FileKind::symlink || resolve_link(file.path, file.target).has_value());
  SHOAL_CHECK(f == 0 || file.start >= content.files[f - 1].start + content.files[f - 1].length);
  SHOAL_CHECK(file.first_piece == file.start / content.piece_length);
  SHOAL_CHECK((file.pieces == 0) == (file.length == 0));
  SHOAL_CHECK(file.pieces == 0 ||
              file.first_piece + file.pieces - 1 == (file.start + file.length - 1) / content.piece_length);
  SHOAL_CHECK(!content.v2 || merkle::shape_of(file.length, content.piece_length).pieces == file.pieces);
}

void check_content(const Content& content) {
  SHOAL_CHECK(content.v2 || content.v1);
  SHOAL_CHECK(!content.v2 || content.id == sha256(content.info));
  SHOAL_CHECK(!content.v1 || *content.v1 == sha1(content.info));
  SHOAL_CHECK(check_component(content.name).has_value());
  std::uint64_t bytes = 0, visited = 0;
  for (std::uint32_t f = 0; f < content.files.size(); ++f) {
    check_file(content, f);
    bytes += content.files[f].length;
  }
  SHOAL_CHECK(bytes == content.bytes);
  for (std::uint32_t piece = 0; piece < content.pieces; ++piece) {
    SHOAL_CHECK(content.piece_bytes(piece) > 0);
    std::uint32_t next = 0;
    content.visit_extents(piece, [&](const Extent& in) {
      SHOAL_CHECK(in.begin >= next && in.length > 0);
      next = in.begin + in.length;
      SHOAL_CHECK(in.offset + in.length <= content.files[in.file].length);
      visited += in.length;
    });
    SHOAL_CHECK(next <= content.piece_bytes(piece));
    if (content.v1) SHOAL_CHECK(content.v1_hash(piece).size() == Sha1{}.size());
  }
  SHOAL_CHECK(visited == bytes);
  SHOAL_CHECK(part_paths(content).size() == content.files.size());
}

// Made again from its description, a content without other clients' keys has the same bytes.
void check_round_trip(const Content& content) {
  Description description;
  description.name = content.name;
  description.format = !content.v1 ? Format::v2 : content.v2 ? Format::hybrid : Format::v1;
  description.single_file = content.single_file;
  description.piece_length = content.piece_length;
  if (content.sealed) description.salt = Salt{};
  for (const ContentFile& file : content.files)
    description.files.push_back({file.path, file.length, file.root, file.kind, file.target});
  description.empty_folders = content.empty_folders;
  if (content.v1) {
    // Others may have padding of their own, and lists in another order: the row is not the same then.
    std::uint64_t row = 0;
    for (const ContentFile& file : content.files)
      row += content.v2 ? std::uint64_t{file.pieces} * content.piece_length : file.length;
    description.v1_hashes.resize((row + content.piece_length - 1) / content.piece_length * Sha1{}.size());
  }
  const auto made = make_content(description);
  if (!made) {  // only where what was read could not be said: an empty folder in a public content
    SHOAL_CHECK(!content.sealed && content.files.empty());
    return;
  }
  if (!content.v2) return;
  SHOAL_CHECK((*made)->files.size() == content.files.size() && (*made)->pieces == content.pieces);
  for (std::size_t f = 0; f < content.files.size(); ++f)
    SHOAL_CHECK((*made)->files[f].path == content.files[f].path);
  const auto again = parse_info((*made)->info);
  SHOAL_CHECK(again && (*again)->id == (*made)->id);
}

}  // namespace

// Beyond a decoder's: a file, of which the shortest takes 30 bytes of input, is a value of many with its
// path.
const shoal::fuzz::Bounds shoal::fuzz::bounds{.heap_per_byte = 16, .heap = decoder.heap};

void shoal::fuzz::one(ByteView input) {
  if (const auto content = parse_info(to_vector(input))) {
    const Aside aside;
    check_content(**content);
    check_round_trip(**content);
  }
  if (const auto torrent = read_torrent(input)) {
    const Aside aside;
    check_content(*torrent->content);
    SHOAL_CHECK(torrent->layers.size() == torrent->content->files.size());
    const auto again = read_torrent(write_torrent(*torrent->content, torrent->layers));
    SHOAL_CHECK(again && again->content->id == torrent->content->id && again->layers == torrent->layers);
  }
}
