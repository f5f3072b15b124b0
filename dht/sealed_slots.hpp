// Sealed records in mainline: as BEP 44 items, signed by the swarm key of the epoch, so that two peers that
// know no other nodes than mainline's find each other.
//
// A content has 8 slots an epoch, each an item under its own salt; an item is one string of one or two
// records. Storers see noise under a key that changes daily; they can check no address commitment, so the
// dial limits are the defence (DESIGN 7). Whoever holds the link may write: a writer reads first, and names
// the sequence it has read (cas).
//
// Who makes room (THREATS A9). A record goes into the slot that its announcer's key names, where its own
// stands, one place is free or one is overdue; else all slots are read and it takes such a place in any.
// Where all 16 are taken: that of its own network; of the network with most places, the oldest, so that
// announcers from few networks keep nobody out; where each has one, the oldest. That binds whoever announces
// as everybody does. It cannot bind who writes as he likes: every holder of the link signs with the same key,
// and may write a slot full of nothing at the highest sequence there is. Such a slot is passed over; where
// all 8 are, only native nodes lead on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/item.hpp"
#include "dht/record.hpp"

namespace shoal::dht {

inline constexpr std::uint32_t sealed_slots = 8;
inline constexpr std::size_t records_in_slot = 2;

// Which slot an announcer reads first: of the announcers of one content some in every slot.
[[nodiscard]] std::uint32_t slot_of(const crypto::PublicKey& announcer);
[[nodiscard]] Key slot_target(const EpochKeys& keys, std::uint32_t slot);

// The records of a slot's item; empty where it holds anything else. Not checked: open_record does. The views
// point into `value`.
[[nodiscard]] std::vector<ByteView> records_of(ByteView value);

// The newest item of each slot that was read; nullopt: none was found there.
using SlotsRead = std::map<std::uint32_t, std::optional<Item>>;
struct SlotWrite {
  Item item;
  std::optional<std::int64_t> expected;  // the sequence of what it follows; nullopt: of nothing
};
// What to put so that `record`, which was built for this epoch, stands in one of the slots that were read.
// nullopt: read the others first; or, where all are read, nothing can follow what stands in any.
[[nodiscard]] std::optional<SlotWrite> next_in_slots(const EpochKeys& keys, const SlotsRead& read,
                                                     ByteView record, WallTime wall);

}  // namespace shoal::dht
