// Strangers who speak BitTorrent's dialect correctly and mean ill, against one whole peer whose outputs the
// test sees: what they can make it hold, and whom they can make it dial.
#include <deque>

#include "swarm/bt_wire.hpp"
#include "swarm/limits.hpp"
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

namespace wire = swarm::wire;
using swarm::StreamId;

// One machine and no network: what it sends is counted, what a stranger sends is given to it. Disk jobs are
// done at once.
class Alone {
 public:
  Alone()
      : machine_(0, {.native = false, .mainline = true, .mse = swarm::Obfuscation::off}, 1, pages_, pool_) {
    EXPECT_TRUE(machine_.start(own, Endpoint{}, wall()));
    const Oracle oracle = Oracle::single("film", 8 * mib, 7);
    const auto path = oracle.plant(machine_);
    EXPECT_TRUE(path);
    auto shared = machine_.import({*path}, "film", wall(), 16 * kib, storage::Format::hybrid);
    EXPECT_TRUE(shared);
    content = shared->content;
    swarm::OpenContent open;
    open.id = content->id;
    open.folder = shared->folder;
    open.seed.until = swarm::SeedUntil::forever;
    open.is_public = true;
    feed(swarm::CommandIn{1, std::move(open)});
  }

  struct Stranger {
    StreamId stream = 0;
    std::unique_ptr<swarm::BtWire> codec;
    std::vector<wire::Message> heard;
    std::uint64_t got = 0;  // bytes that were written for it
    bool closed = false;
  };

  // Connected, and greeted by v2's name; `reads`: whether it takes what is written for it.
  Stranger& stranger(const Endpoint& from) {
    Stranger& one = strangers_.emplace_back();
    one.stream = swarm::accepted_stream + strangers_.size();
    swarm::BtParams params;
    params.info_hash = to_array<20>(ByteView{content->id}.first(20));
    params.accepted = {params.info_hash};
    params.v2 = params.info_hash;
    params.peer_id.fill(static_cast<std::uint8_t>(strangers_.size()));
    one.codec = swarm::BtWire::make_dialler(params, pool_);
    feed(swarm::StreamAccepted{one.stream, from});
    send(one);
    EXPECT_TRUE(one.codec->established());
    return one;
  }
  void say(Stranger& one, wire::Message message) {
    if (one.closed) return;
    one.codec->send(now(), std::move(message));
    send(one);
  }
  void run_for(Duration duration) {
    for (const Instant end = mono_ + duration; machine_.session().next_wake() <= end;) {
      mono_ = std::max(mono_, machine_.session().next_wake());
      feed(swarm::Tick{});
    }
  }

  [[nodiscard]] swarm::ContentStatus status() { return machine_.session().contents(now()).at(0); }

  const Endpoint own = *Endpoint::parse("20.0.0.1:6881");
  storage::ContentPtr content;
  std::vector<Endpoint> dialled;

 private:
  [[nodiscard]] WallTime wall() const {
    return from_unix_ms(1'800'000'000'000) +
           std::chrono::duration_cast<std::chrono::milliseconds>(mono_ - start);
  }
  [[nodiscard]] Now now() const { return {mono_, wall()}; }

  void send(Stranger& one) {
    std::vector<Buffer> frames;
    one.codec->flush(now(), frames);
    for (Buffer& frame : frames) {
      if (!one.closed) feed(swarm::StreamReceived{one.stream, frame.view()});
      pool_.give(std::move(frame));
    }
  }
  void feed(swarm::Input input) {
    std::vector<swarm::Output> outputs;
    machine_.feed(now(), std::move(input), outputs);
    for (swarm::Output& output : outputs) perform(output);
  }
  void perform(swarm::Output& output) {
    if (auto* job = std::get_if<swarm::DiskJob>(&output)) {
      const std::uint64_t place = machine_.queue_job(mono_, std::move(*job)).second;
      if (auto done = machine_.run_job(place, wall())) feed(std::move(*done));
    } else if (auto* write = std::get_if<swarm::Write>(&output)) {
      written(*write);
    } else if (const auto* close = std::get_if<swarm::Close>(&output)) {
      for (Stranger& one : strangers_) one.closed = one.closed || one.stream == close->stream;
    } else if (const auto* dial = std::get_if<swarm::Dial>(&output)) {
      dialled.push_back(dial->to);
      feed(swarm::StreamClosed{dial->stream, swarm::StreamClosed::Why::refused});
    }
  }
  void written(swarm::Write& write) {
    for (Stranger& one : strangers_) {
      if (one.stream != write.stream) continue;
      one.got += write.bytes.view().size();
      EXPECT_TRUE(one.codec->receive(now(), write.bytes.view(), one.heard));
    }
    pool_.give(std::move(write.bytes));
  }

  static constexpr Instant start{std::chrono::hours{1}};
  Instant mono_ = start;
  PageStore pages_;
  BufferPool pool_{64 * kib};
  Machine machine_;
  std::deque<Stranger> strangers_;
};

// Who asks for hashes without end and reads none of them: nothing says that what was written has left, so
// what waits for it is bounded.
TEST(Stranger, WhoReadsNoAnswersIsLeft) {
  Alone world;
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  const storage::ContentFile& file = world.content->files.front();
  ASSERT_EQ(file.length, 8 * mib);
  for (int i = 0; i < 2'000 && !one.closed; ++i)
    world.say(one, wire::HashRequest{file.root, 0, 0, 512, 0});  // 16 KiB an answer
  EXPECT_TRUE(one.closed);
  EXPECT_GE(one.got, swarm::limits::max_unread);
  EXPECT_LE(one.got, swarm::limits::max_unread + 64 * kib);
}

// A peer has one port. Who names another with each hello leads us to no more than one place, and not again
// and again.
TEST(Stranger, ManyHellosAreOneCandidate) {
  Alone world;
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  for (std::uint16_t port = 1'000; port < 1'100; ++port) {
    wire::Hello hello;
    hello.listen_port = port;
    world.say(one, hello);
  }
  EXPECT_LE(world.status().candidates, 1U);
  world.run_for(10min);
  EXPECT_LE(world.dialled.size(), 3U);
  for (const Endpoint& to : world.dialled) EXPECT_EQ(to, world.dialled.front());
}

// BEP 11 is asked for in the hello: who has sent none is sent none, and nothing of it is lost for who says it
// late.
TEST(Stranger, WhoSaysHelloLateIsToldOfPeersThen) {
  Alone world;
  Alone::Stranger& asks = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  Alone::Stranger& silent = world.stranger(*Endpoint::parse("20.2.0.1:5000"));
  Alone::Stranger& third = world.stranger(*Endpoint::parse("20.3.0.1:5000"));
  wire::Hello hello;
  hello.listen_port = 5'000;
  world.say(asks, hello);
  world.say(third, hello);
  world.say(silent, wire::NotInterested{});  // of which no more than a handshake came would be let go
  world.run_for(90s);
  const auto told = [](const Alone::Stranger& one) {
    return std::ranges::count_if(one.heard, [](const wire::Message& message) {
      return std::holds_alternative<wire::PeerExchange>(message);
    });
  };
  EXPECT_GT(told(asks), 0);
  EXPECT_EQ(told(silent), 0);
  for (Alone::Stranger* other : {&asks, &third}) world.say(*other, wire::KeepAlive{});
  EXPECT_FALSE(silent.closed);
  hello.listen_port = 5'001;
  world.say(silent, hello);
  world.run_for(90s);
  EXPECT_GT(told(silent), 0);
}

}  // namespace
}  // namespace shoal::sim
