// Tests of dht/base/bytes.hpp: integers in network order, hexadecimal, base32 and their strictness.
#include "dht/base/bytes.hpp"

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

TEST(Bytes, IntegersAreBigEndian) {
  ByteArray<8> raw{};
  store_be<std::uint32_t>(raw.data(), 0x01020304);
  EXPECT_EQ(to_hex(raw), "0102030400000000");
  store_be<std::uint64_t>(raw.data(), 0xfedcba9876543210ULL);
  EXPECT_EQ(load_be<std::uint64_t>(raw.data()), 0xfedcba9876543210ULL);
  EXPECT_EQ(load_be<std::uint16_t>(raw.data() + 6), 0x3210);
  EXPECT_EQ(load_be<std::uint8_t>(raw.data()), 0xfe);
  Bytes out;
  append_be<std::uint16_t>(out, 0xabcd);
  append_be<std::uint8_t>(out, 1);
  EXPECT_EQ(to_hex(out), "abcd01");
}

TEST(Bytes, EqualComparesLengthAndContents) {
  EXPECT_TRUE(equal({}, {}));
  EXPECT_TRUE(equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal(as_bytes("abc"), as_bytes("ab")));
  EXPECT_EQ(to_array<2>(as_bytes("abc")), (ByteArray<2>{'a', 'b'}));
}

TEST(Bytes, HexTakesEitherCaseAndRefusesTheRest) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0x7f, 0xff}), "007fff");
  EXPECT_EQ(from_hex("007FfF").value(), (Bytes{0x00, 0x7f, 0xff}));
  EXPECT_TRUE(from_hex("").value().empty());
  for (const char* bad : {"0", "abc", "0g", "g0", " 00", "0x", "-1", "00 "})
    EXPECT_FALSE(from_hex(bad)) << bad;
  EXPECT_FALSE(from_hex(std::string_view{"0\0", 2}));
  EXPECT_FALSE(from_hex("\xc3\xa9"));
}

TEST(Bytes, Base32MatchesRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "my"},
      {"fo", "mzxq"},
      {"foo", "mzxw6"},
      {"foob", "mzxw6yq"},
      {"fooba", "mzxw6ytb"},
      {"foobar", "mzxw6ytboi"},
  };
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(to_base32(as_bytes(plain)), text);
    const auto back = from_base32(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(as_text(*back), plain);
  }
  EXPECT_EQ(as_text(from_base32("MZXW6YTBOI").value()), "foobar");
}

TEST(Bytes, Base32IsStrict) {
  for (const char* malformed :
       {"a", "aaa", "aaaaaa", "my======", "m1", "m0", "m8", "m9", "m ", "m-", "mzxw6y=="})
    EXPECT_EQ(from_base32(malformed).error().code, Code::malformed) << malformed;
  // The right length and alphabet, but bits beyond the last byte that are not zero.
  for (const char* spare : {"mz", "mzxr", "mzxw7", "mzxw6yr", "77"})
    EXPECT_EQ(from_base32(spare).error().code, Code::non_canonical) << spare;
  EXPECT_FALSE(from_base32(std::string_view{"m\0", 2}));
}

TEST(Bytes, SpellingsRoundTrip) {
  Random random{Random::Seed{1}};
  for (std::size_t size = 0; size < 200; ++size) {
    Bytes bytes(size);
    random.fill(bytes);
    EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
    EXPECT_EQ(from_base32(to_base32(bytes)).value(), bytes);
  }
  // Every pair of base32 digits is either refused or the one spelling of its byte.
  const std::string digits = "abcdefghijklmnopqrstuvwxyz234567";
  int accepted = 0;
  for (char a : digits)
    for (char b : digits) {
      const std::string text{a, b};
      if (const auto bytes = from_base32(text)) {
        ++accepted;
        EXPECT_EQ(to_base32(*bytes), text);
      }
    }
  EXPECT_EQ(accepted, 256);
}

}  // namespace
}  // namespace shoal
