// Strangers who speak BitTorrent's dialect correctly and mean ill, against one whole peer: what they can make
// it do, and whom they can make it dial.
#include <algorithm>

#include "cli/sim/oracle.hpp"
#include "swarm/limits.hpp"
#include "swarm/peer_priority.hpp"
#include "tests/heap.hpp"
#include "tests/scenarios/alone.hpp"

namespace shoal::sim {
namespace {

// THREATS A24: there are so many pieces, and no more to be said of them.
TEST(Stranger, WhoSaysTheSameOfPiecesWithoutEndIsLeft) {
  Alone world;
  world.meet_a_seed();
  const std::uint64_t enough =
      std::uint64_t{swarm::limits::haves_per_piece} * world.content->pieces + swarm::limits::spare_haves;
  for (const bool has : {true, false}) {
    Alone::Stranger& one = world.stranger(*Endpoint::parse(has ? "20.1.0.1:5000" : "20.2.0.1:5000"));
    world.say(one, wire::Pieces{});
    std::uint64_t said = 0;
    for (; said < 2 * enough && !one.closed; ++said)
      if (has)
        world.say(one, wire::Have{3});
      else
        world.say(one, wire::DontHave{3});
    EXPECT_EQ(said, enough + 1) << has;
  }
  // What an honest one says stands: every piece once, each lost and had again.
  Alone::Stranger& honest = world.stranger(*Endpoint::parse("20.3.0.1:5000"));
  world.say(honest, wire::Pieces{});
  for (std::uint32_t piece = 0; piece + 1 < world.content->pieces; ++piece)
    world.say(honest, wire::Have{piece});
  for (std::uint32_t piece = 0; piece < 20; ++piece) {
    world.say(honest, wire::DontHave{piece});
    world.say(honest, wire::Have{piece});
  }
  EXPECT_FALSE(honest.closed);
}

// THREATS A16: the shortest messages are values of many bytes each, but only while they are looked at.
TEST(Stranger, AFloodOfTheShortestMessagesLeavesNothingBehind) {
  Alone world;
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  const Bytes keep_alives(256 * kib, 0);
  const std::size_t before = heap_in_use();
  world.feed(swarm::StreamReceived{one.stream, keep_alives});
  EXPECT_TRUE(one.closed);
  EXPECT_LT(heap_in_use(), before + keep_alives.size());
}

// A few bytes that are work for every piece: to have all, but one, and all again.
TEST(Stranger, WhoTurnsAboutWithoutEndIsLeft) {
  Alone world;
  world.meet_a_seed();
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  world.say(one, wire::Pieces{.form = wire::Pieces::Form::all});
  std::uint32_t turns = 0;
  for (; turns < 1000 && !one.closed; ++turns) {
    world.say(one, wire::DontHave{turns % world.content->pieces});
    world.say(one, wire::Pieces{.form = wire::Pieces::Form::all});
  }
  EXPECT_LE(turns, swarm::limits::max_turnabouts / 2 + 1);
  EXPECT_GE(turns, swarm::limits::max_turnabouts / 2);
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

// Each from a network of its own.
Endpoint far(std::uint32_t n) { return {IpAddress::v4(0x15000000 + (n << 12)), 5'000}; }

std::uint32_t open_streams(const std::vector<Alone::Stranger*>& all) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(all, [](const Alone::Stranger* one) { return !one->closed; }));
}

// Whom BEP 40 values least, of those that are still connected.
Alone::Stranger& least(const Alone& world, const std::vector<Alone::Stranger*>& all) {
  const auto rank = [&](const Alone::Stranger* one) {
    return std::pair{one->closed, swarm::peer_priority(world.own, one->from)};
  };
  return **std::ranges::min_element(all, {}, rank);
}

// THREATS A22: idlers do not hold all places for ever, and do not lose them all at once to who comes in a
// crowd.
TEST(Stranger, WhoLiesIdleMakesPlaceForAnother) {
  Alone world;
  std::vector<Alone::Stranger*> idlers;
  for (std::uint32_t n = 0; n < swarm::limits::max_peers + 10; ++n) {
    idlers.push_back(&world.stranger(far(n)));
    world.say(*idlers.back(), wire::Interested{});
  }
  EXPECT_EQ(open_streams(idlers), swarm::limits::max_peers);
  EXPECT_TRUE(world.stranger(far(500)).closed) << "they are new";
  world.run_for(swarm::limits::newcomer_for + 1s);
  for (Alone::Stranger* one : idlers) world.say(*one, wire::KeepAlive{});
  const std::uint32_t before = open_streams(idlers);
  ASSERT_EQ(before, swarm::limits::max_peers);
  const Alone::Stranger& goes = least(world, idlers);
  Alone::Stranger& fresh = world.stranger(far(501));
  EXPECT_FALSE(fresh.closed);
  EXPECT_TRUE(goes.closed);
  world.say(fresh, wire::Interested{});
  EXPECT_TRUE(world.stranger(far(502)).closed) << "one in a while";
  EXPECT_EQ(open_streams(idlers), before - 1);
  world.run_for(swarm::limits::place_period);
  EXPECT_FALSE(world.stranger(far(503)).closed);
  EXPECT_EQ(open_streams(idlers), before - 2);
}

// A22: those who have greeted, and want nothing, hold no place against anybody; also while they come again
// and again.
TEST(Stranger, A22ACrowdThatMerelyGreetsKeepsNobodyOut) {
  Alone world;
  std::vector<Alone::Stranger*> crowd;
  for (std::uint32_t n = 0; n < swarm::limits::max_peers; ++n) {
    crowd.push_back(&world.stranger(far(n)));
    world.say(*crowd.back(), wire::NotInterested{});
  }
  Alone::Stranger& asks = *crowd.front();
  world.say(asks, wire::Interested{});
  EXPECT_TRUE(world.stranger(far(500)).closed) << "they have a second to say what they want";
  std::vector<Alone::Stranger*> honest;
  for (std::uint32_t n = 0; n < 30; ++n) {
    world.run_for(swarm::limits::silent_place);
    Alone::Stranger& one = world.stranger(far(600 + n));
    EXPECT_FALSE(one.closed) << n;
    world.say(one, wire::Interested{});
    honest.push_back(&one);
    for (std::uint32_t k = 0; k < 20; ++k)
      world.say(world.stranger(far(1'000 + 20 * n + k)), wire::NotInterested{});
  }
  EXPECT_EQ(open_streams(honest), honest.size());
  EXPECT_FALSE(asks.closed);
}

TEST(Stranger, WhoTakesWhatWeGiveKeepsItsPlace) {
  Alone world;
  world.meet_a_seed();
  std::vector<Alone::Stranger*> all;
  for (std::uint32_t n = 0; n < swarm::limits::max_peers; ++n) {
    all.push_back(&world.stranger(far(n)));
    world.say(*all.back(), wire::NotInterested{});
  }
  Alone::Stranger& takes = least(world, all);
  world.say(takes, wire::Interested{});
  std::uint32_t piece = 0;
  const auto take = [&] {
    for (const Instant end = world.now().mono + swarm::limits::newcomer_for; world.now().mono < end;) {
      world.say(takes, wire::Request{piece++ % 512, 0, storage::block_bytes});
      world.run_for(1s);
    }
  };
  take();
  EXPECT_GT(takes.got, 4 * 16 * kib);
  for (Alone::Stranger* one : all) world.say(*one, wire::KeepAlive{});
  for (std::uint32_t n = 0; n < swarm::limits::max_peers - 1; ++n) {
    Alone::Stranger& fresh = world.stranger(far(500 + n));
    EXPECT_FALSE(fresh.closed) << n;
    world.say(fresh, wire::NotInterested{});
    for (std::uint32_t i = 0; i < 10; ++i) {
      world.say(takes, wire::Request{piece++ % 512, 0, storage::block_bytes});
      world.run_for(swarm::limits::place_period / 10);
    }
    if (n % 6 == 0)
      for (Alone::Stranger* one : all) world.say(*one, wire::KeepAlive{});
  }
  EXPECT_FALSE(takes.closed);
  EXPECT_LT(open_streams(all), swarm::limits::max_peers);
}

// Whoever holds the places that are for those who dial us: we go on dialling of our own choice.
TEST(Stranger, ACrowdAtTheDoorDoesNotKeepUsIn) {
  Alone world;
  std::vector<Alone::Stranger*> crowd;
  for (std::uint32_t n = 0; n < swarm::limits::max_peers; ++n) {
    crowd.push_back(&world.stranger(far(n)));
    world.say(*crowd.back(), wire::Interested{});
  }
  wire::PeerExchange names;
  for (std::uint32_t n = 0; n < 40; ++n) names.added.push_back({far(1'000 + n), std::nullopt, true});
  world.say(*crowd.front(), names);
  world.run_for(1s);
  EXPECT_EQ(open_streams(crowd), swarm::limits::max_peers);
  EXPECT_EQ(world.dialled.size(), 40U);  // and nobody was there
}

TEST(Stranger, OneHostTakesTwoPlaces) {
  Alone world;
  std::vector<Alone::Stranger*> same, elsewhere;
  for (std::uint16_t port = 0; port < 5; ++port) {
    same.push_back(&world.stranger({far(1).address, static_cast<std::uint16_t>(5'000 + port)}));
    world.say(*same.back(), wire::Interested{});
    elsewhere.push_back(&world.stranger(far(100 + port)));
    world.say(*elsewhere.back(), wire::Interested{});
  }
  EXPECT_EQ(open_streams(same), swarm::limits::established_per_host);
  EXPECT_EQ(open_streams(elsewhere), 5U);
}

// Who greets and then says nothing: few of a host, and few of all.
TEST(Stranger, TheSilentTakeFewPlaces) {
  Alone world;
  std::vector<Alone::Stranger*> same, crowd;
  for (std::uint16_t port = 0; port < 10; ++port)
    same.push_back(&world.stranger({far(1).address, static_cast<std::uint16_t>(5'000 + port)}));
  EXPECT_EQ(open_streams(same), swarm::limits::half_open_per_host);
  for (std::uint32_t n = 0; n < 200; ++n) {
    crowd.push_back(&world.stranger(far(100 + n)));
    world.run_for(1ms);
  }
  EXPECT_EQ(open_streams(crowd), swarm::limits::half_open_accepted);
  EXPECT_FALSE(crowd.back()->closed) << "the oldest goes, not who comes";
  world.run_for(swarm::limits::handshake_timeout + 2s);
  EXPECT_EQ(open_streams(crowd), 0U);
}

// Hashes of blocks cost us a read and a hash of the whole piece.
TEST(Stranger, WhoAsksForHashesAndTakesNothingIsToldSoMany) {
  constexpr std::uint32_t piece_length = 1 * mib, pieces = 80;
  Alone world{std::uint64_t{pieces} * piece_length, piece_length};
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  const storage::ContentFile& file = world.content->files.front();
  constexpr std::uint32_t blocks = piece_length / storage::block_bytes;
  const auto ask = [&](std::uint32_t piece) {
    const std::size_t before = one.heard.size();
    world.say(one, wire::HashRequest{file.root, 0, piece * blocks, blocks, 0});
    EXPECT_EQ(one.heard.size(), before + 1);
    return std::holds_alternative<wire::Hashes>(one.heard.back());
  };
  std::uint32_t told = 0;
  while (told < pieces && ask(told)) ++told;
  EXPECT_EQ(told, swarm::limits::hashing_credit / piece_length);
  EXPECT_TRUE(ask(0)) << "of those we know them by now";
  world.run_for(std::chrono::seconds{piece_length / swarm::limits::hashing_pace});
  EXPECT_TRUE(ask(told++)) << "a steady pace";
  EXPECT_FALSE(ask(told));
  world.say(one, wire::Interested{});
  world.meet_a_seed();
  while (ask(told)) ++told;
  for (std::uint32_t block = 0; block < blocks; ++block)
    world.say(one, wire::Request{0, block * storage::block_bytes, storage::block_bytes});
  world.run_for(1s);
  std::uint32_t more = 0;
  while (ask(told + more)) ++more;
  EXPECT_GE(more, 2U) << "who takes a piece may ask for two";
  EXPECT_LE(more, 4U);
  EXPECT_FALSE(one.closed);
}

template <class Message>
std::ptrdiff_t count_of(const Alone::Stranger& one) {
  return std::ranges::count_if(
      one.heard, [](const wire::Message& message) { return std::holds_alternative<Message>(message); });
}

// What the disk gives is not what was written, and the file looks the same: whoever asks for hashes must not
// be told false ones, for which we would be left as a liar.
TEST(Stranger, HashesOfBytesThatRottedAreNotTold) {
  constexpr std::uint32_t piece_length = 64 * kib, blocks = piece_length / storage::block_bytes;
  Alone world{1 * mib, piece_length};
  world.meet_a_seed();
  auto folder = world.machine().vfs().open_folder(data_folder, storage::Vfs::Missing::error);
  ASSERT_TRUE(folder);
  auto file = (*folder)->open("film", storage::OpenMode::write);
  ASSERT_TRUE(file);
  const auto before = (*file)->stamp();
  world.machine().disk().set_wall(before->mtime_ns);
  ASSERT_TRUE((*file)->write_at(3 * piece_length + 5, Bytes(10, 0xab)));
  ASSERT_EQ((*file)->stamp().value(), before.value()) << "or it is seen at once";
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  const auto ask = [&](std::uint32_t piece) {
    world.say(one, wire::HashRequest{world.content->files.front().root, 0, piece * blocks, blocks, 0});
  };
  ask(2);
  EXPECT_EQ(count_of<wire::Hashes>(one), 1);
  ask(3);
  ask(3);
  EXPECT_EQ(count_of<wire::Hashes>(one), 1);
  EXPECT_EQ(count_of<wire::HashReject>(one), 2);
  EXPECT_EQ(world.status().bytes_verified, world.content->bytes - piece_length);
  EXPECT_FALSE(one.closed);
}

// Whoever had a disk that failed for a moment hashes its pieces again, and says that it has them again. The
// native dialect has no word for the time between.
TEST(Stranger, WhoSaysOnceMoreThatItHasAPieceStays) {
  Alone world{8 * mib, 16 * kib, swarm::Way::native};
  world.meet_a_seed();
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  world.say(one, wire::Pieces{});
  for (int again = 0; again < 2; ++again)
    for (std::uint32_t piece = 0; piece < 100; ++piece) world.say(one, wire::Have{piece});
  EXPECT_FALSE(one.closed);
}

// While we seed alone, what we have given counts as there without a word: that is none of its words.
TEST(Stranger, WhoHasSaidAllThatItMayOfPiecesIsGivenMore) {
  Alone world{1 * mib, 16 * kib};
  Alone::Stranger& one = world.stranger(*Endpoint::parse("20.1.0.1:5000"));
  world.say(one, wire::Pieces{});
  world.say(one, wire::Interested{});
  const std::uint64_t enough =
      std::uint64_t{swarm::limits::haves_per_piece} * world.content->pieces + swarm::limits::spare_haves;
  for (std::uint64_t said = 0; said < enough; ++said) world.say(one, wire::Have{3});
  ASSERT_FALSE(one.closed);
  std::size_t at = 0;
  std::uint32_t taken = 0;
  for (int seconds = 0; seconds < 60; ++seconds) {
    for (; at < one.heard.size(); ++at) {
      const auto* shown = std::get_if<wire::Have>(&one.heard[at]);
      if (shown == nullptr) continue;
      ++taken;
      world.say(one, wire::Request{shown->piece, 0, storage::block_bytes});
    }
    world.run_for(1s);
  }
  EXPECT_FALSE(one.closed);
  EXPECT_GT(taken, 10U);
}

}  // namespace
}  // namespace shoal::sim
