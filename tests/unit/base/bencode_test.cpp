// Tests of dht/base/bencode.hpp: what is refused and why, look-ups, round trips, the writer's checks. The
// table of refused inputs is one function, longer than others, because it is a list.
#include "dht/base/bencode.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"
#include "tests/unit/base/reencode.hpp"

namespace shoal::bencode {
namespace {

Result<Document> parse(std::string_view text, Limits limits = {}) {
  return Document::parse(as_bytes(text), limits);
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

using namespace std::string_literals;

// What a lenient reader does with an input that a strict one refuses.
enum class Lenient { refuses, accepts };
struct Reject {
  std::string input;
  Code code;
  Lenient lenient = Lenient::refuses;
};

std::vector<Reject> rejects() {
  constexpr auto m = Code::malformed;
  constexpr auto n = Code::non_canonical;
  constexpr auto l = Code::too_large;
  constexpr auto ok = Lenient::accepts;
  return {
      // Nothing, or nothing known.
      {"", m},
      {" ", m},
      {"e", m},
      {"x", m},
      {"-", m},
      {"-1e", m},
      {"\0"s, m},
      {"\xff", m},
      {"I1e", m},
      {"L e", m},
      {"D e", m},
      {":", m},
      {":a", m},
      {"null", m},
      {"{}", m},
      {"\x80", m},
      // Integers.
      {"i", m},
      {"ie", m},
      {"i-", m},
      {"i-e", m},
      {"i1", m},
      {"i12", m},
      {"i-1", m},
      {"i--1e", m},
      {"i+1e", m},
      {"i 1e", m},
      {"i1 e", m},
      {"i1.0e", m},
      {"i1e5e", m},
      {"iae", m},
      {"i0x1e", m},
      {"i1:e", m},
      {"i1-e", m},
      {"i\0e"s, m},
      {"i1\0e"s, m},
      {"i00e", n},
      {"i01e", n},
      {"i-0e", n},
      {"i-00e", n},
      {"i-01e", n},
      {"i007e", n},
      {"i" + repeat("0", 50) + "e", n},
      {"i9223372036854775808e", l},
      {"i-9223372036854775809e", l},
      {"i18446744073709551615e", l},
      {"i18446744073709551616e", l},
      {"i99999999999999999999999e", l},
      {"i" + repeat("9", 5000) + "e", l},
      {"i-" + repeat("9", 5000) + "e", l},
      {"i" + repeat("1", 5000), m},
      // Strings.
      {"0", m},
      {"1", m},
      {"1:", m},
      {"3:ab", m},
      {"2:a", m},
      {"00:", n},
      {"01:a", n},
      {"000000001:a", n},
      {"1a", m},
      {"1 :a", m},
      {"1;a", m},
      {"-1:a", m},
      {"+1:a", m},
      {"4294967295:", m},
      {"4294967296:a", m},
      {"4294967297:a", m},
      {"9223372036854775807:a", m},
      {"18446744073709551615:a", m},
      {"18446744073709551616:", m},
      {"18446744073709551617:a", m},
      {"36893488147419103233:a", m},
      {repeat("9", 5000) + ":a", m},
      {repeat("9", 5000), m},
      {"999999999999:" + repeat("a", 100), m},
      // Ends and trailing bytes.
      {"i1ei2e", m},
      {"i1e ", m},
      {"1:ab", m},
      {"0:0:", m},
      {"lee", m},
      {"dee", m},
      {"le\n", m},
      {"i0e\0"s, m},
      {"d1:ai1eee", m},
      // Lists.
      {"l", m},
      {"li1e", m},
      {"l1:a", m},
      {"l1:", m},
      {"lx", m},
      {"l:e", m},
      {"ll", m},
      {"lle", m},
      {"li01ee", n},
      {"l-e", m},
      // Dicts.
      {"d", m},
      {"d1:a", m},
      {"d1:ae", m},
      {"d1:ai1e", m},
      {"di1ei2ee", m},
      {"dlei1ee", m},
      {"ddei1ee", m},
      {"d1:ai1e1:be", m},
      {"d1:ai1e1:b", m},
      {"d01:ai1ee", n},
      {"d1:a1:b1:ce", m},
      {"d-1:ai1ee", m},
      {"d9:ai1ee", m},
      {"d1:bi1e1:ai2ee", n, ok},
      {"d1:ai1e1:ai2ee", n, ok},
      {"d2:aai1e1:ai2ee", n, ok},
      {"d1:ai1e0:i2ee", n, ok},
      {"d0:i1e0:i2ee", n, ok},
      {"d1:\xff"
       "i1e1:\x01i2ee",
       n, ok},
      {"d1:ad1:bi1e1:ai1eee", n, ok},
      {"ld1:bi1e1:ai2eee", n, ok},
      {"d1:ai1e1:bi2e1:ai3ee", n, ok},
      {"d1:a0:1:B0:e", n, ok},
      {"d2:a\0i1e1:ai2ee"s, n, ok},
      // Bombs.
      {repeat("l", 33) + repeat("e", 33), l},
      {repeat("l", 100'000), l},
      {repeat("l", 100'000) + repeat("e", 100'000), l},
      {repeat("d0:", 100'000), l},
      {repeat("d1:a", 33) + "0:" + repeat("e", 33), l},
      {repeat("ld0:", 50'000), l},
      {"l" + repeat("0:", 512) + "e", l},
      {"l" + repeat("le", 100'000) + "e", l},
      {"l" + repeat("i0e", 100'000) + "e", l},
      {"l" + repeat("de", 600) + "e", l},
      {"l" + repeat("d0:0:e", 171) + "e", l},
  };
}

TEST(Bencode, RefusesAHundredBadInputsAndSaysWhy) {
  const auto all = rejects();
  EXPECT_GE(all.size(), 100U);
  for (const Reject& reject : all) {
    const std::string shown = reject.input.substr(0, 60);
    const auto strict = parse(reject.input);
    ASSERT_FALSE(strict) << shown;
    EXPECT_EQ(strict.error().code, reject.code) << shown << ": " << strict.error().rule;
    EXPECT_STRNE(strict.error().rule, "");
    Limits lenient;
    lenient.mode = Mode::lenient;
    EXPECT_EQ(parse(reject.input, lenient).has_value(), reject.lenient == Lenient::accepts) << shown;
  }
}

TEST(Bencode, EveryPrefixOfAGoodDocumentIsRefused) {
  const std::string good =
      "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";
  ASSERT_TRUE(parse(good));
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(parse(good.substr(0, n))) << n;
}

TEST(Bencode, TakesTheBordersOfItsLimits) {
  EXPECT_EQ(parse("i9223372036854775807e").value().root().integer(), INT64_MAX);
  EXPECT_EQ(parse("i-9223372036854775808e").value().root().integer(), INT64_MIN);
  EXPECT_EQ(parse("i0e").value().root().integer(), 0);
  EXPECT_TRUE(parse(repeat("l", 32) + repeat("e", 32)));
  EXPECT_TRUE(parse("l" + repeat("0:", 511) + "e"));
  EXPECT_TRUE(parse("l" + repeat("d0:0:e", 170) + "e"));  // 511 values and keys
  Limits flat;
  flat.depth = 1;
  EXPECT_TRUE(parse("l0:e", flat));
  EXPECT_EQ(parse("llee", flat).error().code, Code::too_large);
  flat.depth = 0;
  EXPECT_TRUE(parse("i1e", flat));
  EXPECT_FALSE(parse("le", flat));
  flat.tokens = 0;
  EXPECT_FALSE(parse("i1e", flat));
}

TEST(Bencode, FindsAndWalks) {
  const std::string text = "d1:ai-5e1:b4:spam1:cl1:x0:i7eledee1:dd1:kleee";
  const auto document = parse(text);
  ASSERT_TRUE(document);
  const Value root = document->root();
  EXPECT_EQ(root.type(), Type::dict);
  EXPECT_EQ(root.size(), 4U);
  EXPECT_EQ(root.find("a").integer(), -5);
  EXPECT_EQ(root.find("b").text(), "spam");
  EXPECT_EQ(as_text(*root.find("b").string()), "spam");
  EXPECT_EQ(as_text(root.find("c").raw()), "l1:x0:i7eledee");
  EXPECT_EQ(as_text(root.find("d").raw()), "d1:klee");
  EXPECT_EQ(as_text(root.find("b").raw()), "4:spam");
  EXPECT_EQ(as_text(root.find("a").raw()), "i-5e");
  EXPECT_EQ(root.raw().size(), text.size());
  std::string keys;
  for (auto item = root.first(); item; item = item.next()) keys += as_text(item.key());
  EXPECT_EQ(keys, "abcd");

  const Value list = root.find("c");
  EXPECT_EQ(list.size(), 5U);
  auto item = list.first();
  EXPECT_EQ(item.text(), "x");
  EXPECT_TRUE(item.key().empty());
  item = item.next();
  EXPECT_EQ(item.text(), "");
  item = item.next();
  EXPECT_EQ(item.integer(), 7);
  item = item.next();
  EXPECT_EQ(item.type(), Type::list);
  EXPECT_EQ(item.size(), 0U);
  EXPECT_FALSE(item.first());
  EXPECT_EQ(as_text(item.raw()), "le");
  item = item.next();
  EXPECT_EQ(item.type(), Type::dict);
  EXPECT_FALSE(item.find("a"));
  EXPECT_FALSE(item.next());
  EXPECT_TRUE(root.find("d").find("k"));
  EXPECT_FALSE(root.next());
}

TEST(Bencode, FailedLookUpsAnswerNothing) {
  const auto document = parse("d1:bi1e1:d0:e");
  ASSERT_TRUE(document);
  for (const char* key : {"", "a", "c", "e", "bb", "B"}) {
    const Value none = document->root().find(key);
    EXPECT_FALSE(none) << key;
    EXPECT_FALSE(none.integer());
    EXPECT_FALSE(none.string());
    EXPECT_FALSE(none.text());
    EXPECT_TRUE(none.raw().empty());
    EXPECT_TRUE(none.key().empty());
    EXPECT_EQ(none.size(), 0U);
    EXPECT_FALSE(none.find("a"));
    EXPECT_FALSE(none.first());
    EXPECT_FALSE(none.next());
  }
  EXPECT_FALSE(document->root().integer());
  EXPECT_FALSE(document->root().string());
  EXPECT_FALSE(document->root().find("b").string());
  EXPECT_FALSE(document->root().find("d").integer());
  EXPECT_FALSE(document->root().find("b").find("x"));
}

TEST(Bencode, LenientTakesTheFirstOfEqualKeys) {
  Limits lenient;
  lenient.mode = Mode::lenient;
  const auto document = parse("d1:zi1e1:ai2e1:zi3e1:mi4ee", lenient);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().find("z").integer(), 1);
  EXPECT_EQ(document->root().find("a").integer(), 2);
  EXPECT_EQ(document->root().find("m").integer(), 4);
  EXPECT_EQ(document->root().size(), 4U);
}

TEST(Bencode, DocumentsMove) {
  auto first = parse("l1:ae");
  ASSERT_TRUE(first);
  Document second = std::move(*first);
  EXPECT_EQ(second.root().first().text(), "a");
}

// A random value of bounded size, written in canonical form.
void write_random(Random& random, Writer& out, int depth) {
  switch (depth == 0 ? random.below(2) : random.below(4)) {
    case 0: {
      const auto shift = static_cast<int>(random.below(64));
      out.integer(static_cast<std::int64_t>(random.next()) >> shift);
      break;
    }
    case 1: {
      Bytes bytes(static_cast<std::size_t>(random.below(random.below(10) == 0 ? 300 : 12)));
      random.fill(bytes);
      out.string(bytes);
      break;
    }
    case 2:
      out.begin_list();
      for (auto n = random.below(5); n > 0; --n) write_random(random, out, depth - 1);
      out.end();
      break;
    default: {
      out.begin_dict();
      std::vector<std::string> keys;
      for (auto n = random.below(5); n > 0; --n)
        keys.emplace_back(as_text(random.bytes<3>()).substr(random.below(4)));
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      for (const auto& key : keys) {
        out.key(key);
        write_random(random, out, depth - 1);
      }
      out.end();
    }
  }
}

TEST(Bencode, RandomDocumentsRoundTrip) {
  Random random{Random::Seed{1}};
  Limits limits;
  limits.tokens = 10'000;
  for (int i = 0; i < 5000; ++i) {
    Bytes text;
    Writer writer{text};
    write_random(random, writer, static_cast<int>(random.below(6)));
    const auto document = Document::parse(text, limits);
    ASSERT_TRUE(document) << to_hex(text) << ' ' << document.error().rule;
    EXPECT_EQ(test::reencode(*document), text);
    EXPECT_TRUE(equal(document->root().raw(), text));
  }
}

TEST(Bencode, WhatSurvivesMutationStillHasOneSpelling) {
  Random random{Random::Seed{2}};
  Limits limits;
  limits.tokens = 10'000;
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes text;
    Writer writer{text};
    write_random(random, writer, 3);
    for (auto n = random.below(3) + 1; n > 0 && !text.empty(); --n) {
      const auto at = static_cast<std::size_t>(random.below(text.size()));
      constexpr std::string_view alphabet = "0123456789:ilde-a";
      switch (random.below(3)) {
        case 0:
          text[at] = static_cast<std::uint8_t>(alphabet[random.below(alphabet.size())]);
          break;
        case 1:
          text.erase(text.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        default:
          text.insert(text.begin() + static_cast<std::ptrdiff_t>(at),
                      static_cast<std::uint8_t>(random.next()));
      }
    }
    const auto document = Document::parse(text, limits);
    if (!document) continue;
    ++accepted;
    EXPECT_EQ(test::reencode(*document), text);
  }
  EXPECT_GT(accepted, 500);
}

TEST(Bencode, WritesWhatBep3Shows) {
  Bytes out;
  Writer writer{out};
  writer.begin_dict().key("cow").string("moo").key("spam");
  writer.begin_list().string("a").integer(-3).raw(as_bytes("de")).end().end();
  EXPECT_EQ(as_text(out), "d3:cow3:moo4:spaml1:ai-3edeee");
  Bytes borders;
  Writer{borders}.begin_list().integer(INT64_MIN).integer(INT64_MAX).integer(0).string("").end();
  EXPECT_EQ(as_text(borders), "li-9223372036854775808ei9223372036854775807ei0e0:e");
}

TEST(BencodeDeathTest, TheWriterChecksItsCaller) {
  Bytes out;
  EXPECT_DEATH(Writer{out}.end(), "frames_");
  EXPECT_DEATH(Writer{out}.key("a"), "frames_");
  EXPECT_DEATH(Writer{out}.begin_list().key("a"), "dict");
  EXPECT_DEATH(Writer{out}.begin_dict().integer(1), "wants_value");
  EXPECT_DEATH(Writer{out}.begin_dict().key("a").end(), "wants_value");
  EXPECT_DEATH(Writer{out}.begin_dict().key("a").key("b"), "wants_value");
  EXPECT_DEATH(Writer{out}.begin_dict().key("b").integer(1).key("a"), "last");
  EXPECT_DEATH(Writer{out}.begin_dict().key("a").integer(1).key("a"), "last");
  EXPECT_DEATH(Writer{out}.begin_dict().key("a").integer(1).integer(1), "wants_value");
}

TEST(Bencode, LargeMetadataIsLinear) {
  // A file tree of 100,000 names, within the limits for metadata; found by key, walked, and spelled again.
  Bytes text;
  Writer writer{text};
  writer.begin_dict();
  for (int i = 0; i < 100'000; ++i) {
    writer.key("file" + std::to_string(1'000'000 + i)).begin_dict().key("length").integer(i).end();
  }
  writer.end();
  Limits limits;
  limits.tokens = 2'500'000;
  const auto document = Document::parse(text, limits);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().size(), 100'000U);
  EXPECT_EQ(document->root().find("file1099999").find("length").integer(), 99'999);
  EXPECT_FALSE(document->root().find("file1100000"));
  EXPECT_EQ(test::reencode(*document), text);
}

}  // namespace
}  // namespace shoal::bencode
