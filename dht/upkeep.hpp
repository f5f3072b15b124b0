// Upkeep: which duty is due. It keeps the timers of a node at rest and nothing else; the node does the work
// and says what is the case. Periods are in limits.hpp, jittered so that nodes started together do not march
// in step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dht/base/random.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

enum class Duty : std::uint8_t {
  bootstrap,      // no contact: ask the remembered endpoints again
  neighbourhood,  // look up our own position
  fill,           // look up a random point of a bucket with room
  stalest,        // ask the entry not heard for longest
  refresh,        // look up a bucket that no lookup touched lately
  probe,          // read-only: ask to be probed by a stranger
};
inline constexpr std::size_t duties = 6;

// What decides which duties exist at the moment.
struct Facts {
  bool contacts = false;       // anyone who answered
  bool lonely = false;         // nobody does at the moment
  bool endpoints = false;      // remembered ones to bootstrap from
  bool bootstrapping = false;  // their answers are awaited
  bool read_only = false;
  bool room = false;       // some bucket would take more
  bool searching = false;  // an upkeep lookup is running: one at a time
};

class Upkeep {
 public:
  Upkeep(Instant now, Random& random);
  // The first duty due, rescheduled for its next time; call until nullopt.
  [[nodiscard]] std::optional<Duty> due(Instant now, const Facts& facts, Random& random);
  [[nodiscard]] Instant next(const Facts& facts) const;
  void restart(Instant now);  // first contact, or our position moved: neighbourhood and filling begin anew
  void hurry_bootstrap(Instant now);  // somebody waits for a contact

 private:
  [[nodiscard]] static bool applies(Duty duty, const Facts& facts, int fill_left);
  void reschedule(Duty duty, Instant now, Random& random);
  [[nodiscard]] Instant& at(Duty duty) { return at_[static_cast<std::size_t>(duty)]; }
  [[nodiscard]] const Instant& at(Duty duty) const { return at_[static_cast<std::size_t>(duty)]; }

  std::array<Instant, duties> at_{};
  Duration bootstrap_pause_;
  int neighbourhoods_ = 0;  // done since the restart
  int fill_left_ = 0;
  int probes_ = 0;
};

}  // namespace shoal::dht
