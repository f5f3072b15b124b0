// See sealed_slots.hpp.
#include "dht/sealed_slots.hpp"

#include <algorithm>

#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"

namespace shoal::dht {

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

Item next_in_slot(const EpochKeys& keys, std::uint32_t slot, const Item* kept, ByteView record,
                  WallTime wall) {
  SHOAL_CHECK(record.size() == record_bytes && slot < sealed_slots);
  const RecordHeader own = read_header(record);
  std::vector<ByteView> records{record};
  auto sequence = static_cast<std::int64_t>(own.sequence);
  if (kept != nullptr) {
    // Whoever has the link may have written the highest number there is: then nothing follows it.
    if (kept->sequence < INT64_MAX) sequence = std::max(sequence, kept->sequence + 1);
    for (const ByteView other : records_of(kept->value))
      if (read_header(other).announcer != own.announcer && check_record(other, keys.key, wall))
        records.push_back(other);
  }
  std::sort(records.begin() + 1, records.end(),
            [](ByteView a, ByteView b) { return read_header(a).sequence > read_header(b).sequence; });
  records.resize(std::min(records.size(), records_in_slot));
  Bytes joined;
  for (const ByteView one : records) append(joined, one);
  Bytes value;
  bencode::Writer{value}.string(joined);
  return make_item(keys.swarm, to_vector(slot_salt(keys, slot)), sequence, std::move(value));
}

}  // namespace shoal::dht
