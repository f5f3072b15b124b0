// Scenarios of contents at rest: whole, held by no swarm until somebody asks, and at rest again afterwards.
#include "swarm/limits.hpp"
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

using Phase = swarm::ContentStatus::Phase;
using storage::Format;

const Oracle folder{"folder", {{"a", 300'000, 1}, {"sub/b", 1'000'000, 2}, {"empty", 0, 3}, {"z", 17, 4}}};

// `share --each`: what was stored before is opened at rest.
storage::ContentPtr lay_down(World& world, MachineId id, const Oracle& oracle, Format format = Format::v2) {
  const auto path = oracle.plant(world.machine(id));
  if (!path) return nullptr;
  auto shared = world.machine(id).import({*path}, {}, world.wall(), 0, format);
  if (!shared) {
    ADD_FAILURE() << shared.error().error.rule;
    return nullptr;
  }
  const storage::Content& content = *shared->content;
  swarm::OpenContent open;
  open.id = content.id;
  open.v1 = content.v1;
  open.seed = {swarm::SeedUntil::forever, 0};
  open.is_public = !content.sealed;
  open.rest = swarm::OpenContent::Rest{content.v2, 0};
  world.command(id, std::move(open));
  return shared->content;
}

bool at_rest(World& world, MachineId id, const storage::Content& content) {
  const auto status = world.status(id, content.id);
  return status && status->phase == Phase::resting;
}

swarm::OpenContent wanted(const storage::Content& content, std::vector<Endpoint> hints) {
  swarm::OpenContent out;
  out.id = content.id;
  out.hints = std::move(hints);
  out.is_public = !content.sealed;
  return out;
}

MachineConfig speaking(Format format, std::vector<Endpoint> bootstrap = {},
                       swarm::Role role = swarm::Role::member) {
  return {.role = role,
          .bootstrap = std::move(bootstrap),
          .native = format == Format::v2,
          .mainline = format != Format::v2};
}

class AtRest : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Formats, AtRest, testing::Values(Format::v1, Format::v2, Format::hybrid),
                         [](const auto& each) {
                           return each.param == Format::v1   ? "v1"
                                  : each.param == Format::v2 ? "v2"
                                                             : "hybrid";
                         });

// Twice in a row by different getters; the sharer's user hears of it once.
TEST_P(AtRest, IsGivenToWhoeverAsksAndRestsAgain) {
  World world{1};
  const MachineId sharer = start(world, speaking(GetParam()));
  const auto content = lay_down(world, sharer, folder, GetParam());
  ASSERT_TRUE(content);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(at_rest(world, sharer, *content));
    const MachineId getter = start(world, speaking(GetParam()));
    const Instant asked = world.now();
    world.open(getter, wanted(*content, {world.endpoint(sharer)}));
    EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 30s))
        << standing(world, getter, *content);
    EXPECT_LT(world.now() - asked, 5s);
    expect_right(world, getter, *content, folder);
    EXPECT_EQ(world.status(sharer, content->id)->phase, Phase::seeding);
    EXPECT_TRUE(world.stop(getter));
    const Instant left = world.now();
    EXPECT_TRUE(world.run_until([&] { return at_rest(world, sharer, *content); }, 5min));
    EXPECT_GE(world.now() - left, 55s);
  }
  EXPECT_EQ(world.count(sharer, content->id, What::announced), 1U);
  for (const What what : {What::metadata, What::attached, What::complete, What::failed, What::closed})
    EXPECT_EQ(world.count(sharer, content->id, what), 0U) << static_cast<int>(what);
  EXPECT_TRUE(world.stop(sharer));
  EXPECT_EQ(world.count(sharer, content->id, What::closed), 1U);
}

TEST_P(AtRest, IsFoundThroughNodesAlone) {
  World world{2};
  std::vector<Endpoint> nodes;
  for (int i = 0; i < 12; ++i) {
    const MachineId node = start(world, speaking(GetParam(), nodes, swarm::Role::bootstrap_node));
    if (nodes.empty()) nodes.push_back(world.endpoint(node));
  }
  world.run_for(20s);
  const MachineConfig member = speaking(GetParam(), nodes);
  const MachineId sharer = start(world, member);
  const auto content = lay_down(world, sharer, folder, GetParam());
  ASSERT_TRUE(content);
  world.run_for(30s);
  EXPECT_TRUE(at_rest(world, sharer, *content));
  EXPECT_GT(*world.machine(sharer).catalog().sequence(content->id), 0U);
  const MachineId getter = start(world, member);
  world.open(getter, wanted(*content, {}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 60s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, folder);
  // It is found for as long as it is shared: an hour later by what was announced meanwhile.
  EXPECT_TRUE(world.stop(getter));
  world.run_for(70min);
  EXPECT_TRUE(at_rest(world, sharer, *content));
  const MachineId late = start(world, member);
  world.open(late, wanted(*content, {}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, late, *content); }, 60s))
      << standing(world, late, *content);
}

// The sharer is behind a NAT and must find the getter itself, though it rests.
// Nobody has told the getter where to look, and it came long after the sharer had called.
TEST_P(AtRest, IsFoundOnTheLocalNetwork) {
  World world{11};
  const SiteId home = world.network().topology().add_site();
  MachineConfig config = speaking(GetParam());
  config.host = {.site = home};
  const MachineId sharer = start(world, config);
  const auto content = lay_down(world, sharer, folder, GetParam());
  ASSERT_TRUE(content);
  world.run_for(40s);
  const MachineId getter = start(world, config);
  world.open(getter, wanted(*content, {}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 10s))
      << standing(world, getter, *content);
}

TEST_P(AtRest, LooksForThoseWhoCannotDialIt) {
  World world{3};
  const MachineId node = start(world, speaking(GetParam(), {}, swarm::Role::bootstrap_node));
  world.run_for(1s);
  const MachineConfig member = speaking(GetParam(), {world.endpoint(node)});
  MachineConfig hidden = member;
  hidden.host.site = world.network().topology().add_site();
  const MachineId sharer = start(world, hidden);
  const auto content = lay_down(world, sharer, folder, GetParam());
  ASSERT_TRUE(content);
  world.run_for(20s);
  EXPECT_TRUE(at_rest(world, sharer, *content));
  const MachineId getter = start(world, member);
  world.open(getter, wanted(*content, {}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 120s))
      << standing(world, getter, *content);
  expect_right(world, getter, *content, folder);
  EXPECT_EQ(world.network().traffic(sharer).accepted, 0U);
  // Who is gone is found for a while, and dialled in vain; that keeps nothing awake for long.
  world.kill(getter, Machine::Death::power);
  EXPECT_TRUE(world.run_until([&] { return at_rest(world, sharer, *content); }, 10min));
}

// The getter dies in the middle. That it was connected once makes it worth dialling again and again; not
// awake.
TEST_P(AtRest, AGetterThatDiesKeepsItFromRestForAMinute) {
  World world{9};
  const MachineId sharer = start(world, speaking(GetParam()));
  const Oracle film = Oracle::single("film", 20 * mib, 9);
  const auto content = lay_down(world, sharer, film, GetParam());
  ASSERT_TRUE(content);
  const MachineId getter = start(world, speaking(GetParam()));
  world.open(getter, wanted(*content, {world.endpoint(sharer)}));
  ASSERT_TRUE(world.run_until(
      [&] {
        const auto status = world.status(getter, content->id);
        return status && status->bytes_verified > mib;
      },
      60s, 10ms));
  ASSERT_FALSE(finished(world, getter, *content));
  world.kill(getter, Machine::Death::process);
  EXPECT_TRUE(world.run_until([&] { return at_rest(world, sharer, *content); }, 3min));
}

TEST(AtRest, ManyAreAnnouncedEachAndNoneInARush) {
  constexpr std::size_t many = 150;
  World world{4};
  std::vector<Endpoint> nodes{world.endpoint(start_node(world))};
  for (int i = 0; i < 8; ++i) start_node(world, nodes);
  world.run_for(20s);
  const MachineId sharer = start(world, {.bootstrap = nodes});
  std::vector<storage::ContentPtr> contents;
  for (std::size_t i = 0; i < many; ++i) {
    contents.push_back(lay_down(world, sharer, Oracle::single("f" + std::to_string(i), 1000 + i, i)));
    ASSERT_TRUE(contents.back());
    EXPECT_TRUE(world.told(sharer, contents.back()->id, What::announced) || i + 1 == many);
  }
  const auto published = [&] {
    return static_cast<std::size_t>(std::ranges::count_if(contents, [&](const auto& content) {
      return world.told(sharer, content->id, What::published).has_value();
    }));
  };
  world.run_for(2s);
  EXPECT_LT(published(), many / 2);
  EXPECT_TRUE(world.run_until([&] { return published() == many; }, 2min)) << published();
  for (const auto& content : contents) EXPECT_TRUE(at_rest(world, sharer, *content));
}

TEST(AtRest, WhatChangedMeanwhileIsNotGiven) {
  World world{5};
  const Oracle song = Oracle::single("song", mib, 5);
  const MachineId sharer = start(world), getter = start(world);
  const auto content = lay_down(world, sharer, song);
  ASSERT_TRUE(content);
  world.run_for(10s);
  Machine& machine = world.machine(sharer);
  auto place = machine.vfs().open_folder(data_folder, storage::Vfs::Missing::error);
  ASSERT_TRUE(place);
  auto file = (*place)->open("song", storage::OpenMode::write);
  ASSERT_TRUE(file);
  machine.disk().set_wall(unix_ms(world.wall()) * 1'000'000);
  ASSERT_TRUE((*file)->write_at(0, Bytes(mib, 0xab)));
  world.open(getter, wanted(*content, {world.endpoint(sharer)}));
  EXPECT_TRUE(
      world.run_until([&] { return world.told(sharer, content->id, What::file_changed).has_value(); }, 30s));
  world.run_for(30s);
  EXPECT_FALSE(finished(world, getter, *content));
  EXPECT_EQ(world.status(getter, content->id)->bytes_verified, 0U);
  EXPECT_EQ(world.status(getter, content->id)->banned, 0U);
  EXPECT_TRUE(world.stop(getter));
  EXPECT_TRUE(world.run_until([&] { return at_rest(world, sharer, *content); }, 3min));
}

// More than may be awake together are asked for at once: each is given in its turn.
TEST(AtRest, AwakeAreNoMoreThanTheLimit) {
  World world{10};
  // At home, where dials to one address are not counted.
  const SiteId home = world.network().topology().add_site();
  const MachineConfig at_home{.host = {.site = home}, .reach = swarm::Reach::local};
  const MachineId sharer = start(world, at_home), getter = start(world, at_home);
  const Endpoint address = world.network().topology().host(sharer).v4;
  std::vector<storage::ContentPtr> contents;
  for (std::size_t i = 0; i < swarm::limits::most_woken + 20; ++i) {
    contents.push_back(lay_down(world, sharer, Oracle::single("f" + std::to_string(i), 1000 + i, i)));
    ASSERT_TRUE(contents.back());
  }
  world.run_for(1s);
  for (const auto& content : contents) world.open(getter, wanted(*content, {address}));
  const auto awake = [&] {
    return static_cast<std::size_t>(std::ranges::count_if(
        contents, [&](const auto& content) { return !at_rest(world, sharer, *content); }));
  };
  std::size_t most = 0;
  const auto all_there = [&] {
    most = std::max(most, awake());
    return std::ranges::all_of(contents,
                               [&](const auto& content) { return finished(world, getter, *content); });
  };
  EXPECT_TRUE(world.run_until(all_there, 10min, 1s));
  EXPECT_LE(most, swarm::limits::most_woken);
  EXPECT_GT(most, swarm::limits::most_woken / 2);
}

// The user closes it while it wakes: it is gone, whatever becomes of the load.
TEST(AtRest, ClosedWhileItWakesItStaysClosed) {
  for (const bool busy : {false, true}) {
    World world{11};
    const MachineId sharer = start(world), getter = start(world);
    const auto content = lay_down(world, sharer, Oracle::single("song", 100'000, 7));
    ASSERT_TRUE(content);
    bool loads = false;
    world.machine(sharer).before_output = [&](swarm::Output& output) {
      const auto* job = std::get_if<swarm::DiskJob>(&output);
      loads = loads || (job != nullptr && std::holds_alternative<storage::LoadJob>(job->what));
    };
    world.machine(sharer).after_job = [&](const JobNote& note, storage::Done& done) {
      if (busy && note.kind == JobNote::Kind::load)
        done = std::unexpected(storage::JobFailure{{Code::busy, "ordered"}, {}, {}});
    };
    world.open(getter, wanted(*content, {world.endpoint(sharer)}));
    ASSERT_TRUE(world.run_until([&] { return loads; }, 30s, Duration{100}));
    world.command(sharer, swarm::CloseContent{content->id});
    world.run_for(10s);
    EXPECT_EQ(world.count(sharer, content->id, What::closed), 1U);
    EXPECT_EQ(world.status(sharer, content->id), std::nullopt);
    EXPECT_TRUE(world.stop(sharer));
  }
}

TEST(AtRest, WhatTheCatalogForgotFailsWhenItIsAskedForAndNothingElse) {
  World world{6};
  const MachineId sharer = start(world), getter = start(world);
  const auto gone = lay_down(world, sharer, Oracle::single("gone", 100'000, 1));
  const auto kept = lay_down(world, sharer, Oracle::single("kept", 100'000, 2));
  ASSERT_TRUE(gone && kept);
  ASSERT_TRUE(world.machine(sharer).catalog().remove(gone->id));
  for (const auto& content : {gone, kept}) world.open(getter, wanted(*content, {world.endpoint(sharer)}));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *kept); }, 30s));
  world.run_for(10s);
  EXPECT_EQ(world.count(sharer, gone->id, What::failed), 1U);
  EXPECT_EQ(world.count(sharer, gone->id, What::closed), 1U);
  EXPECT_EQ(world.status(sharer, gone->id), std::nullopt);
}

// `verify`, or another share: who asks meanwhile is turned away, and comes again.
TEST(AtRest, WhileAnotherCommandHasItItGoesOnResting) {
  World world{7};
  const Oracle song = Oracle::single("song", 100'000, 7);
  const MachineId sharer = start(world), getter = start(world);
  const auto content = lay_down(world, sharer, song);
  ASSERT_TRUE(content);
  int refused = 0;
  world.machine(sharer).after_job = [&](const JobNote& note, storage::Done& done) {
    if (note.kind != JobNote::Kind::load || refused == 2) return;
    ++refused;
    done =
        std::unexpected(storage::JobFailure{{Code::busy, "this content is open in another command"}, {}, {}});
  };
  world.open(getter, wanted(*content, {world.endpoint(sharer)}));
  EXPECT_TRUE(world.run_until([&] { return refused == 1; }, 30s));
  world.run_for(100ms);
  EXPECT_TRUE(at_rest(world, sharer, *content));
  EXPECT_TRUE(world.run_until([&] { return finished(world, getter, *content); }, 5min))
      << standing(world, getter, *content);
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(world.count(sharer, content->id, What::failed), 0U);
  expect_right(world, getter, *content, song);
}

TEST(AtRest, ClosedItIsKnownToNobody) {
  World world{8};
  const Oracle song = Oracle::single("song", 100'000, 8);
  const MachineId sharer = start(world), getter = start(world);
  const auto content = lay_down(world, sharer, song);
  ASSERT_TRUE(content);
  world.run_for(1s);
  EXPECT_FALSE(world.machine(sharer).session().dump_records().empty());
  world.command(sharer, swarm::CloseContent{content->id});
  world.run_for(1s);
  EXPECT_EQ(world.count(sharer, content->id, What::closed), 1U);
  EXPECT_EQ(world.status(sharer, content->id), std::nullopt);
  EXPECT_TRUE(world.machine(sharer).session().dump_records().empty());
  world.open(getter, wanted(*content, {world.endpoint(sharer)}));
  world.run_for(30s);
  EXPECT_EQ(world.status(getter, content->id)->peers, 0U);
  EXPECT_TRUE(world.stop(sharer));
}

}  // namespace
}  // namespace shoal::sim
