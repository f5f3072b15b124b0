// Entrance: accepted streams that have not yet shown what they are. The first bytes decide (sniff.hpp): a tag
// that one of our contents accepts leads to its swarm; anything else gets silence and a closed stream.
// Nothing is computed for an unknown tag but one look-up (THREATS A31, A32).
//
// Bounds: 64 streams waiting, 4 from one global address; 10 s each; less than 20 bytes kept of each.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/time.hpp"
#include "swarm/io.hpp"
#include "swarm/tag_table.hpp"

namespace shoal::swarm {

class Entrance {
 public:
  enum class Verdict : std::uint8_t { wait, admit, refuse };
  struct Admission {
    Verdict verdict = Verdict::refuse;
    TagTable::Entry entry;  // whose content, and the keys that open the first message
    Endpoint from;
    Bytes bytes;  // all that came so far, the tag first
  };

  [[nodiscard]] TagTable& tags() { return tags_; }

  // false: too many are waiting; close it.
  [[nodiscard]] bool accept(Now now, StreamId stream, const Endpoint& from);
  [[nodiscard]] Admission received(StreamId stream, ByteView bytes);
  void forget(StreamId stream) { waiting_.erase(stream); }
  [[nodiscard]] std::vector<StreamId> expire(
      Now now);  // those to be closed: they said too little for too long
  [[nodiscard]] Instant next_wake() const;

 private:
  struct Waiting {
    Endpoint from;
    Instant until;
    Bytes bytes;
  };
  std::map<StreamId, Waiting> waiting_;
  TagTable tags_;
};

}  // namespace shoal::swarm
