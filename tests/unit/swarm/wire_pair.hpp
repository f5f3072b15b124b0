// Two NativeWires and the stream between them, for tests: the bytes of each side are kept, and given to the
// other in pieces of the test's choosing.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"
#include "swarm/native_wire.hpp"

namespace shoal::swarm::test {

inline Now at(Duration since_start) {
  return {
      Instant{std::chrono::hours{1}} + since_start,
      from_unix_ms(1'800'000'000'000) + std::chrono::duration_cast<std::chrono::milliseconds>(since_start)};
}

// How many bytes to give next, of so many that wait; 1 at least.
using Chunks = std::function<std::size_t(std::size_t waiting)>;
inline Chunks whole() {
  return [](std::size_t waiting) { return waiting; };
}
inline Chunks of(std::size_t size) {
  return [size](std::size_t) { return size; };
}
inline Chunks random_chunks(Random& random, std::size_t most) {
  return [&random, most](std::size_t) { return 1 + random.below(most); };
}

struct Parties {
  Random random{{}};
  BufferPool pool;
  ReplayFilter replays;
  ChannelParams initiator, responder;

  Parties() {
    crypto::initialise();
    initiator.ours = crypto::ExchangeKey::from_secret(random.bytes<32>());
    responder.ours = crypto::ExchangeKey::from_secret(random.bytes<32>());
    initiator.remote = responder.ours.public_key;
    initiator.psk = responder.psk = random.bytes<32>();
    initiator.tag = responder.tag = random.bytes<16>();
    responder.replays = &replays;
  }
};

// Everything a codec wants to send, as one string of bytes; its buffers go back to the pool.
inline Bytes flushed(WireCodec& codec, Now now, BufferPool& pool) {
  std::vector<Buffer> frames;
  codec.flush(now, frames);
  Bytes out;
  for (Buffer& frame : frames) {
    append(out, frame.view());
    pool.give(std::move(frame));
  }
  return out;
}

struct Pair : Parties {
  std::unique_ptr<NativeWire> a, b;  // initiator, responder
  std::vector<wire::Message> at_a, at_b;
  Now now = at(Duration{});
  std::uint64_t carried = 0;

  Pair() { open(); }
  void open() {
    a = NativeWire::make_initiator(initiator, random, pool);
    b = NativeWire::make_responder(responder, random, pool);
  }
  Result<void> give(NativeWire& to, ByteView bytes, std::vector<wire::Message>& out, const Chunks& chunks) {
    carried += bytes.size();
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), chunks(bytes.size()));
      if (auto done = to.receive(now, bytes.first(n), out); !done) return done;
      bytes = bytes.subspan(n);
    }
    return {};
  }
  // Carries bytes both ways until nothing is left to carry.
  void pump(const Chunks& chunks = whole()) {
    for (bool moved = true; moved;) {
      moved = false;
      for (const bool forward : {true, false}) {
        const Bytes bytes = flushed(forward ? *a : *b, now, pool);
        moved = moved || !bytes.empty();
        const auto done = give(forward ? *b : *a, bytes, forward ? at_b : at_a, chunks);
        ASSERT_TRUE(done) << done.error().rule;
      }
    }
  }
  void establish() {
    pump();
    ASSERT_TRUE(a->established());
    ASSERT_TRUE(b->established());
  }
  // A block as the disk leaves it: `lead` bytes of room before the payload.
  wire::Block block(std::uint32_t piece, std::uint32_t begin, std::size_t size) {
    Buffer data = pool.take();
    data.extend(a->block_lead());
    data.drop_front(a->block_lead());
    data.extend(size);
    random.fill(data.span());
    return {piece, begin, std::move(data)};
  }
};

}  // namespace shoal::swarm::test
