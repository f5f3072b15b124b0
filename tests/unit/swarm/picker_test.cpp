// Preferences of the picker by example, its invariants against a naive model, and its cost in steps.
//
// Length: the examples, the model and the costs are held against one and the same picker.
#include "swarm/picker.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <gtest/gtest.h>

#include "contents.hpp"

namespace shoal::swarm {
namespace {

using test::make_content;
using test::make_peer;
using test::make_random;

Bitfield bits(std::uint32_t size, const std::vector<std::uint32_t>& set) {
  Bitfield out{size};
  for (const std::uint32_t bit : set) out.set(bit);
  return out;
}
Bitfield all(std::uint32_t size) {
  Bitfield out{size};
  out.set_all();
  return out;
}

struct PickerTest : testing::Test {
  storage::ContentPtr content = make_content(65536, {65536 * 20, 65536 * 4});  // 24 pieces of 4 blocks
  PieceMap map{content, Bitfield{24}};
  Picker picker{map, make_random(1)};
  std::vector<BlockRef> out;

  std::vector<BlockRef> pick(std::uint32_t peer, std::uint32_t want, double speed = 0,
                             std::uint32_t outstanding = 0) {
    out.clear();
    const std::uint32_t picked = picker.pick({make_peer(peer), want, outstanding, speed}, out);
    EXPECT_EQ(picked, out.size());
    picker.check_invariants();
    map.check_invariants();
    return out;
  }
  void finish(std::uint32_t piece) {
    std::vector<BlockRef> blocks;
    map.request_free(piece, make_peer(999), 0, 100, blocks);
    for (const BlockRef block : blocks) {
      ASSERT_EQ(map.arrived(block, make_peer(999)).verdict, PieceMap::Verdict::accepted);
      (void)map.written(block, Sha256{});
    }
    map.verified(piece);
  }
};

TEST_F(PickerTest, CountsInterestAndAvailability) {
  picker.add_peer(make_peer(0), all(24));
  picker.add_peer(make_peer(1), bits(24, {1, 2, 3}));
  EXPECT_TRUE(picker.is_seed(make_peer(0)));
  EXPECT_EQ(picker.interesting(make_peer(0)), 24U);
  EXPECT_EQ(picker.interesting(make_peer(1)), 3U);
  EXPECT_EQ(picker.availability(1), 2U);
  EXPECT_EQ(picker.availability(0), 1U);
  finish(2);
  EXPECT_EQ(picker.interesting(make_peer(0)), 23U);
  EXPECT_EQ(picker.interesting(make_peer(1)), 2U);
  EXPECT_TRUE(picker.peer_has(make_peer(1), 9));
  EXPECT_FALSE(picker.peer_has(make_peer(1), 9));
  EXPECT_EQ(picker.interesting(make_peer(1)), 3U);
  for (std::uint32_t piece = 0; piece < 24; ++piece) picker.peer_has(make_peer(1), piece);
  EXPECT_TRUE(picker.is_seed(make_peer(1)));
  EXPECT_EQ(picker.seeds(), 2U);
  EXPECT_EQ(picker.availability(0), 2U);
  picker.remove_peer(make_peer(0));
  EXPECT_EQ(picker.availability(0), 1U);
  EXPECT_EQ(picker.interesting(make_peer(0)), 0U);
  picker.check_invariants();
}

TEST_F(PickerTest, ALiarLosesThePiece) {
  picker.add_peer(make_peer(0), all(24));
  picker.peer_lacks(make_peer(0), 5);
  EXPECT_FALSE(picker.has(make_peer(0), 5));
  EXPECT_EQ(picker.interesting(make_peer(0)), 23U);
  EXPECT_EQ(picker.availability(5), 0U);
  EXPECT_EQ(picker.seeds(), 0U);
  for (const BlockRef block : pick(0, 1000)) EXPECT_NE(block.piece, 5U);
  EXPECT_EQ(out.size(), 23U * 4);
  EXPECT_TRUE(picker.peer_has(make_peer(0), 5));
  EXPECT_TRUE(picker.is_seed(make_peer(0)));
  picker.check_invariants();
}

TEST_F(PickerTest, LeavesReservedPiecesAlone) {
  picker.add_peer(make_peer(0), all(24));
  map.reserve(5);
  const std::vector<std::uint32_t> soon{5};
  picker.set_deadlines(soon);
  EXPECT_EQ(picker.interesting(make_peer(0)), 24U);
  for (const BlockRef block : pick(0, 1000)) EXPECT_NE(block.piece, 5U);
  EXPECT_EQ(out.size(), 23U * 4);
  EXPECT_TRUE(picker.endgame()) << "nothing else is left to ask for";
  picker.add_peer(make_peer(2), all(24));
  for (const BlockRef block : pick(2, 1000)) EXPECT_NE(block.piece, 5U);
  finish(5);
  picker.check_invariants();
}

TEST_F(PickerTest, RarestFirst) {
  for (std::uint32_t peer = 1; peer <= 3; ++peer) {
    Bitfield most = all(24);
    most.reset(7);
    if (peer > 1) most.reset(11);
    picker.add_peer(make_peer(peer), most);
  }
  picker.add_peer(make_peer(0), all(24));
  const auto picked = pick(0, 8);
  ASSERT_EQ(picked.size(), 8U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(picked[i], (BlockRef{7, static_cast<std::uint32_t>(i)}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(picked[4 + i], (BlockRef{11, static_cast<std::uint32_t>(i)}));
}

TEST_F(PickerTest, TiesAreRandom) {
  std::set<std::uint32_t> first;
  for (std::uint8_t seed = 0; seed < 40; ++seed) {
    PieceMap fresh{content, Bitfield{24}};
    Picker one{fresh, make_random(seed)};
    one.add_peer(make_peer(0), all(24));
    out.clear();
    one.pick({make_peer(0), 1, 0, 0}, out);
    first.insert(out.at(0).piece);
  }
  EXPECT_GE(first.size(), 12U);
}

TEST_F(PickerTest, StaysOnAPieceInOrder) {
  picker.add_peer(make_peer(0), all(24));
  std::vector<BlockRef> one_by_one;
  for (int i = 0; i < 8; ++i) one_by_one.push_back(pick(0, 1).at(0));
  for (int i = 1; i < 8; ++i) {
    if (i % 4 == 0) continue;
    EXPECT_EQ(one_by_one[i].piece, one_by_one[i - 1].piece);
    EXPECT_EQ(one_by_one[i].block, one_by_one[i - 1].block + 1);
  }
}

TEST_F(PickerTest, PartialPiecesComeFirst) {
  picker.add_peer(make_peer(0), all(24));
  picker.add_peer(make_peer(1), all(24));
  const auto begun = pick(0, 2);
  for (const BlockRef block : begun) map.release(make_peer(0), block);  // nothing left: missing again
  const auto again = pick(0, 2);
  ASSERT_EQ(map.arrived(again[0], make_peer(0)).verdict, PieceMap::Verdict::accepted);
  map.release(make_peer(0), again[1]);  // choked: nobody works on it now
  const auto other = pick(1, 3);
  for (const BlockRef block : other) EXPECT_EQ(block.piece, again[0].piece);
}

TEST_F(PickerTest, SlowPeersLeaveFastOnesAlone) {
  for (std::uint32_t peer = 0; peer < 4; ++peer) picker.add_peer(make_peer(peer), all(24));
  const auto fast = pick(0, 2, 1e6);
  // A peer that is as fast does not join either: the piece is done in a moment.
  const auto equal = pick(1, 2, 1e6);
  EXPECT_NE(equal.at(0).piece, fast[0].piece);
  const auto slow = pick(2, 2, 1e3);
  ASSERT_EQ(slow.size(), 2U);
  EXPECT_NE(slow[0].piece, fast[0].piece);
  EXPECT_NE(slow[0].piece, equal[0].piece);
  // But the slow one's piece takes long: a fast one helps.
  EXPECT_EQ(pick(3, 1, 1e6).at(0).piece, slow[0].piece);
}

TEST_F(PickerTest, IdlePeersHelpWithWhateverIsFree) {
  picker.add_peer(make_peer(0), all(24));
  picker.add_peer(make_peer(1), bits(24, {0}));
  picker.set_deadlines(std::vector<std::uint32_t>{0});
  EXPECT_EQ(pick(0, 2, 1e6).at(0).piece, 0U);
  const auto slow = pick(1, 9, 10);
  ASSERT_EQ(slow.size(), 2U);  // it has nothing else
  EXPECT_EQ(slow[0], (BlockRef{0, 2}));
}

TEST_F(PickerTest, DeadlinesOutrankRarity) {
  picker.add_peer(make_peer(0), all(24));
  picker.set_deadlines(std::vector<std::uint32_t>{3, 4, 5});
  const auto picked = pick(0, 10);
  ASSERT_EQ(picked.size(), 10U);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(picked[i],
              (BlockRef{3 + static_cast<std::uint32_t>(i) / 4, static_cast<std::uint32_t>(i) % 4}));
}

TEST_F(PickerTest, PrioritiesOfFiles) {
  picker.add_peer(make_peer(0), all(24));
  picker.set_priority(1, Priority::high);
  for (const BlockRef block : pick(0, 16)) EXPECT_GE(block.piece, 20U);
  picker.set_priority(0, Priority::unwanted);
  EXPECT_TRUE(pick(0, 16).empty());
  EXPECT_EQ(picker.interesting(make_peer(0)), 4U);
  picker.set_priority(0, Priority::low);
  EXPECT_EQ(pick(0, 1000).size(), 80U);
}

TEST_F(PickerTest, EndgameRepeatsTheOldestAndIsBounded) {
  picker.add_peer(make_peer(0), all(24));
  picker.add_peer(make_peer(1), all(24));
  picker.add_peer(make_peer(2), all(24));
  const auto first = pick(0, 90);
  EXPECT_FALSE(picker.endgame());
  const auto last = pick(1, 50);
  EXPECT_EQ(last.size(), 6U + 10);  // 6 free blocks, then endgame: 16 outstanding at most
  EXPECT_TRUE(picker.endgame());
  EXPECT_EQ(last[6], first[0]);
  EXPECT_EQ(pick(1, 50, 0, 16).size(), 0U);
  const auto third = pick(2, 50);
  EXPECT_EQ(third.size(), 16U);
  for (const BlockRef block : third) {
    EXPECT_EQ(std::count(last.begin() + 6, last.end(), block), 0);  // two requesters are enough
    const auto arrival = map.arrived(block, make_peer(2));
    ASSERT_EQ(arrival.others, 1U);
  }
  map.check_invariants();
}

TEST_F(PickerTest, NoEndgameWhileSomethingFreeCanBeHad) {
  picker.add_peer(make_peer(0), bits(24, {0}));
  picker.add_peer(make_peer(1), bits(24, {0, 1}));
  EXPECT_EQ(pick(0, 100).size(), 4U);
  EXPECT_FALSE(picker.endgame());
  EXPECT_EQ(pick(1, 4).size(), 4U);
  EXPECT_TRUE(picker.endgame());  // the other pieces are nobody's
}

TEST_F(PickerTest, AStarvedPeerIsFedAgain) {
  picker.add_peer(make_peer(0), bits(24, {0}));
  picker.add_peer(make_peer(1), bits(24, {0}));
  picker.add_peer(make_peer(2), all(24));
  const auto taken = pick(0, 4);
  EXPECT_TRUE(pick(1, 4).empty());
  EXPECT_TRUE(pick(1, 4).empty());
  map.release(make_peer(0), taken[2]);
  EXPECT_EQ(pick(1, 4), (std::vector<BlockRef>{taken[2]}));
  EXPECT_TRUE(pick(1, 4).empty());
  EXPECT_TRUE(picker.peer_has(make_peer(1), 8));
  EXPECT_EQ(pick(1, 4).size(), 4U);
}

// THREATS A21: whoever has proven nothing is asked for few pieces before they are judged.
TEST_F(PickerTest, OfFewPiecesUntilTheyAreJudged) {
  const auto pick_of = [&](std::uint32_t peer, std::uint32_t unjudged) {
    out.clear();
    picker.pick({.peer = make_peer(peer), .want = 100, .unjudged = unjudged}, out);
    std::set<std::uint32_t> pieces;
    for (const BlockRef block : out) pieces.insert(block.piece);
    picker.check_invariants();
    return pieces;
  };
  const auto give = [&](std::uint32_t piece, std::uint32_t peer) {
    for (std::uint32_t block = 0; block < 4; ++block) {
      ASSERT_EQ(map.arrived({piece, block}, make_peer(peer)).verdict, PieceMap::Verdict::accepted);
      (void)map.written({piece, block}, Sha256{});
    }
  };
  picker.add_peer(make_peer(0), all(24));
  picker.add_peer(make_peer(1), all(24));
  const auto others = pick(1, 2);  // of its piece there is more, which is left to it
  const auto two = pick_of(0, 2);
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(out.size(), 8U);
  EXPECT_FALSE(two.contains(others[0].piece));
  EXPECT_TRUE(pick_of(0, 2).empty());
  const std::uint32_t right = *two.begin(), wrong = *two.rbegin();
  map.release(make_peer(0), {right, 3});
  EXPECT_EQ(pick_of(0, 2), std::set{right}) << "what is left of them";
  give(right, 0);
  give(wrong, 0);
  EXPECT_TRUE(pick_of(0, 2).empty()) << "whole, and not judged";
  map.verified(right);
  EXPECT_EQ(pick_of(0, 2).size(), 1U);
  EXPECT_TRUE(pick_of(0, 1).empty());
  map.failed(wrong);
  map.reset(wrong);
  map.reserve(wrong);
  const auto again = pick_of(0, 2);
  EXPECT_EQ(again.size(), 1U) << "one is not judged yet";
  EXPECT_FALSE(again.contains(wrong));
  EXPECT_GT(pick_of(0, 0).size(), 2U) << "once it is proven";
}

TEST_F(PickerTest, OfFewPiecesThoseThatThePeerCannotFinishDoNotCount) {
  const auto one = [&]() -> std::optional<std::uint32_t> {
    out.clear();
    picker.pick({.peer = make_peer(0), .want = 100, .unjudged = 1}, out);
    return out.empty() ? std::nullopt : std::optional{out.front().piece};
  };
  picker.add_peer(make_peer(0), all(24));
  const auto lost = one();
  ASSERT_TRUE(lost);
  EXPECT_FALSE(one());
  picker.peer_lacks(make_peer(0), *lost);
  const auto unwanted = one();
  ASSERT_TRUE(unwanted);
  EXPECT_FALSE(one());
  picker.set_priority(content->file_of(*unwanted), Priority::unwanted);
  EXPECT_TRUE(one());
  EXPECT_FALSE(one());
}

TEST_F(PickerTest, OfFewPiecesThoseOfOthersAreTheLast) {
  picker.add_peer(make_peer(0), bits(24, {0, 1}));
  picker.add_peer(make_peer(1), bits(24, {0}));
  EXPECT_EQ(pick(1, 2), (std::vector<BlockRef>{{0, 0}, {0, 1}}));
  out.clear();
  EXPECT_EQ(picker.pick({.peer = make_peer(0), .want = 100, .unjudged = 2}, out), 8U);
  EXPECT_EQ(out.front().piece, 1U);
  EXPECT_EQ(out[4], (BlockRef{0, 2}));
  EXPECT_EQ(out.back(), (BlockRef{0, 1})) << "asked of the other, too: the endgame";
}

TEST_F(PickerTest, OfFewPiecesTheEndgameToo) {
  picker.add_peer(make_peer(0), bits(24, {0, 1, 2}));
  picker.add_peer(make_peer(1), bits(24, {0, 1, 2}));
  EXPECT_EQ(pick(0, 100).size(), 12U);
  for (const std::uint32_t unjudged : {1U, 2U}) {
    out.clear();
    picker.pick({.peer = make_peer(1), .want = 100, .unjudged = unjudged}, out);
    EXPECT_EQ(out.size(), 4U) << "a piece, and another one";
    picker.check_invariants();
  }
  out.clear();
  EXPECT_EQ(picker.pick({.peer = make_peer(1), .want = 100, .unjudged = 2}, out), 0U);
}

// Every operation at random; whatever is picked must be held by the peer, wanted, and not asked of it
// already.
TEST(PickerModel, AgreesUnderRandomOperations) {
  for (std::uint8_t seed = 0; seed < 10; ++seed) {
    Random random = make_random(seed);
    const auto content = make_content(65536, {65536 * 30, 50000, 65536 * 40});
    PieceMap map{content, Bitfield{content->pieces}};
    Picker picker{map, make_random(static_cast<std::uint8_t>(seed + 100))};
    struct One {
      std::uint32_t generation = 0;
      std::set<std::uint32_t> has;
      std::set<BlockRef> asked;
    };
    std::vector<One> peers(12);
    const auto handle = [&](std::uint32_t i) { return make_peer(i, peers[i].generation); };
    std::vector<BlockRef> out, arrived;
    for (int step = 0; step < 4000; ++step) {
      const auto who = static_cast<std::uint32_t>(random.below(peers.size()));
      One& peer = peers[who];
      const auto piece = static_cast<std::uint32_t>(random.below(content->pieces));
      switch (random.below(10)) {
        case 0:
          if (random.below(4) != 0) break;
          for (const BlockRef block : peer.asked) map.release(handle(who), block);
          picker.remove_peer(handle(who));
          peer = One{peer.generation + 1, {}, {}};
          {
            Bitfield has{content->pieces};
            const auto density = random.below(4);
            for (std::uint32_t p = 0; p < content->pieces; ++p)
              if (density == 3 || random.below(4) < density) {
                has.set(p);
                peer.has.insert(p);
              }
            picker.add_peer(handle(who), has);
          }
          break;
        case 1:
          if (peer.generation > 0) {
            ASSERT_EQ(picker.peer_has(handle(who), piece), peer.has.insert(piece).second);
          }
          break;
        case 2:
          if (peer.generation > 0 && random.below(5) == 0) {
            picker.peer_lacks(handle(who), piece);
            peer.has.erase(piece);
          }
          break;
        case 3:
        case 4:
        case 5: {
          if (peer.generation == 0) break;
          out.clear();
          const auto want = static_cast<std::uint32_t>(random.below(12));
          const auto unjudged = static_cast<std::uint32_t>(random.below(limits::unproven_pieces + 1));
          picker.pick({.peer = handle(who),
                       .want = want,
                       .outstanding = static_cast<std::uint32_t>(peer.asked.size()),
                       .speed = random.unit() * 1e5,
                       .unjudged = unjudged},
                      out);
          ASSERT_LE(out.size(), want);
          std::set<std::uint32_t> pieces;
          for (const BlockRef block : out) pieces.insert(block.piece);
          ASSERT_TRUE(unjudged == 0 || pieces.size() <= limits::unproven_pieces);
          for (const BlockRef block : out) {
            ASSERT_TRUE(peer.has.contains(block.piece));
            ASSERT_TRUE(map.wanted(block.piece));
            ASSERT_EQ(map.block_state(block), BlockState::requested);
            ASSERT_TRUE(peer.asked.insert(block).second);
          }
          if (unjudged == 0 && out.size() < want && !picker.endgame()) {  // nothing free was overlooked
            for (const std::uint32_t p : peer.has) {
              for (std::uint32_t b = 0; b < content->blocks_in(p); ++b) {
                ASSERT_FALSE(map.wanted(p) && map.block_state({p, b}) == BlockState::free) << p;
              }
            }
          }
          break;
        }
        case 6:
        case 7: {
          if (peer.asked.empty()) break;
          const BlockRef block = *peer.asked.begin();
          peer.asked.erase(block);
          const auto arrival = map.arrived(block, handle(who));
          ASSERT_EQ(arrival.verdict, PieceMap::Verdict::accepted);
          for (std::uint32_t i = 0; i < arrival.others; ++i)
            peers[arrival.cancel[i].index].asked.erase(block);
          if (map.written(block, Sha256{}) == PieceMap::Progress::piece_complete) {
            if (random.below(4) == 0) {
              Sha256 other{};
              other[5] = 1;
              std::vector<Sha256> truth(content->blocks_in(block.piece));
              truth[0] = other;
              map.failed(block.piece);
              ASSERT_EQ(map.blame(block.piece, truth).size(), 1U);
            } else {
              map.verified(block.piece);
            }
          }
          break;
        }
        case 8:
          if (!peer.asked.empty()) {
            const BlockRef block = *peer.asked.rbegin();
            peer.asked.erase(block);
            map.release(handle(who), block);
          }
          break;
        default:
          if (random.below(10) == 0)
            picker.set_priority(static_cast<std::uint32_t>(random.below(3)),
                                static_cast<Priority>(random.below(4)));
      }
      std::uint32_t interesting = 0;
      for (const std::uint32_t p : peer.has) {
        const PieceState state = map.state(p);
        interesting +=
            map.wanted(p) && (state == PieceState::missing || state == PieceState::partial) ? 1 : 0;
      }
      ASSERT_EQ(picker.interesting(handle(who)), interesting);
      if (step % 50 == 0) {
        picker.check_invariants();
        map.check_invariants();
      }
    }
  }
}

// 100,000 pieces of 4 blocks, 500 peers: what a whole download costs, in candidates examined and swaps.
TEST(PickerCost, IsConstantABlock) {
  constexpr std::uint32_t pieces = 100'000, peers = 500;
  const auto content = make_content(65536, {std::uint64_t{pieces} * 65536});
  PieceMap map{content, Bitfield{pieces}};
  Picker picker{map, make_random(3)};
  Random random = make_random(4);
  for (std::uint32_t i = 0; i < peers; ++i) {
    if (i % 10 == 0) {
      picker.add_peer(make_peer(i), all(pieces));
      continue;
    }
    Bitfield has{pieces};  // some have few pieces, some many; some only the common end
    const std::uint64_t share = i % 7 == 0 ? 2 : 1 + random.below(100);
    const std::uint32_t from = i % 3 == 0 ? pieces / 2 : 0;
    for (std::uint32_t p = from; p < pieces; ++p)
      if (random.below(100) < share) has.set(p);
    picker.add_peer(make_peer(i), has);
  }
  const std::uint64_t before = picker.steps();
  std::uint64_t blocks = 0, duplicates = 0;
  std::vector<BlockRef> out;
  std::vector<std::vector<BlockRef>> asked(peers);
  for (std::uint32_t round = 0; !map.finished(); ++round) {
    ASSERT_LT(round, 100'000U);
    for (std::uint32_t i = 0; i < peers; ++i) {
      out.clear();
      picker.pick({make_peer(i), 4, 0, 1e5}, out);
      asked[i].insert(asked[i].end(), out.begin(), out.end());
    }
    for (std::uint32_t i = 0; i < peers; ++i) {
      for (const BlockRef block : asked[i]) {
        if (map.arrived(block, make_peer(i)).verdict != PieceMap::Verdict::accepted) {
          ++duplicates;
          continue;
        }
        ++blocks;
        if (map.written(block, Sha256{}) == PieceMap::Progress::piece_complete) {
          map.verified(block.piece);
          map.committed(block.piece);
        }
      }
      asked[i].clear();
    }
  }
  EXPECT_EQ(blocks, std::uint64_t{pieces} * 4);
  EXPECT_LT(duplicates, 5000U);
  const double steps = static_cast<double>(picker.steps() - before) / static_cast<double>(blocks);
  RecordProperty("steps_per_block", std::to_string(steps));
  EXPECT_LT(steps, 300) << "O(pieces) would be 100,000";
}

// One whose few pieces are the most common of all: the walk must not go through all rarer ones.
TEST(PickerCost, AFewCommonPiecesAreFoundByTheBitfield) {
  constexpr std::uint32_t pieces = 100'000;
  const auto content = make_content(16384, {std::uint64_t{pieces} * 16384});
  PieceMap map{content, Bitfield{pieces}};
  Picker picker{map, make_random(3)};
  Bitfield most = all(pieces);
  most.reset(0);
  for (std::uint32_t i = 1; i < 20; ++i) picker.add_peer(make_peer(i), most);
  picker.add_peer(make_peer(0), bits(pieces, {99'990, 99'995}));
  const std::uint64_t before = picker.steps();
  std::vector<BlockRef> out;
  EXPECT_EQ(picker.pick({make_peer(0), 5, 0, 0}, out), 2U);
  EXPECT_LT(picker.steps() - before, 6000U);
  const std::uint64_t starved = picker.steps();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(picker.pick({make_peer(0), 5, 0, 0}, out), 0U);
  EXPECT_LT(picker.steps() - starved, 1000U) << "a starved peer costs nothing";
}

}  // namespace
}  // namespace shoal::swarm
