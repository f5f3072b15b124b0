// LsdCalls: when to call public contents out to the local group, which of them, and whose calls to believe
// (BEP 14; lsd.hpp has the messages). A content is called when it is opened and every 5 min; one message a
// minute, of up to 20 names; where there are more, they take turns. Believed is who is on a subnet of ours,
// at most 64 messages in 5 s (THREATS A35).
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "dht/base/time.hpp"
#include "swarm/info_hash.hpp"
#include "swarm/lsd.hpp"
#include "swarm/reach.hpp"

namespace shoal::swarm {

class LsdCalls {
 public:
  // `cookie`: by which we know our own calls.
  LsdCalls(bool enabled, std::vector<Subnet> subnets, std::string cookie)
      : enabled_(enabled), subnets_(std::move(subnets)), cookie_(std::move(cookie)) {}

  [[nodiscard]] Instant due() const { return enabled_ ? due_ : never; }
  void soon(Now now) { due_ = std::min(due_, std::max(now.mono, last_ + least)); }
  [[nodiscard]] std::vector<Family> families() const { return families_of(subnets_); }

  // What to call now, of all that may be called; no contents: nothing.
  [[nodiscard]] lsd::Announcement next(Now now, std::uint16_t port, const std::vector<InfoHash>& all) {
    lsd::Announcement out{port, {}, cookie_};
    turn_ = turn_ < all.size() ? turn_ : 0;
    for (; turn_ < all.size() && out.contents.size() < lsd::contents_most; ++turn_)
      out.contents.push_back(all[turn_]);
    const bool more = turn_ < all.size();
    last_ = now.mono;
    due_ = all.empty() ? never : now.mono + (more ? Duration{least} : Duration{usual});
    return out;
  }

  [[nodiscard]] bool admit(Now now, const Endpoint& from, const lsd::Announcement& call) {
    if (!enabled_ || call.cookie == cookie_) return false;
    if (std::ranges::none_of(subnets_, [&](const Subnet& s) { return s.contains(from.address); }))
      return false;
    if (now.mono - window_ >= heard_for) {
      window_ = now.mono;
      heard_ = 0;
    }
    return ++heard_ <= most_heard;
  }

 private:
  static constexpr std::chrono::minutes least{1}, usual{5};
  static constexpr std::chrono::seconds heard_for{5};
  static constexpr std::uint32_t most_heard = 64;
  bool enabled_;
  std::vector<Subnet> subnets_;
  std::string cookie_;
  std::size_t turn_ = 0;
  Instant due_ = never, last_{-least}, window_{};
  std::uint32_t heard_ = 0;
};

}  // namespace shoal::swarm
