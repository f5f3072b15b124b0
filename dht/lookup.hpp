// Lookup: one iterative search (Maymounkov & Mazieres 2002), as a leaf: it is told of answers and silences,
// and says whom to ask next and when it is done. It sends nothing and knows no clock but the instants that
// are handed in.
//
// - alpha fresh queries at once, more when some become slow. A slow query (soft timeout) gives its slot
//   back; a late answer still counts until the hard timeout.
// - Ends when the k nearest alive have answered; a store's lookup, and one that has found no record, asks
//   the whole region as well, so that Sybils around a key crowd nobody out (THREATS A2). Replies name only
//   the nearest to the key, so some inside and outside are asked for nodes around random points of it.
// - The slow among the nearest are asked again, twice at once: at 5 % loss one exchange in ten fails, and
//   the nearest of all may not be missed for that. The nearest itself, where hardly anybody else is silent,
//   is waited for until the last of its queries is overdue: it may live at the far end of a long line.
// - In a tiny network a silent candidate is asked once more: there, a lost packet would decide.
// - Truncated targets: who stands outside the region is asked for nodes near a point that shares only the
//   region's prefix; the full key goes to region nodes and, at the end, to the k nearest whatever the
//   estimate said.
// - Disjoint paths (S/Kademlia): a candidate belongs to the path that heard of it first.
// - k nearest: for global addresses one of a network (/24, /48) counts; one candidate an IP.
//
// Every list is bounded by limits.hpp. Depth: 1 = from our own table, a referral adds one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dht/codec.hpp"
#include "dht/message.hpp"
#include "dht/size_estimate.hpp"

namespace shoal::dht {

enum class Goal : std::uint8_t {
  nodes,
  records,
  store
};  // store: records' keys, with tokens, the whole region

// May a candidate be stored at? invalid: its position does not match its address, or is not proven.
enum class Standing : std::uint8_t { unknown, invalid, read_only, full };

struct Ask {
  enum class Form : std::uint8_t {
    nodes,     // find, the full target
    approach,  // find, truncated target
    records,   // get records, the full target
    more,      // get records without nodes: a further sample
  };
  std::uint16_t candidate = 0;
  Endpoint to;
  Form form = Form::nodes;
};

// Where a token of the region was obtained.
struct Place {
  Key id;
  Endpoint endpoint;
  ByteArray<32> token{};
  std::uint8_t token_size = 0;
  Standing standing = Standing::unknown;
  [[nodiscard]] ByteView token_view() const { return {token.data(), token_size}; }
};

// What becomes of the slow among the nearest. given_up: where a place is as good as another.
enum class Slow : std::uint8_t { asked_again, given_up };

struct LookupRules {
  Goal goal = Goal::nodes;
  Targets targets = Targets::full;  // of the dialect; only record searches truncate
  std::uint8_t paths = 1;
  Slow slow = Slow::asked_again;
};

class Lookup {
 public:
  Lookup(const Key& target, const LookupRules& rules, const Key& own, Instant now);

  // Nodes to start with, from our own table: nearest first, depth 1.
  void seed(std::span<const NodeInfo> nodes);
  // Records that the asker had before: they count as found.
  void have(std::size_t records) { values_ = static_cast<std::uint32_t>(records); }
  // An answer. `heard`: usable nodes of its list (the caller has dropped unusable addresses). `held`: records
  // the answerer has in all, `got`: distinct ones that came. Ignored where the candidate has failed already.
  struct Answer {
    std::uint16_t candidate = 0;
    Ask::Form form = Ask::Form::nodes;
    Standing standing = Standing::unknown;
    std::span<const NodeInfo> heard;
    ByteView token;
    std::uint32_t held = 0;
    std::uint32_t got = 0;    // records in this reply
    std::uint32_t fresh = 0;  // of these, not seen before in this search
  };
  void answered(const Answer& answer);
  void slow(std::uint16_t candidate);     // soft timeout
  void overdue(std::uint16_t candidate);  // patience is over: no longer waited for
  void failed(std::uint16_t candidate);   // hard timeout, or it is not who it should be
  // Appends what to ask now. The caller asks all of them (a query that cannot be sent is reported as failed).
  void next(const Region& region, std::vector<Ask>& out);
  [[nodiscard]] bool finished(const Region& region) const;
  // Finished, or it would be if anybody had answered: nobody is left to ask, and everybody's time is up.
  [[nodiscard]] bool exhausted(const Region& region) const;

  [[nodiscard]] const Key& target() const { return target_; }
  [[nodiscard]] Goal goal() const { return rules_.goal; }
  [[nodiscard]] Instant started() const { return started_; }
  // The nearest that answered, nearest first.
  [[nodiscard]] std::vector<NodeInfo> closest(std::size_t count) const;
  // Those of the region (at least the k nearest) that gave a token, nearest first; one a network where
  // addresses are global. Only Standing::full, or read_only where there is none of those.
  [[nodiscard]] std::vector<Place> places(const Region& region) const;
  // Network size as the nearest answers suggest; nullopt: too few.
  [[nodiscard]] std::optional<double> size_sample() const;
  [[nodiscard]] std::uint8_t depth_of(std::uint16_t candidate) const { return pool_[candidate].depth; }
  [[nodiscard]] const NodeInfo& node_of(std::uint16_t candidate) const { return pool_[candidate].node; }
  // Of our own contacts the one whose answers led there.
  [[nodiscard]] const NodeInfo& root_of(std::uint16_t candidate) const {
    return pool_[pool_[candidate].root].node;
  }
  [[nodiscard]] std::uint8_t depth() const;  // of the nearest answered; 0: none
  [[nodiscard]] std::uint32_t queries() const { return queries_; }
  [[nodiscard]] std::uint32_t answers() const { return answers_; }
  [[nodiscard]] std::uint32_t failures() const { return failures_; }
  [[nodiscard]] std::uint32_t values() const { return values_; }
  [[nodiscard]] bool empty() const { return order_.empty(); }

 private:
  enum class State : std::uint8_t { heard, asked, slow, overdue, answered, failed };
  struct Candidate {
    NodeInfo node;
    Key distance;
    State state = State::heard;
    Ask::Form form = Ask::Form::nodes;  // of the last query
    Standing standing = Standing::unknown;
    std::uint8_t depth = 1;
    std::uint8_t path = 0;
    std::uint16_t root = 0;  // candidate: itself, or that of who named it first
    std::uint8_t repeats = 0;
    std::uint8_t again = 0;        // times it was asked anew because it was slow
    std::uint8_t outstanding = 0;  // queries in flight
    std::uint8_t overdue = 0;      // of these, for how many patience was over
    bool late = false;             // overdue, but for a query that is younger
    bool retried = false;
    bool replied = false;      // at least once
    bool full_target = false;  // has answered the full target
    bool swept = false;        // was asked for others of the region
    bool counts = true;        // first of its network in the order of arrival
    std::uint8_t token_size = 0;
    ByteArray<32> token{};
    std::uint32_t held = 0, got = 0;
  };
  void give_up(Candidate& candidate);
  [[nodiscard]] std::size_t silent_beside(std::uint16_t candidate) const;
  void add(const NodeInfo& node, std::uint8_t depth, std::uint8_t path, std::optional<std::uint16_t> root);
  void drop_farthest();
  [[nodiscard]] bool in_region(const Candidate& candidate, const Region& region) const;
  [[nodiscard]] bool wants_whole_region() const;
  [[nodiscard]] Ask::Form form_for(const Candidate& candidate, const Region& region) const;
  void ask(std::uint16_t index, Ask::Form form, std::vector<Ask>& out);
  std::size_t next_on_path(std::uint8_t path, std::size_t slots, const Region& region, std::vector<Ask>& out);
  [[nodiscard]] bool may_hold_more(const Candidate& candidate) const;
  void ask_for_more(std::size_t slots, std::vector<Ask>& out);
  [[nodiscard]] bool may_sweep(const Candidate& candidate, const Region& region) const;
  [[nodiscard]] std::uint32_t sweep_budget(const Region& region) const;
  std::size_t sweep(std::uint8_t path, std::size_t slots, const Region& region, std::vector<Ask>& out);
  [[nodiscard]] bool path_finished(std::uint8_t path, const Region& region) const;
  [[nodiscard]] std::size_t in_flight(std::uint8_t path) const;

  Key target_;
  LookupRules rules_;
  Key own_;
  Instant started_;
  std::vector<Candidate> pool_;       // by candidate number; never shrinks
  std::vector<std::uint16_t> order_;  // nearest first
  std::uint32_t queries_ = 0, answers_ = 0, failures_ = 0, values_ = 0, slow_seen_ = 0, swept_ = 0;
};

}  // namespace shoal::dht
