// Somebody tries our port with whatever there is, to learn what listens there (THREATS A31, A32): a peer that
// has nothing public open never says a byte, and nothing it does tells one failure from another.
#include "dht/swarm_keys.hpp"
#include "swarm/native_channel.hpp"
#include "swarm/native_wire.hpp"
#include "tests/full_size.hpp"
#include "tests/scenarios/alone.hpp"

namespace shoal::sim {
namespace {

constexpr std::string_view http = "GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: probe\r\n\r\n";
constexpr std::string_view ssh = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";

class Prober {
 public:
  explicit Prober(Alone& world)
      : world_(world),
        keys_(world.content->id),
        theirs_(dht::exchange_key(world.identity(), world.content->id).public_key) {}

  // What a member dials with.
  Bytes first_flight() {
    const dht::EpochKeys& epoch = keys_.current(world_.now().wall);
    swarm::ChannelParams params;
    params.ours = crypto::ExchangeKey::from_secret(lots.bytes<32>());
    params.remote = theirs_;
    params.psk = epoch.psk;
    params.tag = dht::dial_tag(epoch, theirs_, world_.now().wall);
    std::vector<Buffer> out;
    swarm::NativeWire::make_initiator(params, lots, pool_)->flush(world_.now(), out);
    return to_vector(out.at(0).view());
  }
  enum Kind : std::uint8_t {
    noise,
    replay,
    replay_changed,
    tag,
    tag_and_noise,
    tls,
    web,
    shell,
    torrent,
    few
  };
  static constexpr std::uint32_t kinds = few + 1;
  // `recorded`: a first flight that was answered before.
  Bytes probe(std::uint32_t kind, ByteView recorded) {
    Bytes out = random_bytes(kind == noise ? 16 + lots.below(1000) : lots.below(600));
    const auto begin_with = [&](ByteView lead) { out.insert(out.begin(), lead.begin(), lead.end()); };
    switch (kind) {
      case noise:
        break;
      case replay:
        out = to_vector(recorded);
        break;
      case replay_changed:
        out = first_flight();
        out[lots.below(out.size())] ^= static_cast<std::uint8_t>(1 + lots.below(255));
        break;
      case tag:
        out = to_vector(recorded.first(swarm::channel_tag_bytes + lots.below(100)));
        break;
      case tag_and_noise:
        begin_with(recorded.first(swarm::channel_tag_bytes));
        break;
      case tls:
        begin_with(ByteArray<6>{0x16, 0x03, 0x01, 0x02, 0x00, 0x01});
        break;
      case web:
        out = to_vector(as_bytes(http));
        break;
      case shell:
        out = to_vector(as_bytes(ssh));
        break;
      case torrent:  // by the very name of the content
        begin_with(ByteView{world_.content->id}.first(20));
        begin_with(ByteArray<8>{});
        begin_with(
            as_bytes("\x13"
                     "BitTorrent protocol"));
        break;
      default:
        out.resize(1 + lots.below(15));
    }
    return out;
  }

  Random lots{ByteArray<32>{7}};

 private:
  Bytes random_bytes(std::size_t size) {
    Bytes out(size);
    lots.fill(out);
    return out;
  }
  Alone& world_;
  dht::SwarmKeys keys_;
  crypto::PublicKey theirs_;
  BufferPool pool_{4096};
};

// Each probe comes from its own network, in pieces and over some seconds; 32 at a time are there.
TEST(Probe, A32NothingIsSaidAndAllFailuresLookAlike) {
  constexpr std::uint32_t at_once = 32;
  const std::uint64_t probes = test::sized(10'000, 100'000);
  Alone world{MachineConfig{}};
  world.share(300'000, storage::Format::v2);
  Prober prober{world};
  StreamId stream = swarm::accepted_stream;
  const auto from = [](StreamId number) {
    return Endpoint{IpAddress::v4(0x15000000 + static_cast<std::uint32_t>(number % 0x8000) * 256), 5'000};
  };
  const auto join = [&] {
    ++stream;
    world.accept(stream, from(stream));
  };
  // A member is answered, all the while: the probes reach what they are about.
  Bytes recorded;
  const auto meet_a_member = [&] {
    recorded = prober.first_flight();
    join();
    world.feed(swarm::StreamReceived{stream, recorded});
    EXPECT_GE(world.said, swarm::second_flight_bytes);
    world.run_for(1min);
    world.said = 0;
  };
  for (std::uint64_t done = 0; done < probes; done += at_once) {
    if (done % (100 * at_once) == 0) meet_a_member();  // tags live for an hour
    const Instant accepted = world.now().mono;
    const StreamId first = stream + 1;
    std::vector<Bytes> all;
    for (std::uint32_t i = 0; i < at_once; ++i) {
      all.push_back(prober.probe(static_cast<std::uint32_t>(done + i) % Prober::kinds, recorded));
      join();
    }
    for (std::uint32_t part = 0; part < 3; ++part) {
      for (std::uint32_t i = 0; i < at_once; ++i) {
        const std::size_t third = all[i].size() / 3;
        const ByteView piece =
            part == 2 ? ByteView{all[i]}.subspan(2 * third) : ByteView{all[i]}.subspan(part * third, third);
        if (!piece.empty()) world.feed(swarm::StreamReceived{first + i, piece});
      }
      world.run_for(Duration{static_cast<std::int64_t>(prober.lots.below(1'600'000))});
    }
    world.run_for(10s);
    for (std::uint32_t i = 0; i < at_once; ++i)
      ASSERT_EQ(world.closed[first + i] - accepted, Duration{swarm::limits::handshake_timeout})
          << "kind " << (done + i) % Prober::kinds << ", " << all[i].size() << " bytes";
    ASSERT_EQ(world.said, 0U) << done;
    world.closed.clear();
    world.run_for(1s);
  }
  meet_a_member();
}

// Who says nothing at all is shown out earlier, and hears as little.
TEST(Probe, A32TheSilentHearNothing) {
  Alone world{MachineConfig{}};
  world.share(300'000, storage::Format::v2);
  const Instant accepted = world.now().mono;
  world.accept(swarm::accepted_stream | 1, *Endpoint::parse("21.0.0.1:5000"));
  world.run_for(20s);
  EXPECT_EQ(world.closed[swarm::accepted_stream | 1] - accepted, Duration{swarm::limits::first_byte_timeout});
  EXPECT_EQ(world.said, 0U);
}

}  // namespace
}  // namespace shoal::sim
