// CRC-32C (Castagnoli, RFC 3720 B.4), by which BitTorrent ties ids (BEP 42) and priorities (BEP 40) to
// addresses. No protection against intent.
#pragma once

#include <cstdint>

#include <boost/crc.hpp>

#include "dht/base/bytes.hpp"

namespace shoal {

[[nodiscard]] inline std::uint32_t crc32c(ByteView bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

}  // namespace shoal
