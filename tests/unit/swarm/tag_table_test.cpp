// The gate of accepted streams: tags of contents, the first bytes of dialects, replayed ephemerals.
#include "swarm/tag_table.hpp"

#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"
#include "swarm/replay_filter.hpp"
#include "swarm/sniff.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

class TagTableTest : public testing::Test {
 protected:
  // Away from any border of an epoch, in the middle of an hour.
  WallTime quiet_time(dht::SwarmKeys& keys) {
    WallTime out = std::chrono::floor<hours>(from_unix_ms(1'800'000'000'000)) + minutes{30};
    while (keys.epochs_at(out).count != 1 || keys.epochs_at(out + hours{3}).count != 1 ||
           keys.epochs_at(out - hours{3}).count != 1)
      out += hours{1};
    return out;
  }
  dht::ChannelTag tag(dht::SwarmKeys& keys, const crypto::ExchangeKey& ours, WallTime at) {
    return dht::dial_tag(keys.current(at), ours.public_key, at);
  }

  Random random_{{}};
  dht::SwarmKeys keys_{random_.bytes<32>()}, other_{random_.bytes<32>()};
  crypto::ExchangeKey ours_ = crypto::ExchangeKey::from_secret(random_.bytes<32>());
  TagTable table_;
};

TEST_F(TagTableTest, FindsWhatADiallerSendsWithinAnHourEitherWay) {
  const WallTime now = quiet_time(keys_);
  table_.add(now, 7, keys_.content(), ours_.public_key);
  EXPECT_EQ(table_.tags(), 3U);
  for (const auto shift : {hours{-1}, hours{0}, hours{1}}) {
    const auto* entry = table_.find(tag(keys_, ours_, now + shift));
    ASSERT_NE(entry, nullptr) << shift.count();
    EXPECT_EQ(entry->content, 7U);
    EXPECT_EQ(entry->epoch, keys_.epoch_at(now));
  }
  EXPECT_EQ(table_.find(tag(keys_, ours_, now + hours{2})), nullptr);
  EXPECT_EQ(table_.find(tag(keys_, ours_, now - hours{2})), nullptr);
  EXPECT_EQ(table_.find(tag(other_, ours_, now)), nullptr);
  EXPECT_EQ(table_.find(tag(keys_, crypto::ExchangeKey::from_secret(random_.bytes<32>()), now)), nullptr);
}

TEST_F(TagTableTest, FollowsTheHoursAndBackwardClocks) {
  const WallTime now = quiet_time(keys_);
  table_.add(now, 7, keys_.content(), ours_.public_key);
  EXPECT_EQ(table_.next_refresh(), std::chrono::floor<hours>(now) + hours{1});
  table_.refresh(table_.next_refresh() - milliseconds{1});
  EXPECT_NE(table_.find(tag(keys_, ours_, now - hours{1})), nullptr);
  table_.refresh(table_.next_refresh());
  EXPECT_EQ(table_.find(tag(keys_, ours_, now - hours{1})), nullptr);
  EXPECT_NE(table_.find(tag(keys_, ours_, now + hours{2})), nullptr);
  table_.refresh(now);
  EXPECT_NE(table_.find(tag(keys_, ours_, now - hours{1})), nullptr);
  EXPECT_EQ(table_.find(tag(keys_, ours_, now + hours{2})), nullptr);
}

TEST_F(TagTableTest, TakesBothEpochsAtABorder) {
  WallTime now = quiet_time(keys_);
  while (keys_.epochs_at(now).count == 1) now = keys_.next_change(now);
  table_.add(now, 7, keys_.content(), ours_.public_key);
  EXPECT_EQ(table_.tags(), 6U);
  for (const dht::Epoch epoch : keys_.epochs_at(now)) {
    const auto* entry =
        table_.find(dht::channel_tag(keys_.of(epoch).tag, ours_.public_key, dht::hour_of(now)));
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->epoch, epoch);
  }
  // The next change, be it of the hour or of the epochs, is not slept through.
  const WallTime change = keys_.next_change(now);
  EXPECT_LE(table_.next_refresh(), change);
  for (int i = 0; i < 4 && table_.next_refresh() < change + hours{2}; ++i)
    table_.refresh(table_.next_refresh());
}

TEST_F(TagTableTest, KeepsContentsApartAndForgetsTheClosed) {
  const WallTime now = quiet_time(keys_);
  table_.add(now, 1, keys_.content(), ours_.public_key);
  table_.add(now, 2, other_.content(), ours_.public_key);
  EXPECT_EQ(table_.find(tag(keys_, ours_, now))->content, 1U);
  EXPECT_EQ(table_.find(tag(other_, ours_, now))->content, 2U);
  table_.remove(1);
  table_.remove(9);
  EXPECT_EQ(table_.find(tag(keys_, ours_, now)), nullptr);
  EXPECT_EQ(table_.find(tag(other_, ours_, now))->content, 2U);
  table_.refresh(now + hours{1});
  EXPECT_EQ(table_.find(tag(keys_, ours_, now + hours{1})), nullptr);
  EXPECT_EQ(table_.find(tag(other_, ours_, now + hours{1}))->content, 2U);
}

// Each content has its borders at another time; through all of them, and when the clock is set back, the
// table says what a new one would.
TEST_F(TagTableTest, FollowsTheBordersOfManyContents) {
  constexpr std::uint32_t count = 40;
  std::vector<dht::SwarmKeys> all;
  for (std::uint32_t i = 0; i < count; ++i) all.emplace_back(random_.bytes<32>());
  WallTime now = from_unix_ms(1'800'000'000'000);
  for (std::uint32_t i = 0; i < count; ++i) table_.add(now, i, all[i].content(), ours_.public_key);
  const auto check = [&](WallTime at) {
    TagTable fresh;
    for (std::uint32_t i = 0; i < count; ++i) fresh.add(at, i, all[i].content(), ours_.public_key);
    ASSERT_EQ(table_.tags(), fresh.tags());
    for (dht::SwarmKeys& keys : all)
      for (const auto& accepted :
           dht::accepted_tags(keys.content(), dht::Days{keys.content()}, ours_.public_key, at)) {
        const auto* entry = table_.find(accepted.tag);
        ASSERT_NE(entry, nullptr);
        EXPECT_EQ(entry->epoch, accepted.epoch);
      }
  };
  const WallTime end = now + hours{50};
  while (now < end) {
    now = table_.next_refresh();
    table_.refresh(now);
    check(now);
    EXPECT_GT(table_.next_refresh(), now);
  }
  for (const auto back : {minutes{1}, minutes{59}, minutes{61}, minutes{1500}}) {
    now -= back;
    table_.refresh(now);
    check(now);
  }
  for (std::uint32_t i = 0; i < count; ++i) table_.remove(i);
  EXPECT_EQ(table_.tags(), 0U);
}

TEST_F(TagTableTest, SniffTellsDialectsApartAtEveryLength) {
  const WallTime now = quiet_time(keys_);
  table_.add(now, 7, keys_.content(), ours_.public_key);
  Bytes native = to_vector(tag(keys_, ours_, now));
  native.push_back(1);
  for (std::size_t n = 0; n <= native.size(); ++n)
    EXPECT_EQ(sniff(ByteView{native}.first(n), table_), n < 16 ? Opening::need_more : Opening::native) << n;

  const std::string_view text =
      "\x13"
      "BitTorrent protocol and the rest of the handshake";
  for (std::size_t n = 0; n <= text.size(); ++n)
    EXPECT_EQ(sniff(as_bytes(text.substr(0, n)), table_),
              n < 20 ? Opening::need_more : Opening::bittorrent_plain);
  const std::string_view almost =
      "\x13"
      "BitTorrent protocoX";
  EXPECT_EQ(sniff(as_bytes(almost.substr(0, 19)), table_), Opening::need_more);
  EXPECT_EQ(sniff(as_bytes(almost), table_), Opening::unknown_or_mse);

  const std::string_view web = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (std::size_t n = 0; n <= web.size(); ++n)
    EXPECT_EQ(sniff(as_bytes(web.substr(0, n)), table_),
              n < 16 ? Opening::need_more : Opening::unknown_or_mse);
}

TEST(ReplayFilterTest, RefusesWhatItHasSeenAsLongAsATagCanLive) {
  ReplayFilter filter;
  Random random{{}};
  const WallTime start = from_unix_ms(1'800'000'000'000);
  const auto key = random.bytes<32>();
  EXPECT_TRUE(filter.admit(start, key));
  EXPECT_FALSE(filter.admit(start, key));
  for (auto later = minutes{1}; later < hours{3}; later += minutes{7}) {
    EXPECT_FALSE(filter.admit(start + later, key)) << later.count();
    EXPECT_TRUE(filter.admit(start + later, random.bytes<32>()));
  }
  EXPECT_FALSE(filter.admit(start - hours{1}, key));  // nor by setting back the clock a little
  EXPECT_TRUE(filter.admit(start + hours{5}, key));
}

TEST(ReplayFilterTest, HoldsABoundedNumberAndForgetsTheOldestFirst) {
  ReplayFilter filter;
  Random random{{}};
  const WallTime now = from_unix_ms(1'800'000'000'000);
  std::vector<crypto::PublicKey> keys;
  for (std::size_t i = 0; i < ReplayFilter::per_hour + 100; ++i) {
    keys.push_back(random.bytes<32>());
    ASSERT_TRUE(filter.admit(now, keys.back()));
  }
  EXPECT_EQ(filter.size(), ReplayFilter::per_hour);
  EXPECT_FALSE(filter.admit(now, keys.back()));
  EXPECT_FALSE(filter.admit(now, keys[100]));
  EXPECT_TRUE(filter.admit(now, keys[99]));
  for (int hour = 1; hour < 100; ++hour)
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(filter.admit(now + hours{hour}, random.bytes<32>()));
  EXPECT_EQ(filter.size(), 4000U);
}

}  // namespace
}  // namespace shoal::swarm
