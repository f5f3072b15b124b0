// Bulk work (hashing) beside the reactor: it runs on other threads while this one shows how far it is and
// listens to signals.
#pragma once

#include <functional>
#include <string>

#include "cli/exit_code.hpp"
#include "cli/host/reactor.hpp"
#include "cli/report.hpp"
#include "storage/importer.hpp"

namespace shoal::cli {

// Runs `work` to its end on a thread of its own; a signal sets progress.cancel, and the second one ends the
// program.
void run_bulk(Reactor& reactor, Report& report, storage::HashProgress& progress,
              const std::function<void()>& work);

// Paths as given by the user -> absolute ones. Failures: none given, no working folder.
[[nodiscard]] Outcome<std::vector<std::string>> absolute_paths(const std::vector<std::string>& paths);

// What the survey left out, in one sentence; "" where it left out nothing.
[[nodiscard]] std::string left_out(std::uint32_t links, std::uint32_t special, std::uint32_t folders);

}  // namespace shoal::cli
