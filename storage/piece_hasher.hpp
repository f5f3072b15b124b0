// PieceHasher: reads the files of a content from a folder, once, and computes the hashes of its pieces:
// Merkle roots (v2), SHA-1 (v1), or both from the same bytes (hybrid), on as many workers as the executor
// has. The common heart of importer and verifier.
//
// A worker has sixteen pieces under way side by side, a block of each in its buffer, which fits the
// second-level cache: SHA-1 within a piece is one chain, so only other pieces can fill the lanes. Pieces are
// drawn in order from a shared counter, so that one huge file and a million tiny ones keep every worker busy,
// and a disk is read nearly in sequence. Results have their place in advance, so they do not depend on who
// computed what.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"
#include "storage/executor.hpp"
#include "storage/importer.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

// A file of the content as it lies in the folder.
struct LocalFile {
  std::string_view disk_path;  // beneath the folder; empty: not there. Must outlive the call.
  std::uint64_t present = 0;   // bytes that are there, at most the file's length
  FileStamp stamp;             // when its size was looked at
  bool wanted = true;          // false: its roots are known; it is read for v1's hashes alone
};

struct HashOutcome {
  enum class State : std::uint8_t { fine, failed, changed };  // changed: not the stamp it had
  State state = State::fine;
  Error error{};  // of `failed`
};

struct PieceHashes {
  std::vector<Sha256> roots;  // per piece; empty without v2
  Bytes v1;                   // 20 bytes a piece; empty without v1
  Bitfield hashed;            // pieces whose bytes were all there and were read
  // Per file. Pieces that hold bytes of one that is not fine are not to be relied on.
  std::vector<HashOutcome> files;
};

// `files`: one a file of the content. Ends early once progress->cancel is set; what it gives then means
// nothing. Adds to progress->done_bytes every byte read; the total is the caller's.
[[nodiscard]] PieceHashes hash_pieces(Folder& folder, const Content& content,
                                      std::span<const LocalFile> files, Executor& executor,
                                      HashProgress* progress);

}  // namespace shoal::storage
