// Two ends of the native dialect talking: handshake, order, splitting, rekeying, both ciphers, and no
// allocation per block.
#include "swarm/native_wire.hpp"

#include <optional>

#include <gtest/gtest.h>

#include "tests/unit/swarm/allocations.hpp"
#include "tests/unit/swarm/native_samples.hpp"
#include "tests/unit/swarm/processor.hpp"
#include "tests/unit/swarm/wire_pair.hpp"

namespace shoal::swarm {
namespace {

using test::Pair;
using wire::Message;

TEST(NativeWireTest, HandshakeWorksInPiecesOfAnySize) {
  for (std::size_t size = 1; size <= 160; ++size) {
    Pair pair;
    EXPECT_FALSE(pair.a->established());
    pair.pump(test::of(size));
    ASSERT_TRUE(pair.a->established() && pair.b->established()) << size;
    EXPECT_EQ(pair.a->remote_key(), pair.responder.ours.public_key);
    EXPECT_EQ(pair.b->remote_key(), pair.initiator.ours.public_key);
    EXPECT_EQ(pair.a->channel().handshake_hash(), pair.b->channel().handshake_hash());
    EXPECT_EQ(pair.carried, first_flight_bytes + second_flight_bytes);
    EXPECT_FALSE(pair.a->confirmed() || pair.b->confirmed());  // no frame yet
    pair.a->send(pair.now, wire::Interested{});
    pair.pump(test::of(size));
    EXPECT_TRUE(pair.b->confirmed());
    EXPECT_FALSE(pair.a->confirmed());
  }
}

TEST(NativeWireTest, TheFirstFlightIsSmall) {
  Pair pair;
  EXPECT_LE(test::flushed(*pair.a, pair.now, pair.pool).size(), 150U);
  EXPECT_TRUE(test::flushed(*pair.a, pair.now, pair.pool).empty());
  EXPECT_TRUE(test::flushed(*pair.b, pair.now, pair.pool).empty());
}

// What a test sends and what must come out at the other side.
struct Script {
  std::vector<Bytes> sent;
  void send(Pair& pair, NativeWire& from, std::size_t which) {
    if (which == 10) {
      auto block = pair.block(test::random_number(pair.random), test::random_number(pair.random),
                              1 + pair.random.below(max_block_bytes));
      sent.push_back(test::encoded(Message{wire::Block{block.piece, block.begin, [&] {
                                                         Buffer copy{block.data.size()};
                                                         copy.append(block.data.view());
                                                         return copy;
                                                       }()}}));
      from.send(pair.now, std::move(block));
    } else {
      Message message = test::random_message(pair.random, which);
      sent.push_back(test::encoded(message));
      from.send(pair.now, std::move(message));
    }
  }
  void compare(std::vector<Message>& got, BufferPool& pool) {
    ASSERT_EQ(got.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      ASSERT_EQ(test::encoded(got[i]), sent[i]) << i;
      if (auto* block = std::get_if<wire::Block>(&got[i])) pool.give(std::move(block->data));
    }
    sent.clear();
    got.clear();
  }
};

void converse(Pair& pair, const test::Chunks& chunks, int rounds, std::size_t most_a_flush) {
  Script to_b, to_a;
  for (int round = 0; round < rounds; ++round) {
    for (auto n = pair.random.below(most_a_flush); n > 0; --n)
      to_b.send(pair, *pair.a, pair.random.below(native_messages));
    for (auto n = pair.random.below(most_a_flush); n > 0; --n)
      to_a.send(pair, *pair.b, pair.random.below(native_messages));
    pair.pump(chunks);
    to_b.compare(pair.at_b, pair.pool);
    to_a.compare(pair.at_a, pair.pool);
    if (testing::Test::HasFatalFailure()) return;
    EXPECT_EQ(pair.a->held() + pair.b->held(), 0U);
  }
}

TEST(NativeWireTest, EveryMessageArrivesInOrderByteByByte) {
  Pair pair;
  pair.establish();
  converse(pair, test::of(1), 12, 12);
}

TEST(NativeWireTest, EveryMessageArrivesInOrderInRandomPieces) {
  for (const std::size_t most : {7UL, 100UL, 5000UL, 40000UL}) {
    Pair pair;
    Random chunks{{9}};
    pair.pump(test::random_chunks(chunks, most));
    converse(pair, test::random_chunks(chunks, most), 40, 20);
  }
}

TEST(NativeWireTest, EveryMessageArrivesInOrderInLargePieces) {
  Pair pair;
  pair.establish();
  converse(pair, test::whole(), 60, 40);
  converse(pair, test::of(256 * 1024), 20, 200);
}

TEST(NativeWireTest, ABlockIsSealedAndOpenedInPlace) {
  Pair pair;
  pair.establish();
  wire::Block block = pair.block(1, 2, max_block_bytes);
  const Bytes payload = to_vector(block.data.view());
  const std::uint8_t* const where = block.data.data();
  pair.a->send(pair.now, std::move(block));
  std::vector<Buffer> frames;
  pair.a->flush(pair.now, frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_GT(where, frames[0].data());
  EXPECT_LE(where, frames[0].data() + NativeWire::block_front);
  EXPECT_EQ(frames[0].size(), frame_overhead + 4 + max_block_bytes);  // the header: four bytes here
  ASSERT_TRUE(pair.b->receive(pair.now, frames[0].view(), pair.at_b));
  EXPECT_TRUE(equal(std::get<wire::Block>(pair.at_b.at(0)).data.view(), payload));
  EXPECT_EQ(std::get<wire::Block>(pair.at_b.at(0)).data.capacity(), BufferPool::standard);
}

TEST(NativeWireTest, SmallMessagesShareAFrameUntilABlockComes) {
  Pair pair;
  pair.establish();
  std::vector<Buffer> frames;
  for (std::uint32_t i = 0; i < 50; ++i) pair.a->send(pair.now, wire::Request{i, 0, 16384});
  pair.a->send(pair.now, pair.block(1, 0, 100));
  pair.a->send(pair.now, wire::Have{1});
  pair.a->send(pair.now, wire::Have{2});
  pair.a->flush(pair.now, frames);
  EXPECT_EQ(frames.size(), 3U);
  for (Buffer& frame : frames) ASSERT_TRUE(pair.b->receive(pair.now, frame.view(), pair.at_b));
  ASSERT_EQ(pair.at_b.size(), 53U);
  EXPECT_TRUE(std::holds_alternative<wire::Request>(pair.at_b[49]));
  EXPECT_TRUE(std::holds_alternative<wire::Block>(pair.at_b[50]));
  EXPECT_EQ(std::get<wire::Have>(pair.at_b[52]).piece, 2U);
}

TEST(NativeWireTest, AResponderMaySpeakWithItsAnswer) {
  Pair pair;
  ASSERT_TRUE(pair.b->receive(pair.now, test::flushed(*pair.a, pair.now, pair.pool), pair.at_b));
  pair.b->send(pair.now, wire::Hello{"b"});
  ASSERT_TRUE(pair.a->receive(pair.now, test::flushed(*pair.b, pair.now, pair.pool), pair.at_a));
  EXPECT_TRUE(pair.a->confirmed());
  EXPECT_EQ(std::get<wire::Hello>(pair.at_a.at(0)).client, "b");
}

TEST(NativeWireTest, CiphersAreChosenTogether) {
  using enum AesOffer;
  const auto strongest = crypto::AesGcm::available() ? noise::Cipher::aes_gcm : noise::Cipher::chacha_poly;
  for (const AesOffer one : {never, where_available})
    for (const AesOffer other : {never, where_available}) {
      Pair pair;
      pair.initiator.aes = one;
      pair.responder.aes = other;
      pair.open();
      pair.establish();
      const bool both = one == where_available && other == where_available;
      EXPECT_EQ(pair.a->channel().cipher(), both ? strongest : noise::Cipher::chacha_poly);
      EXPECT_EQ(pair.b->channel().cipher(), pair.a->channel().cipher());
      converse(pair, test::whole(), 10, 20);
    }
}

TEST(NativeWireTest, OnAProcessorWithoutAesNobodyIsAskedForIt) {
  const auto cipher_with = [](bool old_initiator, bool old_responder) {
    Pair pair;
    std::optional<test::OldProcessor> old;
    const auto at = [&](bool is_old) {
      old.reset();
      if (is_old) old.emplace();
    };
    at(old_initiator);
    pair.open();
    const Bytes first = test::flushed(*pair.a, pair.now, pair.pool);
    at(old_responder);
    EXPECT_TRUE(pair.b->receive(pair.now, first, pair.at_b));
    const Bytes second = test::flushed(*pair.b, pair.now, pair.pool);
    at(old_initiator);
    EXPECT_TRUE(pair.a->receive(pair.now, second, pair.at_a));
    EXPECT_EQ(pair.a->channel().cipher(), pair.b->channel().cipher());
    converse(pair, test::whole(), 3, 10);
    return pair.a->channel().cipher();
  };
  const auto strongest = crypto::AesGcm::available() ? noise::Cipher::aes_gcm : noise::Cipher::chacha_poly;
  EXPECT_EQ(cipher_with(false, false), strongest);
  EXPECT_EQ(cipher_with(true, false), noise::Cipher::chacha_poly);
  EXPECT_EQ(cipher_with(false, true), noise::Cipher::chacha_poly);
  EXPECT_EQ(cipher_with(true, true), noise::Cipher::chacha_poly);
}

TEST(NativeWireTest, RekeysByVolume) {
  for (const AesOffer aes : {AesOffer::never, AesOffer::where_available}) {
    Pair pair;
    pair.initiator.aes = aes;
    pair.initiator.rekey_bytes = pair.responder.rekey_bytes = 50'000;
    pair.open();
    pair.establish();
    Random chunks{{4}};
    Script script;
    for (int i = 0; i < 100; ++i) script.send(pair, *pair.a, 10);
    pair.pump(test::random_chunks(chunks, 30'000));
    const std::uint64_t volume = pair.carried;
    script.compare(pair.at_b, pair.pool);
    EXPECT_GE(pair.a->channel().rekeys(), volume / 50'000);
    EXPECT_EQ(pair.a->channel().rekeys(), pair.b->channel().rekeys());
    converse(pair, test::random_chunks(chunks, 30'000), 40, 20);  // both ways
    EXPECT_EQ(pair.a->channel().rekeys(), pair.b->channel().rekeys());
  }
}

TEST(NativeWireTest, RekeysByTimeWhenItNextSpeaks) {
  Pair pair;
  pair.establish();
  const auto say = [&] {
    pair.a->send(pair.now, wire::KeepAlive{});
    pair.pump();
    pair.at_b.clear();
    return pair.b->channel().rekeys();
  };
  EXPECT_EQ(say(), 0U);
  pair.now = test::at(std::chrono::minutes{10} - Duration{1});
  EXPECT_EQ(say(), 0U);
  pair.now = test::at(std::chrono::minutes{10});
  EXPECT_EQ(say(), 1U);
  EXPECT_EQ(say(), 1U);
  pair.now = test::at(std::chrono::hours{5});  // long silence: one new key, not thirty
  EXPECT_EQ(say(), 2U);
  EXPECT_EQ(say(), 2U);
  converse(pair, test::whole(), 3, 10);
}

TEST(NativeWireTest, AStreamLooksRandom) {
  Pair pair;
  pair.establish();
  ByteArray<3> first{}, second{};
  for (ByteArray<3>* header : {&first, &second}) {
    pair.a->send(pair.now, wire::KeepAlive{});
    *header = to_array<3>(test::flushed(*pair.a, pair.now, pair.pool));
  }
  EXPECT_NE(first, second);  // equal frames do not even have equal headers
}

#if SHOAL_COUNTS_ALLOCATIONS
// Requests one way, blocks the other, buffers given back as the swarm and the host do.
void stream_blocks(Pair& pair, int count, std::size_t chunk, std::vector<Buffer>& frames, Bytes& stream) {
  for (int i = 0; i < count; ++i) {
    pair.b->send(pair.now, wire::Request{70000U + static_cast<std::uint32_t>(i), 0, 16384});
    pair.b->flush(pair.now, frames);
    for (Buffer& frame : frames) {
      ASSERT_TRUE(pair.a->receive(pair.now, frame.view(), pair.at_a));
      pair.pool.give(std::move(frame));
    }
    frames.clear();
    pair.at_a.clear();

    pair.a->send(pair.now, pair.block(70000U + static_cast<std::uint32_t>(i), 16384, 16384));
    pair.a->flush(pair.now, frames);
    for (Buffer& frame : frames) {
      append(stream, frame.view());
      pair.pool.give(std::move(frame));
    }
    frames.clear();
    if (stream.size() < chunk) continue;
    ASSERT_TRUE(pair.b->receive(pair.now, ByteView{stream}.first(chunk), pair.at_b));
    stream.erase(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(chunk));
    for (Message& message : pair.at_b) pair.pool.give(std::move(std::get<wire::Block>(message).data));
    pair.at_b.clear();
  }
}

TEST(NativeWireTest, ASteadyStreamOfBlocksAllocatesNothing) {
  for (const AesOffer aes : {AesOffer::never, AesOffer::where_available})
    for (const std::size_t chunk : {16384UL + 27, 16384UL, 65536UL, 100'000UL}) {
      Pair pair;
      pair.initiator.aes = aes;
      pair.open();
      pair.establish();
      std::vector<Buffer> frames;
      Bytes stream;
      stream.reserve(1 << 20);
      stream_blocks(pair, 100, chunk, frames, stream);
      const std::uint64_t before = test::allocations();
      stream_blocks(pair, 500, chunk, frames, stream);
      EXPECT_EQ(test::allocations() - before, 0U) << chunk;
    }
}
#endif

}  // namespace
}  // namespace shoal::swarm
