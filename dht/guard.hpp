// Guard: the first filter of every datagram, before a byte of it is decoded, and the budget of signatures.
// Budgets count by source IP (v6: /64) and hold for global unicast addresses only: a LAN, a loopback network
// or peers behind one NAT are not strangers. Who has answered us lately has a wider budget of its own, so
// that a flood from forged addresses takes nothing from it (THREATS A11, A15).
//
// A flat, 8-way table under a keyed hash: an attacker cannot choose who shares a set. A source whose
// budgets are full again makes room without loss; where there is none the table grows, to a bound; then the
// entry idle for longest is replaced, and a source that comes back has a full budget, which the common budget
// of all strangers bounds. When the rush is over the table shrinks again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/random.hpp"
#include "dht/base/time.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {

enum class Acceptance : std::uint8_t { pass, drop };
enum class SourceStanding : std::uint8_t { unproven, validated };

// Whether an address can be talked to at all: unicast, of this family, and where `scope` is the internet only
// global, unless the user named it.
[[nodiscard]] bool usable_source(const Endpoint& from, Family family);

class Guard {
 public:
  explicit Guard(Random& random);
  // For every datagram: size, source and budget.
  [[nodiscard]] Acceptance admit(Instant now, const Endpoint& from, std::size_t bytes,
                                 SourceStanding standing);
  // May we sign a reply to this source now?
  [[nodiscard]] Acceptance admit_signature(Instant now, const Endpoint& from);
  [[nodiscard]] std::size_t sources() const { return entries_.size(); }

 private:
  struct Bucket {
    float tokens = 0;
    // Refills by `rate` a second up to `burst`, then takes one; false: empty.
    bool take(double elapsed, double rate, double burst);
  };
  using Party = std::uint64_t;  // whose budget it is; of a global address never 0
  struct Source {
    Party party = 0;  // 0: the place is free
    Instant last{};
    Bucket packets, proven_packets, signatures;
    [[nodiscard]] bool used() const { return party != 0; }
    [[nodiscard]] bool rested(Instant now) const;
  };
  static constexpr std::size_t ways = 8;
  [[nodiscard]] static Party party_of(const IpAddress& address);
  [[nodiscard]] Source& source(Instant now, const IpAddress& address);
  [[nodiscard]] std::size_t set_of(Party party) const;
  bool resize(Instant now, std::size_t size);
  [[nodiscard]] bool too_large(Instant now);

  std::uint64_t secret_[2];
  std::vector<Source> entries_;
  std::size_t met_ = 0;  // sources that took a place since the table's size was last looked at
  Bucket strangers_, all_signatures_;
  Instant strangers_last_{}, signatures_last_{};
};

}  // namespace shoal::dht
