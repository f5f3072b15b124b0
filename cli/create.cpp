// `create`: a torrent of a file or folder.
#include <optional>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/content_report.hpp"
#include "cli/hashing.hpp"
#include "cli/new_file.hpp"
#include "cli/quantity.hpp"
#include "storage/disk_pool.hpp"
#include "storage/importer.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"
#include "storage/posix_vfs.hpp"
#include "storage/torrent.hpp"

namespace shoal::cli {
namespace {

Outcome<storage::Imported> hash(CommandRoom& room, const storage::Survey& survey,
                                storage::Executor& executor) {
  storage::PosixVfs vfs;
  storage::HashProgress progress;
  storage::ImportOptions options;
  options.piece_length = room.options.piece_length;
  options.format = room.options.format;
  options.progress = &progress;
  std::optional<PathResult<storage::Imported>> imported;
  run_bulk(room.reactor, room.report, progress,
           [&] { imported.emplace(storage::import_content(vfs, survey, options, executor)); });
  if (!*imported)
    return std::unexpected(failure_of(Doing::creating, imported->error().error, imported->error().path));
  return std::move(**imported);
}

}  // namespace

Outcome<Exit> create_command(CommandRoom& room) {
  const auto paths = absolute_paths(room.options.paths);
  if (!paths) return std::unexpected(paths.error());
  const std::string& output = room.options.output;
  if (auto free = expect_free(output, "-o"); !free)  // before anything is hashed, which may take hours
    return std::unexpected(std::move(free.error()));
  storage::PosixVfs vfs;
  storage::ThreadExecutor executor;
  const auto survey = storage::survey(vfs, *paths, room.options.name, executor);
  if (!survey) return std::unexpected(failure_of(Doing::creating, survey.error().error, survey.error().path));
  const auto imported = hash(room, *survey, executor);
  if (!imported) return std::unexpected(imported.error());
  const storage::Content& content = *imported->content;
  if (auto written = write_new_file(output, storage::write_torrent(content, imported->layers), "-o");
      !written)
    return std::unexpected(std::move(written.error()));
  const std::string skipped =
      left_out(imported->skipped_links, imported->skipped_special, imported->skipped_folders);
  if (!skipped.empty()) room.report.say(skipped);
  room.report.event(with_ids(EventLine{"created"}.text("path", storage::escape_for_display(output)), content)
                        .count("bytes", content.bytes)
                        .count("files", content.files.size())
                        .count("pieces", content.pieces));
  room.report.say(fmt::format("wrote '{}' ({}): {} in {}, {} of {}", storage::escape_for_display(output),
                              format_name(content), show_size(content.bytes),
                              counted(content.files.size(), "file", "files"),
                              counted(content.pieces, "piece", "pieces"), show_size(content.piece_length)));
  return Exit::done;
}

}  // namespace shoal::cli
