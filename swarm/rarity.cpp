// Invariant: place_[order_[i]] == i; order_[i] is in bucket b exactly if begin_[b] <= i < begin_[b + 1];
// bucket_ says the same by piece.
#include "swarm/rarity.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::swarm {

void RarityOrder::resize(std::uint32_t pieces) {
  order_.clear();
  order_.reserve(pieces);
  begin_.assign(2, 0);
  place_.assign(pieces, absent);
  bucket_.assign(pieces, 0);
}

void RarityOrder::swap_places(std::uint32_t a, std::uint32_t b) {
  ++steps_;
  if (a == b) return;
  std::swap(order_[a], order_[b]);
  place_[order_[a]] = a;
  place_[order_[b]] = b;
}

// The piece becomes the last of its bucket, then the border passes over it.
void RarityOrder::up(std::uint32_t piece) {
  const std::uint32_t b = bucket_[piece];
  swap_places(place_[piece], begin_[b + 1] - 1);
  --begin_[b + 1];
  ++bucket_[piece];
}

void RarityOrder::down(std::uint32_t piece) {
  const std::uint32_t b = bucket_[piece];
  swap_places(place_[piece], begin_[b]);
  ++begin_[b];
  --bucket_[piece];
}

void RarityOrder::mix(std::uint32_t piece) {
  const std::uint32_t b = bucket_[piece];
  const std::uint32_t first = begin_[b];
  swap_places(place_[piece], first + static_cast<std::uint32_t>(random_.below(begin_[b + 1] - first)));
}

void RarityOrder::insert(std::uint32_t piece, std::uint32_t availability) {
  SHOAL_CHECK(!contains(piece));
  availability = std::min(availability, most_availability);
  while (buckets() <= availability) begin_.push_back(size());
  place_[piece] = size();
  order_.push_back(piece);
  ++begin_.back();
  bucket_[piece] = static_cast<std::uint16_t>(buckets() - 1);
  while (bucket_[piece] > availability) down(piece);
  mix(piece);
}

void RarityOrder::erase(std::uint32_t piece) {
  SHOAL_CHECK(contains(piece));
  while (bucket_[piece] + 1U < buckets()) up(piece);
  swap_places(place_[piece], size() - 1);
  order_.pop_back();
  --begin_.back();
  place_[piece] = absent;
}

void RarityOrder::move(std::uint32_t piece, std::uint32_t availability) {
  availability = std::min(availability, most_availability);
  while (buckets() <= availability) begin_.push_back(size());
  if (bucket_[piece] == availability) return;
  while (bucket_[piece] < availability) up(piece);
  while (bucket_[piece] > availability) down(piece);
  mix(piece);
}

}  // namespace shoal::swarm
