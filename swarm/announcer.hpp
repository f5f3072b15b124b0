// Announcer: what our records of one content say and when they are due. A leaf: it knows the keys and the
// clock it is handed, and no node; the session puts what it builds. Records are published under every epoch
// valid at the time (two near a border), each by a signing key of its own; the sequence never falls, over
// restarts either.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/random.hpp"
#include "dht/base/time.hpp"
#include "dht/record.hpp"
#include "dht/swarm_keys.hpp"

namespace shoal::swarm {

struct Publication {
  Key key;
  dht::BuiltRecord record;
  dht::EpochKeys keys;  // of its epoch; for mainline, where the swarm key signs what is put
  crypto::PublicKey announcer{};
};

class Announcer {
 public:
  // What outlives an announcer, where the content lives on without one.
  struct Past {
    std::uint64_t sequence = 0;                // the highest one published, in earlier runs too; 0: none
    Instant due{};                             // next publication
    Duration again = std::chrono::seconds{5};  // pause before the next attempt after one that came to nobody
    bool missed = false;                       // of the last build one came to nobody
    std::vector<Key> live_keys{};              // of the last build

    // 25 +- 5 min after the last build, or when the epochs change. `soon` brings it forward: to a quarter of
    // a second from now, so that several reasons make one publication.
    void soon(Now now);
    // One of the records built last has come to so many nodes. To none: it is built and sent again, at first
    // after 5 s, then after twice as long each time, up to 5 min.
    void published(Now now, std::uint32_t nodes);
  };

  Announcer(const dht::ContentId& content, const crypto::SecretKey& node_seed, Past past, Random random);

  [[nodiscard]] dht::SwarmKeys& keys() { return keys_; }
  [[nodiscard]] const crypto::ExchangeKey& exchange() const { return exchange_; }
  [[nodiscard]] std::uint64_t sequence() const { return past_.sequence; }
  void restore_sequence(std::uint64_t last);
  [[nodiscard]] const Past& past() const { return past_; }

  // `facts`: endpoints, progress, reach and the addresses storers will see; the rest is filled in here.
  [[nodiscard]] std::vector<Publication> build(Now now, dht::RecordInputs facts);
  // The keys of the epochs that were valid at the last build and are no longer: to be forgotten by the node.
  [[nodiscard]] std::vector<Key> take_stale_keys();
  [[nodiscard]] const std::vector<Key>& live_keys() const { return past_.live_keys; }

  [[nodiscard]] Instant due() const { return past_.due; }
  void soon(Now now) { past_.soon(now); }
  void published(Now now, std::uint32_t nodes) { past_.published(now, nodes); }

 private:
  dht::SwarmKeys keys_;
  crypto::SecretKey node_seed_;
  crypto::ExchangeKey exchange_;
  Past past_;
  Random random_;
  std::vector<Key> stale_keys_;
};

}  // namespace shoal::swarm
