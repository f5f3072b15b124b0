// Metainfo of v1 and hybrids: where files lie in the row of pieces, what is refused, and that both parts of a
// hybrid must agree.
#include <gtest/gtest.h>

#include "storage/metainfo.hpp"
#include "storage/names.hpp"
#include "tests/unit/storage/content_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::bstring;
using fixture::make;
using fixture::parse;
using fixture::pattern;

std::string hashes(std::size_t pieces) { return "6:pieces" + bstring(std::string(20 * pieces, 'h')); }
std::string entry(std::string_view length, std::string_view path, std::string_view attr = {}) {
  std::string out = "d";
  if (!attr.empty()) out += "4:attr" + bstring(attr);
  return out + "6:lengthi" + std::string{length} + "e4:pathl" + std::string{path} + "ee";
}
std::string files_info(std::string_view files, std::size_t pieces, std::string_view piece_length = "16384") {
  return "d5:filesl" + std::string{files} + "e4:name1:n12:piece lengthi" + std::string{piece_length} + "e" +
         hashes(pieces) + "e";
}
std::string single_info(std::string_view length, std::size_t pieces, std::string_view name = "1:n") {
  return "d6:lengthi" + std::string{length} + "e4:name" + std::string{name} + "12:piece lengthi16384e" +
         hashes(pieces) + "e";
}
std::vector<Extent> extents(const Content& content, std::uint32_t piece, std::uint32_t begin,
                            std::uint32_t length) {
  std::vector<Extent> out;
  content.visit_extents(piece, begin, length, [&](const Extent& extent) { out.push_back(extent); });
  return out;
}
bool same(const Extent& a, const Extent& b) {
  return a.file == b.file && a.offset == b.offset && a.begin == b.begin && a.length == b.length;
}

TEST(MetainfoV1, ASingleFile) {
  const auto content = parse(single_info("40000", 3));
  ASSERT_TRUE(content) << content.error().rule;
  const Content& c = **content;
  EXPECT_FALSE(c.v2);
  EXPECT_TRUE(c.single_file);
  EXPECT_EQ(c.files.at(0).path, "n");
  EXPECT_EQ(c.pieces, 3U);
  EXPECT_EQ(c.piece_bytes(2), 40000U - 2 * 16384);
  EXPECT_EQ(c.v1, sha1(c.info));
  EXPECT_EQ(to_hex(c.id), to_hex(*c.v1) + std::string(24, '0'));
  EXPECT_EQ(as_text(c.v1_hash(2)), std::string(20, 'h'));
  EXPECT_EQ(c.disk_path(0), "n");
  ASSERT_EQ(extents(c, 1, 100, 200).size(), 1U);
  EXPECT_EQ(extents(c, 1, 100, 200)[0].offset, 16484U);
}

// Files share pieces; empty ones have none; padding lies between files and is none.
TEST(MetainfoV1, FilesFollowEachOtherInARow) {
  const auto content = parse(files_info(
      entry("10000", "1:a") + entry("0", "1:b") + entry("20000", "1:d1:c", "x") +
          entry("2768", "4:.pad4:2768", "p") + entry("5", "1:e") + entry("16384", "18:_____padding_file_"),
      4));
  ASSERT_TRUE(content) << content.error().rule;
  const Content& c = **content;
  ASSERT_EQ(c.files.size(), 4U);
  EXPECT_EQ(c.bytes, 30005U);
  EXPECT_EQ(c.v1_bytes, 32768U + 5 + 16384);
  EXPECT_EQ(c.files[1].pieces, 0U);
  EXPECT_EQ(c.files[2].start, 10000U);
  EXPECT_EQ(c.files[2].kind, FileKind::executable);
  EXPECT_EQ(c.files[2].first_piece, 0U);
  EXPECT_EQ(c.files[2].pieces, 2U);
  EXPECT_EQ(c.files[3].start, 32768U);
  EXPECT_EQ(std::vector({c.file_of(0), c.file_of(1), c.file_of(2), c.file_of(3)}),
            (std::vector<std::uint32_t>{0, 2, 3, 4}));
  EXPECT_EQ(c.piece_bytes(3), 5U);
  const auto first = extents(c, 0, 0, 16384);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_TRUE(same(first[0], {0, 0, 0, 10000}));
  EXPECT_TRUE(same(first[1], {2, 0, 10000, 6384}));
  const auto second = extents(c, 1, 0, 16384);
  ASSERT_EQ(second.size(), 1U) << "the rest is padding";
  EXPECT_TRUE(same(second[0], {2, 6384, 0, 13616}));
  EXPECT_TRUE(extents(c, 1, 13616, 100).empty());
  EXPECT_TRUE(same(extents(c, 0, 9999, 2).at(0), {0, 9999, 9999, 1}));
  EXPECT_TRUE(same(extents(c, 0, 9999, 2).at(1), {2, 0, 10000, 1}));
  EXPECT_TRUE(extents(c, 3, 0, 5).empty()) << "padding alone";
}

TEST(MetainfoV1, TheOrderOfTheListStays) {
  const auto content = parse(files_info(entry("1", "1:z") + entry("1", "1:a1:b") + entry("1", "1:a1:a"), 1));
  ASSERT_TRUE(content) << content.error().rule;
  const Content& c = **content;
  EXPECT_EQ(c.files[0].path, "z");
  EXPECT_EQ(c.tree_order, (std::vector<std::uint32_t>{2, 1, 0}));
  EXPECT_EQ(file_with(c, "z"), 0U);
  EXPECT_EQ(file_with(c, "a/a"), 2U);
  EXPECT_FALSE(file_with(c, "a"));
  EXPECT_EQ(part_paths(c).size(), 3U);
  EXPECT_EQ(part_paths(c)[1], "n/a/b.part");
}

TEST(MetainfoV1, HabitsOfOthersAreTaken) {
  auto content = parse(files_info(entry("1", "1:a"), 1, "1000000"));
  ASSERT_TRUE(content) << content.error().rule;
  EXPECT_EQ((*content)->piece_length, 1'000'000U);
  content = parse("d4:name1:n6:lengthi1e12:piece lengthi16384e" + hashes(1) + "7:privatei1ee");
  ASSERT_TRUE(content) << "keys out of order";
  EXPECT_TRUE((*content)->is_private);
  content = parse(files_info(entry("1", "1:a") + "d4:attr1:l4:pathl1:b1:le12:symlink pathl1:aee", 1));
  ASSERT_TRUE(content) << content.error().rule;
  EXPECT_EQ((*content)->files[1].kind, FileKind::symlink);
  EXPECT_EQ((*content)->files[1].target, "../a");
}

TEST(MetainfoV1, NamesInUtf8CountWhereTheyAre) {
  const std::string utf8 = "\xc3\xa9";
  const auto content =
      parse("d5:filesld6:lengthi1e4:pathl1:?e10:path.utf-8l2:" + utf8 + "eee4:name1:?10:name.utf-82:" + utf8 +
            "12:piece lengthi16384e" + hashes(1) + "e");
  ASSERT_TRUE(content) << content.error().rule;
  EXPECT_EQ((*content)->name, utf8);
  EXPECT_EQ((*content)->files[0].path, utf8);
}

std::string deep(int folders) {
  std::string out;
  for (int i = 0; i < folders; ++i) out += "1:a";
  return out;
}

TEST(MetainfoV1, DepthAndOddAttributesAtTheirBorders) {
  EXPECT_TRUE(parse(files_info(entry("1", deep(100)), 1)));
  const auto padded = parse(files_info(entry("1", "1:a") + entry("16383", "1:b", "lp"), 1));
  ASSERT_TRUE(padded) << padded.error().rule;
  EXPECT_EQ((*padded)->files.size(), 1U) << "padding that is called a link as well";
  const auto listed = parse(
      "d5:filesld6:lengthi1e4:pathl1:ae10:path.utf-81:xee4:name1:n12:piece lengthi16384e" + hashes(1) + "e");
  ASSERT_TRUE(listed) << listed.error().rule;
  EXPECT_EQ((*listed)->files[0].path, "a") << "a path.utf-8 that is no list";
}

TEST(MetainfoV1, BadOnesAreRefused) {
  const struct {
    const char* what;
    std::string info;
    Code code;
  } cases[] = {
      {"too few hashes", single_info("40000", 2), Code::malformed},
      {"too many hashes", single_info("40000", 4), Code::malformed},
      {"half a hash", "d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces21:" + std::string(21, 'h') + "e",
       Code::malformed},
      {"length and files", "d5:filesle6:lengthi1e4:name1:n12:piece lengthi16384e" + hashes(1) + "e",
       Code::malformed},
      {"neither", "d4:name1:n12:piece lengthi16384e" + hashes(1) + "e", Code::malformed},
      {"no file", files_info("", 0), Code::malformed},
      {"padding alone", files_info(entry("5", "1:a", "p"), 1), Code::malformed},
      {"a path that climbs", files_info(entry("1", "2:..1:a"), 1), Code::unsafe},
      {"an absolute path", files_info(entry("1", "2:/a"), 1), Code::unsafe},
      {"an empty name", files_info(entry("1", "0:"), 1), Code::unsafe},
      {"a step that is no name", files_info(entry("1", "1:ai1e"), 1), Code::malformed},
      {"folders 101 deep", files_info(entry("1", deep(101)), 1), Code::too_large},
      {"properties that are none", files_info("i1e", 1), Code::malformed},
      {"attributes that are none", files_info("d4:attri1e6:lengthi1e4:pathl1:aee", 1), Code::malformed},
      {"no length", files_info("d4:pathl1:aee", 0), Code::malformed},
      {"no path", files_info(entry("1", ""), 1), Code::malformed},
      {"a name that climbs", single_info("1", 1, "2:.."), Code::unsafe},
      {"twice the same", files_info(entry("1", "1:a") + entry("1", "1:b") + entry("1", "1:a"), 1),
       Code::exists},
      {"a file in a file", files_info(entry("1", "1:a1:b") + entry("1", "1:a"), 1), Code::exists},
      {"a negative length", single_info("-1", 1), Code::malformed},
      {"a link instead of a file",
       "d4:attr1:l4:name1:n12:piece lengthi16384e" + hashes(0) + "12:symlink pathl1:aee", Code::unsafe},
      {"a link that leaves", files_info("d4:attr1:l4:pathl1:be12:symlink pathl2:..2:..1:aee", 0),
       Code::unsafe},
      {"tiny pieces", files_info(entry("1", "1:a"), 1, "1023"), Code::malformed},
      {"vast pieces", files_info(entry("1", "1:a"), 1, "67108865"), Code::malformed},
      {"more pieces than are taken", single_info("1759218597889", 1), Code::too_large},
      {"more bytes than can be counted", files_info(entry("9007199254740992", "1:a") + entry("1", "1:b"), 1),
       Code::too_large}};
  for (const auto& each : cases) {
    const auto content = parse(each.info);
    ASSERT_FALSE(content) << each.what;
    EXPECT_EQ(content.error().code, each.code) << each.what << ": " << content.error().rule;
  }
}

const std::vector<std::pair<std::string, Bytes>>& some_files() {
  static const std::vector<std::pair<std::string, Bytes>> files{
      {"a", pattern(20000)}, {"b", {}}, {"c", pattern(16384, 3)}, {"d", pattern(5, 4)}};
  return files;
}

TEST(MetainfoV1, AHybridHasBothIds) {
  const auto made = make(some_files(), 16384, Format::hybrid);
  ASSERT_TRUE(made.content);
  const Content& c = *made.content;
  EXPECT_TRUE(c.v2);
  EXPECT_EQ(c.id, sha256(c.info));
  EXPECT_EQ(c.v1, sha1(c.info));
  EXPECT_EQ(c.pieces, 4U);
  EXPECT_EQ(c.piece_bytes(1), 20000U - 16384);
  EXPECT_EQ(c.v1_piece_bytes(1), 16384U);
  for (std::uint32_t p = 0; p < c.pieces; ++p)
    EXPECT_TRUE(equal(c.v1_hash(p), sha1(ByteView{made.row}.subspan(p * 16384UL, c.v1_piece_bytes(p)))));
  const auto again = parse_info(c.info);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->id, c.id);
}

// Every way in which the parts may differ.
TEST(MetainfoV1, AHybridThatContradictsItselfIsRefused) {
  const auto made = make(some_files(), 16384, Format::hybrid);
  const std::string good{as_text(made.content->info)};
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string info = good;
    const std::size_t list = info.find("5:files"), at = info.find(from, list);
    EXPECT_NE(at, std::string::npos) << from;
    info.replace(at, from.size(), to);
    return parse(info);
  };
  ASSERT_TRUE(changed("i20000e", "i20000e"));
  EXPECT_EQ(changed("i20000e", "i20001e").error().code, Code::mismatch);
  EXPECT_EQ(changed("4:pathl1:ce", "4:pathl1:xe").error().code, Code::mismatch);
  EXPECT_EQ(changed("i12768e", "i12767e").error().code, Code::mismatch) << "c begins a byte early";
  EXPECT_EQ(changed("d6:lengthi0e4:pathl1:bee", "").error().code, Code::mismatch);
  EXPECT_EQ(changed("d6:lengthi5e4:pathl1:dee", "").error().code, Code::mismatch);
  EXPECT_EQ(
      changed("d6:lengthi5e4:pathl1:dee", "d6:lengthi5e4:pathl1:deed6:lengthi0e4:pathl1:eee").error().code,
      Code::mismatch);
  EXPECT_EQ(changed("4:attr1:p", "4:attr1:x").error().code, Code::mismatch) << "padding that is a file";
  EXPECT_EQ(changed("6:lengthi0e4:pathl1:bee", "4:attr1:l4:pathl1:be12:symlink pathl1:aee").error().code,
            Code::mismatch)
      << "a link that is a file";
  std::string longer = good;  // a whole piece of padding behind all
  const std::string four = "6:pieces" + bstring(longer.substr(longer.find("6:pieces80:") + 11, 80));
  longer.replace(longer.find(four), four.size(), hashes(6));
  const std::string last = "d6:lengthi5e4:pathl1:dee";
  longer.replace(longer.find(last), last.size(), last + "d4:attr1:p6:lengthi32768e4:pathl1:pee");
  ASSERT_FALSE(parse(longer));
  EXPECT_EQ(parse(longer).error().code, Code::mismatch);
  std::string sealed = good;
  sealed.insert(sealed.size() - 1, "10:shoal salt" + bstring(std::string(32, 's')));
  ASSERT_FALSE(parse(sealed));
  EXPECT_EQ(parse(sealed).error().code, Code::malformed);
  const std::string pieces = "6:pieces" + std::to_string(4 * 20) + ":";
  std::string fewer = good;
  fewer.replace(fewer.find(pieces), pieces.size() + 20, "6:pieces60:");
  EXPECT_FALSE(parse(fewer));
}

TEST(MetainfoV1, AFileThatIsNamedLikePaddingIsOne) {
  Description d;
  d.name = "n";
  d.piece_length = 16384;
  d.files = {{"_____padding_file_0", 5, sha256({}), FileKind::regular, {}},
             {"a", 5, sha256({}), FileKind::regular, {}}};
  d.format = Format::hybrid;
  d.v1_hashes.resize(40, 7);
  EXPECT_TRUE(make_content(d));
  d.format = Format::v1;
  d.v1_hashes.resize(20);
  const auto refused = make_content(d);
  ASSERT_FALSE(refused) << "others would take it for padding";
  EXPECT_EQ(refused.error().code, Code::unsafe);
}

TEST(MetainfoV1, WhatIsMadeIsReadBack) {
  Description d;
  d.name = "n";
  d.format = Format::v1;
  d.piece_length = 16384;
  const Sha256 root = sha256(as_bytes("root"));
  d.files = {{"z", 1, root, FileKind::executable, {}},
             {"a/b", 40000, sha256(as_bytes("other")), FileKind::regular, {}},
             {"a/l", 0, {}, FileKind::symlink, "../z"}};
  d.v1_hashes.resize(60, 7);
  auto content = make_content(d);
  ASSERT_TRUE(content) << content.error().rule;
  EXPECT_EQ((*content)->pieces, 3U);
  EXPECT_EQ((*content)->files[0].path, "a/b");
  EXPECT_EQ((*content)->files[1].target, "../z");
  EXPECT_EQ((*content)->files[2].kind, FileKind::executable);
  EXPECT_EQ((*content)->files[2].start, 40000U);
  d.format = Format::hybrid;
  d.v1_hashes.resize(80, 7);
  content = make_content(d);
  ASSERT_TRUE(content) << content.error().rule;
  EXPECT_EQ((*content)->files[2].start, 49152U);
  d.name = "z";
  d.single_file = true;
  d.files.resize(1);
  d.v1_hashes.resize(20);
  for (const Format format : {Format::v1, Format::hybrid}) {
    d.format = format;
    content = make_content(d);
    ASSERT_TRUE(content) << content.error().rule;
    EXPECT_TRUE((*content)->single_file);
    EXPECT_EQ((*content)->files[0].kind, FileKind::executable);
  }
}

}  // namespace
}  // namespace shoal::storage
