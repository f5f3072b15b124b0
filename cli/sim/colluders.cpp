// See colluders.hpp.
#include "cli/sim/colluders.hpp"

#include <algorithm>

#include "dht/identity.hpp"
#include "dht/mainline_id.hpp"
#include "dht/proof.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint32_t first_network = 84U
                                        << 24;  // to 99.255.255.255: nobody else of the world stands there
constexpr std::uint32_t networks_there = 1U << 20;
constexpr std::size_t networks_searched = 1500;  // for a crowd

std::uint32_t network_number(std::uint32_t n) { return first_network + (n << 8); }

// The best of a /24 for this key, nearest first.
std::vector<Ground> best_of(std::uint32_t network, std::uint32_t head, std::size_t count) {
  std::vector<Ground> out;
  for (std::uint32_t host = 1; host < 255; ++host) {
    Ground best;
    for (std::uint8_t r = 0; r < 8; ++r) {
      const std::uint32_t address = network + host;
      const std::uint32_t off = (dht::bep42(IpAddress::v4(address), r) ^ head) >> (32 - dht::address_bits);
      if (off < best.off) best = {address, r, off};
    }
    out.push_back(best);
  }
  std::sort(out.begin(), out.end(), [](const Ground& a, const Ground& b) { return a.off < b.off; });
  out.resize(std::min(out.size(), count));
  return out;
}

// The key's own bits behind those that the address decides, and the bits that say how it was decided.
Key mainline_place(const Ground& ground, const Key& key, Random& random) {
  constexpr std::size_t tail = dht::mainline_id_bytes - 4;
  Key out = dht::mainline_key(dht::mainline_bytes(key));
  random.fill(MutableBytes{out.bytes}.subspan(tail, 4));  // no two stand at one place
  std::uint8_t& last = out.bytes[dht::mainline_id_bytes - 1];
  last = static_cast<std::uint8_t>((last & ~7U) | ground.r);
  constexpr std::uint32_t mask = 0xffffffffU << (32 - dht::address_bits);
  const std::uint32_t by_address = dht::bep42(IpAddress::v4(ground.address), last);
  const auto head = load_be<std::uint32_t>(out.bytes.data());
  store_be(out.bytes.data(), (by_address & mask) | (head & ~mask));
  return out;
}

}  // namespace

Colluders::Colluders(DhtWorld& world)
    : world_(world),
      own_(world),
      random_(world.random().fork("colluders")),
      codec_(codec_of(world.dialect())) {}

NodeNumber Colluders::enter(const IpAddress& address, const crypto::SigningKey& key, const Key& position) {
  const NodeNumber number = world_.add_stranger(address, *this);
  if (world_.dialect() == swarm::Dialect::native) keys_.emplace(number, key);
  own_.enter(number, position);
  members_.push_back(number);
  return number;
}

NodeNumber Colluders::add(const IpAddress& address) {
  if (world_.dialect() == swarm::Dialect::mainline)
    return enter(address, {}, dht::mainline_position(address, random_));
  const auto key = crypto::SigningKey::from_seed(random_.bytes<32>());
  return enter(address, key, dht::position_of(key.public_key, address));
}

void Colluders::add_from(std::size_t count, std::size_t networks) {
  std::vector<std::uint32_t> chosen, first_host;
  for (std::size_t i = 0; i < networks; ++i) {
    chosen.push_back(network_number(static_cast<std::uint32_t>(random_.below(networks_there))));
    first_host.push_back(static_cast<std::uint32_t>(random_.below(254)));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto host = static_cast<std::uint32_t>(1 + (first_host[i % networks] + i / networks) % 254);
    const IpAddress address = IpAddress::v4(chosen[i % networks] + host);
    if (world_.who({address, DhtWorld::open_port}) == no_node) add(address);
  }
}

void Colluders::stand_at(const Ground& ground, const Key& key) {
  const IpAddress address = IpAddress::v4(ground.address);
  if (world_.dialect() == swarm::Dialect::mainline) {
    enter(address, {}, mainline_place(ground, key, random_));
    return;
  }
  crypto::SigningKey signing;
  do signing = crypto::SigningKey::from_seed(random_.bytes<32>());
  while ((crypto::blake2b<32>(signing.public_key)[31] & 7U) != ground.r);
  enter(address, signing, dht::position_of(signing.public_key, address));
}

void Colluders::crowd(const Key& key, std::size_t count, std::size_t networks) {
  const auto head = load_be<std::uint32_t>(key.bytes.data());
  const std::size_t each = networks == 0 ? 1 : (count + networks - 1) / networks;
  std::vector<std::vector<Ground>> offers;
  offers.reserve(networks_searched);
  for (std::size_t i = 0; i < networks_searched; ++i)
    offers.push_back(best_of(network_number(next_network_++), head, each));
  std::sort(offers.begin(), offers.end(),
            [](const auto& a, const auto& b) { return a.back().off < b.back().off; });
  std::size_t standing = 0;
  for (const auto& offer : offers)
    for (const Ground& ground : offer)
      if (standing++ < count) stand_at(ground, key);
}

void Colluders::enter_all(Census& census) const {
  for (const NodeNumber member : members_) census.enter(member, *own_.position(member));
}

void Colluders::call(NodeNumber member, const Endpoint& whom) {
  dht::Query query;
  query.transaction = dht::TransactionId::from(random_.next());
  query.sender = *own_.position(member);
  query.body = dht::FindQuery{*query.sender};
  Bytes bytes;
  codec_->encode(dht::Message{query}, bytes);
  world_.send(member, whom, std::move(bytes));
}

void Colluders::handle(Now now, NodeNumber self, const Endpoint& from, ByteView datagram,
                       std::vector<dht::Datagram>& out) {
  const auto message = codec_->decode(datagram);
  if (!message) return;
  const auto* query = std::get_if<dht::Query>(&*message);
  if (query == nullptr) return;
  dht::Message answer{dht::Reply{}};
  auto& reply = std::get<dht::Reply>(answer);
  reply.transaction = query->transaction;
  reply.sender = *own_.position(self);
  if (const auto key = keys_.find(self); key == keys_.end()) {
    reply.observed = from;
  } else if (query->proof == dht::ProofWanted::yes) {
    reply.observed = from;
    const dht::ProofSubject subject{query->transaction, query->sender.value_or(Key{}), reply.sender, from};
    reply.proof = dht::prove(key->second, subject, unix_ms(now.wall), world_.signatures());
  }
  ByteArray<8> token{};
  random_.fill(token);
  if (const auto* find = std::get_if<dht::FindQuery>(&query->body)) name_own(find->target, reply);
  if (const auto* get = std::get_if<dht::GetRecordsQuery>(&query->body)) {
    name_own(get->target, reply);
    reply.token = token;
  }
  if (const auto* get = std::get_if<dht::GetItemQuery>(&query->body)) {
    name_own(get->target, reply);
    reply.token = token;
  }
  dht::Datagram back{from, {}};
  codec_->encode(answer, back.bytes);
  out.push_back(std::move(back));
}

void Colluders::name_own(const Key& target, dht::Reply& reply) {
  for (const NodeNumber node : own_.nearest(target, dht::max_nodes_in_reply))
    reply.nodes.push({*own_.position(node), world_.endpoint(node)});
}

}  // namespace shoal::sim
