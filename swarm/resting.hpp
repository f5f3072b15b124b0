// Resting: the contents at rest. One that is whole and that nobody asks for needs neither files nor a picker:
// what is kept of it are its names, so that whoever asks can be let in, and what its next announcement must
// know. A swarm is made for it when somebody comes, and goes back here when all have left.
//
// Thousands rest in one peer, so announcements, and look-ups for those who cannot dial us, keep a pace for
// all of them together; each content has its turn. Nothing here is O(contents) but all_soon.
//
// Not here: what is announced, and who wakes a content (the session).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "dht/base/time.hpp"
#include "swarm/announcer.hpp"
#include "swarm/content_names.hpp"
#include "swarm/io.hpp"
#include "swarm/limits.hpp"
#include "swarm/overlays.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

struct RestingContent {
  CommandId command = 0;  // that opened it
  ContentNames names;
  Visibility visibility{};
  SeedPolicy seed;
  dht::Progress progress;  // part of it may be lost
  Announcer::Past past;
};

// So many at once and then one every `gap` (GCRA, ITU-T I.371).
class Pace {
 public:
  Pace(Duration gap, std::uint32_t at_once) : gap_(gap), slack_(gap * (at_once - 1)) {}
  [[nodiscard]] Instant next() const { return free_ - slack_; }  // may be past
  void take(Instant now) { free_ = std::max(free_, now) + gap_; }

 private:
  Duration gap_, slack_;
  Instant free_{};
};

class Resting {
 public:
  [[nodiscard]] bool empty() const { return contents_.empty(); }
  [[nodiscard]] std::size_t size() const { return contents_.size(); }
  // Good until it is taken.
  [[nodiscard]] const RestingContent* find(Slot slot) const;
  [[nodiscard]] const std::map<Slot, RestingContent>& all() const { return contents_; }

  void add(Slot slot, RestingContent&& content);
  [[nodiscard]] std::optional<RestingContent> take(Slot slot);

  // The one whose announcement has been due for longest, if the pace allows one; it counts as begun.
  // Precondition of the next call: its past was put back (announced), with a later time.
  [[nodiscard]] std::optional<Slot> next_announcement(Instant now);
  void announced(Slot slot, Announcer::Past past);
  void published(Now now, Slot slot, std::uint32_t nodes);
  void all_soon(Now now);

  // The one that was looked up longest ago, if the pace allows one. Each at most every limits::rest_look_up.
  [[nodiscard]] std::optional<Slot> next_look_up(Instant now);

  // Whether somebody who was found for a content is a reason to wake it: not within limits::rest_met of the
  // last time. `who`: at most 32 bytes, a key or an endpoint. At most limits::most_rest_met are remembered;
  // the oldest go.
  [[nodiscard]] bool is_new(Instant now, Slot slot, ByteView who);
  void forget_met(Slot slot);  // it could not be woken: they are a reason again

  [[nodiscard]] Instant next_announcement_time() const;
  [[nodiscard]] Instant next_look_up_time() const;

 private:
  using Met = std::pair<Slot, ByteArray<32>>;  // whom, filled up with zeros
  template <class Change>
  void reschedule(Slot slot, RestingContent& content, Change change);

  std::map<Slot, RestingContent> contents_;
  std::set<std::pair<Instant, Slot>> due_;  // of announcements: one a content
  Pace announcements_{limits::rest_announcement_gap, limits::rest_announcements_at_once};
  std::set<Met> met_;
  std::deque<std::pair<Instant, Met>> met_order_;  // oldest first
  Slot looked_up_ = 0;                             // they take turns
  Instant look_up_due_{};
};

}  // namespace shoal::swarm
