// Contents at rest (resting.hpp).
#include "swarm/resting.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::swarm {

const RestingContent* Resting::find(Slot slot) const {
  const auto found = contents_.find(slot);
  return found == contents_.end() ? nullptr : &found->second;
}

void Resting::add(Slot slot, RestingContent&& content) {
  due_.emplace(content.past.due, slot);
  const auto [entry, fresh] = contents_.try_emplace(slot, std::move(content));
  SHOAL_CHECK(fresh);
}

std::optional<RestingContent> Resting::take(Slot slot) {
  auto node = contents_.extract(slot);
  if (node.empty()) return std::nullopt;
  due_.erase({node.mapped().past.due, slot});
  return std::move(node.mapped());
}

template <class Change>
void Resting::reschedule(Slot slot, RestingContent& content, Change change) {
  const Instant before = content.past.due;
  change(content.past);
  if (content.past.due == before) return;
  due_.erase({before, slot});
  due_.emplace(content.past.due, slot);
}

std::optional<Slot> Resting::next_announcement(Instant now) {
  if (next_announcement_time() > now) return std::nullopt;
  announcements_.take(now);
  return due_.begin()->second;
}

void Resting::announced(Slot slot, Announcer::Past past) {
  if (const auto found = contents_.find(slot); found != contents_.end())
    reschedule(slot, found->second, [&](Announcer::Past& kept) { kept = std::move(past); });
}

void Resting::published(Now now, Slot slot, std::uint32_t nodes) {
  if (const auto found = contents_.find(slot); found != contents_.end())
    reschedule(slot, found->second, [&](Announcer::Past& past) { past.published(now, nodes); });
}

void Resting::all_soon(Now now) {
  for (auto& [slot, content] : contents_)
    reschedule(slot, content, [&](Announcer::Past& past) { past.soon(now); });
}

std::optional<Slot> Resting::next_look_up(Instant now) {
  if (next_look_up_time() > now) return std::nullopt;
  const Duration turn = limits::rest_look_up / static_cast<Duration::rep>(contents_.size());
  look_up_due_ = now + std::max(turn, limits::rest_look_up_gap);
  auto next = contents_.upper_bound(looked_up_);
  if (next == contents_.end()) next = contents_.begin();
  looked_up_ = next->first;
  return looked_up_;
}

bool Resting::is_new(Instant now, Slot slot, ByteView who) {
  while (!met_order_.empty() &&
         (met_order_.front().first + limits::rest_met <= now || met_order_.size() >= limits::most_rest_met)) {
    met_.erase(met_order_.front().second);
    met_order_.pop_front();
  }
  Met one{slot, {}};
  SHOAL_CHECK(who.size() <= one.second.size());
  std::ranges::copy(who, one.second.begin());
  if (!met_.insert(one).second) return false;
  met_order_.emplace_back(now, one);
  return true;
}

// Their places in the order stay; they go when their time comes.
void Resting::forget_met(Slot slot) {
  auto entry = met_.lower_bound({slot, {}});
  while (entry != met_.end() && entry->first == slot) entry = met_.erase(entry);
}

Instant Resting::next_announcement_time() const {
  return due_.empty() ? never : std::max(due_.begin()->first, announcements_.next());
}

Instant Resting::next_look_up_time() const { return contents_.empty() ? never : look_up_due_; }

}  // namespace shoal::swarm
