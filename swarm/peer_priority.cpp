// BEP 40's masks: of addresses that begin alike more is looked at, so that neighbours differ, too. For IPv6,
// where the BEP leaves the borders open, as libtorrent has it.
#include "swarm/peer_priority.hpp"

#include <algorithm>
#include <utility>

#include "dht/base/crc.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint8_t half = 0x55;

// Bytes that are looked at as a whole, when the first that differs is at `at`.
std::size_t whole_bytes(Family family, std::size_t at) {
  return family == Family::v4 ? std::max<std::size_t>(at + 1, 2) : std::max<std::size_t>(at + 2, 6);
}

}  // namespace

std::uint32_t peer_priority(const Endpoint& a, const Endpoint& b) {
  if (a.address.family != b.address.family) return 0;
  const auto [first, second] = std::minmax(a, b);
  if (first.address == second.address) {
    ByteArray<4> ports;
    store_be(ports.data(), first.port);
    store_be(ports.data() + 2, second.port);
    return crc32c(ports);
  }
  const std::size_t length = first.address.view().size();
  const auto differs = std::ranges::mismatch(first.address.view(), second.address.view()).in1;
  const std::size_t whole =
      whole_bytes(first.address.family, static_cast<std::size_t>(differs - first.address.view().begin()));
  ByteArray<32> masked{};
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint8_t mask = i < whole ? 0xff : half;
    masked[i] = first.address.bytes[i] & mask;
    masked[length + i] = second.address.bytes[i] & mask;
  }
  return crc32c({masked.data(), 2 * length});
}

}  // namespace shoal::swarm
