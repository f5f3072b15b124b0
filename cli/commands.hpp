// The commands, one function each: it does all that the command does, tells it through the report, and gives
// the exit code. A failure that ends a command is reported by run_command.
#pragma once

#include "cli/args.hpp"
#include "cli/host/reactor.hpp"
#include "cli/report.hpp"

namespace shoal::cli {

struct CommandRoom {
  const Options& options;
  Report& report;
  Reactor& reactor;
  const Environment& environment;
};

// Success is an exit code too: a command that was stopped has one of its own.
[[nodiscard]] Outcome<Exit> share_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> get_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> node_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> dht_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> create_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> info_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> verify_command(CommandRoom& room);
[[nodiscard]] Outcome<Exit> simulate_command(CommandRoom& room);

// The command that the options name; reports its failure and, with --json, the `stopped` event.
[[nodiscard]] Exit run_command(CommandRoom& room);

}  // namespace shoal::cli
