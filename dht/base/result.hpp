// Operating failures at a boundary: a code for programs and a literal that names the rule broken, for people.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace shoal {

enum class Code : std::uint8_t {
  malformed,      // the bytes do not have the form their decoder requires
  non_canonical,  // well formed, but not the one permitted spelling
  too_large,      // a bound of limits.hpp or of a decoder is exceeded
  unsupported,    // a version or feature that we do not know
  mismatch,       // a hash, size or id is not the one expected
  forged,         // a signature, tag or token does not verify
  expired,        // outside its time of validity
  not_found,
  exists,
  denied,    // the operating system refuses permission
  unsafe,    // a name or path that would leave its root
  no_space,  // disk full or quota reached; may pass by itself
  io,        // any other failure of the operating system, see os_errno
  busy,      // held by another process, or a queue is full
  cancelled,
};

// `rule` is a string literal: one phrase, lower case, no full stop. `os_errno` is 0 where no system call
// failed.
struct Error {
  Code code = Code::io;
  const char* rule = "";
  int os_errno = 0;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Code code, const char* rule, int os_errno = 0) {
  return std::unexpected(Error{code, rule, os_errno});
}

// A failure that concerns one path; `path` is raw bytes as the user or the system gave them (escape before
// showing).
struct PathError {
  Error error;
  std::string path;
};

template <class T>
using PathResult = std::expected<T, PathError>;

[[nodiscard]] inline std::unexpected<PathError> fail_at(std::string path, Code code, const char* rule,
                                                        int os_errno = 0) {
  return std::unexpected(PathError{Error{code, rule, os_errno}, std::move(path)});
}

}  // namespace shoal
