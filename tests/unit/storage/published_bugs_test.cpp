// Bugs of other programs that were published, where torrents, info dictionaries and links could have them:
// each is named, and shown not to be here. What another test shows already is not repeated.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "storage/link.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"
#include "storage/torrent.hpp"
#include "tests/unit/storage/content_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::bstring;
using fixture::make;
using fixture::parse;
using fixture::pattern;

std::string leaf(std::string_view properties) { return "d0:d" + std::string{properties} + "ee"; }
// The end of an info dictionary of v1, with the hash of one piece.
std::string one_piece() { return "12:piece lengthi16384e6:pieces" + bstring(std::string(20, 'h')) + "e"; }
std::string v2_around(const std::string& tree) {
  return "d9:file treed" + tree + "e12:meta versioni2e4:name1:n12:piece lengthi16384ee";
}

// ---- torrents

// uTorrent copied a long "created by" into a buffer on its stack. Here a field is passed over whatever its
// length, which has to be there; and a name, which is used, has its bound.
TEST(PublishedBugs, UTorrentCve2008_4434OverlongFieldsOfATorrent) {
  const auto made = make({{"a", pattern(100)}}, 16384);
  const Bytes plain = write_torrent(*made.content, made.layers);
  const std::string rest{as_text(ByteView{plain}.subspan(1))};
  for (const char* field : {"announce", "comment", "created by", "encoding"}) {
    const std::string text = "d" + bstring(field) + bstring(std::string(1 << 20, 'x')) + rest;
    const auto read = read_torrent(as_bytes(text));
    ASSERT_TRUE(read) << field << ": " << read.error().rule;
    EXPECT_EQ(read->content->id, made.content->id);
    EXPECT_EQ(write_torrent(*read->content, read->layers), plain) << field;
    for (const char* length : {"99999999:x", "4294967297:x", "18446744073709551617:x"}) {
      const auto refused = read_torrent(as_bytes("d" + bstring(field) + length + rest));
      ASSERT_FALSE(refused) << field << ' ' << length;
      EXPECT_EQ(refused.error().code, Code::malformed) << field << ' ' << length;
    }
  }
  const auto named = [](std::size_t bytes) {
    return parse("d6:lengthi1e4:name" + bstring(std::string(bytes, 'x')) + one_piece());
  };
  EXPECT_TRUE(named(max_component_bytes));
  EXPECT_EQ(named(max_component_bytes + 1).error().code, Code::too_large);
  EXPECT_EQ(named(1 << 20).error().code, Code::too_large);
}

// Transmission went on with a list or dict that had moved when what lies in it made room. Here every level of
// a tree goes on after what is in it: a file before the folder, and one behind it.
TEST(PublishedBugs, TransmissionCve2018_10756FoldersThatGoOnAfterWhatIsInThem) {
  constexpr std::size_t depth = 90;
  const std::string empty = leaf("6:lengthi0e");
  std::string open, close;
  for (std::size_t level = 0; level < depth; ++level) {
    open += "1:a" + empty + "1:dd";
    close += "e1:z" + empty;
  }
  const auto content = parse(v2_around(open + "1:f" + empty + close));
  ASSERT_TRUE(content) << content.error().rule;
  const auto& files = (*content)->files;
  ASSERT_EQ(files.size(), 2 * depth + 1);
  std::string folder;
  for (std::size_t level = 0; level < depth; ++level) {
    EXPECT_EQ(files[level].path, folder + "a");
    EXPECT_EQ(files[2 * depth - level].path, folder + "z");
    folder += "d/";
  }
  EXPECT_EQ(files[depth].path, folder + "f");
}

// Transmission read hashes behind the end of a `pieces` that was no multiple of 20 bytes long.
TEST(PublishedBugs, Transmission182c8ce12PiecesThatEndInAPartOfAHash) {
  for (const Format format : {Format::v1, Format::hybrid}) {
    const auto made = make({{"a", pattern(40'000)}, {"b", pattern(5)}}, 16384, format);
    ASSERT_TRUE(made.content);
    const std::string good{as_text(made.content->info)};
    const std::size_t bytes = std::size_t{20} * made.content->pieces;
    const std::string mark = "6:pieces" + std::to_string(bytes) + ":";
    const std::size_t at = good.find(mark);
    ASSERT_NE(at, std::string::npos);
    for (const std::size_t cut : {std::size_t{1}, std::size_t{19}, std::size_t{20}, bytes}) {
      std::string bad = good;
      bad.replace(at, mark.size() + cut, "6:pieces" + std::to_string(bytes - cut) + ":");
      const auto refused = parse(bad);
      ASSERT_FALSE(refused) << cut;
      EXPECT_EQ(refused.error().code, Code::malformed) << cut;
    }
    std::string number = good;
    number.replace(at, mark.size() + bytes, "6:piecesi20e");
    EXPECT_FALSE(parse(number));
    EXPECT_TRUE(parse(good));
  }
}

// rqbit looked for steps upwards in some of the places where a name can stand, libtorrent-rasterbar before
// 0.14.4 and Transmission before 1.77 in fewer still. All of them, then; those that others leave out stand at
// the end.
TEST(PublishedBugs, LibtorrentCve2009_1760TransmissionCve2010_0012RqbitF0206730NamesThatLeave) {
  const auto files = [](const std::string& entry) {
    return "d5:filesld6:lengthi1e4:pathl3:oneee" + entry + "e4:name1:n" + one_piece();
  };
  struct Place {
    const char* what;
    std::function<std::string(const std::string&)> info;
  };
  const std::vector<Place> places{
      {"name", [](const std::string& name) { return "d6:lengthi1e4:name" + name + one_piece(); }},
      {"path", [&](const std::string& name) { return files("d6:lengthi0e4:pathl" + name + "ee"); }},
      {"folder", [&](const std::string& name) { return files("d6:lengthi0e4:pathl" + name + "1:xee"); }},
      {"end", [&](const std::string& name) { return files("d6:lengthi0e4:pathl1:x" + name + "ee"); }},
      {"file tree", [](const std::string& name) { return v2_around(name + leaf("6:lengthi0e")); }},
      {"folder of a tree",
       [](const std::string& name) { return v2_around(name + "d1:x" + leaf("6:lengthi0e") + "e"); }},
      {"link of v1",
       [&](const std::string& name) { return files("d4:attr1:l4:pathl1:le12:symlink pathl" + name + "ee"); }},
      {"link of v2",
       [](const std::string& name) {
         return v2_around("1:l" + leaf("4:attr1:l12:symlink pathl" + name + "e"));
       }},
      {"padding",
       [&](const std::string& name) { return files("d4:attr1:p6:lengthi0e4:pathl" + name + "ee"); }},
      {"name.utf-8",
       [](const std::string& name) { return "d6:lengthi1e4:name1:n10:name.utf-8" + name + one_piece(); }},
      {"path.utf-8", [&](const std::string& name) {
         return files("d6:lengthi0e4:pathl1:xe10:path.utf-8l" + name + "ee");
       }}};
  for (const Place& place : places) {
    const auto good = parse(place.info(bstring("good")));
    EXPECT_TRUE(good) << place.what << ": " << good.error().rule;
    for (const std::string& name :
         {std::string{"."}, std::string{".."}, std::string{"/etc"}, std::string{"a/b"}, std::string{"../a"},
          std::string{"a/.."}, std::string{"a\0b", 3}}) {
      const auto refused = parse(place.info(bstring(name)));
      ASSERT_FALSE(refused) << place.what << ' ' << name;
      EXPECT_EQ(refused.error().code, Code::unsafe) << place.what << ' ' << name;
    }
  }
}

// ---- links

// Transmission kept a magnet link's trackers in an array of so many, and wrote on behind it.
TEST(PublishedBugs, TransmissionCve2010_0748ManyTrackersInAMagnetLink) {
  const std::string plain = "magnet:?xt=urn:btih:da39a3ee5e6b4b0d3255bfef95601890afd80709";
  const auto wanted = parse_link(plain);
  ASSERT_TRUE(wanted);
  std::string many = plain;
  while (many.size() + 5 <= max_link_bytes) many += "&tr=x";
  EXPECT_EQ(parse_link(many), *wanted);
  EXPECT_EQ(parse_link(plain + "&tr=" + std::string(8'000, 'x')), *wanted);
  const auto refused = parse_link(many + "&tr=x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_large);
  // So it is with what is kept: files that are wanted, here, and peers (Magnet.IsReadAsOthersWriteIt).
  const auto ranges = [&](std::size_t count) {
    std::string text = plain + "&so=1";
    for (std::size_t i = 1; i < count; ++i) text += ",1";
    const auto link = parse_link(text);
    EXPECT_TRUE(link);
    return link ? link->only.size() : count;
  };
  EXPECT_EQ(ranges(max_link_ranges), max_link_ranges);
  EXPECT_EQ(ranges(max_link_ranges + 1), 0U) << "all files, where there are too many ranges";
}

// A link opened in qBittorrent's web interface could name a file of the machine it ran on. Here a link is one
// of two schemes, and names a content and hosts: whatever else stands there is refused, or is no host.
TEST(PublishedBugs, QBittorrentCve2025_54310LinksToLocalFiles) {
  const std::string id = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  for (const std::string& text :
       {std::string{"file:///etc/passwd"}, std::string{"file:/etc/passwd"}, std::string{"/etc/passwd"},
        std::string{"javascript:alert(1)"}, std::string{"data:application/x-bittorrent;base64,ZGU="},
        "http://example.org/?magnet:?xt=urn:btih:" + id, "//example.org/magnet:?xt=urn:btih:" + id,
        std::string{"magnet:?xs=file:///etc/passwd"}, std::string{"magnet:?xt=file:///etc/passwd"},
        std::string{"shoal:///etc/passwd"}, std::string{"shoal:file:///etc/passwd"}})
    EXPECT_FALSE(parse_link(text)) << text;
  // Where BEP 9 lets a link name a torrent, a tracker or a seed elsewhere, nobody follows it.
  const auto plain = parse_link("magnet:?xt=urn:btih:" + id);
  ASSERT_TRUE(plain);
  for (const char* key : {"xs", "as", "ws", "tr", "mt", "cr"})
    EXPECT_EQ(parse_link("magnet:?xt=urn:btih:" + id + "&" + key + "=file%3A%2F%2F%2Fetc%2Fpasswd"), *plain)
        << key;
  for (const char* host : {"file:///etc/passwd", "/etc/passwd:80", "..:80x", "a/b:80", "@host:80"})
    EXPECT_TRUE(parse_link("magnet:?xt=urn:btih:" + id + "&x.pe=" + host)->at.empty()) << host;
}

}  // namespace
}  // namespace shoal::storage
