// What scenarios share: how a world is peopled, what they ask of it.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/sim/oracle.hpp"

namespace shoal::sim {

using namespace std::chrono_literals;
using What = swarm::ContentEvent::What;

inline constexpr std::uint64_t kib = 1U << 10;
inline constexpr std::uint64_t mib = 1U << 20;

// Adds a machine and starts it.
inline MachineId start(World& world, MachineConfig config = {}) {
  const MachineId id = world.add(std::move(config));
  const auto started = world.start(id);
  EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().rule);
  return id;
}

// A DHT node that shares nothing.
inline MachineId start_node(World& world, std::vector<Endpoint> bootstrap = {}) {
  return start(world, {.role = swarm::Role::bootstrap_node, .bootstrap = std::move(bootstrap)});
}

// Plants the oracle's files on the machine and shares them.
inline storage::ContentPtr share(World& world, MachineId id, const Oracle& oracle) {
  const auto path = oracle.plant(world.machine(id));
  if (!path) {
    ADD_FAILURE() << path.error().rule;
    return nullptr;
  }
  auto shared = world.share(id, *path);
  if (!shared) {
    ADD_FAILURE() << shared.error().error.rule << " " << shared.error().path;
    return nullptr;
  }
  return *shared;
}

// All wanted bytes are verified and committed, in the machine's present life.
inline bool finished(World& world, MachineId id, const storage::Content& content) {
  const auto status = world.status(id, content.id);
  return status && status->content && status->bytes_wanted == content.bytes &&
         status->bytes_committed == content.bytes;
}

inline bool all_finished(World& world, const std::vector<MachineId>& ids, const storage::Content& content) {
  for (const MachineId id : ids)
    if (!finished(world, id, content)) return false;
  return true;
}

// One line for a failed expectation: where a machine stands.
inline std::string standing(World& world, MachineId id, const storage::Content& content) {
  const auto status = world.status(id, content.id);
  if (!status) return "machine " + std::to_string(id) + ": has no such content";
  return "machine " + std::to_string(id) + ": phase " + std::to_string(static_cast<int>(status->phase)) +
         ", " + std::to_string(status->bytes_committed) + " of " + std::to_string(content.bytes) +
         " bytes, " + std::to_string(status->peers) + " peers, " + std::to_string(status->candidates) +
         " candidates";
}

inline void expect_right(World& world, MachineId id, const storage::Content& content, const Oracle& oracle) {
  EXPECT_TRUE(oracle.whole(world.machine(id), content)) << standing(world, id, content);
  const auto wrong = oracle.false_bits(world.machine(id), content);
  EXPECT_TRUE(wrong.empty()) << wrong.front();
}

}  // namespace shoal::sim
