// Entrance: accepted streams that have not yet shown what they are. The first bytes decide (sniff.hpp): a tag
// that one of our contents accepts leads to its swarm; so does BitTorrent's handshake that names a public
// one, in the clear or through message stream encryption. Anything else gets silence, and while no public
// content is open nothing is computed for it but one look-up (THREATS A31), and nobody can tell what was
// wrong with it: whatever it was, and whoever found out, the stream is read on and closed when those are that
// do not greet in time (shun, THREATS A32). With a public content open it is closed at once, as every client
// does, so that an honest peer offers its next greeting at once.
//
// Bounds: 64 streams waiting, 4 from one global host; 5 s until the first byte, 10 s in all; at most 68 bytes
// kept of each (of a native greeting its first flight), or what mse.hpp keeps; 64 shunned. Who comes when all
// places are taken gets the oldest of the network that has most of them: a crowd that keeps silent keeps
// nobody else out (THREATS A22). What must be computed for a greeting is budgeted (handshake_budget.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
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
    Instant since;              // when it was accepted
    bool read_no_more = false;  // it is shunned, and has sent enough for that
    Bytes bytes;  // all that came so far and is not read yet: native, its first flight; else of the stream
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
  // A stream that is refused, here or by the swarm it was admitted to. Gives the one that is to be closed
  // now: itself, or the one that has been shunned for longest where they are too many, or none.
  [[nodiscard]] std::optional<StreamId> shun(StreamId stream, Instant since);
  void forget(StreamId stream);
  [[nodiscard]] std::vector<StreamId> expire(
      Now now);  // those to be closed: they said too little for too long
  [[nodiscard]] Instant next_wake() const;
  // Begun for those who dialled us.
  [[nodiscard]] std::uint64_t key_agreements() const { return budget_.taken(); }

 private:
  struct Waiting {
    Endpoint from;
    Instant since;
    bool spoke = false;
    Bytes bytes;
    std::optional<Mse> mse;
  };
  struct Shunned {
    Instant until;
    std::size_t bytes = 0;  // that were read and thrown away
  };
  [[nodiscard]] std::optional<StreamId> most_crowded(const IpAddress& newcomer) const;
  [[nodiscard]] static Instant ends(const Waiting& waiting);
  void look(Now now, Waiting& waiting, Random& random, Admission& out);
  void read_plain(Waiting& waiting, Admission& out) const;
  void read_mse(Waiting& waiting, ByteView bytes, Admission& out) const;

  Obfuscation policy_;
  HandshakeBudget budget_;
  std::map<StreamId, Waiting> waiting_;
  std::map<StreamId, Shunned> shunned_;
  std::set<std::pair<Instant, StreamId>> shunned_until_;
  TagTable tags_;
  InfoHashTable info_hashes_;
};

}  // namespace shoal::swarm
