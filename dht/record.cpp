// Records: building, checking, opening. The layout is at the top of record.hpp.
#include "dht/record.hpp"

#include <algorithm>
#include <string_view>

#include "dht/base/check.hpp"

namespace shoal::dht {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t swarm_at = 1;
constexpr std::size_t announcer_at = 33;
constexpr std::size_t sequence_at = 65;
constexpr std::size_t expiry_at = 71;
constexpr std::size_t v4_at = 77;
constexpr std::size_t v6_at = 93;
constexpr std::size_t nonce_at = 109;
constexpr std::size_t box_at = 133;
constexpr std::size_t box_plain = 91;
constexpr std::size_t announcer_signature_at = 240;
constexpr std::size_t swarm_signature_at = 304;
constexpr std::size_t number_bytes = 6;
static_assert(box_at + box_plain + crypto::tag_bytes == announcer_signature_at);
static_assert(swarm_signature_at + 64 == record_bytes && record_bytes <= record_bytes_limit);

// Offsets inside the opened box.
constexpr std::size_t flags_at = 32;
constexpr std::size_t progress_at = 33;
constexpr std::size_t counts_at = 35;
constexpr std::size_t endpoints_at = 37;
static_assert(endpoints_at + record_v4_endpoints * 6 + record_v6_endpoints * 18 == box_plain);

constexpr std::uint8_t seed_flag = 1;
constexpr std::uint8_t reachable_flag = 2;

// Of one length, so that no message of one kind is a message of the other.
constexpr std::string_view announcer_label = "shoal record by announcer";
constexpr std::string_view swarm_label = "shoal record by the swarm";
static_assert(announcer_label.size() == swarm_label.size());

// 48 bits, covered with bytes of the announcer key: reading and writing are the same operation on different
// data.
void put_covered(std::uint8_t* to, std::uint64_t value, const std::uint8_t* cover) {
  for (std::size_t i = 0; i < number_bytes; ++i)
    to[i] = static_cast<std::uint8_t>(value >> (8 * (number_bytes - 1 - i))) ^ cover[i];
}
std::uint64_t read_covered(const std::uint8_t* from, const std::uint8_t* cover) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < number_bytes; ++i)
    value = (value << 8) | static_cast<std::uint8_t>(from[i] ^ cover[i]);
  return value;
}

// What is signed: a label, then the record up to the signature.
class SignedBytes {
 public:
  SignedBytes(std::string_view label, ByteView part) : size_(label.size() + part.size()) {
    std::copy(part.begin(), part.end(), std::copy(label.begin(), label.end(), room_.begin()));
  }
  [[nodiscard]] ByteView view() const { return {room_.data(), size_}; }

 private:
  ByteArray<swarm_label.size() + swarm_signature_at> room_;
  std::size_t size_;
};

Result<void> check_expiry(WallTime expiry, WallTime wall) {
  if (expiry + record_clock_tolerance <= wall) return fail(Code::expired, "a record ends after now");
  if (expiry > wall + record_lifetime_limit + record_clock_tolerance)
    return fail(Code::expired, "a record lives two hours at most");
  return {};
}

Result<void> check_form(ByteView record) {
  if (record.size() != record_bytes) return fail(Code::malformed, "a record has 368 bytes");
  if (record[0] != version) return fail(Code::unsupported, "the version of a record is 1");
  return {};
}

void write_endpoints(std::uint8_t* plain, const std::vector<Endpoint>& endpoints) {
  std::uint8_t* to = plain + endpoints_at;
  for (const Family family : {Family::v4, Family::v6}) {
    const std::size_t limit = family == Family::v4 ? record_v4_endpoints : record_v6_endpoints;
    std::uint8_t& count = plain[counts_at + (family == Family::v4 ? 0 : 1)];
    for (const Endpoint& endpoint : endpoints) {
      if (endpoint.address.family != family || count == limit) continue;
      const Bytes compact = endpoint.compact();
      to = std::copy(compact.begin(), compact.end(), to);
      ++count;
    }
  }
}

Result<std::vector<Endpoint>> read_endpoints(ByteView plain) {
  const std::size_t v4_count = plain[counts_at];
  const std::size_t v6_count = plain[counts_at + 1];
  if (v4_count > record_v4_endpoints || v6_count > record_v6_endpoints)
    return fail(Code::too_large, "a record has at most 3 IPv4 and 2 IPv6 endpoints");
  std::vector<Endpoint> out;
  ByteView rest = plain.subspan(endpoints_at);
  for (std::size_t i = 0; i < v4_count + v6_count; ++i) {
    const std::size_t size = i < v4_count ? 6 : 18;
    const auto endpoint = Endpoint::from_compact(rest.first(size));
    SHOAL_CHECK(endpoint.has_value());  // it has one of the two sizes
    if (endpoint->port == 0 || endpoint->address.unspecified() ||
        endpoint->address.classify() == AddressClass::multicast)
      return fail(Code::malformed, "an endpoint in a record names one host and a port");
    out.push_back(*endpoint);
    rest = rest.subspan(size);
  }
  if (std::any_of(rest.begin(), rest.end(), [](std::uint8_t byte) { return byte != 0; }))
    return fail(Code::non_canonical, "the room after the endpoints is zero");
  return out;
}

}  // namespace

Commitment commit(const Salt& salt, const IpAddress& address) {
  const bool v4 = address.family == Family::v4;
  const std::string_view label = v4 ? "shoal address v4" : "shoal prefix v6 ";
  ByteArray<16 + 16 + 8> message{};
  std::copy(label.begin(), label.end(), message.begin());
  std::copy(salt.begin(), salt.end(), message.begin() + 16);
  const std::size_t size =
      v4 ? 4 : 8;  // a /64 is one subscriber; inside it the address may change by the hour
  std::copy_n(address.bytes.begin(), size, message.begin() + 32);
  return crypto::blake2b<16>(ByteView{message.data(), 32 + size});
}

BuiltRecord build_record(const EpochKeys& keys, const AnnouncerKeys& announcer, const RecordInputs& inputs,
                         Random& random, const crypto::SignatureScheme& scheme) {
  const std::int64_t expiry = unix_ms(inputs.expiry);
  SHOAL_CHECK(inputs.sequence >> 48 == 0 && expiry >= 0 && expiry >> 48 == 0);
  SHOAL_CHECK(inputs.progress.per_mille <= 1000);
  SHOAL_CHECK(!inputs.v4 || inputs.v4->family == Family::v4);
  SHOAL_CHECK(!inputs.v6 || inputs.v6->family == Family::v6);
  BuiltRecord out;
  out.bytes.resize(record_bytes);
  random.fill(out.salt_v4);
  random.fill(out.salt_v6);
  std::uint8_t* const bytes = out.bytes.data();
  const crypto::PublicKey& name = announcer.signing.public_key;
  bytes[0] = version;
  std::copy(keys.swarm.public_key.begin(), keys.swarm.public_key.end(), bytes + swarm_at);
  std::copy(name.begin(), name.end(), bytes + announcer_at);
  put_covered(bytes + sequence_at, inputs.sequence, name.data());
  put_covered(bytes + expiry_at, static_cast<std::uint64_t>(expiry), name.data() + number_bytes);
  random.fill({bytes + v4_at, 32});  // stays where a family is absent, and looks no different
  if (inputs.v4) std::ranges::copy(commit(out.salt_v4, *inputs.v4), bytes + v4_at);
  if (inputs.v6) std::ranges::copy(commit(out.salt_v6, *inputs.v6), bytes + v6_at);
  const auto nonce = random.bytes<24>();
  std::copy(nonce.begin(), nonce.end(), bytes + nonce_at);

  ByteArray<box_plain> plain{};
  std::ranges::copy(announcer.exchange.public_key, plain.begin());
  plain[flags_at] = static_cast<std::uint8_t>((inputs.progress.role == Progress::Role::seed ? seed_flag : 0) |
                                              (inputs.reach == Reach::reachable ? reachable_flag : 0));
  store_be(plain.data() + progress_at, inputs.progress.per_mille);
  write_endpoints(plain.data(), inputs.endpoints);
  crypto::seal_xchacha(bytes + box_at, plain, {bytes, box_at}, nonce, keys.box);

  const auto by_announcer =
      scheme.sign(announcer.signing, SignedBytes{announcer_label, {bytes, announcer_signature_at}}.view());
  std::copy(by_announcer.begin(), by_announcer.end(), bytes + announcer_signature_at);
  const auto by_swarm = scheme.sign(keys.swarm, SignedBytes{swarm_label, {bytes, swarm_signature_at}}.view());
  std::copy(by_swarm.begin(), by_swarm.end(), bytes + swarm_signature_at);
  return out;
}

WallTime draw_expiry(WallTime wall, Random& random) {
  return wall + record_lifetime - std::chrono::milliseconds{random.below(60'000)};
}

RecordHeader read_header(ByteView record) {
  SHOAL_CHECK(record.size() == record_bytes);
  RecordHeader out;
  out.announcer = to_array<32>(record.subspan(announcer_at));
  out.sequence = read_covered(record.data() + sequence_at, out.announcer.data());
  out.expiry = from_unix_ms(static_cast<std::int64_t>(
      read_covered(record.data() + expiry_at, out.announcer.data() + number_bytes)));
  return out;
}

Result<RecordHeader> check_header(ByteView record, const Key& key, WallTime wall) {
  if (auto form = check_form(record); !form) return std::unexpected(form.error());
  if (key_of(to_array<32>(record.subspan(swarm_at))) != key)
    return fail(Code::mismatch, "a record lies under the hash of its swarm key");
  RecordHeader out = read_header(record);
  if (auto timely = check_expiry(out.expiry, wall); !timely) return std::unexpected(timely.error());
  return out;
}

Result<void> check_signatures(ByteView record, const crypto::SignatureScheme& scheme) {
  SHOAL_CHECK(record.size() == record_bytes);
  if (!scheme.verify(to_array<32>(record.subspan(swarm_at)),
                     SignedBytes{swarm_label, record.first(swarm_signature_at)}.view(),
                     to_array<64>(record.subspan(swarm_signature_at))))
    return fail(Code::forged, "a record is signed by its swarm key");
  if (!scheme.verify(to_array<32>(record.subspan(announcer_at)),
                     SignedBytes{announcer_label, record.first(announcer_signature_at)}.view(),
                     to_array<64>(record.subspan(announcer_signature_at))))
    return fail(Code::forged, "a record is signed by its announcer");
  return {};
}

Result<RecordHeader> check_record(ByteView record, const Key& key, WallTime wall,
                                  const crypto::SignatureScheme& scheme) {
  auto header = check_header(record, key, wall);
  if (!header) return header;
  if (auto genuine = check_signatures(record, scheme); !genuine) return std::unexpected(genuine.error());
  return header;
}

WallTime keep_until(WallTime expiry, WallTime wall) {
  const WallTime least = std::min(wall, expiry) + record_clock_tolerance;
  return std::clamp(expiry, least, wall + record_lifetime_limit);
}

bool commitment_matches(ByteView record, const Salt& salt, const IpAddress& source) {
  SHOAL_CHECK(record.size() == record_bytes);
  const std::size_t at = source.family == Family::v4 ? v4_at : v6_at;
  return equal(record.subspan(at, sizeof(Commitment)), commit(salt, source));
}

Succession succession(ByteView stored, ByteView incoming) {
  const std::uint64_t before = read_header(stored).sequence;
  const std::uint64_t after = read_header(incoming).sequence;
  if (after > before) return Succession::newer;
  if (after < before) return Succession::stale;
  return equal(stored, incoming) ? Succession::repeated : Succession::conflicting;
}

Result<OpenedRecord> open_record(ByteView record, const EpochKeys& keys, WallTime wall) {
  if (auto form = check_form(record); !form) return std::unexpected(form.error());
  if (!equal(record.subspan(swarm_at, 32), keys.swarm.public_key))
    return fail(Code::mismatch, "a record carries the swarm key asked for");
  const RecordHeader header = read_header(record);
  if (auto timely = check_expiry(header.expiry, wall); !timely) return std::unexpected(timely.error());
  // The box first: it is a hundred times cheaper than the signatures, and no outsider passes it.
  ByteArray<box_plain> plain;
  if (!crypto::open_xchacha(plain.data(), record.subspan(box_at, box_plain + crypto::tag_bytes),
                            record.first(box_at), to_array<24>(record.subspan(nonce_at)), keys.box))
    return fail(Code::forged, "a record's box opens with the key of its epoch");
  if (auto genuine = check_signatures(record); !genuine) return std::unexpected(genuine.error());

  OpenedRecord out;
  out.announcer = header.announcer;
  out.sequence = header.sequence;
  out.expiry = header.expiry;
  out.exchange = to_array<32>(plain);
  if ((plain[flags_at] & ~(seed_flag | reachable_flag)) != 0)
    return fail(Code::non_canonical, "unused flags of a record are zero");
  out.progress.role = (plain[flags_at] & seed_flag) != 0 ? Progress::Role::seed : Progress::Role::leech;
  out.reach = (plain[flags_at] & reachable_flag) != 0 ? Reach::reachable : Reach::unknown;
  out.progress.per_mille = load_be<std::uint16_t>(plain.data() + progress_at);
  if (out.progress.per_mille > 1000) return fail(Code::malformed, "progress is at most 1000 per mille");
  auto endpoints = read_endpoints(plain);
  if (!endpoints) return std::unexpected(endpoints.error());
  out.endpoints = std::move(*endpoints);
  return out;
}

}  // namespace shoal::dht
