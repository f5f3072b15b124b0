// A node among enemies: forged replies, floods, amplification, budgets, hijacked endpoints, curious
// strangers.
#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dht/identity.hpp"
#include "dht/limits.hpp"
#include "dht/proof.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::content;
using test::grow;
using test::LittleWorld;
using test::numbered;
using test::public_host;

Bytes encoded(const Message& message) {
  Bytes out;
  NativeCodec{}.encode(message, out);
  return out;
}

// A node whose key is at hand, so that it can answer as it likes.
struct Puppet {
  Puppet(std::uint64_t number, const Endpoint& where)
      : key(crypto::SigningKey::from_seed(numbered("puppet", number))),
        at(where),
        position(position_of(key.public_key, where.address)) {}
  Reply reply_to(const Query& query, const Endpoint& asker, WallTime wall) const {
    Reply reply;
    reply.transaction = query.transaction;
    reply.sender = position;
    reply.observed = asker;
    reply.proof =
        prove(key, {query.transaction, query.sender.value_or(Key{}), position, asker}, unix_ms(wall));
    return reply;
  }
  crypto::SigningKey key;
  Endpoint at;
  Key position;
};

// The victim's queries to a puppet, caught on the wire.
struct Wire {
  explicit Wire(LittleWorld& world) {
    world.tap = [this](const Endpoint& from, const Endpoint& to, ByteView bytes) {
      const auto message = NativeCodec{}.decode(bytes);
      if (!message) return;
      if (const auto* query = std::get_if<Query>(&*message); query != nullptr)
        queries.push_back({from, to, query->transaction, query->sender, query->proof, query->body.index()});
    };
  }
  struct Caught {
    Endpoint from, to;
    TransactionId transaction;
    std::optional<Key> sender;
    ProofWanted proof;
    std::size_t kind;
  };
  std::vector<Caught> queries;
};

Query as_query(const Wire::Caught& caught) {
  Query query;
  query.transaction = caught.transaction;
  query.sender = caught.sender;
  return query;
}

class HostileTest : public testing::Test {
 protected:
  HostileTest() { victim_ = world_.add_public(1); }
  void ask_puppet(const Puppet& puppet) {
    wire_.queries.clear();
    world_.bootstrap(victim_, {puppet.at});
    ASSERT_EQ(wire_.queries.size(), 1U);
  }
  [[nodiscard]] std::size_t contacts() { return world_.node(victim_).stats().contacts; }

  LittleWorld world_{1};
  Wire wire_{world_};
  std::size_t victim_ = 0;
};

TEST_F(HostileTest, TheHonestPuppetIsAdmitted) {
  const Puppet puppet{1, {public_host(9, 9), 99}};
  ask_puppet(puppet);
  world_.inject(
      puppet.at, victim_,
      encoded(puppet.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall)));
  EXPECT_EQ(contacts(), 1U);
}

TEST_F(HostileTest, WrongTransactionOrAddressInsertsNothing) {
  const Puppet puppet{1, {public_host(9, 9), 99}};
  ask_puppet(puppet);
  const Reply good = puppet.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall);
  Random random{{}};
  for (int i = 0; i < 20'000; ++i) {
    Reply forged = good;
    forged.transaction = TransactionId::from(random.next());
    // From where it was asked: a guess in 2^64. Budgets drop most of it unread.
    world_.inject(puppet.at, victim_, encoded(forged));
  }
  EXPECT_EQ(contacts(), 0U);
  world_.inject({puppet.at.address, 100}, victim_, encoded(good));
  world_.inject({public_host(8, 9), 99}, victim_, encoded(good));
  EXPECT_EQ(contacts(), 0U);
}

TEST_F(HostileTest, AFalseProofInsertsNothing) {
  const Endpoint us = world_.at(victim_).at;
  const Puppet puppet{1, {public_host(9, 9), 99}};
  const Puppet other{2, {public_host(10, 9), 99}};
  const auto attempt = [&](auto change) {
    wire_.queries.clear();
    world_.run(10s);  // earlier attempts are over
    const std::size_t before = wire_.queries.size();
    world_.bootstrap(victim_, {puppet.at});
    if (wire_.queries.size() == before) return;  // asked again by upkeep already
    const auto query = as_query(wire_.queries.back());
    Reply reply = puppet.reply_to(query, us, world_.now().wall);
    change(reply, query);
    world_.inject(puppet.at, victim_, encoded(reply));
  };
  attempt([](Reply& r, const Query&) { r.proof->signature[7] ^= 4; });
  EXPECT_EQ(contacts(), 0U);
  attempt([](Reply& r, const Query&) { r.sender.bytes[5] ^= 1; });
  EXPECT_EQ(contacts(), 0U);
  attempt([&](Reply& r, const Query&) { r.observed = Endpoint{public_host(55, 5), 5}; });
  EXPECT_EQ(contacts(), 0U);
  attempt([](Reply& r, const Query&) { r.proof.reset(); });
  EXPECT_EQ(contacts(), 0U);
  // A true signature, but the position belongs to another address: a stolen or ground id.
  attempt([&](Reply& r, const Query& q) { r = other.reply_to(q, us, world_.now().wall); });
  EXPECT_EQ(contacts(), 0U);
  // A replay of another query's reply under this one's transaction.
  attempt([&](Reply& r, const Query&) {
    Query old;
    old.transaction = TransactionId::from(99);
    const TransactionId now = r.transaction;
    r = puppet.reply_to(old, us, world_.now().wall);
    r.transaction = now;
  });
  EXPECT_EQ(contacts(), 0U);
  EXPECT_FALSE(world_.node(victim_).external_address() == IpAddress(public_host(55, 5)));
}

TEST_F(HostileTest, HearsayInsertsNothing) {
  const Puppet puppet{1, {public_host(9, 9), 99}};
  ask_puppet(puppet);
  Reply reply = puppet.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall);
  for (std::uint32_t i = 0; i < 16; ++i) {
    const Puppet silent{100 + i, {public_host(200 + i, 9), 99}};
    reply.nodes.push({silent.position, silent.at});
  }
  world_.inject(puppet.at, victim_, encoded(reply));
  world_.run(60s);
  EXPECT_LE(contacts(), 1U);
}

TEST_F(HostileTest, HearsayOfPrivateOrMismatchedAddressesIsNotEvenAsked) {
  const Puppet puppet{1, {public_host(9, 9), 99}};
  ask_puppet(puppet);
  Reply reply = puppet.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall);
  std::set<Endpoint> forbidden;
  for (const char* text : {"127.0.0.1:22", "10.0.0.1:80", "192.168.0.1:80", "169.254.1.1:80",
                           "224.0.0.1:5353", "0.0.0.0:1", "100.64.0.1:7"}) {
    const Endpoint endpoint = Endpoint::parse(text).value();
    forbidden.insert(endpoint);
    reply.nodes.push({Key{numbered("n", forbidden.size())}, endpoint});
  }
  const Endpoint stranger{public_host(77, 7), 7};  // its id does not carry its address
  forbidden.insert(stranger);
  reply.nodes.push({Key{}, stranger});
  for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{1023}}) {  // services of others
    const Endpoint service{public_host(79, 7), port};
    forbidden.insert(service);
    reply.nodes.push({Puppet{port, service}.position, service});
  }
  forbidden.insert({public_host(78, 7), 0});
  reply.nodes.push({Puppet{5, {public_host(78, 7), 0}}.position, {public_host(78, 7), 0}});
  world_.inject(puppet.at, victim_, encoded(reply));
  world_.find(victim_, Key{});
  world_.run(60s);
  for (const auto& query : wire_.queries) EXPECT_FALSE(forbidden.contains(query.to)) << query.to.to_string();
}

// What a link names to start from may be anywhere; it is no way into a private network (THREATS A30).
TEST_F(HostileTest, NobodyIsAskedInPrivatePlaces) {
  wire_.queries.clear();
  std::vector<Endpoint> named;
  for (const char* text : {"127.0.0.1:4000", "10.0.0.1:4000", "192.168.0.1:4000", "169.254.1.1:4000",
                           "224.0.0.1:4000", "0.0.0.0:4000", "100.64.0.1:4000", "255.255.255.255:4000"})
    named.push_back(Endpoint::parse(text).value());
  const Endpoint fine{public_host(80, 1), 4000};
  named.push_back(fine);
  world_.bootstrap(victim_, named);
  world_.run(60s);
  ASSERT_FALSE(wire_.queries.empty());
  for (const auto& query : wire_.queries) EXPECT_EQ(query.to, fine) << query.to.to_string();
}

TEST_F(HostileTest, AnotherIdAtAKnownEndpointEvictsTheOld) {
  const Puppet first{1, {public_host(9, 9), 99}};
  ask_puppet(first);
  world_.inject(
      first.at, victim_,
      encoded(first.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall)));
  ASSERT_EQ(contacts(), 1U);
  wire_.queries.clear();
  world_.ping(victim_, first.at);
  ASSERT_FALSE(wire_.queries.empty());
  const Puppet hijacker{2, first.at};
  world_.inject(
      first.at, victim_,
      encoded(hijacker.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall)));
  ASSERT_EQ(contacts(), 1U);
  wire_.queries.clear();
  const SearchId search = world_.find(victim_, Key{});
  ASSERT_EQ(wire_.queries.size(), 1U);
  world_.inject(
      first.at, victim_,
      encoded(hijacker.reply_to(as_query(wire_.queries[0]), world_.at(victim_).at, world_.now().wall)));
  const auto* done = world_.wait<SearchDone>(victim_, search);
  ASSERT_NE(done, nullptr);
  ASSERT_EQ(done->closest.size(), 1U);
  EXPECT_EQ(done->closest[0].id, hijacker.position);
}

TEST_F(HostileTest, AnswersWeighAtMostThreeTimesTheQuestionUntilTheAddressIsProven) {
  LittleWorld world{2};
  grow(world, 40, 60s);
  for (const Membership role : {Membership::earned, Membership::visiting}) {
    const std::size_t guest = world.add_public(static_cast<std::uint32_t>(300 + world.size()), role);
    world.bootstrap(guest, {world.at(0).at, world.at(1).at});
  }
  world.run(30s);
  Random random{{}};
  std::map<Endpoint, std::size_t> in, out;
  world.tap = [&](const Endpoint&, const Endpoint& to, ByteView bytes) { out[to] += bytes.size(); };
  const auto key = content(1);
  const Bytes nonsense(8), record(record_bytes);
  int answered = 0;  // puts
  for (std::uint32_t i = 0; i < 420; ++i) {
    const Endpoint spoofed{public_host(5000 + i, 3), 53};
    const Puppet fake{i, spoofed};
    Query query;
    query.transaction = TransactionId::from(random.next());
    query.proof = ProofWanted::yes;
    PutRecordQuery put;
    put.target = Key{key};
    put.token = nonsense;
    put.record = record;
    switch (i % 6) {
      case 0:
        query.sender = fake.position;
        query.body = PingQuery{};
        break;
      case 1:
        query.sender = fake.position;
        query.body = FindQuery{Key{random.bytes<32>()}};
        break;
      case 2:
        query.body = GetRecordsQuery{Key{key}, NodesWanted::yes};
        break;
      case 3:
        query.sender = fake.position;
        query.probe = ProbeWanted::yes;
        query.body = PingQuery{};
        break;
      case 4:
        query.body = put;
        break;
      default:
        query.sender = fake.position;
        query.body = ProbeQuery{{public_host(6000, 3), 4000}};
        break;
    }
    const Bytes bytes = encoded(query);
    in[spoofed] += bytes.size();
    world.inject(spoofed, i % world.size(), bytes);
    answered += i % 6 == 4 && out[spoofed] > 0 ? 1 : 0;
  }
  world.run(10s);
  EXPECT_GT(answered, 50);
  std::size_t all_in = 0;
  for (const auto& [endpoint, bytes] : in) {
    EXPECT_LE(out[endpoint], 3 * bytes) << endpoint.to_string();
    all_in += bytes;
  }
  // And the third party that probes were aimed at.
  EXPECT_LE((out[Endpoint{public_host(6000, 3), 4000}]), 3 * all_in);
  EXPECT_LE((out[Endpoint{public_host(6000, 3), 4000}]), 200U * 128);
}

TEST_F(HostileTest, MalformedDatagramsGetSilence) {
  Random random{{}};
  std::size_t sent = 0;
  world_.tap = [&](const Endpoint&, const Endpoint&, ByteView) { ++sent; };
  for (int i = 0; i < 2000; ++i) {
    Bytes junk(static_cast<std::size_t>(random.below(300)));
    random.fill(junk);
    if (i % 2 == 0 && !junk.empty()) junk[0] = native_first_byte;
    world_.inject({public_host(static_cast<std::uint32_t>(i), 3), 53}, victim_, junk);
  }
  EXPECT_EQ(sent, 0U);
  EXPECT_EQ(world_.node(victim_).stats().dropped, 2000U);
}

TEST_F(HostileTest, AFloodFromOneAddressIsCut) {
  std::size_t answers = 0;
  world_.tap = [&](const Endpoint&, const Endpoint&, ByteView) { ++answers; };
  Query query;
  query.transaction = TransactionId::from(1);
  query.body = PingQuery{};
  const Bytes ping = encoded(query);
  for (int i = 0; i < 5000; ++i) world_.inject({public_host(3, 3), 53}, victim_, ping);
  EXPECT_LE(answers, 61U);
  answers = 0;
  for (int i = 0; i < 500; ++i) world_.inject({IpAddress::v4(0xc0a80105), 53}, victim_, ping);
  EXPECT_EQ(answers, 500U);  // a LAN is not a stranger
}

TEST_F(HostileTest, APutNeedsATokenOfItsAddressAndKey) {
  LittleWorld world{3};
  const std::size_t storer = world.add_public(1);
  const auto id = content(1);
  const EpochKeys keys = derive_epoch(id, SwarmKeys{id}.epoch_at(world.now().wall));
  const Endpoint announcer{public_host(9, 9), 99};
  Random random{{}};
  const BuiltRecord record = test::announcement(keys, id, 1, announcer.address, world.now().wall, random);
  Bytes token;
  std::vector<Message> answers;
  std::optional<Refusal> refusal;
  world.tap = [&](const Endpoint&, const Endpoint&, ByteView bytes) {
    const auto message = NativeCodec{}.decode(bytes);
    if (!message) return;
    if (const auto* reply = std::get_if<Reply>(&*message); reply != nullptr && !reply->token.empty())
      token = to_vector(reply->token);
    if (const auto* failure = std::get_if<Failure>(&*message)) refusal = failure->reason;
  };
  Query get;
  get.transaction = TransactionId::from(1);
  get.body = GetRecordsQuery{keys.key, NodesWanted::yes};
  world.inject(announcer, storer, encoded(get));
  ASSERT_EQ(token.size(), 8U);
  const auto put_from = [&](const Endpoint& from, const Key& target, const Bytes& with) {
    Query put;
    put.transaction = TransactionId::from(2);
    PutRecordQuery body;
    body.target = target;
    body.token = with;
    body.salt = record.salt_v4;
    body.record = record.bytes;
    put.body = body;
    refusal.reset();
    world.inject(from, storer, encoded(put));
    return world.node(storer).stats().records;
  };
  EXPECT_EQ(put_from({public_host(10, 9), 99}, keys.key, token), 0U);  // another address
  EXPECT_EQ(refusal, Refusal::bad_token);
  EXPECT_EQ(put_from({announcer.address, 98}, keys.key, token), 0U);  // another port
  Key other = keys.key;
  other.bytes[0] ^= 1;
  EXPECT_EQ(put_from(announcer, other, token), 0U);
  EXPECT_EQ(put_from(announcer, keys.key, Bytes(8, 0)), 0U);
  EXPECT_EQ(put_from(announcer, keys.key, token), 1U);
  EXPECT_FALSE(refusal);
}

TEST_F(HostileTest, StrangersOnTheWayDoNotSeeTheKey) {
  LittleWorld world{4};
  grow(world, 150, 90s);
  const auto id = content(5);
  const EpochKeys keys = derive_epoch(id, SwarmKeys{id}.epoch_at(world.now().wall));
  std::map<Endpoint, int> saw_key;
  bool named = false;
  const Endpoint us = world.at(9).at;
  world.tap = [&](const Endpoint& from, const Endpoint& to, ByteView bytes) {
    if (from != us) return;
    const auto message = NativeCodec{}.decode(bytes);
    if (!message) return;
    const auto* query = std::get_if<Query>(&*message);
    if (query == nullptr) return;
    const auto found = std::search(bytes.begin(), bytes.end(), keys.key.bytes.begin(), keys.key.bytes.end());
    if (found == bytes.end()) return;
    ++saw_key[to];
    named = named || query->sender.has_value();
  };
  const SearchId search = world.get(9, keys.key);
  ASSERT_NE(world.wait<SearchDone>(9, search), nullptr);
  EXPECT_FALSE(named);
  ASSERT_FALSE(saw_key.empty());
  const auto near = test::nearest(world, keys.key, 40);
  for (const auto& [endpoint, count] : saw_key) {
    const std::size_t number = *world.who(endpoint);
    EXPECT_NE(std::find(near.begin(), near.end(), number), near.end());
  }
}

TEST_F(HostileTest, OneLiarCannotMoveOurAddress) {
  LittleWorld world{5};
  grow(world, 12, 20s);
  const std::size_t node = world.add_public(300, Membership::earned);
  Wire wire{world};
  const Puppet liar{1, {public_host(400, 4), 44}};
  world.bootstrap(node, {world.at(0).at, world.at(1).at, world.at(2).at, liar.at});
  for (const auto& query : wire.queries) {
    if (query.to != liar.at) continue;
    world.inject(liar.at, node,
                 encoded(liar.reply_to(as_query(query), {public_host(666, 6), 6}, world.now().wall)));
    break;
  }
  world.run(20s);
  EXPECT_EQ(world.node(node).external_address(), world.at(node).at.address);
}

// Whoever asks and could enter the table is asked back; far from us, no more than a measured number of them.
TEST_F(HostileTest, AskersFromFarAreVerifiedAtAMeasuredPace) {
  LittleWorld world{7};
  grow(world, 100, 60s);  // so few that the victim's buckets have room for all who ask
  const std::size_t victim = 3;
  const Endpoint us = world.at(victim).at;
  std::set<Endpoint> asked;
  world.tap = [&](const Endpoint& from, const Endpoint& to, ByteView bytes) {
    if (from != us || world.who(to)) return;
    const auto message = NativeCodec{}.decode(bytes);
    if (message && std::holds_alternative<Query>(*message)) asked.insert(to);
  };
  Random random{{}};
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Puppet puppet{i, {public_host(2000 + i, 9), 99}};
    Query query;
    query.transaction = TransactionId::from(random.next());
    query.sender = puppet.position;
    query.body = PingQuery{};
    world.inject(puppet.at, victim, encoded(query));
    world.run(30ms);
  }
  EXPECT_GE(asked.size(), 16U);
  EXPECT_LE(asked.size(), 110U);  // of 180 that could enter
}

}  // namespace
}  // namespace shoal::dht
