// Items of BEP 44 as others wrote them, and the slots in which sealed records travel: what is no genuine item
// is refused, whatever a slot holds yields whole records alone, and what follows it is genuine and of two
// records.
//
// First byte: the item as it came, or as a member with the link wrote it; then sequence (9), salt, value.
#include <algorithm>

#include "dht/base/check.hpp"
#include "dht/item_store.hpp"
#include "dht/sealed_slots.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::dht;

constexpr WallTime wall = WallTime{std::chrono::milliseconds{1'760'000'000'000}};
constexpr std::uint32_t slot = 3;

struct World {
  World() { crypto::initialise(); }
  EpochKeys keys = derive_epoch(ContentId{1}, 20'000);
  Bytes record = [this] {
    Random random{{}};
    RecordInputs in;
    in.sequence = 1;
    in.expiry = wall + record_lifetime;
    return build_record(keys, announcer_keys(crypto::SecretKey{2}, ContentId{1}, 20'000), in, random).bytes;
  }();
  Item genuine = next_in_slots(keys, {{slot, std::nullopt}}, record, wall)->item;
};

void check_slot(const World& world, const Item& kept) {
  for (const ByteView each : records_of(kept.value)) {
    SHOAL_CHECK(each.size() == record_bytes);
    (void)open_record(each, world.keys, wall);
  }
  // The other slots are written full, so that this one is all there is.
  Item full = world.genuine;
  full.sequence = INT64_MAX;
  SlotsRead read;
  for (std::uint32_t each = 0; each < sealed_slots; ++each) read[each] = each == slot ? kept : full;
  const auto write = next_in_slots(world.keys, read, world.record, wall);
  SHOAL_CHECK(write.has_value() == (kept.sequence < INT64_MAX));
  if (!write) return;
  const Item& next = write->item;
  SHOAL_CHECK(next.sequence > kept.sequence && write->expected == kept.sequence);
  SHOAL_CHECK(check_item(next.view(), next.salt, slot_target(world.keys, slot)));
  const auto records = records_of(next.value);
  SHOAL_CHECK(records.size() <= records_in_slot);
  SHOAL_CHECK(std::ranges::any_of(records, [&](ByteView each) { return equal(each, world.record); }));
}

// A store takes what is genuine and no more, and gives back what it took.
void check_store(const Item& item, bool genuine) {
  ItemStore store{ByteArray<32>{1}, Key{}, 4};
  const PutItemQuery put{{}, item.view(), std::nullopt};
  const bool taken = store.put(Instant{}, IpAddress::v4(0x14000001), put).has_value();
  SHOAL_CHECK(!taken || genuine);
  if (!taken) return;
  const Item* kept = store.get(Instant{}, target_of(item.view()));
  SHOAL_CHECK(kept != nullptr && kept->value == item.value && kept->sequence == item.sequence);
}

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  static const World world;
  Script script{input};
  const std::uint8_t form = script.byte();
  Item item = world.genuine;
  item.sequence = static_cast<std::int64_t>(load_be<std::uint64_t>(script.array<8>().data()));
  if ((form & 1) != 0) item.salt = to_vector(script.take(script.below(item_salt_most + 8)));
  if ((form & 2) != 0) {  // a change of the genuine value
    const ByteView change = script.rest();
    for (std::size_t i = 0; i < change.size() && i < item.value.size(); ++i) item.value[i] ^= change[i];
  } else {
    item.value = to_vector(script.rest());
  }
  if ((form & 4) != 0) item.public_key.reset();
  const bool fits = item.value.size() <= item_value_most && item.salt.size() <= item_salt_most;
  bool genuine = item == world.genuine || !item.public_key;
  if ((form & 8) != 0 && item.public_key && fits) {  // as whoever has the link may write it
    item = make_item(world.keys.swarm, item.salt, item.sequence & INT64_MAX, item.value);
    genuine = true;
  }
  if (!item.public_key) {  // these have neither
    item.salt.clear();
    item.sequence = 0;
  }
  SHOAL_CHECK(check_item(item.view(), item.salt, target_of(item.view())).has_value() == genuine || !fits);
  if (fits) check_store(item, genuine);
  check_slot(world, item);
}
