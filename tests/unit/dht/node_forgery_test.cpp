// A node and the forgers, at full size: replies that nobody was asked for, ids that are not theirs, records
// that only members may write (THREATS A4, A5, A8).
#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dht/identity.hpp"
#include "dht/mainline_id.hpp"
#include "dht/proof.hpp"
#include "tests/full_size.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using shoal::test::sized;
using test::at_second;
using test::Dialect;
using test::numbered;
using test::public_host;

std::unique_ptr<Codec> codec_of(Dialect dialect) {
  if (dialect == Dialect::native) return std::make_unique<NativeCodec>();
  return std::make_unique<KrpcCodec>();
}

// What gets past the guard is what the node decodes.
struct CountingCodec final : Codec {
  CountingCodec(Dialect dialect, std::uint64_t& decoded) : inner(codec_of(dialect)), count(&decoded) {}
  [[nodiscard]] DialectTraits traits() const override { return inner->traits(); }
  [[nodiscard]] Result<Message> decode(ByteView datagram) const override {
    ++*count;
    return inner->decode(datagram);
  }
  void encode(const Message& message, Bytes& out) const override { inner->encode(message, out); }
  [[nodiscard]] ReplyCost reply_cost(Family family) const override { return inner->reply_cost(family); }
  std::unique_ptr<Codec> inner;
  std::uint64_t* count;
};

// One node, whose every correspondent is played by the test.
class Forgery : public testing::TestWithParam<Dialect> {
 protected:
  struct Asked {  // a query of the node's, in flight
    Endpoint to;
    Query query;
  };
  Forgery() {
    crypto::initialise();
    NodeConfig config;
    config.external = public_host(1, 7);
    config.membership = Membership::full;
    config.identity = crypto::SigningKey::from_seed(numbered("victim", 1));
    Random random{{}};
    node_.emplace(now_, config, std::make_unique<CountingCodec>(GetParam(), decoded_), random.fork("node"));
  }
  // Somebody at this place, and the id that is rightly his.
  static Endpoint place(std::uint32_t n) { return {public_host(100 + n, 9), 4000}; }
  Key id_at(const IpAddress& address, const crypto::SigningKey& key) {
    return native() ? position_of(key.public_key, address) : mainline_position(address, random_);
  }
  [[nodiscard]] static bool native() { return GetParam() == Dialect::native; }

  void advance(Duration span) {
    now_.mono += span;
    now_.wall += std::chrono::duration_cast<std::chrono::milliseconds>(span);
    node_->tick(now_, out_);
    collect();
  }
  void collect() {
    for (const Datagram& datagram : out_.datagrams) {
      const auto message = codec_->decode(datagram.bytes);
      if (message && std::holds_alternative<Query>(*message))
        asked_.push_back({datagram.to, std::get<Query>(*message)});
      else if (message)
        replied_ = datagram.bytes;
    }
    out_.datagrams.clear();
    out_.events.clear();
  }
  void ping(const Endpoint& to) {
    node_->ping(now_, to, out_);
    collect();
  }
  void hand_in(const Endpoint& from, const Message& message) {
    bytes_.clear();
    codec_->encode(message, bytes_);
    node_->handle(now_, from, bytes_, out_);
    collect();
  }
  // The true answer of who has this key and stands where the query went.
  Reply answer(const Asked& asked, const crypto::SigningKey& key) {
    Reply reply;
    reply.transaction = asked.query.transaction;
    reply.sender = id_at(asked.to.address, key);
    reply.observed = us_;
    if (native())
      reply.proof = prove(key, {reply.transaction, asked.query.sender.value_or(Key{}), reply.sender, us_},
                          unix_ms(now_.wall));
    return reply;
  }
  // Who is in the table near a target, as the node tells a stranger.
  std::vector<NodeInfo> told(const Key& target) {
    Query query;
    query.transaction = TransactionId::from(7);
    query.sender = id_at(stranger_.address, crypto::SigningKey::from_seed(numbered("stranger", 1)));
    query.role = SenderRole::read_only;
    query.body = FindQuery{target};
    replied_.clear();
    hand_in(stranger_, query);
    const auto message = codec_->decode(replied_);
    if (!message || !std::holds_alternative<Reply>(*message)) return {};
    const auto& nodes = std::get<Reply>(*message).nodes;
    return {nodes.begin(), nodes.end()};
  }

  std::unique_ptr<Codec> codec_ = codec_of(GetParam());
  Random random_{numbered("forger", 1)};
  Now now_ = at_second(0);
  Endpoint us_{public_host(1, 7), 4000}, stranger_{public_host(99'999, 1), 4000};
  std::uint64_t decoded_ = 0;
  std::optional<Node> node_;
  NodeOutput out_;
  std::vector<Asked> asked_;
  Bytes bytes_, replied_;
};

// A4. All of them pass the guard, while 250 queries are in flight to the very endpoints they come from; some
// bear the number of another query, or the right one from a wrong port or host, or all but a byte of it.
TEST_P(Forgery, A4ForgedRepliesInsertNothing) {
  const std::uint64_t forged = sized(200'000, 1'000'000);
  constexpr std::uint32_t places = 250, a_second = 3'000;
  const auto liar = crypto::SigningKey::from_seed(numbered("liar", 1));
  std::vector<Reply> replies;  // each would be believed if its number were right
  for (std::uint32_t n = 0; n < places; ++n) replies.push_back(answer({place(n), {}}, liar));
  std::uint64_t genuine_decoded = 0;
  for (std::uint64_t i = 0; i < forged; ++i) {
    if (i % a_second == 0) {
      if (i % (2 * a_second) == 0) {
        asked_.clear();
        for (std::uint32_t n = 0; n < places; ++n) ping(place(n));
        ASSERT_EQ(asked_.size(), places);
      }
      ASSERT_GE(node_->stats().transactions, places) << "queries are in flight";
    }
    now_.mono += 1'000'000us / a_second;
    const Asked& asked = asked_[i % places];
    const auto n = static_cast<std::uint32_t>(i % places);
    Reply& reply = replies[n];
    Endpoint from = asked.to;
    const std::uint64_t number = *asked.query.transaction.number();
    switch (random_.below(8)) {
      case 0:  // of a query to somebody else
        reply.transaction = asked_[(i + 1 + random_.below(places - 1)) % places].query.transaction;
        break;
      case 1:
        reply.transaction = asked.query.transaction;
        ++from.port;
        break;
      case 2:
        reply.transaction = asked.query.transaction;
        from.address = public_host(100 + n, 10);
        break;
      case 3:
        reply.transaction = TransactionId::from(number ^ (1 + random_.below(255)) << 8 * random_.below(8));
        break;
      default:
        reply.transaction = TransactionId::from(random_.next());
    }
    const std::uint64_t before = decoded_;
    hand_in(from, reply);
    genuine_decoded += decoded_ - before;
  }
  EXPECT_EQ(genuine_decoded, forged) << "the guard let all of them through";
  EXPECT_EQ(node_->stats().replies_in, 0U);
  EXPECT_EQ(node_->stats().contacts, 0U);
  // The test can fail: the right number from the right place is believed.
  advance(10s);
  asked_.clear();
  ping(place(0));
  ASSERT_EQ(asked_.size(), 1U);
  hand_in(place(0), answer(asked_[0], liar));
  EXPECT_EQ(node_->stats().contacts, 1U);
}

// A5. Who answers in another's place, or with another's name, changes one of the fields that bind a name to a
// key and an address: what is signed, what is said, who signs, or the whole from another pair's exchange.
// Sixteen honest nodes are in the table, and their names are all that it ever holds.
TEST_P(Forgery, A5WrongBindingsNeverEnterTheTable) {
  const std::uint64_t attempts = sized(10'000, 100'000);
  constexpr std::uint32_t honest = 16, places = 200;
  const auto key_of = [](std::uint32_t n) { return crypto::SigningKey::from_seed(numbered("honest", n)); };
  const auto thief = crypto::SigningKey::from_seed(numbered("thief", 1));
  std::map<Endpoint, Key> names;
  std::map<Endpoint, Reply> earlier;  // of the same pair, under another number
  const auto answer_truly = [&](const Asked& asked, std::uint32_t n) {
    Reply reply = answer(asked, key_of(n));
    if (const auto name = names.find(asked.to); !native() && name != names.end()) reply.sender = name->second;
    names[asked.to] = reply.sender;
    earlier[asked.to] = reply;
    hand_in(asked.to, reply);
  };
  const auto meet_the_honest = [&] {
    for (std::uint32_t n = 0; n < honest; ++n) {
      asked_.clear();
      ping(place(n));
      const std::vector<Asked> asked = asked_;
      for (const Asked& one : asked)
        if (one.to == place(n)) answer_truly(one, n);
    }
  };
  meet_the_honest();
  const std::size_t entered = node_->stats().contacts;
  ASSERT_GE(entered, honest / 2U);
  std::uint64_t wrong = 0, made = 0;
  const auto count_wrong = [&] {
    for (int i = 0; i < 4; ++i)
      for (const NodeInfo& node : told(Key{random_.bytes<32>()})) {
        const auto name = names.find(node.endpoint);
        wrong += name == names.end() || name->second != node.id ? 1 : 0;
      }
    wrong += node_->stats().contacts > honest ? 1 : 0;
  };
  for (std::uint64_t i = 0; made < attempts; ++i) {
    advance(50ms);
    asked_.clear();
    ping(place(static_cast<std::uint32_t>(i % places)));
    const std::vector<Asked> all = asked_;
    for (const Asked& asked : all) {
      const bool known = names.contains(asked.to);
      Reply reply = answer(asked, known ? key_of(static_cast<std::uint32_t>(i % places)) : thief);
      const ProofSubject right{reply.transaction, asked.query.sender.value_or(Key{}), reply.sender, us_};
      ProofSubject said = right;
      const IpAddress elsewhere = public_host(50'000 + static_cast<std::uint32_t>(random_.below(9'999)), 1);
      const std::uint64_t kind = native() ? random_.below(11) : 11 + random_.below(3);
      switch (kind) {
        case 0:
          reply.proof->signature[random_.below(64)] ^= static_cast<std::uint8_t>(1U << random_.below(8));
          break;
        case 1:  // another nonce
          said.transaction = TransactionId::from(random_.next());
          break;
        case 2:  // meant for another asker
          said.asker = Key{random_.bytes<32>()};
          break;
        case 3:  // signed for one name, said by another
          reply.sender.bytes[random_.below(32)] ^= static_cast<std::uint8_t>(1U << random_.below(8));
          break;
        case 4:
          reply.observed = Endpoint{elsewhere, 4000};
          break;
        case 5:
          ++reply.observed->port;
          break;
        case 6:  // another's key under a signature
          reply.proof->public_key = thief.public_key;
          reply.proof->public_key[random_.below(32)] ^= 1;
          break;
        case 7:  // the whole of an earlier exchange of the same pair, or of another
          reply =
              std::next(earlier.begin(), static_cast<std::ptrdiff_t>(random_.below(earlier.size())))->second;
          reply.transaction = asked.query.transaction;
          break;
        case 8:  // truly signed, with a name that belongs to another address
          reply.sender = position_of(thief.public_key, elsewhere);
          reply.proof = prove(thief, {right.transaction, right.asker, reply.sender, us_}, unix_ms(now_.wall));
          break;
        case 9:  // truly signed, with an honest node's name
          reply.sender = names.begin()->second;
          reply.proof = prove(thief, {right.transaction, right.asker, reply.sender, us_}, unix_ms(now_.wall));
          break;
        case 10:
          if (known) continue;  // without a proof who is known is only heard
          reply.proof.reset();
          break;
        case 11:  // mainline: any name, that of another address, that of an honest node
          reply.sender = mainline_key(random_.bytes<20>());
          break;
        case 12:
          reply.sender = mainline_position(elsewhere, random_);
          break;
        default:
          reply.sender =
              std::next(names.begin(), static_cast<std::ptrdiff_t>(random_.below(names.size())))->second;
      }
      if (said.transaction.number() != right.transaction.number() || said.asker != right.asker)
        reply.proof = prove(thief, said, unix_ms(now_.wall));
      if (!native() && bep42_valid(reply.sender, asked.to.address)) continue;  // one in 2^21 by chance
      hand_in(asked.to, reply);
      ++made;
    }
    if (i % 500 == 0) {
      count_wrong();
      meet_the_honest();  // whom liars have answered for is met again
    }
  }
  count_wrong();
  EXPECT_EQ(wrong, 0U) << "of " << made;
  advance(400s);
  meet_the_honest();
  EXPECT_GE(node_->stats().contacts, entered / 2) << "the honest still enter";
}

// A5: an id that changes at its address is taken out, and its neighbours in the bucket are asked for their
// proofs anew, though all were proven a moment ago; who stands elsewhere is not. (Mainline has no proofs:
// every reply is compared with the id that was known.)
using NativeForgery = Forgery;
TEST_P(NativeForgery, A5AnIdThatChangesMakesItsBucketProveItselfAgain) {
  const auto own = node_->position();
  const auto key_of = [](std::uint32_t n) { return crypto::SigningKey::from_seed(numbered("one", n)); };
  std::vector<std::uint32_t> near, far;  // in one bucket, and in another
  for (std::uint32_t n = 0; near.size() < 4 || far.size() < 4; ++n) {
    const int bucket = shared_prefix(own, id_at(place(n).address, key_of(n)));
    if (bucket == 0 && near.size() < 4) near.push_back(n);
    if (bucket == 1 && far.size() < 4) far.push_back(n);
  }
  std::set<Endpoint> proving;  // who was asked for a proof
  const auto answer_all = [&] {
    const std::vector<Asked> all = std::exchange(asked_, {});
    for (const Asked& asked : all)
      for (const auto* list : {&near, &far})
        for (const std::uint32_t n : *list) {
          if (asked.to != place(n)) continue;
          if (asked.query.proof == ProofWanted::yes) proving.insert(asked.to);
          Reply reply = answer(asked, key_of(n));
          if (asked.query.proof == ProofWanted::no) reply.proof.reset();
          hand_in(asked.to, reply);
        }
  };
  for (const auto* list : {&near, &far})
    for (const std::uint32_t n : *list) {
      ping(place(n));
      answer_all();
    }
  ASSERT_EQ(node_->stats().contacts, 8U);
  const auto ask_everybody = [&] {
    proving.clear();
    node_->find_node(now_, own, 1, out_);
    for (int i = 0; i < 50; ++i) {
      advance(100ms);
      answer_all();
    }
  };
  ask_everybody();
  EXPECT_TRUE(proving.empty()) << "proven within 15 minutes";
  asked_.clear();
  ping(place(near[0]));
  ASSERT_FALSE(asked_.empty());
  const Asked asked = asked_.back();
  hand_in(asked.to, answer(asked, crypto::SigningKey::from_seed(numbered("another", 1))));
  near.erase(near.begin());
  asked_.clear();
  ask_everybody();
  std::set<Endpoint> expected;
  for (const std::uint32_t n : near) expected.insert(place(n));
  EXPECT_EQ(proving, expected);
}

constexpr auto named = [](const auto& dialect) {
  return dialect.param == Dialect::native ? "Native" : "Mainline";
};
INSTANTIATE_TEST_SUITE_P(Dialects, Forgery, testing::Values(Dialect::native, Dialect::mainline), named);
INSTANTIATE_TEST_SUITE_P(Dialects, NativeForgery, testing::Values(Dialect::native), named);

}  // namespace
}  // namespace shoal::dht
