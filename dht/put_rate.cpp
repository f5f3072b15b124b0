// Rates of PUTs by source and of signatures in total. See put_rate.hpp.
#include "dht/put_rate.hpp"

#include <algorithm>

namespace shoal::dht {
namespace {

// IPv6: the /64, in which one subscriber may use any address.
IpAddress subscriber(const IpAddress& address) {
  IpAddress out = address;
  if (out.family == Family::v6) std::fill(out.bytes.begin() + 8, out.bytes.end(), std::uint8_t{0});
  return out;
}

}  // namespace

bool PutRate::admit_source(Instant now, const IpAddress& source) {
  if (!source.global()) return true;
  const IpAddress counted = subscriber(source);
  auto found = by_address_.find(counted);
  if (found == by_address_.end()) {
    if (by_address_.size() >= sources) {
      by_address_.erase(by_use_.front());
      by_use_.pop_front();
    }
    by_use_.push_back(counted);
    found = by_address_.emplace(counted, Source{PacedRate{}, std::prev(by_use_.end())}).first;
  } else {
    by_use_.splice(by_use_.end(), by_use_, found->second.place);
  }
  return found->second.rate.admit(now, source_interval, source_burst);
}

bool PutRate::admit_signatures(Instant now, Kind kind) {
  if (signatures_.admit(now, signature_interval, signature_burst)) return true;
  return kind == Kind::due_refresh && refreshes_.admit(now, refresh_interval, refresh_burst);
}

}  // namespace shoal::dht
