// The virtual network's datagrams, NATs, partitions: that scenarios may rely on them.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/scenarios/wires.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

TEST(SimEvents, ComeInOrderOfTimeThenOfScheduling) {
  EventQueue queue{Instant{1s}};
  Random random{Random::Seed{3}};
  for (std::uint64_t i = 0; i < 5000; ++i)
    queue.schedule(Instant{1s} + Duration{static_cast<std::int64_t>(random.below(100))}, EventKind::script, 0,
                   i);
  queue.schedule(Instant{0s}, EventKind::script, 7, 0);  // the past is now
  Instant last{};
  std::uint64_t last_sequence = 0, count = 0;
  while (!queue.empty()) {
    const Event event = queue.pop();
    EXPECT_GE(event.at, Instant{1s});
    ASSERT_TRUE(event.at > last || (event.at == last && event.sequence > last_sequence));
    last = event.at;
    last_sequence = event.sequence;
    ++count;
  }
  EXPECT_EQ(count, 5001U);
  EXPECT_EQ(queue.now(), last);
}

TEST(SimDatagrams, ArriveAfterThePairsDelayWithTheirSource) {
  Wires wires{1, Latency{.low = 20ms, .high = 20ms}, {}, DatagramModel{.jitter = 0}};
  const HostId a = wires.add(), b = wires.add();
  EXPECT_NE(wires.at(a).address.network(), wires.at(b).address.network());
  EXPECT_TRUE(wires.at(a).address.global());
  const Instant sent = wires.queue.now();
  wires.send(a, wires.at(b), "hello");
  wires.send(a, {wires.at(b).address, 9}, "another port");
  wires.send(a, *Endpoint::parse("99.1.2.3:4100"), "nobody");
  wires.run_for(1s);
  ASSERT_EQ(wires.hosts[b].datagrams.size(), 1U);
  EXPECT_EQ(wires.hosts[b].datagrams[0].at, sent + 20ms);
  EXPECT_EQ(wires.hosts[b].datagrams[0].from, wires.at(a));
  EXPECT_EQ(as_text(wires.hosts[b].datagrams[0].bytes), "hello");
}

TEST(SimDatagrams, AreLostDoubledAndOvertakenAsOrdered) {
  Wires wires{2, {}, {}, DatagramModel{.loss = 0.2, .duplicate = 0.1, .late = 0.5}};
  const HostId a = wires.add(), b = wires.add();
  for (int i = 0; i < 10'000; ++i) {
    ByteArray<4> number;
    store_be(number.data(), static_cast<std::uint32_t>(i));
    wires.send(a, wires.at(b), as_text(number));
    wires.run_for(1ms);
  }
  wires.run_for(1s);
  std::vector<std::uint32_t> order;
  for (const auto& datagram : wires.hosts[b].datagrams)
    order.push_back(load_be<std::uint32_t>(datagram.bytes.data()));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  const auto distinct = static_cast<double>(std::unique(order.begin(), order.end()) - order.begin());
  EXPECT_NEAR(distinct, 8000, 200);
  EXPECT_NEAR(static_cast<double>(wires.hosts[b].datagrams.size()) - distinct, 800, 120);
}

TEST(SimDatagrams, LatencyIsOfThePairAndLogNormalHasItsMedian) {
  Topology topology{7, Latency{Latency::Law::log_normal, 1ms, 2s, 40ms, 0.6}};
  for (int i = 0; i < 200; ++i) topology.add_host({});
  std::vector<Duration> all;
  for (HostId a = 0; a < 200; ++a)
    for (HostId b = a + 1; b < 200; ++b) {
      all.push_back(topology.delay(a, b));
      ASSERT_EQ(topology.delay(a, b), topology.delay(b, a));
    }
  std::sort(all.begin(), all.end());
  EXPECT_NEAR(seconds(all[all.size() / 2]), 0.040, 0.002);
  EXPECT_NEAR(seconds(all[all.size() * 841 / 1000]) / seconds(all[all.size() / 2]), std::exp(0.6), 0.08);
}

TEST(SimNat, AdmitsOnlyThoseItHasSentTo) {
  Wires wires;
  const SiteId home = wires.network.topology().add_site();
  const HostId inside = wires.add({.site = home}), friendly = wires.add(), stranger = wires.add();
  const Endpoint outside = wires.at(inside);
  EXPECT_NE(outside.port, 4100);
  wires.send(friendly, outside, "too early");
  wires.send(stranger, outside, "unasked");
  wires.run_for(1s);
  EXPECT_TRUE(wires.hosts[inside].datagrams.empty());
  wires.send(inside, wires.at(friendly), "query");
  wires.run_for(1s);
  ASSERT_EQ(wires.hosts[friendly].datagrams.size(), 1U);
  EXPECT_EQ(wires.hosts[friendly].datagrams[0].from, outside);  // endpoint-independent mapping
  wires.send(inside, wires.at(stranger), "another");
  wires.run_for(1s);
  EXPECT_EQ(wires.hosts[stranger].datagrams[0].from, outside);
  wires.send(friendly, outside, "reply");
  wires.run_for(1s);
  ASSERT_EQ(wires.hosts[inside].datagrams.size(), 1U);
  wires.run_for(3min);
  wires.send(friendly, outside, "too late");
  wires.run_for(1s);
  EXPECT_EQ(wires.hosts[inside].datagrams.size(), 1U);
}

TEST(SimNat, RefusesStreamsFromOutsideByIgnoringThem) {
  Wires wires;
  const SiteId home = wires.network.topology().add_site();
  const HostId inside = wires.add({.site = home}), outside = wires.add();
  wires.dial(outside, 5, wires.at(inside));
  wires.run_for(9s);
  EXPECT_TRUE(wires.hosts[outside].streams[5].closed.empty());
  wires.run_for(2s);
  ASSERT_EQ(wires.hosts[outside].streams[5].closed.size(), 1U);
  EXPECT_EQ(wires.hosts[outside].streams[5].closed[0], swarm::StreamClosed::Why::unreachable);
  EXPECT_NE(wires.join(inside, 1, outside), 0U);
  EXPECT_EQ(wires.hosts[outside].accepted[0].from.address, wires.at(inside).address);
}

TEST(SimNat, NeighboursMeetByTheirPrivateAddressesAndTheGroup) {
  Wires wires;
  const SiteId home = wires.network.topology().add_site();
  const HostId a = wires.add({.site = home}), b = wires.add({.site = home}), far = wires.add();
  const Endpoint within = wires.network.topology().host(b).v4;
  EXPECT_EQ(within.address.classify(), AddressClass::local_net);
  wires.send(a, within, "hi");
  wires.send(a, wires.at(b), "hairpin");
  wires.send(far, within, "not from here");
  wires.network.perform(a, swarm::DatagramOut{{}, {1, 2, 3}, swarm::DatagramOut::Via::lan_group});
  wires.run_for(1s);
  ASSERT_EQ(wires.hosts[b].datagrams.size(), 2U);
  const bool second = wires.hosts[b].datagrams[1].bytes.size() == 3;
  EXPECT_EQ(wires.hosts[b].datagrams[second ? 1 : 0].via, swarm::DatagramIn::Via::lan_group);
  EXPECT_EQ(wires.hosts[b].datagrams[second ? 0 : 1].via, swarm::DatagramIn::Via::own_port);
  EXPECT_EQ(wires.hosts[b].datagrams[0].from, wires.network.topology().host(a).v4);
  EXPECT_TRUE(wires.hosts[a].datagrams.empty());
  EXPECT_TRUE(wires.hosts[far].datagrams.empty());
}

TEST(SimPartition, CutsBothWaysAndHeals) {
  Wires wires;
  const HostId a = wires.add(), b = wires.add(), c = wires.add();
  wires.network.set_group(b, 1);
  wires.network.set_plugged(c, false);
  for (int round = 0; round < 2; ++round) {
    wires.send(a, wires.at(b), "x");
    wires.send(b, wires.at(a), "x");
    wires.send(c, wires.at(a), "x");
    wires.run_for(1s);
    EXPECT_EQ(wires.hosts[b].datagrams.size(), round == 0 ? 0U : 1U);
    EXPECT_EQ(wires.hosts[a].datagrams.size(), round == 0 ? 0U : 2U);
    wires.network.heal();
  }
}

TEST(SimNetwork, TheSameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    Wires wires{
        seed, {}, StreamModel{.fragment = 0.3}, DatagramModel{.loss = 0.1, .duplicate = 0.1, .late = 0.1}};
    const HostId a = wires.add(), b = wires.add();
    wires.dial(a, 1, wires.at(b));
    for (int i = 0; i < 100; ++i) {
      wires.send(a, wires.at(b), "datagram " + std::to_string(i));
      wires.write(a, 1, "bytes of a stream " + std::to_string(i));
      wires.run_for(3ms);
    }
    wires.run_for(2s);
    return wires.network.digest();
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

}  // namespace
}  // namespace shoal::sim
