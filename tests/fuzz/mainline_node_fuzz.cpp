// A node of mainline's DHT among others who say what the fuzzer wants, mostly in good form: queries of every
// kind, with the tokens that it gave them or others, replies to what it asked, times, and searches of its
// own.
//
// Held throughout: nobody is in its table who has not answered it; to who has not, an answer is three times
// the question at most (THREATS A11); what it sends it would read; an item that it hands on or keeps is
// genuine.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>

#include "dht/base/check.hpp"
#include "dht/krpc_codec.hpp"
#include "dht/limits.hpp"
#include "dht/mainline_id.hpp"
#include "dht/node.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::dht;
using fuzz::Script;

constexpr std::uint32_t places = 24;

Endpoint place(std::uint32_t number) {  // each in a network of its own, but for pairs on one host
  return {IpAddress::v4((20U << 24) + (number / 2 << 12) + 1), static_cast<std::uint16_t>(2000 + number)};
}

// What is dear to make, once for all inputs.
struct Authors {
  Authors() {
    crypto::initialise();
    key = crypto::SigningKey::from_seed({});
    for (std::int64_t sequence = 0; sequence < 4; ++sequence)
      items.push_back(make_item(key, to_vector(as_bytes("salt")), sequence, to_vector(as_bytes("5:value"))));
    items.emplace_back().value = to_vector(as_bytes("i7e"));  // an immutable one
    for (std::uint32_t who = 0; who < places; ++who) {
      Random random{ByteArray<32>{static_cast<std::uint8_t>(who)}};
      ids.push_back(mainline_position(place(who).address, random));
    }
  }
  crypto::SigningKey key;
  std::vector<Item> items;
  std::vector<Key> ids;  // as BEP 42 has them
};

class World {
 public:
  World(Script& in, const Authors& known) : script(in), authors(known) {
    NodeConfig config;
    config.identity = crypto::SigningKey::from_seed({});
    if (script.flag()) config.external = IpAddress::v4(0x15000001);
    if (script.flag()) config.membership = Membership::full;
    node = std::make_unique<Node>(now, config, std::make_unique<KrpcCodec>(), Random{{}});
  }

  void step() {
    switch (script.byte() % 12) {
      case 0:
        return arrive(number(), script.take(script.byte()));
      case 1:
      case 2:
      case 3:
      case 4:
        return ask();
      case 5:
      case 6:
      case 7:
        return answer();
      case 8:
      case 9:
        return pass();
      case 10: {
        const Endpoint whom = place(number());
        return node->bootstrap(now, std::span{&whom, 1}, out), settle();
      }
      default:
        return search();
    }
  }
  void end() const {
    for (const auto& [key, bytes] : node->stored_records()) SHOAL_CHECK(!bytes.empty());
    SHOAL_CHECK(node->contacts_to_save(now).size() <= answered.size() + places);
  }

 private:
  struct Asked {
    Endpoint to;
    TransactionId id;
  };

  std::uint32_t number() { return script.byte() % places; }
  Key key() {  // one of few, so that what is put is found
    const std::uint8_t which = script.byte();
    if (which < 64) return target_of(authors.items[which % authors.items.size()].view());
    if (which < 96) return node->position();
    return mainline_key(ByteArray<20>{static_cast<std::uint8_t>(which % 8), 1});
  }
  Key id_of(std::uint32_t who) {
    if (script.byte() % 4 == 0) return mainline_key(script.array<20>(3));
    return authors.ids[who];
  }

  QueryBody body(std::uint32_t who) {
    const Key target = key();
    const Bytes& token = tokens[script.byte() % 4 == 0 ? number() : who];
    switch (script.byte() % 8) {
      case 0:
        return PingQuery{};
      case 1:
        return FindQuery{target};
      case 2:
        return GetPeersQuery{target, script.flag(), script.flag()};
      case 3: {
        const auto port = static_cast<std::uint16_t>(script.number(6881));
        return AnnouncePeerQuery{target, token, port,
                                 port == 0 || script.flag() ? PortIs::source : PortIs::stated,
                                 script.flag() ? Completeness::seed : Completeness::downloader};
      }
      case 4:
        return GetItemQuery{target,
                            script.flag() ? std::optional<std::int64_t>{script.byte()} : std::nullopt};
      case 5: {
        const Item& item = authors.items[script.byte() % authors.items.size()];
        return PutItemQuery{token, item.view(),
                            script.flag() ? std::optional<std::int64_t>{script.byte() % 4} : std::nullopt};
      }
      case 6: {  // whatever value and sequence, with a signature that is not of it
        forged = authors.items.front();
        forged.sequence = script.byte();
        return PutItemQuery{token, forged.view(), std::nullopt};
      }
      default:
        return SampleQuery{target};
    }
  }

  void ask() {
    const std::uint32_t who = number();
    Query query;
    query.transaction = TransactionId::from(script.byte());
    query.transaction.size = static_cast<std::uint8_t>(1 + script.byte() % 8);
    query.sender = id_of(who);
    if (script.byte() % 8 == 0) query.role = SenderRole::read_only;
    query.wants_v4 = script.flag();
    query.wants_v6 = script.byte() % 4 == 0;
    query.body = body(who);
    send(who, Message{query});
  }

  void answer() {
    if (asked.empty()) return;
    const Asked question = asked[asked.size() - 1 - script.byte() % asked.size()];
    const std::uint8_t form = script.byte();
    const std::uint32_t who = number_of(question.to);
    if (who >= places) return;
    if (form % 16 == 0) return send(who, Message{Failure{question.id, Refusal::rejected}});
    Reply reply;
    reply.transaction = question.id;
    reply.sender = id_of(who);
    if ((form & 1) != 0) reply.observed = Endpoint{IpAddress::v4(0x15000000 + script.byte() % 4), 6881};
    if ((form & 2) != 0)
      for (int i = script.byte() % 9; i > 0; --i) {
        const std::uint32_t other = number();
        reply.nodes.push({id_of(other), place(other)});
      }
    const Bytes token(1 + script.byte() % 20, 7);
    if ((form & 4) != 0) reply.token = token;
    if ((form & 8) != 0)
      for (int i = script.byte() % 60; i > 0; --i) reply.peers.push_back(place(number()));
    const Item& item = authors.items[script.byte() % authors.items.size()];
    if ((form & 16) != 0) reply.item = item.view();
    if ((form & 32) != 0) reply.item_sequence = script.byte();
    if ((form & 64) != 0) reply.sample = Reply::Sample{{}, script.byte(), 60};
    answered.insert(question.to);
    send(who, Message{reply});
  }

  void pass() {
    const Duration ahead = std::chrono::milliseconds{script.byte() << (script.byte() % 16)};
    now.mono += ahead;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(ahead);
    for (int turns = 0; turns == 0 || node->next_wake() <= now.mono; ++turns) {
      SHOAL_CHECK(turns < 100);  // it sleeps at last
      node->tick(now, out);
      settle();
    }
  }

  void search() {
    const Key target = key();
    switch (script.byte() % 7) {
      case 0:
        searches[node->get_item(now, target, to_vector(as_bytes("salt")), out)] = target;
        break;
      case 1:
        node->get_peers(now, target, out);
        break;
      case 2:
        node->announce_peer(now, target, {6881, PortIs::stated, Completeness::seed}, out);
        break;
      case 3:
        node->put_item(now, authors.items[script.byte() % authors.items.size()], std::nullopt, out);
        break;
      case 4:
        node->find_node(now, target, 1 + script.byte() % 8, out);
        break;
      case 5:
        node->hold_peer(target, Completeness::seed);
        break;
      default:
        node->forget(target);
    }
    settle();
  }

  void send(std::uint32_t who, const Message& message) {
    Bytes bytes;
    codec.encode(message, bytes);
    arrive(who, bytes);
  }
  void arrive(std::uint32_t who, ByteView bytes) {
    const Endpoint from = place(who);
    node->handle(now, from, bytes, out);
    const bool question = bytes.size() <= limits::datagram_read && asks(bytes);
    std::size_t back = 0;
    for (const Datagram& datagram : out.datagrams)
      if (datagram.to.address == from.address) back += datagram.bytes.size();
    if (question && !has_answered(from.address)) SHOAL_CHECK(back <= 3 * bytes.size());
    settle();
  }
  bool asks(ByteView bytes) const {
    const auto message = codec.decode(bytes);
    return message && std::holds_alternative<Query>(*message);
  }
  bool has_answered(const IpAddress& address) const {
    return std::ranges::any_of(answered, [&](const Endpoint& each) { return each.address == address; });
  }
  static std::uint32_t number_of(const Endpoint& endpoint) {
    for (std::uint32_t n = 0; n < places; ++n)
      if (place(n) == endpoint) return n;
    return places;
  }

  void settle() {
    SHOAL_CHECK(out.datagrams.size() <= 1024);
    for (const Datagram& datagram : out.datagrams) {
      SHOAL_CHECK(datagram.bytes.size() <= codec.traits().max_datagram);
      const auto message = codec.decode(datagram.bytes);
      SHOAL_CHECK(message.has_value());  // we never send what we would refuse
      if (const auto* query = std::get_if<Query>(&*message)) {
        if (asked.size() >= 256) asked.erase(asked.begin());
        asked.push_back({datagram.to, query->transaction});
      } else if (const auto* reply = std::get_if<Reply>(&*message)) {
        const std::uint32_t who = number_of(datagram.to);
        if (who < places && !reply->token.empty()) tokens[who] = to_vector(reply->token);
      }
    }
    for (const Event& event : out.events)
      if (const auto* found = std::get_if<SearchItem>(&event))
        if (const auto search = searches.find(found->search); search != searches.end())
          SHOAL_CHECK(check_item(found->item.view(), as_bytes("salt"), search->second));
    out.datagrams.clear();
    out.events.clear();
    SHOAL_CHECK(node->stats().contacts <= answered.size());
  }

  Script& script;
  const Authors& authors;
  Now now{Instant{std::chrono::seconds{1000}}, WallTime{std::chrono::milliseconds{1'760'000'000'000}}};
  const KrpcCodec codec;
  std::unique_ptr<Node> node;
  NodeOutput out;
  std::vector<Asked> asked;
  std::set<Endpoint> answered;
  std::array<Bytes, places> tokens{};
  std::map<SearchId, Key> searches;
  Item forged;
};

}  // namespace

// A whole node with its tables, and up to 300 steps of it.
const shoal::fuzz::Bounds shoal::fuzz::bounds{
    .time = std::chrono::milliseconds{50}, .heap_per_byte = 0, .heap = 4 << 20};

void shoal::fuzz::one(ByteView input) {
  static const Authors authors;
  Script script{input};
  World world{script, authors};
  for (int step = 0; step < 300 && !script.empty(); ++step) {
    world.step();
    stepped();
  }
  world.end();
}
