// A lone seed's reveals.
#include "swarm/super_seed.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "contents.hpp"

namespace shoal::swarm {
namespace {

using test::make_peer;
using test::make_random;

constexpr Instant start{std::chrono::seconds{1000}};

TEST(SuperSeed, ShowsEachPieceOnceBeforeAnyTwice) {
  SuperSeed seed{100, make_random(1)};
  for (std::uint32_t i = 0; i < 5; ++i) seed.add_peer(make_peer(i));
  std::map<std::uint32_t, int> times;
  std::vector<std::uint32_t> open[5];
  for (int round = 0; round < 10; ++round)
    for (std::uint32_t i = 0; i < 5; ++i) {
      std::vector<std::uint32_t> out;
      seed.reveal(start, make_peer(i), 2, out);
      for (const std::uint32_t piece : out) {
        ++times[piece];
        EXPECT_TRUE(seed.shown(make_peer(i), piece));
        open[i].push_back(piece);
      }
      EXPECT_EQ(open[i].size(), 2U);
      for (const std::uint32_t piece : open[i]) seed.peer_has(start, make_peer(i), piece);
      open[i].clear();
    }
  EXPECT_EQ(times.size(), 100U);
  for (const auto& [piece, count] : times) EXPECT_EQ(count, 1) << piece;
  EXPECT_EQ(seed.only_ours(), 0U);
  // Now everything is out: what fewest have, and never what the peer has.
  std::vector<std::uint32_t> out;
  seed.reveal(start, make_peer(0), 4, out);
  EXPECT_EQ(out.size(), 4U);
  for (const std::uint32_t piece : out) EXPECT_EQ(times[piece], 1);
}

TEST(SuperSeed, WhatTheChokedWereShownMayGoToOthers) {
  SuperSeed seed{6, make_random(1)};
  for (std::uint32_t i = 0; i < 3; ++i) seed.add_peer(make_peer(i));
  seed.set_slot(start, make_peer(0), SuperSeed::Slot::unchoked);
  std::vector<std::uint32_t> coming, waiting, again;
  seed.reveal(start, make_peer(0), 4, coming);
  seed.reveal(start, make_peer(1), 2, waiting);
  ASSERT_EQ(waiting.size(), 2U);
  seed.reveal(start, make_peer(2), 6, again);
  std::sort(waiting.begin(), waiting.end());
  std::sort(again.begin(), again.end());
  EXPECT_EQ(again, waiting) << "not what is on its way to the unchoked one";
  EXPECT_EQ(seed.open(make_peer(0)), 4U);
  // Neither to one that has a slot and nothing to do, unless it takes very long.
  seed.add_peer(make_peer(3));
  for (std::uint32_t piece = 0; piece < 6; ++piece)
    if (!std::count(coming.begin(), coming.end(), piece)) seed.peer_has(start, make_peer(3), piece);
  seed.set_slot(start, make_peer(3), SuperSeed::Slot::unchoked);
  again.clear();
  seed.reveal(start + std::chrono::seconds{9}, make_peer(3), 1, again);
  EXPECT_TRUE(again.empty());
  seed.reveal(start + std::chrono::seconds{10}, make_peer(3), 1, again);
  EXPECT_EQ(again.size(), 1U);
  seed.set_slot(start, make_peer(0), SuperSeed::Slot::choked);
  again.clear();
  seed.reveal(start, make_peer(2), 6, again);
  EXPECT_EQ(again.size(), 3U) << "what nobody is fetching, less the one that the idle one was shown";
}

TEST(SuperSeed, WhatALeavingPeerNeverFinishedIsFreshAgain) {
  SuperSeed seed{10, make_random(1)};
  seed.add_peer(make_peer(0));
  seed.add_peer(make_peer(1));
  std::vector<std::uint32_t> first, second;
  seed.reveal(start, make_peer(0), 10, first);
  EXPECT_EQ(first.size(), 10U);
  seed.peer_has(start, make_peer(0), first[0]);
  EXPECT_EQ(seed.only_ours(), 9U);
  seed.remove_peer(make_peer(0));
  EXPECT_EQ(seed.only_ours(), 10U);
  seed.reveal(start, make_peer(1), 9, second);
  EXPECT_EQ(second.size(), 9U);
  EXPECT_FALSE(seed.shown(make_peer(0), first[1]));
}

TEST(SuperSeed, TakersComeInTurn) {
  SuperSeed seed{20, make_random(1)};
  for (std::uint32_t i = 0; i < 4; ++i) seed.add_peer(make_peer(i));
  EXPECT_FALSE(seed.next_taker(start)) << "all are choked";
  for (std::uint32_t i = 0; i < 3; ++i) seed.set_slot(start, make_peer(i), SuperSeed::Slot::unchoked);
  std::vector<std::uint32_t> pieces;
  std::vector<PeerHandle> takers;
  for (int i = 0; i < 6; ++i) {
    takers.push_back(seed.next_taker(start));
    seed.reveal(start + std::chrono::seconds{i}, takers.back(), seed.open(takers.back()) + 1, pieces);
  }
  EXPECT_EQ(pieces.size(), 6U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(takers[i], takers[i + 3]);
  EXPECT_NE(takers[0], takers[1]);
  EXPECT_NE(takers[1], takers[2]);
  // Whoever finishes has fewest.
  seed.peer_has(start, takers[1], pieces[1]);
  EXPECT_EQ(seed.next_taker(start), takers[1]);
  EXPECT_EQ(seed.on_their_way(start + std::chrono::seconds{6}), 5U);
  // Those last shown something more than ten seconds ago do not count.
  EXPECT_EQ(seed.on_their_way(start + std::chrono::seconds{14}), 2U);
}

// Whoever has many to finish gets no more before others who have passed on little: it would hoard them all.
TEST(SuperSeed, NobodyHoardsBecauseOthersKeepTheirs) {
  SuperSeed seed{40, make_random(1)};
  std::vector<std::uint32_t> pieces;
  for (std::uint32_t i = 0; i < 2; ++i) {
    seed.add_peer(make_peer(i));
    seed.set_slot(start, make_peer(i), SuperSeed::Slot::unchoked);
  }
  for (int i = 0; i < 6; ++i) {  // this one finishes what it is shown, and nobody takes it over
    pieces.clear();
    seed.reveal(start, make_peer(0), 1, pieces);
    ASSERT_TRUE(seed.peer_has(start, make_peer(0), pieces.front()));
  }
  seed.reveal(start, make_peer(1), 1, pieces);
  EXPECT_EQ(seed.next_taker(start), make_peer(1)) << "one to finish weighs less than two beyond the fourth";
  seed.reveal(start, make_peer(1), 4, pieces);
  EXPECT_EQ(seed.next_taker(start), make_peer(0));
}

TEST(SuperSeed, NoSecondCopyWhileFirstOnesAreOnTheirWay) {
  SuperSeed seed{2, make_random(1)};
  std::vector<std::uint32_t> pieces, more;
  for (std::uint32_t i = 0; i < 3; ++i) {
    seed.add_peer(make_peer(i));
    seed.set_slot(start, make_peer(i), SuperSeed::Slot::unchoked);
  }
  seed.reveal(start, make_peer(0), 1, pieces);
  seed.reveal(start, make_peer(1), 1, pieces);
  seed.peer_has(start, make_peer(0), pieces[0]);
  seed.reveal(start, make_peer(2), 1, more);
  EXPECT_TRUE(more.empty());
  seed.peer_has(start, make_peer(1), pieces[1]);
  seed.reveal(start, make_peer(2), 1, more);
  EXPECT_EQ(more.size(), 1U);
}

TEST(SuperSeed, EndsWithEverythingShown) {
  SuperSeed seed{10, make_random(1)};
  seed.add_peer(make_peer(0));
  for (int i = 0; i < 20; ++i) {
    std::vector<std::uint32_t> out;
    seed.reveal(start, make_peer(0), 3, out);
    for (const std::uint32_t piece : out) seed.peer_has(start, make_peer(0), piece);
  }
  for (std::uint32_t piece = 0; piece < 10; ++piece) EXPECT_TRUE(seed.shown(make_peer(0), piece));
}

TEST(SuperSeed, IsUsefulForTheOnlySeedOfAYoungSwarm) {
  EXPECT_TRUE(super_seeding_useful(true, 5, 0));
  EXPECT_FALSE(super_seeding_useful(false, 5, 0));
  EXPECT_TRUE(super_seeding_useful(true, 1, 0));
  EXPECT_FALSE(super_seeding_useful(true, 0, 0));
  EXPECT_FALSE(super_seeding_useful(true, 5, 1));
}

}  // namespace
}  // namespace shoal::swarm
