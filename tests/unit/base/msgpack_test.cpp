// Tests of dht/base/msgpack.hpp: canonical form alone is accepted, claims cost nothing, round trips.
#include "dht/base/msgpack.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"
#include "tests/unit/base/reencode.hpp"

namespace shoal::pack {
namespace {

using namespace std::string_literals;

Bytes hex(std::string_view text) {
  std::string digits;
  for (char c : text)
    if (c != ' ') digits += c;
  return from_hex(digits).value();
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string written(void (*write)(Writer&)) {
  Bytes out;
  Writer writer{out};
  write(writer);
  return to_hex(out);
}

TEST(Pack, WritesTheShortestForms) {
  EXPECT_EQ(written([](Writer& w) { w.nil().boolean(false).boolean(true); }), "c0c2c3");
  EXPECT_EQ(
      written([](Writer& w) { w.number(0).number(127).number(128).number(255).number(256).number(65535); }),
      "007fcc80ccffcd0100cdffff");
  EXPECT_EQ(
      written([](Writer& w) { w.number(65536).number(0xffffffff).number(0x100000000).number(UINT64_MAX); }),
      "ce00010000ceffffffffcf0000000100000000cfffffffffffffffff");
  EXPECT_EQ(written([](Writer& w) {
              w.integer(5).integer(-1).integer(-32).integer(-33).integer(-128).integer(-129);
            }),
            "05ffe0d0dfd080d1ff7f");
  EXPECT_EQ(written([](Writer& w) { w.integer(-32768).integer(-32769).integer(INT32_MIN); }),
            "d18000d2ffff7fffd280000000");
  EXPECT_EQ(written([](Writer& w) {
              w.integer(std::int64_t{INT32_MIN} - 1).integer(INT64_MIN).integer(INT64_MAX);
            }),
            "d3ffffffff7fffffffd38000000000000000cf7fffffffffffffff");
  EXPECT_EQ(written([](Writer& w) { w.text("").text("ab").binary({}).binary(as_bytes("ab")); }),
            "a0a26162c400c4026162");
  EXPECT_EQ(written([](Writer& w) { w.array(0).array(15).array(16).array(65535).array(65536); }),
            "909fdc0010dcffffdd00010000");
  EXPECT_EQ(written([](Writer& w) { w.map(0).map(15).map(16).map(65535).map(65536); }),
            "808fde0010deffffdf00010000");
}

TEST(Pack, LengthFormsAtTheirBorders) {
  for (std::size_t size : {0U, 1U, 31U, 32U, 255U, 256U, 65'535U, 65'536U, 70'000U}) {
    const std::string text(size, 'x');
    Bytes out;
    Writer{out}.array(2).text(text).binary(as_bytes(text));
    const auto document = Document::parse(out, {});
    ASSERT_TRUE(document) << size;
    EXPECT_EQ(document->root().at(0).text(), text);
    EXPECT_EQ(as_text(*document->root().at(1).binary()), text);
    EXPECT_EQ(test::reencode(*document), out);
  }
  for (std::uint32_t count : {0U, 15U, 16U, 65'535U, 65'536U}) {
    Bytes out;
    Writer writer{out};
    writer.array(2).array(count);
    for (std::uint32_t i = 0; i < count; ++i) writer.nil();
    writer.map(count);
    for (std::uint32_t i = 0; i < count; ++i) writer.number(i).boolean(true);
    Limits limits;
    limits.tokens = 200'000;
    const auto document = Document::parse(out, limits);
    ASSERT_TRUE(document) << count;
    EXPECT_EQ(document->root().at(0).size(), count);
    EXPECT_EQ(document->root().at(1).size(), count);
    EXPECT_EQ(test::reencode(*document), out);
  }
}

TEST(Pack, RefusesEveryOtherSpelling) {
  const std::string longest = repeat("61", 31);
  for (const std::string& input : std::vector<std::string>{
           // Unsigned integers in a longer form.
           "cc00"s,
           "cc7f"s,
           "cd0000"s,
           "cd007f"s,
           "cd00ff"s,
           "ce00000000"s,
           "ce0000ffff"s,
           "cf0000000000000000"s,
           "cf00000000ffffffff"s,
           // Signed forms of what is not negative, also where no longer than the unsigned one.
           "d000"s,
           "d07f"s,
           "d10000"s,
           "d10080"s,
           "d10100"s,
           "d17fff"s,
           "d200000000"s,
           "d200010000"s,
           "d27fffffff"s,
           "d30000000000000000"s,
           "d30000000100000000"s,
           "d37fffffffffffffff"s,
           // Negative ones in a longer form.
           "d0ff"s,
           "d0e0"s,
           "d1ffff"s,
           "d1ff80"s,
           "d2ffffffff"s,
           "d2ffff8000"s,
           "d3ffffffffffffffff"s,
           "d3ffffffff80000000"s,
           // Lengths.
           "d900"s,
           "d90161"s,
           "d91f" + longest,
           "da0000"s,
           "da000161"s,
           "da00ff" + repeat("61", 255),
           "db00000000"s,
           "db0000000161"s,
           "db0000ffff" + repeat("61", 65535),
           "c50000"s,
           "c5000161"s,
           "c500ff" + repeat("61", 255),
           "c600000000"s,
           "c60000000161"s,
           "c60000ffff" + repeat("61", 65535),
           "dc0000"s,
           "dc0001c0"s,
           "dc000f" + repeat("c0", 15),
           "dd00000000"s,
           "dd00000001c0"s,
           "dd00000010" + repeat("c0", 16),
           "de0000"s,
           "de000100c0"s,
           "df00000000"s,
           "df0000000100c0"s,
           // Nested, after good values, and as a key.
           "92c0cc01"s,
           "9191d000"s,
           "8100cc05"s,
           "81cc01c0"s,
           "81d001c0"s,
           "820000ce00000001c0"s,
           // Floats, extensions, timestamps.
           "ca00000000"s,
           "cb0000000000000000"s,
           "d40000"s,
           "d5000000"s,
           "d600000000"
           "00"s,
           "d6ff00000000"s,
           "d7ff0000000000000000"s,
           "d8" + repeat("00", 17),
           "c70000"s,
           "c7010000"s,
           "c8000000"s,
           "c8000100"
           "00"s,
           "c90000000000"s,
           "c90000000100"
           "00"s,
           "91ca00000000"s,
           "8100ca00000000"s,
           // Keys: not unsigned integers, not rising.
           "81ffc0"s,
           "81a161c0"s,
           "81c0c0"s,
           "81c2c0"s,
           "81c40161c0"s,
           "8190c0"s,
           "8180c0"s,
           "819101c0"s,
           "81810000c0"s,
           "8200c000c0"s,
           "8201c000c0"s,
           "8305c006c005c0"s,
           "82ccffc0ccfec0"s,
           "91820100"
           "0000"s,
           "8200820100"
           "00000100"s,
       }) {
    const Bytes bytes = hex(input);
    const auto document = Document::parse(bytes, {});
    ASSERT_FALSE(document) << input.substr(0, 60);
    EXPECT_EQ(document.error().code, Code::non_canonical)
        << input.substr(0, 60) << ' ' << document.error().rule;
  }
}

TEST(Pack, RefusesWhatIsNoValueOrNotAll) {
  for (const char* input :
       {"", "c1", "91c1", "81c1c0", "8100c1",
        // Truncated.
        "cc", "cd00", "ce000000", "cf00000000000000", "d0", "d1ff", "d2ffffff", "d3ffffffffffffff", "a1",
        "a261", "d9", "d920", "d92061", "da", "da01", "da0100", "db", "db00010000", "c4", "c401", "c40261",
        "c5", "c501", "c50100", "c6", "c600010000", "dc", "dc00", "dc0010", "dd", "dd000000", "de", "de00",
        "df", "df000000", "91", "92c0", "81", "8100", "820000",
        "820000"
        "01",
        "919191", "9191", "ca000000", "c7", "c70500", "d4", "d400",
        // Trailing.
        "c0c0", "0000", "9000", "8000", "a16161", "c4016161", "91c0c0", "8100c000"}) {
    const auto document = Document::parse(hex(input), {});
    ASSERT_FALSE(document) << input;
    EXPECT_EQ(document.error().code, Code::malformed) << input << ' ' << document.error().rule;
  }
}

TEST(Pack, ClaimsOfHugeSizesAreRefusedAtOnce) {
  // Were any of these believed, the test would run out of memory or of patience.
  for (const char* input : {"ddffffffff", "dfffffffff", "ddffffffffc0", "df80000000", "dbffffffff",
                            "c6ffffffff", "dcffff", "deffff", "92ddffffffffc0c0", "8100dfffffffff",
                            "dd7fffffffdd7fffffffdd7fffffff", "c9ffffffff00", "9f", "8f",
                            "de8000"
                            "00c0",
                            "dc0010"
                            "c0c0c0"})
    EXPECT_FALSE(Document::parse(hex(input), {})) << input;
  // As many elements as bytes are there, but the parts cannot all fit.
  EXPECT_FALSE(Document::parse(hex("dc0100" + repeat("dc00f0", 85)), {}));
  Limits wide;
  wide.tokens = ~std::uint32_t{0};
  wide.depth = 1'000'000;
  EXPECT_EQ(Document::parse(hex("ddfffffffe"), wide).error().code, Code::malformed);
  EXPECT_EQ(Document::parse(hex("df7fffffff"), wide).error().code, Code::malformed);
}

TEST(Pack, DepthIsBounded) {
  EXPECT_TRUE(Document::parse(hex(repeat("91", 7) + "90"), {}));
  EXPECT_EQ(Document::parse(hex(repeat("91", 8) + "90"), {}).error().code, Code::too_large);
  EXPECT_EQ(Document::parse(hex(repeat("91", 1'000'000) + "90"), {}).error().code, Code::too_large);
  EXPECT_EQ(Document::parse(hex(repeat("8100", 9) + "c0"), {}).error().code, Code::too_large);
  Limits none;
  none.depth = 0;
  EXPECT_TRUE(Document::parse(hex("c0"), none));
  EXPECT_FALSE(Document::parse(hex("90"), none));
  none.depth = -1;
  EXPECT_FALSE(Document::parse(hex("90"), none));
}

TEST(Pack, ValuesAreBounded) {
  Limits limits;
  EXPECT_TRUE(Document::parse(hex("dc01ff" + repeat("c0", 511)), limits));
  EXPECT_EQ(Document::parse(hex("dc0200" + repeat("c0", 512)), limits).error().code, Code::too_large);
  limits.tokens = 1;
  EXPECT_TRUE(Document::parse(hex("05"), limits));
  EXPECT_EQ(Document::parse(hex("9105"), limits).error().code, Code::too_large);
}

TEST(Pack, TailMayFollowWhereAllowed) {
  Bytes frame;
  Writer{frame}.array(2).number(7).number(16'384);
  const std::size_t header = frame.size();
  append(frame, Bytes(16'384, 0xcc));
  EXPECT_FALSE(Document::parse(frame, {}));
  const auto document = Document::parse(frame, {}, Document::Tail::allowed);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->consumed(), header);
  EXPECT_EQ(document->root().at(1).number(), 16'384U);
  EXPECT_EQ(Document::parse(ByteView{frame}.first(header), {}).value().consumed(), header);
  EXPECT_FALSE(Document::parse(hex("cc0500"), {}, Document::Tail::allowed));  // canonical all the same
  EXPECT_FALSE(Document::parse(hex("92c0"), {}, Document::Tail::allowed));
}

TEST(Pack, FindsAndWalks) {
  Bytes text;
  Writer w{text};
  w.map(6).number(0).text("find").number(1).binary(as_bytes("0123456789abcdef")).number(3).array(3);
  w.integer(-7).map(1).number(9).array(0).boolean(true);
  w.number(200).nil().number(70'000).number(UINT64_MAX).number(UINT64_MAX).integer(INT64_MIN);
  const auto document = Document::parse(text, {});
  ASSERT_TRUE(document);
  const Value root = document->root();
  EXPECT_EQ(root.type(), Type::map);
  EXPECT_EQ(root.size(), 6U);
  EXPECT_EQ(root.find(0).text(), "find");
  EXPECT_EQ(root.find(1).fixed<16>(), to_array<16>(as_bytes("0123456789abcdef")));
  EXPECT_FALSE(root.find(1).fixed<15>());
  EXPECT_FALSE(root.find(1).fixed<17>());
  EXPECT_EQ(root.find(200).type(), Type::nil);
  EXPECT_EQ(root.find(70'000).number(), UINT64_MAX);
  EXPECT_FALSE(root.find(70'000).integer());  // does not fit
  EXPECT_EQ(root.at(0).type(), Type::none);   // an index is of arrays
  EXPECT_EQ(root.find(3).find(0).type(), Type::none);
  EXPECT_EQ(root.find(UINT64_MAX).integer(), INT64_MIN);
  EXPECT_FALSE(root.find(UINT64_MAX).number());
  for (std::uint64_t missing : {2ULL, 4ULL, 199ULL, 201ULL, 70'001ULL})
    EXPECT_FALSE(root.find(missing)) << missing;
  std::vector<std::uint64_t> keys;
  for (auto item = root.first(); item; item = item.next()) keys.push_back(item.key().value());
  EXPECT_EQ(keys, (std::vector<std::uint64_t>{0, 1, 3, 200, 70'000, UINT64_MAX}));

  const Value list = root.find(3);
  EXPECT_EQ(list.size(), 3U);
  EXPECT_EQ(list.at(0).integer(), -7);
  EXPECT_FALSE(list.at(0).key());
  EXPECT_EQ(list.at(1).find(9).type(), Type::array);
  EXPECT_EQ(list.at(1).find(9).size(), 0U);
  EXPECT_FALSE(list.at(1).find(9).first());
  EXPECT_FALSE(list.at(1).first().next());
  EXPECT_EQ(list.at(2).boolean(), true);
  EXPECT_FALSE(list.at(2).next());
  EXPECT_FALSE(list.at(3));
  EXPECT_FALSE(root.at(0));
  EXPECT_FALSE(list.find(0));
  EXPECT_FALSE(root.next());
  EXPECT_FALSE(root.key());
}

TEST(Pack, IntegersOfBothSignsAndKeysBehindTheLast) {
  Bytes text;
  Writer{text}.map(2).number(1).number(INT64_MAX).number(2).integer(-1);
  const auto document = Document::parse(text, {});
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().find(1).integer(), INT64_MAX);
  EXPECT_EQ(document->root().find(2).integer(), -1);
  EXPECT_FALSE(document->root().find(2).number());
  EXPECT_FALSE(document->root().find(3));
}

TEST(Pack, FailedLookUpsAnswerNothing) {
  const Value none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.number());
  EXPECT_FALSE(none.integer());
  EXPECT_FALSE(none.boolean());
  EXPECT_FALSE(none.binary());
  EXPECT_FALSE(none.text());
  EXPECT_FALSE(none.fixed<1>());
  EXPECT_EQ(none.size(), 0U);
  EXPECT_FALSE(none.find(0));
  EXPECT_FALSE(none.at(0));
  EXPECT_FALSE(none.first());
  EXPECT_FALSE(none.next());
  EXPECT_FALSE(none.key());
  const auto text = hex("a161");
  const auto document = Document::parse(text, {});
  ASSERT_TRUE(document);
  EXPECT_FALSE(document->root().binary());  // text is not binary, nor the other way round
  EXPECT_EQ(document->root().text(), "a");
}

// A random value in canonical form.
void write_random(Random& random, Writer& out, int depth) {
  switch (depth == 0 ? random.below(6) : random.below(8)) {
    case 0:
      out.nil();
      break;
    case 1:
      out.boolean(random.below(2) == 0);
      break;
    case 2:
      out.number(random.next() >> random.below(64));
      break;
    case 3:
      out.integer(static_cast<std::int64_t>(random.next()) >> random.below(64));
      break;
    case 4:
    case 5: {
      Bytes bytes(static_cast<std::size_t>(random.below(random.below(10) == 0 ? 400 : 40)));
      random.fill(bytes);
      random.below(2) == 0 ? out.binary(bytes) : out.text(as_text(bytes));
      break;
    }
    case 6: {
      const auto count = static_cast<std::uint32_t>(random.below(random.below(10) == 0 ? 20 : 5));
      out.array(count);
      for (std::uint32_t i = 0; i < count; ++i) write_random(random, out, depth - 1);
      break;
    }
    default: {
      std::vector<std::uint64_t> keys;
      for (auto n = random.below(random.below(10) == 0 ? 20 : 5); n > 0; --n)
        keys.push_back(random.next() >> random.below(64));
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      out.map(static_cast<std::uint32_t>(keys.size()));
      for (std::uint64_t key : keys) {
        out.number(key);
        write_random(random, out, depth - 1);
      }
    }
  }
}

TEST(Pack, RandomDocumentsRoundTrip) {
  Random random{Random::Seed{1}};
  Limits limits;
  limits.tokens = 100'000;
  for (int i = 0; i < 5000; ++i) {
    Bytes text;
    Writer writer{text};
    write_random(random, writer, static_cast<int>(random.below(5)));
    const auto document = Document::parse(text, limits);
    ASSERT_TRUE(document) << to_hex(text) << ' ' << document.error().rule;
    EXPECT_EQ(test::reencode(*document), text);
    if (text.size() < 100) {
      for (std::size_t n = 0; n < text.size(); ++n)
        EXPECT_FALSE(Document::parse(ByteView{text}.first(n), limits));
    }
  }
}

TEST(Pack, WhatSurvivesMutationStillHasOneSpelling) {
  Random random{Random::Seed{2}};
  Limits limits;
  limits.tokens = 100'000;
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes text;
    Writer writer{text};
    write_random(random, writer, 2);
    const auto at = static_cast<std::size_t>(random.below(text.size()));
    text[at] =
        static_cast<std::uint8_t>(random.below(2) == 0 ? random.next() : text[at] ^ (1U << random.below(8)));
    if (random.below(4) == 0) text.insert(text.begin(), 0x91);
    const auto document = Document::parse(text, limits);
    if (!document) continue;
    ++accepted;
    EXPECT_EQ(test::reencode(*document), text);
  }
  EXPECT_GT(accepted, 1000);
}

TEST(Pack, EveryInputOfThreeBytes) {
  // Whatever is accepted has this one spelling, over the whole space.
  std::uint32_t accepted = 0;
  for (std::uint32_t value = 0; value < 1U << 24; ++value) {
    ByteArray<3> text{};
    text[0] = static_cast<std::uint8_t>(value >> 16);
    text[1] = static_cast<std::uint8_t>(value >> 8);
    text[2] = static_cast<std::uint8_t>(value);
    // Only heads that can take two more bytes, to save time; the others trail.
    if (text[0] < 0x80 || text[0] == 0xc0 || text[0] >= 0xe0) continue;
    const auto document = Document::parse(text, {});
    if (!document) continue;
    ++accepted;
    if (!equal(test::reencode(*document), text)) ADD_FAILURE() << to_hex(text);
  }
  // 16-bit unsigned (65,280), signed (32,640), text (65,536), binary (256); pairs {k: one-byte value}: 128
  // keys of 128 + 32 + 3 numbers and constants, and 3 empty ones; arrays of two one-byte values; arrays of
  // one two-byte value.
  const std::uint32_t one_byte = 128 + 32 + 3 + 3;
  const std::uint32_t two_byte =
      128 /* cc */ + 96 /* d0 */ + 256 /* a1 x */ + 1 /* c4 00 */ + one_byte /* 91 x */;
  EXPECT_EQ(accepted, 65'280U + 32'640U + 65'536U + 256U + 128U * one_byte + one_byte * one_byte + two_byte);
}

}  // namespace
}  // namespace shoal::pack
