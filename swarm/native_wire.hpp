// NativeWire: the native dialect on one connection (wire_codec.hpp): NativeChannel below, messages of
// native_message above, and between them what may be held and copied.
//
// Receiving: a frame that lies whole in the bytes given is decrypted straight from there, a block into a
// pooled buffer that the message then owns; a frame split between two calls is gathered first, a block in the
// very buffer it will stay in. Sending: small messages gather in one pooled buffer and become one frame at
// flush(), or before a block, so that order is kept; a block is sealed where it lies. No heap allocation per
// block beyond the pool.
//
// Held of the input: at most one frame, and never more than has come of it (a block's buffer excepted).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dht/base/buffer.hpp"
#include "dht/base/random.hpp"
#include "swarm/native_channel.hpp"
#include "swarm/native_message.hpp"
#include "swarm/wire_codec.hpp"

namespace shoal::swarm {

class NativeWire final : public WireCodec {
 public:
  // Room a block's buffer must have: block_front bytes before the payload (Buffer::front_room, as left by
  // drop_front) and block_back behind it. BufferPool::standard has both for 16 KiB.
  static constexpr std::uint32_t block_front = frame_header_bytes + max_block_lead;
  static constexpr std::uint32_t block_back = crypto::tag_bytes;

  // The pool and params.replays must outlive the object. `random` is only used here. After make_initiator,
  // flush() has the first flight. make_responder expects all bytes of the stream from the first, the tag
  // included.
  [[nodiscard]] static std::unique_ptr<NativeWire> make_initiator(const ChannelParams& params, Random& random,
                                                                  BufferPool& pool);
  [[nodiscard]] static std::unique_ptr<NativeWire> make_responder(const ChannelParams& params, Random& random,
                                                                  BufferPool& pool);

  [[nodiscard]] Result<void> receive(Now now, ByteView bytes, std::vector<wire::Message>& out) override;
  [[nodiscard]] bool established() const override { return channel_.established(); }
  [[nodiscard]] crypto::PublicKey remote_key() const override { return channel_.remote_static(); }
  // Precondition: established(), and bounds of native_message.hpp. After an error nothing is sent any more.
  void send(Now now, wire::Message&& message) override;
  void flush(Now now, std::vector<Buffer>& out) override;
  [[nodiscard]] std::uint32_t block_lead() const override { return block_front; }

  // A frame of the other end has been opened, so it is no replay.
  [[nodiscard]] bool confirmed() const { return channel_.confirmed(); }
  [[nodiscard]] const NativeChannel& channel() const { return channel_; }
  // Bytes of input held, for tests and reports.
  [[nodiscard]] std::size_t held() const;

 private:
  NativeWire(noise::Role role, const ChannelParams& params, Random& random, BufferPool& pool);

  [[nodiscard]] Result<void> take(Now now, ByteView bytes, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> take_header(ByteView& bytes);
  [[nodiscard]] Result<void> take_body(Now now, ByteView& bytes, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> deliver(Now now, ByteView sealed, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> deliver_block(Now now, ByteView sealed, Buffer&& into,
                                           std::vector<wire::Message>& out);
  void send_block(Now now, wire::Block&& block);
  void gather(Now now, ByteView encoded);
  void seal_pending(Now now);
  void rekey_before(Now now, std::size_t plain_bytes);
  void queue(ByteView raw);
  void stop(const Error& error);

  BufferPool* pool_;
  NativeChannel channel_;
  MessageReader reader_;

  // Receiving.
  ByteArray<frame_header_bytes> header_bytes_{};
  std::size_t header_have_ = 0;
  std::optional<FrameHeader> header_;  // of the frame whose body is awaited
  Buffer block_;                       // a block's body so far
  Bytes partial_;                      // any other body so far
  Bytes plain_;                        // scratch: the messages of one frame

  // Sending.
  Bytes scratch_;   // one message
  Buffer pending_;  // header room, then small messages
  std::vector<Buffer> ready_;
  std::optional<Error> failure_;
};

}  // namespace shoal::swarm
