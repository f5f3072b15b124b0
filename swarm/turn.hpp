// Turn: what one turn of the session hands down to the swarms: the time, where outputs go, and the names that
// only the session gives out. A value of references, valid for the turn alone.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dht/base/random.hpp"
#include "dht/base/rate.hpp"
#include "dht/stranger_limits.hpp"
#include "swarm/io.hpp"
#include "swarm/overlays.hpp"
#include "swarm/peer_handle.hpp"
#include "swarm/replay_filter.hpp"

namespace shoal::swarm {

// Which peer of which swarm a stream belongs to.
struct StreamOwner {
  Slot slot = 0;
  PeerHandle peer;
};

// Names of streams and jobs. A job's name tells its swarm (slot 0: the session itself), so that a completion
// finds its way without a table, and one that comes after its swarm is gone finds nothing.
class Names {
 public:
  [[nodiscard]] StreamId next_stream(StreamOwner owner) {
    owners_.emplace(++last_stream_, owner);
    return last_stream_;
  }
  void adopt(StreamId accepted, StreamOwner owner) { owners_[accepted] = owner; }
  [[nodiscard]] const StreamOwner* find(StreamId stream) const {
    const auto found = owners_.find(stream);
    return found == owners_.end() ? nullptr : &found->second;
  }
  void forget(StreamId stream) { owners_.erase(stream); }
  [[nodiscard]] const std::unordered_map<StreamId, StreamOwner>& streams() const { return owners_; }

  [[nodiscard]] storage::JobId next_job(Slot slot) { return (storage::JobId{slot} << 32) | ++last_job_; }
  [[nodiscard]] static Slot slot_of(storage::JobId job) { return static_cast<Slot>(job >> 32); }

 private:
  std::unordered_map<StreamId, StreamOwner> owners_;  // looked up, never walked where order could show
  StreamId last_stream_ = 0;
  std::uint32_t last_job_ = 0;
};

// Outgoing connections of the whole session: how often where, and how many are not yet made.
struct Dials {
  dht::StrangerLimits limits;
  std::uint32_t half_open = 0;
};

// A stream that a swarm will not have, whose other end has proven nothing: the entrance deals with it.
struct Refused {
  StreamId stream = 0;
  Instant since;  // when it was accepted
};

struct Turn {
  Now now;
  std::vector<Output>& out;
  BufferPool& pool;
  Names& names;
  Overlays& overlays;
  Dials& dials;
  ReplayFilter& replays;
  TokenBucket& up;    // all bytes to sockets
  TokenBucket& down;  // all bytes from sockets
  std::vector<Refused>& refused;

  void answer(CommandId command, AnswerBody body) const { out.push_back(Answer{command, std::move(body)}); }
  // Everything given to a stream counts against the limit, once: payload when its read was begun, the rest
  // here.
  void write(StreamId stream, Buffer&& bytes, std::uint64_t paid = 0) const {
    if (bytes.size() > paid) up.spend(now.mono, bytes.size() - paid);
    out.push_back(Write{stream, std::move(bytes)});
  }
};

}  // namespace shoal::swarm
