// Micro-benchmarks of the DHT's leaves, and of a whole node in-process: how many queries it answers.
#include <benchmark/benchmark.h>

#include "dht/lookup.hpp"
#include "dht/routing_table.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::at_second;
using test::Dialect;
using test::LittleWorld;
using test::public_host;

constexpr std::size_t questions = 1024;  // different ones, in turn

// A table as a node of a large network has it.
RoutingTable full_table(Random& random) {
  RoutingTable table{Key{random.bytes<32>()}};
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    Contact contact;
    contact.id = Key{random.bytes<32>()};
    contact.endpoint = {public_host(i, 1), 4000};
    contact.answered = contact.proven = at_second(0).mono;
    static_cast<void>(table.admit(contact, at_second(0).mono));
  }
  return table;
}

std::vector<Key> targets(Random& random) {
  std::vector<Key> out;
  for (std::size_t i = 0; i < questions; ++i) out.emplace_back(random.bytes<32>());
  return out;
}

void table_closest(benchmark::State& state) {
  Random random{{}};
  const RoutingTable table = full_table(random);
  const std::vector<Key> wanted = targets(random);
  std::vector<const Contact*> out;
  std::size_t i = 0;
  for (auto _ : state) {
    out.clear();
    table.closest(wanted[i++ % questions], 8, RoutingTable::Choice::fit, at_second(1).mono, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(table_closest);

void table_heard(benchmark::State& state) {
  Random random{{}};
  RoutingTable table = full_table(random);
  std::vector<std::pair<Endpoint, Key>> known;
  table.for_each([&](const Contact& contact) { known.emplace_back(contact.endpoint, contact.id); });
  std::size_t i = 0;
  for (auto _ : state) {
    const auto& [endpoint, id] = known[i++ % known.size()];
    benchmark::DoNotOptimize(table.heard(endpoint, id, at_second(2), 50ms));
  }
}
BENCHMARK(table_heard);

// ---- codecs

std::unique_ptr<Codec> codec_of(Dialect dialect) {
  if (dialect == Dialect::native) return std::make_unique<NativeCodec>();
  return std::make_unique<KrpcCodec>();
}

Query find(const Key& target, const Key& sender) {
  Query query;
  query.transaction = TransactionId::from(0x0102'0304'0506'0708ULL);
  query.sender = sender;
  query.body = FindQuery{target};
  return query;
}

void codec_round_trip(benchmark::State& state, Dialect dialect) {
  Random random{{}};
  const auto codec = codec_of(dialect);
  const Key target{random.bytes<32>()}, sender{random.bytes<32>()};
  Bytes bytes;
  for (auto _ : state) {
    codec->encode(find(target, sender), bytes);
    auto message = codec->decode(bytes);
    benchmark::DoNotOptimize(message);
  }
}
BENCHMARK_CAPTURE(codec_round_trip, native, Dialect::native);
BENCHMARK_CAPTURE(codec_round_trip, mainline, Dialect::mainline);

// ---- a node

// Of a network of 200; strangers on a local network ask it, so that no budget of theirs ends.
void node_answers(benchmark::State& state, Dialect dialect) {
  LittleWorld world{1, dialect};
  for (std::uint32_t i = 0; i < 200; ++i) world.add({IpAddress::v4((10U << 24) + i + 1), 4000}, Scope::local);
  for (std::size_t i = 1; i < world.size(); ++i) world.bootstrap(i, {world.at(0).at});
  world.run(120s);
  Random random{{}};
  const auto codec = codec_of(dialect);
  const Key sender{random.bytes<32>()};
  std::vector<Bytes> asked;
  for (const Key& target : targets(random)) codec->encode(find(target, sender), asked.emplace_back());
  Node& node = world.node(0);
  Now now = world.now();
  NodeOutput out;
  std::uint64_t answers = 0;
  std::uint32_t i = 0;
  for (auto _ : state) {
    node.handle(now, {IpAddress::v4((10U << 24) + (1U << 16) + i % 5000), 4000}, asked[i % questions], out);
    answers += out.datagrams.size();
    out.datagrams.clear();
    out.events.clear();
    ++i;
  }
  if (answers < i) state.SkipWithError("not every query was answered");
  state.SetItemsProcessed(static_cast<std::int64_t>(answers));
}
BENCHMARK_CAPTURE(node_answers, native, Dialect::native);
BENCHMARK_CAPTURE(node_answers, mainline, Dialect::mainline);

// A look-up from the first to the last answer, all nodes in memory.
void lookup(benchmark::State& state) {
  LittleWorld world{2};
  for (std::uint32_t i = 0; i < 200; ++i) world.add_public(i);
  for (std::size_t i = 1; i < world.size(); ++i) world.bootstrap(i, {world.at(0).at});
  world.run(120s);
  Random random{{}};
  for (auto _ : state) {
    const Key target{random.bytes<32>()};
    const std::size_t who = static_cast<std::size_t>(random.below(world.size()));
    benchmark::DoNotOptimize(world.wait<SearchDone>(who, world.find(who, target), 30s));
    world.at(who).events.clear();
  }
}
BENCHMARK(lookup)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace shoal::dht
