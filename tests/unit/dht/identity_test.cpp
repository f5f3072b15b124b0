// Positions against BEP 42's published vectors, and what a position binds.
#include "dht/identity.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal::dht {
namespace {

struct Vector {
  const char* address;
  std::uint8_t r;
  const char* id;
};
// The table of BEP 42.
constexpr std::array<Vector, 5> published = {{
    {"124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"},
    {"21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"},
    {"65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"},
    {"84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"},
    {"43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"},
}};

Key left_aligned(const char* hex) {
  const Bytes raw = from_hex(hex).value();
  Key out;
  std::copy(raw.begin(), raw.end(), out.bytes.begin());
  return out;
}

IpAddress public_elsewhere(IpAddress here) {
  here.bytes[3] ^= 0x11;
  return here;
}

TEST(Bep42, GivesThePublishedPrefixes) {
  for (const Vector& v : published) {
    const auto address = IpAddress::parse(v.address).value();
    const Key id = left_aligned(v.id);
    const auto expected = load_be<std::uint32_t>(id.bytes.data());
    EXPECT_EQ(bep42(address, v.r) >> (32 - address_bits), expected >> (32 - address_bits)) << v.address;
    EXPECT_TRUE(bep42_valid(id, address)) << v.address;
  }
}

TEST(Bep42, RefusesAnyOtherPrefixBitAndAnyOtherR) {
  for (const Vector& v : published) {
    const auto address = IpAddress::parse(v.address).value();
    for (int bit = 0; bit < 160; ++bit) {
      Key id = left_aligned(v.id);
      id.set_bit(bit, !id.bit(bit));
      const bool free = (bit >= address_bits && bit < 157);
      EXPECT_EQ(bep42_valid(id, address), free) << v.address << " bit " << bit;
    }
    EXPECT_TRUE(bep42_valid(left_aligned(v.id), IpAddress::parse("192.168.1.4").value()));
  }
}

TEST(Bep42, MasksTheAddress) {
  // Bits outside the mask do not matter, bits inside do.
  const auto of = [](const char* text) { return bep42(IpAddress::parse(text).value(), 3); };
  EXPECT_EQ(of("124.31.75.21"), of("120.31.75.21"));
  EXPECT_NE(of("124.31.75.21"), of("125.31.75.21"));
  EXPECT_NE(of("124.31.75.21"), of("124.31.75.22"));
  EXPECT_EQ(of("2600:1:2:3::1"), of("2600:1:2:3:ffff::9"));  // beyond the /64
  EXPECT_EQ(of("2600:1:2:3::1"), of("2400:1:2:3::1"));       // 0x26 and 0x24 under 0x01
  EXPECT_NE(of("2600:1:2:3::1"), of("2600:1:2:4::1"));
}

TEST(Position, IsBoundToAddressAndKey) {
  Random random{{}};
  for (int i = 0; i < 200; ++i) {
    const auto key = random.bytes<32>();
    const auto other_key = random.bytes<32>();
    const IpAddress here = IpAddress::v4(0x14000000U + static_cast<std::uint32_t>(random.below(1 << 24)));
    const Key position = position_of(key, here);
    EXPECT_TRUE(position_valid(position, key, here));
    EXPECT_FALSE(position_valid(position, other_key, here));
    // The checksum's input keeps 20 bits of the address; another of these gives other bits.
    EXPECT_FALSE(position_valid(position, key, public_elsewhere(here)));
    for (const int bit : {0, 20, 21, 255}) {
      Key moved = position;
      moved.set_bit(bit, !moved.bit(bit));
      EXPECT_FALSE(position_valid(moved, key, here)) << bit;
    }
    const Key hash{crypto::blake2b<32>(key)};
    EXPECT_EQ(bep42(here, hash.bytes[31]) >> 11, load_be<std::uint32_t>(position.bytes.data()) >> 11);
    for (int bit = address_bits; bit < Key::bits; ++bit) ASSERT_EQ(position.bit(bit), hash.bit(bit));
  }
}

TEST(Position, SixFamilyCountsTheSubscriberPrefix) {
  Random random{{}};
  const auto key = random.bytes<32>();
  const auto at = [&](const char* text) { return position_of(key, IpAddress::parse(text).value()); };
  EXPECT_EQ(at("2600:1:2:3::1"), at("2600:1:2:3:abcd::7"));
  EXPECT_NE(at("2600:1:2:3::1"), at("2600:1:2:4::1"));
}

TEST(Position, SkipsTheAddressPartWhereAddressesAreNotGlobal) {
  Random random{{}};
  const auto key = random.bytes<32>();
  const Key hash{crypto::blake2b<32>(key)};
  for (const char* text :
       {"127.0.0.1", "10.0.0.1", "192.168.3.4", "172.16.0.9", "169.254.1.1", "::1", "fe80::1", "fd00::1"}) {
    const auto address = IpAddress::parse(text).value();
    EXPECT_EQ(position_of(key, address), hash) << text;
    EXPECT_TRUE(position_valid(hash, key, address)) << text;
    // A neighbour may count its position from its address outside the LAN.
    EXPECT_TRUE(position_valid(position_of(key, IpAddress::v4(0x14010203)), key, address)) << text;
    Key moved = hash;
    moved.set_bit(address_bits, !moved.bit(address_bits));
    EXPECT_FALSE(position_valid(moved, key, address)) << text;
  }
  EXPECT_FALSE(position_valid(hash, key, IpAddress::v4(0x14010203)));
  EXPECT_EQ(position_of(key, IpAddress{}), hash);
}

}  // namespace
}  // namespace shoal::dht
