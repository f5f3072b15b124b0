// `shoal simulate hostile`: attackers in the DHT (THREATS D5, D6).
//
// Row by row: a part of all nodes is hostile (look-ups over one path, four, eight), then Sybils crowd single
// keys. The hostile work together: they answer at once and properly signed, stand in tables like everybody,
// name none but the nearest of their own kind, take every record and keep none. Sybils are ground: address
// and key are chosen so that the position, which BEP 42 binds to the address, lies next to the key; from
// networks (/24) of their own each, or the best that a few networks have to offer. They are there before the
// records are.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

#include "cli/sim/dht_trial.hpp"
#include "cli/sim/scenarios.hpp"
#include "dht/identity.hpp"
#include "dht/native_codec.hpp"
#include "dht/proof.hpp"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array parameters{
    Parameter{"nodes", "nodes, the hostile of the first rows included", 2000, 50, 200'000},
    Parameter{"hostile", "part of all reachable nodes that is hostile; 0: leave these rows out", 0.2, 0, 0.9},
    Parameter{"sybils", "around each key; 0: leave this row out", 20, 0, 200},
    Parameter{"networks", "the /24 networks these come from; 0: one each", 0, 0, 200},
    Parameter{"keys", "keys that somebody announces under", 50, 1, 10'000},
    Parameter{"attacked", "of these keys, how many Sybils crowd", 5, 1, 100},
    Parameter{"announcers", "of each key", 1, 1, 100},
    Parameter{"lookups", "look-ups a row", 1000, 1, 1'000'000},
    Parameter{"loss", "part of all datagrams that is lost", 0, 0, 0.5},
    Parameter{"nat", "part of all nodes behind a NAT", 0.3, 0, 0.9},
};

constexpr std::array columns{
    Column{"attack", "attack"},
    Column{"nodes", "nodes"},
    Column{"hostile", "hostile"},
    Column{"paths", "paths at first"},
    Column{"lookups", "look-ups"},
    Column{"success", "living announcer found, part", 4},
    Column{"hops_mean", "hops, mean", 2},
    Column{"rpcs_mean", "RPCs, mean", 1},
    Column{"first_ms_p50", "first living announcer, ms, p50"},
    Column{"first_ms_p99", "first living announcer, ms, p99"},
    Column{"done_ms_p50", "done, ms, p50"},
    Column{"done_ms_p99", "done, ms, p99"},
};

constexpr Duration filling = 20s;

// All hostile nodes: one mind.
class Colluders final : public Stranger {
 public:
  Colluders(DhtWorld& world, Census& census)
      : world_(world), census_(census), own_(world), random_(world.random().fork("colluders")) {}

  NodeNumber add(const IpAddress& address, const crypto::SigningKey& key) {
    const NodeNumber number = world_.add_stranger(address, *this);
    const Key position = dht::position_of(key.public_key, address);
    keys_.emplace(number, key);
    own_.enter(number, position);
    census_.enter(number, position);
    return number;
  }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

  void handle(Now now, NodeNumber self, const Endpoint& from, ByteView datagram,
              std::vector<dht::Datagram>& out) override {
    const auto message = codec_.decode(datagram);
    if (!message) return;
    const auto* query = std::get_if<dht::Query>(&*message);
    if (query == nullptr) return;
    dht::Message answer{dht::Reply{}};
    auto& reply = std::get<dht::Reply>(answer);
    reply.transaction = query->transaction;
    reply.sender = *own_.position(self);
    if (query->proof == dht::ProofWanted::yes) {
      reply.observed = from;
      const dht::ProofSubject subject{query->transaction, query->sender.value_or(Key{}), reply.sender, from};
      reply.proof = dht::prove(keys_.at(self), subject, unix_ms(now.wall), world_.signatures());
    }
    if (const auto* find = std::get_if<dht::FindQuery>(&query->body)) name_own(find->target, reply);
    ByteArray<8> token{};
    if (const auto* get = std::get_if<dht::GetRecordsQuery>(&query->body)) {
      name_own(get->target, reply);
      random_.fill(token);
      reply.token = token;
    }
    dht::Datagram back{from, {}};
    codec_.encode(answer, back.bytes);
    out.push_back(std::move(back));
  }

 private:
  void name_own(const Key& target, dht::Reply& reply) {
    for (const NodeNumber node : own_.nearest(target, 8))
      reply.nodes.push({*own_.position(node), world_.endpoint(node)});
  }

  DhtWorld& world_;
  Census& census_;
  Census own_;
  Random random_;
  dht::NativeCodec codec_;
  std::map<NodeNumber, crypto::SigningKey> keys_;
};

// A place to stand at: an address, and the low bits that the hash of the key must have for it.
struct Place {
  std::uint32_t address = 0;
  std::uint8_t r = 0;
  std::uint32_t off = ~0U;  // distance to the key in the bits that the address decides
};

// The best of a /24 for this key, nearest first.
std::vector<Place> best_of(std::uint32_t network, std::uint32_t head, std::size_t count) {
  std::vector<Place> out;
  for (std::uint32_t host = 1; host < 255; ++host) {
    Place best;
    for (std::uint8_t r = 0; r < 8; ++r) {
      const std::uint32_t address = network + host;
      const std::uint32_t off = (dht::bep42(IpAddress::v4(address), r) ^ head) >> (32 - dht::address_bits);
      if (off < best.off) best = {address, r, off};
    }
    out.push_back(best);
  }
  std::sort(out.begin(), out.end(), [](const Place& a, const Place& b) { return a.off < b.off; });
  out.resize(std::min(out.size(), count));
  return out;
}

// `count` places around a key, out of what some thousand networks offer: from `networks` of them, or one
// each.
std::vector<Place> grind(const Key& key, std::size_t count, std::size_t networks,
                         std::uint32_t& next_network) {
  constexpr std::uint32_t first = 84U << 24;  // 84.0.0.0 .. 99.255.255.255: nobody of the world stands there
  constexpr std::size_t searched = 1500;
  const auto head = load_be<std::uint32_t>(key.bytes.data());
  const std::size_t each = networks == 0 ? 1 : (count + networks - 1) / networks;
  std::vector<std::vector<Place>> offers;
  offers.reserve(searched);
  for (std::size_t i = 0; i < searched; ++i)
    offers.push_back(best_of(first + (next_network++ << 8), head, each));
  std::sort(offers.begin(), offers.end(),
            [](const auto& a, const auto& b) { return a.back().off < b.back().off; });
  std::vector<Place> out;
  for (const auto& offer : offers)
    for (const Place& place : offer)
      if (out.size() < count) out.push_back(place);
  return out;
}

class HostileTrial : private DhtTrial {
 public:
  HostileTrial(const Order& ordered, std::string_view attack)
      : DhtTrial(ordered, ordered.count("nodes"), ordered.count("keys"), attack.size()),
        attack_(attack),
        colluders_(world, census) {}

  void add_honest(std::size_t count) {
    honest_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) honest_.push_back(settle(draw_access()));
  }
  // Anywhere: with addresses as they come.
  void add_hostile(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto n = static_cast<std::uint32_t>(random.below(1U << 20));
      const auto host = static_cast<std::uint32_t>(1 + random.below(254));
      const IpAddress address = IpAddress::v4((84U << 24) + (n << 8) + host);
      if (world.who({address, 4100}) != no_node) continue;
      colluders_.add(address, crypto::SigningKey::from_seed(random.bytes<32>()));
    }
  }
  void add_sybils() {
    const auto attacked = std::min<std::size_t>(order.count("attacked"), publishers.keys());
    std::uint32_t next_network = 0;
    for (std::size_t key = 0; key < attacked; ++key) {
      for (const Place& place :
           grind(publishers.key(key), order.count("sybils"), order.count("networks"), next_network)) {
        crypto::SigningKey signing;
        do signing = crypto::SigningKey::from_seed(random.bytes<32>());
        while ((crypto::blake2b<32>(signing.public_key)[31] & 7U) != place.r);
        colluders_.add(IpAddress::v4(place.address), signing);
      }
    }
    targets_ = attacked;
  }

  bool prepare() {
    if (targets_ == 0) targets_ = publishers.keys();
    fill_tables(world, census, filling);
    if (!advance(filling + 5s, attack_)) return false;
    for (std::size_t key = 0; key < publishers.keys(); ++key)
      for (std::uint64_t i = 0; i < order.count("announcers"); ++i) publishers.announce(key, any_of(honest_));
    return advance(20s, attack_);
  }

  bool look_up(std::size_t paths, Report& report) {
    lookups.clear();
    const auto count = order.count("lookups");
    const Duration window = Duration{static_cast<std::int64_t>(static_cast<double>(count) / 50 * 1e6)};
    at_random(world.now().mono, window, count,
              [this, paths](std::uint64_t) { lookups.get(any_of(honest_), any_key(targets_), paths); });
    const bool on = advance(window + 20s, attack_);
    const LookupSummary records = summarise(lookups.results(), LookupResult::Kind::records);
    if (on)
      report.rows.push_back(row({std::string{attack_}, static_cast<std::int64_t>(nodes),
                                 static_cast<std::int64_t>(colluders_.size()),
                                 static_cast<std::int64_t>(paths), static_cast<std::int64_t>(records.lookups),
                                 records.success, records.hops_mean, records.rpcs_mean, records.first_ms_p50,
                                 records.first_ms_p99, records.done_ms_p50, records.done_ms_p99}));
    return on;
  }

 private:
  std::string_view attack_;
  Colluders colluders_;
  std::vector<NodeNumber> honest_;
  std::size_t targets_ = 0;
};

Report run(const Order& order) {
  Report report;
  report.columns.assign(columns.begin(), columns.end());
  report.notes = dht_notes(order.count("nodes"));
  report.notes.emplace_back(
      "The hostile answer at once, are signed properly, name only the nearest of their own, and keep no "
      "record. A search that has found nothing goes on over four, then eight disjoint paths.");
  const auto nodes = order.count("nodes");
  if (order.number("hostile") > 0) {
    HostileTrial trial(order, "hostile nodes");
    const double reachable = static_cast<double>(nodes) * (1 - order.number("nat"));
    const auto hostile = static_cast<std::size_t>(std::llround(reachable * order.number("hostile")));
    trial.add_honest(nodes - hostile);
    trial.add_hostile(hostile);
    if (!trial.prepare()) return report;
    for (const std::size_t paths : {1, 4, 8})
      if (!trial.look_up(paths, report)) return report;
  }
  if (order.count("sybils") > 0) {
    HostileTrial trial(order, "Sybils");
    trial.add_honest(nodes);
    trial.add_sybils();
    if (!trial.prepare()) return report;
    if (!trial.look_up(1, report)) return report;
  }
  return report;
}

}  // namespace

Scenario hostile_scenario() {
  return {"hostile", "hostile nodes and Sybils around keys: are living announcers still found", parameters,
          run};
}

}  // namespace shoal::sim
