// The one queue of a virtual world: events in order of (time, sequence). Equal times keep the order in which
// they were scheduled, so that a run is a function of its seed. A 4-ary heap of plain values; payloads lie in
// the tables of whoever scheduled them, and an event whose subject is gone is dropped by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dht/base/check.hpp"
#include "dht/base/time.hpp"

namespace shoal::sim {

enum class EventKind : std::uint8_t {
  // network: target is a host, or 0/1 for the end of a connection that sends; subject a flight or a
  // connection
  datagram_arrives,
  dial_arrives,
  dial_answered,
  uplink_free,
  segment_arrives,
  segment_ready,
  read_inbox,
  window_opens,
  writable,
  linger_ends,
  stall_retry,
  reset_arrives,
  // machines: target is a machine, subject a table slot
  tick,
  disk_done,
  command,
  script,
};

struct Event {
  Instant at;
  std::uint64_t sequence = 0;
  std::uint64_t subject = 0;
  std::uint32_t target = 0;
  EventKind kind{};
};

class EventQueue {
 public:
  explicit EventQueue(Instant start) : now_(start) {}

  // The time of the event handled last.
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }
  [[nodiscard]] std::uint64_t handled() const { return handled_; }
  [[nodiscard]] Instant next_at() const { return heap_.empty() ? never : heap_.front().at; }

  // Events of the past happen now.
  void schedule(Instant at, EventKind kind, std::uint32_t target, std::uint64_t subject = 0) {
    const Event event{at < now_ ? now_ : at, sequence_++, subject, target, kind};
    heap_.push_back(event);
    std::size_t child = heap_.size() - 1;
    while (child > 0) {
      const std::size_t parent = (child - 1) / 4;
      if (!before(event, heap_[parent])) break;
      heap_[child] = heap_[parent];
      child = parent;
    }
    heap_[child] = event;
  }
  // Takes the first event and moves the time to it. Not empty.
  [[nodiscard]] Event pop() {
    SHOAL_CHECK(!heap_.empty());
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
    now_ = first.at;
    ++handled_;
    return first;
  }
  // Moves the time on where nothing happens before `to`.
  void advance(Instant to) {
    if (to > now_ && to <= next_at()) now_ = to;
  }

 private:
  static bool before(const Event& a, const Event& b) {
    return a.at != b.at ? a.at < b.at : a.sequence < b.sequence;
  }
  void sink(const Event& event) {
    std::size_t hole = 0;
    const std::size_t size = heap_.size();
    while (true) {
      const std::size_t first = hole * 4 + 1;
      if (first >= size) break;
      std::size_t best = first;
      for (std::size_t i = first + 1; i < first + 4 && i < size; ++i)
        if (before(heap_[i], heap_[best])) best = i;
      if (!before(heap_[best], event)) break;
      heap_[hole] = heap_[best];
      hole = best;
    }
    heap_[hole] = event;
  }

  std::vector<Event> heap_;
  Instant now_;
  std::uint64_t sequence_ = 0, handled_ = 0;
};

}  // namespace shoal::sim
