// `node`: a peer without contents.
#include <algorithm>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/peer_process.hpp"

namespace shoal::cli {
namespace {

class Node final : public Duty {
 public:
  Node(CommandRoom& room, PeerProcess& peer) : room_(room), peer_(peer) {}

  void begin(const std::vector<Endpoint>&) override {
    std::string where;
    for (const Endpoint& endpoint : peer_.host().endpoints()) where += " " + endpoint.to_string();
    room_.report.say(fmt::format("a DHT node on port {}; others start from it with --bootstrap and one of:{}",
                                 peer_.host().port(), where));
  }
  void answered(const swarm::Answer&) override {}
  void second() override {
    for (const swarm::DhtStatus& dht : peer_.host().session().dht()) {
      records_ = std::max(records_, dht.records);
      queries_ = std::max(queries_, dht.queries_in);
    }
    room_.report.progress(fmt::format("{} contacts, {} records held, {} queries answered", peer_.contacts(),
                                      records_, queries_));
  }
  Farewell interrupted() override { return {Exit::done, "stopping"}; }

 private:
  CommandRoom& room_;
  PeerProcess& peer_;
  std::uint32_t records_ = 0;
  std::uint64_t queries_ = 0;
};

}  // namespace

Outcome<Exit> node_command(CommandRoom& room) {
  auto state = open_state(room.options.state, Use::with_identity, room.environment);
  if (!state) return std::unexpected(state.error());
  PeerProcess peer{room.options, room.report, room.reactor, **state};
  if (auto opened = peer.open(swarm::Role::bootstrap_node, {}); !opened)
    return std::unexpected(opened.error());
  Node duty{room, peer};
  return peer.run(duty, {});
}

}  // namespace shoal::cli
