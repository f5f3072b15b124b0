// Session: a whole peer as one deterministic machine, a function of (configuration, seed, inputs). No
// sockets, files, threads, clocks, callbacks or globals inside. It routes: datagrams to the DHT nodes,
// streams to peers of swarms, completions to who asked; the decisions are made in leaves.
//
// Turn rule: handle() runs to completion, appends outputs in the order in which the host must perform them,
// and is never re-entered. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dht/base/buffer.hpp"
#include "swarm/config.hpp"
#include "swarm/io.hpp"

namespace shoal::swarm {

class Session {
 public:
  // `pool` outlives the session and belongs to the same thread.
  Session(SessionConfig config, BufferPool& pool);
  ~Session();
  Session(Session&&) noexcept;

  void handle(Now now, Input&& input, std::vector<Output>& out);
  // When handle(Tick) is due; `never` if nothing waits.
  [[nodiscard]] Instant next_wake() const;
  // Of the whole state: equal for equal (configuration, seed, inputs).
  [[nodiscard]] std::uint64_t digest() const;

  // active: those that are fetched or checked, or connected with somebody.
  enum class Which : std::uint8_t { all, active };
  [[nodiscard]] std::vector<ContentStatus> contents(Now now, Which which = Which::all) const;
  // Of one, under any of its names.
  [[nodiscard]] std::optional<ContentStatus> content(Now now, const storage::ContentId& id) const;
  // The pieces of a content that are verified, and so announced and served; empty where it is not open.
  [[nodiscard]] Bitfield held(const storage::ContentId& content) const;
  [[nodiscard]] std::vector<DhtStatus> dht() const;
  // Every record held for others or ourselves, raw: what a crawler of this node would get. For tests of
  // sealing.
  [[nodiscard]] std::vector<Bytes> dump_records() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shoal::swarm
