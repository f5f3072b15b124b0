// The small leaves: transactions, guard, votes, clock skew, size estimate, store-back, upkeep, acquaintances.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dht/acquaintances.hpp"
#include "dht/clock_skew.hpp"
#include "dht/contact.hpp"
#include "dht/external_vote.hpp"
#include "dht/guard.hpp"
#include "dht/limits.hpp"
#include "dht/recent.hpp"
#include "dht/store_back.hpp"
#include "dht/transactions.hpp"
#include "dht/upkeep.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::at_second;
using test::public_host;

Endpoint host(std::uint32_t network, std::uint32_t number = 1, std::uint16_t port = 4000) {
  return {public_host(network, number), port};
}

// ---- transactions
Transaction query_to(std::uint64_t id, const Endpoint& to, Instant sent, Duration soft = 350ms) {
  Transaction transaction;
  transaction.id = id;
  transaction.to = to;
  transaction.sent = sent;
  transaction.soft = soft;
  return transaction;
}

TEST(Transactions, AReplyMatchesIdAndAddress) {
  Transactions open;
  const Instant t = at_second(0).mono;
  ASSERT_TRUE(open.open(query_to(5, host(1), t)));
  EXPECT_FALSE(open.open(query_to(5, host(2), t)));
  EXPECT_FALSE(open.close(6, host(1)));
  EXPECT_FALSE(open.close(5, host(2)));
  EXPECT_FALSE(open.close(5, host(1, 1, 4001)));
  EXPECT_FALSE(open.close(0, host(1)));
  ASSERT_TRUE(open.close(5, host(1)));
  EXPECT_FALSE(open.close(5, host(1)));
  EXPECT_EQ(open.size(), 0U);
}

TEST(Transactions, PassSlowOverdueDeadInTime) {
  Transactions open;
  const Instant t = at_second(0).mono;
  ASSERT_TRUE(open.open(query_to(5, host(1), t)));
  EXPECT_EQ(open.next_due(), t + 350ms);
  EXPECT_FALSE(open.due(t + 349ms));
  auto due = open.due(t + 350ms);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->stage, Stage::slow);
  EXPECT_FALSE(open.due(t + limits::patience - 1ms));
  due = open.due(t + limits::patience);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->stage, Stage::overdue);
  EXPECT_EQ(open.next_due(), t + 3s);
  due = open.due(t + 3s);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->stage, Stage::dead);
  EXPECT_EQ(open.size(), 0U);
  EXPECT_FALSE(open.close(5, host(1)));
  EXPECT_EQ(open.next_due(), never);
}

TEST(Transactions, AnsweredOnesWakeNobody) {
  Transactions open;
  const Instant t = at_second(0).mono;
  for (const std::uint64_t id : {5U, 6U, 7U})
    ASSERT_TRUE(open.open(query_to(id, host(1), t + std::chrono::milliseconds{id})));
  ASSERT_TRUE(open.close(6, host(1)));  // not the first: its timer goes with the first's
  EXPECT_EQ(open.next_due(), t + 355ms);
  ASSERT_TRUE(open.close(5, host(1)));
  EXPECT_EQ(open.next_due(), t + 357ms);
  ASSERT_TRUE(open.close(7, host(1)));
  EXPECT_EQ(open.next_due(), never);
}

TEST(Transactions, ManyComeAndGoAndTheBoundHolds) {
  Transactions open;
  Random random{{}};
  const Instant t = at_second(0).mono;
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < limits::transactions; ++i) {
    ids.push_back(random.next() | 1);
    ASSERT_TRUE(open.open(query_to(ids.back(), host(1), t)));
  }
  EXPECT_FALSE(open.open(query_to(random.next(), host(1), t)));
  for (int round = 0; round < 50'000; ++round) {  // closing shifts slots back; every other id stays findable
    const auto which = static_cast<std::size_t>(random.below(ids.size()));
    ASSERT_TRUE(open.close(ids[which], host(1)));
    ids[which] = random.next() | 1;
    ASSERT_TRUE(open.open(query_to(ids[which], host(1), t)));
  }
  for (const std::uint64_t id : ids) ASSERT_TRUE(open.close(id, host(1)));
  EXPECT_EQ(open.size(), 0U);
}

TEST(Contact, SoftTimeoutFollowsTheRoundTrip) {
  RoundTrip trip;
  for (int i = 0; i < 50; ++i) trip.sample(20ms);
  EXPECT_EQ(trip.soft_timeout(), 150ms);
  for (int i = 0; i < 200; ++i) trip.sample(400ms);
  EXPECT_GT(trip.soft_timeout(), 400ms);
  EXPECT_LT(trip.soft_timeout(), 500ms);
  trip.sample(60s);
  EXPECT_EQ(trip.soft_timeout(), 1s);
}

TEST(Contact, TheUsualWaitIsThatOfNineteenInTwenty) {
  UsualRoundTrip usual;
  EXPECT_EQ(usual.within(), limits::soft_unknown);
  Random random{{}};
  const auto among = [&](std::chrono::milliseconds least, std::chrono::milliseconds span) {
    Duration sum{};
    for (int i = 0; i < 4000; ++i) {
      usual.sample(least + Duration{static_cast<std::int64_t>(random.below(1000)) * span.count()});
      if (i >= 2000) sum += usual.within();
    }
    return sum / 2000;
  };
  const Duration near = among(100ms, 200ms);
  EXPECT_GT(near, 285ms);
  EXPECT_LT(near, 300ms);
  const Duration slow_line = among(600ms, 200ms);
  EXPECT_GT(slow_line, 795ms);
  EXPECT_LT(slow_line, 820ms);
  EXPECT_EQ(among(5ms, 5ms), limits::soft_floor);
  EXPECT_GT(among(3000ms, 1ms), limits::soft_ceiling * 8 / 10);
  EXPECT_LE(usual.within(), limits::soft_ceiling);
}

// ---- recent map
TEST(RecentMap, WhatIsSpentGoesBeforeTheMapGrows) {
  RecentMap<Endpoint, int, 512> map;
  const auto spent = [](int value) { return value == 0; };
  map.touch(host(0), spent) = 1;  // the oldest is of use
  for (std::uint32_t i = 1; i < 5000; ++i) map.touch(host(i), spent) = i % 100 == 0 ? 1 : 0;
  EXPECT_LT(map.size(), 100U);
  for (std::uint32_t i = 0; i < 5000; i += 100) EXPECT_NE(map.find(host(i)), nullptr) << i;
}

TEST(RecentMap, OfUsefulKeysTheOldestGoes) {
  RecentMap<Endpoint, int, 64> map;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    map.touch(host(i)) = static_cast<int>(i);
    ASSERT_TRUE(i < 64 || map.find(host(i - 64)) == nullptr);
    const int* oldest = map.find(host(i < 64 ? 0 : i - 63));
    ASSERT_NE(oldest, nullptr);
    ASSERT_EQ(*oldest, static_cast<int>(i < 64 ? 0 : i - 63));
  }
  EXPECT_EQ(map.size(), 64U);
}

// ---- guard
TEST(Guard, AStrangerHasABudgetAndAProvenSourceAnother) {
  Random random{{}};
  Guard guard{random};
  const Instant t = at_second(0).mono;
  const auto passed = [&](const Endpoint& from, Instant when, int packets, SourceStanding standing) {
    int count = 0;
    for (int i = 0; i < packets; ++i)
      count += guard.admit(when, from, 100, standing) == Acceptance::pass ? 1 : 0;
    return count;
  };
  EXPECT_EQ(passed(host(1), t, 1000, SourceStanding::unproven), 60);
  EXPECT_EQ(passed(host(1, 1, 5000), t, 10, SourceStanding::unproven), 0);  // another port is the same source
  EXPECT_EQ(passed(host(1), t, 1000, SourceStanding::validated), 600);      // the flood took nothing from it
  EXPECT_EQ(passed(host(2), t, 10, SourceStanding::unproven), 10);
  EXPECT_EQ(passed(host(1), t + 1s, 1000, SourceStanding::unproven), 20);
  // Of IPv6 a /64 is one source: the least that a customer gets.
  const auto v6 = [](const char* address) { return Endpoint{IpAddress::parse(address).value(), 9}; };
  EXPECT_EQ(passed(v6("2a00:1:2:3::1"), t, 50, SourceStanding::unproven), 50);
  EXPECT_EQ(passed(v6("2a00:1:2:3:ffff::2"), t, 50, SourceStanding::unproven), 10);
  EXPECT_EQ(passed(v6("2a00:1:2:4::1"), t, 50, SourceStanding::unproven), 50);
}

TEST(Guard, NeighboursAreNoStrangers) {
  Random random{{}};
  Guard guard{random};
  for (const char* address : {"127.0.0.1", "192.168.1.4", "10.1.1.1"}) {
    const Endpoint from{IpAddress::parse(address).value(), 9};
    for (int i = 0; i < 5000; ++i)
      ASSERT_EQ(guard.admit(at_second(0).mono, from, 100, SourceStanding::unproven), Acceptance::pass);
    ASSERT_EQ(guard.admit_signature(at_second(0).mono, from), Acceptance::pass);
  }
}

TEST(Guard, AllStrangersTogetherAreBoundedAndMemoryIs) {
  Random random{{}};
  Guard guard{random};
  std::size_t passed = 0;
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    const Instant t = at_second(0).mono + Duration{i * 5};  // 200,000 a second
    if (guard.admit(t, host(i, i % 200), 100, SourceStanding::unproven) == Acceptance::pass) ++passed;
  }
  EXPECT_LE(passed, static_cast<std::size_t>(limits::packets_burst_strangers +
                                             limits::packets_per_second_strangers + 1));
  EXPECT_LE(guard.sources(), limits::guard_sources);
}

TEST(Guard, AfterARushTheTableShrinksAndBudgetsStay) {
  Random random{{}};
  Guard guard{random};
  const Instant t = at_second(0).mono;
  for (std::uint32_t i = 0; i < 1000; ++i)
    ASSERT_EQ(guard.admit(t, host(i), 100, SourceStanding::validated), Acceptance::pass);
  EXPECT_GT(guard.sources(), 1000U);
  const Instant later = t + 60s;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(guard.admit(later, host(5000), 100, SourceStanding::validated), Acceptance::pass);
    ASSERT_EQ(guard.admit_signature(later, host(5000)), Acceptance::pass);
  }
  for (int i = 0; i < 592; ++i)
    ASSERT_EQ(guard.admit(later, host(5000), 100, SourceStanding::validated), Acceptance::pass);
  for (std::uint32_t i = 0; i < 3000; ++i)  // one after the other
    ASSERT_EQ(guard.admit(later + i * 1ms, host(6000 + i), 100, SourceStanding::unproven), Acceptance::pass);
  EXPECT_LT(guard.sources(), 1000U);
  EXPECT_EQ(guard.admit_signature(later + 1s, host(5000)), Acceptance::drop);
}

TEST(Guard, SignaturesAreScarce) {
  Random random{{}};
  Guard guard{random};
  const Instant t = at_second(0).mono;
  int signatures = 0;
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(guard.admit(t, host(1), 100, SourceStanding::unproven), Acceptance::pass);
    signatures += guard.admit_signature(t, host(1)) == Acceptance::pass ? 1 : 0;
  }
  EXPECT_EQ(signatures, 8);
}

TEST(Guard, SizesAndSources) {
  Random random{{}};
  Guard guard{random};
  EXPECT_EQ(guard.admit(at_second(0).mono, host(1), 2049, SourceStanding::validated), Acceptance::drop);
  EXPECT_EQ(guard.admit(at_second(0).mono, host(1), 0, SourceStanding::validated), Acceptance::drop);
  EXPECT_TRUE(usable_source(host(1), Family::v4));
  EXPECT_FALSE(usable_source(host(1), Family::v6));
  EXPECT_FALSE(usable_source(host(1, 1, 0), Family::v4));
  EXPECT_FALSE(usable_source({IpAddress::parse("224.0.0.1").value(), 1}, Family::v4));
  EXPECT_FALSE(usable_source({IpAddress::parse("0.0.0.0").value(), 1}, Family::v4));
  EXPECT_FALSE(usable_source({IpAddress::parse("::ffff:1.2.3.4").value(), 1}, Family::v6));
}

// ---- votes
TEST(ExternalVote, AMajorityOfNetworksDecidesAndFewMustAgree) {
  ExternalVote vote;
  const Instant t = at_second(0).mono;
  const Endpoint ours = host(500), lie = host(600);
  vote.report(host(1), ours, t);
  EXPECT_FALSE(vote.winner(t));  // a lone voice waits
  EXPECT_EQ(vote.undecided_until(t), t + 4s);
  EXPECT_EQ(vote.winner(t + 10s), ours);
  vote.report(host(1, 2), lie, t + 1s);  // the same network: its vote changed
  EXPECT_EQ(vote.votes(), 1U);
  vote.report(host(2), ours, t + 1s);
  EXPECT_FALSE(vote.winner(t + 20s));  // one against one
  vote.report(host(1), ours, t + 2s);
  EXPECT_EQ(vote.winner(t + 2s), ours);
  vote.report(host(3), lie, t + 3s);
  EXPECT_FALSE(vote.winner(t + 3s));
  vote.report(host(4), ours, t + 3s);
  vote.report(host(5), ours, t + 3s);
  EXPECT_EQ(vote.winner(t + 3s), ours);  // 4 of 5
  EXPECT_FALSE(vote.winner(t + 2h));     // all too old
}

TEST(ExternalVote, OneNetworkOfLiarsHasOneVote) {
  ExternalVote vote;
  const Instant t = at_second(0).mono;
  for (std::uint32_t i = 0; i < 200; ++i) vote.report(host(1, i), host(600), t);
  for (std::uint32_t i = 0; i < 4; ++i) vote.report(host(10 + i), host(500), t);
  EXPECT_EQ(vote.winner(t), host(500));
  EXPECT_EQ(vote.votes(), 5U);
}

TEST(ExternalVote, OldVotesGoAndARenewedOneStays) {
  ExternalVote vote;
  const Instant t = at_second(0).mono;
  for (std::uint32_t i = 0; i < 100; ++i) vote.report(host(1 + i), host(500), t + i * 1s);
  EXPECT_EQ(vote.votes(), limits::voters);
  vote.report(host(50), host(500), t + 1h);
  vote.report(host(200), host(500), t + 1h + 100s);  // all but the renewed one have gone
  EXPECT_EQ(vote.votes(), 2U);
}

TEST(ClockSkew, OldSamplesGoAndARenewedOneStays) {
  SkewMedian skew{8};
  const Now now = at_second(100);
  const auto later = [&](Duration by) {
    return Now{now.mono + by, now.wall + std::chrono::duration_cast<std::chrono::milliseconds>(by)};
  };
  const auto wrong = [](const Now& when) { return unix_ms(when.wall) - 7'200'000; };
  for (std::uint32_t i = 0; i < 100; ++i)
    skew.report(host(1 + i), wrong(later(i * 1s)), 100ms, later(i * 1s));
  EXPECT_NEAR(static_cast<double>(skew.median(later(100s))->count()), 7'200'000, 1000);
  const Now end = later(1h + 100s);
  skew.report(host(50), wrong(later(1h)), 100ms, later(1h));
  for (std::uint32_t i = 0; i < 6; ++i) skew.report(host(200 + i), unix_ms(end.wall), 100ms, end);
  EXPECT_FALSE(skew.median(end));  // seven
  skew.report(host(210), unix_ms(end.wall), 100ms, end);
  EXPECT_NEAR(static_cast<double>(skew.median(end)->count()), 0, 1000);
}

TEST(ClockSkew, MedianOfNetworksResistsLiars) {
  SkewMedian skew{8};
  const Now now = at_second(100);
  const auto theirs = unix_ms(now.wall) - 3'600'000;  // ours is an hour ahead
  for (std::uint32_t i = 0; i < 7; ++i) skew.report(host(i + 1), theirs, 100ms, now);
  EXPECT_FALSE(skew.median(now));
  for (std::uint32_t i = 0; i < 100; ++i) skew.report(host(50, i), 0, 100ms, now);  // one network
  ASSERT_TRUE(skew.median(now));
  EXPECT_NEAR(static_cast<double>(skew.median(now)->count()), 3'600'000, 1000);
  for (std::uint32_t i = 0; i < 3; ++i) skew.report(host(60 + i), theirs * 2, 100ms, now);  // 4 of 11 lie
  EXPECT_NEAR(static_cast<double>(skew.median(now)->count()), 3'600'000, 60'000);
  // Our wall clock is set right: the same samples say so.
  EXPECT_NEAR(static_cast<double>(skew.median({now.mono, now.wall - 1h})->count()), 0, 60'000);
  skew.report(host(70), INT64_MIN, 100ms, now);
  skew.report(host(71), INT64_MAX, 100ms, now);
  EXPECT_TRUE(skew.median(now));
}

TEST(ClockSkew, OfThoseTheUserNamedAllMustAgree) {
  SkewMedian skew{8};
  const Now now = at_second(100);
  const auto behind = [&](std::chrono::milliseconds by) { return unix_ms(now.wall) - by.count(); };
  for (std::uint32_t i = 0; i < 6; ++i) skew.report(host(i + 1), behind(2h), 100ms, now);
  EXPECT_FALSE(skew.of_named(now)) << "nobody was named";
  constexpr auto named = SkewMedian::Voter::named;
  skew.report(host(50), behind(90min), 100ms, now, named);
  EXPECT_NEAR(static_cast<double>(skew.of_named(now)->count()), 5'400'000, 1000);
  EXPECT_FALSE(skew.median(now));
  skew.report(host(51), behind(3h), 100ms, now, named);
  EXPECT_NEAR(static_cast<double>(skew.of_named(now)->count()), 5'400'000, 1000) << "the least";
  skew.report(host(52), behind(1s), 100ms, now, named);
  EXPECT_NEAR(static_cast<double>(skew.of_named(now)->count()), 1000, 1000) << "one agrees with us";
  skew.report(host(53), behind(-1h), 100ms, now, named);
  EXPECT_FALSE(skew.of_named(now));
}

// ---- store-back
std::vector<Place> places(std::size_t count) {
  std::vector<Place> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i].endpoint = host(static_cast<std::uint32_t>(i + 1));
  return out;
}

TEST(StoreBack, CountsWhoConfirmed) {
  StoreBack put{places(20)};
  std::vector<std::uint16_t> now;
  put.next(now);
  EXPECT_EQ(now.size(), 16U);
  for (const std::uint16_t place : now) put.stored(place);
  put.stored(now[0]);  // said twice
  std::vector<std::uint16_t> rest;
  put.next(rest);
  ASSERT_EQ(rest.size(), 4U);
  put.refused(rest[0]);
  put.stored(rest[1]);
  put.stored(rest[2]);
  EXPECT_FALSE(put.finished());
  put.stored(rest[3]);
  EXPECT_TRUE(put.finished());
  EXPECT_EQ(put.stored_count(), 19U);
  EXPECT_EQ(put.refused_count(), 1U);
}

TEST(StoreBack, ASilentPlaceIsAskedOnceMore) {
  StoreBack put{places(1)};
  std::vector<std::uint16_t> out;
  put.next(out);
  put.slow(0);
  put.overdue(0);
  put.next(out);
  EXPECT_EQ(out.size(), 2U);
  put.slow(0);
  put.overdue(0);
  put.next(out);
  EXPECT_EQ(out.size(), 2U);
  put.failed(0);
  EXPECT_FALSE(put.finished());
  put.failed(0);
  EXPECT_TRUE(put.finished());
  EXPECT_EQ(put.stored_count(), 0U);
  put.stored(0);  // too late
  EXPECT_EQ(put.stored_count(), 0U);
}

// ---- upkeep
TEST(Upkeep, DutiesComeAtTheirPeriods) {
  Random random{{}};
  const Instant t = at_second(0).mono;
  Upkeep upkeep{t, random};
  Facts facts;
  EXPECT_EQ(upkeep.next(facts), never);
  facts.contacts = true;
  upkeep.restart(t);
  std::map<Duty, int> counts;
  for (int second = 0; second < 3600; ++second)
    while (const auto duty = upkeep.due(t + std::chrono::seconds{second}, facts, random)) ++counts[*duty];
  EXPECT_NEAR(counts[Duty::stalest], 600, 60);
  EXPECT_NEAR(counts[Duty::neighbourhood], 8, 2);
  EXPECT_EQ(counts[Duty::bootstrap], 0);
  EXPECT_EQ(counts[Duty::fill], 0);
  EXPECT_EQ(counts[Duty::probe], 0);
}

TEST(Upkeep, BootstrapBacksOffAndHurries) {
  Random random{{}};
  const Instant t = at_second(0).mono;
  Upkeep upkeep{t, random};
  Facts facts;
  facts.lonely = true;
  facts.endpoints = true;
  int count = 0;
  for (int second = 0; second < 3600; ++second)
    while (upkeep.due(t + std::chrono::seconds{second}, facts, random)) ++count;
  EXPECT_GT(count, 12);
  EXPECT_LT(count, 30);
  upkeep.hurry_bootstrap(t + 1h);
  EXPECT_EQ(upkeep.due(t + 1h, facts, random), Duty::bootstrap);
}

TEST(Acquaintances, RememberAndForget) {
  Acquaintances known;
  const Instant t = at_second(0).mono;
  EXPECT_FALSE(known.validated(host(1), t));
  known.answered(host(1), t);
  EXPECT_TRUE(known.validated(host(1), t + 14min));
  EXPECT_FALSE(known.validated(host(1), t + 16min));
  EXPECT_FALSE(known.proven(host(1), t));
  known.silent(host(2), t);
  EXPECT_TRUE(known.dead(host(2), t + 10s));
  EXPECT_FALSE(known.dead(host(2), t + 1min));  // once may be loss
  known.silent(host(2), t + 1min);
  EXPECT_TRUE(known.dead(host(2), t + 3min));
  known.answered(host(2), t + 3min);
  EXPECT_FALSE(known.dead(host(2), t + 3min));
  EXPECT_TRUE(known.stranger(host(3), t));
  known.wrote_to(host(3), t);
  EXPECT_FALSE(known.stranger(host(3), t + 9min));
  EXPECT_TRUE(known.stranger(host(3), t + 11min));                           // its mapping is forgotten
  for (std::uint32_t i = 0; i < 5000; ++i) known.answered(host(10 + i), t);  // bounded: the oldest go
  EXPECT_FALSE(known.validated(host(1), t));
  EXPECT_TRUE(known.validated(host(10 + 4999), t));
}

}  // namespace
}  // namespace shoal::dht
