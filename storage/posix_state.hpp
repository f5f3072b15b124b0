// The state folder of a POSIX host: who may read it, and the locks between commands that use it. Folders are
// made 0700 and files 0600, whatever the umask. Permissions of a folder that was there before are the user's
// and stay.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dht/base/result.hpp"
#include "storage/locks.hpp"

namespace shoal::storage {

// Makes the folder (and those above) and an empty catalog file in it where they are missing; an existing
// catalog file that others could read is closed to them. Gives the catalog's path. Code::unsafe where the
// file is a link or special.
[[nodiscard]] PathResult<std::string> prepare_state(const std::string& folder);

// flock on files in FOLDER/locks, removed when released.
class PosixLocks final : public Locks {
 public:
  explicit PosixLocks(std::string state_folder) : folder_(std::move(state_folder) + "/locks") {}
  [[nodiscard]] Result<std::unique_ptr<Lock>> acquire(std::string_view name) override;

 private:
  std::string folder_;
};

}  // namespace shoal::storage
