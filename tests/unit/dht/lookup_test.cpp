// Lookup as a leaf: a toy network of keys, no datagrams. Referrals come from tables of the real shape.
#include "dht/lookup.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dht/limits.hpp"
#include "dht/routing_table.hpp"
#include "dht/seeds.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using test::at_second;
using test::public_host;

// Static tables: every node knows others as buckets of the real sizes allow, from a random order.
class ToyNetwork {
 public:
  explicit ToyNetwork(std::size_t count, std::uint64_t seed = 1) : random_(test::numbered("toy", seed)) {
    for (std::size_t i = 0; i < count; ++i)
      nodes_.push_back({Key{random_.bytes<32>()}, {public_host(static_cast<std::uint32_t>(i + 1), 1), 4000}});
    for (std::size_t i = 0; i < count; ++i) by_endpoint_[nodes_[i].endpoint] = i;
    dead_.resize(count);
    tables_.resize(count);
  }
  const RoutingTable& table(std::size_t number) {
    auto& table = tables_[number];
    if (!table) {
      table.emplace(nodes_[number].id);
      // All of a small network; of a large one a random part, and everybody near.
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (nodes_.size() <= 2000 || random_.below(nodes_.size()) < 1500 ||
            shared_prefix(nodes_[i].id, nodes_[number].id) >= 6)
          order.push_back(i);
      random_.shuffle(order);
      for (const std::size_t other : order) {
        Contact contact;
        contact.id = nodes_[other].id;
        contact.endpoint = nodes_[other].endpoint;
        contact.answered = at_second(0).mono;
        table->admit(contact, at_second(0).mono);
      }
    }
    return *table;
  }
  std::vector<NodeInfo> closest_known(std::size_t number, const Key& target, std::size_t count) {
    std::vector<const Contact*> found;
    table(number).closest(target, count, RoutingTable::Choice::any, at_second(0).mono, found);
    std::vector<NodeInfo> out;
    for (const Contact* contact : found) out.push_back({contact->id, contact->endpoint});
    return out;
  }
  std::vector<NodeInfo> truly_closest(const Key& target, std::size_t count) {
    std::vector<NodeInfo> out;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (!dead_[i]) out.push_back(nodes_[i]);
    std::sort(out.begin(), out.end(),
              [&](const NodeInfo& a, const NodeInfo& b) { return closer(target, a.id, b.id); });
    out.resize(std::min(out.size(), count));
    return out;
  }
  Random& random() { return random_; }
  std::vector<NodeInfo>& nodes() { return nodes_; }
  std::vector<char>& dead() { return dead_; }
  // Adds a node that names only its accomplices and keeps nothing.
  void add_sybil(const Key& id, const Endpoint& endpoint) {
    by_endpoint_[endpoint] = nodes_.size();
    nodes_.push_back({id, endpoint});
    dead_.push_back(0);
    tables_.emplace_back();
    sybils_.push_back(nodes_.back());
  }
  [[nodiscard]] bool is_sybil(std::size_t number) const { return number + sybils_.size() >= nodes_.size(); }
  std::vector<NodeInfo> accomplices(const Key& target) {
    std::vector<NodeInfo> out = sybils_;
    random_.shuffle(out);
    out.resize(std::min<std::size_t>(out.size(), 16));
    std::sort(out.begin(), out.end(),
              [&](const NodeInfo& a, const NodeInfo& b) { return closer(target, a.id, b.id); });
    return out;
  }
  std::size_t number_of(const Endpoint& endpoint) { return by_endpoint_.at(endpoint); }

 private:
  Random random_;
  std::vector<NodeInfo> nodes_;
  std::map<Endpoint, std::size_t> by_endpoint_;
  std::vector<char> dead_;
  std::vector<NodeInfo> sybils_;
  std::vector<std::optional<RoutingTable>> tables_;
};

struct Trail {
  std::set<Endpoint> asked_full, asked;
  std::vector<Ask> asks;
  std::map<Endpoint, std::set<std::uint8_t>> paths;
};

// Asks in order until the lookup is over. The dead become slow, then overdue, then fail, when nothing else
// moves.
Trail drive(ToyNetwork& net, Lookup& lookup, const Region& region, const std::set<Endpoint>& holders = {}) {
  Trail run;
  std::deque<Ask> open;
  std::deque<std::pair<std::uint16_t, int>> silent;
  for (int turn = 0; turn < 10'000 && !lookup.finished(region); ++turn) {
    std::vector<Ask> asks;
    lookup.next(region, asks);
    for (const Ask& ask : asks) {
      run.asks.push_back(ask);
      run.asked.insert(ask.to);
      if (ask.form != Ask::Form::approach) run.asked_full.insert(ask.to);
      open.push_back(ask);
    }
    if (open.empty()) {
      EXPECT_FALSE(silent.empty());
      if (silent.empty()) break;
      auto [candidate, stage] = silent.front();
      silent.pop_front();
      if (stage == 1) lookup.overdue(candidate);
      if (stage == 2) lookup.failed(candidate);
      if (stage < 2) silent.emplace_back(candidate, stage + 1);
      continue;
    }
    const Ask ask = open.front();
    open.pop_front();
    const std::size_t number = net.number_of(ask.to);
    if (net.dead()[number]) {
      lookup.slow(ask.candidate);
      silent.emplace_back(ask.candidate, 1);
      continue;
    }
    Key target = lookup.target();
    if (ask.form == Ask::Form::approach) {
      target.bytes = net.random().bytes<32>();
      for (int bit = 0; bit < region.prefix_bits; ++bit) target.set_bit(bit, lookup.target().bit(bit));
    }
    const bool sybil = net.is_sybil(number);
    const std::vector<NodeInfo> heard =
        sybil ? net.accomplices(target) : net.closest_known(number, target, limits::nodes_in_reply);
    const ByteArray<8> token{1};
    Lookup::Answer answer;
    answer.candidate = ask.candidate;
    answer.form = ask.form;
    answer.standing = Standing::full;
    if (ask.form != Ask::Form::more) answer.heard = heard;
    answer.token = token;
    if (ask.form == Ask::Form::records && holders.contains(ask.to) && !sybil) answer.held = answer.fresh = 1;
    lookup.answered(answer);
  }
  EXPECT_TRUE(lookup.finished(region));
  return run;
}

Lookup lookup_from(ToyNetwork& net, std::size_t number, const Key& target, const LookupRules& rules) {
  Lookup lookup{target, rules, net.nodes()[number].id, at_second(0).mono};
  std::vector<NodeInfo> seeds;
  const auto size = static_cast<double>(net.nodes().size());
  choose_seeds(net.table(number), target, region_of(size), at_second(0).mono, seeds);
  lookup.seed(seeds);
  return lookup;
}

TEST(Lookup, FindsTheClosestInAStaticNetworkOf500) {
  ToyNetwork net{500};
  double depth = 0;
  std::size_t queries = 0;
  constexpr int rounds = 300;
  for (int i = 0; i < rounds; ++i) {
    const auto from = static_cast<std::size_t>(net.random().below(500));
    const Key target{net.random().bytes<32>()};
    Lookup lookup = lookup_from(net, from, target, {});
    drive(net, lookup, region_of(500));
    auto expected = net.truly_closest(target, 9);
    std::erase(expected, net.nodes()[from]);
    ASSERT_EQ(lookup.closest(1).at(0), expected[0]) << i;
    depth += lookup.depth();
    queries += lookup.queries();
  }
  EXPECT_LE(depth / rounds, 2.4);
  EXPECT_LE(queries / rounds, 20U);
  RecordProperty("mean_depth_x1000", static_cast<int>(depth / rounds * 1000));
}

TEST(Lookup, MeanDepthIn10000NodesIsWithinTheTarget) {
  ToyNetwork net{10'000};
  double depth = 0;
  int exact = 0;
  constexpr int rounds = 100;
  for (int i = 0; i < rounds; ++i) {
    const Key target{net.random().bytes<32>()};
    const auto from = static_cast<std::size_t>(net.random().below(40));  // few, so that few tables are built
    Lookup lookup = lookup_from(net, from, target, {Goal::records, Targets::truncated, 1});
    drive(net, lookup, region_of(10'000));
    depth += lookup.depth();
    exact += lookup.closest(1).at(0) == net.truly_closest(target, 1).at(0) ? 1 : 0;
  }
  EXPECT_LE(depth / rounds, 2.4);
  EXPECT_GE(exact, rounds * 99 / 100);
  RecordProperty("mean_depth_x1000", static_cast<int>(depth / rounds * 1000));
}

TEST(Lookup, ThirtyPerCentDeadStillFindsTheClosestAlive) {
  ToyNetwork net{500, 2};
  for (std::size_t i = 0; i < 500; ++i) net.dead()[i] = i % 10 < 3 ? 1 : 0;
  for (int i = 0; i < 100; ++i) {
    const std::size_t from = 5 + 10 * static_cast<std::size_t>(net.random().below(50));
    const Key target{net.random().bytes<32>()};
    Lookup lookup = lookup_from(net, from, target, {});
    drive(net, lookup, region_of(500));
    auto expected = net.truly_closest(target, 9);
    std::erase(expected, net.nodes()[from]);
    ASSERT_EQ(lookup.closest(1).at(0), expected[0]);
  }
}

TEST(Lookup, SlowQueriesFreeTheirSlotsAndRaiseAlpha) {
  ToyNetwork net{500, 3};
  const Key target{net.random().bytes<32>()};
  Lookup lookup = lookup_from(net, 0, target, {});
  std::vector<Ask> asks;
  lookup.next(region_of(500), asks);
  ASSERT_EQ(asks.size(), limits::alpha);
  std::vector<Ask> more;
  lookup.next(region_of(500), more);
  EXPECT_TRUE(more.empty());
  lookup.slow(asks[0].candidate);
  lookup.slow(asks[1].candidate);
  lookup.next(region_of(500), more);
  EXPECT_EQ(more.size(), 4U);  // two slots freed, alpha raised by two; the window reaches past the slow
  Lookup::Answer late;         // a late answer counts
  late.candidate = asks[0].candidate;
  const std::vector<NodeInfo> heard = net.truly_closest(target, 8);
  late.heard = heard;
  lookup.answered(late);
  EXPECT_EQ(lookup.answers(), 1U);
  std::set<Endpoint> asked;
  for (const Ask& ask : asks) asked.insert(ask.to);
  for (const Ask& ask : more) asked.insert(ask.to);
  const auto nearest = std::find_if(heard.begin(), heard.end(),
                                    [&](const NodeInfo& node) { return !asked.contains(node.endpoint); });
  ASSERT_NE(nearest, heard.end());
  lookup.slow(asks[2].candidate);
  more.clear();
  lookup.next(region_of(500), more);
  ASSERT_FALSE(more.empty());
  EXPECT_EQ(lookup.node_of(more[0].candidate), *nearest);
}

TEST(Lookup, OnlyTheRegionAndTheNearestSeeTheFullKey) {
  ToyNetwork net{2000, 4};
  const Region region = region_of(2000);
  std::size_t outside = 0, full = 0;
  for (int i = 0; i < 50; ++i) {
    const Key target{net.random().bytes<32>()};
    Lookup lookup =
        lookup_from(net, static_cast<std::size_t>(i), target, {Goal::store, Targets::truncated, 1});
    const Trail run = drive(net, lookup, region);
    const auto near = net.truly_closest(target, 16);
    for (const Endpoint& endpoint : run.asked_full) {
      ++full;
      const Key id = net.nodes()[net.number_of(endpoint)].id;
      const bool is_near =
          std::any_of(near.begin(), near.end(), [&](const NodeInfo& n) { return n.id == id; });
      if (!region.contains(distance(target, id)) && !is_near) ++outside;
    }
    EXPECT_GE(lookup.places(region).size(), 5U);
  }
  EXPECT_LE(outside, full / 50);  // 2 %: nearest at the end, where referral was thin
}

TEST(Lookup, AStoreAsksTheWholeRegion) {
  ToyNetwork net{1000, 5};
  const Region region = region_of(1000);
  std::size_t missed = 0, all = 0;
  for (int i = 0; i < 50; ++i) {
    const Key target{net.random().bytes<32>()};
    Lookup lookup =
        lookup_from(net, static_cast<std::size_t>(i), target, {Goal::store, Targets::truncated, 1});
    const Trail run = drive(net, lookup, region);
    for (const NodeInfo& node : net.truly_closest(target, 30)) {
      if (!region.contains(distance(target, node.id)) || node == net.nodes()[static_cast<std::size_t>(i)])
        continue;
      ++all;
      missed += run.asked_full.contains(node.endpoint) ? 0 : 1;
    }
  }
  EXPECT_LE(missed, all / 50);
}

TEST(Lookup, ARecordFarOutInTheRegionIsFound) {
  ToyNetwork net{1000, 6};
  const Region region = region_of(1000);
  for (int i = 0; i < 50; ++i) {
    const Key target{net.random().bytes<32>()};
    const auto near = net.truly_closest(target, 40);
    std::size_t last = 0;
    while (last + 1 < near.size() && region.contains(distance(target, near[last + 1].id))) ++last;
    Lookup lookup =
        lookup_from(net, static_cast<std::size_t>(i), target, {Goal::records, Targets::truncated, 1});
    drive(net, lookup, region, {near[last].endpoint});
    if (near[last] == net.nodes()[static_cast<std::size_t>(i)]) continue;
    EXPECT_EQ(lookup.values(), 1U) << i;
  }
}

TEST(Lookup, DisjointPathsShareNobody) {
  ToyNetwork net{500, 7};
  for (const std::uint8_t paths : {std::uint8_t{2}, std::uint8_t{4}, std::uint8_t{8}}) {
    const Key target{net.random().bytes<32>()};
    Lookup lookup = lookup_from(net, 3, target, {Goal::nodes, Targets::full, paths});
    const Trail run = drive(net, lookup, region_of(500));
    EXPECT_EQ(run.asks.size(), run.asked.size());  // nobody twice
    auto expected = net.truly_closest(target, 9);
    std::erase(expected, net.nodes()[3]);
    EXPECT_EQ(lookup.closest(1).at(0), expected[0]);
  }
}

TEST(Lookup, AFloodOfNamesIsBounded) {
  Random random{{}};
  const Key target{random.bytes<32>()};
  Lookup lookup{target, {Goal::store, Targets::full, 1}, Key{}, at_second(0).mono};
  const NodeInfo liar{Key{random.bytes<32>()}, {public_host(1, 1), 1}};
  lookup.seed(std::span{&liar, 1});
  const Region everything = region_of(1);
  std::size_t asked = 0;
  std::uint32_t name = 2;
  while (!lookup.finished(everything)) {
    std::vector<Ask> asks;
    lookup.next(everything, asks);
    ASSERT_FALSE(asks.empty());
    for (const Ask& ask : asks) {
      ++asked;
      std::vector<NodeInfo> heard;
      for (int i = 0; i < 16; ++i) {
        NodeInfo fake{target, {public_host(name++, 1), 1}};
        fake.id.bytes[31 - name % 8] = static_cast<std::uint8_t>(random.next());
        fake.id.bytes[20] = static_cast<std::uint8_t>(name);
        heard.push_back(fake);
      }
      Lookup::Answer answer;
      answer.candidate = ask.candidate;
      answer.form = ask.form;
      answer.heard = heard;
      lookup.answered(answer);
    }
  }
  EXPECT_LE(asked, limits::queries + limits::alpha_raised);
}

TEST(Lookup, OneCandidateAnAddressAndOneOfANetworkCounts) {
  Random random{{}};
  const Key target{random.bytes<32>()};
  Lookup lookup{target, {}, Key{}, at_second(0).mono};
  std::vector<NodeInfo> names;
  for (std::uint16_t i = 0; i < 20; ++i)
    names.push_back({Key{random.bytes<32>()}, {public_host(1, 1), i}});  // one IP
  for (std::uint32_t i = 2; i < 30; ++i)
    names.push_back({Key{random.bytes<32>()}, {public_host(1, i), 9}});  // one /24
  lookup.seed(names);
  std::vector<Ask> asks;
  lookup.next(region_of(1000), asks);
  EXPECT_LE(asks.size(), 4U);
  Lookup local{target, {}, Key{}, at_second(0).mono};
  for (std::uint16_t i = 1; i <= 20; ++i) names[i - 1].endpoint = {IpAddress::v4(0x7f000001), i};
  local.seed(std::span{names}.first(20));
  asks.clear();
  local.next(region_of(1000), asks);
  EXPECT_EQ(asks.size(), limits::alpha);
}

// THREATS D6: nodes ground to sit around one key, who hide everybody else and keep nothing.
TEST(Lookup, SybilsAroundAKeyHideNoRecord) {
  struct Case {
    std::size_t sybils;
    std::uint32_t networks;
    int least;  // per cent
  };
  for (const Case& attack : {Case{20, 20, 99}, Case{100, 10, 99}, Case{100, 100, 95}}) {
    int found = 0;
    constexpr int rounds = 20;
    for (int i = 0; i < rounds; ++i) {
      ToyNetwork net{600, 50 + static_cast<std::uint64_t>(i)};
      const Key target{net.random().bytes<32>()};
      for (std::uint32_t s = 0; s < attack.sybils; ++s) {
        Key id{net.random().bytes<32>()};
        for (int bit = 0; bit < 14; ++bit) id.set_bit(bit, target.bit(bit));
        net.add_sybil(id, {public_host(5000 + s % attack.networks, 10 + s / attack.networks), 4000});
      }
      const Region region = region_of(600);
      Lookup store = lookup_from(net, 1, target, {Goal::store, Targets::truncated, 1});
      drive(net, store, region);
      std::set<Endpoint> holders;
      for (const Place& place : store.places(region)) holders.insert(place.endpoint);
      Lookup get = lookup_from(net, 2, target, {Goal::records, Targets::truncated, 1});
      drive(net, get, region, holders);
      found += get.values() > 0 ? 1 : 0;
    }
    EXPECT_GE(found * 100, attack.least * rounds) << attack.sybils << " in " << attack.networks;
  }
}

TEST(Lookup, WithNobodyToAskItIsOver) {
  Lookup lookup{Key{}, {Goal::records, Targets::truncated, 4}, Key{}, at_second(0).mono};
  EXPECT_TRUE(lookup.finished(region_of(1)));
  EXPECT_TRUE(lookup.closest(8).empty());
  EXPECT_EQ(lookup.depth(), 0);
}

TEST(Lookup, MoreSamplesAreAskedOfALargeSwarm) {
  Random random{{}};
  const Key target{random.bytes<32>()};
  Lookup lookup{target, {Goal::records, Targets::full, 1}, Key{}, at_second(0).mono};
  std::vector<NodeInfo> nodes;
  for (std::uint32_t i = 0; i < 8; ++i)
    nodes.push_back({Key{random.bytes<32>()}, {public_host(i + 1, 1), 1}});
  lookup.seed(nodes);
  const Region region = region_of(8);
  std::size_t asked_more = 0;
  while (!lookup.finished(region)) {
    std::vector<Ask> asks;
    lookup.next(region, asks);
    ASSERT_FALSE(asks.empty());
    for (const Ask& ask : asks) {
      asked_more += ask.form == Ask::Form::more ? 1 : 0;
      Lookup::Answer answer;
      answer.candidate = ask.candidate;
      answer.form = ask.form;
      answer.held = 64;
      answer.fresh = ask.form == Ask::Form::more ? 3 : 2;
      lookup.answered(answer);
    }
  }
  EXPECT_GE(lookup.values(), limits::records_wanted);
  EXPECT_GE(asked_more, 10U);
  EXPECT_LE(asked_more, 20U);
}

}  // namespace
}  // namespace shoal::dht
