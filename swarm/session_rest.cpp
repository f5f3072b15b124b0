// Contents at rest (resting.hpp): opened so, announced and looked up in turn, woken by whoever asks for them.
#include <algorithm>
#include <utility>

#include "dht/record.hpp"
#include "swarm/announcing.hpp"
#include "swarm/session_state.hpp"

namespace shoal::swarm {

void Session::State::open_at_rest(Turn& turn, Slot slot, CommandId id, const OpenContent& command) {
  RestingContent content;
  content.command = id;
  content.names = {command.id, command.v1, command.rest->v2, true};
  content.visibility = command.is_public ? Visibility::open : Visibility::sealed;
  content.seed = command.seed;
  content.progress = {dht::Progress::Role::seed, 1000};
  Announcer announcer{command.id, config.identity, {.sequence = command.rest->sequence}, random.fork("rest")};
  const std::vector<InfoHash> hashes = info_hashes_of(content);
  know(turn.now.wall, slot, content.names, announcer, hashes);
  if (!hashes.empty()) lsd_calls.soon(turn.now);
  // Served to whoever asks us from now on; told to others when its turn comes.
  announce(turn, slot, announcer, config.listen_port, content.progress, content.visibility,
           AnnounceTo::askers);
  content.past = announcer.past();
  content.past.due = turn.now.mono;
  resting.add(slot, std::move(content));
  ContentEvent event;
  event.what = ContentEvent::What::announced;
  event.id = command.id;
  turn.answer(id, std::move(event));
}

// The swarm of a slot; of a content at rest it is made now. nullptr: there is none, or too many are awake.
// Then one of those makes room that nobody is connected with: who comes again finds it.
Swarm* Session::State::wake(Turn& turn, Slot slot) {
  if (Swarm* here = swarm(slot)) return here;
  if (stopping || resting.find(slot) == nullptr) return nullptr;
  if (woken >= limits::most_woken) {
    for (auto& [other, swarm] : swarms)
      if (swarm.rest_now(turn)) {
        reschedule(other, swarm);
        break;
      }
    resting.forget_met(slot);
    return nullptr;
  }
  std::optional<RestingContent> content = resting.take(slot);
  OpenContent open;
  open.id = content->names.id;
  open.v1 = content->names.v1;
  open.seed = content->seed;
  open.is_public = content->visibility == Visibility::open;
  open.rest = OpenContent::Rest{content->names.v2, content->past.sequence};
  ++woken;
  return &this->open(turn, slot, content->command, std::move(open), content->past);
}

void Session::State::close_at_rest(Turn& turn, Slot slot) {
  const std::optional<RestingContent> content = resting.take(slot);
  if (!content) return;
  for (const Key& key : content->past.live_keys) turn.overlays.forget(key);
  for (const InfoHash& hash : info_hashes_of(*content)) turn.overlays.forget_peer(hash);
  forget(slot, content->names);
  ContentEvent event;
  event.what = ContentEvent::What::closed;
  event.id = content->names.id;
  turn.answer(content->command, std::move(event));
}

std::vector<InfoHash> Session::State::info_hashes_of(const RestingContent& content) const {
  if (content.visibility == Visibility::sealed || !config.mainline) return {};
  return content.names.info_hashes();
}

// ---- time

void Session::State::tick_resting(Turn& turn) {
  while (const auto slot = resting.next_announcement(turn.now.mono)) announce_resting(turn, *slot);
  if (look_ups_needed())
    while (const auto slot = resting.next_look_up(turn.now.mono)) look_up_resting(turn, *slot);
  if (sequences_due <= turn.now.mono) save_sequences(turn);
}

Instant Session::State::next_wake_of_resting() const {
  const Instant look_up = look_ups_needed() ? resting.next_look_up_time() : never;
  return std::min({resting.next_announcement_time(), look_up, sequences_due});
}

void Session::State::announce_resting(Turn& turn, Slot slot) {
  const RestingContent& content = *resting.find(slot);
  Announcer announcer{content.names.id, config.identity, content.past, random.fork("rest")};
  announce(turn, slot, announcer, config.listen_port, content.progress, content.visibility, AnnounceTo::all);
  const bool seeds = content.progress.role == dht::Progress::Role::seed;
  for (const InfoHash& hash : info_hashes_of(content))
    turn.overlays.announce_peer(turn.now, slot, hash,
                                seeds ? dht::Completeness::seed : dht::Completeness::downloader,
                                config.listen_port);
  sequences.emplace_back(content.names.id, announcer.sequence());
  sequences_due = std::min(sequences_due, turn.now.mono + limits::rest_save_gap);
  resting.announced(slot, announcer.past());
}

void Session::State::save_sequences(Turn& turn) {
  sequences_due = never;
  if (sequences.empty()) return;
  const storage::JobId job = names.next_job(0);
  own_jobs.insert(job);
  turn.out.push_back(DiskJob{job, storage::SaveSequencesJob{std::exchange(sequences, {})}});
}

// Who can be reached is dialled by those who want something.
bool Session::State::look_ups_needed() const {
  return !resting.empty() && overlays && overlays->has_contacts() && !overlays->reachable(Family::v4) &&
         !overlays->reachable(Family::v6);
}

void Session::State::look_up_resting(Turn& turn, Slot slot) {
  const RestingContent& content = *resting.find(slot);
  dht::SwarmKeys keys{content.names.id};
  look_up(turn, slot, keys, info_hashes_of(content), content.visibility);
}

// Whether somebody is among those found for whom a content at rest should wake: who lacks it and was not met
// in vain just now. What they left behind is found for an hour.
bool Session::State::wakes_for(const Turn& turn, const RecordsFound& found) {
  const RestingContent* content = resting.find(found.slot);
  if (content == nullptr) return false;
  dht::SwarmKeys keys{content->names.id};
  const crypto::PublicKey ours = dht::exchange_key(config.identity, content->names.id).public_key;
  bool out = false;
  for (const dht::ReceivedRecord& received : found.records)
    for (const dht::Epoch epoch : keys.epochs_at(turn.now.wall)) {
      const auto opened = dht::open_record(received.record, keys.of(epoch), turn.now.wall);
      if (opened && opened->exchange != ours && opened->progress.role == dht::Progress::Role::leech)
        out = resting.is_new(turn.now.mono, found.slot, opened->exchange) || out;
    }
  return out;
}

// Of these only they can tell whether they have it.
bool Session::State::wakes_for(const Turn& turn, const PeersFound& found) {
  if (resting.find(found.slot) == nullptr) return false;
  bool out = false;
  for (const Endpoint& peer : found.peers) {
    const auto seen = overlays->external(peer.address.family);
    if (seen && *seen == peer) continue;  // ourselves
    out = resting.is_new(turn.now.mono, found.slot, peer.compact()) || out;
  }
  return out;
}

void Session::State::published_resting(Turn& turn, const Published& published) {
  const RestingContent* content = resting.find(published.slot);
  if (content == nullptr) return;
  resting.published(turn.now, published.slot, published.nodes);
  ContentEvent event;
  event.what = ContentEvent::What::published;
  event.id = content->names.id;
  event.count = published.nodes;
  turn.answer(content->command, std::move(event));
}

}  // namespace shoal::swarm
