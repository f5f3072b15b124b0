// See session_world.hpp.
#include "tests/fuzz/session_world.hpp"

#include <algorithm>
#include <utility>

#include "dht/base/check.hpp"
#include "swarm/address_rules.hpp"
#include "swarm/bt_wire.hpp"
#include "swarm/limits.hpp"
#include "swarm/native_wire.hpp"

namespace shoal::fuzz {

using namespace swarm;

namespace {

constexpr std::uint32_t most_others = 6;
constexpr Instant start{std::chrono::hours{1}};
constexpr WallTime begins = from_unix_ms(1'800'000'000'000);
const Endpoint own{IpAddress::v4(0x14000001), 6881};

// Of the others, by number: each on a host of its own, but for pairs.
Endpoint place(std::uint32_t number) {
  return {IpAddress::v4(0x14010001 + (number / 2 << 16)), static_cast<std::uint16_t>(5000 + number)};
}
const crypto::ExchangeKey& key_of(std::uint32_t number) {
  static const auto keys = [] {
    crypto::initialise();
    std::array<crypto::ExchangeKey, most_others> out;
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = crypto::ExchangeKey::from_secret(ByteArray<32>{static_cast<std::uint8_t>(i + 1)});
    return out;
  }();
  return keys[number % most_others];
}

SessionConfig config_of(Speak dialect) {
  crypto::initialise();
  SessionConfig out;
  out.identity[0] = 1;
  out.seed[0] = 2;
  out.native = dialect == Speak::native;
  out.mainline = dialect == Speak::bittorrent;
  out.mse = Obfuscation::off;
  out.listen_port = own.port;
  out.lan_discovery = false;
  return out;
}

InfoHash short_name(const storage::ContentId& id) { return to_array<20>(ByteView{id}.first(20)); }

}  // namespace

SessionWorld::SessionWorld(Script& script, Speak dialect, const KnownContent& known)
    : script_(script),
      dialect_(dialect),
      known_(known),
      content_(*known.content),
      disk_(known, script.flag() ? SessionDisk::Start::whole : SessionDisk::Start::empty),
      keys_(known.content->id),
      mono_(start),
      session_(config_of(dialect), pool_) {
  begin();
}

void SessionWorld::begin() {
  OpenContent open;
  open.id = content_.id;
  open.folder = "/data";
  open.seed.until = SeedUntil::forever;
  open.is_public = dialect_ == Speak::bittorrent;
  const std::uint8_t form = script_.byte();
  if ((form & 1) != 0) open.info = content_.info;  // else its peers have to tell it
  if ((form & 2) != 0) open.layers = known_.layers;
  if ((form & 4) != 0) open.only = {"a"};
  commands_[++last_command_] = false;
  feed(CommandIn{last_command_, std::move(open)});
  run_disk();
  check();
}

Now SessionWorld::now() const {
  return {mono_, begins + std::chrono::duration_cast<std::chrono::milliseconds>(mono_ - start)};
}

SessionWorld::Other* SessionWorld::someone() {
  std::vector<Other*> open;
  for (const auto& other : others_)
    if (other->open && !other->gone) open.push_back(other.get());
  return open.empty() ? nullptr : open[script_.byte() % open.size()];
}

SessionWorld::Other* SessionWorld::with(StreamId stream) {
  for (const auto& other : others_)
    if (other->stream == stream) return other.get();
  return nullptr;
}

// ---- what happens

void SessionWorld::step() {
  if (stopped_) return;
  const std::uint8_t what = script_.byte() % 32;
  if (what < 2) {
    accept();
  } else if (what < 20) {
    if (Other* other = someone()) say(*other);
  } else if (what < 21) {
    if (Other* other = someone()) raw(*other);
  } else if (what < 22) {
    if (Other* other = someone()) close(*other);
  } else if (what < 27) {
    pass(std::chrono::milliseconds{1 + (script_.byte() << script_.byte() % 12)});
  } else if (what < 28) {
    if (Other* other = someone()) {
      other->reads = !other->reads;
      if (other->reads) feed(StreamWritable{other->stream, 0});
    }
  } else if (what < 29) {
    slow_disk_ = script_.flag();
  } else if (what < 30) {
    const std::array codes{Code::no_space, Code::io, Code::mismatch};
    disk_.fail_next(1 + script_.byte() % 4, codes[script_.byte() % codes.size()]);
  } else if (what < 31) {
    refuses_dials_ = script_.flag();
    for (const Dial& dial : std::exchange(dials_, {})) dialled(dial);
  } else {
    const ByteView bytes = script_.take(script_.byte());
    feed(DatagramIn{place(script_.byte() % most_others), bytes});
  }
  if (!slow_disk_ || disk_.idle()) run_disk();
  check();
}

void SessionWorld::end() {
  slow_disk_ = false;
  disk_.fail_next(0, Code::io);
  const CommandId stop = ++last_command_;
  commands_[stop] = false;
  feed(CommandIn{stop, Stop{}});
  for (int turns = 0; !commands_[stop]; ++turns) {
    SHOAL_CHECK(turns < 100);
    run_disk();
    pass(std::chrono::seconds{1});
  }
  SHOAL_CHECK(disk_.idle());
  for (const auto& [command, ended] : commands_) SHOAL_CHECK(ended);
}

void SessionWorld::accept() {
  if (others_.size() >= 64) return;
  auto other = std::make_unique<Other>();
  other->number = script_.byte() % most_others;
  other->stream = accepted_stream + others_.size() + 1;
  other->from = place(other->number);
  other->codec = dialler(other->number);
  Other& placed = *others_.emplace_back(std::move(other));
  streams_[placed.stream] = true;
  feed(StreamAccepted{placed.stream, placed.from});
  flush(placed);
}

void SessionWorld::dialled(const Dial& dial) {
  if (!streams_.contains(dial.stream)) return;  // given up meanwhile
  const std::uint32_t number = dial.to.port - 5000U;
  if (refuses_dials_ || number >= most_others || place(number) != dial.to || others_.size() >= 64) {
    streams_[dial.stream] = false;
    return feed(StreamClosed{dial.stream, StreamClosed::Why::refused});
  }
  auto other = std::make_unique<Other>();
  other->stream = dial.stream;
  other->number = number;
  other->from = dial.to;
  other->codec = answerer(number);
  others_.push_back(std::move(other));
  feed(StreamConnected{dial.stream});
}

std::unique_ptr<WireCodec> SessionWorld::dialler(std::uint32_t number) {
  if (dialect_ == Speak::bittorrent) {
    BtParams params;
    const bool by_v2 = script_.flag() || !content_.v1;
    params.info_hash = by_v2 ? short_name(content_.id) : *content_.v1;
    params.accepted = {params.info_hash};
    params.v2 = short_name(content_.id);
    params.peer_id.fill(static_cast<std::uint8_t>(number + 1));
    return BtWire::make_dialler(params, pool_);
  }
  const dht::EpochKeys& epoch = keys_.current(now().wall);
  ChannelParams params;
  params.ours = key_of(number);
  params.remote = dht::exchange_key(config_of(dialect_).identity, content_.id).public_key;
  params.psk = epoch.psk;
  params.tag = dht::dial_tag(epoch, params.remote, now().wall);
  return NativeWire::make_initiator(params, random_, pool_);
}

std::unique_ptr<WireCodec> SessionWorld::answerer(std::uint32_t number) {
  if (dialect_ == Speak::bittorrent) {
    BtParams params;
    params.v2 = short_name(content_.id);
    params.info_hash = *params.v2;
    params.accepted = {*params.v2};
    if (content_.v1) params.accepted.push_back(*content_.v1);
    params.peer_id.fill(static_cast<std::uint8_t>(number + 1));
    return BtWire::make_answerer(params, pool_);
  }
  const dht::EpochKeys& epoch = keys_.current(now().wall);
  ChannelParams params;
  params.ours = key_of(number);
  params.psk = epoch.psk;
  params.tag = dht::dial_tag(epoch, params.ours.public_key, now().wall);
  return NativeWire::make_responder(params, random_, pool_);
}

void SessionWorld::raw(Other& other) {
  const ByteView bytes = script_.take(script_.byte());
  if (!bytes.empty()) feed(StreamReceived{other.stream, bytes});
}

void SessionWorld::close(Other& other) {
  other.gone = true;
  streams_[other.stream] = false;
  feed(StreamClosed{other.stream, script_.flag() ? StreamClosed::Why::by_peer : StreamClosed::Why::failed});
}

void SessionWorld::pass(Duration ahead) {
  const Instant until = mono_ + ahead;
  int turns = 0;
  while (session_.next_wake() <= until) {
    const Instant due = session_.next_wake();
    SHOAL_CHECK(++turns < 10'000);
    mono_ = std::max(mono_, due);
    feed(Tick{});
    if (!slow_disk_) run_disk();
  }
  mono_ = until;
}

// ---- between the session and the world

void SessionWorld::feed(Input&& input) {
  std::vector<Output> out;
  session_.handle(now(), std::move(input), out);
  SHOAL_CHECK(out.size() <= 4096);
  for (Output& each : out) perform(each);
}

void SessionWorld::perform(Output& output) {
  if (auto* job = std::get_if<DiskJob>(&output)) {
    disk_.take(std::move(*job));
  } else if (auto* write = std::get_if<Write>(&output)) {
    SHOAL_CHECK(streams_.contains(write->stream));
    written(*write);
  } else if (const auto* pause = std::get_if<PauseRead>(&output)) {
    SHOAL_CHECK(streams_.contains(pause->stream));
  } else if (const auto* gone = std::get_if<Close>(&output)) {
    SHOAL_CHECK(streams_.erase(gone->stream) == 1);  // known, and closed but once
    if (Other* other = with(gone->stream)) other->open = false;
  } else if (const auto* dial = std::get_if<Dial>(&output)) {
    AddressRules rules;
    rules.own = {own};
    SHOAL_CHECK(streams_.try_emplace(dial->stream, true).second);
    SHOAL_CHECK(dialable(rules, dial->to, Source::exchange));  // THREATS A30
    dials_.push_back(*dial);
  } else if (const auto* answer = std::get_if<Answer>(&output)) {
    const bool unasked = std::holds_alternative<ReachAnswer>(answer->what) ||
                         std::holds_alternative<ClockAnswer>(answer->what);
    if (unasked) return;
    const auto command = commands_.find(answer->command);
    SHOAL_CHECK(command != commands_.end() && !command->second);
    const auto* event = std::get_if<ContentEvent>(&answer->what);
    if (event == nullptr || event->what == ContentEvent::What::closed) command->second = true;
    stopped_ = stopped_ || std::holds_alternative<Stopped>(answer->what);
  }
}

void SessionWorld::flush(Other& other) {
  std::vector<Buffer> frames;
  other.codec->flush(now(), frames);
  for (Buffer& frame : frames) {
    if (other.open && !other.gone) feed(StreamReceived{other.stream, frame.view()});
    pool_.give(std::move(frame));
  }
}

void SessionWorld::written(Write& write) {
  Other* other = with(write.stream);
  if (other != nullptr && !other->gone) {
    std::vector<wire::Message> messages;
    SHOAL_CHECK(other->codec->receive(now(), write.bytes.view(), messages));
    for (wire::Message& message : messages) heard(*other, message);
  }
  pool_.give(std::move(write.bytes));
}

void SessionWorld::heard(Other& other, wire::Message& message) {
  if (const auto* request = std::get_if<wire::Request>(&message)) {
    SHOAL_CHECK(request->piece < content_.pieces && request->length <= storage::block_bytes);
    SHOAL_CHECK(request->begin + request->length <= content_.readable_bytes(request->piece));
    if (other.wanted.size() >= 256) other.wanted.erase(other.wanted.begin());
    other.wanted.push_back(*request);
  } else if (const auto* hashes = std::get_if<wire::HashRequest>(&message)) {
    if (other.hashes_wanted.size() < 64) other.hashes_wanted.push_back(*hashes);
  } else if (auto* block = std::get_if<wire::Block>(&message)) {
    SHOAL_CHECK(disk_.true_bytes(block->piece, block->begin, block->data.view()));
    pool_.give(std::move(block->data));
  } else if (const auto* have = std::get_if<wire::Have>(&message)) {
    SHOAL_CHECK(have->piece < content_.pieces && disk_.right(have->piece));
  }
}

void SessionWorld::run_disk() {
  for (int jobs = 0; !disk_.idle(); ++jobs) {
    SHOAL_CHECK(jobs < 10'000);
    feed(disk_.run_one());
  }
  for (const auto& other : others_)  // what was written for those who read has left
    if (other->reads && other->open && !other->gone && streams_.contains(other->stream))
      feed(StreamWritable{other->stream, 0});
  if (dials_.size() > 16)
    for (const Dial& dial : std::exchange(dials_, {})) dialled(dial);
}

void SessionWorld::check() {
  const auto status = session_.content(now(), content_.id);
  if (!status) return;
  SHOAL_CHECK(status->bytes_committed <= status->bytes_verified);
  SHOAL_CHECK(status->bytes_verified <= status->bytes_wanted && status->bytes_wanted <= content_.bytes);
  SHOAL_CHECK(status->wasted <= status->received);
  SHOAL_CHECK(status->peers <= limits::max_peers && status->candidates <= limits::max_candidates);
  SHOAL_CHECK(status->waiting_here <= status->peers * (limits::max_queue + limits::max_window));
  SHOAL_CHECK(status->waiting_there <= status->peers * limits::max_window);
  const Bitfield held = session_.held(content_.id);
  for (std::uint32_t piece = 0; piece < held.size(); ++piece)
    SHOAL_CHECK(!held.test(piece) || disk_.right(piece));
}

}  // namespace shoal::fuzz
