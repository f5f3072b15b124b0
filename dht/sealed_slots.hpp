// Sealed records in mainline: as BEP 44 items, signed by the swarm key of the epoch, so that two peers that
// know no other nodes than mainline's find each other.
//
// A content has 8 slots an epoch, each an item under its own salt; an item is one string of one or two
// records. Storers see noise under a key that changes daily; they can check no address commitment, so the
// dial limits are the defence (DESIGN 7). Whoever holds the link may write: a writer reads the slot first,
// puts its record in the place of its own or of the oldest, and names the sequence it has read (cas).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dht/item.hpp"
#include "dht/record.hpp"

namespace shoal::dht {

inline constexpr std::uint32_t sealed_slots = 8;
inline constexpr std::size_t records_in_slot = 2;

// Where an announcer writes: of the announcers of one content some in every slot.
[[nodiscard]] std::uint32_t slot_of(const crypto::PublicKey& announcer);
[[nodiscard]] Key slot_target(const EpochKeys& keys, std::uint32_t slot);

// The records of a slot's item; empty where it holds anything else. Not checked: open_record does. The views
// point into `value`.
[[nodiscard]] std::vector<ByteView> records_of(ByteView value);

// The item that follows `kept` (nullptr: none was found) with `record`, which was built for this epoch.
[[nodiscard]] Item next_in_slot(const EpochKeys& keys, std::uint32_t slot, const Item* kept, ByteView record,
                                WallTime wall);

}  // namespace shoal::dht
