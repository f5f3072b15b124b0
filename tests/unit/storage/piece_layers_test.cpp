// Piece layers: what may become known, and what is answered to whom. Two peers ask each other in every way
// that BEP 52 has; a third one lies.
#include "storage/piece_layers.hpp"

#include <gtest/gtest.h>

#include "tests/unit/storage/content_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::leaves_of;
using fixture::Made;
using fixture::make;
using fixture::pattern;

constexpr std::uint32_t piece = 32768;  // two blocks

// Files of every kind: empty, one short block, one piece, pieces that end in a short one, a twin, a power of
// two.
Made various() {
  return make({{"a-empty", {}},
               {"b-small", pattern(100)},
               {"c-piece", pattern(piece)},
               {"d-odd", pattern(piece * 5 + 20000)},
               {"e-twin", pattern(piece * 5 + 20000)},
               {"f-even", pattern(piece * 8, 3)},
               {"g-long", pattern(piece * 21 + 1, 9)}},
              piece);
}

PieceLayers full(const Made& made) {
  PieceLayers layers{made.content};
  EXPECT_TRUE(layers.set_layers(made.layers).has_value());
  EXPECT_TRUE(layers.all_complete());
  return layers;
}

TEST(PieceLayers, FilesOfOnePieceNeedNone) {
  const Made made = various();
  PieceLayers layers{made.content};
  EXPECT_FALSE(layers.all_complete());
  EXPECT_TRUE(layers.complete(0));
  EXPECT_TRUE(layers.complete(1));
  EXPECT_TRUE(layers.complete(2));
  EXPECT_FALSE(layers.complete(3));
  EXPECT_EQ(layers.piece_root(made.content->files[1].first_piece), made.files[1].root);
  EXPECT_EQ(layers.piece_root(made.content->files[3].first_piece), std::nullopt);
  EXPECT_FALSE(layers.set_layer(2, made.files[2].root));
  EXPECT_TRUE(layers.layer(2).empty());
}

TEST(PieceLayers, LayersAreVerified) {
  const Made made = various();
  PieceLayers layers{made.content};
  Bytes wrong = made.layers[3];
  wrong[40] ^= 1;
  EXPECT_EQ(layers.set_layer(3, wrong).error().code, Code::mismatch);
  wrong = made.layers[3];
  wrong.resize(wrong.size() - 32);
  EXPECT_EQ(layers.set_layer(3, wrong).error().code, Code::mismatch);
  wrong.resize(wrong.size() + 31);
  EXPECT_EQ(layers.set_layer(3, wrong).error().code, Code::mismatch);
  EXPECT_EQ(layers.set_layer(5, made.layers[3]).error().code, Code::mismatch);
  EXPECT_FALSE(layers.complete(3));
  ASSERT_TRUE(layers.set_layer(3, made.layers[3]));
  EXPECT_TRUE(layers.complete(3));
  EXPECT_TRUE(layers.complete(4)) << "equal files share what is known";
  EXPECT_EQ(layers.layer(4), made.layers[4]);
  EXPECT_FALSE(layers.complete(5));
  for (std::uint32_t p = 0; p < made.content->files[3].pieces; ++p)
    EXPECT_EQ(layers.piece_root(made.content->files[4].first_piece + p), made.files[3].roots[p]);
}

TEST(PieceLayers, FilesAreFoundByRoot) {
  const Made made = various();
  const PieceLayers layers{made.content};
  EXPECT_EQ(layers.find(made.files[1].root), 1U);
  EXPECT_EQ(layers.find(made.files[4].root), 3U) << "the first of two equal files";
  EXPECT_EQ(layers.find(made.files[6].root), 6U);
  EXPECT_EQ(layers.find(Sha256{}), std::nullopt) << "an empty file has no root";
  EXPECT_EQ(layers.find(sha256({})), std::nullopt);
}

TEST(PieceLayers, OnePeerFillsAnother) {
  const Made made = various();
  const PieceLayers source = full(made);
  PieceLayers layers{made.content};
  std::vector<std::uint32_t> finished;
  for (std::uint32_t p = made.content->pieces; p-- > 0;) {
    const auto request = layers.request_for(p);
    EXPECT_EQ(request.has_value(), !layers.piece_root(p).has_value());
    if (!request) continue;
    const auto answer = source.answer(*request);
    ASSERT_TRUE(answer) << answer.error().rule;
    EXPECT_EQ(answer->size(), request->length + uncles_of(*request));
    const auto done = layers.add(*request, *answer);
    ASSERT_TRUE(done) << done.error().rule;
    finished.insert(finished.end(), done->begin(), done->end());
    EXPECT_TRUE(layers.piece_root(p));
  }
  EXPECT_TRUE(layers.all_complete());
  EXPECT_EQ(finished, (std::vector<std::uint32_t>{6, 5, 3, 4}));
  for (std::uint32_t f = 0; f < made.files.size(); ++f) EXPECT_EQ(layers.layer(f), made.layers[f]);
}

// A layer longer than one request: 1,100 pieces of one block.
Made long_layer() { return make({{"long", pattern(16384 * 1100)}}, 16384); }

TEST(PieceLayers, LongLayersComeInRangesWithProofs) {
  const Made made = long_layer();
  const PieceLayers source = full(made);
  PieceLayers layers{made.content};
  const auto last = layers.request_for(1099);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->index, 1024U);
  EXPECT_EQ(last->length, 512U);
  EXPECT_EQ(uncles_of(*last), 2U);
  auto answer = source.answer(*last);
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)[75], made.files[0].roots[1099]);
  EXPECT_EQ((*answer)[76], merkle::padding(0));
  ASSERT_TRUE(layers.add(*last, *answer));
  EXPECT_EQ(layers.piece_root(1099), made.files[0].roots[1099]);
  EXPECT_EQ(layers.piece_root(1023), std::nullopt);
  ASSERT_TRUE(layers.add(*layers.request_for(0), *source.answer(*layers.request_for(0))));
  EXPECT_FALSE(layers.complete(0));
  EXPECT_TRUE(layers.layer(0).empty()) << "not before it is whole";
  const auto done = layers.add(*layers.request_for(700), *source.answer(*layers.request_for(700)));
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, std::vector<std::uint32_t>{0});
  EXPECT_EQ(layers.layer(0), made.layers[0]);
  // What was fetched is answered on, in ranges of any power of two, with proofs of any length.
  for (std::uint32_t length = 2; length <= 2048; length *= 2) {
    for (std::uint32_t proof = 0; proof < 11; ++proof) {
      const HashRequest request{made.files[0].root, 0, 2048 - length, length, proof};
      const auto mine = layers.answer(request), theirs = source.answer(request);
      ASSERT_TRUE(mine && theirs);
      EXPECT_EQ(*mine, *theirs);
      EXPECT_EQ(mine->size(), length + uncles_of(request));
    }
  }
}

TEST(PieceLayers, LiesAreRefusedAndChangeNothing) {
  const Made made = long_layer();
  const PieceLayers source = full(made);
  PieceLayers layers{made.content};
  const HashRequest request = *layers.request_for(1099);
  const auto honest = *source.answer(request);
  for (const std::size_t at : {0UL, 75UL, 76UL, 511UL, 512UL, 513UL}) {
    auto lie = honest;
    lie[at][31] ^= 1;
    EXPECT_EQ(layers.add(request, lie).error().code, Code::mismatch) << at;
  }
  auto lie = honest;
  lie.pop_back();
  EXPECT_EQ(layers.add(request, lie).error().code, Code::malformed);
  lie = honest;
  lie.push_back(lie.back());
  EXPECT_EQ(layers.add(request, lie).error().code, Code::malformed);
  EXPECT_EQ(layers.add(request, {}).error().code, Code::malformed);
  for (HashRequest other :
       {HashRequest{request.root, 1, 1024, 512, 10}, HashRequest{request.root, 0, 2048, 512, 10},
        HashRequest{request.root, 0, 512, 512, 10}, HashRequest{Sha256{}, 0, 1024, 512, 10},
        HashRequest{request.root, 0, 1024, 512, 9}, HashRequest{request.root, 0, 1024, 512, 11},
        HashRequest{request.root, 0, 1024, 512, UINT32_MAX}, HashRequest{request.root, 0, 1024, 511, 10},
        HashRequest{request.root, 0, 1024, 0, 10}, HashRequest{request.root, 0, 1024, 1, 10},
        HashRequest{request.root, 0, 1024, 1U << 31, 10}, HashRequest{request.root, 0, 1025, 512, 10}})
    EXPECT_FALSE(layers.add(other, honest))
        << other.index << " " << other.length << " " << other.proof_layers;
  for (std::uint32_t p = 0; p < 1100; ++p) EXPECT_FALSE(layers.piece_root(p));
  EXPECT_TRUE(layers.add(request, honest));
}

TEST(PieceLayers, UnanswerableRequestsAreRejected) {
  const Made made = various();
  const PieceLayers source = full(made), nothing{made.content};
  const Sha256& root = made.files[5].root;  // eight pieces: a tree of height 4
  ASSERT_TRUE(source.answer({root, 1, 0, 8, 2}));
  ASSERT_TRUE(source.answer({root, 1, 4, 4, 0}));
  EXPECT_FALSE(nothing.answer({root, 1, 0, 8, 2}));
  EXPECT_FALSE(source.answer({root, 1, 0, 16, 2}));  // wider than the layer
  EXPECT_FALSE(source.answer({root, 1, 8, 8, 2}));   // beyond it
  EXPECT_FALSE(source.answer({root, 1, UINT32_MAX - 1, 2, 2}));
  EXPECT_FALSE(source.answer({root, 1, 1, 2, 2}));  // misaligned
  EXPECT_FALSE(source.answer({root, 1, 0, 3, 2}));
  EXPECT_FALSE(source.answer({root, 1, 0, 1, 2}));
  EXPECT_FALSE(source.answer({root, 1, 0, 0, 2}));
  EXPECT_FALSE(source.answer({root, 1, 0, 8, 3}));  // above the root
  EXPECT_FALSE(source.answer({root, 1, 0, 2, UINT32_MAX}));
  EXPECT_FALSE(source.answer({root, 2, 0, 2, 0}));  // a layer in between: BEP 52 allows to refuse
  EXPECT_FALSE(source.answer({Sha256{}, 1, 0, 8, 2}));
  EXPECT_FALSE(source.answer({made.files[1].root, 1, 0, 2, 0}));  // a file of one piece has no layer
}

// Leaves of every piece, asked for and answered, with the layer known to the asker or not.
void exchange_leaves(const Made& made, const PieceLayers& asker, const PieceLayers& source) {
  for (std::uint32_t p = 0; p < made.content->pieces; ++p) {
    const std::uint32_t file = made.content->file_of(p);
    const auto leaves = leaves_of(made.piece(p));
    const auto request = asker.leaf_request_for(p, 0);
    if (!request) {
      EXPECT_EQ(source.shape(file).piece_height, 0U);
      continue;
    }
    // Equal files are one to a request, so the piece may be its twin's.
    const auto whose = source.piece_for_leaves(*request);
    ASSERT_TRUE(whose);
    EXPECT_EQ(made.files[made.content->file_of(*whose)].root, made.files[file].root);
    auto answer = source.answer_leaves(*request, leaves);
    ASSERT_TRUE(answer) << answer.error().rule;
    const auto range = asker.check_leaves(*request, *answer);
    ASSERT_TRUE(range) << range.error().rule;
    EXPECT_EQ(range->first_block, 0U);
    EXPECT_EQ(range->blocks, leaves.size());
    EXPECT_TRUE(std::equal(leaves.begin(), leaves.end(), answer->begin()));
    for (auto& hash : *answer) {
      hash[7] ^= 4;
      EXPECT_EQ(asker.check_leaves(*request, *answer).error().code, Code::mismatch);
      hash[7] ^= 4;
    }
    answer->pop_back();
    EXPECT_FALSE(asker.check_leaves(*request, *answer));
  }
}

TEST(PieceLayers, LeavesComeWithAProof) {
  const Made made = various();
  const PieceLayers source = full(made);
  exchange_leaves(made, full(made), source);
  exchange_leaves(made, PieceLayers{made.content}, source);
}

TEST(PieceLayers, LeavesOfALargePieceComeInRanges) {
  const std::uint32_t large = 32U << 20;
  const Made made = make({{"large", pattern(large + large / 2 + 5)}}, large);
  const PieceLayers source = full(made), asker{made.content};
  const auto leaves = leaves_of(ByteView{made.files[0].bytes}.subspan(large));
  std::vector<Sha256> got;
  for (std::uint32_t first = 0; first < leaves.size(); first += max_hashes_asked) {
    const auto request = asker.leaf_request_for(1, first);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->index, 2048 + first);
    const auto answer = source.answer_leaves(*request, leaves);
    ASSERT_TRUE(answer);
    const auto range = asker.check_leaves(*request, *answer);
    ASSERT_TRUE(range) << range.error().rule;
    EXPECT_EQ(range->piece, 1U);
    EXPECT_EQ(range->first_block, first);
    got.insert(got.end(), answer->begin(), answer->begin() + range->blocks);
  }
  EXPECT_EQ(got, leaves);
}

TEST(PieceLayers, LeafRequestsStayInsideOnePiece) {
  const Made made = various();
  const PieceLayers source = full(made), nothing{made.content};
  const Sha256& root = made.files[6].root;  // 22 pieces of two blocks, the last of one byte: height 6
  const std::vector<Sha256> two(2), one(1);
  ASSERT_TRUE(source.answer_leaves({root, 0, 0, 2, 0}, two));
  EXPECT_FALSE(source.answer_leaves({root, 0, 0, 4, 0}, two));
  EXPECT_FALSE(source.answer_leaves({root, 0, 44, 2, 0}, two));  // beyond the last piece
  EXPECT_TRUE(source.answer_leaves({root, 0, 42, 2, 0}, one));
  EXPECT_FALSE(source.answer_leaves({root, 0, 42, 2, 0}, two)) << "that piece has one block";
  EXPECT_FALSE(source.answer_leaves({root, 0, 0, 2, 6}, two)) << "above the root";
  EXPECT_TRUE(source.answer_leaves({root, 0, 0, 2, 5}, two));
  EXPECT_TRUE(nothing.answer_leaves({root, 0, 0, 2, 0}, two)) << "the piece's leaves alone suffice";
  EXPECT_FALSE(nothing.answer_leaves({root, 0, 0, 2, 5}, two)) << "the proof needs the piece layer";
  EXPECT_FALSE(source.answer_leaves({root, 0, UINT32_MAX - 1, 2, 0}, two));
}

TEST(PieceLayers, ManyEqualFilesCostNoMoreThanOne) {
  std::vector<std::pair<std::string, Bytes>> files;
  for (int i = 0; i < 300; ++i) files.emplace_back("f" + std::to_string(1000 + i), pattern(piece * 2));
  const Made made = make(files, piece);
  const PieceLayers source = full(made);
  PieceLayers layers{made.content};
  const auto done = layers.add(*layers.request_for(599), *source.answer(*layers.request_for(0)));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->size(), 300U);
  EXPECT_TRUE(layers.all_complete());
}

}  // namespace
}  // namespace shoal::storage
