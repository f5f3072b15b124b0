// Tokens: proof that who puts has received our answer at that address (BEP 5), without keeping anything per
// asker.
//
// A token is BLAKE2b, keyed with this node's secret, over address, port, key and the number of the 5-minute
// epoch; the current and the previous epoch's are accepted, so a token lives 5 to 10 minutes. A keyed hash
// has no algebra: knowing tokens of other addresses helps nobody (THREATS A13). Compared in constant time.
// Not here: when a token is asked for (the responder). Source: BEP 5; DESIGN section 5.
#pragma once

#include <chrono>

#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

class Tokens {
 public:
  static constexpr std::size_t size = 8;  // 2^-64 a guess; longer ones only cost room in replies
  static constexpr Duration epoch = std::chrono::minutes{5};

  // `secret` is drawn anew at each start; tokens need not survive one.
  explicit Tokens(const ByteArray<32>& secret) : secret_(secret) {}

  [[nodiscard]] ByteArray<size> issue(Now now, const Endpoint& to, const Key& key) const;
  [[nodiscard]] bool accepts(Now now, ByteView token, const Endpoint& from, const Key& key) const;

 private:
  ByteArray<32> secret_;
};

}  // namespace shoal::dht
