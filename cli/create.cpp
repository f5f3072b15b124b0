// `create`: a BitTorrent v2 torrent of a file or folder. The torrent is written beside its final name and
// renamed, so that no half of one is ever found there; what stands in its place is never replaced.
#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/hashing.hpp"
#include "cli/quantity.hpp"
#include "storage/disk_pool.hpp"
#include "storage/importer.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"
#include "storage/posix_vfs.hpp"

namespace shoal::cli {
namespace {

Result<void> write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return std::unexpected(storage::error_of(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  if (::fsync(fd) != 0) return std::unexpected(storage::error_of(errno));
  return {};
}

Failure output_failure(const Error& error, const std::string& path) {
  const std::string shown = storage::escape_for_display(path);
  if (error.code == Code::no_space)
    return {Exit::disk_full,
            fmt::format("no room for '{}'; free some room and run the same command again", shown), path};
  if (error.code == Code::exists)
    return {Exit::path,
            fmt::format("'{}' is there already; move it away, or give another name with -o", shown), path};
  return {Exit::path,
          fmt::format("'{}' cannot be written: {}; give another place with -o", shown, error.rule), path};
}

// Refuses to replace anything: link(2) fails where the name is taken, by a symbolic link as well.
Result<void> write_new_file(const std::string& path, ByteView bytes) {
  const std::string part = path + ".part";
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd < 0) return std::unexpected(storage::error_of(errno));
  auto done = write_all(fd, bytes);
  ::close(fd);
  if (done && ::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0)
    done = std::unexpected(storage::error_of(errno));
  if (!done) ::unlink(part.c_str());
  return done;
}

Outcome<storage::Imported> hash(CommandRoom& room, const storage::Survey& survey) {
  storage::PosixVfs vfs;
  storage::HashProgress progress;
  storage::ImportOptions options;
  options.piece_length = room.options.piece_length;
  options.progress = &progress;
  std::optional<PathResult<storage::Imported>> imported;
  run_bulk(room.reactor, room.report, progress, [&] {
    storage::ThreadExecutor executor;
    imported.emplace(storage::import_content(vfs, survey, options, executor));
  });
  if (!*imported)
    return std::unexpected(failure_of(Doing::creating, imported->error().error, imported->error().path));
  return std::move(**imported);
}

}  // namespace

Outcome<Exit> create_command(CommandRoom& room) {
  const auto paths = absolute_paths(room.options.paths);
  if (!paths) return std::unexpected(paths.error());
  const std::string& output = room.options.output;
  struct stat seen{};
  if (::lstat(output.c_str(), &seen) == 0)  // before anything is hashed, which may take hours
    return std::unexpected(output_failure({Code::exists, "it is there already"}, output));
  storage::PosixVfs vfs;
  const auto survey = storage::survey(vfs, *paths, room.options.name);
  if (!survey) return std::unexpected(failure_of(Doing::creating, survey.error().error, survey.error().path));
  const auto imported = hash(room, *survey);
  if (!imported) return std::unexpected(imported.error());
  const storage::Content& content = *imported->content;
  if (const auto written = write_new_file(output, storage::write_torrent(content, imported->layers));
      !written)
    return std::unexpected(output_failure(written.error(), output));
  const std::string skipped =
      left_out(imported->skipped_links, imported->skipped_special, imported->skipped_folders);
  if (!skipped.empty()) room.report.say(skipped);
  room.report.event(EventLine{"created"}
                        .text("path", storage::escape_for_display(output))
                        .text("id", to_hex(content.id))
                        .count("bytes", content.bytes)
                        .count("files", content.files.size())
                        .count("pieces", content.pieces));
  room.report.say(fmt::format("wrote '{}': {} in {}, {} of {}", storage::escape_for_display(output),
                              show_size(content.bytes), counted(content.files.size(), "file", "files"),
                              counted(content.pieces, "piece", "pieces"), show_size(content.piece_length)));
  return Exit::done;
}

}  // namespace shoal::cli
