// Every bound and period of the engine, each with its reason. Numbers of DESIGN 5 marked "start with" may be
// measured and moved here, nowhere else. Bounds of the store and of tokens are in store.hpp and tokens.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "dht/base/time.hpp"

namespace shoal::dht::limits {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

// ---- routing table
inline constexpr std::size_t k = 8;                              // Kademlia's; BEP 5
inline constexpr std::size_t far_buckets[] = {128, 64, 32, 16};  // most lookups start there: fewer hops
inline constexpr std::size_t near_bucket = 16;  // the others: with 8, one look-up in 25 needs a fourth hop
inline constexpr std::size_t replacements = 8;  // a bucket
inline constexpr std::size_t per_network_in_table = 2;  // of one /24 or /48: a subnet is one party
inline constexpr std::size_t per_network_in_bucket = 1;
inline constexpr std::size_t parties = 1024;  // remembered that have led us to contacts
inline constexpr std::size_t party_lead = 1;  // entries before the others' mean: growth must not wait for all
inline constexpr std::size_t party_first = 192;  // of all together, whoever leads there: a start is quick,
                                                 // and a party that names few holds up nobody
// Entries that came by themselves and nobody has named since, or one entry in so many.
inline constexpr std::size_t callers_first = 4;
inline constexpr std::size_t callers_one_in = 64;
inline constexpr std::uint8_t failures_to_evict = 2;   // hard timeouts in a row; one is packet loss
inline constexpr std::uint8_t failures_to_forget = 5;  // the same with no replacement at hand
inline constexpr auto passed_on_for = minutes{45};     // an entry not heard for longer is not passed on;
                                                       // a cycle of 300 entries at 6 s takes 30 min

inline constexpr std::uint16_t least_heard_port = 1024;  // of hearsay: below are services of others (A30)

// ---- lookup
inline constexpr std::size_t alpha = 5;           // fresh queries at once
inline constexpr std::size_t alpha_raised = 10;   // when soft timeouts occur
inline constexpr std::size_t candidates = 384;    // a lookup; room for 100 Sybils in the region and more
inline constexpr std::size_t queries = 256;       // a lookup, everything counted
inline constexpr std::size_t seeds = 24;          // own contacts a lookup starts with
inline constexpr std::size_t seeds_outside = 12;  // of these at least, or besides, from outside the region
inline constexpr std::size_t seeds_looked_at =
    160;                                      // a far bucket may hold 100 Sybils nearer than anybody else
inline constexpr std::size_t paths = 8;       // disjoint ones
inline constexpr std::size_t paths_next = 4;  // of a search that found nothing on one
inline constexpr double small_network = 64;   // nodes; a plain look-up has asked nearly all of it
inline constexpr std::size_t values_per_search = 512;
inline constexpr std::size_t records_wanted = 50;     // DESIGN 5: about 50 random announcers are tried
inline constexpr std::size_t repeats_per_node = 6;    // further samples asked of a node that holds more
inline constexpr double region_nodes = 1.25 * 8;      // expected nodes of a region: 1.25 k
inline constexpr std::size_t lookups_running = 64;    // 64 x 10 queries fit the transaction table
inline constexpr std::size_t lookups_waiting = 4096;  // 2,048 contents of two epochs
inline constexpr double size_small = 160;             // nodes; below, a region is a sixteenth of all and more
inline constexpr double size_jump = 2;                // times as many within an hour: Sybils? (THREATS A1)
inline constexpr Duration size_looked_back = hours{1};
inline constexpr Duration size_noted_every = minutes{5};
inline constexpr std::size_t puts_per_record = 160;  // the honest of a region besides 100 Sybils

// ---- timeouts
inline constexpr Duration soft_floor = milliseconds{150};
inline constexpr Duration soft_ceiling = milliseconds{1000};
inline constexpr Duration soft_unknown = milliseconds{300};  // until round trips are known
inline constexpr Duration patience = milliseconds{700};      // a slow node holds up a lookup's end no longer
inline constexpr Duration hard_timeout = milliseconds{3000};
inline constexpr std::size_t transactions = 4096;           // in flight; an id costs 100 B
inline constexpr std::size_t transactions_kept_free = 256;  // for upkeep and bootstrap, whatever lookups do

// ---- start-up
inline constexpr std::size_t bootstrap_endpoints = 64;  // remembered; the user's few and some found
inline constexpr int bootstrap_attempts = 3;            // datagrams get lost
inline constexpr Duration bootstrap_again_first =
    std::chrono::seconds{2};  // a bootstrap may be starting, too
inline constexpr Duration bootstrap_again_last = minutes{5};
// With fewer contacts, once there was time for more, they are asked all the same: a small network may have
// fallen into parts that each go on.
inline constexpr std::size_t lonely_below = 4;
inline constexpr Duration lonely_after = minutes{2};
inline constexpr std::size_t restore_parallel = 16;  // besides the slow
inline constexpr std::size_t restore_most = 512;     // a table has at most about 400 entries
inline constexpr std::size_t guides = 16;            // answered, but not for the table
inline constexpr std::size_t ask_attempts = 3;

// ---- upkeep
inline constexpr Duration stalest_every = std::chrono::seconds{6};
inline constexpr Duration neighbourhood_every = minutes{10};
inline constexpr Duration neighbourhood_first =
    std::chrono::seconds{40};                           // again soon after the start, and after twice that
inline constexpr Duration refresh_every = minutes{15};  // a bucket not touched by a lookup
inline constexpr int fill_first_rounds = 12;            // after a start or a move: quickly to 50 contacts
inline constexpr Duration fill_first = milliseconds{400};
inline constexpr int fill_lookups[] = {1, 7, 15};  // rounds; the last: the network may be growing with us
inline constexpr Duration fill_every = std::chrono::seconds{8};  // then, while a bucket has room
inline constexpr Duration stalest_least = milliseconds{2000};    // under churn, see ChurnSeen
inline constexpr Duration neighbourhood_least = std::chrono::seconds{60};
inline constexpr Duration quiet_life = hours{1};  // names of nodes that live shorter are worth less trouble:
inline constexpr double least_worth = 0.25;       // so much, but not less
inline constexpr double checks_a_life = 3;        // of an entry; then one in six is dead
inline constexpr double neighbourhoods_a_life = 4;  // of a node: who came nearer must be known soon
inline constexpr std::size_t lost = 128;  // endpoints that fell out of the table: half of one cut in two
inline constexpr Duration lost_every = std::chrono::seconds{20};  // one of them is asked: 13 B/s
inline constexpr Duration lost_next = std::chrono::seconds{1};    // when one has answered
inline constexpr Duration reunion_every = minutes{2};             // a flapping link starts no storm
inline constexpr Duration passed_on_least = minutes{1};
inline constexpr int suspect_after = 8;  // silent queries in a row, nothing heard: our own link
inline constexpr Duration suspect_silence = std::chrono::seconds{4};
inline constexpr Duration verify_every = milliseconds{50};        // pings to those who may enter the table
inline constexpr Duration verify_far_every = milliseconds{2000};  // outside our region; of each of two
inline constexpr std::int64_t verify_askers_burst = 16;  // kinds, so that no flood of one starves the other
inline constexpr std::int64_t verify_heard_burst = 48;   // after a start: 50 contacts in 5 s
inline constexpr std::size_t verify_queue = 64;
inline constexpr Duration probe_every = std::chrono::seconds{10};  // while read-only, ask to be probed
inline constexpr int probe_first_rounds = 3;  // a lost packet should not cost ten seconds
inline constexpr Duration probe_first = std::chrono::seconds{2};
inline constexpr int probe_rounds = 30;  // then rarely: a NAT does not change by asking
inline constexpr Duration probe_rarely = minutes{15};
inline constexpr std::size_t tiny_table = 16;  // contacts; of more some have always been left alone
inline constexpr Duration probes_sent_every = milliseconds{500};  // for others, all together

// ---- proofs
inline constexpr Duration proof_life = minutes{15};
inline constexpr std::size_t proven_endpoints = 512;                 // beside the table
inline constexpr std::size_t dead_endpoints = 512;                   // silent lately, skipped by lookups
inline constexpr Duration dead_for = minutes{5};                     // after two hard timeouts or more
inline constexpr Duration dead_for_once = std::chrono::seconds{30};  // one may be packet loss
inline constexpr std::size_t recent_lookups = 32;     // a put follows its look-up at once or after 25 min
inline constexpr Duration tokens_fresh = minutes{4};  // others' tokens live 5 min at least
inline constexpr Duration mapping_life =
    minutes{10};  // a NAT forgets an idle UDP mapping sooner (RFC 4787: 2..5 min)
inline constexpr std::size_t contacted = 4096;  // endpoints we sent to, for telling strangers

// ---- guard: global unicast sources only
inline constexpr double packets_per_second = 20;  // an address that never answered us
inline constexpr double packets_burst = 60;
inline constexpr double packets_per_second_proven = 200;
inline constexpr double packets_burst_proven = 600;
inline constexpr double packets_per_second_strangers =
    4000;  // all unproven addresses together: 1.4 us each, beside the system's calls
inline constexpr double packets_burst_strangers = 8000;
inline constexpr double signatures_per_second = 200;  // 200 x 50 us = 1 % of a core
inline constexpr double signatures_burst = 400;
inline constexpr double signatures_per_source = 0.5;      // one is needed in 15 min
inline constexpr double signatures_per_source_burst = 8;  // several nodes behind one NAT
inline constexpr std::size_t guard_sources_first = 64;    // grows under pressure
inline constexpr std::size_t guard_sources = 8192;        // 32 B each
inline constexpr int amplification = 3;  // bytes out per byte in, source unproven (THREATS A11)

// ---- those who never answered: global addresses, by the word of others (THREATS A9, A12)
inline constexpr std::uint32_t stranger_packets = 3;  // to a host in a window: datagrams and SYNs together
inline constexpr Duration stranger_window = minutes{10};
inline constexpr std::uint32_t stranger_network_datagrams = 12;  // to a /24 or /48: a look-up's four, thrice
inline constexpr Duration dial_network_gap = std::chrono::seconds{10};  // between dials to one of these
inline constexpr std::size_t strangers = 8192;                          // remembered: 14 a second are silent
inline constexpr std::size_t stranger_networks = 4096;

// ---- votes
inline constexpr std::size_t voters = 64;
inline constexpr Duration vote_life = hours{1};
inline constexpr std::size_t unanimous_below = 5;
inline constexpr Duration lone_vote_after = std::chrono::seconds{4};  // then one report is better than none
inline constexpr std::size_t skew_voters = 8;                         // distinct networks (THREATS A33)
inline constexpr std::size_t skew_voters_local = 3;                   // a LAN has few
inline constexpr milliseconds skew_matters = minutes{30};             // record_clock_tolerance

// ---- datagram
inline constexpr std::size_t datagram = 1232;  // IPv6's least MTU less headers: never fragmented
inline constexpr std::size_t datagram_read =
    2048;  // a full item with a salt (BEP 44) has 1,300; Host reads no more
inline constexpr std::size_t nodes_in_reply = k;
inline constexpr std::size_t token = 32;  // longest accepted from others

}  // namespace shoal::dht::limits
