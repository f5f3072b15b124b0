// Links: one way to write them, several to read them, a hundred refused with a clear word.
#include "storage/link.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace shoal::storage {
namespace {

using std::string_literals::operator""s;

ContentId some_id() {
  ContentId id{};
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return id;
}

const std::string digits = to_base32(some_id());
const std::string plain = "shoal:" + digits;

TEST(Link, IsWrittenAndReadBack) {
  ASSERT_EQ(digits.size(), 52U);
  Link link;
  link.id = some_id();
  EXPECT_EQ(format_link(link), plain);
  EXPECT_EQ(parse_link(plain), link);
  link.at = {{"192.0.2.7", 6881}, {"2001:db8::1", 1}, {"peer.example.org", 65535}};
  link.name = "My file (1) & caf\xc3\xa9+\xff.txt";
  const std::string text = format_link(link);
  EXPECT_EQ(text, plain +
                      "?at=192.0.2.7:6881&at=[2001:db8::1]:1&at=peer.example.org:65535&dn=My%20file%20%281%"
                      "29%20%26%20caf%C3%A9%2B%FF.txt");
  const auto back = parse_link(text);
  ASSERT_TRUE(back) << back.error().rule;
  EXPECT_EQ(*back, link);
}

TEST(Link, IsReadInEverySpelling) {
  std::string upper = plain;
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  EXPECT_EQ(parse_link(upper)->id, some_id());
  EXPECT_EQ(parse_link("Shoal:" + digits)->id, some_id());
  EXPECT_EQ(parse_link(plain + "?")->id, some_id());
  EXPECT_EQ(parse_link(plain + "?dn=x&at=h:1&at=i:2")->at.size(), 2U);
  EXPECT_EQ(parse_link(plain + "?x=1&dn=a&future.key=%41&at=h:1")->name, "a");
  EXPECT_EQ(parse_link(plain + "?dn=")->name, "");
  EXPECT_EQ(parse_link(plain + "?dn=a+b%2bc")->name, "a+b+c");
  EXPECT_EQ(parse_link(plain + "?dn=%00%1b%ff")->name, "\0\x1b\xff"s);
  EXPECT_EQ(parse_link(plain + "?at=%5B::1%5D%3A80")->at.front(), (HostPort{"::1", 80}));
  EXPECT_EQ(parse_link(plain + "?dn=a=b")->name, "a=b");
}

struct Bad {
  std::string text;
  Code code;
};

std::vector<Bad> bad_links() {
  using enum Code;
  std::vector<Bad> out{
      {"", malformed},
      {"shoal", malformed},
      {"shoal:", malformed},
      {"shoal:?dn=x", malformed},
      {digits, malformed},
      {"http://example.org/", malformed},
      {" " + plain, malformed},
      {plain + " ", malformed},
      {plain + "\n", malformed},
      {"shoal://" + digits, malformed},
      {"shoal: " + digits, malformed},
      {"shoals:" + digits, malformed},
      {"magnet:?xt=urn:btmh:1220" + std::string(62, 'a'), malformed},
      {"magnet:?xt=urn:btmh:1114" + std::string(40, 'a'), malformed},
      {"MAGNET:?xt=urn:btih:x", malformed},
      {"magnet:?xt=urn:btih:" + std::string(39, 'a'), malformed},
      {"magnet:?xt=urn:btih:" + std::string(40, 'a') + "&xt=urn:btih:" + std::string(40, 'b'), malformed},
      {"magnet:?xt=urn:sha1:" + std::string(32, 'a'), unsupported},
      {"magnet:?dn=x", unsupported},
      {"magnet:?", unsupported},
      {"magnet:", malformed},
      {"magnet:xt=urn:btih:" + std::string(40, 'a'), malformed},
      {plain + "a", malformed},
      {plain + "aaaa", malformed},
      {plain + "=", malformed},
      {plain + "====", malformed},
      {plain + plain, malformed},
      {plain + "#", malformed},
      {plain + "?#", malformed},
      {plain + "/x", malformed},
      {plain + "&dn=x", malformed},
      {plain + "?dn", malformed},
      {plain + "?=x", malformed},
      {plain + "?=", malformed},
      {plain + "?&", malformed},
      {plain + "?dn=x&", malformed},
      {plain + "?&dn=x", malformed},
      {plain + "?dn=x&&at=h:1", malformed},
      {plain + "??dn=x", malformed},
      {plain + "?dn=a&dn=b", malformed},
      {plain + "?dn=&dn=", malformed},
      {plain + "?dn=%", malformed},
      {plain + "?dn=%4", malformed},
      {plain + "?dn=%4&at=h:1", malformed},
      {plain + "?dn=%zz", malformed},
      {plain + "?dn=%-1", malformed},
      {plain + "?dn=a b", malformed},
      {plain + "?dn=a\"b", malformed},
      {plain + "?dn=<b>", malformed},
      {plain + "?dn=a#b", malformed},
      {plain + "?dn=a\\b", malformed},
      {plain + "?dn=a^b", malformed},
      {plain + "?dn=a`b", malformed},
      {plain + "?dn={b}", malformed},
      {plain + "?dn=a|b", malformed},
      {plain + "?dn=\xc3\xa9", malformed},
      {plain + "?dn=a\x1b", malformed},
      {plain + "?dn=a\0b"s, malformed},
      {plain + "?x=%", malformed},
      {plain + "?x=\n", malformed},
      {plain + "?d n=x", malformed},
      {plain + "?d%6e=x", malformed},
      {plain + "?\xff=x", malformed},
      {plain + "?a[]=x", malformed},
      {plain + "?at=", malformed},
      {plain + "?at=h", malformed},
      {plain + "?at=:1", malformed},
      {plain + "?at=h:", malformed},
      {plain + "?at=h:0", malformed},
      {plain + "?at=h:65536", malformed},
      {plain + "?at=h:99999999999999999999", malformed},
      {plain + "?at=h:-1", malformed},
      {plain + "?at=h:+1", malformed},
      {plain + "?at=h:01", malformed},
      {plain + "?at=h:1x", malformed},
      {plain + "?at=h:0x50", malformed},
      {plain + "?at=h:1%20", malformed},
      {plain + "?at=%20h:1", malformed},
      {plain + "?at=h,i:1", malformed},
      {plain + "?at=::1:80", malformed},
      {plain + "?at=1:2:3", malformed},
      {plain + "?at=[::1]", malformed},
      {plain + "?at=[::1:80", malformed},
      {plain + "?at=::1]:80", malformed},
      {plain + "?at=[]:80", malformed},
      {plain + "?at=[h]:80", malformed},
      {plain + "?at=[1.2.3.4]:80", malformed},
      {plain + "?at=[::g]:80", malformed},
      {plain + "?at=[fe80::1%25eth0]:80", malformed},
      {plain + "?at=1.2.3:80", malformed},
      {plain + "?at=1.2.3.4.5:80", malformed},
      {plain + "?at=256.1.1.1:80", malformed},
      {plain + "?at=01.2.3.4:80", malformed},
      {plain + "?at=2130706433:80", malformed},
      {plain + "?at=0x7f000001:80", malformed},
      {plain + "?at=0x7f.1:80", malformed},
      {plain + "?at=h.0x1:80", malformed},
      {plain + "?at=h..i:80", malformed},
      {plain + "?at=.h:80", malformed},
      {plain + "?at=h.:80", malformed},
      {plain + "?at=-h:80", malformed},
      {plain + "?at=h-:80", malformed},
      {plain + "?at=h@i:80", malformed},
      {plain + "?at=h/i:80", malformed},
      {plain + "?at=h%00:80", malformed},
      {plain + "?at=h%C3%A9:80", malformed},
      {plain + "?at=" + std::string(64, 'h') + ":80", malformed},
      {plain + "?dn=" + std::string(256, 'x'), too_large},
      {plain + "?dn=" + std::string(9000, 'x'), too_large},
      {"shoal:" + std::string(9000, 'a'), too_large},
      {"magnet:" + std::string(9000, 'a'), too_large}};
  std::string long_host = "h";
  while (long_host.size() < 253) long_host += ".h";
  out.push_back({plain + "?at=" + long_host + "h:80", malformed});
  std::string many = plain + "?at=h:1";
  for (int i = 1; i < 33; ++i) many += "&at=h:1";
  out.push_back({many, too_large});
  many = plain + "?x=1";
  for (int i = 1; i < 65; ++i) many += "&x=1";
  out.push_back({many, too_large});
  for (const std::size_t length : {1UL, 8UL, 16UL, 32UL, 50UL, 51UL})
    out.push_back({plain.substr(0, 6 + length), malformed});
  for (const char c : {'0', '1', '8', '9', '-', '_', '%', '\0', '\xc3', '.'}) {
    std::string wrong = plain;
    wrong[20] = c;
    out.push_back({wrong, malformed});
  }
  for (const char c : {'b', 'c', 'e', 'h', 'i', 'r', 'z', '2', '7'}) {  // the last digit carries one bit
    std::string wrong = plain;
    wrong.back() = c;
    out.push_back({wrong, non_canonical});
  }
  return out;
}

TEST(Magnet, IsWrittenAndReadBack) {
  Link link;
  link.is_public = true;
  link.id = some_id();
  const std::string v2 = "magnet:?xt=urn:btmh:1220" + to_hex(some_id());
  EXPECT_EQ(format_link(link), v2);
  EXPECT_EQ(parse_link(v2), link);
  link.v1 = sha1({});
  EXPECT_EQ(format_link(link), v2 + "&xt=urn:btih:da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(parse_link(format_link(link)), link);
  link.name = "a b+c&\xff";
  link.at = {{"192.0.2.7", 6881}, {"2001:db8::1", 1}};
  link.only = {{0, 0}, {2, 5}};
  EXPECT_EQ(parse_link(format_link(link)), link);
  link.id = id_of_v1(*link.v1);
  EXPECT_EQ(format_link(link),
            "magnet:?xt=urn:btih:da39a3ee5e6b4b0d3255bfef95601890afd80709&dn=a%20b%2Bc%26%FF&x.pe=192.0.2.7:"
            "6881&x.pe=[2001:db8::1]:1&so=0,2-5");
  EXPECT_EQ(parse_link(format_link(link)), link);
}

TEST(Magnet, IsReadAsOthersWriteIt) {
  const std::string hex = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  const Sha1 v1 = sha1({});
  const auto v1_of = [](const std::string& text) {
    const auto link = parse_link(text);
    EXPECT_TRUE(link) << text;
    return link ? link->v1 : std::nullopt;
  };
  std::string upper = hex;
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  EXPECT_EQ(v1_of("MAGNET:?XT=1&xt=URN:BTIH:" + upper), v1);
  EXPECT_EQ(v1_of("magnet:?xt=urn:btih:" + to_base32(v1)), v1);
  EXPECT_EQ(v1_of("magnet:/?xt=urn:btih:" + hex), v1);
  EXPECT_EQ(v1_of("magnet://?xt=urn:btih:" + hex), v1);
  EXPECT_EQ(v1_of("magnet:?xt.1=urn:btih:" + hex), v1);
  EXPECT_EQ(v1_of("magnet:?xt=urn%3Abtih%3A" + hex), v1);
  EXPECT_EQ(v1_of("magnet:?xt=urn:ed2k:354B15E68FB8F36D7CD88FF94116CDC1&xt=urn:btih:" + hex), v1);
  const auto link =
      parse_link("magnet:?dn=a+b%20c%zz\xc3\xa9&amp;tr=udp%3A%2F%2Ft%3A80&xl=5&&x&xt=urn:btih:" + hex +
                 "&x.pe=bad&x.pe=h:1&so=1,2-x&dn=other");
  ASSERT_TRUE(link);
  EXPECT_EQ(link->name, "a b c%zz\xc3\xa9");
  EXPECT_EQ(link->at, (std::vector<HostPort>{{"h", 1}}));
  EXPECT_TRUE(link->only.empty()) << "what is not understood selects all";
  EXPECT_EQ(link->id, id_of_v1(v1));
  const auto selection = parse_link("magnet:?xt=urn:btih:" + hex + "&so=0,2,4,6-8");
  EXPECT_EQ(selection->only,
            (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0, 0}, {2, 2}, {4, 4}, {6, 8}}));
  std::string many = "magnet:?xt=urn:btih:" + hex;
  for (int i = 0; i < 40; ++i) many += "&x.pe=h:" + std::to_string(i + 1);
  EXPECT_EQ(parse_link(many)->at.size(), max_link_addresses);
  EXPECT_EQ(parse_link("magnet:?dn=" + std::string(999, 'x') + "&xt=urn:btih:" + hex)->name.size(),
            max_link_name_bytes);
}

TEST(Magnet, NamesOneContentAndSpellsItOut) {
  const std::string hex = "da39a3ee5e6b4b0d3255bfef95601890afd80709", v1 = "&xt=urn:btih:" + hex;
  const std::string id = to_hex(some_id()), v2 = "&xt=urn:btmh:1220" + id;
  const auto code = [](const std::string& topics) {
    const auto link = parse_link("magnet:?x=1" + topics);
    return link ? Code::exists : link.error().code;
  };
  EXPECT_EQ(code(v1 + v2 + v1 + v2), Code::exists) << "said twice it is still one";
  EXPECT_EQ(code(v1 + "&xt=urn:btih:" + std::string(40, '0')), Code::malformed);
  EXPECT_EQ(code(v2 + "&xt=urn:btmh:1220" + std::string(64, '0')), Code::malformed);
  EXPECT_EQ(code("&xt=urn:btih:" + hex.substr(2)), Code::malformed);
  EXPECT_EQ(code("&xt=urn:btih:" + std::string(40, 'g')), Code::malformed);
  EXPECT_EQ(code("&xt=urn:btmh:1220" + id.substr(2)), Code::malformed);
  EXPECT_EQ(code("&xt=urn:btmh:1320" + id), Code::malformed);
  EXPECT_EQ(code("&xt=urn:btmh:1220" + std::string(64, 'g')), Code::malformed);
  EXPECT_EQ(code("&dn=name"), Code::unsupported);
  const auto named = [&](const std::string& name) { return parse_link("magnet:?dn=" + name + v1)->name; };
  EXPECT_EQ(named("100%"), "100%");
  EXPECT_EQ(named("100%4"), "100%4");
  EXPECT_EQ(named("100%41"), "100A");
  const auto selected = [&](const std::string& text) {
    return parse_link("magnet:?so=" + text + v1)->only.size();
  };
  EXPECT_EQ(selected("0,2-5,"), 2U);
  for (const std::string text : {"x", "1,x-2", "1,2-x", "5-2", "-", "4294967296", "1x", "1,,2"})
    EXPECT_EQ(selected(text), 0U) << text;
  std::string ranges = "0";
  for (std::size_t i = 1; i < max_link_ranges; ++i) ranges += "," + std::to_string(i);
  EXPECT_EQ(selected(ranges), max_link_ranges);
  EXPECT_EQ(selected(ranges + ",7"), 0U) << "rather too much than too little";
}

TEST(HostPort, NumbersAreNoNamesInAnySpelling) {
  for (const char* host : {"0x7f", "0XAF", "0x", "a.0xFf", "1.2.3", "09"})
    EXPECT_FALSE(HostPort::parse(std::string{host} + ":80")) << host;
  for (const char* host : {"0xg", "0x7g", "0x7G", "0x-7", "0x7:"})
    EXPECT_EQ(HostPort::parse(std::string{host} + ":80").has_value(), std::string_view{host}.back() != ':')
        << host;
  EXPECT_FALSE((HostPort{"name", 80}).endpoint());
  EXPECT_FALSE((HostPort{"192.0.2.7", 0}).endpoint());
  EXPECT_TRUE((HostPort{"192.0.2.7", 80}).endpoint());
  Link link;
  link.id = some_id();
  link.name = "a.b_c~d-e f";
  EXPECT_NE(format_link(link).find("a.b_c~d-e%20f"), std::string::npos) << "what needs no escape has none";
  EXPECT_EQ(parse_link(format_link(link)), link);
  EXPECT_FALSE(parse_link(format_link(link) + "&at=%zz")) << "nor is a wrong one taken";
}

TEST(Link, AHundredBadOnesAreRefused) {
  const auto bad = bad_links();
  ASSERT_GE(bad.size(), 100U);
  for (const Bad& link : bad) {
    const auto parsed = parse_link(link.text);
    ASSERT_FALSE(parsed) << link.text;
    EXPECT_EQ(parsed.error().code, link.code) << link.text << ": " << parsed.error().rule;
    EXPECT_GT(std::string_view{parsed.error().rule}.size(), 10U);
  }
}

TEST(Link, TruncationIsNamed) {
  for (std::size_t length = 6; length < plain.size(); ++length) {
    const auto parsed = parse_link(plain.substr(0, length));
    ASSERT_FALSE(parsed);
    EXPECT_NE(std::string_view{parsed.error().rule}.find("cut short"), std::string_view::npos) << length;
  }
}

TEST(Link, NamesAreNeverCutByTheBound) {
  Link link;
  link.id = some_id();
  link.name.assign(max_link_name_bytes, '\xff');
  for (std::size_t i = 0; i < max_link_addresses; ++i)
    link.at.push_back({"host" + std::to_string(i) + ".example", 6881});
  EXPECT_EQ(parse_link(format_link(link)), link);
}

TEST(HostPort, NamesAndAddresses) {
  EXPECT_EQ(HostPort::parse("localhost:80"), (HostPort{"localhost", 80}));
  EXPECT_EQ(HostPort::parse("a_b.Example-1.org:1"), (HostPort{"a_b.Example-1.org", 1}));
  EXPECT_EQ(HostPort::parse("3com.7x:1"), (HostPort{"3com.7x", 1}));
  EXPECT_EQ(HostPort::parse("10.0.0.1:65535"), (HostPort{"10.0.0.1", 65535}));
  EXPECT_EQ(HostPort::parse("[::ffff:1.2.3.4]:9"), (HostPort{"::ffff:1.2.3.4", 9}));
  for (const char* text : {"localhost:80", "10.0.0.1:65535", "[2001:db8::1]:9"})
    EXPECT_EQ(HostPort::parse(text)->to_string(), text);
  EXPECT_EQ(HostPort::parse("localhost:80")->endpoint(), std::nullopt);
  const auto endpoint = HostPort::parse("[2001:db8::1]:9")->endpoint();
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->to_string(), "[2001:db8::1]:9");
  EXPECT_EQ(HostPort::from(*endpoint), (HostPort{"2001:db8::1", 9}));
  EXPECT_EQ(HostPort::from(*Endpoint::parse("1.2.3.4:5")).to_string(), "1.2.3.4:5");
}

TEST(Link, IsRecognised) {
  EXPECT_TRUE(looks_like_link("shoal:x"));
  EXPECT_TRUE(looks_like_link("SHOAL:"));
  EXPECT_TRUE(looks_like_link("magnet:?"));
  EXPECT_FALSE(looks_like_link("file.torrent"));
  EXPECT_FALSE(looks_like_link("./shoal:x"));
  EXPECT_FALSE(looks_like_link("shoa"));
  EXPECT_FALSE(looks_like_link(""));
}

}  // namespace
}  // namespace shoal::storage
