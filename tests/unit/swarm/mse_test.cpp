// MSE: RC4 and Diffie-Hellman against known answers, every pair of policies, bytes one by one, and liars.
#include "swarm/mse.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using obfuscation::Rc4;

TEST(Rc4, TheVectorsOfRfc6229) {
  const auto key = from_hex("0102030405");
  Rc4 cipher{*key};
  Bytes stream(1024 + 16, 0);
  cipher.apply(stream);
  EXPECT_EQ(to_hex(ByteView{stream}.first(32)),
            "b2396305f03dc027ccc3524a0a1118a86982944f18fc82d589c403a47a0d0919");
  EXPECT_EQ(to_hex(ByteView{stream}.subspan(1024)), "30abbcc7c20b01609f23ee2d5f6bb7df");
}

TEST(Obfuscation, BothHaveOneSecretAndStrangeNumbersAreRefused) {
  Random random{{}};
  for (int i = 0; i < 20; ++i) {
    const obfuscation::DhSecret a = random.bytes<20>(), b = random.bytes<20>();
    const auto one = obfuscation::dh_shared(a, obfuscation::dh_public(b));
    EXPECT_TRUE(one);
    EXPECT_EQ(one, obfuscation::dh_shared(b, obfuscation::dh_public(a)));
  }
  // 2 ^ 3, left padded.
  obfuscation::DhSecret three{};
  three[19] = 3;
  obfuscation::DhNumber eight{};
  eight[95] = 8;
  EXPECT_EQ(obfuscation::dh_public(three), eight);
  obfuscation::DhNumber number{};
  EXPECT_FALSE(obfuscation::dh_shared(three, number));  // 0
  number[95] = 1;
  EXPECT_FALSE(obfuscation::dh_shared(three, number));
  number.fill(0xff);
  EXPECT_FALSE(obfuscation::dh_shared(three, number));  // beyond P
}

TEST(Rc4, ACopyGoesOnByItself) {
  const Bytes key(16, 7);
  obfuscation::Rc4 one{key}, other{key};
  obfuscation::Rc4& same = one;
  one = same;
  Bytes a(5, 1), b(5, 1), c(5, 1);
  one.apply(a);
  other.apply(b);
  EXPECT_EQ(a, b);
  obfuscation::Rc4 copy{one};
  other = one;
  one.apply(a);
  copy.apply(b);
  EXPECT_EQ(a, b);
  one.apply({});  // takes nothing of the stream
  one.apply(c);
  Bytes d(5, 1);
  copy.apply(d);
  EXPECT_EQ(c, d);
}

constexpr InfoHash first{1}, second{2}, unknown{3};
constexpr MseMethods both{}, plain_only{.plain = true, .rc4 = false}, rc4_only{.plain = false, .rc4 = true};

InfoHashTable table_of(const std::vector<InfoHash>& hashes) {
  InfoHashTable out;
  out.set(1, hashes);
  return out;
}
const InfoHashTable contents = table_of({first, second});

struct Ends {
  Random random{ByteArray<32>{4}};
  Mse a, b;
  Bytes at_a, at_b;  // of the stream, behind the handshake, as it came
  bool ok = true;
  Ends(const InfoHash& named, MseMethods offered, MseMethods accepted, std::uint8_t seed = 4)
      : random(ByteArray<32>{seed}),
        a(Mse::dialler(named, offered, to_vector(as_bytes("hello")), random)),
        b(Mse::answerer(contents, accepted, random)) {}
  // `step` bytes at a time.
  void carry(std::size_t step) {
    for (bool moved = true; moved && ok;) {
      moved = deliver(a, b, at_b, step);
      moved = deliver(b, a, at_a, step) || moved;
    }
  }
  bool deliver(Mse& from, Mse& to, Bytes& rest, std::size_t step) {
    const Bytes bytes = from.take_reply();
    for (std::size_t at = 0; at < bytes.size() && ok; at += step) {
      ByteView part = ByteView{bytes}.subspan(at, std::min(step, bytes.size() - at));
      ok = to.receive(part).has_value();
      append(rest, part);
    }
    return !bytes.empty();
  }
};

class Steps : public testing::TestWithParam<std::size_t> {};
TEST_P(Steps, BothEndsComeToTheSameStream) {
  for (std::uint8_t seed = 0; seed < 10; ++seed) {  // other keys, other padding
    Ends ends{second, both, both, seed};
    ends.carry(GetParam());
    ASSERT_TRUE(ends.ok && ends.a.done() && ends.b.done());
    EXPECT_EQ(ends.b.content(), second);
    EXPECT_EQ(as_text(ends.b.take_initial()), "hello");
    EXPECT_TRUE(ends.at_a.empty() && ends.at_b.empty());
    for (auto* direction : {&ends.a, &ends.b}) {
      Mse& from = *direction;
      Mse& to = direction == &ends.a ? ends.b : ends.a;
      auto sending = from.take_sending(), receiving = to.take_receiving();
      ASSERT_TRUE(sending && receiving);
      Bytes text = to_vector(as_bytes("some text of a stream"));
      sending->apply(text);
      EXPECT_NE(as_text(text), "some text of a stream");
      receiving->apply(text);
      EXPECT_EQ(as_text(text), "some text of a stream");
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, Steps, testing::Values(1, 7, 100, 10'000));

TEST(Mse, TheMethodIsOneThatBothTake) {
  struct Case {
    MseMethods offered, accepted;
    bool agreed, rc4;
  };
  for (const Case& one :
       {Case{both, both, true, true}, Case{both, plain_only, true, false}, Case{both, rc4_only, true, true},
        Case{plain_only, both, true, false}, Case{plain_only, plain_only, true, false},
        Case{plain_only, rc4_only, false, false}, Case{rc4_only, both, true, true},
        Case{rc4_only, plain_only, false, false}, Case{rc4_only, rc4_only, true, true}}) {
    Ends ends{first, one.offered, one.accepted};
    ends.carry(1000);
    EXPECT_EQ(ends.ok && ends.a.done() && ends.b.done(), one.agreed);
    if (!one.agreed) continue;
    EXPECT_EQ(ends.a.take_sending().has_value(), one.rc4);
    EXPECT_EQ(ends.b.take_receiving().has_value(), one.rc4);
  }
}

// RC4 under the handshake's keys is malleable: what is flipped on the way is flipped in the answer.
TEST(Mse, AnAnswerThatChoosesNoneOrManyIsRefused) {
  for (std::uint8_t chosen = 0; chosen < 8; ++chosen) {
    Ends ends{first, both, rc4_only};
    ASSERT_TRUE(ends.deliver(ends.a, ends.b, ends.at_b, 1000));
    ASSERT_TRUE(ends.deliver(ends.b, ends.a, ends.at_a, 1000));
    ASSERT_TRUE(ends.deliver(ends.a, ends.b, ends.at_b, 1000));
    Bytes answer = ends.b.take_reply();
    ASSERT_EQ(answer.size(), 8 + 4 + 2U);
    answer[8 + 3] ^= 2 ^ chosen;  // which is 2: RC4
    ByteView bytes{answer};
    const auto received = ends.a.receive(bytes);
    EXPECT_EQ(received.has_value(), chosen == 1 || chosen == 2) << int{chosen};
    if (!received) {
      EXPECT_EQ(received.error().code, Code::unsupported);
    }
  }
}

TEST(Mse, WhoNamesNoContentOfOursHearsNoMore) {
  Ends ends{unknown, both, both};
  ends.carry(1000);
  EXPECT_FALSE(ends.ok);
  EXPECT_TRUE(ends.b.take_reply().empty());
}

TEST(Mse, AStrangeNumberForAKeyEndsIt) {
  for (const std::uint8_t byte : {std::uint8_t{0}, std::uint8_t{0xff}}) {
    Random random{ByteArray<32>{4}};
    Mse answerer = Mse::answerer(contents, both, random);
    const Bytes number(96, byte);
    ByteView part{number};
    EXPECT_FALSE(answerer.receive(part));
    EXPECT_TRUE(answerer.take_reply().empty());
  }
}

TEST(Mse, WhoOnlyConnectsHearsNothing) {
  Random random{{}};
  Mse answerer = Mse::answerer(contents, both, random);
  EXPECT_TRUE(answerer.take_reply().empty());
  const Bytes few(95, 7);
  ByteView bytes{few};
  EXPECT_TRUE(answerer.receive(bytes));
  EXPECT_TRUE(answerer.take_reply().empty());
}

// What follows the handshake in the same bytes is the stream's.
TEST(Mse, NothingOfTheStreamIsSwallowed) {
  Ends ends{first, both, both};
  Bytes to_b = ends.a.take_reply();
  ByteView bytes{to_b};
  ASSERT_TRUE(ends.b.receive(bytes));
  Bytes to_a = ends.b.take_reply();
  bytes = to_a;
  ASSERT_TRUE(ends.a.receive(bytes));
  to_b = ends.a.take_reply();
  append(to_b, as_bytes("stream"));
  bytes = to_b;
  ASSERT_TRUE(ends.b.receive(bytes));
  EXPECT_TRUE(ends.b.done());
  EXPECT_EQ(as_text(bytes), "stream");
}

TEST(Mse, NoiseIsRefusedWithinItsBound) {
  Random random{{}};
  for (int i = 0; i < 20; ++i) {
    Mse answerer = Mse::answerer(contents, both, random);
    Bytes noise(2000);
    random.fill(noise);
    noise[0] = 0;  // below P
    ByteView bytes{noise};
    EXPECT_FALSE(answerer.receive(bytes));
    EXPECT_GE(bytes.size(), noise.size() - (96 + 512 + 20 + 20 + 1));
  }
}

TEST(Mse, EveryChangedByteOfTheSecondFlightIsNoticed) {
  for (std::size_t changed = 0; changed < 40 + 8; ++changed) {
    Ends ends{first, both, both};
    Bytes bytes = ends.a.take_reply();
    ByteView view{bytes};
    ASSERT_TRUE(ends.b.receive(view));
    bytes = ends.b.take_reply();
    view = bytes;
    ASSERT_TRUE(ends.a.receive(view));
    bytes = ends.a.take_reply();
    bytes[changed] ^= 0x40;
    append(bytes, Bytes(700, 1));
    view = bytes;
    EXPECT_FALSE(ends.b.receive(view)) << changed;
  }
}

}  // namespace
}  // namespace shoal::swarm
