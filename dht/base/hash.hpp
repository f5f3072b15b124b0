// SHA-1 and SHA-256: one message at a time (OpenSSL), or SHA-256 of many at once (ipsec-mb's multi-buffer
// jobs where the processor has them, OpenSSL elsewhere). Both paths give the same bytes and are tested
// against each other. SHA-1 of many long messages at once: sha1_lanes.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "dht/base/bytes.hpp"

namespace shoal {

using Sha1 = ByteArray<20>;
using Sha256 = ByteArray<32>;

[[nodiscard]] Sha1 sha1(ByteView message);
[[nodiscard]] Sha256 sha256(ByteView message);
[[nodiscard]] Sha256 sha256_pair(const Sha256& left, const Sha256& right);  // of the 64 bytes left || right

// XXH3: tells whether two runs of bytes are the same where nobody has an interest that they seem to be; ten
// times as fast as SHA-256.
[[nodiscard]] std::uint64_t checksum(ByteView bytes);

// Incremental SHA-1.
class Sha1Stream {
 public:
  Sha1Stream();
  ~Sha1Stream();
  Sha1Stream(Sha1Stream&&) noexcept;
  Sha1Stream& operator=(Sha1Stream&&) noexcept;
  void update(ByteView bytes);
  [[nodiscard]] Sha1 finish();  // and starts anew

 private:
  void* context_;
};

// `best`: what is fastest here for the messages at hand. `portable`: OpenSSL alone. `multi_buffer`: many
// messages side by side even where that is slower, as far as the processor can, so that tests and benchmarks
// reach it.
enum class HashPath : std::uint8_t { best, portable, multi_buffer };

// SHA-256 of many independent messages at once. One object a thread; not thread safe.
class BlockHasher {
 public:
  explicit BlockHasher(HashPath path = HashPath::best);
  ~BlockHasher();
  BlockHasher(BlockHasher&&) noexcept;
  BlockHasher& operator=(BlockHasher&&) noexcept;

  // digests[i] = hash of messages[i]; the two spans have the same size. The messages may have different
  // lengths.
  void sha256(std::span<const ByteView> messages, std::span<Sha256> digests);
  [[nodiscard]] bool multi_buffer() const;
  [[nodiscard]] const char* name() const;  // which implementation works, for reports

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shoal
