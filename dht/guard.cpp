// The first filter; see guard.hpp.
#include "dht/guard.hpp"

#include <algorithm>

namespace shoal::dht {
namespace {

constexpr std::size_t look_every = 8;  // times, while as many sources as there are places take one
constexpr std::size_t roomy = 8;       // places a busy source: half of them are enough

std::uint64_t mix(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

bool usable_source(const Endpoint& from, Family family) {
  if (from.address.family != family || from.port == 0) return false;
  switch (from.address.classify()) {
    case AddressClass::multicast:
    case AddressClass::embedded:
    case AddressClass::reserved:
      return false;
    case AddressClass::global:
    case AddressClass::local_net:
    case AddressClass::loopback:
    case AddressClass::link_local:
      return true;
  }
  return false;
}

bool Guard::Bucket::take(double elapsed, double rate, double burst) {
  tokens = static_cast<float>(std::min(burst, static_cast<double>(tokens) + elapsed * rate));
  if (tokens < 1) return false;
  tokens -= 1;
  return true;
}

Guard::Guard(Random& random) : secret_{random.next(), random.next()}, entries_(limits::guard_sources_first) {
  strangers_.tokens = static_cast<float>(limits::packets_burst_strangers);
  all_signatures_.tokens = static_cast<float>(limits::signatures_burst);
}

// An IPv4 address, or an IPv6 /64, the least that a customer gets: the first half of the address. Global ones
// begin with 2000::/3 and are no small numbers.
Guard::Party Guard::party_of(const IpAddress& address) {
  if (address.family == Family::v4) return load_be<std::uint32_t>(address.bytes.data());
  return load_be<std::uint64_t>(address.bytes.data());
}

std::size_t Guard::set_of(Party party) const {
  const std::uint64_t hash = mix(mix(party ^ secret_[0]) + secret_[1]);
  return static_cast<std::size_t>(hash % (entries_.size() / ways)) * ways;
}

// Makes it a table of so many places; the rested need none. False, and nothing changes: some set has too few.
bool Guard::resize(Instant now, std::size_t size) {
  std::vector<Source> old(size);
  old.swap(entries_);
  for (const Source& source : old) {
    if (!source.used() || source.rested(now)) continue;
    const auto set = entries_.begin() + static_cast<std::ptrdiff_t>(set_of(source.party));
    const auto place = std::find_if(set, set + ways, [](const Source& other) { return !other.used(); });
    if (place == set + ways) {
      old.swap(entries_);
      return false;
    }
    *place = source;
  }
  return true;
}

// Looked at now and then, so that it costs little.
bool Guard::too_large(Instant now) {
  if (entries_.size() <= limits::guard_sources_first || ++met_ < entries_.size() / look_every) return false;
  met_ = 0;
  const auto busy = std::count_if(entries_.begin(), entries_.end(), [now](const Source& source) {
    return source.used() && !source.rested(now);
  });
  return static_cast<std::size_t>(busy) * roomy <= entries_.size();
}

// Its budgets are full again: forgotten and met anew it would have the same.
bool Guard::Source::rested(Instant now) const {
  const double idle = seconds(now - last);
  return packets.tokens + idle * limits::packets_per_second >= limits::packets_burst &&
         proven_packets.tokens + idle * limits::packets_per_second_proven >= limits::packets_burst_proven &&
         signatures.tokens + idle * limits::signatures_per_source >= limits::signatures_per_source_burst;
}

Guard::Source& Guard::source(Instant now, const IpAddress& address) {
  const Party party = party_of(address);
  for (;;) {
    const std::size_t set = set_of(party);
    std::size_t oldest = set;
    for (std::size_t i = set; i < set + ways; ++i) {
      if (entries_[i].party == party) return entries_[i];
      if (!entries_[i].used() || (entries_[oldest].used() && entries_[i].last < entries_[oldest].last))
        oldest = i;
    }
    for (std::size_t i = set; i < set + ways && entries_[oldest].used(); ++i)
      if (entries_[i].rested(now)) oldest = i;
    if (entries_[oldest].used() && !entries_[oldest].rested(now) && entries_.size() < limits::guard_sources) {
      resize(now, entries_.size() * 2);
      continue;
    }
    if (too_large(now) && resize(now, entries_.size() / 2)) continue;
    Source& fresh = entries_[oldest];
    fresh = {};
    fresh.party = party;
    fresh.packets.tokens = static_cast<float>(limits::packets_burst);
    fresh.proven_packets.tokens = static_cast<float>(limits::packets_burst_proven);
    fresh.signatures.tokens = static_cast<float>(limits::signatures_per_source_burst);
    fresh.last = now;
    return fresh;
  }
}

Acceptance Guard::admit(Instant now, const Endpoint& from, std::size_t bytes, SourceStanding standing) {
  if (bytes == 0 || bytes > limits::datagram_read) return Acceptance::drop;
  if (!from.address.global()) return Acceptance::pass;
  if (standing == SourceStanding::unproven) {
    const double elapsed = strangers_last_ == Instant{} ? 0 : seconds(now - strangers_last_);
    strangers_last_ = now;
    if (!strangers_.take(elapsed, limits::packets_per_second_strangers, limits::packets_burst_strangers))
      return Acceptance::drop;
  }
  Source& known = source(now, from.address);
  // Every budget is refilled for the time that passed, since all share one clock.
  const double elapsed = seconds(now - known.last);
  known.last = now;
  const auto refill = [elapsed](Bucket& bucket, double rate, double burst) {
    bucket.tokens = static_cast<float>(std::min(burst, static_cast<double>(bucket.tokens) + elapsed * rate));
  };
  refill(known.packets, limits::packets_per_second, limits::packets_burst);
  refill(known.proven_packets, limits::packets_per_second_proven, limits::packets_burst_proven);
  refill(known.signatures, limits::signatures_per_source, limits::signatures_per_source_burst);
  Bucket& budget = standing == SourceStanding::validated ? known.proven_packets : known.packets;
  if (budget.tokens < 1) return Acceptance::drop;
  budget.tokens -= 1;
  return Acceptance::pass;
}

Acceptance Guard::admit_signature(Instant now, const Endpoint& from) {
  if (!from.address.global()) return Acceptance::pass;
  Source& known = source(now, from.address);
  if (known.signatures.tokens < 1) return Acceptance::drop;
  const double elapsed = signatures_last_ == Instant{} ? 0 : seconds(now - signatures_last_);
  signatures_last_ = now;
  if (!all_signatures_.take(elapsed, limits::signatures_per_second, limits::signatures_burst))
    return Acceptance::drop;
  known.signatures.tokens -= 1;
  return Acceptance::pass;
}

}  // namespace shoal::dht
