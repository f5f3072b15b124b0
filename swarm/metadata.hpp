// Metadata: the info dictionary by parts of 16 KiB from peers (BEP 9 in meaning), hashed before anybody
// parses it, and handed out to peers within a bound. Not parsing it (storage/metainfo), not sending anything.
//
// A size is only a claim: parts are gathered from peers that claim the same one, each size beside the others,
// so that nobody holds up a size that he does not claim; at the end the hash decides. When it does not match
// and one peer gave every part, that peer lied; if several did, each of them is tried alone. Whoever does not
// answer rests, longer each time until an answer comes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "dht/base/hash.hpp"
#include "dht/base/time.hpp"
#include "swarm/limits.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm {

class MetadataFetch {
 public:
  explicit MetadataFetch(const Sha256& expected) : expected_(expected) {}

  // From its hello. False: an impossible size, a strike. 0 (it has none) is no offer and no offence.
  [[nodiscard]] bool offer(PeerHandle peer, std::uint32_t total_bytes);
  void remove_peer(PeerHandle peer);  // gone or banned; what it was asked is asked of others

  struct Ask {
    PeerHandle peer{};
    std::uint32_t part = 0;
  };
  // Requests to send now; appends to `out`. Overdue ones are given up here and asked of others: to be called
  // each second.
  void next(Instant now, std::vector<Ask>& out);

  enum class Verdict : std::uint8_t {
    taken,
    complete,   // the hash matches: take()
    discarded,  // not asked for, or here already
    strike,     // wrong size or length, or all of it came from this peer and the hash is wrong
    mismatch    // the hash is wrong and several peers gave parts: started again from one of them; nobody is
                // blamed
  };
  [[nodiscard]] Verdict part(Instant now, PeerHandle peer, std::uint32_t part, std::uint32_t total_bytes,
                             ByteView data);
  void rejected(Instant now, PeerHandle peer, std::uint32_t part);

  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] Bytes take();  // once, after complete

 private:
  struct Question {
    std::uint32_t part = 0;
    Instant when{};
    bool late = false;  // asked of others meanwhile; taken if it comes first
  };
  struct Offer {
    PeerHandle peer{};
    std::uint32_t total_bytes = 0;
    std::vector<Question> asked;
    std::uint32_t failures = 0;  // in a row
    Instant rests_until{};
    std::uint32_t tried = 0;  // times it was asked alone
    [[nodiscard]] std::size_t in_flight() const;
  };
  struct Part {
    Bytes data;
    PeerHandle from;
  };
  // To put one size together. A part is here, asked of somebody, in `again`, or not below `fresh`.
  struct Attempt {
    std::uint32_t parts = 0;
    std::map<std::uint32_t, Part> here;
    std::set<std::uint32_t> again;  // asked in vain
    std::uint32_t fresh = 0;        // the first that nobody was asked for
    bool alone = false;             // a hash did not match: from now on one peer at a time
    PeerHandle single;              // that one
  };
  [[nodiscard]] Offer* find(PeerHandle peer);
  static void failed(Instant now, Offer& offer);
  void give_up(Attempt& attempt, Question& question);
  void give_up_overdue(Instant now);
  void choose_single(Instant now, std::uint32_t total_bytes, Attempt& attempt);
  void restart(std::uint32_t total_bytes, Attempt& attempt);
  [[nodiscard]] std::optional<std::uint32_t> ask(Instant now, Offer& offer);
  [[nodiscard]] Verdict finish(Instant now, Offer& last, Attempt& attempt);
  void make_room(Instant now);

  Sha256 expected_;
  std::vector<Offer> offers_;
  std::map<std::uint32_t, Attempt> attempts_;  // by size; each has an offer
  std::uint64_t held_ = 0;                     // bytes of parts that are here
  bool complete_ = false;
  Bytes whole_;
};

// What one peer may still take of our metadata: each part limits::metadata_serve_copies times in a
// connection.
class MetadataServe {
 public:
  // The bytes of the part; nullopt: reject it. `info` is the whole info dictionary.
  [[nodiscard]] std::optional<ByteView> part(ByteView info, std::uint32_t part);

 private:
  std::uint64_t served_bytes_ = 0;
};

}  // namespace shoal::swarm
