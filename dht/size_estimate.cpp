// Network size and region; see size_estimate.hpp.
#include "dht/size_estimate.hpp"

#include <algorithm>
#include <cmath>

#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

constexpr double largest = 1e9;  // more nodes than addresses make sense for; keeps a liar's sample finite

}  // namespace

Region region_of(double network_size) {
  Region region;
  region.most = limits::puts_per_record;
  const double fraction = limits::region_nodes / std::max(1.0, network_size);
  if (fraction >= 1) {
    region.radius.bytes.fill(0xff);
    return region;
  }
  region.radius.bytes.fill(0xff);
  store_be(region.radius.bytes.data(), static_cast<std::uint64_t>(std::ldexp(fraction, 64)));
  region.prefix_bits = static_cast<int>(std::floor(-std::log2(fraction)));
  return region;
}

double size_from(const Key& target, std::span<const Key> nearest) {
  if (nearest.size() < limits::k) return static_cast<double>(nearest.size()) + 1;
  const double reach = as_fraction(distance(target, nearest[limits::k - 1]));
  if (reach <= 0) return largest;
  return std::min(largest, static_cast<double>(limits::k - 1) / reach + 1);
}

void SizeEstimate::sample(double size, Instant now) {
  if (samples_.size() < kept) {
    samples_.push_back(size);
  } else {
    samples_[next_] = size;
    next_ = (next_ + 1) % kept;
  }
  std::vector<double> sorted = samples_;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  value_ = sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  if (samples_.size() < kept) return;
  while (!hour_.empty() && now - hour_.front().at > limits::size_looked_back) hour_.pop_front();
  if (hour_.empty() || now - hour_.back().at >= limits::size_noted_every) hour_.push_back({now, value_});
}

std::optional<double> SizeEstimate::doubled_from() const {
  if (hour_.empty() || value_ < limits::size_small) return std::nullopt;
  const auto least = std::ranges::min(hour_, {}, &Past::value).value;
  if (value_ < limits::size_jump * least) return std::nullopt;
  return least;
}

Region SizeEstimate::region() const {
  Region region = region_of(value_);
  // A newcomer that takes a large network for a tiny one must not ask all of it.
  if (samples_.size() < trusted) region.most = 3 * limits::k;
  return region;
}

}  // namespace shoal::dht
