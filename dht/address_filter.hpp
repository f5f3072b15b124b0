// A set of addresses as a Bloom filter of 2,048 bits and two hashes, which others can join with theirs and
// count (BEP 33).
#pragma once

#include "dht/base/bytes.hpp"
#include "dht/base/endpoint.hpp"

namespace shoal::dht {

class AddressFilter {
 public:
  static constexpr std::size_t size = 256;  // bytes

  void insert(const IpAddress& address);
  void join(ByteView other);              // of `size` bytes
  [[nodiscard]] double estimate() const;  // how many addresses; of a full filter about 7,800
  [[nodiscard]] ByteView view() const { return bits_; }

 private:
  ByteArray<size> bits_{};
};

}  // namespace shoal::dht
