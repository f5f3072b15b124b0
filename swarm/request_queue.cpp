// Invariant: size_ entries are linked from first_ to last_ and stand in the chain of their hash, each request
// once; all other entries are linked from spare_. entries_.size() <= limits::max_queue.
#include "swarm/request_queue.hpp"

#include <algorithm>

#include "dht/base/check.hpp"

namespace shoal::swarm {

static_assert(limits::max_queue < 0xffff);

std::uint32_t RequestQueue::chain_of(const wire::Request& request) {
  // Blocks of a piece and pieces in a row fall into different chains; an adversary can at most make a chain
  // of max_queue, i.e. a linear search of 500.
  return (request.piece * 37 + request.begin / 16384 + request.begin % 16384 * 11 + request.length * 7) %
         chains;
}

std::uint16_t RequestQueue::find(const wire::Request& request) const {
  if (heads_.empty()) return none;
  std::uint16_t at = heads_[chain_of(request)];
  while (at != none && entries_[at].request != request) at = entries_[at].chain;
  return at;
}

RequestQueue::Verdict RequestQueue::refused(const storage::Content& content, const wire::Request& request) {
  if (request.piece >= content.pieces || request.length == 0 || request.length > limits::max_block_bytes)
    return Verdict::invalid;
  const std::uint64_t end = std::uint64_t{request.begin} + request.length;
  if (end > content.readable_bytes(request.piece)) return Verdict::invalid;
  ++excess_;
  return size_ + excess_ > limits::flood_requests ? Verdict::flood : Verdict::reject;
}

RequestQueue::Verdict RequestQueue::push(const storage::Content& content, const wire::Request& request) {
  const bool waits = find(request) != none;
  const Verdict verdict = refused(content, request);
  if (verdict != Verdict::reject || (size_ >= limits::max_queue && !waits)) return verdict;
  if (waits) return Verdict::queued;
  --excess_;  // it was counted as refused, and is not
  if (heads_.empty()) heads_.assign(chains, none);
  if (spare_ == none) {
    spare_ = static_cast<std::uint16_t>(entries_.size());
    entries_.emplace_back();
  }
  const std::uint16_t at = spare_;
  Entry& entry = entries_[at];
  spare_ = entry.chain;
  std::uint16_t& head = heads_[chain_of(request)];
  entry = {.request = request, .before = last_, .after = none, .chain = head};
  head = at;
  (last_ == none ? first_ : entries_[last_].after) = at;
  last_ = at;
  ++size_;
  bytes_ += request.length;
  return Verdict::queued;
}

void RequestQueue::remove(std::uint16_t at) {
  Entry& entry = entries_[at];
  std::uint16_t* link = &heads_[chain_of(entry.request)];
  while (*link != at) link = &entries_[*link].chain;
  *link = entry.chain;
  (entry.before == none ? first_ : entries_[entry.before].after) = entry.after;
  (entry.after == none ? last_ : entries_[entry.after].before) = entry.before;
  entry.chain = spare_;
  spare_ = at;
  --size_;
  bytes_ -= entry.request.length;
}

const wire::Request& RequestQueue::front() const {
  SHOAL_CHECK(!empty());
  return entries_[first_].request;
}

wire::Request RequestQueue::pop() {
  const wire::Request out = front();
  remove(first_);
  if (excess_ > 0) --excess_;
  return out;
}

bool RequestQueue::cancel(const wire::Request& request) {
  const std::uint16_t at = find(request);
  if (at == none) return false;
  remove(at);
  return true;
}

void RequestQueue::clear(std::vector<wire::Request>& rejected) {
  while (!empty()) {
    rejected.push_back(front());
    remove(first_);
  }
}

}  // namespace shoal::swarm
