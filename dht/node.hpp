// Node: the hub of one overlay, that is one dialect over one address family. Sans-I/O: datagrams, ticks and
// commands go in, datagrams and events come out; the same inputs with the same seed give the same outputs.
//
// It routes between its leaves (guard, codec, transactions, table, lookups, store-back, responder, upkeep)
// and holds no arithmetic of its own. It knows no content and no swarm: records are opaque bytes, checked by
// record.hpp. Source: Maymounkov & Mazieres 2002, S/Kademlia 2007, BEP 5, BEP 42, BEP 43.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/random.hpp"
#include "dht/base/time.hpp"
#include "dht/codec.hpp"
#include "dht/node_events.hpp"

namespace shoal::dht {

class StrangerLimits;

// internet: positions are bound to addresses, private and loopback addresses are refused, read-only at first.
// local (--local): loopback and private addresses are fine, no read-only phase, no address binding.
enum class Scope : std::uint8_t { internet, local };
// full: enters others' tables at once (the `node` command). earned: read-only until a stranger reached us.
// visiting: read-only (BEP 43) until it leaves, which is soon.
enum class Membership : std::uint8_t { earned, full, visiting };

// Whom to ask first after a restart. No name is kept with it: who answers there proves its own.
struct SavedContact {
  Endpoint endpoint;
  std::int64_t last_seen_unix_ms = 0;
};

struct NodeConfig {
  Family family = Family::v4;
  crypto::SigningKey identity;
  Scope scope = Scope::internet;
  Membership membership = Membership::earned;
  std::optional<IpAddress> external;  // when the host knows it (it listens on one global address)
  std::size_t max_stored_records = 65'536;
  // Of the proofs in replies and of records; only large simulations choose another. Outlives the node.
  const crypto::SignatureScheme* signatures = &crypto::ed25519;
  StrangerLimits* strangers = nullptr;  // of the whole host, outlives the node; null: the node's own
};

struct NodeStats {
  Key position;
  std::size_t contacts = 0;
  std::size_t replacements = 0;
  std::size_t buckets = 0;
  std::size_t records = 0;       // kept for others, peers and items too
  std::size_t held = 0;          // our own
  std::size_t searches = 0;      // running or waiting
  std::size_t transactions = 0;  // queries in flight
  double network_size = 1;       // estimate, ourselves included
  bool read_only = false;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t bytes_out_searches = 0;  // of these for searches: queries of our own, answers about records
  std::uint64_t queries_in = 0, queries_out = 0;
  std::uint64_t replies_in = 0, replies_out = 0;
  std::uint64_t dropped = 0;   // malformed, over budget, unmatched
  std::uint64_t timeouts = 0;  // hard
  std::uint64_t signatures_made = 0, signatures_checked = 0;
};

struct NodeState;

class Node {
 public:
  Node(Now now, NodeConfig config, std::unique_ptr<Codec> codec, Random random);
  ~Node();
  Node(Node&&) noexcept;
  Node& operator=(Node&&) noexcept;

  // One datagram of this dialect and family. Hostile bytes are the normal case.
  void handle(Now now, const Endpoint& from, ByteView datagram, NodeOutput& out);
  // To be called at next_wake() or any time; does what is due.
  void tick(Now now, NodeOutput& out);
  [[nodiscard]] Instant next_wake() const;

  // The node of the other family in a dialect whose replies may name both (BEP 32): each learns what the
  // other hears of, and answers from the other's table who wants such. Both live as long as one is used.
  void stand_beside(Node& other);

  // Asks these at once, and again while the table is empty. Endpoints of another family or class are ignored.
  void bootstrap(Now now, std::span<const Endpoint> endpoints, NodeOutput& out);
  // Asks the freshest 16 in parallel, then the others, all of them again until somebody is known; none is
  // believed before it has answered.
  void restore(Now now, std::span<const SavedContact> contacts, NodeOutput& out);

  // Searches. All answer by events that carry the id; a search begun before any contact is known waits for
  // the bootstrap in flight. `paths`: disjoint paths, 1..8.
  SearchId get_records(Now now, const Key& target, std::size_t paths, NodeOutput& out);
  SearchId find_node(Now now, const Key& target, std::size_t paths, NodeOutput& out);
  // Looks the region up (or reuses a recent look-up's tokens), then puts to every responsive node of it.
  SearchId put_record(Now now, const Key& target, Bytes record, const Salt& address_salt, NodeOutput& out);
  // Mainline: the same for peers (BEP 5) and items (BEP 44; `salt` of a mutable one). An item is put to the
  // nodes near its own target; `expected`: only over the item of this sequence.
  SearchId get_peers(Now now, const Key& target, NodeOutput& out);
  SearchId announce_peer(Now now, const Key& target, const PeerPut& self, NodeOutput& out);
  SearchId get_item(Now now, const Key& target, Bytes salt, NodeOutput& out);
  SearchId put_item(Now now, Item item, std::optional<std::int64_t> expected, NodeOutput& out);
  SearchId ping(Now now, const Endpoint& to, NodeOutput& out);
  // One get-records query to a bare endpoint, sent again twice while it is silent (`at`, --peer, LAN
  // discovery).
  SearchId ask(Now now, const Endpoint& to, const Key& target, NodeOutput& out);
  void cancel(SearchId search);  // no further event of it

  // Our own announcement: served to whoever asks under `target`, wherever our position is. One a key;
  // replaces.
  void hold(const Key& target, Bytes record);
  void hold_peer(const Key& target, Completeness completeness);  // ourselves, as BEP 5 has it
  void forget(const Key& target);

  [[nodiscard]] std::vector<SavedContact> contacts_to_save(Now now) const;  // freshest first
  [[nodiscard]] std::optional<IpAddress> external_address() const;
  [[nodiscard]] std::optional<Endpoint> external_endpoint() const;  // with the port that most reports saw
  [[nodiscard]] const Key& position() const;
  [[nodiscard]] NodeStats stats() const;
  [[nodiscard]] std::uint64_t digest() const;  // of everything decided so far
  [[nodiscard]] std::vector<std::pair<Key, Bytes>> stored_records()
      const;  // and items; for the test of sealedness

 private:
  std::unique_ptr<NodeState> state_;
};

}  // namespace shoal::dht
