// BEP 14's calls: as written, as others write them, and hostile.
#include "swarm/lsd.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm::lsd {
namespace {

const std::string forty = "0123456789abcdef0123456789ABCDEF01234567";

Result<Announcement> read(std::string_view text) { return decode(as_bytes(text)); }

TEST(Lsd, ACallIsAsBep14HasItAndReadsBack) {
  Announcement call{6881, {ByteArray<20>{1}, ByteArray<20>{2}}, "cookie-1"};
  const Bytes bytes = encode(Family::v4, call);
  EXPECT_EQ(as_text(bytes),
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n"
            "Infohash: 0100000000000000000000000000000000000000\r\n"
            "Infohash: 0200000000000000000000000000000000000000\r\n"
            "cookie: cookie-1\r\n\r\n\r\n");
  const auto again = decode(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->port, 6881);
  EXPECT_EQ(again->contents, call.contents);
  EXPECT_EQ(again->cookie, "cookie-1");
  EXPECT_NE(as_text(encode(Family::v6, call)).find("Host: [ff15::efc0:988f]:6771\r\n"),
            std::string_view::npos);
  call.cookie.clear();
  EXPECT_EQ(as_text(encode(Family::v4, call)).find("cookie"), std::string_view::npos);
  EXPECT_TRUE(decode(encode(Family::v4, call))->cookie.empty());
  call.contents.assign(contents_most, ByteArray<20>{});
  call.cookie.assign(cookie_most, 'x');
  EXPECT_LE(encode(Family::v6, call).size(), message_most);
}

TEST(Lsd, OthersWriteItTheirWay) {
  const auto call = read("BT-SEARCH * HTTP/1.1\nHOST:x\nX-Other: 1\nINFOHASH:" + forty + "\nport:\t7 \n\n");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->port, 7);
  EXPECT_EQ(to_hex(call->contents.at(0)), "0123456789abcdef0123456789abcdef01234567");
  EXPECT_TRUE(call->cookie.empty());
  const auto spaced =
      read("BT-SEARCH * HTTP/1.1\r\nPo-t: 5\r\n0ort: 5\r\nPort \t:\t7\t \t\r\nInfohash: " + forty);
  ASSERT_TRUE(spaced);
  EXPECT_EQ(spaced->port, 7) << "other names of that length say nothing of it";
  EXPECT_TRUE(read("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: " + forty));  // cut short, and whole enough
}

TEST(Lsd, WhatIsNoCallIsRefused) {
  const std::string start = "BT-SEARCH * HTTP/1.1\r\n", hash = "Infohash: " + forty + "\r\n",
                    port = "Port: 7\r\n";
  for (const std::string& text :
       {std::string{}, std::string{"M-SEARCH * HTTP/1.1\r\n"} + port + hash, start, start + port,
        start + hash, start + "Port: 0\r\n" + hash, start + "Port: 65536\r\n" + hash,
        start + "Port: -1\r\n" + hash, start + "Port: 7x\r\n" + hash, start + "Port:\r\n" + hash,
        start + port + "Infohash: 01\r\n", start + port + "Infohash: " + std::string(40, 'g') + "\r\n",
        start + port + hash + "no header\r\n",
        start + port + hash + "cookie: " + std::string(cookie_most + 1, 'x') + "\r\n",
        start + "\r\n" + port + hash})
    EXPECT_FALSE(read(text)) << text;
  std::string many = start + port;
  for (std::size_t i = 0; i <= contents_most; ++i) many += hash;
  EXPECT_EQ(read(many).error().code, Code::too_large);
  EXPECT_EQ(read(start + port + hash + std::string(message_most, ' ')).error().code, Code::too_large);
}

}  // namespace
}  // namespace shoal::swarm::lsd
