// `node`, and the questions of `dht`: peers without contents.
#include <algorithm>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/peer_process.hpp"
#include "cli/quantity.hpp"
#include "dht/base/crypto.hpp"

namespace shoal::cli {
namespace {

double milliseconds(Duration duration) { return seconds(duration) * 1000; }

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

// One question, asked again until there is an answer or --wait's usual minute is half over.
class Question final : public Duty {
 public:
  Question(CommandRoom& room, PeerProcess& peer) : room_(room), peer_(peer) {
    if (room.options.target)
      target_ = *room.options.target;
    else
      crypto::system_random(target_.bytes);
  }

  void begin(const std::vector<Endpoint>& hints) override {
    if (room_.options.verb != Verb::dht_ping) {
      if (!hints.empty()) peer_.host().command(swarm::Bootstrap{hints});
    } else if (hints.empty()) {
      failed(Exit::no_contact, "this node has no address that could be asked");
    } else {
      peer_.host().command(swarm::DhtPing{hints.front()});
    }
  }

  // Contacts first: a search from an empty table ends at once.
  void second() override {
    ++seconds_;
    if (room_.options.verb == Verb::dht_ping) {
      if (seconds_ >= give_up_after) failed(Exit::no_contact, "the node does not answer");
      return;
    }
    room_.report.progress(fmt::format("joining: {} contacts", peer_.contacts()));
    if (peer_.contacts() > 0 && !asked_) {
      asked_ = true;
      peer_.host().command(swarm::DhtFind{target_});
    }
    if (seconds_ >= give_up_after && !peer_.finishing())
      failed(Exit::no_contact, "not one contact answered; give a node with --bootstrap HOST:PORT");
  }

  void answered(const swarm::Answer& answer) override {
    if (peer_.finishing()) return;
    if (const auto* ping = std::get_if<swarm::PingAnswer>(&answer.what)) pinged(*ping);
    if (const auto* find = std::get_if<swarm::FindAnswer>(&answer.what)) found(*find);
  }

  Farewell interrupted() override { return {Exit::interrupted, ""}; }

 private:
  static constexpr int give_up_after = 30;  // seconds

  void failed(Exit exit, std::string sentence) {
    room_.report.failure({exit, std::move(sentence), {}});
    peer_.finish(exit);
  }

  void pinged(const swarm::PingAnswer& ping) {
    if (!ping.position) {
      failed(Exit::no_contact,
             fmt::format("{} does not answer; see that a peer runs there and UDP reaches it",
                         ping.node.to_string()));
      return;
    }
    const std::string position = to_hex(ping.position->bytes);
    room_.report.event(EventLine{"pong"}
                           .text("node", ping.node.to_string())
                           .text("position", position)
                           .number("ms", milliseconds(ping.round_trip)));
    room_.report.data(
        fmt::format("{} {} {:.1f} ms", ping.node.to_string(), position, milliseconds(ping.round_trip)));
    peer_.finish(Exit::done);
  }

  void found(const swarm::FindAnswer& find) {
    if (room_.options.verb == Verb::dht_stats) {
      show_stats();
    } else {
      std::vector<std::string> nodes;
      for (const auto& each : find.closest) {
        nodes.push_back(fmt::format("{} {}", to_hex(each.position.bytes), each.endpoint.to_string()));
        room_.report.data(nodes.back());
      }
      room_.report.event(EventLine{"found"}
                             .text("target", to_hex(target_.bytes))
                             .list("nodes", std::move(nodes))
                             .count("asked", find.asked)
                             .count("answered", find.answered)
                             .count("hops", find.hops)
                             .number("ms", milliseconds(find.took)));
      room_.report.say(fmt::format("{} asked, {} answered, {} hops, {:.0f} ms", find.asked, find.answered,
                                   find.hops, milliseconds(find.took)));
    }
    if (find.answered == 0) {
      failed(Exit::no_contact, "not one contact answered; give a node with --bootstrap HOST:PORT");
    } else {
      peer_.finish(Exit::done);
    }
  }

  void show_stats() {
    for (const swarm::DhtStatus& dht : peer_.host().session().dht()) {
      const char* family = dht.family == Family::v4 ? "IPv4" : "IPv6";
      const bool native = dht.dialect == swarm::Dialect::native;
      const std::string external = dht.external ? dht.external->to_string() : "";
      room_.report.event(EventLine{"dht"}
                             .text("dialect", native ? "native" : "mainline")
                             .text("family", family)
                             .text("position", to_hex(dht.position.bytes))
                             .count("contacts", dht.contacts)
                             .count("records", dht.records)
                             .number("estimated_nodes", dht.estimated_nodes)
                             .text("external", external)
                             .flag("reachable", dht.reachable)
                             .count("queries_in", dht.queries_in)
                             .count("queries_out", dht.queries_out)
                             .count("bytes_in", dht.bytes_in)
                             .count("bytes_out", dht.bytes_out));
      room_.report.data(fmt::format("{}, {}: {} contacts of about {:.0f} nodes, seen from outside as {}, {}",
                                    native ? "shoal" : "BitTorrent", family, dht.contacts,
                                    dht.estimated_nodes, external.empty() ? "(not known)" : external,
                                    dht.reachable ? "reachable" : "not known to be reachable"));
    }
  }

  CommandRoom& room_;
  PeerProcess& peer_;
  Key target_;
  int seconds_ = 0;
  bool asked_ = false;
};

}  // namespace

Outcome<Exit> node_command(CommandRoom& room) {
  auto state = open_state(room.options.state, Use::with_identity, room.environment);
  if (!state) return std::unexpected(state.error());
  PeerProcess peer{room.options, room.report, room.reactor, **state};
  if (auto opened = peer.open(swarm::Role::bootstrap_node); !opened) return std::unexpected(opened.error());
  Node duty{room, peer};
  return peer.run(duty, {});
}

Outcome<Exit> dht_command(CommandRoom& room) {
  auto state = open_state(room.options.state, Use::with_identity, room.environment);
  if (!state) return std::unexpected(state.error());
  PeerProcess peer{room.options, room.report, room.reactor, **state};
  if (auto opened = peer.open(swarm::Role::member); !opened) return std::unexpected(opened.error());
  Question duty{room, peer};
  std::vector<storage::HostPort> hosts;
  if (room.options.node) hosts.push_back(*room.options.node);
  return peer.run(duty, hosts);
}

}  // namespace shoal::cli
