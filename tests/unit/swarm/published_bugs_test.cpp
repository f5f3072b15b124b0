// Bugs of other programs that were published, where BitTorrent's stream, its messages, message stream
// encryption and a whole session could have them: each is named, and shown not to be here. What another test
// shows already is not repeated.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/hash.hpp"
#include "storage/piece_layers.hpp"
#include "swarm/bt_message.hpp"
#include "swarm/bt_wire.hpp"
#include "swarm/limits.hpp"
#include "swarm/mse.hpp"
#include "swarm/selection.hpp"
#include "swarm/session.hpp"
#include "tests/unit/storage/content_fixture.hpp"
#include "tests/unit/swarm/contents.hpp"

namespace shoal::swarm {
namespace {

namespace fixture = storage::fixture;

// ---- extended messages

constexpr std::uint8_t hello_kind = 0, metadata_kind = 1, exchange_kind = 2;

Result<void> take(std::uint8_t kind, std::string_view payload) {
  Bytes body{20, kind};
  append(body, as_bytes(payload));
  BtReader reader;
  std::vector<wire::Message> messages;
  return reader.read(to_vector(body), messages);  // in memory of just its size
}

// uTorrent's decoder lost the kinds of what lay deeper than 32, and the extended handshake brought that to
// it. Here such a message has at most 8 levels.
TEST(PublishedBugs, UTorrentCve2020_8437NestedExtendedMessage) {
  const auto nested = [](std::size_t lists) {
    return "d8:msg_typei0e5:piecei0e1:x" + std::string(lists, 'l') + std::string(lists, 'e') + "e";
  };
  for (const std::uint8_t kind : {hello_kind, metadata_kind, exchange_kind}) {
    EXPECT_TRUE(take(kind, nested(7))) << int{kind};
    for (const std::size_t lists : {8UL, 31UL, 32UL, 33UL, 60'000UL}) {
      const auto refused = take(kind, nested(lists));
      ASSERT_FALSE(refused) << int{kind} << ' ' << lists;
      EXPECT_EQ(refused.error().code, Code::too_large) << int{kind} << ' ' << lists;
    }
  }
}

// libtorrent's decoder read on behind the end of what it was given. A part of the metadata stands behind a
// dictionary whose end is looked for; whatever is missing of that, the message is refused.
TEST(PublishedBugs, LibtorrentCve2017_9847ExtendedMessageCutShort) {
  struct Case {
    std::uint8_t kind;
    std::string_view text;
  };
  for (const Case& one : {Case{hello_kind, "d1:md11:ut_metadatai3ee1:v3:fooe"},
                          Case{metadata_kind, "d8:msg_typei0e5:piecei2e1:xl1:yi-7edeee"},
                          Case{exchange_kind, "d5:added6:abcdef6:added60:e"}}) {
    for (std::size_t bytes = 0; bytes < one.text.size(); ++bytes) {
      const auto refused = take(one.kind, one.text.substr(0, bytes));
      ASSERT_FALSE(refused) << one.text << ' ' << bytes;
      EXPECT_EQ(refused.error().code, Code::malformed) << one.text << ' ' << bytes;
    }
    EXPECT_TRUE(take(one.kind, one.text)) << one.text;
  }
}

// ---- message stream encryption

constexpr InfoHash named{1, 2, 3};
constexpr std::size_t padding_most = 512, key_bytes = 96;

Sha1 hash(std::string_view label, ByteView first, ByteView second = {}) {
  Sha1Stream stream;
  stream.update(as_bytes(label));
  stream.update(first);
  stream.update(second);
  return stream.finish();
}

// `plain` under the key of one direction.
Bytes sealed(std::string_view label, ByteView shared, Bytes plain) {
  obfuscation::Rc4 cipher{hash(label, shared, named)};
  Bytes dropped(1024);
  cipher.apply(dropped);
  cipher.apply(plain);
  return plain;
}

void pad(Bytes& out, std::size_t bytes) { out.insert(out.end(), bytes, std::uint8_t{0}); }

// Why the other end gave up; nothing: its handshake is done. `cancelled`: it waits for more.
std::optional<Code> verdict(Mse& other, const Bytes& flight) {
  ByteView bytes{flight};
  const auto taken = other.receive(bytes);
  if (!taken) return taken.error().code;
  return other.done() ? std::nullopt : std::optional{Code::cancelled};
}

// Dials by hand, with that much padding behind the key, behind the methods, and that much of the stream.
std::optional<Code> dialled(std::size_t pad_a, std::size_t pad_c, std::size_t initial) {
  InfoHashTable contents;
  contents.set(1, {named});
  Random random{ByteArray<32>{5}};
  Mse answerer = Mse::answerer(contents, MseMethods{}, random);
  const obfuscation::DhSecret secret{7};
  Bytes flight = to_vector(obfuscation::dh_public(secret));
  pad(flight, pad_a);
  if (const auto early = verdict(answerer, flight); early != Code::cancelled) return early;
  const auto shared = obfuscation::dh_shared(secret, to_array<key_bytes>(answerer.take_reply())).value();
  const Sha1 name = obfuscated_name(named), cover = hash("req3", shared);
  Bytes hidden(name.size());
  std::ranges::transform(name, cover, hidden.begin(), [](std::uint8_t a, std::uint8_t b) { return a ^ b; });
  Bytes methods(8, 0);
  append_be(methods, std::uint32_t{3});
  append_be(methods, static_cast<std::uint16_t>(pad_c));
  pad(methods, pad_c);
  append_be(methods, static_cast<std::uint16_t>(initial));
  pad(methods, initial);
  flight = to_vector(hash("req1", shared));
  append(flight, hidden);
  append(flight, sealed("keyA", shared, std::move(methods)));
  return verdict(answerer, flight);
}

// Answers by hand, with that much padding behind the key and behind the method.
std::optional<Code> answered(std::size_t pad_b, std::size_t pad_d) {
  Random random{ByteArray<32>{6}};
  Mse dialler = Mse::dialler(named, MseMethods{}, {}, random);
  const obfuscation::DhSecret secret{9};
  const auto shared = obfuscation::dh_shared(secret, to_array<key_bytes>(dialler.take_reply())).value();
  Bytes flight = to_vector(obfuscation::dh_public(secret));
  pad(flight, pad_b);
  Bytes method(8, 0);
  append_be(method, std::uint32_t{2});
  append_be(method, static_cast<std::uint16_t>(pad_d));
  pad(method, pad_d);
  append(flight, sealed("keyB", shared, std::move(method)));
  return verdict(dialler, flight);
}

// rTorrent's buffer for the handshake was too small for one with all the padding that is permitted, for
// thirteen years. The longest is taken here, from either end; a byte more is not.
TEST(PublishedBugs, Rtorrent86HandshakeWithAllThePaddingThereMayBe) {
  EXPECT_EQ(dialled(0, 0, 0), std::nullopt);
  EXPECT_EQ(dialled(padding_most, padding_most, Mse::initial_most), std::nullopt);
  EXPECT_EQ(dialled(padding_most + 1, 0, 0), Code::malformed);
  EXPECT_EQ(dialled(padding_most, padding_most, Mse::initial_most + 1), Code::too_large);
  EXPECT_EQ(answered(0, 0), std::nullopt);
  EXPECT_EQ(answered(padding_most, padding_most), std::nullopt);
  EXPECT_EQ(answered(padding_most + 1, 0), Code::malformed);
}

// i2pd compared the length that a handshake claims for its padding with the wrong constant, and copied that
// much. Here the claim is compared with the bound before any of it is taken.
TEST(PublishedBugs, I2pd2453ClaimedLengthOfPadding) {
  for (const std::size_t claimed : {padding_most + 1, std::size_t{1024}, std::size_t{65'535}}) {
    EXPECT_EQ(dialled(0, claimed, 0), Code::malformed) << claimed;
    EXPECT_EQ(answered(0, claimed), Code::malformed) << claimed;
  }
}

// ---- the stream

// Transmission believed the length before a frame, up to 4 GiB, and kept what came until then: of 200 peers
// 200 times that. Here a frame is refused with its kind, whichever that is, and nothing of it is kept.
TEST(PublishedBugs, Transmission9082LengthOfAFrame) {
  BufferPool pool;
  BtParams params;
  params.info_hash = named;
  params.accepted = {named};
  params.peer_id = {1};
  const auto dialler = BtWire::make_dialler(params, pool);
  std::vector<Buffer> greeting;
  dialler->flush({}, greeting);
  ASSERT_EQ(greeting.size(), 1U);
  params.peer_id = {2};
  for (const std::uint32_t length : {1U << 20, 0x7fffffffU, 0xffffffffU})
    for (int kind = 0; kind < 256; ++kind) {
      const auto peer = BtWire::make_answerer(params, pool);
      std::vector<wire::Message> messages;
      ASSERT_TRUE(peer->receive({}, greeting[0].view(), messages));
      Bytes frame;
      append_be(frame, length);
      ASSERT_TRUE(peer->receive({}, frame, messages));
      EXPECT_LE(peer->held(), 4U);
      const auto refused = peer->receive({}, Bytes{static_cast<std::uint8_t>(kind)}, messages);
      ASSERT_FALSE(refused) << length << ' ' << kind;
      EXPECT_EQ(refused.error().code, Code::too_large) << length << ' ' << kind;
      EXPECT_FALSE(peer->receive({}, Bytes(100'000, 0), messages));
      EXPECT_EQ(peer->held(), 0U);
    }
}

// ---- a whole session

// A session that wants a public content, and one stranger connected to it, who says in BitTorrent's dialect
// what the test likes and sets every bit that there is. The disk has nothing, and does at once what it is
// told.
class Stranger {
 public:
  enum class Metadata : std::uint8_t { known, unknown };

  Stranger(storage::ContentPtr content, const InfoHash& name, Metadata metadata)
      : content_(std::move(content)), session_(config(), pool_) {
    BtParams params;
    params.info_hash = name;
    params.accepted = {name};
    params.peer_id.fill(7);
    params.v2 = name;
    codec_ = BtWire::make_dialler(params, pool_);
    OpenContent open;
    open.id = content_->id;
    open.folder = "/nowhere";
    open.is_public = true;
    open.v1 = content_->v1;
    if (metadata == Metadata::known) open.info = content_->info;
    feed(CommandIn{1, std::move(open)});
    feed(StreamAccepted{stream_, {IpAddress::v4(0x14010001), 5000}});
    send();
    EXPECT_TRUE(codec_->established());
  }

  void say(wire::Message message) {
    if (closed) return;
    codec_->send(now_, std::move(message));
    send();
  }
  void say_raw(ByteView bytes) {
    if (!closed) feed(StreamReceived{stream_, bytes});
  }
  [[nodiscard]] wire::Block block(std::uint32_t piece, std::size_t bytes) {
    Buffer data = pool_.take();
    data.extend(BtWire::block_front + bytes);
    data.drop_front(BtWire::block_front);
    std::ranges::fill(data.span(), std::uint8_t{7});
    return {piece, 0, std::move(data)};
  }
  // The first of its kind that the session said; nullptr: none.
  template <class T>
  [[nodiscard]] const T* heard() const {
    for (const wire::Message& message : heard_)
      if (const T* found = std::get_if<T>(&message); found != nullptr) return found;
    return nullptr;
  }
  [[nodiscard]] ContentStatus status() const { return session_.contents(now_).at(0); }

  bool closed = false;        // by the session
  std::uint32_t written = 0;  // blocks that went to the disk

 private:
  static SessionConfig config() {
    crypto::initialise();
    SessionConfig out;
    out.native = false;
    out.mainline = true;
    out.mse = Obfuscation::off;
    out.listen_port = 6881;
    out.lan_discovery = false;
    return out;
  }
  void send() {
    std::vector<Buffer> frames;
    codec_->flush(now_, frames);
    for (Buffer& frame : frames) {
      say_raw(frame.view());
      pool_.give(std::move(frame));
    }
  }
  void feed(Input input) {
    std::vector<Output> outputs;
    session_.handle(now_, std::move(input), outputs);
    for (Output& output : outputs) perform(output);
  }
  void perform(Output& output) {
    if (auto* write = std::get_if<Write>(&output)) {
      EXPECT_TRUE(codec_->receive(now_, write->bytes.view(), heard_));
      pool_.give(std::move(write->bytes));
    } else if (std::holds_alternative<Close>(output)) {
      closed = true;
    } else if (const auto* job = std::get_if<DiskJob>(&output)) {
      written += std::holds_alternative<storage::WriteJob>(job->what) ? 1 : 0;
      if (std::holds_alternative<storage::LoadJob>(job->what)) {
        feed(DiskDone{job->job, storage::Success{storage::Loaded{}}});
      } else if (std::holds_alternative<storage::AttachJob>(job->what)) {
        storage::Attached attached;
        attached.free_bytes = std::uint64_t{1} << 40;
        feed(DiskDone{job->job, storage::Success{std::move(attached)}});
      }
    }
  }

  static constexpr StreamId stream_ = accepted_stream + 1;
  const Now now_{Instant{std::chrono::hours{1}}, from_unix_ms(1'800'000'000'000)};
  storage::ContentPtr content_;
  BufferPool pool_;
  Session session_;
  std::unique_ptr<BtWire> codec_;
  std::vector<wire::Message> heard_;
};

// Seven pieces of a block each, of v1 alone.
storage::ContentPtr plain_content() {
  return fixture::make({{"a", fixture::pattern(100'000)}}, 16384, storage::Format::v1).content;
}

// Transmission made its set of a peer's pieces larger whenever a peer told of one, before it knew from the
// metadata how many there are; with a number near 2^32 the size of that overflowed. Here numbers are kept as
// they come, so many and no more, and those of no piece go when the metadata is here.
TEST(PublishedBugs, TransmissionCve2014_4909PiecesBeforeTheMetadata) {
  const auto content = plain_content();
  ASSERT_EQ(content->pieces, 7U);
  Stranger one{content, *content->v1, Stranger::Metadata::unknown};
  for (const std::uint32_t piece : {0xffffffffU, 0xfffffff8U, 0x80000000U, content->pieces, 3U})
    one.say(wire::Have{piece});
  wire::Hello hello;
  const auto info_bytes = static_cast<std::uint32_t>(content->info.size());
  hello.metadata_bytes = info_bytes;
  one.say(std::move(hello));
  ASSERT_NE(one.heard<wire::MetadataRequest>(), nullptr);
  EXPECT_EQ(one.heard<wire::Interested>(), nullptr);
  one.say(wire::MetadataPart{0, info_bytes, content->info});
  EXPECT_NE(one.heard<wire::Interested>(), nullptr) << "it has piece 3";
  EXPECT_FALSE(one.closed);
  one.say(wire::Have{content->pieces});
  EXPECT_TRUE(one.closed) << "now that is known to be none";

  Stranger many{content, *content->v1, Stranger::Metadata::unknown};
  std::uint32_t said = 0;
  for (; said < 10'000 && !many.closed; ++said) many.say(wire::Have{0xffffffffU - said});
  EXPECT_TRUE(many.closed);
  EXPECT_LE(said, 5'000U);
}

// The set as one message: of the exact length, with nothing behind the last piece.
TEST(PublishedBugs, TransmissionCve2014_4909LengthOfTheSet) {
  const auto content = plain_content();
  for (const Bytes& bits : {Bytes{0xff}, Bytes{0xfe, 0}, Bytes(100'000, 0)}) {
    Stranger one{content, *content->v1, Stranger::Metadata::known};
    one.say(wire::Pieces{wire::Pieces::Form::bits, bits});
    EXPECT_TRUE(one.closed) << bits.size();
  }
  Stranger good{content, *content->v1, Stranger::Metadata::known};
  good.say(wire::Pieces{wire::Pieces::Form::bits, {0xfe}});
  EXPECT_FALSE(good.closed);
  EXPECT_EQ(good.status().seeds, 1U);
}

// libtorrent marked what a rejected request for hashes named, without having asked for it, and wrote outside
// of its tables. Here a reject, and hashes, count only where exactly this was asked of that peer.
TEST(PublishedBugs, LibtorrentHashesRejectedThatWereNotAskedFor) {
  const auto made = fixture::make({{"a", fixture::pattern(65'536)}}, 32'768);
  const auto name = to_array<20>(ByteView{made.content->id}.first(20));
  Stranger one{made.content, name, Stranger::Metadata::known};
  one.say(wire::Pieces{wire::Pieces::Form::all, {}});
  one.say(wire::Unchoke{});
  ASSERT_NE(one.heard<wire::HashRequest>(), nullptr);
  const wire::HashRequest asked = *one.heard<wire::HashRequest>();
  for (int field = 0; field < 5; ++field) {
    wire::HashRequest other = asked;
    if (field == 0) other.root[0] ^= 1;
    if (field == 1) other.base = 0xffffffff;
    if (field == 2) other.index = 0xfffffffe;
    if (field == 3) other.length = 0x80000000;
    if (field == 4) other.proofs = 0xffffffff;
    for (int i = 0; i < 20; ++i) one.say(wire::HashReject{other});
  }
  // None of these took it away: the answer is still expected, and only what comes besides is an offence.
  storage::PieceLayers source{made.content};
  ASSERT_TRUE(source.set_layers(made.layers));
  const storage::HashRequest request{asked.root, asked.base, asked.index, asked.length, asked.proofs};
  const auto piece = source.piece_for_leaves(request);
  ASSERT_TRUE(piece);
  const auto hashes = source.answer_leaves(request, fixture::leaves_of(made.piece(*piece)));
  ASSERT_TRUE(hashes);
  one.say(wire::Hashes{asked, *hashes});
  for (std::uint32_t strike = 0; strike < limits::strikes_before_ban; ++strike) {
    EXPECT_FALSE(one.closed) << strike;
    one.say(wire::Hashes{asked, *hashes});
  }
  EXPECT_TRUE(one.closed);
}

// libtorrent took a peer that sets the bit for v2 in its handshake for one to speak of trees with, although
// the torrent has none, and followed a null pointer. Here a content without v2's part has no hashes to ask
// for or to tell, whatever bit is set, before its metadata is known and after.
TEST(PublishedBugs, Libtorrent8692BitForV2OfATorrentWithout) {
  const auto content = plain_content();
  for (const auto metadata : {Stranger::Metadata::known, Stranger::Metadata::unknown}) {
    Stranger one{content, *content->v1, metadata};
    for (const Sha256& root : {Sha256{}, Sha256{1}})
      for (const std::uint32_t base : {0U, 1U, 0xffffffffU}) {
        one.say(wire::HashRequest{root, base, 0, 2, 0});
        one.say(wire::HashReject{{root, base, 0, 2, 0}});
      }
    EXPECT_FALSE(one.closed);
    EXPECT_EQ(one.heard<wire::Hashes>(), nullptr);
    EXPECT_EQ(one.heard<wire::HashRequest>(), nullptr);
    one.say(wire::Pieces{wire::Pieces::Form::all, {}});
    one.say(wire::Unchoke{});
    EXPECT_EQ(one.heard<wire::Request>() != nullptr, metadata == Stranger::Metadata::known);
    EXPECT_EQ(one.heard<wire::HashRequest>(), nullptr);
  }
}

// rakshasa's libtorrent read a block that it had not asked for into a buffer of fixed size, to be rid of it,
// and one could be longer than that. Here the length has the bound of a block before any of it is read, and a
// block that was not asked for goes nowhere, three times at most.
TEST(PublishedBugs, RakshasaLibtorrent881BlockThatWasNotAskedFor) {
  const auto content = plain_content();
  Stranger one{content, *content->v1, Stranger::Metadata::known};
  for (std::uint32_t strike = 1; strike <= limits::strikes_before_ban; ++strike) {
    EXPECT_FALSE(one.closed) << strike;
    one.say(one.block(strike, 16384));
    if (strike == 1) {
      EXPECT_EQ(one.status().wasted, 16384U);
    }
  }
  EXPECT_TRUE(one.closed);
  EXPECT_EQ(one.written, 0U);
  for (const std::uint32_t bytes : {16'385U, 128U << 10, (128U << 10) + 1, 0xffffffffU - 9}) {
    Stranger large{content, *content->v1, Stranger::Metadata::known};
    Bytes frame;
    append_be(frame, 9 + bytes);
    frame.push_back(bt_piece_kind);
    large.say_raw(frame);
    EXPECT_TRUE(large.closed) << bytes;
  }
}

// ---- which files are wanted

// Transmission set priorities of files by numbers that it had not compared with how many there are. A magnet
// link (BEP 53) may name any.
TEST(PublishedBugs, TransmissionE23ff0c7aFilesBehindTheLast) {
  const auto content = test::make_content(16384, {10, 20, 30});
  const FilePlaces last{{2, 2}}, from_last{{2, 0xffffffff}}, behind{{3, 3}, {4, 0xffffffff}};
  EXPECT_EQ(wanted_files(*content, {}, last), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(wanted_files(*content, {}, from_last), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(wanted_files(*content, {}, behind), (std::vector<bool>{false, false, false}));
}

}  // namespace
}  // namespace shoal::swarm
