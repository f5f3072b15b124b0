// Names of strangers: what is refused, what is kept, how it is shown.
#include "storage/names.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/storage/content_fixture.hpp"
#include "tests/unit/storage/hostile_names.hpp"

namespace shoal::storage {
namespace {

using fixture::hostile_names;
using fixture::leaves_its_folder;
using std::string_view_literals::operator""sv;

TEST(Names, HostileOnesAreRefusedOrKept) {
  const auto names = hostile_names();
  ASSERT_GE(names.size(), 200U);
  std::size_t refused = 0;
  for (const std::string& name : names) {
    const bool leaves = leaves_its_folder(name);
    const auto checked = check_component(name);
    ASSERT_EQ(checked.has_value(), !leaves && name.size() <= 255) << escape_for_display(name);
    if (!checked) {
      EXPECT_EQ(checked.error().code, leaves ? Code::unsafe : Code::too_large);
    }
    refused += checked ? 0 : 1;
  }
  EXPECT_EQ(refused, 23U);
}

TEST(Names, EscapingIsSafeAndUnambiguous) {
  std::map<std::string, std::string> seen;
  for (const std::string& name : hostile_names()) {
    const std::string shown = escape_for_display(name);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const auto byte = static_cast<unsigned char>(shown[i]);
      EXPECT_FALSE(byte < 0x20 || byte == 0x7f) << "a control character is shown";
    }
    const auto [at, fresh] = seen.emplace(shown, name);
    EXPECT_TRUE(fresh || at->second == name) << shown << " stands for two names";
    const auto back = unescape_display(shown);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, name);
  }
}

TEST(Names, EscapesAreTheExpectedBytes) {
  EXPECT_EQ(escape_for_display("plain name.txt"), "plain name.txt");
  EXPECT_EQ(escape_for_display("na\xc3\xafve \xf0\x9f\x98\x80 \xe5\x90\x8d"),
            "na\xc3\xafve \xf0\x9f\x98\x80 \xe5\x90\x8d");
  EXPECT_EQ(escape_for_display("\x1b]8;;http://x\x07"), "\\x1b]8;;http://x\\x07");
  EXPECT_EQ(escape_for_display("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(escape_for_display("gpj\xe2\x80\xae.exe"), "gpj\\xe2\\x80\\xae.exe");
  EXPECT_EQ(escape_for_display("\xe2\x81\xa6x\xe2\x81\xa9"), "\\xe2\\x81\\xa6x\\xe2\\x81\\xa9");
  EXPECT_EQ(escape_for_display("a\\x41"), "a\\x5cx41") << "a backslash is no escape of the name's own";
  EXPECT_EQ(escape_for_display("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(escape_for_display("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(escape_for_display("\xc0\xae"), "\\xc0\\xae");
  EXPECT_EQ(escape_for_display("<script>"), "<script>");
  EXPECT_EQ(escape_for_display("a\nb\tc"), "a\\x0ab\\x09c");
  EXPECT_EQ(unescape_display("\\x41"), std::nullopt) << "what needs no escape has none";
  EXPECT_EQ(unescape_display("\\"), std::nullopt);
  EXPECT_EQ(unescape_display("\\x4"), std::nullopt);
  EXPECT_EQ(unescape_display("\\y41"), std::nullopt);
  EXPECT_EQ(unescape_display("\x1b"), std::nullopt);
}

TEST(Names, EveryByteAndEveryPlaneIsHandled) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string name{static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(unescape_display(escape_for_display(name)), name);
    }
  }
  EXPECT_EQ(escape_for_display("\xf4\x8f\xbf\xbd"), "\xf4\x8f\xbf\xbd");
  EXPECT_EQ(escape_for_display("\xf4\x8f\xbf\xbf"), "\\xf4\\x8f\\xbf\\xbf");
  EXPECT_EQ(escape_for_display("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(escape_for_display("\xf3\xa0\x81\x81"), "\\xf3\\xa0\\x81\\x81") << "tag characters hide text";
}

TEST(Names, WhatOneDoesNotSeeIsEscapedAndBack) {
  for (const std::string unseen :
       {"\xe1\xa0\x8e", "\xef\xb7\x90", "\xef\xb7\xaf", "\xef\xbf\xb0", "\xef\xbf\xbf", "\xd8\x9c",
        "\xc2\xad", "\xe2\x80\x8b", "\xf3\xa0\x80\x81"}) {
    const std::string shown = escape_for_display(unseen);
    EXPECT_EQ(shown.size(), 4 * unseen.size()) << shown;
    EXPECT_EQ(unescape_display(shown), unseen);
  }
  for (const char* seen : {"\xe1\xa0\x8d", "\xef\xb7\x8f", "\xef\xb7\xb0", "\xe2\x80\x8c", "\xd8\x9b"})
    EXPECT_EQ(escape_for_display(seen), seen);
  for (const char* none : {"\\x4", "\\x", "\\", "\\y41", "\\xzz", "\\x41"})
    EXPECT_FALSE(unescape_display(none)) << none;
}

TEST(Names, NothingIsFoundBehindTheLastOrBetween) {
  const auto made = fixture::make({{"b", Bytes(1)}, {"d/e", Bytes(1)}}, 16384);
  EXPECT_EQ(file_with(*made.content, "b"), 0U);
  EXPECT_EQ(file_with(*made.content, "d/e"), 1U);
  for (const char* none : {"a", "c", "d", "d/f", "e"}) EXPECT_FALSE(file_with(*made.content, none)) << none;
  // A part file leaves room for empty folders, too.
  Content content = *made.content;
  content.empty_folders = {"b.part/x", "d/e.part"};
  const auto parts = part_paths(content);
  EXPECT_NE(parts[0], "content/b.part");
  EXPECT_NE(parts[1], "content/d/e.part");
  EXPECT_EQ(part_paths(*made.content)[1], "content/d/e.part");
}

TEST(Names, PathsAreCheckedByComponent) {
  EXPECT_TRUE(check_path("a"));
  EXPECT_TRUE(check_path("a/b/c"));
  for (const char* bad : {"", "/", "/a", "a/", "a//b", "a/./b", "a/../b", "..", "../a", "a/.."})
    EXPECT_FALSE(check_path(bad)) << bad;
  std::string deep = "d";
  for (int i = 1; i < 100; ++i) deep += "/d";
  EXPECT_TRUE(check_path(deep));
  EXPECT_EQ(check_path(deep + "/d").error().code, Code::too_large);
  EXPECT_TRUE(check_path("a/" + std::string(255, 'x')));
  EXPECT_FALSE(check_path("a/" + std::string(256, 'x')));
}

TEST(Names, TreeOrderIsThatOfComponents) {
  const std::vector<std::string> order{"A",   "a",     "a/b",   "a/b/c", "a/z", "a\x01",
                                       "a b", "a.b/x", "a.txt", "ab",    "b",   "\xff"};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = 0; j < order.size(); ++j) {
      EXPECT_EQ(compare_paths(order[i], order[j]), i <=> j) << i << " " << j;
      // The definition: compare the lists of components.
      const auto split = [](const std::string& path) {
        std::vector<std::vector<unsigned char>> out{{}};
        for (char c : path) {
          if (c == '/') {
            out.emplace_back();
          } else {
            out.back().push_back(static_cast<unsigned char>(c));
          }
        }
        return out;
      };
      EXPECT_EQ(compare_paths(order[i], order[j]) < 0, split(order[i]) < split(order[j]));
    }
  }
}

TEST(Names, PercentEscapesFitSmallFileSystems) {
  EXPECT_EQ(percent_escape("plain.txt"), "plain.txt");
  EXPECT_EQ(percent_escape("a:b?c*d"), "a%3ab%3fc%2ad");
  EXPECT_EQ(percent_escape("100%"), "100%25");
  EXPECT_EQ(percent_escape("end."), "end%2e");
  EXPECT_EQ(percent_escape("end "), "end%20");
  EXPECT_EQ(percent_escape("dot.dot"), "dot.dot");
  EXPECT_EQ(percent_escape("na\xc3\xafve"), "na\xc3\xafve");
  EXPECT_EQ(percent_escape("\xff\x01"), "%ff%01");
  std::set<std::string> all;
  std::size_t count = 0;
  for (const std::string& name : hostile_names()) {
    if (!check_component(name)) continue;
    const std::string escaped = percent_escape(name);
    EXPECT_TRUE(check_component(escaped)) << escape_for_display(escaped);
    EXPECT_EQ(escaped.find_first_of("\"*:<>?\\|\x7f"), std::string::npos);
    ++count;
    all.insert(escaped);
  }
  EXPECT_EQ(all.size(), count) << "two names stay two";
  const std::string long_a = std::string(200, ':') + "a", long_b = std::string(200, ':') + "b";
  EXPECT_LE(percent_escape(long_a).size(), 255U);
  EXPECT_NE(percent_escape(long_a), percent_escape(long_b));
}

TEST(Names, PartNamesFitAndCollideWithNothing) {
  const auto never = [](std::string_view) { return false; };
  EXPECT_EQ(part_name("a.iso", never), "a.iso.part");
  EXPECT_EQ(part_name(std::string(250, 'x'), never), std::string(250, 'x') + ".part");
  const std::string long_part = part_name(std::string(251, 'x'), never);
  EXPECT_LE(long_part.size(), 255U);
  EXPECT_TRUE(long_part.ends_with(".part"));
  EXPECT_NE(long_part, part_name(std::string(252, 'x'), never));
  const std::string cut_utf8 =
      part_name(std::string(229, 'x') + "\xf0\x9f\x98\x80" + std::string(20, 'y'), never);
  EXPECT_EQ(escape_for_display(cut_utf8), cut_utf8) << "no character is cut in two";
  std::set<std::string> taken;
  for (int i = 0; i < 50; ++i) {
    const std::string part =
        part_name("same", [&](std::string_view c) { return taken.contains(std::string{c}); });
    EXPECT_LE(part.size(), 255U);
    EXPECT_TRUE(taken.insert(part).second);
  }
}

TEST(Names, PartPathsOfAContentAreDistinct) {
  std::vector<std::pair<std::string, Bytes>> files;
  const std::string hash_of_a = part_name("a", [](std::string_view c) { return c == "a.part"; });
  std::vector<std::string> names{"a",
                                 "a.part",
                                 "a.part.part",
                                 hash_of_a,
                                 hash_of_a.substr(0, hash_of_a.size() - 5),
                                 "b",
                                 "b.part/inside",
                                 "c/d",
                                 "c/d.part",
                                 "c.part",
                                 std::string(251, 'l'),
                                 std::string(255, 'l')};
  std::ranges::sort(names,
                    [](const std::string& x, const std::string& y) { return compare_paths(x, y) < 0; });
  for (const std::string& name : names) files.emplace_back(name, Bytes{1, 2, 3});
  const auto made = fixture::make(files, 16384);
  const auto parts = part_paths(*made.content);
  ASSERT_EQ(parts.size(), names.size());
  std::set<std::string> used;
  for (std::uint32_t f = 0; f < names.size(); ++f) {
    used.insert(made.content->disk_path(f));
    for (std::string path = made.content->disk_path(f); path.contains('/');) {
      path.resize(path.rfind('/'));
      used.insert(path);
    }
  }
  for (std::uint32_t f = 0; f < names.size(); ++f) {
    EXPECT_TRUE(used.insert(parts[f]).second) << parts[f];
    EXPECT_TRUE(check_path(parts[f])) << parts[f];
    const std::string file = made.content->disk_path(f);
    EXPECT_EQ(parts[f].substr(0, parts[f].rfind('/')), file.substr(0, file.rfind('/'))) << "beside its file";
  }
  const auto plain = std::ranges::find(names, "c/d.part") - names.begin();
  EXPECT_EQ(parts[static_cast<std::size_t>(plain)], "content/c/d.part.part");
}

std::vector<std::string> parts_of(std::vector<std::string> names) {
  Content content;
  content.name = "content";
  std::ranges::sort(names, [](const auto& a, const auto& b) { return compare_paths(a, b) < 0; });
  for (const std::string& name : names) {
    ContentFile file;
    file.path = name;
    content.files.push_back(std::move(file));
  }
  return part_paths(content);
}

// A part file whose name is not the usual one is out of the way of all: of a sibling that would have it as
// its own, and of others that come to the same name.
TEST(Names, UnusualPartNamesAreOutOfTheWay) {
  const std::string numbered = "X~" + to_hex(sha256(as_bytes("X"))).substr(0, 8);
  EXPECT_EQ(parts_of({"X", "X.part"})[0], "content/" + numbered + ".part");
  const auto parts = parts_of({"X", "X.part", numbered});
  EXPECT_EQ(parts[0], "content/" + numbered + "-2.part") << "the other would be the sibling's";
  EXPECT_EQ(parts[2], "content/" + numbered + ".part");
  // As long as the usual name would be, and another.
  const std::string middle(239, 'x');
  EXPECT_EQ(parts_of({middle, middle + ".part"})[0].size(), parts_of({middle})[0].size());
  EXPECT_NE(parts_of({middle, middle + ".part"})[0], parts_of({middle})[0]);
  // Two long names with one beginning and, as whoever tries long enough finds, one hash.
  const std::string beginning(230, 'x');
  const std::vector<std::string> alike{beginning + "0000000000000000000056692",
                                       beginning + "0000000000000000000099450"};
  const auto both = parts_of(alike);
  EXPECT_EQ(both[0], "content/" + beginning + "~c92a4c29.part");
  EXPECT_EQ(both[1], "content/" + beginning + "~c92a4c29-2.part");
}

TEST(Names, LinksAreResolvedOnlyInside) {
  EXPECT_EQ(resolve_link("l", "x"), "x");
  EXPECT_EQ(resolve_link("a/l", "x"), "a/x");
  EXPECT_EQ(resolve_link("a/b/l", "../../x/y"), "x/y");
  EXPECT_EQ(resolve_link("a/b/l", "./../x/"), "a/x");
  EXPECT_EQ(resolve_link("a/l", ".."), "");
  EXPECT_EQ(resolve_link("l", "."), "");
  EXPECT_EQ(resolve_link("a/l", "../b//c"), "b/c");
  for (const auto& [link, text] : {std::pair{"l", ".."},
                                   {"l", "../x"},
                                   {"a/l", "../../x"},
                                   {"a/l", "../.."},
                                   {"l", "/etc"},
                                   {"l", "/"},
                                   {"l", ""},
                                   {"l", "x/../../y"},
                                   {"l", "x/../y"},
                                   {"a/b/l", "../../../b"}})
    EXPECT_EQ(resolve_link(link, text), std::nullopt) << link << " -> " << text;
  EXPECT_EQ(resolve_link("l", "a\0b"sv), std::nullopt);
  EXPECT_EQ(resolve_link("l", std::string(256, 'x')), std::nullopt);
}

TEST(Names, LinkTextIsTheInverse) {
  const std::vector<std::string> links{"l", "a/l", "a/b/l", "b/l", "a/ab/l"};
  const std::vector<std::string> targets{"", "a", "a/b", "a/b/c", "ab", "x/y", "a/ab", "l"};
  for (const auto& link : links) {
    for (const auto& target : targets) {
      const std::string text = link_text(link, target);
      EXPECT_FALSE(text.empty());
      EXPECT_EQ(resolve_link(link, text), target) << link << " " << text;
    }
  }
  EXPECT_EQ(link_text("a/b/l", "a/c"), "../c");
  EXPECT_EQ(link_text("a/l", "a/c"), "c");
  EXPECT_EQ(link_text("a/b/l", "a/b"), ".");
  EXPECT_EQ(link_text("a/l", ""), "..");
}

}  // namespace
}  // namespace shoal::storage
