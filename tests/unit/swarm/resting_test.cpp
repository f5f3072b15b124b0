#include "swarm/resting.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

constexpr Instant start = Instant{} + 1h;
Now now(Instant at) { return {at, from_unix_ms(1'790'000'000'000)}; }

RestingContent content(Slot slot, Instant due) {
  RestingContent out;
  out.command = slot;
  out.names.id[0] = static_cast<std::uint8_t>(slot);
  out.past.due = due;
  return out;
}

Resting with(Slot count, Instant due) {
  Resting out;
  for (Slot slot = 1; slot <= count; ++slot) out.add(slot, content(slot, due));
  return out;
}

TEST(Resting, GivesBackWhatWasPutThere) {
  Resting resting = with(3, start);
  ASSERT_NE(resting.find(2), nullptr);
  EXPECT_EQ(resting.find(2)->command, 2U);
  const auto taken = resting.take(2);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->command, 2U);
  EXPECT_EQ(resting.find(2), nullptr);
  EXPECT_FALSE(resting.take(2));
  EXPECT_EQ(resting.size(), 2U);
  EXPECT_TRUE(resting.take(1) && resting.take(3));
  EXPECT_TRUE(resting.empty());
  EXPECT_EQ(resting.next_announcement_time(), never);
  EXPECT_EQ(resting.next_look_up_time(), never);
}

// All are due at once: a few go at once, the others at the pace, each once, by how long it has been due.
TEST(Resting, AnnouncesAtAPace) {
  constexpr Slot many = 500;
  Resting resting;
  for (Slot slot = 1; slot <= many; ++slot) resting.add(slot, content(slot, start - Duration{slot}));
  std::vector<Slot> order;
  std::uint32_t at_once = 0;
  Instant time = start;
  for (; order.size() < many; time = resting.next_announcement_time()) {
    ASSERT_LT(time, start + 1h);
    while (const auto slot = resting.next_announcement(time)) {
      order.push_back(*slot);
      Announcer::Past past = resting.find(*slot)->past;
      past.due = time + 25min;
      resting.announced(*slot, past);
    }
    if (time == start) at_once = static_cast<std::uint32_t>(order.size());
  }
  EXPECT_EQ(at_once, limits::rest_announcements_at_once);
  EXPECT_TRUE(std::ranges::is_sorted(order, std::greater{}));  // the last one given had been due for longest
  EXPECT_EQ(time, start + 25min);  // and then nothing until the first is due again
  // 468 of them waited for each other.
  EXPECT_EQ(resting.next_announcement(start + 24min), std::nullopt);
}

TEST(Resting, WhatCameToNobodyIsDueAgainSoon) {
  Resting resting = with(2, start + 25min);
  resting.published(now(start), 1, 8);
  EXPECT_EQ(resting.next_announcement_time(), start + 25min);
  resting.published(now(start), 1, 0);
  EXPECT_EQ(resting.next_announcement_time(), start + 5s);
  EXPECT_EQ(resting.next_announcement(start + 5s), Slot{1});
  resting.published(now(start), 77, 0);  // gone meanwhile
}

TEST(Resting, AllAreDueSoonWhenOurAddressChanges) {
  Resting resting = with(20, start + 25min);
  resting.all_soon(now(start));
  EXPECT_LE(resting.next_announcement_time(), start + 1s);
  std::set<Slot> seen;
  for (Slot i = 0; i < 20; ++i) {
    const auto slot = resting.next_announcement(start + 1s);
    ASSERT_TRUE(slot);
    seen.insert(*slot);
    Announcer::Past past = resting.find(*slot)->past;
    past.due = start + 25min;
    resting.announced(*slot, past);
  }
  EXPECT_EQ(seen.size(), 20U);
}

TEST(Resting, LooksUpInTurnEachEveryTwentySecondsOrAtThePace) {
  for (const Slot count : {Slot{1}, Slot{4}, Slot{1000}}) {
    Resting resting = with(count, never);
    std::map<Slot, std::vector<Instant>> asked;
    Instant time = start;
    for (std::size_t i = 0; i < std::size_t{count} * 3; ++i) {
      const auto slot = resting.next_look_up(time);
      ASSERT_TRUE(slot);
      EXPECT_EQ(resting.next_look_up(time), std::nullopt);
      asked[*slot].push_back(time);
      time = resting.next_look_up_time();
    }
    ASSERT_EQ(asked.size(), count);
    const Duration round = std::max<Duration>(20s, count * limits::rest_look_up_gap);
    for (const auto& [slot, times] : asked) {
      ASSERT_EQ(times.size(), 3U);
      EXPECT_EQ(times[2] - times[1], round);
    }
  }
}

TEST(Resting, WhoWasMetIsNoNewsForFiveMinutes) {
  Resting resting = with(2, start);
  const Bytes one{1}, other{2};
  EXPECT_TRUE(resting.is_new(start, 1, one));
  EXPECT_TRUE(resting.is_new(start, 2, one));
  EXPECT_TRUE(resting.is_new(start, 1, other));
  EXPECT_FALSE(resting.is_new(start + 4min, 1, one));
  EXPECT_TRUE(resting.is_new(start + 5min, 1, one));
  for (std::uint32_t i = 0; i < limits::most_rest_met; ++i)
    EXPECT_TRUE(resting.is_new(start + 6min, i + 10, one));
  EXPECT_TRUE(resting.is_new(start + 6min, 1, one));  // forgotten
}

}  // namespace
}  // namespace shoal::swarm
