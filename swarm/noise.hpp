// The Noise Protocol Framework, revision 34, as far as shoal needs it: X25519, BLAKE2b, ChaChaPoly or AESGCM,
// and the few patterns of the table in noise.cpp. The channel uses IKpsk1; the others are here because the
// published vectors then prove the same code from more sides.
//
// Not here: framing, tags, padding, rekey policy (native_channel). Pure: the ephemeral key is the caller's to
// draw.
//
// Invariants: a failed read or write ends the handshake for good; an all-zero shared secret is such a failure
// (rev 34 section 12.1 leaves it open; DESIGN 11 demands it). Keys are wiped when their owner ends. Handshake
// messages are at most 65,535 bytes, as the specification says.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/base/bytes.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/result.hpp"

namespace shoal::swarm::noise {

enum class Cipher : std::uint8_t { chacha_poly, aes_gcm };
enum class Pattern : std::uint8_t { nn_psk0, xx, ik, ik_psk1, ik_psk2 };
enum class Role : std::uint8_t { initiator, responder };

using HandshakeHash = ByteArray<64>;
inline constexpr std::size_t max_message = 65535;

// CipherState (rev 34, 5.1): a key and the counter of messages under it. One direction of a channel.
class CipherState {
 public:
  CipherState() = default;  // empty: seals and opens nothing, only usable after `set_key`
  CipherState(Cipher cipher, const crypto::SymmetricKey& key) { set_key(cipher, key); }
  ~CipherState();
  CipherState(CipherState&& other) noexcept;
  CipherState& operator=(CipherState&& other) noexcept;

  void set_key(Cipher cipher, const crypto::SymmetricKey& key);  // and counts from 0 again
  [[nodiscard]] bool has_key() const { return keyed_; }
  [[nodiscard]] std::uint64_t counter() const { return counter_; }

  // Writes plain.size() + 16 bytes at `out`, which may be where `plain` starts.
  void seal(std::uint8_t* out, ByteView plain, ByteView additional);
  // Writes sealed.size() - 16 bytes at `out`, which may be where `sealed` starts. false: forged; the counter
  // stays.
  [[nodiscard]] bool open(std::uint8_t* out, ByteView sealed, ByteView additional);
  // REKEY of rev 34, 4.2: the first 32 bytes of zeros sealed under the last nonce. One-way; the counter goes
  // on.
  void rekey();
  // BLAKE2b of the key under `label`: further keys that share its life.
  [[nodiscard]] crypto::SymmetricKey derive(ByteView label) const;

 private:
  void seal_with(std::uint64_t nonce, std::uint8_t* out, ByteView plain, ByteView additional);

  crypto::SymmetricKey key_{};
  std::optional<crypto::AesGcm> gcm_;  // the key schedule, where the cipher is AESGCM
  std::uint64_t counter_ = 0;
  Cipher cipher_ = Cipher::chacha_poly;
  bool keyed_ = false;
};

struct HandshakeParams {
  Pattern pattern = Pattern::ik_psk1;
  Cipher cipher = Cipher::chacha_poly;
  Role role = Role::initiator;
  Bytes prologue;
  crypto::ExchangeKey ours{};       // static; unused by NN
  crypto::PublicKey remote{};       // the responder's static, known beforehand by the initiator of IK
  crypto::SymmetricKey psk{};       // of the psk patterns
  crypto::ExchangeKey ephemeral{};  // fresh and random, never used twice
};

// The two transport keys (rev 34, 5.2, Split).
struct TransportKeys {
  crypto::SymmetricKey from_initiator{}, from_responder{};
};

// HandshakeState with its SymmetricState (rev 34, 5.2 and 5.3). write() and read() alternate, the initiator
// writing first, until finished().
class Handshake {
 public:
  explicit Handshake(const HandshakeParams& params);
  ~Handshake();
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  // Appends the next message, carrying `payload`, to `out`. Error: forged where a shared secret is zero.
  [[nodiscard]] Result<void> write(ByteView payload, Bytes& out);
  // Takes the next message whole and appends its payload to `out`. Errors: malformed (too short or long),
  // forged.
  [[nodiscard]] Result<void> read(ByteView message, Bytes& payload);

  [[nodiscard]] bool finished() const;
  // Once finished:
  [[nodiscard]] TransportKeys split() const;
  [[nodiscard]] const HandshakeHash& hash() const { return hash_; }
  // The other's static key, once a message has brought it or from the start.
  [[nodiscard]] const crypto::PublicKey& remote_static() const { return remote_static_; }
  // The other's ephemeral, once a message has brought it.
  [[nodiscard]] const crypto::PublicKey& remote_ephemeral() const { return remote_ephemeral_; }

 private:
  enum class Token : std::uint8_t { e, s, ee, es, se, ss, psk };
  struct Row;  // one pattern
  static const Row& row(Pattern pattern);

  void mix_hash(ByteView data);
  void mix_key(ByteView input);
  void mix_key_and_hash(ByteView input);
  void seal_and_hash(ByteView plain, Bytes& out);
  [[nodiscard]] bool open_and_hash(ByteView sealed, Bytes& out);
  [[nodiscard]] bool mix_exchange(Token token);
  [[nodiscard]] Result<void> write_token(Token token, Bytes& out);
  [[nodiscard]] Result<void> read_token(Token token, ByteView& message);
  [[nodiscard]] bool our_turn_to_write() const;

  const Row* row_;
  Cipher cipher_;
  Role role_;
  crypto::ExchangeKey static_, ephemeral_;
  crypto::PublicKey remote_static_{}, remote_ephemeral_{};
  crypto::SymmetricKey psk_;
  CipherState symmetric_;
  ByteArray<64> chaining_key_{};
  HandshakeHash hash_{};
  std::uint8_t next_message_ = 0;
  bool failed_ = false;
};

}  // namespace shoal::swarm::noise
