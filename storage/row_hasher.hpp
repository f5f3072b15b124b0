// RowHasher: SHA-1 of every piece as v1 has it (BEP 3), of files that lie in a folder, on as many workers as
// the executor has. For v1 contents and hybrids what file_hasher.hpp is for the trees of v2.
//
// A unit of work is a run of pieces, read into one buffer and hashed side by side; padding is zeros that
// nobody reads. Results have their place in advance, so they do not depend on who computed what.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "storage/content.hpp"
#include "storage/executor.hpp"
#include "storage/file_hasher.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

struct RowFile {
  std::string_view disk_path;  // beneath the folder; empty: not there. Must outlive the call.
  std::uint64_t present = 0;   // bytes that are there, at most the file's length
  FileStamp stamp;             // when its size was looked at
};

struct RowHashes {
  Bytes hashes;     // 20 bytes a piece; zeros where it was not hashed
  Bitfield hashed;  // pieces whose bytes were all there and were read
  // Per file: untouched unless something went wrong with it; pieces that hold bytes of such a file are not to
  // be relied on.
  std::vector<HashOutcome> files;
};

// `files`: one a file of the content, which has a v1 part. Ends early once progress->cancel is set; what it
// gives then means nothing. Adds to progress->done_bytes; the total is the caller's.
[[nodiscard]] RowHashes hash_row(Folder& folder, const Content& content, std::span<const RowFile> files,
                                 Executor& executor, HashProgress* progress);

}  // namespace shoal::storage
