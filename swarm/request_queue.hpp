// RequestQueue: what one peer has asked of us and not got yet, in order. Bounded, each request once (A23). It
// does not read disks nor decide whom to serve.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "storage/content.hpp"
#include "swarm/limits.hpp"
#include "swarm/wire.hpp"

namespace shoal::swarm {

class RequestQueue {
 public:
  enum class Verdict : std::uint8_t {
    // Also what waits already, and counts as a flood all the same: whoever asks again has waited for long.
    // One answer is for both; told a reject it would ask once more at once, and take it that we lack the
    // piece.
    queued,
    reject,   // full: send a reject for it
    invalid,  // outside the content, empty or longer than a block: a strike
    flood     // limits::flood_requests beyond what was answered: drop the connection
  };
  // The caller has checked that we have the piece and that the peer may ask (unchoked or allowed fast); where
  // not, it calls refused() and rejects.
  [[nodiscard]] Verdict push(const storage::Content& content, const wire::Request& request);
  // Counts a request that the caller rejects itself. reject, invalid or flood.
  [[nodiscard]] Verdict refused(const storage::Content& content, const wire::Request& request);

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // asked for by what waits
  [[nodiscard]] const wire::Request& front() const;             // precondition: !empty()
  [[nodiscard]] wire::Request pop();
  bool cancel(const wire::Request& request);  // true if it waited
  // Empties the queue on choking; what waited is appended, in order, to be rejected (BEP 6).
  void clear(std::vector<wire::Request>& rejected);

 private:
  static constexpr std::uint16_t none = 0xffff;
  static constexpr std::uint32_t chains = 256;
  struct Entry {
    wire::Request request;
    std::uint16_t before = none, after = none;  // in the queue
    std::uint16_t chain = none;                 // next of the same hash; of a spare one: next spare
  };
  [[nodiscard]] static std::uint32_t chain_of(const wire::Request& request);
  [[nodiscard]] std::uint16_t find(const wire::Request& request) const;
  void remove(std::uint16_t at);

  std::vector<Entry> entries_;
  std::vector<std::uint16_t> heads_;  // by hash; made with the first request
  std::uint16_t first_ = none, last_ = none, spare_ = none;
  std::uint32_t size_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint32_t excess_ = 0;  // rejected and not yet made good by answers
};

}  // namespace shoal::swarm
