// The seam of a dialect on one connection: bytes of a stream in, typed messages out, and back. A codec owns
// the handshake and the framing, never a decision about the swarm. One object a connection.
//
// Contract: an error from receive() is final; the owner closes the stream and sends nothing more. A codec
// never holds more unread input than its largest frame, and checks a length before it buffers by it.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/buffer.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/time.hpp"
#include "swarm/wire.hpp"

namespace shoal::swarm {

// Bounds of single messages that every dialect holds.
inline constexpr std::size_t max_client_bytes = 64;
inline constexpr std::size_t max_hashes = 1024 + 32;                         // a layer's range and its uncles
inline constexpr std::size_t max_pieces_bytes = (std::size_t{1} << 21) / 8;  // 2^21 pieces
inline constexpr std::uint32_t max_unknown_messages = 1024;                  // skipped in a connection's life

class WireCodec {
 public:
  virtual ~WireCodec() = default;

  // Bytes of the stream, in order. Appends what they complete to `out`. Payload is decrypted straight into
  // buffers of the pool given at construction.
  [[nodiscard]] virtual Result<void> receive(Now now, ByteView bytes, std::vector<wire::Message>& out) = 0;

  // The channel is up: both ends are proven, messages may be sent.
  [[nodiscard]] virtual bool established() const = 0;
  // The other end's static X25519 key, once established. In a dialect without keys what it calls itself,
  // which is no proof of anything.
  [[nodiscard]] virtual crypto::PublicKey remote_key() const = 0;

  // What the other end takes and says, once established; a dialect, or an old program, may lack some.
  struct Speech {
    bool rejects = true;  // Reject; without it, what was asked is gone with a Choke
    bool hashes = true;   // of v2's trees
  };
  [[nodiscard]] virtual Speech speech() const { return {}; }

  // Queues a message. Small ones gather until flush(); a block is sealed in the buffer it came in.
  virtual void send(Now now, wire::Message&& message) = 0;
  // Appends to `out` everything that is ready for the stream, handshake messages included.
  virtual void flush(Now now, std::vector<Buffer>& out) = 0;

  // Room that a block's buffer must leave before and after its payload, so that it can be sealed in place.
  [[nodiscard]] virtual std::uint32_t block_lead() const = 0;
};

}  // namespace shoal::swarm
