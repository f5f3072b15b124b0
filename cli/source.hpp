// What a command is about: the argument LINK as a link or as a torrent.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "cli/exit_code.hpp"
#include "storage/link.hpp"
#include "storage/torrent.hpp"

namespace shoal::cli {

using Source = std::variant<storage::Link, storage::Torrent>;

// "-": the first line of stdin, a link; else a link where it looks like one; else the path of a torrent.
// Failures: 11.
[[nodiscard]] Outcome<Source> read_source(const std::string& argument, int stdin_fd = 0);

// Bytes until the end; more than `limit` are too_large.
[[nodiscard]] Result<Bytes> read_to_end(int fd, std::size_t limit);

// A whole file, at most `limit` bytes (too_large). Links are followed: the user named it.
[[nodiscard]] Result<Bytes> read_file(const std::string& path, std::size_t limit);

}  // namespace shoal::cli
