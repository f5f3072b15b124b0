// The primitives of crypto.hpp, each a thin call into libsodium or OpenSSL and nothing of our own invention;
// the one construction made here is HMAC over BLAKE2b (RFC 2104), which libsodium lacks.
//
// Not here: nonces, key derivation and protocols (their owners choose these), SHA-1 and SHA-256 (hash.hpp).
//
// Invariants: a library call that may only fail by our own mistake is checked and stops the program; a call
// whose failure an outsider can cause (a signature, a tag, a point) gives its answer as a value. Secrets left
// on the stack are wiped. An empty view may carry a null pointer; it is passed on only where the library
// declares that it takes one.
#include "dht/base/crypto.hpp"

#include <climits>
#include <utility>

#include <openssl/evp.h>
#include <sodium.h>

#include "dht/base/check.hpp"

namespace shoal::crypto {
namespace {

constexpr std::size_t hmac_block = 128;  // BLAKE2b's input block, RFC 7693

// Noise, section 12.3: ChaChaPoly counts little endian behind 32 zero bits.
ByteArray<12> chacha_nonce(std::uint64_t counter) {
  ByteArray<12> out{};
  for (std::size_t i = 0; i < 8; ++i) out[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return out;
}

// Noise, section 12.4: AESGCM counts big endian behind 32 zero bits.
ByteArray<12> gcm_nonce(std::uint64_t counter) {
  ByteArray<12> out{};
  store_be(out.data() + 4, counter);
  return out;
}

// EVP counts in int. A frame of ours is far below this bound.
int as_int(std::size_t size) {
  SHOAL_CHECK(size <= INT_MAX);
  return static_cast<int>(size);
}

}  // namespace

void initialise() { SHOAL_CHECK(sodium_init() >= 0); }

void system_random(MutableBytes out) {
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

void wipe(MutableBytes out) {
  if (!out.empty()) sodium_memzero(out.data(), out.size());
}

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0);
}

SigningKey SigningKey::from_seed(const SecretKey& seed) {
  static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_BYTES == 64);
  SigningKey out;
  out.seed = seed;
  SHOAL_CHECK(crypto_sign_seed_keypair(out.public_key.data(), out.expanded.data(), seed.data()) == 0);
  return out;
}

Signature SigningKey::sign(ByteView message) const {
  Signature out;
  SHOAL_CHECK(crypto_sign_detached(out.data(), nullptr, message.data(), message.size(), expanded.data()) ==
              0);
  return out;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.data()) == 0;
}

constinit const SignatureScheme ed25519{
    [](const SigningKey& key, ByteView message) { return key.sign(message); },
    [](const PublicKey& key, ByteView message, const Signature& signature) {
      return verify(key, message, signature);
    }};

ExchangeKey ExchangeKey::from_secret(const SecretKey& secret) {
  ExchangeKey out;
  out.secret = secret;
  SHOAL_CHECK(crypto_scalarmult_base(out.public_key.data(), secret.data()) == 0);
  return out;
}

std::optional<SymmetricKey> exchange(const SecretKey& ours, const PublicKey& theirs) {
  SymmetricKey shared;
  // libsodium answers -1 exactly where the result is all zero.
  if (crypto_scalarmult(shared.data(), ours.data(), theirs.data()) != 0) return std::nullopt;
  return shared;
}

void blake2b_into(MutableBytes digest, ByteView message, ByteView key) {
  SHOAL_CHECK(!digest.empty() && digest.size() <= 64 && key.size() <= 64);
  SHOAL_CHECK(crypto_generichash_blake2b(digest.data(), digest.size(), message.data(), message.size(),
                                         key.data(), key.size()) == 0);
}

ByteArray<64> hmac_blake2b(ByteView key, ByteView first, ByteView second) {
  ByteArray<hmac_block> inner{};
  if (key.size() > hmac_block) {
    blake2b_into({inner.data(), 64}, key);
  } else if (!key.empty()) {
    std::memcpy(inner.data(), key.data(), key.size());
  }
  ByteArray<hmac_block> outer = inner;
  for (std::uint8_t& byte : inner) byte ^= 0x36;
  for (std::uint8_t& byte : outer) byte ^= 0x5c;

  ByteArray<64> out;
  crypto_generichash_blake2b_state state;
  SHOAL_CHECK(crypto_generichash_blake2b_init(&state, nullptr, 0, out.size()) == 0);
  crypto_generichash_blake2b_update(&state, inner.data(), inner.size());
  if (!first.empty()) crypto_generichash_blake2b_update(&state, first.data(), first.size());
  if (!second.empty()) crypto_generichash_blake2b_update(&state, second.data(), second.size());
  crypto_generichash_blake2b_final(&state, out.data(), out.size());

  SHOAL_CHECK(crypto_generichash_blake2b_init(&state, nullptr, 0, out.size()) == 0);
  crypto_generichash_blake2b_update(&state, outer.data(), outer.size());
  crypto_generichash_blake2b_update(&state, out.data(), out.size());
  crypto_generichash_blake2b_final(&state, out.data(), out.size());

  wipe(inner);
  wipe(outer);
  sodium_memzero(&state, sizeof state);
  return out;
}

void chacha20_stream(const ByteArray<32>& key, const ByteArray<8>& nonce, MutableBytes out) {
  if (out.empty()) return;
  SHOAL_CHECK(crypto_stream_chacha20(out.data(), out.size(), nonce.data(), key.data()) == 0);
}

void seal_xchacha(std::uint8_t* out, ByteView plain, ByteView additional, const ByteArray<24>& nonce,
                  const SymmetricKey& key) {
  SHOAL_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(out, nullptr, plain.data(), plain.size(),
                                                         additional.data(), additional.size(), nullptr,
                                                         nonce.data(), key.data()) == 0);
}

bool open_xchacha(std::uint8_t* out, ByteView sealed, ByteView additional, const ByteArray<24>& nonce,
                  const SymmetricKey& key) {
  if (sealed.size() < tag_bytes) return false;
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out, nullptr, nullptr, sealed.data(), sealed.size(),
                                                    additional.data(), additional.size(), nonce.data(),
                                                    key.data()) == 0;
}

void seal_chacha(std::uint8_t* out, ByteView plain, ByteView additional, std::uint64_t nonce,
                 const SymmetricKey& key) {
  SHOAL_CHECK(crypto_aead_chacha20poly1305_ietf_encrypt(out, nullptr, plain.data(), plain.size(),
                                                        additional.data(), additional.size(), nullptr,
                                                        chacha_nonce(nonce).data(), key.data()) == 0);
}

bool open_chacha(std::uint8_t* out, ByteView sealed, ByteView additional, std::uint64_t nonce,
                 const SymmetricKey& key) {
  if (sealed.size() < tag_bytes) return false;
  return crypto_aead_chacha20poly1305_ietf_decrypt(out, nullptr, nullptr, sealed.data(), sealed.size(),
                                                   additional.data(), additional.size(),
                                                   chacha_nonce(nonce).data(), key.data()) == 0;
}

// Both contexts hold the expanded key; a message costs no allocation and no key schedule, only a new nonce.
struct AesGcm::Contexts {
  EVP_CIPHER_CTX* sealing = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* opening = EVP_CIPHER_CTX_new();

  explicit Contexts(const SymmetricKey& key) {
    SHOAL_CHECK(sealing != nullptr && opening != nullptr);
    SHOAL_CHECK(EVP_EncryptInit_ex(sealing, EVP_aes_256_gcm(), nullptr, key.data(), nullptr) == 1);
    SHOAL_CHECK(EVP_DecryptInit_ex(opening, EVP_aes_256_gcm(), nullptr, key.data(), nullptr) == 1);
  }
  ~Contexts() {  // EVP wipes the key schedules
    EVP_CIPHER_CTX_free(sealing);
    EVP_CIPHER_CTX_free(opening);
  }
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;
};

// libsodium asks the processor for the same two features; without them OpenSSL would be slow, not wrong.
bool AesGcm::available() {
  initialise();  // before it libsodium knows nothing of the processor
  return crypto_aead_aes256gcm_is_available() == 1;
}

AesGcm::AesGcm(const SymmetricKey& key) : contexts_(new Contexts{key}) {}
AesGcm::~AesGcm() { delete contexts_; }
AesGcm::AesGcm(AesGcm&& other) noexcept : contexts_(std::exchange(other.contexts_, nullptr)) {}
AesGcm& AesGcm::operator=(AesGcm&& other) noexcept {
  std::swap(contexts_, other.contexts_);
  return *this;
}

void AesGcm::seal(std::uint8_t* out, ByteView plain, ByteView additional, std::uint64_t nonce) {
  SHOAL_CHECK(contexts_ != nullptr);
  EVP_CIPHER_CTX* context = contexts_->sealing;
  int written = 0;
  SHOAL_CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, gcm_nonce(nonce).data()) == 1);
  if (!additional.empty())
    SHOAL_CHECK(EVP_EncryptUpdate(context, nullptr, &written, additional.data(), as_int(additional.size())) ==
                1);
  if (!plain.empty())
    SHOAL_CHECK(EVP_EncryptUpdate(context, out, &written, plain.data(), as_int(plain.size())) == 1);
  std::uint8_t* const tag = out + plain.size();
  SHOAL_CHECK(EVP_EncryptFinal_ex(context, tag, &written) == 1);
  SHOAL_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, tag) == 1);
}

bool AesGcm::open(std::uint8_t* out, ByteView sealed, ByteView additional, std::uint64_t nonce) {
  SHOAL_CHECK(contexts_ != nullptr);
  if (sealed.size() < tag_bytes) return false;
  const ByteView body = sealed.first(sealed.size() - tag_bytes);
  auto tag = to_array<tag_bytes>(sealed.last(tag_bytes));  // EVP wants it writable
  EVP_CIPHER_CTX* context = contexts_->opening;
  int written = 0;
  SHOAL_CHECK(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, gcm_nonce(nonce).data()) == 1);
  if (!additional.empty())
    SHOAL_CHECK(EVP_DecryptUpdate(context, nullptr, &written, additional.data(), as_int(additional.size())) ==
                1);
  if (!body.empty())
    SHOAL_CHECK(EVP_DecryptUpdate(context, out, &written, body.data(), as_int(body.size())) == 1);
  SHOAL_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag.data()) == 1);
  ByteArray<16> rest;  // GCM has no final block; EVP asks for room all the same
  return EVP_DecryptFinal_ex(context, rest.data(), &written) == 1;
}

}  // namespace shoal::crypto
