// StoreBack: puts one record to the places that a lookup found, a few at a time, and counts who confirmed. A
// leaf: says what to send, is told what came. A silent place is asked once more; putting is idempotent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dht/lookup.hpp"

namespace shoal::dht {

class StoreBack {
 public:
  explicit StoreBack(std::vector<Place> places);  // at most limits::puts_per_record are used
  // Appends the numbers of the places to put to now.
  void next(std::vector<std::uint16_t>& out);
  void stored(std::uint16_t place);
  void refused(std::uint16_t place);
  void slow(std::uint16_t place);     // soft timeout: the slot is free
  void overdue(std::uint16_t place);  // it is sent again, once
  void failed(std::uint16_t place);   // hard timeout of the last attempt
  [[nodiscard]] bool finished() const;
  [[nodiscard]] const Place& place(std::uint16_t number) const { return places_[number]; }
  [[nodiscard]] std::uint32_t stored_count() const { return stored_; }
  [[nodiscard]] std::uint32_t refused_count() const { return refused_; }
  [[nodiscard]] std::uint32_t queries() const { return queries_; }

 private:
  static constexpr std::size_t parallel = 16;
  enum class State : std::uint8_t { waiting, sent, slow, again, done };
  struct Progress {
    State state = State::waiting;
    std::uint8_t attempts = 0;
    std::uint8_t outstanding = 0;  // queries in flight
  };
  void settle(std::uint16_t number);

  std::vector<Place> places_;
  std::vector<Progress> progress_;
  std::uint32_t stored_ = 0, refused_ = 0, queries_ = 0, in_flight_ = 0, open_ = 0;
};

}  // namespace shoal::dht
