// A10 at the size of a network: what all nodes keep for others, and every query that crosses the wires, shows
// neither what is shared nor who shares it.
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "cli/sim/dht_people.hpp"
#include "dht/native_codec.hpp"
#include "tests/full_size.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;
using shoal::test::sized;

// Texts, any eight bytes of which are a hit (of a compact endpoint, all six).
class Forbidden {
 public:
  void add(ByteView text) {
    std::uint64_t word = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      word = word << 8 | text[at];
      if (at + 1 >= long_bytes) long_.insert(word);
    }
    if (text.size() == short_bytes) short_.insert(word);
  }
  [[nodiscard]] bool in(ByteView text) const {
    std::uint64_t word = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      word = word << 8 | text[at];
      if (at + 1 >= short_bytes && short_.contains(word & short_mask)) return true;
      if (at + 1 >= long_bytes && long_.contains(word)) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t long_bytes = 8, short_bytes = 6;
  static constexpr std::uint64_t short_mask = (std::uint64_t{1} << 8 * short_bytes) - 1;
  // Nearly every word is told at the first look.
  class Words {
   public:
    void insert(std::uint64_t word) {
      words_.insert(word);
      marks_[mark_of(word)] = true;
    }
    [[nodiscard]] bool contains(std::uint64_t word) const {
      return marks_[mark_of(word)] && words_.contains(word);
    }

   private:
    static constexpr int mark_bits = 24;
    static std::size_t mark_of(std::uint64_t word) {
      return (word * 0x9E3779B97F4A7C15ULL) >> (64 - mark_bits);
    }
    std::unordered_set<std::uint64_t> words_;
    std::vector<bool> marks_ = std::vector<bool>(std::size_t{1} << mark_bits);
  };
  Words long_, short_;
};

TEST(Privacy, A10NothingKeptOrAskedShowsWhatIsSharedOrByWhom) {
  const std::size_t nodes = sized(150, 10'000), contents = sized(20, 200), lookups = sized(120, 2'000);
  DhtWorldConfig config{.seed = 10};
  if (nodes > real_signatures_up_to) config.signatures = &keyed_hash;
  DhtWorld world(config);
  Census census(world);
  Random random{{}};
  Forbidden ids, keys, endpoints;  // of contents; of nodes, with their positions; of announcers
  for (std::size_t i = 0; i < nodes; ++i) {
    const bool nat = i % 10 < 3;
    const NodeNumber node = world.add(
        {nat ? Access::nat : Access::open, nat ? dht::Membership::earned : dht::Membership::full, true});
    census.update(node);
    keys.add(crypto::SigningKey::from_seed(world.secret(node)).public_key);
    keys.add(world.node(node).position().bytes);
  }
  std::uint64_t asked = 0, of_records = 0, hits = 0, replies_with_endpoints = 0;
  const dht::NativeCodec codec;
  world.tap = [&](NodeNumber, const Endpoint&, ByteView bytes) {
    hits += ids.in(bytes) ? 1 : 0;  // of all datagrams
    const auto message = codec.decode(bytes);
    ASSERT_TRUE(message);
    const auto* query = std::get_if<dht::Query>(&*message);
    if (query == nullptr) {
      replies_with_endpoints += endpoints.in(bytes) ? 1 : 0;
      return;
    }
    ++asked;
    // A probe names whom it is for, which is its only purpose; who asks for nodes gives its own name.
    if (!std::holds_alternative<dht::ProbeQuery>(query->body)) hits += endpoints.in(bytes) ? 1 : 0;
    if (!std::holds_alternative<dht::GetRecordsQuery>(query->body) &&
        !std::holds_alternative<dht::PutRecordQuery>(query->body))
      return;
    ++of_records;
    hits += query->sender || keys.in(bytes) ? 1 : 0;
  };
  fill_tables(world, census, 10s);
  world.run_until(world.now().mono + 14s);

  std::vector<dht::EpochKeys> swarms;
  for (std::size_t i = 0; i < contents; ++i) {
    const dht::ContentId id = random.bytes<32>();
    ids.add(id);
    swarms.push_back(dht::derive_epoch(id, 20'000));
    for (int announcers = 0; announcers < 3; ++announcers) {
      const auto node = static_cast<NodeNumber>(random.below(nodes));
      endpoints.add(world.endpoint(node).compact());
      const auto announcer = dht::announcer_keys(world.secret(node), id, 20'000);
      dht::RecordInputs inputs;
      inputs.endpoints = {world.endpoint(node)};
      inputs.sequence = dht::next_sequence(announcer, world.now().wall, 0);
      inputs.expiry = dht::draw_expiry(world.now().wall, random);
      inputs.v4 = world.endpoint(node).address;
      const auto record = dht::build_record(swarms.back(), announcer, inputs, random, world.signatures());
      world.with(node, [&](dht::Node& engine, Now now, dht::NodeOutput& out) {
        engine.hold(swarms.back().key, record.bytes);
        return engine.put_record(now, swarms.back().key, record.bytes, record.salt_v4, out);
      });
    }
  }
  world.run_until(world.now().mono + 20s);
  std::uint64_t found = 0;
  world.on_event = [&](NodeNumber, const dht::Event& event) {
    const auto* done = std::get_if<dht::SearchDone>(&event);
    found += done != nullptr && done->stats.values > 0 ? 1 : 0;
  };
  for (std::size_t i = 0; i < lookups; ++i) {
    const Key& key = swarms[random.below(swarms.size())].key;
    world.with(static_cast<NodeNumber>(random.below(nodes)),
               [&](dht::Node& engine, Now now, dht::NodeOutput& out) {
                 return engine.get_records(now, key, 1, out);
               });
    world.run_until(world.now().mono + 20ms);
  }
  world.run_until(world.now().mono + 15s);

  std::uint64_t kept = 0;
  for (NodeNumber node = 0; node < world.size(); ++node)
    for (const auto& [key, record] : world.node(node).stored_records()) {
      ++kept;
      hits += ids.in(record) || keys.in(record) || endpoints.in(record) ? 1 : 0;
    }
  EXPECT_EQ(hits, 0U);
  EXPECT_GE(found * 10, lookups * 9) << "there was something to see; who keeps it himself asks for no more";
  EXPECT_GE(kept, 3 * contents * 6);
  EXPECT_GT(of_records, lookups * 5);
  EXPECT_GT(replies_with_endpoints, 0U) << "whoever looks for endpoints finds those that nodes pass on";
  RecordProperty("queries", std::to_string(asked));
  RecordProperty("of_records", std::to_string(of_records));
  RecordProperty("kept", std::to_string(kept));
}

}  // namespace
}  // namespace shoal::sim
