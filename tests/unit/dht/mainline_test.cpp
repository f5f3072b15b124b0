// Names, items and filters of mainline, against the vectors of BEP 33, 42 and 44.
#include <gtest/gtest.h>

#include "dht/address_filter.hpp"
#include "dht/identity.hpp"
#include "dht/item.hpp"
#include "dht/mainline_id.hpp"

namespace shoal::dht {
namespace {

Bytes hex(std::string_view text) {
  const auto bytes = from_hex(text);
  EXPECT_TRUE(bytes) << text;
  return bytes.value_or(Bytes{});
}

// ---- BEP 44, "test vectors"
constexpr std::string_view hello = "12:Hello World!";
const Bytes author = hex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548");
const Bytes unsalted =
    hex("305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
        "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01");
const Bytes salted =
    hex("6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
        "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08");

TEST(Item, TheVectorsOfBep44) {
  crypto::initialise();
  ItemView item{as_bytes(hello), author, unsalted, {}, 1};
  EXPECT_EQ(target_of(item), mainline_key(hex("4a533d47ec9c7d95b1ad75f576cffc641853b750")));
  EXPECT_TRUE(check_item(item, {}, target_of(item)));
  item.salt = as_bytes("foobar");
  item.signature = salted;
  EXPECT_EQ(target_of(item), mainline_key(hex("411eba73b6f087ca51a3795d9c8c938d365e32c1")));
  EXPECT_TRUE(check_item(item, item.salt, target_of(item)));
  const ItemView immutable{as_bytes(hello), {}, {}, {}, 0};
  EXPECT_EQ(target_of(immutable), mainline_key(hex("e5f96f6f38320f0f33959cb4d3d656452117aadb")));
  EXPECT_TRUE(check_item(immutable, {}, target_of(immutable)));
}

TEST(Item, NothingOfItMayDiffer) {
  crypto::initialise();
  const auto key = crypto::SigningKey::from_seed(ByteArray<32>{7});
  const Item item = make_item(key, to_vector(as_bytes("salt")), 5, to_vector(as_bytes("i1e")));
  const Key target = target_of(item.view());
  EXPECT_TRUE(check_item(item.view(), item.salt, target));
  EXPECT_EQ(check_item(item.view(), as_bytes("pepper"), target).error().code, Code::mismatch);
  EXPECT_EQ(check_item(item.view(), item.salt, Key{}).error().code, Code::mismatch);
  Item newer = item;
  newer.sequence = 6;
  EXPECT_EQ(check_item(newer.view(), newer.salt, target).error().code, Code::forged);
  Item other = item;
  other.value = to_vector(as_bytes("i2e"));
  EXPECT_EQ(check_item(other.view(), other.salt, target).error().code, Code::forged);
  const ItemView immutable{as_bytes("i2e"), {}, {}, {}, 0};
  EXPECT_EQ(check_item(immutable, {}, immutable_target(as_bytes("i1e"))).error().code, Code::mismatch);
}

// ---- BEP 42, "example IDs": address, the last byte, the first 21 bits
TEST(MainlineId, HoldsTheVectorsOfBep42AndMakesSuch) {
  struct Vector {
    std::string_view address;
    std::string_view id;
  };
  for (const Vector& vector : {Vector{"124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"},
                               Vector{"21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"},
                               Vector{"65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"},
                               Vector{"84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"},
                               Vector{"43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"}}) {
    const auto address = IpAddress::parse(vector.address);
    ASSERT_TRUE(address);
    Key id = mainline_key(hex(vector.id));
    EXPECT_TRUE(bep42_valid(id, *address)) << vector.address;
    id.set_bit(20, !id.bit(20));
    EXPECT_FALSE(bep42_valid(id, *address)) << vector.address;
  }
  Random random{ByteArray<32>{1}};
  for (std::uint32_t i = 0; i < 100; ++i) {
    const IpAddress address = IpAddress::v4(0x08080000 + i);
    EXPECT_TRUE(bep42_valid(mainline_position(address, random), address));
  }
  const Key drawn = mainline_position(IpAddress::v4(0x7f000001), random);
  EXPECT_NE(drawn, mainline_position(IpAddress::v4(0x7f000001), random));
  EXPECT_EQ(drawn.bytes[20], 0);
}

// ---- BEP 33, "test vectors"
TEST(AddressFilter, TheVectorOfBep33) {
  AddressFilter filter;
  for (std::uint32_t i = 0; i < 256; ++i) filter.insert(IpAddress::v4(0xC0000200 + i));
  for (std::uint16_t i = 0; i < 0x3E8; ++i) {
    Bytes raw(16, 0);
    raw[0] = 0x20, raw[1] = 0x01, raw[2] = 0x0D, raw[3] = 0xB8;
    store_be(raw.data() + 14, i);
    filter.insert(IpAddress::from_bytes(raw));
  }
  EXPECT_EQ(to_hex(filter.view()),
            "f6c3f5eaa07ffd91bde89f777f26fb2bff37bdb8fb2bbaa2fd3ddde7bacfff75ee7ccbaefe5eedb1fbfaff67f6abff5e"
            "43ddbca3fd9b9ffdf4ffd3e9dff12d1bdf59db53dbe9fa5b7ff3b8fdfcde1afb8bedd7be2f3ee71ebbbfe93bcdeefe14"
            "8246c2bc5dbff7e7efdcf24fd8dc7adffd8fffdfddfff7a4bbeedf5cb95ce81fc7fcff1ff4ffffdfe5f7fdcbb7fd79b3"
            "fa1fc77bfe07fff905b7b7ffc7fefeffe0b8370bb0cd3f5b7f2bd93feb4386cfdd6f7fd5bfaf2e9ebffffeecd67adbf7"
            "c67f17efd5d75eba6ffeba7fff47a91eb1bfbb53e8abfb5762abe8ff237279bfefbfeef5ffc5febfdfe5adffadfee1fb"
            "737ffffbfd9f6aeffeee76b6fd8f72ef");
  EXPECT_NEAR(filter.estimate(), 1224.9308, 0.001);
}

TEST(AddressFilter, JoinsAndCountsItsOwnEnds) {
  AddressFilter empty, one, other;
  EXPECT_EQ(empty.estimate(), 0);
  one.insert(IpAddress::v4(1));
  other.insert(IpAddress::v4(2));
  EXPECT_NEAR(one.estimate(), 1, 0.01);
  one.join(other.view());
  EXPECT_NEAR(one.estimate(), 2, 0.01);
  AddressFilter full;
  full.join(Bytes(AddressFilter::size, 0xff));
  EXPECT_NEAR(full.estimate(), 7808, 10);
}

}  // namespace
}  // namespace shoal::dht
