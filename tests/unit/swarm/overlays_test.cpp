// What a process keeps for others, in all its overlays together: bounded, and no flood drives the honest out
// (THREATS A14).
#include "swarm/overlays.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>
#include <malloc.h>

#include "dht/krpc_codec.hpp"
#include "dht/mainline_id.hpp"
#include "dht/native_codec.hpp"
#include "dht/stranger_limits.hpp"
#include "tests/full_size.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::swarm {
namespace {

using dht::test::at_second;
using dht::test::content;
using dht::test::inputs_for;
using dht::test::node_seed;
using dht::test::public_host;

constexpr std::uint16_t port = 4000;

// Ten thousand addresses of 2,500 networks, in either family; those of the honest lie beyond, a network each.
constexpr std::uint32_t flooders = 10'000, flooding_networks = 2'500, honest = 200;

Endpoint endpoint_of(Family family, std::uint32_t n) {
  const std::uint32_t network = n < flooders ? n % flooding_networks : n, host = n / flooding_networks + 1;
  if (family == Family::v4) return {public_host(network, host), port};
  Bytes raw(16, 0);
  raw[0] = 0x26;
  store_be(raw.data() + 2, network);  // a /48 of its own
  raw[7] = static_cast<std::uint8_t>(host);
  return {IpAddress::from_bytes(raw), port};
}

SessionConfig all_overlays() {
  SessionConfig config;
  config.role = Role::bootstrap_node;
  config.native = config.mainline = config.ipv4 = config.ipv6 = true;
  return config;
}

class A14Flood : public testing::Test {
 protected:
  A14Flood() {
    crypto::initialise();
    for (std::uint64_t c = 0; c < 4'096; ++c)
      keys_.push_back(
          dht::derive_epoch(content(c), dht::SwarmKeys{content(c)}.epoch_at(dht::test::some_day)));
    for (std::uint32_t n = 0; n < flooders + honest; ++n)
      announcers_.push_back(dht::announcer_keys(node_seed(n), content(0), 0));
    authors_.reserve(512);
    for (std::uint64_t a = 0; a < 512; ++a)
      authors_.push_back(crypto::SigningKey::from_seed(dht::test::numbered("author", a)));
  }

  // The reply to a query from there; the views in it are good until the next call.
  std::optional<dht::Reply> reply_to(const dht::Codec& codec, const Endpoint& from, dht::QueryBody body) {
    dht::Query query;
    query.transaction = dht::TransactionId::from(++transaction_);
    if (codec.traits().askers == dht::Askers::named) query.sender = dht::mainline_key(random_.bytes<20>());
    query.body = std::move(body);
    Bytes bytes;
    codec.encode(query, bytes);
    overlays_.handle(now_, from, bytes);
    for (dht::Datagram& datagram : overlays_.take_datagrams()) {
      if (datagram.to != from) continue;
      raw_ = std::move(datagram.bytes);
      const auto message = codec.decode(raw_);
      if (message && std::holds_alternative<dht::Reply>(*message)) return std::get<dht::Reply>(*message);
    }
    return std::nullopt;
  }
  // Puts from there with a token of its own. True: it is stored.
  bool put_record(const Endpoint& from, std::size_t c, std::uint32_t n) {
    const dht::EpochKeys& keys = keys_[c];
    const auto in = inputs_for(announcers_[n], from.address, now_.wall);
    const dht::BuiltRecord built = dht::build_record(keys, announcers_[n], in, random_);
    const auto got = reply_to(native_, from, dht::GetRecordsQuery{keys.key});
    if (!got) return false;
    const Bytes token = to_vector(got->token);
    return reply_to(native_, from,
                    dht::PutRecordQuery{keys.key, token, built.salt_for(from.address.family), built.bytes})
        .has_value();
  }
  bool put_peer(const Endpoint& from, const Key& key) {
    const auto got = reply_to(krpc_, from, dht::GetPeersQuery{key});
    if (!got) return false;
    const Bytes token = to_vector(got->token);
    return reply_to(krpc_, from, dht::AnnouncePeerQuery{key, token, from.port}).has_value();
  }
  bool put_item(const Endpoint& from, const dht::Item& item) {
    const auto got = reply_to(krpc_, from, dht::GetItemQuery{dht::target_of(item.view()), {}});
    if (!got) return false;
    const Bytes token = to_vector(got->token);
    return reply_to(krpc_, from, dht::PutItemQuery{token, item.view(), {}}).has_value();
  }
  // As large as an item may be that fits a datagram with what goes with it.
  dht::Item item_of(std::uint32_t author, std::uint64_t number) {
    Bytes salt(8), text(956);
    random_.fill(text);
    store_be(salt.data(), number);
    Bytes value = to_vector(as_bytes("956:"));
    append(value, text);
    return dht::make_item(authors_[author], salt, 1, std::move(value));
  }

  static std::size_t in_use() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  }

  Random random_{{}};
  Now now_ = at_second(0);
  dht::NativeCodec native_;
  dht::KrpcCodec krpc_;
  std::vector<dht::EpochKeys> keys_;
  std::vector<dht::AnnouncerKeys> announcers_;
  std::vector<crypto::SigningKey> authors_;
  dht::StrangerLimits strangers_;
  Overlays overlays_{now_, all_overlays(), strangers_, random_};
  std::uint64_t transaction_ = 0;
  Bytes raw_;
};

// As many PUTs as fill every store of the four overlays, with the largest values there are, each under a key
// of its own where that weighs more.
TEST_F(A14Flood, FourOverlaysKeep48MiBAndTheHonest) {
  const std::uint64_t puts = shoal::test::sized(84'000, 1'000'000);
  const auto families = {Family::v4, Family::v6};
  std::vector<Bytes> honest_items;
  std::set<crypto::PublicKey> honest_announcers;
  std::vector<Key> honest_keys;
  const std::size_t before = in_use();
  for (std::uint32_t i = 0; i < honest; ++i) {
    const std::uint32_t n = flooders + i;
    now_ = at_second(i / 20);
    honest_keys.push_back(dht::mainline_key(random_.bytes<20>()));
    honest_announcers.insert(announcers_[n].signing.public_key);
    for (const Family family : families) {
      const Endpoint from = endpoint_of(family, n);
      ASSERT_TRUE(put_record(from, random_.below(keys_.size()), n));
      ASSERT_TRUE(put_peer(from, honest_keys.back()));
      const dht::Item item = item_of(i % 512, std::uint64_t{n} << 32 | static_cast<unsigned>(family));
      ASSERT_TRUE(put_item(from, item));
      honest_items.push_back(item.value);
    }
  }
  std::size_t most = 0;
  std::uint64_t sent = 0, stored = 0;
  const auto count = [&](bool is_stored) {
    ++sent;
    stored += is_stored ? 1 : 0;
  };
  std::uint64_t round = 0;
  while (sent < puts) {
    now_ = at_second(60);  // 400 rounds a second, so that signatures are checked and not refused
    now_.mono += std::chrono::microseconds{2'500} * round;
    now_.wall += std::chrono::milliseconds{round * 5 / 2};
    const auto n = static_cast<std::uint32_t>(round % flooders);
    for (const Family family : families) {
      const Endpoint from = endpoint_of(family, n);
      count(put_record(from, random_.below(keys_.size()), n));
      count(put_peer(from, dht::mainline_key(random_.bytes<20>())));
      if (round % 3 == 0) count(put_item(from, item_of(n % 512, round << 1 | static_cast<unsigned>(family))));
    }
    if (++round % 512 == 0) most = std::max(most, in_use());
  }
  most = std::max(most, in_use());
  EXPECT_GT(stored * 10, sent * 9) << "a flood that is refused shows nothing";
  std::uint64_t kept = 0;
  for (const DhtStatus& status : overlays_.status()) kept += status.records;
  EXPECT_EQ(kept, 2 * 16'384U + 2 * (16'384U + 4'096U)) << "every store is full";
  EXPECT_LE(most - before, std::size_t{48} * 1024 * 1024);

  std::uint32_t records = 0, items = 0, peers = 0;
  const std::set<Bytes> wanted{honest_items.begin(), honest_items.end()};
  for (const Bytes& value : overlays_.dump_records()) {
    if (value.size() == dht::record_bytes)
      records += honest_announcers.contains(dht::read_header(value).announcer) ? 1 : 0;
    else
      items += wanted.contains(value) ? 1 : 0;
  }
  for (std::uint32_t i = 0; i < honest; ++i)
    for (const Family family : families) {
      const auto found =
          reply_to(krpc_, endpoint_of(family, flooders + i), dht::GetPeersQuery{honest_keys[i]});
      peers += found && !found->peers.empty() ? 1 : 0;
    }
  EXPECT_GE(records, honest * 2 * 9 / 10);
  EXPECT_GE(items, honest * 2 * 9 / 10);
  EXPECT_GE(peers, honest * 2 * 9 / 10);
  RecordProperty("bytes", std::to_string(most - before));
  RecordProperty("kept", std::to_string(records) + " " + std::to_string(peers) + " " + std::to_string(items));
}

}  // namespace
}  // namespace shoal::swarm
