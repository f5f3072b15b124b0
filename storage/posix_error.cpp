// Error numbers of the system, in the terms of storage (posix_vfs.hpp).
#include <cerrno>

#include "storage/posix_vfs.hpp"

namespace shoal::storage {

Error error_of(int os_errno) {
  switch (os_errno) {
    case ENOENT:
      return {Code::not_found, "it is not there", os_errno};
    case EEXIST:
    case ENOTEMPTY:
      return {Code::exists, "something else bears that name", os_errno};
    case EISDIR:
      return {Code::exists, "a folder lies where a file should be", os_errno};
    case ENOTDIR:
      return {Code::exists, "a file lies where a folder should be", os_errno};
    case ELOOP:
    case EXDEV:
      return {Code::unsafe, "a symbolic link is in the way", os_errno};
    case EACCES:
    case EPERM:
      return {Code::denied, "the system refuses access", os_errno};
    case EROFS:
      return {Code::denied, "the file system is read only", os_errno};
    case ENOSPC:
      return {Code::no_space, "the disk is full", os_errno};
    case EDQUOT:
      return {Code::no_space, "the disk quota is used up", os_errno};
    case EFBIG:
      return {Code::too_large, "the file is larger than the file system or a limit of the process permits",
              os_errno};
    case ENAMETOOLONG:
      return {Code::too_large, "the name is longer than the file system permits", os_errno};
    case EILSEQ:
      return {Code::unsupported, "the file system does not take this name", os_errno};
    case EMFILE:
    case ENFILE:
      return {Code::busy, "too many files are open", os_errno};
    case ETXTBSY:
    case EBUSY:
    case EAGAIN:
      return {Code::busy, "it is in use", os_errno};
    default:
      return {Code::io, "the disk or its driver failed", os_errno};
  }
}

}  // namespace shoal::storage
