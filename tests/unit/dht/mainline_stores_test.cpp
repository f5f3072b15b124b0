// What mainline gives a node to keep: peers (BEP 5, 33, 51) and items (BEP 44).
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "dht/item_store.hpp"
#include "dht/mainline_id.hpp"
#include "dht/peer_store.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::public_host;
using Seeds = PeerStore::Seeds;

constexpr Instant start{1h};
Key key_of(std::uint8_t n) { return mainline_key(ByteArray<20>{n, 1}); }
Endpoint peer(std::uint32_t network, std::uint8_t host, std::uint16_t port = 6881) {
  return {public_host(network, host), port};
}

class PeerStoreTest : public testing::Test {
 protected:
  std::vector<Endpoint> got(Instant now, const Key& key, std::size_t most = 1000, Seeds seeds = Seeds::wanted,
                            std::optional<Endpoint> own = {}) {
    std::vector<Endpoint> out;
    store_.get(now, key, most, seeds, own, random_, out);
    return out;
  }
  Result<void> put(const Key& key, const Endpoint& endpoint, Completeness what = Completeness::downloader,
                   Instant now = start) {
    return store_.put(now, key, endpoint, what);
  }
  Random random_{{}};
  PeerStore store_{{}, Key{}};
};

TEST_F(PeerStoreTest, GivesBackWhoWasAnnouncedForItsTime) {
  ASSERT_TRUE(put(key_of(1), peer(1, 1)));
  ASSERT_TRUE(put(key_of(1), peer(2, 1)));
  ASSERT_TRUE(put(key_of(2), peer(3, 1)));
  const auto found = got(start, key_of(1));
  EXPECT_EQ(std::set(found.begin(), found.end()), (std::set{peer(1, 1), peer(2, 1)}));
  EXPECT_EQ(got(start, key_of(1), 1).size(), 1U);
  EXPECT_TRUE(got(start, key_of(3)).empty());
  EXPECT_EQ(got(start + PeerStore::life - 1us, key_of(1)).size(), 2U);
  EXPECT_TRUE(got(start + PeerStore::life, key_of(1)).empty());
  store_.expire(store_.next_expiry());
  EXPECT_EQ(store_.size(), 0U);
  EXPECT_EQ(store_.keys(), 0U);
}

TEST_F(PeerStoreTest, TheLatestAnnouncementOfAnEndpointCounts) {
  ASSERT_TRUE(put(key_of(1), peer(1, 1)));
  EXPECT_EQ(got(start, key_of(1), 10, Seeds::left_out).size(), 1U);
  ASSERT_TRUE(put(key_of(1), peer(1, 1), Completeness::seed, start + 30min));
  EXPECT_EQ(store_.size(), 1U);
  EXPECT_EQ(got(start + 60min, key_of(1)).size(), 1U);
  EXPECT_TRUE(got(start + 60min, key_of(1), 10, Seeds::left_out).empty());
}

TEST_F(PeerStoreTest, OnesOwnComesFirstAndIsForgottenAtOnce) {
  ASSERT_TRUE(put(key_of(1), peer(1, 1)));
  ASSERT_TRUE(store_.hold(key_of(1), Completeness::seed));
  const Endpoint own = peer(9, 9);
  EXPECT_EQ(got(start, key_of(1), 1, Seeds::wanted, own), std::vector{own});
  EXPECT_EQ(got(start, key_of(1), 10, Seeds::wanted, own).size(), 2U);
  EXPECT_EQ(got(start, key_of(1), 10, Seeds::left_out, own), std::vector{peer(1, 1)});
  EXPECT_EQ(got(start, key_of(1), 10), std::vector{peer(1, 1)});  // we do not know where we are
  EXPECT_TRUE(got(start, key_of(2), 10, Seeds::wanted, own).empty());
  store_.forget(key_of(1));
  EXPECT_EQ(got(start, key_of(1), 10, Seeds::wanted, own), std::vector{peer(1, 1)});
}

TEST_F(PeerStoreTest, OneNetworkHidesNobody) {
  for (std::uint8_t host = 1; host <= 20; ++host) {
    const bool room = host <= PeerStore::network_share;
    EXPECT_EQ(put(key_of(1), peer(1, host)).has_value(), room) << int{host};
  }
  ASSERT_TRUE(put(key_of(1), peer(2, 1)));
  for (int i = 0; i < 20; ++i) {
    const auto two = got(start, key_of(1), 2);
    EXPECT_TRUE(std::ranges::count(two, peer(2, 1)) == 1);
  }
  // Of a LAN everybody may come.
  for (std::uint32_t host = 1; host <= 20; ++host)
    EXPECT_TRUE(put(key_of(2), {IpAddress::v4(0xC0A80000 + host), 1}));
}

TEST_F(PeerStoreTest, BoundsHoldAndAFullStoreLevelsTheLargestNetwork) {
  PeerStore small{{}, Key{}, 40};
  for (std::uint8_t i = 0; i < 30; ++i)
    ASSERT_TRUE(small.put(start + i * 500ms, key_of(i), peer(1, 1), Completeness::downloader));
  for (std::uint8_t i = 0; i < 30; ++i)
    ASSERT_TRUE(small.put(start + 20s, key_of(i), peer(10 + i, 1), Completeness::downloader));
  EXPECT_EQ(small.size(), 40U);
  std::vector<Endpoint> all;
  for (std::uint8_t i = 0; i < 30; ++i)
    small.get(start + 20s, key_of(i), 10, Seeds::wanted, {}, random_, all);
  EXPECT_EQ(std::ranges::count(all, peer(1, 1)), 10);
  for (std::uint32_t i = 0; i < 2 * PeerStore::key_capacity; ++i)
    static_cast<void>(put(key_of(99), peer(100 + i, 1), Completeness::downloader, start + i * 1s));
  EXPECT_EQ(got(start + 300s, key_of(99)).size(), PeerStore::key_capacity);
}

TEST_F(PeerStoreTest, ASourcePutsAtAPace) {
  int accepted = 0;
  for (std::uint8_t i = 0; i < 100; ++i) accepted += put(key_of(i), peer(1, 1)) ? 1 : 0;
  EXPECT_EQ(accepted, PutRate::source_burst);
  EXPECT_TRUE(put(key_of(200), peer(1, 1), Completeness::seed, start + PutRate::source_interval));
}

TEST_F(PeerStoreTest, FiltersCountSeedsAndDownloadersApart) {
  AddressFilter seeds, downloaders;
  EXPECT_FALSE(store_.filters(start, key_of(1), seeds, downloaders));
  for (std::uint32_t i = 0; i < 30; ++i)
    ASSERT_TRUE(put(key_of(1), peer(i, 1), i < 10 ? Completeness::seed : Completeness::downloader));
  EXPECT_TRUE(store_.filters(start, key_of(1), seeds, downloaders));
  EXPECT_NEAR(seeds.estimate(), 10, 1);
  EXPECT_NEAR(downloaders.estimate(), 20, 1);
  EXPECT_FALSE(store_.filters(start + PeerStore::life, key_of(1), seeds, downloaders));
}

// BEP 51 tells what others announced; what this node has itself is not everybody's business.
TEST_F(PeerStoreTest, SamplesKeysOfOthersAlone) {
  std::vector<Key> keys;
  store_.sample_keys(20, random_, keys);
  EXPECT_TRUE(keys.empty());
  for (std::uint8_t i = 0; i < 30; ++i) ASSERT_TRUE(put(key_of(i), peer(i, 1)));
  ASSERT_TRUE(store_.hold(key_of(77), Completeness::seed));
  std::set<Key> seen;
  for (int i = 0; i < 50; ++i) {
    keys.clear();
    store_.sample_keys(20, random_, keys);
    EXPECT_EQ(keys.size(), 20U);
    EXPECT_EQ(std::set(keys.begin(), keys.end()).size(), 20U);
    seen.insert(keys.begin(), keys.end());
  }
  EXPECT_EQ(seen.size(), 30U);
  EXPECT_FALSE(seen.contains(key_of(77)));
  keys.clear();
  store_.sample_keys(100, random_, keys);
  EXPECT_EQ(keys.size(), 30U);
}

// ---- items

class ItemStoreTest : public testing::Test {
 protected:
  ItemStoreTest() { crypto::initialise(); }
  Result<void> put(const Item& item, std::optional<std::int64_t> expected = {}, std::uint32_t network = 1,
                   Instant now = start) {
    return store_.put(now, public_host(network, 1), PutItemQuery{{}, item.view(), expected});
  }
  Item made(std::int64_t sequence, std::string_view value, std::string_view salt = {}) const {
    return make_item(key_, to_vector(as_bytes(salt)), sequence, to_vector(as_bytes(value)));
  }
  static Item plain(std::string_view value) {
    Item out;
    out.value = to_vector(as_bytes(value));
    return out;
  }
  static Code code(const Result<void>& result) { return result ? Code::cancelled : result.error().code; }
  crypto::SigningKey key_ = crypto::SigningKey::from_seed(ByteArray<32>{3});
  ItemStore store_{{}, Key{}};
};

TEST_F(ItemStoreTest, GivesBackWhatWasPutForItsTime) {
  const Item fixed = plain("5:hello"), salted = made(1, "i1e", "salt"), unsalted = made(1, "i2e");
  for (const Item* item : {&fixed, &salted, &unsalted}) {
    ASSERT_TRUE(put(*item));
    const Item* kept = store_.get(start, target_of(item->view()));
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(*kept, *item);
  }
  EXPECT_EQ(store_.size(), 3U);
  EXPECT_EQ(store_.dump().size(), 3U);
  EXPECT_EQ(store_.get(start, key_of(1)), nullptr);
  const Key target = immutable_target(fixed.value);
  ASSERT_TRUE(put(fixed, {}, 2, start + 1h));  // whoever puts it again, it stays
  EXPECT_NE(store_.get(start + 3h - 1us, target), nullptr);
  EXPECT_EQ(store_.get(start + 3h, target), nullptr);
  store_.expire(start + 4h);
  EXPECT_EQ(store_.size(), 0U);
}

TEST_F(ItemStoreTest, SequencesRise) {
  const Key target = mutable_target(key_.public_key, {});
  ASSERT_TRUE(put(made(5, "i5e")));
  EXPECT_EQ(code(put(made(4, "i4e"))), Code::exists);
  EXPECT_EQ(code(put(made(5, "i6e"))), Code::exists);
  EXPECT_TRUE(put(made(5, "i5e")));  // a refresh
  ASSERT_TRUE(put(made(6, "i6e")));
  EXPECT_EQ(as_text(store_.get(start, target)->value), "i6e");
  EXPECT_EQ(store_.size(), 1U);
}

TEST_F(ItemStoreTest, ExpectedIsWhatIsKept) {
  ASSERT_TRUE(put(made(5, "i5e"), 99));  // nothing is kept: nothing to compare with (BEP 44)
  EXPECT_EQ(code(put(made(6, "i6e"), 4)), Code::mismatch);
  EXPECT_TRUE(put(made(6, "i6e"), 5));
}

TEST_F(ItemStoreTest, WhatIsNotSignedIsNotKept) {
  Item forged = made(1, "i1e");
  forged.signature[0] ^= 1;
  EXPECT_EQ(code(put(forged)), Code::forged);
  ASSERT_TRUE(put(made(1, "i1e")));
  forged.sequence = 9;
  EXPECT_EQ(code(put(forged)), Code::forged);
  EXPECT_EQ(store_.get(start, mutable_target(key_.public_key, {}))->sequence, 1);
}

TEST_F(ItemStoreTest, BoundsHold) {
  ItemStore small{{}, Key{}, 10};
  const auto put_to = [&](int i, std::uint32_t network) {
    const Item item = plain("i" + std::to_string(i) + "e");
    return small.put(start + i * 500ms, public_host(network, 1), PutItemQuery{{}, item.view(), {}});
  };
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(put_to(i, 1));
  EXPECT_EQ(small.size(), 10U);
  for (int i = 30; i < 35; ++i)
    ASSERT_TRUE(put_to(i, static_cast<std::uint32_t>(i)));  // the flood makes room
  EXPECT_EQ(small.size(), 10U);
  for (int i = 30; i < 35; ++i)
    EXPECT_NE(small.get(start, immutable_target(as_bytes("i" + std::to_string(i) + "e"))), nullptr);
  int accepted = 0;
  for (int i = 0; i < 2000; ++i)
    accepted += put(made(i, "i1e"), {}, static_cast<std::uint32_t>(100 + i)) ? 1 : 0;
  EXPECT_EQ(accepted, PutRate::signature_burst);  // what checking signatures may cost
  const Item kept = *store_.get(start, mutable_target(key_.public_key, {}));
  EXPECT_TRUE(put(kept, {}, 3000));  // its refresh costs nothing
  Item forged = kept;
  forged.signature[0] ^= 1;
  EXPECT_EQ(code(put(forged, {}, 3001)), Code::busy);
}

// Else a flood from one network could put it once more, as its own, and then push it out.
TEST_F(ItemStoreTest, WhoPutsAnItemOnceMoreDoesNotGetHoldOfIt) {
  ItemStore small{{}, Key{}, 10};
  int second = 0;
  const auto put_to = [&](std::string_view value, std::uint32_t network) {
    const Item item = plain(value);
    return small.put(start + ++second * 1s, public_host(network, 1), PutItemQuery{{}, item.view(), {}});
  };
  const auto flood = [&] {
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(put_to("i" + std::to_string(second) + "e", 2));
  };
  const Key target = immutable_target(as_bytes("6:theirs"));
  ASSERT_TRUE(put_to("6:theirs", 1));
  flood();
  ASSERT_TRUE(put_to("6:theirs", 2));
  flood();
  EXPECT_NE(small.get(start, target), nullptr);
  // And whom it was drawn to has it no longer once its author is back.
  ASSERT_TRUE(put_to("4:also", 2));
  ASSERT_TRUE(put_to("4:also", 3));
  flood();
  EXPECT_NE(small.get(start, immutable_target(as_bytes("4:also"))), nullptr);
}

}  // namespace
}  // namespace shoal::dht
