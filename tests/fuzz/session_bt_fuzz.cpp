// A whole peer among others who speak BitTorrent's dialect: see session_world.hpp.
#include "tests/fuzz/session_world.hpp"
#include "tests/fuzz/watch.hpp"

// A session with its buffers, and up to 300 steps of it.
const shoal::fuzz::Bounds shoal::fuzz::bounds{
    .time = std::chrono::milliseconds{50}, .heap_per_byte = 0, .heap = 32 << 20};

void shoal::fuzz::one(ByteView input) {
  static const KnownContent known = make_known(storage::Format::hybrid);
  Script script{input};
  SessionWorld world{script, Speak::bittorrent, known};
  for (int step = 0; step < 300 && !script.empty(); ++step) {
    world.step();
    stepped();
  }
  world.end();
}
