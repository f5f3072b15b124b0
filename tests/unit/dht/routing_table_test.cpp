// The routing table's invariants (THREATS A1, A4, A5), by random use and by case.
#include "dht/routing_table.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dht/limits.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::at_second;
using test::public_host;

class RoutingTableTest : public testing::Test {
 protected:
  Random random_{{}};
  Key own_{random_.bytes<32>()};
  RoutingTable table_{own_};

  Contact contact(const Endpoint& endpoint, const Key& id, int second = 0) {
    Contact out;
    out.id = id;
    out.endpoint = endpoint;
    out.answered = out.proven = at_second(second).mono;
    return out;
  }
  Key in_bucket(int index) {
    Key key{random_.bytes<32>()};
    for (int bit = 0; bit < index; ++bit) key.set_bit(bit, own_.bit(bit));
    key.set_bit(index, !own_.bit(index));
    return key;
  }
  Admission add(std::uint32_t network, const Key& id, int second = 0) {
    return table_.admit(contact({public_host(network, 1), 4000}, id, second), at_second(second).mono);
  }
  // By looking at everybody: a failing one that has had its ten seconds of rest, else whoever was left alone.
  void check_stalest() {
    const Instant later = at_second(30'000).mono;
    const Contact *failing = nullptr, *quiet = nullptr;
    const auto used = [](const Contact& entry) { return std::max(entry.asked, entry.answered); };
    table_.for_each([&](const Contact& entry) {
      if (entry.failures > 0 && (failing == nullptr || entry.asked < failing->asked)) failing = &entry;
      if (quiet == nullptr || used(entry) < used(*quiet)) quiet = &entry;
    });
    EXPECT_EQ(table_.stalest(later), failing != nullptr ? failing : quiet);
    EXPECT_EQ(table_.stalest(Instant{}), quiet);  // before anybody has rested
  }
  void check_invariants() {
    std::set<Key> ids;
    std::set<Endpoint> endpoints;
    std::map<IpAddress, int> hosts, networks;
    std::map<int, std::size_t> buckets;
    std::map<std::pair<int, IpAddress>, int> in_bucket_network;
    std::size_t count = 0;
    table_.for_each([&](const Contact& entry) {
      ++count;
      EXPECT_TRUE(ids.insert(entry.id).second);
      EXPECT_TRUE(endpoints.insert(entry.endpoint).second);
      EXPECT_NE(entry.id, table_.own());
      const int bucket = shared_prefix(entry.id, table_.own());
      ++buckets[bucket];
      if (entry.endpoint.address.global()) {
        EXPECT_EQ(++hosts[entry.endpoint.address], 1);
        EXPECT_LE(++networks[entry.endpoint.address.network()], 2);
        EXPECT_EQ((++in_bucket_network[{bucket, entry.endpoint.address.network()}]), 1);
      }
      EXPECT_EQ(table_.find(entry.endpoint), &entry);
    });
    check_stalest();
    EXPECT_EQ(count, table_.size());
    for (const auto& [bucket, size] : buckets) {
      EXPECT_LE(size, RoutingTable::bucket_room(bucket));
      EXPECT_EQ(size, table_.bucket_size(bucket));
    }
  }
};

TEST_F(RoutingTableTest, HoldsItsInvariantsUnderRandomUse) {
  std::vector<Contact> known;
  for (int step = 0; step < 20'000; ++step) {
    const auto action = random_.below(10);
    if (action < 6 || known.empty()) {
      const auto network = static_cast<std::uint32_t>(random_.below(600));
      Endpoint endpoint{public_host(network, static_cast<std::uint32_t>(random_.below(4))),
                        static_cast<std::uint16_t>(1 + random_.below(3))};
      if (random_.below(5) == 0) endpoint.address = IpAddress::v4(0x0a000000 + network);
      Key id = in_bucket(static_cast<int>(random_.below(12)));
      if (!known.empty() && random_.below(8) == 0) id = known[random_.below(known.size())].id;
      known.push_back(contact(endpoint, id, step));
      table_.admit(known.back(), at_second(step).mono);
    } else {
      const Contact& one = known[random_.below(known.size())];
      if (action < 8)
        table_.failed(one.endpoint, Link::sound);
      else if (action == 8 && step % 2 == 0)
        table_.heard(one.endpoint, one.id, at_second(step), 50ms);
      else if (action == 8)
        table_.asked(one.endpoint, at_second(step).mono);
      else
        static_cast<void>(table_.take_replacement(at_second(step).mono));
    }
    if (step % 500 == 0) check_invariants();
  }
  check_invariants();
  EXPECT_GT(table_.size(), 100U);
  const Key elsewhere{random_.bytes<32>()};
  table_.move_to(elsewhere, at_second(20'000).mono);
  EXPECT_EQ(table_.own(), elsewhere);
  check_invariants();
  EXPECT_GT(table_.size(), 50U);
}

TEST_F(RoutingTableTest, FarBucketsAreWide) {
  std::uint32_t network = 1;
  for (int bucket = 0; bucket < 6; ++bucket) {
    const std::size_t room = RoutingTable::bucket_room(bucket);
    for (std::size_t i = 0; i < room + 20; ++i) {
      const Admission admission = add(network++, in_bucket(bucket));
      EXPECT_EQ(admission, i < room ? Admission::added : Admission::waiting);
    }
    EXPECT_EQ(table_.bucket_size(bucket), room);
  }
  EXPECT_EQ(table_.size(), 128U + 64 + 32 + 16 + 2 * limits::near_bucket);
  EXPECT_EQ(table_.replacements(), 6 * limits::replacements);
}

TEST_F(RoutingTableTest, ClosestAgreesWithASort) {
  std::vector<Key> ids;
  for (std::uint32_t i = 0; i < 400; ++i) {
    const Key id = i % 2 == 0 ? in_bucket(static_cast<int>(i % 14)) : Key{random_.bytes<32>()};
    const Admission admission = add(i + 1, id);
    if (admission == Admission::added) ids.push_back(id);
  }
  for (int round = 0; round < 300; ++round) {
    Key target = round % 3 == 0 ? in_bucket(static_cast<int>(random_.below(16))) : Key{random_.bytes<32>()};
    if (round == 0) target = own_;
    std::sort(ids.begin(), ids.end(), [&](const Key& a, const Key& b) { return closer(target, a, b); });
    for (const std::size_t count : {std::size_t{1}, std::size_t{8}, std::size_t{24}, ids.size() + 5}) {
      std::vector<const Contact*> found;
      table_.closest(target, count, RoutingTable::Choice::any, at_second(0).mono, found);
      ASSERT_EQ(found.size(), std::min(count, ids.size()));
      for (std::size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i]->id, ids[i]);
    }
  }
}

TEST_F(RoutingTableTest, TheOldStayAndTheDeadMakeRoom) {
  for (std::uint32_t i = 0; i < limits::near_bucket; ++i)
    ASSERT_EQ(add(i + 1, in_bucket(10)), Admission::added);
  EXPECT_EQ(add(100, in_bucket(10)), Admission::waiting);
  const Endpoint victim{public_host(3, 1), 4000};
  EXPECT_FALSE(table_.failed(victim, Link::suspect));
  EXPECT_FALSE(table_.failed(victim, Link::suspect));  // our own link: nothing counts
  EXPECT_FALSE(table_.failed(victim, Link::sound));
  std::vector<const Contact*> fit;
  table_.closest(own_, 20, RoutingTable::Choice::fit, at_second(1).mono, fit);
  EXPECT_EQ(fit.size(), limits::near_bucket - 1);  // a failing one is not passed on
  EXPECT_TRUE(table_.failed(victim, Link::sound));
  EXPECT_EQ(table_.find(victim), nullptr);
  const auto replacement = table_.take_replacement(at_second(2).mono);
  ASSERT_TRUE(replacement);
  EXPECT_EQ(replacement->endpoint.address, public_host(100, 1));
}

TEST_F(RoutingTableTest, WithoutReplacementTheSilentIsKeptLonger) {
  ASSERT_EQ(add(1, in_bucket(3)), Admission::added);
  const Endpoint one{public_host(1, 1), 4000};
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(table_.failed(one, Link::sound));
  EXPECT_TRUE(table_.failed(one, Link::sound));
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(RoutingTableTest, OneEntryAnAddressFewANetwork) {
  const auto admit = [&](const Endpoint& endpoint, const Key& id) {
    return table_.admit(contact(endpoint, id), at_second(0).mono);
  };
  EXPECT_EQ(admit({public_host(1, 1), 1000}, in_bucket(0)), Admission::added);
  EXPECT_EQ(admit({public_host(1, 1), 1001}, in_bucket(1)), Admission::crowded);  // same IP
  EXPECT_EQ(admit({public_host(1, 2), 1000}, in_bucket(0)), Admission::crowded);  // same /24, same bucket
  EXPECT_EQ(admit({public_host(1, 2), 1000}, in_bucket(1)), Admission::added);
  EXPECT_EQ(admit({public_host(1, 3), 1000}, in_bucket(2)), Admission::crowded);  // two of a /24
  EXPECT_FALSE(table_.has_room_for(in_bucket(2), public_host(1, 3)));
  for (std::uint16_t port = 1; port <= 40; ++port)  // a loopback network has no strangers
    EXPECT_EQ(admit({IpAddress::v4(0x7f000001), port}, in_bucket(0)), Admission::added);
}

// THREATS A3: one of two whom we began with names new ones without end, and strangers call without end.
TEST_F(RoutingTableTest, A3APartyAndCallersGetNoMoreThanTheirShare) {
  std::uint32_t network = 0;
  int second = 0;
  const auto offer = [&](Party party) {
    Contact one = contact({public_host(++network, 1), 4000}, in_bucket(0));
    one.party = party;
    one.since = at_second(++second).mono;
    static_cast<void>(table_.admit(one, one.since));
    return one;
  };
  table_.informed(2);
  offer(2);
  for (std::size_t i = 0; i < limits::party_first; ++i) offer(1);
  EXPECT_EQ(table_.parties().led_by(1), limits::party_first / 2);
  EXPECT_FALSE(table_.has_room_for(in_bucket(1), public_host(++network, 1), 1));
  EXPECT_TRUE(table_.has_room_for(in_bucket(1), public_host(network, 1), 2));
  EXPECT_EQ(table_.admit(contact({IpAddress::v4(0x7f000001), 9}, in_bucket(0)), at_second(0).mono),
            Admission::added);  // on a LAN all may come
  std::vector<Contact> callers;
  for (int i = 0; i < 20; ++i) callers.push_back(offer(no_party));
  EXPECT_EQ(table_.parties().callers(), limits::callers_first);
  // The latest stay. Whom a party names that has not had its share is no caller any longer.
  for (std::size_t i = 0; i < callers.size(); ++i)
    EXPECT_EQ(table_.find(callers[i].endpoint) != nullptr, i + limits::callers_first >= callers.size());
  const Contact& last = callers.back();
  table_.named(last.endpoint, in_bucket(0), 2);  // under another id
  table_.named(last.endpoint, last.id, 1);       // by who has its share
  EXPECT_EQ(table_.parties().led_by(2), 1U);
  table_.named(last.endpoint, last.id, 2);
  table_.named(last.endpoint, last.id, 2);
  EXPECT_EQ(table_.parties().led_by(2), 2U);
  EXPECT_EQ(table_.parties().callers(), limits::callers_first - 1);
  for (int i = 0; i < 20; ++i) offer(no_party);
  EXPECT_NE(table_.find(last.endpoint), nullptr);
  EXPECT_EQ(table_.parties().callers(), limits::callers_first);
  ASSERT_TRUE(table_.remove(last.endpoint));
  EXPECT_EQ(table_.parties().led_by(2), 1U);
}

TEST_F(RoutingTableTest, AnIdAndItsEndpointBelongTogether) {
  const Key id = in_bucket(2);
  ASSERT_EQ(add(1, id), Admission::added);
  EXPECT_EQ(add(2, id), Admission::moved);  // the entry still answers: it keeps its place
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_NE(table_.find({public_host(1, 1), 4000}), nullptr);
  EXPECT_EQ(add(1, in_bucket(3)), Admission::added);  // another id there: the old one is gone
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(add(5, own_), Admission::own);
  EXPECT_FALSE(table_.heard({public_host(1, 1), 4000}, id, at_second(1), std::nullopt));
}

TEST_F(RoutingTableTest, StalestIsWhoWasLeftAloneForLongest) {
  EXPECT_EQ(table_.stalest(at_second(0).mono), nullptr);
  for (std::uint32_t i = 1; i <= 5; ++i) add(i, in_bucket(0), static_cast<int>(i));
  EXPECT_EQ(table_.stalest(at_second(10).mono)->endpoint.address, public_host(1, 1));
  table_.asked({public_host(1, 1), 4000}, at_second(10).mono);
  EXPECT_EQ(table_.stalest(at_second(11).mono)->endpoint.address, public_host(2, 1));
  table_.failed({public_host(1, 1), 4000}, Link::sound);
  EXPECT_EQ(table_.stalest(at_second(11).mono)->endpoint.address, public_host(2, 1));
  EXPECT_EQ(table_.stalest(at_second(21).mono)->endpoint.address, public_host(1, 1));  // a failing one first
}

}  // namespace
}  // namespace shoal::dht
