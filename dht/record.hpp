// Record: what an announcer stores in the DHT so that holders of the link can find it. Raw bytes of one fixed
// size, the same in every dialect.
//
//   offset size
//        0    1  version, 1
//        1   32  SPK, the swarm key of this content and epoch (Ed25519); the record's DHT key is H(SPK)
//       33   32  announcer key (Ed25519), of this node, content and epoch alone
//       65    6  sequence, ms, XOR the announcer key's bytes 0..5
//       71    6  expiry, Unix ms, XOR the announcer key's bytes 6..11
//       77   16  commitment to the announcer's IPv4 address      BLAKE2b-128(label, salt, address)
//       93   16  commitment to the announcer's IPv6 /64, by a salt of its own
//      109   24  nonce of the box
//      133  107  box: XChaCha20-Poly1305 under the epoch's box key, bytes 0..132 as additional data
//      240   64  signature by the announcer over (label, bytes 0..239)
//      304   64  signature by the swarm key over (label, bytes 0..303)
//      368       end
//
//   the box opened (91 bytes, then the tag):
//        0   32  the announcer's X25519 key, its identity in the peer channel
//       32    1  flags: bit 0 seed (has everything it wants), bit 1 reachable; other bits zero
//       33    2  progress, per mille, 0..1000
//       35    1  number of IPv4 endpoints, 0..3         36    1  number of IPv6 endpoints, 0..2
//       37   54  the endpoints, compact (BEP 5, BEP 32), IPv4 first; zeros to the end
//
// Why no two records share 8 bytes (DESIGN 1.3). The version is one byte. SPK, announcer key and T are fresh
// for every content and epoch. Sequence and expiry are the only clear numbers, and two records of one moment
// would agree in them: each is covered with bytes of the announcer key that stands beside it, which hides
// nothing from who parses the record but leaves no equal bytes for who compares dumps; `next_sequence` and
// `draw_expiry` also move the numbers themselves. Commitments have random salts, and where a family is
// absent, random bytes stand. The box has a random nonce, so its text and tag are fresh, and signatures are
// over fresh bytes. Two records of *one* announcer in *one* epoch do share SPK and announcer key; that is
// what lets a storer replace the older one.
//
// Two signatures: the announcer's, so that nobody else in the swarm replaces its record, and the swarm's, so
// that only holders of the link write under the key. Their labels keep them apart from each other and from
// all other signatures of those keys. Three records fit a datagram of 1,232 bytes, two fit a BEP 44 item.
//
// Not here: the place where records are kept (store.hpp), policy on whom to dial. Source: DESIGN section 6.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dht/base/endpoint.hpp"
#include "dht/base/random.hpp"
#include "dht/base/result.hpp"
#include "dht/swarm_keys.hpp"

namespace shoal::dht {

inline constexpr std::size_t record_bytes = 368;
inline constexpr std::size_t record_bytes_limit = 512;  // what the formats promise to stay below
inline constexpr std::size_t record_v4_endpoints = 3;
inline constexpr std::size_t record_v6_endpoints = 2;
inline constexpr std::chrono::milliseconds record_lifetime = std::chrono::minutes{60};  // what we ask for
inline constexpr std::chrono::milliseconds record_lifetime_limit = std::chrono::hours{2};
inline constexpr std::chrono::milliseconds record_clock_tolerance = std::chrono::minutes{30};

using Salt = ByteArray<16>;
using Commitment = ByteArray<16>;

struct Progress {
  enum class Role : std::uint8_t { leech, seed };
  Role role = Role::leech;
  std::uint16_t per_mille = 0;  // 0..1000
  bool operator==(const Progress&) const = default;
};
enum class Reach : std::uint8_t {
  unknown,
  reachable
};  // whether the announcer knows that strangers can dial it

struct RecordInputs {
  std::vector<Endpoint>
      endpoints;  // best first; the first 3 of IPv4 and 2 of IPv6 are taken, the rest dropped
  Progress progress;
  Reach reach = Reach::unknown;
  std::uint64_t sequence = 0;  // next_sequence(); below 2^48
  WallTime expiry{};           // draw_expiry(); at most 2 h ahead
  std::optional<IpAddress> v4,
      v6;  // the source addresses that storing nodes will see, where the family is used
};
// The salts go with a PUT, the one of the family it travels by, and nowhere else: with both, a storer could
// try which IPv4 address belongs to an IPv6 one.
struct BuiltRecord {
  Bytes bytes;
  Salt salt_v4{}, salt_v6{};
  [[nodiscard]] const Salt& salt_for(Family family) const { return family == Family::v4 ? salt_v4 : salt_v6; }
};
[[nodiscard]] BuiltRecord build_record(const EpochKeys& keys, const AnnouncerKeys& announcer,
                                       const RecordInputs& inputs, Random& random,
                                       const crypto::SignatureScheme& scheme = crypto::ed25519);
// Now + 60 min, less a random part of a minute (see the top).
[[nodiscard]] WallTime draw_expiry(WallTime wall, Random& random);

// For storing nodes, in this order. `check_header` costs one hash: size, version, key = H(SPK), expiry at
// most 2 h ahead and not past, either within the 30 min that clocks may differ. `check_signatures` costs two
// verifications (130 us).
struct RecordHeader {
  crypto::PublicKey announcer{};
  std::uint64_t sequence = 0;
  WallTime expiry{};
};
[[nodiscard]] Result<RecordHeader> check_header(ByteView record, const Key& key, WallTime wall);
[[nodiscard]] Result<void> check_signatures(ByteView record,
                                            const crypto::SignatureScheme& scheme = crypto::ed25519);
// Both.
[[nodiscard]] Result<RecordHeader> check_record(ByteView record, const Key& key, WallTime wall,
                                                const crypto::SignatureScheme& scheme = crypto::ed25519);
// The fields alone, unchecked. Precondition: record.size() == record_bytes.
[[nodiscard]] RecordHeader read_header(ByteView record);

// Until when a storer whose clock shows `wall` keeps a record accepted now: its expiry, but at least 30 min
// if that is not more than 30 min after the expiry, so that a storer whose clock is ahead keeps it for a time
// too.
[[nodiscard]] WallTime keep_until(WallTime expiry, WallTime wall);

// Whether `source` is the address committed to, in the field of its family (IPv6: the same /64).
[[nodiscard]] Commitment commit(const Salt& salt, const IpAddress& address);
[[nodiscard]] bool commitment_matches(ByteView record, const Salt& salt, const IpAddress& source);

// What becomes of a record that meets one of the same key and announcer.
enum class Succession : std::uint8_t {
  newer,        // higher sequence: replaces it
  repeated,     // the same bytes: nothing to do
  stale,        // lower sequence: refused
  conflicting,  // equal sequence, other bytes: refused
};
[[nodiscard]] Succession succession(ByteView stored, ByteView incoming);

// For readers: everything checked again, then opened. Gives `mismatch` for a record of other keys, `expired`,
// `forged`, `malformed`. Endpoints have a port and an address that is neither unspecified nor multicast;
// whether they may be dialled is decided elsewhere.
struct OpenedRecord {
  crypto::PublicKey announcer{};  // Ed25519, of this epoch
  crypto::PublicKey exchange{};   // X25519: the peer's identity in the content, equal in all its records
  std::vector<Endpoint> endpoints;
  Progress progress;
  Reach reach = Reach::unknown;
  std::uint64_t sequence = 0;
  WallTime expiry{};
};
[[nodiscard]] Result<OpenedRecord> open_record(ByteView record, const EpochKeys& keys, WallTime wall);

}  // namespace shoal::dht
