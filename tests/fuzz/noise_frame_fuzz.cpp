// The native channel fed by somebody without keys and, since random bytes never open, by a member that seals
// what the fuzzer wants: kind, body and the sizes in which the stream arrives. Nothing but an error or
// messages may come of it.
//
// First byte: who speaks. 0..84 raw bytes to a responder, 85..169 raw bytes to an initiator, else sealed
// frames: kind (1), length (2), body, and so on.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "swarm/native_wire.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::swarm;

struct World {
  Random random{{}};
  BufferPool pool;
  ChannelParams initiator, responder;
  Now now{Instant{std::chrono::hours{1}}, from_unix_ms(1'800'000'000'000)};
  std::vector<wire::Message> got;
  World() {
    static const auto keys = [] {
      crypto::initialise();
      Random some{{}};
      return std::array{crypto::ExchangeKey::from_secret(some.bytes<32>()),
                        crypto::ExchangeKey::from_secret(some.bytes<32>())};
    }();
    initiator.ours = keys[0];
    responder.ours = keys[1];
    initiator.remote = responder.ours.public_key;
    initiator.aes = responder.aes = AesOffer::never;
    initiator.rekey_bytes = responder.rekey_bytes = 100'000;
  }
  Bytes flushed(NativeWire& wire) {
    std::vector<Buffer> frames;
    wire.flush(now, frames);
    Bytes out;
    for (const Buffer& frame : frames) append(out, frame.view());
    return out;
  }
  // In pieces whose sizes follow from the bytes themselves. false: refused, and then silent for ever.
  bool feed(NativeWire& wire, ByteView bytes) {
    while (!bytes.empty()) {
      const std::size_t n = std::min<std::size_t>(bytes.size(), 1 + bytes[0] * std::size_t{7});
      if (!wire.receive(now, bytes.first(n), got)) {
        if (!flushed(wire).empty() || wire.held() != 0) std::abort();
        return false;
      }
      bytes = bytes.subspan(n);
    }
    return true;
  }
};

void raw(bool to_responder, ByteView input) {
  World world;
  const auto victim = to_responder ? NativeWire::make_responder(world.responder, world.random, world.pool)
                                   : NativeWire::make_initiator(world.initiator, world.random, world.pool);
  (void)world.flushed(*victim);
  (void)world.feed(*victim, input);
  if (!world.got.empty() || victim->established() || !world.flushed(*victim).empty()) std::abort();
}

void sealed(ByteView input) {
  World world;
  NativeChannel attacker{noise::Role::initiator, world.initiator, world.random};
  const auto victim = NativeWire::make_responder(world.responder, world.random, world.pool);
  if (!world.feed(*victim, attacker.first_flight().value())) std::abort();
  const Bytes answer = world.flushed(*victim);
  ByteView rest = answer;
  Bytes none;
  if (!attacker.handshake(world.now, rest, none) || !attacker.established()) std::abort();

  Bytes stream;
  while (input.size() > 3) {
    const auto kind = static_cast<FrameKind>(input[0] % 4);
    const std::size_t size =
        std::min<std::size_t>(load_be<std::uint16_t>(input.data() + 1), input.size() - 3);
    const std::size_t body = std::min(size, max_body - crypto::tag_bytes);
    const std::size_t begin = stream.size();
    stream.resize(begin + frame_header_bytes);
    append(stream, input.subspan(3, body));
    stream.resize(stream.size() + crypto::tag_bytes);
    attacker.seal(world.now, kind, MutableBytes{stream}.subspan(begin));
    input = input.subspan(3 + size);
  }
  (void)world.feed(*victim, stream);
  for (const wire::Message& message : world.got)
    if (const auto* block = std::get_if<wire::Block>(&message))
      if (block->data.empty() || block->data.size() > max_block_bytes) std::abort();
}

}  // namespace

// Both ends are here. The shortest messages take two bytes, and are values of many.
const shoal::fuzz::Bounds shoal::fuzz::bounds{.heap_per_byte = 2 * sizeof(wire::Message), .heap = 256 << 10};

void shoal::fuzz::one(ByteView input) {
  if (input.empty()) return;
  const ByteView rest = input.subspan(1);
  if (input[0] < 170) {
    raw(input[0] < 85, rest);
  } else {
    sealed(rest);
  }
}
