// The native datagram's decoder: whatever it accepts re-encodes to the same bytes (THREATS A16, A17).
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "dht/limits.hpp"
#include "dht/native_codec.hpp"
#include "tests/fuzz/watch.hpp"

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  const dht::NativeCodec codec;
  // As it came, and behind a right header, so that the map is reached from any input.
  Bytes framed{dht::native_first_byte};
  append_be(framed, dht::native_network_id);
  append(framed, input);
  for (const ByteView datagram : {input, ByteView{framed}}) {
    const auto message = codec.decode(datagram);
    if (!message) continue;
    Bytes again;
    codec.encode(*message, again);
    if (!equal(again, datagram) || datagram.size() > dht::limits::datagram) std::abort();
  }
}
