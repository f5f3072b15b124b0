// Scenarios of corners that worlds by lot (tests/worlds) led into: each stood still for ever once.
#include <utility>

#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

// The piece layer of such a content lies where hashes of blocks lie in others.
TEST(Corners, PiecesOfOneBlockAreFetchedAndResumed) {
  World world{71};
  const MachineId sharer = start(world, {.host = {.rates = {64 * kib, 0}}});
  const MachineId getter = start(world, {.crash_model = CrashModel::on});
  const Oracle oracle = Oracle::single("thin", 40 * 16 * kib - 1, 1);
  ASSERT_TRUE(oracle.plant(world.machine(sharer)));
  const auto shared = world.share(sharer, "/data/thin", 16 * kib);
  ASSERT_TRUE(shared);
  const storage::ContentPtr content = *shared;
  ASSERT_EQ(content->pieces, 40U);
  const auto get = [&] { world.get(getter, content->id, {world.endpoint(sharer)}); };
  get();
  const auto begun = [&] { return oracle.committed(world.machine(getter), *content) > 0; };
  ASSERT_TRUE(world.run_until(begun, 60s)) << standing(world, getter, *content);
  world.run_for(700ms);  // pieces are written and not committed
  world.kill(getter, Machine::Death::process);
  ASSERT_TRUE(world.start(getter));
  get();
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, oracle);
}

// A lone seed shows pieces a few at a time to whoever takes them; this one takes none of most.
TEST(Corners, OneFileOfALoneSeedsContent) {
  World world{72};
  std::vector<SyntheticFile> files;
  for (std::uint64_t i = 0; i < 30; ++i) files.push_back({"f" + std::to_string(i), 50'000, i});
  const Oracle oracle{"many", files};
  const MachineId sharer = start(world), getter = start(world);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.get(getter, content->id, {world.endpoint(sharer)}, {swarm::SeedUntil::forever, 0}, {"f17"});
  const auto got = [&] { return world.told(getter, content->id, What::complete).has_value(); };
  EXPECT_TRUE(world.run_until(got, 60s)) << standing(world, getter, *content);
}

// What was altered, noticed and put right counts again when the share is opened again.
TEST(Corners, AShareThatWasPutRightIsServedAgain) {
  World world{73};
  const MachineId sharer = start(world), getter = start(world);
  const Oracle oracle = Oracle::single("doc", 300'000, 1);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.run_for(1s);
  Machine& machine = world.machine(sharer);
  auto folder = machine.vfs().open_folder(data_folder, storage::Vfs::Missing::error);
  ASSERT_TRUE(folder);
  auto file = (*folder)->open("doc", storage::OpenMode::write);
  ASSERT_TRUE(file);
  machine.disk().set_wall(unix_ms(world.wall()) * 1'000'000);
  ASSERT_TRUE((*file)->write_at(1000, Bytes(200'000, 0xab)));
  world.get(getter, content->id, {world.endpoint(sharer)});
  const auto noticed = [&] { return world.told(sharer, content->id, What::file_changed).has_value(); };
  ASSERT_TRUE(world.run_until(noticed, 60s));
  world.run_for(5s);
  EXPECT_TRUE(world.stop(sharer));
  ASSERT_TRUE(oracle.mend(machine));
  ASSERT_TRUE(world.start(sharer));
  world.get(sharer, content->id, {});
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
      << standing(world, getter, *content) << "; " << standing(world, sharer, *content);
  expect_right(world, getter, *content, oracle);
}

// A node, a sharer at home that is not there yet, and its content.
struct LateSharer {
  World world;
  std::vector<Endpoint> bootstrap{world.endpoint(start_node(world))};
  MachineId sharer = start(world, home());
  Oracle oracle = Oracle::single("late", 300'000, 1);
  storage::ContentPtr content = share(world, sharer, oracle);

  explicit LateSharer(std::uint64_t seed) : world{seed} { EXPECT_TRUE(world.stop(sharer)); }
  MachineConfig home() {
    return {.host = {.site = world.network().topology().add_site()}, .bootstrap = bootstrap};
  }
  void come() {
    ASSERT_TRUE(world.start(sharer));
    world.get(sharer, content->id, {});
  }
};

// Two met when neither knew the metadata. One learns it; the other can learn it from that one alone.
TEST(Corners, MetadataReachesWhoMetBeforeAnybodyHadIt) {
  LateSharer late{74};
  World& world = late.world;
  const MachineId open = start(world, {.bootstrap = late.bootstrap}), hidden = start(world, late.home());
  for (const MachineId getter : {open, hidden}) world.get(getter, late.content->id, {});
  const auto met = [&] { return world.status(hidden, late.content->id)->peers == 1; };
  ASSERT_TRUE(world.run_until(met, 120s));
  late.come();
  EXPECT_TRUE(world.run_until([&] { return all_finished(world, {open, hidden}, *late.content); }, 180s))
      << standing(world, open, *late.content) << "; " << standing(world, hidden, *late.content);
}

// A cable was out and a disk slow for so long that a lone seed is asked again for what waits with it. Was
// that refused, it did not seem to have the piece, for ever.
TEST(Corners, WhoIsAskedAgainForWhatWaitsDoesNotSeemToLackIt) {
  World world{76};
  const SiteId home = world.network().topology().add_site();
  const MachineId sharer = start(world, {.host = {.site = home, .rates = {40 * kib, 0}}});
  const MachineId getter = start(world, {.host = {.site = home}});
  const Oracle oracle = Oracle::single("slow", 400 * kib, 1);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.get(getter, content->id, {world.endpoint(sharer)});
  const auto begun = [&] {
    const auto status = world.status(getter, content->id);
    return status && status->received > 64 * kib;
  };
  ASSERT_TRUE(world.run_until(begun, 60s)) << standing(world, getter, *content);
  Duration& access = world.machine(sharer).config().timing.access;
  const Duration usual = std::exchange(access, 15s);
  world.network().set_plugged(getter, false);
  world.run_for(15s);
  world.network().set_plugged(getter, true);
  world.run_for(3s);
  access = usual;
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
      << standing(world, getter, *content) << "; " << standing(world, sharer, *content);
  expect_right(world, getter, *content, oracle);
}

// The sharer dials and greets while the getter's disk still looks for what it has of the content.
TEST(Corners, AGreetingThatComesBeforeTheCatalogIsReadCounts) {
  LateSharer late{75};
  World& world = late.world;
  const MachineId getter = start(world, {.bootstrap = late.bootstrap});
  world.get(getter, late.content->id, {});
  world.run_for(20s);  // its record is out
  world.command(getter, swarm::CloseContent{late.content->id});
  world.run_for(1s);
  world.machine(getter).config().timing.access = 30s;
  world.get(getter, late.content->id, {});
  world.machine(getter).config().timing.access = 100us;
  late.come();
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *late.content); }, 60s))
      << standing(world, getter, *late.content);
}

// A lone seed shows its first pieces while the getter's disk is still slow to take the content up.
TEST(Corners, WhatIsShownWhileADiskIsSlowToTakeTheContentUpCounts) {
  World world{77};
  const MachineId sharer = start(world), getter = start(world);
  const Oracle oracle = Oracle::single("early", 3'000'000, 1);
  const auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.machine(getter).config().timing.access = 8s;
  world.get(getter, content->id, {world.endpoint(sharer)});
  const auto known = [&] { return world.told(getter, content->id, What::metadata).has_value(); };
  ASSERT_TRUE(world.run_until(known, 60s)) << standing(world, getter, *content);
  world.machine(getter).config().timing.access = 100us;
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 30s))
      << standing(world, getter, *content) << "; " << standing(world, sharer, *content);
}

// Two seeds of one content that dial each other again and again leave no dial for another content.
TEST(Corners, SeedsOfOneContentDoNotKeepAnotherFromDialling) {
  World world{76};
  const std::vector<Endpoint> bootstrap{world.endpoint(start_node(world))};
  const MachineId open = start(world, {.bootstrap = bootstrap});
  const MachineId hidden =
      start(world, {.host = {.site = world.network().topology().add_site()}, .bootstrap = bootstrap});
  const Oracle first = Oracle::single("first", 100'000, 1), second = Oracle::single("second", 100'000, 2);
  const auto one = share(world, hidden, first);
  const auto two = share(world, open, second);
  ASSERT_TRUE(one && two);
  world.get(open, one->id, {});
  ASSERT_TRUE(world.run_until([&] { return finished(world, open, *one); }, 120s));
  world.run_for(5min);
  world.get(hidden, two->id, {});
  EXPECT_TRUE(world.run_until([&] { return finished(world, hidden, *two); }, 30s))
      << standing(world, hidden, *two);
}

}  // namespace
}  // namespace shoal::sim
