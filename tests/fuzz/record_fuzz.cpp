// Records from hostile hands. Two ways in: raw bytes, which must not pass; and a box of the fuzzer's choice,
// sealed and signed as a malicious member would, which a reader either refuses or reads back to the same
// bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "dht/record.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::dht;

constexpr WallTime wall = WallTime{std::chrono::milliseconds{1'760'000'000'000}};

struct World {
  World() { crypto::initialise(); }
  EpochKeys keys = derive_epoch(ContentId{1}, 20'000);
  AnnouncerKeys announcer = announcer_keys(crypto::SecretKey{2}, ContentId{1}, 20'000);
  Bytes genuine = [this] {
    Random random{{}};
    RecordInputs in;
    in.sequence = 1;
    in.expiry = wall + record_lifetime;
    return build_record(keys, announcer, in, random).bytes;
  }();
};

void require(bool condition) {
  if (!condition) std::abort();
}

// The record must differ from the genuine one to be refused.
void try_raw(const World& world, ByteView bytes) {
  const bool same = equal(bytes, world.genuine);
  require(check_record(bytes, world.keys.key, wall).has_value() == same);
  require(open_record(bytes, world.keys, wall).has_value() == same);
  if (bytes.size() != record_bytes) return;
  (void)commitment_matches(bytes, Salt{}, IpAddress::v4(1));
  require(same || succession(world.genuine, bytes) != Succession::repeated);
}

void try_box(const World& world, ByteView plain) {
  Bytes record = world.genuine;
  ByteArray<91> box{};
  std::copy_n(plain.begin(), std::min(plain.size(), box.size()), box.begin());
  crypto::seal_xchacha(record.data() + 133, box, ByteView{record}.first(133),
                       to_array<24>(ByteView{record}.subspan(109)), world.keys.box);
  Bytes message = to_vector(as_bytes("shoal record by announcer"));
  append(message, ByteView{record}.first(240));
  const auto by_announcer = world.announcer.signing.sign(message);
  std::copy(by_announcer.begin(), by_announcer.end(), record.begin() + 240);
  message = to_vector(as_bytes("shoal record by the swarm"));
  append(message, ByteView{record}.first(304));
  const auto by_swarm = world.keys.swarm.sign(message);
  std::copy(by_swarm.begin(), by_swarm.end(), record.begin() + 304);

  require(check_record(record, world.keys.key, wall).has_value());
  const auto opened = open_record(record, world.keys, wall);
  if (!opened) return;
  Bytes again = to_vector(opened->exchange);
  again.push_back(static_cast<std::uint8_t>((opened->progress.role == Progress::Role::seed ? 1 : 0) |
                                            (opened->reach == Reach::reachable ? 2 : 0)));
  append_be(again, opened->progress.per_mille);
  std::uint8_t v4 = 0, v6 = 0;
  Bytes endpoints;
  for (const Endpoint& endpoint : opened->endpoints) {
    ++(endpoint.address.family == Family::v4 ? v4 : v6);
    append(endpoints, endpoint.compact());
  }
  again.push_back(v4);
  again.push_back(v6);
  append(again, endpoints);
  again.resize(box.size());
  require(equal(again, box));
}

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  static const World world;
  if (input.empty()) return;
  const ByteView rest = input.subspan(1);
  if (input[0] % 2 == 0) {
    try_raw(world, rest);
    // And as a change of the genuine record, so that the fuzzer starts past the size and the key.
    Bytes changed = world.genuine;
    for (std::size_t i = 0; i < rest.size() && i < changed.size(); ++i) changed[i] ^= rest[i];
    try_raw(world, changed);
  } else {
    try_box(world, rest);
  }
}
