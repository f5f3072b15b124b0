// The typed messages of a peer connection, the same in every dialect: BEP 3, BEP 6 (fast), BEP 9 (metadata),
// BEP 10 (hello), BEP 11 (peer exchange), BEP 52 (hashes). What a dialect cannot say is absent data. How they
// look on a stream is a WireCodec's business (wire_codec.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dht/base/buffer.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/hash.hpp"

namespace shoal::swarm::wire {

struct KeepAlive {};
struct Choke {};
struct Unchoke {};
struct Interested {};
struct NotInterested {};
struct Have {
  std::uint32_t piece = 0;
};
// The whole set, once, as the first message about pieces. `bits` is raw and unchecked: only the swarm knows
// how many pieces there are. Empty with `all` or none set (BEP 6 have all, have none).
struct Pieces {
  enum class Form : std::uint8_t { bits, all, none } form = Form::none;
  Bytes bits{};
  std::uint32_t count = 0;  // of the content's pieces, for dialects that have no word for "all"
};
struct Request {
  std::uint32_t piece = 0, begin = 0, length = 0;
  auto operator<=>(const Request&) const = default;
};
struct Cancel {
  Request request;
};
struct Reject {
  Request request;
};
// A block. `data.view()` is the payload alone.
struct Block {
  std::uint32_t piece = 0, begin = 0;
  Buffer data;
};
struct AllowedFast {
  std::uint32_t piece = 0;
};
// BEP 52 hash request: `base` 0 is the leaf layer; `index` and `length` count hashes of that layer; `proofs`
// counts the layers above for which uncles are wanted.
struct HashRequest {
  Sha256 root{};
  std::uint32_t base = 0, index = 0, length = 0, proofs = 0;
  auto operator<=>(const HashRequest&) const = default;
};
struct Hashes {
  HashRequest request;
  std::vector<Sha256> hashes;  // `length` of the layer, then the uncles, lowest first
};
struct HashReject {
  HashRequest request;
};
// Sent once each way when the channel is up, before all else.
struct Hello {
  std::string client;                       // "shoal 0.1", shown escaped, at most 64 bytes
  std::uint16_t listen_port = 0;            // 0: cannot be dialled
  std::uint32_t metadata_bytes = 0;         // 0: has none yet
  std::uint32_t max_requests = 250;         // outstanding requests it will queue
  std::optional<IpAddress> your_address{};  // as it sees us
  bool takes_exchange = true;               // false: of a private torrent (BEP 27)
  bool upload_only = false;                 // BEP 21: it wants nothing (more)
  // BitTorrent's alone: it is a shoal, whose key in this content is this; the two move to the native channel.
  std::optional<crypto::PublicKey> native_key{};
};
// BitTorrent: it has lost a piece (BEP 54); its DHT node listens at its address and this UDP port (BEP 5).
struct DontHave {
  std::uint32_t piece = 0;
};
struct DhtPort {
  std::uint16_t port = 0;
};
struct MetadataRequest {
  std::uint32_t part = 0;  // of 16 KiB
};
struct MetadataPart {
  std::uint32_t part = 0, total_bytes = 0;
  Bytes data;
};
struct MetadataReject {
  std::uint32_t part = 0;
};
// Peer exchange. A native entry carries the key the channel needs; a BitTorrent one does not.
struct ExchangeEntry {
  Endpoint endpoint;
  std::optional<crypto::PublicKey> key;  // X25519
  bool seed = false;
};
struct PeerExchange {
  std::vector<ExchangeEntry> added;
  std::vector<Endpoint> dropped;
};

using Message = std::variant<KeepAlive, Choke, Unchoke, Interested, NotInterested, Have, Pieces, Request,
                             Cancel, Reject, Block, AllowedFast, HashRequest, Hashes, HashReject, Hello,
                             MetadataRequest, MetadataPart, MetadataReject, PeerExchange, DontHave, DhtPort>;

}  // namespace shoal::swarm::wire
