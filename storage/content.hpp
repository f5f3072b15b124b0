// Content: what a link names, as one immutable value that both dialects share. BitTorrent v2 (BEP 52): every
// file starts at a piece border, has a Merkle tree of its own over 16 KiB blocks, and no piece holds two
// files. It knows nothing of where it lies on a disk. Made by metainfo.hpp from an info dictionary, or by
// importer.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/hash.hpp"

namespace shoal::storage {

using ContentId =
    Sha256;  // SHA-256 of the info dictionary; of a sealed share it is the capability: never log it

inline constexpr std::uint32_t block_bytes = 16384;

enum class FileKind : std::uint8_t { regular, executable, symlink };

struct ContentFile {
  std::string path;  // components joined by '/', relative to the content's folder; raw bytes, checked safe
  std::uint64_t length = 0;  // bytes; 0 for a symbolic link
  Sha256 root{};             // Merkle root (BEP 52 "pieces root"); zero where length is 0
  FileKind kind = FileKind::regular;
  std::string target;  // of a symbolic link: relative, stays inside the content
  std::uint32_t first_piece = 0;
  std::uint32_t pieces = 0;  // 0 where length is 0
};

struct Content {
  ContentId id{};
  Bytes info;                              // the info dictionary, as hashed
  std::string name;                        // one safe component
  bool single_file = false;                // the content is files[0], saved as `name` itself
  bool sealed = false;                     // has a salt: native dialect only
  std::uint32_t piece_length = 0;          // power of two, 16 KiB .. 64 MiB
  std::uint32_t pieces = 0;                // of all files
  std::uint64_t bytes = 0;                 // of all files
  std::vector<ContentFile> files;          // in info dictionary order; first_piece rises
  std::vector<std::string> empty_folders;  // kept in sealed shares alone
  std::vector<std::uint32_t> file_of_piece;

  [[nodiscard]] const ContentFile& file_at(std::uint32_t piece) const { return files[file_of_piece[piece]]; }
  // Offset of a piece in its file; bytes in a piece (the last of a file may be short); blocks in it; bytes in
  // a block.
  [[nodiscard]] std::uint64_t piece_offset(std::uint32_t piece) const {
    return std::uint64_t{piece - file_at(piece).first_piece} * piece_length;
  }
  [[nodiscard]] std::uint32_t piece_bytes(std::uint32_t piece) const {
    const std::uint64_t left = file_at(piece).length - piece_offset(piece);
    return left < piece_length ? static_cast<std::uint32_t>(left) : piece_length;
  }
  [[nodiscard]] std::uint32_t blocks_in(std::uint32_t piece) const {
    return (piece_bytes(piece) + block_bytes - 1) / block_bytes;
  }
  [[nodiscard]] std::uint32_t block_length(std::uint32_t piece, std::uint32_t block) const {
    const std::uint32_t left = piece_bytes(piece) - block * block_bytes;
    return left < block_bytes ? left : block_bytes;
  }
  // Where the file lies beneath the folder given with -o.
  [[nodiscard]] std::string disk_path(std::uint32_t file) const {
    return single_file ? name : name + "/" + files[file].path;
  }
};

using ContentPtr = std::shared_ptr<const Content>;

struct BlockRef {
  std::uint32_t piece = 0;
  std::uint32_t block = 0;  // index of 16 KiB within the piece
  auto operator<=>(const BlockRef&) const = default;
};

}  // namespace shoal::storage
