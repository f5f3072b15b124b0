// See mse.hpp.
#include "swarm/mse.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "dht/base/check.hpp"
#include "dht/base/hash.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t key_bytes = std::tuple_size_v<obfuscation::DhNumber>;
constexpr std::size_t padding_most = 512;
constexpr std::size_t dropped_bytes = 1024;  // of a key stream
constexpr std::size_t vc_bytes = 8;
constexpr std::uint32_t plain_bit = 1, rc4_bit = 2;
constexpr std::size_t methods_bytes = 4 + 2;  // and the length of the padding behind them

Sha1 hash(std::string_view label, ByteView first, ByteView second = {}) {
  Sha1Stream stream;
  stream.update(as_bytes(label));
  stream.update(first);
  stream.update(second);
  return stream.finish();
}

obfuscation::Rc4 cipher(std::string_view label, ByteView shared, const InfoHash& content) {
  obfuscation::Rc4 out{hash(label, shared, content)};
  Bytes dropped(dropped_bytes);
  out.apply(dropped);
  return out;
}

Sha1 mixed(const Sha1& a, const Sha1& b) {
  Sha1 out;
  std::ranges::transform(a, b, out.begin(), [](std::uint8_t x, std::uint8_t y) { return x ^ y; });
  return out;
}

}  // namespace

Mse::Mse(Role role, MseMethods methods, Random& random) : role_(role), methods_(methods) {
  SHOAL_CHECK(methods.plain || methods.rc4);
  secret_ = random.bytes<20>();
}

Mse Mse::dialler(const InfoHash& content, MseMethods offered, Bytes initial, Random& random) {
  SHOAL_CHECK(initial.size() <= initial_most);
  Mse out{Role::dialler, offered, random};
  out.content_ = content;
  out.initial_ = std::move(initial);
  out.draw_padding(random);
  out.say_key();
  return out;
}

Mse Mse::answerer(const InfoHashTable& contents, MseMethods accepted, Random& random) {
  Mse out{Role::answerer, accepted, random};
  out.contents_ = &contents;
  out.draw_padding(random);
  return out;
}

void Mse::draw_padding(Random& random) {
  padding_.resize(static_cast<std::size_t>(random.below(padding_most + 1)));
  random.fill(padding_);
}

void Mse::say_key() {
  append(reply_, obfuscation::dh_public(secret_));
  append(reply_, std::exchange(padding_, {}));
}

Bytes Mse::take_reply() { return std::exchange(reply_, {}); }
Bytes Mse::take_initial() { return std::exchange(initial_, {}); }
std::optional<obfuscation::Rc4> Mse::take_sending() {
  return rc4_ ? std::exchange(sending_, std::nullopt) : std::nullopt;
}
std::optional<obfuscation::Rc4> Mse::take_receiving() {
  return rc4_ ? std::exchange(receiving_, std::nullopt) : std::nullopt;
}

// One byte at a time where it is not known how many are the handshake's: nothing of the stream may be
// swallowed.
Result<void> Mse::receive(ByteView& bytes) {
  while (!done()) {
    auto moved = advance();
    if (!moved) return std::unexpected(moved.error());
    if (*moved) continue;
    if (bytes.empty()) return {};
    have_.push_back(bytes.front());
    bytes = bytes.subspan(1);
  }
  return {};
}

bool Mse::take(std::size_t count, Bytes& out) {
  if (have_.size() < count) return false;
  SHOAL_CHECK(have_.size() == count);
  out = std::exchange(have_, {});
  receiving_->apply(out);
  return true;
}

Result<bool> Mse::advance() {
  Bytes taken;
  switch (step_) {
    case Step::key:
      return on_key();
    case Step::search:
      return on_search();
    case Step::methods:
      return on_methods();
    case Step::padding:
      if (!take(awaited_, taken)) return false;
      step_ = role_ == Role::answerer ? Step::initial_length : Step::done;
      return true;
    case Step::initial_length:
      if (!take(2, taken)) return false;
      awaited_ = load_be<std::uint16_t>(taken.data());
      if (awaited_ > initial_most) return fail(Code::too_large, "a first payload has at most 4,096 bytes");
      step_ = Step::initial;
      return true;
    case Step::initial:
      if (!take(awaited_, initial_)) return false;
      answer();
      step_ = Step::done;
      return true;
    case Step::done:  // unreachable: receive() asks no more
      break;
  }
  return false;
}

Result<bool> Mse::on_key() {
  if (have_.size() < key_bytes) return false;
  const auto shared = obfuscation::dh_shared(secret_, to_array<key_bytes>(have_));
  if (!shared) return fail(Code::malformed, "a public key is a number between 2 and P - 2");
  shared_ = *shared;
  have_.clear();
  step_ = Step::search;
  if (role_ == Role::dialler) {
    start_ciphers();
    mark_.assign(vc_bytes, 0);
    obfuscation::Rc4{*receiving_}.apply(mark_);
    request();
  } else {
    mark_ = to_vector(hash("req1", shared_));
    say_key();  // not before: who only connects hears nothing, and costs nothing
  }
  return true;
}

void Mse::start_ciphers() {
  const bool dials = role_ == Role::dialler;
  sending_ = cipher(dials ? "keyA" : "keyB", shared_, content_);
  receiving_ = cipher(dials ? "keyB" : "keyA", shared_, content_);
}

void Mse::request() {
  append(reply_, hash("req1", shared_));
  append(reply_, mixed(obfuscated_name(content_), hash("req3", shared_)));
  Bytes sealed(vc_bytes, 0);
  append_be(sealed, (methods_.plain ? plain_bit : 0) | (methods_.rc4 ? rc4_bit : 0));
  append_be(sealed, std::uint16_t{0});  // no PadC
  append_be(sealed, static_cast<std::uint16_t>(initial_.size()));
  append(sealed, std::exchange(initial_, {}));
  sending_->apply(sealed);
  append(reply_, sealed);
}

// Asked for each byte of up to 512, so the mark is made once.
Result<bool> Mse::on_search() {
  const std::size_t content_bytes = role_ == Role::dialler ? 0 : std::tuple_size_v<Sha1>;
  if (have_.size() < mark_.size() + content_bytes) return false;
  if (!equal(ByteView{have_}.first(mark_.size()), mark_)) {
    if (++skipped_ > padding_most) return fail(Code::malformed, "padding has at most 512 bytes");
    have_.erase(have_.begin());
    return true;
  }
  if (role_ == Role::answerer) return on_content();
  Bytes zeros;
  static_cast<void>(take(vc_bytes, zeros));
  step_ = Step::methods;
  return true;
}

Result<bool> Mse::on_content() {
  const auto named = to_array<20>(ByteView{have_}.subspan(20));
  const InfoHash* found = contents_->find_obfuscated(mixed(named, hash("req3", shared_)));
  if (found == nullptr) return fail(Code::mismatch, "a handshake names a content of ours");
  content_ = *found;
  have_.clear();
  start_ciphers();
  step_ = Step::methods;
  return true;
}

Result<bool> Mse::on_methods() {
  const std::size_t lead = role_ == Role::answerer ? vc_bytes : 0;
  Bytes taken;
  if (!take(lead + methods_bytes, taken)) return false;
  if (std::any_of(taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(lead),
                  [](std::uint8_t byte) { return byte != 0; }))
    return fail(Code::malformed, "a handshake is under its key");
  const auto bits = load_be<std::uint32_t>(taken.data() + lead);
  awaited_ = load_be<std::uint16_t>(taken.data() + lead + 4);
  if (awaited_ > padding_most) return fail(Code::malformed, "padding has at most 512 bytes");
  const bool rc4 = methods_.rc4 && (bits & rc4_bit) != 0, plain = methods_.plain && (bits & plain_bit) != 0;
  const bool ambiguous = role_ == Role::dialler && bits != rc4_bit && bits != plain_bit;
  if (ambiguous || (!rc4 && !plain)) return fail(Code::unsupported, "a method in common is chosen");
  rc4_ = rc4;
  step_ = Step::padding;
  return true;
}

void Mse::answer() {
  Bytes sealed(vc_bytes, 0);
  append_be(sealed, rc4_ ? rc4_bit : plain_bit);
  append_be(sealed, std::uint16_t{0});
  sending_->apply(sealed);
  append(reply_, sealed);
}

}  // namespace shoal::swarm
