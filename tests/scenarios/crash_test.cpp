// Scenarios of killed processes and failing disks: nothing lost beyond a commit window, nothing false ever.
// Power cuts: power_cut_test.cpp; every call in turn: nth_call_test.cpp.
#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

// A seed and a getter that gets from it over a link of a known rate.
struct Pair {
  World world;
  MachineId seed, getter;
  Oracle oracle;
  storage::ContentPtr content;

  Pair(std::uint64_t number, Oracle files, std::uint64_t rate, CrashModel model,
       std::uint64_t capacity = 1ULL << 50)
      : world{number},
        seed{start(world, {.host = {.rates = {rate, 0}}})},
        getter{start(world, {.crash_model = model, .capacity = capacity})},
        oracle{std::move(files)},
        content{share(world, seed, oracle)} {}

  void get() { world.get(getter, content->id, {world.endpoint(seed)}); }
  bool finish(Duration limit) {
    return world.run_until([&] { return finished(world, getter, *content); }, limit);
  }
};

Oracle small_files() {
  return {"set", {{"a", 150'000, 1}, {"b/c", 90'000, 2}, {"b/d", 40'000, 3}, {"e", 0, 4}}};
}

// Killed again and again in the middle: what was committed stays, at most the last window comes twice.
TEST(Kill, AResumeFetchesAtMostACommitWindowAgain) {
  for (const auto death : {Machine::Death::process, Machine::Death::power}) {
    constexpr std::uint64_t rate = mib, bytes = 24 * mib;
    Pair pair{41, Oracle::single("large", bytes, 5), rate, CrashModel::on};
    ASSERT_TRUE(pair.content);
    std::uint64_t received = 0;
    int deaths = 0;
    pair.get();
    while (!pair.finish(Duration{5'300'000})) {
      ASSERT_LT(deaths, 12) << standing(pair.world, pair.getter, *pair.content);
      received += pair.world.status(pair.getter, pair.content->id)->received;
      const std::uint32_t had = pair.oracle.committed(pair.world.machine(pair.getter), *pair.content);
      pair.world.kill(pair.getter, death);
      ++deaths;
      pair.world.run_for(2s);
      ASSERT_TRUE(pair.world.start(pair.getter).has_value());
      ASSERT_GE(pair.oracle.committed(pair.world.machine(pair.getter), *pair.content), had)
          << "a committed piece is lost";
      const auto wrong = pair.oracle.false_bits(pair.world.machine(pair.getter), *pair.content);
      ASSERT_TRUE(wrong.empty()) << wrong.front();
      pair.get();
    }
    received += pair.world.status(pair.getter, pair.content->id)->received;
    EXPECT_GE(deaths, 2);
    // The window is 2 s; what was on its way and pieces begun come on top.
    const auto window = static_cast<std::uint64_t>(2.5 * rate) + mib;
    EXPECT_LE(received, bytes + static_cast<std::uint64_t>(deaths) * window);
    expect_right(pair.world, pair.getter, *pair.content, pair.oracle);
  }
}

TEST(Kill, AFinishedGetStaysFinishedAndSeedsAgain) {
  Pair pair{42, small_files(), 0, CrashModel::on};
  pair.get();
  ASSERT_TRUE(pair.finish(60s));
  pair.world.run_for(5s);
  pair.world.kill(pair.getter, Machine::Death::power);
  pair.world.run_for(1s);
  ASSERT_TRUE(pair.world.start(pair.getter).has_value());
  const std::uint64_t before = pair.world.network().traffic(pair.getter).stream_bytes_in;
  pair.get();
  ASSERT_TRUE(pair.finish(60s));
  EXPECT_LT(pair.world.network().traffic(pair.getter).stream_bytes_in - before, 100 * kib);
  const MachineId third = start(pair.world);
  pair.world.kill(pair.seed, Machine::Death::power);
  pair.world.get(third, pair.content->id, {pair.world.endpoint(pair.getter)});
  EXPECT_TRUE(pair.world.run_until([&] { return finished(pair.world, third, *pair.content); }, 60s))
      << standing(pair.world, third, *pair.content);
  expect_right(pair.world, third, *pair.content, pair.oracle);
}

TEST(Disk, AFullDiskPausesAndGoesOnByItself) {
  Pair pair{43, Oracle::single("big", 8 * mib, 6), 0, CrashModel::off};
  DiskImage& disk = pair.world.machine(pair.getter).disk();
  pair.get();
  ASSERT_TRUE(pair.world.run_until(
      [&] { return pair.world.told(pair.getter, pair.content->id, What::attached).has_value(); }, 30s,
      Duration{1000}));
  disk.set_capacity(disk.used() + 3 * mib);
  EXPECT_TRUE(pair.world.run_until(
      [&] { return pair.world.told(pair.getter, pair.content->id, What::paused_no_space).has_value(); }, 60s))
      << standing(pair.world, pair.getter, *pair.content);
  pair.world.run_for(60s);
  EXPECT_FALSE(finished(pair.world, pair.getter, *pair.content));
  disk.set_capacity(1ULL << 40);
  EXPECT_TRUE(pair.finish(120s)) << standing(pair.world, pair.getter, *pair.content);
  EXPECT_TRUE(pair.world.told(pair.getter, pair.content->id, What::resumed));
  expect_right(pair.world, pair.getter, *pair.content, pair.oracle);
}

TEST(Disk, AFaultForGoodIsNamed) {
  for (const DiskCall call : {DiskCall::write, DiskCall::sync}) {
    Pair pair{45, small_files(), 0, CrashModel::on};
    Machine& machine = pair.world.machine(pair.getter);
    pair.get();
    ASSERT_TRUE(pair.world.run_until(
        [&] { return pair.world.told(pair.getter, pair.content->id, What::attached).has_value(); }, 30s,
        Duration{1000}));
    machine.disk().order({call, 1, {Code::io, "ordered fault", 5}, Fault::Lasting::for_good});
    EXPECT_TRUE(pair.world.run_until(
        [&] { return pair.world.told(pair.getter, pair.content->id, What::failed).has_value(); }, 5min))
        << standing(pair.world, pair.getter, *pair.content);
    machine.disk().clear_faults();
    pair.world.run_for(5s);
    pair.get();
    EXPECT_TRUE(pair.finish(90s)) << standing(pair.world, pair.getter, *pair.content);
    expect_right(pair.world, pair.getter, *pair.content, pair.oracle);
  }
}

// A user edits a shared file: not one byte of it is served before it is hashed again, and nothing false then.
TEST(Disk, AChangedFileIsNotServed) {
  Pair pair{46, Oracle::single("doc", 2 * mib, 7), 256 * kib, CrashModel::off};
  pair.get();
  pair.world.run_for(3s);
  Machine& machine = pair.world.machine(pair.seed);
  auto folder = machine.vfs().open_folder(data_folder, storage::Vfs::Missing::error);
  ASSERT_TRUE(folder);
  auto file = (*folder)->open("doc", storage::OpenMode::write);
  ASSERT_TRUE(file);
  machine.disk().set_wall(unix_ms(pair.world.wall()) * 1'000'000);
  ASSERT_TRUE((*file)->write_at(mib, Bytes(700'000, 0xab)));
  pair.world.run_for(60s);
  EXPECT_TRUE(pair.world.told(pair.seed, pair.content->id, What::file_changed));
  EXPECT_FALSE(finished(pair.world, pair.getter, *pair.content));
  EXPECT_EQ(pair.world.count(pair.getter, pair.content->id, What::peer_banned), 0U)
      << "it served what was edited";
  const auto wrong = pair.oracle.false_bits(pair.world.machine(pair.getter), *pair.content);
  EXPECT_TRUE(wrong.empty()) << wrong.front();
}

}  // namespace
}  // namespace shoal::sim
