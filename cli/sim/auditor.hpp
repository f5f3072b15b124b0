// Auditor: stands beside the machines of a world and judges all that passes between each session and its
// world, turn by turn, and what can be looked at between two turns. It changes nothing, but for the lies that
// a scenario orders. See auditor.cpp for the rules.
//
// It takes the hooks of the machines that it watches; it must not outlive the world.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/sim/oracle.hpp"

namespace shoal::sim {

class Auditor {
 public:
  explicit Auditor(World& world) : world_(world) {}
  ~Auditor();
  Auditor(const Auditor&) = delete;
  Auditor& operator=(const Auditor&) = delete;

  // ---- what the scenario tells
  void watch(MachineId id);  // before its first start
  // The oracle lives as long as this. A content that is not known is judged by its conversation alone.
  void know(const storage::ContentPtr& content, const Oracle& oracle);
  // What a machine gets of a content: a bool a file; empty: everything.
  void wants(MachineId id, const storage::ContentId& content, std::vector<bool> files);
  // Part of the blocks that it reads for others are falsified from now on.
  void corrupt(MachineId id, double part);
  // The user has altered this file beneath the product: the claims about it count again when it is complete.
  void altered(MachineId id, const storage::ContentId& content, std::uint32_t file);
  // Calls of its disk fail in this life: blocks may be fetched twice, the catalog may be unreadable.
  void troubled(MachineId id);

  // ---- what it knows
  // The content was opened in the machine's present life and is not closed.
  [[nodiscard]] bool open(MachineId id, const storage::ContentId& content) const;
  // Told of what is open now and is not to be closed.
  [[nodiscard]] bool complete(MachineId id, const storage::ContentId& content) const;
  [[nodiscard]] bool whole(MachineId id, const storage::ContentId& content) const;  // by what it says itself
  [[nodiscard]] bool is_altered(MachineId id, const storage::ContentId& content) const;
  // Looks at everything that can be looked at now.
  void look();
  // The end: nothing runs any more.
  void close();
  [[nodiscard]] const std::vector<std::string>& findings() const { return findings_; }

 private:
  struct Asked {  // a command of this life
    swarm::Command what;
    bool ended = false, complete = false, counted = false;
    bool closing = false;  // its user has said so
  };
  struct Life {
    std::set<storage::JobId> jobs;            // under way
    std::map<swarm::StreamId, bool> streams;  // not closed by the session; true: nor by the other end
    std::map<swarm::CommandId, Asked> asked;
    std::map<std::uint32_t, storage::ContentPtr> slots;
    bool stopped = false, troubled = false;
  };
  struct Totals {  // over all lives
    std::uint64_t received = 0, sent = 0;
    bool completed = false;
  };
  struct Of {
    Life life;
    double corrupt = 0;
    std::map<storage::ContentId, Totals> totals;
    std::map<storage::ContentId, std::vector<bool>> wanted;
    std::map<storage::ContentId, std::set<std::uint32_t>> altered;
  };
  struct Known {
    storage::ContentPtr content;
    const Oracle* oracle = nullptr;
  };

  void find(MachineId id, std::string what);
  void fed(MachineId id, const swarm::Input& input);
  void put_out(MachineId id, const swarm::Output& output);
  void answered(MachineId id, const swarm::Answer& answer);
  void told(MachineId id, Asked& asked, const swarm::ContentEvent& event);
  void ran(MachineId id, const JobNote& note, storage::Done& done);
  void used(MachineId id, swarm::StreamId stream, std::string_view how);
  void count(MachineId id, const storage::ContentId* content);
  void ended(MachineId id);
  void look_at(MachineId id, const Known& known);

  World& world_;
  std::map<MachineId, Of> machines_;
  std::map<storage::ContentId, Known> contents_;
  std::uint64_t corrupters_ = 0, dice_ = 0;
  std::vector<std::string> findings_;
};

}  // namespace shoal::sim
