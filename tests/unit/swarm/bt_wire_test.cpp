// BitTorrent's stream: handshake, frames cut anywhere, blocks without a copy, bounds before buffering.
#include "swarm/bt_wire.hpp"

#include <gtest/gtest.h>

#include "dht/base/random.hpp"
#include "swarm/limits.hpp"

namespace shoal::swarm {
namespace {

constexpr InfoHash v1{1, 1}, v2{2, 2}, unknown{3, 3};
BtParams params(std::uint8_t who, const InfoHash& named = v1) {
  BtParams out;
  out.info_hash = named;
  out.accepted = {v1, v2};
  out.peer_id = {'-', 'S', 'H', who};
  out.v2 = v2;
  return out;
}

class Pair : public testing::Test {
 protected:
  // Carries everything both ways until nobody has anything left to say; `step` bytes at a time, 0: all.
  void carry(std::size_t step = 0) {
    for (bool moved = true; moved;) {
      moved = deliver(*dialler_, *answerer_, at_answerer_, step);
      moved = deliver(*answerer_, *dialler_, at_dialler_, step) || moved;
    }
  }
  bool deliver(BtWire& from, BtWire& to, std::vector<wire::Message>& out, std::size_t step) {
    std::vector<Buffer> buffers;
    from.flush({}, buffers);
    for (Buffer& buffer : buffers) {
      const ByteView all = buffer.view();
      const std::size_t each = step == 0 ? all.size() : step;
      for (std::size_t at = 0; at < all.size(); at += each)
        EXPECT_TRUE(to.receive({}, all.subspan(at, std::min(each, all.size() - at)), out));
      pool_.give(std::move(buffer));
    }
    return !buffers.empty();
  }
  Buffer block(std::size_t bytes, std::uint8_t fill = 7) {
    Buffer out = pool_.take();
    out.extend(BtWire::block_front + bytes);
    out.drop_front(BtWire::block_front);
    std::ranges::fill(out.span(), fill);
    return out;
  }
  Result<void> answer(ByteView bytes) { return answerer_->receive({}, bytes, at_answerer_); }
  // Past the handshake, frames of the test's own.
  Result<void> frame(std::uint32_t length, ByteView body) {
    Bytes out;
    append_be(out, length);
    append(out, body);
    return answer(out);
  }
  BufferPool pool_;
  std::unique_ptr<BtWire> dialler_ = BtWire::make_dialler(params(1), pool_);
  std::unique_ptr<BtWire> answerer_ = BtWire::make_answerer(params(2), pool_);
  std::vector<wire::Message> at_dialler_, at_answerer_;
};

TEST_F(Pair, TheHandshakeIsAsBep3HasIt) {
  std::vector<Buffer> out;
  dialler_->flush({}, out);
  ASSERT_EQ(out.size(), 1U);
  const ByteView bytes = out[0].view();
  ASSERT_EQ(bytes.size(), bt_handshake_bytes);
  EXPECT_EQ(as_text(bytes.first(20)),
            "\x13"
            "BitTorrent protocol");
  EXPECT_EQ(to_hex(bytes.subspan(20, 8)), "0000000000100005");  // BEP 10; 6 and 5
  EXPECT_TRUE(equal(bytes.subspan(28, 20), v1));
  EXPECT_TRUE(equal(bytes.subspan(48, 20), params(1).peer_id));
}

TEST_F(Pair, BothEndsAreUpAndKnowWhatTheOtherTakes) {
  carry();
  for (const BtWire* wire : {dialler_.get(), answerer_.get()}) {
    EXPECT_TRUE(wire->established());
    EXPECT_TRUE(wire->theirs().fast && wire->theirs().extended);
    EXPECT_FALSE(wire->theirs().hashes);
    EXPECT_EQ(wire->named(), v1);
    EXPECT_EQ(wire->held(), 0U);
  }
  EXPECT_EQ(dialler_->remote_id(), params(2).peer_id);
  EXPECT_EQ(answerer_->remote_id(), params(1).peer_id);
}

TEST_F(Pair, AHybridIsFoundUnderEitherName) {
  dialler_ = BtWire::make_dialler(params(1, v2), pool_);
  carry();
  EXPECT_TRUE(dialler_->established() && answerer_->established());
  EXPECT_EQ(answerer_->named(), v2);
  EXPECT_EQ(dialler_->named(), v2);
  EXPECT_TRUE(dialler_->theirs().hashes && answerer_->theirs().hashes);  // BEP 52
}

TEST_F(Pair, NothingIsSaidToWhoNamesNoContentOfOurs) {
  dialler_ = BtWire::make_dialler(params(1, unknown), pool_);
  std::vector<Buffer> hello, answer_bytes;
  dialler_->flush({}, hello);
  EXPECT_EQ(answer(hello[0].view()).error().code, Code::mismatch);
  answerer_->flush({}, answer_bytes);
  EXPECT_TRUE(answer_bytes.empty());
  EXPECT_FALSE(answerer_->established());
  EXPECT_FALSE(answer(Bytes{0}));  // final
}

TEST_F(Pair, NobodyTradesWithHimself) {
  answerer_ = BtWire::make_answerer(params(1), pool_);
  std::vector<Buffer> hello;
  dialler_->flush({}, hello);
  EXPECT_EQ(answer(hello[0].view()).error().code, Code::mismatch);
}

TEST_F(Pair, OtherProtocolsAreRefusedAtTheirFirstWrongByte) {
  EXPECT_TRUE(answer(Bytes{0x13, 'B', 'i'}));
  EXPECT_EQ(answer(Bytes{'x'}).error().code, Code::malformed);
}

class Cut : public Pair, public testing::WithParamInterface<std::size_t> {};
TEST_P(Cut, FramesMayBeCutAnywhere) {
  carry(GetParam());
  wire::Hello hello;
  hello.client = "shoal";
  dialler_->send({}, std::move(hello));
  dialler_->send({}, wire::Pieces{wire::Pieces::Form::bits, Bytes(3000, 0xAA), 24'000});
  dialler_->send({}, wire::KeepAlive{});
  dialler_->send({}, wire::Block{5, 16384, block(16384)});
  dialler_->send({}, wire::Have{9});
  dialler_->send({}, wire::Block{6, 0, block(1, 9)});
  carry(GetParam());
  ASSERT_EQ(at_answerer_.size(), 6U);
  EXPECT_EQ(std::get<wire::Hello>(at_answerer_[0]).client, "shoal");
  EXPECT_EQ(std::get<wire::Pieces>(at_answerer_[1]).bits, Bytes(3000, 0xAA));
  EXPECT_TRUE(std::holds_alternative<wire::KeepAlive>(at_answerer_[2]));
  const auto& large = std::get<wire::Block>(at_answerer_[3]);
  EXPECT_EQ(large.piece, 5U);
  EXPECT_EQ(large.begin, 16384U);
  EXPECT_TRUE(equal(large.data.view(), Bytes(16384, 7)));
  EXPECT_EQ(std::get<wire::Have>(at_answerer_[4]).piece, 9U);
  EXPECT_TRUE(equal(std::get<wire::Block>(at_answerer_[5]).data.view(), Bytes(1, 9)));
  EXPECT_EQ(answerer_->held(), 0U);
}
INSTANTIATE_TEST_SUITE_P(Steps, Cut, testing::Values(0, 1, 2, 3, 5, 13, 67, 1000, 16384));

TEST_F(Pair, ABlockIsSentWhereItLies) {
  carry();
  Buffer data = block(1000);
  const std::uint8_t* const payload = data.data();
  dialler_->send({}, wire::Have{1});
  dialler_->send({}, wire::Block{1, 0, std::move(data)});
  std::vector<Buffer> out;
  dialler_->flush({}, out);
  ASSERT_EQ(out.size(), 2U);  // the small one before it, in order
  EXPECT_EQ(out[1].view().data() + BtWire::block_front, payload);
}

// BEP 6: who has no word for all or nothing hears a bitfield or nothing.
TEST_F(Pair, WhoDoesNotKnowTheFastExtensionHearsBits) {
  Bytes hello;
  append(hello, as_bytes("\x13"
                         "BitTorrent protocol"));
  hello.insert(hello.end(), 8, 0);
  append(hello, v1);
  append(hello, params(9).peer_id);
  ASSERT_TRUE(answer(hello));
  std::vector<Buffer> out;
  answerer_->flush({}, out);
  out.clear();
  answerer_->send({}, wire::Hello{});  // it knows no extensions either
  answerer_->send({}, wire::Pieces{wire::Pieces::Form::none, {}, 11});
  answerer_->send({}, wire::Pieces{wire::Pieces::Form::all, {}, 11});
  answerer_->flush({}, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(to_hex(out[0].view()), "0000000305ffe0");
}

TEST_F(Pair, ManySmallMessagesGoOutInFullBuffersAndInOrder) {
  carry();
  at_answerer_.clear();
  constexpr std::uint32_t many = 5000;  // of nine bytes each
  for (std::uint32_t i = 0; i < many; ++i) dialler_->send({}, wire::Have{i});
  std::vector<Buffer> buffers;
  dialler_->flush({}, buffers);
  EXPECT_EQ(buffers.size(), 3U);
  for (const Buffer& buffer : buffers) {
    EXPECT_LE(buffer.size(), BufferPool::standard);
    EXPECT_TRUE(answer(buffer.view()));
  }
  ASSERT_EQ(at_answerer_.size(), 1 + many) << "the first says that nothing else is there";
  for (std::uint32_t i = 0; i < many; ++i) EXPECT_EQ(std::get<wire::Have>(at_answerer_[1 + i]).piece, i);
}

TEST_F(Pair, LengthsAreCheckedBeforeAnythingIsKept) {
  struct Case {
    std::uint32_t length;
    std::uint8_t kind;
  };
  for (const Case& one : {Case{0xffffffff, 0}, Case{1 + 8 + 16385, 7}, Case{9, 7}, Case{(1 << 18) + 2, 5},
                          Case{(1 << 17) + 1, 20}, Case{(1 << 17) + 1, 99}}) {
    dialler_ = BtWire::make_dialler(params(1), pool_);
    answerer_ = BtWire::make_answerer(params(2), pool_);
    carry();
    EXPECT_FALSE(frame(one.length, Bytes{one.kind})) << one.length;
    EXPECT_EQ(answerer_->held(), 0U);
  }
  dialler_ = BtWire::make_dialler(params(1), pool_);
  answerer_ = BtWire::make_answerer(params(2), pool_);
  carry();
  EXPECT_TRUE(frame(1 + 8 + 16384, Bytes{7}));
  EXPECT_LE(answerer_->held(), 16U);  // memory follows what has come
}

// THREATS A16: a hundred bytes are no hundred pooled buffers.
TEST_F(Pair, ShortBlocksTakeNoMoreRoomThanTheyHave) {
  carry();
  constexpr std::uint32_t block_frame = 9;  // its kind, piece and place
  for (int i = 0; i < 100; ++i) {
    Bytes body(block_frame + 1, 0);
    body[0] = 7;
    ASSERT_TRUE(frame(block_frame + 1, body));
  }
  std::size_t room = 0, blocks = 0;
  for (const wire::Message& message : at_answerer_)
    if (const auto* block = std::get_if<wire::Block>(&message)) {
      room += block->data.capacity();
      ++blocks;
    }
  EXPECT_EQ(blocks, 100U);
  EXPECT_EQ(room, 100U);
}

TEST_F(Pair, WhatIsLeftBehindByAnErrorGoesNowhere) {
  carry();
  ASSERT_FALSE(frame(2, Bytes{0, 0}));
  answerer_->send({}, wire::Have{1});
  answerer_->send({}, wire::Block{1, 0, block(10)});
  std::vector<Buffer> out;
  answerer_->flush({}, out);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace shoal::swarm
