#include "swarm/announcer.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

dht::ContentId content(std::uint8_t n) {
  dht::ContentId out{};
  out.fill(n);
  return out;
}

Announcer announcer(std::uint64_t last = 0) {
  return {content(7), crypto::SecretKey{}, {.sequence = last}, Random{{}}};
}

Now at(std::chrono::seconds since) { return {Instant{} + since, from_unix_ms(1'790'000'000'000) + since}; }

dht::RecordInputs facts() {
  dht::RecordInputs out;
  out.v4 = IpAddress::v4(0x14000001);
  out.endpoints = {{*out.v4, 6881}};
  return out;
}

TEST(Announcer, BuildsARecordThatHoldersOfTheLinkCanOpen) {
  Announcer ours = announcer();
  const auto built = ours.build(at(0s), facts());
  ASSERT_GE(built.size(), 1U);
  const auto& keys = ours.keys().current(at(0s).wall);
  EXPECT_EQ(built.front().key, keys.key);
  const auto opened = dht::open_record(built.front().record.bytes, keys, at(0s).wall);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->exchange, ours.exchange().public_key);
  ASSERT_EQ(opened->endpoints.size(), 1U);
  EXPECT_EQ(opened->endpoints.front().to_string(), "20.0.0.1:6881");
}

TEST(Announcer, TheSequenceRisesOverBuildsAndRestarts) {
  Announcer ours = announcer();
  (void)ours.build(at(0s), facts());
  const std::uint64_t first = ours.sequence();
  (void)ours.build(at(0s), facts());
  EXPECT_GT(ours.sequence(), first);
  Announcer later = announcer(ours.sequence() + 1'000'000);
  (void)later.build(at(0s), facts());
  EXPECT_GT(later.sequence(), ours.sequence() + 1'000'000);
}

TEST(Announcer, RefreshesBetween20And30Minutes) {
  Announcer ours = announcer();
  Instant last{};
  for (int i = 0; i < 20; ++i) {
    const Now now = {
        last, at(0s).wall + std::chrono::duration_cast<std::chrono::milliseconds>(last.time_since_epoch())};
    (void)ours.build(now, facts());
    EXPECT_LE(ours.due() - last, 30min);
    // Earlier only where an epoch begins or ends.
    if (ours.keys().epochs_at(now.wall) == ours.keys().epochs_at(now.wall + 30min)) {
      EXPECT_GE(ours.due() - last, 20min);
    }
    last = ours.due();
  }
}

TEST(Announcer, NearABorderItPublishesUnderBothEpochsAndForgetsTheOldOne) {
  Announcer ours = announcer();
  std::size_t most = 0, stale = 0;
  for (std::chrono::seconds t = 0s; t < 48h; t += 30min) {
    most = std::max(most, ours.build(at(t), facts()).size());
    stale += ours.take_stale_keys().size();
  }
  EXPECT_EQ(most, 2U);
  EXPECT_GE(stale, 2U);
  EXPECT_TRUE(ours.take_stale_keys().empty());
}

TEST(Announcer, WhatCameToNobodyIsSentAgainSoonAndThenMoreRarely) {
  Announcer ours = announcer();
  Duration pause = 5s;
  Instant last = at(0s).mono;
  for (int i = 0; i < 10; ++i) {
    const Now now = {last, at(0s).wall};
    (void)ours.build(now, facts());
    ours.published(now, 0);
    EXPECT_EQ(ours.due() - last, pause) << i;
    ours.published(now, 8);  // that another record arrived changes nothing
    EXPECT_EQ(ours.due() - last, pause);
    last = ours.due();
    pause = std::min<Duration>(2 * pause, 5min);
  }
  const Now now = {last, at(0s).wall};
  (void)ours.build(now, facts());
  ours.published(now, 8);
  EXPECT_GE(ours.due() - last, 20min);
  (void)ours.build(now, facts());
  ours.published(now, 0);
  EXPECT_EQ(ours.due() - last, 5s);
}

TEST(Announcer, SeveralReasonsMakeOnePublication) {
  Announcer ours = announcer();
  (void)ours.build(at(0s), facts());
  ours.soon(at(10s));
  const Instant due = ours.due();
  EXPECT_GT(due, at(10s).mono);
  EXPECT_LE(due, at(11s).mono);
  ours.soon(at(11s));
  EXPECT_EQ(ours.due(), due);
}

}  // namespace
}  // namespace shoal::swarm
