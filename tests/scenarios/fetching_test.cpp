// Strangers of whom a peer fetches: some give what is wrong, or not all that is needed; and its own disk
// fails.
#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "cli/sim/oracle.hpp"
#include "storage/piece_layers.hpp"
#include "tests/scenarios/alone.hpp"

namespace shoal::sim {
namespace {

// One who fetches a content of 16 pieces of two blocks from strangers.
struct Fetching {
  enum class Layers : std::uint8_t { none, known };
  Alone world;
  BufferPool pool{64 * kib};
  std::vector<Bytes> known;  // layers

  explicit Fetching(storage::Format format = storage::Format::v1, Layers layers = Layers::none)
      : world{config_for(format)} {
    Alone maker{config_for(format)};
    maker.share(512 * kib, format, 2 * storage::block_bytes);
    known = maker.machine().catalog().load(maker.content->id)->value().layers;
    world.fetch(maker.content, layers == Layers::known ? known : std::vector<Bytes>{});
  }
  static MachineConfig config_for(storage::Format format) {
    const bool sealed = format == storage::Format::v2;
    return {.native = sealed, .mainline = !sealed, .mse = swarm::Obfuscation::off};
  }
  Alone::Stranger& meets(std::string_view from, std::uint8_t who) {
    Alone::Stranger& one = world.stranger(*Endpoint::parse(from), who);
    world.say(one, wire::Pieces{.form = wire::Pieces::Form::all});
    world.say(one, wire::Unchoke{});
    return one;
  }
  void give(Alone::Stranger& one, const wire::Request& request, bool right) {
    Buffer data = pool.take();
    data.extend(one.codec->block_lead() + request.length);
    data.drop_front(one.codec->block_lead());
    synthetic_bytes(7, std::uint64_t{request.piece} * world.content->piece_length + request.begin,
                    data.span());
    if (!right) data.span()[0] ^= 1;
    world.say(one, wire::Block{request.piece, request.begin, std::move(data)});
  }
  void tell(Alone::Stranger& one, const wire::HashRequest& question) {
    storage::PieceLayers layers{world.content};
    ASSERT_TRUE(layers.set_layers(known));
    const storage::HashRequest request{question.root, question.base, question.index, question.length,
                                       question.proofs};
    std::vector<Sha256> leaves;
    if (question.base == 0) {
      Bytes piece(world.content->piece_length);
      const std::uint32_t number = layers.piece_for_leaves(request).value();
      synthetic_bytes(7, std::uint64_t{number} * piece.size(), piece);
      for (std::size_t at = 0; at < piece.size(); at += storage::block_bytes)
        leaves.push_back(sha256(ByteView{piece}.subspan(at, storage::block_bytes)));
    }
    auto hashes = leaves.empty() ? layers.answer(request) : layers.answer_leaves(request, leaves);
    ASSERT_TRUE(hashes);
    world.say(one, wire::Hashes{question, std::move(*hashes)});
  }
};

std::vector<wire::Request> requests(const Alone::Stranger& one) {
  std::vector<wire::Request> out;
  for (const wire::Message& message : one.heard)
    if (const auto* request = std::get_if<wire::Request>(&message)) out.push_back(*request);
  return out;
}
std::set<std::uint32_t> pieces_asked(const Alone::Stranger& one) {
  std::set<std::uint32_t> out;
  for (const wire::Request& request : requests(one)) out.insert(request.piece);
  return out;
}

// THREATS A21: nobody spoils a third piece of v1 before he is known for two.
TEST(Stranger, A21WhoHasGivenNothingRightIsAskedForTwoPieces) {
  Fetching all;
  Alone::Stranger& honest = all.meets("20.1.0.1:5000", 1);
  EXPECT_EQ(pieces_asked(honest).size(), 2U);
  const std::uint32_t first = requests(honest).front().piece;
  for (const wire::Request& request : requests(honest))
    if (request.piece == first) all.give(honest, request, true);
  EXPECT_GT(pieces_asked(honest).size(), 3U) << "it is proven";

  Fetching spoilt;
  Alone::Stranger& poisoner = spoilt.meets("20.1.0.1:5000", 66);
  const auto begun = pieces_asked(poisoner);
  for (std::size_t at = 0; at < requests(poisoner).size() && !poisoner.closed; ++at)
    spoilt.give(poisoner, requests(poisoner)[at], false);
  EXPECT_TRUE(poisoner.closed);
  EXPECT_EQ(pieces_asked(poisoner), begun);
  // Where something was wrong, of one piece.
  EXPECT_EQ(pieces_asked(spoilt.meets("20.2.0.1:5000", 2)).size(), 1U);
}

// THREATS A21: a false block is judged when its piece is whole, and whoever gave it has hung up by then.
TEST(Stranger, A21WhoHangsUpAfterEachFalseBlockIsKnownWhenItIsBack) {
  Fetching all;
  Alone& world = all.world;
  std::set<std::uint32_t> spoilt;
  for (int i = 0; i < 2; ++i) {
    Alone::Stranger& poisoner = all.meets("20.1.0.1:5000", 66);
    ASSERT_FALSE(poisoner.closed) << "nothing is known yet";
    for (std::size_t at = 0; at < poisoner.heard.size() && spoilt.size() == static_cast<std::size_t>(i);
         ++at) {
      const auto* request = std::get_if<wire::Request>(&poisoner.heard[at]);
      if (request != nullptr && spoilt.insert(request->piece).second) all.give(poisoner, *request, false);
    }
    world.feed(swarm::StreamClosed{poisoner.stream, swarm::StreamClosed::Why::by_peer});
    poisoner.closed = true;
  }
  ASSERT_EQ(spoilt.size(), 2U);
  Alone::Stranger& honest = all.meets("20.2.0.1:5000", 1);
  for (std::size_t at = 0; world.status().bytes_verified < world.content->bytes; ++at) {
    for (int seconds = 0; at == honest.heard.size() && seconds < 60; ++seconds) world.run_for(1s);
    ASSERT_LT(at, honest.heard.size()) << "it is not asked for the rest";
    if (const auto* request = std::get_if<wire::Request>(&honest.heard[at])) all.give(honest, *request, true);
  }
  EXPECT_TRUE(world.stranger(*Endpoint::parse("20.1.0.1:5001"), 66).closed);
  EXPECT_FALSE(world.stranger(*Endpoint::parse("20.3.0.1:5000"), 2).closed);
  EXPECT_FALSE(honest.closed);
}

// Who gives every block and no hash does not keep us from asking another, although that one has given
// nothing.
TEST(Stranger, WhoGivesBlocksAndNoHashesIsNotTheOnlyOneAsked) {
  for (const bool refuses : {true, false}) {
    Fetching all{storage::Format::v2};
    Alone& world = all.world;
    Alone::Stranger& gives = all.meets("20.1.0.1:5000", 1);
    Alone::Stranger& knows = world.stranger(*Endpoint::parse("20.2.0.1:5000"), 2);
    world.say(knows, wire::Pieces{.form = wire::Pieces::Form::all});
    std::size_t at = 0, told = 0;
    for (int seconds = 0; seconds < 120; ++seconds) {
      for (; told < knows.heard.size(); ++told)
        if (const auto* question = std::get_if<wire::HashRequest>(&knows.heard[told])) {
          const wire::HashRequest asked = *question;
          all.tell(knows, asked);
        }
      for (; at < gives.heard.size(); ++at) {
        if (const auto* request = std::get_if<wire::Request>(&gives.heard[at])) {
          const wire::Request wanted = *request;
          all.give(gives, wanted, true);
        } else if (const auto* question = std::get_if<wire::HashRequest>(&gives.heard[at]);
                   question != nullptr && refuses) {
          world.say(gives, wire::HashReject{wire::HashRequest{*question}});
        }
      }
      world.say(gives, wire::KeepAlive{});
      world.say(knows, wire::KeepAlive{});
      world.run_for(1s);
    }
    EXPECT_EQ(world.status().bytes_committed, world.content->bytes) << refuses;
  }
}

// A sync that fails says of every piece of the file that it may be lost; those that are finished in the
// seconds after it are hashed again one by one, and that is no failure of the disk any more.
TEST(Stranger, OneFailedSyncIsOneFailure) {
  Fetching all{storage::Format::v2, Fetching::Layers::known};
  Alone& world = all.world;
  Alone::Stranger& one = all.meets("20.1.0.1:5000", 1);
  // A first piece, so that it is proven and asked for more; then the first block of every other.
  std::map<std::uint32_t, wire::Request> rest;
  std::size_t at = 0;
  const auto give_first_blocks = [&] {
    for (; at < one.heard.size(); ++at) {
      const auto* request = std::get_if<wire::Request>(&one.heard[at]);
      if (request == nullptr) continue;
      const wire::Request wanted = *request;
      if (wanted.begin > 0 && wanted.piece != requests(one).front().piece)
        rest[wanted.piece] = wanted;
      else
        all.give(one, wanted, true);
    }
  };
  world.machine().disk().order({DiskCall::sync, 1, {Code::io, "injected", 5}, Fault::Lasting::once});
  give_first_blocks();
  world.run_for(3s);
  give_first_blocks();
  ASSERT_GT(rest.size(), 5U);
  while (!rest.empty()) {
    all.give(one, rest.extract(rest.begin()).mapped(), true);
    world.run_for(1900ms);  // so that each commit finds another
    give_first_blocks();
  }
  world.run_for(10s);
  const swarm::ContentStatus status = world.status();
  EXPECT_NE(status.phase, swarm::ContentStatus::Phase::failed);
  EXPECT_EQ(status.bytes_committed, world.content->bytes);
}

}  // namespace
}  // namespace shoal::sim
