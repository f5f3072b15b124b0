// See obfuscation.hpp. OpenSSL calls RC4 deprecated, which it is; here it is asked for by its old name.
#define OPENSSL_API_COMPAT 0x10100000L
#include "dht/base/obfuscation.hpp"

#include <openssl/bn.h>
#include <openssl/rc4.h>

#include "dht/base/check.hpp"

namespace shoal::obfuscation {
namespace {

constexpr char prime_hex[] =
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563";
constexpr BN_ULONG generator = 2;

struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_free(number); }
};
struct FreeContext {
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, FreeNumber>;

Number number_of(ByteView bytes) {
  Number out{BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr)};
  SHOAL_CHECK(out != nullptr);
  return out;
}

const BIGNUM* prime() {
  static const Number number = [] {
    BIGNUM* parsed = nullptr;
    SHOAL_CHECK(BN_hex2bn(&parsed, prime_hex) == sizeof prime_hex - 1);
    return Number{parsed};
  }();
  return number.get();
}

DhNumber power(const BIGNUM* base, const DhSecret& secret) {
  const Number exponent = number_of(secret), result{BN_new()};
  const std::unique_ptr<BN_CTX, FreeContext> context{BN_CTX_new()};
  SHOAL_CHECK(BN_mod_exp(result.get(), base, exponent.get(), prime(), context.get()) == 1);
  DhNumber out;
  SHOAL_CHECK(BN_bn2binpad(result.get(), out.data(), static_cast<int>(out.size())) ==
              static_cast<int>(out.size()));
  return out;
}

}  // namespace

DhNumber dh_public(const DhSecret& secret) {
  const Number base{BN_new()};
  SHOAL_CHECK(BN_set_word(base.get(), generator) == 1);
  return power(base.get(), secret);
}

std::optional<DhNumber> dh_shared(const DhSecret& secret, const DhNumber& theirs) {
  const Number base = number_of(theirs), most{BN_dup(prime())};
  SHOAL_CHECK(BN_sub_word(most.get(), 1) == 1);
  if (BN_is_zero(base.get()) || BN_is_one(base.get()) || BN_cmp(base.get(), most.get()) >= 0)
    return std::nullopt;
  return power(base.get(), secret);
}

struct Rc4::State {
  RC4_KEY key;
};

Rc4::Rc4(ByteView key) : state_(std::make_unique<State>()) {
  SHOAL_CHECK(!key.empty() && key.size() <= 256);
  RC4_set_key(&state_->key, static_cast<int>(key.size()), key.data());
}
Rc4::~Rc4() = default;
Rc4::Rc4(const Rc4& other) : state_(std::make_unique<State>(*other.state_)) {}
Rc4& Rc4::operator=(const Rc4& other) {
  if (this != &other) state_ = std::make_unique<State>(*other.state_);
  return *this;
}
Rc4::Rc4(Rc4&&) noexcept = default;
Rc4& Rc4::operator=(Rc4&&) noexcept = default;

void Rc4::apply(MutableBytes bytes) {
  if (!bytes.empty()) RC4(&state_->key, bytes.size(), bytes.data(), bytes.data());
}

}  // namespace shoal::obfuscation
