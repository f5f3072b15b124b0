// Sealed records in mainline's items: who is kept, who makes room, and what a storer sees.
#include "dht/sealed_slots.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
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
  Bytes record(std::uint64_t node, const IpAddress& address, WallTime wall) {
    return announcement(keys_, content(1), node, address, wall, random_).bytes;
  }
  // The nodes whose records are in an item, in its order.
  std::vector<std::uint64_t> nodes_in(const Item& item) {
    std::vector<std::uint64_t> out;
    for (const ByteView one : records_of(item.value))
      for (std::uint64_t node = 0; node < 60; ++node)
        if (announcer_keys(node_seed(node), content(1), keys_.epoch).signing.public_key ==
            read_header(one).announcer)
          out.push_back(node);
    return out;
  }
  // What follows where slot 3 alone was read and has this item.
  std::optional<SlotWrite> following(const std::optional<Item>& kept, std::uint64_t node,
                                     WallTime wall = some_day) {
    return next_in_slots(keys_, {{3, kept}}, record(node, wall), wall);
  }
  Item next(const std::optional<Item>& kept, std::uint64_t node, WallTime wall = some_day) {
    return following(kept, node, wall).value().item;
  }
  // Announces as a session does: reads its own slot, then all, and writes. False: there is no place.
  bool announce(SlotsRead& slots, ByteView record, WallTime wall) {
    const std::uint32_t first = slot_of(read_header(record).announcer);
    auto write = next_in_slots(keys_, {{first, slots[first]}}, record, wall);
    if (!write) write = next_in_slots(keys_, slots, record, wall);
    if (!write) return false;
    for (auto& [slot, kept] : slots) {
      if (slot_target(keys_, slot) != target_of(write->item.view())) continue;
      EXPECT_EQ(write->expected, kept ? std::optional{kept->sequence} : std::nullopt);
      EXPECT_TRUE(!kept || write->item.sequence > kept->sequence);
      kept = std::move(write->item);
    }
    return true;
  }
  static SlotsRead all_empty() {
    SlotsRead out;
    for (std::uint32_t slot = 0; slot < sealed_slots; ++slot) out.try_emplace(slot);
    return out;
  }
  static bool stands(const SlotsRead& slots, const crypto::PublicKey& announcer) {
    return std::ranges::any_of(slots, [&](const auto& slot) {
      return slot.second && std::ranges::any_of(records_of(slot.second->value), [&](ByteView one) {
               return read_header(one).announcer == announcer;
             });
    });
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
  const Item first = next({}, 1);
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

TEST_F(SealedSlots, TwoHaveRoomAndAThirdReadsOn) {
  const Item one = next({}, 1), two = next(one, 2, some_day + 2min);
  EXPECT_EQ(nodes_in(two), (std::vector<std::uint64_t>{2, 1}));
  EXPECT_GT(two.sequence, one.sequence);
  EXPECT_LE(two.value.size(), item_value_most);
  EXPECT_FALSE(following(two, 3, some_day + 4min)) << "the other slots may have room";
  const Item again = next(two, 1, some_day + 6min);  // a refresh takes its own place
  EXPECT_EQ(nodes_in(again), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(check_item(again.view(), again.salt, slot_target(keys_, 3)));
  const Item overdue = next(again, 3, some_day + 2min + 37min);  // who is heard of no more makes room
  EXPECT_EQ(nodes_in(overdue), (std::vector<std::uint64_t>{3, 1}));
}

TEST_F(SealedSlots, WhereAllAreTakenNetworksAreLevelled) {
  SlotsRead slots = all_empty();
  const auto put = [&](std::uint64_t node, std::uint32_t network, std::chrono::seconds when) {
    EXPECT_TRUE(
        announce(slots, record(node, public_host(network, static_cast<std::uint32_t>(node)), some_day + when),
                 some_day + when));
  };
  const auto key = [&](std::uint64_t node) {
    return announcer_keys(node_seed(node), content(1), keys_.epoch).signing.public_key;
  };
  for (std::uint32_t node = 0; node < 16; ++node) put(node, node < 4 ? 1 : node, 100s * node);
  for (std::uint32_t node = 0; node < 16; ++node) EXPECT_TRUE(stands(slots, key(node))) << node;
  put(20, 40, 1700s);
  EXPECT_FALSE(stands(slots, key(0))) << "the largest network gives its oldest";
  put(21, 7, 1710s);
  EXPECT_FALSE(stands(slots, key(7))) << "or the newcomer's own network";
  put(22, 41, 1720s);
  put(23, 42, 1730s);
  EXPECT_FALSE(stands(slots, key(1)) || stands(slots, key(2)));
  EXPECT_TRUE(stands(slots, key(3)));
  put(24, 43, 1740s);  // each has one now
  EXPECT_FALSE(stands(slots, key(3))) << "the oldest of all";
  for (const std::uint64_t node : {4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24})
    EXPECT_TRUE(stands(slots, key(node))) << node;
}

// Who says nothing of where it is, or is a neighbour of the storer's, is of a network of its own.
TEST_F(SealedSlots, RecordsWithoutAPublicAddressAreLevelledToo) {
  SlotsRead slots = all_empty();
  const auto put = [&](std::uint64_t node, std::vector<Endpoint> endpoints, WallTime when) {
    const AnnouncerKeys announcer = announcer_keys(node_seed(node), content(1), keys_.epoch);
    RecordInputs in = test::inputs_for(announcer, public_host(1, 1), when);
    in.endpoints = std::move(endpoints);
    const Bytes bytes = build_record(keys_, announcer, in, random_).bytes;
    return announce(slots, bytes, when) && stands(slots, announcer.signing.public_key);
  };
  const auto neighbour = [](std::uint32_t host) { return Endpoint{IpAddress::v4((10U << 24) + host), 5}; };
  const auto key = [&](std::uint64_t node) {
    return announcer_keys(node_seed(node), content(1), keys_.epoch).signing.public_key;
  };
  for (std::uint32_t node = 0; node < 16; ++node)
    EXPECT_TRUE(
        put(node, node < 3 ? std::vector<Endpoint>{} : std::vector{neighbour(node)}, some_day + 100s * node));
  EXPECT_TRUE(put(20, {neighbour(20)}, some_day + 1700s));
  EXPECT_FALSE(stands(slots, key(0))) << "the silent are the largest network; neighbours are one each";
  EXPECT_TRUE(put(21, {}, some_day + 1710s));
  EXPECT_FALSE(stands(slots, key(1)));
  for (std::uint32_t node = 2; node < 16; ++node) EXPECT_TRUE(stands(slots, key(node))) << node;
}

TEST_F(SealedSlots, AClockThatJumpedWritesNothing) {
  EXPECT_FALSE(next_in_slots(keys_, all_empty(), record(1), some_day + 3h));
}

// A9: a thousand who announce as everybody does, from ten networks, leave an honest one of another its place.
TEST_F(SealedSlots, A9AThousandInsidersOfTenNetworksHideNobody) {
  SlotsRead slots = all_empty();
  const EpochKeys& keys = keys_;
  const auto crowd = [&](std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t i = from; i < to; ++i) {
      const WallTime when = some_day + 1s * i;
      announce(slots, record(1'000 + i, public_host(i % 10, i / 10), when), when);
    }
  };
  crowd(0, 500);  // before the honest one comes, and after
  const Bytes honest = record(1, public_host(77, 1), some_day + 500s);
  EXPECT_TRUE(announce(slots, honest, some_day + 500s));
  const crypto::PublicKey key = announcer_keys(node_seed(1), content(1), keys.epoch).signing.public_key;
  int seen = 0;
  for (std::uint32_t i = 500; i < 1'000; ++i) {
    crowd(i, i + 1);
    seen += stands(slots, key) ? 1 : 0;
  }
  EXPECT_EQ(seen, 500) << "looked up after every one of them";
}

// Whoever has the link may write the highest sequence there is: the slot is lost, the others are used.
TEST_F(SealedSlots, ASlotThatNothingCanFollowIsPassedOver) {
  SlotsRead slots = all_empty();
  const Bytes mine = record(1, public_host(1, 1), some_day);
  const std::uint32_t first = slot_of(read_header(mine).announcer);
  const auto spoil = [&](std::uint32_t slot) {
    slots[slot] =
        make_item(keys_.swarm, to_vector(slot_salt(keys_, slot)), INT64_MAX, to_vector(as_bytes("4:junk")));
  };
  spoil(first);
  EXPECT_TRUE(announce(slots, mine, some_day));
  EXPECT_TRUE(stands(slots, read_header(mine).announcer));
  for (std::uint32_t slot = 0; slot < sealed_slots; ++slot) spoil(slot);
  EXPECT_FALSE(announce(slots, mine, some_day));
}

TEST_F(SealedSlots, TheSequenceRisesWhateverTheClock) {
  const Item one = next({}, 1), earlier = next(one, 2, some_day - 10min);
  EXPECT_EQ(earlier.sequence, one.sequence + 1);
}

TEST_F(SealedSlots, WhatIsNoRecordOfOursMakesRoom) {
  const Item one = next({}, 1);
  for (const std::string_view junk : {"i1e", "5:hello", "0:", "le", "d1:ai1ee", "", "368:short"}) {
    const Item kept = with_value(one, junk);
    EXPECT_TRUE(records_of(kept.value).empty()) << junk;
    EXPECT_EQ(nodes_in(next(kept, 2)), std::vector<std::uint64_t>{2}) << junk;
  }
  const std::string three = "1104:" + std::string(3 * record_bytes, 'x');
  EXPECT_TRUE(records_of(as_bytes(three)).empty());
  const std::string noise = "368:" + std::string(record_bytes, 'x');  // of the right size
  const Item kept = with_value(one, noise);
  EXPECT_EQ(nodes_in(next(kept, 2)), std::vector<std::uint64_t>{2});
  EXPECT_EQ(nodes_in(next(one, 2, some_day + 3h)), std::vector<std::uint64_t>{2});  // it has run out
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
  const Item item = next({}, 1);
  const ContentId id = content(1);
  for (const Bytes& part : {item.value, item.salt, Bytes{item.public_key->begin(), item.public_key->end()}})
    EXPECT_TRUE(std::search(part.begin(), part.end(), id.begin(), id.begin() + 8) == part.end());
}

}  // namespace
}  // namespace shoal::dht
