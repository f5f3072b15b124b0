// Fetching the info dictionary from honest peers, liars and the slow (THREATS A26).
#include "swarm/metadata.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "contents.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::seconds;
using test::make_peer;
using Verdict = MetadataFetch::Verdict;

Bytes make_info(std::size_t size) {
  Bytes out(size);
  Random random = test::make_random(1);
  random.fill(out);
  return out;
}

struct Peers {
  std::map<std::uint32_t, Bytes> serve;  // what each gives; empty: never answers
  std::set<std::uint32_t> struck;
  int mismatches = 0;
  Instant now{seconds{1000}};

  // Asks what is to be asked now, and answers. False: nobody answered.
  bool step(MetadataFetch& fetch) {
    std::vector<MetadataFetch::Ask> asks;
    fetch.next(now, asks);
    bool answered = false;
    for (const auto& ask : asks) {
      const Bytes& info = serve.at(ask.peer.index);
      if (info.empty()) continue;
      const std::size_t begin = std::size_t{ask.part} * 16384;
      const std::size_t size = std::min<std::size_t>(16384, info.size() - begin);
      const auto verdict = fetch.part(now, ask.peer, ask.part, static_cast<std::uint32_t>(info.size()),
                                      ByteView{info}.subspan(begin, size));
      answered = true;
      mismatches += verdict == Verdict::mismatch ? 1 : 0;
      if (verdict == Verdict::strike) {
        struck.insert(ask.peer.index);
        fetch.remove_peer(ask.peer);
      }
    }
    return answered;
  }
  // Until complete or `time` is over, second by second where nobody answers.
  bool run(MetadataFetch& fetch, Duration time) {
    const Instant end = now + time;
    while (!fetch.complete() && now < end)
      if (!step(fetch)) now += seconds{1};
    return fetch.complete();
  }
};

TEST(MetadataFetch, GathersPartsFromSeveral) {
  const Bytes info = make_info(100'000);
  MetadataFetch fetch{sha256(info)};
  Peers peers;
  for (std::uint32_t i = 0; i < 3; ++i) {
    peers.serve[i] = info;
    EXPECT_TRUE(fetch.offer(make_peer(i), 100'000));
  }
  std::vector<MetadataFetch::Ask> asks;
  MetadataFetch copy = fetch;
  copy.next(Instant{seconds{1}}, asks);
  EXPECT_EQ(asks.size(), 7U);
  std::set<std::uint32_t> asked;
  for (const auto& ask : asks) asked.insert(ask.peer.index);
  EXPECT_EQ(asked.size(), 3U);
  EXPECT_TRUE(peers.run(fetch, seconds{1}));
  EXPECT_EQ(fetch.take(), info);
}

TEST(MetadataFetch, ClaimsBeyondTheBoundCostNothing) {
  MetadataFetch fetch{Sha256{}};
  EXPECT_FALSE(fetch.offer(make_peer(0), 0xffffffff));
  EXPECT_FALSE(fetch.offer(make_peer(0), limits::max_metadata_bytes + 1));
  EXPECT_TRUE(fetch.offer(make_peer(1), 0));
  std::vector<MetadataFetch::Ask> asks;
  fetch.next(Instant{seconds{1}}, asks);
  EXPECT_TRUE(asks.empty());
}

TEST(MetadataFetch, LiarsAreFoundWhoeverTheyAre) {
  const Bytes info = make_info(100'000);
  Bytes other = info;
  for (std::size_t part = 0; part < other.size(); part += 16384) other[part] ^= 1;
  for (std::uint32_t liars = 1; liars <= 3; ++liars) {
    MetadataFetch fetch{sha256(info)};
    Peers peers;
    for (std::uint32_t i = 0; i < 4; ++i) {
      peers.serve[i] = i < liars ? other : info;
      EXPECT_TRUE(fetch.offer(make_peer(i), 100'000));
    }
    EXPECT_TRUE(peers.run(fetch, seconds{100})) << liars;
    EXPECT_EQ(fetch.take(), info);
    EXPECT_FALSE(peers.struck.empty());
    for (const std::uint32_t who : peers.struck) EXPECT_LT(who, liars);
    EXPECT_EQ(peers.mismatches, 1);
  }
}

TEST(MetadataFetch, WrongSizesLoseEvenAsAMajority) {
  const Bytes info = make_info(50'000), wrong = make_info(60'000);
  MetadataFetch fetch{sha256(info)};
  Peers peers;
  for (std::uint32_t i = 0; i < 5; ++i) {
    peers.serve[i] = i == 4 ? info : wrong;
    EXPECT_TRUE(fetch.offer(make_peer(i), static_cast<std::uint32_t>(peers.serve[i].size())));
  }
  EXPECT_TRUE(peers.run(fetch, seconds{100}));
  EXPECT_EQ(fetch.take(), info);
  EXPECT_FALSE(peers.struck.contains(4));
}

TEST(MetadataFetch, TheSilentAreReplaced) {
  const Bytes info = make_info(200'000);
  MetadataFetch fetch{sha256(info)};
  Peers peers;
  for (std::uint32_t i = 0; i < 4; ++i) {
    if (i == 3)
      peers.serve[i] = info;
    else
      peers.serve[i] = {};
    EXPECT_TRUE(fetch.offer(make_peer(i), 200'000));
  }
  EXPECT_TRUE(peers.run(fetch, seconds{60}));
}

TEST(MetadataFetch, StrikesWrongLengths) {
  const Bytes info = make_info(40'000);
  MetadataFetch fetch{sha256(info)};
  EXPECT_TRUE(fetch.offer(make_peer(0), 40'000));
  std::vector<MetadataFetch::Ask> asks;
  const Instant now{seconds{1}};
  fetch.next(now, asks);
  ASSERT_EQ(asks.size(), 3U);
  EXPECT_EQ(fetch.part(now, make_peer(0), 2, 40'000, ByteView{info}.first(16384)), Verdict::strike);
  EXPECT_EQ(fetch.part(now, make_peer(0), 0, 50'000, ByteView{info}.first(16384)), Verdict::strike);
  EXPECT_EQ(fetch.part(now, make_peer(1), 0, 40'000, ByteView{info}.first(16384)), Verdict::discarded);
  EXPECT_EQ(fetch.part(now, make_peer(0), 9, 40'000, ByteView{info}.first(16384)), Verdict::discarded);
  EXPECT_EQ(fetch.part(now, make_peer(0), 0, 40'000, ByteView{info}.first(16384)), Verdict::taken);
  EXPECT_EQ(fetch.part(now, make_peer(0), 0, 40'000, ByteView{info}.first(16384)), Verdict::discarded);
}

TEST(MetadataFetch, RejectsAndLeavingPeersPassTheWorkOn) {
  const Bytes info = make_info(40'000);
  MetadataFetch fetch{sha256(info)};
  EXPECT_TRUE(fetch.offer(make_peer(0), 40'000));
  EXPECT_TRUE(fetch.offer(make_peer(1), 40'000));
  std::vector<MetadataFetch::Ask> asks;
  const Instant now{seconds{1}};
  fetch.next(now, asks);
  fetch.remove_peer(make_peer(0));
  for (const auto& ask : asks)
    if (ask.peer == make_peer(1)) fetch.rejected(now, make_peer(1), ask.part);
  asks.clear();
  fetch.next(now, asks);
  EXPECT_TRUE(asks.empty());
  fetch.next(now + seconds{5}, asks);
  EXPECT_EQ(asks.size(), 3U);
  fetch.remove_peer(make_peer(1));
  asks.clear();
  fetch.next(now + seconds{60}, asks);
  EXPECT_TRUE(asks.empty());
}

// Who claims another size and never answers is in nobody's way.
TEST(MetadataFetch, OneSizeDoesNotWaitForAnother) {
  const Bytes info = make_info(200'000);
  MetadataFetch fetch{sha256(info)};
  EXPECT_TRUE(fetch.offer(make_peer(0), limits::max_metadata_bytes));
  EXPECT_TRUE(fetch.offer(make_peer(1), 300'000));
  EXPECT_TRUE(fetch.offer(make_peer(2), 200'000));
  Peers peers;
  peers.serve = {{0, {}}, {1, {}}, {2, info}};
  EXPECT_TRUE(peers.run(fetch, seconds{1}));
}

TEST(MetadataFetch, WhoWasUnpluggedIsAskedAgain) {
  const Bytes info = make_info(200'000);
  MetadataFetch fetch{sha256(info)};
  EXPECT_TRUE(fetch.offer(make_peer(0), 200'000));
  Peers peers;
  peers.serve[0] = {};
  EXPECT_FALSE(peers.run(fetch, std::chrono::minutes{30}));
  peers.serve[0] = info;
  EXPECT_TRUE(peers.run(fetch, seconds{90}));
}

TEST(MetadataFetch, WhoIsAskedAloneAndDoesNotAnswerIsLeft) {
  const Bytes info = make_info(100'000);
  Bytes other = info;
  other[40'000] ^= 1;
  MetadataFetch fetch{sha256(info)};
  Peers peers;
  for (std::uint32_t i = 0; i < 2; ++i) {
    peers.serve[i] = i == 0 ? other : info;
    EXPECT_TRUE(fetch.offer(make_peer(i), 100'000));
  }
  while (peers.mismatches == 0) ASSERT_TRUE(peers.step(fetch));
  ASSERT_FALSE(fetch.complete());
  fetch.remove_peer(make_peer(1));
  for (std::uint32_t i = 0; i < 8; ++i) {  // all are silent now but for the last
    peers.serve[i] = i == 7 ? info : Bytes{};
    EXPECT_TRUE(fetch.offer(make_peer(i), 100'000));
  }
  EXPECT_TRUE(peers.run(fetch, std::chrono::minutes{5}));
}

// On a line so slow that all that was asked at once takes longer than a question may.
TEST(MetadataFetch, LateAnswersAreTaken) {
  const Bytes info = make_info(100'000);
  MetadataFetch fetch{sha256(info)};
  EXPECT_TRUE(fetch.offer(make_peer(0), 100'000));
  Instant now{seconds{1}};
  std::vector<MetadataFetch::Ask> asks;
  fetch.next(now, asks);
  ASSERT_EQ(asks.size(), 7U);
  for (std::uint32_t part = 0; part < 7; ++part) {
    now += seconds{3};
    std::vector<MetadataFetch::Ask> again;
    fetch.next(now, again);
    const std::size_t begin = std::size_t{part} * 16384;
    const auto verdict =
        fetch.part(now, make_peer(0), part, 100'000,
                   ByteView{info}.subspan(begin, std::min<std::size_t>(16384, info.size() - begin)));
    EXPECT_EQ(verdict, part == 6 ? Verdict::complete : Verdict::taken);
  }
}

// Three who claim the most there may be, of whom two lie: what is held of all is bounded, and the truth
// comes.
TEST(MetadataFetch, ManyLargeSizesAreHeldWithinABound) {
  const Bytes info = make_info(limits::max_metadata_bytes - 5);
  MetadataFetch fetch{sha256(info)};
  Peers peers;
  for (std::uint32_t i = 0; i < 3; ++i) {
    peers.serve[i] = info;
    peers.serve[i].resize(info.size() + i);
    EXPECT_TRUE(fetch.offer(make_peer(i), static_cast<std::uint32_t>(peers.serve[i].size())));
  }
  peers.serve[3] = info;
  EXPECT_TRUE(fetch.offer(make_peer(3), static_cast<std::uint32_t>(info.size())));
  EXPECT_TRUE(peers.run(fetch, seconds{100}));
  EXPECT_EQ(fetch.take(), info);
}

TEST(MetadataServe, IsBounded) {
  const Bytes info = make_info(40'000);
  MetadataServe serve;
  EXPECT_EQ(serve.part(info, 2)->size(), 40'000U - 32768);
  EXPECT_FALSE(serve.part(info, 3));
  EXPECT_FALSE(serve.part(info, 0xffffffff));
  EXPECT_FALSE(serve.part({}, 0));
  std::size_t bytes = 0;
  while (const auto part = serve.part(info, 0)) bytes += part->size();
  EXPECT_LE(bytes, 3 * info.size() + 16384);
  EXPECT_GE(bytes, 2 * info.size());
}

}  // namespace
}  // namespace shoal::swarm
