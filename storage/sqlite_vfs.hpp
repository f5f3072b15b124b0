// SqliteVfs: lets SQLite work on a storage::Folder, so that the crash model of a virtual disk covers the
// catalog as well. Locks nothing: the file belongs to one connection, which must use locking_mode EXCLUSIVE
// (then WAL needs no shared memory either). Time and sleep are none; SQLite's own random numbers decide only
// salts of its log.
#pragma once

#include <memory>
#include <string>

#include "storage/vfs.hpp"

namespace shoal::storage {

class SqliteVfs {
 public:
  // Registers `name`, which must be of no other living one; `folder` must outlive this, and this every
  // database opened with it.
  SqliteVfs(std::string name, Folder& folder);
  ~SqliteVfs();
  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  struct State;

 private:
  std::string name_;
  std::unique_ptr<State> state_;
};

}  // namespace shoal::storage
