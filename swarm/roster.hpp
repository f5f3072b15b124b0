// Roster: the candidates of one content, i.e. addresses we might dial, and whom never again. One entry an
// endpoint. A candidate without a key cannot be dialled in the native dialect: where no other may be used, it
// is first asked, by datagram at the same port, for its own record (next_ask), which brings the key (add with
// a key). Where several ways are open, the next is tried at once when a stream was made and the greeting
// failed.
//
// Which comes next is one ordered comparison (roster.cpp: Rank): trusted sources, then networks tried least,
// then those with fewest failures; ties by BEP 40's priority, where we know how the world sees us, and by
// chance. So 1,000 liars from 10 networks delay an honest peer by few dials (A9). Candidates that were
// connected once are `proven`: they are members, no victims; dial limits do not bind them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/base/crypto.hpp"
#include "dht/base/random.hpp"
#include "dht/stranger_limits.hpp"
#include "swarm/address_rules.hpp"
#include "swarm/limits.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

struct Candidate {
  Endpoint endpoint;
  std::optional<crypto::PublicKey> key;  // X25519
  Source source = Source::record;
  bool seed = false;
  bool proven = false;
  bool knows_v2 = false;  // a hybrid was asked for by v2's name; v1's may mean nothing to it
  enum class State : std::uint8_t { idle, asking, dialling, connected } state = State::idle;
  std::uint32_t failures = 0;  // in a row
  std::uint32_t asks = 0;      // without an answer
  Instant not_before{};        // back-off
  crypto::PublicKey
      dialled_key{};             // while dialling: counted as up, so that no other endpoint of it is dialled
  std::uint64_t tie = 0;         // the lower first
  Way way = Way::native;         // in which it was dialled last
  Ways refused;                  // in which it took the stream and not the greeting
  bool follow_up = false;        // the next dial only offers another greeting
  bool followed_up = false;      // the last one did
  std::uint32_t syns = 0;        // that the last dial may send while nobody answers
  std::optional<Instant> moved;  // when it was last to go native
};

class Roster {
 public:
  Roster(AddressRules rules, Random random);

  void set_rules(AddressRules rules);  // own endpoints or subnets changed
  void set_ways(Ways ways);            // in which candidates may be dialled; native alone at first
  void set_own_key(const crypto::PublicKey& key) { own_key_ = key; }

  enum class Added : std::uint8_t { added, known, refused };
  // Takes up a candidate or what is new about one. refused: not dialable, banned, ourselves, or no room.
  Added add(Now now, const Endpoint& endpoint, std::optional<crypto::PublicKey> key, Source source,
            bool seed = false);

  // Under which of a hybrid's names a candidate was found; the last one counts. None is v1's.
  void found_by(const Endpoint& endpoint, bool v2);

  // All but those that the user named are gone (BEP 27); connections are the caller's to end, before.
  void forget_hearsay();

  // Whom to dial now, and which way; it is `dialling` from then on and counted in `limits`. nullopt: nobody
  // before next_time().
  [[nodiscard]] std::optional<Candidate> next_dial(Now now, dht::StrangerLimits& limits);
  // Whom to ask for its record now; it is `asking`, asked again by itself after limits::ask_period.
  [[nodiscard]] std::optional<Endpoint> next_ask(Now now, const dht::StrangerLimits& limits);
  // When next_dial or next_ask may have somebody; `never` if all are busy. O(1) while nothing changed.
  [[nodiscard]] Instant next_time(const dht::StrangerLimits& limits) const;

  // How a dial or connection went. Unknown endpoints are ignored. `key`: nullopt where the way has none.
  void connected(Now now, const Endpoint& endpoint, const std::optional<crypto::PublicKey>& key);
  // It is connected already, having dialled us. False: it is not idle, and stays as it is.
  bool occupy(const Endpoint& endpoint);
  // A connected peer that was met another way has named this key: takes it as the candidate's and is true, if
  // it is to be dialled natively now. False, and nothing has changed: that was refused before, it named
  // another a short while ago, or the key is banned or our own.
  [[nodiscard]] bool go_native(Now now, const Endpoint& endpoint, const crypto::PublicKey& key);
  enum class Why : std::uint8_t {
    no_answer,    // dial failed, or timed out
    no_greeting,  // the stream was made, and the handshake failed or timed out
    moves,        // we closed it, to dial it another way at once
    lost,         // an established connection ended
    not_needed,   // we closed it: two seeds, too many peers, the same peer twice
    misbehaved    // struck out without proof of a bad block: long back-off
  };
  void failed(Now now, const Endpoint& endpoint, Why why);

  // A connection with this key is up, whoever dialled, or is gone: other endpoints of the same key are not
  // dialled meanwhile. Each peer_up needs its peer_down. Keys of zeros (dialects without keys) are ignored.
  void peer_up(const crypto::PublicKey& key);
  void peer_down(const crypto::PublicKey& key);

  // BEP 40's, as both ends see it; 0 while we do not know how the world sees us.
  [[nodiscard]] std::uint32_t priority(const Endpoint& endpoint) const;

  // A peer that sent bad blocks. Its key never comes back; its address follows after limits::bans_per_address
  // keys, because a NAT shares one among the honest. Loopback and private addresses are never banned as such.
  void ban(const crypto::PublicKey& key, const IpAddress& address);
  [[nodiscard]] bool banned(const crypto::PublicKey& key, const IpAddress& address) const;
  [[nodiscard]] std::uint32_t bans() const { return static_cast<std::uint32_t>(banned_keys_.size()); }

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(candidates_.size()); }
  [[nodiscard]] std::uint32_t dialling() const { return dialling_; }
  [[nodiscard]] const Candidate* find(const Endpoint& endpoint) const;

 private:
  using Table = std::map<Endpoint, Candidate>;
  [[nodiscard]] std::optional<Way> way_of(const Candidate& candidate) const;
  [[nodiscard]] bool dial_ready(const Candidate& candidate) const;
  [[nodiscard]] bool ask_ready(const Candidate& candidate) const;
  [[nodiscard]] bool key_connected(const crypto::PublicKey& key) const;
  [[nodiscard]] Instant due_at(Instant now, const Candidate& candidate,
                               const dht::StrangerLimits& limits) const;
  [[nodiscard]] bool make_room(const IpAddress& network);
  [[nodiscard]] std::uint64_t tie_of(const Endpoint& endpoint);
  void set_state(Candidate& candidate, Candidate::State state);
  void back_off(Now now, Candidate& candidate);
  void touch() { dirty_ = true; }
  void erase(Table::iterator entry);
  [[nodiscard]] std::uint32_t tried(const IpAddress& network) const;
  [[nodiscard]] std::uint32_t members(const IpAddress& network) const;

  struct Network {
    std::uint32_t members = 0;  // candidates
    std::uint32_t tried = 0;    // dials and connections, decayed by success
  };
  AddressRules rules_;
  Ways ways_{Way::native};
  Random random_;
  std::optional<crypto::PublicKey> own_key_;
  Table candidates_;
  std::map<IpAddress, Network> networks_;
  std::vector<crypto::PublicKey> banned_keys_;          // in order of banning
  std::map<IpAddress, std::uint32_t> struck_;           // keys banned at a host
  std::map<crypto::PublicKey, std::uint32_t> keys_up_;  // connected or dialling, by key
  std::uint32_t dialling_ = 0;
  mutable bool dirty_ = true;
  mutable Instant next_ = never;
  Instant last_{};  // the latest instant heard of
};

}  // namespace shoal::swarm
