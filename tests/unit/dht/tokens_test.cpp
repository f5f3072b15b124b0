// Tokens: whom they bind, how long they live, and forgeries (THREATS A13).
#include "dht/tokens.hpp"

#include <gtest/gtest.h>

#include "dht/base/random.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using test::at_second;
using test::public_host;

class TokensTest : public testing::Test {
 protected:
  Random random_{{}};
  Tokens tokens_{random_.bytes<32>()};
  Endpoint asker_{public_host(1, 2), 6881};
  Key key_{random_.bytes<32>()};
};

TEST_F(TokensTest, AreGoodForTheirAskerAlone) {
  const Now now = at_second(0);
  const auto token = tokens_.issue(now, asker_, key_);
  EXPECT_TRUE(tokens_.accepts(now, token, asker_, key_));
  EXPECT_FALSE(tokens_.accepts(now, token, {asker_.address, 6882}, key_));
  EXPECT_FALSE(tokens_.accepts(now, token, {public_host(1, 3), 6881}, key_));
  EXPECT_FALSE(tokens_.accepts(now, token, asker_, Key{random_.bytes<32>()}));
  EXPECT_FALSE(Tokens{random_.bytes<32>()}.accepts(now, token, asker_, key_));
  // An IPv6 address of the same bytes is another address.
  IpAddress six = asker_.address;
  six.family = Family::v6;
  EXPECT_FALSE(tokens_.accepts(now, token, {six, 6881}, key_));
}

TEST_F(TokensTest, LiveFiveToTenMinutes) {
  for (int start = 0; start < 300; start += 7) {
    const auto token = tokens_.issue(at_second(start), asker_, key_);
    for (int later = 0; later <= 300; later += 10)
      EXPECT_TRUE(tokens_.accepts(at_second(start + later), token, asker_, key_)) << start << '+' << later;
    EXPECT_FALSE(tokens_.accepts(at_second(start + 600), token, asker_, key_));
    EXPECT_FALSE(tokens_.accepts(at_second(start + 86'400), token, asker_, key_));
    EXPECT_FALSE(tokens_.accepts(at_second(start - 301), token, asker_, key_)) << "not before its time";
  }
}

TEST_F(TokensTest, BelowTheClocksOriginEpochsHaveTheSameLength) {
  const Now early{Instant{std::chrono::seconds{-1}}, test::some_day};
  const auto token = tokens_.issue(early, asker_, key_);
  EXPECT_TRUE(tokens_.accepts({Instant{std::chrono::seconds{299}}, test::some_day}, token, asker_, key_));
  EXPECT_FALSE(tokens_.accepts({Instant{std::chrono::seconds{301}}, test::some_day}, token, asker_, key_));
}

TEST_F(TokensTest, OtherLengthsAreRefused) {
  const auto token = tokens_.issue(at_second(0), asker_, key_);
  Bytes longer = to_vector(token);
  longer.push_back(0);
  EXPECT_FALSE(tokens_.accepts(at_second(0), longer, asker_, key_));
  EXPECT_FALSE(tokens_.accepts(at_second(0), ByteView{token}.first(7), asker_, key_));
  EXPECT_FALSE(tokens_.accepts(at_second(0), {}, asker_, key_));
}

// Tokens of addresses under the attacker's control, tried for a victim's address: as they are, combined by
// XOR, and shifted by the difference of the addresses, ports and keys (what breaks CRC and XOR schemes).
TEST_F(TokensTest, KnownTokensForgeNoOther) {
  const Now now = at_second(100);
  const Endpoint victim{public_host(77, 1), 6881};
  struct Known {
    Endpoint endpoint;
    Key key;
    ByteArray<8> token;
  };
  std::vector<Known> known;
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    const Endpoint mine{public_host(1 + i % 50, 1 + i % 200), static_cast<std::uint16_t>(1 + i)};
    known.push_back({mine, key_, tokens_.issue(now, mine, key_)});
  }
  int accepted = 0;
  const auto attempt = [&](const ByteArray<8>& token) {
    accepted += tokens_.accepts(now, token, victim, key_) ? 1 : 0;
  };
  for (int i = 0; i < 250'000; ++i) {
    const Known& a = known[random_.below(known.size())];
    const Known& b = known[random_.below(known.size())];
    const Known& c = known[random_.below(known.size())];
    attempt(a.token);
    ByteArray<8> mixed = a.token;
    for (std::size_t j = 0; j < 8; ++j) mixed[j] ^= b.token[j] ^ c.token[j];
    attempt(mixed);
    ByteArray<8> shifted = a.token;
    for (std::size_t j = 0; j < 4; ++j) shifted[j] ^= a.endpoint.address.bytes[j] ^ victim.address.bytes[j];
    for (std::size_t j = 0; j < 2; ++j)
      shifted[4 + j] ^= static_cast<std::uint8_t>((a.endpoint.port ^ victim.port) >> (8 * (1 - j)));
    attempt(shifted);
    attempt(random_.bytes<8>());
  }
  EXPECT_EQ(accepted, 0);
}

}  // namespace
}  // namespace shoal::dht
