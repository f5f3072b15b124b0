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
#include <variant>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/random.hpp"
#include "dht/base/time.hpp"
#include "dht/codec.hpp"

namespace shoal::dht {

enum class SearchId : std::uint64_t { none = 0 };  // never reused within one Node

// internet: positions are bound to addresses, private and loopback addresses are refused, read-only at first.
// local (--local): loopback and private addresses are fine, no read-only phase, no address binding.
enum class Scope : std::uint8_t { internet, local };
// full: enters others' tables at once (the `node` command). earned: read-only until a stranger reached us.
enum class Membership : std::uint8_t { earned, full };

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
};

struct Datagram {
  Endpoint to;
  Bytes bytes;
};

// ---- events
struct ReceivedRecord {
  Bytes record;        // passed record.hpp's check for the target
  Endpoint served_by;  // who sent it; port 0: our own store
};
struct SearchValues {  // as soon as they arrive; a search gives the same bytes once
  SearchId search{};
  std::vector<ReceivedRecord> records;
};
struct FoundNode {
  Key id;
  Endpoint endpoint;
};
struct SearchStats {
  std::uint32_t queries = 0;
  std::uint32_t answered = 0;
  std::uint32_t timed_out = 0;  // after the hard timeout, or still silent at the end
  std::uint32_t values = 0;     // distinct records handed on
  std::uint8_t depth = 0;       // referrals followed to the nearest node found; 1: known from our own table
  std::uint8_t depth_first_value = 0;
  Duration took{};
  Duration first_value_after{};  // zero: none
};
// nobody_answered: not one contact replied (exit 8). refused: too many searches at once, see limits.hpp.
enum class SearchOutcome : std::uint8_t { finished, nobody_answered, refused };
struct SearchDone {  // the last event of get_records, find_node and ask
  SearchId search{};
  SearchOutcome outcome = SearchOutcome::finished;
  std::vector<FoundNode> closest;  // nearest first, all have answered
  SearchStats stats;
};
struct PutDone {  // the last event of put_record
  SearchId search{};
  SearchOutcome outcome = SearchOutcome::finished;
  std::uint32_t stored = 0;   // nodes that confirmed
  std::uint32_t refused = 0;  // nodes that said no
  SearchStats stats;
};
struct PingDone {
  SearchId search{};
  Endpoint endpoint;
  std::optional<Key> id;  // absent: no answer
  Duration round_trip{};
};
struct ExternalAddress {  // learned or changed; the position follows it
  IpAddress address;
};
struct ClockSkew {  // our wall clock minus the others' median; told when it begins or ceases to matter
  std::chrono::milliseconds ahead{};
  bool matters = false;
};
struct FirstContact {  // the first live contact since the start, or since all were lost
  Endpoint endpoint;
};
struct Reachable {};  // a stranger reached us: no longer read-only
using Event = std::variant<SearchValues, SearchDone, PutDone, PingDone, ExternalAddress, ClockSkew,
                           FirstContact, Reachable>;

struct NodeOutput {
  std::vector<Datagram> datagrams;
  std::vector<Event> events;
};

struct NodeStats {
  Key position;
  std::size_t contacts = 0;
  std::size_t replacements = 0;
  std::size_t buckets = 0;
  std::size_t records = 0;       // kept for others
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
  SearchId ping(Now now, const Endpoint& to, NodeOutput& out);
  // One get-records query to a bare endpoint, sent again twice while it is silent (`at`, --peer, LAN
  // discovery).
  SearchId ask(Now now, const Endpoint& to, const Key& target, NodeOutput& out);
  void cancel(SearchId search);  // no further event of it

  // Our own announcement: served to whoever asks under `target`, wherever our position is. One a key;
  // replaces.
  void hold(const Key& target, Bytes record);
  void forget(const Key& target);

  [[nodiscard]] std::vector<SavedContact> contacts_to_save(Now now) const;  // freshest first
  [[nodiscard]] std::optional<IpAddress> external_address() const;
  [[nodiscard]] std::optional<Endpoint> external_endpoint() const;  // with the port that most reports saw
  [[nodiscard]] const Key& position() const;
  [[nodiscard]] NodeStats stats() const;
  [[nodiscard]] std::uint64_t digest() const;                               // of everything decided so far
  [[nodiscard]] std::vector<std::pair<Key, Bytes>> stored_records() const;  // for the test of sealedness

 private:
  std::unique_ptr<NodeState> state_;
};

}  // namespace shoal::dht
