// Local service discovery: what is read is within its bounds and reads back as written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "swarm/lsd.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  using namespace shoal::swarm;
  const auto call = lsd::decode({data, size});
  if (!call) return 0;
  const auto again = lsd::decode(lsd::encode(Family::v4, *call));
  if (!again || again->port != call->port || again->contents != call->contents ||
      again->cookie != call->cookie)
    std::abort();
  return 0;
}
