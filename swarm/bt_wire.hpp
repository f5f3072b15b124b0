// BtWire: BitTorrent's dialect on one connection (wire_codec.hpp): the handshake of BEP 3 with the reserved
// bits of BEP 6, 10 and 52, then frames of a length, a kind and a body (bt_message.hpp).
//
// Nobody is proven here: who knows the info-hash is a peer. Receiving: a frame that lies whole in the bytes
// given is read straight from there; a block's payload goes straight into the pooled buffer that the message
// then owns. Who says what comes after a bitfield without having sent one has nothing (BEP 3), and a message
// that says so is put in front. Sending: small messages gather in one pooled buffer; a block gets its header
// written in front of it. No heap allocation per block beyond the pool. Held of the input: at most one frame,
// its length checked before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dht/base/buffer.hpp"
#include "swarm/bt_message.hpp"
#include "swarm/info_hash.hpp"
#include "swarm/wire_codec.hpp"

namespace shoal::swarm {

inline constexpr std::size_t bt_handshake_bytes = 1 + 19 + 8 + 20 + 20;
using BtPeerId = ByteArray<20>;  // BEP 20

// A peer id in the place where other dialects have a key. Anybody may claim any.
[[nodiscard]] crypto::PublicKey peer_name(const BtPeerId& id);

struct BtParams {
  // What is dialled with; answered is with the name that was dialled. A hybrid is one content under two.
  InfoHash info_hash{};
  std::vector<InfoHash> accepted;  // info_hash among them
  BtPeerId peer_id{};
  // That of the accepted which is v2's. Hashes are spoken of under that name alone: of a hybrid that is met
  // by v1's, other clients refuse them, whatever bit they set.
  std::optional<InfoHash> v2;
};

class BtWire final : public WireCodec {
 public:
  // Room a block's buffer must have before its payload (Buffer::front_room, as left by drop_front).
  static constexpr std::uint32_t block_front = 4 + bt_block_header_bytes;

  // The pool must outlive the object. Who dials speaks first: flush() has its handshake at once. Who answers
  // expects all bytes of the stream from the first, and says nothing before it has read an info-hash of ours.
  [[nodiscard]] static std::unique_ptr<BtWire> make_dialler(const BtParams& params, BufferPool& pool);
  [[nodiscard]] static std::unique_ptr<BtWire> make_answerer(const BtParams& params, BufferPool& pool);

  // Errors: malformed, too_large; mismatch: another content, or ourselves.
  [[nodiscard]] Result<void> receive(Now now, ByteView bytes, std::vector<wire::Message>& out) override;
  [[nodiscard]] bool established() const override { return established_; }
  [[nodiscard]] crypto::PublicKey remote_key() const override { return peer_name(remote_id_); }
  [[nodiscard]] Speech speech() const override { return {theirs().fast, theirs().hashes}; }
  // Precondition: established().
  void send(Now now, wire::Message&& message) override;
  void flush(Now now, std::vector<Buffer>& out) override;
  [[nodiscard]] std::uint32_t block_lead() const override { return block_front; }

  [[nodiscard]] const BtPeerId& remote_id() const { return remote_id_; }
  [[nodiscard]] const InfoHash& named() const { return named_; }  // by the other end, once established
  [[nodiscard]] const BtExtensions& theirs() const { return reader_.theirs(); }
  [[nodiscard]] std::size_t held() const;  // bytes of input, for tests and reports

 private:
  BtWire(const BtParams& params, BufferPool& pool) : params_(params), pool_(&pool) {}
  void say_handshake();
  [[nodiscard]] Result<void> take(ByteView bytes, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> take_handshake(ByteView& bytes);
  [[nodiscard]] Result<void> take_header(ByteView& bytes, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> take_body(ByteView& bytes, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> take_block(ByteView& bytes, std::vector<wire::Message>& out);
  void gather(ByteView body);

  BtParams params_;
  BufferPool* pool_;
  BtReader reader_;
  bool answers_ = false, established_ = false;
  bool pieces_named_ = false;  // by the other end
  BtPeerId remote_id_{};
  InfoHash named_{};

  // Receiving.
  Bytes partial_;               // of the handshake, a header or a body that is no block
  std::size_t body_bytes_ = 0;  // of the frame under way; 0: its length is awaited
  bool is_block_ = false;
  Buffer block_;

  // Sending.
  Bytes scratch_;
  Buffer pending_;
  std::vector<Buffer> ready_;
  std::optional<Error> failure_;
};

}  // namespace shoal::swarm
