// Parties: who led us to the entries of our table, straight or through others whom it led us to: one of those
// we began with (bootstraps, saved contacts), by its network (/24, /48), for a subnet is one party. Whoever
// came by itself, a caller, has none until a party names it.
//
// Of all parties none leads us to many more entries than the others do on average, and where there are any,
// callers are few, the latest: whoever owns one of our bootstraps gets his share of the table, whatever his
// Sybils say and however many of them call (THREATS A3). A party that names few holds up nobody before
// limits::party_first, and an honest newcomer is a caller only until its neighbours name it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dht/contact.hpp"

namespace shoal::dht {

class Parties {
 public:
  void enter(Party party);  // an entry of the table
  void leave(Party party);
  // It has named so many nodes at once that it knows the network: its entries are what those of others are
  // measured by.
  void informed(Party party);
  [[nodiscard]] Parties without_entries() const;  // only who is informed
  [[nodiscard]] bool full(Party party) const;     // has its share of the table; callers: never
  [[nodiscard]] bool too_many_callers() const;
  [[nodiscard]] std::size_t led_by(Party party) const;  // entries; no_party: callers
  [[nodiscard]] std::size_t callers() const { return callers_; }

 private:
  struct Led {
    Party party = no_party;
    bool informed = false;
    std::uint16_t entries = 0;
  };
  [[nodiscard]] std::vector<Led>::iterator place(Party party);
  [[nodiscard]] const Led* find(Party party) const;

  std::vector<Led> led_;         // by party; those with entries, or informed
  std::size_t entries_ = 0;      // of all of them
  std::size_t callers_ = 0;      // entries of none
  std::size_t measures_ = 0;     // informed ones with entries
  std::size_t of_measures_ = 0;  // their entries
};

}  // namespace shoal::dht
