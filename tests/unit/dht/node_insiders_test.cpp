// Who puts what into whole nodes: outsiders, who have no right to, and insiders, who have it and abuse it
// (THREATS A8, A9).
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::content;
using test::grow;
using test::LittleWorld;
using test::numbered;
using test::public_host;

class Insiders : public testing::Test {
 protected:
  // What a node gives to who asks under a key: a token for a put, and a record if there is one.
  struct Given {
    Bytes token, record;
  };
  Given ask(const Endpoint& from, std::size_t to, const Key& key) {
    Given out;
    world_.tap = [&](const Endpoint&, const Endpoint& receiver, ByteView bytes) {
      const auto message = NativeCodec{}.decode(bytes);
      const auto* reply = message && receiver == from ? std::get_if<Reply>(&*message) : nullptr;
      if (reply == nullptr) return;
      out.token = to_vector(reply->token);
      if (!reply->records.empty()) out.record = to_vector(*reply->records.begin());
    };
    send(from, to, GetRecordsQuery{key, NodesWanted::no});
    world_.tap = {};
    return out;
  }
  void put(const Endpoint& from, std::size_t to, const Key& key, const Bytes& token,
           const BuiltRecord& built) {
    send(from, to, PutRecordQuery{key, token, built.salt_v4, built.bytes});
  }
  void send(const Endpoint& from, std::size_t to, QueryBody body) {
    Query query;
    query.transaction = TransactionId::from(random_.next());
    query.body = body;
    Bytes bytes;
    NativeCodec{}.encode(query, bytes);
    world_.inject(from, to, bytes);
  }
  // A member announces as members do. Returns its record.
  Bytes announce(std::size_t number) {
    const BuiltRecord built =
        test::announcement(keys_, id_, number, world_.at(number).at.address, world_.now().wall, random_);
    EXPECT_NE(world_.wait<PutDone>(number, world_.put(number, keys_.key, built.bytes, built.salt_v4)),
              nullptr);
    return built.bytes;
  }
  [[nodiscard]] std::vector<std::pair<Key, Bytes>> all_stored() {
    std::vector<std::pair<Key, Bytes>> out;
    for (std::size_t i = 0; i < world_.size(); ++i)
      for (auto& entry : world_.node(i).stored_records()) out.push_back(std::move(entry));
    return out;
  }

  LittleWorld world_{8};
  Random random_{numbered("insider", 1)};
  ContentId id_ = content(1);
  EpochKeys keys_ = derive_epoch(id_, SwarmKeys{id_}.epoch_at(test::some_day));
};

// A8: an outsider knows a content's key, has read the records under it and holds a token of every node.
// Whatever it puts, nothing more is stored.
TEST_F(Insiders, A8OutsidersStoreNothingUnderAKeyThatTheyKnow) {
  grow(world_, 30, 60s);
  announce(5);
  const auto before = all_stored();
  ASSERT_GE(before.size(), 8U);
  const IpAddress own = public_host(900, 9);
  const AnnouncerKeys announcer = announcer_keys(numbered("outsider", 2), content(2), keys_.epoch);
  const EpochKeys theirs = derive_epoch(content(2), keys_.epoch);  // a swarm of their own
  EpochKeys lying = theirs;                                        // that shows the key of this one
  lying.swarm.public_key = keys_.swarm.public_key;
  lying.key = keys_.key;
  const auto inputs = test::inputs_for(announcer, own, world_.now().wall);
  std::array<int, 5> attempts{};
  for (std::uint32_t round = 0; round < 50; ++round) {
    const Endpoint from{own, static_cast<std::uint16_t>(4000 + round)};
    for (std::size_t to = 0; to < world_.size(); ++to) {
      const Given given = ask(from, to, keys_.key);
      BuiltRecord built;
      built.bytes = given.record;
      random_.fill(built.salt_v4);
      if (round % 5 == 0) built = build_record(theirs, announcer, inputs, random_);
      if (round % 5 == 1) built = build_record(lying, announcer, inputs, random_);
      if (given.token.empty() || built.bytes.empty()) continue;  // the others change what they have read
      const auto committed = commit(built.salt_v4, own);
      if (round % 5 >= 3) std::ranges::copy(committed, built.bytes.begin() + 77);
      if (round % 5 == 3) store_be(built.bytes.data() + 65, random_.next());  // another sequence
      if (round % 5 == 4) std::ranges::copy(announcer.signing.public_key, built.bytes.begin() + 33);
      put(from, to, keys_.key, given.token, built);
      ++attempts[round % 5];
    }
    world_.run(20s);
  }
  for (const int each : attempts) EXPECT_GE(each, 50);
  EXPECT_EQ(all_stored(), before);
  // The test can fail: a member, from there, is stored.
  const std::size_t there = world_.add({own, 4000});
  world_.bootstrap(there, {world_.at(0).at});
  world_.run(10s);
  const BuiltRecord member = build_record(keys_, announcer, inputs, random_);
  ASSERT_NE(world_.wait<PutDone>(there, world_.put(there, keys_.key, member.bytes, member.salt_v4)), nullptr);
  EXPECT_GT(all_stored().size(), before.size());
}

// A9: a thousand members from ten networks announce themselves to every node near the key, half of them
// before an honest one comes and half after. Whoever looks it up finds the honest one.
TEST_F(Insiders, A9AThousandFromTenNetworksHideNobody) {
  grow(world_, 100, 90s);
  const auto region = test::nearest(world_, keys_.key, 24);
  const auto crowd = [&](std::uint32_t from_number, std::uint32_t to_number) {
    for (std::uint32_t i = from_number; i < to_number; ++i) {
      const Endpoint from{public_host(3'000 + i % 10, 1 + i / 10), 4000};
      const BuiltRecord built =
          test::announcement(keys_, id_, 10'000 + i, from.address, world_.now().wall, random_);
      for (const std::size_t to : region) {
        const Given given = ask(from, to, keys_.key);
        if (!given.token.empty()) put(from, to, keys_.key, given.token, built);
      }
      world_.run(100ms);
    }
  };
  crowd(0, 500);
  const Bytes honest = announce(5);
  crowd(500, 1'000);
  std::size_t fakes = 0;
  for (const auto& [key, record] : world_.node(region[0]).stored_records()) fakes += record != honest ? 1 : 0;
  EXPECT_EQ(fakes, 40U) << "four of each network";
  const auto finds = [&](std::size_t number) {
    const SearchId search = world_.get(number, keys_.key);
    EXPECT_NE(world_.wait<SearchDone>(number, search), nullptr);
    return std::ranges::any_of(world_.values_of(number, search),
                               [&](const ReceivedRecord& one) { return one.record == honest; });
  };
  int at_once = 0, at_the_second = 0;
  constexpr int lookups = 400;
  for (int i = 0; i < lookups; ++i) {
    std::size_t who = 5;
    while (who == 5) who = random_.below(100);
    if (finds(who))
      ++at_once;
    else
      at_the_second += finds(who) ? 1 : 0;
    world_.run(1s);
  }
  EXPECT_GE(at_once + at_the_second, lookups * 99 / 100) << at_once << " by the first";
  RecordProperty("at_once", at_once);
}

}  // namespace
}  // namespace shoal::dht
