// Tags of the open contents, rebuilt when the hour or an epoch changes. See tag_table.hpp.
#include "swarm/tag_table.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::swarm {

void TagTable::add(WallTime now, Content content, const dht::ContentId& id, const crypto::PublicKey& ours) {
  remove(content);
  refresh(now);
  const auto [found, fresh] = members_.try_emplace(content, Member{id, ours, dht::Days{id}, {}, {}});
  enter(now, content, found->second);
}

void TagTable::remove(Content content) {
  const auto found = members_.find(content);
  if (found == members_.end()) return;
  leave(content, found->second);
  members_.erase(found);
}

void TagTable::refresh(WallTime now) {
  if (now < since_ || now >= hour_ends_) {
    since_ = now;
    hour_ends_ = std::chrono::floor<std::chrono::hours>(now) + std::chrono::hours{1};
    entries_.clear();
    changes_.clear();
    for (auto& [content, member] : members_) enter(now, content, member);
  }
  while (!changes_.empty() && changes_.begin()->first <= now) {
    const Content content = changes_.begin()->second;
    Member& member = members_.at(content);
    since_ = now;
    leave(content, member);
    enter(now, content, member);
  }
}

WallTime TagTable::next_refresh() const {
  return changes_.empty() ? hour_ends_ : std::min(hour_ends_, changes_.begin()->first);
}

void TagTable::enter(WallTime now, Content content, Member& member) {
  for (const dht::AcceptedTag& accepted : dht::accepted_tags(member.id, member.days, member.ours, now))
    entries_[accepted.tag] = {content, accepted.epoch};
  member.entered = now;
  member.change = member.days.next_change(now);
  changes_.emplace(member.change, content);
}

// A tag that another content has entered since stays.
void TagTable::leave(Content content, const Member& member) {
  for (const dht::AcceptedTag& accepted :
       dht::accepted_tags(member.id, member.days, member.ours, member.entered)) {
    const auto found = entries_.find(accepted.tag);
    if (found != entries_.end() && found->second.content == content) entries_.erase(found);
  }
  changes_.erase({member.change, content});
}

const TagTable::Entry* TagTable::find(ByteView first) const {
  SHOAL_CHECK(first.size() >= std::tuple_size_v<dht::ChannelTag>);
  const auto found = entries_.find(to_array<std::tuple_size_v<dht::ChannelTag>>(first));
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace shoal::swarm
