// Which first 16 bytes of an accepted stream mean which of our contents (DESIGN 6, THREATS A31): the tags of
// every open content, for every epoch acceptable now and the hours -1, 0, +1. One look-up, before any key
// exchange.
//
// Not here: what happens next (native_channel), budgets per address (the session).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "dht/base/crypto.hpp"
#include "dht/base/time.hpp"
#include "dht/swarm_keys.hpp"

namespace shoal::swarm {

class TagTable {
 public:
  using Content = std::uint32_t;  // the owner's name of an open content
  struct Entry {
    Content content = 0;
    dht::Epoch epoch = 0;  // whose PSK opens the first message
  };

  // Registers a content, in which `ours` is our static key; its tags are good at once. Replaces an older
  // entry of the same name.
  void add(WallTime now, Content content, const dht::ContentId& id, const crypto::PublicKey& ours);
  void remove(Content content);

  // Brings all tags up to date; nothing where none has changed, so it may be called each turn. O(contents)
  // once an hour and when the wall clock jumps; at a border of an epoch, which each content has at another
  // time, the tags of that one alone.
  void refresh(WallTime now);
  // When refresh() has something to do, if the wall clock runs evenly.
  [[nodiscard]] WallTime next_refresh() const;

  // nullptr: not for us. Precondition: first.size() >= 16. Valid until the next add, remove or refresh.
  [[nodiscard]] const Entry* find(ByteView first) const;
  [[nodiscard]] std::size_t tags() const { return entries_.size(); }

 private:
  struct Member {
    dht::ContentId id;
    crypto::PublicKey ours;
    dht::Days days;
    WallTime entered{}, change{};  // its tags are of then; when its epochs change after that
  };
  // Tags are outputs of a keyed hash that only link holders can compute: their bytes are their own hash.
  struct TagHash {
    std::size_t operator()(const dht::ChannelTag& tag) const noexcept {
      return static_cast<std::size_t>(load_be<std::uint64_t>(tag.data()));
    }
  };
  void enter(WallTime now, Content content, Member& member);
  void leave(Content content, const Member& member);

  std::map<Content, Member> members_;
  std::unordered_map<dht::ChannelTag, Entry, TagHash> entries_;     // looked up, never walked
  std::set<std::pair<WallTime, Content>> changes_;                  // Member::change
  WallTime since_ = WallTime::max(), hour_ends_ = WallTime::max();  // of all tags
};

}  // namespace shoal::swarm
