// See bt_wire.hpp.
#include "swarm/bt_wire.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "dht/base/check.hpp"
#include "swarm/limits.hpp"

namespace shoal::swarm {
namespace {

constexpr std::string_view protocol =
    "\x13"
    "BitTorrent protocol";
constexpr std::size_t reserved_at = protocol.size(), hash_at = reserved_at + 8, id_at = hash_at + 20;
static_assert(id_at + 20 == bt_handshake_bytes);
// Bits of the reserved bytes, by byte.
constexpr std::size_t extended_byte = 5, last_byte = 7;
constexpr std::uint8_t extended_bit = 0x10, dht_bit = 0x01, fast_bit = 0x04, v2_bit = 0x10;

constexpr std::size_t length_bytes = 4;
constexpr std::size_t block_header = bt_block_header_bytes;
constexpr std::size_t scratch_kept = 8192;

// The longest body of a kind.
std::size_t most_of(std::uint8_t kind) {
  if (kind == bt_piece_kind) return block_header + limits::max_block_bytes;
  return kind == bt_bitfield_kind ? 1 + max_pieces_bytes : bt_control_bytes;
}

// Moves bytes to `into` until it has `wanted`; false: more are needed.
bool gather_until(Bytes& into, std::size_t wanted, ByteView& bytes) {
  const std::size_t taken = std::min(wanted - into.size(), bytes.size());
  append(into, bytes.first(taken));
  bytes = bytes.subspan(taken);
  return into.size() == wanted;
}

void empty(Bytes& scratch) {
  if (scratch.capacity() > scratch_kept)
    Bytes{}.swap(scratch);
  else
    scratch.clear();
}

}  // namespace

crypto::PublicKey peer_name(const BtPeerId& id) {
  crypto::PublicKey out{};
  std::ranges::copy(id, out.begin());
  return out;
}

std::unique_ptr<BtWire> BtWire::make_dialler(const BtParams& params, BufferPool& pool) {
  std::unique_ptr<BtWire> out{new BtWire{params, pool}};
  out->say_handshake();
  return out;
}

std::unique_ptr<BtWire> BtWire::make_answerer(const BtParams& params, BufferPool& pool) {
  std::unique_ptr<BtWire> out{new BtWire{params, pool}};
  out->answers_ = true;
  return out;
}

std::size_t BtWire::held() const { return partial_.size() + block_.size(); }

void BtWire::say_handshake() {
  ByteArray<8> reserved{};
  reserved[extended_byte] = extended_bit;
  reserved[last_byte] = dht_bit | fast_bit;
  if (params_.info_hash == params_.v2) reserved[last_byte] |= v2_bit;
  Buffer out = pool_->take(bt_handshake_bytes);
  out.append(as_bytes(protocol));
  out.append(reserved);
  out.append(params_.info_hash);
  out.append(params_.peer_id);
  ready_.push_back(std::move(out));
}

// ---- receiving

Result<void> BtWire::receive(Now, ByteView bytes, std::vector<wire::Message>& out) {
  if (failure_) return std::unexpected(*failure_);
  auto taken = take(bytes, out);
  if (!taken) {
    failure_ = taken.error();
    ready_.clear();
    pending_ = {};
    block_ = {};
    Bytes{}.swap(partial_);
  }
  return taken;
}

Result<void> BtWire::take(ByteView bytes, std::vector<wire::Message>& out) {
  while (!bytes.empty()) {
    Result<void> step;
    if (!established_)
      step = take_handshake(bytes);
    else if (body_bytes_ == 0)
      step = take_header(bytes, out);
    else if (is_block_)
      step = take_block(bytes, out);
    else
      step = take_body(bytes, out);
    if (!step) return step;
  }
  return {};
}

Result<void> BtWire::take_handshake(ByteView& bytes) {
  const bool whole = gather_until(partial_, bt_handshake_bytes, bytes);
  const std::size_t seen = std::min(partial_.size(), protocol.size());
  if (!equal(ByteView{partial_}.first(seen), as_bytes(protocol).first(seen)))
    return fail(Code::malformed, "a handshake names the protocol");
  if (!whole) return {};
  named_ = to_array<20>(ByteView{partial_}.subspan(hash_at));
  remote_id_ = to_array<20>(ByteView{partial_}.subspan(id_at));
  if (std::ranges::find(params_.accepted, named_) == params_.accepted.end())
    return fail(Code::mismatch, "a handshake names a content of ours");
  if (remote_id_ == params_.peer_id) return fail(Code::mismatch, "nobody trades with himself");
  const std::uint8_t* reserved = partial_.data() + reserved_at;
  BtExtensions theirs;
  theirs.extended = (reserved[extended_byte] & extended_bit) != 0;
  theirs.fast = (reserved[last_byte] & fast_bit) != 0;
  theirs.dht = (reserved[last_byte] & dht_bit) != 0;
  theirs.hashes = named_ == params_.v2;  // the bit is for who is met by v1's name, and not all set it
  reader_.set_reserved(theirs);
  empty(partial_);
  if (answers_) {
    params_.info_hash = named_;  // the other end may know it by this name alone
    say_handshake();
  }
  established_ = true;
  return {};
}

Result<void> BtWire::take_header(ByteView& bytes, std::vector<wire::Message>& out) {
  if (!gather_until(partial_, std::max(length_bytes, partial_.size()), bytes)) return {};
  const std::size_t length = load_be<std::uint32_t>(partial_.data());
  if (length == 0) {
    empty(partial_);
    out.emplace_back(wire::KeepAlive{});
    return {};
  }
  if (bytes.empty()) return {};  // its kind is not here yet
  const std::uint8_t kind = bytes.front();
  if (length > most_of(kind)) return fail(Code::too_large, "a frame has at most the size of its kind");
  const BtOrder order = bt_order(kind);
  if (order == BtOrder::after_pieces && !pieces_named_) out.emplace_back(wire::Pieces{});
  pieces_named_ = pieces_named_ || order != BtOrder::any;
  is_block_ = kind == bt_piece_kind;
  if (is_block_ && length <= block_header) return fail(Code::malformed, "a block has bytes");
  body_bytes_ = length;
  empty(partial_);
  return {};
}

Result<void> BtWire::take_body(ByteView& bytes, std::vector<wire::Message>& out) {
  ByteView body = bytes;
  if (partial_.empty() && bytes.size() >= body_bytes_) {
    body = bytes.first(body_bytes_);
    bytes = bytes.subspan(body_bytes_);
  } else {
    if (!gather_until(partial_, body_bytes_, bytes)) return {};
    body = partial_;
  }
  body_bytes_ = 0;
  auto read = reader_.read(body, out);
  empty(partial_);
  return read;
}

Result<void> BtWire::take_block(ByteView& bytes, std::vector<wire::Message>& out) {
  if (partial_.size() < block_header && !gather_until(partial_, block_header, bytes)) return {};
  if (block_.capacity() == 0) block_ = pool_->take_for(body_bytes_ - block_header);
  const std::size_t taken = std::min(body_bytes_ - block_header - block_.size(), bytes.size());
  block_.append(bytes.first(taken));
  bytes = bytes.subspan(taken);
  if (block_.size() < body_bytes_ - block_header) return {};
  out.emplace_back(wire::Block{load_be<std::uint32_t>(partial_.data() + 1),
                               load_be<std::uint32_t>(partial_.data() + 5), std::exchange(block_, {})});
  body_bytes_ = 0;
  empty(partial_);
  return {};
}

// ---- sending

void BtWire::send(Now, wire::Message&& message) {
  auto* block = std::get_if<wire::Block>(&message);
  if (failure_) {
    if (block != nullptr) pool_->give(std::move(block->data));
    return;
  }
  SHOAL_CHECK(established_);
  if (block == nullptr) {
    scratch_.clear();
    write_bt(message, theirs(), scratch_);
    if (!scratch_.empty() || std::holds_alternative<wire::KeepAlive>(message)) gather(scratch_);
    empty(scratch_);
    return;
  }
  if (!pending_.empty()) ready_.push_back(std::exchange(pending_, {}));
  Buffer frame = std::move(block->data);
  SHOAL_CHECK(!frame.empty() && frame.size() <= limits::max_block_bytes && frame.front_room() >= block_front);
  const auto length = static_cast<std::uint32_t>(block_header + frame.size());
  frame.grow_front(block_front);
  store_be(frame.data(), length);
  write_bt_block_header(block->piece, block->begin, frame.data() + length_bytes);
  ready_.push_back(std::move(frame));
}

void BtWire::gather(ByteView body) {
  if (!pending_.empty() && pending_.room() < length_bytes + body.size())
    ready_.push_back(std::exchange(pending_, {}));
  if (pending_.empty()) pending_ = pool_->take(length_bytes + body.size());
  ByteArray<length_bytes> length;
  store_be(length.data(), static_cast<std::uint32_t>(body.size()));
  pending_.append(length);
  pending_.append(body);
}

void BtWire::flush(Now, std::vector<Buffer>& out) {
  if (!pending_.empty()) ready_.push_back(std::exchange(pending_, {}));
  std::move(ready_.begin(), ready_.end(), std::back_inserter(out));
  ready_.clear();
}

}  // namespace shoal::swarm
