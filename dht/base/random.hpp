// The one source of randomness: a ChaCha20 stream from a seed. Same seed, same bytes; without the seed,
// unpredictable, so it serves transaction ids, keys and shuffles alike. The host draws the seed from the
// system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "dht/base/bytes.hpp"

namespace shoal {

class Random {
 public:
  using Seed = ByteArray<32>;
  using result_type = std::uint64_t;  // a UniformRandomBitGenerator

  explicit Random(const Seed& seed);

  // An independent stream: keyed by this one's next 32 bytes and the label.
  [[nodiscard]] Random fork(std::string_view label);

  [[nodiscard]] std::uint64_t next();
  [[nodiscard]] std::uint64_t operator()() { return next(); }
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

  [[nodiscard]] std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound); bound >= 1
  [[nodiscard]] double unit();                             // uniform in [0, 1)
  void fill(MutableBytes out);
  template <std::size_t N>
  [[nodiscard]] ByteArray<N> bytes() {
    ByteArray<N> out;
    fill(out);
    return out;
  }
  // Fisher-Yates; std::shuffle's result differs between standard libraries, this one's does not.
  template <class Range>
  void shuffle(Range& range) {
    for (std::size_t i = range.size(); i > 1; --i) {
      using std::swap;
      swap(range[i - 1], range[static_cast<std::size_t>(below(i))]);
    }
  }

 private:
  void refill();

  Seed key_;
  std::uint64_t block_ = 0;
  std::size_t used_;
  ByteArray<256> pool_;
};

}  // namespace shoal
