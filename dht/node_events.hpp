// What comes out of a Node: datagrams for the host, events for its owner.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/time.hpp"
#include "dht/subject.hpp"

namespace shoal::dht {

enum class SearchId : std::uint64_t { none = 0 };  // never reused within one Node

struct Datagram {
  Endpoint to;
  Bytes bytes;
};

struct ReceivedRecord {
  Bytes record;        // passed record.hpp's check for the target
  Endpoint served_by;  // who sent it; port 0: our own store
};
struct SearchValues {  // as soon as they arrive; a search gives the same bytes once
  SearchId search{};
  std::vector<ReceivedRecord> records;
};
struct SearchPeers {  // mainline; as soon as they arrive, each endpoint once. Claims of others
  SearchId search{};
  std::vector<Endpoint> peers;
};
struct SearchItem {  // mainline; genuine, and newer than the one before
  SearchId search{};
  Item item;
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
struct SearchDone {  // the last event of a search that is no put and no ping
  SearchId search{};
  SearchOutcome outcome = SearchOutcome::finished;
  std::vector<FoundNode> closest;  // nearest first, all have answered
  SearchStats stats;
};
struct PutDone {  // the last event of a put
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
// Our wall clock minus the others' median; told when it begins or ceases to matter.
struct ClockSkew {
  std::chrono::milliseconds ahead{};
  bool matters = false;
  // Fewer have answered than can tell who is wrong: by the clocks of those alone whom the user named.
  bool doubtful = false;
};
struct SizeJump {  // the overlay has doubled, or more, within an hour; told when that begins or ceases to
                   // hold
  double from = 1, to = 1;  // nodes, as estimated
  bool matters = false;
};
struct FirstContact {  // the first live contact since the start, or since all were lost
  Endpoint endpoint;
};
struct Reachable {};  // a stranger reached us: no longer read-only
using Event = std::variant<SearchValues, SearchPeers, SearchItem, SearchDone, PutDone, PingDone,
                           ExternalAddress, ClockSkew, SizeJump, FirstContact, Reachable>;

struct NodeOutput {
  std::vector<Datagram> datagrams;
  std::vector<Event> events;
};

}  // namespace shoal::dht
