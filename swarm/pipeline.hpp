// Pipeline: what we have asked of one peer: how many requests to keep outstanding (bandwidth times delay,
// with a slow start that doubles a round trip), which are overdue, whether it snubs us. Pure arithmetic over
// the instants handed in.
//
// A request is overdue when nothing at all was heard of the peer for its time-out (by its own rate, between
// limits::min_request_timeout and max_request_timeout) since that request; or no block since that request or
// the block before for `most`, though it lives. Overdue requests are told once, so that others may take them,
// but stay known: a late block is no offence.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/rate.hpp"
#include "dht/base/time.hpp"
#include "storage/content.hpp"
#include "swarm/limits.hpp"

namespace shoal::swarm {

class Pipeline {
 public:
  explicit Pipeline(std::uint32_t remote_queue = limits::default_remote_queue) {
    set_remote_queue(remote_queue);
  }
  void set_remote_queue(std::uint32_t requests);  // of its hello; taken within 1 .. limits::max_window

  // ---- asking
  [[nodiscard]] std::uint32_t window() const { return window_; }
  [[nodiscard]] std::uint32_t outstanding() const {
    return static_cast<std::uint32_t>(sent_.size() - begin_);
  }  // overdue ones not counted
  [[nodiscard]] std::uint32_t room() const { return outstanding() < window_ ? window_ - outstanding() : 0; }
  void requested(Instant now, storage::BlockRef block);

  // ---- what comes back
  enum class Receipt : std::uint8_t {
    expected,
    late,        // was told overdue or cancelled before: PieceMap::Asked::late
    unrequested  // a strike
  };
  [[nodiscard]] Receipt arrived(Instant now, storage::BlockRef block, std::uint32_t bytes);
  // A reject, whatever its cause. True if it was outstanding and not overdue: release it in the map.
  bool rejected(storage::BlockRef block);
  // We cancel (endgame). True if it was outstanding; it stays known as late, its block may be under way.
  bool cancelled(storage::BlockRef block);
  // The peer chokes us or is gone: forgets everything, appending the live ones for release in the map. With
  // `late` blocks that are under way are still no offence.
  enum class After : std::uint8_t { late, gone };
  void clear(After after, std::vector<storage::BlockRef>& released);

  // ---- time
  // Appends what has become overdue, for release in the map. The window falls to 1 until a block comes.
  // `alive`: when anything was last heard of the peer. Call it once a second.
  void overdue(Instant now, Instant alive, Duration most, std::vector<storage::BlockRef>& released);
  // We did not read the stream until now (rate limit, disk full): waiting was not the peer's fault.
  void excuse(Instant now);
  // Unchoked, asked, and nothing for limits::snub_after; over with the next block.
  [[nodiscard]] bool snubbed(Instant now) const;

  [[nodiscard]] double rate(Instant now) {
    return recent_.rate(now);
  }  // payload bytes a second, some seconds
  [[nodiscard]] std::uint64_t total() const { return recent_.total(); }
  [[nodiscard]] Duration round_trip() const { return least_trip_; }  // the least seen; 0: none yet

 private:
  struct Sent {
    storage::BlockRef block;
    Instant when;
  };
  [[nodiscard]] std::size_t find(storage::BlockRef block) const;  // sent_.size(): not there
  void erase(std::size_t at);
  void remember(storage::BlockRef block);  // as late
  bool forget_late(storage::BlockRef block);
  void measure(Instant now, std::uint32_t bytes);
  void resize_window();

  std::vector<Sent> sent_;               // live ones in order of asking, from begin_ on
  std::vector<storage::BlockRef> late_;  // given up, the oldest first; at most limits::max_window
  std::size_t begin_ = 0;
  std::uint32_t window_ = limits::first_window, most_ = limits::default_remote_queue;
  bool slow_start_ = true, stalled_ = false, waiting_ = false;
  RateMeter recent_{std::chrono::seconds{4}};
  Duration timeout_ = limits::max_request_timeout;
  Instant heard_{};          // last block, first request after none, or excuse
  Instant waiting_since_{};  // the same, for snubbing: requests that were given up count as well
  Instant second_began_{};   // slow start compares whole seconds
  std::uint64_t second_bytes_ = 0;
  double last_second_ = 0, speed_ = 0;  // bytes a second: of the last whole second; what the window follows
  Duration least_trip_{};
};

}  // namespace shoal::swarm
