// The window follows the rate alone: limits::window_time of data. A rate that is measured while the window
// limits it is window / round trip, so the window grows by window_time / round trip each time it is set anew,
// until the link limits; a measured round trip, which contains the peer's own queue of our requests, would
// feed on itself. In slow start every block adds one, which doubles the window each round trip; it ends when
// a whole second brings no fifth more than the one before.
#include "swarm/pipeline.hpp"

#include <algorithm>
#include <cmath>

#include "dht/base/saturated.hpp"

namespace shoal::swarm {
namespace {

constexpr double growth = 1.2;
constexpr Duration second = std::chrono::seconds{1};

}  // namespace

void Pipeline::set_remote_queue(std::uint32_t requests) {
  most_ = std::clamp<std::uint32_t>(requests, 1, limits::max_window);
  window_ = std::min(window_, most_);
}

std::size_t Pipeline::find(storage::BlockRef block) const {
  std::size_t at = begin_;
  while (at < sent_.size() && sent_[at].block != block) ++at;
  return at;
}

// Blocks come in order, nearly always: the front goes without moving the rest.
void Pipeline::erase(std::size_t at) {
  if (at == begin_) {
    ++begin_;
  } else {
    sent_.erase(sent_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (begin_ == sent_.size()) {
    sent_.clear();
    begin_ = 0;
  } else if (begin_ >= limits::max_window) {
    sent_.erase(sent_.begin(), sent_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
}

void Pipeline::remember(storage::BlockRef block) {
  if (late_.size() >= limits::max_window) late_.erase(late_.begin());
  late_.push_back(block);
}

bool Pipeline::forget_late(storage::BlockRef block) {
  const auto found = std::find(late_.begin(), late_.end(), block);
  if (found == late_.end()) return false;
  late_.erase(found);
  return true;
}

void Pipeline::requested(Instant now, storage::BlockRef block) {
  if (outstanding() == 0) heard_ = std::max(heard_, now);
  if (!waiting_) waiting_since_ = now;
  waiting_ = true;
  if (second_began_ == Instant{}) second_began_ = now;
  sent_.push_back({.block = block, .when = now});
}

Pipeline::Receipt Pipeline::arrived(Instant now, storage::BlockRef block, std::uint32_t bytes) {
  const std::size_t at = find(block);
  const bool live = at != sent_.size();
  if (!live && !forget_late(block)) return Receipt::unrequested;
  if (live) {
    const Duration trip = now - sent_[at].when;
    if (least_trip_ == Duration{} || trip < least_trip_) least_trip_ = std::max(trip, Duration{1});
    erase(at);
  }
  heard_ = waiting_since_ = now;
  waiting_ = outstanding() > 0;
  measure(now, bytes);
  if (stalled_) {
    stalled_ = false;
    slow_start_ = true;
  } else if (slow_start_ && live) {
    window_ = std::min(window_ + 1, most_);
  }
  resize_window();
  return live ? Receipt::expected : Receipt::late;
}

void Pipeline::measure(Instant now, std::uint32_t bytes) {
  recent_.add(now, bytes);
  second_bytes_ += bytes;
  if (const Duration spent = now - second_began_; spent >= second) {
    const double rate = static_cast<double>(second_bytes_) / seconds(spent);
    if (rate < last_second_ * growth) slow_start_ = false;
    last_second_ = rate;
    second_bytes_ = 0;
    second_began_ = now;
  }
  speed_ = std::max(recent_.rate(now), last_second_);
  // A healthy peer's blocks come every block / rate; four of these without one is trouble.
  const double patience = 4 * storage::block_bytes / std::max(speed_, 1.0);
  timeout_ = patience > seconds(limits::max_request_timeout)
                 ? limits::max_request_timeout
                 : std::max(limits::min_request_timeout, Duration{saturated<std::int64_t>(patience * 1e6)});
}

void Pipeline::resize_window() {
  const std::uint32_t least = std::min(limits::min_window, most_);
  if (slow_start_) {
    window_ = std::max(window_, least);
    return;
  }
  const double blocks = speed_ * seconds(limits::window_time) / storage::block_bytes;
  window_ = blocks >= most_ ? most_ : std::max(least, saturated<std::uint32_t>(std::ceil(blocks)));
}

bool Pipeline::rejected(storage::BlockRef block) {
  const std::size_t at = find(block);
  if (at == sent_.size()) {
    (void)forget_late(block);
    return false;
  }
  erase(at);
  if (outstanding() == 0 && late_.empty()) waiting_ = false;
  return true;
}

bool Pipeline::cancelled(storage::BlockRef block) {
  const std::size_t at = find(block);
  if (at == sent_.size()) return false;
  erase(at);
  remember(block);
  if (outstanding() == 0) waiting_ = false;
  return true;
}

void Pipeline::clear(After after, std::vector<storage::BlockRef>& released) {
  for (std::size_t at = begin_; at < sent_.size(); ++at) {
    released.push_back(sent_[at].block);
    if (after == After::late) remember(sent_[at].block);
  }
  if (after == After::gone) late_.clear();
  sent_.clear();
  begin_ = 0;
  waiting_ = stalled_ = false;
  window_ = std::max(window_, std::min(limits::min_window, most_));
}

void Pipeline::overdue(Instant now, Instant alive, Duration most, std::vector<storage::BlockRef>& released) {
  while (outstanding() > 0) {
    const Instant since = std::max(sent_[begin_].when, heard_);
    if (std::max(since, alive) + timeout_ > now && since + most > now) return;
    released.push_back(sent_[begin_].block);
    remember(sent_[begin_].block);
    erase(begin_);
    stalled_ = true;
    slow_start_ = false;
    window_ = 1;
  }
}

void Pipeline::excuse(Instant now) { heard_ = waiting_since_ = std::max(heard_, now); }

bool Pipeline::snubbed(Instant now) const {
  return waiting_ && now >= waiting_since_ && now - waiting_since_ >= limits::snub_after;
}

}  // namespace shoal::swarm
