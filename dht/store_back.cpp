// Putting one record to its places; see store_back.hpp.
#include "dht/store_back.hpp"

#include <algorithm>
#include <utility>

#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

constexpr std::uint8_t attempts_a_place = 2;

}  // namespace

StoreBack::StoreBack(std::vector<Place> places) : places_(std::move(places)) {
  if (places_.size() > limits::puts_per_record) places_.resize(limits::puts_per_record);
  progress_.resize(places_.size());
  open_ = static_cast<std::uint32_t>(places_.size());
}

void StoreBack::next(std::vector<std::uint16_t>& out) {
  for (std::size_t i = 0; i < progress_.size() && in_flight_ < parallel; ++i) {
    Progress& progress = progress_[i];
    if (progress.state != State::waiting && progress.state != State::again) continue;
    progress.state = State::sent;
    ++progress.attempts;
    ++progress.outstanding;
    ++in_flight_;
    ++queries_;
    out.push_back(static_cast<std::uint16_t>(i));
  }
}

void StoreBack::settle(std::uint16_t number) {
  Progress& progress = progress_[number];
  if (progress.state == State::sent) --in_flight_;
  progress.state = State::done;
  --open_;
}

void StoreBack::stored(std::uint16_t place) {
  if (progress_[place].state == State::done) return;
  settle(place);
  ++stored_;
}

void StoreBack::refused(std::uint16_t place) {
  if (progress_[place].state == State::done) return;
  settle(place);
  ++refused_;
}

void StoreBack::slow(std::uint16_t place) {
  Progress& progress = progress_[place];
  if (progress.state != State::sent) return;
  progress.state = State::slow;
  --in_flight_;
}

void StoreBack::overdue(std::uint16_t place) {
  slow(place);
  Progress& progress = progress_[place];
  if (progress.state == State::slow && progress.attempts < attempts_a_place) progress.state = State::again;
}

void StoreBack::failed(std::uint16_t place) {
  Progress& progress = progress_[place];
  if (progress.outstanding > 0) --progress.outstanding;
  if (progress.state == State::done || progress.state == State::again || progress.outstanding > 0) return;
  settle(place);
}

bool StoreBack::finished() const { return open_ == 0; }

}  // namespace shoal::dht
