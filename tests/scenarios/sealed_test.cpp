// Scenario of sealing (DESIGN 1.3, THREATS A10): all that nodes store and all that crosses the network is
// searched for what only holders of a link may know.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {
namespace {

// Keeps everything: each datagram, and each direction of each connection as one text.
struct Recorder final : Tap {
  std::vector<Bytes> datagrams;
  std::map<std::uint64_t, Bytes> streams;
  void datagram(Instant, HostId, const Endpoint&, ByteView bytes) override {
    datagrams.push_back(to_vector(bytes));
  }
  void stream(Instant, HostId, HostId, std::uint64_t connection, ByteView bytes) override {
    append(streams[connection], bytes);
  }
};

bool holds(ByteView text, ByteView pattern) {
  return std::search(text.begin(), text.end(), pattern.begin(), pattern.end()) != text.end();
}

std::size_t count_in(const std::vector<Bytes>& texts, ByteView pattern) {
  return static_cast<std::size_t>(
      std::count_if(texts.begin(), texts.end(), [&](const Bytes& text) { return holds(text, pattern); }));
}

struct Sealed : testing::Test {
  const bool by_mainline;  // the nodes between them know nothing but the mainline DHT
  World world{60};
  Recorder recorder;
  std::vector<MachineId> nodes, members;
  std::vector<storage::ContentPtr> contents;
  std::vector<Oracle> oracles;

  explicit Sealed(bool mainline = false) : by_mainline(mainline) {}
  MachineConfig node(std::vector<Endpoint> bootstrap) const {
    return {.role = swarm::Role::bootstrap_node,
            .bootstrap = std::move(bootstrap),
            .native = !by_mainline,
            .mainline = by_mainline};
  }
  MachineConfig member(const Endpoint& bootstrap) const {
    return {.bootstrap = {bootstrap}, .mainline = by_mainline};
  }

  void SetUp() override {
    world.network().set_tap(&recorder);
    nodes.push_back(start(world, node({})));
    const Endpoint first = world.endpoint(nodes[0]);
    for (int i = 0; i < 12; ++i) nodes.push_back(start(world, node({first})));
    world.run_for(30s);
    const MachineId sharer = start(world, member(first));
    members.push_back(sharer);
    for (std::uint64_t i = 0; i < 2; ++i) {
      oracles.push_back(Oracle::single("secret name " + std::to_string(i), 600'000, 70 + i));
      contents.push_back(share(world, sharer, oracles.back()));
      ASSERT_TRUE(contents.back());
    }
    world.run_for(30s);
    for (int i = 0; i < 2; ++i) {
      const MachineId getter = start(world, member(world.endpoint(nodes[3])));
      members.push_back(getter);
      for (const auto& content : contents) world.get(getter, content->id, {});
    }
    ASSERT_TRUE(world.run_until(
        [&] {
          for (const auto& content : contents)
            if (!finished(world, members[1], *content) || !finished(world, members[2], *content))
              return false;
          return true;
        },
        180s));
    world.run_for(60s);
  }

  void expect_nothing_shown();
  std::vector<Bytes> dump() {
    std::vector<Bytes> out;
    for (MachineId id = 0; id < world.size(); ++id)
      for (Bytes& record : world.machine(id).session().dump_records()) out.push_back(std::move(record));
    return out;
  }
};

void Sealed::expect_nothing_shown() {
  const std::vector<Bytes> records = dump();
  ASSERT_GT(records.size(), 10U);
  std::vector<Bytes> streams;
  for (auto& [id, bytes] : recorder.streams) streams.push_back(bytes);
  ASSERT_FALSE(streams.empty());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    std::vector<Bytes> secrets{to_vector(contents[i]->id),
                               to_vector(ByteView{contents[i]->id}.first(8)),
                               to_vector(as_bytes(to_hex(contents[i]->id))),
                               to_vector(as_bytes(to_base32(contents[i]->id))),
                               to_vector(as_bytes(contents[i]->name)),
                               to_vector(contents[i]->files[0].root)};
    Bytes payload(16);
    synthetic_bytes(70 + i, 300'000, payload);
    secrets.push_back(payload);
    for (std::size_t s = 0; s < secrets.size(); ++s) {
      EXPECT_EQ(count_in(records, secrets[s]), 0U) << "secret " << s << " of content " << i;
      EXPECT_EQ(count_in(recorder.datagrams, secrets[s]), 0U) << "secret " << s << " of content " << i;
      EXPECT_EQ(count_in(streams, secrets[s]), 0U) << "secret " << s << " of content " << i;
    }
  }
  // Who announces: neither address nor node key in any record.
  for (const MachineId id : members) {
    const Endpoint endpoint = world.endpoint(id);
    EXPECT_EQ(count_in(records, endpoint.compact()), 0U);
    EXPECT_EQ(count_in(records, endpoint.address.view()), 0U);
    const auto identity = world.machine(id).catalog().identity();
    ASSERT_TRUE(identity && *identity);
    const auto key = crypto::SigningKey::from_seed((**identity).seed).public_key;
    EXPECT_EQ(count_in(records, key), 0U);
    EXPECT_EQ(count_in(records, ByteView{key}.first(8)), 0U);
    for (const auto& status : world.machine(id).session().dht())
      EXPECT_EQ(count_in(records, ByteView{status.position.bytes}.first(8)), 0U);
  }
}

TEST_F(Sealed, NothingStoredOrSentShowsWhatIsShared) { expect_nothing_shown(); }

// The same where records travel as items of BEP 44.
struct SealedInMainline : Sealed {
  SealedInMainline() : Sealed{true} {}
};
TEST_F(SealedInMainline, NothingStoredOrSentShowsWhatIsShared) { expect_nothing_shown(); }

// Records of two contents (told apart by the swarm key at their front) have no eight bytes in common, and all
// have one size.
TEST_F(Sealed, RecordsOfTwoContentsShareNoEightBytes) {
  const std::vector<Bytes> dumped = dump();
  std::set<Bytes> distinct(dumped.begin(), dumped.end());
  std::map<std::uint64_t, std::set<Bytes>> groups_of;  // eight bytes -> swarm keys in whose records they are
  std::set<Bytes> groups;
  std::set<std::size_t> sizes;
  for (const Bytes& record : distinct) {
    sizes.insert(record.size());
    ASSERT_GE(record.size(), 64U);
    const Bytes group(record.begin() + 1, record.begin() + 33);
    groups.insert(group);
    for (std::size_t at = 0; at + 8 <= record.size(); ++at)
      groups_of[load_be<std::uint64_t>(record.data() + at)].insert(group);
  }
  EXPECT_EQ(sizes.size(), 1U);
  EXPECT_GE(groups.size(), 2U);
  for (const auto& [bytes, keys] : groups_of)
    ASSERT_EQ(keys.size(), 1U) << "two contents share " << std::hex << bytes;
}

// What a stranger sends to a member's port gets no answer (A32); what it dials says nothing first.
TEST_F(Sealed, APortThatIsProbedKeepsSilent) {
  const HostId stranger = world.network().add_host({});
  world.network().start(stranger);
  const std::uint64_t before = world.network().traffic(stranger).datagrams_in;
  const Endpoint target = world.endpoint(members[0]);
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\n\r\n",
        "\x13"
        "BitTorrent protocol",
        "\xc1\xc1\xc1\xc1", "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe"})
    world.network().perform(
        stranger, swarm::DatagramOut{target, to_vector(as_bytes(text)), swarm::DatagramOut::Via::own_port});
  world.run_for(10s);
  EXPECT_EQ(world.network().traffic(stranger).datagrams_in, before);
}

// Connections by number (a tap's numbers are of directions, two a connection): who dialled whom, and what the
// dialler sent before it heard anything.
struct FirstFlights final : Tap {
  struct Flight {
    HostId from{}, to{};
    Bytes bytes;
    bool answered = false;
  };
  std::map<std::uint64_t, Flight> flights;
  void datagram(Instant, HostId, const Endpoint&, ByteView) override {}
  void stream(Instant, HostId from, HostId to, std::uint64_t connection, ByteView bytes) override {
    const auto [entry, fresh] = flights.try_emplace(connection / 2, Flight{from, to, {}, false});
    Flight& flight = entry->second;
    flight.answered = flight.answered || flight.from != from;
    if (!flight.answered) append(flight.bytes, bytes);
  }
};

// A first flight that was recorded before the sharer's restart, and so is in no replay filter: it is
// answered, and proves nothing. The peer in whose name it speaks keeps its connection, and the stranger loses
// its own.
TEST(SealedChannel, ARecordedFirstFlightTakesNobodysPlace) {
  World world{61};
  FirstFlights tap;
  world.network().set_tap(&tap);
  const MachineId node = start_node(world);
  const std::vector<Endpoint> bootstrap{world.endpoint(node)};
  const MachineId sharer = start(world, {.host = {.rates = {256 * kib, 0}}, .bootstrap = bootstrap});
  const MachineId getter = start(world, {.bootstrap = bootstrap});
  const Oracle oracle = Oracle::single("kept", 32 * mib, 12);
  auto content = share(world, sharer, oracle);
  ASSERT_TRUE(content);
  world.get(getter, content->id, {world.endpoint(sharer)});
  world.run_for(10s);
  const auto dialled = std::find_if(tap.flights.begin(), tap.flights.end(), [&](const auto& flight) {
    return flight.second.from == getter && flight.second.answered;
  });
  ASSERT_NE(dialled, tap.flights.end());
  const Bytes recorded = dialled->second.bytes;

  world.kill(sharer, Machine::Death::process);
  ASSERT_TRUE(world.start(sharer).has_value());
  ASSERT_TRUE(world.share(sharer, "/data/kept"));
  const auto peers = [&] { return world.status(sharer, content->id)->peers; };
  ASSERT_TRUE(world.run_until([&] { return peers() == 1; }, 60s));
  world.run_for(5s);
  const std::size_t before = tap.flights.size();

  const HostId stranger = world.network().add_host({});
  world.network().start(stranger);
  world.network().perform(stranger, swarm::Dial{1, world.endpoint(sharer)});
  world.run_for(1s);
  BufferPool pool{1};
  Buffer buffer = pool.take(recorded.size());
  buffer.append(recorded);
  world.network().perform(stranger, swarm::Write{1, std::move(buffer)});
  world.run_for(1s);
  EXPECT_EQ(peers(), 2U) << "it is answered: the test reaches what it is about";
  world.run_for(20s);
  EXPECT_EQ(peers(), 1U);
  EXPECT_EQ(tap.flights.size(), before + 1) << "the true peer had to dial again";
  EXPECT_GT(world.status(getter, content->id)->down_rate, 100.0 * kib);
}

}  // namespace
}  // namespace shoal::sim
