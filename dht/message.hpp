// The queries and replies of a Kademlia DHT as values, in no dialect. A codec turns them into datagrams and
// back. What a dialect cannot say is absent here (an empty optional, an empty list), never a branch of the
// engine.
//
// Views (ByteView) point into the datagram that was decoded, or into the caller's storage while encoding: a
// message lives no longer than the turn that handles it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"
#include "dht/fixed_list.hpp"

namespace shoal::dht {

// Names a query and its reply. Our own are 8 random bytes; other dialects' askers choose other lengths, which
// are echoed.
struct TransactionId {
  static constexpr std::size_t max_bytes = 16;
  ByteArray<max_bytes> bytes{};
  std::uint8_t size = 0;

  bool operator==(const TransactionId&) const = default;
  [[nodiscard]] ByteView view() const { return {bytes.data(), size}; }
  [[nodiscard]] static TransactionId from(std::uint64_t value) {
    TransactionId id;
    store_be(id.bytes.data(), value);
    id.size = 8;
    return id;
  }
  [[nodiscard]] std::optional<std::uint64_t> number() const {
    if (size != 8) return std::nullopt;
    return load_be<std::uint64_t>(bytes.data());
  }
};

// A node as others speak of it: hearsay until it has answered us.
struct NodeInfo {
  Key id;
  Endpoint endpoint;
  bool operator==(const NodeInfo&) const = default;
};

inline constexpr std::size_t max_nodes_in_reply = 16;   // THREATS A4: longer lists are refused
inline constexpr std::size_t max_records_in_reply = 8;  // what 1,232 bytes could hold of the smallest records
inline constexpr std::size_t max_peers_in_reply = 200;  // mainline: what an Ethernet frame could hold
using NodeList = FixedList<NodeInfo, max_nodes_in_reply>;
using RecordList = FixedList<ByteView, max_records_in_reply>;
using Salt = ByteArray<16>;

enum class NodesWanted : std::uint8_t { yes, no };

struct PingQuery {};
struct FindQuery {
  Key target;
};
struct GetRecordsQuery {
  Key target;
  NodesWanted nodes = NodesWanted::yes;  // no: the room of the list goes to more records
};
struct PutRecordQuery {
  Key target;
  ByteView token;   // from the asked node's reply to get-records of the same target
  Salt salt{};      // opens the record's address commitment to the storing node
  ByteView record;  // opaque here
};
// "Send a ping to this endpoint": asked of a third node, so that `subject` learns whether strangers reach it.
struct ProbeQuery {
  Endpoint subject;
};

// ---- what mainline asks besides (BEP 5, 33, 44, 51)
struct GetPeersQuery {
  Key target;
  bool no_seeds = false;  // BEP 33: leave the complete out
  bool scrape = false;    // BEP 33: send the filters
};
enum class Completeness : std::uint8_t { downloader, seed };
enum class PortIs : std::uint8_t { stated, source };  // BEP 5: implied_port, for who sits behind a NAT
struct AnnouncePeerQuery {
  Key target;
  ByteView token;
  std::uint16_t port = 0;  // 0 only where the source's counts
  PortIs port_is = PortIs::stated;
  Completeness completeness = Completeness::downloader;  // BEP 33
};
// BEP 44. Immutable: the value alone. Of a mutable item a reply and a put carry key, sequence and signature;
// the salt stands in puts alone.
struct ItemView {
  ByteView value;       // one bencoded value, at most 1,000 bytes
  ByteView public_key;  // 32 bytes; empty: immutable
  ByteView signature;   // 64 bytes
  ByteView salt;        // at most 64 bytes; empty: none
  std::int64_t sequence = 0;
  [[nodiscard]] bool is_mutable() const { return !public_key.empty(); }
};
struct GetItemQuery {
  Key target;
  std::optional<std::int64_t> newer_than;  // we have this one: send the value of a newer alone
};
struct PutItemQuery {
  ByteView token;
  ItemView item;
  std::optional<std::int64_t> expected;  // cas: only where this is the one kept
};
struct SampleQuery {  // BEP 51
  Key target;
};
using QueryBody = std::variant<PingQuery, FindQuery, GetRecordsQuery, PutRecordQuery, ProbeQuery,
                               GetPeersQuery, AnnouncePeerQuery, GetItemQuery, PutItemQuery, SampleQuery>;

enum class SenderRole : std::uint8_t { full, read_only };  // read-only: do not enter me in a table
enum class ProofWanted : std::uint8_t { no, yes };         // please sign the reply
enum class ProbeWanted : std::uint8_t { no, yes };         // please let a third node ping me

struct Query {
  TransactionId transaction;
  std::optional<Key> sender;  // absent in record queries: no node's identity is tied to a swarm
  SenderRole role = SenderRole::full;
  ProofWanted proof = ProofWanted::no;
  ProbeWanted probe = ProbeWanted::no;
  bool wants_v4 = false, wants_v6 = false;  // nodes of these families (BEP 32); neither: of the packet's own
  QueryBody body;
};

// A signed answer: who answers, and when. What is signed: see proof.hpp.
struct Proof {
  crypto::PublicKey public_key{};
  crypto::Signature signature{};
  std::int64_t unix_ms = 0;
};

struct Reply {
  TransactionId transaction;
  Key sender;
  SenderRole role = SenderRole::full;
  std::optional<Endpoint>
      observed;  // the asker's endpoint as the answerer sees it; signed where there is a proof
  std::optional<Proof> proof;
  NodeList nodes;
  ByteView token;                  // empty: none
  RecordList records;              // a sample that fits
  std::uint32_t records_held = 0;  // how many the answerer has under the key

  std::vector<Endpoint> peers;  // mainline, at most max_peers_in_reply
  struct Scrape {               // BEP 33; both filters or neither, 256 bytes each
    ByteView seeds, downloaders;
  } scrape;
  std::optional<ItemView> item;               // BEP 44
  std::optional<std::int64_t> item_sequence;  // where the asker has the newest already
  struct Sample {                             // BEP 51
    ByteView keys;                            // 20 bytes each
    std::uint32_t held = 0;
    std::uint32_t interval_s = 0;
  };
  std::optional<Sample> sample;
};

enum class Refusal : std::uint8_t {
  malformed,
  bad_token,
  busy,
  rejected,
  // BEP 44
  too_large,
  bad_signature,
  salt_too_large,
  not_expected,  // another sequence number than `expected` is kept
  outdated       // a newer item is kept
};

struct Failure {
  TransactionId transaction;
  Refusal reason = Refusal::rejected;
};

using Message = std::variant<Query, Reply, Failure>;

}  // namespace shoal::dht
