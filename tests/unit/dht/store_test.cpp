// The store: what enters, in which order it is checked, what leaves when it is full (THREATS A7, A9, A12,
// A14, A15).
#include "dht/store.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::announcement;
using test::at_second;
using test::content;
using test::inputs_for;
using test::node_seed;
using test::public_host;

class StoreTest : public testing::Test {
 protected:
  StoreTest() { crypto::initialise(); }

  // The keys of a content at the tests' time, derived once.
  const EpochKeys& keys_of(std::uint64_t c) {
    auto found = keys_.find(c);
    if (found == keys_.end())
      found =
          keys_.emplace(c, derive_epoch(content(c), SwarmKeys{content(c)}.epoch_at(test::some_day))).first;
    return found->second;
  }
  BuiltRecord made(std::uint64_t c, std::uint64_t node, const IpAddress& address, Now now) {
    return announcement(keys_of(c), content(c), node, address, now.wall, random_);
  }
  Result<void> put(Store& store, Now now, std::uint64_t c, std::uint64_t node, const IpAddress& address) {
    const BuiltRecord built = made(c, node, address, now);
    return store.put(now, {address, 7}, keys_of(c).key, built.bytes, built.salt_for(address.family));
  }
  std::vector<Bytes> got(const Store& store, Now now, const Key& key, std::size_t max_bytes = 1 << 20) {
    std::vector<ByteView> views;
    store.get(now, key, max_bytes, random_, views);
    std::vector<Bytes> out;
    for (const ByteView view : views) out.push_back(to_vector(view));
    return out;
  }
  // A content whose key shares at least `bits` leading bits with `position`; each call another.
  std::uint64_t content_near(const Key& position, int bits) {
    while (shared_prefix(keys_of(++next_near_).key, position) < bits) keys_.erase(next_near_);
    return next_near_;
  }
  static Code code(const Result<void>& result) { return result ? Code::cancelled : result.error().code; }

  Random random_{{}};
  Store store_{{}, Key{}};
  IpAddress here_ = public_host(1, 1);
  std::map<std::uint64_t, EpochKeys> keys_;
  std::uint64_t next_near_ = 1'000'000;
};

TEST_F(StoreTest, GivesBackWhatWasPut) {
  const Now now = at_second(0);
  const BuiltRecord built = made(1, 1, here_, now);
  ASSERT_TRUE(store_.put(now, {here_, 7}, keys_of(1).key, built.bytes, built.salt_v4));
  EXPECT_EQ(store_.size(), 1U);
  EXPECT_EQ(store_.count(now, keys_of(1).key), 1U);
  EXPECT_EQ(got(store_, now, keys_of(1).key), (std::vector<Bytes>{built.bytes}));
  EXPECT_TRUE(got(store_, now, keys_of(2).key).empty());
  EXPECT_TRUE(got(store_, now, keys_of(1).key, record_bytes - 1).empty());
  EXPECT_EQ(store_.dump(), (std::vector<std::pair<Key, Bytes>>{{keys_of(1).key, built.bytes}}));
}

// A7: every way to send a genuine record again that should not work.
TEST_F(StoreTest, ReplayMatrix) {
  const Now now = at_second(0);
  const Key key = keys_of(1).key;
  const BuiltRecord first = made(1, 1, here_, now);
  const Now later = at_second(60);
  const BuiltRecord second = made(1, 1, here_, later);
  ASSERT_TRUE(store_.put(now, {here_, 7}, key, first.bytes, first.salt_v4));

  // Other key, other content, other epoch.
  EXPECT_EQ(code(store_.put(now, {here_, 7}, keys_of(2).key, first.bytes, first.salt_v4)), Code::mismatch);
  EXPECT_EQ(code(store_.put(now, {here_, 7}, derive_epoch(content(1), keys_of(1).epoch + 1).key, first.bytes,
                            first.salt_v4)),
            Code::mismatch);
  // From another node, with the salt it has seen, before and after the record is known.
  Store other{{}, Key{}};
  const IpAddress thief = public_host(9, 9);
  EXPECT_EQ(code(other.put(now, {thief, 7}, key, first.bytes, first.salt_v4)), Code::mismatch);
  EXPECT_EQ(code(store_.put(now, {thief, 7}, key, first.bytes, first.salt_v4)), Code::mismatch);
  EXPECT_EQ(code(store_.put(later, {thief, 7}, key, second.bytes, second.salt_v4)), Code::mismatch);
  // The same bytes from their owner: a repeated PUT whose reply was lost.
  const auto before = store_.counts().verified;
  EXPECT_TRUE(store_.put(now, {here_, 7}, key, first.bytes, first.salt_v4));
  EXPECT_EQ(store_.counts().verified, before);
  // Equal sequence, other bytes.
  const BuiltRecord twin = made(1, 1, here_, now);
  ASSERT_NE(twin.bytes, first.bytes);
  EXPECT_EQ(code(store_.put(now, {here_, 7}, key, twin.bytes, twin.salt_v4)), Code::exists);
  // Higher sequence replaces, then the lower one is refused.
  ASSERT_TRUE(store_.put(later, {here_, 7}, key, second.bytes, second.salt_v4));
  EXPECT_EQ(store_.size(), 1U);
  EXPECT_EQ(got(store_, later, key), (std::vector<Bytes>{second.bytes}));
  EXPECT_EQ(code(store_.put(later, {here_, 7}, key, first.bytes, first.salt_v4)), Code::exists);
  // After its expiry, to a node that never saw it.
  EXPECT_EQ(code(other.put(at_second(90 * 60 + 1), {here_, 7}, key, first.bytes, first.salt_v4)),
            Code::expired);
  EXPECT_EQ(got(store_, later, key), (std::vector<Bytes>{second.bytes}));
  EXPECT_EQ(other.size(), 0U);
}

TEST_F(StoreTest, RecordsEndWithTheirExpiry) {
  ASSERT_TRUE(put(store_, at_second(0), 1, 1, here_));
  ASSERT_TRUE(put(store_, at_second(600), 1, 2, public_host(2, 1)));
  const Key key = keys_of(1).key;
  EXPECT_EQ(got(store_, at_second(3'599), key).size(), 2U);
  EXPECT_EQ(got(store_, at_second(3'600), key).size(), 1U) << "not served, though not yet swept";
  EXPECT_EQ(store_.count(at_second(3'600), key), 1U);
  const Instant first = store_.next_expiry();
  EXPECT_GE(first, at_second(3'600).mono);
  EXPECT_LT(first, at_second(3'660).mono);
  store_.expire({first, {}});
  EXPECT_EQ(store_.size(), 1U);
  EXPECT_GE(store_.next_expiry(), at_second(4'200).mono);
  EXPECT_LT(store_.next_expiry(), at_second(4'260).mono);
  store_.expire({store_.next_expiry(), {}});
  EXPECT_EQ(store_.size(), 0U);
  EXPECT_EQ(store_.keys(), 0U);
  EXPECT_EQ(store_.next_expiry(), never);
  EXPECT_EQ(store_.counts().expired, 2U);
  // A machine that slept for days.
  ASSERT_TRUE(put(store_, at_second(5'000), 1, 3, here_));
  store_.expire(at_second(500'000));
  EXPECT_EQ(store_.size(), 0U);
}

TEST_F(StoreTest, AnyNumberOfExpiriesInAnyOrderIsSwept) {
  std::multiset<std::int64_t> ends;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const auto s = static_cast<std::int64_t>(i) * 13;
    const IpAddress address = public_host(i, 1);
    const AnnouncerKeys announcer = announcer_keys(node_seed(i), content(i % 30), keys_of(i % 30).epoch);
    RecordInputs in = inputs_for(announcer, address, at_second(s).wall);
    const auto life = static_cast<std::int64_t>(1'800 + random_.below(5'400));
    in.expiry = at_second(s + life).wall;
    const BuiltRecord built = build_record(keys_of(i % 30), announcer, in, random_);
    ASSERT_TRUE(store_.put(at_second(s), {address, 7}, keys_of(i % 30).key, built.bytes, built.salt_v4));
    ends.insert(s + life);
    ends.erase(ends.begin(), ends.lower_bound(s - 60));
    EXPECT_GE(store_.size(), static_cast<std::size_t>(std::distance(ends.upper_bound(s), ends.end())));
  }
  while (store_.size() > 0) {
    const Instant wake = store_.next_expiry();
    const std::size_t before = store_.size();
    store_.expire({wake, {}});
    ASSERT_LT(store_.size(), before) << "a wake with nothing to do, or an endless loop";
  }
}

TEST_F(StoreTest, FourOfANetworkSixtyFourOfAKey) {
  const Now now = at_second(0);
  for (std::uint64_t node = 0; node < 10; ++node)
    EXPECT_EQ(put(store_, now, 1, node, public_host(5, static_cast<std::uint32_t>(node))).has_value(),
              node < 4);
  EXPECT_TRUE(put(store_, now, 2, 50, public_host(5, 50))) << "another key";
  for (std::uint32_t n = 0; n < 100; ++n) (void)put(store_, now, 1, 100 + n, public_host(100 + n, 1));
  EXPECT_EQ(store_.count(now, keys_of(1).key), 64U);
  // IPv6 counts by /48.
  for (std::uint64_t node = 0; node < 6; ++node) {
    IpAddress six = IpAddress::parse("2600:1:2::1").value();
    six.bytes[7] = static_cast<std::uint8_t>(node);
    EXPECT_EQ(put(store_, now, 3, node, six).has_value(), node < 4);
  }
}

TEST_F(StoreTest, ALanIsNotAStranger) {
  const Now now = at_second(0);
  for (std::uint32_t node = 0; node < 60; ++node)
    EXPECT_TRUE(put(store_, now, 1, node, IpAddress::v4(0x0a000000U + node % 3))) << node;
  EXPECT_EQ(store_.counts().over_rate, 0U);
  EXPECT_EQ(store_.count(now, keys_of(1).key), 60U);
}

// When a key is full, a network not seen there takes the place of one of the most crowded network.
TEST_F(StoreTest, AFullKeyPrefersManyNetworks) {
  const Now now = at_second(0);
  for (std::uint32_t n = 0; n < 64; ++n) ASSERT_TRUE(put(store_, now, 1, n, public_host(n / 4, n)));
  for (std::uint32_t n = 0; n < 16; ++n) EXPECT_TRUE(put(store_, now, 1, 100 + n, public_host(50 + n, 1)));
  EXPECT_EQ(store_.count(now, keys_of(1).key), 64U);
  EXPECT_EQ(store_.counts().evicted, 16U);
  // 64 networks of one record each: only one whose refresh is overdue gives way.
  for (std::uint32_t n = 0; n < 64; ++n) ASSERT_TRUE(put(store_, now, 2, n, public_host(n, 1)));
  EXPECT_EQ(code(put(store_, now, 2, 200, public_host(200, 1))), Code::busy);
  EXPECT_TRUE(put(store_, at_second(36 * 60), 2, 200, public_host(200, 1)));
  EXPECT_EQ(store_.count(at_second(36 * 60), keys_of(2).key), 64U);
}

// A9: 40 records of 10 networks do not hide the one of the eleventh.
TEST_F(StoreTest, TheSampleTakesNetworksInTurn) {
  const Now now = at_second(0);
  const Key key = keys_of(1).key;
  for (std::uint32_t n = 0; n < 1'000; ++n)
    (void)put(store_, at_second(n), 1, n, public_host(n % 10, n / 10));
  EXPECT_EQ(store_.count(now, key), 40U);
  const IpAddress honest_host = public_host(70, 1);
  const BuiltRecord honest = made(1, 5'000, honest_host, at_second(1'000));
  ASSERT_TRUE(store_.put(at_second(1'000), {honest_host, 7}, key, honest.bytes, honest.salt_v4));
  int seen = 0;
  std::map<Bytes, int> times;
  for (int i = 0; i < 2'000; ++i) {
    const auto records = got(store_, at_second(1'000), key, 3 * record_bytes);
    ASSERT_EQ(records.size(), 3U);
    for (const Bytes& record : records) ++times[record];
    seen += std::ranges::find(records, honest.bytes) != records.end() ? 1 : 0;
  }
  EXPECT_GT(seen, 480) << "3 of 11 networks: 27 %";
  EXPECT_LT(seen, 620);
  EXPECT_EQ(times.size(), 41U) << "every record comes by";
  EXPECT_EQ(got(store_, at_second(1'000), key).size(), 41U);
}

// A12: whatever address a record names, it is stored from that address alone.
TEST_F(StoreTest, ForeignAddressesAreRefused) {
  const Now now = at_second(0);
  for (std::uint32_t i = 0; i < 300; ++i) {
    const IpAddress victim = public_host(5'000, 1);
    const IpAddress attacker = public_host(i, 1);
    const BuiltRecord aimed = made(1, i, victim, now);
    EXPECT_EQ(code(store_.put(now, {attacker, 7}, keys_of(1).key, aimed.bytes, aimed.salt_v4)),
              Code::mismatch);
  }
  EXPECT_EQ(store_.size(), 0U);
  EXPECT_EQ(store_.counts().verified, 0U);
}

// A15: everything wrong is found before a signature is looked at.
TEST_F(StoreTest, BadPutsCostNoSignature) {
  const Key key = keys_of(1).key;
  const BuiltRecord good = made(1, 1, here_, at_second(0));
  ASSERT_TRUE(store_.put(at_second(0), {here_, 7}, key, good.bytes, good.salt_v4));
  ASSERT_EQ(store_.counts().verified, 1U);
  std::uint32_t network = 10;
  const auto refused = [&](const BuiltRecord& built, const Key& under, Now now, const IpAddress& from) {
    EXPECT_FALSE(store_.put(now, {from, 7}, under, built.bytes, built.salt_v4));
    EXPECT_EQ(store_.counts().verified, 1U);
  };
  const Now now = at_second(10);
  BuiltRecord bad = made(1, 2, here_, now);
  bad.bytes.pop_back();
  refused(bad, key, now, here_);
  bad = made(1, 2, here_, now);
  bad.bytes[0] = 2;
  refused(bad, key, now, here_);
  refused(made(1, 2, here_, now), keys_of(2).key, now, here_);     // key
  refused(made(1, 2, here_, now), key, at_second(20'000), here_);  // expiry
  refused(made(1, 2, here_, at_second(7'200)), key, now, here_);   // too far ahead
  EXPECT_EQ(store_.size(), 0U) << "time has passed";
  ASSERT_TRUE(put(store_, at_second(20'001), 1, 1, here_));
  Store fresh{{}, Key{}};
  std::swap(store_, fresh);
  ASSERT_TRUE(store_.put(at_second(0), {here_, 7}, key, good.bytes, good.salt_v4));
  refused(made(1, 1, here_, at_second(-5)), key, now, here_);            // sequence
  refused(made(1, 2, here_, now), key, now, public_host(network++, 1));  // commitment
  // No room: a fifth of one network.
  for (std::uint32_t n = 0; n < 3; ++n) ASSERT_TRUE(put(store_, now, 1, 10 + n, public_host(1, 2 + n)));
  EXPECT_EQ(store_.counts().verified, 4U);
  EXPECT_EQ(code(put(store_, now, 1, 20, public_host(1, 20))), Code::busy);
  EXPECT_EQ(store_.counts().verified, 4U);
  // Good until the signatures: that one costs.
  BuiltRecord forged = made(1, 30, public_host(30, 1), now);
  forged.bytes[367] ^= 1;
  EXPECT_EQ(code(store_.put(now, {public_host(30, 1), 7}, key, forged.bytes, forged.salt_v4)), Code::forged);
  EXPECT_EQ(store_.counts().verified, 5U);
}

TEST_F(StoreTest, OneSourcePutsTwiceASecond) {
  int passed = 0;
  std::uint64_t node = 0;
  for (int tenth = 0; tenth < 600; ++tenth) {  // a minute, ten a second
    Now now = at_second(tenth / 10);
    now.mono += 100ms * (tenth % 10);
    const std::uint64_t c = node / 3;
    passed += put(store_, now, c, node++, here_) ? 1 : 0;
  }
  EXPECT_GE(passed, 120);
  EXPECT_LE(passed, 120 + 16);
  EXPECT_GT(store_.counts().over_rate, 400U);
  EXPECT_TRUE(put(store_, at_second(60), 900, 900, public_host(2, 2))) << "others are not affected";
}

TEST_F(StoreTest, ASubscribersPrefixIsOneSource) {
  int passed = 0;
  for (std::uint64_t node = 0; node < 100; ++node) {
    IpAddress six = IpAddress::parse("2600:1:2:3::").value();
    six.bytes[15] = static_cast<std::uint8_t>(node);
    passed += put(store_, at_second(0), node, node, six) ? 1 : 0;
  }
  EXPECT_EQ(passed, 16);
}

// With valid records from thousands of addresses, signatures are capped, and refreshes of what we keep still
// pass.
TEST_F(StoreTest, SignaturesAreCappedAndRefreshesStillPass) {
  const std::uint32_t honest = 20;
  for (std::uint32_t i = 0; i < honest; ++i) ASSERT_TRUE(put(store_, at_second(0), 1, i, public_host(i, 1)));
  const std::uint64_t before = store_.counts().verified;
  const std::int64_t start = 25 * 60;
  // Forged at the last step: nothing is stored, each costs all it can. 2,000 a second for two seconds.
  BuiltRecord forged = made(2, 1, here_, at_second(start));
  int refreshed = 0;
  std::uint32_t source = 1'000;
  for (int ms = 0; ms < 2'000; ++ms) {
    Now now = at_second(start);
    now.mono += std::chrono::milliseconds{ms};
    now.wall += std::chrono::milliseconds{ms};
    for (int i = 0; i < 2; ++i) {
      const IpAddress from = public_host(++source, 1);
      const Salt salt{};
      std::ranges::copy(commit(salt, from), forged.bytes.begin() + 77);
      EXPECT_FALSE(store_.put(now, {from, 7}, keys_of(2).key, forged.bytes, salt));
    }
    if (ms >= 1'000 && ms % 50 == 0) {
      const auto i = static_cast<std::uint32_t>(ms / 50) % honest;
      refreshed += put(store_, now, 1, i, public_host(i, 1)) ? 1 : 0;
      // Someone who has read the record pretends to refresh it from elsewhere.
      BuiltRecord pretended = made(1, (i + 7) % honest, public_host(900 + i, 1), now);
      pretended.bytes[367] ^= 1;
      EXPECT_FALSE(
          store_.put(now, {public_host(900 + i, 1), 7}, keys_of(1).key, pretended.bytes, pretended.salt_v4));
    }
  }
  EXPECT_EQ(refreshed, 20);
  EXPECT_LE(store_.counts().verified - before, 500U + 2 * 500U + 40U);
}

// A14: full of strangers' records, the store keeps the honest ones: near, and few of a network.
TEST_F(StoreTest, AFloodLeavesHonestRecords) {
  constexpr std::uint32_t room = 1'024;
  const Key position = keys_of(77).key;
  Store store{{}, position, room};
  std::vector<std::pair<std::uint64_t, std::uint32_t>> honest;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::uint64_t c = i % 10 == 0 ? content_near(position, 7) : honest.back().first;
    honest.emplace_back(c, i);
    ASSERT_TRUE(put(store, at_second(i), c, i, public_host(100'000 + i, 1)));
  }
  // 8,000 records of 2,000 addresses in 500 networks; a fifth of the contents is chosen near our position.
  std::vector<std::uint64_t> contents;
  for (std::uint32_t i = 0; i < 200; ++i)
    contents.push_back(i % 5 == 0 ? content_near(position, 7) : 2'000 + i);
  std::int64_t ms = 300'000;
  for (std::uint32_t i = 0; i < 8'000; ++i, ms += 3) {
    Now now = at_second(0);
    now.mono += std::chrono::milliseconds{ms};
    now.wall += std::chrono::milliseconds{ms};
    (void)put(store, now, contents[random_.below(contents.size())], 10'000 + i,
              public_host(static_cast<std::uint32_t>(random_.below(500)),
                          static_cast<std::uint32_t>(random_.below(4))));
    ASSERT_LE(store.size(), room);
  }
  EXPECT_EQ(store.size(), room);
  EXPECT_GT(store.counts().evicted, 1'000U);
  std::set<Bytes> names;
  for (const auto& [key, record] : store.dump()) names.insert(to_vector(read_header(record).announcer));
  int kept = 0;
  for (const auto& [c, node] : honest)
    kept += names.contains(
                to_vector(announcer_keys(node_seed(node), content(c), keys_of(c).epoch).signing.public_key))
                ? 1
                : 0;
  EXPECT_GE(kept, 180) << "of 200";
}

TEST_F(StoreTest, WhenFullTheFarthestAndOldestGives) {
  const Key position = keys_of(77).key;
  Store store{{}, position, 20};
  const std::uint64_t near = content_near(position, 4);
  std::vector<std::uint64_t> far;
  for (std::uint64_t c = 3'000; far.size() < 20; ++c)
    if (shared_prefix(keys_of(c).key, position) == 0) far.push_back(c);
  for (std::uint32_t i = 0; i < 20; ++i) ASSERT_TRUE(put(store, at_second(i), far[i], i, public_host(i, 1)));
  EXPECT_EQ(code(put(store, at_second(30), 1, 50, public_host(50, 1))),
            shared_prefix(keys_of(1).key, position) == 0 ? Code::busy : Code::cancelled);
  for (std::uint32_t i = 0; i < 5; ++i)
    EXPECT_TRUE(put(store, at_second(40), near, 60 + i, public_host(60 + i, 1)));
  EXPECT_EQ(store.size(), 20U);
  EXPECT_EQ(store.count(at_second(40), keys_of(near).key), 5U);
  EXPECT_EQ(store.count(at_second(40), keys_of(far[0]).key), 0U) << "the oldest went";
  EXPECT_EQ(store.count(at_second(40), keys_of(far[19]).key), 1U);
  // After a move the far ones are near, and what was near gives way.
  store.set_position(keys_of(far[19]).key);
  const Key moved = keys_of(far[19]).key;
  const std::uint64_t newly_near = content_near(moved, 4);
  EXPECT_TRUE(put(store, at_second(50), newly_near, 90, public_host(90, 1)));
  EXPECT_EQ(store.count(at_second(50), keys_of(near).key), 4U);
  EXPECT_EQ(store.count(at_second(50), keys_of(far[19]).key), 1U);
}

// A14: 65,536 records in 48 MiB. A sixteenth of the table, each under a key of its own and of its own
// network.
TEST_F(StoreTest, MemoryIsBounded) {
  constexpr std::uint32_t records = Store::capacity / 16;
  std::vector<BuiltRecord> built;
  for (std::uint32_t i = 0; i < records; ++i)
    built.push_back(made(10'000 + i, i, public_host(i, 1), at_second(i / 400)));
  const auto before = mallinfo2();
  for (std::uint32_t i = 0; i < records; ++i)
    ASSERT_TRUE(store_.put(at_second(i / 400), {public_host(i, 1), 7}, keys_of(10'000 + i).key,
                           built[i].bytes, built[i].salt_v4));
  const auto after = mallinfo2();
  EXPECT_EQ(store_.size(), records);
  EXPECT_LE(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd,
            std::size_t{48} * 1024 * 1024 / 16);
}

TEST_F(StoreTest, OurOwnIsAlwaysServed) {
  const Now now = at_second(0);
  const Key key = keys_of(1).key;
  const BuiltRecord own = made(1, 999, here_, now);
  ASSERT_TRUE(store_.hold(key, own.bytes));
  EXPECT_EQ(store_.held(), 1U);
  EXPECT_EQ(store_.size(), 0U);
  for (std::uint32_t n = 0; n < 64; ++n) ASSERT_TRUE(put(store_, now, 1, n, public_host(n, 1)));
  EXPECT_EQ(store_.count(now, key), 65U);
  for (int i = 0; i < 50; ++i) {
    const auto records = got(store_, now, key, 2 * record_bytes);
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0], own.bytes);
  }
  const BuiltRecord renewed = made(1, 999, here_, at_second(60));
  ASSERT_TRUE(store_.hold(key, renewed.bytes));
  EXPECT_EQ(got(store_, now, key, record_bytes), (std::vector<Bytes>{renewed.bytes}));
  EXPECT_EQ(store_.dump().size(), 65U);
  EXPECT_EQ(store_.hold(key, Bytes(10)).error().code, Code::malformed);
  store_.expire(at_second(7'200));
  EXPECT_TRUE(got(store_, at_second(7'200), key).empty()) << "past its expiry nobody could use it";
  store_.forget(key);
  store_.forget(key);
  EXPECT_EQ(store_.held(), 0U);
  EXPECT_TRUE(got(store_, now, key).empty());
}

TEST_F(StoreTest, TheSameInputsGiveTheSameState) {
  const auto run = [&](Store& store) {
    Random random{test::numbered("run", 1)};
    for (std::uint32_t i = 0; i < 200; ++i) {
      const IpAddress from = public_host(i % 40, i % 7);
      const Now now = at_second(i * 5);
      const std::uint64_t c = i % 9;
      const BuiltRecord built = announcement(keys_of(c), content(c), i % 60, from, now.wall, random);
      (void)store.put(now, {from, 7}, keys_of(c).key, built.bytes, built.salt_v4);
    }
  };
  Store one{{}, Key{}, 50}, other{{}, Key{}, 50};
  const std::uint64_t empty = one.digest();
  run(one);
  run(other);
  EXPECT_EQ(one.digest(), other.digest());
  EXPECT_EQ(one.dump(), other.dump());
  EXPECT_EQ(one.counts(), other.counts());
  EXPECT_NE(one.digest(), empty);
  one.expire(at_second(100'000));
  EXPECT_EQ(one.digest(), empty);
}

}  // namespace
}  // namespace shoal::dht
