// Suspects: who gave which blocks is asked when a piece is judged, and by then whoever gave a false one may
// have hung up, and may be back under another handle. Those that left are remembered, and what each has been
// found guilty of in all (THREATS A21).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm {

class Suspects {
 public:
  struct Suspect {
    crypto::PublicKey key{};
    IpAddress address;
  };
  struct Guilt {
    std::uint32_t blocks = 0;  // false ones
    std::uint32_t pieces = 0;  // wrong ones, all of which came from it
  };

  // `most`: connections, and keys that are guilty; the oldest goes.
  explicit Suspects(std::size_t most) : most_(most) {}

  void left(PeerHandle connection, const Suspect& who);
  // Whose connection that was; null where that is not known. Valid until left().
  [[nodiscard]] const Suspect* find(PeerHandle connection) const;
  // Of a key, to be added to. Valid until it is called again.
  [[nodiscard]] Guilt& guilt(const crypto::PublicKey& key);
  [[nodiscard]] Guilt guilt_of(const crypto::PublicKey& key) const;
  [[nodiscard]] bool anybody_guilty() const { return !guilty_.empty(); }
  [[nodiscard]] std::size_t size() const { return left_.size() + guilty_.size(); }

 private:
  std::size_t most_;
  std::deque<std::pair<PeerHandle, Suspect>> left_;
  std::deque<std::pair<crypto::PublicKey, Guilt>> guilty_;
};

}  // namespace shoal::swarm
