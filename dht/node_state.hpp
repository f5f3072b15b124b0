// NodeState: what a Node holds, and the routing between its leaves. Private to node*.cpp, split by duty.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dht/acquaintances.hpp"
#include "dht/churn_seen.hpp"
#include "dht/clock_skew.hpp"
#include "dht/external_vote.hpp"
#include "dht/guard.hpp"
#include "dht/holdings.hpp"
#include "dht/node.hpp"
#include "dht/put_rate.hpp"
#include "dht/responder.hpp"
#include "dht/routing_table.hpp"
#include "dht/search.hpp"
#include "dht/size_estimate.hpp"
#include "dht/stranger_limits.hpp"
#include "dht/tokens.hpp"
#include "dht/transactions.hpp"
#include "dht/upkeep.hpp"

namespace shoal::dht {

struct NodeState {
  NodeState(Now now, NodeConfig configuration, std::unique_ptr<Codec> dialect, Random source);

  // node.cpp: the way in and out
  void handle(Now now, const Endpoint& from, ByteView datagram, NodeOutput& out);
  void tick(Now now, NodeOutput& out);
  [[nodiscard]] Instant next_wake() const;
  struct Sending {
    Purpose purpose = Purpose::ping;
    Ask::Form form = Ask::Form::nodes;
    std::uint64_t search = 0;
    std::uint8_t round = 0;
    std::uint16_t candidate = 0;
    std::optional<Key> expected;
    ProofWanted proof = ProofWanted::no;
    ProbeWanted probe = ProbeWanted::no;
    bool tell_sender = true;
    bool to_stranger = false;
    Party party = no_party;  // who led us there; of who is in the table that is known
  };
  [[nodiscard]] bool by_word_of_others(Instant now, const Endpoint& to, Purpose purpose) const;
  bool send_query(Now now, const Endpoint& to, QueryBody body, const Sending& sending, NodeOutput& out);
  void send(const Endpoint& to, Bytes bytes, NodeOutput& out);
  [[nodiscard]] Key place_at(const IpAddress& address);        // where our position is, seen from there
  [[nodiscard]] bool allowed(const Endpoint& endpoint) const;  // others may name it to us
  [[nodiscard]] bool heard_usable(const NodeInfo& node, Instant now) const;
  [[nodiscard]] bool hearsay_usable(const NodeInfo& node, Instant now) const;  // by the word of others alone
  [[nodiscard]] bool has_contacts() const { return table.size() > 0 || !guides.empty(); }
  [[nodiscard]] bool starting() const { return !introductions.empty() || saved.left(); }
  [[nodiscard]] bool link_suspect(Instant now) const;
  // While read-only, upkeep leaves half of all nodes alone, so that in a small network, too, there are
  // strangers whose probe can show that we are reachable. Searches of the user ask everybody.
  [[nodiscard]] bool left_alone(const Endpoint& endpoint) const;
  [[nodiscard]] bool to_be_a_stranger(const Endpoint& endpoint) const;
  // Whether a bucket has room is looked at only where filling may be due by `until`.
  [[nodiscard]] Facts facts(Instant now, Instant until) const;

  // node_answers.cpp: others' queries
  void on_query(Now now, const Endpoint& from, std::size_t room, const Query& query, NodeOutput& out);
  void consider_asker(Now now, const Endpoint& from, const Query& query, std::size_t room);
  void pass_probe_on(Now now, const Endpoint& subject, NodeOutput& out);
  void on_probe(Now now, const ProbeQuery& probe, NodeOutput& out);
  [[nodiscard]] Duration far_pace() const;  // of verifications outside our region
  void queue_verification(const Verification& verification);
  void verify(Now now, const Verification& next, NodeOutput& out);
  void ask_around(Now now, NodeOutput& out);
  [[nodiscard]] std::optional<int> bucket_to_fill() const;
  void ask_a_lost_one(Now now, NodeOutput& out);
  void remember_lost(const LostContact& contact);
  // No proof of this endpoint under this name is at hand.
  [[nodiscard]] bool unverified(const Endpoint& endpoint, const Key& id, Instant now) const;

  // node_replies.cpp: replies to our queries
  void on_reply(Now now, const Endpoint& from, const Reply& reply, NodeOutput& out);
  void on_failure(Now now, const Endpoint& from, const Failure& failure, NodeOutput& out);
  // The answerer's standing; nullopt: the proof is false, nothing of the reply counts.
  [[nodiscard]] std::optional<Standing> meet(Now now, const Endpoint& from, const Reply& reply,
                                             const Transaction& transaction, NodeOutput& out);
  [[nodiscard]] std::optional<Standing> check_proof(Now now, const Endpoint& from, const Reply& reply,
                                                    const Transaction& transaction, NodeOutput& out);
  void admit(Now now, const Endpoint& from, const Reply& reply, const Transaction& transaction);
  [[nodiscard]] Standing standing_of(const Endpoint& endpoint, const Key& id, Instant now) const;
  void add_guide(Now now, const NodeInfo& node, Standing standing);
  void take_vote(Now now, const Endpoint& from, const Endpoint& observed, NodeOutput& out);
  void apply_external(Now now, NodeOutput& out);
  void apply_skew(Now now, NodeOutput& out);
  [[nodiscard]] bool wants_proof(Instant now, const NodeInfo& node, Goal goal, Party party) const;
  void consider_heard(const NodeList& nodes, Party party, Instant now);

  // node_searches.cpp
  SearchId begin(Now now, Search search, NodeOutput& out);
  void start_waiting(Now now, NodeOutput& out);
  void start_lookup(Now now, Search& search);
  bool try_recent_tokens(Now now, Search& search);
  void advance(Now now, std::uint64_t id, NodeOutput& out);
  void advance_lookup(Now now, std::uint64_t id, Search& search, NodeOutput& out);
  [[nodiscard]] bool goes_on(const Search& search) const;
  [[nodiscard]] bool begins_again(const Search& search) const;
  void lookup_over(Now now, std::uint64_t id, Search& search, NodeOutput& out);
  void advance_put(Now now, std::uint64_t id, Search& search, NodeOutput& out);
  void send_direct(Now now, std::uint64_t id, Search& search, NodeOutput& out);
  void search_replied(Now now, const Transaction& transaction, const Endpoint& from, const Reply& reply,
                      Standing standing, NodeOutput& out);
  void direct_replied(Now now, Search& search, const Transaction& transaction, const Endpoint& from,
                      const Reply& reply, NodeOutput& out);
  void search_stage(Now now, const Transaction& transaction, NodeOutput& out);
  std::uint32_t take_values(Now now, std::uint64_t id, Search& search, const Endpoint& from,
                            const Reply& reply, std::uint8_t depth, NodeOutput& out);
  void own_values(Now now, std::uint64_t id, Search& search, NodeOutput& out);
  void finish(Now now, std::uint64_t id, Search& search, SearchOutcome outcome, NodeOutput& out);

  // node_upkeep.cpp: starting up and staying alive
  [[nodiscard]] Party party_of(const Endpoint& endpoint) const;  // that begins with it
  void introduce(Now now, const Endpoint& endpoint, Purpose purpose, NodeOutput& out);
  void send_introduction(Now now, Introduction& introduction, NodeOutput& out);
  void introduced(Now now, const Transaction& transaction, const Endpoint& from, const Reply& reply,
                  Standing standing, NodeOutput& out);
  void introduction_stage(Now now, const Transaction& transaction, NodeOutput& out);
  void restore_more(Now now, NodeOutput& out);
  void stage_passed(Now now, const Transaction& transaction, NodeOutput& out);
  void run_duties(Now now, NodeOutput& out);
  void do_duty(Now now, Duty duty, NodeOutput& out);
  void upkeep_lookup(Now now, const Key& target, NodeOutput& out);
  void take_size(Now now, const Lookup& lookup, NodeOutput& out);
  void ask_stalest(Now now, NodeOutput& out);
  void ask_to_be_probed(Now now, NodeOutput& out);
  void send_verifications(Now now, NodeOutput& out);
  [[nodiscard]] Key random_in_bucket(int index);

  NodeState* sibling = nullptr;  // of the other family, on this host
  NodeConfig config;
  std::unique_ptr<Codec> codec;
  DialectTraits traits;
  Random random;
  Key position;
  RoutingTable table;
  Holdings holdings;
  Tokens tokens;
  Guard guard;
  Acquaintances known;
  StrangerLimits own_strangers;  // used where the host has none in common
  Transactions transactions;
  ExternalVote vote;
  SkewMedian skew;
  SizeEstimate size;
  ChurnSeen churn;
  UsualRoundTrip usual;
  Upkeep upkeep;

  std::map<std::uint64_t, Search> searches;  // by id, that is by age
  std::deque<std::uint64_t> waiting;         // of these, in order, who have not begun
  std::uint64_t next_search = 1;
  std::size_t lookups_running = 0;
  bool upkeep_searching = false;
  std::vector<Guide> guides;  // oldest first, bounded
  Instant born{};
  std::vector<Endpoint> bootstraps;         // remembered, bounded
  std::vector<Introduction> introductions;  // in flight
  SavedEndpoints saved;
  std::deque<Verification> verifications;  // askers, and those near to us
  std::vector<LostContact> lost;           // bounded, a random one makes room
  std::deque<Verification> heard;          // named in passing; at leisure
  PacedRate heard_pace, asker_pace;
  std::deque<Endpoint> probe_askers;  // the latest who wished to be probed: they can probe each other
  std::deque<RecentLookup> recent;

  bool read_only = false;
  // By a stranger, which is what ends it.
  [[nodiscard]] bool hopes_to_be_reached() const {
    return read_only && config.membership == Membership::earned;
  }
  std::uint64_t left_alone_secret = 0, party_secret = 0;
  bool had_contact = false, size_jumped = false;
  enum class ClockFound : std::uint8_t { right, doubtful, wrong } clock = ClockFound::right;
  std::optional<Endpoint> external;
  Instant next_verification{}, next_heard{};
  Instant next_probe_passed{}, next_probe_answered{};
  Instant last_reply{};
  Instant last_seen{};  // the latest instant handed in: next_wake has no other clock
  int silent_in_a_row = 0, filled_bucket = -1;
  NodeStats counters;                           // only its counting fields are kept here
  std::uint64_t trace = 0xcbf29ce484222325ULL;  // of everything sent

  // Scratch, kept for its room.
  std::vector<const Contact*> contact_scratch;
  std::vector<ByteView> record_scratch;
  std::vector<Ask> ask_scratch;
  std::vector<std::uint16_t> put_scratch;
  ReplyScratch reply_scratch;
};

}  // namespace shoal::dht
