// Votes on our external address; see external_vote.hpp.
#include "dht/external_vote.hpp"

#include <algorithm>
#include <map>

#include "dht/limits.hpp"

namespace shoal::dht {

Endpoint party_of(const Endpoint& voter) {
  return voter.address.global() ? Endpoint{voter.address.network(), 0} : voter;
}

void ExternalVote::report(const Endpoint& voter, const Endpoint& observed, Instant now) {
  const Endpoint party = party_of(voter);
  votes_.erase(votes_.begin(), std::ranges::find_if(votes_, [&](const Vote& vote) {
                 return now - vote.last <= limits::vote_life;
               }));
  const auto known =
      std::find_if(votes_.begin(), votes_.end(), [&](const Vote& vote) { return vote.voter == party; });
  Vote vote{party, observed, now, now};
  if (known != votes_.end()) {
    if (known->observed == observed) vote.first = known->first;
    votes_.erase(known);
  } else if (votes_.size() >= limits::voters) {
    votes_.erase(votes_.begin());
  }
  votes_.push_back(vote);
}

std::optional<Endpoint> ExternalVote::winner(Instant now) const {
  std::map<IpAddress, std::size_t> counts;
  std::size_t total = 0;
  for (const Vote& vote : votes_) {
    if (now - vote.last > limits::vote_life) continue;
    ++counts[vote.observed.address];
    ++total;
  }
  if (total == 0) return std::nullopt;
  if (total == 1 && now < undecided_until(now)) return std::nullopt;
  const auto best = std::max_element(counts.begin(), counts.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::size_t needed = total < limits::unanimous_below ? total : total / 2 + 1;
  if (best->second < needed) return std::nullopt;
  std::map<std::uint16_t, std::size_t> ports;
  for (const Vote& vote : votes_)
    if (vote.observed.address == best->first) ++ports[vote.observed.port];
  const auto port = std::max_element(ports.begin(), ports.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return Endpoint{best->first, port->first};
}

Instant ExternalVote::undecided_until(Instant now) const {
  const Vote* lone = nullptr;
  for (const Vote& vote : votes_) {
    if (now - vote.last > limits::vote_life) continue;
    if (lone != nullptr) return never;
    lone = &vote;
  }
  return lone == nullptr ? never : lone->first + limits::lone_vote_after;
}

}  // namespace shoal::dht
