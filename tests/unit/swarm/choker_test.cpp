// The choker by example and by its distribution over many rounds with fixed seeds.
#include "swarm/choker.hpp"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "contents.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::make_peer;
using test::make_random;

ChokerPeer old_peer(std::uint32_t index, double gave = 0) {
  ChokerPeer out;
  out.peer = make_peer(index);
  out.interested = true;
  out.gave_rate = gave;
  out.connected_for = minutes{10};
  out.in_state_for = minutes{5};
  return out;
}
bool contains(const std::vector<PeerHandle>& list, std::uint32_t index) {
  return std::find(list.begin(), list.end(), make_peer(index)) != list.end();
}

TEST(Choker, ALeechUnchokesTheBestFourAndOneMore) {
  Random random = make_random(1);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 10; ++i) peers.push_back(old_peer(i, 1000.0 * (i + 1)));
  peers[9].interested = false;  // the best giver wants nothing
  const auto verdict = choose_unchoked({.peers = peers}, random);
  ASSERT_EQ(verdict.unchoke.size(), 5U);
  for (std::uint32_t i = 5; i < 9; ++i) EXPECT_TRUE(contains(verdict.unchoke, i)) << i;
  EXPECT_TRUE(verdict.optimistic);
  EXPECT_EQ(verdict.unchoke.back(), verdict.optimistic);
  EXPECT_LT(verdict.optimistic.index, 5U);
}

TEST(Choker, FewPeersAreAllUnchoked) {
  Random random = make_random(1);
  std::vector<ChokerPeer> peers{old_peer(0), old_peer(1, 5000), old_peer(2)};
  EXPECT_EQ(choose_unchoked({.peers = peers}, random).unchoke.size(), 3U);
  EXPECT_EQ(choose_unchoked({.peers = peers, .trade = Trade::seed}, random).unchoke.size(), 3U);
  EXPECT_TRUE(choose_unchoked({.peers = {}}, random).unchoke.empty());
}

TEST(Choker, SnubbersLoseTheirSlot) {
  Random random = make_random(1);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 10; ++i) peers.push_back(old_peer(i, 1000.0 * (i + 1)));
  peers[9].snubbed = true;
  int kept = 0;
  for (int i = 0; i < 100; ++i)
    kept += contains(choose_unchoked({.peers = peers}, random).unchoke, 9) ? 1 : 0;
  EXPECT_LT(kept, 40);  // by the optimistic lot alone: about 1 in 6
  EXPECT_GT(kept, 2);
}

TEST(Choker, TheOptimisticOneStaysItsThirtySeconds) {
  Random random = make_random(2);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 12; ++i) peers.push_back(old_peer(i, i < 6 ? 0 : 1000.0 * i));
  PeerHandle optimistic = choose_unchoked({.peers = peers}, random).optimistic;
  for (int i = 0; i < 20; ++i) {
    const auto verdict = choose_unchoked({.peers = peers, .optimistic = optimistic}, random);
    EXPECT_EQ(verdict.optimistic, optimistic);
  }
  for (int i = 0; i < 20; ++i) {
    const auto verdict =
        choose_unchoked({.peers = peers, .optimistic = optimistic, .new_optimistic = true}, random);
    EXPECT_NE(verdict.optimistic, optimistic);
    optimistic = verdict.optimistic;
  }
  // One that earns a regular slot makes room for the next.
  peers[optimistic.index].gave_rate = 1e6;
  const auto verdict = choose_unchoked({.peers = peers, .optimistic = optimistic}, random);
  EXPECT_NE(verdict.optimistic, optimistic);
  EXPECT_TRUE(contains(verdict.unchoke, optimistic.index));
}

TEST(Choker, NewcomersAreThreeTimesAsLikely) {
  Random random = make_random(3);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 4; ++i) peers.push_back(old_peer(i, 1e6));
  for (std::uint32_t i = 4; i < 14; ++i) peers.push_back(old_peer(i));
  for (std::uint32_t i = 4; i < 9; ++i) peers[i].connected_for = seconds{10};
  int newcomers = 0;
  constexpr int rounds = 8000;
  for (int i = 0; i < rounds; ++i)
    newcomers += choose_unchoked({.peers = peers}, random).optimistic.index < 9 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(newcomers) / rounds, 0.75, 0.02);
}

TEST(Choker, UnearnedSlotsGoToWhoOwesLeast) {
  Random random = make_random(4);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 10; ++i) {
    peers.push_back(old_peer(i));
    peers[i].took_total = i < 5 ? 100'000'000 : 0;
  }
  int riders = 0;
  for (int i = 0; i < 200; ++i) {
    const auto verdict = choose_unchoked({.peers = peers}, random);
    for (std::size_t k = 0; k + 1 < verdict.unchoke.size(); ++k)
      riders += verdict.unchoke[k].index < 5 ? 1 : 0;
  }
  EXPECT_EQ(riders, 0);
}

// Who took much, could give and does not: no regular slot while others trade, and a rare optimistic one.
TEST(Choker, DebtorsWaitWhileOthersTrade) {
  Random random = make_random(8);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 4; ++i) {
    peers.push_back(old_peer(i));
    peers[i].took_total = peers[i].gained = 10'000'000;
    peers[i].we_gained = 50'000'000;
  }
  const ChokerInput input{.peers = peers, .new_optimistic = true};
  EXPECT_EQ(choose_unchoked(input, random).unchoke.size(), 4U) << "nobody refused anything";
  for (ChokerPeer& peer : peers) peer.refusals = 5;
  EXPECT_EQ(choose_unchoked(input, random).unchoke.size(), 4U) << "nobody trades with us at all";
  for (std::uint32_t i = 4; i < 8; ++i) {
    peers.push_back(old_peer(i));
    peers[i].interested = false;  // partners that want nothing at the moment
    peers[i].gave_total = peers[i].took_total = 5'000'000;
  }
  int unchoked = 0;
  constexpr int rounds = 3500;
  const ChokerInput trading{.peers = peers, .new_optimistic = true};
  for (int i = 0; i < rounds; ++i) {
    const auto verdict = choose_unchoked(trading, random);
    EXPECT_LE(verdict.unchoke.size(), 1U);
    unchoked += static_cast<int>(verdict.unchoke.size());
  }
  EXPECT_NEAR(unchoked, rounds * 4 / (4 + 8 * 4), rounds / 40);  // 4 lots beside 8 blanks a partner
  // Its slot lasts one round, and gaps between the draws are not filled with debtors.
  EXPECT_TRUE(choose_unchoked({.peers = peers, .optimistic = make_peer(0)}, random).unchoke.empty());
  peers[0].gave_total = 3'000'000;  // it gives after all
  EXPECT_EQ(choose_unchoked({.peers = peers}, random).unchoke.size(), 1U);
}

// Of eleven slots two are for those who lag: the poorest that have given, whatever others give.
TEST(Choker, WhoLagsAndHasGivenIsHelped) {
  Random random = make_random(7);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 30; ++i) {
    peers.push_back(old_peer(i, 1000.0 * (i + 10)));
    peers.back().pieces = 100;
    peers.back().gave_total = peers.back().took_total = 1'000'000;
  }
  for (const std::uint32_t poor : {0U, 1U, 2U, 3U}) {
    peers[poor].gave_rate = 0;
    peers[poor].pieces = 10 + poor;
  }
  peers[0].gave_total = peers[0].took_total = 0;  // the poorest owes nothing and has given nothing,
  peers[1].snubbed = true;                        // the next withholds
  peers[4].pieces = 88;                           // and seven eighths are not far behind,
  peers[5].pieces = 87;                           // less is
  peers[4].gave_rate = peers[5].gave_rate = 0;
  const auto times_helped = [&](std::uint32_t slots, std::uint32_t index) {
    int times = 0;
    for (int i = 0; i < 100; ++i) {
      const auto verdict = choose_unchoked({.peers = peers, .slots = slots, .pieces = 100}, random);
      EXPECT_EQ(verdict.unchoke.size(), slots);
      times += contains(verdict.unchoke, index) ? 1 : 0;
    }
    return times;
  };
  EXPECT_EQ(times_helped(11, 2), 100);
  EXPECT_EQ(times_helped(11, 3), 100);
  EXPECT_EQ(times_helped(14, 5), 100);
  for (const std::uint32_t not_helped : {0U, 1U, 4U}) EXPECT_LT(times_helped(17, not_helped), 30);
  EXPECT_LT(times_helped(5, 2), 50);  // the textbook's slots are earned
}

// Who gives nothing is served while it lags behind a third of our pace, and no further; whether it says what
// it has or not.
TEST(Choker, WhoGivesNothingKeepsAThirdOfOurPace) {
  Random random = make_random(9);
  std::vector<ChokerPeer> peers{old_peer(0), old_peer(1)};
  peers[1].interested = false;  // somebody trades with us
  peers[1].gave_total = peers[1].took_total = 5'000'000;
  const auto served = [&](std::uint64_t took, std::uint64_t gained, std::uint64_t we_gained) {
    peers[0].took_total = took;
    peers[0].gained = gained;
    peers[0].we_gained = we_gained;
    return contains(choose_unchoked({.peers = peers}, random).unchoke, 0);
  };
  EXPECT_TRUE(served(1'000'000, 9'000'000, 30'000'000));
  EXPECT_FALSE(served(1'000'000, 11'000'000, 30'000'000));
  EXPECT_FALSE(served(11'000'000, 0, 30'000'000)) << "it hides what it has";
  peers[0].snubbed = true;
  int tried = 0;
  for (int i = 0; i < 100; ++i) tried += served(11'000'000, 11'000'000, 30'000'000) ? 1 : 0;
  EXPECT_EQ(tried, 0) << "the optimistic slot is not its either, outside the draws";
  peers[0].snubbed = false;
  EXPECT_TRUE(served(limits::credit_bytes, 11'000'000, 0)) << "a newcomer's credit";
  peers[0].gave_total = 300'000;
  EXPECT_TRUE(served(1'000'000, 11'000'000, 30'000'000)) << "it gives";
}

// A seed with many takers, all as fast as they are served: each gets an equal part of the time.
TEST(Choker, ASeedGivesEqualTurns) {
  Random random = make_random(5);
  constexpr std::uint32_t peers_count = 30;
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < peers_count; ++i) peers.push_back(old_peer(i));
  std::map<std::uint32_t, int> served;
  PeerHandle optimistic;
  constexpr int rounds = 3000;
  for (int round = 0; round < rounds; ++round) {
    const auto verdict = choose_unchoked(
        {.peers = peers, .trade = Trade::seed, .optimistic = optimistic, .new_optimistic = round % 3 == 0},
        random);
    ASSERT_EQ(verdict.unchoke.size(), 5U);
    optimistic = verdict.optimistic;
    for (ChokerPeer& peer : peers) {
      const bool unchoked = contains(verdict.unchoke, peer.peer.index);
      if (unchoked != peer.unchoked) peer.in_state_for = {};
      peer.unchoked = unchoked;
      peer.in_state_for += limits::choke_period;
      // One takes ten times as fast as the others: a rider with many connections, say.
      peer.took_rate = unchoked ? (peer.peer.index == 0 ? 1e6 : 1e5) : 0;
      served[peer.peer.index] += unchoked ? 1 : 0;
    }
  }
  const double fair = rounds * 5.0 / peers_count;
  for (const auto& [index, count] : served) EXPECT_NEAR(count, fair, fair * 0.15) << index;
}

TEST(Choker, ASeedsSlotIsKeptForWholePiecesAndLostByTheIdle) {
  Random random = make_random(6);
  std::vector<ChokerPeer> peers;
  for (std::uint32_t i = 0; i < 12; ++i) peers.push_back(old_peer(i));
  for (std::uint32_t i = 0; i < 3; ++i) {
    peers[i].unchoked = true;
    peers[i].in_state_for = seconds{25};
    peers[i].took_rate = 5000;
    peers[i].took_in_state = 100'000;
  }
  peers[1].took_in_state = 5'000'000;  // has had its share
  peers[2].took_rate = 0;              // takes nothing
  const ChokerInput input{.peers = peers,
                          .trade = Trade::seed,
                          .slots = 5,
                          .optimistic = make_peer(11),
                          .new_optimistic = false,
                          .seed_turn_bytes = 1'000'000};
  const auto verdict = choose_unchoked(input, random);
  EXPECT_TRUE(contains(verdict.unchoke, 0));
  EXPECT_FALSE(contains(verdict.unchoke, 1));
  EXPECT_FALSE(contains(verdict.unchoke, 2));
  peers[0].in_state_for = limits::seed_turn_most;
  EXPECT_FALSE(contains(choose_unchoked(input, random).unchoke, 0));
}

// Twenty fair peers and a rider that gives nothing, everybody connected with everybody. Each round a peer's
// upload is shared by those it unchokes. The rider must end with at most half of what a fair peer gets.
TEST(Choker, AFreeRiderGetsAtMostHalf) {
  constexpr std::uint32_t count = 21, rider = 20;
  constexpr double uplink = 1e6;
  Random random = make_random(7);
  std::vector<std::vector<ChokerPeer>> views(count + 1);  // of each, the seed last
  for (std::uint32_t i = 0; i <= count; ++i)
    for (std::uint32_t k = 0; k < count; ++k) {
      ChokerPeer peer = old_peer(k);
      peer.connected_for = {};
      peer.interested = i != k;
      views[i].push_back(peer);
    }
  std::vector<PeerHandle> optimistic(count + 1);
  std::vector<double> got(count, 0);
  for (int round = 0; round < 180; ++round) {
    std::vector<std::vector<double>> sent(count + 1, std::vector<double>(count, 0));
    for (std::uint32_t i = 0; i <= count; ++i) {
      if (i == rider) continue;
      const auto verdict = choose_unchoked({.peers = views[i],
                                            .trade = i == count ? Trade::seed : Trade::leech,
                                            .optimistic = optimistic[i],
                                            .new_optimistic = round % 3 == 0},
                                           random);
      optimistic[i] = verdict.optimistic;
      for (ChokerPeer& peer : views[i]) {
        const bool unchoked = contains(verdict.unchoke, peer.peer.index);
        if (unchoked != peer.unchoked) peer.in_state_for = {};
        peer.unchoked = unchoked;
      }
      for (const PeerHandle to : verdict.unchoke)
        sent[i][to.index] = uplink / static_cast<double>(verdict.unchoke.size());
    }
    for (std::uint32_t i = 0; i <= count; ++i)
      for (std::uint32_t k = 0; k < count; ++k) {
        got[k] += sent[i][k];
        ChokerPeer& peer = views[i][k];
        peer.took_rate = sent[i][k];
        peer.took_total += static_cast<std::uint64_t>(sent[i][k] * 10);
        if (i < count) {
          peer.gave_rate = (peer.gave_rate + sent[k][i]) / 2;  // over two rounds
          peer.gave_total += static_cast<std::uint64_t>(sent[k][i] * 10);
        }
        peer.connected_for += limits::choke_period;
        peer.in_state_for += limits::choke_period;
      }
  }
  double fair = 0;
  for (std::uint32_t k = 0; k < rider; ++k) fair += got[k] / rider;
  RecordProperty("rider_share", std::to_string(got[rider] / fair));
  EXPECT_LT(got[rider], fair / 2);
  EXPECT_GT(got[rider], 0);
}

std::uint32_t after_round(UploadSlots& slots, const UploadSlots::Uplink& uplink) {
  slots.round(uplink);
  return slots.count();
}

TEST(UploadSlots, GrowWhileTheUplinkIsNotBusy) {
  UploadSlots limited;
  EXPECT_EQ(limited.count(), 5U);
  EXPECT_EQ(after_round(limited, {.rate = 1e5, .limit = 1'000'000, .waiting = 10}), 6U);
  EXPECT_EQ(after_round(limited, {.rate = 1e5, .limit = 1'000'000, .waiting = 0}), 6U);
  EXPECT_EQ(after_round(limited, {.rate = 9.9e5, .limit = 1'000'000, .waiting = 10}), 6U);
  for (int i = 0; i < 200; ++i) limited.round({.rate = 1e5, .limit = 1'000'000, .waiting = 10});
  EXPECT_EQ(limited.count(), limits::max_slots);
  for (int i = 0; i < 200; ++i) limited.round({.rate = 1e5, .limit = 100'000, .waiting = 10});
  EXPECT_LE(limited.count(), 6U);
  EXPECT_GE(limited.count(), 5U);
}

TEST(UploadSlots, ASlotThatBringsNothingIsClosedAgain) {
  UploadSlots slots;
  EXPECT_EQ(after_round(slots, {.rate = 1e6, .limit = 0, .waiting = 10}), 6U);
  EXPECT_EQ(after_round(slots, {.rate = 1e6, .limit = 0, .waiting = 10}), 5U);
  EXPECT_EQ(after_round(slots, {.rate = 1e6, .limit = 0, .waiting = 10}), 5U);
  UploadSlots growing;
  double rate = 1e6;
  for (int i = 0; i < 20; ++i, rate *= 1.2) growing.round({.rate = rate, .limit = 0, .waiting = 10});
  EXPECT_GE(growing.count(), 12U);
}

TEST(UploadSlots, AsManyMoreAsAreDry) {
  UploadSlots slots;
  const auto look = [&](const UploadSlots::Look& seen) {
    bool more = false;
    for (int second = 0; second < 3; ++second) more = slots.look(seen) || more;
    return more;
  };
  EXPECT_FALSE(look({.open = 5, .fed = 5, .waiting = 10}));
  EXPECT_EQ(slots.count(), 5U);
  EXPECT_TRUE(look({.open = 5, .fed = 3, .waiting = 10}));
  EXPECT_EQ(slots.count(), 7U);
  EXPECT_FALSE(look({.open = 7, .fed = 2, .waiting = 0}));  // nobody waits
  EXPECT_EQ(slots.count(), 7U);
  EXPECT_TRUE(look({.open = 7, .fed = 0, .waiting = 10}));  // by three at a time
  EXPECT_EQ(slots.count(), 10U);
  for (int i = 0; i < 20; ++i) look({.open = 50, .fed = 0, .waiting = 10});
  EXPECT_EQ(slots.count(), 5 + limits::spare_slots);
  EXPECT_FALSE(look({.open = 14, .fed = 14, .waiting = 10}));  // back by one
  EXPECT_EQ(slots.count(), 4 + limits::spare_slots);
}

// On a slow line a turn is long: so many slots as get one in time, but never fewer than the textbook's.
TEST(UploadSlots, NoMoreThanGetTheirTurn) {
  UploadSlots slots;
  for (int i = 0; i < 20; ++i) slots.look({.open = 50, .fed = 0, .waiting = 10});
  ASSERT_EQ(slots.count(), 5 + limits::spare_slots);
  slots.set_most(8);
  EXPECT_EQ(slots.count(), 8U);
  slots.set_most(1);
  EXPECT_EQ(slots.count(), 5U);
  UploadSlots tried;
  tried.set_most(6);
  for (double rate = 1e6; rate < 1e9; rate *= 1.2) tried.round({.rate = rate, .limit = 0, .waiting = 10});
  tried.set_most(50);
  EXPECT_EQ(tried.count(), 6U) << "nor are more tried meanwhile";
}

TEST(ChokeClock, KeepsItsRhythm) {
  ChokeClock clock;
  Instant now{seconds{100}};
  auto due = clock.due(now);
  EXPECT_TRUE(due.round && due.optimistic);
  EXPECT_FALSE(clock.due(now + seconds{9}).round);
  int optimistic = 0, rounds = 0;
  for (int i = 1; i <= 300; ++i) {
    due = clock.due(now + seconds{i});
    rounds += due.round ? 1 : 0;
    optimistic += due.optimistic ? 1 : 0;
  }
  EXPECT_EQ(rounds, 30);
  EXPECT_EQ(optimistic, 10);
  clock.soon(now + seconds{302});
  EXPECT_EQ(clock.next(), now + seconds{302});
}

}  // namespace
}  // namespace shoal::swarm
