// Items of BEP 44: where they lie, what is signed, which succeeds which.
//
// An immutable item lies under the SHA-1 of its bencoded value, a mutable one under that of its public key
// and salt. Signed are salt, sequence and value, each as bencoding would have them in a dict without its
// braces, the value byte for byte as it was received.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/base/crypto.hpp"
#include "dht/base/key.hpp"
#include "dht/base/result.hpp"
#include "dht/message.hpp"

namespace shoal::dht {

inline constexpr std::size_t item_value_most = 1000;  // bytes
inline constexpr std::size_t item_salt_most = 64;

// A mutable item as its author or a store has it; without a public key an immutable one.
struct Item {
  Bytes value;
  std::optional<crypto::PublicKey> public_key;
  crypto::Signature signature{};
  Bytes salt;
  std::int64_t sequence = 0;
  bool operator==(const Item&) const = default;
  [[nodiscard]] ItemView view() const;  // points into this
};

[[nodiscard]] Item item_of(const ItemView& view, ByteView salt);  // a copy

[[nodiscard]] Key immutable_target(ByteView value);
[[nodiscard]] Key mutable_target(const crypto::PublicKey& key, ByteView salt);
[[nodiscard]] Key target_of(const ItemView& item);

// Signs. `value` is one bencoded value of at most item_value_most bytes, `salt` of at most item_salt_most.
[[nodiscard]] Item make_item(const crypto::SigningKey& key, Bytes salt, std::int64_t sequence, Bytes value);

// Whether a reply's or a put's item belongs under `target`: of an immutable one the hash, of a mutable one
// the key, the salt and the signature. `salt`: the one that was asked for, as replies do not carry it.
// Errors: mismatch, forged.
[[nodiscard]] Result<void> check_item(const ItemView& item, ByteView salt, const Key& target);

}  // namespace shoal::dht
