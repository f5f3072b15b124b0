// Tests of dht/base/crypto.hpp against published vectors and independent constructions.
#include "dht/base/crypto.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "dht/base/random.hpp"

namespace shoal::crypto {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }
template <std::size_t N>
ByteArray<N> fixed(std::string_view text) {
  const Bytes bytes = hex(text);
  EXPECT_EQ(bytes.size(), N);
  return to_array<N>(bytes);
}
template <std::size_t N>
ByteArray<N> counting() {
  ByteArray<N> out;
  for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::uint8_t>(i);
  return out;
}

class Crypto : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    initialise();
    initialise();  // idempotent
  }
};

TEST_F(Crypto, Ed25519MatchesRfc8032) {
  const struct {
    const char *seed, *public_key, *message, *signature;
  } vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf"
       "5f0595bbe24"
       "655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2"
       "eaeb4302aee"
       "b00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c1"
       "5e9716ed28d"
       "c027beceea1ec40a"},
  };
  for (const auto& vector : vectors) {
    const auto key = SigningKey::from_seed(fixed<32>(vector.seed));
    EXPECT_EQ(to_hex(key.public_key), vector.public_key);
    const Bytes message = hex(vector.message);
    const Signature signature = key.sign(message);
    EXPECT_EQ(to_hex(signature), vector.signature);
    EXPECT_TRUE(verify(key.public_key, message, signature));
    for (std::size_t i = 0; i < signature.size(); ++i) {
      Signature wrong = signature;
      wrong[i] ^= 1;
      EXPECT_FALSE(verify(key.public_key, message, wrong)) << i;
    }
    Bytes longer = message;
    longer.push_back(0);
    EXPECT_FALSE(verify(key.public_key, longer, signature));
  }
}

TEST_F(Crypto, Ed25519RefusesWhatHasTwoSpellings) {
  const auto key = SigningKey::from_seed(SecretKey{1});
  const Signature good = key.sign(as_bytes("m"));
  // S + L is the same number modulo the order of the group.
  const auto order = fixed<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  Signature shifted = good;
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned>(shifted[32 + i]) + order[i];
    shifted[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_EQ(carry, 0U);
  EXPECT_FALSE(verify(key.public_key, as_bytes("m"), shifted));
  // Small-order keys verify anything under a lax library: S = 0, R = A.
  for (const char* point : {"0100000000000000000000000000000000000000000000000000000000000000",
                            "0000000000000000000000000000000000000000000000000000000000000000",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"}) {
    const auto small = fixed<32>(point);
    Signature forged{};
    std::copy(small.begin(), small.end(), forged.begin());
    EXPECT_FALSE(verify(small, as_bytes("anything"), forged)) << point;
  }
  // y = p + 1, the non-canonical spelling of the neutral element.
  EXPECT_FALSE(verify(fixed<32>("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
                      as_bytes("m"), good));
}

TEST_F(Crypto, X25519MatchesRfc7748) {
  EXPECT_EQ(to_hex(*crypto::exchange(
                fixed<32>("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                fixed<32>("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  const auto alice =
      ExchangeKey::from_secret(fixed<32>("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const auto bob =
      ExchangeKey::from_secret(fixed<32>("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(to_hex(alice.public_key), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(bob.public_key), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  EXPECT_EQ(to_hex(*crypto::exchange(alice.secret, bob.public_key)),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(crypto::exchange(alice.secret, bob.public_key), crypto::exchange(bob.secret, alice.public_key));
  // The iterated test of section 5.2.
  // (Qualified, or argument-dependent look-up would prefer std::exchange.)
  SecretKey k{9};
  PublicKey u{9};
  for (int i = 0; i < 1000; ++i) u = std::exchange(k, *crypto::exchange(k, u));
  EXPECT_EQ(to_hex(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST_F(Crypto, AllZeroExchangeIsRefused) {
  const SecretKey secret = counting<32>();
  // The points of small order on the curve and its twist.
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"})
    EXPECT_FALSE(crypto::exchange(secret, fixed<32>(point))) << point;
}

TEST_F(Crypto, Blake2bMatchesRfc7693) {
  EXPECT_EQ(to_hex(blake2b<64>(as_bytes("abc"))),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc95"
            "18d38aa8dbf1925a"
            "b92386edd4009923");
  EXPECT_EQ(to_hex(blake2b<32>(as_bytes("abc"))),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  // Of the reference implementation's keyed answers, the first and the last.
  const auto key = counting<64>();
  EXPECT_EQ(to_hex(blake2b<64>({}, key)),
            "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786b5e996e8f0f4eb981fc214b005f42d2f"
            "f4233499391653df"
            "7aefcbc13fc51568");
  EXPECT_EQ(to_hex(blake2b<64>(counting<255>(), key)),
            "142709d62e28fcccd0af97fad0f8465b971e82201dc51070faa0372aa43e92484be1c1e73ba10906d5d1853db6a4106e"
            "0a7bf9800d373d6d"
            "ee2d46d62ef2a461");
  EXPECT_NE(to_hex(blake2b<16>(as_bytes("abc"))), to_hex(blake2b<32>(as_bytes("abc"))).substr(0, 32));
  EXPECT_EQ(blake2b<1>({}).size(), 1U);
}

TEST_F(Crypto, HmacBlake2bMatchesOtherImplementations) {
  const auto message = as_bytes("what do ya want for nothing?");
  // Python's hmac over its own blake2b.
  EXPECT_EQ(to_hex(hmac_blake2b({}, message)),
            "136f95d2eeae4fe08eccd925a57c3609705fe786f96c2c2051ffd859f05aef64150e767a4e1a21acb8f446ce4311add6"
            "abadcf233e62fa04"
            "9d39b32a3fc024de");
  EXPECT_EQ(to_hex(hmac_blake2b(as_bytes("key"), message)),
            "492ad5f58b59dac658a4abc1452fa9088db3397b385ae837b6e96f5403fa195d3a65c086b603ca966a8ebcd4dd5206b6"
            "cef97414ddc8788c"
            "1f94dd46a242cb45");
  EXPECT_EQ(to_hex(hmac_blake2b(counting<128>(), message)),
            "a23f247c5af57f819850774dc67d6b1690225e444f738035a8a9a1ac663f47debe4db2941371f6095c614338d316cc29"
            "773d41c7af9e714e"
            "7b052676358d590b");
  EXPECT_EQ(to_hex(hmac_blake2b(counting<200>(), message)),
            "a40c306db2192b762947da7250adc891badc90355abe47a4d49f14d68dfae7b9230d489f31eaa48b22b14a3fb414e51a"
            "c19b53af1652d395"
            "6a459d722f11262e");
}

TEST_F(Crypto, HmacIsTheConstructionOfRfc2104) {
  Random random{Random::Seed{1}};
  for (std::size_t key_size : {0U, 1U, 32U, 64U, 127U, 128U, 129U, 300U})
    for (std::size_t cut : {0U, 1U, 50U, 100U}) {
      Bytes key(key_size);
      Bytes message(100);
      random.fill(key);
      random.fill(message);
      Bytes block = key.size() > 128 ? to_vector(blake2b<64>(key)) : key;
      block.resize(128, 0);
      Bytes inner;
      Bytes outer;
      for (std::uint8_t byte : block) {
        inner.push_back(byte ^ 0x36);
        outer.push_back(byte ^ 0x5c);
      }
      append(inner, message);
      append(outer, blake2b<64>(inner));
      const ByteView view = message;
      EXPECT_EQ(hmac_blake2b(key, view.first(cut), view.subspan(cut)), blake2b<64>(outer))
          << key_size << ' ' << cut;
    }
}

TEST_F(Crypto, ChaChaMatchesRfc8439) {
  // Appendix A.5, whose nonce has the form of Noise's: 32 zero bits and a little-endian counter.
  const auto key = fixed<32>("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  const Bytes additional = hex("f33388860000000000004e91");
  const Bytes sealed = hex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b7"
      "3c321b0100d4f0"
      "3b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b"
      "3506383606907b"
      "6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1"
      "155b0047718cbc"
      "546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049"
      "e617d91d361094"
      "fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
  const std::string plain =
      "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, "
      "or obsoleted by "
      "other documents at any time. It is inappropriate to use Internet-Drafts as reference material or to "
      "cite them other "
      "than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
  Bytes out(plain.size());
  ASSERT_EQ(sealed.size(), plain.size() + tag_bytes);
  ASSERT_TRUE(open_chacha(out.data(), sealed, additional, 0x0807060504030201ULL, key));
  EXPECT_EQ(as_text(out), plain);
  Bytes again(sealed.size());
  seal_chacha(again.data(), as_bytes(plain), additional, 0x0807060504030201ULL, key);
  EXPECT_EQ(again, sealed);
}

TEST_F(Crypto, XChaChaMatchesTheDraft) {
  const auto key = fixed<32>("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const auto nonce = fixed<24>("404142434445464748494a4b4c4d4e4f5051525354555657");
  const Bytes additional = hex("50515253c0c1c2c3c4c5c6c7");
  const auto plain = as_bytes(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
      "would be it.");
  Bytes sealed(plain.size() + tag_bytes);
  seal_xchacha(sealed.data(), plain, additional, nonce, key);
  EXPECT_EQ(to_hex(sealed),
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
            "ae64c6708c54c216cb"
            "96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da976"
            "8812f615c68b13b52e"
            "c0875924c1c7987947deafd8780acf49");
}

TEST_F(Crypto, AesGcmMatchesKnownAnswers) {
  // McGrew and Viega's test cases 13 and 14: key, nonce and plain text all zero.
  AesGcm zero{SymmetricKey{}};
  Bytes tag(tag_bytes);
  zero.seal(tag.data(), {}, {}, 0);
  EXPECT_EQ(to_hex(tag), "530f8afbc74536b9a963b4f1c4cb738b");
  Bytes sealed(32);
  zero.seal(sealed.data(), Bytes(16), {}, 0);
  EXPECT_EQ(to_hex(sealed), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  // With additional data and a counter in big-endian order, made with libsodium's own AES-256-GCM.
  AesGcm other{counting<32>()};
  const auto plain = as_bytes("shoal: a frame of the transport, not a multiple of sixteen");
  Bytes out(plain.size() + tag_bytes);
  other.seal(out.data(), plain, as_bytes("additional"), 0x0102030405060708ULL);
  EXPECT_EQ(to_hex(out),
            "77390a6fb1db29ff23f98f8e7302199f1cd928aab2f53c1e889527200445abe10f4677ecbadbed4b956b16f21a453586"
            "559df9d24c78cfc3"
            "2e749386154cbe81230743e9246e4fe8f79d");
}

// What every AEAD owes: round trips in place, and no opening of anything altered.
template <class Seal, class Open>
void expect_aead(Seal&& seal, Open&& open) {
  Random random{Random::Seed{2}};
  for (std::size_t size : {0U, 1U, 15U, 16U, 17U, 64U, 1000U, 16384U}) {
    Bytes plain(size);
    random.fill(plain);
    const Bytes additional = to_vector(random.bytes<13>());
    const std::uint64_t nonce = random.next();
    Bytes sealed(size + tag_bytes);
    seal(sealed.data(), ByteView{plain}, ByteView{additional}, nonce);

    Bytes in_place = plain;
    in_place.resize(size + tag_bytes);
    seal(in_place.data(), ByteView{in_place}.first(size), ByteView{additional}, nonce);
    EXPECT_EQ(in_place, sealed);
    ASSERT_TRUE(open(in_place.data(), ByteView{in_place}, ByteView{additional}, nonce));
    EXPECT_TRUE(equal(ByteView{in_place}.first(size), plain));

    Bytes out(size + tag_bytes);
    for (std::size_t i = 0; i < sealed.size(); i += 1 + sealed.size() / 40) {
      Bytes wrong = sealed;
      wrong[i] ^= 0x10;
      EXPECT_FALSE(open(out.data(), ByteView{wrong}, ByteView{additional}, nonce)) << size << ' ' << i;
    }
    EXPECT_FALSE(open(out.data(), ByteView{sealed}, ByteView{additional}, nonce + 1));
    EXPECT_FALSE(open(out.data(), ByteView{sealed}, ByteView{additional}.first(12), nonce));
    EXPECT_FALSE(open(out.data(), ByteView{sealed}, ByteView{}, nonce));
    EXPECT_FALSE(open(out.data(), ByteView{sealed}.first(sealed.size() - 1), ByteView{additional}, nonce));
    for (std::size_t cut = 0; cut < tag_bytes; ++cut)
      EXPECT_FALSE(open(out.data(), ByteView{sealed}.first(cut), ByteView{additional}, nonce));
    EXPECT_TRUE(
        open(out.data(), ByteView{sealed}, ByteView{additional}, nonce));  // a failure leaves no trace
  }
}

TEST_F(Crypto, AeadsRoundTripAndRefuse) {
  const auto key = counting<32>();
  expect_aead([&](auto* out, ByteView in, ByteView additional,
                  std::uint64_t nonce) { seal_chacha(out, in, additional, nonce, key); },
              [&](auto* out, ByteView in, ByteView additional, std::uint64_t nonce) {
                return open_chacha(out, in, additional, nonce, key);
              });
  const auto wide = [](std::uint64_t nonce) {
    ByteArray<24> out{};
    store_be(out.data() + 3, nonce);
    return out;
  };
  expect_aead([&](auto* out, ByteView in, ByteView additional,
                  std::uint64_t nonce) { seal_xchacha(out, in, additional, wide(nonce), key); },
              [&](auto* out, ByteView in, ByteView additional, std::uint64_t nonce) {
                return open_xchacha(out, in, additional, wide(nonce), key);
              });
  AesGcm gcm{key};
  expect_aead([&](auto* out, ByteView in, ByteView additional,
                  std::uint64_t nonce) { gcm.seal(out, in, additional, nonce); },
              [&](auto* out, ByteView in, ByteView additional, std::uint64_t nonce) {
                return gcm.open(out, in, additional, nonce);
              });
}

TEST_F(Crypto, AesGcmMoves) {
  AesGcm a{counting<32>()};
  Bytes before(16 + 3);
  a.seal(before.data(), as_bytes("abc"), {}, 5);
  AesGcm b{std::move(a)};
  AesGcm c{SymmetricKey{}};
  c = std::move(b);
  Bytes after(16 + 3);
  c.seal(after.data(), as_bytes("abc"), {}, 5);
  EXPECT_EQ(before, after);
}

TEST_F(Crypto, ConstantTimeEqualityIsEquality) {
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_TRUE(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abcd")));
}

TEST_F(Crypto, AShorterKeyStreamIsTheBeginningOfALonger) {
  const ByteArray<32> key{1};
  Bytes whole(200);
  crypto::chacha20_stream(key, {}, whole);
  for (const std::size_t size : {0U, 1U, 64U, 65U}) {
    Bytes part(size);
    crypto::chacha20_stream(key, {}, part);
    EXPECT_TRUE(equal(part, ByteView{whole}.first(size))) << size;
  }
}

TEST_F(Crypto, SystemRandomFillsAndWipeClears) {
  Bytes a(64);
  Bytes b(64);
  system_random(a);
  system_random(b);
  EXPECT_NE(a, b);
  wipe(a);
  EXPECT_EQ(a, Bytes(64));
  wipe({});
  system_random({});
}

}  // namespace
}  // namespace shoal::crypto
