// Tests of dht/base/endpoint.hpp: parsing, printing, compact form, classes of addresses.
#include "dht/base/endpoint.hpp"

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal {
namespace {

AddressClass class_of(const char* text) {
  const auto address = IpAddress::parse(text);
  EXPECT_TRUE(address) << text;
  return address ? address->classify() : AddressClass::reserved;
}

TEST(IpAddress, ClassesOfIpv4) {
  for (const char* text : {"1.1.1.1", "8.8.8.8", "11.0.0.1", "9.255.255.255", "172.15.0.1", "172.32.0.1",
                           "100.63.0.1", "100.128.0.1", "169.253.1.1", "192.167.1.1", "192.169.1.1",
                           "198.17.1.1", "198.20.1.1", "223.255.255.1", "126.1.1.1", "128.0.0.1"})
    EXPECT_EQ(class_of(text), AddressClass::global) << text;
  for (const char* text : {"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
                           "100.64.0.1", "100.127.255.255"})
    EXPECT_EQ(class_of(text), AddressClass::local_net) << text;
  for (const char* text : {"127.0.0.1", "127.255.255.255"})
    EXPECT_EQ(class_of(text), AddressClass::loopback) << text;
  EXPECT_EQ(class_of("169.254.1.1"), AddressClass::link_local);
  for (const char* text : {"224.0.0.1", "239.255.255.255"})
    EXPECT_EQ(class_of(text), AddressClass::multicast) << text;
  for (const char* text : {"0.0.0.0", "0.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1",
                           "198.51.100.7", "203.0.113.9", "198.18.0.1", "198.19.255.255", "192.88.99.1"})
    EXPECT_EQ(class_of(text), AddressClass::reserved) << text;
}

TEST(IpAddress, ClassesOfIpv6) {
  for (const char* text : {"2606:4700::1", "2a00::1", "2001:4860::8888", "2001:1::1", "3000::1", "2003::1"})
    EXPECT_EQ(class_of(text), AddressClass::global) << text;
  for (const char* text : {"fc00::1", "fdff:1::2"})
    EXPECT_EQ(class_of(text), AddressClass::local_net) << text;
  EXPECT_EQ(class_of("::1"), AddressClass::loopback);
  for (const char* text : {"fe80::1", "febf::1"}) EXPECT_EQ(class_of(text), AddressClass::link_local) << text;
  for (const char* text : {"ff02::1", "ff0e::1"}) EXPECT_EQ(class_of(text), AddressClass::multicast) << text;
  for (const char* text : {"::", "2001:db8::1", "4000::1", "1000::1", "e000::1", "100::1", "fec0::1"})
    EXPECT_EQ(class_of(text), AddressClass::reserved) << text;
}

TEST(IpAddress, EmbeddedIpv4IsRefusedWhateverItCarries) {
  for (const char* text :
       {"::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "::127.0.0.1", "::8.8.8.8", "::2",
        "2002:7f00:1::1", "2002:808:808::1", "64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1",
        "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"})
    EXPECT_EQ(class_of(text), AddressClass::embedded) << text;
}

TEST(IpAddress, ParsesOnlyTheNumericForms) {
  for (const char* bad : {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.04x", " 1.2.3.4",
                          "1.2.3.4 ", "0x7f.1", "2130706433", "[::1]", "fe80::1%eth0", "::1::", ":::",
                          "1::2::3", "12345::", "1.2.3.4:80", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9"})
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  EXPECT_FALSE(IpAddress::parse(std::string_view{"1.2.3.4\0", 8}));
  EXPECT_FALSE(IpAddress::parse(std::string_view{"1.2.3.4\0.evil", 13}));
}

TEST(IpAddress, PrintsWhatItParses) {
  for (const char* text : {"1.2.3.4", "255.255.255.255", "::", "::1", "2001:db8::ff00:42:8329", "fe80::1"}) {
    EXPECT_EQ(IpAddress::parse(text).value().to_string(), text);
  }
  EXPECT_EQ(IpAddress::v4(0x01020304).to_string(), "1.2.3.4");
  EXPECT_EQ(IpAddress::parse("::FFFF:1.2.3.4").value().family, Family::v6);
}

TEST(IpAddress, FromBytesUnmapsAndNetworksGroup) {
  const Bytes mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4};
  EXPECT_EQ(IpAddress::from_bytes(mapped), IpAddress::v4(0x01020304));
  EXPECT_EQ(IpAddress::v4(0x01020304).network(), IpAddress::v4(0x01020300));
  EXPECT_EQ(IpAddress::parse("2a00:1:2:3:4:5:6:7").value().network().to_string(), "2a00:1:2::");
  EXPECT_EQ(IpAddress::v4(0x01020304).host(), IpAddress::v4(0x01020304));
  EXPECT_EQ(IpAddress::parse("2a00:1:2:3:4:5:6:7").value().host().to_string(), "2a00:1:2:3::");
  EXPECT_TRUE(IpAddress::v4(0).unspecified());
  EXPECT_TRUE(IpAddress::parse("::").value().unspecified());
  EXPECT_FALSE(IpAddress::v4(1).unspecified());
  EXPECT_EQ(IpAddress::v4(1).view().size(), 4U);
}

TEST(Endpoint, Parses) {
  EXPECT_EQ(Endpoint::parse("1.2.3.4:80").value(), (Endpoint{IpAddress::v4(0x01020304), 80}));
  EXPECT_EQ(Endpoint::parse("[::1]:65535").value().to_string(), "[::1]:65535");
  EXPECT_EQ(Endpoint::parse("1.2.3.4:1").value().to_string(), "1.2.3.4:1");
  for (const char* bad : {"",           ":",           "1.2.3.4",       "1.2.3.4:",
                          ":80",        "1.2.3.4:0",   "1.2.3.4:65536", "1.2.3.4:99999999999",
                          "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4: 80",   "1.2.3.4:80 ",
                          "1.2.3.4:8x", "::1:80",      "[1.2.3.4]:80",  "[::1]",
                          "[::1]80",    "::1]:80",     "[::1:80",       "[]:80",
                          "host:80",    "[::1%lo]:80"})
    EXPECT_FALSE(Endpoint::parse(bad)) << bad;
}

TEST(Endpoint, CompactFormRoundTrips) {
  const Endpoint v4{IpAddress::v4(0x01020304), 0x1f90};
  EXPECT_EQ(to_hex(v4.compact()), "010203041f90");
  Random random{Random::Seed{5}};
  for (int i = 0; i < 200; ++i) {
    Bytes raw(i % 2 == 0 ? 6 : 18);
    random.fill(raw);
    const auto endpoint = Endpoint::from_compact(raw);
    ASSERT_TRUE(endpoint);
    EXPECT_EQ(endpoint->compact(), raw);
    if (endpoint->port != 0) {
      EXPECT_EQ(Endpoint::parse(endpoint->to_string()).value(), *endpoint);
    }
  }
  for (std::size_t size : {0U, 1U, 4U, 5U, 7U, 16U, 17U, 19U, 24U})
    EXPECT_FALSE(Endpoint::from_compact(Bytes(size))) << size;
  // A mapped address in compact form stays IPv6, so that its class refuses it.
  const Bytes mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1, 0, 80};
  EXPECT_EQ(Endpoint::from_compact(mapped).value().address.classify(), AddressClass::embedded);
}

}  // namespace
}  // namespace shoal
