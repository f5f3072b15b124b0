// Whatever is read as a link is written and read back as the same link.
#include <cstdint>

#include "dht/base/check.hpp"
#include "storage/link.hpp"
#include "tests/fuzz/watch.hpp"

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  using namespace storage;
  const std::string_view text = as_text(input);
  if (const auto address = HostPort::parse(text)) {
    SHOAL_CHECK(HostPort::parse(address->to_string()) == *address);
  }
  // Most inputs would fail at the id; so the input is tried as what follows a good one, too.
  const std::string good = "shoal:" + to_base32(ContentId{}) + "?";
  const std::string magnet = "magnet:?xt=urn:btih:" + to_hex(Sha1{}) + "&";
  for (const std::string& before : {std::string{}, good, magnet}) {
    std::optional<std::string> candidate;
    {
      const Aside aside;
      candidate = before + std::string{text};
    }
    const auto link = parse_link(*candidate);
    const Aside aside;
    candidate.reset();
    if (!link) continue;
    const auto back = parse_link(format_link(*link));
    SHOAL_CHECK(back && *back == *link);
  }
}
