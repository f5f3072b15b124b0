// Handshake, transport keys, masked headers, rekeying. See native_channel.hpp.
#include "swarm/native_channel.hpp"

#include <algorithm>
#include <string_view>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

constexpr std::string_view prologue_label = "shoal channel 1";
constexpr std::size_t payload_bytes = 32;
constexpr std::uint32_t aes_bit = 1;  // capability: AES-256-GCM for frames

Bytes prologue(const ChannelParams& params) {
  Bytes out = to_vector(as_bytes(prologue_label));
  append(out, params.tag);
  return out;
}

ByteArray<payload_bytes> payload(const ChannelParams& params) {
  ByteArray<payload_bytes> out{};
  const bool aes = params.aes == AesOffer::where_available && crypto::AesGcm::available();
  store_be<std::uint32_t>(out.data(), aes ? aes_bit : 0);
  return out;
}

// A key of Split, bound to the cipher it is for and to all that was said in the handshake.
crypto::SymmetricKey transport_key(const crypto::SymmetricKey& split, noise::Cipher cipher,
                                   const noise::HandshakeHash& hash) {
  Bytes message = to_vector(
      as_bytes(cipher == noise::Cipher::aes_gcm ? "shoal frames AESGCM" : "shoal frames ChaChaPoly"));
  message.push_back(0);
  append(message, hash);
  return crypto::blake2b<32>(message, split);
}

}  // namespace

void NativeChannel::Mask::apply(std::uint8_t* header) {
  if (used == pool.size()) {
    ByteArray<8> nonce;
    store_be(nonce.data(), block++);
    crypto::chacha20_stream(key, nonce, pool);
    used = 0;
  }
  for (std::size_t i = 0; i < frame_header_bytes; ++i) header[i] ^= pool[used++];
}

void NativeChannel::Direction::start(Now now) {
  mask.key = cipher.derive(as_bytes("shoal frame headers"));
  mask.block = 0;
  mask.used = mask.pool.size();
  bytes = 0;
  since = now.mono;
  fresh = true;
}

NativeChannel::NativeChannel(noise::Role role, const ChannelParams& params, Random& random)
    : role_(role), params_(params) {
  static_assert(first_flight_bytes ==
                channel_tag_bytes + 32 + (32 + crypto::tag_bytes) + (payload_bytes + crypto::tag_bytes));
  static_assert(second_flight_bytes == 32 + payload_bytes + crypto::tag_bytes);
  static_assert(first_flight_bytes <= 150, "the bound on what an unproven address is sent");
  if (role == noise::Role::initiator) remote_ = params.remote;
  handshake_.emplace(noise::HandshakeParams{
      .pattern = noise::Pattern::ik_psk1,
      .cipher = noise::Cipher::chacha_poly,
      .role = role,
      .prologue = prologue(params),
      .ours = params.ours,
      .remote = params.remote,
      .psk = params.psk,
      .ephemeral = crypto::ExchangeKey::from_secret(random.bytes<32>()),
  });
}

NativeChannel::~NativeChannel() {
  crypto::wipe(params_.ours.secret);
  crypto::wipe(params_.psk);
  crypto::wipe(sending_.mask.key);
  crypto::wipe(receiving_.mask.key);
}

Result<Bytes> NativeChannel::first_flight() {
  SHOAL_CHECK(role_ == noise::Role::initiator);
  Bytes out = to_vector(params_.tag);
  if (auto written = handshake_->write(payload(params_), out); !written)
    return std::unexpected(written.error());
  SHOAL_CHECK(out.size() == first_flight_bytes);
  return out;
}

Result<void> NativeChannel::handshake(Now now, ByteView& bytes, Bytes& reply) {
  SHOAL_CHECK(!established_);
  const bool responder = role_ == noise::Role::responder;
  const std::size_t wanted = responder ? first_flight_bytes : second_flight_bytes;
  const std::size_t taken = std::min(wanted - gathered_bytes_, bytes.size());
  std::copy_n(bytes.begin(), taken, gathered_.begin() + static_cast<std::ptrdiff_t>(gathered_bytes_));
  gathered_bytes_ += taken;
  bytes = bytes.subspan(taken);
  if (gathered_bytes_ < wanted) return {};
  return responder ? respond(now, reply) : conclude(now);
}

Result<void> NativeChannel::respond(Now now, Bytes& reply) {
  const ByteView flight{gathered_.data(), first_flight_bytes};
  if (!equal(flight.first(channel_tag_bytes), params_.tag))
    return fail(Code::mismatch, "the tag of a stream is not the one it was taken for");
  Bytes said;
  if (auto read = handshake_->read(flight.subspan(channel_tag_bytes), said); !read) return read;
  SHOAL_CHECK(said.size() == payload_bytes);  // of a flight of that size
  // Not before it is proven: strangers must not fill the filter, nor learn of it.
  if (params_.replays != nullptr && !params_.replays->admit(now.wall, handshake_->remote_ephemeral()))
    return fail(Code::exists, "a handshake has been seen before");
  const auto written = handshake_->write(payload(params_), reply);
  SHOAL_CHECK(written.has_value());  // both of their keys have given a secret that is not zero already
  SHOAL_CHECK(reply.size() == second_flight_bytes);
  remote_ = handshake_->remote_static();
  establish(now, load_be<std::uint32_t>(said.data()));
  return {};
}

Result<void> NativeChannel::conclude(Now now) {
  Bytes said;
  if (auto read = handshake_->read({gathered_.data(), second_flight_bytes}, said); !read) return read;
  SHOAL_CHECK(said.size() == payload_bytes);  // of a flight of that size
  establish(now, load_be<std::uint32_t>(said.data()));
  return {};
}

void NativeChannel::establish(Now now, std::uint32_t their_bits) {
  const auto our_bits = load_be<std::uint32_t>(payload(params_).data());
  cipher_ = (our_bits & their_bits & aes_bit) != 0 ? noise::Cipher::aes_gcm : noise::Cipher::chacha_poly;
  hash_ = handshake_->hash();
  noise::TransportKeys keys = handshake_->split();
  const bool initiator = role_ == noise::Role::initiator;
  sending_.cipher.set_key(
      cipher_, transport_key(initiator ? keys.from_initiator : keys.from_responder, cipher_, hash_));
  receiving_.cipher.set_key(
      cipher_, transport_key(initiator ? keys.from_responder : keys.from_initiator, cipher_, hash_));
  crypto::wipe(keys.from_initiator);
  crypto::wipe(keys.from_responder);
  sending_.start(now);
  receiving_.start(now);
  handshake_.reset();
  crypto::wipe(params_.ours.secret);  // of no further use
  crypto::wipe(params_.psk);
  established_ = true;
}

Result<FrameHeader> NativeChannel::read_header(const ByteArray<frame_header_bytes>& masked) {
  SHOAL_CHECK(established_);
  FrameHeader out;
  out.clear = masked;
  receiving_.mask.apply(out.clear.data());
  out.body_bytes = load_be<std::uint16_t>(out.clear.data() + 1);
  if (out.clear[0] > static_cast<std::uint8_t>(FrameKind::rekey))
    return fail(Code::unsupported, "a frame of unknown kind");
  out.kind = static_cast<FrameKind>(out.clear[0]);
  switch (out.kind) {
    case FrameKind::messages:
      if (out.body_bytes <= crypto::tag_bytes) return fail(Code::malformed, "a frame has no content");
      break;
    case FrameKind::block:
      if (out.body_bytes <= crypto::tag_bytes) return fail(Code::malformed, "a frame has no content");
      if (out.body_bytes > max_block_body) return fail(Code::too_large, "a block frame is above its bound");
      break;
    case FrameKind::rekey:
      if (out.body_bytes != crypto::tag_bytes) return fail(Code::malformed, "a rekey frame has content");
      // Each costs a key schedule; a sender that uses its keys has no reason for two in a row.
      if (receiving_.fresh) return fail(Code::malformed, "a rekey follows a rekey");
      break;
  }
  return out;
}

Result<void> NativeChannel::open(Now now, const FrameHeader& header, ByteView sealed, std::uint8_t* out) {
  SHOAL_CHECK(established_ && sealed.size() == header.body_bytes);
  if (!receiving_.cipher.open(out, sealed, header.clear)) return fail(Code::forged, "a frame does not open");
  confirmed_ = true;
  receiving_.fresh = false;
  receiving_.bytes += sealed.size();
  if (header.kind == FrameKind::rekey) {
    receiving_.cipher.rekey();
    receiving_.start(now);
    ++rekeys_;
  } else if (receiving_.bytes > 2 * params_.rekey_bytes + max_body) {
    return fail(Code::too_large, "a key has been used for too many bytes");
  }
  return {};
}

bool NativeChannel::rekey_due(Now now, std::size_t plain_bytes) const {
  if (sending_.fresh) return false;
  return now.mono - sending_.since >= params_.rekey_after ||
         sending_.bytes + plain_bytes + crypto::tag_bytes > params_.rekey_bytes;
}

void NativeChannel::seal(Now now, FrameKind kind, MutableBytes frame) {
  SHOAL_CHECK(established_ && frame.size() >= frame_overhead);
  const std::size_t body = frame.size() - frame_header_bytes;
  SHOAL_CHECK(body <= max_body);
  std::uint8_t* const header = frame.data();
  header[0] = static_cast<std::uint8_t>(kind);
  store_be(header + 1, static_cast<std::uint16_t>(body));
  std::uint8_t* const at = header + frame_header_bytes;
  sending_.cipher.seal(at, {at, body - crypto::tag_bytes}, {header, frame_header_bytes});
  sending_.mask.apply(header);
  sending_.bytes += body;
  sending_.fresh = false;
  if (kind == FrameKind::rekey) {
    sending_.cipher.rekey();
    sending_.start(now);
    ++rekeys_;
  }
}

}  // namespace shoal::swarm
