// Confinement: what a running peer can do no more, should its code be turned against its user. Linux gives up
// two things for the rest of the process's life: files outside its territory (Landlock, landlock(7)), and
// system calls that no peer needs (seccomp(2)). Neither needs root. A kernel without them leaves the process
// as it is.
//
// Thread rule: call it before the process has other threads; those begun later are confined as well.
#pragma once

#include <string>
#include <vector>

namespace shoal::cli {

// Absolute paths that exist; what does not is out of reach afterwards. Links are followed when it is drawn
// up.
struct Territory {
  std::vector<std::string> read;   // files, and folders with all that is in them
  std::vector<std::string> list;   // folders whose entries' names may be read, also of those within
  std::vector<std::string> write;  // folders: everything but executing
};

struct Confinement {
  int landlock = 0;           // the kernel's version of its interface; 0: files are as open as before
  bool system_calls = false;  // those of no use to a peer are refused
  [[nodiscard]] const char* to_string() const;  // "files and system calls", "files", "system calls" or "no"
};

// Also within: what the system's name service reads (folders of configuration, libraries), /dev/null and the
// process's own entry in /proc. Executing is refused everywhere, as are sockets other than those of IP, Unix
// and netlink, tracing, mounting, namespaces, foreign memory, memory that is both written and executed, and
// changing owners, modes and attributes by path.
[[nodiscard]] Confinement confine(const Territory& territory);

}  // namespace shoal::cli
