// Links and torrents as arguments (source.hpp).
#include "cli/source.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/posix_file.hpp"

namespace shoal::cli {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

Outcome<Source> link_of(std::string_view text) {
  auto link = storage::parse_link(text);
  if (!link) return std::unexpected(link_failure(link.error()));
  return std::move(*link);
}

Outcome<Source> link_from_stdin(int fd) {
  const auto bytes = read_to_end(fd, storage::max_link_bytes + 2);
  if (!bytes) return std::unexpected(link_failure(bytes.error()));
  const std::string_view text = trimmed(as_text(*bytes));
  if (text.empty())
    return give_up(Exit::not_a_link, "stdin holds no link; write one into it, or give it as the argument");
  return link_of(text);
}

}  // namespace

Result<Bytes> read_to_end(int fd, std::size_t limit) {
  Bytes out;
  ByteArray<65536> part;
  for (;;) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(storage::error_of(errno));
    if (got == 0) return out;
    append(out, {part.data(), static_cast<std::size_t>(got)});
    if (out.size() > limit) return fail(Code::too_large, "the file is larger than any torrent");
  }
}

Result<Bytes> read_file(const std::string& path, std::size_t limit) {
  const storage::Descriptor fd = storage::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat seen{};
  if (!fd.valid() || ::fstat(fd.get(), &seen) != 0) return storage::os_fail(errno);
  if (!S_ISREG(seen.st_mode)) return fail(Code::unsafe, "this is not a file");
  return read_to_end(fd.get(), limit);
}

Outcome<Source> read_source(const std::string& argument, int stdin_fd) {
  if (argument == "-") return link_from_stdin(stdin_fd);
  const std::string_view text = trimmed(argument);
  if (storage::looks_like_link(text)) return link_of(text);
  if (argument.find('\0') != std::string::npos || argument.size() > 4095)
    return give_up(Exit::not_a_link, "the argument is neither a link (shoal:...) nor the path of a torrent");
  const auto bytes = read_file(argument, storage::max_torrent_bytes);
  if (!bytes) return std::unexpected(torrent_failure(bytes.error(), argument));
  auto torrent = storage::read_torrent(*bytes);
  if (!torrent) return std::unexpected(torrent_failure(torrent.error(), argument));
  return std::move(*torrent);
}

}  // namespace shoal::cli
