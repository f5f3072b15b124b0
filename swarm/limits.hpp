// Every bound and period of the swarm, with its reason. BEP 3's figures where it gives one; threats A9, A12,
// A21-A26.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "dht/base/time.hpp"

namespace shoal::swarm::limits {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// ---- choking (BEP 3)
inline constexpr Duration choke_period = seconds{10};  // long enough for TCP to show what a peer gives
inline constexpr Duration optimistic_period =
    seconds{30};  // long enough for a newcomer to give something back
inline constexpr Duration contribution_window = seconds{20};  // what "gave most" looks at: two rounds
inline constexpr Duration newcomer_for =
    seconds{60};  // connected for less: three times as likely to be tried
inline constexpr std::uint32_t newcomer_weight = 3;
inline constexpr Duration snub_after = seconds{60};   // unchoked, asked, nothing came: it snubs us
inline constexpr std::uint32_t regular_slots = 4;     // the textbook's 4 ...
inline constexpr std::uint32_t optimistic_slots = 1;  // ... + 1, the floor of adaptation
inline constexpr std::uint32_t max_slots = 50;        // beyond that each gets too little to matter
inline constexpr std::uint32_t spare_slots = 9;       // besides, for those that are dry
inline constexpr std::uint32_t super_slots = 64;      // of a super seed, which rations by what it shows
inline constexpr std::uint64_t credit_bytes =
    256 * 1024;  // a piece to begin with; a rider with 50 peers gets 12 MiB
inline constexpr std::uint32_t refusals_before_debt = 1;  // rounds: a fair peer may have had no slot left
inline constexpr std::uint64_t idle_giver_pace = 3;  // who gives nothing may advance at a third of our pace
inline constexpr double least_gift = 256;            // bytes a second below which a peer has given us nothing
inline constexpr Duration seed_turn_most = minutes{2};  // of one peer, however slowly it takes
inline constexpr Duration seed_quantum = seconds{20};   // a seed's slot is kept that long, then goes round

// ---- asking for blocks
inline constexpr std::uint32_t max_block_bytes = 16384;  // of one request, either way (BEP 3 as practised)
inline constexpr std::uint32_t min_window = 4;    // requests outstanding: hides a round trip on slow links
inline constexpr std::uint32_t first_window = 8;  // the smallest piece: its first taker has it in one go
inline constexpr std::uint32_t max_window = 500;  // 8 MiB; what remote queues commonly take
inline constexpr std::uint32_t default_remote_queue = 250;  // assumed until a hello says otherwise
// Of data asked for ahead, over the round trip: hides the time a request takes, and leaves what else is there
// to be asked of peers that would stand idle.
inline constexpr Duration window_time = std::chrono::milliseconds{750};
inline constexpr Duration min_request_timeout = seconds{5};   // nothing at all for so long: it has stopped
inline constexpr Duration max_request_timeout = seconds{10};  // whatever its rate: others take over
inline constexpr Duration answer_most = seconds{40};  // it lives, but did not come to it: others are asked
inline constexpr Duration sign_of_life = seconds{3};  // who waits for blocks hears of us at least so often
inline constexpr std::uint32_t hashes_asked = 8;      // requests for hashes outstanding with one peer
inline constexpr Duration hash_reject_counts = seconds{10};  // against a peer: it may know more by then
inline constexpr Duration endgame_wait_least = seconds{3};  // when all is asked for: silence, and then others
inline constexpr double endgame_wait_blocks = 20;           // or as long as so many blocks take us at present
inline constexpr std::uint32_t endgame_requests_per_block = 2;  // more only multiplies the waste
inline constexpr std::uint32_t endgame_outstanding = 16;  // duplicates a peer is asked for at once: 256 KiB
inline constexpr std::uint32_t random_first_pieces = 4;   // until so many are had, a piece at random
inline constexpr std::uint32_t random_first_least = 32;   // contents with fewer pieces start rarest first
inline constexpr Duration join_after = seconds{3};  // a partial piece that needs longer takes a second peer
inline constexpr std::uint32_t max_partial_blocks = 262'144;  // detail records: about 20 MiB of memory
inline constexpr std::uint32_t max_deadlines = 1024;          // pieces of a read-ahead window

// ---- answering requests (A23)
inline constexpr std::uint32_t max_queue = 500;  // requests of a peer that wait; those beyond are rejected
// Questions with large answers (hashes, metadata) that wait: all parts of a dictionary of 16 MiB at once.
// They are answered while less than that has been given to the stream and was not taken.
inline constexpr std::uint32_t max_questions = 1000;
inline constexpr std::uint64_t answers_ahead = 96 * 1024;
// Given to a stream that does not take it, besides what we say of pieces: a part are blocks, which are paced,
// and answers; beyond that the other end does not read.
inline constexpr std::uint64_t max_unread = 512 * 1024;
// Messages that cost a peer nothing, and no honest one says often: so many at once, then one each gap.
inline constexpr std::uint32_t talk_at_once = 4000;
inline constexpr Duration talk_gap = Duration{2500};
// Room for so many, of one read, is kept for the next: those of two bytes are values of a hundred (A16).
inline constexpr std::size_t kept_messages = 1024;
// Of a connection, what a peer says of single pieces, that it has them or lacks them: twice as many as there
// are, and some; and that it has all, or lacks one of all, each of which is work for every piece (A24).
inline constexpr std::uint32_t haves_per_piece = 2, spare_haves = 64, max_turnabouts = 16;
inline constexpr std::uint32_t max_hellos = 32;  // of a connection (BEP 10 lets it be said again)
// Read and hashed for a peer, to tell it the hashes of blocks: so much, as much again as it takes, and so
// much a second. It asks for those of the pieces that it fetches.
inline constexpr std::uint64_t hashing_credit = 64ULL << 20, hashing_pace = 512ULL << 10;
inline constexpr std::uint32_t flood_requests =
    2000;                                         // asked and not yet answered by a block: it is no client
inline constexpr std::uint32_t allowed_fast = 5;  // pieces a choked newcomer may ask for (BEP 6, A23)
inline constexpr std::uint32_t rejects_before_demotion = 16;  // of what it advertised (A24)
inline constexpr Duration demotion =
    seconds{10};  // asked for nothing for so long, then for twice as long ...
inline constexpr std::uint32_t most_demotions = 7;         // ... so many times
inline constexpr std::uint32_t strikes_before_ban = 3;     // unrequested blocks, nonsense (A25)
inline constexpr std::uint32_t bad_blocks_before_ban = 2;  // native blame is exact (A21)
inline constexpr std::uint32_t bad_pieces_before_ban = 2;  // where one sent all of a piece (A21)
// Pieces' worth of right blocks. Before that, the hashes of a piece's blocks are asked for ahead, and a false
// block is known when it comes; afterwards, when the piece is whole and wrong. To hash every piece for others
// would cost a seed a fifth of its processor time.
inline constexpr std::uint32_t proving_pieces = 8;
// v1 has no such hashes: whoever has given nothing right is asked for so many pieces before the first is
// judged.
inline constexpr std::uint32_t unproven_pieces = 2;

inline constexpr std::uint32_t served_at_once = 2;  // peers that the uplink's blocks go to, a piece each
inline constexpr Duration service_moment = milliseconds{50};  // or as many as get a piece within that time
// So long a peer that does not drain keeps others from being served: by our own line's pace, within these.
inline constexpr double service_pieces = 1.8, service_blocks = 4;
inline constexpr Duration service_least = milliseconds{30}, service_most = milliseconds{250};
inline constexpr Duration given_ahead = milliseconds{500};  // of our line, to a stream beyond its socket
inline constexpr Duration turn_time = seconds{5};    // of one peer, where a piece takes longer than that
inline constexpr Duration round_time = seconds{25};  // all slots have had their turn: below answer_most

// ---- connections
inline constexpr std::uint32_t wanted_peers = 50;  // of a content: dialled up to here; BEP 3's practice
// Of a content: accepted up to here. Not many more than are dialled: with 200, who came late to 200 peers had
// a quarter of the connections of those before it, was one of 200 to each of its neighbours, and had half as
// much at any time.
inline constexpr std::uint32_t max_peers = 80;
inline constexpr std::uint32_t half_open_dials = 16;      // of a session: spares home routers
inline constexpr std::uint32_t half_open_per_host = 4;    // accepted, not yet proven; global hosts (A22)
inline constexpr std::uint32_t established_per_host = 2;  // of one content; global hosts (A22)
// Likewise, of a global /24 or /48: an attacker has addresses of few, a swarm of many (libp2p
// CVE-2022-23492).
inline constexpr std::uint32_t half_open_per_network = 8, established_per_network = 10;
// Of a content, our own dials: whoever takes the other places does not decide whom we know (A22).
inline constexpr std::uint32_t reserved_dials = 25;
// Of a content, accepted and not yet proven: beyond that the oldest goes. An honest one needs a second.
inline constexpr std::uint32_t half_open_accepted = 16;
inline constexpr Duration silent_place =
    seconds{1};  // so long may one who wants nothing be silent in a full house
inline constexpr Duration place_period = seconds{10};  // so often one that lies idle makes place for another
// Key agreements for those who dial us: 2 a second for a host after 32, and a twelfth of a core in all (A31).
inline constexpr Duration host_handshake_gap = milliseconds{500}, handshake_gap = Duration{2000};
inline constexpr std::uint32_t host_handshakes_at_once = 32, handshakes_at_once = 200;
inline constexpr std::uint32_t max_handshake_hosts = 4096;  // remembered
// What a dial may send while nobody answers. Linux repeats a SYN after 1, 3 and 7 s (RFC 6298), of late after
// every second. Of three that a stranger gets in all (dht::limits::stranger_packets) the first dial has two.
inline constexpr std::uint32_t syns_of_stranger = 2, syns_of_others = 4;
inline constexpr Duration handshake_timeout = seconds{10};  // A22
inline constexpr Duration first_byte_timeout = seconds{5};  // of who dialled us
inline constexpr Duration keepalive = seconds{30};          // nothing sent for so long: an empty frame
inline constexpr Duration idle_timeout = seconds{75};       // nothing heard, keepalives included: it is dead
inline constexpr Duration block_time = seconds{60};  // of what waits for it a peer takes a block, or it goes
inline constexpr Duration bt_idle_timeout = seconds{150};  // BitTorrent's speak every two minutes (BEP 3)

// ---- candidates (A9, A12)
inline constexpr std::uint32_t max_candidates = 2000;  // of a content
inline constexpr std::uint32_t max_candidates_per_network =
    64;  // of a global /24 or /48: 4 a key and a day's churn
inline constexpr std::uint32_t max_endpoints_per_key = 4;  // a record carries v4, v6 and a local one
inline constexpr std::uint32_t max_bans = 1000;            // remembered; the oldest goes
inline constexpr std::uint32_t bans_per_address = 4;  // keys banned at an address before the address itself
                                                      // is: a NAT shares one among the honest
inline constexpr Duration ask_period =
    seconds{5};                                // a bare address is asked for its record so often at most ...
inline constexpr std::uint32_t ask_tries = 3;  // ... so many times, then by the back-off
inline constexpr Duration first_back_off = seconds{15};  // doubled by every failure
inline constexpr Duration max_back_off = minutes{30};
inline constexpr Duration known_back_off =
    seconds{20};                                     // the most, for the user's own and those once connected:
                                                     // a healed network is used again within 60 s
inline constexpr std::uint32_t forget_failures = 6;  // in a row: a hearsay candidate is dropped

// ---- metadata (BEP 9, A26)
inline constexpr std::uint32_t metadata_part_bytes = 16384;
inline constexpr std::uint32_t max_metadata_bytes = 30U << 20;  // a million files fit
inline constexpr std::uint32_t metadata_parts_in_flight = 8;    // of one peer
inline constexpr Duration metadata_timeout = seconds{8};
inline constexpr std::uint32_t metadata_serve_copies = 3;  // a peer gets each part so often in a connection

// ---- peer exchange (BEP 11)
inline constexpr Duration exchange_period = seconds{60};
inline constexpr Duration exchange_least = seconds{45};  // taken no more often: leaves room for jitter
inline constexpr std::uint32_t exchange_added = 50;
inline constexpr std::uint32_t exchange_dropped = 50;
inline constexpr std::uint32_t exchange_taken = 64;   // of a message; the rest is not read
inline constexpr std::uint32_t exchange_strikes = 3;  // too many or too often: no more is taken from it

// ---- contents at rest
inline constexpr Duration rest_after = minutes{1};  // whole, and nobody connected
// At once; they cost what an open content does, and two descriptors each: its folder and its lock.
inline constexpr std::uint32_t most_woken = 256;
// All together: ten a second renew 15,000 within their 25 minutes.
inline constexpr Duration rest_announcement_gap = milliseconds{100};
inline constexpr std::uint32_t rest_announcements_at_once = 32;
// Looked up only while nobody can dial us: each so often, where they are not too many for the gap.
inline constexpr Duration rest_look_up = seconds{20}, rest_look_up_gap = milliseconds{200};
// Who was found for one, and woke it, is no reason again for so long: their records outlive them by an hour.
inline constexpr Duration rest_met = minutes{5};
inline constexpr std::uint32_t most_rest_met = 4096;
inline constexpr Duration rest_save_gap = seconds{1};  // sequences of announcements are saved together

// ---- the disk
inline constexpr Duration space_retry = seconds{5};  // a full disk is tried again so often

}  // namespace shoal::swarm::limits
