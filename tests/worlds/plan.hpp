// What a world of SessionWorlds is like before anything happens in it: drawn from its seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {

// Draws, all of one stream.
class Lots {
 public:
  Lots(std::uint64_t seed, std::string_view purpose);
  [[nodiscard]] bool chance(double part) { return random_.unit() < part; }
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  [[nodiscard]] std::uint64_t between(std::uint64_t low, std::uint64_t high) {  // both can be drawn
    return low + random_.below(high - low + 1);
  }
  // Each order of magnitude as likely as another; 1 <= low.
  [[nodiscard]] std::uint64_t scale(std::uint64_t low, std::uint64_t high);
  [[nodiscard]] Duration time(Duration low, Duration high);  // likewise
  template <class Range>
  [[nodiscard]] auto& one_of(Range& range) {
    return range[static_cast<std::size_t>(below(std::size(range)))];
  }

 private:
  Random random_;
};

struct ContentPlan {
  std::string name;
  std::vector<SyntheticFile> files;
  std::uint32_t piece_length = 0;  // 0: the product's choice
  storage::Format format = storage::Format::v2;
  std::size_t sharer = 0;  // a peer
};

struct WantPlan {  // a command: share or get
  std::size_t content = 0;
  Duration begins{};
  bool shares = false;
  bool leaves = false;  // closes it when it has it all, as `get` does by itself
  std::vector<std::string> only{};
};

struct PeerPlan {
  MachineConfig config;
  std::size_t site = 0;         // 0: on the public Internet; else a home behind a NAT
  bool told_addresses = false;  // its links have the sharer's address
  std::vector<WantPlan> wants{};
};

struct Plan {
  WorldConfig world;
  std::size_t nodes = 0, sites = 0;
  std::vector<ContentPlan> contents;
  std::vector<PeerPlan> peers;
  std::size_t corrupter = ~std::size_t{0};  // a peer that falsifies, or none
  double corrupt_part = 0;
  std::size_t faults = 0;

  [[nodiscard]] static Plan draw(std::uint64_t seed);
  // Whether the peer can get the content once all is well: members that stay, are honest and have everything
  // lead from the sharer to it, any two of which can find and dial each other.
  [[nodiscard]] bool reachable(std::size_t peer, std::size_t content) const;

 private:
  [[nodiscard]] const WantPlan* want(std::size_t peer, std::size_t content) const;
  [[nodiscard]] bool meet(std::size_t a, std::size_t b, std::size_t content) const;
};

}  // namespace shoal::sim
