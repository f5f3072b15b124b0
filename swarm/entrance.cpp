#include "swarm/entrance.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "swarm/limits.hpp"
#include "swarm/native_channel.hpp"
#include "swarm/sniff.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t most_waiting = 64, most_shunned = 64;
constexpr std::size_t shunned_bytes = 64 * 1024;  // read of one; then its window closes

}  // namespace

Entrance::Accepted Entrance::accept(Now now, StreamId stream, const Endpoint& from) {
  const auto same = std::count_if(waiting_.begin(), waiting_.end(), [&](const auto& entry) {
    return entry.second.from.address.host() == from.address.host();
  });
  if (from.address.global() && same >= limits::half_open_per_host) return {};
  Accepted out{true, std::nullopt};
  if (waiting_.size() >= most_waiting) {
    out.displaced = most_crowded(from.address);
    if (!out.displaced) return {};
    waiting_.erase(*out.displaced);
  }
  waiting_[stream] = {from, now.mono, false, {}, std::nullopt};
  return out;
}

// The one that has waited longest of the network with most of those waiting; nullopt: that is the newcomer's.
std::optional<StreamId> Entrance::most_crowded(const IpAddress& newcomer) const {
  std::map<IpAddress, std::uint32_t> crowds{{newcomer.network(), 1}};
  for (const auto& [stream, waiting] : waiting_) ++crowds[waiting.from.address.network()];
  std::uint32_t most = 0;
  for (const auto& [network, count] : crowds)
    if (network != newcomer.network()) most = std::max(most, count);
  if (crowds[newcomer.network()] > std::max(most, 1U)) return std::nullopt;
  std::optional<StreamId> oldest;
  for (const auto& [stream, waiting] : waiting_) {
    if (crowds[waiting.from.address.network()] != most) continue;
    if (!oldest || waiting.since < waiting_.at(*oldest).since) oldest = stream;
  }
  return oldest;
}

Instant Entrance::ends(const Waiting& waiting) {
  return waiting.since + (waiting.spoke ? limits::handshake_timeout : limits::first_byte_timeout);
}

Entrance::Admission Entrance::received(Now now, StreamId stream, ByteView bytes, Random& random) {
  Admission out;
  if (const auto found = shunned_.find(stream); found != shunned_.end()) {
    out.verdict = Verdict::wait;
    out.read_no_more = (found->second.bytes += bytes.size()) >= shunned_bytes;
    return out;
  }
  const auto found = waiting_.find(stream);
  if (found == waiting_.end()) return out;
  Waiting& waiting = found->second;
  waiting.spoke = true;
  out.from = waiting.from;
  out.since = waiting.since;
  if (waiting.mse) {
    read_mse(waiting, bytes, out);
  } else {
    append(waiting.bytes, bytes);
    look(now, waiting, random, out);
  }
  if (out.verdict != Verdict::wait) waiting_.erase(found);
  return out;
}

void Entrance::look(Now now, Waiting& waiting, Random& random, Admission& out) {
  switch (sniff(waiting.bytes, tags_)) {
    case Opening::need_more:
      out.verdict = Verdict::wait;
      break;
    case Opening::native:
      if (waiting.bytes.size() < first_flight_bytes) {
        out.verdict = Verdict::wait;
        break;
      }
      if (!budget_.take(now.mono, waiting.from.address)) break;
      out.content = tags_.find(waiting.bytes)->content;
      out.epoch = tags_.find(waiting.bytes)->epoch;
      out.verdict = Verdict::admit;
      out.bytes = std::move(waiting.bytes);
      break;
    case Opening::bittorrent_plain:
      if (policy_ != Obfuscation::require && !info_hashes_.empty()) read_plain(waiting, out);
      break;
    case Opening::unknown_or_mse:
      if (policy_ == Obfuscation::off || info_hashes_.empty()) break;
      if (!budget_.take(now.mono, waiting.from.address)) break;
      waiting.mse =
          Mse::answerer(info_hashes_, {.plain = policy_ != Obfuscation::require, .rc4 = true}, random);
      const Bytes first = std::exchange(waiting.bytes, {});
      read_mse(waiting, first, out);
      break;
  }
}

// As far as the name of the content; the swarm reads all of it again.
void Entrance::read_plain(Waiting& waiting, Admission& out) const {
  constexpr std::size_t name_at = 1 + 19 + 8, name_bytes = std::tuple_size_v<InfoHash>;
  if (waiting.bytes.size() < name_at + name_bytes) {
    out.verdict = Verdict::wait;
    return;
  }
  const auto content =
      info_hashes_.find(to_array<name_bytes>(ByteView{waiting.bytes}.subspan(name_at, name_bytes)));
  if (!content) return;
  out.verdict = Verdict::admit;
  out.content = *content;
  out.bytes = std::move(waiting.bytes);
}

void Entrance::read_mse(Waiting& waiting, ByteView bytes, Admission& out) const {
  if (!waiting.mse->receive(bytes)) return;
  out.reply = waiting.mse->take_reply();
  if (!waiting.mse->done()) {
    out.verdict = Verdict::wait;
    return;
  }
  const auto content = info_hashes_.find(waiting.mse->content());
  if (!content) return;  // closed meanwhile
  out.verdict = Verdict::admit;
  out.content = *content;
  out.mse = std::move(waiting.mse);
  out.bytes = to_vector(bytes);
}

std::optional<StreamId> Entrance::shun(StreamId stream, Instant since) {
  if (!info_hashes_.empty()) return stream;
  const Instant until = since + limits::handshake_timeout;
  shunned_.emplace(stream, Shunned{until});
  shunned_until_.emplace(until, stream);
  if (shunned_.size() <= most_shunned) return std::nullopt;
  const StreamId first = shunned_until_.begin()->second;
  forget(first);
  return first;
}

void Entrance::forget(StreamId stream) {
  waiting_.erase(stream);
  const auto found = shunned_.find(stream);
  if (found == shunned_.end()) return;
  shunned_until_.erase({found->second.until, stream});
  shunned_.erase(found);
}

std::vector<StreamId> Entrance::expire(Now now) {
  std::vector<StreamId> out;
  for (const auto& [until, stream] : shunned_until_)
    if (until <= now.mono) out.push_back(stream);
  for (const auto& [stream, waiting] : waiting_)
    if (ends(waiting) <= now.mono) out.push_back(stream);
  for (const StreamId stream : out) forget(stream);
  return out;
}

Instant Entrance::next_wake() const {
  Instant first = shunned_until_.empty() ? never : shunned_until_.begin()->first;
  for (const auto& [stream, waiting] : waiting_) first = std::min(first, ends(waiting));
  return first;
}

}  // namespace shoal::swarm
