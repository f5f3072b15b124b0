// Keys of a content: epochs and their borders, separation, tags that two clocks agree on.
#include "dht/swarm_keys.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::content;
using test::node_seed;
using test::some_day;

TEST(SwarmKeys, EveryKeyDiffersByContentEpochAndPurpose) {
  std::set<ByteArray<32>> seen;
  std::size_t expected = 0;
  for (std::uint64_t c = 0; c < 5; ++c) {
    for (Epoch e = -2; e < 3; ++e) {
      const EpochKeys keys = derive_epoch(content(c), e);
      EXPECT_EQ(keys.key, key_of(keys.swarm.public_key));
      for (const auto& one :
           {keys.swarm.seed, keys.swarm.public_key, keys.key.bytes, keys.box, keys.psk, keys.tag}) {
        seen.insert(one);
        ++expected;
      }
    }
  }
  EXPECT_EQ(seen.size(), expected);
  EXPECT_EQ(derive_epoch(content(1), 7).key, derive_epoch(content(1), 7).key);
}

// Pinned: a change of any label or of the epoch's length would part us from every peer in the world.
TEST(SwarmKeys, TheDerivationIsFixed) {
  ContentId id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::uint8_t>(i);
  SwarmKeys keys{id};
  const EpochKeys& now = keys.current(some_day);
  EXPECT_EQ(now.epoch, 20'370);
  EXPECT_EQ(to_hex(now.swarm.public_key), "0974a8fdb8c3d21c82e29cb90c52087accf761699846e17f6363f71f28836257");
  EXPECT_EQ(to_hex(now.key.bytes), "e8e3aa5324a2e5a387444ed30abfb7f950190d0b43c402a6878de00efe25c7b5");
  EXPECT_EQ(to_hex(now.box), "3751957efbf286dcdfa91c06f0cd0106f83c171a975a20e7f8e6075950b13701");
  EXPECT_EQ(to_hex(now.psk), "ba44b046926721a6b9139a169ef022869b4ac306979635fbb33cd9dbe3f62dcb");
  EXPECT_EQ(to_hex(now.tag), "573c9671ed644c2728059dad5bf8a96ea5f4d8fbc120ebf8fbfbefbd225e72a2");
  EXPECT_EQ(to_hex(dial_tag(now, node_seed(1), some_day)), "76ec0c3e19b5fcef081ea0c49aa75430");
}

TEST(SwarmKeys, EpochsLastADayAndOverlapAnHourEachSide) {
  for (std::uint64_t c = 0; c < 20; ++c) {
    const SwarmKeys keys{content(c)};
    int borders = 0, single = 0, before = 0, after = 0;
    for (auto t = some_day; t < some_day + 48h; t += 1min) {
      const Epochs epochs = keys.epochs_at(t);
      ASSERT_EQ(epochs.current(), keys.epoch_at(t));
      if (keys.epoch_at(t + 1min) != keys.epoch_at(t)) ++borders;
      if (epochs.count == 1) ++single;
      if (epochs.count == 2 && epochs.values[1] == epochs.current() + 1) ++before;
      if (epochs.count == 2 && epochs.values[1] == epochs.current() - 1) ++after;
    }
    EXPECT_EQ(borders, 2);
    EXPECT_EQ(single, 2 * 22 * 60);
    EXPECT_EQ(before, 2 * 60);
    EXPECT_EQ(after, 2 * 60);
  }
}

TEST(SwarmKeys, BordersDifferFromContentToContent) {
  std::set<std::int64_t> borders;
  for (std::uint64_t c = 0; c < 50; ++c) {
    const SwarmKeys keys{content(c)};
    auto t = some_day;
    while (keys.epoch_at(t + 1min) == keys.epoch_at(t)) t += 1min;
    borders.insert(unix_ms(t));
  }
  EXPECT_GT(borders.size(), 45U);
}

TEST(SwarmKeys, NextChangeIsExact) {
  const SwarmKeys keys{content(3)};
  auto t = some_day;
  for (int i = 0; i < 12; ++i) {
    const WallTime change = keys.next_change(t);
    ASSERT_GT(change, t);
    EXPECT_EQ(keys.epochs_at(change - 1ms), keys.epochs_at(t));
    EXPECT_NE(keys.epochs_at(change), keys.epochs_at(t));
    t = change;
  }
  // Three changes a day: twelve of them, the first after less than a day, span four days from change to
  // change.
  EXPECT_EQ(keys.next_change(t), keys.next_change(some_day) + 24h * 4);
}

TEST(SwarmKeys, TimesBeforeTheUnixEpochHaveEpochsToo) {
  const SwarmKeys keys{content(4)};
  EXPECT_EQ(keys.epoch_at(from_unix_ms(-1) - 24h * 10), keys.epoch_at(from_unix_ms(-1)) - 10);
}

TEST(SwarmKeys, TheCacheGivesWhatDerivationGives) {
  SwarmKeys keys{content(5)};
  for (const Epoch e : {1, 2, 3, 2, 1, 4, 5, 1, 5, 4}) {
    const EpochKeys& cached = keys.of(e);
    const EpochKeys fresh = derive_epoch(content(5), e);
    EXPECT_EQ(cached.epoch, e);
    EXPECT_EQ(cached.key, fresh.key);
    EXPECT_EQ(cached.psk, fresh.psk);
  }
  const EpochKeys* const first = &keys.of(7);
  EXPECT_EQ(first, &keys.of(7));
}

TEST(AnnouncerKeys, SurviveARestartAndLeadNowhereElse) {
  const auto seed = node_seed(1);
  const AnnouncerKeys a = announcer_keys(seed, content(1), 10);
  const AnnouncerKeys again = announcer_keys(seed, content(1), 10);
  EXPECT_EQ(a.signing.public_key, again.signing.public_key);
  EXPECT_EQ(a.exchange.public_key, again.exchange.public_key);
  EXPECT_EQ(a.sequence_shift_ms, again.sequence_shift_ms);

  const AnnouncerKeys tomorrow = announcer_keys(seed, content(1), 11);
  EXPECT_NE(a.signing.public_key, tomorrow.signing.public_key) << "in clear: must not tie two days together";
  EXPECT_EQ(a.exchange.public_key, tomorrow.exchange.public_key) << "the identity in the channel";
  EXPECT_EQ(a.exchange.public_key, exchange_key(seed, content(1)).public_key);

  const AnnouncerKeys elsewhere = announcer_keys(seed, content(2), 10);
  EXPECT_NE(a.signing.public_key, elsewhere.signing.public_key);
  EXPECT_NE(a.exchange.public_key, elsewhere.exchange.public_key);
  const auto node_key = crypto::SigningKey::from_seed(seed).public_key;
  EXPECT_NE(a.signing.public_key, node_key);
  EXPECT_NE(announcer_keys(node_seed(2), content(1), 10).exchange.public_key, a.exchange.public_key);
}

TEST(AnnouncerKeys, SequenceRisesWhateverTheClockDoes) {
  const AnnouncerKeys keys = announcer_keys(node_seed(1), content(1), 10);
  std::uint64_t last = 0;
  Random random{{}};
  for (int i = 0; i < 1'000; ++i) {
    const auto wall =
        some_day + std::chrono::milliseconds{static_cast<std::int64_t>(random.below(100'000)) - 50'000};
    const std::uint64_t next = next_sequence(keys, wall, last);
    ASSERT_GT(next, last);
    ASSERT_GE(next, static_cast<std::uint64_t>(unix_ms(wall)));
    last = next;
  }
  EXPECT_GT(next_sequence(keys, from_unix_ms(-5), 0), 0U);
}

TEST(AnnouncerKeys, OneMomentGivesDifferentSequencesInDifferentContents) {
  std::set<std::uint64_t> sequences;
  for (std::uint64_t c = 0; c < 100; ++c)
    sequences.insert(next_sequence(announcer_keys(node_seed(1), content(c), 10), some_day, 0));
  EXPECT_GT(sequences.size(), 95U);
}

// A dialler and a responder whose clocks differ by up to an hour, at every minute of two days: the tag is
// known, and the PSK it stands for is the dialler's.
TEST(ChannelTag, ClocksAnHourApartAgree) {
  SwarmKeys dialler{content(6)}, responder{content(6)};
  const auto key = exchange_key(node_seed(9), content(6)).public_key;
  for (auto t = some_day; t < some_day + 48h; t += 7min) {
    std::map<ChannelTag, Epoch> accepted;
    for (const AcceptedTag& tag : accepted_tags(responder.content(), Days{responder.content()}, key, t))
      accepted[tag.tag] = tag.epoch;
    EXPECT_EQ(accepted.size(), 3U * responder.epochs_at(t).count);
    for (const auto skew : {-60min, -59min, -30min, 0min, 30min, 59min}) {
      const EpochKeys& used = dialler.current(t + skew);
      const auto found = accepted.find(dial_tag(used, key, t + skew));
      ASSERT_NE(found, accepted.end()) << skew.count();
      EXPECT_EQ(responder.of(found->second).psk, used.psk);
    }
    EXPECT_FALSE(accepted.contains(dial_tag(dialler.current(t + 2h), key, t + 2h)));
    EXPECT_FALSE(accepted.contains(dial_tag(dialler.current(t - 2h), key, t - 2h)));
  }
}

TEST(ChannelTag, NamesOneResponderInOneSwarm) {
  SwarmKeys one{content(1)}, other{content(2)};
  const auto a = exchange_key(node_seed(1), content(1)).public_key;
  const auto b = exchange_key(node_seed(2), content(1)).public_key;
  const std::int64_t hour = hour_of(some_day);
  const ChannelTag tag = channel_tag(one.current(some_day).tag, a, hour);
  EXPECT_NE(tag, channel_tag(one.current(some_day).tag, b, hour));
  EXPECT_NE(tag, channel_tag(other.current(some_day).tag, a, hour));
  EXPECT_NE(tag, channel_tag(one.current(some_day).tag, a, hour + 1));
  EXPECT_EQ(hour_of(from_unix_ms(-1)), -1);
  EXPECT_EQ(hour_of(from_unix_ms(3'600'000)), 1);
}

}  // namespace
}  // namespace shoal::dht
