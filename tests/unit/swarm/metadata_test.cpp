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

  // Runs until complete or `time` is over.
  bool run(MetadataFetch& fetch, Duration time) {
    Instant now{seconds{1000}};
    const Instant end = now + time;
    while (!fetch.complete() && now < end) {
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
      if (answered || fetch.complete()) continue;
      const Instant next = fetch.next_time();
      if (next == never) return false;
      EXPECT_GT(next, now) << "no busy waiting";
      now = std::max(next, now + std::chrono::microseconds{1});
    }
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
  EXPECT_EQ(fetch.parts(), 7U);
  std::vector<MetadataFetch::Ask> asks;
  MetadataFetch copy = fetch;
  copy.next(Instant{seconds{1}}, asks);
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
  EXPECT_EQ(fetch.peers(), 0U);
  EXPECT_EQ(fetch.parts(), 0U);
  EXPECT_EQ(fetch.next_time(), never);
}

TEST(MetadataFetch, LiarsAreFoundWhoeverTheyAre) {
  const Bytes info = make_info(100'000);
  Bytes other = info;
  other[40'000] ^= 1;
  for (std::uint32_t liars = 1; liars <= 3; ++liars) {
    MetadataFetch fetch{sha256(info)};
    Peers peers;
    for (std::uint32_t i = 0; i < 4; ++i) {
      peers.serve[i] = i < liars ? other : info;
      EXPECT_TRUE(fetch.offer(make_peer(i), 100'000));
    }
    EXPECT_TRUE(peers.run(fetch, seconds{100})) << liars;
    EXPECT_EQ(fetch.take(), info);
    for (const std::uint32_t who : peers.struck) EXPECT_LT(who, liars);
    EXPECT_LE(peers.mismatches, 1);
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
  EXPECT_EQ(fetch.parts_here(), 1U);
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
  ASSERT_NE(fetch.next_time(), never);
  fetch.next(fetch.next_time(), asks);
  EXPECT_EQ(asks.size(), 3U);
  fetch.remove_peer(make_peer(1));
  EXPECT_EQ(fetch.parts(), 0U);
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
