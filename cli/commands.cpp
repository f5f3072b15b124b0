// Which command is which function (commands.hpp).
#include "cli/commands.hpp"

namespace shoal::cli {
namespace {

Outcome<Exit> dispatch(CommandRoom& room) {
  switch (room.options.verb) {
    case Verb::share:
      return share_command(room);
    case Verb::get:
      return get_command(room);
    case Verb::node:
      return node_command(room);
    case Verb::create:
      return create_command(room);
    case Verb::info:
      return info_command(room);
    case Verb::verify:
      return verify_command(room);
    case Verb::dht_ping:
    case Verb::dht_find:
    case Verb::dht_peers:
    case Verb::dht_get:
    case Verb::dht_put:
    case Verb::dht_stats:
      return dht_command(room);
    case Verb::simulate:
      return simulate_command(room);
  }
  return Exit::internal;
}

}  // namespace

Exit run_command(CommandRoom& room) {
  const auto outcome = dispatch(room);
  if (!outcome) room.report.failure(outcome.error());
  const Exit exit = outcome ? *outcome : outcome.error().exit;
  room.report.event(EventLine{"stopped"}.count("exit", static_cast<std::uint64_t>(exit)));
  return exit;
}

}  // namespace shoal::cli
