// Whatever is read as a link is written and read back as the same link.
#include <cstdint>

#include "dht/base/check.hpp"
#include "storage/link.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  using namespace shoal::storage;
  const std::string_view text = as_text({data, size});
  if (const auto address = HostPort::parse(text)) {
    SHOAL_CHECK(HostPort::parse(address->to_string()) == *address);
  }
  // Most inputs would fail at the id; so the input is tried as what follows a good one, too.
  const std::string good = "shoal:" + to_base32(ContentId{}) + "?";
  const std::string magnet = "magnet:?xt=urn:btih:" + to_hex(Sha1{}) + "&";
  for (const std::string& candidate :
       {std::string{text}, good + std::string{text}, magnet + std::string{text}}) {
    const auto link = parse_link(candidate);
    if (!link) continue;
    const auto back = parse_link(format_link(*link));
    SHOAL_CHECK(back && *back == *link);
  }
  return 0;
}
