// Sha1Lanes: SHA-1 of up to sixteen long messages side by side, each given in parts. For pieces of v1, which
// are read in parts and are longer than what multi-buffer jobs take. Eight lanes at a time where the
// processor has AVX2, sixteen with AVX-512, OpenSSL one by one elsewhere and where too few lanes have
// something to do. All give the same bytes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dht/base/bytes.hpp"
#include "dht/base/hash.hpp"
#include "dht/base/sha1_parallel.hpp"

namespace shoal {

// One object a thread; not thread safe.
class Sha1Lanes {
 public:
  static constexpr std::size_t count = Sha1Columns::count;
  static constexpr std::size_t block = 64;  // bytes; SHA-1's own
  explicit Sha1Lanes(HashPath path = HashPath::best);

  // parts[i] goes on with the message of lane i. Takes whole blocks from the front of every part that has
  // one, of each the same number, until one has none left; so at least one part shrinks below `block` bytes.
  void advance(std::span<ByteView, count> parts);
  // The hash of the lane's message, which ends with `rest`: fewer than `block` bytes. The lane starts anew.
  [[nodiscard]] Sha1 finish(std::size_t lane, ByteView rest);
  // The lane starts anew.
  void forget(std::size_t lane);
  [[nodiscard]] const char* name() const;  // which implementation works, for reports

 private:
  enum class Kind : std::uint8_t { single, eight, sixteen };
  void side_by_side(std::span<ByteView, count> parts, std::size_t first, std::size_t lanes,
                    std::size_t blocks);
  void one_by_one(std::size_t lane, ByteView bytes);

  Sha1Columns columns_;
  std::array<std::uint64_t, count> taken_{};  // bytes
  Kind kind_ = Kind::single;
  std::size_t worth_ = 1;  // lanes that must have something to do
};

}  // namespace shoal
