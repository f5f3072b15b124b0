// Exchange: peer exchange with one peer (BEP 11): what changed among our connected peers since it was last
// told, at most 50 + 50 once a minute; and how much of its word is taken. What it says is hearsay: the roster
// ranks it last.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "dht/base/time.hpp"
#include "swarm/limits.hpp"
#include "swarm/wire.hpp"

namespace shoal::swarm {

class Exchange {
 public:
  [[nodiscard]] Instant next() const { return next_; }
  // `connected`: those connected now that can be dialled, sorted by endpoint, each once; `self`: the endpoint
  // of the peer this goes to, left out. nullopt before next() or if nothing changed; either way next()
  // advances.
  [[nodiscard]] std::optional<wire::PeerExchange> update(Instant now,
                                                         std::span<const wire::ExchangeEntry> connected,
                                                         const std::optional<Endpoint>& self);

  enum class Verdict : std::uint8_t { taken, discarded, strike };
  // Cuts `message` to what is taken: keyed entries at most limits::exchange_taken, no endpoint twice, no port
  // 0. discarded: too soon, or no more is taken from this peer. strike: too many entries or too often, again
  // and again.
  [[nodiscard]] Verdict take(Instant now, wire::PeerExchange& message);

 private:
  std::vector<Endpoint> told_;  // sorted
  Instant next_{};
  Instant taken_{};
  bool heard_ = false;
  std::uint32_t offences_ = 0;
};

}  // namespace shoal::swarm
