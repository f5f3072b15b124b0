// Content: what a link names, as one immutable value that both dialects share. It knows nothing of where it
// lies on a disk. Made by metainfo.hpp from an info dictionary, or by importer.hpp.
//
// BitTorrent v2 (BEP 52): every file starts at a piece border, has a Merkle tree of its own over 16 KiB
// blocks, and no piece holds two files. A hybrid is that, and has v1's hashes besides. v1 alone (BEP 3): the
// files follow each other in one row of bytes that is cut into pieces, so that a piece may hold many files;
// each piece has a SHA-1 and a block has no hash. Padding (BEP 47) is no file here: it is a gap between two
// files, or behind the last, and holds zeros.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/hash.hpp"

namespace shoal::storage {

// SHA-256 of the info dictionary; of v1 alone its SHA-1 and twelve zeros. Of a sealed share it is the
// capability: never log it.
using ContentId = Sha256;
[[nodiscard]] inline ContentId id_of_v1(const Sha1& v1) {
  ContentId out{};
  std::ranges::copy(v1, out.begin());
  return out;
}

inline constexpr std::uint32_t block_bytes = 16384;

enum class FileKind : std::uint8_t { regular, executable, symlink };

struct ContentFile {
  std::string path;  // components joined by '/', relative to the content's folder; raw bytes, checked safe
  std::uint64_t length = 0;  // bytes; 0 for a symbolic link
  Sha256 root{};  // Merkle root (BEP 52 "pieces root"); zero where length is 0, and where there is no v2
  FileKind kind = FileKind::regular;
  std::string target;       // of a symbolic link: relative, stays inside the content
  std::uint64_t start = 0;  // of its first byte in the row of all pieces
  std::uint32_t first_piece = 0;
  std::uint32_t pieces = 0;  // that hold bytes of it; 0 where length is 0
};

// The part of a file that lies in a piece, or in a range of one.
struct Extent {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;  // in the file
  std::uint32_t begin = 0;   // in the piece
  std::uint32_t length = 0;
};

struct Content {
  ContentId id{};
  Bytes info;                              // the info dictionary, as hashed
  std::string name;                        // one safe component
  bool single_file = false;                // the content is files[0], saved as `name` itself
  bool sealed = false;                     // has a salt: native dialect only
  bool is_private = false;                 // BEP 27: no DHT, peer exchange or local discovery
  bool v2 = true;                          // has BEP 52's part
  std::optional<Sha1> v1;                  // SHA-1 of the info dictionary, where it has BEP 3's part
  std::uint32_t piece_length = 0;          // v2: power of two, 16 KiB .. 64 MiB; v1 alone: 1 KiB .. 64 MiB
  std::uint32_t pieces = 0;                // of all files
  std::uint64_t bytes = 0;                 // of all files
  std::uint64_t v1_bytes = 0;              // of the row of pieces as v1 has it, padding included
  std::size_t v1_hashes_at = 0;            // in `info`: 20 bytes a piece
  std::vector<ContentFile> files;          // in info dictionary order; start rises
  std::vector<std::uint32_t> tree_order;   // of the files, where theirs is another (v1 alone)
  std::vector<std::string> empty_folders;  // kept in sealed shares alone

  // To be called when `files`, `piece_length` and `pieces` stand. Takes no more room than they do: a few
  // bytes of metadata may name two million pieces.
  void index_files();
  // The first file with bytes in the piece or behind; files.size() where there is none. O(1), or O(log files)
  // in a content of more files than pieces.
  [[nodiscard]] std::uint32_t file_of(std::uint32_t piece) const {
    const std::size_t at = piece >> index_shift_;
    if (index_shift_ == 0) return index_[at];
    const auto first = files.begin() + index_[at];
    const auto last = at + 1 < index_.size() ? files.begin() + index_[at + 1] : files.end();
    return static_cast<std::uint32_t>(first_behind(first, last, start_of(piece)) - files.begin());
  }
  // Whether that id names it: its own, or one of 20 bytes, v1's or its own cut short, as in some magnet links
  // and in DHTs.
  [[nodiscard]] bool is(const ContentId& other) const {
    return other == id || (v1 && other == id_of_v1(*v1)) ||
           other == id_of_v1(to_array<20>(ByteView{id}.first(Sha1{}.size())));
  }
  // Bytes in a piece (the last of a file, or of v1's row, may be short); blocks in it; bytes in a block.
  [[nodiscard]] std::uint32_t piece_bytes(std::uint32_t piece) const {
    if (!v2) return v1_piece_bytes(piece);
    const ContentFile& file = files[file_of(piece)];
    return at_most_a_piece(file.start + file.length - start_of(piece));
  }
  // The same as v1 has it: of a hybrid, with the padding that follows a file. Precondition: v1.
  [[nodiscard]] std::uint32_t v1_piece_bytes(std::uint32_t piece) const {
    return at_most_a_piece(v1_bytes - start_of(piece));
  }
  // How much of a piece others may ask for: what it holds and the zeros behind that, which v1's pieces go on
  // with, and whole blocks of v2's, as some clients ask for them.
  [[nodiscard]] std::uint32_t readable_bytes(std::uint32_t piece) const {
    return v1 ? v1_piece_bytes(piece) : std::min(blocks_in(piece) * block_bytes, piece_length);
  }
  [[nodiscard]] std::uint32_t blocks_in(std::uint32_t piece) const {
    return (piece_bytes(piece) + block_bytes - 1) / block_bytes;
  }
  [[nodiscard]] std::uint32_t block_length(std::uint32_t piece, std::uint32_t block) const {
    const std::uint32_t left = piece_bytes(piece) - block * block_bytes;
    return left < block_bytes ? left : block_bytes;
  }
  // SHA-1 of a piece, padding included. Precondition: v1.
  [[nodiscard]] ByteView v1_hash(std::uint32_t piece) const {
    return ByteView{info}.subspan(v1_hashes_at + std::size_t{piece} * Sha1{}.size(), Sha1{}.size());
  }
  // Calls visit(Extent) for what of the range lies in files, in order; the rest is padding. O(log files)
  // beside what is visited.
  template <class Visit>
  void visit_extents(std::uint32_t piece, std::uint32_t begin, std::uint32_t length, Visit&& visit) const {
    const std::uint64_t from = start_of(piece) + begin, to = from + length;
    auto file = files.begin() + file_of(piece);
    if (!v2 && begin > 0) file = first_behind(file, files.end(), from);
    for (; file != files.end() && file->start < to; ++file) {
      const std::uint64_t first = std::max(from, file->start);
      const std::uint64_t last = std::min(to, file->start + file->length);
      if (first < last)
        visit(Extent{static_cast<std::uint32_t>(file - files.begin()), first - file->start,
                     static_cast<std::uint32_t>(first - start_of(piece)),
                     static_cast<std::uint32_t>(last - first)});
    }
  }
  template <class Visit>
  void visit_extents(std::uint32_t piece, Visit&& visit) const {
    visit_extents(piece, 0, piece_bytes(piece), std::forward<Visit>(visit));
  }
  // Where the file lies beneath the folder given with -o.
  [[nodiscard]] std::string disk_path(std::uint32_t file) const {
    return single_file ? name : name + "/" + files[file].path;
  }

 private:
  [[nodiscard]] std::uint64_t start_of(std::uint32_t piece) const {
    return std::uint64_t{piece} * piece_length;
  }
  [[nodiscard]] std::uint32_t at_most_a_piece(std::uint64_t left) const {
    return left < piece_length ? static_cast<std::uint32_t>(left) : piece_length;
  }
  using FileIterator = std::vector<ContentFile>::const_iterator;
  // The first that ends behind that byte of the row.
  [[nodiscard]] static FileIterator first_behind(FileIterator first, FileIterator last, std::uint64_t at) {
    return std::partition_point(first, last, [at](const ContentFile& f) { return f.start + f.length <= at; });
  }

  // file_of() of every 2^index_shift_-th piece, which are no more than there are files.
  std::vector<std::uint32_t> index_;
  std::uint8_t index_shift_ = 0;
};

inline void Content::index_files() {
  index_shift_ = 0;
  while ((pieces >> index_shift_) > files.size()) ++index_shift_;
  index_.clear();
  auto file = files.cbegin();
  for (std::uint64_t piece = 0; piece < pieces; piece += std::uint64_t{1} << index_shift_) {
    while (file != files.end() && file->start + file->length <= piece * piece_length) ++file;
    index_.push_back(static_cast<std::uint32_t>(file - files.begin()));
  }
}

using ContentPtr = std::shared_ptr<const Content>;

struct BlockRef {
  std::uint32_t piece = 0;
  std::uint32_t block = 0;  // index of 16 KiB within the piece
  auto operator<=>(const BlockRef&) const = default;
};

}  // namespace shoal::storage
