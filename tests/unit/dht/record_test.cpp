// Records: layout, what is checked, what is hidden (THREATS A6, A7, A8, A10, A12).
#include "dht/record.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>

#include <gtest/gtest.h>

#include "tests/full_size.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::dht {
namespace {

using namespace std::chrono_literals;
using test::announcement;
using test::content;
using test::inputs_for;
using test::node_seed;
using test::public_host;
using test::some_day;

class RecordTest : public testing::Test {
 protected:
  RecordTest() { crypto::initialise(); }

  // The box of a record opened with the swarm's keys, changed, sealed again, and both signatures made anew:
  // what a malicious member can send.
  template <class Change>
  Bytes resealed(const Bytes& record, Change change) {
    Bytes out = record;
    ByteArray<91> plain;
    const auto nonce = to_array<24>(ByteView{out}.subspan(109));
    EXPECT_TRUE(crypto::open_xchacha(plain.data(), ByteView{out}.subspan(133, 107), ByteView{out}.first(133),
                                     nonce, keys_.box));
    change(plain);
    crypto::seal_xchacha(out.data() + 133, plain, ByteView{out}.first(133), nonce, keys_.box);
    sign(out, announcer_.signing, keys_.swarm, "shoal record by announcer", "shoal record by the swarm");
    return out;
  }
  static void sign(Bytes& record, const crypto::SigningKey& announcer, const crypto::SigningKey& swarm,
                   std::string_view announcer_label, std::string_view swarm_label) {
    Bytes message = to_vector(as_bytes(announcer_label));
    append(message, ByteView{record}.first(240));
    std::ranges::copy(announcer.sign(message), record.begin() + 240);
    message = to_vector(as_bytes(swarm_label));
    append(message, ByteView{record}.first(304));
    std::ranges::copy(swarm.sign(message), record.begin() + 304);
  }
  [[nodiscard]] Bytes honest() {
    return build_record(keys_, announcer_, inputs_for(announcer_, address_, some_day), random_).bytes;
  }

  Random random_{{}};
  EpochKeys keys_ = derive_epoch(content(1), SwarmKeys{content(1)}.epoch_at(some_day));
  AnnouncerKeys announcer_ = announcer_keys(node_seed(1), content(1), keys_.epoch);
  IpAddress address_ = public_host(1, 1);
};

TEST_F(RecordTest, CarriesWhatWasPutIn) {
  RecordInputs in = inputs_for(announcer_, address_, some_day);
  in.v6 = IpAddress::parse("2600:1:2:3::4").value();
  in.endpoints.clear();
  for (std::uint16_t i = 1; i <= 4; ++i) {
    in.endpoints.push_back({*in.v6, i});
    in.endpoints.push_back({public_host(i, 9), static_cast<std::uint16_t>(100 + i)});
  }
  in.progress = {Progress::Role::seed, 1000};
  in.reach = Reach::reachable;
  const BuiltRecord built = build_record(keys_, announcer_, in, random_);
  ASSERT_EQ(built.bytes.size(), record_bytes);
  EXPECT_NE(built.salt_v4, built.salt_v6);

  const auto header = check_record(built.bytes, keys_.key, some_day);
  ASSERT_TRUE(header) << header.error().rule;
  EXPECT_EQ(header->announcer, announcer_.signing.public_key);
  EXPECT_EQ(header->sequence, in.sequence);
  EXPECT_EQ(header->expiry, in.expiry);

  const auto opened = open_record(built.bytes, keys_, some_day);
  ASSERT_TRUE(opened) << opened.error().rule;
  EXPECT_EQ(opened->announcer, announcer_.signing.public_key);
  EXPECT_EQ(opened->exchange, announcer_.exchange.public_key);
  EXPECT_EQ(opened->sequence, in.sequence);
  EXPECT_EQ(opened->expiry, in.expiry);
  EXPECT_EQ(opened->progress, in.progress);
  EXPECT_EQ(opened->reach, Reach::reachable);
  const std::vector<Endpoint> kept = {in.endpoints[1], in.endpoints[3], in.endpoints[5], in.endpoints[0],
                                      in.endpoints[2]};
  EXPECT_EQ(opened->endpoints, kept);
}

TEST_F(RecordTest, EmptyAndExtremeValuesSurvive) {
  RecordInputs in;
  in.sequence = (std::uint64_t{1} << 48) - 1;
  in.expiry = some_day + record_lifetime_limit;
  in.progress = {Progress::Role::leech, 0};
  const auto opened = open_record(build_record(keys_, announcer_, in, random_).bytes, keys_, some_day);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->sequence, in.sequence);
  EXPECT_EQ(opened->expiry, in.expiry);
  EXPECT_TRUE(opened->endpoints.empty());
  EXPECT_EQ(opened->reach, Reach::unknown);
}

// Pinned: storers of every version check these bytes.
TEST_F(RecordTest, TheLayoutIsFixed) {
  const Bytes record = honest();
  EXPECT_EQ(record[0], 1);
  EXPECT_TRUE(equal(ByteView{record}.subspan(1, 32), keys_.swarm.public_key));
  EXPECT_TRUE(equal(ByteView{record}.subspan(33, 32), announcer_.signing.public_key));
  EXPECT_EQ(to_hex(crypto::blake2b<32>(record)),
            "3b6d34885c80587c0882acd250b66988635b6d9b238007e611cb4ca6b29c515c");
}

TEST_F(RecordTest, ExpiryIsJudgedWithThirtyMinutes) {
  RecordInputs in = inputs_for(announcer_, address_, some_day);
  const auto judged = [&](std::chrono::milliseconds ahead) {
    in.expiry = some_day + ahead;
    const Bytes record = build_record(keys_, announcer_, in, random_).bytes;
    const bool stored = check_record(record, keys_.key, some_day).has_value();
    const bool read = open_record(record, keys_, some_day).has_value();
    EXPECT_EQ(stored, read);
    return stored;
  };
  EXPECT_TRUE(judged(60min));
  EXPECT_TRUE(judged(120min + 30min));
  EXPECT_FALSE(judged(120min + 30min + 1ms));
  EXPECT_TRUE(judged(-30min + 1ms));
  EXPECT_FALSE(judged(-30min));
}

TEST_F(RecordTest, KeptUntilItsExpiryOrAWhileForClocksThatDiffer) {
  EXPECT_EQ(keep_until(some_day + 60min, some_day), some_day + 60min);
  EXPECT_EQ(keep_until(some_day + 150min, some_day), some_day + 120min);
  EXPECT_EQ(keep_until(some_day + 10min, some_day), some_day + 30min);
  EXPECT_EQ(keep_until(some_day - 10min, some_day), some_day + 20min);
  EXPECT_EQ(keep_until(some_day - 29min, some_day), some_day + 1min);
}

TEST_F(RecordTest, ExpiryIsDrawnBelowAnHour) {
  std::map<std::int64_t, int> drawn;
  for (int i = 0; i < 1'000; ++i) {
    const WallTime expiry = draw_expiry(some_day, random_);
    EXPECT_LE(expiry, some_day + 60min);
    EXPECT_GT(expiry, some_day + 59min);
    ++drawn[unix_ms(expiry)];
  }
  EXPECT_GT(drawn.size(), 900U);
}

// A6: changed records, of every kind of change; storers and readers accept none.
TEST_F(RecordTest, NoChangedRecordIsAccepted) {
  std::vector<Bytes> genuine;
  for (std::uint64_t node = 0; node < 8; ++node)
    genuine.push_back(announcement(keys_, content(1), node, public_host(static_cast<std::uint32_t>(node), 1),
                                   some_day + std::chrono::milliseconds{node}, random_)
                          .bytes);
  int accepted = 0;
  const auto attempt = [&](const Bytes& record) {
    if (std::ranges::find(genuine, record) != genuine.end()) return;
    accepted += check_record(record, keys_.key, some_day) ? 1 : 0;
    accepted += open_record(record, keys_, some_day) ? 1 : 0;
  };
  std::size_t tried = 0;
  for (std::size_t bit = 0; bit < record_bytes * 8; ++bit, ++tried) {  // every single bit
    Bytes record = genuine[0];
    record[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    attempt(record);
  }
  for (const std::uint64_t all = shoal::test::sized(100'000, 1'000'000); tried < all; ++tried) {
    Bytes record = genuine[random_.below(genuine.size())];
    switch (random_.below(5)) {
      case 0:  // a few bits
        for (std::uint64_t n = 1 + random_.below(4); n > 0; --n)
          record[random_.below(record.size())] ^= static_cast<std::uint8_t>(1U << random_.below(8));
        break;
      case 1:  // a run of random bytes
        random_.fill(MutableBytes{record}.subspan(random_.below(360), 8));
        break;
      case 2: {  // fields of two genuine records joined
        const std::size_t edges[] = {0, 1, 33, 65, 71, 77, 93, 109, 133, 240, 304, 368};
        const std::size_t from = edges[random_.below(11)];
        const auto to = *std::upper_bound(std::begin(edges), std::end(edges), from);
        const Bytes& other = genuine[random_.below(genuine.size())];
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), to - from,
                    record.begin() + static_cast<std::ptrdiff_t>(from));
        break;
      }
      case 3: {  // any two runs joined
        const std::size_t from = random_.below(record.size());
        const Bytes& other = genuine[random_.below(genuine.size())];
        std::copy(other.begin() + static_cast<std::ptrdiff_t>(from), other.end(),
                  record.begin() + static_cast<std::ptrdiff_t>(from));
        break;
      }
      default:  // another length
        record.resize(random_.below(record_bytes_limit + 1));
        if (record.size() == record_bytes) record[367] ^= 1;
        break;
    }
    attempt(record);
  }
  EXPECT_EQ(accepted, 0);
  for (const Bytes& record : genuine) EXPECT_TRUE(check_record(record, keys_.key, some_day));
}

// Ed25519's second form of a signature: S + L verifies in careless implementations.
TEST_F(RecordTest, SignaturesHaveOneForm) {
  static constexpr ByteArray<32> order = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                          0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                          0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  for (const std::size_t at : {240U + 32U, 304U + 32U}) {
    Bytes record = honest();
    unsigned carry = 0;
    for (std::size_t i = 0; i < 32; ++i) {
      carry += record[at + i] + order[i];
      record[at + i] = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
    EXPECT_FALSE(check_record(record, keys_.key, some_day));
  }
}

// A8: whoever knows the key, and even has seen records under it, has no swarm key to sign with.
TEST_F(RecordTest, OutsidersCannotWriteUnderAKey) {
  const auto outsider = crypto::SigningKey::from_seed(node_seed(66));
  EpochKeys theirs = keys_;
  theirs.swarm = outsider;
  const Bytes own_key =
      build_record(theirs, announcer_, inputs_for(announcer_, address_, some_day), random_).bytes;
  EXPECT_EQ(check_record(own_key, keys_.key, some_day).error().code, Code::mismatch);
  theirs.swarm.public_key = keys_.swarm.public_key;  // the right key shown, signed with another
  const Bytes lying =
      build_record(theirs, announcer_, inputs_for(announcer_, address_, some_day), random_).bytes;
  ASSERT_TRUE(check_header(lying, keys_.key, some_day));
  EXPECT_EQ(check_record(lying, keys_.key, some_day).error().code, Code::forged);
  // Their own announcer key over a genuine record, whose swarm signature stays.
  Bytes taken = honest();
  std::ranges::copy(outsider.public_key, taken.begin() + 33);
  EXPECT_FALSE(check_record(taken, keys_.key, some_day));
}

TEST_F(RecordTest, MembersCannotWriteForEachOther) {
  AnnouncerKeys pretended = announcer_keys(node_seed(2), content(1), keys_.epoch);
  pretended.signing.public_key = announcer_.signing.public_key;
  const Bytes record =
      build_record(keys_, pretended, inputs_for(announcer_, address_, some_day), random_).bytes;
  EXPECT_EQ(check_record(record, keys_.key, some_day).error().code, Code::forged);
  EXPECT_EQ(open_record(record, keys_, some_day).error().code, Code::forged);
}

TEST_F(RecordTest, EachSignatureIsGoodInItsPlaceOnly) {
  // One key in both roles, so that only the labels tell the signatures apart.
  AnnouncerKeys both = announcer_;
  both.signing = keys_.swarm;
  Bytes record = build_record(keys_, both, inputs_for(both, address_, some_day), random_).bytes;
  ASSERT_TRUE(check_record(record, keys_.key, some_day));
  Bytes swapped = record;
  sign(swapped, both.signing, keys_.swarm, "shoal record by the swarm", "shoal record by announcer");
  EXPECT_FALSE(check_record(swapped, keys_.key, some_day));
  sign(swapped, both.signing, keys_.swarm, "shoal record by announcer", "shoal record by announcer");
  EXPECT_FALSE(check_record(swapped, keys_.key, some_day));
  sign(swapped, both.signing, keys_.swarm, "", "");
  EXPECT_FALSE(check_record(swapped, keys_.key, some_day));
  sign(swapped, both.signing, keys_.swarm, "shoal record by announcer", "shoal record by the swarm");
  EXPECT_EQ(swapped, record);
}

TEST_F(RecordTest, ReadersRefuseRecordsOfOtherContentsAndEpochs) {
  const Bytes record = honest();
  ASSERT_TRUE(open_record(record, keys_, some_day));
  EXPECT_EQ(open_record(record, derive_epoch(content(2), keys_.epoch), some_day).error().code,
            Code::mismatch);
  EXPECT_EQ(open_record(record, derive_epoch(content(1), keys_.epoch + 1), some_day).error().code,
            Code::mismatch);
  EpochKeys wrong_box = keys_;
  wrong_box.box[0] ^= 1;
  EXPECT_EQ(open_record(record, wrong_box, some_day).error().code, Code::forged);
}

TEST_F(RecordTest, ReadersRefuseBoxesThatAreNotCanonical) {
  const Bytes record = honest();
  using Plain = ByteArray<91>;
  EXPECT_EQ(resealed(record, [](Plain&) {}), record);
  const auto code = [&](auto change) {
    const Bytes changed = resealed(record, change);
    EXPECT_TRUE(check_record(changed, keys_.key, some_day)) << "a storer cannot see inside";
    const auto opened = open_record(changed, keys_, some_day);
    return opened ? Code::not_found : opened.error().code;
  };
  EXPECT_EQ(code([](Plain& p) { p[32] = 4; }), Code::non_canonical);
  EXPECT_EQ(code([](Plain& p) { store_be<std::uint16_t>(p.data() + 33, 1001); }), Code::malformed);
  EXPECT_EQ(code([](Plain& p) { p[35] = 4; }), Code::too_large);
  EXPECT_EQ(code([](Plain& p) { p[35] = 255; }), Code::too_large);
  EXPECT_EQ(code([](Plain& p) { p[36] = 3; }), Code::too_large);
  EXPECT_EQ(code([](Plain& p) { p[35] = 2; }), Code::malformed) << "nothing but zeros";
  EXPECT_EQ(code([](Plain& p) { std::fill_n(p.begin() + 37, 4, std::uint8_t{0}); }), Code::malformed)
      << "an unspecified address";
  EXPECT_EQ(code([](Plain& p) { p[35] = 0; }), Code::non_canonical) << "an endpoint not counted";
  EXPECT_EQ(code([](Plain& p) { p[90] = 1; }), Code::non_canonical);
  EXPECT_EQ(code([](Plain& p) { p[41] = p[42] = 0; }), Code::malformed) << "port 0";
  EXPECT_EQ(code([](Plain& p) { p[37] = 224; }), Code::malformed) << "multicast";
}

// A box bound to its own record: moved into a record of another announcer it opens nowhere.
TEST_F(RecordTest, ABoxCannotMoveToAnotherRecord) {
  const AnnouncerKeys thief = announcer_keys(node_seed(3), content(1), keys_.epoch);
  Bytes stolen = build_record(keys_, thief, inputs_for(thief, address_, some_day), random_).bytes;
  const Bytes victim = honest();
  std::copy(victim.begin() + 109, victim.begin() + 240, stolen.begin() + 109);
  sign(stolen, thief.signing, keys_.swarm, "shoal record by announcer", "shoal record by the swarm");
  ASSERT_TRUE(check_record(stolen, keys_.key, some_day));
  EXPECT_EQ(open_record(stolen, keys_, some_day).error().code, Code::forged);
}

// A12: the storer sees that a record does not come from the address it was made for.
TEST_F(RecordTest, CommitmentsNameOneAddress) {
  RecordInputs in = inputs_for(announcer_, address_, some_day);
  in.v6 = IpAddress::parse("2600:1:2:3::4").value();
  const BuiltRecord built = build_record(keys_, announcer_, in, random_);
  EXPECT_TRUE(commitment_matches(built.bytes, built.salt_for(Family::v4), address_));
  EXPECT_TRUE(commitment_matches(built.bytes, built.salt_for(Family::v6), *in.v6));
  EXPECT_TRUE(commitment_matches(built.bytes, built.salt_v6, IpAddress::parse("2600:1:2:3:ffff::1").value()));
  EXPECT_FALSE(commitment_matches(built.bytes, built.salt_v6, IpAddress::parse("2600:1:2:4::4").value()));
  EXPECT_FALSE(commitment_matches(built.bytes, built.salt_v6, address_)) << "each family has its own salt";
  EXPECT_FALSE(commitment_matches(built.bytes, built.salt_v4, *in.v6));
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const IpAddress foreign = public_host(2 + i, i % 255);
    ASSERT_FALSE(commitment_matches(built.bytes, built.salt_v4, foreign));
    ASSERT_FALSE(commitment_matches(built.bytes, random_.bytes<16>(), address_));
  }
  // A family that was not given matches nothing.
  const BuiltRecord v4_only =
      build_record(keys_, announcer_, inputs_for(announcer_, address_, some_day), random_);
  EXPECT_FALSE(commitment_matches(v4_only.bytes, v4_only.salt_v6, *in.v6));
}

TEST_F(RecordTest, SuccessionIsByStrictlyHigherSequence) {
  RecordInputs in = inputs_for(announcer_, address_, some_day);
  const Bytes first = build_record(keys_, announcer_, in, random_).bytes;
  const Bytes same_sequence = build_record(keys_, announcer_, in, random_).bytes;
  ++in.sequence;
  const Bytes second = build_record(keys_, announcer_, in, random_).bytes;
  EXPECT_EQ(succession(first, second), Succession::newer);
  EXPECT_EQ(succession(second, first), Succession::stale);
  EXPECT_EQ(succession(first, first), Succession::repeated);
  EXPECT_EQ(succession(first, same_sequence), Succession::conflicting);
}

// ---- A10

// Counts pairs of records that share a run of 8 bytes.
int shared_runs(const std::vector<Bytes>& records) {
  std::unordered_map<std::uint64_t, std::size_t> first_seen;
  int shared = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (std::size_t at = 0; at + 8 <= records[i].size(); ++at) {
      const auto [found, fresh] = first_seen.try_emplace(load_be<std::uint64_t>(records[i].data() + at), i);
      if (!fresh && found->second != i) ++shared;
    }
  }
  return shared;
}

TEST_F(RecordTest, RecordsOfOneNodeShareNoEightBytes) {
  // One node, 100 contents, two epochs each, all made in the same millisecond with the same expiry and
  // endpoint.
  std::vector<Bytes> records;
  RecordInputs in;
  in.endpoints = {{address_, 40'000}};
  in.sequence = static_cast<std::uint64_t>(unix_ms(some_day));
  in.expiry = some_day + 60min;
  in.v4 = address_;
  for (std::uint64_t c = 0; c < 100; ++c) {
    for (Epoch e = 20'000; e < 20'002; ++e) {
      const EpochKeys keys = derive_epoch(content(c), e);
      records.push_back(build_record(keys, announcer_keys(node_seed(1), content(c), e), in, random_).bytes);
      EXPECT_EQ(records.back().size(), record_bytes);
      EXPECT_TRUE(check_record(records.back(), keys.key, some_day));
    }
  }
  EXPECT_EQ(shared_runs(records), 0);
  records.push_back(records[3]);
  EXPECT_GT(shared_runs(records), 0) << "the search itself works";
}

TEST_F(RecordTest, NothingIdentifyingStandsInClear) {
  const crypto::SecretKey seed = node_seed(1);
  for (std::uint64_t c = 0; c < 50; ++c) {
    const ContentId id = content(c);
    const EpochKeys keys = derive_epoch(id, 20'000);
    const AnnouncerKeys announcer = announcer_keys(seed, id, 20'000);
    RecordInputs in = inputs_for(announcer, address_, some_day);
    in.v6 = IpAddress::parse("2600:1:2:3:4:5:6:7").value();
    in.endpoints = {{address_, 40'000}, {*in.v6, 40'000}};
    const Bytes record = build_record(keys, announcer, in, random_).bytes;
    const auto contains = [&](ByteView needle) { return !std::ranges::search(record, needle).empty(); };
    EXPECT_TRUE(contains(announcer.signing.public_key)) << "the search itself works";
    EXPECT_FALSE(contains(ByteView{id}.first(8)));
    EXPECT_FALSE(contains(ByteView{keys.key.bytes}.first(8)));
    EXPECT_FALSE(contains(ByteView{announcer.exchange.public_key}.first(8)));
    EXPECT_FALSE(contains(ByteView{crypto::SigningKey::from_seed(seed).public_key}.first(8)));
    EXPECT_FALSE(contains(Endpoint{address_, 40'000}.compact()));
    EXPECT_FALSE(contains(in.v6->view().first(8)));
    ByteArray<8> time;
    store_be(time.data(), in.sequence);
    EXPECT_FALSE(contains(ByteView{time}.subspan(2)));
    store_be(time.data(), static_cast<std::uint64_t>(unix_ms(in.expiry)));
    EXPECT_FALSE(contains(ByteView{time}.subspan(2)));
  }
}

// A10: whether a dumped record belongs to a content can be told with that content's id alone. Of a wrong one
// neither the key under which the record lies nor its box gives anything away.
TEST_F(RecordTest, A10WrongIdsOpenNothing) {
  const Bytes record = honest();
  const ByteView view{record};
  ByteArray<91> plain;
  const auto opens = [&](const crypto::SymmetricKey& box) {
    return crypto::open_xchacha(plain.data(), view.subspan(133, 107), view.first(133),
                                to_array<24>(view.subspan(109)), box);
  };
  ASSERT_TRUE(opens(keys_.box));
  std::uint64_t members = 0;
  for (std::uint64_t guess = shoal::test::sized(50'000, 1'000'000); guess > 0; --guess) {
    const EpochKeys keys = derive_epoch(content(1'000 + guess), keys_.epoch);
    members += keys.key == keys_.key || open_record(record, keys, some_day) || opens(keys.box) ? 1 : 0;
  }
  EXPECT_EQ(members, 0U);
}

}  // namespace
}  // namespace shoal::dht
