// Noise against the published vectors (cacophony), handshake hash and transport messages included, and
// against tampering. The vectors lie beside the checkout; where they do not, a handshake of the channel's own
// pattern and one of another are here.
#include "swarm/noise.hpp"

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define SHOAL_HAVE_JSON 1
#endif

namespace shoal::swarm::noise {
namespace {

struct Vector {
  Pattern pattern{};
  Cipher cipher{};
  std::string prologue, psk, init_static, init_ephemeral, init_remote_static, resp_static, resp_ephemeral,
      hash;
  std::vector<std::pair<std::string, std::string>> messages;  // payload, ciphertext
};

Bytes bytes(const std::string& hex) { return from_hex(hex).value(); }
crypto::SymmetricKey key(const std::string& hex) {
  return hex.empty() ? crypto::SymmetricKey{} : to_array<32>(bytes(hex));
}
crypto::ExchangeKey pair(const std::string& hex) {
  return hex.empty() ? crypto::ExchangeKey{} : crypto::ExchangeKey::from_secret(key(hex));
}

HandshakeParams params(const Vector& v, Role role) {
  const bool initiator = role == Role::initiator;
  return {v.pattern,
          v.cipher,
          role,
          bytes(v.prologue),
          pair(initiator ? v.init_static : v.resp_static),
          key(v.init_remote_static),
          key(v.psk),
          pair(initiator ? v.init_ephemeral : v.resp_ephemeral)};
}

void run(const Vector& v) {
  Handshake initiator{params(v, Role::initiator)}, responder{params(v, Role::responder)};
  CipherState from_initiator[2], from_responder[2];  // the sender's, the receiver's
  bool transport = false;
  for (std::size_t i = 0; i < v.messages.size(); ++i) {
    const Bytes payload = bytes(v.messages[i].first), expected = bytes(v.messages[i].second);
    const bool by_initiator = i % 2 == 0;
    if (!initiator.finished()) {
      Bytes sent, received;
      ASSERT_TRUE((by_initiator ? initiator : responder).write(payload, sent));
      EXPECT_EQ(sent, expected) << "message " << i;
      ASSERT_TRUE((by_initiator ? responder : initiator).read(sent, received));
      EXPECT_EQ(received, payload);
      continue;
    }
    if (!std::exchange(transport, true)) {
      ASSERT_TRUE(responder.finished());
      EXPECT_EQ(to_hex(initiator.hash()), v.hash);
      EXPECT_EQ(responder.hash(), initiator.hash());
      const TransportKeys here = initiator.split(), there = responder.split();
      from_initiator[0].set_key(v.cipher, here.from_initiator);
      from_initiator[1].set_key(v.cipher, there.from_initiator);
      from_responder[0].set_key(v.cipher, there.from_responder);
      from_responder[1].set_key(v.cipher, here.from_responder);
    }
    CipherState* states = by_initiator ? from_initiator : from_responder;
    Bytes sealed(payload.size() + crypto::tag_bytes), opened(payload.size());
    states[0].seal(sealed.data(), payload, {});
    EXPECT_EQ(sealed, expected) << "message " << i;
    ASSERT_TRUE(states[1].open(opened.data(), sealed, {}));
    EXPECT_EQ(opened, payload);
  }
  EXPECT_TRUE(transport);
}

Vector embedded() {
  return {Pattern::ik_psk1,
          Cipher::chacha_poly,
          "4a6f686e2047616c74",
          "54686973206973206d7920417573747269616e20706572737065637469766521",
          "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
          "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
          "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62",
          "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
          "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
          "186371bec588c76e8deb325921814d59591519641d70e37cde7ab4bc8b17600e3d9062228a6132e257baf34bc156927e5d"
          "85a7d3ea9"
          "3f7524caf13710b226b3b",
          {{"4c756477696720766f6e204d69736573",
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944902b84cee06d6795dc5f2501c05ba766"
            "88c6ce7d2a"
            "b36d91ce6d3211721f3280f6264f7c2ea2e6b13d78afb983ae1ffb05f1f4e9fa55356622301ebaff6e9f21c1f43208cb"
            "d63fb9b408"
            "2159b8fc5bb3"},
           {"4d757272617920526f746862617264",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430b230ee9def0e1e7c053a14848bbfb14"
            "58026c9aa2"
            "bbbd4b237cb92491392b"},
           {"462e20412e20486179656b", "3ef532df887f77d7b044cb218ff0674cba4810998d84112690527a"},
           {"4361726c204d656e676572", "cb6c35ca87c7deef55e8e9bdbd7ccdfb8de119accfadb834cbb56b"}}};
}

// Of a pattern without a psk or keys known beforehand, which begins in the clear.
Vector embedded_xx() {
  return {Pattern::xx,
          Cipher::chacha_poly,
          "4a6f686e2047616c74",
          "",
          "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
          "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
          "",
          "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
          "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
          "8cf47d7b3cb5804c0109d48e8bcdbee2cbb65687d8ea2c92994ca361fb86151ad93627b98936cbb32de56e8abb"
          "21def3925011ac3e35db9cbeea73ab9a4392c2",
          {{"4c756477696720766f6e204d69736573",
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69"
            "736573"},
           {"4d757272617920526f746862617264",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430505b6745ce64a5f33f0e8e3b8"
            "3f11ce8802bca507f4f2d8b564dbe277e1966116e132faa2dfd70b8b077b9f94b913df5056ae1319469b824a98"
            "d54bbaa82c325595587064f978c4b6d104f7596e6f"},
           {"462e20412e20486179656b",
            "99579e1c1ee15e422a57ddd6b16d37087b17558e8369c18991b4b2ca3a824abf904cdcf5458b5431a75af034ca"
            "9e9b982de039eaaf156775e2d580cd4e5ebae89c3f8cb2594b556d8a8169"},
           {"4361726c204d656e676572", "fc56eea290b3f3a21aac0c70cd5787b5ee99be37d2f4d751329b55"},
           {"4a65616e2d426170746973746520536179",
            "bb31c9da10d5639a4cdb88a12f5c61de41bbc7df09bf75d94f8184fe4157f5c68f"},
           {"457567656e2042f6686d20766f6e2042617765726b",
            "f6199cadb152fb27f82be0a0891ec76a33598ae92a46cab2fb5a8ed5bf48b7f267f8370af7"}}};
}

TEST(NoiseTest, MatchesTheEmbeddedVectorOfTheChannelsPattern) { run(embedded()); }
TEST(NoiseTest, MatchesTheEmbeddedVectorOfAPatternThatBeginsInTheClear) { run(embedded_xx()); }

#ifdef SHOAL_HAVE_JSON
bool parse_name(const std::string& name, Vector& into) {
  static const std::pair<const char*, Pattern> patterns[] = {{"Noise_NNpsk0_25519_", Pattern::nn_psk0},
                                                             {"Noise_XX_25519_", Pattern::xx},
                                                             {"Noise_IK_25519_", Pattern::ik},
                                                             {"Noise_IKpsk1_25519_", Pattern::ik_psk1},
                                                             {"Noise_IKpsk2_25519_", Pattern::ik_psk2}};
  for (const auto& [prefix, pattern] : patterns)
    for (const Cipher cipher : {Cipher::chacha_poly, Cipher::aes_gcm})
      if (name ==
          std::string{prefix} + (cipher == Cipher::chacha_poly ? "ChaChaPoly" : "AESGCM") + "_BLAKE2b") {
        into.pattern = pattern;
        into.cipher = cipher;
        return true;
      }
  return false;
}

TEST(NoiseTest, MatchesEveryPublishedVector) {
  std::ifstream file{"../shared/vectors/noise.json"};
  if (!file) return run(embedded());  // beside the checkout or nowhere
  const auto document = nlohmann::json::parse(file);
  std::size_t count = 0;
  for (const auto& entry : document.at("vectors")) {
    Vector v;
    ASSERT_TRUE(parse_name(entry.at("protocol_name"), v)) << entry.at("protocol_name");
    SCOPED_TRACE(entry.at("protocol_name").get<std::string>());
    v.prologue = entry.value("init_prologue", "");
    EXPECT_EQ(v.prologue, entry.value("resp_prologue", ""));
    if (entry.contains("init_psks")) v.psk = entry["init_psks"].at(0);
    v.init_static = entry.value("init_static", "");
    v.init_ephemeral = entry.value("init_ephemeral", "");
    v.init_remote_static = entry.value("init_remote_static", "");
    v.resp_static = entry.value("resp_static", "");
    v.resp_ephemeral = entry.value("resp_ephemeral", "");
    v.hash = entry.at("handshake_hash");
    for (const auto& message : entry.at("messages"))
      v.messages.emplace_back(message.at("payload"), message.at("ciphertext"));
    run(v);
    ++count;
  }
  EXPECT_GE(count, 10U);
}
#endif

struct Two {
  std::unique_ptr<Handshake> initiator, responder;
};
Two fresh() {
  const Vector v = embedded();
  return {std::make_unique<Handshake>(params(v, Role::initiator)),
          std::make_unique<Handshake>(params(v, Role::responder))};
}

TEST(NoiseTest, RefusesEveryFlippedByteAndStaysRefused) {
  Bytes first;
  ASSERT_TRUE(fresh().initiator->write({}, first));
  for (std::size_t i = 0; i < first.size(); ++i) {
    Two two = fresh();
    Bytes bad = first, payload;
    bad[i] ^= 0x80;  // in the ephemeral's last byte this bit does not change the point, only the hash
    EXPECT_FALSE(two.responder->read(bad, payload)) << i;
    EXPECT_FALSE(two.responder->read(first, payload)) << "a failed handshake took another message";
  }
  for (const std::size_t size : {0UL, 31UL, 32UL, 79UL, 80UL, 95UL, first.size() - 1}) {
    Bytes payload;
    EXPECT_FALSE(fresh().responder->read(ByteView{first}.first(size), payload)) << size;
  }
}

TEST(NoiseTest, RefusesAWrongPskKeyOrPrologue) {
  for (int what = 0; what < 3; ++what) {
    Vector v = embedded();
    HandshakeParams other = params(v, Role::responder);
    if (what == 0) other.psk[0] ^= 1;
    if (what == 1) other.ours = pair(v.init_static);
    if (what == 2) other.prologue.push_back(0);
    Handshake initiator{params(v, Role::initiator)}, responder{other};
    Bytes first, payload;
    ASSERT_TRUE(initiator.write({}, first));
    EXPECT_FALSE(responder.read(first, payload)) << what;
  }
}

TEST(NoiseTest, WhatFailedWritesNothingMoreAndLongMessagesAreRefused) {
  HandshakeParams p = params(embedded(), Role::initiator);
  p.remote = {};  // a point of small order
  Handshake initiator{p};
  Bytes out;
  EXPECT_FALSE(initiator.write({}, out));
  const std::size_t size = out.size();
  const auto again = initiator.write({}, out);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::cancelled);
  EXPECT_EQ(out.size(), size);
  Bytes payload;
  EXPECT_EQ(fresh().responder->read(Bytes(65'536), payload).error().code, Code::malformed);
  EXPECT_EQ(fresh().responder->read(Bytes(65'535, 1), payload).error().code, Code::forged);
}

TEST(CipherStateTest, AssignedToItselfItStaysAndMovedItGoes) {
  const crypto::SymmetricKey start = key(embedded().psk);
  CipherState a{Cipher::chacha_poly, start}, b{Cipher::chacha_poly, start};
  CipherState& same = a;
  a = std::move(same);
  Bytes sealed(16);
  a.seal(sealed.data(), {}, {});
  EXPECT_TRUE(b.open(sealed.data(), sealed, {}));
  CipherState c{std::move(a)};
  c.seal(sealed.data(), {}, {});
  EXPECT_TRUE(b.open(sealed.data(), sealed, {})) << "its counter goes along";
}

TEST(NoiseTest, AbortsOnAnAllZeroSharedSecret) {
  HandshakeParams p = params(embedded(), Role::initiator);
  p.remote = {};  // a point of small order
  Handshake initiator{p};
  Bytes out;
  EXPECT_FALSE(initiator.write({}, out));

  Bytes message(128, 0), payload;  // an ephemeral of zeros
  EXPECT_FALSE(fresh().responder->read(message, payload));
}

TEST(CipherStateTest, RekeyIsTheSpecifiedOneAndKeepsCounting) {
  for (const Cipher cipher : {Cipher::chacha_poly, Cipher::aes_gcm}) {
    const crypto::SymmetricKey start = key(embedded().psk);
    CipherState a{cipher, start}, b{cipher, start};
    Bytes sealed(16);
    a.seal(sealed.data(), {}, {});
    ASSERT_TRUE(b.open(sealed.data(), sealed, {}));
    a.rekey();
    b.rekey();
    EXPECT_EQ(a.counter(), 1U);
    a.seal(sealed.data(), {}, {});

    // By hand: the first 32 bytes of zeros sealed with nonce 2^64 - 1.
    ByteArray<48> next;
    const ByteArray<32> zeros{};
    if (cipher == Cipher::chacha_poly) {
      crypto::seal_chacha(next.data(), zeros, {}, ~std::uint64_t{0}, start);
      EXPECT_TRUE(crypto::open_chacha(next.data(), sealed, {}, 1, to_array<32>(next)));
    } else {
      crypto::AesGcm{start}.seal(next.data(), zeros, {}, ~std::uint64_t{0});
      EXPECT_TRUE(crypto::AesGcm{to_array<32>(next)}.open(next.data(), sealed, {}, 1));
    }
    EXPECT_TRUE(b.open(sealed.data(), sealed, {}));
    EXPECT_FALSE(b.open(sealed.data(), sealed, {}));  // and never twice
  }
}

}  // namespace
}  // namespace shoal::swarm::noise
