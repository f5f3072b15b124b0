// The compression function of SHA-1 (FIPS 180-4, 6.1.2) over several messages side by side, one to each
// 32-bit lane of a vector. For the sources that compile it for one kind of processor each; nobody else
// includes it.
//
// Own code because no packaged library has it for pieces of v1: ipsec-mb's jobs end at 64 KiB, OpenSSL works
// on one message at a time. Everything here has internal linkage: what was compiled for a newer processor
// must not be taken by the linker for the same function of another source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace shoal {
namespace {

template <std::size_t Lanes>
struct Sha1Kernel {
  typedef std::uint32_t Vector __attribute__((vector_size(4 * Lanes)));
  typedef std::uint8_t ByteVector __attribute__((vector_size(4 * Lanes)));
  using Index = std::make_index_sequence<Lanes>;

  static Vector rotate(Vector x, unsigned n) { return (x << n) | (x >> (32 - n)); }

  template <std::size_t... K>
  static Vector big_endian(ByteVector bytes, std::index_sequence<K...>) {
    return Vector(__builtin_shufflevector(bytes, bytes, static_cast<int>(K ^ 3U)...));
  }

  // One step of a transposition: exchanges the blocks of S x S off the diagonal of two rows that are S apart.
  template <std::size_t S, std::size_t... K>
  static void exchange(Vector& upper, Vector& lower, std::index_sequence<K...>) {
    const Vector a = upper, b = lower;
    upper = __builtin_shufflevector(a, b, static_cast<int>((K & S) != 0 ? Lanes + (K ^ S) : K)...);
    lower = __builtin_shufflevector(a, b, static_cast<int>((K & S) != 0 ? Lanes + K : (K ^ S))...);
  }
  template <std::size_t S>
  static void exchange_rows(Vector* rows) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < Lanes; ++i)
      if ((i & S) == 0) exchange<S>(rows[i], rows[i | S], Index{});
  }

  // words[t] = word t of the block at `offset` of every message.
  static void load(const std::uint8_t* const* messages, std::size_t offset, Vector* words) {
#pragma GCC unroll 2
    for (std::size_t part = 0; part < 16 / Lanes; ++part) {
      Vector* const rows = words + part * Lanes;
#pragma GCC unroll 16
      for (std::size_t lane = 0; lane < Lanes; ++lane) {
        ByteVector bytes;
        __builtin_memcpy(&bytes, messages[lane] + offset + part * sizeof bytes, sizeof bytes);
        rows[lane] = big_endian(bytes, std::make_index_sequence<4 * Lanes>{});
      }
      exchange_rows<1>(rows);
      exchange_rows<2>(rows);
      exchange_rows<4>(rows);
      if constexpr (Lanes == 16) exchange_rows<8>(rows);
    }
  }

  struct State {
    Vector a, b, c, d, e;
    void step(Vector f, std::uint32_t k, Vector word) {
      const Vector next = rotate(a, 5) + f + e + k + word;
      e = d;
      d = c;
      c = rotate(b, 30);
      b = a;
      a = next;
    }
  };

  // Word t of the schedule, from 16 on, in the place of word t - 16.
  static Vector extend(Vector* words, unsigned t) {
    return words[t % 16] =
               rotate(words[(t + 13) % 16] ^ words[(t + 8) % 16] ^ words[(t + 2) % 16] ^ words[t % 16], 1);
  }

  static void compress(State& state, Vector* words) {
    State s = state;
#pragma GCC unroll 16
    for (unsigned t = 0; t < 16; ++t) s.step(s.d ^ (s.b & (s.c ^ s.d)), 0x5a827999U, words[t]);
#pragma GCC unroll 4
    for (unsigned t = 16; t < 20; ++t) s.step(s.d ^ (s.b & (s.c ^ s.d)), 0x5a827999U, extend(words, t));
#pragma GCC unroll 20
    for (unsigned t = 20; t < 40; ++t) s.step(s.b ^ s.c ^ s.d, 0x6ed9eba1U, extend(words, t));
#pragma GCC unroll 20
    for (unsigned t = 40; t < 60; ++t)
      s.step((s.b & s.c) | (s.d & (s.b | s.c)), 0x8f1bbcdcU, extend(words, t));
#pragma GCC unroll 20
    for (unsigned t = 60; t < 80; ++t) s.step(s.b ^ s.c ^ s.d, 0xca62c1d6U, extend(words, t));
    state.a += s.a;
    state.b += s.b;
    state.c += s.c;
    state.d += s.d;
    state.e += s.e;
  }

  // Takes `blocks` blocks of 64 bytes of each message. `hashes`: five rows of `stride` words, a column a
  // message.
  static void run(std::uint32_t* hashes, std::size_t stride, const std::uint8_t* const* messages,
                  std::size_t blocks) {
    State state;
    Vector* const rows[] = {&state.a, &state.b, &state.c, &state.d, &state.e};
    for (std::size_t i = 0; i < 5; ++i) __builtin_memcpy(rows[i], hashes + i * stride, sizeof(Vector));
    for (std::size_t block = 0; block < blocks; ++block) {
      Vector words[16];
      load(messages, block * 64, words);
      compress(state, words);
    }
    for (std::size_t i = 0; i < 5; ++i) __builtin_memcpy(hashes + i * stride, rows[i], sizeof(Vector));
  }
};

}  // namespace
}  // namespace shoal
