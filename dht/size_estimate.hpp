// SizeEstimate: how many nodes the overlay has, from the distances of the nearest nodes around points that no
// attacker chose (our own position, random refresh targets); and the region that follows from it.
//
// In a network of N nodes with random ids the m-th nearest lies at a distance whose inverse averages N / (m -
// 1). The median of the last samples is taken, so that one place full of Sybils moves nothing. Sybils
// everywhere do: an overlay that doubles within an hour is told of (THREATS A1).
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "dht/base/key.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

// Where the records of a key are kept: everything within `radius` of it, about 1.25 k nodes.
struct Region {
  Key radius;            // largest distance inside
  int prefix_bits = 0;   // leading bits that its nodes share with the key, at most
  std::size_t most = 0;  // nodes of it that are asked: fewer while the estimate is young
  [[nodiscard]] bool contains(const Key& distance) const { return distance <= radius; }
};
[[nodiscard]] Region region_of(double network_size);

// Of nodes around `target`, nearest first. With fewer than k known, all of the network is seen: their number
// + 1.
[[nodiscard]] double size_from(const Key& target, std::span<const Key> nearest);

class SizeEstimate {
 public:
  void sample(double size, Instant now);
  [[nodiscard]] double value() const { return value_; }  // 1: nobody but us
  [[nodiscard]] Region region() const;
  // The least of the last hour, where that is at most half of what is now; nullopt: no such growth, or so
  // small a network that a few friends double it.
  [[nodiscard]] std::optional<double> doubled_from() const;

 private:
  static constexpr std::size_t kept = 16;
  static constexpr std::size_t trusted = 4;
  struct Past {
    Instant at{};
    double value = 1;
  };
  std::vector<double> samples_;  // a ring
  std::size_t next_ = 0;
  double value_ = 1;
  std::deque<Past> hour_;  // oldest first, of the time since the ring was full; bounded
};

}  // namespace shoal::dht
