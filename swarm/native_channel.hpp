// The native peer channel: Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b, then sealed frames (DESIGN 6).
//
//   initiator -> tag (16), message 1 (128: ephemeral, sealed static, sealed payload of 32)
//   responder -> message 2 (80: ephemeral, sealed payload of 32)
//   both      -> frames: header (3, masked), sealed body
//
// The prologue binds protocol version and tag. A payload is 4 bytes of capability bits, then zeros, ignored
// when read, in which later versions may speak; its size is fixed so that the first packet stays below 150
// bytes (THREATS A12). Where both ends offer AES-256-GCM, frames are sealed with it; the choice and the
// handshake hash go into the transport keys. A header is kind (1) and length of the sealed body (2, big
// endian), xored with a ChaCha20 stream of the direction, so that the whole stream looks random, and bound to
// the body as additional data. A rekey frame has an empty body; it is the last under its key.
//
// Not here: messages (native_wire). Nothing is buffered but the handshake's own bytes.
//
// Invariants: a responder makes no output before message 1 has proven the PSK, and none for a replayed
// ephemeral. An error is final. A body is at most 65,535 bytes, a block's at most max_block_body.
//
// Source: Noise revision 34. Deviations: the keys of Split are hashed once more (choice of cipher, hash), the
// counter goes on through a rekey as in the specification.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/base/bytes.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/random.hpp"
#include "dht/base/result.hpp"
#include "dht/base/time.hpp"
#include "swarm/noise.hpp"
#include "swarm/replay_filter.hpp"

namespace shoal::swarm {

inline constexpr std::size_t channel_tag_bytes = 16;
inline constexpr std::size_t first_flight_bytes = channel_tag_bytes + 128;  // of the initiator
inline constexpr std::size_t second_flight_bytes = 80;                      // of the responder
inline constexpr std::size_t frame_header_bytes = 3;
inline constexpr std::size_t frame_overhead = frame_header_bytes + crypto::tag_bytes;
inline constexpr std::size_t max_body = 65535;     // sealed; what the length can say
inline constexpr std::size_t max_block_lead = 12;  // [type, piece, begin] at its longest
inline constexpr std::size_t max_block_body = 16384 + max_block_lead + crypto::tag_bytes;

enum class AesOffer : std::uint8_t { never, where_available };

struct ChannelParams {
  crypto::ExchangeKey ours{};          // our static X25519 key in this content
  crypto::PublicKey remote{};          // the responder's static key; only the initiator needs it
  crypto::SymmetricKey psk{};          // of the epoch
  ByteArray<channel_tag_bytes> tag{};  // dht::dial_tag, or for the responder the one that came
  ReplayFilter* replays = nullptr;     // the responder's; must outlive the handshake. nullptr: no filter
  AesOffer aes = AesOffer::where_available;
  std::uint64_t rekey_bytes = std::uint64_t{1}
                              << 30;  // sealed under one key; the other end may go to twice that
  Duration rekey_after = std::chrono::minutes{10};  // since the key was made; judged when something is sent
};

enum class FrameKind : std::uint8_t { messages = 0, block = 1, rekey = 2 };
struct FrameHeader {
  FrameKind kind = FrameKind::messages;
  std::uint16_t body_bytes = 0;           // sealed
  ByteArray<frame_header_bytes> clear{};  // unmasked, as the body's additional data
};

class NativeChannel {
 public:
  // Draws the ephemeral key from `random`, and nothing later.
  NativeChannel(noise::Role role, const ChannelParams& params, Random& random);
  ~NativeChannel();
  NativeChannel(const NativeChannel&) = delete;
  NativeChannel& operator=(const NativeChannel&) = delete;

  // The initiator's first flight, once, at the start. Error: the responder's key is a point of small order.
  [[nodiscard]] Result<Bytes> first_flight();
  // Takes from the front of `bytes` what the handshake still needs; a responder's answer is appended to
  // `reply`. Only while !established().
  [[nodiscard]] Result<void> handshake(Now now, ByteView& bytes, Bytes& reply);
  [[nodiscard]] bool established() const { return established_; }
  // The other end is proven to be there now: a frame of its own has been opened (a replayed message 1 gets no
  // further than established()).
  [[nodiscard]] bool confirmed() const { return confirmed_; }
  [[nodiscard]] const crypto::PublicKey& remote_static() const { return remote_; }
  [[nodiscard]] const noise::HandshakeHash& handshake_hash() const { return hash_; }
  [[nodiscard]] noise::Cipher cipher() const { return cipher_; }

  // Frames, once established. A header is unmasked exactly once, then its body opened. Errors of read_header:
  // unsupported kind, too_large, malformed: all before anything is buffered.
  [[nodiscard]] Result<FrameHeader> read_header(const ByteArray<frame_header_bytes>& masked);
  // Writes body_bytes - 16 bytes at `out`, which may be where `sealed` starts. A rekey frame is dealt with
  // here.
  [[nodiscard]] Result<void> open(Now now, const FrameHeader& header, ByteView sealed, std::uint8_t* out);

  // What must be sent before the next frame of `plain_bytes`: true asks for a rekey frame (seal an empty
  // one).
  [[nodiscard]] bool rekey_due(Now now, std::size_t plain_bytes) const;
  // `frame`: 3 bytes of room, the plain body, 16 bytes of room; sealed in place. Precondition: plain body at
  // most max_body - 16.
  void seal(Now now, FrameKind kind, MutableBytes frame);
  [[nodiscard]] std::uint64_t rekeys() const { return rekeys_; }  // both directions, for tests and reports

 private:
  // The masks of one direction's headers: a ChaCha20 stream, 21 headers a block.
  struct Mask {
    crypto::SymmetricKey key{};
    std::uint64_t block = 0;
    ByteArray<63> pool{};
    std::size_t used = 63;
    void apply(std::uint8_t* header);
  };
  struct Direction {
    noise::CipherState cipher;
    Mask mask;
    std::uint64_t bytes = 0;  // under this key
    Instant since{};          // of this key
    bool fresh = true;        // nothing yet under this key
    void start(Now now);
  };

  [[nodiscard]] Result<void> respond(Now now, Bytes& reply);
  [[nodiscard]] Result<void> conclude(Now now);
  void establish(Now now, std::uint32_t their_bits);

  noise::Role role_;
  ChannelParams params_;
  crypto::PublicKey remote_{};
  noise::HandshakeHash hash_{};
  std::optional<noise::Handshake> handshake_;  // gone once established
  ByteArray<first_flight_bytes> gathered_{};
  std::size_t gathered_bytes_ = 0;
  Direction sending_, receiving_;
  noise::Cipher cipher_ = noise::Cipher::chacha_poly;
  std::uint64_t rekeys_ = 0;
  bool established_ = false, confirmed_ = false;
};

}  // namespace shoal::swarm
