#include "dht/base/random.hpp"

#include <algorithm>

#include "dht/base/check.hpp"
#include "dht/base/crypto.hpp"

namespace shoal {

Random::Random(const Seed& seed) : key_(seed), used_(sizeof pool_), pool_{} {}

Random Random::fork(std::string_view label) {
  return Random{crypto::blake2b<32>(as_bytes(label), bytes<32>())};
}

void Random::refill() {
  ByteArray<8> nonce;
  store_be(nonce.data(), block_++);
  crypto::chacha20_stream(key_, nonce, pool_);
  used_ = 0;
}

void Random::fill(MutableBytes out) {
  while (!out.empty()) {
    if (used_ == pool_.size()) refill();
    const std::size_t n = std::min(out.size(), pool_.size() - used_);
    std::memcpy(out.data(), pool_.data() + used_, n);
    used_ += n;
    out = out.subspan(n);
  }
}

std::uint64_t Random::next() { return load_be<std::uint64_t>(bytes<8>().data()); }

std::uint64_t Random::below(std::uint64_t bound) {
  SHOAL_CHECK(bound > 0);
  // Reject the short last stretch, so that every value is equally likely.
  const std::uint64_t excess = (max() % bound + 1) % bound;
  std::uint64_t value = next();
  while (value > max() - excess) value = next();
  return value % bound;
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

}  // namespace shoal
