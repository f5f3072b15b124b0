// The virtual network's streams: order, rates, fairness, back-pressure, ends.
#include <gtest/gtest.h>

#include "tests/scenarios/wires.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;
using Why = swarm::StreamClosed::Why;

constexpr std::uint64_t mib = 1U << 20;

TEST(SimStreams, ConnectInOneRoundTripAndKeepOrderThroughFragments) {
  Wires wires{1, Latency{.low = 25ms, .high = 25ms}, StreamModel{.fragment = 0.5}};
  const HostId a = wires.add(), b = wires.add();
  wires.dial(a, 1, wires.at(b));
  wires.run_for(49ms);
  EXPECT_EQ(wires.hosts[b].accepted.size(), 1U);
  EXPECT_EQ(wires.hosts[a].streams[1].connected, 0);
  wires.run_for(1ms);
  EXPECT_EQ(wires.hosts[a].streams[1].connected, 1);
  EXPECT_GE(wires.hosts[b].accepted[0].from.port, 32'768);
  std::string all;
  for (int i = 0; i < 2000; ++i) {
    const std::string part = std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), 'x');
    wires.write(a, 1, part);
    all += part;
    if (i % 10 == 0) wires.run_for(1ms);
  }
  const swarm::StreamId accepted = wires.hosts[b].accepted[0].stream;
  EXPECT_NE(accepted & swarm::accepted_stream, 0U);
  wires.write(b, accepted, "back");
  wires.run_for(5s);
  EXPECT_EQ(as_text(wires.hosts[b].streams[accepted].bytes), all);
  EXPECT_EQ(as_text(wires.hosts[a].streams[1].bytes), "back");
}

TEST(SimStreams, DialsAreRefusedUnreachableOrCancelled) {
  Wires wires;
  const HostId a = wires.add(), b = wires.add(), dead = wires.add(), ended = wires.add();
  wires.network.lose_power(dead);
  wires.network.end_process(ended);
  wires.dial(a, 1, {wires.at(b).address, 77});
  wires.dial(a, 2, wires.at(dead));
  wires.dial(a, 3, wires.at(ended));
  wires.dial(a, 4, *Endpoint::parse("99.9.9.9:1000"));
  wires.dial(a, 5, wires.at(b));
  wires.close(a, 5);
  wires.run_for(1s);
  auto& streams = wires.hosts[a].streams;
  EXPECT_EQ(streams[1].closed, std::vector{Why::refused});
  EXPECT_EQ(streams[3].closed, std::vector{Why::refused});
  EXPECT_TRUE(streams[2].closed.empty());
  wires.run_for(20s);
  EXPECT_EQ(streams[2].closed, std::vector{Why::unreachable});
  EXPECT_EQ(streams[4].closed, std::vector{Why::unreachable});
  EXPECT_TRUE(streams[5].closed.empty());
  EXPECT_EQ(streams[5].connected, 0);
  EXPECT_EQ(wires.network.streams().open_connections(), 0U);
}

// One transfer takes size / rate of the slower link, and a round trip or a few.
TEST(SimStreams, MoveAtTheRateOfTheNarrowerLink) {
  for (const auto& [up, down] :
       std::vector<std::pair<std::uint64_t, std::uint64_t>>{{mib, 0}, {0, mib}, {mib, 4 * mib}}) {
    Wires wires{3, Latency{.low = 20ms, .high = 20ms}};
    const HostId a = wires.add({.rates = {up, 0}}), b = wires.add({.rates = {0, down}});
    const swarm::StreamId accepted = wires.join(a, 1, b);
    wires.hosts[b].streams[accepted].keep = false;
    const Instant began = wires.queue.now();
    wires.write_zeros(a, 1, 16 * mib);
    wires.run_for(60s);
    EXPECT_EQ(wires.hosts[b].streams[accepted].received, 16 * mib);
    EXPECT_NEAR(seconds(wires.hosts[b].streams[accepted].last - began), 16, 0.6) << up << " " << down;
  }
}

TEST(SimStreams, ShareAnUplinkAndADownlinkAboutEqually) {
  for (const bool at_the_sender : {true, false}) {
    Wires wires{4};
    const LinkRates narrow = {at_the_sender ? mib : 0, at_the_sender ? 0 : mib};
    const HostId hub = wires.add({.rates = narrow});
    std::vector<swarm::StreamId> ends;
    std::vector<HostId> others;
    for (swarm::StreamId i = 1; i <= 8; ++i) {
      const HostId other = wires.add();
      others.push_back(other);
      ends.push_back(at_the_sender ? wires.join(hub, i, other) : wires.join(other, i, hub));
    }
    for (swarm::StreamId i = 1; i <= 8; ++i) {
      const HostId to = at_the_sender ? others[i - 1] : hub;
      wires.hosts[to].streams[ends[i - 1]].keep = false;
      wires.write_zeros(at_the_sender ? hub : others[i - 1], i, 64 * mib);
    }
    wires.run_for(60s);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint64_t got = wires.hosts[at_the_sender ? others[i] : hub].streams[ends[i]].received;
      EXPECT_NEAR(static_cast<double>(got) / mib, 7.5, at_the_sender ? 0.3 : 2.5) << i;
      total += got;
    }
    EXPECT_NEAR(static_cast<double>(total) / mib, 60, 1.5);
  }
}

// As with fair queueing: a request does not wait until others have sent a block each.
TEST(SimStreams, APacketGoesBetweenTheSegmentsOfOthers) {
  Wires wires{9, Latency{.low = 1ms, .high = 1ms}};
  const HostId hub = wires.add({.rates = {16'384, 0}});  // a block a second
  std::vector<swarm::StreamId> ends;
  std::vector<HostId> others;
  for (swarm::StreamId i = 1; i <= 5; ++i) {
    others.push_back(wires.add());
    ends.push_back(wires.join(hub, i, others.back()));
  }
  for (swarm::StreamId i = 1; i <= 4; ++i) wires.write_zeros(hub, i, 8 * 16'384);
  wires.run_for(500ms);
  for (int i = 0; i < 10; ++i) {
    wires.write(hub, 5, std::string(100, 'r'));
    wires.run_for(100ms);
    EXPECT_EQ(wires.hosts[others[4]].streams[ends[4]].received, 100U * static_cast<unsigned>(i + 1));
  }
  wires.run_for(30s);  // and what they took is missing to the others
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < 5; ++i) total += wires.hosts[others[i]].streams[ends[i]].received;
  EXPECT_LE(total, 16'384 * 32U);
}

TEST(SimStreams, APausedReaderStallsItsSenderAtABound) {
  Wires wires{5};
  const HostId a = wires.add(), b = wires.add();
  const swarm::StreamId accepted = wires.join(a, 1, b);
  wires.pause(b, accepted, true);
  wires.write_zeros(a, 1, 8 * mib);
  wires.run_for(30s);
  auto& told = wires.hosts[a].streams[1].writable;
  EXPECT_TRUE(std::find(told.begin(), told.end(), 0U) == told.end());
  EXPECT_EQ(wires.hosts[b].streams[accepted].received, 0U);
  EXPECT_LE(wires.network.traffic(b).stream_bytes_in, 0U);
  wires.pause(b, accepted, false);
  wires.run_for(30s);
  EXPECT_EQ(wires.hosts[b].streams[accepted].received, 8 * mib);
  ASSERT_GE(told.size(), 2U);
  EXPECT_LT(told[told.size() - 2], swarm::stream_low_water);  // first below the mark, then empty
  EXPECT_GT(told[told.size() - 2], 0U);
  EXPECT_EQ(told.back(), 0U);
}

TEST(SimStreams, ASmallWriteIsToldAsSentAtOnce) {
  Wires wires{6};
  const HostId a = wires.add(), b = wires.add();
  wires.join(a, 1, b);
  wires.write(a, 1, "x");
  wires.write(a, 1, "y");
  wires.run_for(1ms);
  EXPECT_EQ(wires.hosts[a].streams[1].writable, std::vector<std::uint64_t>{0});
}

TEST(SimStreams, CloseSendsWhatItCanInASecondAndThenTheEnd) {
  Wires wires{7};
  const HostId a = wires.add({.rates = {100'000, 0}}), b = wires.add();
  const swarm::StreamId first = wires.join(a, 1, b), second = wires.join(a, 2, b);
  wires.write(a, 1, "last words");
  wires.close(a, 1);
  wires.run_for(1s);
  EXPECT_EQ(as_text(wires.hosts[b].streams[first].bytes), "last words");
  EXPECT_EQ(wires.hosts[b].streams[first].closed, std::vector{Why::by_peer});
  wires.write_zeros(a, 2, mib);
  wires.close(a, 2);
  wires.run_for(20s);
  EXPECT_LT(wires.hosts[b].streams[second].received, 300'000U);
  EXPECT_GT(wires.hosts[b].streams[second].received, 80'000U);
  EXPECT_EQ(wires.hosts[b].streams[second].closed, std::vector{Why::by_peer});
  EXPECT_EQ(wires.network.streams().open_connections(), 0U);
  wires.write(a, 1, "into a closed stream");  // ignored
  wires.run_for(1s);
}

TEST(SimStreams, ADeathIsSilentUntilTheMachineRestarts) {
  Wires wires{8};
  const HostId a = wires.add(), b = wires.add();
  wires.join(a, 1, b);
  wires.network.lose_power(b);
  wires.write_zeros(a, 1, 8 * mib);
  wires.run_for(2min);
  EXPECT_TRUE(wires.hosts[a].streams[1].closed.empty());
  wires.network.start(b);
  wires.run_for(2min);
  EXPECT_EQ(wires.hosts[a].streams[1].closed, std::vector{Why::failed});
  EXPECT_EQ(wires.network.streams().open_connections(), 0U);
}

TEST(SimStreams, ADeadMachineIsGivenUpAfterAQuarterOfAnHour) {
  Wires wires{9};
  const HostId a = wires.add(), b = wires.add();
  wires.join(a, 1, b);
  wires.join(b, 2, a);
  wires.network.lose_power(b);
  wires.write(a, 1, "hello?");
  wires.run_for(14min);
  EXPECT_TRUE(wires.hosts[a].streams[1].closed.empty());
  wires.run_for(4min);
  EXPECT_EQ(wires.hosts[a].streams[1].closed, std::vector{Why::failed});
  EXPECT_EQ(wires.network.streams().open_connections(), 1U);  // the idle one has not noticed
}

TEST(SimStreams, AnEndedProcessResetsItsStreams) {
  Wires wires{10};
  const HostId a = wires.add(), b = wires.add();
  wires.join(a, 1, b);
  wires.network.end_process(b);
  wires.run_for(1s);
  EXPECT_EQ(wires.hosts[a].streams[1].closed, std::vector{Why::failed});
}

TEST(SimStreams, NothingIsLostInAPartitionThatHeals) {
  Wires wires{11, Latency{.low = 30ms, .high = 30ms}};
  const HostId a = wires.add({.rates = {mib, mib}}), b = wires.add({.rates = {mib, mib}});
  const swarm::StreamId accepted = wires.join(a, 1, b);
  std::string all;
  for (int i = 0; i < 200'000; ++i) all += static_cast<char>(mix(static_cast<std::uint64_t>(i)));
  for (std::size_t at = 0; at < all.size(); at += 10'000)
    wires.write(a, 1, std::string_view{all}.substr(at, 10'000));
  wires.run_for(50ms);
  wires.network.set_group(b, 1);
  wires.run_for(40s);
  EXPECT_LT(wires.hosts[b].streams[accepted].received, all.size());
  wires.network.heal();
  wires.run_for(70s);
  EXPECT_EQ(as_text(wires.hosts[b].streams[accepted].bytes), all);
  wires.write(b, accepted, "and back");
  wires.run_for(1s);
  EXPECT_EQ(as_text(wires.hosts[a].streams[1].bytes), "and back");
}

// 50 hosts that all send to all: the cost of the model itself.
TEST(SimStreams, AHundredThousandSegmentsAreCheap) {
  Wires wires{12};
  std::vector<HostId> hosts;
  for (int i = 0; i < 50; ++i) hosts.push_back(wires.add({.rates = {4 * mib, 8 * mib}}));
  for (const HostId a : hosts)
    for (const HostId b : hosts)
      if (a != b) wires.dial(a, b + 1, wires.at(b));
  wires.run_for(1s);
  for (const HostId a : hosts) {
    for (const auto& accepted : wires.hosts[a].accepted) wires.hosts[a].streams[accepted.stream].keep = false;
  }
  for (int round = 0; round < 10; ++round) {
    for (const HostId a : hosts)
      for (const HostId b : hosts)
        if (a != b) wires.write_zeros(a, b + 1, 4 * 16'384);
    wires.run_for(3s);
  }
  std::uint64_t received = 0;
  for (const HostId a : hosts) received += wires.network.traffic(a).stream_bytes_in;
  EXPECT_EQ(received, 50ULL * 49 * 40 * 16'384);
}

}  // namespace
}  // namespace shoal::sim
