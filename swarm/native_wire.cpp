// What is held, copied and sealed between a stream and its messages. See native_wire.hpp.
#include "swarm/native_wire.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

// Scratch above this is given back after use, so that an idle peer holds little.
constexpr std::size_t scratch_kept = 8192;

void keep_small(Bytes& scratch) {
  if (scratch.capacity() > scratch_kept) {
    Bytes{}.swap(scratch);
  } else {
    scratch.clear();
  }
}

}  // namespace

NativeWire::NativeWire(noise::Role role, const ChannelParams& params, Random& random, BufferPool& pool)
    : pool_(&pool), channel_(role, params, random) {
  static_assert(block_front + max_block_bytes + block_back <= BufferPool::standard);
  static_assert(max_block_body <= BufferPool::standard);
}

std::unique_ptr<NativeWire> NativeWire::make_initiator(const ChannelParams& params, Random& random,
                                                       BufferPool& pool) {
  std::unique_ptr<NativeWire> out{new NativeWire{noise::Role::initiator, params, random, pool}};
  if (const auto flight = out->channel_.first_flight()) {
    out->queue(*flight);
  } else {
    out->stop(flight.error());
  }
  return out;
}

std::unique_ptr<NativeWire> NativeWire::make_responder(const ChannelParams& params, Random& random,
                                                       BufferPool& pool) {
  return std::unique_ptr<NativeWire>{new NativeWire{noise::Role::responder, params, random, pool}};
}

std::size_t NativeWire::held() const {
  return header_have_ + block_.size() + partial_.size() + reader_.pieces_bytes();
}

void NativeWire::stop(const Error& error) {
  failure_ = error;
  ready_.clear();
  pending_ = {};
  block_ = {};
  Bytes{}.swap(partial_);
  reader_ = {};
  header_have_ = 0;
}

// ---- receiving

Result<void> NativeWire::receive(Now now, ByteView bytes, std::vector<wire::Message>& out) {
  if (failure_) return std::unexpected(*failure_);
  auto taken = take(now, bytes, out);
  if (!taken) stop(taken.error());
  return taken;
}

Result<void> NativeWire::take(Now now, ByteView bytes, std::vector<wire::Message>& out) {
  while (!bytes.empty()) {
    Result<void> step;
    if (!channel_.established()) {
      Bytes reply;
      step = channel_.handshake(now, bytes, reply);
      if (step && !reply.empty()) queue(reply);
    } else if (!header_) {
      step = take_header(bytes);
    } else {
      step = take_body(now, bytes, out);
    }
    if (!step) return step;
  }
  return {};
}

Result<void> NativeWire::take_header(ByteView& bytes) {
  const std::size_t taken = std::min(frame_header_bytes - header_have_, bytes.size());
  std::copy_n(bytes.begin(), taken, header_bytes_.begin() + static_cast<std::ptrdiff_t>(header_have_));
  bytes = bytes.subspan(taken);
  header_have_ += taken;
  if (header_have_ < frame_header_bytes) return {};
  header_have_ = 0;
  auto header = channel_.read_header(header_bytes_);
  if (!header) return std::unexpected(header.error());
  header_ = *header;
  return {};
}

Result<void> NativeWire::take_body(Now now, ByteView& bytes, std::vector<wire::Message>& out) {
  const bool is_block = header_->kind == FrameKind::block;
  const std::size_t wanted = header_->body_bytes, have = block_.size() + partial_.size();
  const ByteView given = bytes.first(std::min(wanted - have, bytes.size()));
  bytes = bytes.subspan(given.size());
  if (given.size() == wanted)
    return is_block ? deliver_block(now, given, pool_->take_for(wanted), out) : deliver(now, given, out);

  if (is_block) {
    if (have == 0) block_ = pool_->take_for(wanted);
    block_.append(given);
  } else {
    append(partial_, given);
  }
  if (have + given.size() < wanted) return {};
  if (is_block) {
    Buffer whole = std::move(block_);
    const ByteView sealed = whole.view();  // opened in place
    whole.clear();
    return deliver_block(now, sealed, std::move(whole), out);
  }
  const auto delivered = deliver(now, partial_, out);
  keep_small(partial_);
  return delivered;
}

Result<void> NativeWire::deliver(Now now, ByteView sealed, std::vector<wire::Message>& out) {
  const FrameHeader header = *std::exchange(header_, std::nullopt);
  plain_.resize(sealed.size() - crypto::tag_bytes);
  auto result = channel_.open(now, header, sealed, plain_.data());
  if (result && header.kind == FrameKind::messages) result = reader_.read(plain_, out);
  keep_small(plain_);
  return result;
}

// `into`: empty, with room for `sealed`, which may lie at its start.
Result<void> NativeWire::deliver_block(Now now, ByteView sealed, Buffer&& into,
                                       std::vector<wire::Message>& out) {
  const FrameHeader header = *std::exchange(header_, std::nullopt);
  if (reader_.in_pieces()) return fail(Code::malformed, "a bitfield is interrupted");
  const std::size_t plain_bytes = sealed.size() - crypto::tag_bytes;
  if (auto opened = channel_.open(now, header, sealed, into.data()); !opened) return opened;
  into.extend(plain_bytes);
  const auto block = read_block_header(into.view());
  if (!block) return std::unexpected(block.error());
  into.drop_front(block->bytes);
  out.push_back(wire::Block{block->piece, block->begin, std::move(into)});
  return {};
}

// ---- sending

void NativeWire::send(Now now, wire::Message&& message) {
  if (auto* block = std::get_if<wire::Block>(&message)) {
    if (failure_) {
      pool_->give(std::move(block->data));
    } else {
      send_block(now, std::move(*block));
    }
    return;
  }
  if (failure_) return;
  SHOAL_CHECK(established());
  if (const auto* pieces = std::get_if<wire::Pieces>(&message);
      pieces != nullptr && pieces->form == wire::Pieces::Form::bits) {
    const ByteView bits = pieces->bits;
    SHOAL_CHECK(!bits.empty());
    for (std::size_t at = 0; at < bits.size(); at += pieces_part_bytes) {
      scratch_.clear();
      write_pieces_part(bits.size(), bits.subspan(at, std::min(pieces_part_bytes, bits.size() - at)),
                        scratch_);
      gather(now, scratch_);
    }
  } else {
    scratch_.clear();
    write_message(message, scratch_);
    gather(now, scratch_);
  }
  keep_small(scratch_);
}

void NativeWire::gather(Now now, ByteView encoded) {
  if (!pending_.empty() && pending_.room() < encoded.size() + crypto::tag_bytes) seal_pending(now);
  if (pending_.empty()) {
    pending_ = pool_->take(frame_overhead + encoded.size());
    pending_.extend(frame_header_bytes);
  }
  pending_.append(encoded);
}

void NativeWire::rekey_before(Now now, std::size_t plain_bytes) {
  if (!channel_.rekey_due(now, plain_bytes)) return;
  Buffer frame = pool_->take();
  frame.extend(frame_overhead);
  channel_.seal(now, FrameKind::rekey, frame.span());
  ready_.push_back(std::move(frame));
}

void NativeWire::seal_pending(Now now) {
  if (pending_.empty()) return;
  rekey_before(now, pending_.size() - frame_header_bytes);
  pending_.extend(crypto::tag_bytes);
  channel_.seal(now, FrameKind::messages, pending_.span());
  ready_.push_back(std::move(pending_));
}

void NativeWire::send_block(Now now, wire::Block&& block) {
  Buffer frame = std::move(block.data);
  SHOAL_CHECK(established() && !frame.empty() && frame.size() <= max_block_bytes);
  SHOAL_CHECK(frame.front_room() >= block_front && frame.room() >= block_back);
  seal_pending(now);
  scratch_.clear();
  write_block_header(block.piece, block.begin, scratch_);
  rekey_before(now, scratch_.size() + frame.size());
  frame.grow_front(frame_header_bytes + scratch_.size());
  std::copy(scratch_.begin(), scratch_.end(), frame.data() + frame_header_bytes);
  frame.extend(crypto::tag_bytes);
  channel_.seal(now, FrameKind::block, frame.span());
  ready_.push_back(std::move(frame));
}

void NativeWire::queue(ByteView raw) {
  Buffer out = pool_->take(raw.size());
  out.append(raw);
  ready_.push_back(std::move(out));
}

void NativeWire::flush(Now now, std::vector<Buffer>& out) {
  if (failure_) return;
  seal_pending(now);
  std::move(ready_.begin(), ready_.end(), std::back_inserter(out));
  ready_.clear();
}

}  // namespace shoal::swarm
