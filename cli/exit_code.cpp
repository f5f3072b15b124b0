// Failures as exit codes and sentences (exit_code.hpp).
#include "cli/exit_code.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "storage/names.hpp"

namespace shoal::cli {
namespace {

std::string shown(std::string_view path) { return storage::escape_for_display(path); }

Exit exit_of(Doing doing, const Error& error, std::string_view path) {
  switch (error.code) {
    case Code::busy:  // by another command; what the system calls busy is something else
      return error.os_errno == 0 ? Exit::taken : Exit::path;
    case Code::no_space:
      return Exit::disk_full;
    case Code::cancelled:
      return Exit::interrupted;
    case Code::not_found:
      // Only the globs of --only can miss without a path.
      return doing == Doing::fetching && path.empty() ? Exit::usage : Exit::path;
    case Code::malformed:
    case Code::non_canonical:
    case Code::forged:
    case Code::mismatch:
    case Code::unsupported:
      return doing == Doing::fetching && path.empty() ? Exit::bad_content : Exit::path;
    case Code::too_large:
    case Code::exists:
    case Code::denied:
    case Code::unsafe:
    case Code::io:
    case Code::expired:
      return Exit::path;
  }
  return Exit::internal;
}

const char* what_to_do(Doing doing, const Error& error, std::string_view path, Exit exit) {
  switch (exit) {
    case Exit::taken:
      return "; stop that command first, or give this one another --state";
    case Exit::disk_full:
      return "; free some room and run the same command again";
    case Exit::usage:
      return "; give another --only, or none";
    case Exit::bad_content:
      return "; ask whoever shared it for a new link";
    case Exit::interrupted:
      return "; run the same command again";
    default:
      break;
  }
  if (error.code == Code::too_large) return "; share less, or in several parts";
  if (error.code == Code::busy) return "; run the same command again when that is over";
  if (path.empty() && (error.code == Code::io || error.code == Code::denied))  // the catalog
    return "; see that the disk of shoal's state works, or choose another folder with --state";
  if (doing == Doing::reading_share || doing == Doing::creating) {
    if (error.code == Code::not_found) return "; check the spelling";
    if (error.code == Code::denied) return "; make it readable for this user, or leave it out";
    if (error.code == Code::mismatch) return "; run the same command again when it no longer changes";
    return "; leave it out, or give another path";
  }
  if (doing == Doing::verifying && error.code == Code::io)
    return "; see that it can be read, and run the same command again";
  if (doing == Doing::verifying) return "; give the folder that holds the content, as with -o";
  if (error.code == Code::exists) return "; move it away, or choose another folder with -o";
  if (error.code == Code::not_found) return "; make it, or choose another folder with -o";
  if (error.code == Code::denied) return "; make it writable, or choose another folder with -o";
  return "; choose another folder with -o";
}

}  // namespace

std::string what_was_wrong(const Error& error, std::string_view path) {
  std::string out = path.empty() ? std::string{error.rule} : fmt::format("'{}': {}", shown(path), error.rule);
  if (error.os_errno != 0) out += fmt::format(" ({})", std::strerror(error.os_errno));
  return out;
}

Failure failure_of(Doing doing, const Error& error, std::string_view path) {
  const Exit exit = exit_of(doing, error, path);
  std::string sentence = exit == Exit::taken ? std::string{"this content is open in another command"}
                                             : what_was_wrong(error, path);
  return {exit, sentence + what_to_do(doing, error, path, exit), std::string{path}};
}

Failure catalog_failure(const Error& error, std::string_view path) {
  const char* advice = "; move it away to start anew, or choose another folder with --state";
  switch (error.code) {
    case Code::unsupported:
      return {Exit::path,
              fmt::format("'{}' was made by a newer shoal; use that version, or another folder with --state",
                          shown(path)),
              std::string{path}};
    case Code::malformed:
      return {Exit::path, fmt::format("'{}' is damaged or not a catalog of shoal{}", shown(path), advice),
              std::string{path}};
    case Code::busy:
      return {Exit::taken,
              fmt::format("'{}' is held by another command for too long; try again", shown(path)),
              std::string{path}};
    case Code::no_space:
      return {Exit::disk_full,
              fmt::format("no room for '{}'; free some room and run the same command again", shown(path)),
              std::string{path}};
    default:
      return {Exit::path,
              what_was_wrong(error, path) +
                  "; make it readable and writable for this user alone, or choose another "
                  "folder with --state",
              std::string{path}};
  }
}

Failure link_failure(const Error& error) {
  if (error.code == Code::unsupported) return {Exit::not_a_link, error.rule, {}};
  return {Exit::not_a_link,
          fmt::format("this is no link that can be used: {}; copy it again, whole", error.rule),
          {}};
}

Failure torrent_failure(const Error& error, std::string_view path) {
  const bool absent = error.code == Code::not_found;
  std::string sentence =
      absent ? fmt::format("'{}' is neither a link (shoal:...) nor a file that is there; check the spelling",
                           shown(path))
             : fmt::format(
                   "'{}' is no torrent that can be used ({}); give a link (shoal:...) or a BitTorrent v2 "
                   ".torrent file",
                   shown(path), error.os_errno != 0 ? std::strerror(error.os_errno) : error.rule);
  return {Exit::not_a_link, std::move(sentence), std::string{path}};
}

}  // namespace shoal::cli
