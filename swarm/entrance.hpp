// Entrance: accepted streams that have not yet shown what they are. The first bytes decide (sniff.hpp): a tag
// that one of our contents accepts leads to its swarm; so does BitTorrent's handshake that names a public
// one, in the clear or through message stream encryption. Anything else gets silence and a closed stream, and
// while no public content is open nothing is computed for it but one look-up (THREATS A31, A32).
//
// Bounds: 64 streams waiting, 4 from one global host; 5 s until the first byte, 10 s in all; at most 68 bytes
// kept of each, or what mse.hpp keeps. Who comes when all places are taken gets the oldest of the network
// that has most of them: a crowd that keeps silent keeps nobody else out (THREATS A22). What must be computed
// for a greeting is budgeted (handshake_budget.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/random.hpp"
#include "dht/base/time.hpp"
#include "swarm/config.hpp"
#include "swarm/handshake_budget.hpp"
#include "swarm/info_hash.hpp"
#include "swarm/io.hpp"
#include "swarm/mse.hpp"
#include "swarm/tag_table.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

class Entrance {
 public:
  explicit Entrance(Obfuscation policy) : policy_(policy) {}

  enum class Verdict : std::uint8_t { wait, admit, refuse };
  struct Admission {
    Verdict verdict = Verdict::refuse;
    std::uint32_t content = 0;        // whose, as TagTable and InfoHashTable name it
    std::optional<dht::Epoch> epoch;  // native: whose keys open the first message
    std::optional<Mse> mse;           // obfuscated: done
    Endpoint from;
    Bytes bytes;  // all that came so far and is not read yet: native, the tag first; else of the stream
    Bytes reply;  // to be said at once, whatever the verdict
    [[nodiscard]] Way way() const { return epoch ? Way::native : mse ? Way::obfuscated : Way::plain; }
  };

  [[nodiscard]] TagTable& tags() { return tags_; }
  [[nodiscard]] InfoHashTable& info_hashes() { return info_hashes_; }

  struct Accepted {
    bool in = false;                    // else too many of its host or network are waiting: close it
    std::optional<StreamId> displaced;  // closed in its place
    explicit operator bool() const { return in; }
  };
  [[nodiscard]] Accepted accept(Now now, StreamId stream, const Endpoint& from);
  [[nodiscard]] Admission received(Now now, StreamId stream, ByteView bytes, Random& random);
  void forget(StreamId stream) { waiting_.erase(stream); }
  [[nodiscard]] std::vector<StreamId> expire(
      Now now);  // those to be closed: they said too little for too long
  [[nodiscard]] Instant next_wake() const;

 private:
  struct Waiting {
    Endpoint from;
    Instant since;
    bool spoke = false;
    Bytes bytes;
    std::optional<Mse> mse;
  };
  [[nodiscard]] std::optional<StreamId> most_crowded(const IpAddress& newcomer) const;
  [[nodiscard]] static Instant ends(const Waiting& waiting);
  void look(Now now, Waiting& waiting, Random& random, Admission& out);
  void read_plain(Waiting& waiting, Admission& out) const;
  void read_mse(Waiting& waiting, ByteView bytes, Admission& out) const;

  Obfuscation policy_;
  HandshakeBudget budget_;
  std::map<StreamId, Waiting> waiting_;
  TagTable tags_;
  InfoHashTable info_hashes_;
};

}  // namespace shoal::swarm
