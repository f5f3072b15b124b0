// Tags of the open contents, rebuilt when the hour or an epoch changes. See tag_table.hpp.
#include "swarm/tag_table.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::swarm {

void TagTable::add(WallTime now, Content content, dht::SwarmKeys& keys, const crypto::ExchangeKey& ours) {
  remove(content);
  refresh(now);
  Member& member = members_[content];
  member = {&keys, ours};
  enter(now, content, member);
}

void TagTable::remove(Content content) {
  if (members_.erase(content) == 0) return;
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.content == content; });
}

void TagTable::refresh(WallTime now) {
  if (now >= since_ && now < until_) return;
  since_ = now;
  until_ = std::chrono::floor<std::chrono::hours>(now) + std::chrono::hours{1};
  entries_.clear();
  for (auto& [content, member] : members_) enter(now, content, member);
}

void TagTable::enter(WallTime now, Content content, Member& member) {
  for (const dht::AcceptedTag& accepted : dht::accepted_tags(*member.keys, member.ours.public_key, now))
    entries_[accepted.tag] = {content, accepted.epoch, member.ours, member.keys->of(accepted.epoch).psk};
  until_ = std::min(until_, member.keys->next_change(now));
}

const TagTable::Entry* TagTable::find(ByteView first) const {
  SHOAL_CHECK(first.size() >= std::tuple_size_v<dht::ChannelTag>);
  const auto found = entries_.find(to_array<std::tuple_size_v<dht::ChannelTag>>(first));
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace shoal::swarm
