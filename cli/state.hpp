// The state folder as a command uses it: catalog, locks, and which identity is ours for this run.
#pragma once

#include <memory>
#include <string>

#include "cli/exit_code.hpp"
#include "cli/report.hpp"
#include "storage/catalog.hpp"
#include "storage/disk_pool.hpp"
#include "storage/posix_state.hpp"

namespace shoal::cli {

// $XDG_STATE_HOME/shoal, or ~/.local/state/shoal.
[[nodiscard]] Outcome<std::string> default_state_folder(const Environment& environment);

// An absolute path without "." and double slashes; ".." stays, since it may lead through a link.
[[nodiscard]] std::string absolute_path(std::string_view path, std::string_view working_folder);
[[nodiscard]] Outcome<std::string> working_folder();

struct OpenState {
  std::string folder, catalog_path;
  storage::MutexGate gate;
  std::unique_ptr<storage::Catalog> catalog;
  std::unique_ptr<storage::PosixLocks> locks;
  // Held: the saved identity and port are ours. Otherwise another command has them and ours are for this run
  // alone.
  std::unique_ptr<storage::Lock> identity_lock;
  storage::Identity identity;
};
enum class Use : std::uint8_t { catalog_alone, with_identity };
// `folder` empty: the default one.
[[nodiscard]] Outcome<std::unique_ptr<OpenState>> open_state(const std::string& folder, Use use,
                                                             const Environment& environment);

}  // namespace shoal::cli
