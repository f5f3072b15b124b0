// Metainfo: info dictionaries of BitTorrent v1 (BEP 3), v2 (BEP 52) and both at once, with the links,
// attributes and padding of BEP 47, to Content and back. The bytes that were hashed are kept; nothing is ever
// re-encoded to find an id.
//
// Own keys of the info dictionary: `shoal salt` (32 bytes: a sealed share, native dialect only), `shoal
// folder` (1: the content is a folder although its tree is one file that bears the content's name).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

// Bounds of what we accept and make: hostile metadata costs at most this (THREATS A18, A26).
inline constexpr std::size_t max_info_bytes = std::size_t{30} << 20;
inline constexpr std::uint32_t max_files = 1'000'000;
inline constexpr std::uint32_t max_pieces = std::uint32_t{1} << 21;
inline constexpr std::uint64_t max_content_bytes = std::uint64_t{1} << 53;  // exact in a double (JSON)
inline constexpr std::size_t max_names_bytes = std::size_t{64} << 20;       // of all whole paths together
inline constexpr std::uint32_t min_piece_length = block_bytes;
inline constexpr std::uint32_t min_v1_piece_length = 1024;
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
enum class Format : std::uint8_t { v1, v2, hybrid };
struct Description {
  std::string name;
  Format format = Format::v2;
  bool single_file = false;  // then one regular file, whose path is the name
  std::uint32_t piece_length = 0;
  std::optional<Salt> salt;  // present: sealed; then the format is v2
  Bytes v1_hashes;           // v1 and hybrid: the SHA-1 of each piece, files in tree order
  std::vector<FileDescription> files;
  std::vector<std::string> empty_folders;  // sealed only
};

// Strict: a dictionary that is not canonical bencoding (v1 alone: whose keys are out of order is taken),
// breaks a bound or holds an unsafe name is refused. Code::mismatch: a hybrid whose parts disagree.
[[nodiscard]] Result<ContentPtr> parse_info(Bytes info);
// Whether a content of that id has this info dictionary, without reading it. O(bytes).
[[nodiscard]] bool is_info_of(const ContentId& id, ByteView info);
// Canonical bytes (Content::info), under the same rules. Files come out in tree order. Further errors: exists
// (a path twice, or a file where a folder is), unsafe (a link that leaves the content).
[[nodiscard]] Result<ContentPtr> make_content(const Description& description);

// The same in two steps, so that all that can be refused is refused before anything is hashed, and nothing is
// written and read again afterwards. A draft is the content of a description whose roots (of files that have
// bytes: not zero, one a length) and v1_hashes only take up their room.
struct Draft {
  std::shared_ptr<Content> content;
  std::vector<std::size_t> roots_at;  // in its info: of the files that have bytes, where it has v2's part
};
[[nodiscard]] Result<Draft> draft_content(const Description& description);
// `roots`: one a file of the draft. `v1_hashes`: as many bytes as the description had. malformed: roots that
// no files can have.
[[nodiscard]] Result<ContentPtr> complete(Draft&& draft, std::span<const Sha256> roots, ByteView v1_hashes);

// Power of two for a new content, see the .cpp for why.
[[nodiscard]] std::uint32_t choose_piece_length(std::uint64_t total_bytes, std::uint64_t largest_file,
                                                Format format);

}  // namespace shoal::storage
