// Overlays: the DHT side of a session. One dht::Node for each dialect and address family in use, and what
// each of their searches is for. It routes between the session and the nodes and decides nothing: what was
// found comes back as values. Records travel natively as such, and in mainline as items in slots
// (dht/sealed_slots.hpp), of which a look-up reads all, and who publishes one before it is written, or all
// where that one is full.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dht/node.hpp"
#include "dht/sealed_slots.hpp"
#include "swarm/announcer.hpp"
#include "swarm/config.hpp"
#include "swarm/info_hash.hpp"
#include "swarm/io.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

using Slot = std::uint32_t;  // of a swarm in the session; 0: none

// What the session hears of the overlays.
struct RecordsFound {
  Slot slot = 0;
  std::vector<dht::ReceivedRecord> records;
  // Asked directly for its own record: whoever served it may be dialled where it answered.
  std::optional<Endpoint> asked;
};
struct PeersFound {  // of a public content, in mainline: endpoints without keys
  Slot slot = 0;
  InfoHash name{};  // under which they announced
  std::vector<Endpoint> peers;
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
using OverlayEvent = std::variant<RecordsFound, PeersFound, LookupEnded, Published, OverlayAnswer, Connected>;

class Overlays {
 public:
  // `strangers` outlives it.
  Overlays(Now now, const SessionConfig& config, dht::StrangerLimits& strangers, Random& random);

  void start(Now now, const SessionConfig& config);
  void handle(Now now, const Endpoint& from, ByteView datagram);  // of either dialect
  void tick(Now now);
  [[nodiscard]] Instant next_wake() const;

  void bootstrap(Now now, const std::vector<Endpoint>& nodes, std::optional<Dialect> dialect = {});
  // Records of a sealed content travel through mainline, too; those of a public one are native alone.
  void look_up(Now now, Slot slot, const dht::EpochKeys& keys, Visibility visibility);
  void ask(Now now, Slot slot, const Endpoint& who, const Key& key);
  // Public contents, in mainline, under each of their names (BEP 5): who is there; and ourselves, listening
  // at the port that our datagrams come from.
  void look_up_peers(Now now, Slot slot, const InfoHash& content);
  void announce_peer(Now now, Slot slot, const InfoHash& content, dht::Completeness completeness,
                     std::uint16_t port);
  void forget_peer(const InfoHash& content);
  void heard_of(Now now, const Endpoint& node);  // a mainline node, said to be (BEP 5: PORT)
  void hold(const Publication& publication);
  void forget(const Key& key);
  void publish(Now now, Slot slot, const Publication& publication, Visibility visibility);
  // The user's questions (io.hpp); answered by OverlayAnswer.
  void ping(Now now, CommandId command, const Endpoint& who);
  void find(Now now, CommandId command, const Key& target);
  void get_peers(Now now, CommandId command, const InfoHash& content);
  void get_item(Now now, CommandId command, const Key& target, const Bytes& salt);
  void put_item(Now now, CommandId command, const dht::ItemPut& put);

  // The addresses that storing nodes see us at, where known.
  [[nodiscard]] std::optional<Endpoint> external(Family family) const;
  [[nodiscard]] bool reachable(Family family) const;
  // What a record of ours says of where we are, `port` being the one we listen at.
  [[nodiscard]] dht::RecordInputs own_place(std::uint16_t port) const;
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
  static constexpr std::size_t usual_paths = 1;
  struct Purpose {
    enum class Kind : std::uint8_t {
      look_up,
      ask,
      publish,
      greeting,   // a ping of our own
      question,   // of the user: `command`
      read_slot,  // for a look-up, or before a publication is written
    } kind{};
    Slot slot = 0;
    CommandId command = 0;
    Endpoint asked{};
    InfoHash name{};            // look_up, in mainline
    std::uint64_t reading = 0;  // read_slot: of Overlay::readings
    std::uint32_t place = 0;    // read_slot: which of them
  };
  // One of the user's: a search in each overlay that it is put to.
  struct Question {
    std::uint32_t left = 0;
    std::variant<LookupAnswer, PutAnswer> sum{};
  };
  // Of slots in mainline, a search each: all of them for a look-up; for a publication one, then the others.
  struct Reading {
    Slot slot = 0;
    std::uint32_t left = 0;
    bool anybody_answered = false;
    std::shared_ptr<const Publication> news{};  // to be written
    dht::SlotsRead found{};                     // of news
  };
  struct Overlay {
    std::string name;  // as in the catalog
    Dialect dialect{};
    Family family{};
    dht::Node node;
    std::map<dht::SearchId, Purpose> purposes{};
    bool has_contact = false;
    std::map<std::uint64_t, Reading> readings{};
    std::uint64_t last_reading = 0;
    std::map<Key, Instant> read_at{};  // when a content's slots were read last, by its key of the epoch
  };
  Overlay* of(Dialect dialect, Family family);
  Overlay* any_of(Family family);  // native before mainline
  void look_up_slots(Now now, Overlay& overlay, Slot slot, const dht::EpochKeys& keys);
  void read_slots(Now now, Overlay& overlay, std::uint64_t reading, const dht::EpochKeys& keys,
                  const std::vector<std::uint32_t>& places);
  void read_for_writing(Now now, Overlay& overlay, std::uint64_t reading);
  void slots_read(Now now, Overlay& overlay, std::uint64_t reading);
  void ended(Now now, Overlay& overlay, Purpose& purpose, dht::SearchDone& done);
  void started(Now now, Overlay& overlay, dht::SearchId search, Purpose purpose);
  template <class Begin>
  void put_question(Now now, CommandId command, Question question, const std::vector<Overlay*>& whom,
                    Begin begin);
  std::vector<Overlay*> mainline();
  void answer(const Purpose& purpose, dht::SearchDone& done);
  void answer(const Purpose& purpose, const dht::PutDone& done);
  void answered(CommandId command);
  void settle(Now now, Overlay& overlay);  // node output -> datagrams and events
  void on(Now now, Overlay& overlay, dht::Event& event);

  std::vector<Overlay> overlays_;
  std::map<CommandId, Question> questions_;
  dht::NodeOutput node_output_;
  std::vector<dht::Datagram> datagrams_;
  std::vector<OverlayEvent> events_;
};

}  // namespace shoal::swarm
