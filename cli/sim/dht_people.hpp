// The people of a DhtWorld, for the scenarios of the DHT: the census (who is a full member where, and who is
// truly nearest to a key), the filling of tables, and the publishers, who announce under keys as the swarm's
// announcer does: at once, then every 25 +- 5 minutes, with records as shoal makes them, in mainline in a
// sealed slot.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/sim/dht_world.hpp"
#include "dht/record.hpp"
#include "dht/sealed_slots.hpp"

namespace shoal::sim {

// Full members by position. The scenario tells it of births, deaths and of the events that move a node.
class Census {
 public:
  explicit Census(const DhtWorld& world) : world_(world) {}
  void update(NodeNumber node);  // alive and not read-only: in, at its present position; else out
  void remove(NodeNumber node);
  void enter(NodeNumber node, const Key& position);           // one that has no engine
  [[nodiscard]] NodeNumber nearest(const Key& target) const;  // no_node: nobody
  [[nodiscard]] std::vector<NodeNumber> nearest(const Key& target, std::size_t count) const;
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] std::vector<std::pair<Key, NodeNumber>> sorted() const {
    return {members_.begin(), members_.end()};
  }
  [[nodiscard]] const Key* position(NodeNumber node) const;  // nullptr: no full member

 private:
  const DhtWorld& world_;
  std::set<std::pair<Key, NodeNumber>> members_;
  std::map<NodeNumber, Key> positions_;
};

// What a node's table holds after a long life among `members` (sorted): as many true contacts, drawn at
// random, as each bucket has room for. They are given to it by dht::Node::restore, as if saved: it asks each,
// and each gets in by its signed answer.
[[nodiscard]] std::vector<dht::SavedContact> long_known(
    const DhtWorld& world, const std::vector<std::pair<Key, NodeNumber>>& members, NodeNumber node,
    Random& random);
// For every living node, at a random moment of the next `spread`; the caller runs the world.
void fill_tables(DhtWorld& world, const Census& census, Duration spread);

// Which part of a living node's table are strangers, that is attackers.
[[nodiscard]] double strangers_part(const DhtWorld& world, NodeNumber node);

class Publishers {
 public:
  Publishers(DhtWorld& world, std::size_t keys);
  [[nodiscard]] std::size_t keys() const { return contents_.size(); }
  [[nodiscard]] const Key& key(std::size_t number) const { return contents_[number].keys.key; }
  // Mainline: of a content's slots one stands for all.
  [[nodiscard]] Key slot(std::size_t number) const { return dht::slot_target(contents_[number].keys, 0); }
  [[nodiscard]] Bytes slot_salt(std::size_t number) const {
    return to_vector(dht::slot_salt(contents_[number].keys, 0));
  }
  // The node announces under the key now and again and again, as long as it lives.
  void announce(std::size_t key, NodeNumber node);
  [[nodiscard]] NodeNumber announcer(ByteView record) const;  // no_node: unknown

 private:
  struct Content {
    dht::ContentId id{};
    dht::EpochKeys keys;  // of one epoch, also where the world lasts longer than a day
  };
  void put(std::size_t key, NodeNumber node, std::uint64_t last);

  DhtWorld& world_;
  Random random_;
  std::vector<Content> contents_;
  std::map<crypto::PublicKey, NodeNumber> announcers_;
};

// Above this many nodes a world signs with the keyed hash.
inline constexpr std::size_t real_signatures_up_to = 1000;
// What every report about a DhtWorld says of its models; `nodes`: of its largest world.
[[nodiscard]] std::vector<std::string> dht_notes(std::size_t nodes);

// Nearest rank; of an empty list 0.
[[nodiscard]] double percentile(std::vector<double> values, double part);
[[nodiscard]] double mean(const std::vector<double>& values);

}  // namespace shoal::sim
