// The bytes of a proof: label, 0, transaction (length, bytes), asker, answerer, observed (length, compact
// form), time.
#include "dht/proof.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace shoal::dht {
namespace {

constexpr std::string_view label = "shoal dht reply 1";

struct Signed {
  std::array<std::uint8_t, 160> bytes{};
  std::size_t size = 0;

  void add(ByteView part) {
    std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    size += part.size();
  }
  void add_byte(std::size_t value) { bytes[size++] = static_cast<std::uint8_t>(value); }
  [[nodiscard]] ByteView view() const { return {bytes.data(), size}; }
};

Signed signed_bytes(const ProofSubject& subject, std::int64_t unix_ms) {
  static_assert(label.size() + 1 + 1 + TransactionId::max_bytes + 32 + 32 + 1 + 18 + 8 <=
                sizeof(Signed::bytes));
  Signed out;
  out.add(as_bytes(label));
  out.add_byte(0);
  out.add_byte(subject.transaction.size);
  out.add(subject.transaction.view());
  out.add(subject.asker.bytes);
  out.add(subject.answerer.bytes);
  const ByteView address = subject.observed.address.view();
  out.add_byte(address.size());
  out.add(address);
  ByteArray<2> port;
  store_be(port.data(), subject.observed.port);
  out.add(port);
  ByteArray<8> time;
  store_be(time.data(), static_cast<std::uint64_t>(unix_ms));
  out.add(time);
  return out;
}

}  // namespace

Proof prove(const crypto::SigningKey& key, const ProofSubject& subject, std::int64_t unix_ms,
            const crypto::SignatureScheme& scheme) {
  return {key.public_key, scheme.sign(key, signed_bytes(subject, unix_ms).view()), unix_ms};
}

bool proof_holds(const Proof& proof, const ProofSubject& subject, const crypto::SignatureScheme& scheme) {
  return scheme.verify(proof.public_key, signed_bytes(subject, proof.unix_ms).view(), proof.signature);
}

}  // namespace shoal::dht
