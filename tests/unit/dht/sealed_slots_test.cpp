// Sealed records in mainline's items: who is kept, who makes room, and what a storer sees.
#include "dht/sealed_slots.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using test::announcement;
using test::content;
using test::node_seed;
using test::public_host;
using test::some_day;

class SealedSlots : public testing::Test {
 protected:
  SealedSlots() { crypto::initialise(); }
  Bytes record(std::uint64_t node, WallTime wall = some_day) {
    return announcement(keys_, content(1), node, public_host(1, 1), wall, random_).bytes;
  }
  // The nodes whose records are in an item, in its order.
  std::vector<std::uint64_t> nodes_in(const Item& item) {
    std::vector<std::uint64_t> out;
    for (const ByteView one : records_of(item.value))
      for (std::uint64_t node = 0; node < 10; ++node)
        if (announcer_keys(node_seed(node), content(1), keys_.epoch).signing.public_key ==
            read_header(one).announcer)
          out.push_back(node);
    return out;
  }
  Item next(const Item* kept, std::uint64_t node, WallTime wall = some_day) {
    return next_in_slot(keys_, 3, kept, record(node, wall), wall);
  }
  static Item with_value(const Item& like, std::string_view value) {
    Item out = like;
    out.value = to_vector(as_bytes(value));
    return out;
  }
  Random random_{{}};
  EpochKeys keys_ = derive_epoch(content(1), SwarmKeys{content(1)}.epoch_at(some_day));
};

TEST_F(SealedSlots, AnItemIsGenuineUnderItsSlot) {
  const Item first = next(nullptr, 1);
  EXPECT_TRUE(check_item(first.view(), first.salt, slot_target(keys_, 3)));
  EXPECT_FALSE(check_item(first.view(), first.salt, slot_target(keys_, 4)));
  EXPECT_EQ(nodes_in(first), std::vector<std::uint64_t>{1});
  const auto records = records_of(first.value);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_TRUE(open_record(records[0], keys_, some_day));
  std::set<Key> targets;
  for (std::uint32_t slot = 0; slot < sealed_slots; ++slot) targets.insert(slot_target(keys_, slot));
  EXPECT_EQ(targets.size(), sealed_slots);
}

TEST_F(SealedSlots, TwoHaveRoomAndTheOldestGoes) {
  using namespace std::chrono_literals;
  const Item one = next(nullptr, 1), two = next(&one, 2, some_day + 2min);
  EXPECT_EQ(nodes_in(two), (std::vector<std::uint64_t>{2, 1}));
  EXPECT_GT(two.sequence, one.sequence);
  EXPECT_LE(two.value.size(), item_value_most);
  const Item three = next(&two, 3, some_day + 4min);
  EXPECT_EQ(nodes_in(three), (std::vector<std::uint64_t>{3, 2}));
  const Item again = next(&three, 2, some_day + 6min);  // a refresh takes its own place
  EXPECT_EQ(nodes_in(again), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_TRUE(check_item(again.view(), again.salt, slot_target(keys_, 3)));
}

TEST_F(SealedSlots, TheSequenceRisesWhateverTheClock) {
  using namespace std::chrono_literals;
  const Item one = next(nullptr, 1), earlier = next(&one, 2, some_day - 10min);
  EXPECT_EQ(earlier.sequence, one.sequence + 1);
}

TEST_F(SealedSlots, WhatIsNoRecordOfOursMakesRoom) {
  using namespace std::chrono_literals;
  const Item one = next(nullptr, 1);
  for (const std::string_view junk : {"i1e", "5:hello", "0:", "le", "d1:ai1ee", "", "368:short"}) {
    const Item kept = with_value(one, junk);
    EXPECT_TRUE(records_of(kept.value).empty()) << junk;
    EXPECT_EQ(nodes_in(next(&kept, 2)), std::vector<std::uint64_t>{2}) << junk;
  }
  const std::string three = "1104:" + std::string(3 * record_bytes, 'x');
  EXPECT_TRUE(records_of(as_bytes(three)).empty());
  const std::string noise = "368:" + std::string(record_bytes, 'x');  // of the right size
  const Item kept = with_value(one, noise);
  EXPECT_EQ(nodes_in(next(&kept, 2)), std::vector<std::uint64_t>{2});
  EXPECT_EQ(nodes_in(next(&one, 2, some_day + 3h)), std::vector<std::uint64_t>{2});  // it has run out
}

TEST_F(SealedSlots, AnnouncersSpreadOverAllSlots) {
  std::array<int, sealed_slots> count{};
  for (std::uint64_t node = 0; node < 800; ++node)
    ++count[slot_of(announcer_keys(node_seed(node), content(1), keys_.epoch).signing.public_key)];
  EXPECT_GT(*std::ranges::min_element(count), 60);
  EXPECT_LT(*std::ranges::max_element(count), 150);
}

// A storer sees a key, a salt and a value that share nothing with those of another day or another content.
TEST_F(SealedSlots, SlotsOfOtherDaysAndContentsHaveNothingInCommon) {
  const EpochKeys tomorrow = derive_epoch(content(1), keys_.epoch + 1);
  const EpochKeys other = derive_epoch(content(2), keys_.epoch);
  for (const EpochKeys* keys : {&tomorrow, &other}) {
    EXPECT_NE(keys->swarm.public_key, keys_.swarm.public_key);
    for (std::uint32_t slot = 0; slot < sealed_slots; ++slot) {
      EXPECT_NE(slot_salt(*keys, slot), slot_salt(keys_, slot));
      EXPECT_NE(slot_target(*keys, slot), slot_target(keys_, slot));
    }
  }
  const Item item = next(nullptr, 1);
  const ContentId id = content(1);
  for (const Bytes& part : {item.value, item.salt, Bytes{item.public_key->begin(), item.public_key->end()}})
    EXPECT_TRUE(std::search(part.begin(), part.end(), id.begin(), id.begin() + 8) == part.end());
}

}  // namespace
}  // namespace shoal::dht
