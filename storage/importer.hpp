// Importer: files and folders of the user, as a Content. Two steps, so that an unchanged share is not hashed
// again: `survey` walks and looks (no byte is read), `import_content` reads and hashes.
//
//   survey -> the catalog's salt and stamps for these paths -> unchanged()? done : import_content(salt)
//
// Deterministic: the same files give the same content, whatever the executor. It knows no catalog and reads
// no clock. Bytes go by in a buffer per worker; none are kept.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dht/base/result.hpp"
#include "storage/catalog.hpp"
#include "storage/content.hpp"
#include "storage/executor.hpp"
#include "storage/metainfo.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

// Read by the host at any time, from any thread; `cancel` may be set by it.
struct HashProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<bool> cancel{false};
};

struct SurveyedFile {
  std::string path;       // in the content
  std::string disk_path;  // beneath Survey::folder
  FileKind kind = FileKind::regular;
  std::string target;  // of a link, as on the disk
  FileStamp stamp;     // of a regular file
};

struct Survey {
  std::string folder;     // absolute: what every disk_path is relative to
  std::string root_name;  // beneath it, what is shared; empty where several paths are
  std::string name;       // of the content
  bool single_file = false;
  std::vector<SurveyedFile> files;         // in the order of the content
  std::vector<std::string> empty_folders;  // paths in the content
  std::uint64_t bytes = 0;
  std::uint64_t largest_file = 0;
  std::uint32_t skipped_links = 0;    // they leave what is shared
  std::uint32_t skipped_special = 0;  // pipes, sockets, devices
};

// Walks the paths, which must be absolute (a host knows its working folder; this does not). One path: the
// content is that file or folder, links in the path itself are followed. Several: a folder that holds each
// under its last component. `name` (optional) renames the content; several paths without one take the name of
// their common folder. Errors name the path: not_found, denied, exists (two with the same last component),
// unsafe, too_large (bounds of metainfo.hpp).
// Folders are listed by the executor.
[[nodiscard]] PathResult<Survey> survey(Vfs& vfs, const std::vector<std::string>& paths,
                                        std::string_view name, Executor& executor);
[[nodiscard]] inline PathResult<Survey> survey(Vfs& vfs, const std::vector<std::string>& paths,
                                               std::string_view name = {}) {
  SerialExecutor serial;
  return survey(vfs, paths, name, serial);
}

// What was shared from the same paths before.
struct Earlier {
  ContentPtr content;
  std::vector<Bytes> layers;      // per file
  std::vector<FileStamp> stamps;  // per file
};
// Nothing to hash: names, kinds, targets and stamps are as they were.
[[nodiscard]] bool unchanged(const Survey& now, const Content& content, std::span<const FileStamp> stamps);

struct ImportOptions {
  std::optional<Salt> salt{};        // present: a sealed share. Without it empty folders are left out.
  Format format = Format::v2;        // with a salt: v2
  std::uint32_t piece_length = 0;    // 0: choose_piece_length
  const Earlier* earlier = nullptr;  // files with the same path and stamp keep their hashes
  HashProgress* progress = nullptr;
};

struct Imported {
  ContentPtr content;
  std::vector<Bytes> layers;      // per file: the piece layer, empty for files of no or one piece, and in v1
  std::vector<FileStamp> stamps;  // per file; default for links
  std::string folder;             // absolute
  std::string root_name;          // empty where several paths were given
  // Per file, beneath `folder`; empty as a whole where every file lies at content->disk_path(i).
  std::vector<std::string> disk_paths;
  std::uint32_t skipped_links = 0, skipped_special = 0, skipped_folders = 0;
};

// Reads and hashes. Errors name the file: denied, io, mismatch (it changed meanwhile), cancelled, too_large.
[[nodiscard]] PathResult<Imported> import_content(Vfs& vfs, const Survey& survey,
                                                  const ImportOptions& options, Executor& executor);

// What the catalog keeps of it: our own share, whole.
[[nodiscard]] ContentRecord share_record(Imported imported);

}  // namespace shoal::storage
