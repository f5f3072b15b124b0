// ExternalVote: which address and port others see us at. One vote a network (global voters) or endpoint
// (local ones), only from signed replies. The winner has a majority of the live votes; of fewer than five,
// all of them agree, and a lone vote counts only after it has stood for a while. Not here: what follows from
// a change.
#pragma once

#include <optional>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

class ExternalVote {
 public:
  void report(const Endpoint& voter, const Endpoint& observed, Instant now);
  // nullopt: undecided. The address first, then the port that most of its votes saw.
  [[nodiscard]] std::optional<Endpoint> winner(Instant now) const;
  // When a lone vote begins to count; `never` where there is none.
  [[nodiscard]] Instant undecided_until(Instant now) const;
  [[nodiscard]] std::size_t votes() const { return votes_.size(); }

 private:
  struct Vote {
    Endpoint voter;  // a network has port 0
    Endpoint observed;
    Instant first{};  // since when it has been the same
    Instant last{};
  };
  std::vector<Vote> votes_;  // oldest first; bounded by limits::voters
};

// One party of a vote: the network of a global address, the very endpoint elsewhere.
[[nodiscard]] Endpoint party_of(const Endpoint& voter);

}  // namespace shoal::dht
