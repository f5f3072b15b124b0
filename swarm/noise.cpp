// The handshake and cipher states of Noise, in the specification's own order of operations. See noise.hpp.
#include "swarm/noise.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "dht/base/check.hpp"

namespace shoal::swarm::noise {
namespace {

constexpr std::uint64_t last_nonce = ~std::uint64_t{0};  // reserved for REKEY
constexpr std::size_t key_bytes = 32;

// HKDF of rev 34, 4.3, with the three outputs that a psk needs; who needs two ignores the last.
struct Derived {
  ByteArray<64> first, second, third;
  ~Derived() {
    crypto::wipe(first);
    crypto::wipe(second);
    crypto::wipe(third);
  }
};
Derived hkdf(ByteView chaining_key, ByteView input) {
  static constexpr std::uint8_t one = 1, two = 2, three = 3;
  auto secret = crypto::hmac_blake2b(chaining_key, input);
  Derived out;
  out.first = crypto::hmac_blake2b(secret, {&one, 1});
  out.second = crypto::hmac_blake2b(secret, out.first, {&two, 1});
  out.third = crypto::hmac_blake2b(secret, out.second, {&three, 1});
  crypto::wipe(secret);
  return out;
}

// With hashes of 64 bytes a cipher key is the first half (rev 34, 5.2).
crypto::SymmetricKey truncated(const ByteArray<64>& output) { return to_array<key_bytes>(output); }

}  // namespace

// ---- CipherState

CipherState::~CipherState() { crypto::wipe(key_); }

CipherState::CipherState(CipherState&& other) noexcept { *this = std::move(other); }

CipherState& CipherState::operator=(CipherState&& other) noexcept {
  if (this == &other) return *this;
  key_ = other.key_;
  gcm_ = std::move(other.gcm_);
  counter_ = other.counter_;
  cipher_ = other.cipher_;
  keyed_ = std::exchange(other.keyed_, false);
  crypto::wipe(other.key_);
  other.gcm_.reset();
  return *this;
}

void CipherState::set_key(Cipher cipher, const crypto::SymmetricKey& key) {
  cipher_ = cipher;
  key_ = key;
  counter_ = 0;
  keyed_ = true;
  gcm_.reset();
  if (cipher == Cipher::aes_gcm) gcm_.emplace(key);
}

void CipherState::seal_with(std::uint64_t nonce, std::uint8_t* out, ByteView plain, ByteView additional) {
  if (gcm_) {
    gcm_->seal(out, plain, additional, nonce);
  } else {
    crypto::seal_chacha(out, plain, additional, nonce, key_);
  }
}

void CipherState::seal(std::uint8_t* out, ByteView plain, ByteView additional) {
  SHOAL_CHECK(keyed_ && counter_ != last_nonce);
  seal_with(counter_++, out, plain, additional);
}

bool CipherState::open(std::uint8_t* out, ByteView sealed, ByteView additional) {
  SHOAL_CHECK(keyed_ && counter_ != last_nonce);
  const bool genuine = gcm_ ? gcm_->open(out, sealed, additional, counter_)
                            : crypto::open_chacha(out, sealed, additional, counter_, key_);
  if (genuine) ++counter_;
  return genuine;
}

void CipherState::rekey() {
  SHOAL_CHECK(keyed_);
  static constexpr ByteArray<key_bytes> zeros{};
  ByteArray<key_bytes + crypto::tag_bytes> sealed;
  seal_with(last_nonce, sealed.data(), zeros, {});
  key_ = to_array<key_bytes>(sealed);
  if (gcm_) gcm_.emplace(key_);
  crypto::wipe(sealed);
}

crypto::SymmetricKey CipherState::derive(ByteView label) const {
  SHOAL_CHECK(keyed_);
  return crypto::blake2b<key_bytes>(label, key_);
}

// ---- Handshake

// One pattern of rev 34, 7.5 and 9.4. Every pattern with a pre-message here has the same one: "<- s".
struct Handshake::Row {
  std::string_view names[2];  // by cipher
  enum class Before : std::uint8_t { nothing, responder_static } before;
  enum class Psk : std::uint8_t { without, with } psk;
  struct Message {
    Token tokens[5];
    std::uint8_t count;
    [[nodiscard]] auto begin() const { return &tokens[0]; }
    [[nodiscard]] auto end() const { return &tokens[count]; }
  };
  Message messages[3];
  std::uint8_t count;
};

const Handshake::Row& Handshake::row(Pattern pattern) {
  using enum Token;
  using Before = Row::Before;
  using Psk = Row::Psk;
  static constexpr std::array<Row, 5> table{{
      {{"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b", "Noise_NNpsk0_25519_AESGCM_BLAKE2b"},
       Before::nothing,
       Psk::with,
       {{{psk, e}, 2}, {{e, ee}, 2}, {}},
       2},
      {{"Noise_XX_25519_ChaChaPoly_BLAKE2b", "Noise_XX_25519_AESGCM_BLAKE2b"},
       Before::nothing,
       Psk::without,
       {{{e}, 1}, {{e, ee, s, es}, 4}, {{s, se}, 2}},
       3},
      {{"Noise_IK_25519_ChaChaPoly_BLAKE2b", "Noise_IK_25519_AESGCM_BLAKE2b"},
       Before::responder_static,
       Psk::without,
       {{{e, es, s, ss}, 4}, {{e, ee, se}, 3}, {}},
       2},
      {{"Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b", "Noise_IKpsk1_25519_AESGCM_BLAKE2b"},
       Before::responder_static,
       Psk::with,
       {{{e, es, s, ss, psk}, 5}, {{e, ee, se}, 3}, {}},
       2},
      {{"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b", "Noise_IKpsk2_25519_AESGCM_BLAKE2b"},
       Before::responder_static,
       Psk::with,
       {{{e, es, s, ss}, 4}, {{e, ee, se, psk}, 4}, {}},
       2},
  }};
  return table[static_cast<std::size_t>(pattern)];
}

Handshake::Handshake(const HandshakeParams& params)
    : row_(&row(params.pattern)),
      cipher_(params.cipher),
      role_(params.role),
      static_(params.ours),
      ephemeral_(params.ephemeral),
      psk_(params.psk) {
  // A name of at most HASHLEN bytes is padded with zeros, not hashed.
  const std::string_view name = row_->names[static_cast<std::size_t>(cipher_)];
  static_assert(std::tuple_size_v<HandshakeHash> == 64);
  SHOAL_CHECK(name.size() <= hash_.size());
  std::copy(name.begin(), name.end(), hash_.begin());
  chaining_key_ = hash_;
  mix_hash(params.prologue);
  if (row_->before == Row::Before::responder_static) {
    if (role_ == Role::initiator) remote_static_ = params.remote;
    mix_hash(role_ == Role::initiator ? remote_static_ : static_.public_key);
  }
}

Handshake::~Handshake() {
  crypto::wipe(static_.secret);
  crypto::wipe(ephemeral_.secret);
  crypto::wipe(psk_);
  crypto::wipe(chaining_key_);
}

bool Handshake::finished() const { return next_message_ == row_->count; }

bool Handshake::our_turn_to_write() const { return (next_message_ % 2 == 0) == (role_ == Role::initiator); }

void Handshake::mix_hash(ByteView data) {
  Bytes both = to_vector(hash_);
  append(both, data);
  hash_ = crypto::blake2b<64>(both);
}

void Handshake::mix_key(ByteView input) {
  const Derived out = hkdf(chaining_key_, input);
  chaining_key_ = out.first;
  symmetric_.set_key(cipher_, truncated(out.second));
}

void Handshake::mix_key_and_hash(ByteView input) {
  const Derived out = hkdf(chaining_key_, input);
  chaining_key_ = out.first;
  mix_hash(out.second);
  symmetric_.set_key(cipher_, truncated(out.third));
}

void Handshake::seal_and_hash(ByteView plain, Bytes& out) {
  const std::size_t at = out.size();
  if (symmetric_.has_key()) {
    out.resize(at + plain.size() + crypto::tag_bytes);
    symmetric_.seal(out.data() + at, plain, hash_);
  } else {
    append(out, plain);
  }
  mix_hash(ByteView{out}.subspan(at));
}

bool Handshake::open_and_hash(ByteView sealed, Bytes& out) {
  if (symmetric_.has_key()) {
    if (sealed.size() < crypto::tag_bytes) return false;
    const std::size_t at = out.size();
    out.resize(at + sealed.size() - crypto::tag_bytes);
    if (!symmetric_.open(out.data() + at, sealed, hash_)) return false;
  } else {
    append(out, sealed);
  }
  mix_hash(sealed);
  return true;
}

// The second letter of a token names the responder's key: `es` is our ephemeral where we began, our static
// where not.
bool Handshake::mix_exchange(Token token) {
  const bool initiator = role_ == Role::initiator;
  const bool our_static = token == Token::ss || token == (initiator ? Token::se : Token::es);
  const bool their_static = token == Token::ss || token == (initiator ? Token::es : Token::se);
  auto shared = crypto::exchange((our_static ? static_ : ephemeral_).secret,
                                 their_static ? remote_static_ : remote_ephemeral_);
  if (!shared) return false;
  mix_key(*shared);
  crypto::wipe(*shared);
  return true;
}

Result<void> Handshake::write_token(Token token, Bytes& out) {
  switch (token) {
    case Token::e:
      append(out, ephemeral_.public_key);
      mix_hash(ephemeral_.public_key);
      if (row_->psk == Row::Psk::with) mix_key(ephemeral_.public_key);  // rev 34, 9.2
      return {};
    case Token::s:
      seal_and_hash(static_.public_key, out);
      return {};
    case Token::psk:
      mix_key_and_hash(psk_);
      return {};
    case Token::ee:
    case Token::es:
    case Token::se:
    case Token::ss:
      break;
  }
  if (!mix_exchange(token)) return fail(Code::forged, "the shared secret of a handshake is zero");
  return {};
}

Result<void> Handshake::read_token(Token token, ByteView& message) {
  const auto take = [&](std::size_t n) {
    const ByteView out = message.first(n);
    message = message.subspan(n);
    return out;
  };
  switch (token) {
    case Token::e:
      if (message.size() < key_bytes) return fail(Code::malformed, "a handshake message is too short");
      remote_ephemeral_ = to_array<key_bytes>(take(key_bytes));
      mix_hash(remote_ephemeral_);
      if (row_->psk == Row::Psk::with) mix_key(remote_ephemeral_);
      return {};
    case Token::s: {
      SHOAL_CHECK(symmetric_.has_key());  // none of the patterns sends it in the clear
      constexpr std::size_t sealed = key_bytes + crypto::tag_bytes;
      if (message.size() < sealed) return fail(Code::malformed, "a handshake message is too short");
      Bytes key;
      if (!open_and_hash(take(sealed), key))
        return fail(Code::forged, "a static key of a handshake does not open");
      remote_static_ = to_array<key_bytes>(key);
      return {};
    }
    case Token::psk:
      mix_key_and_hash(psk_);
      return {};
    case Token::ee:
    case Token::es:
    case Token::se:
    case Token::ss:
      break;
  }
  if (!mix_exchange(token)) return fail(Code::forged, "the shared secret of a handshake is zero");
  return {};
}

Result<void> Handshake::write(ByteView payload, Bytes& out) {
  SHOAL_CHECK(!finished() && our_turn_to_write());
  if (failed_) return fail(Code::cancelled, "the handshake has failed before");
  failed_ = true;  // until all of it has gone well
  const std::size_t start = out.size();
  for (const Token token : row_->messages[next_message_])
    if (auto done = write_token(token, out); !done) return done;
  seal_and_hash(payload, out);
  SHOAL_CHECK(out.size() - start <= max_message);
  ++next_message_;
  failed_ = false;
  return {};
}

Result<void> Handshake::read(ByteView message, Bytes& payload) {
  SHOAL_CHECK(!finished() && !our_turn_to_write());
  if (failed_) return fail(Code::cancelled, "the handshake has failed before");
  failed_ = true;
  if (message.size() > max_message) return fail(Code::malformed, "a handshake message is too long");
  for (const Token token : row_->messages[next_message_])
    if (auto done = read_token(token, message); !done) return done;
  if (!open_and_hash(message, payload)) return fail(Code::forged, "a handshake message does not open");
  ++next_message_;
  failed_ = false;
  return {};
}

TransportKeys Handshake::split() const {
  SHOAL_CHECK(finished());
  const Derived out = hkdf(chaining_key_, {});
  return {truncated(out.first), truncated(out.second)};
}

}  // namespace shoal::swarm::noise
