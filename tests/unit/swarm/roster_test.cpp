// The roster: whom next, back-off, bans, crowds (THREATS A9, A12).
#include "swarm/roster.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "contents.hpp"
#include "swarm/peer_priority.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::make_random;

crypto::PublicKey key(std::uint32_t n) {
  crypto::PublicKey out{};
  store_be<std::uint32_t>(out.data(), n + 1);
  return out;
}
Endpoint at(const char* text) { return *Endpoint::parse(text); }
Endpoint far(std::uint32_t n) { return {IpAddress::v4(0x08000000 + n), 6881}; }

struct RosterTest : testing::Test {
  AddressRules rules;
  Roster roster{rules, make_random(1)};
  dht::StrangerLimits limits;
  Now now{Instant{seconds{1000}}, WallTime{}};

  void later(Duration time) { now.mono += time; }
  std::optional<Endpoint> dial() {
    const auto candidate = roster.next_dial(now, limits);
    return candidate ? std::optional{candidate->endpoint} : std::nullopt;
  }
};

TEST_F(RosterTest, DialsWhatItKnowsOnce) {
  EXPECT_EQ(roster.next_time(limits), never);
  EXPECT_EQ(roster.add(now, far(1), key(1), Source::record), Roster::Added::added);
  EXPECT_EQ(roster.add(now, far(1), key(1), Source::exchange), Roster::Added::known);
  EXPECT_EQ(roster.add(now, at("127.0.0.1:6881"), key(2), Source::record), Roster::Added::refused);
  EXPECT_LE(roster.next_time(limits), now.mono);
  EXPECT_EQ(dial(), far(1));
  EXPECT_EQ(roster.dialling(), 1U);
  EXPECT_EQ(dial(), std::nullopt);
  EXPECT_EQ(roster.next_time(limits), never);
  roster.connected(now, far(1), key(1));
  EXPECT_EQ(roster.dialling(), 0U);
  EXPECT_EQ(dial(), std::nullopt);
  roster.failed(now, far(1), Roster::Why::lost);
  EXPECT_EQ(dial(), std::nullopt);
  later(seconds{6});
  EXPECT_EQ(dial(), far(1));
}

TEST_F(RosterTest, TrustedSourcesComeFirst) {
  roster.add(now, far(0x100), key(1), Source::exchange);
  roster.add(now, far(0x200), key(2), Source::record);
  roster.add(now, far(0x300), key(3), Source::user);
  EXPECT_EQ(dial(), far(0x300));
}

TEST_F(RosterTest, TheKeylessAreAskedFirst) {
  roster.add(now, far(1), std::nullopt, Source::user);
  EXPECT_EQ(dial(), std::nullopt);
  EXPECT_EQ(roster.next_ask(now, limits), far(1));
  EXPECT_EQ(roster.next_ask(now, limits), std::nullopt);
  EXPECT_EQ(roster.next_time(limits), now.mono + limits::ask_period);
  later(limits::ask_period);
  EXPECT_EQ(roster.next_ask(now, limits), far(1));
  roster.add(now, far(1), key(1), Source::user);  // its record came
  EXPECT_EQ(dial(), far(1));
  EXPECT_EQ(roster.find(far(1))->key, key(1));
}

TEST_F(RosterTest, TheUsersOwnIsAskedAgainAndAgainStrangersOnce) {
  roster.add(now, far(0x100), std::nullopt, Source::user);
  roster.add(now, far(0x200), std::nullopt, Source::exchange);
  int user = 0, stranger = 0;
  for (int second = 0; second < 600; ++second, later(seconds{1}))
    while (const auto who = roster.next_ask(now, limits)) {
      (*who == far(0x100) ? user : stranger) += 1;
      if (*who != far(0x100))
        static_cast<void>(limits.take_datagram(now.mono, who->address));  // as the node does
    }
  EXPECT_GE(user, 15);
  EXPECT_LE(user, 40);
  EXPECT_LE(stranger, 3);
}

TEST_F(RosterTest, FailuresBackOffAndHearsayIsForgotten) {
  roster.add(now, far(1), key(1), Source::record);
  std::vector<Instant> dials;
  for (int second = 0; second < 4 * 3600 && roster.size() > 0; ++second, later(seconds{1}))
    if (dial()) {
      dials.push_back(now.mono);
      roster.failed(now, far(1), Roster::Why::no_answer);
    }
  EXPECT_EQ(dials.size(), limits::forget_failures);
  EXPECT_EQ(roster.size(), 0U);
  for (std::size_t i = 3; i < dials.size(); ++i)
    EXPECT_GE(dials[i] - dials[i - 3], dht::limits::stranger_window);
}

// A partition heals after a while: peers that were once connected are reached again within a minute.
TEST_F(RosterTest, KnownPeersAreTriedEveryHalfMinute) {
  roster.add(now, far(1), key(1), Source::record);
  EXPECT_EQ(dial(), far(1));
  roster.connected(now, far(1), key(1));
  roster.failed(now, far(1), Roster::Why::lost);
  Instant last = now.mono;
  for (int second = 0; second < 3600; ++second, later(seconds{1}))
    if (dial()) {
      EXPECT_LE(now.mono - last, seconds{35});
      last = now.mono;
      later(seconds{10});  // the dial times out
      roster.failed(now, far(1), Roster::Why::no_answer);
    }
  EXPECT_GE(last, now.mono - seconds{45});
  EXPECT_EQ(roster.size(), 1U);
}

// BEP 40: which of many is dialled first follows from both ends' addresses, once we know our own.
TEST_F(RosterTest, AmongEqualsByThePriorityThatBothEndsShare) {
  for (std::uint32_t n = 0; n < 20; ++n) roster.add(now, far(n << 16), key(n), Source::record);
  const Endpoint own = at("123.213.32.10:7000");
  rules.own = {own};
  roster.set_rules(rules);
  for (std::uint32_t n = 20; n < 40; ++n) roster.add(now, far(n << 16), key(n), Source::record);
  std::vector<std::uint32_t> dialled;
  while (const auto who = dial()) dialled.push_back(peer_priority(own, *who));
  EXPECT_EQ(dialled.size(), 40U);
  EXPECT_TRUE(std::ranges::is_sorted(dialled, std::greater{}));
}

TEST_F(RosterTest, OneConnectionAKey) {
  roster.add(now, far(0x100), key(1), Source::record);
  roster.add(now, far(0x200), key(1), Source::record);
  EXPECT_TRUE(dial());
  EXPECT_EQ(dial(), std::nullopt) << "its other endpoint waits";
  for (const Endpoint& endpoint : {far(0x100), far(0x200)})
    roster.failed(now, endpoint, Roster::Why::no_answer);
  later(seconds{30});
  roster.peer_up(key(1));  // it came in by itself
  EXPECT_EQ(dial(), std::nullopt);
  EXPECT_EQ(roster.next_time(limits), never);
  roster.peer_down(key(1));
  EXPECT_TRUE(dial());
}

TEST_F(RosterTest, NeverItself) {
  roster.set_own_key(key(9));
  EXPECT_EQ(roster.add(now, far(1), key(9), Source::record), Roster::Added::refused);
  EXPECT_EQ(roster.add(now, far(1), crypto::PublicKey{}, Source::record), Roster::Added::refused);
  rules.own = {far(2)};
  EXPECT_EQ(roster.add(now, far(2), key(1), Source::record), Roster::Added::added);
  roster.set_rules(rules);
  EXPECT_EQ(dial(), std::nullopt) << "learned later that this is our own address";
}

TEST_F(RosterTest, KeysAreNotOverwrittenByHearsay) {
  roster.add(now, far(1), key(1), Source::record);
  roster.add(now, far(1), key(2), Source::exchange);
  EXPECT_EQ(roster.find(far(1))->key, key(1));
  roster.add(now, far(1), key(3), Source::user);
  EXPECT_EQ(roster.find(far(1))->key, key(3));
  EXPECT_TRUE(dial());
  roster.failed(now, far(1), Roster::Why::no_answer);
  roster.add(now, far(1), key(4), Source::exchange);
  EXPECT_EQ(roster.find(far(1))->key, key(4)) << "the old one did not answer";
}

TEST_F(RosterTest, BansKeysAndOnlyThenAddresses) {
  const Endpoint bad = far(1);
  roster.add(now, bad, key(1), Source::record);
  roster.ban(key(1), bad.address);
  EXPECT_EQ(roster.size(), 0U);
  EXPECT_TRUE(roster.banned(key(1), far(77).address));
  EXPECT_FALSE(roster.banned(key(2), bad.address)) << "others share the NAT";
  for (std::uint32_t i = 0; i < 10; ++i) roster.ban(key(1), bad.address);
  EXPECT_FALSE(roster.banned(key(2), bad.address));
  for (std::uint32_t i = 10; i < 10 + limits::bans_per_address; ++i) roster.ban(key(i), bad.address);
  EXPECT_TRUE(roster.banned(key(2), bad.address));
  EXPECT_EQ(roster.add(now, bad, key(2), Source::record), Roster::Added::refused);
  const IpAddress lan = at("192.168.1.1:6881").address;
  for (std::uint32_t i = 20; i < 40; ++i) roster.ban(key(i), lan);
  EXPECT_FALSE(roster.banned(key(2), lan));
  for (std::uint32_t i = 100; i < 5000; ++i) roster.ban(key(i), far(i).address);
  EXPECT_EQ(roster.bans(), limits::max_bans);
}

TEST_F(RosterTest, IsBoundedAndCrowdsGiveWay) {
  for (std::uint32_t i = 0; i < 1000; ++i) roster.add(now, far(i % 250), key(i), Source::exchange);
  for (std::uint32_t i = 0; i < 200; ++i)
    roster.add(now, {far(i).address, 7000}, key(3000 + i), Source::exchange);
  EXPECT_EQ(roster.size(), limits::max_candidates_per_network);
  // A hundred networks fill it; a new network still finds room.
  for (std::uint32_t i = 0; i < 10'000; ++i)
    roster.add(now, far(0x10000 + i % 100 * 0x100 + i / 100), key(10'000 + i), Source::exchange);
  EXPECT_EQ(roster.size(), limits::max_candidates);
  EXPECT_EQ(roster.add(now, far(0x900000), key(50'000), Source::exchange), Roster::Added::added);
  EXPECT_EQ(roster.size(), limits::max_candidates);
  EXPECT_EQ(roster.add(now, far(0x900000), key(50'001), Source::user), Roster::Added::known);
  std::uint32_t same = 0;
  for (std::uint32_t i = 0; i < 10; ++i)
    same += roster.add(now, far(0xa00000 + i * 0x100), key(60'000), Source::record) == Roster::Added::added
                ? 1
                : 0;
  EXPECT_EQ(same, limits::max_endpoints_per_key);
}

// A9: 1,000 fake announcers from 10 networks and one honest peer, all from records: it is among the first
// dials.
TEST_F(RosterTest, OneHonestAmongAThousandLiars) {
  for (std::uint8_t seed = 0; seed < 50; ++seed) {
    Roster one{rules, make_random(seed)};
    dht::StrangerLimits fresh;
    for (std::uint32_t i = 0; i < 1000; ++i)
      one.add(now, far(i % 10 * 0x100 + i / 10), key(i), Source::record);
    one.add(now, far(0xff0000), key(5000), Source::record);
    std::set<Endpoint> dialled;
    while (const auto candidate = one.next_dial(now, fresh)) dialled.insert(candidate->endpoint);
    EXPECT_TRUE(dialled.contains(far(0xff0000)));
    EXPECT_LE(dialled.size(), 11U);
  }
}

TEST_F(RosterTest, NextTimeTellsTheTruth) {
  Random random = make_random(9);
  for (std::uint32_t i = 0; i < 60; ++i) roster.add(now, far(i % 6 * 0x100 + i), key(i), Source::record);
  int dials = 0, wakes = 0;
  while (now.mono < Instant{seconds{1000 + 1800}}) {
    const auto next = roster.next_time(limits);
    if (next == never) break;
    now.mono = std::max(now.mono, next);
    ++wakes;
    while (const auto candidate = roster.next_dial(now, limits)) {
      ++dials;
      roster.failed(now, candidate->endpoint,
                    random.below(3) == 0 ? Roster::Why::lost : Roster::Why::no_answer);
    }
    ASSERT_GT(roster.next_time(limits), now.mono) << "no busy waiting";
  }
  EXPECT_GT(dials, 60);
  EXPECT_LE(wakes, dials + 5);
}

TEST_F(RosterTest, HearsayMayBeForgotten) {
  roster.add(now, far(1), key(1), Source::user);
  roster.add(now, far(2), key(2), Source::record);
  roster.add(now, far(3), key(3), Source::lan);
  ASSERT_TRUE(dial());
  roster.forget_hearsay();
  EXPECT_EQ(roster.size(), 1U);
  EXPECT_NE(roster.find(far(1)), nullptr);
}

// ---- several ways

struct WaysTest : RosterTest {
  void SetUp() override { roster.set_ways({Way::native, Way::obfuscated, Way::plain}); }
  std::optional<Way> way() {
    const auto candidate = roster.next_dial(now, limits);
    if (!candidate) return std::nullopt;
    if (candidate->syns == limits::syns_of_stranger) limits.unused(candidate->endpoint.address, 1);
    return candidate->way;
  }
};

TEST_F(WaysTest, WhoTookTheStreamAndNotTheGreetingIsOfferedTheNextAtOnce) {
  roster.add(now, far(1), key(1), Source::record);
  for (const Way expected : {Way::native, Way::obfuscated}) {
    EXPECT_LE(roster.next_time(limits), now.mono);
    ASSERT_EQ(way(), expected);
    roster.failed(now, far(1), Roster::Why::no_greeting);
  }
  EXPECT_EQ(way(), std::nullopt) << "only one is tried within the gap (THREATS A12)";
  later(seconds{10});
  EXPECT_EQ(way(), Way::plain);
  roster.failed(now, far(1), Roster::Why::no_greeting);
  later(seconds{10});
  EXPECT_EQ(way(), std::nullopt);  // all are refused: in a while from the first
  later(dht::limits::stranger_window);
  EXPECT_EQ(way(), Way::native);
}

TEST_F(WaysTest, WithoutAKeyNobodyIsAskedByDatagram) {
  roster.add(now, far(1), std::nullopt, Source::record);
  EXPECT_EQ(roster.next_ask(now, limits), std::nullopt);
  EXPECT_EQ(way(), Way::obfuscated);
}

TEST_F(WaysTest, AWayThatWorkedIsTriedFirstAfterALoss) {
  roster.add(now, far(1), std::nullopt, Source::record);
  EXPECT_EQ(way(), Way::obfuscated);
  roster.failed(now, far(1), Roster::Why::no_greeting);
  EXPECT_EQ(way(), Way::plain);
  roster.connected(now, far(1), std::nullopt);
  roster.failed(now, far(1), Roster::Why::lost);
  later(seconds{6});
  EXPECT_EQ(way(), Way::plain);
}

TEST_F(WaysTest, AShoalMetOverBitTorrentIsDialledNativelyAndNotTwiceInVain) {
  roster.add(now, far(1), std::nullopt, Source::record);
  EXPECT_EQ(way(), Way::obfuscated);
  EXPECT_FALSE(roster.go_native(now, far(1), key(1))) << "it is not connected";
  roster.connected(now, far(1), std::nullopt);
  ASSERT_TRUE(roster.go_native(now, far(1), key(1)));
  roster.failed(now, far(1), Roster::Why::moves);
  EXPECT_EQ(way(), Way::native);
  roster.failed(now, far(1), Roster::Why::no_greeting);
  EXPECT_EQ(way(), Way::obfuscated);
  roster.connected(now, far(1), std::nullopt);
  EXPECT_FALSE(roster.go_native(now, far(1), key(1)));
  EXPECT_FALSE(roster.go_native(now, far(1), key(2))) << "one key after the other";
  later(minutes{10});
  EXPECT_TRUE(roster.go_native(now, far(1), key(2)));
}

// THREATS A12: of a stranger that is silent three SYNs are sent, of whom the user named as many as usual.
TEST_F(RosterTest, ASilentStrangerIsSentThreeSyns) {
  for (const Source source : {Source::record, Source::exchange, Source::incoming, Source::user}) {
    const Endpoint who = far(static_cast<std::uint32_t>(source) << 12);
    roster.add(now, who, key(1), source);
    std::vector<std::uint32_t> syns;
    for (int second = 0; second < 600; ++second, later(seconds{1}))
      if (const auto candidate = roster.next_dial(now, limits)) {
        syns.push_back(candidate->syns);
        roster.failed(now, who, Roster::Why::no_answer);
      }
    const std::vector<std::uint32_t> wanted =
        source == Source::user ? std::vector<std::uint32_t>{4, 4, 4} : std::vector<std::uint32_t>{2, 1};
    EXPECT_EQ(syns, wanted) << static_cast<int>(source);
    roster.forget_hearsay();
  }
}

// Each greeting that it is offered counts.
TEST_F(WaysTest, AStrangerWhoTakesStreamsAndNoGreetingIsLeftAlone) {
  roster.add(now, far(1), std::nullopt, Source::exchange);
  int dials = 0;
  for (int second = 0; second < 600; ++second, later(seconds{1}))
    while (way()) {
      ++dials;
      roster.failed(now, far(1), Roster::Why::no_greeting);
    }
  EXPECT_EQ(dials, 3);
}

TEST_F(WaysTest, WhoDialledUsIsNotDialled) {
  roster.add(now, far(1), std::nullopt, Source::incoming);
  EXPECT_TRUE(roster.occupy(far(1)));
  EXPECT_FALSE(roster.occupy(far(1)));
  EXPECT_EQ(way(), std::nullopt);
  roster.failed(now, far(1), Roster::Why::lost);
  later(seconds{6});
  EXPECT_EQ(way(), Way::obfuscated);
}

}  // namespace
}  // namespace shoal::swarm
