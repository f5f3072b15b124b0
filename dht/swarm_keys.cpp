// Derivation of the keys of a content. See swarm_keys.hpp.
#include "dht/swarm_keys.hpp"

#include <algorithm>
#include <string_view>

namespace shoal::dht {
namespace {

constexpr std::int64_t day_ms = epoch_length.count();
constexpr std::int64_t overlap_ms = epoch_overlap.count();
constexpr std::int64_t hour_ms = std::chrono::milliseconds{std::chrono::hours{1}}.count();

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }  // b > 0
std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return a - floor_div(a, b) * b; }

// BLAKE2b keyed with a secret over a label, what the secret is applied to, and a number: one function for
// every key. The labels differ before their ends, so no two derivations hash the same message.
template <std::size_t N>
ByteArray<N> derive(ByteView secret, std::string_view label, ByteView subject, std::int64_t number) {
  Bytes message = to_vector(as_bytes(label));
  message.push_back(0);
  append(message, subject);
  append_be(message, static_cast<std::uint64_t>(number));
  return crypto::blake2b<N>(message, secret);
}

crypto::SymmetricKey tag_key(const ContentId& content, Epoch epoch) {
  return derive<32>(content, "shoal tag", {}, epoch);
}

}  // namespace

Key key_of(const crypto::PublicKey& swarm_key) {
  static constexpr std::string_view label = "shoal swarm key";
  ByteArray<label.size() + 32> message;
  std::copy(swarm_key.begin(), swarm_key.end(), std::copy(label.begin(), label.end(), message.begin()));
  return Key{crypto::blake2b<32>(message)};
}

EpochKeys derive_epoch(const ContentId& content, Epoch epoch) {
  EpochKeys out;
  out.epoch = epoch;
  out.swarm = crypto::SigningKey::from_seed(derive<32>(content, "shoal swarm", {}, epoch));
  out.key = key_of(out.swarm.public_key);
  out.box = derive<32>(content, "shoal box", {}, epoch);
  out.psk = derive<32>(content, "shoal psk", {}, epoch);
  out.tag = tag_key(content, epoch);
  return out;
}

Days::Days(const ContentId& content) {
  const auto raw = derive<8>(content, "shoal day", {}, 0);
  offset_ms_ =
      static_cast<std::int64_t>(load_be<std::uint64_t>(raw.data()) % static_cast<std::uint64_t>(day_ms));
}

Epoch Days::epoch_at(WallTime wall) const { return floor_div(unix_ms(wall) + offset_ms_, day_ms); }

Epochs Days::epochs_at(WallTime wall) const {
  Epochs out;
  out.values[0] = epoch_at(wall);
  const std::int64_t since_border = floor_mod(unix_ms(wall) + offset_ms_, day_ms);
  if (since_border < overlap_ms) {
    out.values[out.count++] = out.values[0] - 1;
  } else if (since_border >= day_ms - overlap_ms) {
    out.values[out.count++] = out.values[0] + 1;
  }
  return out;
}

WallTime Days::next_change(WallTime wall) const {
  const std::int64_t since_border = floor_mod(unix_ms(wall) + offset_ms_, day_ms);
  const std::int64_t next = since_border < overlap_ms            ? overlap_ms
                            : since_border < day_ms - overlap_ms ? day_ms - overlap_ms
                                                                 : day_ms;
  return wall + std::chrono::milliseconds{next - since_border};
}

SwarmKeys::SwarmKeys(const ContentId& content) : content_(content), days_(content) {}

const EpochKeys& SwarmKeys::of(Epoch epoch) {
  for (const auto& known : known_)
    if (known && known->epoch == epoch) return *known;
  auto& slot = known_[next_];
  next_ = (next_ + 1) % known_.size();
  slot = derive_epoch(content_, epoch);
  return *slot;
}

crypto::ExchangeKey exchange_key(const crypto::SecretKey& node_seed, const ContentId& content) {
  return crypto::ExchangeKey::from_secret(derive<32>(node_seed, "shoal announcer exchange", content, 0));
}

AnnouncerKeys announcer_keys(const crypto::SecretKey& node_seed, const ContentId& content, Epoch epoch) {
  return announcer_keys(node_seed, content, epoch, exchange_key(node_seed, content));
}

AnnouncerKeys announcer_keys(const crypto::SecretKey& node_seed, const ContentId& content, Epoch epoch,
                             const crypto::ExchangeKey& exchange) {
  AnnouncerKeys out;
  out.signing =
      crypto::SigningKey::from_seed(derive<32>(node_seed, "shoal announcer signing", content, epoch));
  out.exchange = exchange;
  out.sequence_shift_ms =
      load_be<std::uint16_t>(derive<2>(node_seed, "shoal announcer shift", content, epoch).data());
  return out;
}

std::uint64_t next_sequence(const AnnouncerKeys& keys, WallTime wall, std::uint64_t last) {
  const std::int64_t shown = std::max<std::int64_t>(0, unix_ms(wall)) + keys.sequence_shift_ms;
  return std::max(static_cast<std::uint64_t>(shown), last + 1);
}

ByteArray<16> slot_salt(const EpochKeys& keys, std::uint32_t slot) {
  return derive<16>(keys.tag, "shoal slot", {}, slot);
}

std::int64_t hour_of(WallTime wall) { return floor_div(unix_ms(wall), hour_ms); }

ChannelTag channel_tag(const crypto::SymmetricKey& tag_key, const crypto::PublicKey& responder,
                       std::int64_t hour) {
  return derive<16>(tag_key, "shoal channel", responder, hour);
}

ChannelTag dial_tag(const EpochKeys& current, const crypto::PublicKey& responder, WallTime wall) {
  return channel_tag(current.tag, responder, hour_of(wall));
}

std::vector<AcceptedTag> accepted_tags(const ContentId& content, const Days& days,
                                       const crypto::PublicKey& responder, WallTime wall) {
  std::vector<AcceptedTag> out;
  out.reserve(6);
  for (const Epoch epoch : days.epochs_at(wall)) {
    const crypto::SymmetricKey key = tag_key(content, epoch);
    for (const std::int64_t hour : {hour_of(wall) - 1, hour_of(wall), hour_of(wall) + 1})
      out.push_back({channel_tag(key, responder, hour), epoch});
  }
  return out;
}

}  // namespace shoal::dht
