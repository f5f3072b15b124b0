// See item.hpp.
#include "dht/item.hpp"

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "dht/base/hash.hpp"
#include "dht/mainline_id.hpp"

namespace shoal::dht {
namespace {

Bytes signed_bytes(ByteView salt, std::int64_t sequence, ByteView value) {
  Bytes dict;
  bencode::Writer writer{dict};
  writer.begin_dict();
  if (!salt.empty()) writer.key("salt").string(salt);
  writer.key("seq").integer(sequence).key("v").raw(value).end();
  return {dict.begin() + 1, dict.end() - 1};
}

}  // namespace

ItemView Item::view() const {
  ItemView out;
  out.value = value;
  if (!public_key) return out;
  out.public_key = *public_key;
  out.signature = signature;
  out.salt = salt;
  out.sequence = sequence;
  return out;
}

Item item_of(const ItemView& view, ByteView salt) {
  Item out;
  out.value = to_vector(view.value);
  if (!view.is_mutable()) return out;
  out.public_key = to_array<32>(view.public_key);
  out.signature = to_array<64>(view.signature);
  out.salt = to_vector(salt);
  out.sequence = view.sequence;
  return out;
}

Key immutable_target(ByteView value) { return mainline_key(sha1(value)); }

Key mutable_target(const crypto::PublicKey& key, ByteView salt) {
  Sha1Stream hash;
  hash.update(key);
  hash.update(salt);
  return mainline_key(hash.finish());
}

Key target_of(const ItemView& item) {
  return item.is_mutable() ? mutable_target(to_array<32>(item.public_key), item.salt)
                           : immutable_target(item.value);
}

Item make_item(const crypto::SigningKey& key, Bytes salt, std::int64_t sequence, Bytes value) {
  SHOAL_CHECK(value.size() <= item_value_most && salt.size() <= item_salt_most && sequence >= 0);
  Item out;
  out.signature = key.sign(signed_bytes(salt, sequence, value));
  out.public_key = key.public_key;
  out.value = std::move(value);
  out.salt = std::move(salt);
  out.sequence = sequence;
  return out;
}

Result<void> check_item(const ItemView& item, ByteView salt, const Key& target) {
  if (!item.is_mutable()) {
    if (immutable_target(item.value) != target) return fail(Code::mismatch, "an item has its hash");
    return {};
  }
  const auto key = to_array<32>(item.public_key);
  if (mutable_target(key, salt) != target) return fail(Code::mismatch, "an item has its key and salt");
  if (!crypto::verify(key, signed_bytes(salt, item.sequence, item.value), to_array<64>(item.signature)))
    return fail(Code::forged, "an item has its signature");
  return {};
}

}  // namespace shoal::dht
