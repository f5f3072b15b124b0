// Those who lie about where others are: whom can they make us write to (THREATS A12, A30)?
#include "dht/identity.hpp"
#include "dht/krpc_codec.hpp"
#include "dht/mainline_id.hpp"
#include "dht/native_codec.hpp"
#include "dht/proof.hpp"
#include "dht/record.hpp"
#include "tests/scenarios/alone.hpp"
#include "tests/unit/swarm/spellings.hpp"

namespace shoal::sim {
namespace {

// Rewrites answers of the DHT as it likes: other nodes, peers and records, all of them well made. What an
// answer proves stays as it was.
class Liar {
 public:
  std::function<Endpoint()> place;        // whom it names next
  std::optional<dht::ContentId> insider;  // of this content it makes records
  std::size_t nodes = 8, peers = 50;      // of an answer
  Random lots{ByteArray<32>{12}};

  void falsify(Bytes& datagram, WallTime wall) {
    const bool native = !datagram.empty() && datagram.front() == dht::native_first_byte;
    const dht::NativeCodec our;
    const dht::KrpcCodec their;
    const dht::Codec& codec = native ? static_cast<const dht::Codec&>(our) : their;
    const Bytes before = datagram;
    auto message = codec.decode(before);
    auto* reply = message ? std::get_if<dht::Reply>(&*message) : nullptr;
    if (reply == nullptr) return;
    lie(*reply, native, wall);
    codec.encode(*message, datagram);
  }
  void lie(dht::Reply& reply, bool native, WallTime wall) {
    reply.nodes = {};
    for (std::size_t i = 0; i < nodes; ++i) {
      const Endpoint at = place();
      reply.nodes.push(
          {native ? dht::position_of(lots.bytes<32>(), at.address) : dht::mainline_position(at.address, lots),
           at});
    }
    records_.clear();
    if (native && insider) {
      dht::SwarmKeys keys{*insider};
      const dht::EpochKeys& epoch = keys.current(wall);
      const dht::AnnouncerKeys nobody = dht::announcer_keys(lots.bytes<32>(), *insider, epoch.epoch);
      dht::RecordInputs inputs;
      inputs.endpoints = {place(), place(), place()};
      inputs.sequence = dht::next_sequence(nobody, wall, 0);
      inputs.expiry = dht::draw_expiry(wall, lots);
      records_.push_back(dht::build_record(epoch, nobody, inputs, lots).bytes);
      reply.records = {};
      reply.records.push(records_.front());
      reply.records_held = 1'000;
    }
    reply.peers.clear();
    while (!native && reply.peers.size() < peers) reply.peers.push_back(place());
  }

 private:
  std::vector<Bytes> records_;
};

// ---- A12

// The most packets within ten minutes.
std::uint64_t most_in_ten_minutes(const std::vector<Instant>& packets) {
  std::uint64_t most = 0;
  for (std::size_t first = 0, last = 0; last < packets.size(); ++last) {
    while (packets[first] + 10min <= packets[last]) ++first;
    most = std::max<std::uint64_t>(most, last - first + 1);
  }
  return most;
}

// All storers of both DHTs collude: whatever they are asked, their answers name one silent host, as node,
// as peer and in records, at ever other ports. It hears of each peer three packets in ten minutes.
TEST(Victim, A12OfAllThatStorersNameItHearsThreePacketsInTenMinutes) {
  World world{12};
  std::vector<MachineId> storers{
      start(world, {.role = swarm::Role::bootstrap_node, .native = true, .mainline = true})};
  const auto join = [&](swarm::Role role) {
    return start(world, {.role = role,
                         .bootstrap = {world.endpoint(storers.front()), world.endpoint(storers.back())},
                         .native = true,
                         .mainline = true});
  };
  while (storers.size() < 12) storers.push_back(join(swarm::Role::bootstrap_node));
  world.run_for(30s);
  const Oracle film = Oracle::single("film", 300'000, 1), diary = Oracle::single("diary", 300'000, 2);
  std::vector<MachineId> members{join(swarm::Role::member)};
  const auto path = film.plant(world.machine(members[0]));
  ASSERT_TRUE(path);
  const auto open = world.share(members[0], *path, 0, storage::Format::hybrid);
  const auto sealed = share(world, members[0], diary);
  ASSERT_TRUE(open && sealed);
  for (int i = 0; i < 2; ++i) {
    members.push_back(join(swarm::Role::member));
    swarm::OpenContent get;
    get.id = (*open)->id;
    get.is_public = true;
    get.v1 = (*open)->v1;
    world.open(members.back(), get);
    world.get(members.back(), sealed->id, {});
  }
  const HostId victim = world.network().add_host({});
  world.network().start(victim);
  world.network().set_plugged(victim, false);
  const IpAddress target = world.endpoint(victim).address;

  Liar liar;
  liar.insider = sealed->id;
  liar.place = [&] { return Endpoint{target, static_cast<std::uint16_t>(1024 + liar.lots.below(60'000))}; };
  for (const MachineId storer : storers)
    world.machine(storer).before_output = [&](swarm::Output& output) {
      if (auto* out = std::get_if<swarm::DatagramOut>(&output)) liar.falsify(out->bytes, world.wall());
    };
  std::map<MachineId, std::vector<Instant>> packets;
  std::uint64_t dials = 0, datagrams = 0;
  for (const MachineId member : members)
    world.machine(member).before_output = [&, member](swarm::Output& output) {
      if (const auto* out = std::get_if<swarm::DatagramOut>(&output); out && out->to.address == target) {
        packets[member].push_back(world.now());
        ++datagrams;
      } else if (const auto* dial = std::get_if<swarm::Dial>(&output); dial && dial->to.address == target) {
        packets[member].resize(packets[member].size() + dial->syns, world.now());
        ++dials;
      }
    };
  world.run_for(45min);
  for (const MachineId member : members) {
    EXPECT_LE(most_in_ten_minutes(packets[member]), 3U) << member;
    EXPECT_GE(packets[member].size(), 3U) << "the lies reach it";
  }
  EXPECT_GT(dials, 0U);
  EXPECT_GT(datagrams, 0U);
}

// ---- A30

struct Places {
  std::vector<Endpoint> refused, allowed;
};

// Of all spellings; those of private places near us are for the user alone.
Places places(bool named) {
  namespace all = swarm::test;
  Places out;
  const auto add = [](std::vector<Endpoint>& to, auto& spellings) {
    for (const char* text : spellings)
      if (const auto endpoint = Endpoint::parse(text)) to.push_back(*endpoint);
  };
  add(out.refused, all::never_dialled);
  add(out.refused, all::private_elsewhere);
  // A machine of the virtual world knows of its IPv4 subnet alone.
  std::vector<Endpoint> near;
  add(near, all::private_near);
  for (const Endpoint& each : near)
    (named && each.address.family == Family::v4 ? out.allowed : out.refused).push_back(each);
  add(out.allowed, all::global);
  // Known to be our own only once others have told us so.
  std::erase(out.refused, *Endpoint::parse("198.17.5.9:5000"));
  return out;
}

// A peer at home, behind 192.168.1.7 and fd00:1::7, with both dialects; one node that answers all its
// questions and lies. Where it sends and dials is kept.
class Lured {
 public:
  Lured() {
    world.on_datagram = [this](const swarm::DatagramOut& out) {
      if (out.via != swarm::DatagramOut::Via::own_port) return;
      written.insert(out.to);
      if (out.to == liar_at) asked.push_back(out.bytes);
    };
  }
  // Answers what was asked so far and what is asked upon that, for a while.
  void answer() {
    for (int round = 0; round < 60; ++round) {
      for (const Bytes& question : std::exchange(asked, {})) answer(question);
      world.run_for(1s);
    }
  }
  void expect(const Places& where) {
    for (const Endpoint& each : where.refused) {
      EXPECT_FALSE(written.contains(each)) << each.to_string();
      EXPECT_EQ(std::ranges::count(world.dialled, each), 0) << each.to_string();
    }
  }
  [[nodiscard]] std::size_t reached(const Places& where) {
    return static_cast<std::size_t>(std::ranges::count_if(where.allowed, [&](const Endpoint& each) {
      return written.contains(each) || std::ranges::count(world.dialled, each) > 0;
    }));
  }

  Endpoint liar_at = *Endpoint::parse("21.0.0.1:6881");
  Alone world{{.host = {.port = 5000},
               .bootstrap = {liar_at},
               .native = true,
               .mainline = true,
               .mse = swarm::Obfuscation::off},
              *Endpoint::parse("192.168.1.7:5000"),
              *Endpoint::parse("[fd00:1::7]:5000")};
  Liar liar;
  std::set<Endpoint> written;

 private:
  void answer(const Bytes& question) {
    const bool native = question.front() == dht::native_first_byte;
    const dht::NativeCodec our;
    const dht::KrpcCodec their;
    const dht::Codec& codec = native ? static_cast<const dht::Codec&>(our) : their;
    const auto message = codec.decode(question);
    const auto* query = message ? std::get_if<dht::Query>(&*message) : nullptr;
    if (query == nullptr) return;
    dht::Reply reply;
    reply.transaction = query->transaction;
    reply.sender = native ? dht::position_of(key_.public_key, liar_at.address) : id_;
    if (native) {
      reply.observed = Endpoint{*IpAddress::parse("198.17.5.10"), 5000};
      const dht::ProofSubject subject{query->transaction, query->sender.value_or(Key{}), reply.sender,
                                      *reply.observed};
      reply.proof = dht::prove(key_, subject, unix_ms(world.now().wall));
    }
    liar.lie(reply, native, world.now().wall);
    Bytes bytes;
    codec.encode(reply, bytes);
    ++answered;
    world.feed(swarm::DatagramIn{liar_at, bytes, swarm::DatagramIn::Via::own_port});
  }

  std::vector<Bytes> asked;
  crypto::SigningKey key_ = crypto::SigningKey::from_seed({5});
  Key id_ = dht::mainline_position(liar_at.address, liar.lots);

 public:
  std::uint64_t answered = 0;
};

TEST(Victim, A30NeitherDhtLeadsToPrivatePlaces) {
  const Places where = places(false);
  Lured lured;
  lured.world.share(300'000, storage::Format::hybrid);
  std::size_t next = 0;
  std::vector<Endpoint> all = where.refused;
  all.insert(all.end(), where.allowed.begin(), where.allowed.end());
  lured.liar.place = [&] { return all[next++ % all.size()]; };
  lured.liar.insider = lured.world.content->id;
  lured.answer();
  EXPECT_GT(next, 20 * all.size());
  lured.expect(where);
  EXPECT_GE(lured.reached(where), where.allowed.size() / 2);
}

TEST(Victim, A30PeerExchangeLeadsToNoPrivatePlaces) {
  const Places where = places(false);
  Lured lured;
  lured.world.share(300'000, storage::Format::hybrid);
  std::vector<Endpoint> all = where.refused;
  all.insert(all.end(), where.allowed.begin(), where.allowed.end());
  std::uint32_t friends = 0;
  for (std::size_t at = 0; at < all.size(); at += 50) {
    Alone::Stranger& one = lured.world.stranger({IpAddress::v4(0x16000000 + (++friends << 8)), 5'000});
    wire::PeerExchange names;
    for (std::size_t i = at; i < std::min(at + 50, all.size()); ++i)
      names.added.push_back({all[i], std::nullopt, false});
    lured.world.say(one, names);
  }
  lured.world.run_for(5min);
  lured.expect(where);
  EXPECT_GE(lured.reached(where), where.allowed.size() * 3 / 4);
}

// `at` of a link, x.pe of a magnet link, --peer: the user's own word, which somebody else may have put there.
TEST(Victim, A30ALinkLeadsToNoPrivatePlacesButThoseNearUs) {
  const Places where = places(true);
  for (const bool is_public : {false, true}) {
    Lured lured;
    swarm::OpenContent open;
    open.id.fill(7);
    open.folder = data_folder;
    open.is_public = is_public;
    open.hints = where.refused;
    open.hints.insert(open.hints.end(), where.allowed.begin(), where.allowed.end());
    lured.world.feed(swarm::CommandIn{1, open});
    lured.world.run_for(2min);
    lured.expect(where);
    EXPECT_EQ(lured.reached(where), where.allowed.size());
  }
}

}  // namespace
}  // namespace shoal::sim
