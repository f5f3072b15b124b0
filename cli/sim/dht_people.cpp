// See dht_people.hpp.
#include "cli/sim/dht_people.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dht/routing_table.hpp"

namespace shoal::sim {
namespace {

constexpr Duration announce_every = std::chrono::minutes{25};
constexpr Duration announce_spread = std::chrono::minutes{5};  // either way

bool before_key(const std::pair<Key, NodeNumber>& member, const Key& key) { return member.first < key; }

}  // namespace

void Census::update(NodeNumber node) {
  if (!world_.alive(node) || world_.node(node).stats().read_only) {
    remove(node);
    return;
  }
  enter(node, world_.node(node).position());
}

void Census::enter(NodeNumber node, const Key& position) {
  const auto known = positions_.find(node);
  if (known != positions_.end() && known->second == position) return;
  remove(node);
  positions_[node] = position;
  members_.insert({position, node});
}

void Census::remove(NodeNumber node) {
  const auto known = positions_.find(node);
  if (known == positions_.end()) return;
  members_.erase({known->second, node});
  positions_.erase(known);
}

const Key* Census::position(NodeNumber node) const {
  const auto known = positions_.find(node);
  return known == positions_.end() ? nullptr : &known->second;
}

// The members that share a prefix with the target are a stretch of the sorted set; the prefix is shortened
// until it has enough of them. Any stretch that has `count` has the `count` nearest.
std::vector<NodeNumber> Census::nearest(const Key& target, std::size_t count) const {
  std::vector<std::pair<Key, NodeNumber>> stretch;
  const double expected = static_cast<double>(members_.size() + 1) / static_cast<double>(count + 1);
  for (int bits = std::max(0, static_cast<int>(std::log2(expected))); bits >= 0; --bits) {
    const Key low = truncated(target, bits);
    stretch.clear();
    for (auto it = members_.lower_bound({low, 0}); it != members_.end(); ++it) {
      if (shared_prefix(it->first, target) < bits) break;
      stretch.push_back(*it);
    }
    if (stretch.size() >= count) break;
  }
  std::sort(stretch.begin(), stretch.end(),
            [&](const auto& a, const auto& b) { return closer(target, a.first, b.first); });
  std::vector<NodeNumber> out;
  for (const auto& member : stretch) {
    if (out.size() == count) break;
    out.push_back(member.second);
  }
  return out;
}

NodeNumber Census::nearest(const Key& target) const {
  const auto found = nearest(target, 1);
  return found.empty() ? no_node : found.front();
}

std::vector<dht::SavedContact> long_known(const DhtWorld& world,
                                          const std::vector<std::pair<Key, NodeNumber>>& members,
                                          NodeNumber node, Random& random) {
  const Key& own = world.node(node).position();
  std::vector<dht::SavedContact> out;
  const std::int64_t seen = unix_ms(world.now().wall);
  for (int index = 0; index < Key::bits; ++index) {
    Key low = truncated(own, index);
    low.set_bit(index, !own.bit(index));
    Key high = low;
    for (int bit = index + 1; bit < Key::bits; ++bit) high.set_bit(bit, true);
    const auto first = std::lower_bound(members.begin(), members.end(), low, before_key);
    auto last = std::lower_bound(first, members.end(), high, before_key);
    if (last != members.end() && last->first == high) ++last;
    const auto there = static_cast<std::size_t>(last - first);
    const std::size_t wanted = std::min(there, dht::RoutingTable::bucket_room(index));
    std::set<std::size_t> chosen;  // Floyd's sample
    for (std::size_t j = there - wanted; j < there; ++j) {
      const auto pick = static_cast<std::size_t>(random.below(j + 1));
      chosen.insert(chosen.contains(pick) ? j : pick);
    }
    for (const std::size_t pick : chosen) {
      const NodeNumber other = first[static_cast<std::ptrdiff_t>(pick)].second;
      if (other != node) out.push_back({world.endpoint(other), seen});
    }
    // Where nobody else shares more bits with it, all deeper buckets are empty.
    const Key rest = truncated(own, index + 1);
    auto next = std::lower_bound(members.begin(), members.end(), rest, before_key);
    if (next != members.end() && next->second == node) ++next;
    if (next == members.end() || shared_prefix(next->first, own) <= index) break;
  }
  return out;
}

void fill_tables(DhtWorld& world, const Census& census, Duration spread) {
  const auto members = std::make_shared<const std::vector<std::pair<Key, NodeNumber>>>(census.sorted());
  const auto random = std::make_shared<Random>(world.random().fork("tables"));
  for (NodeNumber node = 0; node < world.size(); ++node) {
    if (!world.alive(node)) continue;
    const auto when = static_cast<std::int64_t>(random->below(static_cast<std::uint64_t>(spread.count())));
    world.at(world.now().mono + Duration{when}, [&world, members, random, node] {
      if (!world.alive(node)) return;
      const auto contacts = long_known(world, *members, node, *random);
      world.with(node, [&](dht::Node& engine, Now now, dht::NodeOutput& out) {
        engine.restore(now, contacts, out);
        return 0;
      });
    });
  }
}

double strangers_part(const DhtWorld& world, NodeNumber node) {
  const auto table = world.node(node).contacts_to_save(world.now());
  const auto strangers = std::ranges::count_if(
      table, [&](const dht::SavedContact& contact) { return world.stranger(world.who(contact.endpoint)); });
  return static_cast<double>(strangers) / static_cast<double>(std::max<std::size_t>(1, table.size()));
}

Publishers::Publishers(DhtWorld& world, std::size_t keys)
    : world_(world), random_(world.random().fork("publishers")) {
  for (std::size_t i = 0; i < keys; ++i) {
    Content content;
    content.id = random_.bytes<32>();
    content.keys = dht::derive_epoch(content.id, 20'000);
    contents_.push_back(std::move(content));
  }
}

void Publishers::announce(std::size_t key, NodeNumber node) { put(key, node, 0); }

void Publishers::put(std::size_t key, NodeNumber node, std::uint64_t last) {
  if (!world_.alive(node)) return;
  const Content& content = contents_[key];
  const auto announcer = dht::announcer_keys(world_.secret(node), content.id, content.keys.epoch);
  const WallTime wall = world_.now().wall;
  dht::RecordInputs inputs;
  inputs.endpoints = {world_.endpoint(node)};
  inputs.sequence = dht::next_sequence(announcer, wall, last);
  inputs.expiry = dht::draw_expiry(wall, random_);
  inputs.v4 = world_.endpoint(node).address;
  const dht::BuiltRecord record =
      dht::build_record(content.keys, announcer, inputs, random_, world_.signatures());
  announcers_[announcer.signing.public_key] = node;
  world_.with(node, [&](dht::Node& engine, Now now, dht::NodeOutput& out) {
    if (world_.dialect() == swarm::Dialect::mainline)
      return engine.put_item(
          now, dht::next_in_slots(content.keys, {{0, std::nullopt}}, record.bytes, wall)->item, {}, out);
    engine.hold(content.keys.key, record.bytes);
    return engine.put_record(now, content.keys.key, record.bytes, record.salt_v4, out);
  });
  const auto early =
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(2 * announce_spread.count())));
  const Duration pause = announce_every - announce_spread + Duration{early};
  world_.at(world_.now().mono + pause,
            [this, key, node, sequence = inputs.sequence] { put(key, node, sequence); });
}

NodeNumber Publishers::announcer(ByteView record) const {
  const auto found = announcers_.find(dht::read_header(record).announcer);
  return found == announcers_.end() ? no_node : found->second;
}

std::vector<std::string> dht_notes(std::size_t nodes) {
  std::vector<std::string> out;
  out.emplace_back(
      "Round trips: log-normal, median 90 ms, clamped to 20..900 ms, fixed for a pair, 10 % jitter. NATs: "
      "endpoint-independent mapping, address-and-port-dependent filtering (RFC 4787).");
  out.emplace_back(
      "Tables were filled by giving each node, as if saved, as many true contacts as its buckets hold, drawn "
      "at random; it asked each, and each got in by its signed answer.");
  out.emplace_back(nodes > real_signatures_up_to
                       ? "Worlds over 1,000 nodes sign with keyed BLAKE2b instead of Ed25519."
                       : "All signatures are Ed25519.");
  return out;
}

double percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace shoal::sim
