// Which first 16 bytes of an accepted stream mean which of our contents (DESIGN 6, THREATS A31): the tags of
// every open content, for every epoch acceptable now and the hours -1, 0, +1. One look-up, before any key
// exchange.
//
// Not here: what happens next (native_channel), budgets per address (the session).
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "dht/base/crypto.hpp"
#include "dht/base/time.hpp"
#include "dht/swarm_keys.hpp"

namespace shoal::swarm {

class TagTable {
 public:
  using Content = std::uint32_t;  // the owner's name of an open content
  struct Entry {
    Content content = 0;
    dht::Epoch epoch = 0;
    crypto::ExchangeKey ours{};  // our static key there
    crypto::SymmetricKey psk{};  // of that epoch
  };

  // Registers a content; its tags are good at once. `keys` must stay where it is until remove(). Replaces an
  // older entry of the same name.
  void add(WallTime now, Content content, dht::SwarmKeys& keys, const crypto::ExchangeKey& ours);
  void remove(Content content);

  // Brings all tags up to date; nothing where none has changed, so it may be called each turn. O(contents)
  // once an hour, at a border of an epoch, and when the wall clock jumps.
  void refresh(WallTime now);
  // When refresh() has something to do, if the wall clock runs evenly.
  [[nodiscard]] WallTime next_refresh() const { return until_; }

  // nullptr: not for us. Precondition: first.size() >= 16. Valid until the next add, remove or refresh.
  [[nodiscard]] const Entry* find(ByteView first) const;
  [[nodiscard]] std::size_t tags() const { return entries_.size(); }

 private:
  struct Member {
    dht::SwarmKeys* keys = nullptr;
    crypto::ExchangeKey ours{};
  };
  // Tags are outputs of a keyed hash that only link holders can compute: their bytes are their own hash.
  struct TagHash {
    std::size_t operator()(const dht::ChannelTag& tag) const noexcept {
      return static_cast<std::size_t>(load_be<std::uint64_t>(tag.data()));
    }
  };
  void enter(WallTime now, Content content, Member& member);

  std::map<Content, Member> members_;
  std::unordered_map<dht::ChannelTag, Entry, TagHash> entries_;  // looked up, never walked
  WallTime since_ = WallTime::max(), until_ = WallTime::max();   // the tags are right in [since_, until_)
};

}  // namespace shoal::swarm
