// The primitives of DESIGN 6, wrapped once: libsodium for everything, OpenSSL for AES-256-GCM. Pure functions
// of their arguments; only `system_random` reads the world, and only the host calls it.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/base/bytes.hpp"

namespace shoal::crypto {

using PublicKey = ByteArray<32>;  // Ed25519 or X25519, as the name beside it says
using SecretKey = ByteArray<32>;  // an Ed25519 seed or an X25519 scalar
using Signature = ByteArray<64>;
using SymmetricKey = ByteArray<32>;

// Must be called once before anything else of this file; idempotent, thread safe.
void initialise();
void system_random(MutableBytes out);
void wipe(MutableBytes out);

// Constant time in the contents; false at once where the lengths differ.
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b);

// Ed25519 (RFC 8032). An expanded pair keeps what signing needs.
struct SigningKey {
  SecretKey seed{};
  PublicKey public_key{};
  ByteArray<64> expanded{};  // libsodium's form: seed, then public key
  [[nodiscard]] static SigningKey from_seed(const SecretKey& seed);
  [[nodiscard]] Signature sign(ByteView message) const;
};
// Refuses non-canonical S, small-order and non-canonical points, as libsodium does.
[[nodiscard]] bool verify(const PublicKey& key, ByteView message, const Signature& signature);

// A signature scheme as a value, so that a virtual world of many thousand nodes may do without the cost of
// real ones. Ed25519 is the only one that the product has; whoever makes an engine hands another in, nothing
// that comes from outside can.
struct SignatureScheme {
  Signature (*sign)(const SigningKey& key, ByteView message) = nullptr;
  bool (*verify)(const PublicKey& key, ByteView message, const Signature& signature) = nullptr;
};
extern const SignatureScheme ed25519;

// X25519 (RFC 7748).
struct ExchangeKey {
  SecretKey secret{};
  PublicKey public_key{};
  [[nodiscard]] static ExchangeKey from_secret(const SecretKey& secret);
};
// nullopt: the shared secret is all zero (a small-order point); abort the handshake. Call it qualified:
// std::exchange takes the same arguments.
[[nodiscard]] std::optional<SymmetricKey> exchange(const SecretKey& ours, const PublicKey& theirs);

// BLAKE2b (RFC 7693); the key has 0..64 bytes, the digest 1..64.
void blake2b_into(MutableBytes digest, ByteView message, ByteView key = {});
template <std::size_t N>
[[nodiscard]] ByteArray<N> blake2b(ByteView message, ByteView key = {}) {
  ByteArray<N> out;
  blake2b_into(out, message, key);
  return out;
}
// HMAC-BLAKE2b-512 (RFC 2104 with a block of 128 bytes), for Noise's HKDF.
[[nodiscard]] ByteArray<64> hmac_blake2b(ByteView key, ByteView first, ByteView second = {});

// The raw ChaCha20 key stream (DJB's 64-bit nonce), for Random.
void chacha20_stream(const ByteArray<32>& key, const ByteArray<8>& nonce, MutableBytes out);

// AEADs. `seal` writes plain.size() + 16 bytes at `out`; `open` writes sealed.size() - 16 bytes and returns
// false, leaving `out` unspecified, where the tag does not verify. `out` may be where the input starts (in
// place).
inline constexpr std::size_t tag_bytes = 16;
void seal_xchacha(std::uint8_t* out, ByteView plain, ByteView additional, const ByteArray<24>& nonce,
                  const SymmetricKey& key);
[[nodiscard]] bool open_xchacha(std::uint8_t* out, ByteView sealed, ByteView additional,
                                const ByteArray<24>& nonce, const SymmetricKey& key);
// IETF ChaCha20-Poly1305 (RFC 8439) with Noise's nonce: 32 zero bits, then the counter, little endian.
void seal_chacha(std::uint8_t* out, ByteView plain, ByteView additional, std::uint64_t nonce,
                 const SymmetricKey& key);
[[nodiscard]] bool open_chacha(std::uint8_t* out, ByteView sealed, ByteView additional, std::uint64_t nonce,
                               const SymmetricKey& key);

// AES-256-GCM with Noise's nonce (32 zero bits, then the counter, big endian) and a key schedule made once.
class AesGcm {
 public:
  [[nodiscard]] static bool available();  // the processor has AES and carry-less multiplication
  explicit AesGcm(const SymmetricKey& key);
  ~AesGcm();
  AesGcm(AesGcm&&) noexcept;
  AesGcm& operator=(AesGcm&&) noexcept;
  void seal(std::uint8_t* out, ByteView plain, ByteView additional, std::uint64_t nonce);
  [[nodiscard]] bool open(std::uint8_t* out, ByteView sealed, ByteView additional, std::uint64_t nonce);

 private:
  struct Contexts;
  Contexts* contexts_;
};

}  // namespace shoal::crypto
