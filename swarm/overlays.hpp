// Overlays: the DHT side of a session. One dht::Node for each dialect and address family in use, and what
// each of their searches is for. It routes between the session and the nodes and decides nothing: what was
// found comes back as values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dht/node.hpp"
#include "swarm/announcer.hpp"
#include "swarm/config.hpp"
#include "swarm/io.hpp"

namespace shoal::swarm {

using Slot = std::uint32_t;  // of a swarm in the session; 0: none

// What the session hears of the overlays.
struct RecordsFound {
  Slot slot = 0;
  std::vector<dht::ReceivedRecord> records;
  // Asked directly for its own record: whoever served it may be dialled where it answered.
  std::optional<Endpoint> asked;
};
struct LookupEnded {
  Slot slot = 0;
  Family family{};
  bool anybody_answered = false;
};
struct Published {
  Slot slot = 0;
  std::uint32_t nodes = 0;
};
struct OverlayAnswer {
  CommandId command = 0;
  AnswerBody body;
};
struct Connected {  // an overlay has its first contact, or another external address: publish and look up
  Family family{};
};
using OverlayEvent = std::variant<RecordsFound, LookupEnded, Published, OverlayAnswer, Connected>;

class Overlays {
 public:
  Overlays(Now now, const SessionConfig& config, Random& random);

  void start(Now now, const SessionConfig& config);
  void handle(Now now, const Endpoint& from, ByteView datagram);
  void tick(Now now);
  [[nodiscard]] Instant next_wake() const;

  void bootstrap(Now now, const std::vector<Endpoint>& nodes);
  void look_up(Now now, Slot slot, const Key& key);
  void ask(Now now, Slot slot, const Endpoint& who, const Key& key);
  void hold(const Publication& publication);
  void forget(const Key& key);
  void publish(Now now, Slot slot, const Publication& publication);
  void ping(Now now, CommandId command, const Endpoint& who);
  void find(Now now, CommandId command, const Key& target);

  // The addresses that storing nodes see us at, where known.
  [[nodiscard]] std::optional<Endpoint> external(Family family) const;
  [[nodiscard]] bool reachable(Family family) const;
  [[nodiscard]] bool has_contacts() const;
  [[nodiscard]] std::vector<storage::SaveContactsJob> contacts_to_save(Now now) const;
  [[nodiscard]] std::vector<DhtStatus> status() const;
  [[nodiscard]] std::vector<Bytes> dump_records() const;
  [[nodiscard]] std::uint64_t digest() const;

  // A ping for the local group: whoever hears it learns where a node of ours listens, and nothing of any
  // content.
  [[nodiscard]] Bytes lan_ping(Random& random) const;

  // What has gathered since the last call; the caller hands it on within the same turn.
  [[nodiscard]] std::vector<dht::Datagram> take_datagrams();
  [[nodiscard]] std::vector<OverlayEvent> take_events();

 private:
  struct Purpose {
    enum class Kind : std::uint8_t { look_up, ask, publish, ping, find } kind{};
    Slot slot = 0;
    CommandId command = 0;
    Endpoint asked;
  };
  struct Overlay {
    std::string name;  // as in the catalog
    Family family{};
    dht::Node node;
    std::map<dht::SearchId, Purpose> purposes;
    bool has_contact = false;
  };
  Overlay* of(Family family);
  void started(Overlay& overlay, dht::SearchId search, Purpose purpose);
  void settle(Overlay& overlay);  // node output -> datagrams and events
  void on(Overlay& overlay, dht::Event& event);

  std::vector<Overlay> overlays_;
  dht::NodeOutput node_output_;
  std::vector<dht::Datagram> datagrams_;
  std::vector<OverlayEvent> events_;
};

}  // namespace shoal::swarm
