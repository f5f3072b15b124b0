// Metadata: the info dictionary by parts of 16 KiB from peers (BEP 9 in meaning), hashed before anybody
// parses it, and handed out to peers within a bound. Not parsing it (storage/metainfo), not sending anything.
//
// A size is only a claim: parts are gathered from peers that claim the same one, and at the end the hash
// decides. When it does not match and one peer gave every part, that peer lied; if several did, each of them
// is tried alone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dht/base/hash.hpp"
#include "dht/base/time.hpp"
#include "swarm/limits.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm {

class MetadataFetch {
 public:
  explicit MetadataFetch(const Sha256& expected) : expected_(expected) {}

  // From its hello. False: an impossible size, a strike. 0 (it has none) is no offer and no offence.
  [[nodiscard]] bool offer(PeerHandle peer, std::uint32_t total_bytes);
  void remove_peer(PeerHandle peer);  // gone or banned; what it was asked is asked of others

  struct Ask {
    PeerHandle peer{};
    std::uint32_t part = 0;
  };
  // Requests to send now; appends to `out`. Overdue ones are given up here and asked of others.
  void next(Instant now, std::vector<Ask>& out);
  [[nodiscard]] Instant next_time() const;  // when the oldest request is overdue; `never` without any

  enum class Verdict : std::uint8_t {
    taken,
    complete,   // the hash matches: take()
    discarded,  // not asked for (any more)
    strike,     // wrong size or length, or all of it came from this peer and the hash is wrong
    mismatch    // the hash is wrong and several peers gave parts: started again from one of them; nobody is
                // blamed
  };
  [[nodiscard]] Verdict part(Instant now, PeerHandle peer, std::uint32_t part, std::uint32_t total_bytes,
                             ByteView data);
  void rejected(Instant now, PeerHandle peer, std::uint32_t part);

  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] Bytes take();  // once, after complete
  [[nodiscard]] std::uint32_t peers() const { return static_cast<std::uint32_t>(offers_.size()); }
  // For progress: parts here, parts in all; 0 of 0 before the first offer.
  [[nodiscard]] std::uint32_t parts_here() const { return here_; }
  [[nodiscard]] std::uint32_t parts() const { return static_cast<std::uint32_t>(parts_.size()); }

 private:
  struct Offer {
    PeerHandle peer{};
    std::uint32_t total_bytes = 0;
    std::uint32_t in_flight = 0;
    std::uint32_t rejects = 0;
    Instant not_before{};
    std::uint32_t tried = 0;  // times it was asked alone
  };
  struct Part {
    Bytes data;             // empty: not here
    PeerHandle from;        // asked of, or given by
    Instant asked = never;  // never: not asked at present
  };
  [[nodiscard]] Offer* find(PeerHandle peer);
  [[nodiscard]] std::uint32_t part_bytes(std::uint32_t part) const;
  void start();  // chooses a size (most claimed, or the next single peer's) and empties the parts
  void give_up(Part& part);
  [[nodiscard]] Verdict finish(PeerHandle last);

  Sha256 expected_;
  std::vector<Offer> offers_;
  std::vector<Part> parts_;
  std::uint32_t total_bytes_ = 0, here_ = 0;
  bool alone_ = false;  // a hash did not match: from now on one peer at a time
  PeerHandle single_;   // set: this peer alone is asked
  bool complete_ = false;
  Bytes whole_;
};

// What one peer may still take of our metadata: each part limits::metadata_serve_copies times in a
// connection.
class MetadataServe {
 public:
  // The bytes of the part; nullopt: reject it. `info` is the whole info dictionary.
  [[nodiscard]] std::optional<ByteView> part(ByteView info, std::uint32_t part);

 private:
  std::uint64_t served_bytes_ = 0;
};

}  // namespace shoal::swarm
