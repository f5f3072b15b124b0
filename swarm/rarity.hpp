// RarityOrder: a set of pieces ordered by availability, rarest first, equal ones in random order. One array
// with the borders of its buckets (as in libtorrent's piece picker): a change of one step is one swap, O(1);
// joining and leaving cost one swap a bucket crossed, which is at most the number of peers and happens once a
// piece, not a block.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dht/base/random.hpp"

namespace shoal::swarm {

class RarityOrder {
 public:
  explicit RarityOrder(Random random) : random_(std::move(random)) {}

  // `pieces`: how many there are in the content; may be called again for another size.
  void resize(std::uint32_t pieces);
  // Availability is capped at most_availability.
  void insert(std::uint32_t piece, std::uint32_t availability);
  void erase(std::uint32_t piece);
  void move(std::uint32_t piece, std::uint32_t availability);  // of a member, to any availability
  [[nodiscard]] bool contains(std::uint32_t piece) const { return place_[piece] != absent; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(order_.size()); }
  [[nodiscard]] bool empty() const { return order_.empty(); }

  [[nodiscard]] std::uint32_t buckets() const { return static_cast<std::uint32_t>(begin_.size()) - 1; }
  // The members of that availability, in random order.
  [[nodiscard]] std::span<const std::uint32_t> bucket(std::uint32_t availability) const {
    return {order_.data() + begin_[availability], begin_[availability + 1] - begin_[availability]};
  }
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }  // swaps done: for tests of cost

  static constexpr std::uint32_t most_availability = 1023;

 private:
  static constexpr std::uint32_t absent = ~std::uint32_t{0};
  void swap_places(std::uint32_t a, std::uint32_t b);
  void up(std::uint32_t piece);    // one bucket more common
  void down(std::uint32_t piece);  // one bucket rarer
  void mix(std::uint32_t piece);   // to a random place of its bucket
  [[nodiscard]] std::uint32_t bucket_of(std::uint32_t piece) const { return bucket_[piece]; }

  Random random_;
  std::vector<std::uint32_t> order_;        // pieces
  std::vector<std::uint32_t> begin_{0, 0};  // bucket a is order_[begin_[a], begin_[a + 1])
  std::vector<std::uint32_t> place_;        // of a piece in order_
  std::vector<std::uint16_t> bucket_;       // of a piece
  std::uint64_t steps_ = 0;
};

}  // namespace shoal::swarm
