// See dht_lookups.hpp.
#include "cli/sim/dht_lookups.hpp"

#include <algorithm>

namespace shoal::sim {
namespace {

double in_ms(Duration duration) { return static_cast<double>(duration.count()) / 1000; }

}  // namespace

Lookups::Lookups(DhtWorld& world, const Census& census, const Publishers& publishers)
    : world_(world), census_(census), publishers_(publishers) {}

void Lookups::find(NodeNumber from, const Key& target) {
  LookupResult result;
  result.from = from;
  result.target = target;
  begin(result, 1);
}

void Lookups::get(NodeNumber from, const Key& target, std::size_t paths) {
  LookupResult result;
  result.kind = LookupResult::Kind::records;
  result.from = from;
  result.target = target;
  begin(result, paths);
}

void Lookups::begin(LookupResult result, std::size_t paths) {
  result.started = world_.now().mono;
  const std::size_t number = results_.size();
  results_.push_back(result);
  beginning_ = number;  // what its own store has comes before its name does
  const auto id = world_.with(result.from, [&](dht::Node& node, Now now, dht::NodeOutput& out) {
    if (result.kind == LookupResult::Kind::nodes) return node.find_node(now, result.target, paths, out);
    return node.get_records(now, result.target, paths, out);
  });
  beginning_.reset();
  if (!results_[number].done) running_[{result.from, static_cast<std::uint64_t>(id)}] = number;
}

void Lookups::on_event(NodeNumber node, const dht::Event& event) {
  const auto* values = std::get_if<dht::SearchValues>(&event);
  const auto* done = std::get_if<dht::SearchDone>(&event);
  if (values == nullptr && done == nullptr) return;
  const dht::SearchId id = values != nullptr ? values->search : done->search;
  const auto found = running_.find({node, static_cast<std::uint64_t>(id)});
  std::optional<std::size_t> number;
  if (found != running_.end())
    number = found->second;
  else if (beginning_ && results_[*beginning_].from == node)
    number = beginning_;
  if (!number) return;
  if (values != nullptr) take(results_[*number], *values);
  if (done == nullptr) return;
  finish(results_[*number], *done);
  if (found != running_.end()) running_.erase(found);
}

void Lookups::take(LookupResult& result, const dht::SearchValues& values) {
  const Duration after = world_.now().mono - result.started;
  if (!result.first_value) result.first_value = after;
  for (const dht::ReceivedRecord& value : values.records) {
    const NodeNumber announcer = publishers_.announcer(value.record);
    if (announcer == no_node || !world_.alive(announcer)) continue;
    result.living = true;
    if (!result.first_living) result.first_living = after;
  }
}

void Lookups::finish(LookupResult& result, const dht::SearchDone& done) {
  result.done = true;
  result.took = world_.now().mono - result.started;
  result.depth = done.stats.depth;
  result.queries = done.stats.queries;
  if (result.kind == LookupResult::Kind::records) return;
  // Whoever came while it ran could not be found; nor need the asker find itself.
  for (const NodeNumber node : census_.nearest(result.target, 16)) {
    if (node == result.from || world_.since(node) > result.started) continue;
    result.closest = !done.closest.empty() && done.closest.front().endpoint == world_.endpoint(node);
    break;
  }
}

LookupSummary summarise(const std::vector<LookupResult>& results, LookupResult::Kind kind) {
  LookupSummary out;
  std::vector<double> hops, rpcs, first, took;
  std::size_t good = 0;
  for (const LookupResult& result : results) {
    if (result.kind != kind || !result.done) continue;
    ++out.lookups;
    if (kind == LookupResult::Kind::nodes ? result.closest : result.living) ++good;
    if (result.depth > 0) hops.push_back(result.depth);
    rpcs.push_back(result.queries);
    took.push_back(in_ms(result.took));
    if (result.first_living) first.push_back(in_ms(*result.first_living));
  }
  if (out.lookups > 0) out.success = static_cast<double>(good) / static_cast<double>(out.lookups);
  out.hops_mean = mean(hops);
  out.hops_p99 = percentile(hops, 0.99);
  out.rpcs_mean = mean(rpcs);
  out.first_ms_p50 = percentile(first, 0.5);
  out.first_ms_p99 = percentile(first, 0.99);
  out.done_ms_p50 = percentile(took, 0.5);
  out.done_ms_p99 = percentile(took, 0.99);
  return out;
}

}  // namespace shoal::sim
