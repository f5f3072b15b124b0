#include "swarm/entrance.hpp"

#include <algorithm>

#include "swarm/limits.hpp"
#include "swarm/sniff.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t most_waiting = 64;

}  // namespace

bool Entrance::accept(Now now, StreamId stream, const Endpoint& from) {
  if (waiting_.size() >= most_waiting) return false;
  const auto same = std::count_if(waiting_.begin(), waiting_.end(), [&](const auto& entry) {
    return entry.second.from.address == from.address;
  });
  if (from.address.global() && same >= limits::half_open_per_ip) return false;
  waiting_[stream] = {from, now.mono + limits::handshake_timeout, {}};
  return true;
}

Entrance::Admission Entrance::received(StreamId stream, ByteView bytes) {
  Admission out;
  const auto found = waiting_.find(stream);
  if (found == waiting_.end()) return out;
  append(found->second.bytes, bytes);
  switch (sniff(found->second.bytes, tags_)) {
    case Dialect::need_more:
      out.verdict = Verdict::wait;
      return out;
    case Dialect::native:
      out = {Verdict::admit, *tags_.find(found->second.bytes), found->second.from,
             std::move(found->second.bytes)};
      break;
    case Dialect::bittorrent_plain:
    case Dialect::unknown_or_mse:
      break;  // silence
  }
  waiting_.erase(found);
  return out;
}

std::vector<StreamId> Entrance::expire(Now now) {
  std::vector<StreamId> out;
  for (const auto& [stream, waiting] : waiting_)
    if (waiting.until <= now.mono) out.push_back(stream);
  for (const StreamId stream : out) waiting_.erase(stream);
  return out;
}

Instant Entrance::next_wake() const {
  Instant first = never;
  for (const auto& [stream, waiting] : waiting_) first = std::min(first, waiting.until);
  return first;
}

}  // namespace shoal::swarm
