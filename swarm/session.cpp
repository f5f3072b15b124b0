#include "swarm/session.hpp"

#include <algorithm>
#include <utility>

#include "dht/native_codec.hpp"
#include "swarm/limits.hpp"
#include "swarm/session_state.hpp"

namespace shoal::swarm {
namespace {

// What a token bucket may let through at once: half a second (DESIGN 10), and at least two blocks, or nothing
// whole would ever pass a slow limit.
TokenBucket bucket(std::uint64_t rate) {
  return {rate, std::max<std::uint64_t>(rate / 2, 2 * BufferPool::standard)};
}

}  // namespace

Session::State::State(SessionConfig c, BufferPool& p)
    : config(std::move(c)),
      pool(p),
      random(config.seed),
      entrance(config.mse),
      lan(config.lan_discovery, config.subnets),
      lsd_calls(config.lan_discovery && config.mainline, config.subnets,
                to_hex(random.fork("lsd").bytes<8>())),
      up(bucket(config.up_rate)),
      down(bucket(config.down_rate)) {}

// ---- inputs

void Session::State::on(Turn& turn, DatagramIn& in) {
  turn.down.spend(turn.now.mono, in.bytes.size());
  if (in.via == DatagramIn::Via::own_port) {
    turn.overlays.handle(turn.now, in.from, in.bytes);
    return;
  }
  if (in.via == DatagramIn::Via::lsd_group) return heard_lsd(turn, in);
  if (in.bytes.empty() || in.bytes.front() != dht::native_first_byte) return;
  // Somebody on our own network: each content asks it for its own record, once in a while. Those at rest want
  // nothing: whoever wants them asks, once it has heard of us.
  if (!lan.admit(turn.now, in.from, config.listen_port)) return;
  if (resting.size() > 0) lan.call_back(turn.now, in.from);
  for (auto& [slot, each] : swarms) each.hint(turn, in.from, Source::lan);
}

void Session::State::heard_lsd(Turn& turn, const DatagramIn& in) {
  const auto call = lsd::decode(in.bytes);
  if (!call || !lsd_calls.admit(turn.now, in.from, *call)) return;
  for (const InfoHash& hash : call->contents)
    if (const auto slot = entrance.info_hashes().find(hash))
      if (Swarm* swarm = wake(turn, *slot)) {
        swarm->hint(turn, {in.from.address, call->port}, Source::lan, hash);
        reschedule(*slot, *swarm);
      }
}

void Session::State::call_lsd(Turn& turn) {
  std::vector<InfoHash> all;
  for (const auto& [slot, swarm] : swarms)
    if (swarm.may_be_called()) std::ranges::copy(swarm.info_hashes(), std::back_inserter(all));
  for (const auto& [slot, content] : resting.all())
    std::ranges::copy(info_hashes_of(content), std::back_inserter(all));
  const lsd::Announcement call = lsd_calls.next(turn.now, config.listen_port, all);
  if (call.contents.empty()) return;
  for (const Family family : lsd_calls.families())
    turn.out.push_back(
        DatagramOut{{{family, {}}, 0}, lsd::encode(family, call), DatagramOut::Via::lsd_group});
}

void Session::State::on(Turn& turn, StreamAccepted& in) {
  if (stopping || (swarms.empty() && resting.empty())) return turn.out.push_back(Close{in.stream});
  const auto accepted = entrance.accept(turn.now, in.stream, in.from);
  if (!accepted) turn.out.push_back(Close{in.stream});
  if (accepted.displaced) turn.out.push_back(Close{*accepted.displaced});
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
  if (admission.read_no_more) turn.out.push_back(PauseRead{in.stream, true});
  switch (admission.verdict) {
    case Entrance::Verdict::wait:
      break;
    case Entrance::Verdict::refuse:
      refuse(turn, {in.stream, admission.since});
      break;
    case Entrance::Verdict::admit:
      admit(turn, in.stream, std::move(admission));
      break;
  }
}

void Session::State::refuse(Turn& turn, const Refused& what) {
  if (const auto closed = entrance.shun(what.stream, what.since)) turn.out.push_back(Close{*closed});
}

void Session::State::admit(Turn& turn, StreamId stream, Entrance::Admission&& admission) {
  const Slot slot = admission.content;
  Swarm* swarm = wake(turn, slot);
  if (swarm == nullptr) return refuse(turn, {stream, admission.since});
  swarm->accepted(turn, stream, std::move(admission));
  know(turn, slot, *swarm);
  reschedule(slot, *swarm);
}

// By which names its peers ask for it: at first, and when its metadata has come.
void Session::State::know(Turn& turn, Slot slot, Swarm& swarm) {
  if (swarm.take_renamed()) know(turn.now.wall, slot, swarm.names(), swarm.announcer(), swarm.info_hashes());
}

void Session::State::know(WallTime wall, Slot slot, const ContentNames& known, Announcer& announcer,
                          const std::vector<InfoHash>& hashes) {
  for (const storage::ContentId& name : known.all()) named.try_emplace(name, slot);
  if (config.native)
    entrance.tags().add(wall, slot, announcer.keys().content(), announcer.exchange().public_key);
  entrance.info_hashes().set(slot, hashes);
}

void Session::State::forget(Slot slot, const ContentNames& known) {
  entrance.tags().remove(slot);
  entrance.info_hashes().remove(slot);
  for (const storage::ContentId& name : known.all())
    if (slot_of(name) == slot) named.erase(name);
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
  if (own_jobs.erase(in.job) > 0) return;  // contacts and sequences: the next ones are saved in their turn
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
  tick_resting(turn);
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
  lan.soon(turn.now);
  if (command.rest) return open_at_rest(turn, slot, id, command);
  Swarm& swarm = this->open(turn, slot, id, std::move(command), {});
  know(turn, slot, swarm);
  if (swarm.may_be_called()) lsd_calls.soon(turn.now);
}

Swarm& Session::State::open(Turn& turn, Slot slot, CommandId id, OpenContent&& command,
                            const Announcer::Past& past) {
  const auto [entry, fresh] =
      swarms.try_emplace(slot, slot, id, config, std::move(command), past, random.fork("swarm"));
  SHOAL_CHECK(fresh);
  Swarm& swarm = entry->second;
  if (reading_paused) swarm.pause_reading(turn, true);
  swarm.start(turn);
  reschedule(slot, swarm);
  return swarm;
}

void Session::State::run(Turn& turn, CommandId, CloseContent& command) {
  const Slot slot = slot_of(command.id);
  if (Swarm* swarm = this->swarm(slot)) {
    swarm->close(turn);
    reschedule(slot, *swarm);
  } else {
    close_at_rest(turn, slot);
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
  while (!resting.empty()) close_at_rest(turn, resting.all().begin()->first);
  save_sequences(turn);
  save_contacts(turn);
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
  Instant first =
      std::min({state_->overlays->next_wake(), state_->entrance.next_wake(), state_->lan.due(),
                state_->lsd_calls.due(), state_->save_contacts_due, state_->next_wake_of_resting()});
  if (!state_->wakes.empty()) first = std::min(first, state_->wakes.begin()->first);
  if (!state_->uploading.empty()) first = std::min(first, state_->up_ready);
  if (state_->reading_paused) first = std::min(first, state_->down_ready);
  return first;
}

std::uint64_t Session::digest() const {
  std::uint64_t out = state_->overlays ? state_->overlays->digest() : 0;
  for (const auto& [slot, swarm] : state_->swarms) out = out * 0x9E3779B97F4A7C15ULL + swarm.digest();
  for (const auto& [slot, content] : state_->resting.all())
    out = out * 0x9E3779B97F4A7C15ULL + content.past.sequence;
  return out;
}

namespace {

ContentStatus status_of(const RestingContent& content) {
  ContentStatus out;
  out.id = content.names.id;
  out.phase = ContentStatus::Phase::resting;
  return out;
}

}  // namespace

std::optional<ContentStatus> Session::content(Now now, const storage::ContentId& id) const {
  const Slot slot = state_->slot_of(id);
  if (const Swarm* swarm = state_->swarm(slot)) return swarm->status(now);
  if (const RestingContent* content = state_->resting.find(slot)) return status_of(*content);
  return std::nullopt;
}

std::vector<ContentStatus> Session::contents(Now now, Which which) const {
  std::vector<ContentStatus> out;
  for (auto& [slot, swarm] : state_->swarms)
    if (which == Which::all || !swarm.idle()) out.push_back(swarm.status(now));
  if (which == Which::all)
    for (const auto& [slot, content] : state_->resting.all()) out.push_back(status_of(content));
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
