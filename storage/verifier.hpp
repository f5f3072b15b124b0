// Verifier: is what lies in a folder the content it should be? Reads and hashes everything, changes nothing.
// For `shoal verify`; the download's own check of touched pieces is the disk's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"
#include "storage/executor.hpp"
#include "storage/importer.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

enum class FileVerdict : std::uint8_t {
  whole,
  missing,
  too_short,   // some pieces cannot be there; the others were hashed
  too_long,    // what should be there was hashed and is whole, but more follows
  bad_pieces,  // the size is right, some pieces are not
  wrong_kind,  // a folder, link or device where a file should be; or a link that points elsewhere
  unreadable,  // see `error`
};

struct FileReport {
  FileVerdict verdict = FileVerdict::whole;
  std::uint32_t bad_pieces = 0;  // hashed and wrong, or beyond the end
  Error error{Code::io, "", 0};  // of `unreadable`
};

struct VerifyReport {
  std::vector<FileReport> files;  // per file of the content
  Bitfield good;                  // per piece
  std::uint32_t whole_files = 0, missing_folders = 0;
  std::uint64_t good_bytes = 0;
  // Of a hybrid: pieces that are right by one of its parts and wrong by the other, so that no file can ever
  // be right; they count as bad. The content itself is at fault.
  std::uint32_t inconsistent_pieces = 0;
  // Per file: where it was found beneath the folder, and what it was when it was hashed.
  std::vector<std::string> paths;
  std::vector<FileStamp> stamps;
  [[nodiscard]] bool whole() const { return whole_files == files.size() && missing_folders == 0; }
};

// `folder` is what holds the content's name, as with -o; a file is found under its substitute too
// (layout.hpp). `layers`: one element a file, verified; where a layer is unknown (empty) the file is judged
// as a whole. A hybrid is judged by both of its parts. Errors: the folder cannot be opened; cancelled.
[[nodiscard]] PathResult<VerifyReport> verify_content(Vfs& vfs, const std::string& folder,
                                                      const Content& content, std::span<const Bytes> layers,
                                                      Executor& executor, HashProgress* progress = nullptr);

}  // namespace shoal::storage
