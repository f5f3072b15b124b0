// Scenarios of public contents: BitTorrent's dialect between whole peers, alone and beside the native one.
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

using storage::Format;
using swarm::Obfuscation;

const Oracle folder{"folder", {{"a", 300'000, 1}, {"sub/b", 1'000'000, 2}, {"empty", 0, 3}, {"z", 17, 4}}};

storage::ContentPtr offer(World& world, MachineId id, const Oracle& oracle, Format format) {
  const auto path = oracle.plant(world.machine(id));
  if (!path) return nullptr;
  auto shared = world.share(id, *path, 0, format);
  if (!shared) ADD_FAILURE() << shared.error().error.rule;
  return shared ? *shared : nullptr;
}

// What a magnet link or a torrent file of one kind gives.
swarm::OpenContent named(const storage::ContentId& id, std::vector<Endpoint> hints) {
  swarm::OpenContent out;
  out.id = id;
  out.hints = std::move(hints);
  out.is_public = true;
  return out;
}
storage::ContentId shortened(const storage::ContentId& id) {
  return storage::id_of_v1(to_array<20>(ByteView{id}.first(20)));
}

MachineConfig bittorrent_alone(Obfuscation mse = Obfuscation::prefer) {
  return {.native = false, .mainline = true, .mse = mse};
}
constexpr MachineConfig both{.native = true, .mainline = true};

// BEP 27, in an info dictionary made here, whose last key is "pieces".
Bytes with_private_flag(const Bytes& info) {
  Bytes out{info.begin(), info.end() - 1};
  append(out, as_bytes("7:privatei1ee"));
  return out;
}
bool met(World& world, MachineId id) {
  for (const swarm::ContentStatus& status : world.machine(id).session().contents({world.now(), world.wall()}))
    if (status.peers > 0 || status.candidates > 0) return true;
  return false;
}

class PublicContent : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Formats, PublicContent, testing::Values(Format::v1, Format::hybrid),
                         [](const auto& each) { return each.param == Format::v1 ? "v1" : "hybrid"; });

TEST_P(PublicContent, GoesFromOneToTheOtherInBitTorrentsDialectAlone) {
  World world{1};
  const MachineId sharer = start(world, bittorrent_alone()), getter = start(world, bittorrent_alone());
  const auto content = offer(world, sharer, folder, GetParam());
  ASSERT_TRUE(content);
  world.open(getter, named(content->id, {world.endpoint(sharer)}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 30s))
      << standing(world, getter, *content);
  EXPECT_LT(world.elapsed(), 5s);
  expect_right(world, getter, *content, folder);
  EXPECT_EQ(world.status(getter, content->id)->native_peers, 0U);
  EXPECT_TRUE(world.stop(getter) && world.stop(sharer));
}

// Somebody waits who named an address: it is dialled before the DHT has said anything.
TEST_P(PublicContent, IsAskedForAtOnceWhereTheUserSaid) {
  for (const Obfuscation mse : {Obfuscation::off, Obfuscation::require}) {
    World world{6};
    const MachineId sharer = start(world, bittorrent_alone(mse));
    const auto content = offer(world, sharer, folder, GetParam());
    ASSERT_TRUE(content);
    MachineConfig known = bittorrent_alone(mse);
    known.bootstrap = {world.endpoint(sharer)};
    const MachineId getter = start(world, known);
    world.run_for(1s);
    const Instant asked = world.now();
    world.open(getter, named(content->id, {world.endpoint(sharer)}));
    EXPECT_TRUE(
        world.run_until([&] { return world.told(getter, content->id, What::metadata).has_value(); }, 30s));
    EXPECT_LT(world.now() - asked, 1s);
  }
}

// A magnet link may name a hybrid by v1's hash, or by v2's cut short.
TEST_P(PublicContent, IsTheSameUnderEachOfItsNames) {
  for (const bool of_v1 : {true, false}) {
    World world{2};
    const MachineId sharer = start(world, bittorrent_alone()), getter = start(world, bittorrent_alone());
    const auto content = offer(world, sharer, folder, GetParam());
    ASSERT_TRUE(content);
    const auto alias = of_v1 ? storage::id_of_v1(*content->v1) : shortened(content->id);
    world.open(getter, named(alias, {world.endpoint(sharer)}));
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 30s))
        << standing(world, getter, *content);
    expect_right(world, getter, *content, folder);
    // And again, by another name: it is open.
    world.open(getter, named(content->id, {}));
    world.run_for(1s);
    EXPECT_EQ(world.count(getter, content->id, What::failed), 1U);
    EXPECT_TRUE(world.stop(getter));
  }
}

TEST_P(PublicContent, IsFoundThroughMainlineNodesAlone) {
  World world{3};
  std::vector<Endpoint> nodes;
  for (int i = 0; i < 12; ++i) {
    MachineConfig config = bittorrent_alone();
    config.role = swarm::Role::bootstrap_node;
    config.bootstrap = nodes;
    const MachineId node = start(world, config);
    if (nodes.empty()) nodes.push_back(world.endpoint(node));
  }
  world.run_for(20s);
  MachineConfig member = bittorrent_alone();
  member.bootstrap = nodes;
  const MachineId sharer = start(world, member);
  const auto content = offer(world, sharer, folder, GetParam());
  ASSERT_TRUE(content);
  world.run_for(20s);
  const MachineId getter = start(world, member);
  const Instant asked = world.now();
  world.open(getter, named(storage::id_of_v1(*content->v1), {}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
      << standing(world, getter, *content);
  EXPECT_LT(world.now() - asked, 15s);
  expect_right(world, getter, *content, folder);
}

// Two shoals that meet over BitTorrent go on natively (DESIGN 7).
TEST_P(PublicContent, MovesToTheNativeChannelBetweenShoals) {
  for (const bool by_alias : {false, true}) {
    World world{4};
    const MachineId sharer = start(world, both), getter = start(world, both);
    const Oracle film = Oracle::single("film", 20 * mib, 7);
    const auto content = offer(world, sharer, film, GetParam());
    ASSERT_TRUE(content);
    world.open(getter,
               named(by_alias ? storage::id_of_v1(*content->v1) : content->id, {world.endpoint(sharer)}));
    bool native = false, bittorrent = false;
    EXPECT_TRUE(world.run_until(
        [&] {
          const auto status = world.status(getter, content->id);
          if (status && status->received > mib) {
            native = native || status->native_peers == 1;
            bittorrent = bittorrent || status->native_peers < status->peers;
          }
          return finished(world, getter, *content);
        },
        60s))
        << standing(world, getter, *content);
    expect_right(world, getter, *content, film);
    EXPECT_TRUE(native);
    EXPECT_FALSE(bittorrent);
  }
}

TEST(PublicPolicies, AllThatCanMeetDo) {
  const std::vector policies{Obfuscation::off, Obfuscation::prefer, Obfuscation::require};
  for (const Obfuscation a : policies)
    for (const Obfuscation b : policies) {
      World world{5};
      const MachineId sharer = start(world, bittorrent_alone(a)), getter = start(world, bittorrent_alone(b));
      const auto content = offer(world, sharer, folder, Format::hybrid);
      ASSERT_TRUE(content);
      world.open(getter, named(content->id, {world.endpoint(sharer)}));
      const bool can = a == b || a == Obfuscation::prefer || b == Obfuscation::prefer;
      EXPECT_EQ(world.run_until([&] { return finished(world, getter, *content); }, 10s), can)
          << static_cast<int>(a) << " " << static_cast<int>(b) << " " << standing(world, getter, *content);
    }
}

// Peers of every kind in one swarm, all of whom pass on what they have.
TEST(PublicSwarm, OfBothDialectsIsOne) {
  World world{6};
  const Oracle film = Oracle::single("film", 12 * mib, 9);
  const MachineId sharer = start(world, both);
  const auto content = offer(world, sharer, film, Format::hybrid);
  ASSERT_TRUE(content);
  std::vector<MachineId> getters;
  for (int i = 0; i < 6; ++i) {
    MachineConfig config = i % 2 == 0 ? bittorrent_alone() : both;
    getters.push_back(start(world, config));
    world.open(getters.back(), named(content->id, {world.endpoint(i < 3 ? sharer : getters[0])}));
  }
  EXPECT_TRUE(world.run_until([&] { return all_finished(world, getters, *content); }, 120s))
      << standing(world, getters.back(), *content);
  for (const MachineId getter : getters) expect_right(world, getter, *content, film);
  // Exchange of peers brought those together that were told of one each.
  EXPECT_GE(world.status(getters[5], content->id)->candidates, 2U);
}

// What one dialect may have, the other need not: a native peer that knows BitTorrent off gets it, too.
TEST(PublicSwarm, TakesInWhoSpeaksTheNativeDialectAlone) {
  World world{7};
  const MachineId sharer = start(world, both), getter = start(world);
  const auto content = offer(world, sharer, folder, Format::hybrid);
  ASSERT_TRUE(content);
  world.get(getter, content->id, {world.endpoint(sharer)});
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 30s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, folder);
}

// A sealed share says nothing in BitTorrent's dialect, whatever anybody calls it.
TEST(PublicSwarm, NeverHasASealedShareInIt) {
  World world{8};
  const MachineId sharer = start(world, both), getter = start(world, bittorrent_alone());
  const auto content = share(world, sharer, folder);
  ASSERT_TRUE(content);
  world.open(getter, named(content->id, {world.endpoint(sharer)}));
  EXPECT_FALSE(world.run_until([&] { return world.status(getter, content->id)->peers > 0; }, 60s));
}

// BEP 14: two of one network, who know nobody.
TEST(PublicSwarm, IsFoundOnTheLocalNetwork) {
  for (const bool is_private : {false, true}) {
    World world{10};
    const SiteId home = world.network().topology().add_site();
    MachineConfig config = bittorrent_alone();
    config.host = {.site = home};
    const MachineId sharer = start(world, config), getter = start(world, config);
    const auto path = folder.plant(world.machine(sharer));
    ASSERT_TRUE(path);
    const auto shared = world.share(sharer, *path, 0, Format::v1);
    ASSERT_TRUE(shared);
    swarm::OpenContent open = named((*shared)->id, {});
    if (is_private) {
      // The same with the private flag: nobody is told of it, nobody is asked.
      ASSERT_TRUE(world.stop(sharer) && world.start(sharer));
      const Bytes info = with_private_flag((*shared)->info);
      for (const MachineId id : {sharer, getter}) {
        swarm::OpenContent secret = named(storage::id_of_v1(sha1(info)), {});
        secret.info = info;
        world.open(id, std::move(secret));
      }
      EXPECT_FALSE(world.run_until([&] { return met(world, getter); }, 600s));
      continue;
    }
    world.open(getter, std::move(open));
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, **shared); }, 120s))
        << standing(world, getter, **shared);
  }
}

TEST(PublicSwarm, GoesOnAfterDeaths) {
  World world{9};
  const Oracle film = Oracle::single("film", 30 * mib, 11);
  MachineConfig config = bittorrent_alone();
  config.crash_model = CrashModel::on;
  const MachineId sharer = start(world, bittorrent_alone()), getter = start(world, config);
  const auto content = offer(world, sharer, film, Format::hybrid);
  ASSERT_TRUE(content);
  const auto begin = [&] { world.open(getter, named(content->id, {world.endpoint(sharer)})); };
  begin();
  for (std::uint64_t part = 1; part <= 3; ++part) {
    ASSERT_TRUE(world.run_until(
        [&] {
          const auto status = world.status(getter, content->id);
          return status && status->bytes_committed > part * content->bytes / 5;
        },
        120s));
    world.kill(getter, Machine::Death::power);
    ASSERT_TRUE(world.start(getter));
    begin();
  }
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, film);
}

// Pieces that lay on the disk unfinished can be judged by blocks only where somebody tells their hashes; met
// by v1's name nobody does.
TEST(PublicSwarm, GoesOnFromUnfinishedPieces) {
  World world{11};
  const Oracle film = Oracle::single("film", 60 * mib, 12);
  const MachineId sharer = start(world, bittorrent_alone()), getter = start(world, bittorrent_alone());
  const auto content = offer(world, sharer, film, Format::hybrid);
  ASSERT_TRUE(content);
  const auto begin = [&] { world.open(getter, named(content->id, {world.endpoint(sharer)})); };
  begin();
  for (int kills = 0; kills < 12; ++kills) {
    ASSERT_TRUE(world.run_until([&] { return world.status(getter, content->id)->received > 0; }, 60s));
    world.run_for(100ms + kills * 37ms);
    world.kill(getter, Machine::Death::process);
    ASSERT_TRUE(world.start(getter));
    begin();
  }
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, film);
}

}  // namespace
}  // namespace shoal::sim
