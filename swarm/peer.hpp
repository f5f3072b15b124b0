// Peer: the state of one connection of a swarm, from the dial to the last byte. Values and small rules alone:
// who may ask, what is under way, when it is overdue. The swarm routes its messages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "dht/base/bitfield.hpp"
#include "dht/base/rate.hpp"
#include "swarm/exchange.hpp"
#include "swarm/io.hpp"
#include "swarm/metadata.hpp"
#include "swarm/peer_handle.hpp"
#include "swarm/pipeline.hpp"
#include "swarm/request_queue.hpp"
#include "swarm/way.hpp"
#include "swarm/wire_codec.hpp"

namespace shoal::swarm {

enum class Direction : std::uint8_t { outgoing, incoming };

struct Peer {
  enum class Stage : std::uint8_t { dialling, handshake, up };

  StreamId stream = 0;
  Endpoint endpoint;  // of the stream
  Direction direction{};
  Stage stage = Stage::dialling;
  Way way = Way::native;
  bool knows_v2 = false;   // of one that we dial: Candidate::knows_v2
  std::uint32_t syns = 0;  // of its dial
  Instant since{};         // of this stage
  // It is there now: it answered our own handshake, or sent a message. Whoever dialled us may until then be a
  // replay of somebody's first flight (THREATS A31), so it takes nobody's place.
  bool proven = false;
  Instant heard{};  // the last bytes
  Instant spoke{};  // the last bytes given to the host
  std::unique_ptr<WireCodec> wire;
  std::optional<crypto::PublicKey> expected_key;  // whom we dialled
  crypto::PublicKey key{};                        // proven; in BitTorrent's dialect Swarm::name_of
  std::uint64_t paid = 0;        // payload not yet written that counts against the limit already
  std::uint64_t unsent = 0;      // bytes with the host that are not in the socket yet
  std::uint64_t answers = 0;     // about what was said since the last flush, blocks aside
  Instant taken{};               // when the socket was last heard to take something, or had taken all
  Instant served{};              // when a block was last on its way to it
  std::uint64_t turn_bytes = 0;  // of the piece's worth that is its turn
  Instant turn_began{};
  bool in_service = false;  // one of the few that blocks go to at present

  // What it said of itself.
  std::optional<wire::Hello> hello;
  std::optional<wire::Pieces> pieces;      // kept until we know the content
  std::vector<std::uint32_t> early_haves;  // likewise
  bool known_to_picker = false;
  bool was_seed_at_first = false;
  std::uint32_t pieces_at_first = 0, ours_at_first = 0;  // had by it and by us when we learned what it has
  bool choking_us = true, interested_in_us = false;

  bool named_node = false;           // of the DHT
  bool named_port = false;           // where it listens, for the roster
  std::optional<Endpoint> occupies;  // the candidate that is taken by this connection, which it made
  Instant quiet{};                   // may_talk()
  std::uint32_t hellos = 0;
  std::uint64_t haves = 0;       // said of single pieces
  std::uint32_t turnabouts = 0;  // from having all to lacking some, and back

  // What we said to it.
  bool said_hello = false;
  bool said_pieces = false;
  bool said_none = false;                  // in place of that, since we did not know the content yet
  std::vector<std::uint32_t> haves_later;  // to be said with the next message, or within a second
  bool super_seeded = false;               // it was told of some pieces alone
  std::vector<std::pair<std::uint32_t, std::uint32_t>> given;  // of these it has so many bytes by us
  bool draining = false;  // its turn is over: choked when it has finished them (super_seed.hpp)
  bool choked_by_us = true, we_are_interested = false;
  Instant choke_changed{};
  std::uint64_t took_before = 0;  // payload it had when its choking last changed

  Pipeline pipeline;
  RequestQueue requests;
  using Question = std::variant<wire::HashRequest, wire::MetadataRequest>;
  std::deque<Question> questions;  // to be answered as its stream takes it; at most limits::max_questions
  MetadataServe metadata;
  Exchange exchange;
  std::uint32_t reads = 0;  // blocks being read for it
  std::uint64_t reading_bytes = 0;
  bool in_turn = false;  // waits in the swarm's queue of uploads
  RateMeter gave{limits::contribution_window}, took{limits::contribution_window};  // payload
  RateMeter sent_recently{std::chrono::seconds{3}};
  struct HashesAsked {
    wire::HashRequest request;
    Instant when{};
    bool late = false;  // others are asked; kept, since an answer is still no offence
  };
  std::vector<HashesAsked> hashes_asked;  // at most limits::hashes_asked, and as many that are late
  std::uint32_t rejected_hashes = 0;
  Instant hashes_rejected_at{};
  std::uint32_t refusals = 0;    // ChokerPeer::refusals
  std::uint32_t leaf_reads = 0;  // pieces being hashed for it
  std::uint64_t hashed = 0;      // bytes of pieces that were
  std::uint32_t strikes = 0, rejects = 0;
  Instant demoted{};  // asked for nothing until then
  std::uint32_t demotions = 0;
  std::uint64_t good_blocks = 0;  // of pieces that were right

  // Whether it may say one more thing that costs it nothing; counts it. One instant: when all that it may say
  // at once may be said again (GCRA, ITU-T I.371).
  [[nodiscard]] bool may_talk(Instant now) {
    quiet = std::max(quiet, now) + limits::talk_gap;
    return quiet <= now + limits::talk_at_once * limits::talk_gap;
  }
  // Questions for hashes that it refused, or did not answer, lately.
  [[nodiscard]] std::uint32_t hash_rejects(Instant now) const {
    return now < hashes_rejected_at + limits::hash_reject_counts ? rejected_hashes : 0;
  }
  void hash_rejected(Instant now) {
    rejected_hashes = hash_rejects(now) + 1;
    hashes_rejected_at = now;
  }
  [[nodiscard]] bool up() const { return stage == Stage::up; }
  [[nodiscard]] std::uint32_t hashes_outstanding() const {
    return static_cast<std::uint32_t>(std::count_if(hashes_asked.begin(), hashes_asked.end(),
                                                    [](const HashesAsked& asked) { return !asked.late; }));
  }
  // Where others could dial it: the address of the stream with the port it listens on.
  [[nodiscard]] std::optional<Endpoint> listening() const {
    if (direction == Direction::outgoing) return endpoint;
    if (!hello || hello->listen_port == 0) return std::nullopt;
    return Endpoint{endpoint.address, hello->listen_port};
  }
};

}  // namespace shoal::swarm
