// The handshake of message stream encryption: noise, or genuine flights with the input laid over them, in any
// cuts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

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

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  if (input.size() < 4) return;
  const std::size_t step = 1 + input[0], at = input[1] + 256U * (input[2] % 8U);
  const ByteView rest = input.subspan(4);
  const InfoHash content{1};
  InfoHashTable contents;
  contents.set(1, {content});
  Random random{ByteArray<32>{input[3]}};
  Mse dialler = Mse::dialler(content, {}, Bytes(20, 7), random),
      answerer = Mse::answerer(contents, {}, random);
  if ((input[3] & 1) != 0) {
    feed(answerer, laid_over(dialler.take_reply(), at, rest), step);
    return;
  }
  feed(answerer, dialler.take_reply(), 10'000);
  const Bytes key = answerer.take_reply();
  if ((input[3] & 2) != 0) {
    feed(dialler, laid_over(key, at, rest), step);
    return;
  }
  feed(dialler, key, 10'000);
  feed(answerer, laid_over(dialler.take_reply(), at, rest), step);
}
