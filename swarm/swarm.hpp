// Swarm: the hub of one content. It holds the peers and the leaves that decide (piece map, picker, choker,
// roster, metadata, exchange) and routes between them: messages of peers in, completions of disk jobs in,
// records of the DHT in; messages, disk jobs, dials and answers out. It knows no socket and no thread, and of
// the wire only the seam.
//
// Sources: swarm.cpp (life of the content), swarm_disk.cpp (what comes of disk jobs, commits),
// swarm_connect.cpp (finding, dialling, greeting, leaving), swarm_mainline.cpp (what BitTorrent's dialect has
// of its own), swarm_messages.cpp (what peers say), swarm_download.cpp (what to ask for, what became of it),
// swarm_judge.cpp (which pieces are right), swarm_retrial.cpp (pieces fetched anew from one peer, to learn
// who spoilt them), swarm_hashes.cpp (hashes of pieces and blocks: fetching, blame), swarm_answers.cpp
// (hashes and metadata for others), swarm_upload.cpp (what others ask for, choking), swarm_super_seed.cpp
// (what a lone seed shows whom).
//
// Invariants: a piece is announced and served only after its bytes hashed to its root; a have-bit reaches the
// catalog only through a commit job that was sent after the writes were done; every table has a bound of
// limits.hpp.
//
// Length: a hub's header is the table of contents of its sources, each of which is a duty of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "dht/base/handle.hpp"
#include "storage/piece_layers.hpp"
#include "swarm/announcer.hpp"
#include "swarm/bt_wire.hpp"
#include "swarm/choker.hpp"
#include "swarm/config.hpp"
#include "swarm/content_names.hpp"
#include "swarm/entrance.hpp"
#include "swarm/metadata.hpp"
#include "swarm/peer.hpp"
#include "swarm/picker.hpp"
#include "swarm/piece_map.hpp"
#include "swarm/replay_filter.hpp"
#include "swarm/resting.hpp"
#include "swarm/roster.hpp"
#include "swarm/super_seed.hpp"
#include "swarm/suspects.hpp"
#include "swarm/tag_table.hpp"
#include "swarm/turn.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

// In which ways peers of a content are met.
[[nodiscard]] Ways ways_of(const SessionConfig& config, Visibility visibility);

class Swarm {
 public:
  // `past`: of its announcements, where it rested until now (and then open.rest is set).
  Swarm(Slot slot, CommandId command, const SessionConfig& config, OpenContent&& open, Announcer::Past past,
        Random random);

  void start(Turn& turn);
  void close(Turn& turn);  // orderly: commits, says good-bye, detaches; then gone()
  [[nodiscard]] bool gone() const { return stage_ == Stage::gone; }
  // It was at rest. Gone, it may go back to that: its files are let go, its announcements stand.
  [[nodiscard]] bool woken() const { return open_.rest.has_value(); }
  [[nodiscard]] bool rests() const { return rests_; }
  [[nodiscard]] RestingContent to_rest() const;
  // Goes to rest if it was woken and nobody is connected; whether it did.
  bool rest_now(Turn& turn);
  [[nodiscard]] bool was_ready() const { return work_ != nullptr; }  // who came could be answered
  void tick(Turn& turn);
  [[nodiscard]] Instant next_wake() const;

  // Finding peers.
  // Asked for its own record, and dialled; `name`: by which it called the content, if it did.
  void hint(Turn& turn, const Endpoint& who, Source source, const InfoHash& name = {});
  void records(Turn& turn, RecordsFound& found);
  void lookup_ended(Turn& turn, const LookupEnded& ended);
  void peers_found(Turn& turn, const PeersFound& found);
  void published(Turn& turn, std::uint32_t nodes);
  void overlay_connected(Turn& turn);

  // Streams.
  void accepted(Turn& turn, StreamId stream, Entrance::Admission&& admission);
  void connected(Turn& turn, PeerHandle peer);
  void received(Turn& turn, PeerHandle peer, ByteView bytes);
  void writable(Turn& turn, PeerHandle peer, std::uint64_t unsent);
  void closed(Turn& turn, PeerHandle peer, StreamClosed::Why why);
  void pause_reading(Turn& turn, bool paused);

  void disk_done(Turn& turn, storage::JobId job, storage::Done&& done);

  // Uploads are paced by the session: one block to one peer at a time.
  [[nodiscard]] bool wants_upload() const;
  bool serve_one(Turn& turn);  // false: nothing can go out at present

  [[nodiscard]] const storage::ContentId& id() const { return open_.id; }
  [[nodiscard]] ContentNames names() const;
  // By which BitTorrent's dialect knows it; none: it is not spoken.
  [[nodiscard]] std::vector<InfoHash> info_hashes() const;
  // Whether others on the local network may be told of it.
  [[nodiscard]] bool may_be_called() const { return !info_hashes().empty() && !is_private() && !ending(); }
  // Whether its names are new since the last call: who keeps tables of them brings these up to date.
  [[nodiscard]] bool take_renamed() { return std::exchange(renamed_, false); }
  [[nodiscard]] Announcer& announcer() { return announcer_; }
  [[nodiscard]] ContentStatus status(Now now) const;
  // Nothing of its status changes by itself: it is whole, and nobody is connected.
  [[nodiscard]] bool idle() const { return stage_ == Stage::running && complete_ && peers_.size() == 0; }
  [[nodiscard]] Bitfield held() const;  // pieces that are announced and served
  [[nodiscard]] std::uint64_t digest() const;

 private:
  enum class Stage : std::uint8_t { loading, metadata, attaching, running, closing, detaching, gone };
  // Everything that exists only once the content is known.
  struct Work {
    Work(const storage::ContentPtr& content, const Bitfield& have, const std::vector<bool>& wanted,
         Random random)
        : map(content, have, wanted), picker(map, std::move(random)), layers(content) {}
    PieceMap map;
    Picker picker;
    storage::PieceLayers layers;
  };
  // What a disk job under way is for.
  struct Pending {
    enum class Kind : std::uint8_t {
      load,
      attach,
      plain,
      read,
      write,
      check,
      serve_leaves,
      commit,
      detach
    } kind{};
    PeerHandle peer{};
    wire::Request request{};     // read, write
    wire::HashRequest hashes{};  // serve_leaves
    std::uint32_t piece = 0;     // check
    std::uint32_t bytes = 0;     // write
  };
  // A piece of which the hashes of blocks are needed.
  struct LeavesWanted {
    enum class Why : std::uint8_t {
      ahead,    // it is being fetched: each block is judged as it comes, and a bad one names its sender
      failed,   // all of it is here and it is wrong: which blocks?
      salvage,  // it lay on the disk unfinished: which blocks are good?
    } why = Why::ahead;
    std::vector<Sha256> on_disk;  // of salvage: what lies there
    std::vector<Sha256> truth;    // gathered so far
    bool asked = false;
    std::uint32_t tries = 0;
  };
  // A piece that was wrong, and nobody tells which blocks of it: fetched anew from one peer at a time.
  struct Retrial {
    struct Attempt {                    // what it was made of
      std::vector<PeerHandle> senders;  // one a block
      std::vector<Sha256> leaves;
      PeerHandle alone{};  // all of it came from this one
    };
    std::vector<Attempt> attempts;
    std::vector<PeerHandle> tried;  // had their turn, since all others had theirs
    PeerHandle sole{};              // whose turn it is
    Instant until{};
    Duration patience{};
  };
  // Roots of a hybrid's pieces that v1 says are right, until all of a file's are here.
  struct Learned {
    std::vector<Sha256> roots;
    Bitfield known;
  };
  enum class Truth : std::uint8_t { no, yes, unknown };
  [[nodiscard]] bool ending() const {
    return stage_ == Stage::closing || stage_ == Stage::detaching || stage_ == Stage::gone;
  }
  using Kind = Pending::Kind;
  using What = ContentEvent::What;

  // swarm.cpp
  void event(Turn& turn, What what, std::uint64_t count = 0, Error error = {}, std::string path = {});
  storage::JobId submit(Turn& turn, storage::Job&& job, Pending pending);
  void loaded(Turn& turn, storage::Loaded& loaded);
  bool adopt(Turn& turn, Bytes info, const std::vector<Bytes>& layers, const Bitfield* have);
  void attach(Turn& turn);
  void attached(Turn& turn, storage::Attached& attached);
  void fail(Turn& turn, const Error& error, std::string path = {});
  void job_failed(Turn& turn, Pending& pending, storage::JobFailure& failure);
  void write_failed(Turn& turn, const Pending& pending, storage::JobFailure& failure);
  void commit_failed(Turn& turn, storage::JobFailure& failure);
  [[nodiscard]] bool commit_lags() const;
  void commit_if_due(Turn& turn);
  void committed(Turn& turn, storage::Committed& done);
  void check_done(Turn& turn);
  void leave(Turn& turn);
  void advance_close(Turn& turn);
  void rest(Turn& turn);
  void rest_if_idle(Turn& turn);
  [[nodiscard]] bool untold(What what) const;
  void pause_for_space(Turn& turn, storage::JobFailure&& failure);
  void retry_after_space(Turn& turn);

  // swarm_connect.cpp
  [[nodiscard]] dht::Progress progress() const;
  void announce(Turn& turn);
  void look_up(Turn& turn);
  void find_peers(Turn& turn);  // asks and dials what the roster has
  [[nodiscard]] bool may_dial(const Turn& turn) const;
  void dial(Turn& turn, const Candidate& candidate);
  void ask_hints(Turn& turn);
  static void dial_answered(Turn& turn, const Peer& peer);
  [[nodiscard]] bool make_place(Turn& turn, const Endpoint& from);
  void established(Turn& turn, PeerHandle handle);
  bool prove(Turn& turn, PeerHandle handle);
  [[nodiscard]] bool keeps(Turn& turn, PeerHandle handle);  // of two connections to one peer, this one
  [[nodiscard]] bool crowded(const Peer& fresh) const;
  void drop(Turn& turn, PeerHandle handle, Roster::Why why);
  void ban(Turn& turn, const Suspects::Suspect& who, std::uint32_t blocks);  // false ones that it gave
  [[nodiscard]] static AddressRules rules_of(const SessionConfig& config);
  void update_rules(Turn& turn);
  [[nodiscard]] Duration answer_most(Instant now);
  void tick_peer(Turn& turn, PeerHandle handle, Peer& peer);
  void exchange_peers(Turn& turn);

  // swarm_mainline.cpp
  [[nodiscard]] bool is_private() const { return content_ && content_->is_private; }
  void take_name(Turn& turn);
  void respect(Turn& turn);
  void announce_publicly(Turn& turn);
  void withdraw(Turn& turn);
  [[nodiscard]] BtParams bt_params();
  [[nodiscard]] std::unique_ptr<WireCodec> dialled_wire(Turn& turn, const Peer& peer);
  [[nodiscard]] std::unique_ptr<WireCodec> accepted_wire(Turn& turn, std::optional<Mse>&& mse);
  [[nodiscard]] static crypto::PublicKey name_of(const Peer& peer);
  [[nodiscard]] std::optional<crypto::PublicKey> native_key() const;
  bool move_to_native(Turn& turn, PeerHandle handle);
  void renew_streams(Turn& turn);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::DontHave& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::DhtPort& message);

  // swarm_messages.cpp
  void flush(Turn& turn);
  void say_hello(Turn& turn, PeerHandle handle, Peer& peer);
  void say_none(Turn& turn, PeerHandle handle, Peer& peer);
  void say_pieces(Turn& turn, PeerHandle handle, Peer& peer);
  void dispatch(Turn& turn, PeerHandle handle, wire::Message& message);
  void strike(Turn& turn, PeerHandle handle);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Hello& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Pieces& message);
  [[nodiscard]] std::optional<Bitfield> bits_of(const wire::Pieces& message) const;
  void learn_again(Turn& turn, PeerHandle handle, const wire::Pieces& message);
  void learn(Turn& turn, PeerHandle handle, Peer& peer, std::uint32_t piece);
  [[nodiscard]] bool too_many_haves(Peer& peer) const;
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Have& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Request& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Block& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Reject& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::Hashes& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::HashReject& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::MetadataPart& message);
  void on(Turn& turn, PeerHandle handle, Peer& peer, wire::PeerExchange& message);
  void ask_metadata(Turn& turn);
  void introduce(Turn& turn, PeerHandle handle, Peer& peer);  // its pieces to the picker

  // swarm_download.cpp
  void fill(Turn& turn, PeerHandle handle, Peer& peer);
  void fill_all(Turn& turn);
  void release(Turn& turn, PeerHandle handle, Peer& peer, Pipeline::After after);
  void update_interest(Turn& turn, PeerHandle handle, Peer& peer);
  void written(Turn& turn, const Pending& pending, storage::WriteDone& done);
  void judge(Turn& turn, std::uint32_t piece);  // all blocks are written: compare hashes
  [[nodiscard]] Truth by_trees(std::uint32_t piece, std::span<const Sha256> leaves) const;
  void accept(Turn& turn, std::uint32_t piece);
  void tell_have(Turn& turn, PeerHandle handle, Peer& peer, std::uint32_t piece);
  void check_next(Turn& turn);
  [[nodiscard]] bool more_rows_come(Turn& turn);
  [[nodiscard]] storage::HashJob::What check_of(std::uint32_t piece) const;
  void check(Turn& turn, std::uint32_t piece, storage::HashJob::What what);
  [[nodiscard]] bool right_by_row(const storage::HashDone& done) const;
  void checked(Turn& turn, storage::HashDone& done);
  void fetched_wrong(Turn& turn, std::uint32_t piece, Truth trees, const storage::HashDone& done);
  void check_failed(Turn& turn, std::uint32_t piece, storage::JobFailure& failure);
  [[nodiscard]] bool learn_root(Turn& turn, std::uint32_t piece, std::span<const Sha256> leaves);
  void hold_back(Turn& turn);  // pauses or resumes reading as the disk keeps up

  // swarm_retrial.cpp
  void try_again(Turn& turn, std::uint32_t piece, Retrial::Attempt attempt);
  void assign(Turn& turn, std::uint32_t piece);
  [[nodiscard]] PeerHandle next_to_try(Instant now, std::uint32_t piece, const Retrial& retrial);
  [[nodiscard]] bool on_parole(PeerHandle handle) const;
  [[nodiscard]] std::uint32_t unjudged_pieces(const Peer& peer) const;
  void pick_for_retrial(Instant now, PeerHandle handle, Peer& peer, std::uint32_t room);
  void look_at_retrials(Turn& turn);
  void conclude(Turn& turn, std::uint32_t piece, std::span<const Sha256> right);

  // swarm_hashes.cpp
  [[nodiscard]] static storage::HashRequest to_storage(const wire::HashRequest& request);
  [[nodiscard]] bool for_blocks(const wire::HashRequest& request) const;
  [[nodiscard]] bool nobody_tells(Instant now, std::uint32_t piece) const;
  void ask_hashes(Turn& turn);
  bool ask(Turn& turn, const wire::HashRequest& request, std::uint32_t piece, PeerHandle preferred = {});
  void want_leaves(Turn& turn, std::uint32_t piece, LeavesWanted::Why why, PeerHandle preferred = {},
                   std::vector<Sha256> on_disk = {});
  [[nodiscard]] const LeavesWanted* truth_of(std::uint32_t piece) const;  // only if complete
  void keep_leaves(std::uint32_t piece, std::span<const Sha256> leaves);
  [[nodiscard]] std::optional<Suspects::Suspect> who_is(PeerHandle sender) const;
  void blame(Turn& turn, PeerHandle sender, std::uint32_t blocks);
  void leaves_known(Turn& turn, std::uint32_t piece);
  void give_up_leaves(Turn& turn, std::uint32_t piece);
  void hashes_overdue(Turn& turn, Peer& peer);
  void hashes_failed(Turn& turn, const wire::HashRequest& request);
  [[nodiscard]] std::vector<std::uint32_t> wanted_alike(std::uint32_t piece) const;
  void layers_complete(Turn& turn, const std::vector<std::uint32_t>& files);

  // swarm_answers.cpp
  void send(Turn& turn, PeerHandle handle, Peer& peer, wire::Message&& message);
  [[nodiscard]] bool unread(const Peer& peer) const;
  void take_question(Turn& turn, PeerHandle handle, Peer& peer, Peer::Question question);
  void answer_more(Turn& turn, PeerHandle handle, Peer& peer);
  void answer(Turn& turn, PeerHandle handle, Peer& peer, const wire::MetadataRequest& message);
  void answer(Turn& turn, PeerHandle handle, Peer& peer, const wire::HashRequest& message);
  [[nodiscard]] bool may_hash(Instant now, const Peer& peer) const;
  void serve_leaves(Turn& turn, const Pending& pending, storage::HashDone& done);

  // swarm_upload.cpp
  enum class Turns : std::uint8_t { next, last };
  void want_turn(PeerHandle handle, Peer& peer, Turns where = Turns::last);
  [[nodiscard]] bool may_serve(Instant now, const Peer& peer);
  void block_read(Turn& turn, const Pending& pending, storage::ReadDone& done);
  [[nodiscard]] std::uint64_t ahead() const;
  [[nodiscard]] Duration service_time() const;
  void look_at_slots(Turn& turn);
  [[nodiscard]] std::uint32_t slots() const { return super_ ? limits::super_slots : slots_.count(); }
  void choke_round(Turn& turn, ChokeClock::Due due);
  void interest_changed(Turn& turn, Peer& peer, bool interested);
  void set_choked(Turn& turn, PeerHandle handle, Peer& peer, bool choked);
  void forget_commit(std::uint32_t piece);
  void hash_again(Turn& turn, std::uint32_t piece);
  void piece_changed(Turn& turn, std::uint32_t piece);
  void file_changed(Turn& turn, std::uint32_t piece, const storage::JobFailure& why);
  [[nodiscard]] bool serves(std::uint32_t piece) const;

  // swarm_super_seed.cpp
  [[nodiscard]] bool super_seeds(const Turn& turn, PeerHandle greeted);
  void super_learn(const Turn& turn, PeerHandle handle);
  void super_reveal(Turn& turn, PeerHandle handle, Peer& peer);
  void super_show(Turn& turn, PeerHandle handle, Peer& peer, std::uint32_t ahead);
  void super_gave(Turn& turn, PeerHandle handle, Peer& peer, const wire::Request& block);
  void super_passed(const Turn& turn);
  void super_feed(Turn& turn);
  void end_super_seed_if_over(Turn& turn);

  Slot slot_;
  CommandId command_;
  const SessionConfig& config_;
  OpenContent open_;
  Random random_;
  Announcer announcer_;
  Roster roster_;
  Suspects suspects_{limits::max_bans};
  Stage stage_ = Stage::loading;

  Visibility visibility_;
  BtPeerId peer_id_{};                 // drawn with the first stream
  std::vector<InfoHash> told_hashes_;  // our own DHT nodes name us under
  bool renamed_ = true;

  storage::ContentPtr content_;
  std::vector<bool> wanted_;
  std::unique_ptr<Work> work_;
  MetadataFetch fetch_;
  std::string folder_, root_name_;  // where it lies: root_name_ beneath folder_
  std::vector<std::uint32_t> touched_;
  bool rests_ = false;        // it goes to rest, or has gone
  Instant rest_due_ = never;  // of a woken one: looked at whether it may rest
  bool share_ = false;        // the user's own files: served, never written
  bool complete_ = false, told_seeded_ = false, told_copy_out_ = false, told_receiving_ = false;

  Slab<Peer, PeerTag> peers_;
  std::vector<PeerHandle> dirty_;  // with messages to flush
  std::uint32_t up_ = 0;           // peers that are up
  std::uint32_t outgoing_ = 0;     // peers that we dialled
  Instant place_due_{};            // when the next idle one may make place
  std::map<storage::JobId, Pending> jobs_;

  // Downloading.
  std::uint64_t writing_bytes_ = 0;
  bool reading_held_ = false;     // by the disk
  bool reading_limited_ = false;  // by the session's limit
  std::uint64_t seen_supply_ = 0;
  std::vector<std::uint32_t> to_commit_;
  std::uint64_t uncommitted_bytes_ = 0;
  Instant commit_due_ = never;
  bool committing_ = false;
  std::size_t committing_count_ = 0;                         // of to_commit_, from the front
  std::uint32_t commit_failures_ = 0, commits_put_off_ = 0;  // in a row
  std::deque<std::uint32_t> to_check_;
  std::uint32_t checking_ = 0;
  Instant check_due_ = never;  // those of to_check_ that wait for others are hashed then
  bool no_space_ = false;
  Instant space_retry_ = never;
  std::vector<storage::WriteJob> waiting_writes_;  // for room on the disk

  // Hashes.
  bool judging_ = false;                     // something of the content is here, to be judged
  PeerHandle last_giver_{};                  // of a block: it has the hashes of pieces
  std::deque<std::uint32_t> layers_wanted_;  // one piece of each stretch of 512 whose roots are unknown
  std::map<std::uint32_t, LeavesWanted> leaves_wanted_;
  std::map<wire::HashRequest, std::uint32_t> hashes_asked_;   // request, piece
  std::set<std::uint32_t> under_check_;                       // judged by v1: waiting to be hashed, or hashed
  std::uint32_t check_failures_ = 0;                          // in a row
  std::map<std::uint32_t, Retrial> retrials_;                 // by piece
  std::size_t suspect_blocks_ = 0;                            // in the attempts of these
  std::map<std::uint32_t, Learned> learned_;                  // by file
  std::map<std::uint32_t, std::vector<Sha256>> leaves_kept_;  // of verified pieces, to be served
  std::deque<std::uint32_t> leaves_order_;                    // oldest first
  std::size_t leaves_count_ = 0;

  // Uploading.
  std::deque<PeerHandle> upload_turns_;
  std::vector<PeerHandle> in_service_;  // those marked so, and some gone
  Instant serve_due_ = never;           // a place in service falls free then at the latest
  UploadSlots slots_;
  ChokeClock choke_clock_;
  Instant choked_at_{};  // the last round that found somebody interested
  Instant slots_due_{};
  std::int32_t busy_slots_ = 0;  // peers that are unchoked and interested
  PeerHandle optimistic_;
  std::optional<SuperSeed> super_;  // while we are the only seed of a young swarm
  bool super_over_ = false;         // once is enough for the peers there are
  std::uint32_t super_ahead_ = 0;   // pieces that must be on their way for our line to be busy

  Instant second_{};  // next look at every peer
  Instant look_up_due_{};
  Instant roster_wake_ = never;
  Duration look_up_gap_{};
  std::uint64_t received_ = 0, sent_ = 0, wasted_ = 0;  // payload, this run
  std::uint64_t earlier_received_ = 0, earlier_sent_ = 0;
  mutable RateMeter down_{std::chrono::seconds{5}, std::chrono::seconds{1}},
      up_rate_{std::chrono::seconds{5}, std::chrono::seconds{1}};
  // Bytes a second: the best of late, falling by a hundredth each second in which something was sent. What
  // our line can do: the present rate is low, too, where too little is on its way or nothing is asked for.
  double up_best_ = 0;
  std::uint64_t digest_ = 0;

  // Scratch of a turn, kept for its room.
  std::vector<wire::Message> messages_;
  std::vector<BlockRef> blocks_;
  std::vector<std::uint32_t> shown_;
  std::vector<Buffer> buffers_;
  std::vector<wire::Request> requests_;
};

}  // namespace shoal::swarm
