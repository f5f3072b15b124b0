// Exit codes (DESIGN 10), and failures as a command tells them: a code for scripts and one sentence for
// people that names what was wrong and what to do. Values and pure functions; nothing is printed here.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "dht/base/result.hpp"

namespace shoal::cli {

enum class Exit : int {
  done = 0,
  internal = 1,
  usage = 2,
  interrupted = 3,  // resumable
  no_peer = 4,      // within --wait
  bad_content = 5,  // verification failed
  disk_full = 6,
  path = 7,         // missing, unreadable, unsafe, unwritable or holds something else
  no_contact = 8,   // not one contact answered
  taken = 10,       // the port, or this content by another command
  not_a_link = 11,  // neither a link nor a readable torrent
};

struct Failure {
  Exit exit = Exit::internal;
  std::string sentence;  // ready to show: names in it are escaped; no full stop at its end
  std::string path;      // raw bytes; empty where none is concerned. Not part of the sentence.
};
template <class T>
using Outcome = std::expected<T, Failure>;

[[nodiscard]] inline std::unexpected<Failure> give_up(Exit exit, std::string sentence,
                                                      std::string path = {}) {
  return std::unexpected(Failure{exit, std::move(sentence), std::move(path)});
}

// "'PATH': rule (what the system said)"; without a path the rest.
[[nodiscard]] std::string what_was_wrong(const Error& error, std::string_view path);

// What a failure means depends on what was being done.
enum class Doing : std::uint8_t { reading_share, fetching, creating, verifying };
// A failed file operation or a content that failed. `error.rule` and the path make the sentence; the code the
// exit.
[[nodiscard]] Failure failure_of(Doing doing, const Error& error, std::string_view path);
// The catalog in the state folder cannot be used; `path` is its file.
[[nodiscard]] Failure catalog_failure(const Error& error, std::string_view path);
// The argument is meant as a link or a torrent, and is neither.
[[nodiscard]] Failure link_failure(const Error& error);
[[nodiscard]] Failure torrent_failure(const Error& error, std::string_view path);

}  // namespace shoal::cli
