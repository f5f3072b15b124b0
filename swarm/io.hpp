// All that the world does to a peer (Input) and all that it does to the world (Output), as values. Two hosts
// speak this: cli/host (sockets, threads, real time) and cli/sim (one queue, virtual everything). See
// session.hpp.
//
// Length: one vocabulary, which nobody needs a part of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "dht/base/buffer.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"
#include "dht/node_events.hpp"
#include "storage/job.hpp"
#include "swarm/info_hash.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

// Streams (TCP). The session names those it dials (top bit clear), the host those it accepts (top bit set); a
// name is never used twice in one run.
using StreamId = std::uint64_t;
inline constexpr StreamId accepted_stream = StreamId{1} << 63;

// ---- inputs
// ---------------------------------------------------------------------------------------------------

struct DatagramIn {
  Endpoint from;
  ByteView bytes;  // valid during handle() only
  enum class Via : std::uint8_t { own_port, lan_group, lsd_group } via = Via::own_port;
};
struct StreamAccepted {
  StreamId stream = 0;
  Endpoint from;
};
struct StreamConnected {
  StreamId stream = 0;
};
struct StreamReceived {
  StreamId stream = 0;
  ByteView bytes;  // valid during handle() only; at most 256 KiB
};
// The host wrote to the socket: `unsent` bytes given by Write are still waiting in it. Told whenever the
// count falls below stream_low_water after having been above, and whenever it reaches zero.
struct StreamWritable {
  StreamId stream = 0;
  std::uint64_t unsent = 0;
};
struct StreamClosed {
  StreamId stream = 0;
  enum class Why : std::uint8_t { by_peer, refused, unreachable, failed } why = Why::by_peer;
};
struct DiskDone {
  storage::JobId job = 0;
  storage::Done done;
};
struct Tick {};  // next_wake() has come

// ---- commands (inputs of the user)
// ------------------------------------------------------------------------------

using CommandId = std::uint64_t;  // named by the host; answers carry it

enum class SeedUntil : std::uint8_t { complete, ratio, forever };
struct SeedPolicy {
  SeedUntil until = SeedUntil::complete;
  double ratio = 0;
};
// Opens a content: what the catalog has of it is taken up; what it lacks is fetched. Both `share` (whole,
// stored before by the importer) and `get` are this. Answers: ContentEvent, several.
struct OpenContent {
  storage::ContentId id{};
  std::string folder;           // absolute: where NAME will lie (ignored if the catalog knows better)
  std::vector<Endpoint> hints;  // `at`, --peer: asked at once for their own record, and used as DHT contacts
  std::vector<std::string> only;  // globs over paths; empty: everything
  SeedPolicy seed;
  Bytes info;  // where known (from a .torrent file), with `layers`
  std::vector<Bytes> layers;
  bool is_public = false;  // BitTorrent's dialect may be spoken, too
  std::optional<Sha1> v1;  // its other name, of a magnet link that has both
  // Of one that the catalog has whole: it rests while nobody asks for it, and from the start.
  struct Rest {
    bool v2 = true;              // has BEP 52's part; `v1` tells of BEP 3's
    std::uint64_t sequence = 0;  // of its last record
  };
  std::optional<Rest> rest;
  // By their place in the info dictionary, first and last of each range (BEP 53); none: everything.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> only_places;
};
struct CloseContent {
  storage::ContentId id{};
};
struct Bootstrap {
  std::vector<Endpoint> nodes;
  std::optional<Dialect> dialect{};  // which they speak; unknown: asked in each
};
struct DhtPing {
  Endpoint node;
};
struct DhtFind {
  Key target;
};
// Questions to mainline's DHT, of both families: who announced a content there (answers: PeersAnswer,
// several; LookupAnswer at the end), an item of BEP 44 (ItemAnswer each time a newer one is found;
// LookupAnswer), and to put one (PutAnswer).
struct DhtGetPeers {
  InfoHash content{};
};
struct DhtGetItem {
  Key target;
  Bytes salt;  // of a mutable one
};
struct DhtPutItem {
  dht::ItemPut what;
};
struct Stop {};  // orderly: commit, save, close. Answer: Stopped.

using Command = std::variant<OpenContent, CloseContent, Bootstrap, DhtPing, DhtFind, DhtGetPeers, DhtGetItem,
                             DhtPutItem, Stop>;
struct CommandIn {
  CommandId command = 0;
  Command what;
};

using Input = std::variant<DatagramIn, StreamAccepted, StreamConnected, StreamReceived, StreamWritable,
                           StreamClosed, DiskDone, Tick, CommandIn>;

// ---- outputs
// --------------------------------------------------------------------------------------------------

struct DatagramOut {
  Endpoint to;
  Bytes bytes;
  // To a local group `to` holds the family alone: shoal's own (lan.hpp), or BitTorrent's (lsd.hpp).
  enum class Via : std::uint8_t { own_port, lan_group, lsd_group } via = Via::own_port;
};
struct Dial {
  StreamId stream = 0;
  Endpoint to;
  std::uint32_t syns = 4;  // that may be sent while nobody answers: then it is StreamClosed::Why::unreachable
};
// How long that takes: a moment less than it would take to send one more. Linux sends the first ones a second
// apart (net.ipv4.tcp_syn_linear_timeouts, since 6.5), before that at 0, 1, 3 and 7 s.
[[nodiscard]] constexpr Duration dial_patience(std::uint32_t syns) {
  using std::chrono::milliseconds;
  return syns == 1 ? milliseconds{800} : syns == 2 ? milliseconds{1'900} : milliseconds{10'000};
}
struct Write {
  StreamId stream = 0;
  Buffer bytes;  // the host gives it back to the pool once it is written
};
// Stop or go on reading a stream (the TCP window does the rest). Streams start reading.
struct PauseRead {
  StreamId stream = 0;
  bool paused = false;
};
// The stream is gone for the session; the host sends what it still holds (at most 1 s) and closes.
struct Close {
  StreamId stream = 0;
};
struct DiskJob {
  storage::JobId job = 0;
  storage::Job what;
};

// ---- answers
// ----------------------------------------------------------------------------------------------------

// One step in the life of a content, in the order in which they can happen.
struct ContentEvent {
  enum class What : std::uint8_t {
    announced,        // our own node holds our record: the link works from now on
    published,        // stored at `count` other nodes
    metadata,         // its files are known (see Session::content); from now on `id` is the content's own,
                      // where it was opened by another name
    attached,         // the disk is ready; `count` pieces are already there
    receiving,        // the first block of this run is here
    paused_no_space,  // disk full: tried again by itself
    resumed,
    file_changed,  // a file is no longer what was verified, or unreadable: hashed before it is served
    complete,      // all wanted files are whole, verified and durable
    seeded,        // the seed policy is fulfilled
    copy_out,      // one full copy has been uploaded
    failed,        // `error` and `path` say why; the content is closed
    closed,        // after CloseContent or Stop
    no_contact,    // not one DHT contact answers (and no peer is connected)
    peer_banned,   // a peer sent corrupt blocks; `count`: how many
  } what{};
  storage::ContentId id{};
  std::uint64_t count = 0;
  Error error{};
  std::string path;
};
struct PingAnswer {
  Endpoint node;
  std::optional<Key> position;  // nullopt: no answer
  Duration round_trip{};
};
struct PeersAnswer {
  std::vector<Endpoint> peers;  // claims of others, each once
};
struct ItemAnswer {
  dht::Item item;  // genuine
};
struct LookupAnswer {                   // the last of a question but of ping and put
  std::vector<dht::FoundNode> closest;  // DhtFind alone
  std::uint32_t asked = 0, answered = 0, hops = 0;
  Duration took{};
};
struct PutAnswer {
  std::uint32_t stored = 0, refused = 0;  // nodes
};
struct ReachAnswer {  // what we learned of our own address; unasked
  Endpoint external;
  bool reachable = false;
};
struct ClockAnswer {  // our wall clock against the median of the others'; unasked
  std::chrono::milliseconds ahead{};
  bool matters = false;   // so wrong that records and greetings are refused
  bool doubtful = false;  // or theirs are, few and named by the user as they are
};
struct SizeAnswer {  // a DHT has doubled within an hour, or has not any more; unasked
  Dialect dialect{};
  double from = 1, to = 1;  // nodes, as estimated
  bool matters = false;
};
struct Stopped {};

using AnswerBody = std::variant<ContentEvent, PingAnswer, PeersAnswer, ItemAnswer, LookupAnswer, PutAnswer,
                                ReachAnswer, ClockAnswer, SizeAnswer, Stopped>;
struct Answer {
  CommandId command = 0;
  AnswerBody what;
};

using Output = std::variant<DatagramOut, Dial, Write, PauseRead, Close, DiskJob, Answer>;

// Bytes handed to the host and not yet in the socket: below this a stream takes more blocks.
inline constexpr std::uint64_t stream_low_water = 256 * 1024;

}  // namespace shoal::swarm
