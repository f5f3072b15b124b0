// Metainfo: info dictionaries and .torrent files of BitTorrent v2 (BEP 52, links and attributes of BEP 47),
// to Content and back. The bytes that were hashed are kept; nothing is ever re-encoded to find an id.
//
// Not here: v1 pieces (BEP 3). A hybrid's v2 part is read; a v1-only dictionary is refused as unsupported.
// Own keys of the info dictionary: `shoal salt` (32 bytes: a sealed share, native dialect only), `shoal
// folder` (1: the content is a folder although its tree is one file that bears the content's name).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

// Bounds of what we accept and make: hostile metadata costs at most this (THREATS A18, A26).
inline constexpr std::size_t max_info_bytes = std::size_t{30} << 20;
inline constexpr std::size_t max_torrent_bytes = std::size_t{160} << 20;  // info, 64 MiB of layers, extras
inline constexpr std::uint32_t max_files = 1'000'000;
inline constexpr std::uint32_t max_pieces = std::uint32_t{1} << 21;
inline constexpr std::uint64_t max_content_bytes = std::uint64_t{1} << 53;  // exact in a double (JSON)
inline constexpr std::size_t max_names_bytes = std::size_t{64} << 20;       // of all whole paths together
inline constexpr std::uint32_t min_piece_length = block_bytes;
inline constexpr std::uint32_t max_piece_length = std::uint32_t{64} << 20;

using Salt = ByteArray<32>;

// What to make an info dictionary of. Paths and targets as in ContentFile; any order.
struct FileDescription {
  std::string path;
  std::uint64_t length = 0;
  Sha256 root{};
  FileKind kind = FileKind::regular;
  std::string target;
};
struct Description {
  std::string name;
  bool single_file = false;  // then one regular file, whose path is the name
  std::uint32_t piece_length = 0;
  std::optional<Salt> salt;  // present: sealed
  std::vector<FileDescription> files;
  std::vector<std::string> empty_folders;  // sealed only
};

// Strict: a dictionary that is not canonical bencoding, breaks a bound or holds an unsafe name is refused.
[[nodiscard]] Result<ContentPtr> parse_info(Bytes info);
// Canonical bytes (Content::info), under the same rules. Files come out in tree order. Further errors: exists
// (a path twice, or a file where a folder is), unsafe (a link that leaves the content).
[[nodiscard]] Result<ContentPtr> make_content(const Description& description);

// Power of two for a new content, see the .cpp for why.
[[nodiscard]] std::uint32_t choose_piece_length(std::uint64_t total_bytes, std::uint64_t largest_file);

// A .torrent file. `layers` has an element a file: its verified piece layer, or empty where the file needs
// none or the torrent does not have it.
struct Torrent {
  ContentPtr content;
  std::vector<Bytes> layers;
};
[[nodiscard]] Result<Torrent> read_torrent(ByteView file);
// Precondition: the layers are true ones of this content; missing ones are left out.
[[nodiscard]] Bytes write_torrent(const Content& content, const std::vector<Bytes>& layers);

}  // namespace shoal::storage
