// Scenarios of many peers: how fast a swarm fills, who is served, what the death or the malice of one does to
// the others.
#include <algorithm>

#include "swarm/limits.hpp"
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

// A node, a seed and getters around it, with their links.
struct Crowd {
  World world;
  MachineId node, seed;
  std::vector<MachineId> getters;
  storage::ContentPtr content;
  Oracle oracle;

  Crowd(std::uint64_t seed_number, std::uint64_t bytes, LinkRates seed_rates,
        const std::vector<MachineConfig>& others)
      : world{seed_number},
        node{start_node(world)},
        seed{0},
        oracle{Oracle::single("payload", bytes, seed_number)} {
    const std::vector<Endpoint> bootstrap{world.endpoint(node)};
    seed = start(world, {.host = {.rates = seed_rates}, .bootstrap = bootstrap});
    content = share(world, seed, oracle);
    for (MachineConfig config : others) {
      config.bootstrap = bootstrap;
      getters.push_back(start(world, std::move(config)));
    }
    world.run_for(20s);  // everybody is in the DHT, the record is out
  }
  void get_all() {
    for (const MachineId getter : getters) world.get(getter, content->id, {world.endpoint(seed)});
  }
  [[nodiscard]] std::uint64_t received(MachineId id) {
    const auto status = world.status(id, content->id);
    return status ? status->received : 0;
  }
};

MachineConfig with_rates(std::uint64_t up, std::uint64_t down) { return {.host = {.rates = {up, down}}}; }

// The fluid bound: nobody can finish before the seed has sent each byte once, before the slowest downlink
// took all, before all uplinks together have sent every copy.
double least_seconds(double bytes, double seed_up, double least_down, double count, double sum_up) {
  return std::max({bytes / seed_up, bytes / least_down, count * bytes / (seed_up + sum_up)});
}

TEST(Swarming, FiftyEqualPeersFinishNearTheFluidBound) {
  constexpr std::uint64_t bytes = 32 * mib, up = mib, down = 8 * mib;
  Crowd crowd{21, bytes, {up, down}, std::vector(50, with_rates(up, down))};
  ASSERT_TRUE(crowd.content);
  const Instant began = crowd.world.now();
  crowd.get_all();
  ASSERT_TRUE(
      crowd.world.run_until([&] { return all_finished(crowd.world, crowd.getters, *crowd.content); }, 300s));
  const double bound = least_seconds(bytes, up, down, 50, 50.0 * up);
  const double took = seconds(crowd.world.now() - began);
  RecordProperty("seconds", std::to_string(took));
  RecordProperty("bound", std::to_string(bound));
  EXPECT_LE(took, 1.25 * bound) << took << " s, the bound is " << bound << " s";
  std::uint64_t wasted = 0;
  for (const MachineId getter : crowd.getters) {
    EXPECT_TRUE(crowd.oracle.whole(crowd.world.machine(getter), *crowd.content));
    wasted += crowd.world.status(getter, crowd.content->id)->wasted;
  }
  EXPECT_LE(wasted, 50 * bytes / 50);  // 2 %
}

TEST(Swarming, TheSeedMayLeaveAfterOneFullCopy) {
  constexpr std::uint64_t bytes = 8 * mib;
  Crowd crowd{22, bytes, {mib, 0}, std::vector(8, with_rates(mib, 4 * mib))};
  ASSERT_TRUE(crowd.content);
  crowd.get_all();
  ASSERT_TRUE(crowd.world.run_until(
      [&] { return crowd.world.told(crowd.seed, crowd.content->id, What::copy_out).has_value(); }, 120s));
  // Super-seeding may have sent some piece twice before another once: what the others have together decides.
  ASSERT_TRUE(crowd.world.run_until(
      [&] {
        auto& world = crowd.world;
        std::vector<bool> have(crowd.content->pieces, false);
        for (const MachineId getter : crowd.getters) {
          const auto found = world.machine(getter).catalog().find(crowd.content->id);
          if (!found || !*found) continue;
          for (std::uint32_t i = 0; i < crowd.content->pieces; ++i)
            if ((**found).have.test(i)) have[i] = true;
        }
        return std::all_of(have.begin(), have.end(), [](bool b) { return b; });
      },
      120s, 1s));
  crowd.world.kill(crowd.seed, Machine::Death::power);
  EXPECT_TRUE(
      crowd.world.run_until([&] { return all_finished(crowd.world, crowd.getters, *crowd.content); }, 180s));
  for (const MachineId getter : crowd.getters)
    EXPECT_TRUE(crowd.oracle.whole(crowd.world.machine(getter), *crowd.content))
        << standing(crowd.world, getter, *crowd.content);
}

// The rider asks like everybody, unchokes, and never sends a block: its own limit leaves no room for one.
// With a seed faster than a peer, uplinks are what is scarce; with one no faster, new pieces are, and uplinks
// have room to carry the rider along, had it not to wait.
TEST(Swarming, AFreeRiderGetsAtMostHalfOfAFairPeersRate) {
  for (const std::uint64_t factor : {1U, 2U}) {
    constexpr std::uint64_t up = 512 * kib;
    std::vector<MachineConfig> others(12, with_rates(up, 0));
    others[5].up_limit = 1;
    Crowd crowd{23, 96 * mib, {factor * up, 0}, others};
    ASSERT_TRUE(crowd.content);
    crowd.get_all();
    crowd.world.run_for(factor == 1 ? 120s : 60s);
    std::vector<std::uint64_t> fair;
    std::uint64_t rider = 0;
    for (std::size_t i = 0; i < crowd.getters.size(); ++i)
      if (i == 5)
        rider = crowd.received(crowd.getters[i]);
      else
        fair.push_back(crowd.received(crowd.getters[i]));
    std::sort(fair.begin(), fair.end());
    EXPECT_FALSE(finished(crowd.world, crowd.getters[0], *crowd.content)) << "the seed was not contended";
    EXPECT_LE(rider * 2, fair[fair.size() / 2])
        << "seed " << factor << ", rider " << rider << ", fair " << fair.front() << " to " << fair.back();
    RecordProperty("share" + std::to_string(factor),
                   std::to_string(static_cast<double>(rider) / static_cast<double>(fair[fair.size() / 2])));
    EXPECT_LE(crowd.world.status(crowd.getters[5], crowd.content->id)->sent, 64 * kib);
  }
}

// A machine whose disk gives other bytes than were verified: it serves nonsense in good faith. Blocks are
// judged as they come, so two of them give it away.
TEST(Swarming, ACorrupterIsBannedAfterTwoBadBlocksAndNobodyElse) {
  for (const std::uint64_t number : {24U, 25U, 26U}) {
    Crowd crowd{number, 8 * mib, {2 * mib, 0}, std::vector(5, with_rates(2 * mib, 0))};
    ASSERT_TRUE(crowd.content);
    World& world = crowd.world;
    const MachineId corrupter = crowd.getters.back();
    crowd.getters.pop_back();
    world.get(corrupter, crowd.content->id, {world.endpoint(crowd.seed)});
    ASSERT_TRUE(world.run_until([&] { return finished(world, corrupter, *crowd.content); }, 60s));
    std::uint64_t lies = 0;
    world.machine(corrupter).after_job = [&lies](const JobNote& note, storage::Done& done) {
      if (note.kind != JobNote::Kind::read || !done) return;
      auto* read = std::get_if<storage::ReadDone>(&*done);
      read->data.span()[note.lead + note.length / 2] ^= 1;
      ++lies;
    };
    crowd.get_all();
    ASSERT_TRUE(world.run_until([&] { return all_finished(world, crowd.getters, *crowd.content); }, 120s));
    EXPECT_GT(lies, 0U);
    std::uint64_t bans = 0;
    for (const MachineId getter : crowd.getters) {
      expect_right(world, getter, *crowd.content, crowd.oracle);
      const auto status = world.status(getter, crowd.content->id);
      EXPECT_LE(status->banned, 1U) << "an honest peer was banned";
      EXPECT_LE(world.count(getter, crowd.content->id, What::peer_banned), 1U);
      bans += status->banned;
      for (const Recorded& recorded : world.machine(getter).answers())
        if (const auto* event = std::get_if<swarm::ContentEvent>(&recorded.answer.what))
          if (event->what == What::peer_banned) {
            EXPECT_LE(event->count, swarm::limits::bad_blocks_before_ban);
          }
    }
    EXPECT_GE(bans, 1U);
    // Whose block it was is known: nobody bans the seed, and the seed nobody.
    EXPECT_EQ(world.status(crowd.seed, crowd.content->id)->banned, 0U);
    EXPECT_GE(world.status(crowd.seed, crowd.content->id)->peers, crowd.getters.size());
  }
}

// A sharer hashes pieces for who does not know it yet, and none once enough of what it gave was right.
TEST(Swarming, AProvedPeerIsAskedForNoHashesOfBlocks) {
  Crowd crowd{28, 8 * mib, {8 * mib, 0}, {with_rates(mib, 0)}};
  ASSERT_TRUE(crowd.content);
  std::uint64_t hashed = 0;
  crowd.world.machine(crowd.seed).after_job = [&](const JobNote& note, storage::Done&) {
    hashed += note.kind == JobNote::Kind::hash ? 1 : 0;
  };
  crowd.get_all();
  ASSERT_TRUE(
      crowd.world.run_until([&] { return all_finished(crowd.world, crowd.getters, *crowd.content); }, 60s));
  EXPECT_GE(hashed, swarm::limits::proving_pieces);
  EXPECT_LE(hashed, crowd.content->pieces / 2) << "of " << crowd.content->pieces;
}

// Who gives right blocks until it is trusted, and false ones from then on, is found by its first false
// pieces.
TEST(Swarming, ATurncoatIsBannedAndCostsLittle) {
  for (const std::uint64_t number : {31U, 32U, 33U}) {
    Crowd crowd{number, 32 * mib, {2 * mib, 0}, std::vector(2, with_rates(2 * mib, 0))};
    ASSERT_TRUE(crowd.content);
    World& world = crowd.world;
    const MachineId turncoat = crowd.getters.back(), getter = crowd.getters.front();
    world.get(turncoat, crowd.content->id, {world.endpoint(crowd.seed)});
    ASSERT_TRUE(world.run_until([&] { return finished(world, turncoat, *crowd.content); }, 60s));
    world.machine(turncoat).after_job = [&](const JobNote& note, storage::Done& done) {
      if (note.kind != JobNote::Kind::read || !done || crowd.received(getter) < 12 * mib) return;
      std::get<storage::ReadDone>(*done).data.span()[note.lead + note.length / 2] ^= 1;
    };
    world.get(getter, crowd.content->id, {world.endpoint(crowd.seed), world.endpoint(turncoat)});
    ASSERT_TRUE(world.run_until([&] { return finished(world, getter, *crowd.content); }, 120s))
        << standing(world, getter, *crowd.content);
    expect_right(world, getter, *crowd.content, crowd.oracle);
    const auto status = world.status(getter, crowd.content->id);
    EXPECT_EQ(status->banned, 1U);
    EXPECT_LE(status->wasted, crowd.content->bytes / 8);
    RecordProperty("wasted" + std::to_string(number), std::to_string(status->wasted));
  }
}

// It alone has the content, lies, and tells no hashes.
TEST(Swarming, WhoAloneGivesFalsePiecesIsBannedThoughNobodyTellsOfTheirBlocks) {
  World world{34};
  const Oracle oracle = Oracle::single("film", 4 * mib, 7);
  const MachineId liar = start(world), getter = start(world);
  const auto content = share(world, liar, oracle);
  ASSERT_TRUE(content);
  world.machine(liar).after_job = [](const JobNote& note, storage::Done& done) {
    if (!done) return;
    if (auto* read = std::get_if<storage::ReadDone>(&*done))
      read->data.span()[note.lead + note.length / 2] ^= 1;
    if (note.kind == JobNote::Kind::hash)
      done = std::unexpected(storage::JobFailure{{Code::io, "it will not tell"}, {}, {}});
  };
  world.get(getter, content->id, {world.endpoint(liar)});
  EXPECT_TRUE(world.run_until([&] { return world.status(getter, content->id)->banned == 1; }, 60s))
      << standing(world, getter, *content);
}

// Equal files have equal hashes, so one question serves the same piece of each: bad blocks in several of them
// at once are found in all, and none waits for an answer that was given to another.
TEST(Swarming, BadBlocksOfEqualFilesAreFoundInEach) {
  for (std::uint64_t number = 1; number <= 8; ++number) {
    World world{number};
    std::vector<SyntheticFile> copies;
    for (int i = 0; i < 12; ++i) copies.push_back({"copy" + std::to_string(i), 512 * kib, 7});
    const Oracle oracle{"copies", copies};
    const MachineId sharer = start(world, with_rates(512 * kib, 0)),
                    corrupter = start(world, with_rates(4 * mib, 0)), getter = start(world);
    const auto path = oracle.plant(world.machine(sharer));
    ASSERT_TRUE(path);
    const auto shared = world.share(sharer, *path, 128 * kib);
    ASSERT_TRUE(shared);
    const storage::Content& content = **shared;
    world.get(corrupter, content.id, {world.endpoint(sharer)});
    ASSERT_TRUE(world.run_until([&] { return finished(world, corrupter, content); }, 120s));
    world.machine(corrupter).after_job = [](const JobNote& note, storage::Done& done) {
      if (note.kind != JobNote::Kind::read || !done) return;
      std::get<storage::ReadDone>(*done).data.span()[note.lead + note.length / 2] ^= 1;
    };
    world.get(getter, content.id, {world.endpoint(sharer), world.endpoint(corrupter)});
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, content); }, 120s))
        << number << ": " << standing(world, getter, content);
    EXPECT_EQ(world.status(getter, content.id)->banned, 1U);
    expect_right(world, getter, content, oracle);
  }
}

// Two seeds and a getter that has begun to fetch from both.
struct TwoSeeds : Crowd {
  MachineId second, getter;
  TwoSeeds() : Crowd{27, 48 * mib, {mib, 0}, std::vector(2, with_rates(mib, 0))}, second{0}, getter{0} {
    second = getters[0];
    getter = getters[1];
    world.get(second, content->id, {world.endpoint(seed)});
    EXPECT_TRUE(world.run_until([&] { return finished(world, second, *content); }, 120s));
    world.get(getter, content->id, {world.endpoint(seed), world.endpoint(second)});
    world.run_for(8s);
    EXPECT_EQ(world.status(getter, content->id)->peers, 2U);
    EXPECT_FALSE(finished(world, getter, *content));
  }
};

// One falls silent: within 10 s all but one request at it are free for others; with that one it is tried on.
// The other, which says goodbye, takes its own requests out of the count.
TEST(Swarming, WhatWasAskedOfASilentPeerIsFreeAgainWithinTenSeconds) {
  TwoSeeds crowd;
  World& world = crowd.world;
  const auto waiting = [&] { return world.status(crowd.getter, crowd.content->id)->waiting_there; };
  world.kill(crowd.seed, Machine::Death::power);
  world.run_for(10s);
  EXPECT_GT(waiting(), 0U) << "all is with the other";
  world.kill(crowd.second, Machine::Death::process);
  world.run_for(1s);
  EXPECT_EQ(world.status(crowd.getter, crowd.content->id)->peers, 1U) << "the dead one is not given up yet";
  EXPECT_LE(waiting(), 1U) << "a single request keeps trying it";
}

TEST(Swarming, ASilentDeathIsNoticed) {
  TwoSeeds crowd;
  World& world = crowd.world;
  const MachineId getter = crowd.getter;
  world.kill(crowd.seed, Machine::Death::power);
  const Instant died = world.now();
  // The getter's requests at the dead one are with the other within 10 s: the rest comes at the other's full
  // rate, and nothing is left over at the end.
  const std::uint64_t left = crowd.content->bytes - crowd.received(getter);
  ASSERT_TRUE(world.run_until([&] { return finished(world, getter, *crowd.content); }, 200s));
  EXPECT_LE(seconds(world.now() - died), static_cast<double>(left) / mib * 1.1 + 10);
  expect_right(world, getter, *crowd.content, crowd.oracle);
}

TEST(Swarming, ADeadPeerIsGoneWithinTwoMinutes) {
  Crowd crowd{28, 16 * mib, {mib, 0}, std::vector(2, with_rates(mib, 0))};
  ASSERT_TRUE(crowd.content);
  World& world = crowd.world;
  crowd.get_all();
  ASSERT_TRUE(world.run_until([&] { return all_finished(world, crowd.getters, *crowd.content); }, 120s));
  // Seeds have nothing to say to each other; one that is slow to finish stays connected to them.
  MachineConfig config = with_rates(64 * kib, 64 * kib);
  config.bootstrap = {world.endpoint(crowd.node)};
  const MachineId slow = start(world, config);
  world.get(slow, crowd.content->id, {world.endpoint(crowd.seed)});
  world.run_for(30s);
  const std::uint32_t before = world.status(slow, crowd.content->id)->peers;
  ASSERT_GE(before, 2U);
  world.kill(crowd.getters[0], Machine::Death::power);
  world.kill(crowd.getters[1], Machine::Death::power);
  EXPECT_TRUE(world.run_until([&] { return world.status(slow, crowd.content->id)->peers <= 1; }, 120s))
      << standing(world, slow, *crowd.content);
}

TEST(Swarming, UserLimitsHoldWithinTwoPercent) {
  std::vector<MachineConfig> others(3, with_rates(0, 0));
  others[0].down_limit = 400 * kib;
  Crowd crowd{29, 64 * mib, {0, 0}, others};
  ASSERT_TRUE(crowd.content);
  World& world = crowd.world;
  const MachineId limited = crowd.getters[0];
  world.get(limited, crowd.content->id, {world.endpoint(crowd.seed)});
  world.run_for(10s);
  const auto bytes = [&] {
    const Traffic& traffic = world.network().traffic(limited);
    return traffic.stream_bytes_in + traffic.datagram_bytes_in;
  };
  const std::uint64_t before = bytes();
  world.run_for(20s);
  const double rate = static_cast<double>(bytes() - before) / 20;
  EXPECT_NEAR(rate / (400.0 * kib), 1, 0.02);
}

TEST(Swarming, NothingFalseIsServedWhileTheSwarmFills) {
  Crowd crowd{30, 4 * mib, {mib, 0}, std::vector(6, with_rates(mib, 0))};
  ASSERT_TRUE(crowd.content);
  World& world = crowd.world;
  std::vector<Oracle::Watch> watches(crowd.getters.size());
  for (std::size_t i = 0; i < crowd.getters.size(); ++i)
    crowd.oracle.watch(world.machine(crowd.getters[i]), watches[i]);
  crowd.get_all();
  ASSERT_TRUE(world.run_until([&] { return all_finished(world, crowd.getters, *crowd.content); }, 120s));
  std::uint64_t reads = 0;
  for (const Oracle::Watch& watch : watches) {
    EXPECT_EQ(watch.wrong, 0U);
    reads += watch.reads;
  }
  EXPECT_GT(reads, 100U);
}

// Deaths and restarts in the middle of a swarm are as reproducible as everything else.
TEST(Swarming, TheSameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t number) {
    MachineConfig config = with_rates(mib, 0);
    config.crash_model = CrashModel::on;
    Crowd crowd{number, 8 * mib, {mib, 0}, std::vector(6, config)};
    World& world = crowd.world;
    world.network().datagrams() = {.loss = 0.05, .duplicate = 0.05, .late = 0.1};
    crowd.get_all();
    for (const std::size_t victim : {2U, 4U}) {
      world.run_for(4s);
      world.kill(crowd.getters[victim], victim == 2 ? Machine::Death::power : Machine::Death::process);
      world.run_for(1s);
      EXPECT_TRUE(world.start(crowd.getters[victim]).has_value());
      world.get(crowd.getters[victim], crowd.content->id, {world.endpoint(crowd.seed)});
    }
    EXPECT_TRUE(world.run_until([&] { return all_finished(world, crowd.getters, *crowd.content); }, 180s));
    for (const MachineId getter : crowd.getters) expect_right(world, getter, *crowd.content, crowd.oracle);
    return std::pair{world.digest(), world.elapsed()};
  };
  const auto first = run(31);
  EXPECT_EQ(first, run(31));
  EXPECT_NE(first.first, run(32).first);
}

}  // namespace
}  // namespace shoal::sim
