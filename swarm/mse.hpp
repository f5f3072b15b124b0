// Message stream encryption (MSE/PE): the handshake that lets a BitTorrent connection look like noise, as far
// as the first byte of the stream behind it. Obfuscation, not secrecy: see obfuscation.hpp.
//
//   dialler  -> Ya (96), PadA (0..512)
//   answerer -> Yb (96), PadB (0..512)
//   dialler  -> H("req1", S), H("req2", SKEY) xor H("req3", S),
//               E(VC (8 zeros), provide (4), len PadC (2), PadC, len IA (2)), E(IA)
//   answerer -> E(VC, select (4), len PadD (2), PadD), then the stream
//
// H is SHA-1, SKEY the info-hash, E RC4 under H("keyA" or "keyB", S, SKEY) with the first 1,024 bytes
// dropped. IA is the beginning of the dialler's stream. Source: the specification that Azureus and uTorrent
// agreed on.
//
// Nothing is proven but that the dialler knows an info-hash. Held: at most 96 + 512 + 20 bytes of input, or
// IA. An error is final. An answerer says nothing but Yb and noise to who names no content of ours, and is
// asked only while a public content is open (THREATS A32).
#pragma once

#include <cstdint>
#include <optional>

#include "dht/base/obfuscation.hpp"
#include "dht/base/random.hpp"
#include "dht/base/result.hpp"
#include "swarm/info_hash.hpp"

namespace shoal::swarm {

struct MseMethods {
  bool plain = true, rc4 = true;  // of the stream behind the handshake
};

class Mse {
 public:
  static constexpr std::size_t initial_most = 4096;  // of IA

  // `initial`: what the stream begins with; sent at once. The first flight is in take_reply().
  [[nodiscard]] static Mse dialler(const InfoHash& content, MseMethods offered, Bytes initial,
                                   Random& random);
  // `contents`: all that may be named; it is asked in receive() alone. Of what is offered RC4 is chosen where
  // `accepted` has it.
  [[nodiscard]] static Mse answerer(const InfoHashTable& contents, MseMethods accepted, Random& random);

  // Takes from the front of `bytes` what the handshake needs; once done() the rest is the stream's. Errors:
  // malformed, too_large; mismatch: no content of ours; unsupported: no method in common.
  [[nodiscard]] Result<void> receive(ByteView& bytes);
  [[nodiscard]] bool done() const { return step_ == Step::done; }
  [[nodiscard]] Bytes take_reply();  // what is to be sent now

  // Once done. The ciphers, absent where the stream is plain, go on where the handshake stopped.
  [[nodiscard]] const InfoHash& content() const { return content_; }
  [[nodiscard]] Bytes take_initial();  // the answerer's: the stream so far, in the clear
  [[nodiscard]] std::optional<obfuscation::Rc4> take_sending();
  [[nodiscard]] std::optional<obfuscation::Rc4> take_receiving();

 private:
  enum class Role : std::uint8_t { dialler, answerer };
  enum class Step : std::uint8_t { key, search, methods, padding, initial_length, initial, done };

  Mse(Role role, MseMethods methods, Random& random);
  void draw_padding(Random& random);
  void say_key();
  [[nodiscard]] Result<bool> advance();  // false: more bytes are needed
  [[nodiscard]] Result<bool> on_key();
  [[nodiscard]] Result<bool> on_search();
  [[nodiscard]] Result<bool> on_content();
  [[nodiscard]] Result<bool> on_methods();
  void start_ciphers();
  void request();                                          // the dialler's second flight
  void answer();                                           // the answerer's
  [[nodiscard]] bool take(std::size_t count, Bytes& out);  // decrypted

  Role role_;
  MseMethods methods_;
  Step step_ = Step::key;
  InfoHash content_{};
  const InfoHashTable* contents_ = nullptr;
  obfuscation::DhSecret secret_{};
  obfuscation::DhNumber shared_{};
  std::optional<obfuscation::Rc4> sending_, receiving_;
  bool rc4_ = false;
  Bytes mark_;               // where the other end's padding ends: a hash, or zeros under its key
  std::size_t awaited_ = 0;  // of padding, or IA
  std::size_t skipped_ = 0;  // of the other end's noise
  Bytes have_, reply_, initial_, padding_;
};

}  // namespace shoal::swarm
