// Queries in flight; see transactions.hpp. Deletion from the open-addressing table shifts back, so there are
// no tombstones. Timers of answered queries stay in the heap until they would be the next.
#include "dht/transactions.hpp"

#include <algorithm>
#include <functional>

#include "dht/base/check.hpp"
#include "dht/limits.hpp"

namespace shoal::dht {
namespace {

constexpr std::size_t first_slots = 16;

}  // namespace

// The ids are ours and random: no attacker chooses slots, and the low bits serve as the hash.
std::size_t Transactions::slot_of(std::uint64_t id) const {
  std::size_t slot = static_cast<std::size_t>(id) & (slots_.size() - 1);
  while (slots_[slot].id != 0 && slots_[slot].id != id) slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

void Transactions::grow() {
  std::vector<Slot> old(std::max(first_slots, slots_.size() * 2));
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.id != 0) slots_[slot_of(slot.id)] = slot;
}

void Transactions::push_timer(const Timer& timer) {
  timers_.push_back(timer);
  std::push_heap(timers_.begin(), timers_.end(), std::greater<>{});
}

void Transactions::pop_timer() {
  std::pop_heap(timers_.begin(), timers_.end(), std::greater<>{});
  timers_.pop_back();
}

bool Transactions::open(const Transaction& transaction) {
  SHOAL_CHECK(transaction.id != 0);
  if (size_ >= limits::transactions) return false;
  if (slots_.empty() || size_ * 2 >= slots_.size()) grow();
  // Answered queries leave their timer behind; under a high rate of answers those would outgrow everything
  // else.
  if (timers_.size() > 4 * limits::transactions) {
    std::erase_if(timers_, [this](const Timer& timer) { return slots_[slot_of(timer.id)].id == 0; });
    std::make_heap(timers_.begin(), timers_.end(), std::greater<>{});
  }
  const std::size_t slot = slot_of(transaction.id);
  if (slots_[slot].id != 0) return false;
  std::uint16_t place = 0;
  if (free_.empty()) {
    place = static_cast<std::uint16_t>(pool_.size());
    pool_.push_back(transaction);
  } else {
    place = free_.back();
    free_.pop_back();
    pool_[place] = transaction;
  }
  slots_[slot] = {transaction.id, place};
  ++size_;
  push_timer({transaction.sent + transaction.soft, transaction.id, Stage::slow});
  return true;
}

void Transactions::erase(std::size_t slot) {
  free_.push_back(slots_[slot].place);
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = slot;
  for (std::size_t next = (hole + 1) & mask; slots_[next].id != 0; next = (next + 1) & mask) {
    const std::size_t home = static_cast<std::size_t>(slots_[next].id) & mask;
    if (((next - home) & mask) < ((next - hole) & mask)) continue;  // it is not displaced over the hole
    slots_[hole] = slots_[next];
    hole = next;
  }
  slots_[hole] = {};
  --size_;
}

std::optional<Transaction> Transactions::close(std::uint64_t id, const Endpoint& from) {
  if (id == 0 || slots_.empty()) return std::nullopt;
  const std::size_t slot = slot_of(id);
  if (slots_[slot].id != id || pool_[slots_[slot].place].to != from) return std::nullopt;
  const Transaction found = pool_[slots_[slot].place];
  erase(slot);
  while (!timers_.empty() && slots_[slot_of(timers_.front().id)].id == 0) pop_timer();
  return found;
}

std::optional<Transaction> Transactions::due(Instant now) {
  while (!timers_.empty() && timers_.front().at <= now) {
    const Timer timer = timers_.front();
    pop_timer();
    const std::size_t slot = slot_of(timer.id);
    if (slots_[slot].id != timer.id) continue;
    Transaction& transaction = pool_[slots_[slot].place];
    transaction.stage = timer.stage;
    const Transaction found = transaction;
    switch (timer.stage) {
      case Stage::fresh:
        SHOAL_CHECK(false);
        break;
      case Stage::slow:
        push_timer({std::max(timer.at, found.sent + limits::patience), found.id, Stage::overdue});
        break;
      case Stage::overdue:
        push_timer({found.sent + limits::hard_timeout, found.id, Stage::dead});
        break;
      case Stage::dead:
        erase(slot);
        break;
    }
    return found;
  }
  return std::nullopt;
}

Instant Transactions::next_due() const { return timers_.empty() ? never : timers_.front().at; }

}  // namespace shoal::dht
