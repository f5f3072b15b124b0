// See dht_lookups.hpp.
#include "cli/sim/dht_lookups.hpp"

#include <algorithm>
#include <cmath>

namespace shoal::sim {
namespace {

double in_ms(Duration duration) { return static_cast<double>(duration.count()) / 1000; }

}  // namespace

Lookups::Lookups(DhtWorld& world, const Census& census, const Publishers& publishers)
    : world_(world), census_(census), publishers_(publishers) {}

void Lookups::find(NodeNumber from, const Key& target) {
  begin(LookupResult::Kind::nodes, from, target,
        [&](dht::Node& node, Now now, dht::NodeOutput& out) { return node.find_node(now, target, 1, out); });
}

void Lookups::get(NodeNumber from, const Key& target, std::size_t paths) {
  begin(LookupResult::Kind::records, from, target, [&](dht::Node& node, Now now, dht::NodeOutput& out) {
    return node.get_records(now, target, paths, out);
  });
}

void Lookups::read_slot(NodeNumber from, std::size_t key) {
  const Key slot = publishers_.slot(key);
  begin(LookupResult::Kind::records, from, slot, [&](dht::Node& node, Now now, dht::NodeOutput& out) {
    return node.get_item(now, slot, publishers_.slot_salt(key), out);
  });
}

void Lookups::begin(LookupResult::Kind kind, NodeNumber from, const Key& target, const Ask& ask) {
  LookupResult result;
  result.kind = kind;
  result.from = from;
  result.target = target;
  result.started = world_.now().mono;
  const std::size_t number = results_.size();
  results_.push_back(result);
  beginning_ = number;  // what its own store has comes before its name does
  const auto id = world_.with(from, ask);
  beginning_.reset();
  if (!results_[number].done) running_[{from, static_cast<std::uint64_t>(id)}] = number;
}

void Lookups::on_event(NodeNumber node, const dht::Event& event) {
  const auto* values = std::get_if<dht::SearchValues>(&event);
  const auto* item = std::get_if<dht::SearchItem>(&event);
  const auto* done = std::get_if<dht::SearchDone>(&event);
  if (values == nullptr && item == nullptr && done == nullptr) return;
  const dht::SearchId id = values != nullptr ? values->search : item != nullptr ? item->search : done->search;
  const auto found = running_.find({node, static_cast<std::uint64_t>(id)});
  std::optional<std::size_t> number;
  if (found != running_.end())
    number = found->second;
  else if (beginning_ && results_[*beginning_].from == node)
    number = beginning_;
  if (!number) return;
  std::vector<ByteView> records;
  if (values != nullptr)
    for (const dht::ReceivedRecord& value : values->records) records.emplace_back(value.record);
  if (item != nullptr) records = dht::records_of(item->item.value);
  if (done == nullptr) return take(results_[*number], records);
  finish(results_[*number], *done);
  if (found != running_.end()) running_.erase(found);
}

void Lookups::take(LookupResult& result, std::span<const ByteView> records) {
  const Duration after = world_.now().mono - result.started;
  if (!result.first_value) result.first_value = after;
  for (const ByteView record : records) {
    const NodeNumber announcer = publishers_.announcer(record);
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

double least_part(std::size_t good, std::size_t all) {
  if (all == 0) return 0;
  constexpr double z = 1.96;
  const auto n = static_cast<double>(all);
  const double p = static_cast<double>(good) / n;
  const double middle = p + z * z / (2 * n);
  const double reach = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return (middle - reach) / (1 + z * z / n);
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
  out.success_least = least_part(good, out.lookups);
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
