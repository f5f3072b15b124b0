// Metainfo: what is read, what is refused, and that both directions agree, with libtorrent too.
#include "storage/metainfo.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <gtest/gtest.h>

#include "dht/base/bencode.hpp"
#include "storage/names.hpp"
#include "storage/torrent.hpp"
#include "tests/unit/storage/content_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::parse;

using fixture::hash_file;
using fixture::make;
using fixture::pattern;

const Sha256 a_root = sha256(as_bytes("root"));

std::string bstring(std::string_view text) { return std::to_string(text.size()) + ":" + std::string{text}; }
std::string root_entry() { return "11:pieces root32:" + std::string{as_text(a_root)}; }
std::string leaf(std::string_view properties) { return "d0:d" + std::string{properties} + "ee"; }
std::string file_leaf(std::string_view length) {
  return leaf("6:lengthi" + std::string{length} + "e" + root_entry());
}
// An info dictionary around a file tree's inside.
std::string info_of(std::string_view tree, std::string_view piece_length = "65536",
                    std::string_view name = "n") {
  return "d9:file treed" + std::string{tree} + "e12:meta versioni2e4:name" + bstring(name) +
         "12:piece lengthi" + std::string{piece_length} + "ee";
}
Result<ContentPtr> parse_length(std::string_view length, std::string_view piece_length = "65536") {
  return parse(info_of("1:f" + file_leaf(length), piece_length));
}

TEST(Metainfo, ReadsAPlainContent) {
  const auto content =
      parse(info_of("1:a" + file_leaf("65537") + "1:bd1:c" + leaf("6:lengthi0e") + "1:d" +
                    leaf("4:attr1:x6:lengthi1e11:pieces root32:" + std::string(32, 'd')) + "e"));
  ASSERT_TRUE(content) << content.error().rule;
  const Content& c = **content;
  EXPECT_EQ(c.name, "n");
  EXPECT_FALSE(c.single_file);
  EXPECT_FALSE(c.sealed);
  EXPECT_EQ(c.piece_length, 65536U);
  EXPECT_EQ(c.bytes, 65538U);
  EXPECT_EQ(c.pieces, 3U);
  ASSERT_EQ(c.files.size(), 3U);
  EXPECT_EQ(c.files[0].path, "a");
  EXPECT_EQ(c.files[0].pieces, 2U);
  EXPECT_EQ(c.files[1].path, "b/c");
  EXPECT_EQ(c.files[1].pieces, 0U);
  EXPECT_EQ(c.files[2].first_piece, 2U);
  EXPECT_EQ(c.files[2].kind, FileKind::executable);
  EXPECT_EQ(std::vector({c.file_of(0), c.file_of(1), c.file_of(2)}), (std::vector<std::uint32_t>{0, 0, 2}));
  EXPECT_EQ(c.id, sha256(c.info));
  EXPECT_EQ(c.disk_path(1), "n/b/c");
}

TEST(Metainfo, SingleFileOrFolder) {
  EXPECT_TRUE((*parse(info_of("1:n" + file_leaf("5"))))->single_file);
  EXPECT_FALSE((*parse(info_of("1:m" + file_leaf("5"))))->single_file);
  EXPECT_FALSE((*parse(info_of("1:m" + file_leaf("5") + "1:n" + file_leaf("5"))))->single_file);
  EXPECT_FALSE((*parse(info_of("1:nd1:n" + file_leaf("5") + "e")))->single_file);
  EXPECT_FALSE((*parse(info_of("1:ede1:n" + file_leaf("5"))))->single_file) << "an empty folder beside it";
  EXPECT_FALSE((*parse(info_of("1:n" + leaf("4:attr1:l12:symlink pathl1:me"))))->single_file);
  std::string folder = info_of("1:n" + file_leaf("5"));
  folder.insert(folder.size() - 1, "12:shoal folderi1e");
  EXPECT_FALSE((*parse(folder))->single_file);
  folder.replace(folder.find("i1e"), 3, "i2e");
  EXPECT_FALSE(parse(folder));
  // A hybrid whose v1 part lists files is a folder, too.
  std::string hybrid = info_of("1:n" + file_leaf("5"));
  hybrid.insert(hybrid.find("12:meta"), "5:filesle");
  EXPECT_FALSE((*parse(hybrid))->single_file);
}

TEST(Metainfo, SizesAtTheBoundaries) {
  // 2^31, 2^32, 2^53, 2^63 and their neighbours, as numbers of bytes in one file.
  const std::map<std::string, bool> lengths{{"0", true},
                                            {"1", true},
                                            {"2147483647", true},
                                            {"2147483648", true},
                                            {"2147483649", true},
                                            {"4294967295", true},
                                            {"4294967296", true},
                                            {"4294967297", true},
                                            {"140737488355328", true},  // 2^47 = 2^21 pieces of 64 MiB
                                            {"140737488355329", false},
                                            {"9007199254740991", false},
                                            {"9007199254740992", false},
                                            {"9007199254740993", false},
                                            {"9223372036854775807", false},
                                            {"9223372036854775808", false},
                                            {"18446744073709551615", false},
                                            {"18446744073709551616", false},
                                            {"-1", false},
                                            {"-0", false},
                                            {"01", false},
                                            {"", false},
                                            {"-9223372036854775808", false},
                                            {"99999999999999999999999", false}};
  for (const auto& [length, good] : lengths) {
    const auto content = parse_length(length, "67108864");
    EXPECT_EQ(content.has_value(), good) << length << (content ? "" : content.error().rule);
    if (content) {
      EXPECT_EQ(std::to_string((*content)->bytes), length);
    }
  }
}

TEST(Metainfo, PieceLengthsArePowersOfTwoInTheirBand) {
  for (const char* good : {"16384", "32768", "65536", "1048576", "67108864"})
    EXPECT_TRUE(parse_length("1", good)) << good;
  for (const char* bad : {"0", "-1", "1", "8192", "16383", "16385", "24576", "134217728", "2147483647",
                          "2147483648", "2147483649", "4294967295", "4294967296", "4294983680",
                          "9007199254740992", "9223372036854775807", "-16384"})
    EXPECT_FALSE(parse_length("1", bad)) << bad;
}

TEST(Metainfo, ManyPiecesAreBounded) {
  EXPECT_TRUE(parse_length("34359738368", "16384"));  // 2^35 = 2^21 pieces of 16 KiB
  EXPECT_EQ(parse_length("34359738369", "16384").error().code, Code::too_large);
  const std::string half = file_leaf("17179869184");  // 2^20 pieces each
  EXPECT_TRUE(parse(info_of("1:a" + half + "1:b" + half, "16384")));
  EXPECT_FALSE(parse(info_of("1:a" + half + "1:b" + half + "1:c" + file_leaf("1"), "16384")));
}

TEST(Metainfo, TotalsDoNotOverflow) {
  std::string tree;
  for (char c = 'a'; c <= 'z'; ++c) tree += "1:" + std::string(1, c) + file_leaf("9007199254740992");
  EXPECT_EQ(parse(info_of(tree, "67108864")).error().code, Code::too_large);
  const auto behind =
      parse(info_of("1:a" + file_leaf("1") + "1:b" + file_leaf("9007199254740992"), "67108864"));
  ASSERT_FALSE(behind);
  EXPECT_STREQ(behind.error().rule, "a content has at most 2^53 bytes");
}

struct Bad {
  const char* what;
  std::string info;
};

std::vector<Bad> bad_infos() {
  const std::string file = "1:f" + file_leaf("5"), good = info_of(file);
  const auto without = [&](std::string_view part, std::string_view with = "") {
    std::string out = good;
    out.replace(out.find(part), part.size(), with);
    return out;
  };
  const std::string length = "6:lengthi5e";
  return {
      {"nothing", ""},
      {"no dictionary", "le"},
      {"an integer", "i2e"},
      {"an empty dictionary", "de"},
      {"trailing bytes", good + "x"},
      {"cut short", good.substr(0, good.size() - 1)},
      {"no meta version", without("12:meta versioni2e")},
      {"version 1", without("versioni2e", "versioni1e")},
      {"version 3", without("versioni2e", "versioni3e")},
      {"version as text", without("versioni2e", "version1:2")},
      {"no name", without("4:name1:n")},
      {"name is a number", without("4:name1:n", "4:namei1e")},
      {"name is empty", info_of(file, "65536", "")},
      {"name is ..", info_of(file, "65536", "..")},
      {"name is .", info_of(file, "65536", ".")},
      {"name with a slash", info_of(file, "65536", "a/b")},
      {"absolute name", info_of(file, "65536", "/etc")},
      {"name with NUL", info_of(file, "65536", std::string_view("a\0b", 3))},
      {"long name", info_of(file, "65536", std::string(256, 'x'))},
      {"no piece length", without("12:piece lengthi65536e")},
      {"piece length as text", without("i65536e", "5:65536")},
      {"no file tree", without("9:file treed" + file + "e")},
      {"file tree is a list", without("treed" + file + "e", "treele")},
      {"an empty public tree", info_of("")},
      {"keys out of order", without("4:name1:n12:piece lengthi65536e", "12:piece lengthi65536e4:name1:n")},
      {"a key twice", without("4:name1:n", "4:name1:n4:name1:n")},
      {"a short salt",
       without("12:piece lengthi65536e", "12:piece lengthi65536e10:shoal salt31:" + std::string(31, 's'))},
      {"a long salt",
       without("12:piece lengthi65536e", "12:piece lengthi65536e10:shoal salt33:" + std::string(33, 's'))},
      {"a salt that is a number",
       without("12:piece lengthi65536e", "12:piece lengthi65536e10:shoal salti1e")},
      {"entry is a string", info_of("1:f1:x")},
      {"entry is a list", info_of("1:fle")},
      {"properties are a list", info_of("1:fd0:lee")},
      {"properties are empty", info_of("1:f" + leaf(""))},
      {"file and folder at once", info_of("1:fd0:d" + length + root_entry() + "e1:g" + file_leaf("1") + "e")},
      {"the tree is a file", info_of("0:d" + length + root_entry() + "e")},
      {"a file inside a file", info_of("1:fd0:d0:d" + length + root_entry() + "eee")},
      {"no length", info_of("1:f" + leaf(root_entry()))},
      {"length as text", info_of("1:f" + leaf("6:length1:5" + root_entry()))},
      {"no root", info_of("1:f" + leaf(length))},
      {"a short root", info_of("1:f" + leaf(length + "11:pieces root31:" + std::string(31, 'r')))},
      {"a long root", info_of("1:f" + leaf(length + "11:pieces root33:" + std::string(33, 'r')))},
      {"a zero root", info_of("1:f" + leaf(length + "11:pieces root32:" + std::string(32, '\0')))},
      {"a padding file", info_of("1:f" + leaf("4:attr1:p" + length + root_entry()))},
      {"attr is a number", info_of("1:f" + leaf("4:attri1e" + length + root_entry()))},
      {"an empty name in the tree", info_of("1:ad0:" + file_leaf("5") + "e")},
      {"..", info_of("2:.." + file_leaf("5"))},
      {".", info_of("1:." + file_leaf("5"))},
      {"a slash", info_of("3:a/b" + file_leaf("5"))},
      {"a path upwards", info_of("5:../ab" + file_leaf("5"))},
      {"a folder named ..", info_of("2:..d1:f" + file_leaf("5") + "e")},
      {"NUL", info_of(std::string("3:a\0b", 5) + file_leaf("5"))},
      {"a long component", info_of("256:" + std::string(256, 'x') + file_leaf("5"))},
      {"siblings out of order", info_of("1:b" + file_leaf("5") + "1:a" + file_leaf("5"))},
      {"a sibling twice", info_of("1:a" + file_leaf("5") + "1:a" + file_leaf("5"))},
      {"a link without a target", info_of("1:f" + leaf("4:attr1:l"))},
      {"a link with a length", info_of("1:f" + leaf("4:attr1:l" + length + "12:symlink pathl1:ge"))},
      {"a target that is text", info_of("1:f" + leaf("4:attr1:l12:symlink path1:g"))},
      {"a target of numbers", info_of("1:f" + leaf("4:attr1:l12:symlink pathli1ee"))},
      {"a target that leaves", info_of("1:f" + leaf("4:attr1:l12:symlink pathl2:..1:ge"))},
      {"a target that leaves later", info_of("1:f" + leaf("4:attr1:l12:symlink pathl1:a2:..2:..1:ge"))},
      {"an absolute target", info_of("1:f" + leaf("4:attr1:l12:symlink pathl4:/etce"))},
      {"a target with an empty part", info_of("1:f" + leaf("4:attr1:l12:symlink pathl0:1:ge"))}};
}

TEST(Metainfo, BadDictionariesAreRefused) {
  ASSERT_TRUE(parse(info_of("1:f" + file_leaf("5"))));
  for (const Bad& bad : bad_infos()) {
    const auto content = parse(bad.info);
    ASSERT_FALSE(content) << bad.what;
    EXPECT_GT(std::string_view{content.error().rule}.size(), 5U) << bad.what;
  }
}

TEST(Metainfo, DepthIsBounded) {
  const auto nested = [](int folders) {
    std::string tree;
    for (int i = 0; i < folders; ++i) tree += "1:dd";
    tree += "1:f" + file_leaf("5");
    return info_of(tree + std::string(static_cast<std::size_t>(folders), 'e'));
  };
  EXPECT_TRUE(parse(nested(99)));
  EXPECT_FALSE(parse(nested(100)));
  EXPECT_FALSE(parse(nested(5000)));
  EXPECT_FALSE(parse(nested(1'000'000)));
}

TEST(Metainfo, WholePathsAreBoundedTogether) {
  // A deep folder with long names, and many files in it: little metadata, but gigabytes of paths.
  std::string open, close;
  for (int i = 0; i < 90; ++i) open += "250:" + std::string(250, 'd') + "d", close += "e";
  std::string files;
  for (int i = 10000; i < 14000; ++i) files += "5:" + std::to_string(i) + leaf("6:lengthi0e");
  EXPECT_EQ(parse(info_of(open + files + close)).error().code, Code::too_large);
  // As many as just fit, and then a link: what it leads to counts as well.
  constexpr std::size_t each = 90 * 251 + 5, fit = max_names_bytes / each;
  files.clear();
  for (std::size_t i = 0; i < fit; ++i) files += "5:" + std::to_string(10000 + i) + leaf("6:lengthi0e");
  const auto with_link = [&](std::size_t steps) {
    std::string target;
    for (std::size_t i = 0; i < steps; ++i) target += "255:" + std::string(255, 't');
    return parse(info_of(open + files + close + "1:z" + leaf("4:attr1:l12:symlink pathl" + target + "e")));
  };
  constexpr std::size_t left = (max_names_bytes - fit * each) / 256;
  ASSERT_GT(left, 0U);
  EXPECT_TRUE(with_link(left - 1));
  ASSERT_FALSE(with_link(left + 1));
  EXPECT_EQ(with_link(left + 1).error().code, Code::too_large);
}

TEST(Metainfo, TooManyFilesAreNamedAsSuch) {
  std::string tree;
  for (int i = 1'000'000; i < 1'420'000; ++i) tree += "7:" + std::to_string(i) + leaf("6:lengthi0e");
  const auto content = parse(info_of(tree));
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, Code::too_large);
  EXPECT_NE(std::string_view{content.error().rule}.find("files"), std::string_view::npos);
}

TEST(Metainfo, EmptyFoldersAreAsManyAsFilesAtMost) {
  const std::string tree = "1:f" + file_leaf("5");
  std::string folders;
  for (std::size_t i = 0; i < max_files; ++i) folders += "7:" + std::to_string(1'000'000 + i) + "de";
  const auto most = parse(info_of(folders + tree));
  ASSERT_TRUE(most) << most.error().rule;
  EXPECT_EQ((*most)->empty_folders.size(), max_files);
  const auto more = parse(info_of(folders + "8:99999999de" + tree));
  ASSERT_FALSE(more);
  EXPECT_STREQ(more.error().rule, "a content has at most 1000000 empty folders");
}

TEST(Metainfo, HugeDictionariesAreRefusedUnread) {
  Bytes info(max_info_bytes + 1, 'd');
  EXPECT_EQ(parse_info(std::move(info)).error().code, Code::too_large);
}

TEST(Metainfo, LinksAreRelativeToTheirFolder) {
  const auto content = parse(info_of("1:ad1:bd1:l" + leaf("4:attr1:l12:symlink pathl1:a1:ce") + "ee1:l" +
                                     leaf("4:attr2:xl6:lengthi0e12:symlink pathle") + "1:zd1:l" +
                                     leaf("4:attr1:l12:symlink pathl2:..1:ce") + "e"));
  ASSERT_TRUE(content) << content.error().rule;
  ASSERT_EQ((*content)->files.size(), 3U);
  EXPECT_EQ((*content)->files[0].path, "a/b/l");
  EXPECT_EQ((*content)->files[0].target, "../c");
  EXPECT_EQ((*content)->files[0].kind, FileKind::symlink);
  EXPECT_EQ((*content)->files[1].target, ".");
  EXPECT_EQ((*content)->files[2].target, "../c") << "libtorrent writes targets relative to the link";
  EXPECT_EQ((*content)->pieces, 0U);
}

Description full_description() {
  Description d;
  d.name = "caf\xc3\xa9 \xff";
  d.piece_length = 16384;
  d.salt = Salt{};
  d.salt->fill(0x5a);
  const std::string odd = "we\x1b[2Jird\\ \xe2\x80\xae";
  d.files = {{"z", 1, a_root, FileKind::executable, {}},
             {"a/b/c", 40000, sha256(as_bytes("another")), FileKind::regular, {}},
             {"a.b", 0, {}, FileKind::regular, {}},
             {"a/l", 0, {}, FileKind::symlink, "../z"},
             {"a/b/up", 0, {}, FileKind::symlink, "../.."},
             {odd, 16384, sha256(as_bytes("a third")), FileKind::regular, {}}};
  d.empty_folders = {"y/empty", "a/none"};
  return d;
}

TEST(Metainfo, WhatIsMadeIsReadBack) {
  const Description d = full_description();
  const auto content = make_content(d);
  ASSERT_TRUE(content) << content.error().rule;
  const Content& c = **content;
  EXPECT_TRUE(c.sealed);
  EXPECT_EQ(c.name, d.name);
  EXPECT_EQ(c.empty_folders, (std::vector<std::string>{"a/none", "y/empty"}));
  ASSERT_EQ(c.files.size(), d.files.size());
  EXPECT_TRUE(std::ranges::is_sorted(
      c.files, [](const auto& x, const auto& y) { return compare_paths(x.path, y.path) < 0; }));
  for (const FileDescription& file : d.files) {
    const auto at = std::ranges::find(c.files, file.path, &ContentFile::path);
    ASSERT_NE(at, c.files.end());
    EXPECT_EQ(at->length, file.length);
    EXPECT_EQ(at->root, file.root);
    EXPECT_EQ(at->kind, file.kind);
    EXPECT_EQ(at->target, file.target);
  }
  EXPECT_EQ((*parse_info(c.info))->id, c.id);
  Description shuffled = d;
  std::ranges::reverse(shuffled.files);
  std::ranges::reverse(shuffled.empty_folders);
  EXPECT_EQ((*make_content(shuffled))->info, c.info) << "the order of a description does not matter";
  shuffled.salt->front() ^= 1;
  EXPECT_NE((*make_content(shuffled))->id, c.id);
}

TEST(Metainfo, ASealedContentMayBeEmpty) {
  Description d;
  d.name = "n";
  d.piece_length = 16384;
  EXPECT_FALSE(make_content(d));
  d.salt = Salt{};
  const auto content = make_content(d);
  ASSERT_TRUE(content);
  EXPECT_EQ((*content)->pieces, 0U);
  EXPECT_FALSE((*content)->single_file);
}

TEST(Metainfo, AFolderOfOneFileWithItsNameStaysAFolder) {
  Description d;
  d.name = "x";
  d.piece_length = 16384;
  d.files = {{"x", 5, a_root, FileKind::regular, {}}};
  EXPECT_FALSE((*make_content(d))->single_file);
  EXPECT_EQ((*make_content(d))->disk_path(0), "x/x");
  d.single_file = true;
  EXPECT_TRUE((*make_content(d))->single_file);
  EXPECT_EQ((*make_content(d))->disk_path(0), "x");
  d.name = "y";
  EXPECT_FALSE(make_content(d));
}

TEST(Metainfo, BadDescriptionsAreRefused) {
  const auto refused = [](auto change) {
    Description d = full_description();
    change(d);
    return !make_content(d);
  };
  EXPECT_FALSE(refused([](Description&) {}));
  EXPECT_TRUE(refused([](Description& d) { d.name = ".."; }));
  EXPECT_TRUE(refused([](Description& d) { d.piece_length = 16385; }));
  EXPECT_TRUE(refused([](Description& d) { d.piece_length = 0; }));
  EXPECT_TRUE(refused([](Description& d) { d.files.push_back(d.files[0]); }));
  EXPECT_TRUE(
      refused([](Description& d) { d.files.push_back({"z/inside", 1, a_root, FileKind::regular, {}}); }));
  EXPECT_TRUE(refused([](Description& d) { d.files.push_back({"a", 1, a_root, FileKind::regular, {}}); }));
  EXPECT_TRUE(refused([](Description& d) { d.empty_folders.push_back("z"); }));
  EXPECT_TRUE(refused([](Description& d) { d.files[0].path = "../z"; }));
  EXPECT_TRUE(refused([](Description& d) { d.files[0].path = ""; }));
  EXPECT_TRUE(refused([](Description& d) { d.files[0].length = UINT64_MAX; }));
  EXPECT_TRUE(refused([](Description& d) { d.files[0].root = {}; }));
  EXPECT_TRUE(refused([](Description& d) { d.files[3].target = "../../z"; }));
  EXPECT_TRUE(refused([](Description& d) { d.files[3].target = "/z"; }));
  EXPECT_TRUE(refused([](Description& d) { d.files[3].target = ""; }));
}

// ---- libtorrent

TEST(Metainfo, MakesTheBytesThatLibtorrentMakes) {
  // libtorrent 2.0.8, create_torrent(v2_only, 64 KiB) of a folder with these files of pattern(size).
  Description d;
  d.name = "folder";
  d.piece_length = 65536;
  std::vector<Bytes> layers;
  for (const auto& [path, size] : {std::pair{"Z", 16384UL},
                                   {"a/empty", 0UL},
                                   {"a/one", 20000UL},
                                   {"a.b/two", 300000UL},
                                   {"a.txt", 5UL},
                                   {"z/y/three", 70000UL}}) {
    const auto file = hash_file(path, pattern(size), d.piece_length);
    d.files.push_back({path,
                       size,
                       file.root,
                       path == std::string_view{"Z"} ? FileKind::executable : FileKind::regular,
                       {}});
    layers.push_back(file.layer);
  }
  const auto content = make_content(d);
  ASSERT_TRUE(content) << content.error().rule;
  EXPECT_EQ((*content)->info.size(), 498U);
  EXPECT_EQ(to_hex((*content)->id), "d1733ba756786c20155c26ae6a6ff8fd64000411947224bad43c4e87232b32f8");
  const Bytes torrent = write_torrent(**content, layers);
  EXPECT_EQ(torrent.size(), 824U);
  EXPECT_EQ(to_hex(sha256(torrent)), "4f33194e99955773984e060a3622959388f3695bac27003195cea84b25774895");
}

TEST(Metainfo, PieceLengthsOfNewContents) {
  constexpr std::uint64_t mib = 1 << 20, gib = std::uint64_t{1} << 30, tib = gib << 10;
  EXPECT_EQ(choose_piece_length(0, 0, Format::v2), 128U << 10);
  EXPECT_EQ(choose_piece_length(256 * mib, 256 * mib, Format::v2), 128U << 10);
  EXPECT_EQ(choose_piece_length(256 * mib + 1, 256 * mib + 1, Format::v2), 256U << 10);
  EXPECT_EQ(choose_piece_length(512 * mib, 512 * mib, Format::v2), 256U << 10);
  EXPECT_EQ(choose_piece_length(512 * mib + 1, 512 * mib + 1, Format::v2), 512U << 10);
  EXPECT_EQ(choose_piece_length(2 * gib, 2 * gib, Format::v2), 1U << 20);
  EXPECT_EQ(choose_piece_length(2 * gib + 1, 2 * gib + 1, Format::v2), 2U << 20);
  EXPECT_EQ(choose_piece_length(100 * gib, mib, Format::v2), 1U << 20)
      << "many small files: have-bits decide";
  EXPECT_EQ(choose_piece_length(100 * gib, 100 * gib, Format::v2), 4U << 20);
  EXPECT_EQ(choose_piece_length(tib, tib, Format::v2), 8U << 20);
  EXPECT_EQ(choose_piece_length(max_content_bytes, max_content_bytes, Format::v2), max_piece_length);
  // Of a hybrid no more is padding than must be.
  EXPECT_EQ(choose_piece_length(gib, 65'536, Format::hybrid), 64U << 10);
  EXPECT_EQ(choose_piece_length(gib, 65'537, Format::hybrid), 128U << 10);
  EXPECT_EQ(choose_piece_length(1000, 10, Format::hybrid), min_piece_length);
  EXPECT_EQ(choose_piece_length(0, 0, Format::hybrid), min_piece_length);
  EXPECT_EQ(choose_piece_length(2 * gib, 2 * gib, Format::hybrid), 1U << 20);
}

// To who asks for hashes by root (BEP 52) such files would be one; a downloader that took the answer for one
// of them for the other's could be made to fail at will.
TEST(Metainfo, FilesOfOneRootHaveOneLength) {
  const auto two = [](int first, int second) {
    const auto file = [](int length) {
      return "d0:d6:lengthi" + std::to_string(length) + "e11:pieces root32:" + std::string(32, 'r') + "ee";
    };
    return parse_info(to_vector(as_bytes("d9:file treed1:a" + file(first) + "1:b" + file(second) +
                                         "e12:meta versioni2e4:name1:n12:piece lengthi65536ee")));
  };
  EXPECT_TRUE(two(65536, 65536));
  for (const auto& [first, second] : {std::pair{40000, 65536}, {65536, 40000}, {64, 65536}, {65536, 65537}}) {
    const auto content = two(first, second);
    ASSERT_FALSE(content) << first << ' ' << second;
    EXPECT_EQ(content.error().code, Code::malformed);
  }
}

}  // namespace
}  // namespace shoal::storage
