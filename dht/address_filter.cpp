// See address_filter.hpp.
#include "dht/address_filter.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "dht/base/check.hpp"
#include "dht/base/hash.hpp"

namespace shoal::dht {
namespace {

constexpr double bits = AddressFilter::size * 8;

}  // namespace

void AddressFilter::insert(const IpAddress& address) {
  const Sha1 hash = sha1(address.view());
  for (const std::size_t at : {0U, 2U}) {
    const std::size_t bit = (hash[at] | static_cast<std::size_t>(hash[at + 1]) << 8U) % (size * 8);
    bits_[bit / 8] = static_cast<std::uint8_t>(bits_[bit / 8] | 1U << (bit % 8));
  }
}

void AddressFilter::join(ByteView other) {
  SHOAL_CHECK(other.size() == size);
  for (std::size_t i = 0; i < size; ++i) bits_[i] |= other[i];
}

// BEP 33: log(zeros / m) / (k log(1 - 1/m)), at least one zero taken for granted.
double AddressFilter::estimate() const {
  double zeros = bits;
  for (const std::uint8_t byte : bits_) zeros -= std::popcount(byte);
  return std::log(std::clamp(zeros, 1.0, bits) / bits) / (2 * std::log(1 - 1 / bits));
}

}  // namespace shoal::dht
