// Alone: one whole peer whose outputs the test sees, and strangers who speak a dialect correctly and mean
// ill. There is no network: what the peer sends is counted, what a stranger sends is given to it. Disk jobs
// are done at once.
//
// Length: a stranger is nothing without the peer that he meets.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dht/swarm_keys.hpp"
#include "swarm/bt_wire.hpp"
#include "swarm/limits.hpp"
#include "swarm/native_wire.hpp"
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {

namespace wire = swarm::wire;
using swarm::StreamId;

class Alone {
 public:
  // It speaks one dialect and seeds one file: sealed in the native one, in BitTorrent's a hybrid.
  explicit Alone(std::uint64_t bytes = 8 * mib, std::uint32_t piece_length = 16 * kib,
                 swarm::Way way = swarm::Way::plain)
      : Alone(MachineConfig{.native = way == swarm::Way::native,
                            .mainline = way != swarm::Way::native,
                            .mse = swarm::Obfuscation::off}) {
    share(bytes, way == swarm::Way::native ? storage::Format::v2 : storage::Format::hybrid, piece_length);
  }
  // It has nothing yet. Strangers who are Stranger speak BitTorrent's dialect with it, if it does.
  explicit Alone(const MachineConfig& config, const Endpoint& v4 = *Endpoint::parse("20.0.0.1:6881"),
                 const Endpoint& v6 = {})
      : own(v4),
        way_(config.mainline ? swarm::Way::plain : swarm::Way::native),
        machine_(0, config, 1, pages_, pool_) {
    EXPECT_TRUE(machine_.start(v4, v6, wall()));
  }

  void share(std::uint64_t bytes, storage::Format format, std::uint32_t piece_length = 16 * kib) {
    const Oracle oracle = Oracle::single("film", bytes, 7);
    const auto path = oracle.plant(machine_);
    EXPECT_TRUE(path);
    auto shared = machine_.import({*path}, "film", wall(), piece_length, format);
    EXPECT_TRUE(shared);
    content = shared->content;
    swarm::OpenContent open;
    open.id = content->id;
    open.folder = shared->folder;
    open.seed.until = swarm::SeedUntil::forever;
    open.is_public = format != storage::Format::v2;
    feed(swarm::CommandIn{1, std::move(open)});
  }

  // Of that content it has nothing, and wants all; as a torrent names it, with its layers or without.
  void fetch(const storage::ContentPtr& what, std::vector<Bytes> layers = {}) {
    content = what;
    swarm::OpenContent open;
    open.id = what->id;
    open.info = what->info;
    open.layers = std::move(layers);
    open.folder = data_folder;
    open.seed.until = swarm::SeedUntil::forever;
    open.is_public = !what->sealed;
    feed(swarm::CommandIn{1, std::move(open)});
  }

  struct Stranger {
    StreamId stream = 0;
    Endpoint from;
    std::unique_ptr<swarm::WireCodec> codec;
    std::vector<wire::Message> heard;
    std::uint8_t who = 0;
    std::uint64_t got = 0;  // bytes that were written for it
    bool reads = true;      // them
    bool closed = false;
  };

  // Connected, and greeted, in BitTorrent's dialect by v2's name, if there is a place for it. `who` tells one
  // from another; without it nobody was here before.
  Stranger& stranger(const Endpoint& from, std::optional<std::uint8_t> who = std::nullopt) {
    Stranger& one = strangers_.emplace_back();
    one.stream = swarm::accepted_stream + strangers_.size();
    one.who = who.value_or(static_cast<std::uint8_t>(strangers_.size()));
    one.from = from;
    one.codec = native() ? native_dialler(one.who) : bittorrent_dialler(one.who);
    accept(one.stream, from);
    send(one);
    EXPECT_TRUE(one.codec->established() || one.closed);
    return one;
  }
  void say(Stranger& one, wire::Message message) {
    if (one.closed) return;
    one.codec->send(now(), std::move(message));
    send(one);
  }
  // What was written for it has left.
  void take(Stranger& one) { feed(swarm::StreamWritable{one.stream, 0}); }
  // Then everybody is told of all pieces: nobody is the only seed.
  void meet_a_seed() {
    Stranger& seed = stranger(*Endpoint::parse("20.200.0.1:5000"));
    say(seed, wire::Pieces{.form = wire::Pieces::Form::all});
    run_for(swarm::limits::handshake_timeout + 2s);
    EXPECT_TRUE(seed.closed) << "two seeds have nothing to say to each other";
  }
  void run_for(Duration duration) {
    const Instant end = mono_ + duration;
    while (machine_.session().next_wake() <= end) {
      mono_ = std::max(mono_, machine_.session().next_wake());
      feed(swarm::Tick{});
    }
    mono_ = end;
  }
  void feed(swarm::Input input) {
    std::vector<swarm::Output> outputs;
    machine_.feed(now(), std::move(input), outputs);
    for (swarm::Output& output : outputs) perform(output);
  }
  void accept(StreamId stream, const Endpoint& from) { feed(swarm::StreamAccepted{stream, from}); }

  [[nodiscard]] Now now() const { return {mono_, wall()}; }
  [[nodiscard]] swarm::ContentStatus status() { return machine_.session().contents(now()).at(0); }

  [[nodiscard]] Machine& machine() { return machine_; }
  [[nodiscard]] crypto::SecretKey identity() { return machine_.catalog().identity()->value().seed; }

  const Endpoint own;
  storage::ContentPtr content;
  std::vector<Endpoint> dialled;  // and each refuses
  std::function<void(const swarm::DatagramOut&)> on_datagram;
  std::map<StreamId, Instant> closed;
  std::uint64_t said = 0;  // bytes on all streams

 private:
  [[nodiscard]] bool native() const { return way_ == swarm::Way::native; }
  [[nodiscard]] std::unique_ptr<swarm::WireCodec> bittorrent_dialler(std::uint8_t who) {
    swarm::BtParams params;
    params.info_hash = to_array<20>(ByteView{content->id}.first(20));
    params.accepted = {params.info_hash};
    if (content->v2) params.v2 = params.info_hash;
    params.peer_id.fill(who);
    return swarm::BtWire::make_dialler(params, pool_);
  }
  [[nodiscard]] std::unique_ptr<swarm::WireCodec> native_dialler(std::uint8_t who) {
    dht::SwarmKeys keys{content->id};
    const dht::EpochKeys& epoch = keys.current(wall());
    swarm::ChannelParams params;
    params.ours = crypto::ExchangeKey::from_secret({1, who});
    params.remote = dht::exchange_key(identity(), content->id).public_key;
    params.psk = epoch.psk;
    params.tag = dht::dial_tag(epoch, params.remote, wall());
    return swarm::NativeWire::make_initiator(params, random_, pool_);
  }
  [[nodiscard]] WallTime wall() const {
    return from_unix_ms(1'800'000'000'000) +
           std::chrono::duration_cast<std::chrono::milliseconds>(mono_ - start);
  }

  void send(Stranger& one) {
    std::vector<Buffer> frames;
    one.codec->flush(now(), frames);
    for (Buffer& frame : frames) {
      if (!one.closed) feed(swarm::StreamReceived{one.stream, frame.view()});
      pool_.give(std::move(frame));
    }
  }
  void perform(swarm::Output& output) {
    if (auto* job = std::get_if<swarm::DiskJob>(&output)) {
      const std::uint64_t place = machine_.queue_job(mono_, std::move(*job)).second;
      if (auto done = machine_.run_job(place, wall())) feed(std::move(*done));
    } else if (auto* write = std::get_if<swarm::Write>(&output)) {
      written(*write);
    } else if (const auto* close = std::get_if<swarm::Close>(&output)) {
      closed[close->stream] = mono_;
      for (Stranger& one : strangers_) one.closed = one.closed || one.stream == close->stream;
    } else if (const auto* dial = std::get_if<swarm::Dial>(&output)) {
      dialled.push_back(dial->to);
      feed(swarm::StreamClosed{dial->stream, swarm::StreamClosed::Why::refused});
    } else if (const auto* datagram = std::get_if<swarm::DatagramOut>(&output)) {
      if (on_datagram) on_datagram(*datagram);
    }
  }
  void written(swarm::Write& write) {
    said += write.bytes.view().size();
    for (Stranger& one : strangers_) {
      if (one.stream != write.stream) continue;
      one.got += write.bytes.view().size();
      EXPECT_TRUE(one.codec->receive(now(), write.bytes.view(), one.heard));
      if (one.reads) feed(swarm::StreamWritable{one.stream, 0});
    }
    pool_.give(std::move(write.bytes));
  }

  static constexpr Instant start{std::chrono::hours{1}};
  Instant mono_ = start;
  const swarm::Way way_;
  Random random_{Random::Seed{1}};
  PageStore pages_;
  BufferPool pool_{64 * kib};
  Machine machine_;
  std::deque<Stranger> strangers_;
};

}  // namespace shoal::sim
