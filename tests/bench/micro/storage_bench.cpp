// Micro-benchmarks of hashing: trees and rows.
#include <benchmark/benchmark.h>

#include "dht/base/crypto.hpp"
#include "dht/base/hash.hpp"
#include "dht/base/random.hpp"
#include "dht/base/sha1_lanes.hpp"
#include "storage/merkle.hpp"

namespace shoal::storage {
namespace {

std::vector<Sha256> leaves(std::size_t count) {
  Random random{{}};
  std::vector<Sha256> out(count);
  for (Sha256& leaf : out) leaf = random.bytes<32>();
  return out;
}

// The root of a piece from the hashes of its blocks.
void piece_root(benchmark::State& state) {
  const auto blocks = static_cast<std::uint32_t>(state.range(0));
  const auto piece_length = blocks * block_bytes;
  const auto shape = merkle::shape_of(std::uint64_t{64} * piece_length, piece_length);
  const std::vector<Sha256> all = leaves(blocks);
  for (auto _ : state) benchmark::DoNotOptimize(merkle::piece_root(all, shape));
}
BENCHMARK(piece_root)->Arg(16)->Arg(64)->Arg(256);

void verify_proof(benchmark::State& state) {
  constexpr unsigned height = 14;
  const std::vector<Sha256> all = leaves(std::size_t{1} << height);
  const Sha256 root = merkle::root_of(all, 0, height);
  constexpr std::uint64_t first = 512, count = 64;
  const auto uncles = merkle::build_proof(all, 0, first, count, height - 6);
  const auto hashes = std::span{all}.subspan(first, count);
  for (auto _ : state)
    if (!merkle::verify_proof(root, height, 0, first, hashes, uncles))
      state.SkipWithError("the proof is right");
}
BENCHMARK(verify_proof);

void sha256_blocks(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<Bytes> blocks(count, Bytes(block_bytes, 7));
  std::vector<ByteView> views(blocks.begin(), blocks.end());
  std::vector<Sha256> out(count);
  BlockHasher hasher;
  for (auto _ : state) hasher.sha256(views, out);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * count * block_bytes));
}
BENCHMARK(sha256_blocks)->Arg(1)->Arg(16);

void sha1_lanes(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<Bytes> blocks(count, Bytes(block_bytes, 7));
  Sha1Lanes lanes;
  for (auto _ : state) {
    std::array<ByteView, Sha1Lanes::count> parts{};
    std::copy(blocks.begin(), blocks.end(), parts.begin());
    lanes.advance(parts);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * count * block_bytes));
}
BENCHMARK(sha1_lanes)->Arg(1)->Arg(8)->Arg(16);

void mark_by_checksum(benchmark::State& state) {
  const Bytes block(block_bytes, 7);
  for (auto _ : state) benchmark::DoNotOptimize(checksum(block));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * block_bytes);
}
BENCHMARK(mark_by_checksum);

}  // namespace
}  // namespace shoal::storage
