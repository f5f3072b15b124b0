// BitTorrent behind message stream encryption: both ends up, whatever was chosen and however the bytes are
// cut.
#include "swarm/mse_wire.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

constexpr InfoHash content{1, 1};
BtParams params(std::uint8_t who) {
  return {.info_hash = content, .accepted = {content}, .peer_id = {'-', 'S', 'H', who}, .v2 = content};
}

struct Case {
  MseMethods offered, accepted;
  std::size_t step;
};

class MseWires : public testing::TestWithParam<Case> {
 protected:
  InfoHashTable contents_;
  Random random_{ByteArray<32>{3}};
  BufferPool pool_;
  std::unique_ptr<MseWire> dialler_, answerer_;
  std::optional<Mse> entrance_;  // until it is done
  Bytes on_the_line_;            // everything, for a look at it
  std::vector<wire::Message> at_dialler_, at_answerer_;

  void SetUp() override {
    contents_.set(1, {content});
    dialler_ = MseWire::make_dialler(params(1), GetParam().offered, random_, pool_);
    entrance_ = Mse::answerer(contents_, GetParam().accepted, random_);
  }
  void to_answerer(ByteView bytes) {
    if (!answerer_) {
      EXPECT_TRUE(entrance_->receive(bytes));
      const Bytes reply = entrance_->take_reply();
      to_dialler(reply);
      if (!entrance_->done()) return;
      answerer_ = MseWire::make_answerer(params(2), std::move(*entrance_), pool_);
    }
    EXPECT_TRUE(answerer_->receive({}, bytes, at_answerer_));
  }
  void to_dialler(ByteView bytes) { EXPECT_TRUE(dialler_->receive({}, bytes, at_dialler_)); }
  void carry() {
    for (bool moved = true; moved;) {
      moved = flush(*dialler_, [this](ByteView bytes) { to_answerer(bytes); });
      if (answerer_) moved = flush(*answerer_, [this](ByteView bytes) { to_dialler(bytes); }) || moved;
    }
  }
  template <class Deliver>
  bool flush(MseWire& from, Deliver&& deliver) {
    std::vector<Buffer> buffers;
    from.flush({}, buffers);
    for (Buffer& buffer : buffers) {
      append(on_the_line_, buffer.view());
      for (std::size_t at = 0; at < buffer.size(); at += GetParam().step)
        deliver(buffer.view().subspan(at, std::min(GetParam().step, buffer.size() - at)));
      pool_.give(std::move(buffer));
    }
    return !buffers.empty();
  }
  Buffer block() {
    Buffer out = pool_.take();
    out.extend(BtWire::block_front + 16384);
    out.drop_front(BtWire::block_front);
    std::ranges::fill(out.span(), std::uint8_t{7});
    return out;
  }
};

TEST_P(MseWires, CarryMessagesBothWays) {
  carry();
  ASSERT_TRUE(answerer_ && answerer_->established() && dialler_->established());
  EXPECT_EQ(dialler_->remote_key(), peer_name(params(2).peer_id));
  EXPECT_TRUE(answerer_->speech().hashes && answerer_->speech().rejects);
  const std::size_t before = on_the_line_.size();
  dialler_->send({}, wire::Have{9});
  dialler_->send({}, wire::Block{5, 16384, block()});
  answerer_->send({}, wire::Pieces{wire::Pieces::Form::all, {}, 11});
  answerer_->send({}, wire::Block{6, 0, block()});
  carry();
  ASSERT_EQ(at_answerer_.size(), 3U);  // the first says that it has nothing else
  EXPECT_EQ(std::get<wire::Have>(at_answerer_[1]).piece, 9U);
  EXPECT_TRUE(equal(std::get<wire::Block>(at_answerer_[2]).data.view(), Bytes(16384, 7)));
  ASSERT_EQ(at_dialler_.size(), 2U);
  EXPECT_TRUE(equal(std::get<wire::Block>(at_dialler_[1]).data.view(), Bytes(16384, 7)));
  at_answerer_.clear();
  for (std::uint32_t i = 0; i < 40; ++i) dialler_->send({}, wire::Block{5, i, block()});
  dialler_->send({}, wire::Have{9});
  carry();
  ASSERT_EQ(at_answerer_.size(), 41U) << "whatever came at once";
  EXPECT_EQ(std::get<wire::Have>(at_answerer_[40]).piece, 9U);
  const Bytes sevens(64, 7);
  const auto shown = std::search(on_the_line_.begin() + static_cast<std::ptrdiff_t>(before),
                                 on_the_line_.end(), sevens.begin(), sevens.end());
  EXPECT_EQ(shown == on_the_line_.end(), GetParam().offered.rc4 && GetParam().accepted.rc4);
}

TEST(MseWire, AStrangeKeyEndsIt) {
  Random random{ByteArray<32>{3}};
  BufferPool pool;
  const auto dialler = MseWire::make_dialler(params(1), {}, random, pool);
  std::vector<wire::Message> out;
  const auto received = dialler->receive({}, Bytes(96, 0), out);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, Code::malformed);
}

// What came with the handshake is the beginning of the stream, and is held to its rules.
TEST(MseWire, AFirstPayloadThatIsNoHandshakeEndsIt) {
  Random random{ByteArray<32>{3}};
  BufferPool pool;
  InfoHashTable contents;
  contents.set(1, {content});
  Mse dialler = Mse::dialler(content, {}, Bytes(100, 'x'), random),
      entrance = Mse::answerer(contents, {}, random);
  for (int flight = 0; flight < 3; ++flight) {
    Mse& from = flight == 1 ? entrance : dialler;
    const Bytes said = from.take_reply();
    ByteView bytes{said};
    ASSERT_TRUE((flight == 1 ? dialler : entrance).receive(bytes));
  }
  ASSERT_TRUE(entrance.done());
  const auto answerer = MseWire::make_answerer(params(2), std::move(entrance), pool);
  std::vector<wire::Message> out;
  EXPECT_FALSE(answerer->receive({}, {}, out));
  EXPECT_TRUE(out.empty());
  EXPECT_FALSE(answerer->established());
}

constexpr MseMethods either{}, plain{.plain = true, .rc4 = false}, rc4{.plain = false, .rc4 = true};
INSTANTIATE_TEST_SUITE_P(All, MseWires,
                         testing::Values(Case{either, either, 100'000}, Case{either, plain, 100'000},
                                         Case{plain, either, 1}, Case{rc4, either, 1}, Case{rc4, rc4, 700},
                                         Case{either, either, 13}));

}  // namespace
}  // namespace shoal::swarm
