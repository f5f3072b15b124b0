// SHA-1 side by side, see the header. OpenSSL's low-level context shows its state, so that a message can go
// from one way of computing to the other at any block; padding is always OpenSSL's.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dht/base/sha1_lanes.hpp"

#include <algorithm>

#include <openssl/sha.h>

#include "dht/base/check.hpp"

namespace shoal {
namespace {

constexpr std::size_t of_avx2 = 8;  // lanes

using StateWord = SHA_LONG SHA_CTX::*;
constexpr std::array<StateWord, 5> state_words{&SHA_CTX::h0, &SHA_CTX::h1, &SHA_CTX::h2, &SHA_CTX::h3,
                                               &SHA_CTX::h4};

void keep(const SHA_CTX& context, Sha1Columns& columns, std::size_t lane) {
  for (std::size_t i = 0; i < state_words.size(); ++i) columns.words[i][lane] = context.*state_words[i];
}

SHA_CTX context_of(const Sha1Columns& columns, std::size_t lane, std::uint64_t taken) {
  SHA_CTX out;
  SHA1_Init(&out);
  for (std::size_t i = 0; i < state_words.size(); ++i) out.*state_words[i] = columns.words[i][lane];
  const std::uint64_t bits = taken * 8;
  out.Nl = static_cast<SHA_LONG>(bits);
  out.Nh = static_cast<SHA_LONG>(bits >> 32);
  return out;
}

}  // namespace

// Measured on Zen 3, one core: eight lanes 3.5 GB/s, OpenSSL with the processor's SHA instructions 1.6.
Sha1Lanes::Sha1Lanes(HashPath path) {
#ifdef SHOAL_X86_64
  if (path != HashPath::portable) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
      kind_ = Kind::sixteen;
    else if (__builtin_cpu_supports("avx2"))
      kind_ = Kind::eight;
  }
#endif
  if (path == HashPath::best && kind_ != Kind::single) worth_ = kind_ == Kind::sixteen ? 5 : 4;
  for (std::size_t lane = 0; lane < count; ++lane) forget(lane);
}

void Sha1Lanes::forget(std::size_t lane) {
  SHA_CTX fresh;
  SHA1_Init(&fresh);
  keep(fresh, columns_, lane);
  taken_[lane] = 0;
}

void Sha1Lanes::advance(std::span<ByteView, count> parts) {
  std::size_t shortest = SIZE_MAX;
  for (const ByteView part : parts)
    if (part.size() >= block) shortest = std::min(shortest, part.size() / block);
  if (shortest == SIZE_MAX) return;
  const std::size_t lanes = kind_ == Kind::eight ? of_avx2 : count;
  for (std::size_t first = 0; first < count; first += lanes) side_by_side(parts, first, lanes, shortest);
}

void Sha1Lanes::side_by_side(std::span<ByteView, count> parts, std::size_t first, std::size_t lanes,
                             std::size_t blocks) {
  std::array<const std::uint8_t*, count> messages{};
  const std::uint8_t* some = nullptr;
  std::size_t busy = 0;
  for (std::size_t lane = first; lane < first + lanes; ++lane) {
    if (parts[lane].size() < block) continue;
    messages[lane] = some = parts[lane].data();
    ++busy;
  }
  if (busy == 0) return;
  const bool single = kind_ == Kind::single || busy < worth_;
  if (!single) {
    // Lanes with nothing to do work on what another has, and get their state back.
    const Sha1Columns before = columns_;
    for (std::size_t lane = first; lane < first + lanes; ++lane)
      if (messages[lane] == nullptr) messages[lane] = some;
#ifdef SHOAL_X86_64
    if (kind_ == Kind::sixteen)
      sha1_avx512(columns_, messages.data(), blocks);
    else
      sha1_avx2(columns_, first, messages.data(), blocks);
#endif
    for (std::size_t lane = first; lane < first + lanes; ++lane)
      if (parts[lane].size() < block)
        for (std::size_t i = 0; i < state_words.size(); ++i) columns_.words[i][lane] = before.words[i][lane];
  }
  const std::size_t bytes = blocks * block;
  for (std::size_t lane = first; lane < first + lanes; ++lane) {
    if (parts[lane].size() < block) continue;
    if (single) one_by_one(lane, parts[lane].first(bytes));
    taken_[lane] += bytes;
    parts[lane] = parts[lane].subspan(bytes);
  }
}

void Sha1Lanes::one_by_one(std::size_t lane, ByteView bytes) {
  SHA_CTX context = context_of(columns_, lane, taken_[lane]);
  SHA1_Update(&context, bytes.data(), bytes.size());
  keep(context, columns_, lane);
}

Sha1 Sha1Lanes::finish(std::size_t lane, ByteView rest) {
  SHOAL_CHECK(rest.size() < block);
  SHA_CTX context = context_of(columns_, lane, taken_[lane]);
  SHA1_Update(&context, rest.data(), rest.size());
  Sha1 out;
  SHA1_Final(out.data(), &context);
  forget(lane);
  return out;
}

const char* Sha1Lanes::name() const {
  switch (kind_) {
    case Kind::sixteen:
      return "16 lanes, AVX-512";
    case Kind::eight:
      return "8 lanes, AVX2";
    case Kind::single:
      break;
  }
  return "OpenSSL";
}

}  // namespace shoal
