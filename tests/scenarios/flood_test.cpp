// Who asks for more than it takes, in either dialect (THREATS A23), reads less than it asks for (A22), or
// comes from one place as many (libp2p CVE-2022-23492, CVE-2022-23486, CVE-2022-23487): what one peer can
// make us hold, and how long it may go on.
#include <functional>
#include <map>

#include "swarm/limits.hpp"
#include "swarm/peer.hpp"
#include "tests/scenarios/alone.hpp"

namespace shoal::sim {
namespace {

using swarm::Way;
namespace limits = swarm::limits;

constexpr std::uint64_t held_most = 256 * kib;  // of a peer

class Flood : public testing::TestWithParam<Way> {
 protected:
  static constexpr Duration apart{10};  // 100,000 a second

  Alone world{8 * mib, 16 * kib, GetParam()};
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  const storage::ContentFile& file = world.content->files.front();

  [[nodiscard]] wire::HashRequest hashes(std::uint32_t of = 0) const {  // 16 KiB an answer
    return {file.root, 0, of, 512, 0};
  }
  // Says what `next` gives until it is left, and how long that took; `never`: it was not, within a second.
  template <class Next>
  Duration flood(Next next) {
    const Instant began = world.now().mono;
    for (std::uint32_t i = 0; i < 100'000 && !one.closed; ++i) {
      world.say(one, next(i));
      world.run_for(apart);
    }
    return one.closed ? world.now().mono - began : Duration::max();
  }
};
INSTANTIATE_TEST_SUITE_P(Dialects, Flood, testing::Values(Way::plain, Way::native), [](const auto& each) {
  return each.param == Way::native ? "native" : "bittorrent";
});

// Nothing says that what was written has left.
TEST_P(Flood, A23WhoReadsNoAnswersMakesUsHoldLittle) {
  one.reads = false;
  const std::uint64_t before = one.got;
  EXPECT_LE(flood([&](std::uint32_t) { return wire::Message{hashes()}; }), 1s);
  const std::uint64_t waiting = limits::max_questions * sizeof(swarm::Peer::Question);
  EXPECT_GE(one.got - before, limits::answers_ahead);
  EXPECT_LE(one.got - before + waiting, held_most);
}

TEST_P(Flood, A23TheSameOfAllKindsAtOnce) {
  world.say(one, wire::Interested{});
  world.run_for(10s);
  one.reads = false;
  const std::uint64_t before = one.got;
  EXPECT_LE(flood([&](std::uint32_t i) -> wire::Message {
              const wire::Request block{i % 400, 0, storage::block_bytes};
              switch (i % 5) {
                case 0:
                  return hashes();
                case 1:
                  return wire::MetadataRequest{0};
                case 2:
                  return block;
                case 3:
                  return wire::Cancel{{(i - 1) % 400, 0, storage::block_bytes}};
                default:
                  return wire::HashRequest{};
              }
            }),
            1s);
  EXPECT_LE(one.got - before, held_most);
}

// It takes all that it is given.
TEST_P(Flood, A23AHundredThousandSmallThingsASecondEndWithinASecond) {
  using wire::Message;
  const wire::Request block{3, 0, storage::block_bytes};
  const std::map<std::string, std::function<Message(bool)>> kinds{
      {"hashes", [&](bool) { return Message{hashes()}; }},
      {"hashes of nothing", [&](bool) { return Message{wire::HashRequest{}}; }},
      {"metadata", [&](bool) { return Message{wire::MetadataRequest{0}}; }},
      {"metadata that is not there", [&](bool) { return Message{wire::MetadataRequest{7}}; }},
      {"blocks, choked", [&](bool) { return Message{block}; }},
      {"blocks, taken back", [&](bool odd) { return odd ? Message{wire::Cancel{block}} : Message{block}; }},
      {"interest",
       [&](bool odd) { return odd ? Message{wire::Interested{}} : Message{wire::NotInterested{}}; }},
      {"choking", [&](bool odd) { return odd ? Message{wire::Choke{}} : Message{wire::Unchoke{}}; }},
      {"nothing", [&](bool) { return Message{wire::KeepAlive{}}; }},
      {"rejects of hashes", [&](bool) { return Message{wire::HashReject{hashes()}}; }},
      {"rejects of metadata", [&](bool) { return Message{wire::MetadataReject{0}}; }},
      {"rejects of blocks", [&](bool) { return Message{wire::Reject{block}}; }},
      {"no pieces", [&](bool) { return Message{wire::Pieces{}}; }},
      {"parts of metadata", [&](bool) { return Message{wire::MetadataPart{0, 1, {}}}; }},
      {"pieces", [&](bool) { return Message{wire::Have{3}}; }},
  };
  for (const auto& [name, what] : kinds) {
    Alone fresh{8 * mib, 16 * kib, GetParam()};
    Alone::Stranger& other = fresh.stranger(*Endpoint::parse("20.1.0.1:5000"));
    fresh.say(other, wire::Pieces{});
    if (name == "blocks, choked") fresh.meet_a_seed();  // or it would be shown pieces, and unchoked
    if (name == "blocks, taken back") {
      fresh.say(other, wire::Interested{});
      fresh.run_for(10s);  // unchoked
    }
    const Instant began = fresh.now().mono;
    for (std::uint32_t i = 0; i < 100'000 && !other.closed; ++i) {
      fresh.say(other, what(i % 2 != 0));
      fresh.run_for(apart);
    }
    EXPECT_TRUE(other.closed) << name;
    EXPECT_LE(fresh.now().mono - began, 1s) << name;
  }
}

// Unchoked, and it takes nothing of what it asks for.
TEST_P(Flood, A23BlocksThatAreNotTakenAreNotRead) {
  world.meet_a_seed();
  Alone::Stranger& taker = world.stranger(*Endpoint::parse("20.2.0.1:5000"));
  world.say(taker, wire::Interested{});
  world.run_for(10s);
  for (std::uint32_t piece = 0; piece < 200; ++piece)  // our line is fast, as far as we know
    world.say(taker, wire::Request{piece, 0, storage::block_bytes});
  taker.reads = false;
  const std::uint64_t before = taker.got;
  const Instant began = world.now().mono;
  for (std::uint32_t i = 0; i < 100'000 && !taker.closed; ++i) {
    world.say(taker, wire::Request{200 + i % 300, 0, storage::block_bytes});
    world.run_for(apart);
  }
  EXPECT_TRUE(taker.closed);
  EXPECT_LE(world.now().mono - began, 1s);
  EXPECT_LE(taker.got - before, swarm::stream_low_water + 2 * storage::block_bytes + 40 * kib);
}

// Who asks for much at once, and reads, is told all of it, as fast as it reads.
TEST_P(Flood, AnHonestPeerIsToldAllThatItAsksFor) {
  one.reads = false;
  constexpr std::size_t questions = 900;
  const auto told = [&] {
    return std::ranges::count_if(
        one.heard, [](const wire::Message& each) { return std::holds_alternative<wire::Hashes>(each); });
  };
  for (std::size_t i = 0; i < questions; ++i) world.say(one, hashes());
  ASSERT_FALSE(one.closed);
  std::size_t rounds = 0;
  for (; told() < static_cast<std::ptrdiff_t>(questions) && rounds < questions; ++rounds) {
    const std::uint64_t before = one.got;
    world.take(one);
    EXPECT_LE(one.got - before, limits::answers_ahead + 20 * kib);
  }
  EXPECT_EQ(told(), static_cast<std::ptrdiff_t>(questions));
  EXPECT_LE(rounds, questions / 5) << "many at a time";
  EXPECT_FALSE(one.closed);
}

// THREATS A22: it lives and speaks, and takes nothing.
TEST_P(Flood, A22WhoReadsLessThanABlockAMinuteIsLeft) {
  one.reads = false;
  world.say(one, hashes());
  const auto live = [&](Duration time) {
    for (Duration passed{}; passed < time; passed += 20s) {
      world.say(one, wire::KeepAlive{});
      world.run_for(20s);
    }
  };
  live(60s);
  EXPECT_FALSE(one.closed) << "it has two blocks' time for so much";
  world.take(one);
  world.say(one, hashes());
  live(100s);
  EXPECT_FALSE(one.closed) << "it took something";
  live(60s);
  EXPECT_TRUE(one.closed);
  // And who has nothing to read may be silent for long.
  Alone::Stranger& idle = world.stranger(*Endpoint::parse("20.2.0.1:5000"));
  for (int i = 0; i < 60; ++i) {
    world.say(idle, wire::KeepAlive{});
    world.run_for(20s);
  }
  EXPECT_FALSE(idle.closed);
}

// libp2p CVE-2022-23492 and its like: a network has its share of the places, however many hosts are in it.
TEST(Crowd, Libp2pCve2022_23492OneNetworkTakesSoManyPlaces) {
  for (const bool v6 : {false, true}) {
    for (const bool speaks : {false, true}) {
      Alone world;
      const auto host = [&](std::uint32_t network, std::uint32_t n) {
        const std::string text = v6 ? "[2600:" + std::to_string(network) + ":1:" + std::to_string(n) + "::1]"
                                    : "20." + std::to_string(network) + ".1." + std::to_string(n);
        return *Endpoint::parse(text + ":5000");
      };
      std::uint32_t near = 0, far = 0;
      for (std::uint32_t n = 1; n <= 30; ++n) {
        Alone::Stranger& same = world.stranger(host(100, n));
        if (speaks) world.say(same, wire::Interested{});
        near += same.closed ? 0 : 1;
      }
      EXPECT_EQ(near, speaks ? limits::established_per_network : limits::half_open_per_network);
      for (std::uint32_t n = 1; n <= 4; ++n) {
        Alone::Stranger& elsewhere = world.stranger(host(100 + n, 1));
        if (speaks) world.say(elsewhere, wire::Interested{});
        far += elsewhere.closed ? 0 : 1;
      }
      EXPECT_EQ(far, 4U);
    }
  }
}

}  // namespace
}  // namespace shoal::sim
