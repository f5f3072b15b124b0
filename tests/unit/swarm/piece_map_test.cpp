// The states of pieces and blocks, by example and against a naive model.
#include "swarm/piece_map.hpp"

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

const PeerHandle alice = make_peer(0), bob = make_peer(1), carol = make_peer(2);

Sha256 leaf(std::uint8_t value) {
  Sha256 out{};
  out[0] = value;
  return out;
}

// Pieces of 4 blocks; the last of the first file has 2, the last block of it is short.
struct PieceMapTest : testing::Test {
  storage::ContentPtr content = make_content(65536, {65536 * 3 + 20000, 0, 65536 * 2});
  PieceMap map{content, Bitfield{6}};
  std::vector<BlockRef> out;

  void fetch(BlockRef block, PeerHandle peer, std::uint8_t value = 1) {
    const auto arrival = map.arrived(block, peer);
    ASSERT_EQ(arrival.verdict, PieceMap::Verdict::accepted);
    (void)map.written(block, leaf(value));
  }
  void fetch_piece(std::uint32_t piece, PeerHandle peer) {
    out.clear();
    map.request_free(piece, peer, 0, 100, out);
    for (const BlockRef block : std::vector(out)) fetch(block, peer);
  }
};

TEST_F(PieceMapTest, StartsWithWhatItHas) {
  Bitfield have{6};
  have.set(1);
  have.set(5);
  const PieceMap some{content, have, {true, false, false}};
  some.check_invariants();
  EXPECT_EQ(some.state(1), PieceState::have);
  EXPECT_EQ(some.state(0), PieceState::missing);
  EXPECT_FALSE(some.wanted(4));
  EXPECT_EQ(some.wanted_pieces(), 4U);
  EXPECT_EQ(some.wanted_bytes(), 65536U * 3 + 20000);
  EXPECT_EQ(some.verified_bytes(), 65536U);
  EXPECT_EQ(some.verified_count(), 2U);
  EXPECT_EQ(some.free_blocks(), 4U + 4 + 2);
  EXPECT_FALSE(some.finished());
}

TEST_F(PieceMapTest, APieceGoesItsWay) {
  EXPECT_EQ(map.request_free(3, alice, 0, 100, out), 2U);
  EXPECT_EQ(out, (std::vector<BlockRef>{{3, 0}, {3, 1}}));
  EXPECT_EQ(map.state(3), PieceState::partial);
  const auto first = map.arrived({3, 1}, alice);
  EXPECT_EQ(first.verdict, PieceMap::Verdict::accepted);
  EXPECT_TRUE(first.first_of_piece);
  EXPECT_EQ(map.written({3, 1}, leaf(7)), PieceMap::Progress::more);
  const auto second = map.arrived({3, 0}, alice);
  EXPECT_FALSE(second.first_of_piece);
  EXPECT_EQ(map.written({3, 0}, leaf(6)), PieceMap::Progress::piece_complete);
  EXPECT_EQ(map.state(3), PieceState::complete);
  ASSERT_EQ(map.leaves(3).size(), 2U);
  EXPECT_EQ(map.leaves(3)[0], leaf(6));
  EXPECT_EQ(map.leaves(3)[1], leaf(7));
  EXPECT_FALSE(map.have(3));
  map.verified(3);
  EXPECT_EQ(map.state(3), PieceState::verified);
  EXPECT_FALSE(map.have(3));
  EXPECT_EQ(map.verified_bytes(), 20000U);
  EXPECT_EQ(map.committed_bytes(), 0U);
  map.check_invariants();
  map.committed(3);
  EXPECT_TRUE(map.have(3));
  EXPECT_EQ(map.committed_bytes(), 20000U);
  EXPECT_EQ(map.partial_blocks(), 0U);
  map.check_invariants();
}

TEST_F(PieceMapTest, OnlyWhatWasAskedIsTaken) {
  EXPECT_EQ(map.arrived({0, 0}, alice).verdict, PieceMap::Verdict::unrequested);
  map.request_free(0, alice, 0, 2, out);
  EXPECT_EQ(map.arrived({0, 0}, bob).verdict, PieceMap::Verdict::unrequested);
  EXPECT_EQ(map.arrived({0, 2}, alice).verdict, PieceMap::Verdict::unrequested);
  EXPECT_EQ(map.arrived({0, 0}, alice).verdict, PieceMap::Verdict::accepted);
  EXPECT_EQ(map.arrived({0, 0}, alice).verdict, PieceMap::Verdict::duplicate);
  (void)map.written({0, 0}, leaf(1));
  EXPECT_EQ(map.arrived({0, 0}, bob).verdict, PieceMap::Verdict::duplicate);
  map.check_invariants();
}

TEST_F(PieceMapTest, LateBlocksAreTakenIfStillNeeded) {
  map.request_free(0, alice, 0, 1, out);
  map.release(alice, {0, 0});
  EXPECT_EQ(map.state(0), PieceState::missing);
  EXPECT_EQ(map.arrived({0, 0}, alice).verdict, PieceMap::Verdict::unrequested);
  EXPECT_EQ(map.arrived({0, 0}, alice, PieceMap::Asked::late).verdict, PieceMap::Verdict::accepted);
  map.check_invariants();
  map.request_free(0, bob, 0, 1, out);
  EXPECT_EQ(out.back(), (BlockRef{0, 1}));
  const auto late = map.arrived({0, 1}, alice, PieceMap::Asked::late);
  EXPECT_EQ(late.verdict, PieceMap::Verdict::accepted);
  ASSERT_EQ(late.others, 1U);
  EXPECT_EQ(late.cancel[0], bob);
  EXPECT_EQ(map.arrived({0, 1}, bob, PieceMap::Asked::late).verdict, PieceMap::Verdict::duplicate);
  map.check_invariants();
}

TEST_F(PieceMapTest, EndgameAsksTwoAndCancelsTheOther) {
  map.request_free(0, alice, 0, 4, out);
  EXPECT_FALSE(map.request_again({0, 1}, alice));
  EXPECT_TRUE(map.request_again({0, 1}, bob));
  EXPECT_FALSE(map.request_again({0, 1}, carol));
  EXPECT_EQ(map.request_at(map.oldest_request()), (BlockRef{0, 0}));
  map.check_invariants();
  const auto arrival = map.arrived({0, 1}, bob);
  EXPECT_EQ(arrival.verdict, PieceMap::Verdict::accepted);
  ASSERT_EQ(arrival.others, 1U);
  EXPECT_EQ(arrival.cancel[0], alice);
  map.check_invariants();
  // Alice gives up block 2 that Bob was asked for as well: it stays requested, and is first in line.
  EXPECT_TRUE(map.request_again({0, 2}, bob));
  map.release(alice, {0, 2});
  EXPECT_EQ(map.block_state({0, 2}), BlockState::requested);
  EXPECT_EQ(map.request_at(map.oldest_request()), (BlockRef{0, 2}));
  map.release(bob, {0, 2});
  EXPECT_EQ(map.block_state({0, 2}), BlockState::free);
  map.check_invariants();
}

TEST_F(PieceMapTest, BlameNamesTheSenderAndKeepsTheRest) {
  map.request_free(0, alice, 0, 2, out);
  map.request_free(0, bob, 0, 2, out);
  fetch({0, 0}, alice, 1);
  fetch({0, 1}, alice, 2);
  fetch({0, 2}, bob, 99);
  fetch({0, 3}, bob, 4);
  map.failed(0);
  EXPECT_EQ(map.failed_pieces().size(), 1U);
  EXPECT_EQ(map.state(0), PieceState::complete);
  const std::vector<Sha256> truth{leaf(1), leaf(2), leaf(3), leaf(4)};
  const auto bad = map.blame(0, truth);
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_EQ(bad[0].block, (BlockRef{0, 2}));
  EXPECT_EQ(bad[0].sender, bob);
  EXPECT_TRUE(map.failed_pieces().empty());
  EXPECT_EQ(map.state(0), PieceState::partial);
  EXPECT_EQ(map.block_state({0, 1}), BlockState::written);
  map.check_invariants();
  out.clear();
  EXPECT_EQ(map.request_free(0, alice, 0, 9, out), 1U);
  fetch({0, 2}, alice, 3);
  EXPECT_EQ(map.state(0), PieceState::complete);
  EXPECT_TRUE(map.blame(0, truth).empty());
  map.verified(0);
  map.check_invariants();
}

TEST_F(PieceMapTest, APieceWhollyBadIsMissingAgain) {
  fetch_piece(4, alice);
  EXPECT_EQ(map.blame(4, std::vector<Sha256>(4)).size(), 4U);
  EXPECT_EQ(map.state(4), PieceState::missing);
  map.check_invariants();
}

TEST_F(PieceMapTest, FailedWritesAreFreeAgain) {
  map.request_free(0, alice, 0, 1, out);
  EXPECT_TRUE(map.arrived({0, 0}, alice).first_of_piece);
  map.write_failed({0, 0});
  EXPECT_EQ(map.state(0), PieceState::missing);
  map.check_invariants();
  map.request_free(0, alice, 0, 1, out);
  EXPECT_TRUE(map.arrived({0, 0}, alice).first_of_piece);
}

TEST_F(PieceMapTest, RestoresWhatLayOnTheDisk) {
  map.checking(0);
  EXPECT_EQ(map.state(0), PieceState::complete);
  EXPECT_TRUE(map.leaves(0).empty());
  const std::vector<Sha256> leaves{leaf(1), leaf(2), leaf(3)};
  map.restore(0, leaves, {true, false, true});
  EXPECT_EQ(map.state(0), PieceState::partial);
  map.check_invariants();
  EXPECT_EQ(map.request_free(0, alice, 0, 9, out), 2U);
  EXPECT_EQ(out, (std::vector<BlockRef>{{0, 1}, {0, 3}}));
  EXPECT_FALSE(map.arrived({0, 1}, alice).first_of_piece);
  (void)map.written({0, 1}, leaf(2));
  fetch({0, 3}, alice, 4);
  EXPECT_EQ(map.leaves(0)[2], leaf(3));
  // A block that was bad on the disk has no sender.
  const auto bad = map.blame(0, std::vector<Sha256>{leaf(9), leaf(2), leaf(3), leaf(4)});
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_FALSE(static_cast<bool>(bad[0].sender));

  map.checking(1);
  map.restore(1, {}, {});
  EXPECT_EQ(map.state(1), PieceState::missing);
  map.checking(1);
  map.restore(1, std::vector<Sha256>(4), {true, true, true, true});
  EXPECT_EQ(map.state(1), PieceState::complete);
  map.verified(1);
  map.check_invariants();
}

TEST_F(PieceMapTest, AChangedFileIsCheckedAgain) {
  fetch_piece(2, alice);
  map.verified(2);
  map.committed(2);
  map.recheck(2);
  EXPECT_FALSE(map.have(2));
  EXPECT_EQ(map.verified_bytes(), 0U);
  map.committed(2);  // a commit that was under way means nothing any more
  EXPECT_FALSE(map.have(2));
  map.reset(2);
  EXPECT_EQ(map.state(2), PieceState::missing);
  map.check_invariants();
}

TEST_F(PieceMapTest, WantednessFollowsFiles) {
  map.request_free(0, alice, 0, 1, out);
  EXPECT_EQ(map.open_pieces().size(), 1U);
  map.set_wanted(0, false);
  EXPECT_TRUE(map.open_pieces().empty());
  EXPECT_EQ(map.wanted_pieces(), 2U);
  EXPECT_EQ(map.free_blocks(), 8U);
  map.check_invariants();
  fetch({0, 0}, alice);  // what was asked for is still taken
  map.set_wanted(0, true);
  EXPECT_EQ(map.open_pieces().size(), 1U);
  EXPECT_EQ(map.free_blocks(), 8U + 4 + 4 + 2 + 3);
  map.check_invariants();
}

TEST_F(PieceMapTest, ResetForgetsRequests) {
  map.request_free(0, alice, 0, 4, out);
  map.reset(0);
  EXPECT_EQ(map.requested_blocks(), 0U);
  EXPECT_EQ(map.oldest_request(), PieceMap::no_id);
  EXPECT_EQ(map.arrived({0, 0}, alice).verdict, PieceMap::Verdict::unrequested);
  map.check_invariants();
}

// For a piece that is tried again with one peer: nobody else has a part in it.
TEST_F(PieceMapTest, AReservedPieceIsOfThoseItIsAskedOf) {
  map.request_free(0, alice, 0, 4, out);
  map.reset(0);
  const std::uint64_t free = map.free_blocks();
  map.reserve(0);
  EXPECT_EQ(map.free_blocks(), free - 4);
  out.clear();
  EXPECT_EQ(map.request_free(0, bob, 0, 2, out), 2U);
  map.check_invariants();
  EXPECT_TRUE(map.open_pieces().empty());
  EXPECT_EQ(map.oldest_request(), PieceMap::no_id);
  EXPECT_FALSE(map.request_again({0, 0}, carol));
  EXPECT_EQ(map.arrived({0, 0}, alice, PieceMap::Asked::late).verdict, PieceMap::Verdict::duplicate);
  EXPECT_EQ(map.arrived({0, 3}, alice, PieceMap::Asked::late).verdict, PieceMap::Verdict::duplicate);
  fetch({0, 0}, bob);
  map.release(bob, {0, 1});
  map.check_invariants();
  EXPECT_EQ(map.free_blocks(), free - 4);
  map.reset(0);
  EXPECT_TRUE(map.reserved(0));
  map.check_invariants();
  fetch_piece(0, carol);
  EXPECT_EQ(map.senders(0), std::vector(4, carol));
  map.verified(0);
  EXPECT_FALSE(map.reserved(0));
  map.check_invariants();
}

TEST_F(PieceMapTest, ChangesAreToldOnce) {
  map.clear_changes();
  map.request_free(0, alice, 0, 1, out);
  map.release(alice, {0, 0});
  map.request_free(2, alice, 0, 1, out);
  EXPECT_EQ(std::vector(map.changes().begin(), map.changes().end()), (std::vector<std::uint32_t>{0, 2}));
  map.clear_changes();
  EXPECT_TRUE(map.changes().empty());
}

// Random operations; a naive model says what each block must be.
TEST(PieceMapModel, AgreesUnderRandomOperations) {
  struct Model {
    BlockState state = BlockState::free;
    std::set<std::uint32_t> asked;
  };
  for (std::uint8_t seed = 0; seed < 8; ++seed) {
    Random random = test::make_random(seed);
    const auto content = make_content(65536, {65536 * 5 + 1, 70000, 65536});
    PieceMap map{content, Bitfield{content->pieces}};
    std::map<BlockRef, Model> model;
    for (std::uint32_t p = 0; p < content->pieces; ++p)
      for (std::uint32_t b = 0; b < content->blocks_in(p); ++b) model[{p, b}];
    std::vector<BlockRef> out;
    for (int step = 0; step < 20000; ++step) {
      const auto piece = static_cast<std::uint32_t>(random.below(content->pieces));
      const BlockRef block{piece, static_cast<std::uint32_t>(random.below(content->blocks_in(piece)))};
      const auto who = static_cast<std::uint32_t>(random.below(4));
      Model& one = model[block];
      const PieceState state = map.state(piece);
      const bool needed = state == PieceState::missing || state == PieceState::partial;
      switch (random.below(8)) {
        case 0:
        case 1: {
          if (!needed) break;
          out.clear();
          map.request_free(piece, make_peer(who), 0, static_cast<std::uint32_t>(random.below(4)), out);
          for (const BlockRef taken : out) {
            ASSERT_EQ(model[taken].state, BlockState::free);
            model[taken] = {BlockState::requested, {who}};
          }
          break;
        }
        case 2:
          if (map.request_again(block, make_peer(who))) {
            ASSERT_EQ(one.state, BlockState::requested);
            ASSERT_TRUE(one.asked.insert(who).second);
            ASSERT_LE(one.asked.size(), PieceMap::most_requesters);
          } else {
            ASSERT_TRUE(one.state != BlockState::requested || one.asked.contains(who) ||
                        one.asked.size() == PieceMap::most_requesters);
          }
          break;
        case 3:
          map.release(make_peer(who), block);
          if (one.state == BlockState::requested && one.asked.erase(who) == 1 && one.asked.empty())
            one.state = BlockState::free;
          break;
        case 4:
        case 5: {
          const bool late = random.below(8) == 0;
          const auto arrival =
              map.arrived(block, make_peer(who), late ? PieceMap::Asked::late : PieceMap::Asked::now);
          if (!needed || one.state == BlockState::arrived || one.state == BlockState::written) {
            ASSERT_EQ(arrival.verdict, PieceMap::Verdict::duplicate);
          } else if (late || one.asked.contains(who)) {
            ASSERT_EQ(arrival.verdict, PieceMap::Verdict::accepted);
            one.asked.erase(who);
            ASSERT_EQ(arrival.others, one.asked.size());
            one = {BlockState::arrived, {}};
          } else {
            ASSERT_EQ(arrival.verdict, PieceMap::Verdict::unrequested);
          }
          break;
        }
        case 6:
          if (one.state != BlockState::arrived || !needed) break;
          if (random.below(6) == 0) {
            map.write_failed(block);
            one.state = BlockState::free;
          } else {
            (void)map.written(block, leaf(static_cast<std::uint8_t>(random.below(3))));
            one.state = BlockState::written;
          }
          break;
        default:
          if (map.state(piece) == PieceState::complete && random.below(3) == 0) {
            const std::vector<Sha256> truth(content->blocks_in(piece), leaf(1));
            for (const auto& bad : map.blame(piece, truth)) model[bad.block] = {};
          }
      }
      ASSERT_EQ(map.block_state(block), one.state) << "seed " << int{seed} << " step " << step;
      if (step % 64 == 0) map.check_invariants();
    }
    map.check_invariants();
  }
}

}  // namespace
}  // namespace shoal::swarm
