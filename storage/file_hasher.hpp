// FileHasher: reads files in large pieces and computes the Merkle roots of their pieces, on as many workers
// as the executor has. The common heart of importer and verifier.
//
// Work is cut into units of about 4 MiB: a run of whole pieces of one file, or many small files together, so
// that both one huge file and a million tiny ones keep every worker and the multi-buffer hasher busy. Results
// have their place in advance, so they do not depend on who computed what.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "dht/base/result.hpp"
#include "storage/executor.hpp"
#include "storage/importer.hpp"
#include "storage/merkle.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

struct HashTask {
  std::string_view disk_path;  // beneath the folder; must outlive the call
  std::uint64_t length = 0;    // of the file, from which its tree follows; not 0
  // Bytes that are there, where the file is shorter than that; pieces not wholly there are not hashed.
  std::uint64_t present = 0;
  FileStamp stamp;          // when its size was looked at
  std::span<Sha256> roots;  // room for every piece
  // Bytes that will be hashed.
  [[nodiscard]] std::uint64_t to_hash(std::uint32_t piece_length) const {
    return present < length ? present - present % piece_length : present;
  }
};

struct HashOutcome {
  enum class State : std::uint8_t { untouched, hashed, failed, changed };  // changed: not the stamp it had
  State state = State::untouched;                                          // stays so after a cancel
  Error error{};                                                           // of `failed`
};

// One outcome a task. Ends early once progress->cancel is set. Adds to progress->done_bytes; the total is the
// caller's.
[[nodiscard]] std::vector<HashOutcome> hash_files(Folder& folder, std::span<const HashTask> tasks,
                                                  std::uint32_t piece_length, Executor& executor,
                                                  HashProgress* progress);

}  // namespace shoal::storage
