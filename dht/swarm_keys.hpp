// The keys of a content, derived from its 32-byte id C alone: whoever has the link has them, nobody else.
//
// Time is cut into epochs of 24 h, whose borders differ from content to content. Each epoch has an Ed25519
// pair (the swarm key), the DHT key T = H(public half) under which records are stored, a key for the box
// inside records, the PSK of the peer channel and the key of its tags. Every one is BLAKE2b keyed with C over
// a label and the epoch; so the keys of two epochs or of two contents show no relation, and nothing leads
// back to C.
//
// Near a border two peers may stand in different epochs. Both sides act on `epochs_at`: a writer publishes
// under all of them, a reader asks for all of them; a dialler uses `current` and the responder accepts the
// tags of all of them, so two clocks may differ by up to an hour. The tag that matched tells the responder
// which epoch's PSK applies.
//
// Announcer keys: what one node shows in one content. They come from the node's secret seed and C, so that
// they survive a restart, and cannot be tied to the node or to its announcer keys elsewhere. Not here: the
// record (record.hpp), the handshake (the swarm layer). Source: DESIGN section 6. Deviation: the announcer's
// *signing* key changes with the epoch, since it stands in clear in the record and would tie the days
// together; the exchange key, seen only inside the box, is the same for the content's whole life.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dht/base/crypto.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"

namespace shoal::dht {

using ContentId = ByteArray<32>;
using Epoch = std::int64_t;

inline constexpr std::chrono::milliseconds epoch_length = std::chrono::hours{24};
inline constexpr std::chrono::milliseconds epoch_overlap = std::chrono::hours{1};

struct EpochKeys {
  Epoch epoch = 0;
  crypto::SigningKey swarm;    // SSK_e, SPK_e
  Key key;                     // T_e = H(SPK_e)
  crypto::SymmetricKey box{};  // seals the private part of records
  crypto::SymmetricKey psk{};  // of Noise_IKpsk1
  crypto::SymmetricKey tag{};  // keys channel_tag
};

// The epochs valid at one time, the current one first, its neighbour second where the border is within an
// hour.
struct Epochs {
  std::array<Epoch, 2> values{};
  std::uint8_t count = 1;
  [[nodiscard]] Epoch current() const { return values[0]; }
  // Iterable itself: a span of it would dangle in a range-for over what epochs_at() returns.
  [[nodiscard]] const Epoch* begin() const { return values.data(); }
  [[nodiscard]] const Epoch* end() const { return values.data() + count; }
  bool operator==(const Epochs&) const = default;
};

// H: the DHT key that belongs to a swarm key. What storing nodes check.
[[nodiscard]] Key key_of(const crypto::PublicKey& swarm_key);
// One key pair and six hashes: cache it (SwarmKeys does).
[[nodiscard]] EpochKeys derive_epoch(const ContentId& content, Epoch epoch);

// Where a content's days begin, and so which epochs are in use when. Eight bytes.
class Days {
 public:
  explicit Days(const ContentId& content);

  [[nodiscard]] Epoch epoch_at(WallTime wall) const;
  [[nodiscard]] Epochs epochs_at(WallTime wall) const;  // which to publish under, read, and accept
  // The next time at which `epochs_at` gives another answer; later than `wall`.
  [[nodiscard]] WallTime next_change(WallTime wall) const;

 private:
  std::int64_t offset_ms_;
};

// The keys of one content with the epochs in use kept. Remembers the last three epochs asked for.
class SwarmKeys {
 public:
  explicit SwarmKeys(const ContentId& content);

  [[nodiscard]] const ContentId& content() const { return content_; }
  [[nodiscard]] Epoch epoch_at(WallTime wall) const { return days_.epoch_at(wall); }
  [[nodiscard]] Epochs epochs_at(WallTime wall) const { return days_.epochs_at(wall); }
  [[nodiscard]] WallTime next_change(WallTime wall) const { return days_.next_change(wall); }
  // The reference is good until three other epochs have been asked for.
  [[nodiscard]] const EpochKeys& of(Epoch epoch);
  [[nodiscard]] const EpochKeys& current(WallTime wall) { return of(epoch_at(wall)); }

 private:
  ContentId content_;
  Days days_;
  std::array<std::optional<EpochKeys>, 3> known_;  // a ring: the current epoch and both neighbours
  std::size_t next_ = 0;
};

// What a node is in one content. `signing` signs its records of one epoch; `exchange` is its identity in the
// peer channel, the same in every epoch.
struct AnnouncerKeys {
  crypto::SigningKey signing;
  crypto::ExchangeKey exchange;
  std::uint32_t sequence_shift_ms = 0;  // see next_sequence
};
[[nodiscard]] crypto::ExchangeKey exchange_key(const crypto::SecretKey& node_seed, const ContentId& content);
[[nodiscard]] AnnouncerKeys announcer_keys(const crypto::SecretKey& node_seed, const ContentId& content,
                                           Epoch epoch);
// Where the exchange key is at hand: a key pair less to derive.
[[nodiscard]] AnnouncerKeys announcer_keys(const crypto::SecretKey& node_seed, const ContentId& content,
                                           Epoch epoch, const crypto::ExchangeKey& exchange);

// The next record's sequence: max(wall + shift, last + 1) in ms. `last` is what the catalog kept for this
// announcer key, 0 at first. The shift (0..65 s, secret, fixed per announcer key) hides that two contents are
// announced in the same millisecond by the same machine.
[[nodiscard]] std::uint64_t next_sequence(const AnnouncerKeys& keys, WallTime wall, std::uint64_t last);

// The salt of a slot in which records travel through mainline (sealed_slots.hpp). To others it is noise.
[[nodiscard]] ByteArray<16> slot_salt(const EpochKeys& keys, std::uint32_t slot);

// The peer channel's tag: which responder, in which swarm, at which hour of Unix time. To others it is noise.
using ChannelTag = ByteArray<16>;
[[nodiscard]] std::int64_t hour_of(WallTime wall);
// `tag_key`: EpochKeys::tag.
[[nodiscard]] ChannelTag channel_tag(const crypto::SymmetricKey& tag_key, const crypto::PublicKey& responder,
                                     std::int64_t hour);
// What the dialler sends: current epoch, current hour.
[[nodiscard]] ChannelTag dial_tag(const EpochKeys& current, const crypto::PublicKey& responder,
                                  WallTime wall);
// What a responder accepts: every epoch of `epochs_at`, hours -1, 0, +1: 3 or 6 tags. To be put into a table
// by tag. A hash each, and one an epoch: for a content that is asked for rarely nothing else is derived.
struct AcceptedTag {
  ChannelTag tag{};
  Epoch epoch = 0;  // whose PSK opens the first message
};
[[nodiscard]] std::vector<AcceptedTag> accepted_tags(const ContentId& content, const Days& days,
                                                     const crypto::PublicKey& responder, WallTime wall);

}  // namespace shoal::dht
