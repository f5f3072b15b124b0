// See sealed_slots.hpp.
#include "dht/sealed_slots.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "dht/base/bencode.hpp"

namespace shoal::dht {
namespace {

constexpr std::chrono::milliseconds overdue = std::chrono::minutes{35};  // as in a store of records

// A record that stands in a slot and is in force.
struct Occupant {
  std::uint32_t slot = 0;
  ByteView bytes;
  OpenedRecord says;
};
// A slot with room, and who gives it where it is full.
struct Place {
  std::uint32_t slot = 0;
  const Occupant* leaving = nullptr;
};

bool writable(const std::optional<Item>& kept) { return !kept || kept->sequence < INT64_MAX; }

std::vector<Occupant> occupants_of(const EpochKeys& keys, const SlotsRead& read, WallTime wall) {
  std::vector<Occupant> out;
  for (const auto& [slot, kept] : read) {
    if (!kept || !writable(kept)) continue;
    for (const ByteView one : records_of(kept->value))
      if (auto opened = open_record(one, keys, wall)) out.push_back({slot, one, *std::move(opened)});
  }
  return out;
}

IpAddress network_of(const OpenedRecord& record) {
  if (record.endpoints.empty()) return {};
  const IpAddress& address = record.endpoints.front().address;
  return address.global() ? address.network() : address;  // neighbours are no strangers
}

const Occupant* oldest(const std::vector<const Occupant*>& of) {
  const auto found = std::ranges::min_element(
      of, {}, [](const Occupant* one) { return std::pair{one->says.sequence, one->slot}; });
  return found == of.end() ? nullptr : *found;
}

// Where all are taken: of our own network, of the largest, of all.
const Occupant* to_level(const std::vector<Occupant>& occupants, const OpenedRecord& own) {
  std::map<IpAddress, std::vector<const Occupant*>> networks;
  std::vector<const Occupant*> all;
  for (const Occupant& one : occupants) {
    networks[network_of(one.says)].push_back(&one);
    all.push_back(&one);
  }
  if (const auto ours = networks.find(network_of(own)); ours != networks.end()) return oldest(ours->second);
  const auto largest =
      std::ranges::max_element(networks, {}, [](const auto& network) { return network.second.size(); });
  return oldest(largest != networks.end() && largest->second.size() > 1 ? largest->second : all);
}

std::optional<Place> place_for(const std::vector<Occupant>& occupants, const SlotsRead& read,
                               const OpenedRecord& own, WallTime wall) {
  for (const Occupant& one : occupants)
    if (one.says.announcer == own.announcer) return Place{one.slot, &one};
  const std::uint32_t first = slot_of(own.announcer);
  for (std::uint32_t i = 0; i < sealed_slots; ++i) {
    const auto slot = read.find((first + i) % sealed_slots);
    if (slot == read.end() || !writable(slot->second)) continue;
    if (std::ranges::count(occupants, slot->first, &Occupant::slot) <
        static_cast<std::ptrdiff_t>(records_in_slot))
      return Place{slot->first, nullptr};
  }
  for (const Occupant& one : occupants)
    if (static_cast<std::int64_t>(one.says.sequence) + overdue.count() < unix_ms(wall))
      return Place{one.slot, &one};
  const Occupant* const leaving = read.size() == sealed_slots ? to_level(occupants, own) : nullptr;
  return leaving != nullptr ? std::optional{Place{leaving->slot, leaving}} : std::nullopt;
}

}  // namespace

std::uint32_t slot_of(const crypto::PublicKey& announcer) { return announcer[31] % sealed_slots; }

Key slot_target(const EpochKeys& keys, std::uint32_t slot) {
  return mutable_target(keys.swarm.public_key, slot_salt(keys, slot));
}

std::vector<ByteView> records_of(ByteView value) {
  const auto document = bencode::Document::parse(value, {.depth = 1, .tokens = 1});
  const auto raw = document ? document->root().string() : std::nullopt;
  if (!raw || raw->empty() || raw->size() % record_bytes != 0 || raw->size() > records_in_slot * record_bytes)
    return {};
  std::vector<ByteView> out;
  for (std::size_t at = 0; at < raw->size(); at += record_bytes)
    out.push_back(raw->subspan(at, record_bytes));
  return out;
}

std::optional<SlotWrite> next_in_slots(const EpochKeys& keys, const SlotsRead& read, ByteView record,
                                       WallTime wall) {
  const auto own = open_record(record, keys, wall);
  if (!own) return std::nullopt;  // the clock has jumped since it was built
  const std::vector<Occupant> occupants = occupants_of(keys, read, wall);
  const auto place = place_for(occupants, read, *own, wall);
  if (!place) return std::nullopt;
  const std::optional<Item>& kept = read.at(place->slot);
  Bytes joined = to_vector(record);
  for (const Occupant& one : occupants)
    if (one.slot == place->slot && &one != place->leaving) append(joined, one.bytes);
  Bytes value;
  bencode::Writer{value}.string(joined);
  auto sequence = static_cast<std::int64_t>(own->sequence);
  std::optional<std::int64_t> expected;
  if (kept) {
    expected = kept->sequence;
    sequence = std::max(sequence, kept->sequence + 1);
  }
  return SlotWrite{make_item(keys.swarm, to_vector(slot_salt(keys, place->slot)), sequence, std::move(value)),
                   expected};
}

}  // namespace shoal::dht
