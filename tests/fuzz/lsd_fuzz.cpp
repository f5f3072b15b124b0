// Local service discovery: what is read is within its bounds and reads back as written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "swarm/lsd.hpp"
#include "tests/fuzz/watch.hpp"

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  using namespace swarm;
  const auto call = lsd::decode(input);
  if (!call) return;
  const auto again = lsd::decode(lsd::encode(Family::v4, *call));
  if (!again || again->port != call->port || again->contents != call->contents ||
      again->cookie != call->cookie)
    std::abort();
}
