// The handshake of message stream encryption: noise, or genuine flights with the input laid over them, in any
// cuts. What two genuine ends do until the flight in question is done once, for several lengths of padding:
// their products of 768 bits would be most of what is fuzzed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "swarm/mse.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::swarm;

// The input changes bytes from `at` on, and goes on behind the end.
Bytes laid_over(Bytes bytes, std::size_t at, ByteView input) {
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (at + i < bytes.size())
      bytes[at + i] ^= input[i];
    else
      bytes.push_back(input[i]);
  }
  return bytes;
}

void feed(Mse& end, ByteView bytes, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size() && !end.done(); at += step) {
    ByteView part = bytes.subspan(at, std::min(step, bytes.size() - at));
    if (!end.receive(part)) return;
    if (!part.empty() && !end.done()) std::abort();  // it takes all until it has what it needs
  }
}

// Two ends, and what each has said. Copies of them go on from there.
struct Genuine {
  Genuine(const InfoHashTable& contents, std::uint8_t seed)
      : random{ByteArray<32>{seed}},
        dialler{Mse::dialler(InfoHash{1}, {}, Bytes(20, 7), random)},
        answerer{Mse::answerer(contents, {}, random)},
        first{dialler.take_reply()},
        met{answerer} {
    feed(met, first, 10'000);
    second = met.take_reply();
    Mse replies = dialler;
    feed(replies, second, 10'000);
    third = replies.take_reply();
  }
  Random random;
  Mse dialler, answerer;
  Bytes first;
  Mse met;  // the answerer that has heard the first flight
  Bytes second, third;
};

struct World {
  World() {
    contents.set(1, {InfoHash{1}});
    for (std::uint8_t seed = 0; seed < 64; ++seed) pairs.emplace_back(contents, seed);
  }
  InfoHashTable contents;
  std::vector<Genuine> pairs;
};

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  if (input.size() < 4) return;
  const std::size_t step = 1 + input[0], at = input[1] + 256U * (input[2] % 8U);
  const ByteView rest = input.subspan(4);
  static const World world;
  const Genuine& pair = world.pairs[input[3] >> 2];
  if ((input[3] & 1) != 0) {
    Mse answerer = pair.answerer;
    feed(answerer, laid_over(pair.first, at, rest), step);
  } else if ((input[3] & 2) != 0) {
    Mse dialler = pair.dialler;
    feed(dialler, laid_over(pair.second, at, rest), step);
  } else {
    Mse answerer = pair.met;
    feed(answerer, laid_over(pair.third, at, rest), step);
  }
}
