#include "dht/base/crc.hpp"

#include <gtest/gtest.h>

namespace shoal {
namespace {

// RFC 3720 B.4.
TEST(Crc32c, Vectors) {
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aaU);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43U);
  Bytes rising(32);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(crc32c(rising), 0x46dd794eU);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
}

}  // namespace
}  // namespace shoal
