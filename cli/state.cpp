// The state folder (state.hpp).
#include "cli/state.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "dht/base/crypto.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

Failure folder_failure(const PathError& error) {
  const std::string shown = storage::escape_for_display(error.path);
  const std::string why = error.error.os_errno != 0 ? std::strerror(error.error.os_errno) : error.error.rule;
  if (error.error.code == Code::no_space)
    return {Exit::disk_full, fmt::format("no room for the state in '{}'; free some room", shown), error.path};
  return {Exit::path,
          fmt::format("'{}' cannot hold shoal's state ({}); choose another folder with --state", shown, why),
          error.path};
}

Outcome<void> take_identity(OpenState& state) {
  auto lock = state.locks->acquire(storage::identity_lock);
  if (!lock && (lock.error().code != Code::busy || lock.error().os_errno != 0))
    return std::unexpected(folder_failure({lock.error(), state.folder + "/locks"}));
  if (!lock) {
    crypto::system_random(state.identity.seed);
    return {};
  }
  state.identity_lock = std::move(*lock);
  const auto saved = state.catalog->identity();
  if (!saved) return std::unexpected(catalog_failure(saved.error(), state.catalog_path));
  if (*saved) {
    state.identity = **saved;
    return {};
  }
  crypto::system_random(state.identity.seed);
  if (const auto done = state.catalog->save_identity(state.identity); !done)
    return std::unexpected(catalog_failure(done.error(), state.catalog_path));
  return {};
}

}  // namespace

Outcome<std::string> default_state_folder(const Environment& environment) {
  // The XDG specification: a path that is not absolute is to be ignored.
  if (const char* xdg = environment("XDG_STATE_HOME"); xdg != nullptr && *xdg == '/')
    return std::string{xdg} + "/shoal";
  if (const char* home = environment("HOME"); home != nullptr && *home == '/')
    return std::string{home} + "/.local/state/shoal";
  return give_up(Exit::path, "there is no home folder for shoal's state; choose a folder with --state");
}

std::string absolute_path(std::string_view path, std::string_view working_folder) {
  std::string whole = path.starts_with('/') ? std::string{path} : fmt::format("{}/{}", working_folder, path);
  std::string out;
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t slash = std::min(whole.find('/', at), whole.size());
    const std::string_view step = std::string_view{whole}.substr(at, slash - at);
    if (!step.empty() && step != ".") out.append("/").append(step);
    at = slash + 1;
  }
  return out.empty() ? "/" : out;
}

Outcome<std::string> working_folder() {
  std::string out(4096, '\0');
  if (::getcwd(out.data(), out.size()) == nullptr)
    return give_up(Exit::path, fmt::format("the working folder cannot be used ({}); go to another",
                                           std::strerror(errno)));
  out.resize(std::strlen(out.c_str()));
  return out;
}

Outcome<std::unique_ptr<OpenState>> open_state(const std::string& folder, Use use,
                                               const Environment& environment) {
  auto state = std::make_unique<OpenState>();
  state->folder = folder;
  if (folder.empty()) {
    auto usual = default_state_folder(environment);
    if (!usual) return std::unexpected(usual.error());
    state->folder = std::move(*usual);
  } else {
    const auto here = working_folder();
    if (!here) return std::unexpected(here.error());
    state->folder = absolute_path(folder, *here);
  }
  auto prepared = storage::prepare_state(state->folder);
  if (!prepared) return std::unexpected(folder_failure(prepared.error()));
  state->catalog_path = std::move(*prepared);
  auto catalog = storage::Catalog::open({.path = state->catalog_path, .vfs = {}, .gate = &state->gate});
  if (!catalog) return std::unexpected(catalog_failure(catalog.error(), state->catalog_path));
  state->catalog = std::move(*catalog);
  state->locks = std::make_unique<storage::PosixLocks>(state->folder);
  if (use == Use::with_identity)
    if (auto taken = take_identity(*state); !taken) return std::unexpected(taken.error());
  return state;
}

}  // namespace shoal::cli
