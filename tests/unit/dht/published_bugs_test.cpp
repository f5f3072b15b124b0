// Bugs of other programs that were published, where bencoding, KRPC, items, tokens and queries in flight
// could have them: each is named, and shown not to be here. What another test shows already is not repeated.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/bencode.hpp"
#include "dht/item.hpp"
#include "dht/item_store.hpp"
#include "dht/krpc_codec.hpp"
#include "dht/mainline_id.hpp"
#include "dht/tokens.hpp"
#include "tests/unit/dht/little_world.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using bencode::Document;
using bencode::Mode;
using bencode::Type;
using bencode::Value;
using test::at_second;
using test::Dialect;
using test::LittleWorld;
using test::public_host;

Result<Message> decoded(std::string_view text) { return KrpcCodec{}.decode(as_bytes(text)); }

// ---- bencoding

// What stands inside each other, from the outside in; the kinds follow no period of 32.
bool is_dict(int level) { return (level * 5 + level / 32) % 3 == 0; }

std::string nested(int depth, const std::string& inside) {
  std::string out;
  for (int level = 0; level < depth; ++level) out += is_dict(level) ? "d1:k" : "l";
  return out + inside + std::string(static_cast<std::size_t>(depth), 'e');
}

// uTorrent remembered in the 32 bits of one number which of the values around it are lists and which dicts;
// deeper ones were taken for the wrong kind. Here each level has its own kind, and the depth a bound.
TEST(PublishedBugs, UTorrentCve2020_8437NestingBeyond32) {
  for (const Mode mode : {Mode::strict, Mode::lenient}) {
    const bencode::Limits limits{.depth = 100, .tokens = 1'000, .mode = mode};
    const std::string good = nested(100, "i7e");
    const auto document = Document::parse(as_bytes(good), limits);
    ASSERT_TRUE(document) << document.error().rule;
    Value value = document->root();
    for (int level = 0; level < 100; ++level, value = value.first())
      ASSERT_EQ(value.type(), is_dict(level) ? Type::dict : Type::list) << level;
    EXPECT_EQ(value.integer(), 7);
    EXPECT_EQ(Document::parse(as_bytes(nested(101, "i7e")), limits).error().code, Code::too_large);
    for (const int level : {0, 31, 32, 33, 63, 64, 95}) {
      const std::string list = nested(level, "li1ei2ee"), no_dict = nested(level, "di1ei2ee");
      EXPECT_TRUE(Document::parse(as_bytes(list), limits)) << level;
      const auto refused = Document::parse(as_bytes(no_dict), limits);
      ASSERT_FALSE(refused) << level;
      EXPECT_EQ(refused.error().code, Code::malformed) << level;
    }
  }
}

// The same in a datagram, where 16 levels are taken: the message, its arguments, and 14 in these.
TEST(PublishedBugs, UTorrentCve2020_8437NestedDatagram) {
  const auto ping_with = [](std::size_t lists) {
    return "d1:ad1:e" + std::string(lists, 'l') + std::string(lists, 'e') +
           "2:id20:abcdefghij0123456789e1:q4:ping1:t1:x1:y1:qe";
  };
  EXPECT_TRUE(decoded(ping_with(14)));
  for (const std::size_t lists : {15UL, 31UL, 32UL, 33UL, 900UL}) {
    const auto refused = decoded(ping_with(lists));
    ASSERT_FALSE(refused) << lists;
    EXPECT_EQ(refused.error().code, Code::too_large) << lists;
  }
}

// libtorrent's decoder read on behind the end of what it was given. Every beginning of a document lies here
// in memory of just its size, where a sanitizer sees one byte too many, and is refused because it ends.
TEST(PublishedBugs, LibtorrentCve2017_9847CutShortAnywhere) {
  for (const std::string_view good : {
           "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
           "li-12el3:abcd1:ki7eedeee",
           "12:Hello World!",
           "i-9223372036854775808e",
       }) {
    for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
      const Bytes cut = to_vector(as_bytes(good.substr(0, bytes)));
      for (const Mode mode : {Mode::strict, Mode::lenient}) {
        const auto refused = Document::parse(cut, {.depth = 32, .tokens = 512, .mode = mode});
        ASSERT_FALSE(refused) << good << ' ' << bytes;
        EXPECT_EQ(refused.error().code, Code::malformed) << good << ' ' << bytes;
      }
      EXPECT_FALSE(KrpcCodec{}.decode(cut)) << good << ' ' << bytes;
    }
    EXPECT_TRUE(Document::parse(to_vector(as_bytes(good)), {})) << good;
  }
}

// libtorrent found what it sought in an index that it had made of a broken document. Here there is no index
// of what is not whole and right; and whatever may be asked of one that is gives what stands in it, or
// nothing.
TEST(PublishedBugs, LibtorrentCve2015_5685QuestionsToAnyDocument) {
  const std::string_view good = "d1:ade1:bd1:cl0:i5eee1:di-3ee";
  std::size_t taken = 0;
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string text{good};
      text[at] = static_cast<char>(byte);
      const Bytes exact = to_vector(as_bytes(text));
      for (const Mode mode : {Mode::strict, Mode::lenient}) {
        const auto document = Document::parse(exact, {.depth = 8, .tokens = 32, .mode = mode});
        if (!document) continue;
        ++taken;
        std::size_t walked = 0;
        const auto inside = [&](ByteView part) {
          return part.empty() ||
                 (part.data() >= exact.data() && part.data() + part.size() <= exact.data() + exact.size());
        };
        std::vector<Value> open{document->root()};
        while (!open.empty()) {
          const Value value = open.back();
          open.pop_back();
          ASSERT_LE(++walked, 32U) << text;
          EXPECT_TRUE(inside(value.raw())) << text;
          EXPECT_EQ(value.integer().has_value(), value.type() == Type::integer) << text;
          EXPECT_EQ(value.string().has_value(), value.type() == Type::string) << text;
          for (const char* key : {"", "a", "b", "c", "d", "e"}) {
            const Value found = value.find(key);
            EXPECT_TRUE(!found || value.type() == Type::dict) << text;
            EXPECT_TRUE(inside(found.raw())) << text;
          }
          for (Value item = value.first(); item; item = item.next()) open.push_back(item);
        }
      }
    }
  EXPECT_GT(taken, 100U);
}

// Three bytes kept Python's rencode busy for ever. Of all that begin with any byte and go on with what means
// something, each is done with at once, and what is taken is the three bytes.
TEST(PublishedBugs, RencodeThreeBytesWithoutEnd) {
  constexpr std::string_view some = "0123456789:ilde-a\x01\xff";
  std::size_t taken = 0;
  for (int first = 0; first < 256; ++first)
    for (const char second : some)
      for (const char third : some) {
        const std::string text{static_cast<char>(first), second, third};
        const auto document = Document::parse(as_bytes(text), {});
        if (!document) continue;
        ++taken;
        EXPECT_EQ(document->root().raw().size(), 3U);
      }
  EXPECT_EQ(taken, 10 + some.size());  // i0e to i9e, and the strings of one byte
}

// ---- KRPC and items

std::string salt_of(std::size_t bytes) {
  return "4:salt" + std::to_string(bytes) + ":" + std::string(bytes, 's');
}
std::string put_with(const std::string& salt) {
  return "d1:ad2:id20:abcdefghij01234567891:k32:" + std::string(32, 'k') + salt +
         "3:seqi1e3:sig64:" + std::string(64, 's') + "5:token1:t1:v3:abce1:q3:put1:t1:x1:y1:qe";
}

// libtorrent took salts of more than the 64 bytes that BEP 44 has.
TEST(PublishedBugs, Libtorrent8606SaltLongerThan64) {
  for (const std::size_t bytes : {1UL, 63UL, 64UL}) {
    const std::string text = put_with(salt_of(bytes));
    const auto message = decoded(text);
    ASSERT_TRUE(message) << bytes << ' ' << message.error().rule;
    const auto* query = std::get_if<Query>(&*message);
    ASSERT_NE(query, nullptr);
    const auto* put = std::get_if<PutItemQuery>(&query->body);
    ASSERT_NE(put, nullptr);
    EXPECT_EQ(put->item.salt.size(), bytes);
  }
  for (const std::size_t bytes : {65UL, 66UL, 255UL, 1'000UL, 1'500UL}) {
    const auto refused = decoded(put_with(salt_of(bytes)));
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().code, Code::too_large) << bytes;
  }
  EXPECT_FALSE(decoded(put_with("4:salti64e")));
}

// And it wrote what is signed, the salt in front, into a buffer on the stack that a large salt ran over. Here
// the helper itself has no such size: whatever the salt, what is signed is what BEP 44 says, and no more.
TEST(PublishedBugs, Libtorrent8606SignedBytesOfAnySalt) {
  crypto::initialise();
  const auto key = crypto::SigningKey::from_seed(ByteArray<32>{9});
  for (const std::size_t bytes : {0UL, 1UL, 63UL, 64UL, 65UL, 1'000UL, 1'200UL, 100'000UL}) {
    const std::string value = "996:" + std::string(996, 'v');
    const std::string what = (bytes > 0 ? salt_of(bytes) : std::string{}) + "3:seqi7e1:v" + value;
    Item item;
    item.value = to_vector(as_bytes(value));
    item.public_key = key.public_key;
    item.signature = key.sign(as_bytes(what));
    item.salt = Bytes(bytes, 's');
    item.sequence = 7;
    EXPECT_TRUE(check_item(item.view(), item.salt, target_of(item.view()))) << bytes;
    item.salt.push_back('s');
    const auto refused = check_item(item.view(), item.salt, target_of(item.view()));
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().code, Code::forged) << bytes;
  }
}

// bittorrent-dht made a buffer of so many bytes where a number stood in place of a string, and sent out what
// lay in it. Here a number is never a string: refused, or as if it were not there.
TEST(PublishedBugs, BittorrentDhtBefore5_1_3NumbersInPlaceOfStrings) {
  const std::string id = "2:id20:abcdefghij0123456789", end = "1:t1:x1:y1:qe";
  const std::string k = "1:k32:" + std::string(32, 'k'), sig = "3:sig64:" + std::string(64, 's');
  struct Case {
    const char* what;
    std::string text;
    Code code;
  };
  for (const Case& one : {
           Case{"transaction", "d1:ad" + id + "e1:q4:ping1:ti100e1:y1:qe", Code::malformed},
           Case{"id", "d1:ad2:idi20ee1:q4:ping" + end, Code::malformed},
           Case{"id of a reply", "d1:rd2:idi20ee1:t1:x1:y1:re", Code::malformed},
           Case{"method", "d1:ad" + id + "e1:qi4e" + end, Code::malformed},
           Case{"kind", "d1:ad" + id + "e1:q4:ping1:t1:x1:yi1ee", Code::malformed},
           Case{"arguments", "d1:ai100e1:q4:ping" + end, Code::malformed},
           Case{"info-hash", "d1:ad" + id + "9:info_hashi20ee1:q9:get_peers" + end, Code::malformed},
           Case{"target", "d1:ad" + id + "6:targeti20ee1:q9:find_node" + end, Code::unsupported},
           Case{"key", "d1:ad" + id + "1:ki32e3:seqi1e" + sig + "1:v1:ve1:q3:put" + end, Code::malformed},
           Case{"signature", "d1:ad" + id + k + "3:seqi1e3:sigi64e1:v1:ve1:q3:put" + end, Code::malformed},
       }) {
    const auto refused = decoded(one.text);
    ASSERT_FALSE(refused) << one.what;
    EXPECT_EQ(refused.error().code, one.code) << one.what << ": " << refused.error().rule;
  }
  const std::string announce =
      "d1:ad" + id + "9:info_hash20:mnopqrstuvwxyz1234564:porti1e5:tokeni8ee1:q13:announce_peer" + end;
  const auto announced = decoded(announce);
  ASSERT_TRUE(announced && std::holds_alternative<Query>(*announced));
  EXPECT_TRUE(std::get<AnnouncePeerQuery>(std::get<Query>(*announced).body).token.empty());
}

// A value may be a number (BEP 44): then it is kept and given back as its digits, not as so many bytes.
TEST(PublishedBugs, BittorrentDhtBefore5_1_3ANumberIsKeptAsItsDigits) {
  const std::string text = "d1:ad2:id20:abcdefghij01234567891:vi1000ee1:q3:put1:t1:x1:y1:qe";
  const auto message = decoded(text);
  ASSERT_TRUE(message && std::holds_alternative<Query>(*message));
  const auto& put = std::get<PutItemQuery>(std::get<Query>(*message).body);
  ItemStore store{{}, Key{}};
  const Instant now = at_second(0).mono;
  ASSERT_TRUE(store.put(now, public_host(1, 1), put));
  const Item* kept = store.get(now, immutable_target(as_bytes("i1000e")));
  ASSERT_NE(kept, nullptr);
  Reply reply;
  reply.item = kept->view();
  Bytes answer;
  KrpcCodec{}.encode(reply, answer);
  EXPECT_NE(as_text(answer).find("1:vi1000ee"), std::string_view::npos);
  EXPECT_LT(answer.size(), 100U);
}

// ---- searches

// rakshasa's search went on in memory that was gone when it was ended by what it had just been told. Here a
// search may be cancelled at any moment of its life, also by whoever is told its outcome; nothing more is
// said of it, and the answers that are still under way find nobody.
TEST(PublishedBugs, RakshasaLibtorrent679SearchesThatEndAtAnyMoment) {
  for (const Dialect dialect : {Dialect::native, Dialect::mainline}) {
    LittleWorld world{23, dialect};
    test::grow(world, 20, 30s);
    Random random{{}};
    std::size_t cancelled_alive = 0;
    for (int moment = 0; moment < 60; ++moment) {
      const SearchId search = world.find(3, Key{random.bytes<32>()}, moment % 2 == 0 ? 1 : 4);
      const bool done = world.run_until_done(
          moment * 8ms, [&] { return world.find_event<SearchDone>(3, search) != nullptr; });
      cancelled_alive += done ? 0 : 1;
      world.node(3).cancel(search);
      world.node(3).cancel(search);
      world.run(2s);
      EXPECT_EQ(world.find_event<SearchDone>(3, search) != nullptr, done) << moment;
    }
    EXPECT_GT(cancelled_alive, 10U);
    EXPECT_LT(cancelled_alive, 60U);
  }
}

// ---- three published ways to seem alive

// A node of mainline, and its questions to endpoints that the test answers for.
struct Asker {
  Asker() {
    world.tap = [this](const Endpoint&, const Endpoint&, ByteView bytes) {
      const auto message = KrpcCodec{}.decode(bytes);
      const auto* query = message ? std::get_if<Query>(&*message) : nullptr;
      if (query != nullptr) asked.push_back(query->transaction);
    };
  }
  // By what name it asks, now.
  TransactionId ping(const Endpoint& to) {
    asked.clear();
    world.ping(us, to);
    EXPECT_EQ(asked.size(), 1U);
    return asked.empty() ? TransactionId{} : asked.front();
  }
  // An answer whose id fits the address that it comes from (BEP 42), so that nothing else speaks against it.
  void answer(const TransactionId& transaction, const Endpoint& from) {
    Reply reply;
    reply.transaction = transaction;
    reply.sender = mainline_position(from.address, random);
    say(reply, from);
  }
  void say(const Message& message, const Endpoint& from) {
    Bytes bytes;
    KrpcCodec{}.encode(message, bytes);
    world.inject(from, us, bytes);
  }
  // Whom it takes to be alive.
  [[nodiscard]] std::size_t alive() { return world.node(us).stats().contacts; }
  [[nodiscard]] std::size_t answered() const { return world.count_events<PingDone>(us); }

  LittleWorld world{31, Dialect::mainline};
  std::size_t us = world.add_public(1);
  Random random{{}};
  std::vector<TransactionId> asked;
};

// One compared the beginning of the transaction alone, so that a reply with none at all, or with a part that
// is easily guessed, made anybody alive. Here all eight bytes count, and nothing behind them.
TEST(PublishedBugs, LivenessByAPrefixOfTheTransaction) {
  Asker asker;
  const Endpoint them{public_host(9, 9), 99};
  const TransactionId asked = asker.ping(them);
  ASSERT_EQ(asked.view().size(), 8U);
  for (std::size_t size = 0; size <= TransactionId::max_bytes; ++size) {
    if (size == asked.view().size()) continue;
    TransactionId other = asked;  // cut short, or zeros behind it
    other.size = static_cast<std::uint8_t>(size);
    asker.answer(other, them);
  }
  for (std::size_t at = 0; at < asked.view().size(); ++at) {
    TransactionId other = asked;
    other.bytes[at] ^= 1;
    asker.answer(other, them);
  }
  EXPECT_EQ(asker.alive(), 0U);
  EXPECT_EQ(asker.answered(), 0U);
  asker.answer(asked, them);
  EXPECT_EQ(asker.alive(), 1U);
  EXPECT_EQ(asker.answered(), 1U);
}

// One matched replies by a number of 16 bits that went up by one, from wherever they came. Here the address
// has to be the one that was asked, and no name of a question tells the next.
TEST(PublishedBugs, LivenessByASequentialNumberFromAnywhere) {
  Asker asker;
  const Endpoint them{public_host(9, 9), 99};
  const TransactionId asked = asker.ping(them);
  for (const Endpoint& other : {Endpoint{them.address, 100}, Endpoint{public_host(9, 10), 99},
                                Endpoint{public_host(10, 9), 99}, Endpoint{public_host(11, 9), 99}}) {
    asker.answer(asked, other);
    asker.say(Failure{asked, Refusal::rejected}, other);
  }
  EXPECT_EQ(asker.alive(), 0U);
  EXPECT_EQ(asker.answered(), 0U);
  asker.answer(asked, them);
  EXPECT_EQ(asker.alive(), 1U);
  EXPECT_EQ(asker.answered(), 1U);
  std::vector<std::uint64_t> numbers;
  for (std::uint32_t i = 0; i < 200; ++i)
    numbers.push_back(asker.ping({public_host(100 + i, 9), 99}).number().value_or(0));
  std::ranges::sort(numbers);
  for (std::size_t i = 1; i < numbers.size(); ++i) EXPECT_GT(numbers[i] - numbers[i - 1], 0xffffffffU);
}

// CRC32C (RFC 3720), bit by bit.
std::uint32_t crc32c(ByteView bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

// The token as it was: a checksum over a secret and the asker's endpoint.
Bytes checksum_token(const ByteArray<32>& secret, const Endpoint& to) {
  Bytes message = to_vector(secret), out;
  append(message, to.compact());
  append_be(out, crc32c(message));
  return out;
}

Bytes mixed(ByteView a, ByteView b, ByteView c) {
  Bytes out = to_vector(a);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] ^= b[i] ^ c[i];
  return out;
}

// The endpoint whose bytes are those of the three, mixed as their tokens are.
Endpoint mixed(const Endpoint& a, const Endpoint& b, const Endpoint& c) {
  const auto out = Endpoint::from_compact(mixed(a.compact(), b.compact(), c.compact()));
  EXPECT_TRUE(out);
  return out.value_or(Endpoint{});
}

// One made its write tokens with CRC32C. A linear checksum differs between two addresses by the same bits
// whatever the secret is, so one's own token, and the difference computed under any secret, are anybody's; or
// those of three addresses of one's own are that of a fourth. Both ways yield the old token here, and never
// ours.
TEST(PublishedBugs, LivenessTokenByALinearChecksum) {
  ASSERT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
  Random random{{}};
  const ByteArray<32> secret = random.bytes<32>(), any = random.bytes<32>();
  const Tokens tokens{secret}, any_tokens{any};
  const Now now = at_second(100);
  const Key key{random.bytes<32>()};
  const Endpoint mine{public_host(1, 2), 6881}, second{public_host(3, 4), 1234};
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    const Endpoint victim{public_host(100 + i, 1 + i % 200), static_cast<std::uint16_t>(2'000 + i)};
    const Endpoint third = mixed(victim, mine, second);
    ASSERT_EQ(mixed(checksum_token(secret, mine), checksum_token(any, mine), checksum_token(any, victim)),
              checksum_token(secret, victim));
    ASSERT_EQ(
        mixed(checksum_token(secret, mine), checksum_token(secret, second), checksum_token(secret, third)),
        checksum_token(secret, victim));
    const auto own = tokens.issue(now, mine, key);
    EXPECT_FALSE(tokens.accepts(
        now, mixed(own, any_tokens.issue(now, mine, key), any_tokens.issue(now, victim, key)), victim, key));
    EXPECT_FALSE(tokens.accepts(
        now, mixed(own, tokens.issue(now, second, key), tokens.issue(now, third, key)), victim, key));
    EXPECT_TRUE(tokens.accepts(now, tokens.issue(now, victim, key), victim, key));
  }
}

}  // namespace
}  // namespace shoal::dht
