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
#include "dht/limits.hpp"

namespace shoal::dht {

enum class Duty : std::uint8_t {
  bootstrap,      // no contact: ask the remembered endpoints again
  neighbourhood,  // look up our own position
  fill,           // ask somebody for a random point of a bucket with room
  stalest,        // ask the entry not heard for longest
  refresh,        // look up a bucket that no lookup touched lately
  probe,          // read-only: ask to be probed by a stranger
  lost,           // ask one who fell out of the table: a network may have been cut in two, and whole again
};
inline constexpr std::size_t duties = 7;

// What decides which duties exist at the moment.
struct Facts {
  bool contacts = false;       // anyone who answered
  bool lonely = false;         // nobody does at the moment, or so few that they may be a part cut off
  bool endpoints = false;      // remembered ones to bootstrap from
  bool bootstrapping = false;  // their answers are awaited
  bool hopes_to_be_reached = false;
  bool room = false;                       // some bucket would take more
  bool lost = false;                       // somebody fell out of the table
  bool searching = false;                  // an upkeep lookup is running: one at a time
  std::size_t entries = 0;                 // of the table
  Duration life = std::chrono::hours{24};  // of a node, as far as seen
};

class Upkeep {
 public:
  Upkeep(Instant now, Random& random);
  // The first duty due, rescheduled for its next time; call until nullopt.
  [[nodiscard]] std::optional<Duty> due(Instant now, const Facts& facts, Random& random);
  [[nodiscard]] Instant next(const Facts& facts) const;
  // Filling is due by then, if there is room: facts for an earlier time need not tell of it.
  [[nodiscard]] bool filling_by(Instant when) const { return at(Duty::fill) <= when; }
  void restart(Instant now);  // first contact, or our position moved: neighbourhood and filling begin anew
  void found_again(
      Instant now);  // one of the lost answered: the next is asked soon, the neighbourhood at once
  // The round of filling that is being done is one of the few that look a point up to the end: dearer than
  // asking somebody, but only those who are truly nearest to a point tell the size of the network.
  [[nodiscard]] bool fill_by_lookup() const;
  // While little is known of the size of the network: every bucket with room is tried.
  [[nodiscard]] bool filling_first() const { return fills_ <= limits::fill_first_rounds; }
  // It asked often to be probed, and in vain.
  [[nodiscard]] bool probing_rarely() const { return probes_ >= limits::probe_rounds; }
  void hurry_bootstrap(Instant now);  // somebody waits for a contact

 private:
  [[nodiscard]] static bool applies(Duty duty, const Facts& facts);
  void reschedule(Duty duty, Instant now, const Facts& facts, Random& random);
  [[nodiscard]] Instant& at(Duty duty) { return at_[static_cast<std::size_t>(duty)]; }
  [[nodiscard]] const Instant& at(Duty duty) const { return at_[static_cast<std::size_t>(duty)]; }

  std::array<Instant, duties> at_{};
  Duration bootstrap_pause_;
  int neighbourhoods_ = 0;  // done since the restart
  int fills_ = 0;           // since then
  int probes_ = 0;
  Instant reunited_{};
};

}  // namespace shoal::dht
