// What a session is made of, for its own sources: session.cpp (inputs and commands), session_turn.cpp (the
// end of a turn), session_rest.cpp (contents at rest).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "swarm/entrance.hpp"
#include "swarm/lan.hpp"
#include "swarm/lsd_calls.hpp"
#include "swarm/overlays.hpp"
#include "swarm/resting.hpp"
#include "swarm/session.hpp"
#include "swarm/swarm.hpp"
#include "swarm/turn.hpp"

namespace shoal::swarm {

struct Session::State {
  SessionConfig config;
  BufferPool& pool;
  Random random;
  Names names;
  std::optional<Overlays> overlays;          // made with the first input, which brings the time
  std::map<Slot, Swarm> swarms;              // by a number never used again
  std::map<storage::ContentId, Slot> named;  // under each of their names
  std::set<std::pair<Instant, Slot>> wakes;
  std::map<Slot, Instant> wake_of;
  Slot last_slot = 0;
  Entrance entrance;  // accepted streams that have not yet shown what they are
  Lan lan;
  LsdCalls lsd_calls;
  Dials dials;
  ReplayFilter replays;
  TokenBucket up, down;
  bool reading_paused = false;
  Instant up_ready = never, down_ready = never;  // when a limit that holds something back lets it go
  Slot last_served = 0;
  Instant save_contacts_due{};
  Resting resting;        // the slots of those at rest are theirs, as the slots of swarms are
  std::size_t woken = 0;  // swarms that were at rest, and will be again
  std::vector<std::pair<storage::ContentId, std::uint64_t>> sequences;  // of those at rest, to be saved
  Instant sequences_due = never;
  std::set<storage::JobId> own_jobs;
  std::optional<CommandId> stopping;
  std::set<Slot> uploading;      // with blocks to send as soon as the limit allows
  std::vector<Refused> refused;  // in this turn
  std::vector<Slot> leaving;     // touched in this turn and gone

  State(SessionConfig c, BufferPool& p);

  Turn turn(Now now, std::vector<Output>& out) {
    return {now, out, pool, names, *overlays, dials, replays, up, down, refused};
  }
  [[nodiscard]] Slot slot_of(const storage::ContentId& id) const {
    const auto found = named.find(id);
    return found == named.end() ? Slot{0} : found->second;
  }
  void begin(Now now);
  Swarm* swarm(Slot slot) {
    const auto found = swarms.find(slot);
    return found == swarms.end() ? nullptr : &found->second;
  }

  // One overload for each kind of input, and of command.
  void refuse(Turn& turn, const Refused& what);
  void on(Turn& turn, DatagramIn& in);
  void on(Turn& turn, StreamAccepted& in);
  void on(Turn& turn, StreamConnected& in);
  void on(Turn& turn, StreamReceived& in);
  void on(Turn& turn, StreamWritable& in);
  void on(Turn& turn, StreamClosed& in);
  void on(Turn& turn, DiskDone& in);
  void on(Turn& turn, Tick& in);
  void on(Turn& turn, CommandIn& in);
  void run(Turn& turn, CommandId id, OpenContent& command);
  void run(Turn& turn, CommandId id, CloseContent& command);
  void run(Turn& turn, CommandId id, Bootstrap& command);
  void run(Turn& turn, CommandId id, DhtPing& command) { turn.overlays.ping(turn.now, id, command.node); }
  void run(Turn& turn, CommandId id, DhtFind& command) { turn.overlays.find(turn.now, id, command.target); }
  void run(Turn& turn, CommandId id, DhtGetPeers& command) {
    turn.overlays.get_peers(turn.now, id, command.content);
  }
  void run(Turn& turn, CommandId id, DhtGetItem& command) {
    turn.overlays.get_item(turn.now, id, command.target, command.salt);
  }
  void run(Turn& turn, CommandId id, DhtPutItem& command) {
    turn.overlays.put_item(turn.now, id, command.what);
  }
  void run(Turn& turn, CommandId id, Stop& command);

  void admit(Turn& turn, StreamId stream, Entrance::Admission&& admission);
  Swarm& open(Turn& turn, Slot slot, CommandId id, OpenContent&& command, const Announcer::Past& past);
  void know(Turn& turn, Slot slot, Swarm& swarm);
  void know(WallTime wall, Slot slot, const ContentNames& known, Announcer& announcer,
            const std::vector<InfoHash>& hashes);
  void forget(Slot slot, const ContentNames& known);
  void heard_lsd(Turn& turn, const DatagramIn& in);
  void call_lsd(Turn& turn);
  void settle(Turn& turn);  // the end of every turn
  void route(Turn& turn, OverlayEvent& event);
  void serve(Turn& turn);
  void pause_reading(Turn& turn);
  void save_contacts(Turn& turn);
  void finish_stop(Turn& turn);
  void reap();
  void reschedule(Slot slot, const Swarm& swarm);

  // session_rest.cpp: contents at rest.
  void open_at_rest(Turn& turn, Slot slot, CommandId id, const OpenContent& command);
  Swarm* wake(Turn& turn, Slot slot);
  void close_at_rest(Turn& turn, Slot slot);
  void tick_resting(Turn& turn);
  void announce_resting(Turn& turn, Slot slot);
  void look_up_resting(Turn& turn, Slot slot);
  [[nodiscard]] std::vector<InfoHash> info_hashes_of(const RestingContent& content) const;
  [[nodiscard]] bool look_ups_needed() const;
  [[nodiscard]] bool wakes_for(const Turn& turn, const RecordsFound& found);
  [[nodiscard]] bool wakes_for(const Turn& turn, const PeersFound& found);
  void published_resting(Turn& turn, const Published& published);
  void save_sequences(Turn& turn);
  [[nodiscard]] Instant next_wake_of_resting() const;
};

}  // namespace shoal::swarm
