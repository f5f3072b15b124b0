// The primitives of BitTorrent's message stream encryption: Diffie-Hellman over a prime of 768 bits, and RC4.
// Both are broken as encryption. They hide the protocol from a filter and nothing from an enemy; the native
// channel is where secrecy is (crypto.hpp).
#pragma once

#include <memory>
#include <optional>

#include "dht/base/bytes.hpp"

namespace shoal::obfuscation {

using DhNumber = ByteArray<96>;  // big endian
using DhSecret = ByteArray<20>;  // 160 random bits, as the protocol recommends

[[nodiscard]] DhNumber dh_public(const DhSecret& secret);
// nullopt: `theirs` is no number between 2 and P - 2.
[[nodiscard]] std::optional<DhNumber> dh_shared(const DhSecret& secret, const DhNumber& theirs);

class Rc4 {
 public:
  explicit Rc4(ByteView key);  // 1..256 bytes
  ~Rc4();
  Rc4(const Rc4& other);
  Rc4& operator=(const Rc4& other);
  Rc4(Rc4&&) noexcept;
  Rc4& operator=(Rc4&&) noexcept;
  void apply(MutableBytes bytes);  // either way

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shoal::obfuscation
