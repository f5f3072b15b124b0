// Look-ups in a DhtWorld, asked of the engines' public interface, and what became of each.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "cli/sim/dht_people.hpp"

namespace shoal::sim {

struct LookupResult {
  enum class Kind : std::uint8_t { nodes, records } kind = Kind::nodes;
  NodeNumber from = no_node;
  Key target;
  Instant started{};
  bool done = false;  // else it still runs, or the asker died
  bool closest =
      false;            // nodes: it ended at the nearest full member that lived from its beginning to its end
  bool living = false;  // records: some record is of an announcer that lives
  unsigned depth = 0;   // referrals to the nearest node found; own table: 1
  std::uint32_t queries = 0;
  Duration took{};
  std::optional<Duration> first_value, first_living;
};

class Lookups {
 public:
  Lookups(DhtWorld& world, const Census& census, const Publishers& publishers);

  void find(NodeNumber from, const Key& target);
  void get(NodeNumber from, const Key& target, std::size_t paths = 1);
  void read_slot(NodeNumber from, std::size_t key);         // mainline; of a publisher's key
  void on_event(NodeNumber node, const dht::Event& event);  // of every engine

  [[nodiscard]] const std::vector<LookupResult>& results() const { return results_; }
  void clear() { results_.clear(), running_.clear(); }

 private:
  using Name = std::pair<NodeNumber, std::uint64_t>;
  using Ask = std::function<dht::SearchId(dht::Node&, Now, dht::NodeOutput&)>;
  void begin(LookupResult::Kind kind, NodeNumber from, const Key& target, const Ask& ask);
  void take(LookupResult& result, std::span<const ByteView> records);
  void finish(LookupResult& result, const dht::SearchDone& done);

  DhtWorld& world_;
  const Census& census_;
  const Publishers& publishers_;
  std::vector<LookupResult> results_;
  std::map<Name, std::size_t> running_;
  std::optional<std::size_t> beginning_;  // its id is not known yet
};

// Of all that are done.
struct LookupSummary {
  std::size_t lookups = 0;
  double success = 0;        // nodes: closest, records: living; part of all that are done
  double success_least = 0;  // with 95 % confidence
  double hops_mean = 0, hops_p99 = 0, rpcs_mean = 0;
  double first_ms_p50 = 0, first_ms_p99 = 0;  // of a living announcer
  double done_ms_p50 = 0, done_ms_p99 = 0;
};
// The least part that lies in the 95 % interval of Wilson (1927) around `good` of `all`.
[[nodiscard]] double least_part(std::size_t good, std::size_t all);
[[nodiscard]] LookupSummary summarise(const std::vector<LookupResult>& results, LookupResult::Kind kind);

}  // namespace shoal::sim
