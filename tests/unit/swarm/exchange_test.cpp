// Peer exchange with one peer: differences, bounds, distrust.
#include "swarm/exchange.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "contents.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::seconds;

wire::ExchangeEntry entry(std::uint32_t n) {
  return {{IpAddress::v4(0x08000000 + n), 6881}, crypto::PublicKey{1}, false};
}
std::vector<wire::ExchangeEntry> entries(std::uint32_t from, std::uint32_t to) {
  std::vector<wire::ExchangeEntry> out;
  for (std::uint32_t i = from; i < to; ++i) out.push_back(entry(i));
  return out;
}
const Instant start{seconds{1000}};

TEST(Exchange, TellsDifferences) {
  Exchange exchange;
  auto update = exchange.update(start, entries(0, 10), entry(3).endpoint);
  ASSERT_TRUE(update);
  EXPECT_EQ(update->added.size(), 9U);
  for (const auto& one : update->added) EXPECT_NE(one.endpoint, entry(3).endpoint);
  EXPECT_EQ(exchange.next(), start + seconds{60});
  EXPECT_FALSE(exchange.update(start + seconds{59}, entries(0, 20), std::nullopt));
  EXPECT_FALSE(exchange.update(start + seconds{60}, entries(0, 10), entry(3).endpoint));
  update = exchange.update(start + seconds{120}, entries(5, 12), entry(3).endpoint);
  ASSERT_TRUE(update);
  EXPECT_EQ(update->added.size(), 2U);
  EXPECT_EQ(update->dropped.size(), 4U);  // 0 1 2 4
}

TEST(Exchange, IsBoundedAndCatchesUp) {
  Exchange exchange;
  Instant now = start;
  std::set<Endpoint> told;
  for (int i = 0; i < 5; ++i, now += seconds{60})
    if (const auto update = exchange.update(now, entries(0, 200), std::nullopt)) {
      EXPECT_LE(update->added.size(), limits::exchange_added);
      for (const auto& one : update->added) EXPECT_TRUE(told.insert(one.endpoint).second);
    }
  EXPECT_EQ(told.size(), 200U);
  for (int i = 0; i < 5; ++i, now += seconds{60})
    if (const auto update = exchange.update(now, {}, std::nullopt)) {
      EXPECT_LE(update->dropped.size(), limits::exchange_dropped);
      for (const auto& one : update->dropped) EXPECT_EQ(told.erase(one), 1U);
    }
  EXPECT_TRUE(told.empty());
}

TEST(Exchange, FollowsRandomChanges) {
  Exchange exchange;
  Random random = test::make_random(1);
  std::set<Endpoint> told;
  Instant now = start;
  for (int round = 0; round < 500; ++round, now += seconds{60}) {
    std::vector<wire::ExchangeEntry> now_connected;
    for (std::uint32_t i = 0; i < 60; ++i)
      if (random.below(3) != 0) now_connected.push_back(entry(i));
    const auto update = exchange.update(now, now_connected, std::nullopt);
    if (update) {
      for (const auto& one : update->dropped) ASSERT_EQ(told.erase(one), 1U);
      for (const auto& one : update->added) ASSERT_TRUE(told.insert(one.endpoint).second);
    }
    ASSERT_EQ(told.size(), now_connected.size());
    for (const auto& one : now_connected) ASSERT_TRUE(told.contains(one.endpoint));
  }
}

TEST(Exchange, TakesALittleOnceAMinute) {
  Exchange exchange;
  wire::PeerExchange message{entries(0, 10), {}};
  message.added.push_back(entry(4));
  message.added.push_back({{IpAddress::v4(1), 0}, std::nullopt, false});
  EXPECT_EQ(exchange.take(start, message), Exchange::Verdict::taken);
  EXPECT_EQ(message.added.size(), 10U);
  wire::PeerExchange again{entries(0, 10), {}};
  EXPECT_EQ(exchange.take(start + seconds{10}, again), Exchange::Verdict::discarded);
  EXPECT_TRUE(again.added.empty());
  wire::PeerExchange large{entries(0, 1000), {}};
  EXPECT_EQ(exchange.take(start + seconds{60}, large), Exchange::Verdict::taken);
  EXPECT_EQ(large.added.size(), limits::exchange_taken);
  wire::PeerExchange third{entries(0, 10), {}};
  EXPECT_EQ(exchange.take(start + seconds{61}, third), Exchange::Verdict::strike);
  wire::PeerExchange fourth{entries(0, 10), {}};
  EXPECT_EQ(exchange.take(start + seconds{500}, fourth), Exchange::Verdict::discarded);
  EXPECT_TRUE(fourth.added.empty());
}

}  // namespace
}  // namespace shoal::swarm
