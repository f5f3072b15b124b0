// Nodes that speak mainline: peers and items go from node to node, ids fit their addresses, two families help
// each other, and nobody is made to amplify.
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dht/base/bencode.hpp"
#include "dht/identity.hpp"
#include "dht/mainline_id.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::Dialect;
using test::grow;
using test::LittleWorld;
using test::public_host;

const Key info_hash = mainline_key(ByteArray<20>{0x42, 7});

class MainlineNodes : public testing::Test {
 protected:
  std::vector<Endpoint> peers_of(std::size_t number, SearchId search) {
    std::vector<Endpoint> out;
    for (const auto& seen : world_.at(number).events)
      if (const auto* found = std::get_if<SearchPeers>(&seen.event);
          found != nullptr && found->search == search)
        out.insert(out.end(), found->peers.begin(), found->peers.end());
    return out;
  }
  std::vector<Endpoint> get_peers(std::size_t number) {
    const SearchId search =
        world_.with(number, [](Node& n, Now t, NodeOutput& out) { return n.get_peers(t, info_hash, out); });
    const auto* done = world_.wait<SearchDone>(number, search);
    EXPECT_TRUE(done != nullptr && done->outcome == SearchOutcome::finished);
    return peers_of(number, search);
  }
  PutDone announce(std::size_t number, const PeerPut& self) {
    const SearchId search = world_.with(
        number, [&](Node& n, Now t, NodeOutput& out) { return n.announce_peer(t, info_hash, self, out); });
    const auto* done = world_.wait<PutDone>(number, search);
    return done != nullptr ? *done : PutDone{};
  }
  std::optional<Item> get_item(std::size_t number, const Key& target, std::string_view salt = {}) {
    const SearchId search = world_.with(number, [&](Node& n, Now t, NodeOutput& out) {
      return n.get_item(t, target, to_vector(as_bytes(salt)), out);
    });
    EXPECT_NE(world_.wait<SearchDone>(number, search), nullptr);
    std::optional<Item> newest;
    for (const auto& seen : world_.at(number).events)
      if (const auto* found = std::get_if<SearchItem>(&seen.event);
          found != nullptr && found->search == search) {
        EXPECT_TRUE(!newest || newest->sequence < found->item.sequence);
        newest = found->item;
      }
    return newest;
  }
  PutDone put_item(std::size_t number, const Item& item, std::optional<std::int64_t> expected = {}) {
    const SearchId search = world_.with(
        number, [&](Node& n, Now t, NodeOutput& out) { return n.put_item(t, item, expected, out); });
    const auto* done = world_.wait<PutDone>(number, search);
    return done != nullptr ? *done : PutDone{};
  }
  // The replies of node 0 to a packet from an endpoint that it has never heard of.
  std::vector<Bytes> replies_to(const Query& query, const Endpoint& from) {
    Bytes bytes;
    KrpcCodec{}.encode(query, bytes);
    asked_ = bytes.size();
    std::vector<Bytes> out;
    world_.tap = [&](const Endpoint& sender, const Endpoint& to, ByteView sent) {
      if (sender == world_.at(0).at && to == from) out.push_back(to_vector(sent));
    };
    world_.inject(from, 0, bytes);
    world_.tap = {};
    return out;
  }
  static Query query_with(QueryBody body) {
    Query query;
    query.transaction = TransactionId::from(5);
    query.sender = mainline_key(ByteArray<20>{1, 2, 3});
    query.role = SenderRole::read_only;
    query.body = body;
    return query;
  }
  LittleWorld world_{21, Dialect::mainline};
  std::size_t asked_ = 0;
  std::vector<Bytes> raw_;  // what the views of the latest reply point into
};

TEST_F(MainlineNodes, WhoIsAnnouncedIsFoundFromEverywhere) {
  grow(world_, 60, 60s);
  const PutDone stored = announce(7, {.port = 6881});
  EXPECT_GE(stored.stored, 8U);
  EXPECT_EQ(stored.refused, 0U);
  const PutDone implied = announce(9, {.port_is = PortIs::source, .completeness = Completeness::seed});
  EXPECT_GE(implied.stored, 8U);
  const std::set expected{Endpoint{world_.at(7).at.address, 6881}, world_.at(9).at};
  for (std::size_t i = 0; i < 60; ++i) {
    const auto found = get_peers(i);
    EXPECT_EQ(std::set(found.begin(), found.end()), expected) << i;
    EXPECT_EQ(found.size(), expected.size());  // each once
  }
}

// Where two nodes are all there is, who has the content can store his word with the other alone.
TEST_F(MainlineNodes, WhoHasAContentSaysSoHimself) {
  grow(world_, 2, 20s);
  EXPECT_TRUE(get_peers(1).empty());
  world_.node(0).hold_peer(info_hash, Completeness::seed);
  EXPECT_EQ(get_peers(1), std::vector{world_.at(0).at});
  world_.node(0).forget(info_hash);
  EXPECT_TRUE(get_peers(1).empty());
}

TEST_F(MainlineNodes, ItemsAreFoundAndReplacedByNewer) {
  grow(world_, 40, 60s);
  const auto key = crypto::SigningKey::from_seed(ByteArray<32>{5});
  const auto item = [&](std::int64_t sequence, std::string_view value) {
    return make_item(key, to_vector(as_bytes("salt")), sequence, to_vector(as_bytes(value)));
  };
  const Key target = mutable_target(key.public_key, as_bytes("salt"));
  EXPECT_FALSE(get_item(1, target, "salt"));
  EXPECT_GE(put_item(2, item(1, "3:one")).stored, 8U);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(get_item(i, target, "salt"), item(1, "3:one")) << i;
  EXPECT_FALSE(get_item(3, target, "pepper"));  // somebody else's place: signed for another salt
  const PutDone unexpected = put_item(4, item(2, "3:two"), 7);  // not the one that is kept
  EXPECT_GE(unexpected.refused, 8U);
  EXPECT_LE(unexpected.stored, 2U);  // a place at the edge may have none
  EXPECT_GE(put_item(4, item(2, "3:two"), 1).stored, 8U);
  const PutDone old = put_item(5, item(1, "3:one"));
  EXPECT_GE(old.refused, 8U);
  EXPECT_LE(old.stored, 2U);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(get_item(i, target, "salt"), item(2, "3:two")) << i;
  Item plain;
  plain.value = to_vector(as_bytes("996:" + std::string(996, 'x')));
  EXPECT_GE(put_item(6, plain).stored, 8U);
  EXPECT_EQ(get_item(39, immutable_target(plain.value)), plain);
}

// BEP 42: a node learns its address from the others and takes an id that fits; who does not is in nobody's
// table.
TEST_F(MainlineNodes, IdsFitTheirAddresses) {
  grow(world_, 20, 30s);
  NodeConfig config;
  config.membership = Membership::full;
  const std::size_t fresh = world_.add({public_host(100, 7), 4000}, config);
  EXPECT_FALSE(bep42_valid(world_.node(fresh).position(), world_.at(fresh).at.address));
  world_.bootstrap(fresh, {world_.at(3).at});
  world_.run(60s);
  EXPECT_EQ(world_.node(fresh).external_address(), world_.at(fresh).at.address);
  EXPECT_TRUE(bep42_valid(world_.node(fresh).position(), world_.at(fresh).at.address));
  EXPECT_GE(world_.node(fresh).stats().contacts, 15U);
  config.external = public_host(555, 1);  // an id for another address
  config.scope = Scope::internet;
  const std::size_t liar = world_.add({public_host(101, 7), 4000}, config);
  world_.tap = [&](const Endpoint& from, const Endpoint&, ByteView) {
    if (from == world_.at(liar).at) ++asked_;
  };
  const Key claimed = world_.node(liar).position();
  world_.bootstrap(liar, {world_.at(3).at});
  world_.run(2s);  // it learns better soon
  EXPECT_GT(asked_, 3U);
  for (std::size_t i = 0; i < fresh; ++i)
    for (const SavedContact& contact : world_.node(i).contacts_to_save(world_.now()))
      EXPECT_TRUE(contact.endpoint != world_.at(liar).at || world_.node(liar).position() != claimed);
}

// BEP 32: a host that knows nobody of IPv6 learns of them from those it talks to by IPv4.
TEST_F(MainlineNodes, OneFamilyLeadsToTheOther) {
  const auto six = [](std::uint32_t n) {
    Bytes raw(16, 0);
    raw[0] = 0x20, raw[1] = 0x01, raw[2] = 0x48, raw[3] = 0x60;
    store_be(raw.data() + 4, n << 16U);  // each a /48 of its own
    raw[15] = 1;
    return Endpoint{IpAddress::from_bytes(raw), 4000};
  };
  std::vector<std::size_t> fours, sixes;
  for (std::uint32_t i = 0; i < 20; ++i) {
    fours.push_back(world_.add_public(i + 1));
    sixes.push_back(world_.add(six(i + 1)));
    world_.stand_beside(fours.back(), sixes.back());
    if (i == 0) continue;
    world_.bootstrap(fours.back(), {world_.at(fours.front()).at});
    if (i < 10) world_.bootstrap(sixes.back(), {world_.at(sixes.front()).at});  // the others know none
    world_.run(1s);
  }
  world_.run(120s);
  for (std::size_t i = 10; i < 20; ++i) EXPECT_GE(world_.node(sixes[i]).stats().contacts, 8U) << i;
}

TEST_F(MainlineNodes, NobodyIsMadeToAmplify) {
  grow(world_, 20, 30s);
  const Endpoint victim{public_host(999, 9), 4000};
  for (int i = 0; i < 60; ++i) {
    world_.run(1s);
    ASSERT_TRUE(
        announce(1 + static_cast<std::size_t>(i) % 19, {.port = static_cast<std::uint16_t>(i + 1)}).stored);
  }
  Item large;
  large.value = to_vector(as_bytes("996:" + std::string(996, 'x')));
  put_item(1, large);
  const Key large_target = immutable_target(large.value);
  GetPeersQuery scrape{info_hash, false, true};
  const AnnouncePeerQuery announcing{info_hash, as_bytes("nonsense"), 1, PortIs::stated,
                                     Completeness::downloader};
  const PutItemQuery putting{as_bytes("nonsense"), large.view(), {}};
  for (const QueryBody& body : std::initializer_list<QueryBody>{
           PingQuery{}, FindQuery{info_hash}, GetPeersQuery{info_hash}, scrape,
           GetItemQuery{large_target, {}}, SampleQuery{info_hash}, announcing, putting}) {
    world_.run(1min);
    std::size_t sent = 0;
    for (const Bytes& reply : replies_to(query_with(body), victim)) sent += reply.size();
    EXPECT_GT(sent, 0U) << body.index();
    EXPECT_LE(sent, 3 * asked_) << body.index();
  }
}

// A cut reply still leads on: it has nodes, and where there are peers, peers.
TEST_F(MainlineNodes, ACutReplyHasSomeOfEach) {
  grow(world_, 20, 30s);
  for (std::size_t i = 1; i < 20; ++i) announce(i, {.port = 1});
  const auto replies = replies_to(query_with(GetPeersQuery{info_hash}), {public_host(999, 9), 4000});
  ASSERT_FALSE(replies.empty());
  const auto message = KrpcCodec{}.decode(replies.front());
  ASSERT_TRUE(message && std::holds_alternative<Reply>(*message));
  const auto& reply = std::get<Reply>(*message);
  EXPECT_GE(reply.peers.size(), 4U);
  EXPECT_GE(reply.nodes.size(), 1U);
  EXPECT_FALSE(reply.token.empty());
  EXPECT_EQ(reply.observed, (Endpoint{public_host(999, 9), 4000}));
}

TEST_F(MainlineNodes, SamplesAndNewsOfItemsAreTold) {
  grow(world_, 20, 30s);
  const Endpoint stranger{public_host(999, 9), 4000};
  const auto reply_to = [&](QueryBody body) {
    raw_ = replies_to(query_with(body), stranger);
    const auto message = raw_.empty() ? fail(Code::malformed, "silence") : KrpcCodec{}.decode(raw_.front());
    EXPECT_TRUE(message && std::holds_alternative<Reply>(*message));
    return message && std::holds_alternative<Reply>(*message) ? std::get<Reply>(*message) : Reply{};
  };
  for (std::size_t i = 1; i < 20; ++i) announce(i, {.port = 1});
  const Reply samples = reply_to(SampleQuery{info_hash});
  ASSERT_TRUE(samples.sample.has_value());
  EXPECT_EQ(samples.sample->held, 1U);
  EXPECT_GT(samples.sample->interval_s, 0U);
  ASSERT_EQ(samples.sample->keys.size(), mainline_id_bytes);
  EXPECT_EQ(mainline_key(samples.sample->keys), info_hash);

  const auto key = crypto::SigningKey::from_seed(ByteArray<32>{5});
  const Item item = make_item(key, {}, 7, to_vector(as_bytes("i1e")));
  const Key target = target_of(item.view());
  ASSERT_GE(put_item(1, item).stored, 8U);
  world_.run(1min);
  const Reply older = reply_to(GetItemQuery{target, 6});
  ASSERT_TRUE(older.item.has_value());
  EXPECT_EQ(older.item->sequence, 7);
  const Reply newest = reply_to(GetItemQuery{target, 7});
  EXPECT_FALSE(newest.item.has_value());
  EXPECT_EQ(newest.item_sequence, 7);
}

// BEP 44: a value of 1,000 bytes with a salt of 64. With token, key and signature it is longer than any
// datagram that we are content with sending otherwise.
TEST_F(MainlineNodes, TheLargestItemIsKept) {
  grow(world_, 20, 30s);
  const auto key = crypto::SigningKey::from_seed(ByteArray<32>{5});
  const std::string salt(64, 's');
  const Item item = make_item(key, to_vector(as_bytes(salt)), std::numeric_limits<std::int64_t>::max(),
                              to_vector(as_bytes("996:" + std::string(996, 'x'))));
  EXPECT_GE(put_item(1, item).stored, 8U);
}

TEST_F(MainlineNodes, TokensAreAskedFor) {
  grow(world_, 3, 10s);
  const Endpoint stranger{public_host(999, 9), 4000};
  const auto failure_of = [&](QueryBody body) -> std::optional<Refusal> {
    const auto replies = replies_to(query_with(body), stranger);
    if (replies.empty()) return {};
    const auto message = KrpcCodec{}.decode(replies.front());
    const auto* failure = message ? std::get_if<Failure>(&*message) : nullptr;
    return failure != nullptr ? std::optional{failure->reason} : std::nullopt;
  };
  EXPECT_EQ(failure_of(AnnouncePeerQuery{info_hash, as_bytes("nonsense"), 1, PortIs::stated,
                                         Completeness::downloader}),
            Refusal::malformed);  // BEP 5: 203
  Item item;
  item.value = to_vector(as_bytes("i1e"));
  EXPECT_EQ(failure_of(PutItemQuery{as_bytes("nonsense"), item.view(), {}}), Refusal::malformed);
  EXPECT_EQ(world_.node(0).stats().records, 0U);
}

}  // namespace
}  // namespace shoal::dht
