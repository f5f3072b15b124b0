// The end of a turn: events of the overlays find their swarms, blocks go out, limits are kept (session.hpp).
#include <algorithm>
#include <utility>

#include "swarm/session_state.hpp"

namespace shoal::swarm {
namespace {

constexpr std::chrono::minutes save_contacts_every{10};

}  // namespace

void Session::State::begin(Now now) {
  overlays.emplace(now, config, dials.limits, random);
  overlays->start(now, config);
  save_contacts_due = now.mono + save_contacts_every;
}

void Session::State::settle(Turn& turn) {
  // A search may end at once and its result start another; each search starts at most one, so this ends.
  for (auto events = turn.overlays.take_events(); !events.empty(); events = turn.overlays.take_events())
    for (OverlayEvent& event : events) route(turn, event);
  for (const Refused& each : refused) refuse(turn, each);
  refused.clear();
  reap();
  entrance.tags().refresh(turn.now.wall);
  serve(turn);
  pause_reading(turn);
  for (dht::Datagram& datagram : turn.overlays.take_datagrams()) {
    turn.up.spend(turn.now.mono, datagram.bytes.size());
    turn.out.push_back(DatagramOut{datagram.to, std::move(datagram.bytes), DatagramOut::Via::own_port});
  }
  // In portions of at least two blocks or 5 ms worth, so that a limit costs few wakes.
  up_ready = up.when(turn.now.mono, std::max<std::uint64_t>(1, up.rate() / 200));
  down_ready = down.when(turn.now.mono, std::max<std::uint64_t>(1, down.rate() / 50));
  finish_stop(turn);
}

void Session::State::route(Turn& turn, OverlayEvent& event) {
  const auto tell = [&](Slot slot, auto&& what) {
    if (Swarm* swarm = this->swarm(slot)) {
      what(*swarm);
      reschedule(slot, *swarm);
    }
  };
  if (auto* found = std::get_if<RecordsFound>(&event)) {
    if (wakes_for(turn, *found)) wake(turn, found->slot);
    tell(found->slot, [&](Swarm& swarm) { swarm.records(turn, *found); });
  } else if (auto* peers = std::get_if<PeersFound>(&event)) {
    if (wakes_for(turn, *peers)) wake(turn, peers->slot);
    tell(peers->slot, [&](Swarm& swarm) { swarm.peers_found(turn, *peers); });
  } else if (auto* ended = std::get_if<LookupEnded>(&event)) {
    tell(ended->slot, [&](Swarm& swarm) { swarm.lookup_ended(turn, *ended); });
  } else if (auto* published = std::get_if<Published>(&event)) {
    published_resting(turn, *published);
    tell(published->slot, [&](Swarm& swarm) { swarm.published(turn, published->nodes); });
  } else if (auto* answer = std::get_if<OverlayAnswer>(&event)) {
    turn.answer(answer->command, std::move(answer->body));
  } else {
    for (auto& [slot, swarm] : swarms) {
      swarm.overlay_connected(turn);
      reschedule(slot, swarm);
    }
    resting.all_soon(turn.now);
  }
}

void Session::State::reap() {
  for (const Slot slot : leaving) {
    uploading.erase(slot);
    if (const auto wake = wake_of.find(slot); wake != wake_of.end()) {
      wakes.erase({wake->second, slot});
      wake_of.erase(wake);
    }
    const auto found = swarms.find(slot);
    if (found == swarms.end()) continue;
    const Swarm& swarm = found->second;
    if (swarm.woken()) --woken;
    if (swarm.rests()) {
      resting.add(slot, swarm.to_rest());
      if (!swarm.was_ready()) resting.forget_met(slot);
    } else {
      forget(slot, swarm.names());
    }
    swarms.erase(found);
  }
  leaving.clear();
}

// Keeps what the session must know of a swarm that was touched: when it wants to wake, whether it has blocks
// to send, whether it is gone.
void Session::State::reschedule(Slot slot, const Swarm& swarm) {
  if (swarm.gone()) {
    if (std::find(leaving.begin(), leaving.end(), slot) == leaving.end()) leaving.push_back(slot);
    return;
  }
  if (swarm.wants_upload())
    uploading.insert(slot);
  else
    uploading.erase(slot);
  const Instant wake = swarm.next_wake();
  const auto known = wake_of.find(slot);
  if (known != wake_of.end()) {
    if (known->second == wake) return;
    wakes.erase({known->second, slot});
  }
  wake_of[slot] = wake;
  wakes.insert({wake, slot});
}

// Blocks go out one at a time, swarms in turn, while the limit allows.
void Session::State::serve(Turn& turn) {
  while (!uploading.empty() && up.available(turn.now.mono) > 0) {
    auto next = uploading.upper_bound(last_served);
    if (next == uploading.end()) next = uploading.begin();
    last_served = *next;
    Swarm* swarm = this->swarm(last_served);
    if (swarm == nullptr || !swarm->serve_one(turn)) uploading.erase(last_served);
  }
}

// A limit on what comes in is kept by not reading: the TCP window does the rest. It resumes with 20 ms worth
// in hand, so that a stream is not stopped and started for every read.
void Session::State::pause_reading(Turn& turn) {
  if (down.unlimited()) return;
  const std::int64_t available = down.available(turn.now.mono);
  const bool pause =
      reading_paused ? available < static_cast<std::int64_t>(down.rate() / 50) : available <= 0;
  if (pause == reading_paused) return;
  reading_paused = pause;
  for (auto& [slot, swarm] : swarms) swarm.pause_reading(turn, pause);
}

void Session::State::save_contacts(Turn& turn) {
  save_contacts_due = turn.now.mono + save_contacts_every;
  for (storage::SaveContactsJob& job : turn.overlays.contacts_to_save(turn.now)) {
    const storage::JobId id = names.next_job(0);
    own_jobs.insert(id);
    turn.out.push_back(DiskJob{id, std::move(job)});
  }
}

void Session::State::finish_stop(Turn& turn) {
  if (!stopping || !swarms.empty() || !own_jobs.empty()) return;
  turn.answer(*stopping, Stopped{});
  stopping.reset();
}

}  // namespace shoal::swarm
