#include "swarm/session.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "dht/native_codec.hpp"
#include "swarm/entrance.hpp"
#include "swarm/lan.hpp"
#include "swarm/limits.hpp"
#include "swarm/lsd_calls.hpp"
#include "swarm/overlays.hpp"
#include "swarm/swarm.hpp"
#include "swarm/turn.hpp"

namespace shoal::swarm {
namespace {

// What a token bucket may let through at once: half a second (DESIGN 10), and at least two blocks, or nothing
// whole would ever pass a slow limit.
TokenBucket bucket(std::uint64_t rate) {
  return {rate, std::max<std::uint64_t>(rate / 2, 2 * BufferPool::standard)};
}

constexpr std::chrono::minutes save_contacts_every{10};

}  // namespace

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
  std::set<storage::JobId> own_jobs;
  std::optional<CommandId> stopping;
  std::set<Slot> uploading;   // with blocks to send as soon as the limit allows
  std::vector<Slot> leaving;  // touched in this turn and gone

  State(SessionConfig c, BufferPool& p)
      : config(std::move(c)),
        pool(p),
        random(config.seed),
        entrance(config.mse),
        lan(config.lan_discovery, config.subnets),
        lsd_calls(config.lan_discovery && config.mainline, config.subnets,
                  to_hex(random.fork("lsd").bytes<8>())),
        up(bucket(config.up_rate)),
        down(bucket(config.down_rate)) {}

  Turn turn(Now now, std::vector<Output>& out) {
    return {now, out, pool, names, *overlays, dials, replays, up, down};
  }
  [[nodiscard]] Slot slot_of(const storage::ContentId& id) const {
    const auto found = named.find(id);
    return found == named.end() ? Slot{0} : found->second;
  }
  void begin(Now now) {
    overlays.emplace(now, config, random);
    overlays->start(now, config);
    save_contacts_due = now.mono + save_contacts_every;
  }
  Swarm* swarm(Slot slot) {
    const auto found = swarms.find(slot);
    return found == swarms.end() ? nullptr : &found->second;
  }

  // One overload for each kind of input, and of command.
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
  void know(Turn& turn, Slot slot, Swarm& swarm);
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
};

// ---- inputs

void Session::State::on(Turn& turn, DatagramIn& in) {
  turn.down.spend(turn.now.mono, in.bytes.size());
  if (in.via == DatagramIn::Via::own_port) {
    turn.overlays.handle(turn.now, in.from, in.bytes);
    return;
  }
  if (in.via == DatagramIn::Via::lsd_group) return heard_lsd(turn, in);
  if (in.bytes.empty() || in.bytes.front() != dht::native_first_byte) return;
  // Somebody on our own network: each content asks it for its own record, once in a while.
  if (!lan.admit(turn.now, in.from, config.listen_port)) return;
  for (auto& [slot, each] : swarms) each.hint(turn, in.from, Source::lan);
}

void Session::State::heard_lsd(Turn& turn, const DatagramIn& in) {
  const auto call = lsd::decode(in.bytes);
  if (!call || !lsd_calls.admit(turn.now, in.from, *call)) return;
  for (const InfoHash& hash : call->contents)
    if (const auto slot = entrance.info_hashes().find(hash))
      if (Swarm* swarm = this->swarm(*slot)) {
        swarm->hint(turn, {in.from.address, call->port}, Source::lan);
        reschedule(*slot, *swarm);
      }
}

void Session::State::call_lsd(Turn& turn) {
  std::vector<InfoHash> all;
  for (const auto& [slot, swarm] : swarms)
    if (swarm.may_be_called()) std::ranges::copy(swarm.info_hashes(), std::back_inserter(all));
  const lsd::Announcement call = lsd_calls.next(turn.now, config.listen_port, all);
  if (call.contents.empty()) return;
  for (const Family family : lsd_calls.families())
    turn.out.push_back(
        DatagramOut{{{family, {}}, 0}, lsd::encode(family, call), DatagramOut::Via::lsd_group});
}

void Session::State::on(Turn& turn, StreamAccepted& in) {
  if (stopping || swarms.empty() || !entrance.accept(turn.now, in.stream, in.from))
    turn.out.push_back(Close{in.stream});
}

void Session::State::on(Turn& turn, StreamConnected& in) {
  if (const StreamOwner* owner = names.find(in.stream))
    if (Swarm* swarm = this->swarm(owner->slot)) {
      swarm->connected(turn, owner->peer);
      reschedule(owner->slot, *swarm);
    }
}

void Session::State::on(Turn& turn, StreamReceived& in) {
  turn.down.spend(turn.now.mono, in.bytes.size());
  if (const StreamOwner* owner = names.find(in.stream)) {
    const Slot slot = owner->slot;
    if (Swarm* swarm = this->swarm(slot)) {
      swarm->received(turn, owner->peer, in.bytes);
      know(turn, slot, *swarm);
      reschedule(slot, *swarm);
    }
    return;
  }
  auto admission = entrance.received(turn.now, in.stream, in.bytes, random);
  if (!admission.reply.empty()) {
    Buffer reply = pool.take(admission.reply.size());
    reply.append(admission.reply);
    turn.write(in.stream, std::move(reply));
  }
  switch (admission.verdict) {
    case Entrance::Verdict::wait:
      break;
    case Entrance::Verdict::refuse:
      turn.out.push_back(Close{in.stream});
      break;
    case Entrance::Verdict::admit:
      admit(turn, in.stream, std::move(admission));
      break;
  }
}

void Session::State::admit(Turn& turn, StreamId stream, Entrance::Admission&& admission) {
  const Slot slot = admission.content;
  Swarm* swarm = this->swarm(slot);
  if (swarm == nullptr) {
    turn.out.push_back(Close{stream});
    return;
  }
  swarm->accepted(turn, stream, std::move(admission));
  know(turn, slot, *swarm);
  reschedule(slot, *swarm);
}

// By which names its peers ask for it: at first, and when its metadata has come.
void Session::State::know(Turn& turn, Slot slot, Swarm& swarm) {
  if (!swarm.take_renamed()) return;
  for (const storage::ContentId& name : swarm.names()) named.try_emplace(name, slot);
  Announcer& announcer = swarm.announcer();
  if (config.native)
    entrance.tags().add(turn.now.wall, slot, announcer.keys().content(), announcer.exchange().public_key);
  entrance.info_hashes().set(slot, swarm.info_hashes());
}

void Session::State::on(Turn& turn, StreamWritable& in) {
  if (const StreamOwner* owner = names.find(in.stream))
    if (Swarm* swarm = this->swarm(owner->slot)) {
      swarm->writable(turn, owner->peer, in.unsent);
      reschedule(owner->slot, *swarm);
    }
}

void Session::State::on(Turn& turn, StreamClosed& in) {
  entrance.forget(in.stream);
  const StreamOwner* owner = names.find(in.stream);
  if (owner == nullptr) return;
  const StreamOwner gone = *owner;
  names.forget(in.stream);
  if (Swarm* swarm = this->swarm(gone.slot)) {
    swarm->closed(turn, gone.peer, in.why);
    reschedule(gone.slot, *swarm);
  }
}

void Session::State::on(Turn& turn, DiskDone& in) {
  if (own_jobs.erase(in.job) > 0) return;  // contacts: what is not saved now is saved next time
  const Slot slot = Names::slot_of(in.job);
  if (Swarm* swarm = this->swarm(slot)) {
    swarm->disk_done(turn, in.job, std::move(in.done));
    know(turn, slot, *swarm);
    reschedule(slot, *swarm);
  }
}

void Session::State::on(Turn& turn, Tick&) {
  turn.overlays.tick(turn.now);
  while (!wakes.empty() && wakes.begin()->first <= turn.now.mono) {
    const Slot slot = wakes.begin()->second;
    wakes.erase(wakes.begin());
    wake_of.erase(slot);
    if (Swarm* swarm = this->swarm(slot)) {
      swarm->tick(turn);
      reschedule(slot, *swarm);
    }
  }
  for (const StreamId stream : entrance.expire(turn.now)) turn.out.push_back(Close{stream});
  if (lan.due() <= turn.now.mono) {
    for (const Family family : lan.families())
      turn.out.push_back(
          DatagramOut{{{family, {}}, 0}, overlays->lan_ping(random), DatagramOut::Via::lan_group});
    lan.sent(turn.now);
  }
  if (lsd_calls.due() <= turn.now.mono) call_lsd(turn);
  if (save_contacts_due <= turn.now.mono) save_contacts(turn);
}

void Session::State::on(Turn& turn, CommandIn& in) {
  std::visit([&](auto& command) { run(turn, in.command, command); }, in.what);
}

void Session::State::run(Turn& turn, CommandId id, OpenContent& command) {
  const bool open = slot_of(command.id) != 0;
  if (open || stopping) {
    ContentEvent event;
    event.what = ContentEvent::What::failed;
    event.id = command.id;
    event.error = {Code::busy, open ? "this content is open already" : "the peer is stopping"};
    turn.answer(id, event);
    return;
  }
  const Slot slot = ++last_slot;
  const auto [entry, fresh] =
      swarms.try_emplace(slot, slot, id, config, std::move(command), random.fork("swarm"));
  SHOAL_CHECK(fresh);
  if (reading_paused) entry->second.pause_reading(turn, true);
  entry->second.start(turn);
  know(turn, slot, entry->second);
  lan.soon(turn.now);
  if (entry->second.may_be_called()) lsd_calls.soon(turn.now);
  reschedule(slot, entry->second);
}

void Session::State::run(Turn& turn, CommandId, CloseContent& command) {
  const Slot slot = slot_of(command.id);
  if (Swarm* swarm = this->swarm(slot)) {
    swarm->close(turn);
    reschedule(slot, *swarm);
  }
}

void Session::State::run(Turn& turn, CommandId, Bootstrap& command) {
  turn.overlays.bootstrap(turn.now, command.nodes, command.dialect);
}

void Session::State::run(Turn& turn, CommandId id, Stop&) {
  if (stopping) return;
  stopping = id;
  for (auto& [slot, swarm] : swarms) {
    swarm.close(turn);
    reschedule(slot, swarm);
  }
  save_contacts(turn);
}

// ---- the end of a turn

void Session::State::settle(Turn& turn) {
  // A search may end at once and its result start another; each search starts at most one, so this ends.
  for (auto events = turn.overlays.take_events(); !events.empty(); events = turn.overlays.take_events())
    for (OverlayEvent& event : events) route(turn, event);
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
    tell(found->slot, [&](Swarm& swarm) { swarm.records(turn, *found); });
  } else if (auto* peers = std::get_if<PeersFound>(&event)) {
    tell(peers->slot, [&](Swarm& swarm) { swarm.peers_found(turn, *peers); });
  } else if (auto* ended = std::get_if<LookupEnded>(&event)) {
    tell(ended->slot, [&](Swarm& swarm) { swarm.lookup_ended(turn, *ended); });
  } else if (auto* published = std::get_if<Published>(&event)) {
    tell(published->slot, [&](Swarm& swarm) { swarm.published(turn, published->nodes); });
  } else if (auto* answer = std::get_if<OverlayAnswer>(&event)) {
    turn.answer(answer->command, std::move(answer->body));
  } else {
    for (auto& [slot, swarm] : swarms) {
      swarm.overlay_connected(turn);
      reschedule(slot, swarm);
    }
  }
}

void Session::State::reap() {
  for (const Slot slot : leaving) {
    entrance.tags().remove(slot);
    entrance.info_hashes().remove(slot);
    if (const Swarm* swarm = this->swarm(slot))
      for (const storage::ContentId& name : swarm->names())
        if (slot_of(name) == slot) named.erase(name);
    uploading.erase(slot);
    if (const auto wake = wake_of.find(slot); wake != wake_of.end()) {
      wakes.erase({wake->second, slot});
      wake_of.erase(wake);
    }
    swarms.erase(slot);
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

Session::Session(SessionConfig config, BufferPool& pool)
    : state_(std::make_unique<State>(std::move(config), pool)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

void Session::handle(Now now, Input&& input, std::vector<Output>& out) {
  if (!state_->overlays) state_->begin(now);
  Turn turn = state_->turn(now, out);
  std::visit([&](auto& in) { state_->on(turn, in); }, input);
  state_->settle(turn);
}

Instant Session::next_wake() const {
  if (!state_->overlays) return Instant{};
  Instant first = std::min({state_->overlays->next_wake(), state_->entrance.next_wake(), state_->lan.due(),
                            state_->lsd_calls.due(), state_->save_contacts_due});
  if (!state_->wakes.empty()) first = std::min(first, state_->wakes.begin()->first);
  if (!state_->uploading.empty()) first = std::min(first, state_->up_ready);
  if (state_->reading_paused) first = std::min(first, state_->down_ready);
  return first;
}

std::uint64_t Session::digest() const {
  std::uint64_t out = state_->overlays ? state_->overlays->digest() : 0;
  for (const auto& [slot, swarm] : state_->swarms) out = out * 0x9E3779B97F4A7C15ULL + swarm.digest();
  return out;
}

std::optional<ContentStatus> Session::content(Now now, const storage::ContentId& id) const {
  const Swarm* swarm = state_->swarm(state_->slot_of(id));
  return swarm != nullptr ? std::optional{swarm->status(now)} : std::nullopt;
}

std::vector<ContentStatus> Session::contents(Now now, Which which) const {
  std::vector<ContentStatus> out;
  for (auto& [slot, swarm] : state_->swarms)
    if (which == Which::all || !swarm.idle()) out.push_back(swarm.status(now));
  return out;
}

Bitfield Session::held(const storage::ContentId& content) const {
  const Swarm* swarm = state_->swarm(state_->slot_of(content));
  return swarm != nullptr ? swarm->held() : Bitfield{};
}

std::vector<DhtStatus> Session::dht() const {
  return state_->overlays ? state_->overlays->status() : std::vector<DhtStatus>{};
}

std::vector<Bytes> Session::dump_records() const {
  return state_->overlays ? state_->overlays->dump_records() : std::vector<Bytes>{};
}

}  // namespace shoal::swarm
