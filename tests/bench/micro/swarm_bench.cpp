// Micro-benchmarks of the exchange's leaves: choosing blocks, and blocks through the encrypted channel.
#include <benchmark/benchmark.h>

#include "swarm/picker.hpp"
#include "tests/unit/swarm/contents.hpp"
#include "tests/unit/swarm/wire_pair.hpp"

namespace shoal::swarm {
namespace {

using test::make_peer;

constexpr std::uint32_t blocks_a_piece = 16;

// A download of so many pieces from so many peers, each with half of them: one block is chosen, comes, is
// written, and with its last block the piece is right. What is there is forgotten again, so that it never
// ends.
void pick_and_arrive(benchmark::State& state) {
  const auto pieces = static_cast<std::uint32_t>(state.range(0)),
             peers = static_cast<std::uint32_t>(state.range(1));
  const auto content = test::make_content(blocks_a_piece * storage::block_bytes,
                                          {std::uint64_t{pieces} * blocks_a_piece * storage::block_bytes});
  std::optional<PieceMap> map;
  std::optional<Picker> picker;
  Random random{{}};
  const auto begin = [&] {
    picker.reset();
    map.emplace(content, Bitfield{pieces});
    picker.emplace(*map, test::make_random(1));
    for (std::uint32_t peer = 0; peer < peers; ++peer) {
      Bitfield has{pieces};
      for (std::uint32_t piece = 0; piece < pieces; ++piece)
        if (piece % 2 == peer % 2 || random.below(8) == 0) has.set(piece);
      picker->add_peer(make_peer(peer), std::move(has));
    }
  };
  begin();
  std::vector<BlockRef> out;
  std::uint64_t blocks = 0;
  std::uint32_t peer = 0;
  for (auto _ : state) {
    out.clear();
    peer = (peer + 1) % peers;
    if (picker->pick({make_peer(peer), 4, 0, 1e6}, out) == 0) {
      state.PauseTiming();
      begin();
      state.ResumeTiming();
    }
    for (const BlockRef block : out) {
      static_cast<void>(map->arrived(block, make_peer(peer)));
      if (map->written(block, Sha256{}) == PieceMap::Progress::piece_complete) {
        map->verified(block.piece);
        map->committed(block.piece);
      }
    }
    blocks += out.size();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(blocks));
}
BENCHMARK(pick_and_arrive)->Args({1000, 50})->Args({10'000, 100})->Args({100'000, 500});

// A HAVE of each peer in turn.
void peer_has(benchmark::State& state) {
  constexpr std::uint32_t pieces = 100'000, peers = 500;
  const auto content =
      test::make_content(storage::block_bytes, {std::uint64_t{pieces} * storage::block_bytes});
  PieceMap map{content, Bitfield{pieces}};
  Picker picker{map, test::make_random(1)};
  for (std::uint32_t peer = 0; peer < peers; ++peer) picker.add_peer_empty(make_peer(peer));
  std::uint64_t i = 0;
  for (auto _ : state) {
    const auto peer = static_cast<std::uint32_t>(i % peers),
               piece = static_cast<std::uint32_t>(i / peers % pieces);
    benchmark::DoNotOptimize(picker.peer_has(make_peer(peer), (piece * 7919) % pieces));
    ++i;
  }
}
BENCHMARK(peer_has);

// From the sender's buffer to the receiver's: framed, sealed, masked; unmasked, opened.
void channel_block(benchmark::State& state) {
  test::Pair pair;
  pair.pump();
  for (auto _ : state) {
    Buffer data = pair.pool.take();
    data.extend(pair.a->block_lead());
    data.drop_front(pair.a->block_lead());
    data.extend(storage::block_bytes);
    pair.a->send(pair.now, wire::Block{1, 0, std::move(data)});
    pair.pump();
    for (wire::Message& message : pair.at_b)
      if (auto* got = std::get_if<wire::Block>(&message)) pair.pool.give(std::move(got->data));
    pair.at_b.clear();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * storage::block_bytes);
}
BENCHMARK(channel_block);

}  // namespace
}  // namespace shoal::swarm
