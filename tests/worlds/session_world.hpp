// SessionWorld: one world of whole peers, drawn from a seed (plan.hpp), that lives through a schedule of
// faults from the same seed and must then come right. A function of its seed: the same seed gives the same
// run to the bit.
//
// It plays the users: they give their commands, give them again when a peer died or failed, and put right
// what they broke. auditor.hpp judges all the while; faults.cpp does what the faults do.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "cli/sim/auditor.hpp"
#include "tests/worlds/plan.hpp"

namespace shoal::sim {

class SessionWorld {
 public:
  explicit SessionWorld(std::uint64_t seed);

  struct Outcome {
    std::uint64_t digest = 0;
    Duration took{};                    // virtual time
    Duration healing{};                 // of which since the last fault was over
    std::vector<std::string> findings;  // empty: every invariant held
    std::vector<std::string> story;     // what happened, in order
    auto operator<=>(const Outcome&) const = default;
  };
  [[nodiscard]] Outcome run();

 private:
  struct Want {
    WantPlan plan;
    Instant due{};
    bool held_back = false;  // its user has closed it for now
    bool left = false;       // it has it all and is gone
  };
  struct Peer {
    MachineId id = 0;
    PeerPlan plan;
    std::vector<Want> wants{};
    Instant back{};     // not before, if it is off
    bool away = false;  // switched off until the fault is over
  };
  struct Content {
    ContentPlan plan;
    Oracle oracle;
    storage::ContentPtr content{};  // once it is shared
    Instant shared{};
  };
  struct Healing {
    Instant when;
    std::function<void()> what;
  };

  // session_world.cpp
  void people();
  void advance(Duration time);
  void attend();  // users look at their peers
  void attend(Peer& peer);
  void attend(Peer& peer, Want& want);
  bool switch_on(Peer& peer);
  void share(Peer& peer, Want& want, Content& content);
  void leave_if_done(Peer& peer, Want& want);
  void settle(Peer& peer);  // a trap may have sprung outside a job
  [[nodiscard]] bool is_whole(Peer& peer, const Want& want);
  [[nodiscard]] std::string standing(const Peer& peer, std::size_t content) const;
  [[nodiscard]] bool all_well();
  void finish();
  void note(const std::string& what);

  // faults.cpp
  void disturb();
  void heal_all();
  void later(Duration from, Duration to, std::function<void()> what);
  bool kill(Peer& peer);
  bool trap(Peer& peer);
  bool stop(Peer& peer);
  bool close(Peer& peer);
  bool cut_lines(Peer& peer);
  bool unplug(Peer& peer);
  bool fill_disk(Peer& peer);
  bool fail_calls(Peer& peer);
  bool stall_disk(Peer& peer);
  bool alter(Peer& peer);
  bool shift_clock(Peer& peer);
  bool spoil_datagrams(Peer& peer);
  bool ask(Peer& peer);

  Plan plan_;
  Lots lots_;  // of what happens
  World world_;
  std::deque<Content> contents_;
  std::deque<Peer> peers_;
  std::vector<Endpoint> bootstrap_;
  std::vector<Healing> healings_;
  Auditor auditor_;
  std::uint64_t seen_ = 0;  // digests on the way
  std::vector<std::string> story_, findings_;
};

}  // namespace shoal::sim
