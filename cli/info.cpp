// `info` and `verify`: what a link or torrent says, and whether a folder holds it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored \
    "-Wfree-nonheap-object"  // GCC 12 takes a moved vector of a temporary for no heap object
#endif
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/content_report.hpp"
#include "cli/hashing.hpp"
#include "cli/quantity.hpp"
#include "cli/source.hpp"
#include "cli/state.hpp"
#include "storage/disk_pool.hpp"
#include "storage/names.hpp"
#include "storage/posix_vfs.hpp"
#include "storage/verifier.hpp"

namespace shoal::cli {
namespace {

void show_link(Report& report, const storage::Link& link) {
  std::vector<std::string> at;
  at.reserve(link.at.size());
  for (const storage::HostPort& each : link.at) at.push_back(each.to_string());
  const bool v2 = !link.v1 || link.id != storage::id_of_v1(*link.v1);
  report.data(link.is_public ? "kind: magnet link of a public content" : "kind: link of a sealed share");
  if (!link.name.empty()) report.data(fmt::format("name: {}", storage::escape_for_display(link.name)));
  if (v2) report.data(fmt::format("id: {}", to_hex(link.id)));
  if (link.v1) report.data(fmt::format("v1 id: {}", to_hex(*link.v1)));
  for (const std::string& each : at) report.data((link.is_public ? "peer: " : "at: ") + each);
  EventLine line{"info"};
  line.text("kind", link.is_public ? "magnet" : "link")
      .text("name", storage::escape_for_display(link.name))
      .text("id", v2 ? to_hex(link.id) : to_hex(*link.v1));
  if (link.v1) line.text("v1", to_hex(*link.v1));
  report.event(line.list("at", std::move(at)));
}

std::string file_line(const storage::ContentFile& file) {
  const std::string path = storage::escape_for_display(file.path);
  switch (file.kind) {
    case storage::FileKind::symlink:
      return fmt::format("{} -> {}", path, storage::escape_for_display(file.target));
    case storage::FileKind::executable:
      return fmt::format("{} ({}, executable)", path, show_size(file.length));
    case storage::FileKind::regular:
      break;
  }
  return fmt::format("{} ({})", path, show_size(file.length));
}

void show_content(Report& report, const storage::Content& content) {
  report.data(fmt::format("kind: {} torrent{}{}", format_name(content), content.sealed ? ", sealed" : "",
                          content.is_private ? ", private" : ""));
  report.data(fmt::format("name: {}", storage::escape_for_display(content.name)));
  if (content.v2) report.data(fmt::format("id: {}", to_hex(content.id)));
  if (content.v1) report.data(fmt::format("v1 id: {}", to_hex(*content.v1)));
  report.data(fmt::format("size: {} ({} bytes) in {}", show_size(content.bytes), content.bytes,
                          counted(content.files.size(), "file", "files")));
  report.data(fmt::format("pieces: {} of {}", content.pieces, show_size(content.piece_length)));
  std::vector<std::string> files;
  for (const storage::ContentFile& file : content.files) {
    if (report.json()) files.push_back(storage::escape_for_display(file.path));
    report.data("file: " + file_line(file));
  }
  report.event(
      with_ids(
          EventLine{"info"}.text("kind", "torrent").text("name", storage::escape_for_display(content.name)),
          content)
          .flag("private", content.is_private)
          .count("bytes", content.bytes)
          .count("pieces", content.pieces)
          .count("piece_length", content.piece_length)
          .list("files", std::move(files)));
}

// A link alone does not say which files it names; the catalog does, once they were fetched or shared here.
Outcome<storage::Torrent> known_content(CommandRoom& room, const storage::Link& link) {
  const auto state = open_state(room.options.state, Use::catalog_alone, room.environment);
  if (!state) return std::unexpected(state.error());
  const auto kept = (*state)->catalog->kept_as(link.id);
  auto stored = kept ? (*state)->catalog->load(*kept) : std::unexpected(kept.error());
  if (!stored) return std::unexpected(catalog_failure(stored.error(), (*state)->catalog_path));
  if (*stored) {
    auto content = storage::parse_info(std::move((*stored)->info));
    if (content && (*content)->is(link.id)) return storage::Torrent{*content, std::move((*stored)->layers)};
  }
  return give_up(Exit::path, "which files this link names is not known here; fetch it first with shoal get");
}

std::string verdict_line(const storage::ContentFile& file, const storage::FileReport& report) {
  const std::string path = storage::escape_for_display(file.path);
  using Verdict = storage::FileVerdict;
  switch (report.verdict) {
    case Verdict::whole:
      break;
    case Verdict::missing:
      return path + ": missing";
    case Verdict::too_short:
      return fmt::format("{}: too short, {} bad or missing", path,
                         counted(report.bad_pieces, "piece", "pieces"));
    case Verdict::too_long:
      return path + ": too long";
    case Verdict::bad_pieces:
      return fmt::format("{}: {} of {} bad", path, report.bad_pieces,
                         counted(file.pieces, "piece", "pieces"));
    case Verdict::wrong_kind:
      return path + ": something else is in its place";
    case Verdict::unreadable:
      return fmt::format("{}: unreadable: {}", path, report.error.rule);
  }
  return path + ": whole";
}

Exit judge(Report& report, const storage::Content& content, const storage::VerifyReport& verified) {
  std::vector<std::string> bad;
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    if (verified.files[i].verdict == storage::FileVerdict::whole) continue;
    bad.push_back(verdict_line(content.files[i], verified.files[i]));
    report.data(bad.back());
  }
  report.event(EventLine{"verified"}
                   .flag("whole", verified.whole())
                   .count("files", content.files.size())
                   .count("whole_files", verified.whole_files)
                   .count("good_bytes", verified.good_bytes)
                   .count("bytes", content.bytes)
                   .count("inconsistent_pieces", verified.inconsistent_pieces)
                   .list("bad", std::move(bad)));
  if (verified.whole()) {
    report.say(fmt::format("whole: {}, {}", counted(content.files.size(), "file", "files"),
                           show_size(content.bytes)));
    return Exit::done;
  }
  if (verified.inconsistent_pieces > 0) {
    report.failure(
        {Exit::bad_content,
         fmt::format(
             "the v1 and the v2 part of this torrent describe different bytes in {}, so that nobody can "
             "have all of it; get another torrent",
             counted(verified.inconsistent_pieces, "piece", "pieces")),
         {}});
    return Exit::bad_content;
  }
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    if (verified.files[i].verdict != storage::FileVerdict::unreadable) continue;
    const Failure failure = failure_of(Doing::verifying, verified.files[i].error, content.files[i].path);
    report.failure(failure);
    return failure.exit;
  }
  if (verified.missing_folders > 0)
    report.say("missing: " + counted(verified.missing_folders, "empty folder", "empty folders"));
  report.failure({Exit::bad_content,
                  fmt::format("{} of {} whole; run shoal get again to mend the others", verified.whole_files,
                              counted(content.files.size(), "file is", "files are")),
                  {}});
  return Exit::bad_content;
}

// What was found whole may be shared from where it lies without being hashed again: it counts as a share of
// that path. Not where it is sealed, or something else was shared from there: that keeps its link. Nothing is
// said where it cannot be: it is in use, or there can be no state.
void remember(CommandRoom& room, const storage::Torrent& torrent, const std::string& folder,
              const storage::VerifyReport& verified) {
  const auto state = open_state(room.options.state, Use::catalog_alone, room.environment);
  const storage::Content& content = *torrent.content;
  if (!state || content.files.empty() || content.sealed) return;
  const auto lock = (*state)->locks->acquire(storage::content_lock(content.id));
  const auto known = (*state)->catalog->find(content.id);
  if (!lock || !known || *known) return;  // what is known already keeps its role and place
  storage::ContentRecord record;
  record.content = torrent.content;
  record.role = storage::ContentRole::share;
  record.folder = folder;
  record.root_name = verified.paths.front().substr(0, verified.paths.front().find('/'));
  record.have = storage::ContentRecord::Have::all;
  record.layers = torrent.layers;
  record.stamps = verified.stamps;
  for (std::uint32_t i = 0; i < content.files.size(); ++i)
    if (verified.paths[i] != content.disk_path(i)) record.disk_paths = verified.paths;
  const std::vector<std::string> path{absolute_path(record.root_name, folder)};
  const storage::ShareKey key = storage::share_key(path, {}, storage::ShareKind::open);
  const auto before = (*state)->catalog->share(key);
  if (before && !*before && (*state)->catalog->store_share(key, {}, record))
    room.report.say("known from now on: shoal share takes it from there as it is");
}

}  // namespace

Outcome<Exit> info_command(CommandRoom& room) {
  const auto source = read_source(room.options.source);
  if (!source) return std::unexpected(source.error());
  if (const auto* link = std::get_if<storage::Link>(&*source))
    show_link(room.report, *link);
  else
    show_content(room.report, *std::get<storage::Torrent>(*source).content);
  return Exit::done;
}

Outcome<Exit> verify_command(CommandRoom& room) {
  auto source = read_source(room.options.source);
  if (!source) return std::unexpected(source.error());
  storage::Torrent torrent;
  if (const auto* link = std::get_if<storage::Link>(&*source)) {
    auto known = known_content(room, *link);
    if (!known) return std::unexpected(known.error());
    torrent = std::move(*known);
  } else {
    torrent = std::move(std::get<storage::Torrent>(*source));
  }
  const auto folder = absolute_paths({room.options.output});
  if (!folder) return std::unexpected(folder.error());
  storage::PosixVfs vfs;
  storage::HashProgress progress;
  std::optional<PathResult<storage::VerifyReport>> verified;
  run_bulk(room.reactor, room.report, progress, [&] {
    storage::ThreadExecutor executor;
    verified.emplace(
        storage::verify_content(vfs, folder->front(), *torrent.content, torrent.layers, executor, &progress));
  });
  if (!*verified)
    return std::unexpected(failure_of(Doing::verifying, verified->error().error, verified->error().path));
  if ((*verified)->whole()) remember(room, torrent, folder->front(), **verified);
  return judge(room.report, *torrent.content, **verified);
}

}  // namespace shoal::cli
